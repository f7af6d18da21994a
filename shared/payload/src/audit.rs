//! The audit trail: who changed what, and when.

use jiff::Timestamp;

use crate::organization::Role;
use crate::{AuditId, KeyId, OrganizationId};

/// One change that somebody made. It holds no secret: what was given as one is named, not shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its name, which sorts by time.
    pub id: AuditId,
    /// The tenant.
    pub organization: OrganizationId,
    /// When it was made.
    pub at: Timestamp,
    /// Who made it.
    pub actor: Actor,
    /// What was done, as `webhook.updated`.
    pub action: String,
    /// The id of what it was done to.
    pub resource: String,
    /// What it was before, as a JSON object: all of it when it was deleted, otherwise the members that changed.
    pub before: Option<String>,
    /// What it is now, as a JSON object: all of it when it was created, otherwise the members that changed.
    pub after: Option<String>,
}

/// Who made a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// Somebody with an API key, as the key was then.
    Key {
        /// Its id.
        id: KeyId,
        /// Its name.
        name: String,
        /// Its role.
        role: Role,
    },
    /// The operator of this installation, past the API.
    Operator,
}

impl AuditEntry {
    /// The longest time that an entry is kept, in days.
    pub const RETENTION_DAYS: u16 = 400;
}
