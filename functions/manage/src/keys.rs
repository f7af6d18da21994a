//! `/v1/keys`: the API keys of the organization. Only their hashes are kept: a key is shown once.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use jiff::civil::Date;
use payload::organization::{ApiKey, ApiKeyText, Role};
use payload::{Clock, KeyId};
use serde::{Deserialize, Serialize};

use crate::audit::{Action, NOTHING};
use crate::auth::Admin;
use crate::body::{Id, Json, Word};
use crate::fields::{self, required};
use crate::limits;
use crate::page::Page;
use crate::problem::ApiError;
use crate::{App, Store};

/// A key that is to be.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(examples(json!({"name": "billing", "role": "publisher"})))]
pub(crate) struct NewKey {
    /// Its name for people.
    #[schema(value_type = String, min_length = 1, max_length = 100)]
    name: Option<String>,
    /// What it may do.
    #[schema(value_type = Role)]
    role: Option<Word<Role>>,
}

/// An API key.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Key)]
pub(crate) struct View<'a> {
    /// Its id, which is no secret.
    #[schema(value_type = KeyId)]
    id: &'a KeyId,
    /// Its name for people.
    name: &'a str,
    /// What it may do.
    role: Role,
    /// How its text begins, to tell keys apart.
    prefix: &'a str,
    /// When it was made.
    created_at: Timestamp,
    /// The last day, in UTC, on which it opened something; `null` when there is none.
    #[schema(value_type = Option<String>, format = Date, required)]
    last_used: Option<Date>,
    /// The key itself. Only in the answer to its creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
}

impl<'a> View<'a> {
    fn of(key: &'a ApiKey) -> Self {
        Self {
            id: &key.id,
            name: &key.name,
            role: key.role,
            prefix: &key.prefix,
            created_at: key.created_at,
            last_used: key.last_used,
            key: None,
        }
    }
}

/// Makes an API key.
///
/// The key itself is shown only in this answer.
#[utoipa::path(
    post, path = "/v1/keys", operation_id = "createKey", tag = "Keys",
    request_body = NewKey,
    responses(
        (status = 201, description = "The key.", body = View, headers(("location" = String, description = "Where it is read."))),
        (status = 409, description = "[limit-reached] The organization has as many keys as it may have."),
    ),
    security(("key" = ["administer"])),
)]
pub(crate) async fn create<S: Store, C: Clock>(
    State(app): State<Arc<App<S, C>>>,
    caller: Admin,
    Json(new): Json<NewKey>,
) -> Result<Response, ApiError> {
    let name = fields::name(new.name)?;
    let Word(role) = required(new.role, "/role")?;
    let quota = app.store.quota(caller.organization()).await?;
    let there_are = app.store.count_keys(caller.organization()).await?;
    limits::check("keys", there_are, quota.max_keys())?;
    let (now, text) = (app.clock.now(), ApiKeyText::generate());
    let key = ApiKey::new(caller.organization().clone(), role, name, &text, now);
    let view = View::of(&key);
    let entry = caller.entry(now, Action::KeyCreated, &key.id, NOTHING, Some(&view));
    app.store.recording(entry).add_key(&key, &text.hash()).await?;
    let shown = View {
        key: Some(text.expose()),
        ..view
    };
    let location = [(LOCATION, format!("/v1/keys/{}", key.id))];
    Ok((StatusCode::CREATED, location, axum::Json(shown)).into_response())
}

/// Lists the API keys of the organization, oldest first.
///
/// They fit one page.
#[utoipa::path(
    get, path = "/v1/keys", operation_id = "listKeys", tag = "Keys",
    responses((status = 200, description = "All of them.", body = Page<View>)),
    security(("key" = ["administer"])),
)]
pub(crate) async fn list<S: Store, C: Clock>(
    State(app): State<Arc<App<S, C>>>,
    caller: Admin,
) -> Result<Response, ApiError> {
    let keys = app.store.keys_of(caller.organization()).await?;
    let data = keys.iter().map(View::of).collect();
    Ok(axum::Json(Page::new(data, None::<KeyId>)).into_response())
}

/// Reads one API key.
#[utoipa::path(
    get, path = "/v1/keys/{id}", operation_id = "getKey", tag = "Keys",
    params(("id" = KeyId, Path, description = "The key.")),
    responses((status = 200, description = "The key, without its text.", body = View)),
    security(("key" = ["administer"])),
)]
pub(crate) async fn read<S: Store, C: Clock>(
    State(app): State<Arc<App<S, C>>>,
    caller: Admin,
    Id(id): Id<KeyId>,
) -> Result<Response, ApiError> {
    let key = find(&app.store, &caller, &id).await?;
    Ok(axum::Json(View::of(&key)).into_response())
}

/// Revokes an API key.
///
/// It opens nothing from then on. A key does not revoke itself, so that an admin is left.
#[utoipa::path(
    delete, path = "/v1/keys/{id}", operation_id = "revokeKey", tag = "Keys",
    params(("id" = KeyId, Path, description = "The key.")),
    responses(
        (status = 204, description = "It opens nothing any more."),
        (status = 409, description = "[own-key] It is the key that the request was made with."),
    ),
    security(("key" = ["administer"])),
)]
pub(crate) async fn revoke<S: Store, C: Clock>(
    State(app): State<Arc<App<S, C>>>,
    caller: Admin,
    Id(id): Id<KeyId>,
) -> Result<StatusCode, ApiError> {
    let key = find(&app.store, &caller, &id).await?;
    if key.id == caller.key().id {
        return Err(ApiError::OwnKey);
    }
    let entry = caller.entry(app.clock.now(), Action::KeyRevoked, &id, Some(&View::of(&key)), NOTHING);
    let store = app.store.recording(entry);
    if store.revoke_key(caller.organization(), &id, &caller.key().id).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(ApiError::NotFound)
    }
}

async fn find<S: Store>(store: &S, caller: &Admin, id: &KeyId) -> Result<ApiKey, ApiError> {
    let key = store.key_of(caller.organization(), id).await?;
    key.ok_or(ApiError::NotFound)
}
