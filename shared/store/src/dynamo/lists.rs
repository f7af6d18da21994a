//! Lists of events, of receipts' outcomes and of deliveries.

use std::collections::HashMap;
use std::hash::Hash;

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::KeysAndAttributes;
use jiff::Timestamp;
use payload::delivery::{Delivery, DeliveryStatus};
use payload::receipt::ReceiptOutcome;
use payload::{EventId, OrganizationId, ReceiptId, SourceId, WebhookId};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::by_time::ByTime;
use super::walk::Entry;
use super::{Attributes, Dynamo, built, key, number, read, sdk_error, text};
use crate::item::{DeliveryItem, OutcomeItem, timestamp};
use crate::lists::{
    Answers, DeliveryCounts, DeliveryKey, DeliveryLists, EventKey, EventLists, EventRow, EventsWanted, MAX_EXAMINED,
    Order, OutcomeLists, OutcomesWanted, Page, ReceiptKey, Span, Walk,
};
use crate::{Deliveries, StoreError};

/// The most items that one call reads (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html>).
const BATCH: usize = 100;

/// How often what a call left over is asked for again.
const BATCH_TRIES: usize = 5;

/// What the indexes of the events table hold of one.
#[derive(Deserialize)]
struct EventEntry {
    at: i64,
    id: EventId,
    #[serde(rename = "type")]
    event_type: String,
    #[serde(default)]
    source: Option<SourceId>,
    #[serde(default)]
    receipt: Option<ReceiptId>,
    #[serde(default)]
    timestamp: Option<Timestamp>,
}

impl Entry for EventEntry {
    type Key = EventKey;

    fn key(&self) -> EventKey {
        EventKey(self.at, self.id.clone())
    }
}

impl EventEntry {
    fn row(&self) -> Result<EventRow, StoreError> {
        let received_at = timestamp(self.at)?;
        Ok(EventRow {
            id: self.id.clone(),
            event_type: self.event_type.clone(),
            // Of one that was stored before lists were, only its own item says it; where a provider says nothing, these are the same.
            timestamp: self.timestamp.unwrap_or(received_at),
            received_at,
            source: self.source.clone(),
            receipt: self.receipt.clone(),
        })
    }
}

impl EventLists for Dynamo {
    async fn events_page(
        &self,
        organization: &OrganizationId,
        wanted: &EventsWanted,
        walk: Walk<'_, EventKey>,
    ) -> Result<Page<EventRow, EventKey>, StoreError> {
        let index = match &wanted.provider_event_id {
            Some(id) => self.events_by_provider_id(organization, id),
            None => self.events_by_time(organization),
        };
        let takes = |entry: &EventEntry| entry.row().is_ok_and(|row| wanted.takes(&row));
        let Page { rows, next } = self.walk(index, walk, MAX_EXAMINED, takes).await?;
        let rows: Result<_, _> = rows.iter().map(EventEntry::row).collect();
        Ok(Page { rows: rows?, next })
    }
}

/// What the index of the receipts table holds of one.
#[derive(Deserialize)]
struct OutcomeEntry {
    id: ReceiptId,
    source: SourceId,
    status: String,
}

impl Entry for OutcomeEntry {
    type Key = ReceiptKey;

    fn key(&self) -> ReceiptKey {
        ReceiptKey(self.id.clone())
    }
}

impl OutcomeLists for Dynamo {
    async fn outcomes_page(
        &self,
        organization: &OrganizationId,
        wanted: &OutcomesWanted,
        walk: Walk<'_, ReceiptKey>,
    ) -> Result<Page<ReceiptOutcome, ReceiptKey>, StoreError> {
        let index = self.outcomes_by_time(organization);
        let has_status = |status: &str| wanted.status.is_none_or(|wanted| status == wanted);
        let takes = |entry: &OutcomeEntry| {
            wanted.source.as_ref().is_none_or(|source| entry.source == *source) && has_status(&entry.status)
        };
        let Page { rows, next } = self.walk(index, walk, MAX_EXAMINED, takes).await?;
        let ids: Vec<ReceiptId> = rows.into_iter().map(|entry| entry.id).collect();
        let keys = ids.iter().map(|id| key([("id", id.as_str())])).collect();
        let outcomes = self
            .batch_get(&self.tables.receipts, keys, |item: OutcomeItem| {
                let outcome = ReceiptOutcome::try_from(item)?;
                Ok((outcome.id.clone(), outcome))
            })
            .await?;
        // What became of it may have changed since the index was written.
        let rows = in_order(&ids, outcomes).filter(|outcome| has_status(outcome.status.name()));
        Ok(Page {
            rows: rows.collect(),
            next,
        })
    }
}

/// What the indexes of the deliveries table hold of one.
#[derive(Deserialize)]
struct DeliveryEntry {
    at: i64,
    event: EventId,
    webhook: WebhookId,
    status: DeliveryStatus,
}

impl Entry for DeliveryEntry {
    type Key = DeliveryKey;

    fn key(&self) -> DeliveryKey {
        DeliveryKey(self.at, self.event.clone(), self.webhook.clone())
    }
}

impl DeliveryLists for Dynamo {
    async fn deliveries_to(
        &self,
        organization: &OrganizationId,
        webhook: &WebhookId,
        status: Option<DeliveryStatus>,
        walk: Walk<'_, DeliveryKey>,
    ) -> Result<Page<Delivery, DeliveryKey>, StoreError> {
        let index = self.deliveries_by_time(webhook);
        self.deliveries_page(organization, index, status, walk).await
    }

    async fn unsettled(
        &self,
        organization: &OrganizationId,
        status: DeliveryStatus,
        walk: Walk<'_, DeliveryKey>,
    ) -> Result<Page<Delivery, DeliveryKey>, StoreError> {
        let index = self.unsettled_by_time(organization);
        self.deliveries_page(organization, index, Some(status), walk).await
    }

    async fn deliveries_of_page(
        &self,
        event: &EventId,
        after: Option<&WebhookId>,
        order: Order,
        limit: usize,
    ) -> Result<Vec<Delivery>, StoreError> {
        let start = after.map(|webhook| key([("event", event.as_str()), ("webhook", webhook.as_str())]));
        let mut items = self
            .delivery_query(event)
            .set_exclusive_start_key(start)
            .scan_index_forward(order == Order::Ascending)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .into_paginator()
            .items()
            .send();
        let mut deliveries = Vec::new();
        while deliveries.len() < limit {
            let Some(item) = items.next().await else { break };
            deliveries.push(read::<DeliveryItem>(item.map_err(sdk_error)?)?.try_into()?);
        }
        Ok(deliveries)
    }

    async fn count_deliveries(
        &self,
        webhook: &WebhookId,
        span: Span,
        most: usize,
    ) -> Result<DeliveryCounts, StoreError> {
        let walk = Walk {
            span,
            order: Order::Descending,
            after: None,
            limit: most,
        };
        let Page { rows, next } = self
            .walk(self.deliveries_by_time(webhook), walk, most, |_: &DeliveryEntry| true)
            .await?;
        let mut counts = DeliveryCounts::default();
        for entry in &rows {
            let count = match entry.status {
                DeliveryStatus::Due => &mut counts.due,
                DeliveryStatus::Delivered => &mut counts.delivered,
                DeliveryStatus::Exhausted => &mut counts.exhausted,
                DeliveryStatus::Cancelled => &mut counts.cancelled,
            };
            *count += 1;
        }
        let oldest = rows.last().filter(|_| next.is_some());
        counts.counted_since = oldest.map(|entry| timestamp(entry.at)).transpose()?;
        Ok(counts)
    }
}

impl Answers for Dynamo {
    async fn remove_answers(
        &self,
        organization: &OrganizationId,
        event: &EventId,
        webhook: &WebhookId,
    ) -> Result<bool, StoreError> {
        let delivery = self.delivery(event, webhook).await?;
        let Some(delivery) = delivery.filter(|delivery| delivery.organization == *organization) else {
            return Ok(false);
        };
        let answered = delivery.attempts.iter().enumerate();
        let places: Vec<String> = answered
            .filter(|(_, attempt)| attempt.answer.is_some())
            .map(|(number, _)| format!("attempts[{number}].answer"))
            .collect();
        let Some(last) = delivery.attempts.last().filter(|_| !places.is_empty()) else {
            return Ok(true);
        };
        let last_place = delivery.attempts.len().saturating_sub(1);
        let outcome = self
            .client
            .update_item()
            .table_name(&self.tables.deliveries)
            .set_key(Some(key([("event", event.as_str()), ("webhook", webhook.as_str())])))
            .update_expression(format!("REMOVE {}", places.join(", ")))
            // As many attempts, and the same last one: the places are those that were read.
            .condition_expression(format!(
                "organization = :organization AND size(attempts) = :attempts AND attempts[{last_place}].#at = :at"
            ))
            .expression_attribute_names("#at", "at")
            .expression_attribute_values(":at", text(last.at.to_string()))
            .expression_attribute_values(":organization", text(organization.as_str()))
            .expression_attribute_values(":attempts", number(delivery.attempts.len()))
            .send()
            .await;
        match outcome {
            Ok(_) => Ok(true),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(_)) => Err(StoreError::Conflict),
                _ => Err(sdk_error(error)),
            },
        }
    }
}

impl Dynamo {
    async fn deliveries_page(
        &self,
        organization: &OrganizationId,
        index: ByTime<'_>,
        status: Option<DeliveryStatus>,
        walk: Walk<'_, DeliveryKey>,
    ) -> Result<Page<Delivery, DeliveryKey>, StoreError> {
        let takes = |entry: &DeliveryEntry| status.is_none_or(|status| entry.status == status);
        let Page { rows, next } = self.walk(index, walk, MAX_EXAMINED, takes).await?;
        let ids: Vec<(EventId, WebhookId)> = rows.into_iter().map(|entry| (entry.event, entry.webhook)).collect();
        let keys = ids
            .iter()
            .map(|(event, webhook)| key([("event", event.as_str()), ("webhook", webhook.as_str())]))
            .collect();
        let deliveries = self
            .batch_get(&self.tables.deliveries, keys, |item: DeliveryItem| {
                let delivery = Delivery::try_from(item)?;
                Ok(((delivery.event.clone(), delivery.webhook.clone()), delivery))
            })
            .await?;
        // Another attempt may have changed it since the index was written.
        let is_wanted = |delivery: &Delivery| {
            delivery.organization == *organization && status.is_none_or(|status| delivery.status == status)
        };
        Ok(Page {
            rows: in_order(&ids, deliveries).filter(is_wanted).collect(),
            next,
        })
    }

    /// The items with these keys, consistently read, as far as they are there. One that cannot be read is left out.
    async fn batch_get<T: DeserializeOwned, K: Eq + Hash, V>(
        &self,
        table: &str,
        keys: Vec<Attributes>,
        convert: impl Fn(T) -> Result<(K, V), StoreError>,
    ) -> Result<HashMap<K, V>, StoreError> {
        let mut found = HashMap::new();
        for keys in keys.chunks(BATCH) {
            let mut wanted = Some(keys.to_vec());
            for _ in 0..BATCH_TRIES {
                let Some(keys) = wanted.take().filter(|keys| !keys.is_empty()) else {
                    break;
                };
                let asked = KeysAndAttributes::builder()
                    .set_keys(Some(keys))
                    .consistent_read(true)
                    .build();
                let answer = self
                    .client
                    .batch_get_item()
                    .request_items(table, asked.map_err(built)?)
                    .send()
                    .await
                    .map_err(sdk_error)?;
                for item in answer.responses.unwrap_or_default().into_values().flatten() {
                    match read::<T>(item).and_then(&convert) {
                        Ok((key, value)) => drop(found.insert(key, value)),
                        Err(error @ StoreError::Newer { .. }) => return Err(error),
                        Err(error) => {
                            tracing::error!(
                                error_type = error.error_type(),
                                "a stored item cannot be read and is left out of a list"
                            );
                        }
                    }
                }
                // What did not fit into the answer, or was throttled.
                let left = answer.unprocessed_keys.unwrap_or_default();
                wanted = left.into_values().next().map(|asked| asked.keys);
            }
            if wanted.is_some_and(|keys| !keys.is_empty()) {
                return Err(StoreError::Unavailable("some items were not answered".into()));
            }
        }
        Ok(found)
    }
}

/// What was found of these, in their order.
fn in_order<K: Eq + Hash, V>(keys: &[K], mut found: HashMap<K, V>) -> impl Iterator<Item = V> {
    keys.iter().filter_map(move |key| found.remove(key))
}
