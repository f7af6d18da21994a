//! Items of the registry: organizations, API keys, leases.

use jiff::Timestamp;
use payload::organization::{ApiKey, Organization, Quota, Role, Suspension};
use payload::{KeyId, OrganizationId};
use serde::{Deserialize, Serialize};

use super::{SCHEMA_VERSION, timestamp};
use crate::{Lease, StoreError};

/// An organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrganizationItem {
    v: u32,
    pk: OrganizationId,
    sk: String,
    name: String,
    at: i64,
    /// JSON, while it is suspended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    suspension: Option<String>,
    /// JSON, where it is not that of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    quota: Option<String>,
}

/// The hash key of the list of all organizations.
pub(crate) const ORGANIZATIONS: &str = "organizations";

/// That there is an organization, for the list of all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedOrganizationItem {
    v: u32,
    pk: String,
    pub(crate) sk: OrganizationId,
}

impl ListedOrganizationItem {
    /// The entry of an organization.
    #[must_use]
    pub fn new(id: &OrganizationId) -> Self {
        Self {
            v: SCHEMA_VERSION,
            pk: ORGANIZATIONS.into(),
            sk: id.clone(),
        }
    }
}

/// The range key of an organization's own item.
pub(crate) const ORGANIZATION_KEY: &str = "organization";

/// The hash key of the entries of an organization's keys. They do not lie beside the organization itself, so that who may write these
/// cannot write that.
pub(crate) fn key_refs(organization: &OrganizationId) -> String {
    format!("keys#{organization}")
}

/// The hash key under which an API key is found.
pub(crate) fn key_lookup(hash: &str) -> String {
    format!("key#{hash}")
}

/// The range key of [`KeyItem`].
pub(crate) const KEY_ITEM: &str = "key";

/// The hash key of all leases.
pub(crate) const LEASES: &str = "lease";

impl TryFrom<&Organization> for OrganizationItem {
    type Error = StoreError;

    fn try_from(organization: &Organization) -> Result<Self, StoreError> {
        let refused = |error: serde_json::Error| StoreError::Refused(error.to_string());
        let suspension = organization.suspension.as_ref().map(serde_json::to_string).transpose();
        let is_usual = organization.quota == Quota::default();
        let quota = (!is_usual)
            .then(|| serde_json::to_string(&organization.quota))
            .transpose();
        Ok(Self {
            v: SCHEMA_VERSION,
            pk: organization.id.clone(),
            sk: ORGANIZATION_KEY.into(),
            name: organization.name.clone(),
            at: organization.created_at.as_millisecond(),
            suspension: suspension.map_err(refused)?,
            quota: quota.map_err(refused)?,
        })
    }
}

impl TryFrom<OrganizationItem> for Organization {
    type Error = StoreError;

    fn try_from(item: OrganizationItem) -> Result<Self, StoreError> {
        let unreadable = |_| StoreError::Unreadable("an organization's suspension or quota".into());
        let suspension = item.suspension.map(|json| serde_json::from_str::<Suspension>(&json));
        let quota = item.quota.map(|json| serde_json::from_str::<Quota>(&json));
        Ok(Self {
            id: item.pk,
            name: item.name,
            created_at: timestamp(item.at)?,
            suspension: suspension.transpose().map_err(unreadable)?,
            quota: quota.transpose().map_err(unreadable)?.unwrap_or_default(),
        })
    }
}

/// An API key, found by its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyItem {
    v: u32,
    pk: String,
    sk: String,
    id: KeyId,
    organization: OrganizationId,
    role: Role,
    name: String,
    at: i64,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    prefix: String,
    /// The last day of its use, as `2026-11-22`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_used: Option<String>,
    /// Only while its organization is suspended.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    suspended: bool,
}

impl KeyItem {
    /// The item of a key under its hash.
    #[must_use]
    pub fn new(key: &ApiKey, hash: &str) -> Self {
        Self {
            v: SCHEMA_VERSION,
            pk: key_lookup(hash),
            sk: KEY_ITEM.into(),
            id: key.id.clone(),
            organization: key.organization.clone(),
            role: key.role,
            name: key.name.clone(),
            at: key.created_at.as_millisecond(),
            prefix: key.prefix.clone(),
            last_used: key.last_used.map(|day| day.to_string()),
            suspended: key.suspended,
        }
    }
}

impl TryFrom<KeyItem> for ApiKey {
    type Error = StoreError;

    fn try_from(item: KeyItem) -> Result<Self, StoreError> {
        Ok(Self {
            id: item.id,
            organization: item.organization,
            role: item.role,
            name: item.name,
            created_at: timestamp(item.at)?,
            prefix: item.prefix,
            // A day that cannot be read says nothing about what the key opens.
            last_used: item.last_used.and_then(|day| day.parse().ok()),
            suspended: item.suspended,
        })
    }
}

/// That a key belongs to an organization, for lists and for revoking: it names the hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRefItem {
    v: u32,
    pk: String,
    sk: KeyId,
    pub(crate) hash: String,
}

impl KeyRefItem {
    /// The entry of a key in its organization.
    #[must_use]
    pub fn new(key: &ApiKey, hash: &str) -> Self {
        Self {
            v: SCHEMA_VERSION,
            pk: key_refs(&key.organization),
            sk: key.id.clone(),
            hash: hash.to_owned(),
        }
    }

    /// The key's id.
    #[must_use]
    pub fn id(&self) -> &KeyId {
        &self.sk
    }
}

/// Who may send what is due in one bucket, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseItem {
    v: u32,
    pk: String,
    sk: String,
    owner: String,
    fence: u64,
    /// Milliseconds since 1970.
    until: i64,
}

/// The range key of a bucket's lease.
pub(crate) fn lease_key(bucket: u8) -> String {
    format!("bucket#{bucket:02}")
}

impl LeaseItem {
    /// The lease that the item stands for.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`] when its parts are out of range.
    pub fn into_lease(self) -> Result<Lease, StoreError> {
        let bucket = self.sk.strip_prefix("bucket#").and_then(|bucket| bucket.parse().ok());
        Ok(Lease {
            bucket: bucket.ok_or_else(|| StoreError::Unreadable("the key of a lease".into()))?,
            owner: self.owner,
            fence: self.fence,
            until: timestamp(self.until)?,
        })
    }
}

/// Milliseconds since 1970, as leases are compared.
pub(crate) fn lease_time(at: Timestamp) -> i64 {
    at.as_millisecond()
}
