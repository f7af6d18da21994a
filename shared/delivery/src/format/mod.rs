//! What is sent: an event in the format that a webhook asks for, and what each platform's answers mean.
//!
//! - `query`: the common payload as parameters of a URL;
//! - `cloudevents`: the common payload in the envelope of CloudEvents;
//! - `notice` (with `status`), `digest`: what people are told, the same for every chat;
//! - `text`: what of foreign text goes into a message for people, and how it is cut;
//! - `slack`, `google_chat`, `teams`: how each platform wants it;
//! - [`mod@verdict`]: what an answer means.
//!
//! Everything here is pure: the same event makes the same bytes, whatever the time.

mod cloudevents;
mod digest;
mod google_chat;
mod notice;
mod query;
mod slack;
mod status;
mod teams;
mod text;
pub mod verdict;

use bytes::Bytes;
use http::HeaderValue;
use payload::Event;
use payload::event::BrokenEvent;
use payload::webhook::{Format, Method};
use url::Url;

use digest::Digest;
use notice::Notice;

pub use query::MAX_QUERY_BYTES;
pub use verdict::{Rejection, Verdict, verdict};

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What is sent. The bytes that are signed are these, and these are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// How it is sent.
    pub method: Method,
    /// The media type of the body; absent where there is no body, or where the provider named none.
    pub content_type: Option<HeaderValue>,
    /// The body; empty with [`Method::Get`].
    pub body: Bytes,
    /// What is added to the query of the destination, percent-encoded and without a question mark.
    pub query: Option<String>,
    /// What of it is signed.
    pub signed: SignedPart,
}

/// What of a message is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignedPart {
    /// The body.
    Body,
    /// The whole query of the request's URL, without the question mark: the destination's own part and then ours.
    Query,
    /// Nothing: a chat verifies nothing, its URL is the secret.
    Nothing,
}

impl Message {
    /// An event in this format. The method counts for [`Format::Raw`]; every other format is a body, and posted.
    ///
    /// # Errors
    /// When the stored parts of the event do not fit together: no webhook can be sent it, now or later. A chat message says what it can.
    pub fn render(event: &Event, format: Format, method: Method) -> Result<Self, BrokenEvent> {
        Self::render_as(event, event.id.as_str(), format, method)
    }

    /// The same, sent under this id, which a replay may have of its own. A CloudEvent carries it too: its receivers know a repetition by
    /// `source` and `id`. The common payload always names the event.
    ///
    /// # Errors
    /// As of [`Message::render`].
    pub fn render_as(event: &Event, id: &str, format: Format, method: Method) -> Result<Self, BrokenEvent> {
        Ok(match (format, method) {
            (Format::Raw, Method::Post) => Self::signed_body(Some(JSON), event.to_json()?),
            (Format::Raw, Method::Get) => Self {
                method: Method::Get,
                content_type: None,
                body: Bytes::new(),
                query: Some(query::render(event)?),
                signed: SignedPart::Query,
            },
            (Format::Original, _) => Self::original(event)?,
            (Format::Cloudevents, _) => {
                Self::signed_body(Some(cloudevents::CONTENT_TYPE), cloudevents::render(event, id)?)
            }
            (Format::Slack, _) => slack::event(&Notice::of(event)),
            (Format::GoogleChat, _) => google_chat::event(&Notice::of(event)),
            (Format::Teams, _) => teams::event(&Notice::of(event)),
        })
    }

    /// Many events as one message for people: how many of each type, the newest of them, and how many more. `total` is how many wait, of
    /// which `events` may be only a part. `None` where the format is no chat (what machines read is never put together), and of no event.
    #[must_use]
    pub fn digest(events: &[&Event], total: usize, format: Format) -> Option<Self> {
        let render = match format {
            Format::Slack => slack::digest,
            Format::GoogleChat => google_chat::digest,
            Format::Teams => teams::digest,
            Format::Raw | Format::Original | Format::Cloudevents => return None,
        };
        (total > 0 || !events.is_empty()).then(|| render(&Digest::of(events, total)))
    }

    /// The URL of the request: the destination, with our part added to its query.
    #[must_use]
    pub fn url(&self, destination: &Url) -> Url {
        let mut url = destination.clone();
        let Some(ours) = &self.query else { return url };
        let theirs = destination.query().filter(|theirs| !theirs.is_empty());
        // A setting that the destination makes by itself stands: a platform refuses to be told twice.
        if self.signed == SignedPart::Nothing && theirs.is_some_and(|theirs| names_same(theirs, ours)) {
            return url;
        }
        match theirs {
            Some(theirs) => url.set_query(Some(&format!("{theirs}&{ours}"))),
            None => url.set_query(Some(ours)),
        }
        url
    }

    /// The bytes that are signed when it is sent to this URL, as [`Message::url`] made it; nothing where nothing is.
    #[must_use]
    pub fn signed_bytes<'a>(&'a self, url: &'a Url) -> Option<&'a [u8]> {
        match self.signed {
            SignedPart::Body => Some(&self.body),
            SignedPart::Query => Some(url.query().unwrap_or_default().as_bytes()),
            SignedPart::Nothing => None,
        }
    }

    /// The provider's bytes and media type. What came without a body of its own, in a query, and what was published sends `data`.
    fn original(event: &Event) -> Result<Self, BrokenEvent> {
        if event.receipt.is_none() || event.body.is_empty() {
            return Ok(Self::signed_body(Some(JSON), event.data_json()?.into_owned()));
        }
        // A type that no header can hold is as good as none.
        let content_type = event
            .content_type
            .as_ref()
            .and_then(|text| HeaderValue::from_bytes(text.as_bytes()).ok());
        Ok(Self::signed_body(content_type, event.body.clone()))
    }

    fn signed_body(content_type: Option<HeaderValue>, body: impl Into<Bytes>) -> Self {
        Self {
            method: Method::Post,
            content_type,
            body: body.into(),
            query: None,
            signed: SignedPart::Body,
        }
    }

    fn chat(content_type: HeaderValue, body: String, query: Option<String>) -> Self {
        Self {
            method: Method::Post,
            content_type: Some(content_type),
            body: body.into(),
            query,
            signed: SignedPart::Nothing,
        }
    }
}

/// Whether a query names a parameter that the other sets.
fn names_same(theirs: &str, ours: &str) -> bool {
    let names = |query| payload::query::parameters(query).map(|parameter| parameter.name.into_owned());
    names(ours).any(|ours| names(theirs).any(|theirs| theirs == ours))
}

/// The longest rendering that fits: of the first `most` entries, as many as there is room for. None is taken to fit in any case.
fn fitting(most: usize, render: impl Fn(usize) -> String, fits: impl Fn(&str) -> bool) -> String {
    let whole = render(most);
    if fits(&whole) {
        return whole;
    }
    let (mut fitting, mut too_many) = (0, most);
    while fitting + 1 < too_many {
        let middle = fitting.midpoint(too_many);
        if fits(&render(middle)) {
            fitting = middle;
        } else {
            too_many = middle;
        }
    }
    render(fitting)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;
    use proptest::prelude::*;

    fn message(query: Option<&str>, signed: SignedPart) -> Message {
        Message {
            method: Method::Post,
            content_type: None,
            body: Bytes::from_static(b"body"),
            query: query.map(Into::into),
            signed,
        }
    }

    fn url(message: &Message, destination: &str) -> String {
        message.url(&Url::parse(destination).unwrap()).into()
    }

    #[test]
    fn our_part_follows_the_destinations_own() {
        let get = message(Some("id=1&x%5By%5D=%20"), SignedPart::Query);
        assert_eq!(
            url(&get, "https://a.example/p"),
            "https://a.example/p?id=1&x%5By%5D=%20"
        );
        assert_eq!(
            url(&get, "https://a.example/p?"),
            "https://a.example/p?id=1&x%5By%5D=%20"
        );
        assert_eq!(
            url(&get, "https://a.example/?t=1"),
            "https://a.example/?t=1&id=1&x%5By%5D=%20"
        );
        // An event's field is not given up for a parameter of the same name.
        assert_eq!(
            url(&get, "https://a.example/?id=2"),
            "https://a.example/?id=2&id=1&x%5By%5D=%20"
        );
        let chat = message(Some("option=ours"), SignedPart::Nothing);
        assert_eq!(
            url(&chat, "https://a.example/?key=1"),
            "https://a.example/?key=1&option=ours"
        );
        assert_eq!(
            url(&chat, "https://a.example/?%6Fption=theirs"),
            "https://a.example/?%6Fption=theirs"
        );
        assert_eq!(
            url(&message(None, SignedPart::Body), "https://a.example/?"),
            "https://a.example/?"
        );
    }

    #[test]
    fn what_is_signed_is_what_is_sent() {
        let to = Url::parse("https://a.example/?t=1").unwrap();
        let get = message(Some("id=1"), SignedPart::Query);
        assert_eq!(get.signed_bytes(&get.url(&to)), Some(&b"t=1&id=1"[..]));
        assert_eq!(message(None, SignedPart::Body).signed_bytes(&to), Some(&b"body"[..]));
        assert_eq!(message(None, SignedPart::Nothing).signed_bytes(&to), None);
    }

    proptest! {
        #[test]
        fn as_many_as_fit(most in 0_usize..100, room in 0_usize..120) {
            let fitted = fitting(most, |count| "x".repeat(count), |text| text.len() <= room);
            prop_assert_eq!(fitted.len(), most.min(room));
        }
    }
}
