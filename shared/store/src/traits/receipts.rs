//! Receiving: requests, what became of them, and the events that they made.

use std::future::Future;

use jiff::Timestamp;
use payload::receipt::ReceiptOutcome;
use payload::source::Door;
use payload::source_health::{Again, HealthNote, SourceHealth};
use payload::{Event, EventId, OrganizationId, Receipt, ReceiptId, SourceId};

use super::Result;

/// Finds what stands behind a receiving URL. (sources: `GetItem`)
pub trait Doors: Send + Sync {
    /// What `receive` needs to know, by the hash of the ingest token.
    fn door(&self, token_hash: &str) -> impl Future<Output = Result<Option<Door>>> + Send;
}

/// Stores requests before they are acknowledged. (inbox: `PutItem`)
pub trait Inbox: Send + Sync {
    /// Stores a receipt; its stream record wakes `verify`.
    ///
    /// [`StoreError::TooLarge`](crate::StoreError::TooLarge) when the body does not fit an item after compression.
    fn put_receipt(&self, receipt: &Receipt) -> impl Future<Output = Result<()>> + Send;
}

/// Reads receipts as they arrived. (inbox: `GetItem`)
pub trait RawReceipts: Send + Sync {
    /// A receipt by its id, whatever its organization, until its time to live ends: callers that act for a tenant compare
    /// [`Receipt::organization`].
    fn receipt(&self, id: &ReceiptId) -> impl Future<Output = Result<Option<Receipt>>> + Send;
}

/// Keeps what became of receipts that made no event. (receipts: `PutItem`, `GetItem`)
pub trait Receipts: Send + Sync {
    /// Records a rejected or duplicate receipt; repeating it changes nothing.
    fn put_outcome(&self, outcome: &ReceiptOutcome) -> impl Future<Output = Result<()>> + Send;
    /// What became of a receipt, if it made no event.
    fn outcome(&self, id: &ReceiptId) -> impl Future<Output = Result<Option<ReceiptOutcome>>> + Send;
}

/// Asks for another verification of receipts. (inbox: `UpdateItem`; receipts: `Query` on `by-organization`)
pub trait Reverification: Send + Sync {
    /// Marks a receipt of this organization, so that its stream record wakes `verify` once more. `false` when it is not there.
    fn ask_again(
        &self,
        organization: &OrganizationId,
        id: &ReceiptId,
        again: &Again,
    ) -> impl Future<Output = Result<bool>> + Send;
    /// The rejected receipts of a source that arrived at `since` or later and, with `after`, behind that receipt, oldest first, at most
    /// `limit`. The index is eventually consistent.
    fn rejected_since(
        &self,
        organization: &OrganizationId,
        source: &SourceId,
        since: Timestamp,
        after: Option<&ReceiptId>,
        limit: u16,
    ) -> impl Future<Output = Result<Vec<ReceiptId>>> + Send;
}

/// What a conditional put of an event found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PutEvent {
    /// It is new: stored, and announced on the stream by the same write.
    Stored,
    /// It was stored by an earlier try of the same receipt: nothing is a duplicate here.
    OwnRetry,
    /// It was there already, from another receipt or publication.
    Duplicate,
}

/// Stores and reads events. (events: `PutItem`, `GetItem`)
pub trait Events: Send + Sync {
    /// Stores an event unless it is there: the deduplication and the storing are this one write. An event is never overwritten.
    fn put_event(&self, event: &Event) -> impl Future<Output = Result<PutEvent>> + Send;
    /// An event by its id, whatever its organization: callers that act for a tenant compare [`Event::organization`].
    fn event(&self, id: &EventId) -> impl Future<Output = Result<Option<Event>>> + Send;
}

/// Writes how sources do, one write for each batch of receipts. (receipts: `UpdateItem` on health items)
pub trait SourceHealthLog: Send + Sync {
    /// Adds what one batch showed, and tells how the source does now. A batch that is repeated is counted again.
    fn note_source_health(&self, note: &HealthNote) -> impl Future<Output = Result<SourceHealth>> + Send;
}

/// Reads how sources do. (receipts: `GetItem`)
pub trait SourceHealths: Send + Sync {
    /// How a source does; the default when nothing was noted yet. Callers that act for a tenant compare the organization of the source.
    fn source_health(&self, id: &SourceId) -> impl Future<Output = Result<SourceHealth>> + Send;
}
