//! Tenants and the keys of their API.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use jiff::civil::Date;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::id::{random, token_hash};
use crate::webhook::MAX_WEBHOOKS;
use crate::{KeyId, OrganizationId};

/// The most sources of one organization, unless its quota says otherwise.
pub const MAX_SOURCES: usize = 1_000;

/// The most API keys of one organization, unless its quota says otherwise.
pub const MAX_KEYS: usize = 100;

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organization {
    /// Its name for machines.
    pub id: OrganizationId,
    /// Its name for people.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Why and since when it is suspended, while it is.
    pub suspension: Option<Suspension>,
    /// How much it may register.
    pub quota: Quota,
}

/// Nothing is taken from or sent for a suspended organization. What it has is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspension {
    /// Since when.
    pub at: Timestamp,
    /// Why, in the operator's words.
    pub reason: String,
}

/// How much an organization may register, where that is otherwise than for all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// The most sources; [`MAX_SOURCES`] where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sources: Option<u32>,
    /// The most webhooks; [`MAX_WEBHOOKS`] where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhooks: Option<u32>,
    /// The most API keys; [`MAX_KEYS`] where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<u32>,
}

impl Quota {
    /// The most sources.
    #[must_use]
    pub fn max_sources(&self) -> usize {
        or_default(self.sources, MAX_SOURCES)
    }

    /// The most webhooks.
    #[must_use]
    pub fn max_webhooks(&self) -> usize {
        or_default(self.webhooks, MAX_WEBHOOKS)
    }

    /// The most API keys.
    #[must_use]
    pub fn max_keys(&self) -> usize {
        or_default(self.keys, MAX_KEYS)
    }
}

fn or_default(limit: Option<u32>, default: usize) -> usize {
    limit.map_or(default, |limit| usize::try_from(limit).unwrap_or(default))
}

/// What is kept of an API key: never the key itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its name.
    pub id: KeyId,
    /// The tenant whose data it opens, and no other's.
    pub organization: OrganizationId,
    /// What it may do.
    pub role: Role,
    /// Its name for people.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// How its text begins, so that people can tell which one they hold; empty for a key of before this was kept.
    pub prefix: String,
    /// The last day (in UTC) on which it opened something.
    pub last_used: Option<Date>,
    /// Whether its organization is suspended: then it opens nothing.
    pub suspended: bool,
}

impl ApiKey {
    /// A key that was made now and has not been used.
    #[must_use]
    pub fn new(organization: OrganizationId, role: Role, name: String, text: &ApiKeyText, now: Timestamp) -> Self {
        Self {
            id: KeyId::generate(now),
            organization,
            role,
            name,
            created_at: now,
            prefix: text.prefix().to_owned(),
            last_used: None,
            suspended: false,
        }
    }
}

/// What an API key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything within its organization, keys and the audit trail among it.
    Admin,
    /// Sources, webhooks, events and replays; reads everything but keys and the audit trail.
    Editor,
    /// Publishes events, and nothing else: for a program that only sends.
    Publisher,
    /// Reads what an editor reads.
    Viewer,
}

/// What a request wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// Look at sources, webhooks, events, receipts, deliveries and jobs.
    Read,
    /// Publish an event.
    Publish,
    /// Change sources and webhooks, replay, verify again.
    Edit,
    /// Make and revoke keys, read the audit trail.
    Administer,
}

impl Role {
    /// All of them, the one that may do most first.
    pub const ALL: [Self; 4] = [Self::Admin, Self::Editor, Self::Publisher, Self::Viewer];

    /// Whether a key of this role may do that.
    #[must_use]
    pub fn may(self, access: Access) -> bool {
        match self {
            Self::Admin => true,
            Self::Editor => access != Access::Administer,
            Self::Publisher => access == Access::Publish,
            Self::Viewer => access == Access::Read,
        }
    }

    /// The role as it is stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Editor => "editor",
            Self::Publisher => "publisher",
            Self::Viewer => "viewer",
        }
    }
}

/// The text of an API key: `hk_` and 256 random bits. Shown once; we keep its hash.
#[derive(Clone)]
pub struct ApiKeyText(SecretString);

impl ApiKeyText {
    /// A new key.
    #[must_use]
    pub fn generate() -> Self {
        Self(format!("hk_{}", URL_SAFE_NO_PAD.encode(random::<32>())).into())
    }

    /// Reads what a client sent; anything is taken, and only a known hash opens something.
    #[must_use]
    pub fn from_client(text: &str) -> Self {
        Self(text.into())
    }

    /// The key itself, to be shown once.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// The form in which it is kept.
    #[must_use]
    pub fn hash(&self) -> String {
        token_hash(self.expose())
    }

    /// How it begins: five of its 43 random characters, by which people tell keys apart.
    #[must_use]
    pub fn prefix(&self) -> &str {
        self.expose().get(..8).unwrap_or_default()
    }
}

impl fmt::Debug for ApiKeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKeyText([REDACTED])")
    }
}
