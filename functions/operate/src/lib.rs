//! For the operator, by direct invocation only: organizations and their first (or a lost) admin key, recovery of a lost stream, erasure.
//!
//! ```json
//! {"action": "createOrganization", "name": "Example Ltd"}
//! {"action": "suspendOrganization", "organization": "org_…", "reason": "unpaid"}
//! {"action": "recoverEvents", "since": "2026-11-22T08:00:00Z"}
//! {"action": "eraseEntity", "organization": "org_…", "entityType": "person", "entityId": "4711"}
//! ```
//!
//! `docs/OPERATIONS.md` lists every command with its answer. Each is idempotent: repeated, or broken off in the middle, the same command
//! again completes it. What may take longer than an invocation answers `{"done": false, "next": "…"}`, and the same command with `next`
//! goes on from there.

mod audit;
mod command;
mod erase;
mod error;
pub mod failed;
mod organizations;
mod progress;
mod recovery;
mod redrive;
mod suspension;
mod usage;

use std::time::Duration;

use delivery::Deadline;
use futures::future::LocalBoxFuture;
use payload::{Clock, OrganizationId};
use serde_json::Value;
use store::{
    AuditTrail, Deliveries, Erasure, Events, KeyRegistry, Organizations, Receipts, Reverification, Scans, Suspensions,
    UsageCounts, WebhookSets, Webhooks,
};

pub use command::Command;
pub use error::OperateError;
pub use failed::FailedRecords;

/// What this step may do with the tables.
pub trait Store:
    Organizations
    + KeyRegistry
    + AuditTrail
    + Suspensions
    + UsageCounts
    + Scans
    + Erasure
    + Receipts
    + Reverification
    + Events
    + Deliveries
    + WebhookSets
    + Webhooks
{
}

impl<T> Store for T where
    T: Organizations
        + KeyRegistry
        + AuditTrail
        + Suspensions
        + UsageCounts
        + Scans
        + Erasure
        + Receipts
        + Reverification
        + Events
        + Deliveries
        + WebhookSets
        + Webhooks
{
}

/// What can be set, with the values that a deployed function has.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How many items are read for one step of a long command.
    pub page: u16,
    /// Into how many segments a table is parted that is read as a whole; they are read side by side.
    pub segments: u8,
    /// How much time of the invocation must be left for another step to begin.
    pub margin: Duration,
    /// How many calls of the store are under way at a time.
    pub concurrency: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            page: 500,
            segments: 4,
            margin: Duration::from_secs(60),
            concurrency: 16,
        }
    }
}

/// Carries out commands.
#[derive(Debug)]
pub struct Operate<S, F, C> {
    store: S,
    failed: F,
    clock: C,
    settings: Settings,
}

impl<S: Store, F: FailedRecords, C: Clock> Operate<S, F, C> {
    /// A function that works on `store`, and on the stream records that could not be handled, at the time of `clock`.
    pub fn new(store: S, failed: F, clock: C) -> Self {
        Self {
            store,
            failed,
            clock,
            settings: Settings::default(),
        }
    }

    /// The same function, set up otherwise.
    #[must_use]
    pub fn with_settings(self, settings: Settings) -> Self {
        Self { settings, ..self }
    }

    /// Carries out one command, given as the JSON of a [`Command`]. What takes longer than there is time before `deadline` answers how to
    /// go on.
    ///
    /// # Errors
    /// Why it was not carried out.
    pub async fn handle(&self, command: Value, deadline: Deadline) -> Result<Value, OperateError> {
        let done = match serde_json::from_value(command) {
            Ok(command) => self.carry_out(command, deadline).await,
            Err(error) => Err(OperateError::InvalidCommand(error.to_string())),
        };
        if let Err(error) = &done {
            tracing::error!(
                outcome = "failed",
                error_type = error.error_type(),
                error = error.cause(),
                "failed"
            );
        }
        done
    }

    /// The future of a command. Boxed: each of them is deep, and the whole of them side by side deeper than the compiler follows.
    fn carry_out(&self, command: Command, deadline: Deadline) -> LocalBoxFuture<'_, Result<Value, OperateError>> {
        match command {
            Command::CreateOrganization { name } => Box::pin(async move { self.create_organization(&name).await }),
            Command::CreateAdminKey { organization, name } => {
                Box::pin(async move { self.create_admin_key(organization, name.as_deref()).await })
            }
            Command::ListOrganizations { limit, next } => Box::pin(self.list_organizations(limit, next)),
            Command::GetOrganization { organization } => Box::pin(self.get_organization(organization)),
            Command::SuspendOrganization { organization, reason } => {
                Box::pin(async move { self.suspend(organization, &reason).await })
            }
            Command::ResumeOrganization { organization, reason } => {
                Box::pin(async move { self.resume(organization, reason.as_deref()).await })
            }
            Command::SetQuota { organization, quota } => Box::pin(self.set_quota(organization, quota)),
            Command::Usage {
                organization,
                since,
                until,
            } => Box::pin(self.usage(organization, since, until, deadline)),
            Command::DeleteOrganization(deletion) => Box::pin(self.delete_organization(deletion, deadline)),
            Command::RecoverReceipts(recovery) => Box::pin(self.recover_receipts(recovery, deadline)),
            Command::RecoverEvents(recovery) => Box::pin(self.recover_events(recovery, deadline)),
            Command::RedriveFailedRecords { next } => Box::pin(self.redrive(next, deadline)),
            Command::EraseEvent {
                organization,
                event,
                next,
            } => Box::pin(self.erase_event(organization, event, next, deadline)),
            Command::EraseEntity(erasure) => Box::pin(self.erase_entity(erasure, deadline)),
        }
    }

    /// An organization that must be there.
    async fn organization(&self, id: OrganizationId) -> Result<payload::organization::Organization, OperateError> {
        self.store
            .organization(&id)
            .await?
            .ok_or(OperateError::OrganizationNotFound(id))
    }

    /// Whether there is time for another step.
    fn may_go_on(&self, deadline: &Deadline) -> bool {
        deadline.allows(self.settings.margin)
    }
}
