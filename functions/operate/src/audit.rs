//! What the operator does, in the trail of the organization that it was done to.

use payload::audit::{Actor, AuditEntry};
use payload::{AuditId, Clock, OrganizationId};
use serde_json::Value;

use crate::Operate;

/// What a change is called in the trail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    OrganizationCreated,
    OrganizationSuspended,
    OrganizationResumed,
    OrganizationQuotaSet,
    OrganizationDeletionBegun,
    OrganizationDeleted,
    KeyCreated,
    ReceiptsRecovered,
    EventsRecovered,
    EventErased,
    EntityErased,
}

impl Action {
    /// The stable word of it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::OrganizationCreated => "organization.created",
            Self::OrganizationSuspended => "organization.suspended",
            Self::OrganizationResumed => "organization.resumed",
            Self::OrganizationQuotaSet => "organization.quota_set",
            Self::OrganizationDeletionBegun => "organization.deletion_begun",
            Self::OrganizationDeleted => "organization.deleted",
            Self::KeyCreated => "key.created",
            Self::ReceiptsRecovered => "receipts.recovered",
            Self::EventsRecovered => "events.recovered",
            Self::EventErased => "event.erased",
            Self::EntityErased => "entity.erased",
        }
    }
}

impl<S, F, C: Clock> Operate<S, F, C> {
    /// The entry of something that the operator does to `resource`.
    pub(crate) fn entry(
        &self,
        organization: &OrganizationId,
        action: Action,
        resource: impl ToString,
        before: Option<&Value>,
        after: Option<&Value>,
    ) -> AuditEntry {
        let now = self.clock.now();
        AuditEntry {
            id: AuditId::generate(now),
            organization: organization.clone(),
            at: now,
            actor: Actor::Operator,
            action: action.as_str().to_owned(),
            resource: resource.to_string(),
            before: before.map(Value::to_string),
            after: after.map(Value::to_string),
        }
    }
}
