//! `POST /v1/webhooks/{id}/rotate-secret`

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use payload::key::TimedSecret;
use payload::{Clock, WebhookId};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::find;
use super::settings::{NewSigningSecret, Signature};
use super::view::View;
use crate::audit::{Action, WithSecrets};
use crate::auth::Editor;
use crate::body::{Id, Json, Word};
use crate::problem::ApiError;
use crate::revision::{self, etag};
use crate::rotation::{overlap, rotated};
use crate::{App, Store};

/// Another signing secret.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = WebhookSecretRotation, examples(json!({"previousExpiresIn": 3600})))]
pub(crate) struct Rotation {
    /// A secret of one's own, `whsec_` and 24 to 64 bytes in base64; one is made where it is absent.
    #[schema(value_type = Option<String>, format = Password, write_only)]
    secret: Option<SecretString>,
    /// How deliveries are signed from now on; as they are where it is absent.
    #[schema(value_type = Option<Signature>)]
    signature: Option<Word<Signature>>,
    /// For how many seconds deliveries are signed with the secret before too: 0 to 604,800 (7 days), a day where it is absent.
    #[schema(maximum = 604_800)]
    previous_expires_in: Option<u32>,
}

/// Makes another signing secret.
///
/// For a time deliveries carry a signature of both. The new secret is shown only in this answer.
#[utoipa::path(
    post, path = "/v1/webhooks/{id}/rotate-secret", operation_id = "rotateWebhookSecret", tag = "Webhooks",
    params(("id" = WebhookId, Path, description = "The webhook."), ("if-match" = Option<String>, Header, description = "The `ETag` of the state that the change is made for; any state where it is absent.")),
    request_body = Rotation,
    responses(
        (status = 200, description = "The webhook, with its new secret.", body = View, headers(("etag" = String, description = "Names this state, for `If-Match`."))),
        (status = 409, description = "[conflict] It was changed at the same time. Read it and try again."),
    ),
    security(("key" = ["edit"])),
)]
pub(crate) async fn rotate_secret<S: Store, C: Clock>(
    State(app): State<Arc<App<S, C>>>,
    caller: Editor,
    Id(id): Id<WebhookId>,
    headers: HeaderMap,
    Json(rotation): Json<Rotation>,
) -> Result<Response, ApiError> {
    let (webhook, revision) = find(&app.store, caller.organization(), &id).await?;
    revision::check(&headers, revision)?;
    let overlap = overlap(rotation.previous_expires_in, "/previousExpiresIn")?;
    // Read after the webhook: then the revision tells of any change of them too.
    let mut secrets = app.store.webhook_secrets(&id).await?;
    let signature = match rotation.signature {
        Some(Word(signature)) => signature,
        None => Signature::of(&secrets),
    };
    let new = NewSigningSecret::make(rotation.secret, signature)?;
    let now = app.clock.now();
    let secrets_before = secrets.clone();
    let previous: Vec<TimedSecret> = std::mem::take(&mut secrets.signing);
    secrets.signing = rotated(previous, new.value.clone(), now, overlap);
    let view = View::of(&webhook).with_what_is_public_of(&secrets);
    let shown_before = View::of(&webhook).with_what_is_public_of(&secrets_before);
    let after = WithSecrets {
        view: &view,
        replaced_secrets: &["secret"],
    };
    let entry = caller.entry(
        now,
        Action::WebhookSecretRotated,
        &id,
        Some(&shown_before),
        Some(&after),
    );
    app.store
        .recording(entry)
        .update_webhook(&webhook, revision, Some(&secrets), false)
        .await?;
    let view = view.with_secret(new.shown().map(ExposeSecret::expose_secret));
    Ok((etag(revision + 1), axum::Json(view)).into_response())
}
