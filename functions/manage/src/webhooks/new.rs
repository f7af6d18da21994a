//! `POST /v1/webhooks`

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{Extensions, StatusCode};
use axum::response::{IntoResponse, Response};
use payload::filter::Filter;
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
use crate::limits;
use crate::openapi::schema::{Headers, Wait};
use crate::problem::ApiError;
use crate::revision::etag;
use crate::{App, Store};

/// A webhook that is to be.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(examples(json!({"name": "warehouse", "url": "https://example.com/hooks", "filter": {"types": ["live.*"]}})))]
pub(crate) struct NewWebhook {
    /// Its name for people.
    #[schema(value_type = String, min_length = 1, max_length = 100)]
    name: Option<String>,
    /// Where to deliver: an absolute https URL without user, password and fragment, which leads to no private address.
    #[schema(value_type = String, max_length = 1024, format = "uri", pattern = "^https://")]
    url: Option<String>,
    // Exactly its text: the numbers of a pattern keep their digits only there.
    /// Which events it wants; all of the organization where it is absent.
    #[schema(value_type = Option<Filter>)]
    filter: Option<Box<RawValue>>,
    /// What is sent.
    #[serde(default)]
    #[schema(value_type = Format, default = "raw")]
    format: Word<Format>,
    /// How it is sent; only the format `raw` can be sent by GET.
    #[serde(default)]
    #[schema(value_type = Method, default = "POST")]
    method: Word<Method>,
    /// Headers that its destination wants, by their names. Their values are secrets: they are not shown again.
    #[schema(value_type = Option<Headers>)]
    headers: Option<Members<SecretString>>,
    /// What its destination wants to know of us.
    authorization: Option<settings::Authorization>,
    /// How many requests a minute it takes; what its format says where it is absent.
    rate_limit: Option<Rate>,
    /// The seconds to wait before each further attempt, together at most 7 days; the standard schedule where it is absent.
    #[schema(value_type = Option<Vec<Wait>>, min_items = 1, max_items = 20, examples(json!([60, 300, 3600])))]
    schedule: Option<Vec<u32>>,
    /// Whether anything is sent; `true` where it is absent.
    enabled: Option<bool>,
    /// How deliveries are signed.
    #[serde(default)]
    #[schema(value_type = Signature, default = "v1")]
    signature: Word<Signature>,
    /// A signing secret of one's own, `whsec_` and 24 to 64 bytes in base64; one is made where it is absent.
    #[schema(value_type = Option<String>, format = Password, write_only)]
    secret: Option<SecretString>,
    /// What it is for, in words.
    #[schema(max_length = 1000)]
    description: Option<String>,
}

/// Creates a webhook.
///
/// Its signing secret is shown only in this answer.
#[utoipa::path(
    post, path = "/v1/webhooks", operation_id = "createWebhook", tag = "Webhooks",
    request_body = NewWebhook,
    responses(
        (status = 201, description = "The webhook, with its signing secret.", body = View,
            headers(("location" = String, description = "Where the webhook is read."), ("etag" = String, description = "Names this state, for `If-Match`."))),
        (status = 409, description = "[limit-reached] The organization has as many webhooks as it may have."),
    ),
    security(("key" = ["edit"])),
)]
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
    let quota = app.store.quota(caller.organization()).await?;
    let there_are = app.store.count_webhooks(caller.organization()).await?;
    limits::check("webhooks", there_are, quota.max_webhooks())?;
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
