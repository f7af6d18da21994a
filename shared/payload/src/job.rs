//! Work in the background that a team asked for: deliveries that are to be made again, or for the first time.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::delivery::{Ask, Delivery, DeliveryStatus};
use crate::webhook::Rate;
use crate::{EventId, JobId, OrganizationId, WebhookId};

/// How many deliveries a minute a job asks for, unless another rate is wanted.
pub const DEFAULT_RATE: u32 = 600;

/// The highest rate of a job, in deliveries a minute.
pub const MAX_RATE: u32 = 6_000;

/// The most jobs of one organization that have not ended.
pub const MAX_RUNNING: usize = 10;

/// How far ahead of the time a job hands out what its rate allows: as long as the next look at it may take.
const AHEAD: Duration = Duration::from_secs(60);

/// How long what a job asked for may wait for its attempt before the job waits, too.
const PATIENCE: Duration = Duration::from_secs(60);

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
    /// A delivery that it asked for, and whose attempt it does not run far ahead of.
    pub awaited: Option<Waymark>,
    /// The delivery that it asked for last, where that is not the awaited one.
    pub newest: Option<Waymark>,
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

/// How far a job is ahead of what its webhook takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Headway {
    /// Not far: it goes on.
    Level,
    /// Not as far as it was: another delivery is awaited now.
    LookAgain,
    /// So far that it waits.
    TooFar,
}

/// A delivery that a job asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waymark {
    /// Its event.
    pub event: EventId,
    /// When it was to be attempted.
    pub at: Timestamp,
}

impl Waymark {
    /// Whether this delivery, which it stands for, waits for the attempt that the job asked for.
    fn is_ahead(&self, job: &JobId, delivery: &Delivery) -> bool {
        // Stored times are cut to the millisecond: the attempt may begin a little before its slot.
        let tried = delivery.attempts.last().map(|attempt| attempt.at.as_millisecond());
        delivery.status == DeliveryStatus::Due
            && delivery.replay.job.as_ref() == Some(job)
            && tried.is_none_or(|tried| tried < self.at.as_millisecond())
    }
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
            awaited: None,
            newest: None,
            created_at: now,
            updated_at: now,
            ended_at: None,
            fence: 0,
        }
    }

    /// Whether it is about one event alone.
    #[must_use]
    pub fn is_of_one_event(&self) -> bool {
        matches!(self.kind, JobKind::ReplayEvent { .. })
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

    /// Uses up the room that [`Job::slot`] gave, for a webhook that takes no more than `most`: what a job asks for beyond that only lies
    /// before what others are owed.
    pub fn use_slot(&mut self, slot: Timestamp, most: Option<Rate>) {
        let rate = most.map_or(self.rate, |most| self.rate.min(most.per_minute()));
        let interval = Duration::from_secs(60) / rate.max(1);
        self.next_slot = slot.checked_add(interval).unwrap_or(Timestamp::MAX);
    }

    /// Notes a delivery that it asked for.
    pub fn note(&mut self, asked: Waymark) {
        if self.awaited.is_none() {
            self.awaited = Some(asked);
        } else {
            self.newest = Some(asked);
        }
    }

    /// Looks at the awaited delivery, as it is at `now`; `None` where there is none any more. What was attempted is awaited no longer, and the
    /// newest one is in its place.
    pub fn look_back(&mut self, delivery: Option<&Delivery>, now: Timestamp) -> Headway {
        let Some(awaited) = &self.awaited else {
            return Headway::Level;
        };
        if !delivery.is_some_and(|delivery| awaited.is_ahead(&self.id, delivery)) {
            self.awaited = self.newest.take();
            return match self.awaited {
                Some(_) => Headway::LookAgain,
                None => Headway::Level,
            };
        }
        let end = awaited.at.checked_add(PATIENCE).unwrap_or(Timestamp::MAX);
        if now > end { Headway::TooFar } else { Headway::Level }
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
            job.use_slot(slot, None);
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

    #[test]
    fn a_webhook_that_takes_less_is_asked_for_less() {
        let (mut job, mut asked) = (job(600), 0);
        let most = Rate::try_from(30).ok();
        while let Some(slot) = job.slot(at(0)) {
            job.use_slot(slot, most);
            asked += 1;
        }
        assert_eq!(asked, 30);
        let mut slow = self::job(10);
        slow.use_slot(at(0), most);
        assert_eq!(slow.next_slot, at(6), "its own rate is lower");
    }

    fn asked_for(job: &Job, name: &str, second: i64) -> (Waymark, Delivery) {
        let event = EventId::compute("s", Identity::ProviderId(name), 0);
        let mark = Waymark {
            event: event.clone(),
            at: at(second),
        };
        let delivery = Delivery {
            event,
            webhook: WebhookId::generate(at(0)),
            organization: job.organization.clone(),
            status: DeliveryStatus::Due,
            created_at: at(0),
            next_attempt: Some(at(second)),
            attempts: Vec::new(),
            replay: crate::delivery::Replay {
                job: Some(job.id.clone()),
                ..Default::default()
            },
            fence: 0,
        };
        (mark, delivery)
    }

    #[test]
    fn a_job_waits_for_what_it_asked_for() {
        let mut job = job(600);
        assert_eq!(job.look_back(None, at(999)), Headway::Level, "it has asked for nothing");
        let (first, mut waiting) = asked_for(&job, "1", 10);
        let (last, newest) = asked_for(&job, "2", 50);
        job.note(first);
        job.note(asked_for(&job, "between", 30).0);
        job.note(last.clone());
        assert_eq!(job.look_back(Some(&waiting), at(70)), Headway::Level);
        assert_eq!(job.look_back(Some(&waiting), at(71)), Headway::TooFar);
        // An attempt of an earlier round is none that it asked for.
        let attempt = |second| crate::delivery::Attempt {
            at: at(second),
            duration_ms: 1,
            status: Some(500),
            error: None,
            throttled: false,
            answer: None,
        };
        waiting.record(attempt(9));
        waiting.next_attempt = Some(at(4_000));
        assert_eq!(job.look_back(Some(&waiting), at(71)), Headway::TooFar, "it was put off");
        waiting.record(attempt(10));
        assert_eq!(job.look_back(Some(&waiting), at(71)), Headway::LookAgain);
        assert_eq!(job.awaited, Some(last));
        assert_eq!(job.look_back(Some(&newest), at(111)), Headway::TooFar);
        // It has ended, or another job asks for it now, or it is gone.
        let ended = Delivery {
            status: DeliveryStatus::Cancelled,
            ..newest.clone()
        };
        let mut of_another = newest;
        of_another.replay.job = Some(JobId::generate(at(1)));
        for delivery in [Some(&ended), Some(&of_another), None] {
            let mut job = job.clone();
            assert_eq!(job.look_back(delivery, at(999)), Headway::Level);
            assert_eq!(job.awaited, None);
        }
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
