//! `/v1/samples`: of what a test delivery can be.

use axum::response::{IntoResponse, Response};
use payload::sample::{self, Known};
use serde::Serialize;

use crate::auth::Reader;
use crate::page::Page;

/// A provider whose events can be sent as a test.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Sample)]
pub(crate) struct View {
    /// The preset.
    provider: String,
    /// The types of the events that there are samples of.
    types: Vec<String>,
}

/// Lists the providers and types of which a test delivery can be.
///
/// They fit one page.
#[utoipa::path(
    get, path = "/v1/samples", operation_id = "listSamples", tag = "Webhooks",
    responses((status = 200, description = "All of them.", body = Page<View>)),
    security(("key" = ["read"])),
)]
pub(crate) async fn list(_: Reader) -> Response {
    let view = |Known { provider, types }| View { provider, types };
    let data = sample::all().into_iter().map(view).collect();
    axum::Json(Page::new(data, None::<String>)).into_response()
}
