//! `…/rotate-secret` and `…/rotate-token`: another secret of a provider, another receiving URL.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{Extensions, HeaderMap};
use axum::response::{IntoResponse, Response};
use payload::source::{IngestToken, Source};
use payload::{Clock, SourceId};
use secrecy::SecretString;
use serde::Deserialize;

use super::view::View;
use super::{effective, find, secret};
use crate::audit::{Action, WithSecrets};
use crate::auth::Editor;
use crate::body::{Id, Json};
use crate::fields::required;
use crate::problem::ApiError;
use crate::revision::{self, etag};
use crate::rotation::{overlap, rotated, rotated_tokens};
use crate::{App, Store};

/// Another secret of the provider.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = SourceSecretRotation, examples(json!({"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "previousExpiresIn": 3600})))]
pub(crate) struct NewSecret {
    /// The secret as the provider shows it.
    #[schema(value_type = String, format = Password, write_only, min_length = 1)]
    secret: Option<SecretString>,
    /// For how many seconds the secret before stays valid: 0 to 604,800 (7 days), a day where it is absent.
    #[schema(maximum = 604_800)]
    previous_expires_in: Option<u32>,
}

/// Another receiving URL.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = SourceTokenRotation, examples(json!({"previousExpiresIn": 3600})))]
pub(crate) struct NewToken {
    /// For how many seconds the receiving URL before stays valid: 0 to 604,800 (7 days), a day where it is absent.
    #[schema(maximum = 604_800)]
    previous_expires_in: Option<u32>,
}

/// Takes another secret of the provider, while the one before stays valid for a time.
#[utoipa::path(
    post, path = "/v1/sources/{id}/rotate-secret", operation_id = "rotateSourceSecret", tag = "Sources",
    params(("id" = SourceId, Path, description = "The source."), ("if-match" = Option<String>, Header, description = "The `ETag` of the state that the change is made for; any state where it is absent.")),
    request_body = NewSecret,
    responses(
        (status = 200, description = "The source.", body = View, headers(("etag" = String, description = "Names this state, for `If-Match`."))),
        (status = 409, description = "[conflict] It was changed at the same time. Read it and try again."),
    ),
    security(("key" = ["edit"])),
)]
pub(crate) async fn rotate_secret<S: Store, C: Clock>(
    State(app): State<Arc<App<S, C>>>,
    caller: Editor,
    Id(id): Id<SourceId>,
    headers: HeaderMap,
    Json(new): Json<NewSecret>,
) -> Result<Response, ApiError> {
    let source = find(&app.store, caller.organization(), &id).await?;
    revision::check(&headers, source.revision)?;
    let overlap = overlap(new.previous_expires_in, "/previousExpiresIn")?;
    let typed = required(new.secret, "/secret")?;
    let effective = effective(&source)?;
    if !effective.scheme.needs_secret() {
        return Err(ApiError::invalid("/secret", "is not used by the source's scheme"));
    }
    let value = secret::stored(effective.scheme, &typed, &source.salt)?;
    let now = app.clock.now();
    let previous = app.store.secrets(id.as_str()).await?;
    let secrets = rotated(previous, value, now, overlap);
    let view = View::of(&source);
    let after = WithSecrets {
        view: &view,
        replaced_secrets: &["secret"],
    };
    let entry = caller.entry(now, Action::SourceSecretRotated, &id, Some(&view), Some(&after));
    app.store
        .recording(entry)
        .update_source(&source, &source, &effective.door(), Some(&secrets), None)
        .await?;
    Ok((etag(source.revision + 1), axum::Json(view)).into_response())
}

/// Makes another receiving URL, while the one before stays valid for a time.
///
/// The new URL is shown only in this answer.
#[utoipa::path(
    post, path = "/v1/sources/{id}/rotate-token", operation_id = "rotateSourceToken", tag = "Sources",
    params(("id" = SourceId, Path, description = "The source."), ("if-match" = Option<String>, Header, description = "The `ETag` of the state that the change is made for; any state where it is absent.")),
    request_body = NewToken,
    responses(
        (status = 200, description = "The source, with its new receiving URL.", body = View, headers(("etag" = String, description = "Names this state, for `If-Match`."))),
        (status = 409, description = "[conflict] It was changed at the same time. Read it and try again."),
    ),
    security(("key" = ["edit"])),
)]
pub(crate) async fn rotate_token<S: Store, C: Clock>(
    State(app): State<Arc<App<S, C>>>,
    caller: Editor,
    Id(id): Id<SourceId>,
    headers: HeaderMap,
    extensions: Extensions,
    Json(new): Json<NewToken>,
) -> Result<Response, ApiError> {
    let before = find(&app.store, caller.organization(), &id).await?;
    revision::check(&headers, before.revision)?;
    let overlap = overlap(new.previous_expires_in, "/previousExpiresIn")?;
    let origin = app.settings.origin(&extensions).ok_or(ApiError::NoPublicUrl)?;
    let (now, token) = (app.clock.now(), IngestToken::generate());
    let source = Source {
        tokens: rotated_tokens(before.tokens.clone(), &token, now, overlap)?,
        ..before.clone()
    };
    let view = View::of(&source);
    let after = WithSecrets {
        view: &view,
        replaced_secrets: &["receivingUrl"],
    };
    let entry = caller.entry(now, Action::SourceTokenRotated, &id, Some(&view), Some(&after));
    let door = effective(&source)?.door();
    app.store
        .recording(entry)
        .update_source(&before, &source, &door, None, None)
        .await?;
    let view = view.with_receiving_url(origin.receiving_url(&token));
    Ok((etag(before.revision + 1), axum::Json(view)).into_response())
}
