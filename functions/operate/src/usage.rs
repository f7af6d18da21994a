//! What an organization has, and had within a span of time.

use delivery::Deadline;
use jiff::{SignedDuration, Timestamp};
use payload::{Clock, OrganizationId};
use serde_json::{Value, json};
use store::{Span, Usage};

use crate::{FailedRecords, Operate, OperateError, Store};

/// The span, where nothing is said.
const A_DAY: SignedDuration = SignedDuration::from_hours(24);

impl<S: Store, F: FailedRecords, C: Clock> Operate<S, F, C> {
    pub(crate) async fn usage(
        &self,
        id: OrganizationId,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
        deadline: Deadline,
    ) -> Result<Value, OperateError> {
        let until = until.unwrap_or_else(|| self.clock.now());
        let since = since.unwrap_or_else(|| until.checked_sub(A_DAY).unwrap_or(Timestamp::MIN));
        let span = checked_span(since, until)?;
        let organization = self.organization(id).await?.id;
        let counting = self.store.usage(&organization, span);
        let time = deadline.remaining().saturating_sub(self.settings.margin / 2);
        let usage = tokio::time::timeout(time, counting)
            .await
            .map_err(|_| OperateError::OutOfTime)??;
        let Usage {
            sources,
            webhooks,
            keys,
            events,
            other_receipts,
            deliveries,
        } = usage;
        tracing::info!(outcome = "read", action = "usage", organization = %organization, "read");
        Ok(json!({
            "organization": organization,
            "since": span.since,
            "until": span.until,
            "sources": sources,
            "webhooks": webhooks,
            "keys": keys,
            "events": events,
            "otherReceipts": other_receipts,
            "deliveries": deliveries,
        }))
    }
}

/// A span that has a beginning and an end, at least a millisecond apart.
pub(crate) fn checked_span(since: Timestamp, until: Timestamp) -> Result<Span, OperateError> {
    if since.as_millisecond() < until.as_millisecond() {
        Ok(Span { since, until })
    } else {
        Err(OperateError::invalid("since", "must lie before the span's end"))
    }
}
