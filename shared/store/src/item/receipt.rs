//! Items of the inbox and of the receipts table.

use jiff::Timestamp;
use payload::receipt::{Header, HeaderValue, MAX_STORED_BODY_BYTES, ReceiptOutcome, ReceiptStatus};
use payload::{EventId, OrganizationId, Receipt, ReceiptId, SourceId, TraceId};
use serde::{Deserialize, Serialize};

use super::blob::Blob;
use super::{SCHEMA_VERSION, expiry, time_shard, timestamp, version_of};
use crate::StoreError;

/// How many characters of an id behind its prefix are its time (<https://github.com/ulid/spec>).
const TIME_CHARACTERS: usize = 10;

/// What the ids of the receipts begin with that arrived at this millisecond: they sort by time, and so no id of that millisecond or
/// later sorts before it.
pub(crate) fn first_receipt_id(at: Timestamp) -> String {
    let mut text = ReceiptId::first_at_text(at);
    text.truncate(ReceiptId::PREFIX.len() + TIME_CHARACTERS);
    text
}

/// A request as it arrived, in the inbox. The attribute `again` is not part of it: it is set by whoever asks for another verification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptItem {
    v: u32,
    id: ReceiptId,
    organization: OrganizationId,
    source: SourceId,
    method: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    query: String,
    /// JSON: `[[name, value], …]`, with a third member 1 where the value is a salted hash.
    headers: Blob,
    body: Blob,
    /// Milliseconds since 1970.
    at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scheme: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trace: Option<String>,
    ttl: i64,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum StoredHeader {
    Text(String, String),
    Hashed(String, String, u8),
}

impl ReceiptItem {
    /// The item of a receipt that expires `days` after it arrived.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] when the body does not fit an item after compression.
    pub fn new(receipt: &Receipt, days: u16) -> Result<Self, StoreError> {
        let body = Blob::pack_words(&receipt.body);
        if body.stored_len() > MAX_STORED_BODY_BYTES {
            return Err(StoreError::TooLarge {
                limit: MAX_STORED_BODY_BYTES,
            });
        }
        let headers: Vec<StoredHeader> = receipt
            .headers
            .iter()
            .map(|Header { name, value }| match value {
                HeaderValue::Text(text) => StoredHeader::Text(name.clone(), text.clone()),
                HeaderValue::Hashed(hash) => StoredHeader::Hashed(name.clone(), hash.clone(), 1),
            })
            .collect();
        let headers = serde_json::to_vec(&headers).map_err(|error| StoreError::Refused(error.to_string()))?;
        let headers = Blob::pack_words(&headers);
        Ok(Self {
            v: version_of([&headers, &body]),
            id: receipt.id.clone(),
            organization: receipt.organization.clone(),
            source: receipt.source.clone(),
            method: receipt.method.clone(),
            query: receipt.query.clone(),
            headers,
            body,
            at: receipt.received_at.as_millisecond(),
            scheme: receipt.scheme.clone(),
            trace: receipt.trace.map(|trace| trace.to_string()),
            ttl: expiry(receipt.received_at, days),
        })
    }
}

impl TryFrom<ReceiptItem> for Receipt {
    type Error = StoreError;

    fn try_from(item: ReceiptItem) -> Result<Self, StoreError> {
        let headers: Vec<StoredHeader> = serde_json::from_slice(&item.headers.unpack()?)
            .map_err(|_| StoreError::Unreadable("its headers".into()))?;
        Ok(Self {
            id: item.id,
            organization: item.organization,
            source: item.source,
            method: item.method,
            query: item.query,
            headers: headers
                .into_iter()
                .map(|header| match header {
                    StoredHeader::Text(name, text) => Header {
                        name,
                        value: HeaderValue::Text(text),
                    },
                    StoredHeader::Hashed(name, hash, _) => Header {
                        name,
                        value: HeaderValue::Hashed(hash),
                    },
                })
                .collect(),
            body: item.body.unpack()?.into(),
            received_at: timestamp(item.at)?,
            scheme: item.scheme,
            // What cannot be read is no reason to lose the receipt.
            trace: item.trace.as_deref().and_then(TraceId::parse),
        })
    }
}

/// What became of a receipt that made no event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OutcomeItem {
    v: u32,
    id: ReceiptId,
    organization: OrganizationId,
    org_shard: String,
    source: SourceId,
    status: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    event: Option<EventId>,
    at: i64,
    ttl: i64,
}

impl OutcomeItem {
    /// The item of an outcome that expires together with its receipt.
    #[must_use]
    pub fn new(outcome: &ReceiptOutcome, days: u16) -> Self {
        let (reason, detail, hint, event) = match outcome.status.clone() {
            ReceiptStatus::Rejected { reason, detail, hint } => (Some(reason), Some(detail), hint, None),
            ReceiptStatus::Duplicate { event } | ReceiptStatus::Accepted { event } => (None, None, None, Some(event)),
        };
        Self {
            v: SCHEMA_VERSION,
            org_shard: time_shard(outcome.organization.as_str(), outcome.id.as_str()),
            id: outcome.id.clone(),
            organization: outcome.organization.clone(),
            source: outcome.source.clone(),
            status: outcome.status.name().into(),
            reason,
            detail,
            hint,
            event,
            at: outcome.received_at.as_millisecond(),
            ttl: expiry(outcome.received_at, days),
        }
    }
}

impl TryFrom<OutcomeItem> for ReceiptOutcome {
    type Error = StoreError;

    fn try_from(item: OutcomeItem) -> Result<Self, StoreError> {
        let status = match (item.status.as_str(), item.event) {
            ("duplicate", Some(event)) => ReceiptStatus::Duplicate { event },
            ("accepted", Some(event)) => ReceiptStatus::Accepted { event },
            ("rejected", _) => ReceiptStatus::Rejected {
                reason: item.reason.unwrap_or_default(),
                detail: item.detail.unwrap_or_default(),
                hint: item.hint,
            },
            _ => return Err(StoreError::Unreadable("an unknown status of a receipt".into())),
        };
        Ok(Self {
            id: item.id,
            organization: item.organization,
            source: item.source,
            status,
            received_at: timestamp(item.at)?,
        })
    }
}
