//! `POST /v1/webhooks/test-filter`

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use jiff::Timestamp;
use payload::event::{Content, EventMeta};
use payload::filter::{Filter, InvalidFilter, Matcher, StoredFilter, UnreadablePayload};
use payload::webhook::Webhook;
use payload::{Clock, Event, OrganizationId, WebhookId, own};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::settings;
use crate::auth::Reader;
use crate::body::{self, Json};
use crate::fields::required;
use crate::openapi::schema::EventToFilter;
use crate::problem::ApiError;
use crate::{App, Store};

/// An event, and a filter or webhooks whose filters are asked.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = FilterQuestion)]
pub(crate) struct Question {
    // Exactly its text.
    /// An event in the common payload.
    #[schema(value_type = EventToFilter, required)]
    event: Option<Box<RawValue>>,
    /// A filter that need not belong to any webhook.
    #[schema(value_type = Option<Filter>)]
    filter: Option<Box<RawValue>>,
    /// The ids of webhooks; all of the organization when it is absent.
    #[schema(value_type = Option<Vec<WebhookId>>)]
    webhooks: Option<Vec<String>>,
}

/// Whether one webhook wants the event.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = WebhookMatch)]
struct Answer<'a> {
    /// The webhook.
    #[schema(value_type = WebhookId)]
    webhook: &'a WebhookId,
    /// Whether it wants the event.
    matches: bool,
    /// Why its filter matches nothing, whatever the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// What wants the event.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(untagged)]
#[schema(as = FilterAnswer)]
enum Answers<'a> {
    /// Of a filter that was given.
    One {
        /// Whether it wants the event.
        matches: bool,
    },
    /// Of webhooks.
    Each {
        /// The webhooks in their order.
        data: Vec<Answer<'a>>,
    },
}

/// Tells whether a filter, or which webhooks by their filters, want an event.
///
/// Nothing is stored and nothing is sent, and whether a webhook is enabled makes no difference.
#[utoipa::path(
    post, path = "/v1/webhooks/test-filter", operation_id = "testFilter", tag = "Webhooks",
    request_body = Question,
    responses((status = 200, description = "What wants it.", body = Answers)),
    security(("key" = ["read"])),
)]
pub(crate) async fn test_filter<S: Store, C: Clock>(
    State(app): State<Arc<App<S, C>>>,
    caller: Reader,
    Json(question): Json<Question>,
) -> Result<Response, ApiError> {
    let event = required(question.event, "/event")?;
    let meta = meta(&event)?;
    if let Some(filter) = question.filter {
        if question.webhooks.is_some() {
            return Err(ApiError::invalid("/webhooks", "cannot be given beside filter"));
        }
        let filter = StoredFilter::from(settings::filter(filter.get())?);
        let (matcher, _) = Matcher::compile([(0, &filter)]);
        let matches = !matched(&matcher, &meta, &event)?.is_empty();
        return Ok(axum::Json(Answers::One { matches }).into_response());
    }
    let mut webhooks = app.store.webhooks_of(caller.organization()).await?;
    if let Some(named) = question.webhooks {
        webhooks = pick(&webhooks, &named)?;
    }
    let filters = webhooks.iter().map(|webhook| &webhook.filter).enumerate();
    let (matcher, unreadable) = Matcher::compile(filters);
    let unreadable: HashMap<usize, InvalidFilter> = unreadable.into_iter().collect();
    let wanted = matched(&matcher, &meta, &event)?;
    let event = as_event(meta, caller.organization(), app.clock.now());
    let data = webhooks
        .iter()
        .enumerate()
        .map(|(position, webhook)| Answer {
            webhook: &webhook.id,
            matches: wanted.binary_search(&position).is_ok() && !is_about(&event, &webhook.id),
            problem: unreadable.get(&position).map(in_words),
        })
        .collect();
    Ok(axum::Json(Answers::Each { data }).into_response())
}

/// What filters look at in an event, which stands at `/event`.
fn meta(event: &RawValue) -> Result<EventMeta, ApiError> {
    // An array of the right length would pass for an object.
    if !event.get().starts_with('{') {
        return Err(ApiError::invalid(
            "/event",
            "must be an object, an event in the common payload",
        ));
    }
    body::read_text(event.get(), "/event")
}

fn matched(matcher: &Matcher, meta: &EventMeta, event: &RawValue) -> Result<Vec<usize>, ApiError> {
    matcher
        .matches(meta, event.get().as_bytes())
        .map_err(|error: UnreadablePayload| ApiError::invalid("/event", error))
}

/// These of the webhooks, in the order in which they are named.
fn pick(webhooks: &[Webhook], named: &[String]) -> Result<Vec<Webhook>, ApiError> {
    let known: HashMap<&str, &Webhook> = webhooks.iter().map(|webhook| (webhook.id.as_str(), webhook)).collect();
    named
        .iter()
        .enumerate()
        .map(|(index, id)| {
            known
                .get(id.as_str())
                .map(|webhook| (*webhook).clone())
                .ok_or_else(|| ApiError::invalid(format!("/webhooks/{index}"), "there is no such webhook"))
        })
        .collect()
}

/// The event without its content.
fn as_event(meta: EventMeta, organization: &OrganizationId, now: Timestamp) -> Event {
    Event {
        id: meta.id.clone(),
        organization: organization.clone(),
        receipt: None,
        received_at: now,
        hops: 0,
        trace: None,
        meta,
        data: Content::Text,
        previous_attributes: None,
        content_type: None,
        body: Bytes::new(),
    }
}

/// Whether the event tells of this very webhook, which is never sent that.
fn is_about(event: &Event, webhook: &WebhookId) -> bool {
    event.meta.source.is_none() && own::is_about(event, webhook)
}

fn in_words(InvalidFilter { pointer, problem }: &InvalidFilter) -> String {
    format!("its filter cannot be read: {pointer} {problem}")
}
