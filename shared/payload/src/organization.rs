//! Tenants and the keys of their API.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::id::{random, token_hash};
use crate::{KeyId, OrganizationId};

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organization {
    /// Its name for machines.
    pub id: OrganizationId,
    /// Its name for people.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
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
}

/// What an API key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything within its organization.
    Admin,
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
}

impl fmt::Debug for ApiKeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKeyText([REDACTED])")
    }
}
