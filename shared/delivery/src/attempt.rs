//! One attempt: one HTTP request to a webhook's URL, and what came back.

use std::error::Error as StdError;
use std::future::Future;
use std::io;
use std::time::Duration;

use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use payload::delivery::{Attempt, AttemptError};
use payload::webhook::{DestinationHeader, DestinationUrl, Format, Method};
use payload::{Clock, EventId, TraceId, outbound};
use tokio::time::Instant;

use crate::client::Client;
use crate::format::{Message, Rejection, Verdict, verdict};
use crate::guard::Refusal;
use crate::keys::SigningKeys;
use crate::policy::RetryAfter;

/// How much of an answer's body is read at most; what follows is left unread, and its connection closed.
pub const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// How much of an answer's body is kept, in bytes of UTF-8.
pub const KEPT_ANSWER_BYTES: usize = 4 * 1024;

const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const HOPS: HeaderName = HeaderName::from_static(payload::event::HOPS_HEADER);
const TRACEPARENT: HeaderName = HeaderName::from_static(payload::trace::TRACEPARENT_HEADER);
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// What is to be sent where.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The event.
    pub event: &'a EventId,
    /// The `webhook-id` of every attempt of a round, by which a receiver knows a repetition: the event's id, or that of a replay.
    pub id: &'a str,
    /// Where it goes.
    pub destination: &'a DestinationUrl,
    /// What it is signed with; `None` only where the message is not signed.
    pub keys: Option<&'a SigningKeys>,
    /// What the destination wants to be sent beside.
    pub headers: &'a [DestinationHeader],
    /// What is sent.
    pub message: &'a Message,
    /// Whose answers these are.
    pub format: Format,
    /// How many hubs the event has gone through before.
    pub hops: u8,
    /// The trace that the event belongs to.
    pub trace: TraceId,
}

/// What an attempt came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What is recorded of it.
    pub attempt: Attempt,
    /// When the destination asked us to come again.
    pub retry_after: Option<RetryAfter>,
    /// Why no repetition changes the answer, where that is so.
    pub rejection: Option<Rejection>,
}

/// Makes attempts. The real one is [`HttpSender`]; tests bring others.
pub trait Sender: Send + Sync + 'static {
    /// Makes one attempt, which ends within `limit` whatever the destination does.
    fn send(&self, request: Request<'_>, limit: Duration) -> impl Future<Output = Outcome> + Send;
}

/// Makes attempts over the network.
#[derive(Debug, Clone)]
pub struct HttpSender<C> {
    client: Client,
    clock: C,
}

impl<C: Clock> HttpSender<C> {
    /// A sender that uses this client and dates its attempts by this clock.
    #[must_use]
    pub fn new(client: Client, clock: C) -> Self {
        Self { client, clock }
    }
}

impl<C: Clock> Sender for HttpSender<C> {
    async fn send(&self, request: Request<'_>, limit: Duration) -> Outcome {
        attempt(&self.client, self.clock.now(), request, limit).await
    }
}

/// What has come back so far. It outlives an exchange that is cut off.
#[derive(Default)]
struct Answer {
    status: Option<u16>,
    retry_after: Option<RetryAfter>,
    body: Vec<u8>,
    cut: bool,
}

/// Makes one attempt at `at`, with the headers of the
/// [Standard Webhooks specification](https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).
///
/// `limit` covers all of it: lookup, connection, handshake, headers and body. Whatever happens is an outcome, never an error: what a
/// destination does is no failure of ours. No part of the outcome holds the URL.
pub async fn attempt(client: &Client, at: Timestamp, request: Request<'_>, limit: Duration) -> Outcome {
    let started = Instant::now();
    let mut answer = Answer::default();
    let result = tokio::time::timeout(limit, exchange(client, at, request, &mut answer))
        .await
        .unwrap_or(Err(AttemptError::Timeout));
    let verdict = answer
        .status
        .map(|status| verdict(request.format, status, &answer.body));
    let error = match verdict {
        None | Some(Verdict::Success) => result.err(),
        // An answer that is no success says more than how the rest of it ended.
        Some(_) => Some(AttemptError::Status),
    };
    Outcome {
        attempt: Attempt {
            at,
            duration_ms: u32::try_from(started.elapsed().as_millis()).unwrap_or(u32::MAX),
            status: answer.status,
            error,
            throttled: verdict == Some(Verdict::Throttled),
            answer: kept_text(&answer.body, answer.cut),
        },
        retry_after: answer.retry_after,
        rejection: match verdict {
            Some(Verdict::Final(rejection)) => Some(rejection),
            _ => None,
        },
    }
}

async fn exchange(
    client: &Client,
    at: Timestamp,
    request: Request<'_>,
    answer: &mut Answer,
) -> Result<(), AttemptError> {
    let url = request.message.url(request.destination.expose());
    client.guard.check_url(&url).map_err(refusal_class)?;
    let headers = headers(at, request, request.message.signed_bytes(&url))?;
    let method = match request.message.method {
        Method::Post => http::Method::POST,
        Method::Get => http::Method::GET,
    };
    let mut outgoing = reqwest::Request::new(method, url);
    *outgoing.headers_mut() = headers;
    if request.message.method == Method::Post {
        *outgoing.body_mut() = Some(request.message.body.clone().into());
    }

    let mut response = client.http.execute(outgoing).await.map_err(|error| classify(&error))?;
    answer.status = Some(response.status().as_u16());
    answer.retry_after = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| RetryAfter::parse(value.to_str().ok()?));
    let mut read = 0_usize;
    while let Some(chunk) = response.chunk().await.map_err(|error| classify(&error))? {
        read = read.saturating_add(chunk.len());
        let room = KEPT_ANSWER_BYTES - answer.body.len();
        answer.cut |= chunk.len() > room;
        answer.body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if read >= MAX_ANSWER_BYTES {
            // Enough: an answer that never ends is neither a failure nor a reason to wait.
            break;
        }
    }
    Ok(())
}

fn headers(at: Timestamp, request: Request<'_>, signed: Option<&[u8]>) -> Result<HeaderMap, AttemptError> {
    let mut headers = HeaderMap::with_capacity(8 + request.headers.len());
    for header in request.headers {
        let name = HeaderName::from_bytes(header.name().as_bytes()).map_err(|_| AttemptError::Blocked)?;
        let mut value = HeaderValue::from_str(header.expose_value()).map_err(|_| AttemptError::Blocked)?;
        value.set_sensitive(true);
        headers.append(name, value);
    }
    // Ours come last: nothing takes their place.
    // Also to chats: what a team takes for one may be another hub.
    headers.insert(HOPS, HeaderValue::from(u16::from(request.hops) + 1));
    if let Ok(traceparent) = HeaderValue::from_str(&request.trace.traceparent()) {
        headers.insert(TRACEPARENT, traceparent);
    }
    headers.extend(
        request
            .message
            .content_type
            .clone()
            .map(|content_type| (CONTENT_TYPE, content_type)),
    );
    let Some(signed) = signed else { return Ok(headers) };
    // What is to be signed and cannot be is not sent.
    let keys = request.keys.ok_or(AttemptError::Blocked)?;
    let signature = outbound::sign(keys.as_slice(), request.id, at, signed);
    // All of these are ASCII by construction; a header that cannot be built is still no reason to send without it.
    let value = |text: &str| HeaderValue::from_str(text).map_err(|_| AttemptError::Blocked);
    let mut signature = value(&signature)?;
    signature.set_sensitive(true);
    headers.insert(WEBHOOK_ID, value(request.id)?);
    headers.insert(WEBHOOK_TIMESTAMP, HeaderValue::from(at.as_second()));
    headers.insert(WEBHOOK_SIGNATURE, signature);
    Ok(headers)
}

fn refusal_class(refusal: Refusal) -> AttemptError {
    match refusal {
        Refusal::NoAddress => AttemptError::Dns,
        Refusal::NotHttps | Refusal::Port | Refusal::OwnHost | Refusal::Address(_) => AttemptError::Blocked,
    }
}

/// What kind of failure an error of the client is, from what lies at the bottom of it.
fn classify(error: &reqwest::Error) -> AttemptError {
    let mut handshake_broke_off = false;
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(cause) = next {
        if let Some(refusal) = cause.downcast_ref::<Refusal>() {
            return refusal_class(*refusal);
        }
        if cause.is::<rustls::Error>() {
            return AttemptError::Tls;
        }
        next = match cause.downcast_ref::<io::Error>() {
            Some(io_error) => {
                handshake_broke_off |= io_error.kind() == io::ErrorKind::UnexpectedEof;
                // `source` of an io::Error skips the very error that it wraps.
                io_error
                    .get_ref()
                    .map(|inner| inner as &(dyn StdError + 'static))
                    .or_else(|| io_error.source())
            }
            None => cause.source(),
        };
    }
    if error.is_builder() {
        // The client refused the URL by itself: https_only.
        return AttemptError::Blocked;
    }
    match (error.is_dns(), error.is_connect(), handshake_broke_off) {
        (true, _, _) => AttemptError::Dns,
        // Opening a TCP connection never meets the end of a stream: a handshake did.
        (_, true, true) => AttemptError::Tls,
        (_, true, false) => AttemptError::Connect,
        _ => AttemptError::Body,
    }
}

/// The start of an answer as text, cut at a character's end; what is no UTF-8 is replaced.
fn kept_text(body: &[u8], cut: bool) -> Option<String> {
    if body.is_empty() {
        return None;
    }
    let whole = if cut {
        &body[..body.len() - incomplete_tail(body)]
    } else {
        body
    };
    let mut text = String::from_utf8_lossy(whole).into_owned();
    // A replacement takes three bytes where it may stand for one.
    text.truncate(text.floor_char_boundary(KEPT_ANSWER_BYTES));
    Some(text)
}

/// How many bytes at the end begin a character that was cut.
fn incomplete_tail(body: &[u8]) -> usize {
    (1..=3.min(body.len()))
        .find(|back| body[body.len() - back] & 0b1100_0000 != 0b1000_0000)
        .filter(|back| {
            let needed = match body[body.len() - back] {
                0xc0..=0xdf => 2,
                0xe0..=0xef => 3,
                0xf0..=0xf7 => 4,
                _ => 1,
            };
            needed > *back
        })
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_answer_is_cut_at_a_characters_end() {
        assert_eq!(kept_text(b"", false), None);
        assert_eq!(kept_text(b"ok", false).as_deref(), Some("ok"));
        let long = "aé".repeat(2_000);
        let text = kept_text(&long.as_bytes()[..KEPT_ANSWER_BYTES], true).unwrap();
        assert!(
            long.starts_with(&text) && text.len() > KEPT_ANSWER_BYTES - 4,
            "{}",
            text.len()
        );
        assert_eq!(kept_text(b"\xff\xfe", false).as_deref(), Some("\u{fffd}\u{fffd}"));
        assert!(kept_text(&[0xff; KEPT_ANSWER_BYTES], true).unwrap().len() <= KEPT_ANSWER_BYTES);
    }

    proptest! {
        #[test]
        fn a_cut_answer_is_a_start_of_the_whole(text in "\\PC{0,64}", end in 0_usize..256) {
            let end = end.min(text.len());
            let kept = kept_text(&text.as_bytes()[..end], end < text.len()).unwrap_or_default();
            prop_assert!(text.starts_with(&kept));
            prop_assert!(end - kept.len() < 4);
        }

        #[test]
        fn any_bytes_make_text_within_the_limit(bytes in proptest::collection::vec(any::<u8>(), 0..KEPT_ANSWER_BYTES), cut: bool) {
            prop_assert!(kept_text(&bytes, cut).unwrap_or_default().len() <= KEPT_ANSWER_BYTES);
        }
    }
}
