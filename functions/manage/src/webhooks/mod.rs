//! `/v1/webhooks`: where to deliver.

mod new;
mod patch;
mod rotate;
mod settings;
mod test;
mod test_filter;
mod view;

use std::sync::Arc;

use axum::extract::State;
use axum::http::{Extensions, HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use delivery::guard::Refusal;
use delivery::{Destinations, Guard};
use payload::webhook::{DestinationUrl, Webhook};
use payload::{Clock, OrganizationId, WebhookId};
use url::{Host, Url};

use crate::audit::{Action, NOTHING};
use crate::auth::{Editor, Reader};
use crate::body::Id;
use crate::page::{self, Cursor, Page, Query};
use crate::problem::ApiError;
use crate::revision::{self, etag};
use crate::settings::called_api;
use crate::{App, Settings, Store};

pub(crate) use new::{__path_create, create};
pub(crate) use patch::{__path_update, update};
pub(crate) use rotate::{__path_rotate_secret, rotate_secret};
pub(crate) use settings::MAX_WAIT;
#[cfg(test)]
pub(crate) use settings::{MAX_DESCRIPTION_CHARS, MAX_SCHEDULE_ENTRIES};
pub(crate) use test::{__path_test, test};
pub(crate) use test_filter::{__path_test_filter, test_filter};
use view::{MASK, View};

/// Lists the webhooks of the organization, oldest first.
#[utoipa::path(
    get, path = "/v1/webhooks", operation_id = "listWebhooks", tag = "Webhooks",
    params(page::Parameters<WebhookId>),
    responses((status = 200, description = "One page of them.", body = Page<View>)),
    security(("key" = ["read"])),
)]
pub(crate) async fn list<S: Store, C: Clock>(
    State(app): State<Arc<App<S, C>>>,
    caller: Reader,
    Query(page::Parameters { limit, cursor }): Query<page::Parameters<WebhookId>>,
) -> Result<Response, ApiError> {
    let after = cursor.map(|Cursor(after)| after);
    let store = &app.store;
    let webhooks = store
        .webhooks_after(caller.organization(), after.as_ref(), limit.and_one())
        .await?;
    let page = Page::first(limit.rows(), &webhooks, |webhook| webhook.id.clone(), View::of);
    Ok(axum::Json(page).into_response())
}

/// Reads one webhook, with the names of its headers and how it does.
#[utoipa::path(
    get, path = "/v1/webhooks/{id}", operation_id = "getWebhook", tag = "Webhooks",
    params(("id" = WebhookId, Path, description = "The webhook.")),
    responses((status = 200, description = "The webhook, with its health.", body = View, headers(("etag" = String, description = "Names this state, for `If-Match`.")))),
    security(("key" = ["read"])),
)]
pub(crate) async fn read<S: Store, C: Clock>(
    State(app): State<Arc<App<S, C>>>,
    caller: Reader,
    Id(id): Id<WebhookId>,
) -> Result<Response, ApiError> {
    let (webhook, revision) = find(&app.store, caller.organization(), &id).await?;
    let (secrets, health) = tokio::try_join!(
        app.store.webhook_secrets(&id),
        app.store.health(caller.organization(), &id)
    )?;
    let view = View::of(&webhook)
        .with_what_is_public_of(&secrets)
        .with_health(health.as_ref());
    Ok((etag(revision), axum::Json(view)).into_response())
}

/// Deletes a webhook.
///
/// Nothing is sent to it after at most one batch.
#[utoipa::path(
    delete, path = "/v1/webhooks/{id}", operation_id = "deleteWebhook", tag = "Webhooks",
    params(("id" = WebhookId, Path, description = "The webhook."), ("if-match" = Option<String>, Header, description = "The `ETag` of the state that the change is made for; any state where it is absent.")),
    responses((status = 204, description = "It is gone."), (status = 409, description = "[conflict] It was changed at the same time. Read it and try again.")),
    security(("key" = ["edit"])),
)]
pub(crate) async fn delete<S: Store, C: Clock>(
    State(app): State<Arc<App<S, C>>>,
    caller: Editor,
    Id(id): Id<WebhookId>,
    headers: HeaderMap,
) -> Result<StatusCode, ApiError> {
    let (webhook, revision) = find(&app.store, caller.organization(), &id).await?;
    revision::check(&headers, revision)?;
    let view = View::of(&webhook);
    let entry = caller.entry(app.clock.now(), Action::WebhookDeleted, &id, Some(&view), NOTHING);
    app.store.recording(entry).delete_webhook(&webhook, revision).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A webhook of this organization, and how often it was changed.
async fn find<S: Store>(store: &S, organization: &OrganizationId, id: &WebhookId) -> Result<(Webhook, u64), ApiError> {
    let found = store.webhook_to_change(organization, id).await?;
    found.ok_or(ApiError::NotFound)
}

/// Whether a URL leads into the hub itself where hub and destinations share one machine, so that only port and path tell them apart.
fn is_receiving_url(url: &Url, origin: &str) -> bool {
    let is_loopback = |url: &Url| match url.host() {
        Some(Host::Domain(name)) => name.trim_end_matches('.') == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    Url::parse(origin).is_ok_and(|origin| {
        let same_host = url.host() == origin.host() || (is_loopback(url) && is_loopback(&origin));
        same_host && url.port_or_known_default() == origin.port_or_known_default() && url.path().starts_with("/in/")
    })
}

/// What decides where requests may go: not to this API either, under whatever name it was called. (On one machine hub and destinations
/// share their host.)
fn guard(settings: &Settings, extensions: &Extensions) -> Guard {
    let guard = settings.guard.clone().without_api(called_api(extensions));
    if guard.destinations() == Destinations::AllowPrivate {
        return guard;
    }
    settings
        .own_origins(extensions)
        .fold(guard, |guard, origin| guard.without_host_of(origin.as_str()))
}

/// A destination that may be sent to, as far as that can be told now; each attempt checks it again.
async fn destination(settings: &Settings, extensions: &Extensions, text: &str) -> Result<DestinationUrl, ApiError> {
    let invalid = |problem: &dyn std::error::Error| ApiError::invalid("/url", problem);
    // Whoever sends back what was shown would put the mask in the place of the secret.
    if text.ends_with(MASK) {
        return Err(ApiError::invalid(
            "/url",
            "is masked: give the whole URL, or leave it out",
        ));
    }
    let url = DestinationUrl::parse(text, settings.guard.destinations().into()).map_err(|error| invalid(&error))?;
    let guard = guard(settings, extensions);
    if guard.destinations() == Destinations::AllowPrivate {
        let mut origins = settings.own_origins(extensions);
        if origins.any(|origin| is_receiving_url(url.expose(), origin.as_str())) {
            return Err(invalid(&Refusal::OwnHost));
        }
    }
    match guard.check(url.expose()).await {
        // A name without an address may have one by the time of the first event, and a lookup can fail in passing.
        Ok(()) | Err(Refusal::NoAddress) => Ok(url),
        Err(refusal) => Err(invalid(&refusal)),
    }
}
