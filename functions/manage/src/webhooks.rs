//! `/v1/webhooks`: where to deliver.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{Extensions, StatusCode};
use axum::response::{IntoResponse, Response};
use delivery::Destinations;
use delivery::guard::Refusal;
use jiff::Timestamp;
use payload::filter::{Filter, MAX_TYPE_PATTERNS};
use payload::key::TimedSecret;
use payload::outbound::generate_secret;
use payload::webhook::{DestinationUrl, Format, MAX_WEBHOOKS, Webhook};
use payload::{Clock, WebhookId};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::auth::Caller;
use crate::body::{Id, Json};
use crate::fields::{self, required};
use crate::problem::ApiError;
use crate::{App, Settings, Store};

/// `POST /v1/webhooks`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NewWebhook {
    name: Option<String>,
    url: Option<String>,
    #[serde(default)]
    filter: Filter,
    #[serde(default)]
    format: Format,
    enabled: Option<bool>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct View<'a> {
    id: &'a WebhookId,
    name: &'a str,
    url: &'a str,
    filter: &'a Filter,
    format: Format,
    enabled: bool,
    created_at: Timestamp,
    /// Only in the answer to its creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'a str>,
}

impl<'a> View<'a> {
    fn of(webhook: &'a Webhook) -> Self {
        Self {
            id: &webhook.id,
            name: &webhook.name,
            url: shown_url(webhook),
            filter: &webhook.filter,
            format: webhook.format,
            enabled: webhook.enabled,
            created_at: webhook.created_at,
            secret: None,
        }
    }
}

/// The URL as it is shown after creation. Of a format whose URL is the credential itself, it would have to be masked.
fn shown_url(webhook: &Webhook) -> &str {
    match webhook.format {
        Format::Raw => webhook.url.expose().as_str(),
    }
}

/// Creates a webhook: 201 with its signing secret, which is shown only here.
pub(crate) async fn create<S: Store, C: Clock>(
    State(app): State<Arc<App<S, C>>>,
    caller: Caller,
    extensions: Extensions,
    Json(new): Json<NewWebhook>,
) -> Result<Response, ApiError> {
    let name = fields::name(new.name)?;
    let patterns = new.filter.types.len();
    if patterns > MAX_TYPE_PATTERNS {
        return Err(ApiError::invalid(
            "/filter/types",
            format!("has {patterns} patterns; at most {MAX_TYPE_PATTERNS} are allowed"),
        ));
    }
    let url = destination(&app.settings, &extensions, &required(new.url, "/url")?).await?;
    if app.store.webhooks_of(caller.organization()).await?.len() >= MAX_WEBHOOKS {
        return Err(ApiError::LimitReached {
            what: "webhooks",
            limit: MAX_WEBHOOKS,
        });
    }
    let now = app.clock.now();
    let webhook = Webhook {
        id: WebhookId::generate(now),
        organization: caller.organization().clone(),
        name,
        url,
        filter: new.filter,
        format: new.format,
        enabled: new.enabled.unwrap_or(true),
        created_at: now,
    };
    let secret = TimedSecret {
        value: generate_secret(),
        created_at: now,
        expires_at: None,
    };
    app.store
        .create_webhook(&webhook, std::slice::from_ref(&secret))
        .await?;
    let view = View {
        secret: Some(secret.value.expose_secret()),
        ..View::of(&webhook)
    };
    Ok((
        StatusCode::CREATED,
        [(LOCATION, format!("/v1/webhooks/{}", webhook.id))],
        axum::Json(view),
    )
        .into_response())
}

/// The webhooks of the organization, oldest first.
pub(crate) async fn list<S: Store, C: Clock>(
    State(app): State<Arc<App<S, C>>>,
    caller: Caller,
) -> Result<Response, ApiError> {
    let webhooks = app.store.webhooks_of(caller.organization()).await?;
    let views: Vec<View<'_>> = webhooks.iter().map(View::of).collect();
    Ok(axum::Json(json!({ "data": views })).into_response())
}

/// One webhook.
pub(crate) async fn read<S: Store, C: Clock>(
    State(app): State<Arc<App<S, C>>>,
    caller: Caller,
    Id(id): Id<WebhookId>,
) -> Result<Response, ApiError> {
    let webhook = app
        .store
        .webhook(caller.organization(), &id)
        .await?
        .ok_or(ApiError::NotFound)?;
    Ok(axum::Json(View::of(&webhook)).into_response())
}

/// Deletes a webhook: nothing is sent to it after at most one batch. 204.
pub(crate) async fn delete<S: Store, C: Clock>(
    State(app): State<Arc<App<S, C>>>,
    caller: Caller,
    Id(id): Id<WebhookId>,
) -> Result<StatusCode, ApiError> {
    let deleted = app.store.delete_webhook(caller.organization(), &id).await?;
    if deleted {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(ApiError::NotFound)
    }
}

/// A destination that may be sent to, as far as that can be told now; each attempt checks it again.
async fn destination(settings: &Settings, extensions: &Extensions, text: &str) -> Result<DestinationUrl, ApiError> {
    let invalid = |problem: &dyn std::error::Error| ApiError::invalid("/url", problem);
    let url = DestinationUrl::parse(text, settings.guard.destinations().into()).map_err(|error| invalid(&error))?;
    let mut guard = settings.guard.clone();
    // On one machine hub and destination share a host, so that it says nothing there: the hop count ends loops.
    let shares_host = guard.destinations() == Destinations::AllowPrivate;
    if let Some(origin) = settings.origin(extensions).filter(|_| !shares_host) {
        guard = guard.without_host_of(origin.as_str());
    }
    match guard.check(url.expose()).await {
        // A name without an address may have one by the time of the first event, and a lookup can fail in passing.
        Ok(()) | Err(Refusal::NoAddress) => Ok(url),
        Err(refusal) => Err(invalid(&refusal)),
    }
}
