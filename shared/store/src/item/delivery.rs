//! Items of the deliveries table.

use payload::delivery::{Attempt, Delivery, DeliveryStatus, Replay};
use payload::{EventId, JobId, MessageId, OrganizationId, WebhookId};
use serde::{Deserialize, Serialize};

use super::{SCHEMA_VERSION, expiry, time_shard, timestamp};
use crate::StoreError;

/// One event for one webhook, with its attempts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryItem {
    v: u32,
    event: EventId,
    webhook: WebhookId,
    organization: OrganizationId,
    status: DeliveryStatus,
    /// When it was first recorded, in milliseconds since 1970.
    at: i64,
    ttl: i64,
    webhook_shard: String,
    /// Only while it is due: without it the item is not in the index `due`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bucket: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due: Option<i64>,
    /// The organization and the shard, only while it is due or when it is exhausted: without it the item is not in the index `unsettled`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unsettled: Option<String>,
    #[serde(default)]
    fence: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    attempts: Vec<Attempt>,
    // What replays made of it.
    #[serde(default, skip_serializing_if = "is_zero")]
    earlier: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    dropped: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    job: Option<JobId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message_id: Option<MessageId>,
    /// Whether a job recorded it first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    asked: bool,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// The hash key of a bucket in the index `due`.
pub(crate) fn bucket_key(bucket: u8) -> String {
    format!("bucket#{bucket:02}")
}

impl DeliveryItem {
    /// The item of a delivery that expires `days` after it was first recorded, attempted last, or is to be tried next: whatever is the
    /// latest, so that none goes while it is due, or when it has just been replayed.
    #[must_use]
    pub fn new(delivery: &Delivery, days: u16) -> Self {
        let tried = delivery.attempts.last().map(|attempt| attempt.at);
        let lives = delivery
            .created_at
            .max(tried.max(delivery.next_attempt).unwrap_or(delivery.created_at));
        Self {
            v: SCHEMA_VERSION,
            event: delivery.event.clone(),
            webhook: delivery.webhook.clone(),
            organization: delivery.organization.clone(),
            status: delivery.status,
            at: delivery.created_at.as_millisecond(),
            ttl: expiry(lives, days),
            webhook_shard: time_shard(delivery.webhook.as_str(), delivery.event.as_str()),
            bucket: delivery
                .next_attempt
                .map(|_| bucket_key(Delivery::bucket(&delivery.webhook))),
            due: delivery.next_attempt.map(|at| at.as_millisecond()),
            unsettled: matches!(delivery.status, DeliveryStatus::Due | DeliveryStatus::Exhausted)
                .then(|| time_shard(delivery.organization.as_str(), delivery.event.as_str())),
            fence: delivery.fence,
            attempts: delivery.attempts.clone(),
            earlier: delivery.replay.earlier,
            dropped: delivery.replay.dropped,
            job: delivery.replay.job.clone(),
            message_id: delivery.replay.message_id.clone(),
            asked: delivery.replay.first,
        }
    }
}

impl TryFrom<DeliveryItem> for Delivery {
    type Error = StoreError;

    fn try_from(item: DeliveryItem) -> Result<Self, StoreError> {
        Ok(Self {
            event: item.event,
            webhook: item.webhook,
            organization: item.organization,
            status: item.status,
            created_at: timestamp(item.at)?,
            next_attempt: item.due.map(timestamp).transpose()?,
            attempts: item.attempts,
            replay: Replay {
                earlier: item.earlier,
                dropped: item.dropped,
                job: item.job,
                message_id: item.message_id,
                first: item.asked,
            },
            fence: item.fence,
        })
    }
}
