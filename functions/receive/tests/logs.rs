//! One line for each request, with ids, and without the token or the body. A binary of its own: `tracing` remembers for the whole
//! process what the first thread to pass a line wanted of it.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use jiff::Timestamp;
use lambda_http::{Body, http};
use payload::receipt::salted_hash;
use payload::source::{Door, IngestToken};
use payload::{Clock, OrganizationId, Receipt, SourceId};
use receive::Receive;
use serde_json::{Value, json};
use store::{Doors, Inbox, StoreError};
use telemetry::captured::Captured;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        "2025-03-25T13:31:00Z".parse().unwrap()
    }
}

#[derive(Clone)]
struct Fake {
    token_hash: String,
    door: Door,
    put: Result<(), StoreError>,
}

impl Doors for Fake {
    async fn door(&self, token_hash: &str) -> Result<Option<Door>, StoreError> {
        Ok((token_hash == self.token_hash).then(|| self.door.clone()))
    }
}

impl Inbox for Fake {
    async fn put_receipt(&self, _: &Receipt) -> Result<(), StoreError> {
        self.put.clone()
    }
}

fn request(token: &IngestToken) -> http::request::Builder {
    http::Request::builder()
        .method("POST")
        .uri(format!("/in/{}?q=query", token.expose()))
        .header("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"))
}

/// The fields of a line, without what every line has.
fn fields(line: &Value) -> Value {
    let mut line = line.clone();
    for member in ["timestamp", "level", "target"] {
        assert!(line[member].is_string(), "{line}");
        line.as_object_mut().unwrap().remove(member);
    }
    line
}

#[tokio::test]
async fn each_request_is_one_line_and_none_holds_the_token_or_the_body() {
    let lines = Captured::default();
    let _guard = tracing::subscriber::set_default(lines.subscriber("trace"));
    let (token, stranger) = (IngestToken::generate(), IngestToken::generate());
    let door = Door {
        source: SourceId::generate(Timestamp::UNIX_EPOCH),
        organization: OrganizationId::generate(Timestamp::UNIX_EPOCH),
        enabled: true,
        suspended: false,
        methods: vec!["POST".into()],
        required: vec!["webhook-signature".into()],
        credentials: Vec::new(),
        scheme: "standard-webhooks".into(),
        handshake: Some(serde_json::from_value(json!({"kind": "hub-challenge"})).unwrap()),
        verify_token_hash: Some(salted_hash("salt", b"verify-me")),
        salt: "salt".into(),
        expires_at: None,
        success_status: 202,
    };
    let store = Fake {
        token_hash: token.hash(),
        door,
        put: Ok(()),
    };
    let failing = Fake {
        put: Err(StoreError::Unavailable("throttled".into())),
        ..store.clone()
    };
    let (source, organization) = (json!(store.door.source), json!(store.door.organization));
    let numbers = Captured::default();
    let (working, failing) = (Receive::new(store, FixedClock), Receive::new(failing, FixedClock));
    let (working, failing) = (
        working.with_metrics(numbers.metrics()),
        failing.with_metrics(numbers.metrics()),
    );
    let signed = |token| {
        request(token)
            .header("webhook-signature", "signature")
            .body(Body::from("content"))
            .unwrap()
    };

    let stored = working.handle(signed(&token)).await.unwrap().into_body();
    let stored: Value = serde_json::from_slice(&stored).unwrap();
    working.handle(signed(&stranger)).await.unwrap();
    working
        .handle(request(&token).body(Body::Empty).unwrap())
        .await
        .unwrap();
    failing.handle(signed(&token)).await.unwrap();
    for (method, query) in [
        ("HEAD", ""),
        (
            "GET",
            "?hub.mode=subscribe&hub.challenge=word&hub.verify_token=verify-me",
        ),
        (
            "GET",
            "?hub.mode=subscribe&hub.challenge=word&hub.verify_token=verify-you",
        ),
    ] {
        let asking = http::Request::builder()
            .method(method)
            .uri(format!("/in/{}{query}", token.expose()))
            .header("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"));
        working.handle(asking.body(Body::Empty).unwrap()).await.unwrap();
    }

    let text = lines.take();
    let logged: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<Value> = logged.iter().map(fields).collect();
    assert_eq!(
        told,
        [
            json!({
                "message": "stored", "outcome": "stored", "receipt": stored["id"], "source": source, "organization": organization,
                "bytes": 7, "status": 202, "trace": TRACE
            }),
            json!({"message": "refused", "outcome": "refused", "error_type": "unknown_token", "status": 404, "trace": TRACE}),
            json!({
                "message": "refused", "outcome": "refused", "error_type": "missing_header", "source": source,
                "organization": organization, "status": 400, "trace": TRACE
            }),
            json!({
                "message": "failed", "outcome": "failed", "error_type": "store_unavailable", "source": source,
                "organization": organization, "status": 503, "trace": TRACE, "error": "the store is not available now: throttled"
            }),
            json!({"message": "answered", "outcome": "probe", "source": source, "organization": organization, "status": 200, "trace": TRACE}),
            json!({"message": "answered", "outcome": "handshake", "source": source, "organization": organization, "status": 200, "trace": TRACE}),
            json!({
                "message": "refused", "outcome": "refused", "error_type": "handshake_refused", "source": source,
                "organization": organization, "status": 403, "trace": TRACE
            }),
        ]
    );
    let levels: Vec<&Value> = logged.iter().map(|line| &line["level"]).collect();
    assert_eq!(levels, ["INFO", "INFO", "INFO", "ERROR", "INFO", "INFO", "INFO"]);
    for secret in [
        &token.expose()[3..],
        &stranger.expose()[3..],
        "content",
        "signature\"",
        "query",
        "word",
        "verify-",
    ] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    // One was stored, and nothing else is counted here.
    let numbers = numbers.take_lines();
    assert_eq!(numbers.len(), 1);
    assert_eq!(
        (&numbers[0]["Received"], &numbers[0]["_aws"]["Timestamp"]),
        (&json!(1), &json!(1_742_909_460_000_i64))
    );
}
