//! What begins a job.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use payload::job::{DEFAULT_RATE, Job, JobKind, MAX_RATE, MAX_RUNNING};
use payload::webhook::Webhook;
use payload::{Clock, EventId, OrganizationId, WebhookId, own};
use serde::Deserialize;

use super::view::JobView;
use crate::audit::{Action, NOTHING};
use crate::auth::{Caller, Editor};
use crate::body::{Id, Json};
use crate::fields::required;
use crate::problem::ApiError;
use crate::{App, Store};

/// An event that is delivered again.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = ReplayEvent, examples(json!({"newMessageId": true})))]
pub(crate) struct ReplayEvent {
    /// The one webhook that it is delivered to, also one that it was never for. Without it: all that it has deliveries for.
    webhook: Option<WebhookId>,
    /// How many deliveries a minute are asked for at most: 1 to 6000, 600 where it is absent.
    #[schema(minimum = 1, maximum = 6_000)]
    rate: Option<u32>,
    /// Whether the deliveries carry a `webhook-id` of their own, for receivers that drop what they know. Otherwise it is the event's id.
    new_message_id: Option<bool>,
}

/// Which deliveries are made again.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = ReplayFailed, examples(json!({"since": "2025-03-25T13:00:00Z"})))]
pub(crate) struct ReplayFailed {
    /// Deliveries that were first recorded at this time or later.
    #[schema(value_type = Timestamp)]
    since: Option<Timestamp>,
    /// And not after this one; now where it is absent.
    until: Option<Timestamp>,
    /// How many deliveries a minute are asked for at most: 1 to 6000, 600 where it is absent.
    #[schema(minimum = 1, maximum = 6_000)]
    rate: Option<u32>,
    /// Whether the deliveries carry a `webhook-id` of their own, for receivers that drop what they know. Otherwise it is the event's id.
    new_message_id: Option<bool>,
}

/// Which events a webhook may have missed.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = Recover, examples(json!({"since": "2025-03-25T13:00:00Z"})))]
pub(crate) struct Recover {
    /// Events that arrived at this time or later.
    #[schema(value_type = Timestamp)]
    since: Option<Timestamp>,
    /// And not after this one; now where it is absent.
    until: Option<Timestamp>,
    /// Also events that arrived before the webhook was created.
    include_before_creation: Option<bool>,
    /// How many deliveries a minute are asked for at most: 1 to 6000, 600 where it is absent.
    #[schema(minimum = 1, maximum = 6_000)]
    rate: Option<u32>,
    /// Whether the deliveries carry a `webhook-id` of their own, for receivers that drop what they know. Otherwise it is the event's id.
    new_message_id: Option<bool>,
}

/// Delivers an event again.
#[utoipa::path(
    post, path = "/v1/events/{id}/replay", operation_id = "replayEvent", tag = "Events",
    params(("id" = EventId, Path, description = "The event.")),
    request_body = ReplayEvent,
    responses(
        (status = 202, description = "The job.", body = JobView, headers(("location" = String, description = "Where the job is read."))),
        (status = 409, description = "[webhook-disabled, limit-reached] The webhook is disabled, or the organization has as many jobs that have not ended as it may have."),
    ),
    security(("key" = ["edit"])),
)]
pub(crate) async fn replay_event<S: Store, C: Clock>(
    State(app): State<Arc<App<S, C>>>,
    caller: Editor,
    Id(id): Id<EventId>,
    Json(wish): Json<ReplayEvent>,
) -> Result<Response, ApiError> {
    let organization = caller.organization();
    let event = app.store.event(&id).await?;
    let event = event.filter(|event| event.organization == *organization);
    let event = event.ok_or(ApiError::NotFound)?;
    if let Some(webhook) = &wish.webhook {
        let found = live_webhook(&app.store, organization, webhook).await;
        found.map_err(|error| match error {
            ApiError::NotFound => ApiError::invalid("/webhook", "there is no such webhook"),
            other => other,
        })?;
        if own::is_about(&event, webhook) {
            let problem = "is the webhook that the event tells of: it is never sent that";
            return Err(ApiError::invalid("/webhook", problem));
        }
    }
    let kind = JobKind::ReplayEvent {
        event: id,
        webhook: wish.webhook,
    };
    begin(&app, &caller, kind, rate(wish.rate)?, wish.new_message_id).await
}

/// Makes the exhausted deliveries of a webhook again.
#[utoipa::path(
    post, path = "/v1/webhooks/{id}/replay", operation_id = "replayWebhook", tag = "Webhooks",
    params(("id" = WebhookId, Path, description = "The webhook.")),
    request_body = ReplayFailed,
    responses(
        (status = 202, description = "The job.", body = JobView, headers(("location" = String, description = "Where the job is read."))),
        (status = 409, description = "[webhook-disabled, limit-reached] The webhook is disabled, or the organization has as many jobs that have not ended as it may have."),
    ),
    security(("key" = ["edit"])),
)]
pub(crate) async fn replay_failed<S: Store, C: Clock>(
    State(app): State<Arc<App<S, C>>>,
    caller: Editor,
    Id(id): Id<WebhookId>,
    Json(wish): Json<ReplayFailed>,
) -> Result<Response, ApiError> {
    let organization = caller.organization();
    live_webhook(&app.store, organization, &id).await?;
    let (since, until) = span(&app, wish.since, wish.until)?;
    let kind = JobKind::ReplayFailed {
        webhook: id,
        since,
        until,
    };
    begin(&app, &caller, kind, rate(wish.rate)?, wish.new_message_id).await
}

/// Makes the deliveries that a webhook missed.
///
/// Of events that its filter wants now, and that it has no delivery of, or a cancelled one.
#[utoipa::path(
    post, path = "/v1/webhooks/{id}/recover", operation_id = "recoverWebhook", tag = "Webhooks",
    params(("id" = WebhookId, Path, description = "The webhook.")),
    request_body = Recover,
    responses(
        (status = 202, description = "The job.", body = JobView, headers(("location" = String, description = "Where the job is read."))),
        (status = 409, description = "[webhook-disabled, limit-reached] The webhook is disabled, or the organization has as many jobs that have not ended as it may have."),
    ),
    security(("key" = ["edit"])),
)]
pub(crate) async fn recover<S: Store, C: Clock>(
    State(app): State<Arc<App<S, C>>>,
    caller: Editor,
    Id(id): Id<WebhookId>,
    Json(wish): Json<Recover>,
) -> Result<Response, ApiError> {
    let organization = caller.organization();
    let webhook = live_webhook(&app.store, organization, &id).await?;
    let (mut since, until) = span(&app, wish.since, wish.until)?;
    if !wish.include_before_creation.unwrap_or(false) {
        since = since.max(webhook.created_at);
        if until < since {
            let problem = "is before the webhook was created: ask with includeBeforeCreation";
            return Err(ApiError::invalid("/until", problem));
        }
    }
    let kind = JobKind::Recover {
        webhook: id,
        since,
        until,
    };
    begin(&app, &caller, kind, rate(wish.rate)?, wish.new_message_id).await
}

/// A webhook of this organization that is sent something.
async fn live_webhook<S: Store>(store: &S, organization: &OrganizationId, id: &WebhookId) -> Result<Webhook, ApiError> {
    let webhook = store.webhook(organization, id).await?.ok_or(ApiError::NotFound)?;
    let health = store.health(organization, id).await?;
    if webhook.enabled && health.is_none_or(|health| health.disabled.is_none()) {
        Ok(webhook)
    } else {
        Err(ApiError::WebhookDisabled)
    }
}

/// From when to when. What would silently find less than was asked for is refused.
fn span<S: Store, C: Clock>(
    app: &App<S, C>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
) -> Result<(Timestamp, Timestamp), ApiError> {
    let now = app.clock.now();
    let since = required(since, "/since")?;
    if since > now {
        return Err(ApiError::invalid("/since", "is in the future"));
    }
    if since < app.store.events_kept_since(now) {
        return Err(ApiError::invalid("/since", "is earlier than events are kept"));
    }
    // What is yet to come is delivered by itself.
    let until = until.unwrap_or(now).min(now);
    if until < since {
        return Err(ApiError::invalid("/until", "is before since"));
    }
    Ok((since, until))
}

fn rate(rate: Option<u32>) -> Result<u32, ApiError> {
    let rate = rate.unwrap_or(DEFAULT_RATE);
    if (1..=MAX_RATE).contains(&rate) {
        Ok(rate)
    } else {
        let problem = format!("must be 1 to {MAX_RATE} deliveries a minute");
        Err(ApiError::invalid("/rate", problem))
    }
}

async fn begin<S: Store, C: Clock>(
    app: &App<S, C>,
    caller: &Caller,
    kind: JobKind,
    rate: u32,
    new_message_id: Option<bool>,
) -> Result<Response, ApiError> {
    let organization = caller.organization();
    let job = Job {
        rate,
        new_message_id: new_message_id.unwrap_or(false),
        ..Job::new(organization.clone(), kind, app.clock.now())
    };
    let view = JobView::of(&job);
    let entry = caller.entry(job.created_at, Action::JobCreated, &job.id, NOTHING, Some(&view));
    if !app.store.recording(entry).create_job(&job, MAX_RUNNING).await? {
        return Err(ApiError::LimitReached {
            what: "jobs that have not ended",
            limit: MAX_RUNNING,
        });
    }
    let location = format!("/v1/jobs/{}", job.id);
    Ok((StatusCode::ACCEPTED, [(LOCATION, location)], axum::Json(view)).into_response())
}
