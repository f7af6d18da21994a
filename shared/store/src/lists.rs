//! Lists by time, page by page.
//!
//! The indexes by time are spread over shards, and so a place in a list is a place in each of them. It names no tenant: the shards do, and
//! these follow from whose list is read.

use std::future::Future;

use jiff::Timestamp;
use payload::delivery::{Delivery, DeliveryStatus};
use payload::filter::TypePattern;
use payload::receipt::ReceiptOutcome;
use payload::{EventId, OrganizationId, ReceiptId, SourceId, WebhookId};
use serde::{Deserialize, Serialize};

use crate::StoreError;
use crate::item::TIME_SHARDS;

type Result<T> = std::result::Result<T, StoreError>;

/// The most entries of an index that one page looks at. A page may so end before it is full: it says where to go on.
pub const MAX_EXAMINED: usize = 1000;

/// In which order of time a list comes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// Oldest first.
    Ascending,
    /// Newest first.
    #[default]
    Descending,
}

/// A span of time, to the millisecond. Without an end it is open there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    /// The earliest time in it.
    pub since: Option<Timestamp>,
    /// The earliest time behind it.
    pub until: Option<Timestamp>,
}

impl Span {
    /// Whether a time lies in it.
    #[must_use]
    pub fn contains(&self, at: Timestamp) -> bool {
        self.since.is_none_or(|since| at >= since) && self.until.is_none_or(|until| at < until)
    }
}

/// How a list is walked through, one page of it.
#[derive(Debug)]
pub struct Walk<'a, K> {
    /// What of it.
    pub span: Span,
    /// In which order.
    pub order: Order,
    /// Where the page before ended.
    pub after: Option<&'a Place<K>>,
    /// The most rows of the page.
    pub limit: usize,
}

/// A place in a list: by shard the last entry that was looked at, where there is one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Place<K>(pub Vec<Option<K>>);

impl Place<EventKey> {
    /// The place in front of the first row of the list of all events of an organization, newest first: what arrives later is not behind it.
    #[must_use]
    pub fn in_front_of(row: &EventRow) -> Self {
        let first = EventKey(row.received_at.as_millisecond(), row.id.clone());
        Self(vec![Some(first.in_front()); usize::from(TIME_SHARDS)])
    }

    /// The place behind this row, in the list of all events of an organization, where `start` is the place behind the row before it.
    #[must_use]
    pub fn behind(start: Option<&Self>, row: &EventRow) -> Self {
        let mut shards = start.map(|start| start.0.clone()).unwrap_or_default();
        shards.resize(usize::from(TIME_SHARDS), None);
        let shard = usize::from(payload::id::bucket_of(row.id.as_str(), TIME_SHARDS));
        if let Some(place) = shards.get_mut(shard) {
            *place = Some(EventKey(row.received_at.as_millisecond(), row.id.clone()));
        }
        Self(shards)
    }
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T, K> {
    /// The rows.
    pub rows: Vec<T>,
    /// Where the next page begins; `None` when there is nothing more.
    pub next: Option<Place<K>>,
}

/// Where an event stands in lists.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EventKey(
    /// When it reached us, in milliseconds since 1970.
    pub i64,
    /// The event.
    pub EventId,
);

impl EventKey {
    /// A place in front of this entry, newest first. Of those of one millisecond the order is the engine's: this is the next one.
    pub(crate) fn in_front(&self) -> Self {
        Self(self.0.saturating_add(1), self.1.clone())
    }
}

/// Where a receipt's outcome stands in lists: its id begins with its time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReceiptKey(
    /// The receipt.
    pub ReceiptId,
);

/// Where a delivery stands in lists.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DeliveryKey(
    /// When it was first recorded, in milliseconds since 1970.
    pub i64,
    /// The event.
    pub EventId,
    /// The webhook.
    pub WebhookId,
);

/// An event as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    /// The event.
    pub id: EventId,
    /// Its type.
    pub event_type: String,
    /// When it happened, as its provider says.
    pub timestamp: Timestamp,
    /// When it reached us.
    pub received_at: Timestamp,
    /// Where it came in; `None` when it was published.
    pub source: Option<SourceId>,
    /// The receipt it was made of; `None` when it was published.
    pub receipt: Option<ReceiptId>,
}

/// Which events a list shows: those of which everything holds that is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventsWanted {
    /// Of these types.
    pub event_type: Option<TypePattern>,
    /// From this source.
    pub source: Option<SourceId>,
    /// With this id of their provider's.
    pub provider_event_id: Option<String>,
    /// Made of this receipt.
    pub receipt: Option<ReceiptId>,
}

impl EventsWanted {
    /// Whether what the index says of an event fits. The provider's id is not among that.
    #[must_use]
    pub fn takes(&self, row: &EventRow) -> bool {
        let is_of_type = |pattern: &TypePattern| pattern.matches(&row.event_type);
        self.event_type.as_ref().is_none_or(is_of_type)
            && self
                .source
                .as_ref()
                .is_none_or(|source| row.source.as_ref() == Some(source))
            && (self.receipt.as_ref()).is_none_or(|receipt| row.receipt.as_ref() == Some(receipt))
    }
}

/// Which outcomes of receipts a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutcomesWanted {
    /// From this source.
    pub source: Option<SourceId>,
    /// With this [status](payload::receipt::ReceiptStatus::name).
    pub status: Option<&'static str>,
}

/// Lists events. (events: `Query` on `by-organization` and `by-provider-id`)
pub trait EventLists: Send + Sync {
    /// The events of an organization. The index is eventually consistent.
    fn events_page(
        &self,
        organization: &OrganizationId,
        wanted: &EventsWanted,
        walk: Walk<'_, EventKey>,
    ) -> impl Future<Output = Result<Page<EventRow, EventKey>>> + Send;
}

/// Lists what became of receipts that made no event, or not at first. (receipts: `Query` on `by-organization`, `BatchGetItem`)
pub trait OutcomeLists: Send + Sync {
    /// The outcomes of an organization's receipts, by the time of the receipts. The index is eventually consistent.
    fn outcomes_page(
        &self,
        organization: &OrganizationId,
        wanted: &OutcomesWanted,
        walk: Walk<'_, ReceiptKey>,
    ) -> impl Future<Output = Result<Page<ReceiptOutcome, ReceiptKey>>> + Send;
}

/// How many deliveries of a webhook there are, by their status.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliveryCounts {
    /// Waiting for their next attempt.
    pub due: u64,
    /// Taken by the destination.
    pub delivered: u64,
    /// Given up.
    pub exhausted: u64,
    /// Ended because the webhook was deleted or disabled.
    pub cancelled: u64,
    /// When the oldest of them was first recorded, where there are more that were not counted.
    pub counted_since: Option<Timestamp>,
}

/// Lists deliveries. (deliveries: `Query`, also on `by-webhook` and `unsettled`, `BatchGetItem`)
pub trait DeliveryLists: Send + Sync {
    /// The deliveries to a webhook, by the time that they were first recorded. The index is eventually consistent.
    fn deliveries_to(
        &self,
        organization: &OrganizationId,
        webhook: &WebhookId,
        status: Option<DeliveryStatus>,
        walk: Walk<'_, DeliveryKey>,
    ) -> impl Future<Output = Result<Page<Delivery, DeliveryKey>>> + Send;
    /// The deliveries of an organization that are due, or exhausted. None has another status in this index, which is eventually
    /// consistent.
    fn unsettled(
        &self,
        organization: &OrganizationId,
        status: DeliveryStatus,
        walk: Walk<'_, DeliveryKey>,
    ) -> impl Future<Output = Result<Page<Delivery, DeliveryKey>>> + Send;
    /// The deliveries of an event by the ids of their webhooks, behind `after` where it is given, at most `limit`.
    fn deliveries_of_page(
        &self,
        event: &EventId,
        after: Option<&WebhookId>,
        order: Order,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Delivery>>> + Send;
    /// How many deliveries a webhook has in a span of time: the newest `most` of them are counted.
    fn count_deliveries(
        &self,
        webhook: &WebhookId,
        span: Span,
        most: usize,
    ) -> impl Future<Output = Result<DeliveryCounts>> + Send;
}

/// Removes what a destination answered. (deliveries: `GetItem`, `UpdateItem` on `attempts`)
pub trait Answers: Send + Sync {
    /// Removes the kept answers from a delivery of this organization; nothing else of it changes. `false` when it is not there;
    /// [`StoreError::Conflict`] when there was another attempt meanwhile.
    fn remove_answers(
        &self,
        organization: &OrganizationId,
        event: &EventId,
        webhook: &WebhookId,
    ) -> impl Future<Output = Result<bool>> + Send;
}
