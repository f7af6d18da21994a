//! `/v1/…`: the API for people, publishers and the console.
//!
//! Every request carries an API key (`Authorization: Bearer hk_…`), and the key alone says whose data it reaches. What belongs to
//! another organization is answered exactly as what does not exist. Errors are problem details (RFC 9457).

mod auth;
mod body;
mod events;
mod fields;
mod merge;
mod openapi;
mod page;
mod problem;
mod receipts;
mod reverify;
mod settings;
mod sources;
#[cfg(test)]
mod tests;
mod webhooks;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::header::{CACHE_CONTROL, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::Response;
use payload::Clock;
use store::{
    Deliveries, DestinationSecrets, Events, Keys, RawReceipts, Receipts, Reverification, Secrets, SourceHealths,
    SourceRegistry, Webhooks,
};

use problem::ApiError;
pub use settings::{InvalidSettings, PUBLIC_URL_VARIABLE, PublicUrl, Settings};

/// The longest request body: 256 KiB.
pub const MAX_REQUEST_BYTES: usize = 256 * 1024;

/// The most sources of one organization.
pub const MAX_SOURCES: usize = 1_000;

/// Registers what people describe. Secrets of sources and webhooks are read only to keep them while others take their place, and for the
/// names of a destination's headers; none is ever shown.
pub trait Registrations: SourceRegistry + SourceHealths + Secrets + Webhooks + DestinationSecrets + Keys {}

impl<T: SourceRegistry + SourceHealths + Secrets + Webhooks + DestinationSecrets + Keys> Registrations for T {}

/// Follows what happened, and asks for another verification.
pub trait History: Events + Deliveries + Receipts + RawReceipts + Reverification {}

impl<T: Events + Deliveries + Receipts + RawReceipts + Reverification> History for T {}

/// All that the API does with the tables.
pub trait Store: Registrations + History + 'static {}

impl<T: Registrations + History + 'static> Store for T {}

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
        reverify::source,
        webhooks::create,
        webhooks::list,
        webhooks::read,
        webhooks::update,
        webhooks::delete,
        webhooks::test_filter,
        events::publish,
        events::read,
        receipts::read,
        reverify::receipt;
    public:
        openapi::openapi_json,
        openapi::reference;
}

/// The API as a service, for `lambda_http::run` and for an HTTP server alike. docs/openapi.json tells of its operations.
pub fn router<S: Store, C: Clock>(store: S, clock: C, settings: Settings) -> Router {
    let app = Arc::new(App { store, clock, settings });
    admitted()
        .fallback(async || ApiError::NotFound)
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES))
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
