//! A webhook as the API shows it: everything but its secrets.

use std::borrow::Cow;

use jiff::Timestamp;
use payload::WebhookId;
use payload::outbound::SigningKey;
use payload::webhook::{DestinationHeader, Disabled, Format, Health, Method, Rate, Webhook, WebhookSecrets};
use serde::Serialize;
use serde_json::value::RawValue;
use url::Position;

/// What stands for the path and the query of a URL that is a secret.
pub(super) const MASK: &str = "/…";

/// Where to deliver, without its secrets.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Webhook)]
pub(super) struct View<'a> {
    /// Its name for machines.
    #[schema(value_type = WebhookId)]
    id: &'a WebhookId,
    /// Its name for people.
    name: &'a str,
    /// What it is for, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    /// Where to deliver. Of a chat, whose URL is the credential itself, only scheme and host.
    #[schema(value_type = String)]
    url: Cow<'a, str>,
    /// Which events it wants.
    #[schema(value_type = Object)]
    filter: Box<RawValue>,
    /// What is sent.
    format: Format,
    /// How it is sent.
    method: Method,
    /// Requests a minute, as they hold: its own, or what its format says.
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_limit: Option<Rate>,
    /// The seconds before each further attempt, where it has a schedule of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule: Option<&'a [u32]>,
    /// Whether the team wants anything sent. What Hookline disabled by itself stands in `health`.
    enabled: bool,
    /// When it was made.
    created_at: Timestamp,
    /// The names of the headers that its destination wants. Not in lists: they lie with the secrets.
    #[serde(skip_serializing_if = "Option::is_none")]
    headers: Option<Vec<&'a str>>,
    /// What deliveries are verified with where they are signed with a key of ours. Not in lists, as the headers.
    #[serde(skip_serializing_if = "Option::is_none")]
    public_key: Option<String>,
    /// Only in the answer to its creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'a str>,
    /// Only of one webhook that is read by its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    health: Option<HealthView<'a>>,
}

/// How a webhook does.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = WebhookHealth)]
struct HealthView<'a> {
    /// Since when nothing has succeeded; `null` while it is well.
    #[schema(required)]
    failing_since: Option<Timestamp>,
    /// Why and since when Hookline sends it nothing any more; `null` when it does.
    #[schema(value_type = Option<Disabled>, required)]
    disabled: Option<&'a Disabled>,
}

impl<'a> View<'a> {
    pub(super) fn of(webhook: &'a Webhook) -> Self {
        Self {
            id: &webhook.id,
            name: &webhook.name,
            description: webhook.description.as_deref(),
            url: shown_url(webhook),
            filter: webhook.filter.to_json(),
            format: webhook.format,
            method: webhook.method,
            rate_limit: webhook.effective_rate(),
            schedule: webhook.schedule.as_deref(),
            enabled: webhook.enabled,
            created_at: webhook.created_at,
            headers: None,
            public_key: None,
            secret: None,
            health: None,
        }
    }

    /// What may be shown of its secrets: the names of the headers, and a public key.
    pub(super) fn with_what_is_public_of(self, secrets: &'a WebhookSecrets) -> Self {
        let newest = secrets.signing.first().map(|secret| SigningKey::parse(&secret.value));
        Self {
            headers: Some(secrets.headers.iter().map(DestinationHeader::name).collect()),
            public_key: newest.and_then(|key| key.ok()?.public_key()),
            ..self
        }
    }

    /// The same, its URL hidden where it has become a secret: the webhook that it is now is a chat.
    pub(super) fn masked_as(self, now: &Webhook) -> Self {
        let is_the_same = *self.url == *now.url.expose().as_str();
        Self {
            url: if is_the_same {
                Cow::Owned(shown_url(now).into_owned())
            } else {
                self.url
            },
            ..self
        }
    }

    pub(super) fn with_secret(self, secret: Option<&'a str>) -> Self {
        Self { secret, ..self }
    }

    pub(super) fn with_health(self, health: Option<&'a Health>) -> Self {
        Self {
            health: Some(HealthView {
                failing_since: health.and_then(|health| health.failing_since),
                disabled: health.and_then(|health| health.disabled.as_ref()),
            }),
            ..self
        }
    }
}

/// The URL as it is shown. That of a chat is the credential itself: of it only the scheme and the host.
fn shown_url(webhook: &Webhook) -> Cow<'_, str> {
    let url = webhook.url.expose();
    if webhook.format.is_chat() {
        Cow::Owned(format!("{}{MASK}", &url[..Position::BeforePath]))
    } else {
        Cow::Borrowed(url.as_str())
    }
}
