//! Where a team wants its events.

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::filter::StoredFilter;
use crate::key::TimedSecret;
use crate::{OrganizationId, WebhookId};

/// The longest name of a webhook or a source, in characters.
pub const MAX_NAME_CHARS: usize = 100;

/// The longest URL of a webhook, in bytes.
pub const MAX_URL_BYTES: usize = 1024;

/// The most webhooks of one organization.
pub const MAX_WEBHOOKS: usize = 10_000;

/// A registration of somewhere to deliver to. Its signing secrets and the headers that it wants lie in the table of secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Its name for machines.
    pub id: WebhookId,
    /// The tenant.
    pub organization: OrganizationId,
    /// Its name for people.
    pub name: String,
    /// What it is for, in words.
    pub description: Option<String>,
    /// Where to deliver.
    pub url: DestinationUrl,
    /// Which events it wants.
    pub filter: StoredFilter,
    /// What is sent.
    pub format: Format,
    /// How it is sent.
    pub method: Method,
    /// How many requests it takes; [`Format::default_rate`] where it is absent.
    pub rate: Option<Rate>,
    /// When a failed delivery is tried again; the standard schedule where it is absent.
    pub schedule: Option<Vec<u32>>,
    /// Whether the team wants anything sent at all. What Hookline disabled by itself stands in [`Health::disabled`].
    pub enabled: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What a delivery's body is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// The common payload.
    #[default]
    Raw,
    /// The provider's own bytes and content type, untouched.
    Original,
    /// A message for a [Slack incoming webhook](https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks).
    Slack,
    /// A card for a [Google Chat space](https://developers.google.com/workspace/chat/quickstart/webhooks).
    GoogleChat,
    /// An adaptive card for a [Microsoft Teams workflow](https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/add-incoming-webhook).
    Teams,
    /// The common payload as a [CloudEvent 1.0](https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md) in structured mode.
    Cloudevents,
}

impl Format {
    /// Whether people read it: then its URL is a secret, nothing is signed, and many events may go as one message.
    #[must_use]
    pub fn is_chat(self) -> bool {
        matches!(self, Self::Slack | Self::GoogleChat | Self::Teams)
    }

    /// What the platform takes from one sender, where it says so.
    #[must_use]
    pub fn default_rate(self) -> Option<Rate> {
        match self {
            Self::Slack | Self::GoogleChat => Some(Rate(60)),
            Self::Teams => Some(Rate(240)),
            Self::Raw | Self::Original | Self::Cloudevents => None,
        }
    }
}

/// How a delivery is sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// The message is the body.
    #[default]
    Post,
    /// The flat fields of the common payload are parameters of the URL; only for [`Format::Raw`].
    Get,
}

impl Method {
    /// Whether it is the usual one.
    #[must_use]
    pub fn is_post(&self) -> bool {
        *self == Self::Post
    }
}

/// The highest [`Rate`], in requests a minute.
pub const MAX_RATE: u32 = 60_000;

/// Requests a minute, from 1 to 60,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Rate(u32);

/// A rate that nobody can keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be from 1 to {MAX_RATE} requests a minute")]
pub struct InvalidRate;

impl Rate {
    /// Requests a minute.
    #[must_use]
    pub fn per_minute(self) -> u32 {
        self.0
    }

    /// The time between two requests.
    #[must_use]
    pub fn interval(self) -> std::time::Duration {
        std::time::Duration::from_secs(60) / self.0
    }
}

impl TryFrom<u32> for Rate {
    type Error = InvalidRate;

    fn try_from(per_minute: u32) -> Result<Self, InvalidRate> {
        if (1..=MAX_RATE).contains(&per_minute) {
            Ok(Self(per_minute))
        } else {
            Err(InvalidRate)
        }
    }
}

impl From<Rate> for u32 {
    fn from(rate: Rate) -> Self {
        rate.0
    }
}

impl Webhook {
    /// The rate that holds for it.
    #[must_use]
    pub fn effective_rate(&self) -> Option<Rate> {
        self.rate.or(self.format.default_rate())
    }
}

/// A header that a destination wants, such as `Authorization`: its value is a secret.
#[derive(Debug, Clone)]
pub struct DestinationHeader {
    name: String,
    value: SecretString,
}

/// The most headers of one webhook.
pub const MAX_HEADERS: usize = 20;

/// The longest value of a header, in bytes.
pub const MAX_HEADER_VALUE_BYTES: usize = 4096;

/// Names that are ours, or that belong to the connection (RFC 9110 section 7.6.1) and to the form of the message.
const RESERVED_HEADERS: &[&str] = &[
    // Answers are read as they come: nothing would decompress them.
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

/// Beginnings of names that are ours, or a proxy's.
const RESERVED_PREFIXES: &[&str] = &["webhook-", "hookline-", "proxy-", ":"];

/// Why a header cannot be sent. It never holds the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHeader {
    /// Not a token of RFC 9110.
    #[error("is not a header name: 1 to 100 letters, digits and !#$%&'*+-.^_`|~")]
    Name,
    /// One that Hookline or the connection sets.
    #[error("is a header that Hookline or the connection sets by itself")]
    Reserved,
    /// Bytes that no header can have.
    #[error(
        "the value must have 1 to {MAX_HEADER_VALUE_BYTES} visible characters and spaces, with no space around them"
    )]
    Value,
}

impl DestinationHeader {
    /// A header that may be sent.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(name: &str, value: SecretString) -> Result<Self, InvalidHeader> {
        let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if name.is_empty() || name.len() > 100 || !name.bytes().all(is_token) {
            return Err(InvalidHeader::Name);
        }
        let lower = name.to_ascii_lowercase();
        if RESERVED_HEADERS.contains(&&*lower) || RESERVED_PREFIXES.iter().any(|prefix| lower.starts_with(prefix)) {
            return Err(InvalidHeader::Reserved);
        }
        let text = value.expose_secret();
        let is_visible = |b: u8| b == b' ' || b.is_ascii_graphic();
        if text.is_empty()
            || text.len() > MAX_HEADER_VALUE_BYTES
            || text.trim() != text
            || !text.bytes().all(is_visible)
        {
            return Err(InvalidHeader::Value);
        }
        Ok(Self {
            name: name.to_owned(),
            value,
        })
    }

    /// The name as it was entered.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value, for the request itself.
    #[must_use]
    pub fn expose_value(&self) -> &str {
        self.value.expose_secret()
    }
}

/// Everything secret about a webhook.
#[derive(Debug, Clone, Default)]
pub struct WebhookSecrets {
    /// What deliveries are signed with, expired ones too.
    pub signing: Vec<TimedSecret>,
    /// What a destination wants beside, `Authorization` among it.
    pub headers: Vec<DestinationHeader>,
}

impl DisabledReason {
    /// The reason in words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gone => "its destination wants nothing more",
            Self::Failing => "nothing has succeeded for five days",
            Self::BadFilter => "its stored filter cannot be read",
        }
    }
}

/// A destination that was checked for its form: an absolute https URL without userinfo or fragment, at most [`MAX_URL_BYTES`] long.
/// (Where it leads is checked when it is registered and again at each connection, by `delivery`.)
///
/// It is not printed by `Debug`: some destinations hold their secret in the path.
#[derive(Clone, PartialEq, Eq)]
pub struct DestinationUrl(Url);

/// Why a text is no [`DestinationUrl`]. It never holds the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUrl {
    /// Longer than [`MAX_URL_BYTES`].
    #[error("is longer than {MAX_URL_BYTES} bytes")]
    TooLong,
    /// Not an absolute URL at all.
    #[error("is not an absolute URL")]
    NotAUrl,
    /// Anything but https.
    #[error("must be an https URL")]
    NotHttps,
    /// A user name or password in the URL.
    #[error("must not hold a user name or password")]
    Userinfo,
    /// A fragment is never sent.
    #[error("must not have a fragment")]
    Fragment,
}

/// Whether plain http is taken, which only a hub that runs on one machine may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpPolicy {
    /// https only.
    HttpsOnly,
    /// Also http: an explicit choice for a hub on one machine and for tests.
    AllowHttp,
}

impl DestinationUrl {
    /// Reads and checks a destination.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &str, policy: HttpPolicy) -> Result<Self, InvalidUrl> {
        if text.len() > MAX_URL_BYTES {
            return Err(InvalidUrl::TooLong);
        }
        let url = Url::parse(text).map_err(|_| InvalidUrl::NotAUrl)?;
        let scheme_allowed = url.scheme() == "https" || (url.scheme() == "http" && policy == HttpPolicy::AllowHttp);
        if !scheme_allowed {
            return Err(InvalidUrl::NotHttps);
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(InvalidUrl::NotAUrl);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidUrl::Userinfo);
        }
        if url.fragment().is_some() {
            return Err(InvalidUrl::Fragment);
        }
        if url.as_str().len() > MAX_URL_BYTES {
            return Err(InvalidUrl::TooLong);
        }
        Ok(Self(url))
    }

    /// The URL, for the request itself.
    #[must_use]
    pub fn expose(&self) -> &Url {
        &self.0
    }
}

impl std::fmt::Debug for DestinationUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DestinationUrl([REDACTED])")
    }
}

/// How a webhook has been doing: an item of its own, written only when it changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// The webhook.
    pub webhook: WebhookId,
    /// Since when every attempt has failed; `None` while it is well.
    pub failing_since: Option<Timestamp>,
    /// Why and since when Hookline sends it nothing any more. Enabling the webhook again takes it away.
    pub disabled: Option<Disabled>,
}

/// Why and since when a webhook is sent nothing any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Disabled {
    /// Since when.
    pub at: Timestamp,
    /// Why.
    pub reason: DisabledReason,
}

/// Why Hookline disables a webhook by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum DisabledReason {
    /// Its destination answered that it wants nothing more: 410, or a platform's own word for that.
    Gone,
    /// Nothing has succeeded for five days.
    Failing,
    /// Its stored filter cannot be read.
    BadFilter,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;

    #[test]
    fn headers() {
        let header = |name: &str, value: &str| DestinationHeader::new(name, value.into()).map(|_| ());
        assert_eq!(header("Authorization", "Bearer abc"), Ok(()));
        assert_eq!(header("X-Api-Key", "k"), Ok(()));
        for name in ["", "a b", "a:b", "é", "a\r\nb"] {
            assert_eq!(header(name, "x"), Err(InvalidHeader::Name), "{name}");
        }
        for name in [
            "Host",
            "content-length",
            "Webhook-Signature",
            "hookline-hops",
            "Transfer-Encoding",
            "Proxy-Authorization",
            "Content-Type",
            "Accept-Encoding",
        ] {
            assert_eq!(header(name, "x"), Err(InvalidHeader::Reserved), "{name}");
        }
        for value in ["", " x", "x ", "a\r\nb: c", "a\u{0}", "é"] {
            assert_eq!(header("x", value), Err(InvalidHeader::Value), "{value}");
        }
        let secret = DestinationHeader::new("x", "hidden".into()).unwrap();
        assert!(!format!("{secret:?}").contains("hidden"));
    }

    #[test]
    fn urls() {
        let parse = |text: &str| DestinationUrl::parse(text, HttpPolicy::HttpsOnly);
        assert!(parse("https://example.com/hook?a=b").is_ok());
        assert_eq!(parse("http://example.com").unwrap_err(), InvalidUrl::NotHttps);
        assert_eq!(parse("ftp://example.com").unwrap_err(), InvalidUrl::NotHttps);
        assert_eq!(parse("/hook").unwrap_err(), InvalidUrl::NotAUrl);
        assert_eq!(parse("").unwrap_err(), InvalidUrl::NotAUrl);
        assert_eq!(parse("https://u:p@example.com").unwrap_err(), InvalidUrl::Userinfo);
        assert_eq!(parse("https://example.com/#x").unwrap_err(), InvalidUrl::Fragment);
        assert_eq!(
            parse(&format!("https://example.com/{}", "a".repeat(1024))).unwrap_err(),
            InvalidUrl::TooLong
        );
        assert!(DestinationUrl::parse("http://127.0.0.1:1", HttpPolicy::AllowHttp).is_ok());
        assert!(!format!("{:?}", parse("https://example.com/secret").unwrap()).contains("secret"));
    }
}
