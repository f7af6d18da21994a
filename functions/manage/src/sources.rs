//! `/v1/sources`: providers' connections to us.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{Extensions, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use payload::id::random;
use payload::key::TimedSecret;
use payload::preset::{self, Preset};
use payload::source::{Door, IngestToken, Source};
use payload::{Clock, SourceId};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::auth::Caller;
use crate::body::{Id, Json};
use crate::fields::{self, required};
use crate::problem::ApiError;
use crate::{App, MAX_SOURCES, Store};

/// `POST /v1/sources`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NewSource {
    name: Option<String>,
    /// A preset's name.
    preset: Option<String>,
    /// The signing secret as the provider shows it.
    secret: Option<SecretString>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct View<'a> {
    id: &'a SourceId,
    name: &'a str,
    preset: &'a str,
    enabled: bool,
    created_at: Timestamp,
    /// Only in the answer to its creation: it holds the ingest token.
    #[serde(skip_serializing_if = "Option::is_none")]
    receiving_url: Option<String>,
}

impl<'a> View<'a> {
    fn of(source: &'a Source) -> Self {
        let Source {
            id,
            name,
            preset,
            enabled,
            created_at,
            ..
        } = source;
        Self {
            id,
            name,
            preset,
            enabled: *enabled,
            created_at: *created_at,
            receiving_url: None,
        }
    }
}

/// Creates a source: 201 with its receiving URL, which is shown only here.
pub(crate) async fn create<S: Store, C: Clock>(
    State(app): State<Arc<App<S, C>>>,
    caller: Caller,
    extensions: Extensions,
    Json(new): Json<NewSource>,
) -> Result<Response, ApiError> {
    let name = fields::name(new.name)?;
    let preset = find_preset(&required(new.preset, "/preset")?)?;
    let secret = checked_secret(required(new.secret, "/secret")?, preset)?;
    let origin = app.settings.origin(&extensions).ok_or(ApiError::NoPublicUrl)?;
    if app.store.sources_of(caller.organization()).await?.len() >= MAX_SOURCES {
        return Err(ApiError::LimitReached {
            what: "sources",
            limit: MAX_SOURCES,
        });
    }
    let now = app.clock.now();
    let token = IngestToken::generate();
    let source = Source {
        id: SourceId::generate(now),
        organization: caller.organization().clone(),
        name,
        preset: preset.name.clone(),
        enabled: true,
        salt: hex::encode(random::<16>()),
        created_at: now,
        token_hashes: vec![token.hash()],
    };
    let secret = TimedSecret {
        value: secret,
        created_at: now,
        expires_at: None,
    };
    app.store
        .create_source(&source, &door(&source, preset), &[secret])
        .await?;
    let view = View {
        receiving_url: Some(origin.receiving_url(&token)),
        ..View::of(&source)
    };
    Ok((
        StatusCode::CREATED,
        [(LOCATION, format!("/v1/sources/{}", source.id))],
        axum::Json(view),
    )
        .into_response())
}

/// The sources of the organization, oldest first.
pub(crate) async fn list<S: Store, C: Clock>(
    State(app): State<Arc<App<S, C>>>,
    caller: Caller,
) -> Result<Response, ApiError> {
    let sources = app.store.sources_of(caller.organization()).await?;
    let views: Vec<View<'_>> = sources.iter().map(View::of).collect();
    Ok(axum::Json(json!({ "data": views })).into_response())
}

/// One source.
pub(crate) async fn read<S: Store, C: Clock>(
    State(app): State<Arc<App<S, C>>>,
    caller: Caller,
    Id(id): Id<SourceId>,
) -> Result<Response, ApiError> {
    let source = app
        .store
        .source(&id)
        .await?
        .filter(|source| source.organization == *caller.organization());
    let source = source.ok_or(ApiError::NotFound)?;
    Ok(axum::Json(View::of(&source)).into_response())
}

/// Deletes a source: its receiving URL leads nowhere from then on. 204.
pub(crate) async fn delete<S: Store, C: Clock>(
    State(app): State<Arc<App<S, C>>>,
    caller: Caller,
    Id(id): Id<SourceId>,
) -> Result<StatusCode, ApiError> {
    let deleted = app.store.delete_source(caller.organization(), &id).await?;
    if deleted {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(ApiError::NotFound)
    }
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

/// A secret that the preset's scheme can use. White space around it comes from copying and would make every signature a bad one.
fn checked_secret(secret: SecretString, preset: &Preset) -> Result<SecretString, ApiError> {
    let text = secret.expose_secret();
    if text.trim().len() != text.len() {
        return Err(ApiError::invalid("/secret", "the secret has white space around it"));
    }
    preset
        .scheme
        .keys(&secret)
        .map_err(|error| ApiError::invalid("/secret", error))?;
    Ok(secret)
}

/// What `receive` needs to know of a source: nothing that is secret.
fn door(source: &Source, preset: &Preset) -> Door {
    Door {
        source: source.id.clone(),
        organization: source.organization.clone(),
        enabled: source.enabled,
        methods: preset.methods.clone(),
        required_headers: preset.scheme.required_headers(),
        credential_headers: Vec::new(),
        salt: source.salt.clone(),
        success_status: StatusCode::ACCEPTED.as_u16(),
    }
}
