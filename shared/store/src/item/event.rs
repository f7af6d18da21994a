//! Items of the events table.

use jiff::Timestamp;
use payload::event::{Content, EventMeta};
use payload::{Event, EventId, OrganizationId, ReceiptId, TraceId};
use serde::{Deserialize, Serialize};

use super::blob::Blob;
use super::{expiry, time_shard, timestamp, version_of};
use crate::StoreError;

/// An event, self-contained: delivery reads nothing else to know what to send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventItem {
    v: u32,
    id: EventId,
    organization: OrganizationId,
    org_shard: String,
    /// When it reached us, in milliseconds since 1970.
    at: i64,
    ttl: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    receipt: Option<ReceiptId>,
    /// For the index: what lists show without reading the item.
    #[serde(rename = "type")]
    event_type: String,
    /// For the index, as `type` is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    /// For the index: when it happened, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timestamp: Option<Timestamp>,
    /// Only where it has an id of its provider's: without it the item is not in the index `by-provider-id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    provider_ref: Option<String>,
    /// JSON: the common payload without `data` and `previousAttributes`.
    meta: Blob,
    data: Content,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous: Option<Content>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    #[serde(default, skip_serializing_if = "is_zero")]
    hops: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trace: Option<String>,
    body: Blob,
}

/// How many hex digits of a hash the index `by-provider-id` has as its key: 128 bits. Each byte is paid for with the event.
const PROVIDER_REF_DIGITS: usize = 32;

/// The hash key of the index `by-provider-id`: a hash, as the provider's id may be long, and anything. The organization's id is of one length,
/// so that no two pairs run together.
pub(crate) fn provider_ref(organization: &OrganizationId, provider_event_id: &str) -> String {
    let hash = payload::id::token_hash(&format!("{organization}{provider_event_id}"));
    hash.chars().take(PROVIDER_REF_DIGITS).collect()
}

fn is_zero(number: &u8) -> bool {
    *number == 0
}

impl EventItem {
    /// The item of an event that expires `days` after it reached us.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when its metadata cannot be written as JSON.
    pub fn new(event: &Event, days: u16) -> Result<Self, StoreError> {
        let meta = serde_json::to_vec(&event.meta).map_err(|error| StoreError::Refused(error.to_string()))?;
        let (meta, body) = (Blob::pack_words(&meta), Blob::pack_words(&event.body));
        Ok(Self {
            v: version_of([&meta, &body]),
            org_shard: time_shard(event.organization.as_str(), event.id.as_str()),
            id: event.id.clone(),
            organization: event.organization.clone(),
            at: event.received_at.as_millisecond(),
            ttl: expiry(event.received_at, days),
            receipt: event.receipt.clone(),
            event_type: event.meta.event_type.clone(),
            source: event.meta.source.as_ref().map(|source| source.id.to_string()),
            timestamp: Some(event.meta.timestamp),
            provider_ref: (event.meta.provider_event_id.as_ref()).map(|id| provider_ref(&event.organization, id)),
            meta,
            data: event.data.clone(),
            previous: event.previous_attributes.clone(),
            content_type: event.content_type.clone(),
            hops: event.hops,
            trace: event.trace.map(|trace| trace.to_string()),
            body,
        })
    }
}

impl TryFrom<EventItem> for Event {
    type Error = StoreError;

    fn try_from(item: EventItem) -> Result<Self, StoreError> {
        let meta: EventMeta = serde_json::from_slice(&item.meta.unpack()?)
            .map_err(|_| StoreError::Unreadable("an event's metadata".into()))?;
        Ok(Self {
            id: item.id,
            organization: item.organization,
            receipt: item.receipt,
            received_at: timestamp(item.at)?,
            hops: item.hops,
            // What cannot be read is no reason to lose the event.
            trace: item.trace.as_deref().and_then(TraceId::parse),
            meta,
            data: item.data,
            previous_attributes: item.previous,
            content_type: item.content_type,
            body: item.body.unpack()?.into(),
        })
    }
}
