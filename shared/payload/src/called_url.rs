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
#[error(
    "must be the whole http or https URL, as it was entered at the provider: at most {MAX_BYTES} bytes, without white space"
)]
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

    /// The URL with `…` in the place of what may be a credential: ingest tokens (`in_…`) and whatever follows one without a break, a user
    /// with a password, and a query.
    #[must_use]
    pub fn shown(&self) -> String {
        let whole = self.expose();
        let behind = whole.find(['?', '#']).unwrap_or(whole.len());
        let (front, query) = (&whole[..behind], whole[behind..].chars().next());
        let authority = front.find("://").map_or(0, |at| at + 3);
        let path = front[authority..].find('/').map_or(front.len(), |at| authority + at);
        let user = front[authority..path].rfind('@').map(|at| authority + at);
        let mut shown = match user {
            Some(at) => format!("{}{MASK}{}", &front[..authority], without_tokens(&front[at..])),
            None => without_tokens(front),
        };
        if let Some(mark) = query {
            shown.push(mark);
            shown.push_str(MASK);
        }
        shown
    }
}

/// What stands for that which is not shown.
const MASK: &str = "…";

/// Whether what is shown of a URL is all of it.
pub(crate) fn is_whole(shown: &str) -> bool {
    !shown.contains(MASK)
}

fn without_tokens(text: &str) -> String {
    let mut rest = text;
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

impl FromStr for CalledUrl {
    type Err = InvalidCalledUrl;

    fn from_str(text: &str) -> Result<Self, InvalidCalledUrl> {
        let is_web = Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
        // A parser takes white space away, and a provider does not. What was shown of a URL is not the URL.
        let is_odd = |c: char| c.is_whitespace() || c.is_control();
        if text.len() > MAX_BYTES || !is_web || text.contains(MASK) || text.contains(is_odd) {
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
                "https://h.example.com/in/in_…/?…",
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
                "https://us:er@pa:ss@h.example.com:8443/a?token=x@y/z".to_owned(),
                "https://…@h.example.com:8443/a?…",
            ),
            ("https://h.example.com/a@b#c".to_owned(), "https://h.example.com/a@b#…"),
            ("https:/h.example.com".to_owned(), "https:/h.example.com"),
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
            " https://example.com/a",
            "https://example.com/a\n",
            "https://example.com/a b",
            "https://example.com/in/in_…",
            &format!("https://example.com/{}", "a".repeat(1024)),
        ] {
            assert_eq!(bad.parse::<CalledUrl>().unwrap_err(), InvalidCalledUrl, "{bad}");
        }
    }
}
