//! `GET /v1/events`: what arrived, by time.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use payload::filter::TypePattern;
use payload::{Clock, EventId, ReceiptId, SourceId};
use serde::{Deserialize, Serialize};
use store::lists::{EventKey, EventRow, EventsWanted, Place, Walk};

use crate::auth::Reader;
use crate::page::{self, Cursor, Limit, Order, Page, Query};
use crate::problem::ApiError;
use crate::{App, Store};

/// The longest id of a provider's that is looked for, in bytes.
const MAX_PROVIDER_ID_BYTES: usize = 1024;

/// The parameters of `GET /v1/events`: everything that is given must hold.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventsQuery {
    /// The type of the events, or with `*` for any part of it: `live.audio.*`.
    #[serde(rename = "type")]
    #[param(value_type = Option<String>)]
    event_type: Option<TypePattern>,
    /// The source that they came in through.
    source: Option<SourceId>,
    /// The id that their provider gave them, or their publisher.
    #[param(min_length = 1, max_length = 1024)]
    provider_event_id: Option<String>,
    /// They reached us at that time or later.
    since: Option<Timestamp>,
    /// They reached us before that time.
    until: Option<Timestamp>,
    /// By the time they reached us: newest first (`desc`) or oldest first (`asc`).
    #[param(inline)]
    order: Order,
    /// The most rows of the page.
    #[param(inline)]
    limit: Limit,
    /// Where to go on: `next` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor<Place<EventKey>>>,
}

/// One event in a list.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EventSummary {
    /// Its id.
    id: EventId,
    /// What happened.
    #[serde(rename = "type")]
    event_type: String,
    /// When it happened, as its provider says.
    timestamp: Timestamp,
    /// When it reached us.
    received_at: Timestamp,
    /// The source that it came in through; `null` when it was published.
    #[schema(required)]
    source: Option<SourceId>,
    /// The receipt that it was made of; `null` when it was published.
    #[schema(required)]
    receipt: Option<ReceiptId>,
}

impl From<EventRow> for EventSummary {
    fn from(row: EventRow) -> Self {
        let EventRow {
            id,
            event_type,
            timestamp,
            received_at,
            source,
            receipt,
        } = row;
        Self {
            id,
            event_type,
            timestamp,
            received_at,
            source,
            receipt,
        }
    }
}

/// Lists the organization's events.
///
/// A page looks at 1,000 of them at most, so that one with filters may end before it is full.
#[utoipa::path(
    get, path = "/v1/events", operation_id = "listEvents", tag = "Events",
    params(EventsQuery),
    responses((status = 200, description = "One page of them.", body = Page<EventSummary>)),
    security(("key" = ["read"])),
)]
pub(crate) async fn list<S: Store, C: Clock>(
    State(app): State<Arc<App<S, C>>>,
    caller: Reader,
    Query(query): Query<EventsQuery>,
) -> Result<Json<Page<EventSummary>>, ApiError> {
    let span = page::span(query.since, query.until)?;
    let wanted = EventsWanted {
        event_type: query.event_type,
        source: query.source,
        provider_event_id: query.provider_event_id.map(provider_id).transpose()?,
        receipt: None,
    };
    let walk = Walk {
        span,
        order: query.order.into(),
        after: query.cursor.as_ref().map(|Cursor(place)| place),
        limit: query.limit.rows(),
    };
    let found = app.store.events_page(caller.organization(), &wanted, walk).await?;
    let rows = found.rows.into_iter().map(EventSummary::from).collect();
    Ok(Json(Page::new(rows, found.next)))
}

/// An id that may be one of a provider's.
pub(crate) fn provider_id(id: String) -> Result<String, ApiError> {
    if id.is_empty() || id.len() > MAX_PROVIDER_ID_BYTES {
        let problem = format!("must have 1 to {MAX_PROVIDER_ID_BYTES} bytes");
        return Err(ApiError::parameter("providerEventId", problem));
    }
    Ok(id)
}
