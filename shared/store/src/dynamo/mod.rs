//! The adapter: every capability over the tables, with the SDK.

mod audit;
mod by_time;
mod deliveries;
mod erasure;
mod events;
mod history;
mod idempotency;
mod jobs;
mod lists;
mod registry;
mod reverify;
mod scan;
mod source_health;
mod sources;
mod suspension;
mod timelines;
mod usage;
mod walk;
mod webhooks;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, TransactWriteItem};
use payload::OrganizationId;
use payload::audit::AuditEntry;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::connect::Retention;
use crate::item::AuditItem;
use crate::{StoreError, Tables};

type Attributes = HashMap<String, AttributeValue>;

/// The store in DynamoDB. Clones are cheap and share the cache of webhook sets.
#[derive(Debug, Clone)]
pub struct Dynamo {
    client: Client,
    tables: Arc<Tables>,
    retention: Retention,
    sets: Arc<Mutex<HashMap<OrganizationId, webhooks::CachedSet>>>,
    /// What the next transaction is recorded as.
    audit: Option<Arc<AuditEntry>>,
}

impl Dynamo {
    /// The store behind a client.
    #[must_use]
    pub fn new(client: Client, tables: Tables, retention: Retention) -> Self {
        Self {
            client,
            tables: Arc::new(tables),
            retention,
            sets: Arc::default(),
            audit: None,
        }
    }

    async fn get<T: DeserializeOwned>(
        &self,
        table: &str,
        key: Attributes,
        consistent: bool,
    ) -> Result<Option<T>, StoreError> {
        let answer = self
            .client
            .get_item()
            .table_name(table)
            .set_key(Some(key))
            .consistent_read(consistent)
            .send()
            .await
            .map_err(sdk_error)?;
        answer.item.map(read).transpose()
    }

    /// Writes all of `writes` or none, together with the entry of the audit trail where there is one. `None` is success, otherwise the
    /// reasons by position (`None` where that one was fine).
    async fn transact(&self, mut writes: Vec<TransactWriteItem>) -> Result<Option<Vec<Option<String>>>, StoreError> {
        if let Some(entry) = &self.audit {
            writes.push(put(&self.tables.registry, &AuditItem::from(&**entry))?);
        }
        let mut tries = CONFLICT_TRIES;
        loop {
            let request = self.client.transact_write_items();
            let Err(error) = request.set_transact_items(Some(writes.clone())).send().await else {
                return Ok(None);
            };
            let Some(TransactWriteItemsError::TransactionCanceledException(canceled)) = error.as_service_error() else {
                return Err(sdk_error(error));
            };
            let reasons: Vec<Option<String>> = canceled
                .cancellation_reasons()
                .iter()
                .map(|reason| reason.code().filter(|code| *code != "None").map(str::to_owned))
                .collect();
            let Some(other) = reasons.iter().flatten().find(|code| *code != "ConditionalCheckFailed") else {
                return Ok(Some(reasons));
            };
            tries = tries.saturating_sub(1);
            if other != "TransactionConflict" || tries == 0 {
                return Err(by_code(other));
            }
            tokio::time::sleep(conflict_pause()).await;
        }
    }

    /// Writes all of `writes` or none; a condition that does not hold is a [`StoreError::Conflict`].
    async fn write_all(&self, writes: Vec<TransactWriteItem>) -> Result<(), StoreError> {
        match self.transact(writes).await? {
            None => Ok(()),
            Some(_) => Err(StoreError::Conflict),
        }
    }
}

/// How often a transaction is tried that meets another one on the same item, such as the version of an organization's set of webhooks. The
/// client does not try again by itself: <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html>.
const CONFLICT_TRIES: u8 = 6;

/// A pause of 20 to 147 ms, so that those who met do not meet again.
fn conflict_pause() -> Duration {
    let [random] = payload::id::random::<1>();
    Duration::from_millis(20 + u64::from(random) / 2)
}

fn read<T: DeserializeOwned>(attributes: Attributes) -> Result<T, StoreError> {
    crate::item::read(serde_dynamo::Item::from(attributes))
}

fn write<T: Serialize>(item: &T) -> Result<Attributes, StoreError> {
    serde_dynamo::to_item(item).map_err(|error| StoreError::Refused(error.to_string()))
}

fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

fn number(value: impl std::fmt::Display) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn key<const N: usize>(parts: [(&str, &str); N]) -> Attributes {
    parts
        .into_iter()
        .map(|(name, value)| (name.to_owned(), text(value)))
        .collect()
}

/// A put that fails when the item is there.
fn put_new<T: Serialize>(table: &str, hash_key: &str, item: &T) -> Result<TransactWriteItem, StoreError> {
    let put = Put::builder()
        .table_name(table)
        .set_item(Some(write(item)?))
        .condition_expression("attribute_not_exists(#key)")
        .expression_attribute_names("#key", hash_key);
    Ok(TransactWriteItem::builder().put(put.build().map_err(built)?).build())
}

/// A put that takes the place of what is there, when there is anything.
fn put<T: Serialize>(table: &str, item: &T) -> Result<TransactWriteItem, StoreError> {
    let put = Put::builder().table_name(table).set_item(Some(write(item)?));
    Ok(TransactWriteItem::builder().put(put.build().map_err(built)?).build())
}

/// A put in the place of the item that had been changed `revision` times; it fails when there is another, or none.
fn replace<T: Serialize>(table: &str, item: &T, revision: u64) -> Result<TransactWriteItem, StoreError> {
    let put = Put::builder()
        .table_name(table)
        .set_item(Some(write(item)?))
        .condition_expression(is_at_revision(revision))
        .set_expression_attribute_values(revision_values(revision));
    Ok(TransactWriteItem::builder().put(put.build().map_err(built)?).build())
}

/// A delete of the item that had been changed `revision` times; it fails when there is another, or none.
fn remove(table: &str, key: Attributes, revision: u64) -> Result<TransactWriteItem, StoreError> {
    let delete = Delete::builder()
        .table_name(table)
        .set_key(Some(key))
        .condition_expression(is_at_revision(revision))
        .set_expression_attribute_values(revision_values(revision));
    Ok(TransactWriteItem::builder()
        .delete(delete.build().map_err(built)?)
        .build())
}

/// Whether an item is still there and had been changed so many times: one that never was has no revision.
fn is_at_revision(revision: u64) -> &'static str {
    match revision {
        0 => "attribute_exists(id) AND attribute_not_exists(revision)",
        _ => "revision = :revision",
    }
}

fn revision_values(revision: u64) -> Option<Attributes> {
    (revision > 0).then(|| Attributes::from([(":revision".to_owned(), number(revision))]))
}

fn delete(table: &str, key: Attributes) -> Result<TransactWriteItem, StoreError> {
    Ok(TransactWriteItem::builder()
        .delete(
            Delete::builder()
                .table_name(table)
                .set_key(Some(key))
                .build()
                .map_err(built)?,
        )
        .build())
}

fn built(error: impl std::fmt::Display) -> StoreError {
    StoreError::Refused(error.to_string())
}

/// Sorts an error by its code; messages differ between engines and may hold what must not be logged.
fn sdk_error<E: ProvideErrorMetadata, R>(error: SdkError<E, R>) -> StoreError {
    match &error {
        SdkError::ServiceError(service) => match service.err().code() {
            Some(code) => by_code(code),
            None => StoreError::Unavailable("an answer without an error code".into()),
        },
        SdkError::ConstructionFailure(_) => StoreError::Refused("the request could not be built".into()),
        SdkError::TimeoutError(_) => StoreError::Unavailable("timeout".into()),
        SdkError::DispatchFailure(_) => StoreError::Unavailable("no connection".into()),
        _ => StoreError::Unavailable("an answer that could not be read".into()),
    }
}

fn by_code(code: &str) -> StoreError {
    match code {
        "ConditionalCheckFailedException" | "ConditionalCheckFailed" => StoreError::Conflict,
        "ValidationException"
        | "ValidationError"
        | "SerializationException"
        | "ItemCollectionSizeLimitExceededException"
        | "ItemCollectionSizeLimitExceeded" => StoreError::Refused(code.into()),
        // Throttling, internal errors, and what the operator can mend: missing tables, missing rights.
        _ => StoreError::Unavailable(code.into()),
    }
}
