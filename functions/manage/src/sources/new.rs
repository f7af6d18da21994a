//! `POST /v1/sources`

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{Extensions, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use payload::called_url::CalledUrl;
use payload::id::random;
use payload::key::TimedSecret;
use payload::preset::{Duplicates, Preset};
use payload::scheme::Scheme;
use payload::source::{IngestToken, Provider, Source, SourceOptions};
use payload::{Clock, OrganizationId, SourceId};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::Value;

use super::view::View;
use super::{checked, find_preset, secret, shape};
use crate::audit::{Action, NOTHING};
use crate::auth::Editor;
use crate::body::Json;
use crate::fields::{self, required};
use crate::limits;
use crate::openapi::schema::SuccessStatus;
use crate::problem::ApiError;
use crate::revision::etag;
use crate::{App, Store};

/// A source that is to be: with a preset or a description of its own, one of the two.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(examples(json!({"name": "quartr-prod", "preset": "quartr", "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"})))]
pub(crate) struct NewSource {
    /// Its name for people.
    #[schema(value_type = String, min_length = 1, max_length = 100)]
    name: Option<String>,
    /// A preset's name.
    #[schema(value_type = Option<String>, examples("quartr"))]
    preset: Option<String>,
    /// A description of the source's own, in the schema of a preset.
    #[schema(value_type = Option<Preset>)]
    custom: Option<Value>,
    /// The secret as the provider shows it. Every scheme but `none` needs one.
    #[schema(value_type = Option<String>, format = Password, write_only, min_length = 1)]
    secret: Option<SecretString>,
    /// The token of a handshake, as it is entered at the provider.
    #[schema(value_type = Option<String>, format = Password, write_only, min_length = 1, max_length = 200)]
    verify_token: Option<SecretString>,
    /// Another scheme than the preset's.
    #[schema(value_type = Option<Scheme>)]
    scheme: Option<Value>,
    /// What decides about duplicates, where it is not what the preset says.
    duplicates: Option<Duplicates>,
    /// The URL that the provider calls, where its signatures cover it; `{receivingUrl}` stands for the one that is about to be made.
    #[schema(value_type = Option<String>, format = Password, write_only, max_length = 1024, pattern = "^(https?://[^ \\t\\r\\n]+|[{]receivingUrl[}])$")]
    public_url: Option<SecretString>,
    /// What the provider's relative links begin at: an http or https URL.
    #[schema(max_length = 1024, pattern = "^https?://")]
    base_url: Option<String>,
    /// The status of a success, where the provider asks for another than 202.
    #[schema(value_type = Option<SuccessStatus>)]
    success_status: Option<u16>,
}

/// Creates a source.
///
/// Its receiving URL holds the ingest token, and is shown only in this answer.
#[utoipa::path(
    post, path = "/v1/sources", operation_id = "createSource", tag = "Sources",
    request_body = NewSource,
    responses(
        (status = 201, description = "The source, with its receiving URL.", body = View,
            headers(("location" = String, description = "Where the source is read."), ("etag" = String, description = "Names this state, for `If-Match`."))),
        (status = 409, description = "[limit-reached] The organization has as many sources as it may have."),
    ),
    security(("key" = ["edit"])),
)]
pub(crate) async fn create<S: Store, C: Clock>(
    State(app): State<Arc<App<S, C>>>,
    caller: Editor,
    extensions: Extensions,
    Json(mut new): Json<NewSource>,
) -> Result<Response, ApiError> {
    let now = app.clock.now();
    let token = IngestToken::generate();
    let typed = new.secret.take();
    let origin = app.settings.origin(&extensions).ok_or(ApiError::NoPublicUrl)?;
    let receiving_url = origin.receiving_url(&token);
    let called_url = new
        .public_url
        .take()
        .map(|typed| secret::called_url(&typed, Some(&receiving_url)))
        .transpose()?;
    let mut source = new.into_source(caller.organization(), &token, now)?;
    source.options.public_url = called_url.as_ref().map(CalledUrl::shown);
    let effective = checked(&source)?;
    let typed = if effective.scheme.needs_secret() {
        Some(required(typed, "/secret")?)
    } else {
        typed
    };
    let stored = typed
        .map(|typed| secret::stored(effective.scheme, &typed, &source.salt))
        .transpose()?;
    let secrets: Vec<TimedSecret> = stored
        .map(|value| TimedSecret {
            value,
            created_at: now,
            expires_at: None,
        })
        .into_iter()
        .collect();
    let quota = app.store.quota(caller.organization()).await?;
    let there_are = app.store.count_sources(caller.organization()).await?;
    limits::check("sources", there_are, quota.max_sources())?;
    let view = View::of(&source);
    let entry = caller.entry(now, Action::SourceCreated, &source.id, NOTHING, Some(&view));
    app.store
        .recording(entry)
        .create_source(&source, &effective.door(), &secrets, called_url.as_ref())
        .await?;
    let view = view.with_receiving_url(receiving_url);
    Ok((
        StatusCode::CREATED,
        [(LOCATION, format!("/v1/sources/{}", source.id))],
        etag(source.revision),
        axum::Json(view),
    )
        .into_response())
}

impl NewSource {
    fn into_source(
        self,
        organization: &OrganizationId,
        token: &IngestToken,
        now: Timestamp,
    ) -> Result<Source, ApiError> {
        let name = fields::name(self.name)?;
        let provider = match (self.preset, self.custom) {
            (Some(_), Some(_)) => return Err(shape::both_providers()),
            (None, Some(custom)) => Provider::Custom(shape::custom(&custom)?),
            (preset, None) => {
                let preset = preset.ok_or_else(|| ApiError::invalid("/preset", "is required, or custom"))?;
                Provider::Preset(find_preset(&preset)?.name.clone())
            }
        };
        let scheme = self
            .scheme
            .map(|scheme| shape::scheme(&scheme, "/scheme"))
            .transpose()?;
        let salt = hex::encode(random::<16>());
        let verify_token = self.verify_token.map(|token| secret::verify_token_hash(&token, &salt));
        Ok(Source {
            id: SourceId::generate(now),
            organization: organization.clone(),
            name,
            provider,
            options: SourceOptions {
                scheme,
                duplicates: self.duplicates,
                base_url: self.base_url,
                verify_token_hash: verify_token.transpose()?,
                success_status: self.success_status,
                public_url: None,
            },
            enabled: true,
            salt,
            created_at: now,
            tokens: vec![token.kept()],
            revision: 0,
        })
    }
}
