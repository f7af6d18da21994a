//! Items of the sources, secrets and webhooks tables.

use std::collections::BTreeMap;

use jiff::Timestamp;
use payload::filter::StoredFilter;
use payload::key::TimedSecret;
use payload::source::{Door, Provider, Source, SourceOptions, TokenHash};
use payload::webhook::{
    DestinationHeader, DestinationUrl, Disabled, Format, Health, HttpPolicy, Method, Rate, Webhook, WebhookSecrets,
};
use payload::{OrganizationId, SourceId, WebhookId};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use super::{SCHEMA_VERSION, timestamp};
use crate::StoreError;

/// A source under its own id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceItem {
    v: u32,
    id: SourceId,
    organization: OrganizationId,
    name: String,
    /// The preset's name; empty where the source has a description of its own.
    preset: String,
    /// That description, as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    custom: Option<String>,
    /// What the source says otherwise than its provider's description, as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    options: Option<String>,
    enabled: bool,
    salt: String,
    at: i64,
    token_hashes: Vec<String>,
    /// When tokens end that were replaced, by their hash, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    token_ends: BTreeMap<String, i64>,
    /// How often it was changed: who changes it says which state the change was made for.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) revision: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl SourceItem {
    /// The same item as the state after `revision` changes.
    #[must_use]
    pub fn at_revision(self, revision: u64) -> Self {
        Self { revision, ..self }
    }
}

impl TryFrom<&Source> for SourceItem {
    type Error = StoreError;

    fn try_from(source: &Source) -> Result<Self, StoreError> {
        let refused = |error: serde_json::Error| StoreError::Refused(error.to_string());
        let (preset, custom) = match &source.provider {
            Provider::Preset(name) => (name.clone(), None),
            Provider::Custom(preset) => (String::new(), Some(serde_json::to_string(preset).map_err(refused)?)),
        };
        let has_options = source.options != SourceOptions::default();
        let options = has_options
            .then(|| serde_json::to_string(&source.options))
            .transpose()
            .map_err(refused)?;
        Ok(Self {
            v: SCHEMA_VERSION,
            id: source.id.clone(),
            organization: source.organization.clone(),
            name: source.name.clone(),
            preset,
            custom,
            options,
            enabled: source.enabled,
            salt: source.salt.clone(),
            at: source.created_at.as_millisecond(),
            token_hashes: source.tokens.iter().map(|token| token.hash.clone()).collect(),
            token_ends: source
                .tokens
                .iter()
                .filter_map(|token| Some((token.hash.clone(), token.expires_at?.as_millisecond())))
                .collect(),
            revision: source.revision,
        })
    }
}

impl TryFrom<SourceItem> for Source {
    type Error = StoreError;

    fn try_from(item: SourceItem) -> Result<Self, StoreError> {
        let unreadable = |_| StoreError::Unreadable("the description of a source".into());
        let provider = match item.custom {
            None => Provider::Preset(item.preset),
            Some(custom) => Provider::Custom(serde_json::from_str(&custom).map_err(unreadable)?),
        };
        let ends = item.token_ends;
        let tokens = item
            .token_hashes
            .into_iter()
            .map(|hash| {
                let expires_at = ends.get(&hash).copied().map(timestamp).transpose()?;
                Ok(TokenHash { hash, expires_at })
            })
            .collect::<Result<Vec<_>, StoreError>>()?;
        let options = item
            .options
            .map(|options| serde_json::from_str(&options))
            .transpose()
            .map_err(unreadable)?;
        Ok(Self {
            id: item.id,
            organization: item.organization,
            name: item.name,
            provider,
            options: options.unwrap_or_default(),
            enabled: item.enabled,
            salt: item.salt,
            created_at: timestamp(item.at)?,
            tokens,
            revision: item.revision,
        })
    }
}

/// What `receive` needs of a source, under the hash of an ingest token. The tenant's attribute has another name than in [`SourceItem`],
/// so that doors are not in the index of an organization's sources.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DoorItem {
    v: u32,
    id: String,
    source: SourceId,
    tenant: OrganizationId,
    enabled: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    suspended: bool,
    methods: Vec<String>,
    #[serde(rename = "requiredHeaders", default, skip_serializing_if = "Vec::is_empty")]
    required: Vec<String>,
    #[serde(rename = "credentialHeaders", default, skip_serializing_if = "Vec::is_empty")]
    credentials: Vec<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    scheme: String,
    /// JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    handshake: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    verify_token_hash: Option<String>,
    salt: String,
    /// When its token ends, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires: Option<i64>,
    success_status: u16,
}

/// The key of a door.
pub(crate) fn door_key(token_hash: &str) -> String {
    format!("tok#{token_hash}")
}

impl DoorItem {
    /// The item of a door under one token, which says until when.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when its handshake cannot be written as JSON.
    pub fn new(door: &Door, token: &TokenHash) -> Result<Self, StoreError> {
        let handshake = door.handshake.as_ref().map(serde_json::to_string).transpose();
        Ok(Self {
            v: SCHEMA_VERSION,
            id: door_key(&token.hash),
            source: door.source.clone(),
            tenant: door.organization.clone(),
            enabled: door.enabled,
            suspended: door.suspended,
            methods: door.methods.clone(),
            required: door.required.clone(),
            credentials: door.credentials.clone(),
            scheme: door.scheme.clone(),
            handshake: handshake.map_err(|error| StoreError::Refused(error.to_string()))?,
            verify_token_hash: door.verify_token_hash.clone(),
            salt: door.salt.clone(),
            expires: token.expires_at.map(|at| at.as_millisecond()),
            success_status: door.success_status,
        })
    }
}

impl TryFrom<DoorItem> for Door {
    type Error = StoreError;

    fn try_from(item: DoorItem) -> Result<Self, StoreError> {
        let handshake = item
            .handshake
            .map(|handshake| serde_json::from_str(&handshake))
            .transpose();
        Ok(Self {
            source: item.source,
            organization: item.tenant,
            enabled: item.enabled,
            suspended: item.suspended,
            methods: item.methods,
            required: item.required,
            credentials: item.credentials,
            scheme: item.scheme,
            handshake: handshake.map_err(|_| StoreError::Unreadable("the handshake of a door".into()))?,
            verify_token_hash: item.verify_token_hash,
            salt: item.salt,
            expires_at: item.expires.map(timestamp).transpose()?,
            success_status: item.success_status,
        })
    }
}

/// The owner under which the whole URL lies that a source's provider calls.
pub(crate) fn called_url_key(source: &SourceId) -> String {
    format!("{source}#url")
}

/// The secrets of one owner: the only item that holds any, in a table of its own.
#[derive(Clone, Serialize, Deserialize)]
pub struct SecretsItem {
    v: u32,
    owner: String,
    secrets: Vec<StoredSecret>,
    /// The headers that a destination wants: names and values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    headers: Vec<(String, String)>,
}

#[derive(Clone, Serialize, Deserialize)]
struct StoredSecret {
    value: String,
    at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires: Option<i64>,
}

impl SecretsItem {
    /// The item of a webhook's secrets.
    #[must_use]
    pub fn of_webhook(owner: &str, secrets: &WebhookSecrets) -> Self {
        let headers = secrets.headers.iter();
        Self {
            headers: headers
                .map(|header| (header.name().to_owned(), header.expose_value().to_owned()))
                .collect(),
            ..Self::new(owner, &secrets.signing)
        }
    }

    /// Everything secret about a webhook.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`] when a time is out of range.
    pub fn into_webhook_secrets(mut self) -> Result<WebhookSecrets, StoreError> {
        let headers = std::mem::take(&mut self.headers).into_iter();
        Ok(WebhookSecrets {
            // One that may not be sent any more is left out.
            headers: headers
                .filter_map(|(name, value)| DestinationHeader::new(&name, value.into()).ok())
                .collect(),
            signing: self.into_secrets()?,
        })
    }

    /// The item of an owner's secrets.
    #[must_use]
    pub fn new(owner: &str, secrets: &[TimedSecret]) -> Self {
        Self {
            headers: Vec::new(),
            v: SCHEMA_VERSION,
            owner: owner.to_owned(),
            secrets: secrets
                .iter()
                .map(|secret| StoredSecret {
                    value: secret.value.expose_secret().to_owned(),
                    at: secret.created_at.as_millisecond(),
                    expires: secret.expires_at.map(|at| at.as_millisecond()),
                })
                .collect(),
        }
    }

    /// The secrets.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`] when a time is out of range.
    pub fn into_secrets(self) -> Result<Vec<TimedSecret>, StoreError> {
        self.secrets
            .into_iter()
            .map(|secret| {
                Ok(TimedSecret {
                    value: secret.value.into(),
                    created_at: timestamp(secret.at)?,
                    expires_at: secret.expires.map(timestamp).transpose()?,
                })
            })
            .collect()
    }
}

/// A webhook's registration.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookItem {
    v: u32,
    organization: OrganizationId,
    id: WebhookId,
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    url: String,
    filter: StoredFilter,
    format: Format,
    #[serde(default, skip_serializing_if = "Method::is_post")]
    method: Method,
    /// Requests a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rate: Option<Rate>,
    /// Seconds before each attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    schedule: Option<Vec<u32>>,
    enabled: bool,
    at: i64,
    /// How often it was changed, its secrets included; absent at first.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) revision: u64,
}

impl WebhookItem {
    /// The same item as the state after `revision` changes.
    #[must_use]
    pub fn at_revision(self, revision: u64) -> Self {
        Self { revision, ..self }
    }
}

impl From<&Webhook> for WebhookItem {
    fn from(webhook: &Webhook) -> Self {
        Self {
            v: SCHEMA_VERSION,
            organization: webhook.organization.clone(),
            id: webhook.id.clone(),
            name: webhook.name.clone(),
            description: webhook.description.clone(),
            url: webhook.url.expose().to_string(),
            filter: webhook.filter.clone(),
            format: webhook.format,
            method: webhook.method,
            rate: webhook.rate,
            schedule: webhook.schedule.clone(),
            enabled: webhook.enabled,
            at: webhook.created_at.as_millisecond(),
            revision: 0,
        }
    }
}

impl TryFrom<WebhookItem> for Webhook {
    type Error = StoreError;

    fn try_from(item: WebhookItem) -> Result<Self, StoreError> {
        // Whether http is allowed was decided at registration and is decided again when a request is sent.
        let url = DestinationUrl::parse(&item.url, HttpPolicy::AllowHttp)
            .map_err(|error| StoreError::Unreadable(error.to_string()))?;
        Ok(Self {
            id: item.id,
            organization: item.organization,
            name: item.name,
            description: item.description,
            url,
            filter: item.filter,
            format: item.format,
            method: item.method,
            rate: item.rate,
            schedule: item.schedule,
            enabled: item.enabled,
            created_at: timestamp(item.at)?,
        })
    }
}

/// That a webhook is failing, and since when; there is no such item while it is well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthItem {
    v: u32,
    organization: OrganizationId,
    id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failing_since: Option<i64>,
    /// Why and since when it is sent nothing any more, as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    disabled: Option<String>,
}

/// What the range key of a health item begins with.
pub(crate) const HEALTH_PREFIX: &str = "health#";

/// The range key of the item that is there while an organization is suspended. It sorts between the health items and [`VERSION_KEY`], so
/// that whoever reads those reads it too.
pub(crate) const SUSPENDED_KEY: &str = "suspended";

/// That an organization is suspended, beside its webhooks: nothing is sent to them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuspendedItem {
    v: u32,
    organization: OrganizationId,
    id: String,
    /// Since when, in milliseconds since 1970.
    at: i64,
}

impl SuspendedItem {
    /// The item of an organization that is suspended since then.
    #[must_use]
    pub fn new(organization: &OrganizationId, at: Timestamp) -> Self {
        Self {
            v: SCHEMA_VERSION,
            organization: organization.clone(),
            id: SUSPENDED_KEY.into(),
            at: at.as_millisecond(),
        }
    }
}

/// The range key of the item that counts a set's version. It sorts behind the health items and before the registrations.
pub(crate) const VERSION_KEY: &str = "version";

impl HealthItem {
    /// The item of a webhook's health.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when it cannot be written as JSON.
    pub fn new(organization: &OrganizationId, health: &Health) -> Result<Self, StoreError> {
        let disabled = health.disabled.as_ref().map(serde_json::to_string).transpose();
        Ok(Self {
            v: SCHEMA_VERSION,
            organization: organization.clone(),
            id: format!("{HEALTH_PREFIX}{}", health.webhook),
            failing_since: health.failing_since.map(|at| at.as_millisecond()),
            disabled: disabled.map_err(|error| StoreError::Refused(error.to_string()))?,
        })
    }
}

impl TryFrom<HealthItem> for Health {
    type Error = StoreError;

    fn try_from(item: HealthItem) -> Result<Self, StoreError> {
        let webhook = item.id.strip_prefix(HEALTH_PREFIX).and_then(|id| id.parse().ok());
        Ok(Self {
            webhook: webhook.ok_or_else(|| StoreError::Unreadable("the key of a health item".into()))?,
            failing_since: item.failing_since.map(timestamp).transpose()?,
            disabled: item
                .disabled
                .map(|disabled| serde_json::from_str::<Disabled>(&disabled))
                .transpose()
                .map_err(|_| StoreError::Unreadable("why a webhook is disabled".into()))?,
        })
    }
}

/// How often an organization's set of webhooks has changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionItem {
    v: u32,
    organization: OrganizationId,
    id: String,
    /// Grows with each change of the set.
    pub n: u64,
}
