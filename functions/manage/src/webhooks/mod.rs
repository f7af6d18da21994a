//! `/v1/webhooks`: where to deliver.

mod new;
mod patch;
mod settings;
mod test_filter;
mod view;

use std::sync::Arc;

use axum::extract::State;
use axum::http::{Extensions, StatusCode};
use axum::response::{IntoResponse, Response};
use delivery::Destinations;
use delivery::guard::Refusal;
use payload::webhook::{DestinationUrl, Webhook};
use payload::{Clock, OrganizationId, WebhookId};
use serde::Serialize;
use url::{Host, Url};

use crate::auth::{Editor, Reader};
use crate::body::Id;
use crate::problem::ApiError;
use crate::settings::called_api;
use crate::{App, Settings, Store};

pub(crate) use new::{__path_create, create};
pub(crate) use patch::{__path_update, update};
#[cfg(test)]
pub(crate) use settings::MAX_SCHEDULE_ENTRIES;
pub(crate) use settings::MAX_WAIT;
pub(crate) use test_filter::{__path_test_filter, test_filter};
use view::{MASK, View};

/// The webhooks of an organization.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Webhooks)]
struct List<'a> {
    /// Oldest first.
    data: Vec<View<'a>>,
}

/// Lists the webhooks of the organization, oldest first.
#[utoipa::path(
    get, path = "/v1/webhooks", operation_id = "listWebhooks", tag = "Webhooks",
    responses((status = 200, description = "All of them.", body = List)),
    security(("key" = ["read"])),
)]
pub(crate) async fn list<S: Store, C: Clock>(
    State(app): State<Arc<App<S, C>>>,
    caller: Reader,
) -> Result<Response, ApiError> {
    let webhooks = app.store.webhooks_of(caller.organization()).await?;
    let data = webhooks.iter().map(View::of).collect();
    Ok(axum::Json(List { data }).into_response())
}

/// Reads one webhook, with the names of its headers and how it does.
#[utoipa::path(
    get, path = "/v1/webhooks/{id}", operation_id = "getWebhook", tag = "Webhooks",
    params(("id" = WebhookId, Path, description = "The webhook.")),
    responses((status = 200, description = "The webhook, with its health.", body = View)),
    security(("key" = ["read"])),
)]
pub(crate) async fn read<S: Store, C: Clock>(
    State(app): State<Arc<App<S, C>>>,
    caller: Reader,
    Id(id): Id<WebhookId>,
) -> Result<Response, ApiError> {
    let webhook = find(&app.store, caller.organization(), &id).await?;
    let (secrets, health) = tokio::try_join!(
        app.store.webhook_secrets(&id),
        app.store.health(caller.organization(), &id)
    )?;
    let view = View::of(&webhook)
        .with_what_is_public_of(&secrets)
        .with_health(health.as_ref());
    Ok(axum::Json(view).into_response())
}

/// Deletes a webhook.
///
/// Nothing is sent to it after at most one batch.
#[utoipa::path(
    delete, path = "/v1/webhooks/{id}", operation_id = "deleteWebhook", tag = "Webhooks",
    params(("id" = WebhookId, Path, description = "The webhook.")),
    responses((status = 204, description = "It is gone."), (status = 409, description = "[conflict] It was changed at the same time. Read it and try again.")),
    security(("key" = ["edit"])),
)]
pub(crate) async fn delete<S: Store, C: Clock>(
    State(app): State<Arc<App<S, C>>>,
    caller: Editor,
    Id(id): Id<WebhookId>,
) -> Result<StatusCode, ApiError> {
    let deleted = app.store.delete_webhook(caller.organization(), &id).await?;
    if deleted {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(ApiError::NotFound)
    }
}

/// A webhook of this organization.
async fn find<S: Store>(store: &S, organization: &OrganizationId, id: &WebhookId) -> Result<Webhook, ApiError> {
    store.webhook(organization, id).await?.ok_or(ApiError::NotFound)
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
    let mut guard = settings.guard.clone().without_api(called_api(extensions));
    for origin in settings.own_origins(extensions) {
        if guard.destinations() == Destinations::PublicOnly {
            guard = guard.without_host_of(origin.as_str());
        } else if is_receiving_url(url.expose(), origin.as_str()) {
            return Err(invalid(&Refusal::OwnHost));
        }
    }
    match guard.check(url.expose()).await {
        // A name without an address may have one by the time of the first event, and a lookup can fail in passing.
        Ok(()) | Err(Refusal::NoAddress) => Ok(url),
        Err(refusal) => Err(invalid(&refusal)),
    }
}
