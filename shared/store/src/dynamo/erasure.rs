//! Deleting what an organization has.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use payload::{EventId, KeyId, OrganizationId, ReceiptId, SourceId, WebhookId};
use serde::de::DeserializeOwned;

use super::by_time::ByTime;
use super::registry::key_key;
use super::webhooks::webhook_key;
use super::{Attributes, Dynamo, key, number, read, sdk_error, text};
use crate::item::{
    KeyRefItem, RUNNING_JOBS, audit_key, called_url_key, door_key, idempotency_key, jobs_key, key_refs,
    source_health_key,
};
use crate::{Erasure, Found, OutcomeKey, StoreError};

impl Erasure for Dynamo {
    async fn events_page(
        &self,
        organization: &OrganizationId,
        after: Option<&str>,
        limit: u16,
    ) -> Result<Found<EventId>, StoreError> {
        let index = self.events_by_time(organization);
        self.sharded_page(&index, after, limit, |item| parsed(item, "id")).await
    }

    async fn outcomes_page(
        &self,
        organization: &OrganizationId,
        after: Option<&str>,
        limit: u16,
    ) -> Result<Found<OutcomeKey>, StoreError> {
        let index = self.outcomes_by_time(organization);
        self.sharded_page(&index, after, limit, |item| {
            let is_duplicate = item
                .get("status")
                .and_then(|status| status.as_s().ok())
                .is_some_and(|status| status == "duplicate");
            Some(OutcomeKey {
                id: parsed(item, "id")?,
                is_duplicate,
            })
        })
        .await
    }

    async fn deliveries_page(
        &self,
        webhook: &WebhookId,
        after: Option<&str>,
        limit: u16,
    ) -> Result<Found<EventId>, StoreError> {
        let index = self.deliveries_by_time(webhook);
        self.sharded_page(&index, after, limit, |item| parsed(item, "event"))
            .await
    }

    async fn delete_event(&self, organization: &OrganizationId, id: &EventId) -> Result<bool, StoreError> {
        self.delete_own(&self.tables.events, key([("id", id.as_str())]), organization)
            .await
    }

    async fn delete_deliveries(&self, organization: &OrganizationId, event: &EventId) -> Result<u64, StoreError> {
        let query = self.delivery_query(event).projection_expression("webhook");
        let mut pages = query.into_paginator().items().send();
        let mut deleted = 0;
        while let Some(item) = pages.next().await {
            let item = item.map_err(sdk_error)?;
            if let Some(webhook) = parsed(&item, "webhook") {
                deleted += u64::from(self.delete_delivery(organization, event, &webhook).await?);
            }
        }
        Ok(deleted)
    }

    async fn delete_delivery(
        &self,
        organization: &OrganizationId,
        event: &EventId,
        webhook: &WebhookId,
    ) -> Result<bool, StoreError> {
        let item = key([("event", event.as_str()), ("webhook", webhook.as_str())]);
        self.delete_own(&self.tables.deliveries, item, organization).await
    }

    async fn delete_receipt(&self, organization: &OrganizationId, id: &ReceiptId) -> Result<bool, StoreError> {
        let item = key([("id", id.as_str())]);
        let raw = self.delete_own(&self.tables.inbox, item.clone(), organization).await?;
        let outcome = self.delete_own(&self.tables.receipts, item, organization).await?;
        Ok(raw || outcome)
    }

    async fn source_ids(&self, organization: &OrganizationId) -> Result<Vec<SourceId>, StoreError> {
        let query = self
            .client
            .query()
            .table_name(&self.tables.sources)
            .index_name("by-organization")
            .key_condition_expression("organization = :organization")
            .expression_attribute_values(":organization", text(organization.as_str()));
        let mut pages = query.into_paginator().items().send();
        let mut sources = Vec::new();
        while let Some(item) = pages.next().await {
            sources.extend(parsed::<SourceId>(&item.map_err(sdk_error)?, "id"));
        }
        Ok(sources)
    }

    async fn erase_source(&self, organization: &OrganizationId, id: &SourceId) -> Result<bool, StoreError> {
        let item = key([("id", id.as_str())]);
        let answer = self
            .client
            .get_item()
            .table_name(&self.tables.sources)
            .set_key(Some(item.clone()))
            .consistent_read(true)
            .send()
            .await
            .map_err(sdk_error)?;
        let Some(source) = answer.item.filter(|source| is_of(source, organization)) else {
            return Ok(false);
        };
        let hashes = source.get("tokenHashes").and_then(|hashes| hashes.as_l().ok());
        for hash in hashes.into_iter().flatten().filter_map(|hash| hash.as_s().ok()) {
            self.delete_item(&self.tables.sources, key([("id", &*door_key(hash))]))
                .await?;
        }
        for owner in [id.as_str(), &called_url_key(id)] {
            self.delete_item(&self.tables.secrets, key([("owner", owner)])).await?;
        }
        let health = key([("id", &*source_health_key(id))]);
        self.delete_item(&self.tables.receipts, health).await?;
        self.delete_own(&self.tables.sources, item, organization).await
    }

    async fn erase_webhooks(&self, organization: &OrganizationId, limit: u16) -> Result<u64, StoreError> {
        let query = self
            .client
            .query()
            .table_name(&self.tables.webhooks)
            .key_condition_expression("organization = :organization")
            .expression_attribute_values(":organization", text(organization.as_str()))
            .projection_expression("id");
        let mut deleted = 0;
        for item in first(query, limit).await? {
            let Some(id) = item.get("id").and_then(|id| id.as_s().ok()) else {
                continue;
            };
            // Its secrets first: nothing leads to them any more once it is gone.
            if id.parse::<WebhookId>().is_ok() {
                self.delete_item(&self.tables.secrets, key([("owner", id.as_str())]))
                    .await?;
            }
            self.delete_item(&self.tables.webhooks, webhook_key(organization, id))
                .await?;
            deleted += 1;
        }
        Ok(deleted)
    }

    async fn erase_keys(&self, organization: &OrganizationId, limit: u16) -> Result<u64, StoreError> {
        let partition = key_refs(organization);
        let mut deleted = 0;
        for item in first(self.registry_partition(&partition), limit).await? {
            let id: Option<KeyId> = parsed(&item, "sk");
            let KeyRefItem { hash, .. } = read(item)?;
            let Some(id) = id else { continue };
            self.delete_item(&self.tables.registry, key_key(&hash)).await?;
            let remembered = self.erase_partition(&idempotency_key(&id), limit).await?;
            deleted += remembered;
            if remembered < u64::from(limit) {
                self.delete_item(
                    &self.tables.registry,
                    key([("pk", partition.as_str()), ("sk", id.as_str())]),
                )
                .await?;
                deleted += 1;
            }
        }
        Ok(deleted)
    }

    async fn erase_jobs(&self, organization: &OrganizationId, limit: u16) -> Result<u64, StoreError> {
        let partition = jobs_key(organization);
        for item in first(self.registry_partition(&partition), limit).await? {
            if let Some(id) = item.get("sk").and_then(|id| id.as_s().ok()) {
                self.delete_item(&self.tables.registry, key([("pk", RUNNING_JOBS), ("sk", id)]))
                    .await?;
            }
        }
        self.erase_partition(&partition, limit).await
    }

    async fn erase_audit(&self, organization: &OrganizationId, limit: u16) -> Result<u64, StoreError> {
        self.erase_partition(&audit_key(organization), limit).await
    }
}

impl ByTime<'_> {
    /// The place of an item as a text: `SHARD RANGE OTHERS…`.
    fn place(&self, shard: usize, item: &Attributes) -> String {
        let mut place = shard.to_string();
        for name in [self.range].iter().chain(self.others) {
            let value = match item.get(*name) {
                Some(AttributeValue::S(value) | AttributeValue::N(value)) => value.as_str(),
                _ => "",
            };
            place.push(' ');
            place.push_str(value);
        }
        place
    }

    /// The number and the hash key of the shard that a place names, and its item's keys: none at the shard's beginning.
    fn start(&self, place: &str) -> Result<(usize, &str, Option<Attributes>), StoreError> {
        let wrong = || StoreError::Refused("this is no place to go on from".into());
        let mut parts = place.split(' ');
        let shard: usize = parts.next().and_then(|shard| shard.parse().ok()).ok_or_else(wrong)?;
        let hash = self.shards.get(shard).ok_or_else(wrong)?;
        let Some(range) = parts.next() else {
            return Ok((shard, hash, None));
        };
        let range = match self.range {
            "at" => number(range.parse::<i64>().map_err(|_| wrong())?),
            _ => text(range),
        };
        let mut start = HashMap::from([(self.hash.to_owned(), text(hash)), (self.range.to_owned(), range)]);
        for name in self.others {
            start.insert((*name).to_owned(), text(parts.next().ok_or_else(wrong)?));
        }
        Ok((shard, hash, Some(start)))
    }
}

impl Dynamo {
    /// A page of an index by time, one shard after the other. What cannot be read of it is left out.
    async fn sharded_page<T>(
        &self,
        index: &ByTime<'_>,
        after: Option<&str>,
        limit: u16,
        read: impl Fn(&Attributes) -> Option<T>,
    ) -> Result<Found<T>, StoreError> {
        let (shard, hash, start) = index.start(after.unwrap_or("0"))?;
        let page = self
            .client
            .query()
            .table_name(index.table)
            .index_name(index.name)
            .key_condition_expression("#hash = :hash")
            .expression_attribute_names("#hash", index.hash)
            .expression_attribute_values(":hash", text(hash))
            .set_exclusive_start_key(start)
            .limit(i32::from(limit))
            .send()
            .await
            .map_err(sdk_error)?;
        let next = match page.last_evaluated_key() {
            Some(last) => Some(index.place(shard, last)),
            None => (shard + 1 < index.shards.len()).then(|| (shard + 1).to_string()),
        };
        Ok(Found {
            items: page.items().iter().filter_map(read).collect(),
            examined: u64::try_from(page.count()).unwrap_or_default(),
            next,
        })
    }

    /// Deletes the first items of a partition of the registry.
    async fn erase_partition(&self, partition: &str, limit: u16) -> Result<u64, StoreError> {
        let mut deleted = 0;
        for item in first(self.registry_partition(partition), limit).await? {
            if let Some(id) = item.get("sk").and_then(|id| id.as_s().ok()) {
                self.delete_item(&self.tables.registry, key([("pk", partition), ("sk", id)]))
                    .await?;
                deleted += 1;
            }
        }
        Ok(deleted)
    }

    async fn delete_item(&self, table: &str, item: Attributes) -> Result<(), StoreError> {
        let delete = self.client.delete_item().table_name(table).set_key(Some(item));
        delete.send().await.map_err(sdk_error)?;
        Ok(())
    }

    /// Deletes an item that is there and says that it is this organization's.
    async fn delete_own(
        &self,
        table: &str,
        item: Attributes,
        organization: &OrganizationId,
    ) -> Result<bool, StoreError> {
        let delete = self
            .client
            .delete_item()
            .table_name(table)
            .set_key(Some(item))
            .condition_expression("organization = :organization")
            .expression_attribute_values(":organization", text(organization.as_str()));
        match delete.send().await.map_err(sdk_error) {
            Ok(_) => Ok(true),
            Err(StoreError::Conflict) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// The first items that a query finds, consistently read.
async fn first(query: QueryFluentBuilder, limit: u16) -> Result<Vec<Attributes>, StoreError> {
    let query = query.limit(i32::from(limit)).consistent_read(true);
    let page = query.send().await.map_err(sdk_error)?;
    Ok(page.items.unwrap_or_default())
}

fn is_of(item: &Attributes, organization: &OrganizationId) -> bool {
    parsed::<OrganizationId>(item, "organization").as_ref() == Some(organization)
}

fn parsed<T: DeserializeOwned>(item: &Attributes, name: &str) -> Option<T> {
    let value = item.get(name)?.clone();
    serde_dynamo::from_attribute_value(value).ok()
}
