//! What webhooks were: kept where they are changed, read where it is asked why an event went where it did.

use aws_sdk_dynamodb::types::TransactWriteItem;
use jiff::Timestamp;
use payload::OrganizationId;
use payload::webhook::Webhook;

use super::{Dynamo, put, read, sdk_error};
use crate::history::{History, WebhookHistory, WebhookWas};
use crate::item::{WebhookWasItem, was_all, was_behind};
use crate::{StoreError, Webhooks};

/// The most pages that are read at once, of 1 MB each
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Query.Pagination.html>): a filter has up to 16 KB.
const MAX_PAGES: usize = 4;

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

    /// What ended between two range keys, at most `limit` of it, in at most [`MAX_PAGES`]. What cannot be read is left out.
    async fn were(
        &self,
        organization: &OrganizationId,
        (from, to): (String, String),
        forwards: bool,
        limit: usize,
    ) -> Result<History, StoreError> {
        let mut pages = self
            .webhook_query(organization, &from, &to)
            .consistent_read(false)
            .scan_index_forward(forwards)
            // One more, to know whether there are more.
            .limit(i32::try_from(limit.saturating_add(1)).unwrap_or(i32::MAX))
            .into_paginator()
            .send();
        let (mut were, mut complete, mut looked_at) = (Vec::new(), true, 0);
        for number in 1..=MAX_PAGES {
            let Some(page) = pages.next().await else { break };
            let page = page.map_err(sdk_error)?;
            let goes_on = page.last_evaluated_key.is_some_and(|key| !key.is_empty());
            for item in page.items.unwrap_or_default() {
                if looked_at == limit {
                    return Ok(History { were, complete: false });
                }
                looked_at += 1;
                match read::<WebhookWasItem>(item).and_then(WebhookWas::try_from) {
                    Ok(was) => were.push(was),
                    Err(error) => {
                        complete = false;
                        tracing::error!(%organization, error_type = error.error_type(), "what a webhook was cannot be read");
                    }
                }
            }
            complete &= !(goes_on && number == MAX_PAGES);
        }
        Ok(History { were, complete })
    }
}

impl WebhookHistory for Dynamo {
    async fn webhooks_were(
        &self,
        organization: &OrganizationId,
        at: Timestamp,
        limit: usize,
    ) -> Result<History, StoreError> {
        self.were(organization, (was_behind(at), was_all().1), true, limit)
            .await
    }

    async fn webhooks_deleted(
        &self,
        organization: &OrganizationId,
        at: Timestamp,
        limit: usize,
    ) -> Result<Vec<WebhookWas>, StoreError> {
        let mut history = self
            .were(organization, (was_all().0, was_behind(at)), false, limit)
            .await?;
        history.were.retain(|was| was.deleted);
        Ok(history.were)
    }
}
