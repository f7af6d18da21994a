//! One event for one webhook, and the attempts at it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{EventId, OrganizationId, WebhookId};

/// How many buckets the due deliveries lie in. A stored contract: each delivery's bucket follows from its webhook's id.
pub const DUE_BUCKETS: u8 = 16;

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
    /// What was tried, oldest first.
    pub attempts: Vec<Attempt>,
    /// Grows with every lease of its bucket: an owner whose lease has passed to another can no longer write.
    pub fence: u64,
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
}
