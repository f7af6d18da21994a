//! How a source does: when it last verified, what it rejects and why. And how another verification is asked for.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::random;
use crate::{OrganizationId, ReceiptId, SourceId};

/// After how many rejections in a row, with nothing verified in between, a source is said to be rejecting.
pub const REJECTING_AFTER: u64 = 5;

/// The type of the event that says so.
pub const REJECTING_EVENT: &str = "hookline.source.rejecting";

/// How a source does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct SourceHealth {
    /// When a receipt was last verified, to about a minute.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub last_verified_at: Option<Timestamp>,
    /// How many receipts were rejected since then. A batch that had to be repeated is counted again.
    pub rejected_in_a_row: u64,
    /// When the first of those arrived.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub rejecting_since: Option<Timestamp>,
    /// How many receipts were rejected in all, by reason.
    pub rejected: BTreeMap<String, u64>,
    /// The last rejected receipt.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub last_rejection: Option<LastRejection>,
}

/// The last receipt that a source rejected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct LastRejection {
    /// The receipt.
    pub receipt: ReceiptId,
    /// When it arrived.
    pub at: Timestamp,
    /// A stable word.
    pub reason: String,
    /// What happened.
    pub detail: String,
    /// What a person should look at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// What one batch of receipts showed of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthNote {
    /// The source.
    pub source: SourceId,
    /// Its tenant.
    pub organization: OrganizationId,
    /// When the last verified receipt of the batch arrived, if there was one; of a receipt that was verified once more, when that was.
    pub verified_at: Option<Timestamp>,
    /// How many receipts of the batch were rejected, by reason. What was set aside as poison, or rejected once more, is not among them.
    pub rejected: BTreeMap<String, u64>,
    /// When the first of those arrived.
    pub rejecting_since: Option<Timestamp>,
    /// The last of them.
    pub last_rejection: Option<LastRejection>,
}

/// A request for another verification, as it stands in the attribute `again` of a receipt: a text that is new each time, so that the
/// same request a second time wakes `verify` a second time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Again {
    /// Whether many receipts were asked for at once: then none is verified under a weaker scheme than it came for.
    pub in_bulk: bool,
    nonce: String,
}

impl Again {
    /// A new request.
    #[must_use]
    pub fn new(in_bulk: bool) -> Self {
        Self {
            in_bulk,
            nonce: hex::encode(random::<8>()),
        }
    }

    /// The text that is stored.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!("{}#{}", if self.in_bulk { "bulk" } else { "one" }, self.nonce)
    }

    /// Reads what [`Again::to_text`] wrote. What is of another form counts as bulk, to be on the safe side.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let (kind, nonce) = text.split_once('#').unwrap_or((text, ""));
        Self {
            in_bulk: kind != "one",
            nonce: nonce.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_reads_back_and_is_new_each_time() {
        let again = Again::new(false);
        assert_eq!(Again::parse(&again.to_text()), again);
        assert_ne!(Again::new(false), again);
        assert!(Again::parse("nonsense").in_bulk);
    }
}
