//! Work in the background that a team asked for: deliveries that are to be made again, or for the first time.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::delivery::Ask;
use crate::{EventId, JobId, OrganizationId, WebhookId};

/// How many deliveries a minute a job asks for, unless another rate is wanted.
pub const DEFAULT_RATE: u32 = 600;

/// The highest rate of a job, in deliveries a minute.
pub const MAX_RATE: u32 = 6_000;

/// The most jobs of one organization that have not ended.
pub const MAX_RUNNING: usize = 10;

/// How far ahead of the time a job hands out what its rate allows: as long as the next look at it may take.
const AHEAD: Duration = Duration::from_secs(60);

/// Something to do for many deliveries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its name.
    pub id: JobId,
    /// The tenant.
    pub organization: OrganizationId,
    /// What is to be done.
    pub kind: JobKind,
    /// How many deliveries a minute it asks for at most.
    pub rate: u32,
    /// Whether the deliveries get a `webhook-id` of their own.
    pub new_message_id: bool,
    /// Where it stands.
    pub status: JobStatus,
    /// Why it failed; set when, and only when, it did.
    pub failure: Option<JobFailure>,
    /// What it has done.
    pub progress: Progress,
    /// Behind which it goes on.
    pub position: Option<Position>,
    /// When its rate has room for another delivery.
    pub next_slot: Timestamp,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it was last written.
    pub updated_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Grows with every lease of the job: who has lost it can no longer write.
    pub fence: u64,
}

/// What a job does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum JobKind {
    /// Delivers one event again: to one webhook, also to one that it was never for, or to all that it has deliveries for.
    ReplayEvent {
        /// The event.
        event: EventId,
        /// The one webhook; all where it is absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        webhook: Option<WebhookId>,
    },
    /// Makes the exhausted deliveries of a webhook again.
    ReplayFailed {
        /// The webhook.
        webhook: WebhookId,
        /// Those that were first recorded at this time or later,
        since: Timestamp,
        /// and not after this one.
        until: Timestamp,
    },
    /// Makes the deliveries that a webhook missed: of events that its filter wants now, and that it has none for, or a cancelled one.
    Recover {
        /// The webhook.
        webhook: WebhookId,
        /// Events that arrived at this time or later,
        since: Timestamp,
        /// and not after this one.
        until: Timestamp,
    },
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum JobStatus {
    /// It is worked on, or waits for its turn.
    Running,
    /// All was asked for. The deliveries themselves may be under way still.
    Done,
    /// Somebody ended it. What it had asked for goes on.
    Cancelled,
    /// It could not go on.
    Failed,
}

/// Why a job could not go on, in one stable word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum JobFailure {
    /// Its webhook was deleted.
    WebhookDeleted,
    /// Its webhook was disabled.
    WebhookDisabled,
    /// The webhook's filter cannot be read.
    BadFilter,
    /// Its event is not kept any more.
    EventGone,
    /// Something in it cannot be handled; the log has more.
    Internal,
}

impl JobFailure {
    /// The word, as it is stored, shown and logged.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WebhookDeleted => "webhook_deleted",
            Self::WebhookDisabled => "webhook_disabled",
            Self::BadFilter => "bad_filter",
            Self::EventGone => "event_gone",
            Self::Internal => "internal",
        }
    }
}

/// What a job has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// What it looked at: events of a recovery, deliveries of a replay.
    pub examined: u64,
    /// Deliveries that it asked for.
    pub requested: u64,
    /// What it left as it was.
    pub skipped: u64,
}

impl Progress {
    /// Counts one that was looked at.
    pub fn count(&mut self, requested: bool) {
        self.examined = self.examined.saturating_add(1);
        let counter = if requested {
            &mut self.requested
        } else {
            &mut self.skipped
        };
        *counter = counter.saturating_add(1);
    }
}

/// A place in the order of what a job looks at: by time, and by id where several have the same time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The time: the event's arrival, or when the delivery was first recorded.
    pub at: Timestamp,
    /// The id: of the event, or of the webhook where one event is replayed.
    pub id: String,
}

impl Job {
    /// A job that begins at `now`.
    #[must_use]
    pub fn new(organization: OrganizationId, kind: JobKind, now: Timestamp) -> Self {
        Self {
            id: JobId::generate(now),
            organization,
            kind,
            rate: DEFAULT_RATE,
            new_message_id: false,
            status: JobStatus::Running,
            failure: None,
            progress: Progress::default(),
            position: None,
            next_slot: now,
            created_at: now,
            updated_at: now,
            ended_at: None,
            fence: 0,
        }
    }

    /// How it asks for a delivery that is attempted then.
    #[must_use]
    pub fn ask(&self, at: Timestamp) -> Ask<'_> {
        Ask {
            job: &self.id,
            since: self.created_at,
            at,
            new_message_id: self.new_message_id,
        }
    }

    /// When its next delivery may be attempted; `None` when its rate has room only so much later that a later look is time enough.
    #[must_use]
    pub fn slot(&self, now: Timestamp) -> Option<Timestamp> {
        let slot = self.next_slot.max(now);
        let end = now.checked_add(AHEAD).unwrap_or(Timestamp::MAX);
        (slot < end).then_some(slot)
    }

    /// Uses up the room that [`Job::slot`] gave.
    pub fn use_slot(&mut self, slot: Timestamp) {
        let interval = Duration::from_secs(60) / self.rate.max(1);
        self.next_slot = slot.checked_add(interval).unwrap_or(Timestamp::MAX);
    }

    /// Ends it.
    pub fn end(&mut self, status: JobStatus, failure: Option<JobFailure>, now: Timestamp) {
        (self.status, self.failure, self.ended_at) = (status, failure, Some(now));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;
    use crate::id::Identity;
    use proptest::prelude::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn job(rate: u32) -> Job {
        let event = EventId::compute("s", Identity::ProviderId("1"), 0);
        let kind = JobKind::ReplayEvent { event, webhook: None };
        Job {
            rate,
            ..Job::new(OrganizationId::generate(at(0)), kind, at(0))
        }
    }

    /// How many it asks for in one look at that time.
    fn look(job: &mut Job, now: Timestamp) -> u32 {
        let mut asked = 0;
        while let Some(slot) = job.slot(now) {
            job.use_slot(slot);
            asked += 1;
        }
        asked
    }

    #[test]
    fn a_job_is_written_in_words() {
        let text = serde_json::to_value(&job(1).kind).unwrap();
        assert_eq!(text["type"], "replay_event");
        assert!(text.get("webhook").is_none());
        for failure in [
            JobFailure::WebhookDeleted,
            JobFailure::WebhookDisabled,
            JobFailure::BadFilter,
            JobFailure::EventGone,
            JobFailure::Internal,
        ] {
            assert_eq!(serde_json::to_value(failure).unwrap(), failure.as_str());
        }
    }

    #[test]
    fn what_is_looked_at_is_requested_or_skipped() {
        let mut progress = Progress::default();
        for requested in [true, false, true] {
            progress.count(requested);
        }
        let expected = Progress {
            examined: 3,
            requested: 2,
            skipped: 1,
        };
        assert_eq!(progress, expected);
    }

    #[test]
    fn a_minute_has_as_many_as_the_rate_says() {
        let mut job = job(600);
        assert_eq!(look(&mut job, at(0)), 600);
        assert_eq!(look(&mut job, at(0)), 0);
        assert_eq!(look(&mut job, at(5)), 50);
        assert_eq!(look(&mut job, at(60)), 550);
        assert_eq!(look(&mut job, at(6_000)), 600, "what was not used is not saved up");
    }

    proptest! {
        #[test]
        fn the_rate_is_kept_however_often_it_is_looked_at(rate in 1..=MAX_RATE, waits in proptest::collection::vec(0_i64..90, 1..20)) {
            let (mut job, mut now, mut asked) = (job(rate), 0, 0);
            for wait in waits {
                now += wait;
                asked += u64::from(look(&mut job, at(now)));
            }
            let allowed = (u64::try_from(now).unwrap() + 60) * u64::from(rate) / 60;
            prop_assert!(asked <= allowed + 1, "{asked} of {allowed}");
        }
    }
}
