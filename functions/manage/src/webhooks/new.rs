//! `POST /v1/webhooks`

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{Extensions, StatusCode};
use axum::response::{IntoResponse, Response};
use payload::key::TimedSecret;
use payload::webhook::{Format, Method, Rate, Webhook, WebhookSecrets};
use payload::{Clock, WebhookId};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::settings::{NewSigningSecret, Signature};
use super::view::View;
use super::{destination, settings};
use crate::audit::{Action, NOTHING};
use crate::auth::Editor;
use crate::body::{Json, Members, Word};
use crate::fields::{self, required};
use crate::problem::ApiError;
use crate::revision::etag;
use crate::{App, Store};

/// `POST /v1/webhooks`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NewWebhook {
    name: Option<String>,
    url: Option<String>,
    /// Exactly its text: the numbers of a pattern keep their digits only there.
    filter: Option<Box<RawValue>>,
    #[serde(default)]
    format: Word<Format>,
    #[serde(default)]
    method: Word<Method>,
    headers: Option<Members<SecretString>>,
    authorization: Option<settings::Authorization>,
    rate_limit: Option<Rate>,
    schedule: Option<Vec<u32>>,
    enabled: Option<bool>,
    #[serde(default)]
    signature: Word<Signature>,
    /// A signing secret of one's own, `whsec_` and 24 to 64 bytes in base64; one is made where it is absent.
    secret: Option<SecretString>,
    /// What it is for, in words.
    description: Option<String>,
}

/// Creates a webhook: 201 with its signing secret, which is shown only here.
pub(crate) async fn create<S: Store, C: Clock>(
    State(app): State<Arc<App<S, C>>>,
    caller: Editor,
    extensions: Extensions,
    Json(new): Json<NewWebhook>,
) -> Result<Response, ApiError> {
    let name = fields::name(new.name)?;
    let filter = new.filter.map(|filter| settings::filter(filter.get())).transpose()?;
    let (Word(format), Word(method)) = (new.format, new.method);
    settings::check_method(method, format)?;
    let headers = settings::headers(new.headers, new.authorization)?;
    let schedule = new.schedule.map(settings::schedule).transpose()?;
    let description = settings::description(new.description)?;
    let Word(signature) = new.signature;
    let secret = NewSigningSecret::make(new.secret, signature)?;
    let url = destination(&app.settings, &extensions, &required(new.url, "/url")?).await?;
    let limit = app.store.quota(caller.organization()).await?.max_webhooks();
    if app.store.webhooks_of(caller.organization()).await?.len() >= limit {
        return Err(ApiError::LimitReached {
            what: "webhooks",
            limit,
        });
    }
    let now = app.clock.now();
    let webhook = Webhook {
        id: WebhookId::generate(now),
        organization: caller.organization().clone(),
        name,
        description,
        url,
        filter: filter.unwrap_or_default().into(),
        format,
        method,
        rate: new.rate_limit,
        schedule,
        enabled: new.enabled.unwrap_or(true),
        created_at: now,
    };
    let signing = TimedSecret {
        value: secret.value.clone(),
        created_at: now,
        expires_at: None,
    };
    let secrets = WebhookSecrets {
        signing: vec![signing],
        headers,
    };
    let view = View::of(&webhook).with_what_is_public_of(&secrets);
    let entry = caller.entry(now, Action::WebhookCreated, &webhook.id, NOTHING, Some(&view));
    app.store.recording(entry).create_webhook(&webhook, &secrets).await?;
    let view = view.with_secret(secret.shown().map(ExposeSecret::expose_secret));
    Ok((
        StatusCode::CREATED,
        [(LOCATION, format!("/v1/webhooks/{}", webhook.id))],
        etag(0),
        axum::Json(view),
    )
        .into_response())
}
