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
use serde_json::json;
use serde_json::value::RawValue;
use store::PutEvent;

use crate::auth::{Publisher, Reader};
use crate::body::{Id, Json};
use crate::deliveries::DeliveryView;
use crate::fields::{optional_text, required, text};
use crate::idempotency::RequestName;
use crate::problem::ApiError;
use crate::{App, Store};

/// The longest event type, in bytes: as long as a filter's pattern.
const MAX_TYPE_BYTES: usize = 200;

/// The longest id that a publisher may give, in bytes.
const MAX_ID_BYTES: usize = 256;

/// The longest text of another field, in bytes.
const MAX_FIELD_BYTES: usize = 1024;

/// The most entries of `changes`.
const MAX_CHANGES: usize = 200;

/// `POST /v1/events`: the fields of the common payload that a publisher may fill.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Publication {
    #[serde(rename = "type")]
    event_type: Option<String>,
    data: Option<Box<RawValue>>,
    /// The publisher's own id: publishing it again changes nothing. It appears as `providerEventId`.
    id: Option<String>,
    timestamp: Option<Timestamp>,
    entity: Option<EntityFields>,
    action: Option<String>,
    actor: Option<String>,
    category: Option<String>,
    summary: Option<String>,
    application: Option<String>,
    scope: Option<ScopeFields>,
    #[serde(default)]
    changes: Vec<ChangeFields>,
    previous_attributes: Option<Box<RawValue>>,
}

// The payload's own types take unknown fields, as stored items of a later version may have some; a request may not.

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct EntityFields {
    #[serde(rename = "type")]
    kind: Option<String>,
    subtype: Option<String>,
    id: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ScopeFields {
    pool: Option<String>,
    station: Option<String>,
    organization: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ChangeFields {
    #[serde(rename = "type")]
    kind: Option<String>,
    code: Option<String>,
}

/// Publishes an event: 202 with its id, or 200 with the id that it has already when the organization published this `id` before.
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
    Ok((status, [(LOCATION, location)], axum::Json(json!({ "id": event.id }))).into_response())
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

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct View<'a> {
    id: &'a EventId,
    /// The receipt it was made of; `null` when it was published.
    receipt: Option<&'a ReceiptId>,
    received_at: Timestamp,
    /// The trace id under which logs tell of it, and which each attempt carries in `traceparent`.
    trace: TraceId,
    /// The common payload, byte for byte as it is delivered.
    event: Box<RawValue>,
    deliveries: Vec<DeliveryView>,
}

/// One event in the common payload, with its deliveries and their attempts.
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
    let deliveries = app.store.deliveries_of(&id).await?;
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
    };
    Ok(axum::Json(view).into_response())
}
