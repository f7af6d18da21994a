//! `/v1/sources`: providers' connections to us.

mod new;
mod patch;
mod secret;
mod shape;
mod view;

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use payload::handshake::Handshake;
use payload::preset::{self, Preset};
use payload::source::{Effective, Source};
use payload::{Clock, OrganizationId, SourceId};
use serde::Serialize;

use crate::auth::{Editor, Reader};
use crate::body::Id;
use crate::problem::ApiError;
use crate::{App, Store};

pub(crate) use new::{__path_create, create};
pub(crate) use patch::{__path_update, update};
#[cfg(test)]
pub(crate) use secret::{MAX_OVERLAP, MAX_VERIFY_TOKEN_BYTES};
use view::View;

/// The sources of an organization.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Sources)]
struct List<'a> {
    /// Oldest first.
    data: Vec<View<'a>>,
}

/// Lists the sources of the organization, oldest first.
#[utoipa::path(
    get, path = "/v1/sources", operation_id = "listSources", tag = "Sources",
    responses((status = 200, description = "All of them.", body = List)),
    security(("key" = ["read"])),
)]
pub(crate) async fn list<S: Store, C: Clock>(
    State(app): State<Arc<App<S, C>>>,
    caller: Reader,
) -> Result<Response, ApiError> {
    let sources = app.store.sources_of(caller.organization()).await?;
    let data = sources.iter().map(View::of).collect();
    Ok(axum::Json(List { data }).into_response())
}

/// Reads one source, and how it does.
#[utoipa::path(
    get, path = "/v1/sources/{id}", operation_id = "getSource", tag = "Sources",
    params(("id" = SourceId, Path, description = "The source.")),
    responses((status = 200, description = "The source, with its health.", body = View)),
    security(("key" = ["read"])),
)]
pub(crate) async fn read<S: Store, C: Clock>(
    State(app): State<Arc<App<S, C>>>,
    caller: Reader,
    Id(id): Id<SourceId>,
) -> Result<Response, ApiError> {
    let source = find(&app.store, caller.organization(), &id).await?;
    let health = app.store.source_health(&id).await?;
    Ok(axum::Json(View::of(&source).with_health(health)).into_response())
}

/// Deletes a source.
///
/// Its receiving URL leads nowhere from then on.
#[utoipa::path(
    delete, path = "/v1/sources/{id}", operation_id = "deleteSource", tag = "Sources",
    params(("id" = SourceId, Path, description = "The source.")),
    responses((status = 204, description = "It is gone."), (status = 409, description = "[conflict] It was changed at the same time. Read it and try again.")),
    security(("key" = ["edit"])),
)]
pub(crate) async fn delete<S: Store, C: Clock>(
    State(app): State<Arc<App<S, C>>>,
    caller: Editor,
    Id(id): Id<SourceId>,
) -> Result<StatusCode, ApiError> {
    let deleted = app.store.delete_source(caller.organization(), &id).await?;
    if deleted {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(ApiError::NotFound)
    }
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
