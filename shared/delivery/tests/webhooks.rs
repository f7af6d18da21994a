//! What a webhook asks for, over HTTP: its method, its headers, and its platform's way of answering.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod support;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use delivery::format::Rejection;
use delivery::policy::Exhaustion;
use delivery::{Jitter, Message, Next, Outcome, Request, Schedule, SignedPart};
use payload::TraceId;
use payload::delivery::AttemptError;
use payload::outbound::{SigningKey, sign};
use payload::webhook::{DestinationHeader, Format, Method};
use support::{LONG, Server, at, event, keys, message, open_client, read_request, url};
use tokio::io::AsyncWriteExt;

type Seen = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

/// A server that keeps the requests and answers each with this.
async fn server(status: u16, body: &'static str) -> (Server, Seen) {
    let seen = Seen::default();
    let record = Arc::clone(&seen);
    let server = Server::start(move |mut stream| {
        let record = Arc::clone(&record);
        async move {
            let request = read_request(&mut stream).await.unwrap();
            record.lock().unwrap().push(request);
            let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    })
    .await;
    (server, seen)
}

/// Sends a message to the server with these headers, as an event that has gone through so many hubs.
async fn send(server: &Server, format: Format, message: &Message, headers: &[DestinationHeader], hops: u8) -> Outcome {
    let (event, destination, keys) = (event(), url(&server.url()), keys());
    let request = Request {
        event: &event,
        id: event.as_str(),
        destination: &destination,
        keys: (message.signed != SignedPart::Nothing).then_some(&keys),
        headers,
        message,
        format,
        hops,
        trace: TraceId::of_event(&event),
    };
    delivery::attempt::attempt(&open_client(), at(), request, LONG).await
}

/// The first line, the headers with lower-case names, and the body of the only request.
fn only(seen: &Seen) -> (String, HashMap<String, Vec<String>>, Vec<u8>) {
    let mut seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 1);
    let (head, body) = seen.remove(0);
    let mut lines = head.lines();
    let first = lines.next().unwrap().to_owned();
    let mut headers: HashMap<String, Vec<String>> = HashMap::new();
    for (name, value) in lines.map(|line| line.split_once(": ").unwrap()) {
        headers
            .entry(name.to_ascii_lowercase())
            .or_default()
            .push(value.to_owned());
    }
    (first, headers, body)
}

fn get(query: &str) -> Message {
    Message {
        method: Method::Get,
        content_type: None,
        body: Bytes::new(),
        query: Some(query.to_owned()),
        signed: SignedPart::Query,
    }
}

fn chat(body: &'static str) -> Message {
    Message {
        signed: SignedPart::Nothing,
        body: Bytes::from_static(body.as_bytes()),
        ..message()
    }
}

#[tokio::test]
async fn a_get_has_no_body_and_its_whole_query_is_signed() {
    let (server, seen) = server(200, "").await;
    let outcome = send(&server, Format::Raw, &get("id=evt_1&data.x=%C3%A9%20%26"), &[], 0).await;
    assert_eq!((outcome.attempt.status, outcome.attempt.error), (Some(200), None));
    let (first, headers, body) = only(&seen);
    let target = first.strip_prefix("GET ").unwrap().strip_suffix(" HTTP/1.1").unwrap();
    let (path, query) = target.split_once('?').unwrap();
    assert_eq!(
        (path, query),
        ("/hook/secret-path", "token=secret-query&id=evt_1&data.x=%C3%A9%20%26")
    );
    assert!(body.is_empty());
    for absent in ["content-type", "content-length", "transfer-encoding"] {
        assert!(!headers.contains_key(absent), "{absent}");
    }
    // As a receiver does: over the bytes of the query as they arrived.
    let key = SigningKey::parse(&support::SECRET.into()).unwrap();
    assert_eq!(
        headers["webhook-signature"],
        [sign(&[key], event().as_str(), at(), query.as_bytes())]
    );
    assert_eq!(headers["webhook-id"], [event().as_str()]);
    assert_eq!(headers["webhook-timestamp"], ["1750000000"]);
}

#[tokio::test]
async fn a_destinations_headers_arrive_beside_ours() {
    let (server, seen) = server(200, "").await;
    let header = |name, value: &str| DestinationHeader::new(name, value.into()).unwrap();
    let headers = [
        header("Authorization", "Bearer secret-token"),
        header("X-Team", "a, b; c=\"d\""),
        header("Accept", "application/problem+json"),
    ];
    let outcome = send(&server, Format::Raw, &message(), &headers, 3).await;
    assert!(!format!("{outcome:?}").contains("secret-token"));
    let (_, found, _) = only(&seen);
    assert_eq!(found["authorization"], ["Bearer secret-token"]);
    assert_eq!(found["x-team"], ["a, b; c=\"d\""]);
    assert_eq!(found["accept"], ["application/problem+json"]);
    assert_eq!(found["hookline-hops"], ["4"]);
    let trace = TraceId::of_traceparent(&found["traceparent"][0]);
    assert_eq!(trace, Some(TraceId::of_event(&event())));
    for ours in [
        "content-type",
        "user-agent",
        "webhook-id",
        "webhook-signature",
        "host",
        "traceparent",
    ] {
        assert_eq!(found[ours].len(), 1, "{ours}");
    }
}

#[tokio::test]
async fn none_takes_the_place_of_ours() {
    let names = [
        "webhook-id",
        "Webhook-Signature",
        "webhook-timestamp",
        "hookline-hops",
        "traceparent",
        "Tracestate",
        "content-type",
        "Content-Length",
        "host",
        "user-agent",
        "transfer-encoding",
        "connection",
    ];
    for name in names {
        assert!(DestinationHeader::new(name, "x".into()).is_err(), "{name}");
    }
}

#[tokio::test]
async fn what_must_be_signed_is_not_sent_without_a_key() {
    let (server, seen) = server(200, "").await;
    let (event, destination) = (event(), url(&server.url()));
    let request = Request {
        event: &event,
        id: event.as_str(),
        destination: &destination,
        keys: None,
        headers: &[],
        message: &message(),
        format: Format::Raw,
        hops: 0,
        trace: TraceId::of_event(&event),
    };
    let outcome = delivery::attempt::attempt(&open_client(), at(), request, LONG).await;
    assert_eq!(outcome.attempt.error, Some(AttemptError::Blocked));
    assert!(seen.lock().unwrap().is_empty() && server.connections() == 0);
}

#[tokio::test]
async fn what_a_replay_is_named_is_what_is_signed() {
    let (server, seen) = server(200, "").await;
    let (event, destination, keys, message) = (event(), url(&server.url()), keys(), message());
    let request = Request {
        event: &event,
        id: "msg_1",
        destination: &destination,
        keys: Some(&keys),
        headers: &[],
        message: &message,
        format: Format::Raw,
        hops: 0,
        trace: TraceId::of_event(&event),
    };
    delivery::attempt::attempt(&open_client(), at(), request, LONG).await;
    let (_, headers, body) = only(&seen);
    assert_eq!(headers["webhook-id"], ["msg_1"]);
    assert_eq!(
        headers["webhook-signature"],
        [payload::outbound::sign(keys.as_slice(), "msg_1", at(), &body)]
    );
}

#[tokio::test]
async fn a_chat_gets_no_signature() {
    let (server, seen) = server(200, "ok").await;
    let outcome = send(&server, Format::Slack, &chat(r#"{"text":"x"}"#), &[], 3).await;
    assert_eq!((outcome.attempt.status, outcome.attempt.error), (Some(200), None));
    let (_, headers, body) = only(&seen);
    assert_eq!(body, br#"{"text":"x"}"#);
    assert!(!headers.keys().any(|name| name.starts_with("webhook-")));
    assert_eq!(
        headers["hookline-hops"],
        ["4"],
        "what is taken for a chat may be another hub"
    );
}

#[tokio::test]
async fn each_platform_answers_in_its_own_way() {
    let gone = |reason| Some(Rejection { reason, disables: true });
    let refused = |reason| {
        Some(Rejection {
            reason,
            disables: false,
        })
    };
    const TOLD_429: &str =
        "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429 with ContextId x";
    let cases = [
        (Format::Slack, 200, "ok", true, false, None),
        (Format::Slack, 200, "<html>", false, false, None),
        (Format::Slack, 404, "no_service", false, false, gone("no_service")),
        (
            Format::Slack,
            410,
            "channel_is_archived",
            false,
            false,
            gone("channel_is_archived"),
        ),
        (
            Format::Slack,
            400,
            "invalid_payload",
            false,
            false,
            refused("invalid_payload"),
        ),
        (Format::Slack, 429, "rate_limited", false, true, None),
        (Format::Teams, 202, "", true, false, None),
        (Format::Teams, 200, TOLD_429, false, true, None),
        (Format::GoogleChat, 200, "{}", true, false, None),
        (Format::Raw, 410, "", false, false, gone("gone")),
        (Format::Raw, 404, "no_service", false, false, None),
    ];
    for (format, status, answer, is_success, throttled, rejection) in cases {
        let (server, _) = server(status, answer).await;
        let message = if format.is_chat() { chat("{}") } else { message() };
        let outcome = send(&server, format, &message, &[], 0).await;
        let case = format!("{format:?} {status} {answer}");
        assert_eq!(outcome.attempt.status, Some(status), "{case}");
        assert_eq!(
            outcome.attempt.error,
            (!is_success).then_some(AttemptError::Status),
            "{case}"
        );
        assert_eq!(
            (outcome.attempt.throttled, outcome.rejection),
            (throttled, rejection),
            "{case}"
        );
        let next = Schedule::default().decide(&[], &outcome, at(), Jitter::NONE);
        let expected = match rejection {
            _ if is_success => next == Next::Delivered,
            Some(Rejection { disables: true, .. }) => next == Next::Exhausted(Exhaustion::Gone),
            Some(_) => next == Next::Exhausted(Exhaustion::Refused),
            None => matches!(next, Next::RetryAt(_)),
        };
        assert!(expected, "{case}: {next:?}");
    }
}
