//! `PATCH /v1/sources/{id}`

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use payload::called_url::CalledUrl;
use payload::key::TimedSecret;
use payload::preset::Duplicates;
use payload::scheme::Scheme;
use payload::source::{Provider, Source};
use payload::{Clock, SourceId};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::view::View;
use super::{checked, effective, find, find_preset, secret, shape};
use crate::audit::{Action, WithSecrets};
use crate::auth::Editor;
use crate::body::{self, Id, MergePatch};
use crate::fields;
use crate::merge::Member;
use crate::openapi::schema::SuccessStatus;
use crate::problem::ApiError;
use crate::revision::{self, etag};
use crate::{App, Store, rotation};

/// A JSON Merge Patch (RFC 7396) of a source: what is not named stays as it is; `null` removes an option.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = SourcePatch, examples(json!({"enabled": false})))]
pub(crate) struct Patch {
    /// Its name for people.
    #[serde(default)]
    #[schema(value_type = String, min_length = 1, max_length = 100)]
    name: Member<String>,
    /// Whether requests are taken.
    #[serde(default)]
    #[schema(value_type = bool)]
    enabled: Member<bool>,
    /// Another preset's name; it takes the place of a description of the source's own.
    #[serde(default)]
    #[schema(value_type = Option<String>, examples("quartr"))]
    preset: Member<String>,
    /// A patch of the source's own description, or one that takes the place of a preset.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    custom: Member<Value>,
    /// A patch of the scheme that the source shows. Another `kind` begins anew.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    scheme: Member<Value>,
    /// What decides about duplicates.
    #[serde(default)]
    #[schema(value_type = Option<Duplicates>)]
    duplicates: Member<Value>,
    /// The URL that the provider calls, where its signatures cover it. What is shown of the one that is there changes nothing.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = Password, write_only, max_length = 1024, pattern = "^https?://[^ \\t\\r\\n]+$")]
    public_url: Member<SecretString>,
    /// What the provider's relative links begin at: an http or https URL.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 1024, pattern = "^https?://")]
    base_url: Member<String>,
    /// The status of a success.
    #[serde(default)]
    #[schema(value_type = Option<SuccessStatus>)]
    success_status: Member<u16>,
    /// The token of a handshake, as it is entered at the provider.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = Password, write_only, min_length = 1, max_length = 200)]
    verify_token: Member<SecretString>,
    /// A new secret, as the provider shows it.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = Password, write_only, min_length = 1)]
    secret: Member<SecretString>,
    /// For how many seconds the secrets that are replaced stay valid; given together with a new secret only.
    #[serde(default)]
    #[schema(value_type = Option<u32>, maximum = 604_800)]
    previous_secret_expires_in: Member<u32>,
}

/// What a patch says of the secret.
struct NewSecret {
    value: Member<SecretString>,
    overlap: u32,
}

/// Changes a source.
///
/// What is not named stays as it is; `null` removes an option.
#[utoipa::path(
    patch, path = "/v1/sources/{id}", operation_id = "updateSource", tag = "Sources",
    params(("id" = SourceId, Path, description = "The source."), ("if-match" = Option<String>, Header, description = "The `ETag` of the state that the change is made for; any state where it is absent.")),
    request_body(content((Patch = "application/merge-patch+json"), (Patch = "application/json"))),
    responses((status = 200, description = "The source as it is now.", body = View, headers(("etag" = String, description = "Names this state, for `If-Match`."))), (status = 409, description = "[conflict] It was changed at the same time. Read it and try again.")),
    security(("key" = ["edit"])),
)]
pub(crate) async fn update<S: Store, C: Clock>(
    State(app): State<Arc<App<S, C>>>,
    caller: Editor,
    Id(id): Id<SourceId>,
    headers: HeaderMap,
    MergePatch(mut patch): MergePatch<Patch>,
) -> Result<Response, ApiError> {
    let before = find(&app.store, caller.organization(), &id).await?;
    revision::check(&headers, before.revision)?;
    let new_secret = patch.take_secret()?;
    let typed_url = std::mem::take(&mut patch.public_url);
    let mut source = patch.apply(&before)?;
    let new_url = public_url(typed_url, &mut source)?;
    // A later version may ask for more than that under which it was described: it can still be renamed and disabled.
    let after = if (&source.provider, &source.options) == (&before.provider, &before.options) {
        effective(&source)?
    } else {
        checked(&source)?
    };
    let scheme_before = before.effective().map(|before| before.scheme);
    let secrets = new_secret
        .secrets(&app.store, &source, scheme_before, after.scheme, app.clock.now())
        .await?;
    let mut revision = before.revision;
    if source != before || secrets.is_some() || new_url.is_some() {
        let verify_token = &source.options.verify_token_hash;
        let replaced = [
            ("secret", secrets.is_some()),
            ("publicUrl", new_url.is_some()),
            (
                "verifyToken",
                verify_token.is_some() && *verify_token != before.options.verify_token_hash,
            ),
        ];
        let replaced: Vec<&str> = replaced.iter().filter(|(_, is)| *is).map(|(name, _)| *name).collect();
        let after_view = WithSecrets {
            view: &View::of(&source),
            replaced_secrets: &replaced,
        };
        let now = app.clock.now();
        let entry = caller.entry(
            now,
            Action::SourceUpdated,
            &id,
            Some(&View::of(&before)),
            Some(&after_view),
        );
        app.store
            .recording(entry)
            .update_source(&before, &source, &after.door(), secrets.as_deref(), new_url.as_ref())
            .await?;
        revision += 1;
    }
    Ok((etag(revision), axum::Json(View::of(&source))).into_response())
}

/// The whole URL that the provider calls from now on, where it is another. What the API shows of the one that is there says nothing new:
/// it may come back with the rest of what was read.
fn public_url(typed: Member<SecretString>, source: &mut Source) -> Result<Option<CalledUrl>, ApiError> {
    let shown = &mut source.options.public_url;
    match typed {
        Member::Absent => {}
        Member::Null => *shown = None,
        Member::Given(typed) if shown.as_deref() == Some(typed.expose_secret()) => {}
        Member::Given(typed) => {
            let url = secret::called_url(&typed, None)?;
            *shown = Some(url.shown());
            return Ok(Some(url));
        }
    }
    Ok(None)
}

impl Patch {
    fn take_secret(&mut self) -> Result<NewSecret, ApiError> {
        let value = std::mem::take(&mut self.secret);
        let mut overlap = None;
        std::mem::take(&mut self.previous_secret_expires_in).apply(&mut overlap);
        let field = "/previousSecretExpiresIn";
        if overlap.is_some() && !matches!(value, Member::Given(_)) {
            return Err(ApiError::invalid(field, "is given together with a new secret only"));
        }
        Ok(NewSecret {
            value,
            overlap: rotation::overlap(Some(overlap.unwrap_or(0)), field)?,
        })
    }

    fn apply(self, before: &Source) -> Result<Source, ApiError> {
        let mut source = before.clone();
        if let Some(name) = self.name.replacement("/name")? {
            source.name = fields::name(Some(name))?;
        }
        if let Some(enabled) = self.enabled.replacement("/enabled")? {
            source.enabled = enabled;
        }
        if let Some(provider) = provider(self.preset, self.custom, &before.provider)? {
            source.provider = provider;
        }
        // A patch of these two changes what the source shows: its own, or else what its provider's description says.
        let shown = effective(&source)?;
        let scheme = self.scheme.try_map(|patch| {
            let value = patched(shown.scheme, patch, "/scheme")?;
            shape::scheme(&value, "/scheme")
        })?;
        let duplicates = self.duplicates.try_map(|patch| {
            let value = patched(&shown.duplicates, patch, "/duplicates")?;
            body::read(&value, "/duplicates")
        })?;
        let verify_token = self
            .verify_token
            .try_map(|token| secret::verify_token_hash(&token, &source.salt))?;
        let options = &mut source.options;
        scheme.apply(&mut options.scheme);
        duplicates.apply(&mut options.duplicates);
        self.base_url.apply(&mut options.base_url);
        self.success_status.apply(&mut options.success_status);
        verify_token.apply(&mut options.verify_token_hash);
        Ok(source)
    }
}

/// Whose webhooks the source receives then. Naming a preset or a description takes the place of the other.
fn provider(preset: Member<String>, custom: Member<Value>, before: &Provider) -> Result<Option<Provider>, ApiError> {
    match (preset, custom) {
        (Member::Given(_), Member::Given(_)) => Err(shape::both_providers()),
        (Member::Given(name), _) => Ok(Some(Provider::Preset(find_preset(&name)?.name.clone()))),
        (_, Member::Given(patch)) => {
            let value = match before {
                Provider::Custom(custom) => patched(&**custom, patch, "/custom")?,
                Provider::Preset(_) => patched(&Value::Null, patch, "/custom")?,
            };
            Ok(Some(Provider::Custom(shape::custom(&value)?)))
        }
        (Member::Null, _) if matches!(before, Provider::Preset(_)) => Err(ApiError::invalid(
            "/preset",
            "cannot be removed, unless custom takes its place",
        )),
        (_, Member::Null) if matches!(before, Provider::Custom(_)) => Err(ApiError::invalid(
            "/custom",
            "cannot be removed, unless preset takes its place",
        )),
        _ => Ok(None),
    }
}

/// What a member is after a patch of it.
fn patched<T: Serialize>(before: &T, patch: Value, at: &str) -> Result<Value, ApiError> {
    let mut value = serde_json::to_value(before).map_err(|error| ApiError::invalid(at, error))?;
    shape::merge(&mut value, patch);
    Ok(value)
}

impl NewSecret {
    /// The secrets that are to be stored instead of those that are; nothing where those may stay.
    async fn secrets<S: Store>(
        self,
        store: &S,
        source: &Source,
        before: Option<&Scheme>,
        after: &Scheme,
        now: Timestamp,
    ) -> Result<Option<Vec<TimedSecret>>, ApiError> {
        let needed = |problem: &str| ApiError::invalid("/secret", problem);
        match self.value {
            Member::Given(typed) => {
                let value = secret::stored(after, &typed, &source.salt)?;
                let (usable, _) = usable(store, source, before, after).await?;
                Ok(Some(rotation::rotated(usable, value, now, self.overlap)))
            }
            Member::Null if after.needs_secret() => Err(needed("cannot be removed: the scheme needs one")),
            _ if before == Some(after) => Ok(None),
            _ if !after.needs_secret() => Ok(Some(Vec::new())),
            _ => {
                let (usable, all) = usable(store, source, before, after).await?;
                if !usable.iter().any(|secret| secret.is_valid_at(now)) {
                    return Err(needed("is required: the stored one cannot be used with this scheme"));
                }
                // Written only where it must be: another secret may come in at this moment.
                Ok((!all).then_some(usable))
            }
        }
    }
}

/// The stored secrets that mean something under the scheme that will hold, and whether these are all.
async fn usable<S: Store>(
    store: &S,
    source: &Source,
    before: Option<&Scheme>,
    after: &Scheme,
) -> Result<(Vec<TimedSecret>, bool), ApiError> {
    if !before.is_some_and(|before| secret::outlives(before, after)) {
        return Ok((Vec::new(), false));
    }
    let mut secrets = store.secrets(source.id.as_str()).await?;
    let stored = secrets.len();
    secrets.retain(|secret| after.keys(&secret.value).is_ok());
    let all = secrets.len() == stored;
    Ok((secrets, all))
}
