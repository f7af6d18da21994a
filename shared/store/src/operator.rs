//! What only the operator may do: counting, reading whole tables, deleting. One small trait per capability, as in `traits`.

use std::future::Future;

use jiff::Timestamp;
use payload::{Event, EventId, OrganizationId, ReceiptId, SourceId, WebhookId};

use crate::StoreError;

type Result<T> = std::result::Result<T, StoreError>;

/// Carries the word that an organization is suspended to where each step looks anyway. Each call is idempotent. (registry and sources:
/// `UpdateItem` of the attribute `suspended`; webhooks: `PutItem`, `DeleteItem` of the item `suspended`)
pub trait Suspensions: Send + Sync {
    /// Marks the organization's API keys, or takes the marks away; how many keys there are.
    fn mark_keys(&self, organization: &OrganizationId, suspended: bool) -> impl Future<Output = Result<u64>> + Send;
    /// Marks the organization's receiving URLs, or takes the marks away; how many there are.
    fn mark_doors(&self, organization: &OrganizationId, suspended: bool) -> impl Future<Output = Result<u64>> + Send;
    /// Says beside the organization's webhooks since when nothing is sent to them, or that it is.
    fn mark_webhooks(
        &self,
        organization: &OrganizationId,
        since: Option<Timestamp>,
    ) -> impl Future<Output = Result<()>> + Send;
}

/// A span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Its first moment.
    pub since: Timestamp,
    /// The moment that it ends before.
    pub until: Timestamp,
}

/// How much an organization has, and had within a span of time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Sources that are there.
    pub sources: u64,
    /// Webhooks that are there.
    pub webhooks: u64,
    /// API keys that are there.
    pub keys: u64,
    /// Events of the span.
    pub events: u64,
    /// Receipts of the span that made no event, or made one only later: rejected, duplicate, verified again.
    pub other_receipts: u64,
    /// Deliveries of the span to the webhooks that are there.
    pub deliveries: u64,
}

/// Counts what an organization has, from the indexes. (`Query` with `Select: COUNT` on all tables but the inbox)
pub trait UsageCounts: Send + Sync {
    /// Counts; the longer the span, the longer it takes.
    fn usage(&self, organization: &OrganizationId, span: Span) -> impl Future<Output = Result<Usage>> + Send;
}

/// A page of a list or of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<T> {
    /// What is wanted of it.
    pub items: Vec<T>,
    /// How many items were read for it.
    pub examined: u64,
    /// Where the next page begins; `None` behind the last one.
    pub next: Option<String>,
}

/// One of several parts of a table that are read side by side, and where in it a page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Its number, from 0.
    pub number: u8,
    /// How many there are.
    pub of: u8,
    /// [`Found::next`] of the page before.
    pub after: Option<String>,
}

/// What is needed of a receipt to find out what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptKey {
    /// Its id.
    pub id: ReceiptId,
    /// Its tenant.
    pub organization: OrganizationId,
    /// When it arrived.
    pub received_at: Timestamp,
}

/// Reads whole tables, page by page: no index says what is asked for, and none would be worth its price. (inbox, events: `Scan`)
pub trait Scans: Send + Sync {
    /// The receipts of a span, of one organization or of all.
    fn scan_receipts(
        &self,
        segment: &Segment,
        organization: Option<&OrganizationId>,
        span: Span,
        limit: u16,
    ) -> impl Future<Output = Result<Found<ReceiptKey>>> + Send;
    /// The events of a span. One that cannot be read is logged and left out.
    fn scan_events(
        &self,
        segment: &Segment,
        span: Span,
        limit: u16,
    ) -> impl Future<Output = Result<Found<Event>>> + Send;
    /// Whether a receipt is in the inbox still. (inbox: `GetItem`)
    fn has_receipt(&self, receipt: &ReceiptKey) -> impl Future<Output = Result<bool>> + Send;
    /// The events that a receipt was made into, as far as the index knows of them. (events: `Query` on `by-organization`)
    fn events_of_receipt(&self, receipt: &ReceiptKey) -> impl Future<Output = Result<Vec<EventId>>> + Send;
}

/// What the index says of a receipt that has an outcome of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutcomeKey {
    /// The receipt.
    pub id: ReceiptId,
    /// Whether it is a duplicate.
    pub is_duplicate: bool,
}

/// Deletes what an organization has. Whatever is deleted is its own by the item itself; each call is idempotent, and tells what it found.
/// (all tables: `Query`, `DeleteItem`)
pub trait Erasure: Send + Sync {
    /// A page of an organization's events.
    fn events_page(
        &self,
        organization: &OrganizationId,
        after: Option<&str>,
        limit: u16,
    ) -> impl Future<Output = Result<Found<EventId>>> + Send;
    /// A page of the receipts that have an outcome of their own.
    fn outcomes_page(
        &self,
        organization: &OrganizationId,
        after: Option<&str>,
        limit: u16,
    ) -> impl Future<Output = Result<Found<OutcomeKey>>> + Send;
    /// A page of a webhook's deliveries, by their events.
    fn deliveries_page(
        &self,
        webhook: &WebhookId,
        after: Option<&str>,
        limit: u16,
    ) -> impl Future<Output = Result<Found<EventId>>> + Send;
    /// Deletes an event. Its deliveries and its receipt are deleted before it, since it leads to them.
    fn delete_event(&self, organization: &OrganizationId, id: &EventId) -> impl Future<Output = Result<bool>> + Send;
    /// Deletes all deliveries of an event.
    fn delete_deliveries(
        &self,
        organization: &OrganizationId,
        event: &EventId,
    ) -> impl Future<Output = Result<u64>> + Send;
    /// Deletes one delivery.
    fn delete_delivery(
        &self,
        organization: &OrganizationId,
        event: &EventId,
        webhook: &WebhookId,
    ) -> impl Future<Output = Result<bool>> + Send;
    /// Deletes a receipt with its outcome.
    fn delete_receipt(
        &self,
        organization: &OrganizationId,
        id: &ReceiptId,
    ) -> impl Future<Output = Result<bool>> + Send;
    /// The ids of an organization's sources, by the index.
    fn source_ids(&self, organization: &OrganizationId) -> impl Future<Output = Result<Vec<SourceId>>> + Send;
    /// Deletes a source with its receiving URLs, its secrets and how it does, even where it cannot be read any more.
    fn erase_source(&self, organization: &OrganizationId, id: &SourceId) -> impl Future<Output = Result<bool>> + Send;
    /// Deletes at most `limit` of the items beside an organization's webhooks, the webhooks with their secrets among them.
    fn erase_webhooks(&self, organization: &OrganizationId, limit: u16) -> impl Future<Output = Result<u64>> + Send;
    /// Deletes at most `limit` of an organization's API keys and of what was remembered of requests that were made with them.
    fn erase_keys(&self, organization: &OrganizationId, limit: u16) -> impl Future<Output = Result<u64>> + Send;
    /// Deletes at most `limit` of an organization's jobs.
    fn erase_jobs(&self, organization: &OrganizationId, limit: u16) -> impl Future<Output = Result<u64>> + Send;
    /// Deletes at most `limit` entries of an organization's audit trail.
    fn erase_audit(&self, organization: &OrganizationId, limit: u16) -> impl Future<Output = Result<u64>> + Send;
}
