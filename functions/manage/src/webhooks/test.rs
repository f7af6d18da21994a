//! `POST /v1/webhooks/{id}/test`: a sample, sent at once, whose outcome is the answer.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::Extensions;
use axum::response::{IntoResponse, Response};
use delivery::{Client, Credentials, HttpSender, Message, Sender};
use payload::delivery::Attempt;
use payload::sample::{self, Known};
use payload::{Clock, EventId, TraceId, WebhookId};
use serde::{Deserialize, Serialize};

use super::{find, guard};
use crate::audit::{Action, NOTHING};
use crate::auth::Editor;
use crate::body::{Id, Json};
use crate::fields::required;
use crate::problem::ApiError;
use crate::{App, Store};

/// How long the attempt may take: less than the request that waits for it.
const LIMIT: Duration = Duration::from_secs(15);

/// What is sent as a test.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = TestDelivery, examples(json!({"provider": "quartr"})))]
pub(crate) struct Wanted {
    /// The provider whose event is sent: the name of a preset.
    #[schema(value_type = String)]
    provider: Option<String>,
    /// The type of the event; the first that there is a sample of where it is absent.
    #[serde(rename = "type")]
    event_type: Option<String>,
}

/// What came of a test delivery.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TestOutcome)]
pub(crate) struct Outcome<'a> {
    /// The webhook.
    #[schema(value_type = WebhookId)]
    webhook: &'a WebhookId,
    /// The id of the event that was sent. It is not stored.
    #[schema(value_type = EventId)]
    event: &'a EventId,
    /// Its type.
    #[serde(rename = "type")]
    event_type: &'a str,
    /// Whether the webhook took it.
    delivered: bool,
    /// The request and what came back.
    #[schema(value_type = Attempt)]
    attempt: &'a Attempt,
}

/// Sends a sample of a provider to a webhook now.
///
/// Whatever its filter, and be it disabled. It is not tried again, not recorded as a delivery, and changes nothing about the webhook's health.
#[utoipa::path(
    post, path = "/v1/webhooks/{id}/test", operation_id = "testWebhook", tag = "Webhooks",
    params(("id" = WebhookId, Path, description = "The webhook.")),
    request_body = Wanted,
    responses(
        (status = 200, description = "What came of it, also of a failure.", body = Outcome),
        (status = 409, description = "[no-valid-secret] The webhook has no valid secret: rotate it."),
    ),
    security(("key" = ["edit"])),
)]
pub(crate) async fn test<S: Store, C: Clock + Clone>(
    State(app): State<Arc<App<S, C>>>,
    caller: Editor,
    Id(id): Id<WebhookId>,
    extensions: Extensions,
    Json(wanted): Json<Wanted>,
) -> Result<Response, ApiError> {
    let (webhook, _) = find(&app.store, caller.organization(), &id).await?;
    let now = app.clock.now();
    let provider = required(wanted.provider.as_deref(), "/provider")?;
    let mut event = sample::event(provider, wanted.event_type.as_deref(), caller.organization(), now)
        .ok_or_else(|| no_sample(provider))?;
    event.trace = extensions.get::<TraceId>().copied();
    let credentials = Credentials::valid_at(app.store.webhook_secrets(&id).await?, now);
    let message = Message::render(&event, webhook.format, webhook.method)?;
    if !credentials.suffice_for(&message) {
        return Err(ApiError::NoValidSecret);
    }
    let client = Client::builder(guard(&app.settings, &extensions)).build();
    let sender = HttpSender::new(client.map_err(|_| ApiError::NoClient)?, app.clock.clone());
    // It goes out into the world: what is recorded comes first.
    let entry = caller.entry(now, Action::WebhookTested, &id, NOTHING, Some(&wanted));
    app.store.record(&entry).await?;
    let outcome = sender
        .send(credentials.request(&event, &webhook, &message), LIMIT)
        .await;
    let told = Outcome {
        webhook: &id,
        event: &event.id,
        event_type: &event.meta.event_type,
        delivered: outcome.attempt.error.is_none(),
        attempt: &outcome.attempt,
    };
    Ok(axum::Json(told).into_response())
}

fn no_sample(provider: &str) -> ApiError {
    let all = sample::all();
    match all.into_iter().find(|known| known.provider == provider) {
        Some(Known { types, .. }) => ApiError::invalid(
            "/type",
            format!("there is no sample of this type; there are: {}", types.join(", ")),
        ),
        None => ApiError::invalid(
            "/provider",
            "there is no sample of this provider; GET /v1/samples names those that there are",
        ),
    }
}
