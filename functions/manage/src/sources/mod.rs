//! `/v1/sources`: providers' connections to us.

mod new;
mod patch;
mod rotate;
mod secret;
mod shape;
mod view;

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use payload::handshake::Handshake;
use payload::preset::{self, Preset};
use payload::source::{Effective, Source};
use payload::{Clock, OrganizationId, SourceId};

use crate::audit::{Action, NOTHING};
use crate::auth::{Editor, Reader};
use crate::body::Id;
use crate::page::{self, Cursor, Page, Query};
use crate::problem::ApiError;
use crate::revision::{self, etag};
use crate::{App, Store};

pub(crate) use new::{__path_create, create};
pub(crate) use patch::{__path_update, update};
pub(crate) use rotate::{__path_rotate_secret, __path_rotate_token, rotate_secret, rotate_token};
#[cfg(test)]
pub(crate) use secret::MAX_VERIFY_TOKEN_BYTES;
use view::View;

/// Lists the sources of the organization, oldest first.
#[utoipa::path(
    get, path = "/v1/sources", operation_id = "listSources", tag = "Sources",
    params(page::Parameters<SourceId>),
    responses((status = 200, description = "One page of them.", body = Page<View>)),
    security(("key" = ["read"])),
)]
pub(crate) async fn list<S: Store, C: Clock>(
    State(app): State<Arc<App<S, C>>>,
    caller: Reader,
    Query(page::Parameters { limit, cursor }): Query<page::Parameters<SourceId>>,
) -> Result<Response, ApiError> {
    let after = cursor.map(|Cursor(after)| after);
    let store = &app.store;
    let sources = store
        .sources_after(caller.organization(), after.as_ref(), limit.and_one())
        .await?;
    let page = Page::first(limit.rows(), &sources, |source| source.id.clone(), View::of);
    Ok(axum::Json(page).into_response())
}

/// Reads one source, and how it does.
#[utoipa::path(
    get, path = "/v1/sources/{id}", operation_id = "getSource", tag = "Sources",
    params(("id" = SourceId, Path, description = "The source.")),
    responses((status = 200, description = "The source, with its health.", body = View, headers(("etag" = String, description = "Names this state, for `If-Match`.")))),
    security(("key" = ["read"])),
)]
pub(crate) async fn read<S: Store, C: Clock>(
    State(app): State<Arc<App<S, C>>>,
    caller: Reader,
    Id(id): Id<SourceId>,
) -> Result<Response, ApiError> {
    let source = find(&app.store, caller.organization(), &id).await?;
    let health = app.store.source_health(&id).await?;
    let view = View::of(&source).with_health(health);
    Ok((etag(source.revision), axum::Json(view)).into_response())
}

/// Deletes a source.
///
/// Its receiving URL leads nowhere from then on.
#[utoipa::path(
    delete, path = "/v1/sources/{id}", operation_id = "deleteSource", tag = "Sources",
    params(("id" = SourceId, Path, description = "The source."), ("if-match" = Option<String>, Header, description = "The `ETag` of the state that the change is made for; any state where it is absent.")),
    responses((status = 204, description = "It is gone."), (status = 409, description = "[conflict] It was changed at the same time. Read it and try again.")),
    security(("key" = ["edit"])),
)]
pub(crate) async fn delete<S: Store, C: Clock>(
    State(app): State<Arc<App<S, C>>>,
    caller: Editor,
    Id(id): Id<SourceId>,
    headers: HeaderMap,
) -> Result<StatusCode, ApiError> {
    let source = find(&app.store, caller.organization(), &id).await?;
    revision::check(&headers, source.revision)?;
    let view = View::of(&source);
    let entry = caller.entry(app.clock.now(), Action::SourceDeleted, &id, Some(&view), NOTHING);
    app.store.recording(entry).delete_source(&source).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A source of this organization.
pub(crate) async fn find<S: Store>(
    store: &S,
    organization: &OrganizationId,
    id: &SourceId,
) -> Result<Source, ApiError> {
    let source = store.source(id).await?;
    source
        .filter(|source| source.organization == *organization)
        .ok_or(ApiError::NotFound)
}

fn find_preset(name: &str) -> Result<&'static Preset, ApiError> {
    preset::find(name).ok_or_else(|| {
        let names: Vec<&str> = preset::all().iter().map(|preset| preset.name.as_str()).collect();
        ApiError::invalid(
            "/preset",
            format!("there is no preset of that name; there are: {}", names.join(", ")),
        )
    })
}

/// The source with its provider's description, when all of it fits together.
fn checked(source: &Source) -> Result<Effective<'_>, ApiError> {
    let effective = effective(source)?;
    effective
        .check()
        .map_err(|error| ApiError::invalid(error.field, error.problem))?;
    let asks_for_token = matches!(effective.preset.handshake, Some(Handshake::HubChallenge(_)));
    if asks_for_token && source.options.verify_token_hash.is_none() {
        return Err(ApiError::invalid(
            "/verifyToken",
            "is required: the provider sends it as hub.verify_token before anything else",
        ));
    }
    Ok(effective)
}

/// The source with its provider's description.
fn effective(source: &Source) -> Result<Effective<'_>, ApiError> {
    source
        .effective()
        .ok_or_else(|| ApiError::invalid("/preset", "the source's preset is not known here: give another"))
}
