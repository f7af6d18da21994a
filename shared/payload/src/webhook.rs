//! Where a team wants its events.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::filter::Filter;
use crate::{OrganizationId, WebhookId};

/// The longest name of a webhook or a source, in characters.
pub const MAX_NAME_CHARS: usize = 100;

/// The longest URL of a webhook, in bytes.
pub const MAX_URL_BYTES: usize = 1024;

/// The most webhooks of one organization.
pub const MAX_WEBHOOKS: usize = 10_000;

/// A registration of somewhere to deliver to. Its signing secrets lie in their own table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Its name for machines.
    pub id: WebhookId,
    /// The tenant.
    pub organization: OrganizationId,
    /// Its name for people.
    pub name: String,
    /// Where to deliver.
    pub url: DestinationUrl,
    /// Which events it wants.
    pub filter: Filter,
    /// What is sent.
    pub format: Format,
    /// Whether anything is sent at all.
    pub enabled: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What a delivery's body is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// The common payload.
    #[default]
    Raw,
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
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;

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
