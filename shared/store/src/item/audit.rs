//! Items of the audit trail.

use payload::audit::{Actor, AuditEntry};
use payload::organization::Role;
use payload::{AuditId, KeyId, OrganizationId};
use serde::{Deserialize, Serialize};

use super::blob::Blob;
use super::{SCHEMA_VERSION, expiry, timestamp};
use crate::StoreError;

/// One entry of an organization's audit trail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditItem {
    v: u32,
    pk: String,
    sk: AuditId,
    at: i64,
    ttl: i64,
    /// Absent when it was the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<KeyId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    role: Option<Role>,
    action: String,
    resource: String,
    /// JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<Blob>,
    /// JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<Blob>,
}

/// What the hash key of an organization's trail begins with.
const PREFIX: &str = "audit#";

/// The hash key of an organization's trail.
pub(crate) fn audit_key(organization: &OrganizationId) -> String {
    format!("{PREFIX}{organization}")
}

impl From<&AuditEntry> for AuditItem {
    fn from(entry: &AuditEntry) -> Self {
        let (key, key_name, role) = match &entry.actor {
            Actor::Key { id, name, role } => (Some(id.clone()), Some(name.clone()), Some(*role)),
            Actor::Operator => (None, None, None),
        };
        let packed = |json: &Option<String>| json.as_ref().map(|json| Blob::pack(json.as_bytes()));
        Self {
            v: SCHEMA_VERSION,
            pk: audit_key(&entry.organization),
            sk: entry.id.clone(),
            at: entry.at.as_millisecond(),
            ttl: expiry(entry.at, AuditEntry::RETENTION_DAYS),
            key,
            key_name,
            role,
            action: entry.action.clone(),
            resource: entry.resource.clone(),
            before: packed(&entry.before),
            after: packed(&entry.after),
        }
    }
}

impl TryFrom<AuditItem> for AuditEntry {
    type Error = StoreError;

    fn try_from(item: AuditItem) -> Result<Self, StoreError> {
        let unreadable = || StoreError::Unreadable("an entry of the audit trail".into());
        let organization = item.pk.strip_prefix(PREFIX).and_then(|id| id.parse().ok());
        let actor = match (item.key, item.key_name, item.role) {
            (Some(id), Some(name), Some(role)) => Actor::Key { id, name, role },
            (None, _, _) => Actor::Operator,
            _ => return Err(unreadable()),
        };
        let text = |blob: Option<Blob>| {
            blob.map(|blob| String::from_utf8(blob.unpack()?).map_err(|_| unreadable()))
                .transpose()
        };
        Ok(Self {
            id: item.sk,
            organization: organization.ok_or_else(unreadable)?,
            at: timestamp(item.at)?,
            actor,
            action: item.action,
            resource: item.resource,
            before: text(item.before)?,
            after: text(item.after)?,
        })
    }
}
