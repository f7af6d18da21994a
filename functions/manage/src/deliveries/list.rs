//! `GET /v1/deliveries`: those to a webhook, those of an event, those that are not settled, or all.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use payload::delivery::{Delivery, DeliveryStatus};
use payload::{Clock, EventId, OrganizationId, WebhookId};
use serde::{Deserialize, Serialize};
use store::StoreError;
use store::lists::{self, DeliveryKey, EventKey, EventsWanted, Place, Span, Walk};

use super::{DeliveryId, DeliveryView, find};
use crate::auth::Reader;
use crate::page::{self, Cursor, Limit, Order, Page, Query};
use crate::problem::ApiError;
use crate::{App, Store};

/// How many events are looked at where all deliveries are listed.
const MAX_EVENTS: usize = 100;

/// How many deliveries are looked at there.
const MAX_LOOKED_AT: usize = 1000;

/// Of how many events the deliveries are read at the same time.
const CONCURRENCY: usize = 16;

/// The parameters of `GET /v1/deliveries`: everything that is given must hold.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeliveriesQuery {
    /// To this webhook, also one that was deleted.
    webhook: Option<WebhookId>,
    /// Of this event.
    event: Option<EventId>,
    /// With this status.
    #[param(inline)]
    status: Option<DeliveryStatus>,
    /// First recorded at that time or later; where all deliveries are listed: of events that reached us then.
    since: Option<Timestamp>,
    /// First recorded before that time; where all deliveries are listed: of events that reached us then.
    until: Option<Timestamp>,
    /// By time: newest first (`desc`) or oldest first (`asc`). Those of one event come by the ids of their webhooks, which sort by the
    /// time that the webhooks were made.
    #[param(inline)]
    order: Order,
    /// The most rows of the page.
    #[param(inline)]
    limit: Limit,
    /// Where to go on: `next` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor<DeliveriesPlace>>,
}

/// A place in one of the lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum DeliveriesPlace {
    /// Of a webhook, or of what is not settled.
    #[serde(rename = "t")]
    ByTime(Place<DeliveryKey>),
    /// Of an event: behind this webhook.
    #[serde(rename = "e")]
    OfEvent(WebhookId),
    /// Of all, event by event: behind this one, and in the event after it behind that delivery.
    #[serde(rename = "a")]
    OfAll {
        #[serde(rename = "b")]
        behind: Option<Place<EventKey>>,
        #[serde(rename = "i")]
        inside: Option<(EventId, WebhookId)>,
    },
}

/// The cursor belongs to another list than this.
fn foreign_cursor() -> ApiError {
    ApiError::parameter("cursor", "is not a cursor that this list gave out")
}

/// Deliveries, and where to go on.
type Found = (Vec<Delivery>, Option<DeliveriesPlace>);

/// What is asked for, in its parts.
struct Asked<'a> {
    organization: &'a OrganizationId,
    status: Option<DeliveryStatus>,
    span: Span,
    order: lists::Order,
    limit: usize,
}

impl Asked<'_> {
    fn takes(&self, delivery: &Delivery) -> bool {
        delivery.organization == *self.organization
            && self.status.is_none_or(|status| delivery.status == status)
            && self.span.contains(delivery.created_at)
    }

    fn walk<'w>(&self, after: Option<&'w Place<DeliveryKey>>) -> Walk<'w, DeliveryKey> {
        Walk {
            span: self.span,
            order: self.order,
            after,
            limit: self.limit,
        }
    }
}

/// Lists deliveries.
///
/// Those of a webhook and those that are due or exhausted have indexes of their own; all others are found by going
/// through the organization's events, so that a page may end before it is full.
#[utoipa::path(
    get, path = "/v1/deliveries", operation_id = "listDeliveries", tag = "Deliveries",
    params(DeliveriesQuery),
    responses((status = 200, description = "One page of them.", body = Page<DeliveryView>)),
    security(("key" = ["read"])),
)]
pub(crate) async fn list<S: Store, C: Clock>(
    State(app): State<Arc<App<S, C>>>,
    caller: Reader,
    Query(query): Query<DeliveriesQuery>,
) -> Result<Json<Page<DeliveryView>>, ApiError> {
    let asked = Asked {
        organization: caller.organization(),
        status: query.status,
        span: page::span(query.since, query.until)?,
        order: query.order.into(),
        limit: query.limit.rows(),
    };
    let store = &app.store;
    let place = query.cursor.map(|Cursor(place)| place);
    let (deliveries, next) = match (query.event, query.webhook) {
        (Some(event), Some(webhook)) => {
            let one = find(store, asked.organization, &DeliveryId { event, webhook }).await?;
            (one.into_iter().filter(|one| asked.takes(one)).collect(), None)
        }
        (Some(event), None) => of_event(store, &asked, &event, place).await?,
        (None, Some(webhook)) => to_webhook(store, &asked, &webhook, place).await?,
        (None, None) => match asked.status {
            Some(status @ (DeliveryStatus::Due | DeliveryStatus::Exhausted)) => {
                unsettled(store, &asked, status, place).await?
            }
            _ => all(store, &asked, place).await?,
        },
    };
    let rows = deliveries.into_iter().map(DeliveryView::from).collect();
    Ok(Json(Page::new(rows, next)))
}

fn by_time(place: Option<DeliveriesPlace>) -> Result<Option<Place<DeliveryKey>>, ApiError> {
    match place {
        None => Ok(None),
        Some(DeliveriesPlace::ByTime(place)) => Ok(Some(place)),
        Some(_) => Err(foreign_cursor()),
    }
}

async fn to_webhook<S: Store>(
    store: &S,
    asked: &Asked<'_>,
    webhook: &WebhookId,
    place: Option<DeliveriesPlace>,
) -> Result<Found, ApiError> {
    let after = by_time(place)?;
    if !is_ours(store, asked.organization, webhook).await? {
        return Ok((Vec::new(), None));
    }
    let page = store
        .deliveries_to(asked.organization, webhook, asked.status, asked.walk(after.as_ref()))
        .await?;
    Ok((page.rows, page.next.map(DeliveriesPlace::ByTime)))
}

/// Whether a webhook is or was one of this organization's: of another's not even the number of its deliveries may show. Of one that was
/// deleted its deliveries say whose it was.
async fn is_ours<S: Store>(store: &S, organization: &OrganizationId, webhook: &WebhookId) -> Result<bool, StoreError> {
    if store.webhook(organization, webhook).await?.is_some() {
        return Ok(true);
    }
    let newest = Walk {
        span: Span::default(),
        order: lists::Order::Descending,
        after: None,
        limit: 1,
    };
    let newest = store.deliveries_to(organization, webhook, None, newest).await?;
    Ok(!newest.rows.is_empty())
}

async fn unsettled<S: Store>(
    store: &S,
    asked: &Asked<'_>,
    status: DeliveryStatus,
    place: Option<DeliveriesPlace>,
) -> Result<Found, ApiError> {
    let after = by_time(place)?;
    let page = store
        .unsettled(asked.organization, status, asked.walk(after.as_ref()))
        .await?;
    Ok((page.rows, page.next.map(DeliveriesPlace::ByTime)))
}

async fn of_event<S: Store>(
    store: &S,
    asked: &Asked<'_>,
    event: &EventId,
    place: Option<DeliveriesPlace>,
) -> Result<Found, ApiError> {
    let after = match place {
        None => None,
        Some(DeliveriesPlace::OfEvent(webhook)) => Some(webhook),
        Some(_) => return Err(foreign_cursor()),
    };
    // One more than asked for shows whether there is another page.
    let mut deliveries = store
        .deliveries_of_page(event, after.as_ref(), asked.order, asked.limit.saturating_add(1))
        .await?;
    let is_more = deliveries.len() > asked.limit;
    deliveries.truncate(asked.limit);
    // All deliveries of an event have one organization: of another's event not even that there are more may show.
    let last = deliveries
        .last()
        .filter(|last| is_more && last.organization == *asked.organization);
    let next = last.map(|last| DeliveriesPlace::OfEvent(last.webhook.clone()));
    Ok((deliveries.into_iter().filter(|one| asked.takes(one)).collect(), next))
}

/// Event by event.
async fn all<S: Store>(store: &S, asked: &Asked<'_>, place: Option<DeliveriesPlace>) -> Result<Found, ApiError> {
    let (mut behind, mut inside) = match place {
        None => (None, None),
        Some(DeliveriesPlace::OfAll { behind, inside }) => (behind, inside),
        Some(_) => return Err(foreign_cursor()),
    };
    let walk = Walk {
        span: asked.span,
        order: asked.order,
        after: behind.as_ref(),
        limit: MAX_EVENTS,
    };
    let everything = EventsWanted::default();
    let events = store.events_page(asked.organization, &everything, walk).await?;
    // Newest first, the list begins where it began with the first page: what arrives meanwhile is not part of it.
    let is_falling = asked.order == lists::Order::Descending;
    if let Some(first) = events.rows.first().filter(|_| is_falling && behind.is_none()) {
        behind = Some(Place::in_front_of(first));
    }
    // The first deliveries of each event are read before it is its turn.
    let first = |event: EventId, after: Option<WebhookId>| async move {
        store
            .deliveries_of_page(&event, after.as_ref(), lists::Order::Ascending, asked.limit)
            .await
    };
    // Only where the event is still there that the page before broke off in.
    let goes_on = |event: &EventId| match &inside {
        Some((broken_off, webhook)) if broken_off == event => Some(webhook.clone()),
        _ => None,
    };
    let starts: Vec<(EventId, Option<WebhookId>)> = (events.rows.iter())
        .map(|row| (row.id.clone(), goes_on(&row.id)))
        .collect();
    let mut pages = stream::iter(starts)
        .map(|(event, after)| first(event, after))
        .buffered(CONCURRENCY);
    let (mut rows, mut looked_at) = (Vec::new(), 0);
    for event in &events.rows {
        let mut deliveries = pages.try_next().await?.unwrap_or_default();
        inside = None;
        loop {
            let is_last = deliveries.len() < asked.limit;
            for delivery in deliveries {
                if rows.len() == asked.limit || looked_at == MAX_LOOKED_AT {
                    return Ok((rows, Some(DeliveriesPlace::OfAll { behind, inside })));
                }
                looked_at += 1;
                inside = Some((delivery.event.clone(), delivery.webhook.clone()));
                // The span is one of the events here.
                let is_wanted = asked.status.is_none_or(|status| delivery.status == status);
                if is_wanted && delivery.organization == *asked.organization {
                    rows.push(delivery);
                }
            }
            if is_last {
                break;
            }
            let after = inside.as_ref().map(|(_, webhook)| webhook.clone());
            deliveries = first(event.id.clone(), after).await?;
        }
        behind = Some(Place::behind(behind.as_ref(), event));
    }
    let next = events.next.map(|next| DeliveriesPlace::OfAll {
        behind: Some(next),
        inside: None,
    });
    Ok((rows, next))
}
