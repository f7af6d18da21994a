//! The URL that a provider calls, where its signatures cover it.

use std::fmt;
use std::str::FromStr;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::source::IngestToken;

/// The longest one, in bytes.
const MAX_BYTES: usize = 1024;

/// How long an ingest token is, in bytes: `in_` and 24 bytes in base64url.
const TOKEN_BYTES: usize = 35;

/// A URL as it was entered at the provider, character by character. It mostly is the receiving URL, which holds the ingest token, so it
/// is kept like a secret; a source knows only [what may be shown](Self::shown) of it.
#[derive(Clone)]
pub struct CalledUrl(SecretString);

/// A text that no provider can call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an http or https URL of at most {MAX_BYTES} bytes")]
pub struct InvalidCalledUrl;

impl CalledUrl {
    /// The whole URL, for the signed bytes.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// The same as a secret, to be stored with the others.
    #[must_use]
    pub fn into_secret(self) -> SecretString {
        self.0
    }

    /// The URL with `in_…` instead of each ingest token, and of whatever else follows it without a break.
    #[must_use]
    pub fn shown(&self) -> String {
        let mut rest = self.expose();
        let mut shown = String::with_capacity(rest.len());
        while let Some(at) = rest.find("in_") {
            shown.push_str(&rest[..at]);
            rest = &rest[at..];
            let is_token = rest
                .get(..TOKEN_BYTES)
                .is_some_and(|text| text.parse::<IngestToken>().is_ok());
            let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
            let (written, length) = if is_token {
                ("in_…", rest.find(|c| !is_part(c)).unwrap_or(rest.len()))
            } else {
                ("in_", 3)
            };
            shown.push_str(written);
            rest = &rest[length..];
        }
        shown.push_str(rest);
        shown
    }
}

impl FromStr for CalledUrl {
    type Err = InvalidCalledUrl;

    fn from_str(text: &str) -> Result<Self, InvalidCalledUrl> {
        let is_web = Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
        if text.len() > MAX_BYTES || !is_web {
            return Err(InvalidCalledUrl);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Debug for CalledUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CalledUrl").field(&self.shown()).finish()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;

    #[test]
    fn no_ingest_token_is_shown_wherever_it_stands() {
        let token = IngestToken::generate();
        let token = token.expose();
        let short = format!("https://h.example.com/{}", &token[..34]);
        for (url, shown) in [
            (
                format!("https://h.example.com/in/{token}"),
                "https://h.example.com/in/in_…",
            ),
            (
                format!("https://h.example.com/in/{token}/?a=b&t={token}#{token}"),
                "https://h.example.com/in/in_…/?a=b&t=in_…#in_…",
            ),
            (
                format!("https://in_x.example.com/x{token}y/z"),
                "https://in_x.example.com/xin_…/z",
            ),
            (
                format!("https://h.example.com/in_{token}"),
                "https://h.example.com/in_…",
            ),
            (short.clone(), short.as_str()),
            (
                "https://h.example.com/in_été".to_owned(),
                "https://h.example.com/in_été",
            ),
        ] {
            let called: CalledUrl = url.parse().unwrap();
            assert_eq!(called.shown(), shown);
            assert_eq!(called.expose(), url);
            assert!(!format!("{called:?}").contains(token));
        }
    }

    #[test]
    fn what_no_provider_can_call_is_refused() {
        for bad in [
            "",
            "x",
            "/in/x",
            "ftp://example.com",
            "https://",
            &format!("https://example.com/{}", "a".repeat(1024)),
        ] {
            assert_eq!(bad.parse::<CalledUrl>().unwrap_err(), InvalidCalledUrl, "{bad}");
        }
    }
}
