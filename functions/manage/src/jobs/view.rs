//! A job as the API shows it.

use jiff::Timestamp;
use payload::job::{Job, JobFailure, JobKind, JobStatus};
use payload::{EventId, JobId, WebhookId};
use serde::Serialize;

/// Work in the background, with its progress.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Job)]
pub(crate) struct JobView<'a> {
    /// Its id.
    #[schema(value_type = JobId)]
    id: &'a JobId,
    /// What it does.
    #[serde(rename = "type")]
    kind: JobType,
    /// The event that is replayed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<EventId>)]
    event: Option<&'a EventId>,
    /// The webhook that it is for; absent where an event is replayed to all that it has deliveries for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<WebhookId>)]
    webhook: Option<&'a WebhookId>,
    /// The beginning of the span of time that it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    /// The end of that span.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    /// How many deliveries a minute it asks for at most.
    rate: u32,
    /// Whether the deliveries carry a `webhook-id` of their own.
    new_message_id: bool,
    /// Where it stands.
    status: JobStatus,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<JobFailure>,
    /// What it has done so far.
    progress: ProgressView,
    /// When it was asked for.
    created_at: Timestamp,
    /// When it was last worked on.
    updated_at: Timestamp,
    /// When it ended; `null` while it has not.
    #[schema(required)]
    ended_at: Option<Timestamp>,
}

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum JobType {
    /// Delivers one event again.
    ReplayEvent,
    /// Makes the exhausted deliveries of a webhook again.
    ReplayFailed,
    /// Makes the deliveries that a webhook missed.
    Recover,
}

/// What a job has done so far.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = JobProgress)]
struct ProgressView {
    /// What it looked at: events of a recovery, deliveries of a replay.
    examined: u64,
    /// Deliveries that it asked for. What becomes of them is shown with their events.
    requested: u64,
    /// What it left as it was.
    skipped: u64,
}

impl<'a> JobView<'a> {
    pub(crate) fn of(job: &'a Job) -> Self {
        let (kind, event, webhook, span) = match &job.kind {
            JobKind::ReplayEvent { event, webhook } => (JobType::ReplayEvent, Some(event), webhook.as_ref(), None),
            JobKind::ReplayFailed { webhook, since, until } => {
                (JobType::ReplayFailed, None, Some(webhook), Some((*since, *until)))
            }
            JobKind::Recover { webhook, since, until } => {
                (JobType::Recover, None, Some(webhook), Some((*since, *until)))
            }
        };
        Self {
            id: &job.id,
            kind,
            event,
            webhook,
            since: span.map(|(since, _)| since),
            until: span.map(|(_, until)| until),
            rate: job.rate,
            new_message_id: job.new_message_id,
            status: job.status,
            failure: job.failure,
            progress: ProgressView {
                examined: job.progress.examined,
                requested: job.progress.requested,
                skipped: job.progress.skipped,
            },
            created_at: job.created_at,
            updated_at: job.updated_at,
            ended_at: job.ended_at,
        }
    }
}
