//! Jobs, and the times that they go through.

use std::future::Future;

use jiff::Timestamp;
use payload::delivery::DeliveryStatus;
use payload::job::{Job, Position};
use payload::{EventId, JobId, OrganizationId, SourceId, WebhookId};

use super::Result;

/// What an index by time says of an event, or of a webhook's delivery of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// When the event arrived, or the delivery was first recorded.
    pub at: Timestamp,
    /// The event.
    pub event: EventId,
    /// Where the delivery stood a moment ago.
    pub status: Option<DeliveryStatus>,
    /// The event's type; `None` of a delivery.
    pub event_type: Option<String>,
    /// Where the event came in; `None` when it was published, and of a delivery.
    pub source: Option<SourceId>,
}

impl Moment {
    /// Its place in the order.
    #[must_use]
    pub fn position(&self) -> Position {
        Position {
            at: self.at,
            id: self.event.to_string(),
        }
    }
}

/// Finds events and deliveries by time, oldest first. The indexes are eventually consistent. (events: `Query` on `by-organization`;
/// deliveries: `Query` on `by-webhook`)
pub trait Timelines: Send + Sync {
    /// The events of an organization that arrived from `since` to `until` and, with `after`, stand behind that place, at most `limit`.
    fn events_between(
        &self,
        organization: &OrganizationId,
        since: Timestamp,
        until: Timestamp,
        after: Option<&Position>,
        limit: u16,
    ) -> impl Future<Output = Result<Vec<Moment>>> + Send;
    /// The deliveries to a webhook that were first recorded from `since` to `until` and, with `after`, stand behind that place, at most
    /// `limit`. Callers that act for a tenant have looked whose webhook it is.
    fn deliveries_between(
        &self,
        webhook: &WebhookId,
        since: Timestamp,
        until: Timestamp,
        after: Option<&Position>,
        limit: u16,
    ) -> impl Future<Output = Result<Vec<Moment>>> + Send;
}

/// Reads jobs. (registry: `GetItem`)
pub trait Jobs: Send + Sync {
    /// A job of this organization.
    fn job(&self, organization: &OrganizationId, id: &JobId) -> impl Future<Output = Result<Option<Job>>> + Send;
}

/// Takes orders for jobs. (registry: `Query`, transactions of `PutItem`, `UpdateItem`, `DeleteItem`)
pub trait JobDesk: Jobs {
    /// Stores a new job, and that it is to be worked on, all or nothing. `false` when its organization has `most` jobs, or more, that have
    /// not ended: however many are asked for at the same time.
    fn create_job(&self, job: &Job, most: usize) -> impl Future<Output = Result<bool>> + Send;
    /// The jobs of an organization, newest first and, with `before`, older than that one, at most `limit`.
    fn jobs_of(
        &self,
        organization: &OrganizationId,
        before: Option<&JobId>,
        limit: u16,
    ) -> impl Future<Output = Result<Vec<Job>>> + Send;
    /// Ends a job that has not ended. `false` when it has, or is not there.
    fn cancel_job(
        &self,
        organization: &OrganizationId,
        id: &JobId,
        now: Timestamp,
    ) -> impl Future<Output = Result<bool>> + Send;
    /// What arrived before this time may be forgotten by `now`.
    fn events_kept_since(&self, now: Timestamp) -> Timestamp;
}

/// A job that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningJob {
    /// Its tenant.
    pub organization: OrganizationId,
    /// The job.
    pub job: JobId,
    /// Whether it is about one event alone, and so soon done.
    pub of_one_event: bool,
}

/// The right to work on a job, for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobLease {
    /// The job.
    pub job: JobId,
    /// Who holds it: a text of its own for each invocation.
    pub owner: String,
    /// Grows each time the lease passes to somebody.
    pub fence: u64,
    /// Until when it is held.
    pub until: Timestamp,
}

/// Finds the jobs to work on, and keeps how far they are. (registry: `Query` on the jobs that have not ended, `UpdateItem` on leases,
/// transactions of `PutItem`, `UpdateItem` and `DeleteItem`)
pub trait JobQueue: Jobs {
    /// All jobs that have not ended, of all organizations, oldest first.
    fn running_jobs(&self) -> impl Future<Output = Result<Vec<RunningJob>>> + Send;
    /// Takes the lease of a job until then, when nobody holds it at `now`.
    fn take_job_lease(
        &self,
        job: &JobId,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> impl Future<Output = Result<Option<JobLease>>> + Send;
    /// Gives a lease back; nothing happens when it has passed to another.
    fn release_job_lease(&self, lease: &JobLease) -> impl Future<Output = Result<()>> + Send;
    /// Writes how far a job is, or that it has ended, under `job.fence`. `false` when it had ended already, or a later owner has written.
    fn save_job(&self, job: &Job) -> impl Future<Output = Result<bool>> + Send;
    /// Forgets that a job is to be worked on that is not there any more.
    fn forget_running_job(&self, job: &JobId) -> impl Future<Output = Result<()>> + Send;
}
