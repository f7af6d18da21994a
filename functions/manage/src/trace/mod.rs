//! `GET /v1/trace`: where it went, from the request that was received to each attempt, and why it did not go elsewhere.

mod sent;
mod webhooks;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use futures::future::try_join_all;
use jiff::Timestamp;
use payload::event::SourceRef;
use payload::scheme::Proof;
use payload::{Clock, Event, EventId, OrganizationId, ReceiptId, TraceId, WebhookId};
use serde::{Deserialize, Serialize};
use store::lists::{EventsWanted, Order, Span, Walk};

use crate::auth::Reader;
use crate::events_list::provider_id;
use crate::page::{Cursor, Limit, Page, Query};
use crate::problem::ApiError;
use crate::receipts::{self, Status};
use crate::{App, Store};
use sent::Sent;
use webhooks::{MatchedWebhook, Registered, UnmatchedWebhook};

/// The most events that one answer follows: one receipt may have become many.
const MAX_EVENTS: usize = 5;

/// The parameters of `GET /v1/trace`: exactly one of the first four.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct TraceQuery {
    /// The id of a receipt or of an event; whatever else it is, it is taken for an id of the provider's.
    #[param(min_length = 1, max_length = 1024)]
    id: Option<String>,
    /// The id of a receipt.
    receipt: Option<ReceiptId>,
    /// The id of an event.
    event: Option<EventId>,
    /// The id that the provider gave to what it sent, or a publisher to an event.
    #[param(min_length = 1, max_length = 1024)]
    provider_event_id: Option<String>,
    /// The most webhooks that are listed as not matched, of each event.
    #[param(inline)]
    limit: Limit,
    /// Where to go on with these, for one event by its id: `unmatched.next` of the answer before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor<WebhookId>>,
}

/// Where it went.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Trace {
    /// The requests that were received, as far as they are still kept.
    receipts: Vec<ReceiptTrace>,
    /// The events that came of them, or that they repeat.
    events: Vec<EventTrace>,
    /// The ids of further events, which are traced one by one.
    more_events: Vec<EventId>,
}

/// A request that was received, and what became of it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReceiptTrace {
    /// The receipt.
    #[serde(flatten)]
    view: receipts::View,
    /// The request's method; `null` when the request itself is not kept any more.
    #[schema(required)]
    method: Option<String>,
    /// The length of its body, in bytes.
    #[schema(required)]
    size: Option<usize>,
    /// The media type of its body, as the sender named it.
    #[schema(required)]
    content_type: Option<String>,
}

/// An event, and which webhooks got it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EventTrace {
    /// Its id.
    id: EventId,
    /// What happened.
    #[serde(rename = "type")]
    event_type: String,
    /// When it happened, as its provider says.
    timestamp: Timestamp,
    /// When it reached us.
    received_at: Timestamp,
    /// Where it came from; `null` when it was published.
    #[schema(required)]
    source: Option<SourceRef>,
    /// The receipt that it was made of; `null` when it was published.
    #[schema(required)]
    receipt: Option<ReceiptId>,
    /// The id that its provider gave it, or its publisher.
    #[schema(required)]
    provider_event_id: Option<String>,
    /// The trace id under which logs tell of it, and which each attempt carries in `traceparent`.
    trace: TraceId,
    /// What its signature covered; `null` when it was published.
    #[schema(required)]
    verified: Option<Proof>,
    /// The time as of which the webhooks are looked at: that of its first delivery that no job asked for, or
    /// where there is none that of its arrival.
    as_of: Timestamp,
    /// Whether every change of a webhook since then is taken into account: `false` when there are too many, or they are too
    /// long, to be read at once.
    history_complete: bool,
    /// The webhooks that it was, or is, delivered to, by their ids; 100 at most.
    matched: Vec<MatchedWebhook>,
    /// How many webhooks these are.
    matched_count: usize,
    /// The webhooks that it is not delivered to and why, by their ids.
    unmatched: Page<UnmatchedWebhook>,
}

/// What is traced.
enum Subject {
    Receipt(ReceiptId),
    Event(EventId),
    ProviderId(String),
}

impl TraceQuery {
    fn subject(&mut self) -> Result<Subject, ApiError> {
        let of_id = self.id.take().map(|id| match (id.parse(), id.parse()) {
            (Ok(receipt), _) => Ok(Subject::Receipt(receipt)),
            (_, Ok(event)) => Ok(Subject::Event(event)),
            _ => match provider_id(id) {
                Ok(id) => Ok(Subject::ProviderId(id)),
                Err(_) => Err(ApiError::parameter("id", "is too long for an id, or empty")),
            },
        });
        let subjects = [
            of_id,
            self.receipt.take().map(|id| Ok(Subject::Receipt(id))),
            self.event.take().map(|id| Ok(Subject::Event(id))),
            (self.provider_event_id.take()).map(|id| provider_id(id).map(Subject::ProviderId)),
        ];
        let mut subjects = subjects.into_iter().flatten();
        match (subjects.next(), subjects.next()) {
            (Some(subject), None) => subject,
            _ => Err(ApiError::parameter(
                "id",
                "must be given, or one of receipt, event and providerEventId, and no more than one of them",
            )),
        }
    }
}

/// Tells where a receipt or an event went.
///
/// From the request that was received to each attempt, and why it did not go elsewhere: by the webhooks as they were then.
#[utoipa::path(
    get, path = "/v1/trace", operation_id = "getTrace", tag = "Trace",
    params(TraceQuery),
    responses(
        (status = 200, description = "Where it went.", body = Trace),
        (status = 404, description = "[not-found] Nothing of that id is there, or it belongs to another organization."),
    ),
    security(("key" = ["read"])),
)]
pub(crate) async fn read<S: Store, C: Clock>(
    State(app): State<Arc<App<S, C>>>,
    caller: Reader,
    Query(mut query): Query<TraceQuery>,
) -> Result<Json<Trace>, ApiError> {
    let (store, organization) = (&app.store, caller.organization());
    let subject = query.subject()?;
    if query.cursor.is_some() && !matches!(subject, Subject::Event(_)) {
        return Err(ApiError::parameter(
            "cursor",
            "goes on only where one event is traced by its id",
        ));
    }
    let mut receipts = Vec::new();
    let mut ids = match subject {
        Subject::Receipt(id) => {
            let receipt = receipt(store, organization, id).await?;
            let events = match &receipt.view.status {
                Status::Accepted { events } => events.clone(),
                Status::Duplicate { event } => vec![event.clone()],
                Status::Received | Status::Rejected { .. } => Vec::new(),
            };
            receipts.push(receipt);
            events
        }
        Subject::Event(id) => vec![id],
        Subject::ProviderId(id) => with_provider_id(store, organization, id).await?,
    };
    let more_events = ids.split_off(ids.len().min(MAX_EVENTS));
    let mut events = Vec::new();
    for id in &ids {
        let event = store.event(id).await?;
        events.extend(event.filter(|event| event.organization == *organization));
    }
    if receipts.is_empty() {
        if events.is_empty() {
            return Err(ApiError::NotFound);
        }
        receipts = receipts_of(store, organization, &events).await?;
    }
    let sent = try_join_all(events.iter().map(|event| Sent::read(store, event))).await?;
    let mut traced = Vec::new();
    // What webhooks were is read once, from the earliest of the times on.
    if let Some(since) = sent.iter().map(|sent| sent.as_of).min() {
        let registered = Registered::read(store, organization, since).await?;
        for (event, sent) in events.into_iter().zip(sent) {
            traced.push(trace(&registered, event, sent, &query)?);
        }
    }
    Ok(Json(Trace {
        receipts,
        events: traced,
        more_events,
    }))
}

/// The events with this id of their provider's, oldest first.
async fn with_provider_id<S: Store>(
    store: &S,
    organization: &OrganizationId,
    id: String,
) -> Result<Vec<EventId>, ApiError> {
    let wanted = EventsWanted {
        provider_event_id: Some(id),
        ..EventsWanted::default()
    };
    let walk = Walk {
        span: Span::default(),
        order: Order::Ascending,
        after: None,
        limit: Limit::MOST,
    };
    let page = store.events_page(organization, &wanted, walk).await?;
    Ok(page.rows.into_iter().map(|row| row.id).collect())
}

async fn receipt<S: Store>(store: &S, organization: &OrganizationId, id: ReceiptId) -> Result<ReceiptTrace, ApiError> {
    let view = receipts::find(store, organization, id.clone()).await?;
    let raw = store.receipt(&id).await?;
    let raw = raw.filter(|raw| raw.organization == *organization);
    Ok(ReceiptTrace {
        view,
        method: raw.as_ref().map(|raw| raw.method.clone()),
        size: raw.as_ref().map(|raw| raw.body.len()),
        content_type: raw.and_then(|raw| raw.content_type()),
    })
}

/// The receipts that events were made of, each once, as far as they are still kept.
async fn receipts_of<S: Store>(
    store: &S,
    organization: &OrganizationId,
    events: &[Event],
) -> Result<Vec<ReceiptTrace>, ApiError> {
    let mut ids: Vec<&ReceiptId> = events.iter().filter_map(|event| event.receipt.as_ref()).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut receipts = Vec::new();
    for id in ids {
        match receipt(store, organization, id.clone()).await {
            Ok(receipt) => receipts.push(receipt),
            Err(ApiError::NotFound) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(receipts)
}

fn trace(registered: &Registered, event: Event, sent: Sent, query: &TraceQuery) -> Result<EventTrace, ApiError> {
    let after = query.cursor.as_ref().map(|Cursor(webhook)| webhook);
    let found = registered.went_to(&event, sent, after, query.limit.rows())?;
    Ok(EventTrace {
        trace: event.trace(),
        id: event.id,
        event_type: event.meta.event_type,
        timestamp: event.meta.timestamp,
        received_at: event.received_at,
        source: event.meta.source,
        receipt: event.receipt,
        provider_event_id: event.meta.provider_event_id,
        verified: event.meta.verified,
        as_of: found.as_of,
        history_complete: found.history_complete,
        matched_count: found.matched_count,
        matched: found.matched,
        unmatched: found.unmatched,
    })
}
