//! What is stored, as it is stored: one struct for each kind of item.
//!
//! An item is a contract between functions that are deployed at different moments. Each carries the schema version `v`. New attributes
//! may come at any time and are ignored by those who do not know them; whatever an old reader would misunderstand gets a higher
//! version, and an old reader then leaves the record for its successor ([`StoreError::Newer`]).

mod audit;
mod blob;
mod delivery;
mod event;
mod history;
mod idempotency;
mod job;
mod receipt;
mod registration;
mod registry;
mod source_health;

use jiff::Timestamp;
use serde::de::DeserializeOwned;

pub use audit::AuditItem;
pub(crate) use audit::audit_key;
pub use delivery::DeliveryItem;
pub(crate) use delivery::bucket_key;
pub use event::EventItem;
pub(crate) use event::provider_ref;
pub use history::WebhookWasItem;
pub(crate) use history::{was_all, was_behind};
pub use idempotency::IdempotencyItem;
pub(crate) use idempotency::idempotency_key;
pub(crate) use job::{BEHIND_JOBS, JobLeaseItem, RUNNING_JOBS, RUNNING_SET, job_lease_key, job_ttl, jobs_key};
pub use job::{JobItem, RunningJobItem};
pub(crate) use receipt::first_receipt_id;
pub use receipt::{OutcomeItem, ReceiptItem};
pub use registration::{DoorItem, HealthItem, SecretsItem, SourceItem, SuspendedItem, VersionItem, WebhookItem};
pub(crate) use registration::{HEALTH_PREFIX, SUSPENDED_KEY, VERSION_KEY, called_url_key, door_key};
pub(crate) use registry::{
    KEY_ITEM, LEASES, ORGANIZATION_KEY, ORGANIZATIONS, key_lookup, key_refs, lease_key, lease_time,
};
pub use registry::{KeyItem, KeyRefItem, LeaseItem, ListedOrganizationItem, OrganizationItem};
pub use source_health::SourceHealthItem;
pub(crate) use source_health::{COUNT_PREFIX, source_health_key, source_health_ttl};

use crate::StoreError;
use payload::{Event, Receipt};

/// The schema version that this code writes where nothing needs a higher one.
pub const SCHEMA_VERSION: u32 = 1;

/// The schema version of items with bytes that only a reader with the dictionary of version 2 can read (`words.txt`).
const WORDS_VERSION: u32 = 2;

/// The highest schema version that this code reads.
pub const HIGHEST_VERSION: u32 = WORDS_VERSION;

/// The schema version of an item with these bytes in it.
fn version_of(blobs: [&blob::Blob; 2]) -> u32 {
    if blobs.into_iter().any(blob::Blob::needs_words) {
        WORDS_VERSION
    } else {
        SCHEMA_VERSION
    }
}

/// How many shards the indexes by time have, so that one organization's writes do not all fall on one partition of an index.
pub const TIME_SHARDS: u8 = 4;

/// An item of any attribute value type that serde_dynamo knows: the SDK's, or the one of a stream record.
pub fn read<T: DeserializeOwned>(item: serde_dynamo::Item) -> Result<T, StoreError> {
    let version = match item.inner().get("v") {
        Some(serde_dynamo::AttributeValue::N(number)) => number.parse::<u32>().ok(),
        _ => None,
    };
    match version {
        None => Err(StoreError::Unreadable("it has no schema version".into())),
        Some(found) if found > HIGHEST_VERSION => Err(StoreError::Newer {
            found,
            known: HIGHEST_VERSION,
        }),
        Some(_) => serde_dynamo::from_item(item).map_err(|error| StoreError::Unreadable(error.to_string())),
    }
}

/// The receipt of an inbox stream record's new image.
///
/// # Errors
/// [`StoreError::Unreadable`] or [`StoreError::Newer`].
pub fn read_receipt(image: serde_dynamo::Item) -> Result<Receipt, StoreError> {
    read::<ReceiptItem>(image)?.try_into()
}

/// The event of an events stream record's new image.
///
/// # Errors
/// [`StoreError::Unreadable`] or [`StoreError::Newer`].
pub fn read_event(image: serde_dynamo::Item) -> Result<Event, StoreError> {
    read::<EventItem>(image)?.try_into()
}

/// The hash key of an index by time: the organization (or webhook) and the shard that `id` falls in.
#[must_use]
pub fn time_shard(owner: &str, id: &str) -> String {
    format!("{owner}#{}", payload::id::bucket_of(id, TIME_SHARDS))
}

/// All hash keys of an index by time for one owner.
pub fn time_shards(owner: &str) -> impl Iterator<Item = String> + '_ {
    (0..TIME_SHARDS).map(move |shard| format!("{owner}#{shard}"))
}

pub(crate) fn timestamp(milliseconds: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_millisecond(milliseconds).map_err(|_| StoreError::Unreadable("a time is out of range".into()))
}

fn expiry(from: Timestamp, days: u16) -> i64 {
    from.as_second() + i64::from(days) * 24 * 60 * 60
}
