//! Counting what an organization has: nothing of it is handed over.

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::Select;
use payload::{OrganizationId, ReceiptId, WebhookId};

use super::webhooks::BEHIND_WEBHOOKS;
use super::{Dynamo, number, sdk_error, text};
use crate::item::time_shards;
use crate::{RegistrationCounts, Span, StoreError, Usage, UsageCounts, Webhooks};

impl RegistrationCounts for Dynamo {
    async fn count_sources(&self, organization: &OrganizationId) -> Result<u64, StoreError> {
        count(self.source_query(organization)).await
    }

    async fn count_webhooks(&self, organization: &OrganizationId) -> Result<u64, StoreError> {
        count(self.webhook_query(organization, WebhookId::PREFIX, BEHIND_WEBHOOKS)).await
    }

    async fn count_keys(&self, organization: &OrganizationId) -> Result<u64, StoreError> {
        count(self.key_query(organization)).await
    }
}

impl UsageCounts for Dynamo {
    async fn usage(&self, organization: &OrganizationId, span: Span) -> Result<Usage, StoreError> {
        let mut usage = Usage {
            sources: self.count_sources(organization).await?,
            webhooks: self.count_webhooks(organization).await?,
            keys: self.count_keys(organization).await?,
            ..Usage::default()
        };
        for shard in time_shards(organization.as_str()) {
            usage.events +=
                count(self.in_span(&self.tables.events, "by-organization", "orgShard", &shard, span)).await?;
            usage.other_receipts += count(self.receipts_in_span(&shard, span)).await?;
        }
        for webhook in self.webhooks_of(organization).await? {
            for shard in time_shards(webhook.id.as_str()) {
                let deliveries = self.in_span(&self.tables.deliveries, "by-webhook", "webhookShard", &shard, span);
                usage.deliveries += count(deliveries).await?;
            }
        }
        Ok(usage)
    }
}

impl Dynamo {
    /// What an index by time holds of a span.
    pub(super) fn in_span(
        &self,
        table: &str,
        index: &str,
        hash_key: &str,
        shard: &str,
        span: Span,
    ) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(table)
            .index_name(index)
            .key_condition_expression("#shard = :shard AND #at BETWEEN :since AND :last")
            .expression_attribute_names("#shard", hash_key)
            .expression_attribute_names("#at", "at")
            .expression_attribute_values(":shard", text(shard))
            .expression_attribute_values(":since", number(span.since.as_millisecond()))
            .expression_attribute_values(":last", number(span.until.as_millisecond().saturating_sub(1)))
    }

    /// The outcomes of receipts that came within a span: their ids sort by time.
    fn receipts_in_span(&self, shard: &str, span: Span) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(&self.tables.receipts)
            .index_name("by-organization")
            .key_condition_expression("orgShard = :shard AND id BETWEEN :since AND :until")
            .expression_attribute_values(":shard", text(shard))
            .expression_attribute_values(":since", text(ReceiptId::first_at_text(span.since)))
            .expression_attribute_values(":until", text(ReceiptId::first_at_text(span.until)))
    }
}

async fn count(query: QueryFluentBuilder) -> Result<u64, StoreError> {
    let mut pages = query.select(Select::Count).into_paginator().send();
    let mut sum = 0;
    while let Some(page) = pages.next().await {
        sum += u64::try_from(page.map_err(sdk_error)?.count()).unwrap_or_default();
    }
    Ok(sum)
}
