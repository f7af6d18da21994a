//! Deliveries, what of them is due, and the leases on buckets.

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::ReturnValue;
use jiff::Timestamp;
use payload::delivery::Delivery;
use payload::{EventId, WebhookId};
use serde::Deserialize;

use super::{Dynamo, key, number, read, sdk_error, text, write};
use crate::item::{DeliveryItem, LEASES, LeaseItem, SCHEMA_VERSION, bucket_key, lease_key, lease_time};
use crate::{Deliveries, DueQueue, Lease, StoreError};

impl Deliveries for Dynamo {
    async fn deliveries_of(&self, event: &EventId) -> Result<Vec<Delivery>, StoreError> {
        let mut pages = self
            .client
            .query()
            .table_name(&self.tables.deliveries)
            .key_condition_expression("#event = :event")
            .expression_attribute_names("#event", "event")
            .expression_attribute_values(":event", text(event.as_str()))
            .consistent_read(true)
            .into_paginator()
            .items()
            .send();
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

    async fn create_delivery(&self, delivery: &Delivery) -> Result<bool, StoreError> {
        let outcome = self
            .client
            .put_item()
            .table_name(&self.tables.deliveries)
            .set_item(Some(write(&DeliveryItem::new(delivery, self.retention.event_days))?))
            .condition_expression("attribute_not_exists(#event)")
            .expression_attribute_names("#event", "event")
            .send()
            .await;
        unless_condition_failed(outcome)
    }

    async fn update_delivery(&self, delivery: &Delivery) -> Result<bool, StoreError> {
        let outcome = self
            .client
            .put_item()
            .table_name(&self.tables.deliveries)
            .set_item(Some(write(&DeliveryItem::new(delivery, self.retention.event_days))?))
            .condition_expression("#status = :due AND #fence <= :fence")
            .expression_attribute_names("#status", "status")
            .expression_attribute_names("#fence", "fence")
            .expression_attribute_values(":due", text("due"))
            .expression_attribute_values(":fence", number(delivery.fence))
            .send()
            .await;
        unless_condition_failed(outcome)
    }
}

fn unless_condition_failed<T, R>(
    outcome: Result<T, aws_sdk_dynamodb::error::SdkError<PutItemError, R>>,
) -> Result<bool, StoreError> {
    match outcome {
        Ok(_) => Ok(true),
        Err(error) => match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(_)) => Ok(false),
            _ => Err(sdk_error(error)),
        },
    }
}

/// What the index of due deliveries holds of one.
#[derive(Deserialize)]
struct DueKey {
    event: EventId,
    webhook: WebhookId,
}

impl DueQueue for Dynamo {
    async fn due(&self, bucket: u8, until: Timestamp, limit: u16) -> Result<Vec<(EventId, WebhookId)>, StoreError> {
        // A page ends at 1 MB, whatever the limit says.
        let mut pages = self
            .client
            .query()
            .table_name(&self.tables.deliveries)
            .index_name("due")
            .key_condition_expression("#bucket = :bucket AND #due <= :until")
            .expression_attribute_names("#bucket", "bucket")
            .expression_attribute_names("#due", "due")
            .expression_attribute_values(":bucket", text(bucket_key(bucket)))
            .expression_attribute_values(":until", number(until.as_millisecond()))
            .limit(i32::from(limit))
            .into_paginator()
            .items()
            .send();
        let mut due = Vec::new();
        while due.len() < usize::from(limit) {
            let Some(item) = pages.next().await else { break };
            let DueKey { event, webhook } = serde_dynamo::from_item(item.map_err(sdk_error)?)
                .map_err(|error| StoreError::Unreadable(error.to_string()))?;
            due.push((event, webhook));
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
        let update = self
            .lease_update(bucket)
            .update_expression("SET #owner = :owner, #until = :until, v = :version ADD fence :one")
            .condition_expression("attribute_not_exists(pk) OR #until <= :now")
            .expression_attribute_names("#owner", "owner")
            .expression_attribute_names("#until", "until")
            .expression_attribute_values(":owner", text(owner))
            .expression_attribute_values(":until", number(lease_time(until)))
            .expression_attribute_values(":now", number(lease_time(now)))
            .expression_attribute_values(":version", number(SCHEMA_VERSION))
            .expression_attribute_values(":one", number(1));
        self.lease_after(update).await
    }

    async fn renew_lease(&self, lease: &Lease, until: Timestamp) -> Result<Option<Lease>, StoreError> {
        self.lease_after(self.held_lease_until(lease, lease_time(until))).await
    }

    async fn release_lease(&self, lease: &Lease) -> Result<(), StoreError> {
        self.lease_after(self.held_lease_until(lease, 0)).await.map(|_| ())
    }
}

impl Dynamo {
    fn lease_update(&self, bucket: u8) -> UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(&self.tables.registry)
            .set_key(Some(key([("pk", LEASES), ("sk", &lease_key(bucket))])))
            .return_values(ReturnValue::AllNew)
    }

    /// Sets the end of a lease that is still ours: the fence says whether it has passed to somebody meanwhile.
    fn held_lease_until(&self, lease: &Lease, until: i64) -> UpdateItemFluentBuilder {
        self.lease_update(lease.bucket)
            .update_expression("SET #until = :until")
            .condition_expression("#owner = :owner AND fence = :fence")
            .expression_attribute_names("#owner", "owner")
            .expression_attribute_names("#until", "until")
            .expression_attribute_values(":owner", text(&lease.owner))
            .expression_attribute_values(":fence", number(lease.fence))
            .expression_attribute_values(":until", number(until))
    }

    async fn lease_after(&self, update: UpdateItemFluentBuilder) -> Result<Option<Lease>, StoreError> {
        match update.send().await {
            Ok(answer) => {
                let item = answer
                    .attributes
                    .ok_or_else(|| StoreError::Unreadable("a lease without attributes".into()))?;
                read::<LeaseItem>(item)?.into_lease().map(Some)
            }
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(_)) => Ok(None),
                _ => Err(sdk_error(error)),
            },
        }
    }
}
