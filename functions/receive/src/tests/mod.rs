//! Every answer, from the JSON that API Gateway hands over (payload format 2.0; that 1.0 says the same is in `formats`) through the reading of
//! it that the function runs with.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod asked;
mod formats;
mod parameters;
mod refusing;
mod storing;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::SignedDuration;
use lambda_http::http::HeaderMap;

use payload::receipt::{HeaderValue, MAX_STORED_BODY_BYTES, salted_hash};
use payload::{OrganizationId, SourceId};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// A time that a test moves.
#[derive(Debug)]
struct TestClock(Mutex<Timestamp>);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

#[derive(Debug)]
struct Fake {
    token_hash: String,
    door: Mutex<Result<Door, StoreError>>,
    put: Result<(), StoreError>,
    stored: Mutex<Vec<Receipt>>,
    reads: AtomicUsize,
}

impl Doors for Fake {
    async fn door(&self, token_hash: &str) -> Result<Option<Door>, StoreError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let door = self.door.lock().unwrap().clone()?;
        Ok((token_hash == self.token_hash).then_some(door))
    }
}

impl Inbox for Fake {
    async fn put_receipt(&self, receipt: &Receipt) -> Result<(), StoreError> {
        self.put.clone()?;
        self.stored.lock().unwrap().push(receipt.clone());
        Ok(())
    }
}

fn now() -> Timestamp {
    "2025-03-25T13:31:00.123Z".parse().unwrap()
}

fn door() -> Door {
    Door {
        source: SourceId::generate(now()),
        organization: OrganizationId::generate(now()),
        enabled: true,
        suspended: false,
        methods: vec!["POST".into()],
        required: vec!["webhook-signature".into()],
        credentials: vec!["x-own-token".into()],
        scheme: "standard-webhooks".into(),
        handshake: None,
        verify_token_hash: None,
        salt: "salt".into(),
        expires_at: None,
        success_status: 202,
    }
}

fn function(token: &IngestToken, door: Door, put: Result<(), StoreError>) -> Receive<Fake, TestClock> {
    let store = Fake {
        token_hash: token.hash(),
        door: Mutex::new(Ok(door)),
        put,
        stored: Mutex::new(Vec::new()),
        reads: AtomicUsize::new(0),
    };
    Receive::new(store, TestClock(Mutex::new(now())))
}

/// What API Gateway hands over.
struct Event<'a> {
    method: &'a str,
    token: &'a str,
    query: &'a str,
    headers: Value,
    body: Value,
    is_base64: bool,
}

impl Event<'_> {
    fn request(&self) -> Request {
        gateway::read(&self.json().to_string()).unwrap()
    }

    fn json(&self) -> Value {
        let path = format!("/in/{}", self.token);
        json!({
            "version": "2.0", "routeKey": "ANY /in/{token}", "rawPath": path, "rawQueryString": self.query,
            "headers": self.headers, "pathParameters": {"token": self.token},
            "requestContext": {
                "accountId": "123456789012", "apiId": "api", "domainName": "api.execute-api.eu-west-1.amazonaws.com",
                "domainPrefix": "api", "requestId": "r", "routeKey": "ANY /in/{token}", "stage": "$default",
                "time": "25/Mar/2025:13:31:00 +0000", "timeEpoch": 1_742_909_460_000_i64,
                "http": {"method": self.method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "test"}
            },
            "body": self.body, "isBase64Encoded": self.is_base64
        })
    }
}

fn event(token: &str) -> Event<'_> {
    Event {
        method: "POST",
        token,
        query: "",
        headers: json!({"Content-Type": "application/json", "webhook-signature": "v1,c2lnbmF0dXJl"}),
        body: json!("{\"type\": \"a.b\"}"),
        is_base64: false,
    }
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

async fn answer(function: &Receive<Fake, TestClock>, request: Request) -> Answer {
    let (head, body) = function.handle(request).await.unwrap().into_parts();
    let is_text = head
        .headers
        .get("content-type")
        .is_some_and(|kind| kind == "text/plain; charset=utf-8");
    let body = if body.is_empty() {
        Value::Null
    } else if is_text {
        assert_eq!(head.headers["content-security-policy"], "default-src 'none'");
        String::from_utf8(body.to_vec()).unwrap().into()
    } else {
        serde_json::from_slice(&body).unwrap()
    };
    assert_eq!(head.headers["cache-control"], "no-store");
    assert_eq!(head.headers["x-content-type-options"], "nosniff");
    if !head.status.is_success() {
        assert_eq!(head.headers["content-type"], "application/problem+json");
        assert_eq!(body["status"], head.status.as_u16());
        for member in ["type", "title", "detail"] {
            assert!(!body[member].as_str().unwrap().is_empty(), "{member}");
        }
    }
    Answer {
        status: head.status.as_u16(),
        headers: head.headers,
        body,
    }
}

fn only(function: &Receive<Fake, TestClock>) -> Receipt {
    let stored = function.store.stored.lock().unwrap();
    assert_eq!(stored.len(), 1);
    stored[0].clone()
}

fn nothing_is_stored(function: &Receive<Fake, TestClock>) -> bool {
    function.store.stored.lock().unwrap().is_empty()
}
