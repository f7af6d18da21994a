//! Deliveries, what of them is due, and the leases on buckets.

use std::borrow::Cow;

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::builders::PutBuilder;
use aws_sdk_dynamodb::types::{Put, ReturnValue, TransactWriteItem};
use jiff::Timestamp;
use payload::delivery::Delivery;
use payload::{Event, EventId, WebhookId};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Attributes, Dynamo, built, key, number, read, sdk_error, text, write};
use crate::item::{DeliveryItem, LEASES, LeaseItem, SCHEMA_VERSION, bucket_key, lease_key, lease_time, timestamp};
use crate::{Deliveries, Due, DueQueue, Lease, Redelivery, StoreError};

impl Deliveries for Dynamo {
    async fn deliveries_of(&self, event: &EventId) -> Result<Vec<Delivery>, StoreError> {
        let mut pages = self.delivery_query(event).into_paginator().items().send();
        let mut deliveries = Vec::new();
        while let Some(item) = pages.next().await {
            deliveries.push(read::<DeliveryItem>(item.map_err(sdk_error)?)?.try_into()?);
        }
        Ok(deliveries)
    }

    async fn delivery(&self, event: &EventId, webhook: &WebhookId) -> Result<Option<Delivery>, StoreError> {
        let key = key([("event", event.as_str()), ("webhook", webhook.as_str())]);
        let item: Option<DeliveryItem> = self.get(&self.tables.deliveries, key, true).await?;
        item.map(TryInto::try_into).transpose()
    }

    async fn create_delivery(&self, delivery: &Delivery, tell: Option<&Event>) -> Result<bool, StoreError> {
        let put = self
            .put_delivery(delivery)?
            .condition_expression("attribute_not_exists(#event)")
            .expression_attribute_names("#event", "event");
        if self.write_delivery(put, tell).await? {
            return Ok(true);
        }
        Ok(self
            .deliveries_of(&delivery.event)
            .await?
            .contains(&self.as_stored(delivery)?))
    }

    async fn update_delivery(&self, delivery: &Delivery, tell: Option<&Event>) -> Result<bool, StoreError> {
        let mut delivery = Cow::Borrowed(delivery);
        loop {
            let mut put = self
                .put_delivery(&delivery)?
                .expression_attribute_names("#status", "status")
                .expression_attribute_names("#fence", "fence")
                .expression_attribute_values(":due", text("due"))
                .expression_attribute_values(":fence", number(delivery.fence));
            let mut condition = "#status = :due AND #fence <= :fence".to_owned();
            if let Some(number) = answered(&delivery) {
                // An answer that is removed meanwhile must not come back: an attempt that is stored already has it still.
                let (attempt, answer) = (format!("#attempts[{number}]"), format!("#attempts[{number}].#answer"));
                condition.push_str(&format!(
                    " AND (attribute_not_exists({attempt}) OR attribute_exists({answer}))"
                ));
                put = name_answers(put);
            }
            if self.write_delivery(put.condition_expression(condition), tell).await? {
                return Ok(true);
            }
            let stored = self.delivery(&delivery.event, &delivery.webhook).await?;
            if stored == Some(self.as_stored(&delivery)?) {
                return Ok(true);
            }
            // Each time there is one less: it ends.
            match stored.and_then(|stored| without_removed(&delivery, &stored)) {
                Some(without) => delivery = Cow::Owned(without),
                None => return Ok(false),
            }
        }
    }
}

impl Redelivery for Dynamo {
    async fn replace_delivery(&self, before: &Delivery, after: &Delivery) -> Result<bool, StoreError> {
        // What has ended is changed by replays alone, and each names its job; what is due by its owners too, who set its next attempt.
        let read: Attributes = write(&DeliveryItem::new(before, self.retention.event_days))?;
        let mut put = self.put_delivery(after)?;
        let mut conditions = Vec::new();
        for name in ["status", "fence", "job", "due"] {
            put = put.expression_attribute_names(format!("#{name}"), name);
            conditions.push(match read.get(name) {
                Some(value) => {
                    put = put.expression_attribute_values(format!(":{name}"), value.clone());
                    format!("#{name} = :{name}")
                }
                None => format!("attribute_not_exists(#{name})"),
            });
        }
        // An answer that is removed meanwhile must not come back.
        if let Some(number) = answered(before) {
            conditions.push(format!("attribute_exists(#attempts[{number}].#answer)"));
            put = name_answers(put);
        }
        let put = put.condition_expression(conditions.join(" AND "));
        if self.write_delivery(put, None).await? {
            return Ok(true);
        }
        Ok(self.delivery(&after.event, &after.webhook).await? == Some(self.as_stored(after)?))
    }
}

impl Dynamo {
    /// All deliveries of an event, in the order of their webhooks, consistently read.
    pub(super) fn delivery_query(&self, event: &EventId) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(&self.tables.deliveries)
            .key_condition_expression("#event = :event")
            .expression_attribute_names("#event", "event")
            .expression_attribute_values(":event", text(event.as_str()))
            .consistent_read(true)
    }

    fn put_delivery(&self, delivery: &Delivery) -> Result<PutBuilder, StoreError> {
        let item = write(&DeliveryItem::new(delivery, self.retention.event_days))?;
        Ok(Put::builder().table_name(&self.tables.deliveries).set_item(Some(item)))
    }

    /// Writes a delivery under a condition; together with the event that tells of it, where there is one.
    async fn write_delivery(&self, put: PutBuilder, tell: Option<&Event>) -> Result<bool, StoreError> {
        let put = put.build().map_err(built)?;
        if let Some(event) = tell {
            let writes = vec![
                TransactWriteItem::builder().put(put.clone()).build(),
                self.put_news(event)?,
            ];
            match self.transact(writes).await? {
                None => return Ok(true),
                // It was told before: what is left is to write it.
                Some(reasons) if reasons.first().is_some_and(Option::is_none) => {}
                Some(_) => return Ok(false),
            }
        }
        let outcome = self
            .client
            .put_item()
            .table_name(put.table_name())
            .set_item(Some(put.item().clone()))
            .set_condition_expression(put.condition_expression().map(str::to_owned))
            .set_expression_attribute_names(put.expression_attribute_names().cloned())
            .set_expression_attribute_values(put.expression_attribute_values().cloned())
            .send()
            .await;
        match outcome {
            Ok(_) => Ok(true),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(_)) => Ok(false),
                _ => Err(sdk_error(error)),
            },
        }
    }

    /// The delivery as it reads back. Where this very state is stored already, the client has repeated a write whose answer it did not get.
    fn as_stored(&self, delivery: &Delivery) -> Result<Delivery, StoreError> {
        DeliveryItem::new(delivery, self.retention.event_days).try_into()
    }
}

/// Which attempt has an answer that is kept.
fn answered(delivery: &Delivery) -> Option<usize> {
    let mut attempts = delivery.attempts.iter();
    attempts.rposition(|attempt| attempt.answer.is_some())
}

/// Names what conditions on answers are about.
fn name_answers(put: PutBuilder) -> PutBuilder {
    put.expression_attribute_names("#attempts", "attempts")
        .expression_attribute_names("#answer", "answer")
}

/// A delivery without the answers that were removed from what is stored of it; `None` where none was.
fn without_removed(delivery: &Delivery, stored: &Delivery) -> Option<Delivery> {
    let mut without = delivery.clone();
    let mut is_any = false;
    for (ours, stored) in without.attempts.iter_mut().zip(&stored.attempts) {
        if ours.answer.is_some() && stored.answer.is_none() && ours.at == stored.at {
            (ours.answer, is_any) = (None, true);
        }
    }
    is_any.then_some(without)
}

/// What the index of due deliveries holds of one.
#[derive(Deserialize)]
struct DueKey {
    event: EventId,
    webhook: WebhookId,
    due: i64,
}

/// Where a delivery stands in the index.
fn index_key(bucket: u8, due: &Due) -> Attributes {
    let mut key = key([
        ("bucket", &*bucket_key(bucket)),
        ("event", due.event.as_str()),
        ("webhook", due.webhook.as_str()),
    ]);
    key.insert("due".to_owned(), number(due.at.as_millisecond()));
    key
}

impl DueQueue for Dynamo {
    async fn is_any_waiting(&self) -> Result<bool, StoreError> {
        // The index is sparse: what has ended is not in it, so that there is mostly nothing to scan.
        let found = self
            .client
            .scan()
            .table_name(&self.tables.deliveries)
            .index_name("due")
            .limit(1)
            .send()
            .await
            .map_err(sdk_error)?;
        // A part of the index without an entry is not the whole of it.
        Ok(found.count > 0 || found.last_evaluated_key.is_some())
    }

    async fn due(
        &self,
        bucket: u8,
        from: Timestamp,
        until: Timestamp,
        after: Option<&Due>,
        limit: u16,
    ) -> Result<Vec<Due>, StoreError> {
        // A page ends at 1 MB, whatever the limit says.
        let mut pages = self
            .client
            .query()
            .table_name(&self.tables.deliveries)
            .index_name("due")
            .key_condition_expression("#bucket = :bucket AND #due BETWEEN :from AND :until")
            .expression_attribute_names("#bucket", "bucket")
            .expression_attribute_names("#due", "due")
            .expression_attribute_values(":bucket", text(bucket_key(bucket)))
            .expression_attribute_values(":from", number(from.as_millisecond()))
            .expression_attribute_values(":until", number(until.as_millisecond()))
            .set_exclusive_start_key(after.map(|after| index_key(bucket, after)))
            .limit(i32::from(limit))
            .into_paginator()
            .items()
            .send();
        let mut due = Vec::new();
        while due.len() < usize::from(limit) {
            let Some(item) = pages.next().await else { break };
            let DueKey {
                event,
                webhook,
                due: at,
            } = serde_dynamo::from_item(item.map_err(sdk_error)?)
                .map_err(|error| StoreError::Unreadable(error.to_string()))?;
            let at = timestamp(at)?;
            due.push(Due { at, event, webhook });
        }
        Ok(due)
    }

    async fn take_lease(
        &self,
        bucket: u8,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Lease>, StoreError> {
        let update = takes_lease(self.lease_update(&lease_key(bucket)), owner, now, until)
            .update_expression("SET #owner = :owner, #until = :until, v = :version ADD fence :one");
        self.bucket_lease_after(update).await
    }

    async fn renew_lease(&self, lease: &Lease, until: Timestamp) -> Result<Option<Lease>, StoreError> {
        self.bucket_lease_after(self.held_lease_until(lease, lease_time(until)))
            .await
    }

    async fn release_lease(&self, lease: &Lease) -> Result<(), StoreError> {
        self.bucket_lease_after(self.held_lease_until(lease, 0))
            .await
            .map(|_| ())
    }
}

impl Dynamo {
    /// A change of the lease under this range key.
    pub(super) fn lease_update(&self, lease: &str) -> UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(&self.tables.registry)
            .set_key(Some(key([("pk", LEASES), ("sk", lease)])))
            .return_values(ReturnValue::AllNew)
    }

    fn held_lease_until(&self, lease: &Lease, until: i64) -> UpdateItemFluentBuilder {
        let update = self.lease_update(&lease_key(lease.bucket));
        held_until(update, &lease.owner, lease.fence, until)
    }

    async fn bucket_lease_after(&self, update: UpdateItemFluentBuilder) -> Result<Option<Lease>, StoreError> {
        let item: Option<LeaseItem> = self.lease_after(update).await?;
        item.map(LeaseItem::into_lease).transpose()
    }

    /// The lease as a change leaves it; `None` when it is not, or no longer, ours to change.
    pub(super) async fn lease_after<T: DeserializeOwned>(
        &self,
        update: UpdateItemFluentBuilder,
    ) -> Result<Option<T>, StoreError> {
        match update.send().await {
            Ok(answer) => {
                let item = answer
                    .attributes
                    .ok_or_else(|| StoreError::Unreadable("a lease without attributes".into()))?;
                read(item).map(Some)
            }
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(_)) => Ok(None),
                _ => Err(sdk_error(error)),
            },
        }
    }
}

/// Takes a lease until then, when nobody holds it at `now`. The expression of the update names `:owner`, `:until`, `:version` and `:one`.
pub(super) fn takes_lease(
    update: UpdateItemFluentBuilder,
    owner: &str,
    now: Timestamp,
    until: Timestamp,
) -> UpdateItemFluentBuilder {
    update
        .condition_expression("attribute_not_exists(pk) OR #until <= :now")
        .expression_attribute_names("#owner", "owner")
        .expression_attribute_names("#until", "until")
        .expression_attribute_values(":owner", text(owner))
        .expression_attribute_values(":until", number(lease_time(until)))
        .expression_attribute_values(":now", number(lease_time(now)))
        .expression_attribute_values(":version", number(SCHEMA_VERSION))
        .expression_attribute_values(":one", number(1))
}

/// Sets the end of a lease that is still ours: the fence says whether it has passed to somebody meanwhile.
pub(super) fn held_until(
    update: UpdateItemFluentBuilder,
    owner: &str,
    fence: u64,
    until: i64,
) -> UpdateItemFluentBuilder {
    update
        .update_expression("SET #until = :until")
        .condition_expression("#owner = :owner AND fence = :fence")
        .expression_attribute_names("#owner", "owner")
        .expression_attribute_names("#until", "until")
        .expression_attribute_values(":owner", text(owner))
        .expression_attribute_values(":fence", number(fence))
        .expression_attribute_values(":until", number(until))
}
