//! One event for one webhook, and the attempts at it.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Event, EventId, JobId, MessageId, OrganizationId, WebhookId};

/// How many buckets the due deliveries lie in. A stored contract: each delivery's bucket follows from its webhook's id.
pub const DUE_BUCKETS: u8 = 16;

/// How many attempts of earlier rounds are kept when a delivery is replayed: the newest. A round adds no more than its schedule has.
pub const KEPT_ATTEMPTS: usize = 50;

/// What is due within this time is not brought forward: its attempt may be under way already.
const SOON: SignedDuration = SignedDuration::from_secs(60);

/// One event for one webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The event.
    pub event: EventId,
    /// The webhook.
    pub webhook: WebhookId,
    /// Their tenant.
    pub organization: OrganizationId,
    /// Where it stands.
    pub status: DeliveryStatus,
    /// When it was first recorded.
    pub created_at: Timestamp,
    /// When it is to be tried next; set when, and only when, the status is [`DeliveryStatus::Due`].
    pub next_attempt: Option<Timestamp>,
    /// What was tried, oldest first; of rounds before the present one at most [`KEPT_ATTEMPTS`].
    pub attempts: Vec<Attempt>,
    /// What replays made of it.
    pub replay: Replay,
    /// Grows with every lease of its bucket: an owner whose lease has passed to another can no longer write.
    pub fence: u64,
}

/// What replays made of a delivery; the default where it was never replayed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replay {
    /// How many of the attempts that are kept came before the present round: the schedule counts from there.
    pub earlier: u32,
    /// How many attempts came before those that are kept.
    pub dropped: u32,
    /// The job that asked last: it does not ask twice.
    pub job: Option<JobId>,
    /// The `webhook-id` of this round's attempts, where it is not the event's id.
    pub message_id: Option<MessageId>,
    /// Whether a job recorded it first: then it does not tell when the event was looked at, and no later job changes that.
    pub first: bool,
}

/// That a job wants a delivery to be made again.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// The job.
    pub job: &'a JobId,
    /// When somebody asked for the job: what succeeded after that need not be sent once more.
    pub since: Timestamp,
    /// When the delivery is to be attempted.
    pub at: Timestamp,
    /// Whether its attempts carry a `webhook-id` of their own, for receivers that drop what they know.
    pub new_message_id: bool,
}

/// What becomes of a delivery that a job asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// This, in the place of what was read.
    Again(Box<Delivery>),
    /// Nothing: this very job has asked for it before.
    Before,
    /// Nothing: it is about to be attempted anyway, perhaps at this moment, or has succeeded since the job was asked for.
    NoNeed,
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum DeliveryStatus {
    /// Waits for its next attempt.
    Due,
    /// The destination took it.
    Delivered,
    /// Every attempt of the schedule failed, or one was answered for good. It stays visible and can be replayed.
    Exhausted,
    /// The webhook was deleted or disabled before it succeeded.
    Cancelled,
}

/// One HTTP request to a webhook's URL and what came back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// When it began.
    pub at: Timestamp,
    /// How long the whole exchange took, in milliseconds.
    pub duration_ms: u32,
    /// The status of the answer, if one came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What went wrong; `None` is success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<AttemptError>,
    /// Whether the destination asked for patience and had nothing against the message, by 429 or by its platform's own word.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub throttled: bool,
    /// The start of the answer's body, kept only of the last attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
}

/// What went wrong in an attempt, in one stable word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum AttemptError {
    /// The name has no address.
    Dns,
    /// No connection.
    Connect,
    /// No secure connection: a bad certificate, an old protocol.
    Tls,
    /// The exchange took longer than it may.
    Timeout,
    /// A status that is no success.
    Status,
    /// The answer broke off or was not HTTP.
    Body,
    /// The destination is a place where no request may go.
    Blocked,
}

impl AttemptError {
    /// The word, as it is stored and logged.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Status => "status",
            Self::Body => "body",
            Self::Blocked => "blocked",
        }
    }
}

impl Delivery {
    /// A delivery that is due at once and was never attempted.
    #[must_use]
    pub fn new(event: &Event, webhook: &WebhookId, now: Timestamp) -> Self {
        Self {
            event: event.id.clone(),
            webhook: webhook.clone(),
            organization: event.organization.clone(),
            status: DeliveryStatus::Due,
            created_at: now,
            next_attempt: Some(now),
            attempts: Vec::new(),
            replay: Replay::default(),
            fence: 0,
        }
    }

    /// The bucket that a webhook's due deliveries lie in, so that one owner at a time sends to it.
    #[must_use]
    pub fn bucket(webhook: &WebhookId) -> u8 {
        crate::id::bucket_of(webhook.as_str(), DUE_BUCKETS)
    }

    /// Adds an attempt; the long answer is kept only of the last.
    pub fn record(&mut self, attempt: Attempt) {
        for earlier in &mut self.attempts {
            earlier.answer = None;
        }
        self.attempts.push(attempt);
    }

    /// The attempts of the present round: since it was first recorded, or replayed last.
    #[must_use]
    pub fn round(&self) -> &[Attempt] {
        let earlier = usize::try_from(self.replay.earlier).unwrap_or(usize::MAX);
        self.attempts.get(earlier..).unwrap_or_default()
    }

    /// How many attempts were made in all, also of those that are not kept.
    #[must_use]
    pub fn attempts_made(&self) -> usize {
        let dropped = usize::try_from(self.replay.dropped).unwrap_or(usize::MAX);
        self.attempts.len().saturating_add(dropped)
    }

    /// What its attempts carry as `webhook-id`.
    #[must_use]
    pub fn message_id(&self) -> &str {
        let own = self.replay.message_id.as_ref();
        own.map_or(self.event.as_str(), MessageId::as_str)
    }

    /// What a job that asks for it again makes of it at `now`. What has ended begins another round; what waits for a later attempt is
    /// brought forward, and goes on where its schedule stands. What comes soon anyway is left to that, but for the id that is asked for.
    #[must_use]
    pub fn ask(&self, ask: &Ask<'_>, now: Timestamp) -> Asked {
        if self.replay.job.as_ref() == Some(ask.job) {
            return Asked::Before;
        }
        let mut asked = self.clone();
        match (self.status, self.next_attempt) {
            (DeliveryStatus::Due, next) => {
                let soon = now.checked_add(SOON).unwrap_or(Timestamp::MAX).max(ask.at);
                match next {
                    Some(next) if next > soon => {}
                    // It comes when it was to come anyway, but under the id that is asked for.
                    Some(next) if next > now && ask.new_message_id => {
                        asked.mark(ask);
                        return Asked::Again(Box::new(asked));
                    }
                    _ => return Asked::NoNeed,
                }
            }
            (DeliveryStatus::Delivered, _) if self.attempts.last().is_some_and(|last| last.at > ask.since) => {
                return Asked::NoNeed;
            }
            _ => asked.begin_round(),
        }
        asked.next_attempt = Some(ask.at);
        asked.mark(ask);
        Asked::Again(Box::new(asked))
    }

    /// Notes which job asks for it, and what its attempts carry from now on.
    pub fn mark(&mut self, ask: &Ask<'_>) {
        self.replay.job = Some(ask.job.clone());
        let own = || MessageId::compute(ask.job, &self.event, &self.webhook);
        self.replay.message_id = ask.new_message_id.then(own);
    }

    fn begin_round(&mut self) {
        let surplus = self.attempts.len().saturating_sub(KEPT_ATTEMPTS);
        self.attempts.drain(..surplus);
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        self.replay.dropped = self.replay.dropped.saturating_add(number(surplus));
        self.replay.earlier = number(self.attempts.len());
        self.status = DeliveryStatus::Due;
    }
}

#[cfg(test)]
#[path = "delivery/tests.rs"]
mod tests;
