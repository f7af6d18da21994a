//! Events and deliveries in the order of their times, from a position on that jobs keep: a time and an id, and not, as in [`walk`](super::walk),
//! a place in each shard.

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use jiff::Timestamp;
use payload::delivery::DeliveryStatus;
use payload::job::Position;
use payload::{EventId, OrganizationId, SourceId, WebhookId};
use serde::Deserialize;

use super::by_time::ByTime;
use super::{Dynamo, number, sdk_error};
use crate::item::timestamp;
use crate::{Moment, StoreError, Timelines};

/// What an index by time holds of an event or a delivery, as far as it is needed here.
#[derive(Deserialize)]
struct IndexEntry {
    /// Of an event.
    id: Option<EventId>,
    /// Of a delivery.
    event: Option<EventId>,
    at: i64,
    status: Option<DeliveryStatus>,
    #[serde(rename = "type")]
    event_type: Option<String>,
    source: Option<SourceId>,
}

impl IndexEntry {
    fn into_moment(self) -> Result<Moment, StoreError> {
        let event = self.id.or(self.event);
        Ok(Moment {
            at: timestamp(self.at)?,
            event: event.ok_or_else(|| StoreError::Unreadable("an entry of an index without an id".into()))?,
            status: self.status,
            event_type: self.event_type,
            source: self.source,
        })
    }
}

impl Timelines for Dynamo {
    async fn events_between(
        &self,
        organization: &OrganizationId,
        since: Timestamp,
        until: Timestamp,
        after: Option<&Position>,
        limit: u16,
    ) -> Result<Vec<Moment>, StoreError> {
        let index = self.events_by_time(organization);
        self.in_order(&index, (since, until), after, limit).await
    }

    async fn deliveries_between(
        &self,
        webhook: &WebhookId,
        since: Timestamp,
        until: Timestamp,
        after: Option<&Position>,
        limit: u16,
    ) -> Result<Vec<Moment>, StoreError> {
        let index = self.deliveries_by_time(webhook);
        self.in_order(&index, (since, until), after, limit).await
    }
}

impl Dynamo {
    /// The first of all shards together.
    async fn in_order(
        &self,
        index: &ByTime<'_>,
        (since, until): (Timestamp, Timestamp),
        after: Option<&Position>,
        limit: u16,
    ) -> Result<Vec<Moment>, StoreError> {
        let since = after.map_or(since, |after| after.at.max(since));
        // An index takes no span that ends before it begins.
        if until < since {
            return Ok(Vec::new());
        }
        let mut moments = Vec::new();
        for shard in &index.shards {
            let (first, last) = (number(since.as_millisecond()), number(until.as_millisecond()));
            let query = self.between(index, shard, first, last);
            moments.extend(of_shard(query, after, usize::from(limit)).await?);
        }
        moments.sort_unstable_by_key(Moment::position);
        moments.truncate(usize::from(limit));
        Ok(moments)
    }
}

/// The first of one shard behind a position. An index orders by time; which comes first of those of the same millisecond is not said, so
/// that all of these are read, and put into the order of their ids.
async fn of_shard(
    query: QueryFluentBuilder,
    after: Option<&Position>,
    limit: usize,
) -> Result<Vec<Moment>, StoreError> {
    let mut entries = query
        .into_paginator()
        .page_size(i32::try_from(limit.saturating_add(1)).unwrap_or(i32::MAX))
        .items()
        .send();
    let mut moments: Vec<Moment> = Vec::new();
    while let Some(item) = entries.next().await {
        let entry: IndexEntry = serde_dynamo::from_item(item.map_err(sdk_error)?)
            .map_err(|error| StoreError::Unreadable(error.to_string()))?;
        let moment = entry.into_moment()?;
        if after.is_some_and(|after| moment.position() <= *after) {
            continue;
        }
        if moments.len() >= limit && moments.last().is_some_and(|last| last.at < moment.at) {
            break;
        }
        moments.push(moment);
    }
    Ok(moments)
}
