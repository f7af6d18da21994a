//! What webhooks were: kept where they are changed, read where it is asked why an event went where it did.

use aws_sdk_dynamodb::types::TransactWriteItem;
use jiff::Timestamp;
use payload::OrganizationId;
use payload::webhook::Webhook;

use super::{Dynamo, put, read, sdk_error, text};
use crate::history::{WebhookHistory, WebhookWas};
use crate::item::{WebhookWasItem, was_all, was_behind};
use crate::{StoreError, Webhooks};

/// What a webhook becomes.
pub(super) enum Becomes<'a> {
    /// This; with `enable` what Hookline disabled is taken back.
    Changed {
        /// What it is from now on.
        after: &'a Webhook,
        /// Whether what Hookline disabled by itself is taken back.
        enable: bool,
    },
    /// It is gone.
    Deleted,
}

impl Dynamo {
    /// The write that keeps what a webhook is until now, where that decides which events it gets; for the transaction that changes it.
    pub(super) async fn keep(
        &self,
        before: &Webhook,
        revision: u64,
        becomes: Becomes<'_>,
    ) -> Result<Option<TransactWriteItem>, StoreError> {
        let Some(entry) = &self.audit else { return Ok(None) };
        let health = self.health(&before.organization, &before.id).await?;
        let is_disabled = health.as_ref().is_some_and(|health| health.disabled.is_some());
        let decides = match &becomes {
            Becomes::Deleted => true,
            Becomes::Changed { after, enable } => {
                before.filter != after.filter || before.enabled != after.enabled || (*enable && is_disabled)
            }
        };
        if !decides {
            return Ok(None);
        }
        let deleted = matches!(becomes, Becomes::Deleted);
        let item = WebhookWasItem::new(
            before,
            revision,
            health.as_ref(),
            entry.at,
            deleted,
            self.retention.event_days,
        )?;
        put(&self.tables.webhooks, &item).map(Some)
    }

    /// What ended between two range keys, at most `limit` of it. What cannot be read is left out.
    async fn were(
        &self,
        organization: &OrganizationId,
        (from, to): (String, String),
        forwards: bool,
        limit: usize,
    ) -> Result<Vec<WebhookWas>, StoreError> {
        let mut items = self
            .client
            .query()
            .table_name(&self.tables.webhooks)
            .key_condition_expression("organization = :organization AND id BETWEEN :from AND :to")
            .expression_attribute_values(":organization", text(organization.as_str()))
            .expression_attribute_values(":from", text(from))
            .expression_attribute_values(":to", text(to))
            .scan_index_forward(forwards)
            .into_paginator()
            .items()
            .send();
        let mut were = Vec::new();
        let mut looked_at = 0;
        while looked_at < limit {
            let Some(item) = items.next().await else { break };
            looked_at += 1;
            match read::<WebhookWasItem>(item.map_err(sdk_error)?).and_then(WebhookWas::try_from) {
                Ok(was) => were.push(was),
                Err(error) => {
                    tracing::error!(%organization, error_type = error.error_type(), "what a webhook was cannot be read");
                }
            }
        }
        Ok(were)
    }
}

impl WebhookHistory for Dynamo {
    async fn webhooks_were(
        &self,
        organization: &OrganizationId,
        at: Timestamp,
        limit: usize,
    ) -> Result<Vec<WebhookWas>, StoreError> {
        self.were(organization, (was_behind(at), was_all().1), true, limit)
            .await
    }

    async fn webhooks_deleted(
        &self,
        organization: &OrganizationId,
        at: Timestamp,
        limit: usize,
    ) -> Result<Vec<WebhookWas>, StoreError> {
        let mut were = self
            .were(organization, (was_all().0, was_behind(at)), false, limit)
            .await?;
        were.retain(|was| was.deleted);
        Ok(were)
    }
}
