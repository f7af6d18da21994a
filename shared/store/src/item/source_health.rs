//! How a source does, beside the outcomes of its receipts.

use std::collections::BTreeMap;

use jiff::Timestamp;
use payload::source_health::SourceHealth;
use payload::{OrganizationId, SourceId};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{expiry, timestamp};
use crate::StoreError;

/// What the attribute begins with that counts the rejections of one reason: an attribute of its own each, so that one write adds to it
/// whether it is there or not.
pub(crate) const COUNT_PREFIX: &str = "n#";

/// For how many days a health item outlives its last note.
const DAYS: u16 = 90;

/// The key of a source's health item. Without `orgShard` it is in no index.
pub(crate) fn source_health_key(source: &SourceId) -> String {
    format!("health#{source}")
}

pub(crate) fn source_health_ttl(noted_at: Timestamp) -> i64 {
    expiry(noted_at, DAYS)
}

/// How a source does. It is written attribute by attribute, never as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceHealthItem {
    v: u32,
    id: String,
    organization: OrganizationId,
    source: SourceId,
    /// Milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_verified_at: Option<i64>,
    #[serde(default)]
    rejected_in_a_row: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rejecting_since: Option<i64>,
    /// JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_rejection: Option<String>,
    ttl: i64,
    /// By reason, each under its prefixed name.
    #[serde(flatten, serialize_with = "write_counts", deserialize_with = "read_counts")]
    rejected: BTreeMap<String, u64>,
}

fn write_counts<S: Serializer>(counts: &BTreeMap<String, u64>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(
        counts
            .iter()
            .map(|(reason, count)| (format!("{COUNT_PREFIX}{reason}"), count)),
    )
}

fn read_counts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, u64>, D::Error> {
    /// What has no field of its own: a count, or an attribute of a later day.
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Other {
        Count(u64),
        Unknown(IgnoredAny),
    }
    let others = BTreeMap::<String, Other>::deserialize(deserializer)?;
    let counts = others.into_iter().filter_map(|(name, other)| match other {
        Other::Count(count) => Some((name.strip_prefix(COUNT_PREFIX)?.to_owned(), count)),
        Other::Unknown(_) => None,
    });
    Ok(counts.collect())
}

impl TryFrom<SourceHealthItem> for SourceHealth {
    type Error = StoreError;

    fn try_from(item: SourceHealthItem) -> Result<Self, StoreError> {
        let last_rejection = item.last_rejection.map(|json| serde_json::from_str(&json)).transpose();
        Ok(Self {
            last_verified_at: item.last_verified_at.map(timestamp).transpose()?,
            rejected_in_a_row: item.rejected_in_a_row,
            rejecting_since: item.rejecting_since.map(timestamp).transpose()?,
            rejected: item.rejected,
            last_rejection: last_rejection
                .map_err(|_| StoreError::Unreadable("the last rejection of a source".into()))?,
        })
    }
}
