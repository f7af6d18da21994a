//! Counting what an organization has: nothing of it is handed over.

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::Select;
use payload::{OrganizationId, ReceiptId, WebhookId};

use super::by_time::ByTime;
use super::webhooks::BEHIND_WEBHOOKS;
use super::{Dynamo, number, sdk_error, text};
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
        let (events, outcomes) = (self.events_by_time(organization), self.outcomes_by_time(organization));
        for shard in &events.shards {
            usage.events += count(self.in_span(&events, shard, span)).await?;
        }
        for shard in &outcomes.shards {
            // Their ids sort by time.
            let id_at = |at| text(ReceiptId::first_at_text(at));
            let (first, last) = (id_at(span.since), id_at(span.until));
            usage.other_receipts += count(self.between(&outcomes, shard, first, last)).await?;
        }
        for webhook in self.webhooks_of(organization).await? {
            let deliveries = self.deliveries_by_time(&webhook.id);
            for shard in &deliveries.shards {
                usage.deliveries += count(self.in_span(&deliveries, shard, span)).await?;
            }
        }
        Ok(usage)
    }
}

impl Dynamo {
    /// What one shard of an index whose range key is a time holds of a span.
    pub(super) fn in_span(&self, index: &ByTime<'_>, shard: &str, span: Span) -> QueryFluentBuilder {
        let first = number(span.since.as_millisecond());
        let last = number(span.until.as_millisecond().saturating_sub(1));
        self.between(index, shard, first, last)
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
