//! Delivering: to which webhooks, with what outcome, and when again.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use jiff::Timestamp;
use payload::delivery::Delivery;
use payload::event::BrokenEvent;
use payload::filter::Matcher;
use payload::webhook::{Disabled, Health, Webhook};
use payload::{Event, EventId, OrganizationId, WebhookId, own};

use super::Result;

/// The webhooks of one organization as one consistent reading.
#[derive(Debug, Clone, Default)]
pub struct WebhookSet {
    /// All of them, disabled ones too.
    pub webhooks: Arc<Vec<Webhook>>,
    /// How those do of which there is something to say: who fails leaves the fast lane, who is disabled gets nothing.
    pub health: HashMap<WebhookId, Health>,
    /// Whether the organization is suspended: nothing is sent to any of them, and nothing is lost meanwhile.
    pub suspended: bool,
}

impl WebhookSet {
    /// Whether a webhook is sent anything: its team wants it, and Hookline has not disabled it.
    #[must_use]
    pub fn is_live(&self, webhook: &Webhook) -> bool {
        let health = self.health.get(&webhook.id);
        webhook.enabled && health.is_none_or(|health| health.disabled.is_none())
    }

    /// The webhooks that are to get an event, in their order, by the matcher that was made of them.
    ///
    /// # Errors
    /// When the stored parts of the event do not fit together.
    pub fn wanting(&self, matcher: &Matcher, event: &Event) -> std::result::Result<Vec<&Webhook>, BrokenEvent> {
        let positions = matcher.matching(event)?.into_iter();
        Ok(positions
            .filter_map(|position| self.webhooks.get(position))
            .filter(|webhook| self.is_live(webhook) && !own::is_about(event, &webhook.id))
            .collect())
    }

    /// Since when a webhook has been failing, as far as it was noted.
    #[must_use]
    pub fn failing_since(&self, webhook: &WebhookId) -> Option<Timestamp> {
        self.health.get(webhook).and_then(|health| health.failing_since)
    }
}

/// Reads an organization's webhooks, cached by the set's version. (webhooks: `Query`)
pub trait WebhookSets: Send + Sync {
    /// The set as it is now: one small consistent read, and the registrations only when their version changed.
    fn webhook_set(&self, organization: &OrganizationId) -> impl Future<Output = Result<WebhookSet>> + Send;
}

/// Writes how webhooks do. Each tells whether that is news; then the event that tells it is stored by the same write, so that it is told
/// once, and not lost either. (webhooks: `UpdateItem` on health items; events: `PutItem`)
pub trait HealthLog: Send + Sync {
    /// Notes that a webhook has been failing since then; keeps an earlier time that is there already.
    fn set_failing(
        &self,
        organization: &OrganizationId,
        webhook: &WebhookId,
        since: Timestamp,
        tell: Option<&Event>,
    ) -> impl Future<Output = Result<bool>> + Send;
    /// Notes that it is well again.
    fn clear_failing(
        &self,
        organization: &OrganizationId,
        webhook: &WebhookId,
        tell: Option<&Event>,
    ) -> impl Future<Output = Result<bool>> + Send;
    /// Notes that it is sent nothing any more; keeps an earlier reason. With `failing_since` only while it has been failing since then:
    /// a success meanwhile counts.
    fn disable(
        &self,
        organization: &OrganizationId,
        webhook: &WebhookId,
        disabled: &Disabled,
        failing_since: Option<Timestamp>,
        tell: &Event,
    ) -> impl Future<Output = Result<bool>> + Send;
}

/// Records deliveries. The event that tells of an outcome is stored by the same write. (deliveries: `Query`, `GetItem`, `PutItem`; events:
/// `PutItem`)
pub trait Deliveries: Send + Sync {
    /// All deliveries of an event, consistently read: what is recorded is not sent again.
    fn deliveries_of(&self, event: &EventId) -> impl Future<Output = Result<Vec<Delivery>>> + Send;
    /// One delivery, consistently read.
    fn delivery(&self, event: &EventId, webhook: &WebhookId) -> impl Future<Output = Result<Option<Delivery>>> + Send;
    /// Records a delivery for the first time. `false` when it is recorded already: then that record stands.
    fn create_delivery(&self, delivery: &Delivery, tell: Option<&Event>) -> impl Future<Output = Result<bool>> + Send;
    /// Writes the outcome of a further attempt under `delivery.fence`. `false` when a later owner wrote meanwhile, or it is no longer due.
    fn update_delivery(&self, delivery: &Delivery, tell: Option<&Event>) -> impl Future<Output = Result<bool>> + Send;
}

/// Asks for deliveries that were made, or given up, before. (deliveries: `PutItem`)
pub trait Redelivery: Send + Sync {
    /// Puts a delivery in the place of the one that was read. `false` when that has changed meanwhile: an outcome was written, or somebody
    /// else asked for it.
    fn replace_delivery(&self, before: &Delivery, after: &Delivery) -> impl Future<Output = Result<bool>> + Send;
}

/// The right to send what is due in one bucket, for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The bucket.
    pub bucket: u8,
    /// Who holds it: a text of its own for each invocation.
    pub owner: String,
    /// Grows each time the lease passes to somebody.
    pub fence: u64,
    /// Until when it is held.
    pub until: Timestamp,
}

/// What the index says of a delivery that is due.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Due {
    /// When its next attempt is due.
    pub at: Timestamp,
    /// The event.
    pub event: EventId,
    /// The webhook.
    pub webhook: WebhookId,
}

/// Finds what is due, and shares the buckets between overlapping ticks. (deliveries: `Query` and `Scan` on `due`; registry: `UpdateItem` on
/// leases)
pub trait DueQueue: Send + Sync {
    /// Whether any delivery waits for another attempt, now or later, in any bucket: one read, whatever the number of buckets. It may say yes
    /// where there is none, and never no where the buckets' own reading would find one.
    fn is_any_waiting(&self) -> impl Future<Output = Result<bool>> + Send;
    /// The deliveries of a bucket whose next attempt is from `from` to `until`, oldest first and, with `after`, behind that one, at most
    /// `limit`. The index is eventually consistent: read the delivery itself before acting on it.
    fn due(
        &self,
        bucket: u8,
        from: Timestamp,
        until: Timestamp,
        after: Option<&Due>,
        limit: u16,
    ) -> impl Future<Output = Result<Vec<Due>>> + Send;
    /// Takes the lease of a bucket until then, when nobody holds it at `now`.
    fn take_lease(
        &self,
        bucket: u8,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> impl Future<Output = Result<Option<Lease>>> + Send;
    /// Prolongs a lease under the same fence. `None` when it has passed to another.
    fn renew_lease(&self, lease: &Lease, until: Timestamp) -> impl Future<Output = Result<Option<Lease>>> + Send;
    /// Gives a lease back; nothing happens when it has passed to another.
    fn release_lease(&self, lease: &Lease) -> impl Future<Output = Result<()>> + Send;
}
