//! `/v1/events`: publish an event of one's own, and see what became of one.

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use payload::event::{Change, Content, Entity, EventMeta, HOPS_HEADER, MAX_HOPS, Scope};
use payload::filter::OPERATIONAL;
use payload::id::{Identity, random};
use payload::{Clock, Event, EventId, OrganizationId, ReceiptId, TraceId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use store::PutEvent;
use store::lists::Order;

use crate::auth::{Publisher, Reader};
use crate::body::{Id, Json};
use crate::deliveries::DeliveryView;
use crate::fields::{optional_text, required, text};
use crate::idempotency::RequestName;
use crate::openapi::schema::{CommonPayload, Content as AnyContent};
use crate::page::Limit;
use crate::problem::ApiError;
use crate::{App, Store};

/// The longest event type, in bytes: as long as a filter's pattern.
pub(crate) const MAX_TYPE_BYTES: usize = 200;

/// The longest id that a publisher may give, in bytes.
pub(crate) const MAX_ID_BYTES: usize = 256;

/// The longest text of another field, in bytes.
pub(crate) const MAX_FIELD_BYTES: usize = 1024;

/// The most entries of `changes`.
pub(crate) const MAX_CHANGES: usize = 200;

/// An event that is to be published: the fields of the common payload that a publisher may fill.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = NewEvent, examples(json!({"type": "report.ready", "id": "report-42", "data": {"report": 42}})))]
pub(crate) struct Publication {
    /// What happened, in words separated by dots. Types that begin with `hookline.` are Hookline's own.
    #[serde(rename = "type")]
    #[schema(value_type = String, min_length = 1, max_length = 200, examples("report.ready"))]
    event_type: Option<String>,
    /// Any JSON value but `null`: it is delivered as it stands here.
    #[schema(value_type = AnyContent)]
    data: Option<Box<RawValue>>,
    /// The publisher's own id: publishing it again changes nothing. It appears as `providerEventId`.
    #[schema(min_length = 1, max_length = 256)]
    id: Option<String>,
    /// When it happened; now where it is absent.
    timestamp: Option<Timestamp>,
    /// What it happened to.
    entity: Option<EntityFields>,
    /// `created`, `updated`, `deleted`, or a word of your own.
    #[schema(min_length = 1, max_length = 1024)]
    action: Option<String>,
    /// Who did it.
    #[schema(min_length = 1, max_length = 1024)]
    actor: Option<String>,
    /// A grouping of your own.
    #[schema(min_length = 1, max_length = 1024)]
    category: Option<String>,
    /// One line for people.
    #[schema(min_length = 1, max_length = 1024)]
    summary: Option<String>,
    /// Your product or application.
    #[schema(min_length = 1, max_length = 1024)]
    application: Option<String>,
    /// The part of your world that it concerns.
    scope: Option<ScopeFields>,
    /// What changed.
    #[serde(default)]
    #[schema(max_items = 200)]
    changes: Vec<ChangeFields>,
    /// What it was before: any JSON value.
    #[schema(value_type = Value, required = false)]
    previous_attributes: Option<Box<RawValue>>,
}

// The payload's own types take unknown fields, as stored items of a later version may have some; a request may not.

/// What an event happened to.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = NewEntity)]
struct EntityFields {
    /// Its kind.
    #[serde(rename = "type")]
    #[schema(min_length = 1, max_length = 1024)]
    kind: Option<String>,
    /// Its kind in more detail.
    #[schema(min_length = 1, max_length = 1024)]
    subtype: Option<String>,
    /// Its id.
    #[schema(min_length = 1, max_length = 1024)]
    id: Option<String>,
}

/// The part of your world that an event concerns.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = NewScope)]
struct ScopeFields {
    /// A pool of inputs, of servers.
    #[schema(min_length = 1, max_length = 1024)]
    pool: Option<String>,
    /// A station.
    #[schema(min_length = 1, max_length = 1024)]
    station: Option<String>,
    /// Your own organization.
    #[schema(min_length = 1, max_length = 1024)]
    organization: Option<String>,
}

/// One thing that changed.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = NewChange)]
struct ChangeFields {
    /// The kind of thing: `field`.
    #[serde(rename = "type")]
    #[schema(value_type = String, min_length = 1, max_length = 256)]
    kind: Option<String>,
    /// Which one.
    #[schema(value_type = String, min_length = 1, max_length = 256)]
    code: Option<String>,
}

/// The name of an event that was published.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = EventReference)]
struct Published {
    /// The event's id.
    id: EventId,
}

/// Publishes an event.
///
/// It is delivered to every webhook whose filter wants it. Publishing the same `id` again changes nothing.
#[utoipa::path(
    post, path = "/v1/events", operation_id = "publishEvent", tag = "Events",
    params(("hookline-hops" = Option<String>, Header, description = "How many hubs the event has gone through, a number: another hub sends it. What is no number counts as too many.")),
    request_body = Publication,
    responses(
        (status = 202, description = "It is stored, and is delivered.", body = Published,
            headers(("location" = String, description = "Where the event is read."))),
        (status = 200, description = "The organization published this `id` before: the id of that event.", body = Published,
            headers(("location" = String, description = "Where the event is read."))),
    ),
    security(("key" = ["publish"])),
)]
pub(crate) async fn publish<S: Store, C: Clock>(
    State(app): State<Arc<App<S, C>>>,
    caller: Publisher,
    Extension(trace): Extension<TraceId>,
    headers: HeaderMap,
    request: Option<Extension<RequestName>>,
    Json(publication): Json<Publication>,
) -> Result<Response, ApiError> {
    let request = request.map(|Extension(RequestName(name))| name);
    let mut event = publication.into_event(caller.organization(), request, app.clock.now())?;
    event.hops = hops(&headers);
    event.trace = Some(trace);
    let status = match app.store.put_event(&event).await? {
        PutEvent::Stored => StatusCode::ACCEPTED,
        PutEvent::OwnRetry | PutEvent::Duplicate => StatusCode::OK,
    };
    let location = format!("/v1/events/{}", event.id);
    Ok((status, [(LOCATION, location)], axum::Json(Published { id: event.id })).into_response())
}

/// How many hubs it has gone through, when a webhook of another one publishes here. What cannot be read is taken for too many.
fn hops(headers: &HeaderMap) -> u8 {
    headers.get(HOPS_HEADER).map_or(0, |value| {
        let hops = value.to_str().ok().and_then(|text| text.parse().ok());
        hops.unwrap_or(MAX_HOPS).min(MAX_HOPS)
    })
}

impl Publication {
    /// Without an id of its own every publication is an event of its own, but the same `request` with an idempotency key makes the same one
    /// again, whatever broke off before its answer was kept.
    fn into_event(
        self,
        organization: &OrganizationId,
        request: Option<String>,
        now: Timestamp,
    ) -> Result<Event, ApiError> {
        let event_type = event_type(required(self.event_type, "/type")?)?;
        let data = required(self.data, "/data")?;
        let own_id = optional_text(self.id, "/id", MAX_ID_BYTES)?;
        // No id that a publisher gives has a control character, so that the two never meet.
        let request = request.map(|name| format!("request\0{name}"));
        let identity = own_id
            .clone()
            .or(request)
            .unwrap_or_else(|| hex::encode(random::<16>()));
        let id = EventId::compute(organization.as_str(), Identity::ProviderId(&identity), 0);
        let field = |value, pointer: &str| optional_text(value, pointer, MAX_FIELD_BYTES);
        let entity = self.entity.map(EntityFields::check).transpose()?;
        let scope = self.scope.map(ScopeFields::check).transpose()?;
        let meta = EventMeta {
            provider_event_id: own_id,
            entity: entity.filter(|entity| *entity != Entity::default()),
            action: field(self.action, "/action")?,
            actor: field(self.actor, "/actor")?,
            category: field(self.category, "/category")?,
            summary: field(self.summary, "/summary")?,
            application: field(self.application, "/application")?,
            scope: scope.filter(|scope| *scope != Scope::default()),
            changes: changes(self.changes)?,
            ..EventMeta::new(id, event_type, self.timestamp.unwrap_or(now))
        };
        Ok(Event {
            previous_attributes: self
                .previous_attributes
                .map(|previous| Content::Inline(Box::<str>::from(previous).into())),
            ..Event::made_here(organization.clone(), meta, String::from(Box::<str>::from(data)), now)
        })
    }
}

impl EntityFields {
    fn check(self) -> Result<Entity, ApiError> {
        Ok(Entity {
            kind: optional_text(self.kind, "/entity/type", MAX_FIELD_BYTES)?,
            subtype: optional_text(self.subtype, "/entity/subtype", MAX_FIELD_BYTES)?,
            id: optional_text(self.id, "/entity/id", MAX_FIELD_BYTES)?,
        })
    }
}

impl ScopeFields {
    fn check(self) -> Result<Scope, ApiError> {
        Ok(Scope {
            pool: optional_text(self.pool, "/scope/pool", MAX_FIELD_BYTES)?,
            station: optional_text(self.station, "/scope/station", MAX_FIELD_BYTES)?,
            organization: optional_text(self.organization, "/scope/organization", MAX_FIELD_BYTES)?,
        })
    }
}

/// An event type that filters can name: of the characters that a pattern may have, and without its wildcard.
fn event_type(value: String) -> Result<String, ApiError> {
    let known = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | ':' | '/');
    if value.is_empty() || value.len() > MAX_TYPE_BYTES || !value.chars().all(known) {
        let problem = format!("must have 1 to {MAX_TYPE_BYTES} bytes of letters, digits, '.', '_', '-', ':' and '/'");
        return Err(ApiError::invalid("/type", problem));
    }
    if value.starts_with(OPERATIONAL) {
        let problem = format!("types that begin with {OPERATIONAL} are Hookline's own");
        return Err(ApiError::invalid("/type", problem));
    }
    Ok(value)
}

fn changes(fields: Vec<ChangeFields>) -> Result<Vec<Change>, ApiError> {
    if fields.len() > MAX_CHANGES {
        return Err(ApiError::invalid(
            "/changes",
            format!("has {} entries; at most {MAX_CHANGES} are allowed", fields.len()),
        ));
    }
    let checked = |value, pointer: String| text(required(value, &pointer)?, &pointer, MAX_ID_BYTES);
    let change = |(index, change): (usize, ChangeFields)| {
        let kind = checked(change.kind, format!("/changes/{index}/type"))?;
        let code = checked(change.code, format!("/changes/{index}/code"))?;
        Ok(Change {
            kind,
            code,
            previous: None,
            current: None,
        })
    };
    fields.into_iter().enumerate().map(change).collect()
}

/// The most deliveries that an event is shown with: a page of them.
const MAX_DELIVERIES: usize = Limit::MOST;

/// An event with its deliveries.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Event)]
struct View<'a> {
    /// Its name for machines.
    #[schema(value_type = EventId)]
    id: &'a EventId,
    /// The receipt it was made of; `null` when it was published.
    #[schema(value_type = Option<ReceiptId>, required)]
    receipt: Option<&'a ReceiptId>,
    /// When it reached Hookline.
    received_at: Timestamp,
    /// The trace id under which logs tell of it, and which each attempt carries in `traceparent`.
    trace: TraceId,
    /// The common payload, byte for byte as it is delivered.
    #[schema(value_type = CommonPayload)]
    event: Box<RawValue>,
    /// What was sent of it, and to which webhooks, by their ids; 100 at most.
    deliveries: Vec<DeliveryView>,
    /// Whether there are more deliveries than these: `GET /v1/deliveries?event=…` lists all.
    more_deliveries: bool,
}

/// Reads one event in the common payload, with its first deliveries and their attempts.
#[utoipa::path(
    get, path = "/v1/events/{id}", operation_id = "getEvent", tag = "Events",
    params(("id" = EventId, Path, description = "The event.")),
    responses((status = 200, description = "The event.", body = View)),
    security(("key" = ["read"])),
)]
pub(crate) async fn read<S: Store, C: Clock>(
    State(app): State<Arc<App<S, C>>>,
    caller: Reader,
    Id(id): Id<EventId>,
) -> Result<Response, ApiError> {
    let event = app
        .store
        .event(&id)
        .await?
        .filter(|event| event.organization == *caller.organization());
    let event = event.ok_or(ApiError::NotFound)?;
    // One more, to know whether there are more.
    let (first, wanted) = (Order::Ascending, MAX_DELIVERIES + 1);
    let mut deliveries = app.store.deliveries_of_page(&id, None, first, wanted).await?;
    let more_deliveries = deliveries.len() > MAX_DELIVERIES;
    deliveries.truncate(MAX_DELIVERIES);
    // An event of which no JSON can be made is broken in whichever way.
    let broken = payload::event::BrokenEvent::Span;
    let json = String::from_utf8(event.to_json()?).map_err(|_| broken.clone())?;
    let view = View {
        id: &event.id,
        receipt: event.receipt.as_ref(),
        received_at: event.received_at,
        trace: event.trace(),
        event: RawValue::from_string(json).map_err(|_| broken)?,
        deliveries: deliveries.into_iter().map(DeliveryView::from).collect(),
        more_deliveries,
    };
    Ok(axum::Json(view).into_response())
}
