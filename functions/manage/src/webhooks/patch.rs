//! `PATCH /v1/webhooks/{id}`

use std::mem::take;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{Extensions, HeaderMap};
use axum::response::{IntoResponse, Response};
use payload::filter::{Filter, StoredFilter};
use payload::webhook::{Format, Method, Rate, Webhook};
use payload::{Clock, WebhookId};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::view::View;
use super::{destination, settings};
use crate::audit::{Action, WithSecrets};
use crate::auth::Editor;
use crate::body::{Id, Members, MergePatch, Word};
use crate::fields;
use crate::merge::{Member, patched_text};
use crate::openapi::schema::{HeadersPatch, Wait};
use crate::problem::ApiError;
use crate::revision::{self, etag};
use crate::{App, Store};

/// A JSON Merge Patch (RFC 7396) of a webhook: what is not named stays as it is; `null` removes an option.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = WebhookPatch, examples(json!({"enabled": true, "rateLimit": null})))]
pub(crate) struct Patch {
    /// Its name for people.
    #[serde(default)]
    #[schema(value_type = String, min_length = 1, max_length = 100)]
    name: Member<String>,
    /// Where to deliver. Another host needs each stored header anew, or its removal.
    #[serde(default)]
    #[schema(value_type = String, max_length = 1024, format = "uri", pattern = "^https://")]
    url: Member<String>,
    /// A patch of its filter; `null` removes it: then all events are wanted.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    filter: Member<Box<RawValue>>,
    /// What is sent.
    #[serde(default)]
    #[schema(value_type = Format)]
    format: Member<Word<Format>>,
    /// How it is sent; only the format `raw` can be sent by GET.
    #[serde(default)]
    #[schema(value_type = Method)]
    method: Member<Word<Method>>,
    /// Headers that its destination wants, by their names: each that is given takes the place of the same, `null` removes one or all.
    #[serde(default)]
    #[schema(value_type = Option<HeadersPatch>)]
    headers: Member<Members<Member<SecretString>>>,
    /// What its destination wants to know of us; `null` removes it.
    #[serde(default)]
    #[schema(value_type = Option<settings::Authorization>)]
    authorization: Member<settings::Authorization>,
    /// How many requests a minute it takes.
    #[serde(default)]
    #[schema(value_type = Option<Rate>)]
    rate_limit: Member<Rate>,
    /// The seconds to wait before each further attempt, together at most 7 days.
    #[serde(default)]
    #[schema(value_type = Option<Vec<Wait>>, min_items = 1, max_items = 20, examples(json!([60, 300, 3600])))]
    schedule: Member<Vec<u32>>,
    /// Whether anything is sent. `true` also takes back what Hookline disabled by itself.
    #[serde(default)]
    #[schema(value_type = bool)]
    enabled: Member<bool>,
    /// What it is for, in words.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 1000)]
    description: Member<String>,
}

/// Changes a webhook.
///
/// What is not named stays as it is; `null` removes an option. Enabling it also takes back what Hookline disabled by itself.
#[utoipa::path(
    patch, path = "/v1/webhooks/{id}", operation_id = "updateWebhook", tag = "Webhooks",
    params(("id" = WebhookId, Path, description = "The webhook."), ("if-match" = Option<String>, Header, description = "The `ETag` of the state that the change is made for; any state where it is absent.")),
    request_body(content((Patch = "application/merge-patch+json"), (Patch = "application/json"))),
    responses((status = 200, description = "The webhook as it is now.", body = View, headers(("etag" = String, description = "Names this state, for `If-Match`."))), (status = 409, description = "[conflict] It was changed at the same time. Read it and try again.")),
    security(("key" = ["edit"])),
)]
pub(crate) async fn update<S: Store, C: Clock>(
    State(app): State<Arc<App<S, C>>>,
    caller: Editor,
    Id(id): Id<WebhookId>,
    extensions: Extensions,
    conditions: HeaderMap,
    MergePatch(mut patch): MergePatch<Patch>,
) -> Result<Response, ApiError> {
    let found = app.store.webhook_to_change(caller.organization(), &id).await?;
    let (before, revision) = found.ok_or(ApiError::NotFound)?;
    revision::check(&conditions, revision)?;
    // Read after the webhook: then the revision tells of any change of them too.
    let mut secrets = app.store.webhook_secrets(&id).await?;
    let secrets_before = secrets.clone();
    let keeps_headers = settings::keeps_any(&secrets.headers, &patch.headers, &patch.authorization);
    let headers = settings::patched_headers(
        &secrets.headers,
        take(&mut patch.headers),
        take(&mut patch.authorization),
    )?;
    let has_new_headers = !settings::are_same(&secrets.headers, &headers);
    secrets.headers = headers;
    let is_enabling = matches!(patch.enabled, Member::Given(true));
    let url = take(&mut patch.url).replacement("/url")?;
    let mut webhook = patch.apply(&before)?;
    if let Some(url) = url {
        webhook.url = destination(&app.settings, &extensions, &url).await?;
    } else if before.format.is_chat() && !webhook.format.is_chat() {
        // Else whoever may change a webhook could have the secret shown.
        return Err(ApiError::invalid(
            "/url",
            "is required: that of a chat is a secret, which another format would show",
        ));
    }
    if keeps_headers {
        check_origin(&before, &webhook)?;
    }
    let enable = is_enabling && begins_anew(&app.store, &before).await?;
    let view = View::of(&webhook).with_what_is_public_of(&secrets);
    let mut revision = revision;
    if webhook != before || has_new_headers || enable {
        let after = WithSecrets {
            view: &view,
            replaced_secrets: if has_new_headers { &["headers"] } else { &[] },
        };
        let shown_before = View::of(&before)
            .with_what_is_public_of(&secrets_before)
            .masked_as(&webhook);
        let entry = caller.entry(
            app.clock.now(),
            Action::WebhookUpdated,
            &id,
            Some(&shown_before),
            Some(&after),
        );
        app.store
            .recording(entry)
            .update_webhook(&webhook, revision, has_new_headers.then_some(&secrets), enable)
            .await?;
        revision += 1;
    }
    Ok((etag(revision), axum::Json(view)).into_response())
}

/// Stored headers go only where they were meant to go. Else whoever may change a webhook could have them sent to a server of his own, and
/// read them there.
fn check_origin(before: &Webhook, after: &Webhook) -> Result<(), ApiError> {
    if before.url.expose().origin() == after.url.expose().origin() {
        return Ok(());
    }
    Err(ApiError::invalid(
        "/headers",
        "the URL leads to another host: give each stored header anew, Authorization among them, or remove it with null",
    ))
}

/// Whether enabling a webhook wipes out how it did: when nothing was sent to it. A failure that began before would else disable it again
/// at once; and while it is sent to, that it fails remains true.
async fn begins_anew<S: Store>(store: &S, before: &Webhook) -> Result<bool, ApiError> {
    let health = store.health(&before.organization, &before.id).await?;
    Ok(health.is_some_and(|health| !before.enabled || health.disabled.is_some()))
}

impl Patch {
    /// The webhook after the patch, but for its URL and its headers.
    fn apply(self, before: &Webhook) -> Result<Webhook, ApiError> {
        let mut webhook = before.clone();
        if let Some(name) = self.name.replacement("/name")? {
            webhook.name = fields::name(Some(name))?;
        }
        if let Some(Word(format)) = self.format.replacement("/format")? {
            webhook.format = format;
        }
        if let Some(Word(method)) = self.method.replacement("/method")? {
            webhook.method = method;
        }
        if let Some(enabled) = self.enabled.replacement("/enabled")? {
            webhook.enabled = enabled;
        }
        match self.filter {
            Member::Absent => {}
            Member::Null => webhook.filter = StoredFilter::default(),
            Member::Given(patch) => webhook.filter = patched_filter(&before.filter, &patch)?.into(),
        }
        match self.description {
            Member::Absent => {}
            Member::Null => webhook.description = None,
            Member::Given(text) => webhook.description = settings::description(Some(text))?,
        }
        self.rate_limit.apply(&mut webhook.rate);
        self.schedule.try_map(settings::schedule)?.apply(&mut webhook.schedule);
        settings::check_method(webhook.method, webhook.format)?;
        Ok(webhook)
    }
}

/// A filter after a patch of it. The patch of one that cannot be read may remove what is wrong with it; if it does not, it takes its place.
fn patched_filter(before: &StoredFilter, patch: &RawValue) -> Result<Filter, ApiError> {
    let patched = merged_filter(before.to_json().get(), patch);
    if patched.is_ok() || before.read().is_ok() {
        return patched;
    }
    match merged_filter("{}", patch) {
        // Who names nothing that is wanted did not ask for everything.
        Ok(filter) if filter.is_empty() => patched,
        replaced => replaced,
    }
}

/// From text to text: the numbers of a pattern keep their digits only there.
fn merged_filter(before: &str, patch: &RawValue) -> Result<Filter, ApiError> {
    settings::filter(&patched_text(before, patch.get(), "/filter")?)
}
