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
mod limits;
mod log;
mod merge;
mod objects;
mod openapi;
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
use payload::Clock;
use store::history::WebhookHistory;
use store::lists::{Answers, DeliveryLists, EventLists, OutcomeLists};
use store::{
    AuditTrail, Deliveries, DestinationSecrets, Events, IdempotentRequests, JobDesk, KeyRegistry, Keys, Quotas,
    RawReceipts, Receipts, RegistrationCounts, Reverification, Secrets, SourceHealths, SourceRegistry, WebhookSets,
    Webhooks,
};

use problem::ApiError;
pub use settings::{InvalidSettings, PUBLIC_URL_VARIABLE, PublicUrl, Settings};

/// The longest request body: 256 KiB.
pub const MAX_REQUEST_BYTES: usize = 256 * 1024;

/// Registers what people describe. Secrets of sources and webhooks are read only to keep them while others take their place, and for the
/// names of a destination's headers; none is ever shown.
pub trait Registrations:
    SourceRegistry + SourceHealths + Secrets + Webhooks + DestinationSecrets + Keys + Limits
{
}

impl<T: SourceRegistry + SourceHealths + Secrets + Webhooks + DestinationSecrets + Keys + Limits> Registrations for T {}

/// Keeps organizations within their quotas.
pub trait Limits: Quotas + RegistrationCounts {}

impl<T: Quotas + RegistrationCounts> Limits for T {}

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

openapi::operations! {
    admitted:
        sources::create,
        sources::list,
        sources::read,
        sources::update,
        sources::delete,
        sources::rotate_secret,
        sources::rotate_token,
        reverify::source,
        webhooks::create,
        webhooks::list,
        webhooks::read,
        webhooks::update,
        webhooks::delete,
        webhooks::rotate_secret,
        webhooks::test,
        webhooks::test_filter,
        deliveries::stats,
        jobs::replay_failed,
        jobs::recover,
        events::publish,
        events_list::list,
        events::read,
        jobs::replay_event,
        deliveries::list,
        deliveries::read,
        deliveries::remove_answer,
        trace::read,
        receipts::list,
        receipts::read,
        reverify::receipt,
        jobs::list,
        jobs::read,
        jobs::cancel,
        keys::create,
        keys::list,
        keys::read,
        keys::revoke,
        audit::list;
    without_store:
        samples::list;
    public:
        openapi::openapi_json,
        openapi::reference;
}

/// The API as a service, for `lambda_http::run` and for an HTTP server alike. docs/openapi.json tells of its operations.
pub fn router<S: Store, C: Clock + Clone>(store: S, clock: C, settings: Settings) -> Router {
    let app = Arc::new(App { store, clock, settings });
    admitted()
        .fallback(async || ApiError::NotFound)
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES))
        .layer(from_fn_with_state(Arc::clone(&app), idempotency::once::<S, C>))
        // Around the fallbacks too: without a key nobody learns which routes there are.
        .layer(from_fn_with_state(Arc::clone(&app), auth::admit::<S, C>))
        .layer(map_response(set_headers))
        .with_state(app)
        // Behind what asks for a key: these do not.
        .merge(public())
}

/// Answers hold secrets at times and other people's data always: nothing keeps them, nothing guesses at their type.
async fn set_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
