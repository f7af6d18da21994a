//! What the operator can ask for.

use jiff::Timestamp;
use payload::organization::Quota;
use payload::{EventId, OrganizationId};
use serde::Deserialize;

/// What the operator asks for. Unknown actions and fields are errors: a misspelt field must not be a different command.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(
    tag = "action",
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub enum Command {
    /// A new tenant with its first admin key, which is shown only in this answer.
    CreateOrganization {
        /// Its name for people, at most [`payload::webhook::MAX_NAME_CHARS`] characters.
        name: String,
    },
    /// One more admin key, for when the last one is lost. It is shown only in this answer.
    CreateAdminKey {
        /// The tenant.
        organization: OrganizationId,
        /// The key's name for people; `admin` when it has none.
        #[serde(default)]
        name: Option<String>,
    },
    /// All tenants, oldest first.
    ListOrganizations {
        /// How many a page has at most: 1 to 100, 50 where it is absent.
        #[serde(default)]
        limit: Option<u16>,
        /// `next` of the page before.
        #[serde(default)]
        next: Option<String>,
    },
    /// A tenant, the ids of its keys, and how much it may register.
    GetOrganization {
        /// The tenant.
        organization: OrganizationId,
    },
    /// Takes nothing in for a tenant any more and sends nothing, until it is resumed. What it has is kept.
    SuspendOrganization {
        /// The tenant.
        organization: OrganizationId,
        /// Why, for the audit trail.
        reason: String,
    },
    /// Undoes a suspension.
    ResumeOrganization {
        /// The tenant.
        organization: OrganizationId,
        /// Why, for the audit trail.
        #[serde(default)]
        reason: Option<String>,
    },
    /// Says how much a tenant may register. What is not named is as for all.
    SetQuota {
        /// The tenant.
        organization: OrganizationId,
        /// The limits that are its own.
        quota: Quota,
    },
    /// Counts what a tenant has, and had within a span of time.
    Usage {
        /// The tenant.
        organization: OrganizationId,
        /// The span's beginning; a day ago where it is absent.
        #[serde(default)]
        since: Option<Timestamp>,
        /// What it ends before; now where it is absent.
        #[serde(default)]
        until: Option<Timestamp>,
    },
    /// Deletes a tenant and everything that it has.
    DeleteOrganization(Deletion),
    /// Hands receipts to verification again of which nothing became: what the inbox's stream lost.
    RecoverReceipts(Recovery),
    /// Makes the deliveries that are missing of events: what the events' stream lost.
    RecoverEvents(Recovery),
    /// Does both for the stream records that could not be handled, and deletes those that are done.
    RedriveFailedRecords {
        /// `next` of the answer before.
        #[serde(default)]
        next: Option<String>,
    },
    /// Deletes an event, its deliveries and its receipts.
    EraseEvent {
        /// The tenant.
        organization: OrganizationId,
        /// The event.
        event: EventId,
        /// `next` of the answer before.
        #[serde(default)]
        next: Option<String>,
    },
    /// Deletes all events of something that events happened to, their deliveries and their receipts.
    EraseEntity(EntityErasure),
}

/// A span of time whose streams were lost.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Recovery {
    /// From when on.
    pub since: Timestamp,
    /// What it ends before; now where it is absent.
    #[serde(default)]
    pub until: Option<Timestamp>,
    /// Receipts only: also those that became an event already. It is needed only where a source's receipts become several events each.
    #[serde(default)]
    pub include_handled: bool,
    /// `next` of the answer before.
    #[serde(default)]
    pub next: Option<String>,
}

/// A tenant that is to be deleted.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Deletion {
    /// The tenant.
    pub organization: OrganizationId,
    /// Its id once more, where it is not suspended.
    #[serde(default)]
    pub confirm: Option<OrganizationId>,
    /// Whether its audit trail goes too, before its time.
    #[serde(default)]
    pub erase_audit: bool,
    /// `next` of the answer before.
    #[serde(default)]
    pub next: Option<String>,
}

/// Something that events happened to, and that nothing may tell of any more.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EntityErasure {
    /// The tenant.
    pub organization: OrganizationId,
    /// Its kind, as events name it; any where it is absent.
    #[serde(default)]
    pub entity_type: Option<String>,
    /// Its id, as events name it.
    pub entity_id: String,
    /// `next` of the answer before.
    #[serde(default)]
    pub next: Option<String>,
}
