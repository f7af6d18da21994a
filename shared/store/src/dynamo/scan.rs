//! Reading whole tables, and finding the events of a receipt.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::scan::ScanOutput;
use aws_sdk_dynamodb::operation::scan::builders::ScanFluentBuilder;
use payload::{Event, EventId, OrganizationId, ReceiptId};
use serde::Deserialize;

use super::{Dynamo, key, number, read, sdk_error, text};
use crate::item::{EventItem, timestamp};
use crate::{Found, ReceiptKey, Scans, Segment, Span, StoreError};

/// What a receipt's item says of it, as far as it is needed here: the rest of it may be what cannot be read.
#[derive(Deserialize)]
struct InboxKey {
    id: ReceiptId,
    organization: OrganizationId,
    at: i64,
}

/// What the index of an organization's events holds of one.
#[derive(Deserialize)]
struct EventKey {
    id: EventId,
    #[serde(default)]
    receipt: Option<ReceiptId>,
}

impl Scans for Dynamo {
    async fn scan_receipts(
        &self,
        segment: &Segment,
        organization: Option<&OrganizationId>,
        span: Span,
        limit: u16,
    ) -> Result<Found<ReceiptKey>, StoreError> {
        let scan = self
            .scan(&self.tables.inbox, segment, span, limit)
            .projection_expression("id, organization, #at");
        let scan = match organization {
            None => scan.filter_expression(IN_SPAN),
            Some(organization) => scan
                .filter_expression(format!("{IN_SPAN} AND organization = :organization"))
                .expression_attribute_values(":organization", text(organization.as_str())),
        };
        let page = scan.send().await.map_err(sdk_error)?;
        found(page, |item| {
            let read: Result<InboxKey, _> = serde_dynamo::from_item(item);
            let InboxKey { id, organization, at } = read.map_err(|error| StoreError::Unreadable(error.to_string()))?;
            Ok(ReceiptKey {
                id,
                organization,
                received_at: timestamp(at)?,
            })
        })
    }

    async fn scan_events(&self, segment: &Segment, span: Span, limit: u16) -> Result<Found<Event>, StoreError> {
        let scan = self.scan(&self.tables.events, segment, span, limit);
        let page = scan.filter_expression(IN_SPAN).send().await.map_err(sdk_error)?;
        found(page, |item| read::<EventItem>(item)?.try_into())
    }

    async fn has_receipt(&self, receipt: &ReceiptKey) -> Result<bool, StoreError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.tables.inbox)
            .set_key(Some(key([("id", receipt.id.as_str())])))
            .projection_expression("id")
            .consistent_read(true)
            .send()
            .await
            .map_err(sdk_error)?;
        Ok(answer.item.is_some())
    }

    async fn events_of_receipt(&self, receipt: &ReceiptKey) -> Result<Vec<EventId>, StoreError> {
        let at = receipt.received_at;
        let until = at.checked_add(jiff::SignedDuration::from_millis(1)).unwrap_or(at);
        let moment = Span { since: at, until };
        let mut events = Vec::new();
        let index = self.events_by_time(&receipt.organization);
        for shard in &index.shards {
            let query = self.in_span(&index, shard, moment);
            let mut pages = query.into_paginator().items().send();
            while let Some(item) = pages.next().await {
                let EventKey { id, receipt: from } = serde_dynamo::from_item(item.map_err(sdk_error)?)
                    .map_err(|error| StoreError::Unreadable(error.to_string()))?;
                if from.as_ref() == Some(&receipt.id) {
                    events.push(id);
                }
            }
        }
        Ok(events)
    }
}

const IN_SPAN: &str = "#at >= :since AND #at < :until";

impl Dynamo {
    /// A page of a table whose items have the attribute `at`, to be filtered by [`IN_SPAN`].
    fn scan(&self, table: &str, segment: &Segment, span: Span, limit: u16) -> ScanFluentBuilder {
        let start = segment.after.as_deref().map(|after| key([("id", after)]));
        self.client
            .scan()
            .table_name(table)
            .segment(i32::from(segment.number))
            .total_segments(i32::from(segment.of))
            .set_exclusive_start_key(start)
            .limit(i32::from(limit))
            .consistent_read(true)
            .set_expression_attribute_names(Some(HashMap::from([("#at".to_owned(), "at".to_owned())])))
            .expression_attribute_values(":since", number(span.since.as_millisecond()))
            .expression_attribute_values(":until", number(span.until.as_millisecond()))
    }
}

/// What can be read of a page. What cannot is told and left out: it must not keep the rest from being found.
fn found<T>(
    page: ScanOutput,
    read: impl Fn(super::Attributes) -> Result<T, StoreError>,
) -> Result<Found<T>, StoreError> {
    let next = page
        .last_evaluated_key
        .and_then(|mut key| key.remove("id"))
        .and_then(|id| id.as_s().ok().cloned());
    let mut items = Vec::new();
    for item in page.items.unwrap_or_default() {
        match read(item) {
            Ok(item) => items.push(item),
            Err(error @ StoreError::Newer { .. }) => return Err(error),
            Err(error) => {
                tracing::error!(
                    error_type = error.error_type(),
                    "a stored item cannot be read and is left out"
                );
            }
        }
    }
    Ok(Found {
        items,
        examined: u64::try_from(page.scanned_count).unwrap_or_default(),
        next,
    })
}
