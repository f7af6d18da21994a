//! How a provider makes sure that a receiving URL is wanted, as data: it asks once, and hears its own word again.
//!
//! `receive` answers, without reading a secret. Nothing that is answered here makes a receipt.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use crate::json::{Document, scalar};
use crate::preset::Condition;
use crate::query::parameters;
use crate::receipt::salted_hash;

/// The longest text that is sent back, in bytes. Real ones have about a tenth of it.
pub const MAX_ECHO_BYTES: usize = 1024;

/// The longest body that is looked at: a question is short, and what is longer is an event.
pub const MAX_QUESTION_BYTES: usize = 16 * 1024;

/// The longest `WebHook-Request-Origin`, in bytes: as long as a DNS name can be written.
const MAX_ORIGIN_BYTES: usize = 255;

/// The mark that some senders put before UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A provider's question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Handshake {
    /// A POST with a JSON body of a certain type, whose challenge is to be sent back:
    /// [Slack](https://docs.slack.dev/reference/events/url_verification).
    EchoBody(EchoBody),
    /// Any request with a certain query parameter, whose value is to be sent back:
    /// [Microsoft Graph](https://learn.microsoft.com/en-us/graph/change-notifications-delivery-webhooks#notificationurl-validation).
    EchoQuery(EchoQuery),
    /// A GET with `hub.mode`, `hub.verify_token` and `hub.challenge`:
    /// [Meta](https://developers.facebook.com/docs/graph-api/webhooks/getting-started#verification-requests).
    HubChallenge(HubChallenge),
    /// An OPTIONS request with `WebHook-Request-Origin`:
    /// [CloudEvents](https://github.com/cloudevents/spec/blob/main/cloudevents/http-webhook.md#4-abuse-protection).
    Cloudevents(Cloudevents),
}

/// Settings of [`Handshake::EchoBody`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EchoBody {
    /// A JSON Pointer to the text that is sent back.
    pub pointer: String,
    /// What tells the question from an event.
    pub when: Condition,
}

/// Settings of [`Handshake::EchoQuery`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EchoQuery {
    /// The query parameter whose value is sent back.
    pub parameter: String,
}

/// Settings of [`Handshake::HubChallenge`]: the token to be checked is the source's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct HubChallenge {}

/// Settings of [`Handshake::Cloudevents`]: there are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Cloudevents {}

/// A request that may be a question, and what the source knows to answer it.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    /// The request's method.
    pub method: &'a str,
    /// The raw query string, without the question mark.
    pub query: &'a str,
    /// The value of the header with this name in lower case.
    pub header: &'a dyn Fn(&str) -> Option<&'a [u8]>,
    /// The exact bytes of the body.
    pub body: &'a [u8],
    /// What the source's credentials are hashed with.
    pub salt: &'a str,
    /// The source's token for this, as a salted hash.
    pub verify_token_hash: Option<&'a str>,
}

/// What a provider hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Its own word: 1 to [`MAX_ECHO_BYTES`] bytes without control characters.
    Echo(String),
    /// Its deliveries are welcome.
    AllowOrigin {
        /// The origin that asked: 1 to 255 visible ASCII characters.
        origin: String,
        /// How many deliveries a minute are welcome: as many as it asked for, or `*` for any number.
        rate: String,
    },
    /// It asked, and is not given what it asked for: its token is wrong, or its word is none that is sent back.
    Refused,
}

impl Handshake {
    /// The answer to a question of this kind; nothing where the request is none.
    #[must_use]
    pub fn answer(&self, question: &Question<'_>) -> Option<Answer> {
        match self {
            Self::EchoBody(settings) => settings.answer(question),
            Self::EchoQuery(settings) => match find(question.query, &settings.parameter) {
                Found::Nothing => None,
                Found::Once(value) => Some(echo(&value)),
                Found::Repeated => Some(Answer::Refused),
            },
            Self::HubChallenge(_) => hub_challenge(question),
            Self::Cloudevents(_) => allow_origin(question),
        }
    }
}

impl EchoBody {
    fn answer(&self, question: &Question<'_>) -> Option<Answer> {
        if question.method != "POST" || question.body.len() > MAX_QUESTION_BYTES {
            return None;
        }
        let text = question.body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(question.body);
        if !text.trim_ascii_start().starts_with(b"{") {
            return None;
        }
        let document = Document::parse(text).ok()?;
        if !self.when.holds(&document) {
            return None;
        }
        let challenge = document
            .at(&self.pointer)
            .filter(|value| value.get().starts_with('"'))?;
        Some(echo(scalar(challenge)?.as_bytes()))
    }
}

/// Only `subscribe` with the source's own token is answered: whatever else is asked with `hub.` is refused, so that nobody can end or take
/// over a subscription.
fn hub_challenge(question: &Question<'_>) -> Option<Answer> {
    if question.method != "GET" || !parameters(question.query).any(|p| p.name.starts_with(b"hub.")) {
        return None;
    }
    let part = |name| match find(question.query, name) {
        Found::Once(value) => Some(value),
        Found::Nothing | Found::Repeated => None,
    };
    let answer = match (part("hub.mode"), part("hub.verify_token"), part("hub.challenge")) {
        (Some(mode), Some(token), Some(challenge)) if *mode == *b"subscribe" && question.has_token(&token) => {
            echo(&challenge)
        }
        _ => Answer::Refused,
    };
    Some(answer)
}

impl Question<'_> {
    /// Whether this is the source's token. Without one, or with an empty one, nothing is.
    fn has_token(&self, token: &[u8]) -> bool {
        let Some(expected) = self.verify_token_hash else {
            return false;
        };
        let sent = salted_hash(self.salt, token);
        !token.is_empty() && bool::from(sent.as_bytes().ct_eq(expected.as_bytes()))
    }
}

fn allow_origin(question: &Question<'_>) -> Option<Answer> {
    if question.method != "OPTIONS" {
        return None;
    }
    let visible = |value: &[u8]| {
        let fits = (1..=MAX_ORIGIN_BYTES).contains(&value.len()) && value.iter().all(u8::is_ascii_graphic);
        fits.then(|| String::from_utf8_lossy(value).into_owned())
    };
    let Some(origin) = visible((question.header)("webhook-request-origin")?) else {
        return Some(Answer::Refused);
    };
    // A rate is part of every permission, also where none was asked for (section 4.2.2).
    let asked = (question.header)("webhook-request-rate").and_then(visible);
    let is_number = |rate: &String| rate.bytes().all(|b| b.is_ascii_digit()) && rate.parse().is_ok_and(|n: u32| n > 0);
    let rate = asked.filter(is_number).unwrap_or_else(|| "*".into());
    Some(Answer::AllowOrigin { origin, rate })
}

/// How often a parameter is there.
enum Found<'a> {
    Nothing,
    Once(Cow<'a, [u8]>),
    Repeated,
}

/// A parameter that is there twice means two things: no first-or-last choice is made.
fn find<'a>(query: &'a str, name: &str) -> Found<'a> {
    let mut found = parameters(query).filter(|parameter| *parameter.name == *name.as_bytes());
    match (found.next(), found.next()) {
        (None, _) => Found::Nothing,
        (Some(parameter), None) => Found::Once(parameter.value),
        (Some(_), Some(_)) => Found::Repeated,
    }
}

/// Sends a word back, if it is one that does no harm: our answer must not become a place where others put their content.
fn echo(word: &[u8]) -> Answer {
    match std::str::from_utf8(word) {
        Ok(word) if (1..=MAX_ECHO_BYTES).contains(&word.len()) && !word.chars().any(char::is_control) => {
            Answer::Echo(word.to_owned())
        }
        _ => Answer::Refused,
    }
}

#[cfg(test)]
mod tests;
