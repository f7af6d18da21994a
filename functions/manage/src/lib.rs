//! `/v1/…`: the API for people, publishers and the console.
//!
//! Every request carries an API key (`Authorization: Bearer hk_…`), and the key alone says whose data it reaches. What belongs to
//! another organization is answered exactly as what does not exist. Errors are problem details (RFC 9457).

mod audit;
mod auth;
mod body;
mod deliveries;
mod events;
mod events_list;
mod fields;
mod idempotency;
mod jobs;
mod keys;
mod log;
mod merge;
mod page;
mod problem;
mod receipts;
mod reverify;
mod revision;
mod rotation;
mod samples;
mod settings;
mod sources;
#[cfg(test)]
mod tests;
mod trace;
mod webhooks;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::header::{CACHE_CONTROL, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::Response;
use axum::routing::{delete, get, post};
use payload::Clock;
use store::history::WebhookHistory;
use store::lists::{Answers, DeliveryLists, EventLists, OutcomeLists};
use store::{
    AuditTrail, Deliveries, DestinationSecrets, Events, IdempotentRequests, JobDesk, KeyRegistry, Keys, Quotas,
    RawReceipts, Receipts, Reverification, Secrets, SourceHealths, SourceRegistry, WebhookSets, Webhooks,
};

use problem::ApiError;
pub use settings::{InvalidSettings, PUBLIC_URL_VARIABLE, PublicUrl, Settings};

/// The longest request body: 256 KiB.
pub const MAX_REQUEST_BYTES: usize = 256 * 1024;

/// Registers what people describe. Secrets of sources and webhooks are read only to keep them while others take their place, and for the
/// names of a destination's headers; none is ever shown.
pub trait Registrations:
    SourceRegistry + SourceHealths + Secrets + Webhooks + DestinationSecrets + Keys + Quotas
{
}

impl<T: SourceRegistry + SourceHealths + Secrets + Webhooks + DestinationSecrets + Keys + Quotas> Registrations for T {}

/// Follows what happened, and asks for another verification, or another delivery.
pub trait History: Events + Deliveries + Receipts + RawReceipts + Reverification + JobDesk + Lists {}

impl<T: Events + Deliveries + Receipts + RawReceipts + Reverification + JobDesk + Lists> History for T {}

/// Lists what happened, by time, and tells by which registrations.
pub trait Lists: EventLists + OutcomeLists + DeliveryLists + Answers + WebhookSets + WebhookHistory {}

impl<T: EventLists + OutcomeLists + DeliveryLists + Answers + WebhookSets + WebhookHistory> Lists for T {}

/// All that the API does with the tables.
pub trait Store: Registrations + History + KeyRegistry + AuditTrail + IdempotentRequests + 'static {}

impl<T: Registrations + History + KeyRegistry + AuditTrail + IdempotentRequests + 'static> Store for T {}

/// What every handler has at hand.
#[derive(Debug)]
pub(crate) struct App<S, C> {
    store: S,
    clock: C,
    settings: Settings,
}

/// The API as a service, for `lambda_http::run` and for an HTTP server alike:
///
/// | route | what |
/// |---|---|
/// | `POST`, `GET /v1/sources`; `GET`, `PATCH`, `DELETE /v1/sources/{id}` | providers' connections to us |
/// | `POST /v1/sources/{id}/reverify` | verify again what a source rejected since a time |
/// | `POST /v1/sources/{id}/rotate-secret`, `…/rotate-token` | another secret, another receiving URL |
/// | `POST`, `GET /v1/webhooks`; `GET`, `PATCH`, `DELETE /v1/webhooks/{id}` | where to deliver |
/// | `POST /v1/webhooks/{id}/rotate-secret` | another signing secret |
/// | `POST /v1/webhooks/{id}/test`; `GET /v1/samples` | send a sample of a provider now |
/// | `POST /v1/webhooks/test-filter` | which webhooks want an event |
/// | `POST`, `GET /v1/events`; `GET /v1/events/{id}` | publish an event; what arrived; one with its deliveries |
/// | `GET /v1/deliveries`; `GET /v1/deliveries/{id}`; `DELETE /v1/deliveries/{id}/answer` | what was sent where, and what came back |
/// | `GET /v1/webhooks/{id}/stats` | how many deliveries a webhook has had |
/// | `GET /v1/receipts`; `GET /v1/receipts/{id}` | what became of the requests that were received |
/// | `GET /v1/trace` | where it went, and why not elsewhere |
/// | `POST /v1/events/{id}/replay`; `POST /v1/webhooks/{id}/replay`, `…/recover` | deliver again, or what was missed: begins a job |
/// | `GET /v1/jobs`; `GET /v1/jobs/{id}`; `POST /v1/jobs/{id}/cancel` | work in the background |
/// | `POST /v1/receipts/{id}/reverify` | verify a rejected one again |
/// | `POST`, `GET /v1/keys`; `GET`, `DELETE /v1/keys/{id}` | API keys and their roles |
/// | `GET /v1/audit` | who changed what |
pub fn router<S: Store, C: Clock + Clone>(store: S, clock: C, settings: Settings) -> Router {
    let app = Arc::new(App { store, clock, settings });
    Router::new()
        .route("/v1/sources", post(sources::create::<S, C>).get(sources::list::<S, C>))
        .route(
            "/v1/sources/{id}",
            get(sources::read::<S, C>)
                .patch(sources::update::<S, C>)
                .delete(sources::delete::<S, C>),
        )
        .route("/v1/sources/{id}/reverify", post(reverify::source::<S, C>))
        .route("/v1/sources/{id}/rotate-secret", post(sources::rotate_secret::<S, C>))
        .route("/v1/sources/{id}/rotate-token", post(sources::rotate_token::<S, C>))
        .route("/v1/webhooks/{id}/rotate-secret", post(webhooks::rotate_secret::<S, C>))
        .route("/v1/webhooks/{id}/test", post(webhooks::test::<S, C>))
        .route("/v1/samples", get(samples::list))
        .route(
            "/v1/webhooks",
            post(webhooks::create::<S, C>).get(webhooks::list::<S, C>),
        )
        .route(
            "/v1/webhooks/{id}",
            get(webhooks::read::<S, C>)
                .patch(webhooks::update::<S, C>)
                .delete(webhooks::delete::<S, C>),
        )
        .route("/v1/webhooks/test-filter", post(webhooks::test_filter::<S, C>))
        .route("/v1/webhooks/{id}/stats", get(deliveries::stats::<S, C>))
        .route(
            "/v1/events",
            post(events::publish::<S, C>).get(events_list::list::<S, C>),
        )
        .route("/v1/events/{id}", get(events::read::<S, C>))
        .route("/v1/deliveries", get(deliveries::list::<S, C>))
        .route("/v1/deliveries/{id}", get(deliveries::read::<S, C>))
        .route("/v1/deliveries/{id}/answer", delete(deliveries::remove_answer::<S, C>))
        .route("/v1/trace", get(trace::read::<S, C>))
        .route("/v1/receipts", get(receipts::list::<S, C>))
        .route("/v1/events/{id}/replay", post(jobs::replay_event::<S, C>))
        .route("/v1/webhooks/{id}/replay", post(jobs::replay_failed::<S, C>))
        .route("/v1/webhooks/{id}/recover", post(jobs::recover::<S, C>))
        .route("/v1/jobs", get(jobs::list::<S, C>))
        .route("/v1/jobs/{id}", get(jobs::read::<S, C>))
        .route("/v1/jobs/{id}/cancel", post(jobs::cancel::<S, C>))
        .route("/v1/receipts/{id}", get(receipts::read::<S, C>))
        .route("/v1/receipts/{id}/reverify", post(reverify::receipt::<S, C>))
        .route("/v1/keys", post(keys::create::<S, C>).get(keys::list::<S, C>))
        .route("/v1/keys/{id}", get(keys::read::<S, C>).delete(keys::revoke::<S, C>))
        .route("/v1/audit", get(audit::list::<S, C>))
        .fallback(async || ApiError::NotFound)
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES))
        .layer(from_fn_with_state(Arc::clone(&app), idempotency::once::<S, C>))
        // Around the fallbacks too: without a key nobody learns which routes there are.
        .layer(from_fn_with_state(Arc::clone(&app), auth::admit::<S, C>))
        .layer(map_response(set_headers))
        .with_state(app)
}

/// Answers hold secrets at times and other people's data always: nothing keeps them, nothing guesses at their type.
async fn set_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
