//! `/v1/receipts`: what became of a request that was received.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use jiff::{SignedDuration, Timestamp};
use payload::receipt::{ReceiptOutcome, ReceiptStatus};
use payload::scheme::Proof;
use payload::{Clock, EventId, OrganizationId, Receipt, ReceiptId, SourceId, TraceId, preset};
use serde::{Deserialize, Serialize};
use store::StoreError;
use store::lists::{self, EventRow, EventsWanted, OutcomesWanted, Place, ReceiptKey, Span, Walk};

use crate::auth::Reader;
use crate::body::Id;
use crate::page::{self, Cursor, Limit, Order, Page, Query};
use crate::problem::ApiError;
use crate::{App, Store};

/// The most pages of events that are looked through for those of one receipt: all of them arrived within one millisecond.
const MAX_PAGES: usize = 5;

/// One HTTP request as it arrived, and what became of it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Receipt)]
pub(crate) struct View {
    /// Its id.
    id: ReceiptId,
    /// The source that it came in through.
    source: SourceId,
    /// When it arrived.
    received_at: Timestamp,
    /// The trace id under which logs tell of it; absent where the request itself is not kept any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<TraceId>,
    /// What became of it.
    #[serde(flatten)]
    pub(crate) status: Status,
}

/// What is known of a receipt.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = ReceiptStatus)]
#[serde(tag = "status", rename_all = "snake_case")]
pub(crate) enum Status {
    /// Stored; nothing more is known yet.
    Received,
    /// It became events.
    Accepted {
        /// The events.
        events: Vec<EventId>,
    },
    /// The same event was there already.
    Duplicate {
        /// The event that it repeats.
        event: EventId,
    },
    /// Not verified, or not readable.
    Rejected {
        /// A stable word, such as `signature_mismatch`.
        reason: String,
        /// What happened.
        detail: String,
        /// What a person should look at, where something can be told.
        #[serde(skip_serializing_if = "Option::is_none")]
        hint: Option<String>,
    },
}

impl From<ReceiptOutcome> for View {
    fn from(outcome: ReceiptOutcome) -> Self {
        Self {
            id: outcome.id,
            source: outcome.source,
            received_at: outcome.received_at,
            trace: None,
            status: outcome.status.into(),
        }
    }
}

impl From<ReceiptStatus> for Status {
    fn from(status: ReceiptStatus) -> Self {
        match status {
            ReceiptStatus::Duplicate { event } => Self::Duplicate { event },
            ReceiptStatus::Rejected { reason, detail, hint } => Self::Rejected { reason, detail, hint },
            ReceiptStatus::Accepted { event } => Self::Accepted { events: vec![event] },
        }
    }
}

/// The parameters of `GET /v1/receipts`: everything that is given must hold.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct ReceiptsQuery {
    /// What became of them.
    #[param(inline)]
    status: Option<ListedStatus>,
    /// The source that they came in through.
    source: Option<SourceId>,
    /// They arrived at that time or later.
    since: Option<Timestamp>,
    /// They arrived before that time.
    until: Option<Timestamp>,
    /// By the time they arrived: newest first (`desc`) or oldest first (`asc`).
    #[param(inline)]
    order: Order,
    /// The most rows of the page.
    #[param(inline)]
    limit: Limit,
    /// Where to go on: `next` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor<Place<ReceiptKey>>>,
}

/// What became of a receipt that made no event, or not at first.
#[derive(Debug, Clone, Copy, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ListedStatus {
    /// Not verified, or not readable.
    Rejected,
    /// The same event was there already.
    Duplicate,
    /// Rejected at first, and an event since it was verified again.
    Accepted,
}

impl ListedStatus {
    fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Duplicate => "duplicate",
            Self::Accepted => "accepted",
        }
    }
}

/// Lists the receipts that made no event, or not at first.
///
/// All others are found as the events that they made.
#[utoipa::path(
    get, path = "/v1/receipts", operation_id = "listReceipts", tag = "Receipts",
    params(ReceiptsQuery),
    responses((status = 200, description = "One page of them.", body = Page<View>)),
    security(("key" = ["read"])),
)]
pub(crate) async fn list<S: Store, C: Clock>(
    State(app): State<Arc<App<S, C>>>,
    caller: Reader,
    Query(query): Query<ReceiptsQuery>,
) -> Result<axum::Json<Page<View>>, ApiError> {
    let wanted = OutcomesWanted {
        source: query.source,
        status: query.status.map(ListedStatus::as_str),
    };
    let walk = Walk {
        span: page::span(query.since, query.until)?,
        order: query.order.into(),
        after: query.cursor.as_ref().map(|Cursor(place)| place),
        limit: query.limit.rows(),
    };
    let found = app.store.outcomes_page(caller.organization(), &wanted, walk).await?;
    let rows = found.rows.into_iter().map(View::from).collect();
    Ok(axum::Json(Page::new(rows, found.next)))
}

/// Tells where a receipt went.
#[utoipa::path(
    get, path = "/v1/receipts/{id}", operation_id = "getReceipt", tag = "Receipts",
    params(("id" = ReceiptId, Path, description = "The receipt.")),
    responses((status = 200, description = "What is known of it.", body = View)),
    security(("key" = ["read"])),
)]
pub(crate) async fn read<S: Store, C: Clock>(
    State(app): State<Arc<App<S, C>>>,
    caller: Reader,
    Id(id): Id<ReceiptId>,
) -> Result<Response, ApiError> {
    let view = find(&app.store, caller.organization(), id).await?;
    Ok(axum::Json(view).into_response())
}

/// A receipt of this organization, and where it went.
///
/// Only what made no event has an item of its own, to save a write for each that did. The events of an accepted receipt are found by
/// their ids, which follow from the receipt, and they name it. Where its source is gone, or maps otherwise by now, or the request itself
/// is not kept any more, they are found by the time that they have of it.
pub(crate) async fn find<S: Store>(store: &S, organization: &OrganizationId, id: ReceiptId) -> Result<View, ApiError> {
    let receipt = store.receipt(&id).await?;
    let receipt = receipt.filter(|receipt| receipt.organization == *organization);
    let outcome = store.outcome(&id).await?;
    let outcome = outcome.filter(|outcome| outcome.organization == *organization);
    // Events first: a receipt that was rejected once may have been verified again since.
    let mut events = match &receipt {
        Some(receipt) => events_of(store, receipt).await?,
        None => Vec::new(),
    };
    let mut source_of_event = None;
    let status = outcome.as_ref().map(|outcome| &outcome.status);
    if events.is_empty() && matches!(status, None | Some(ReceiptStatus::Accepted { .. })) {
        let rows = events_naming(store, organization, &id).await?;
        source_of_event = rows.iter().find_map(|row| row.source.clone());
        events = rows.into_iter().map(|row| row.id).collect();
    }
    let status = match outcome.as_ref().map(|outcome| outcome.status.clone()) {
        _ if !events.is_empty() => Status::Accepted { events },
        Some(status) => status.into(),
        None => Status::Received,
    };
    let trace = receipt.as_ref().and_then(|receipt| receipt.trace);
    let (source, received_at) = match (receipt, outcome, source_of_event) {
        (Some(receipt), _, _) => (receipt.source, receipt.received_at),
        (None, Some(outcome), _) => (outcome.source, outcome.received_at),
        (None, None, Some(source)) => (source, id.created_at()),
        (None, None, None) => return Err(ApiError::NotFound),
    };
    Ok(View {
        id,
        source,
        received_at,
        trace,
        status,
    })
}

/// The events that were made of this receipt: those that it would make, as far as they are there and name it. What another receipt made
/// under the same id is not among them, so that a forged request does not pass for an accepted one.
async fn events_of<S: Store>(store: &S, receipt: &Receipt) -> Result<Vec<EventId>, StoreError> {
    let Some(source) = store.source(&receipt.source).await? else {
        return Ok(Vec::new());
    };
    let Some(effective) = source.effective() else {
        return Ok(Vec::new());
    };
    // Only the ids are read of what comes out here: nothing is taken for verified.
    let unproven = Proof::of_nothing("");
    let mut found = Vec::new();
    for candidate in preset::map(&effective, receipt, unproven).unwrap_or_default() {
        if let Some(event) = store.event(&candidate.id).await?
            && event.receipt.as_ref() == Some(&receipt.id)
        {
            found.push(event.id);
        }
    }
    Ok(found)
}

/// The events of this organization that name a receipt: each has the time of its receipt, which the receipt's id begins with. The index is
/// eventually consistent.
async fn events_naming<S: Store>(
    store: &S,
    organization: &OrganizationId,
    id: &ReceiptId,
) -> Result<Vec<EventRow>, StoreError> {
    let at = id.created_at();
    let span = Span {
        since: Some(at),
        until: at.checked_add(SignedDuration::from_millis(1)).ok(),
    };
    let wanted = EventsWanted {
        receipt: Some(id.clone()),
        ..EventsWanted::default()
    };
    let (mut rows, mut after) = (Vec::new(), None);
    for _ in 0..MAX_PAGES {
        let walk = Walk {
            span,
            order: lists::Order::Ascending,
            after: after.as_ref(),
            limit: preset::MAX_EVENTS,
        };
        let page = store.events_page(organization, &wanted, walk).await?;
        rows.extend(page.rows);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    Ok(rows)
}
