//! Every answer, from the JSON that API Gateway hands over (payload format 2.0) through lambda_http's own reading of it.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::SignedDuration;
use lambda_http::request::from_str;
use payload::receipt::MAX_STORED_BODY_BYTES;
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
        methods: vec!["POST".into()],
        required_headers: vec!["webhook-signature".into()],
        credential_headers: vec!["x-own-token".into()],
        salt: "salt".into(),
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
        let path = format!("/in/{}", self.token);
        from_str(
            &json!({
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
            .to_string(),
        )
        .unwrap()
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
    let body = if body.is_empty() {
        Value::Null
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

#[tokio::test]
async fn a_request_is_stored_as_it_came_before_it_is_acknowledged() {
    let token = IngestToken::generate();
    let function = function(&token, door(), Ok(()));
    let text = "{\"type\": \"a.b\",\r\n \"ü\": \"\u{1F600}\"}";
    let request = Event {
        query: "a=1&a=%20x&b",
        headers: json!({
            "Content-Type": "application/json; charset=utf-8", "Webhook-Signature": "v1,c2ln v1,b3RoZXI=", "authorization": "Bearer s3cret",
            "X-Own-Token": "t0ken", "x-plain": "ä"
        }),
        body: json!(text),
        ..event(token.expose())
    };
    let answer = answer(&function, request.request()).await;
    assert_eq!(answer.status, 202);
    let receipt = only(&function);
    assert_eq!(answer.body, json!({"id": receipt.id}));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(receipt.body.as_ref(), text.as_bytes());
    assert_eq!(
        (receipt.method.as_str(), receipt.query.as_str()),
        ("POST", "a=1&a=%20x&b")
    );
    assert_eq!(receipt.received_at, now());
    assert_eq!(receipt.id.created_at(), now());
    assert_eq!(
        receipt.header("webhook-signature").as_deref(),
        Some("v1,c2ln v1,b3RoZXI=")
    );
    assert_eq!(
        receipt.content_type().as_deref(),
        Some("application/json; charset=utf-8")
    );
    assert!(
        receipt
            .headers
            .iter()
            .all(|header| header.name == header.name.to_lowercase())
    );
    let hashed = |name: &str| {
        receipt
            .headers
            .iter()
            .any(|h| h.name == name && matches!(h.value, HeaderValue::Hashed(_)))
    };
    assert!(hashed("authorization") && hashed("x-own-token") && !hashed("x-plain"));
    assert!(!format!("{receipt:?}").contains("s3cret"));
}

#[tokio::test]
async fn a_base64_body_is_stored_as_the_bytes_it_was() {
    let token = IngestToken::generate();
    for bytes in [&b""[..], b"\x00\xff\xfe\x1f\x8b", "{\"ü\": 1}".as_bytes()] {
        let function = function(&token, door(), Ok(()));
        let request = Event {
            body: json!(STANDARD.encode(bytes)),
            is_base64: true,
            ..event(token.expose())
        };
        assert_eq!(answer(&function, request.request()).await.status, 202);
        assert_eq!(only(&function).body.as_ref(), bytes);
    }
}

#[tokio::test]
async fn a_request_without_a_body_is_stored_with_an_empty_one() {
    let token = IngestToken::generate();
    let function = function(
        &token,
        Door {
            methods: vec!["GET".into()],
            ..door()
        },
        Ok(()),
    );
    let request = Event {
        method: "GET",
        query: "event=Record.created",
        body: Value::Null,
        ..event(token.expose())
    };
    assert_eq!(answer(&function, request.request()).await.status, 202);
    let receipt = only(&function);
    assert!(receipt.body.is_empty());
    assert_eq!(receipt.query, "event=Record.created");
}

#[tokio::test]
async fn a_source_chooses_its_success_status() {
    let token = IngestToken::generate();
    for (chosen, status) in [(200, 200), (204, 204), (202, 202), (302, 202), (99, 202)] {
        let function = function(
            &token,
            Door {
                success_status: chosen,
                ..door()
            },
            Ok(()),
        );
        let answer = answer(&function, event(token.expose()).request()).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.body.is_null(), status == 204);
        assert_eq!(answer.header("content-type").is_some(), status != 204);
    }
}

#[tokio::test]
async fn unknown_malformed_and_disabled_are_the_same_404() {
    let token = IngestToken::generate();
    let open = function(&token, door(), Ok(()));
    let closed = function(
        &token,
        Door {
            enabled: false,
            ..door()
        },
        Ok(()),
    );
    let disabled = answer(&closed, event(token.expose()).request()).await;
    assert_eq!(disabled.status, 404);
    let stranger = IngestToken::generate();
    for text in [stranger.expose(), "in_short", "x", "%00", &"a".repeat(5000)] {
        let unknown = answer(&open, event(text).request()).await;
        assert_eq!((unknown.status, &unknown.body), (404, &disabled.body), "{text}");
    }
    assert!(open.store.stored.lock().unwrap().is_empty() && closed.store.stored.lock().unwrap().is_empty());
}

#[tokio::test]
async fn another_method_is_405_with_those_that_are_allowed() {
    let token = IngestToken::generate();
    let function = function(
        &token,
        Door {
            methods: vec!["POST".into(), "PUT".into()],
            ..door()
        },
        Ok(()),
    );
    for method in ["GET", "HEAD", "OPTIONS", "DELETE", "PATCH"] {
        let answer = answer(
            &function,
            Event {
                method,
                ..event(token.expose())
            }
            .request(),
        )
        .await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some("POST, PUT")));
    }
    assert!(function.store.stored.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_missing_or_empty_signature_header_is_400_and_unstored() {
    let token = IngestToken::generate();
    let function = function(&token, door(), Ok(()));
    for headers in [
        json!({}),
        json!({"webhook-signature": ""}),
        json!({"webhook-signature": "  "}),
        json!({"svix-signature": "v1,a"}),
    ] {
        let answer = answer(
            &function,
            Event {
                headers,
                ..event(token.expose())
            }
            .request(),
        )
        .await;
        assert_eq!(answer.status, 400);
        assert!(answer.body["detail"].as_str().unwrap().contains("webhook-signature"));
    }
    assert!(function.store.stored.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_bad_signature_is_not_the_senders_business() {
    let token = IngestToken::generate();
    let function = function(&token, door(), Ok(()));
    let request = Event {
        headers: json!({"webhook-signature": "nonsense"}),
        ..event(token.expose())
    };
    assert_eq!(answer(&function, request.request()).await.status, 202);
    assert_eq!(only(&function).header("webhook-signature").as_deref(), Some("nonsense"));
}

#[tokio::test]
async fn what_is_too_large_is_413_with_the_limit() {
    let token = IngestToken::generate();
    let function = function(&token, door(), Ok(()));
    let longest = Event {
        body: json!("a".repeat(MAX_BODY_BYTES)),
        ..event(token.expose())
    };
    assert_eq!(answer(&function, longest.request()).await.status, 202);
    // The limit counts bytes, not characters, and not those of base64.
    for (body, is_base64) in [
        ("ü".repeat(MAX_BODY_BYTES / 2 + 1), false),
        (STANDARD.encode(vec![0; MAX_BODY_BYTES + 1]), true),
    ] {
        let answer = answer(
            &function,
            Event {
                body: json!(body),
                is_base64,
                ..event(token.expose())
            }
            .request(),
        )
        .await;
        assert_eq!(answer.status, 413);
        assert!(
            answer.body["detail"]
                .as_str()
                .unwrap()
                .contains(&MAX_BODY_BYTES.to_string())
        );
    }
    assert_eq!(function.store.stored.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_too_large_after_compression_is_413_with_that_limit() {
    let token = IngestToken::generate();
    let function = function(
        &token,
        door(),
        Err(StoreError::TooLarge {
            limit: MAX_STORED_BODY_BYTES,
        }),
    );
    let answer = answer(&function, event(token.expose()).request()).await;
    assert_eq!((answer.status, answer.header("retry-after")), (413, None));
    assert!(
        answer.body["detail"]
            .as_str()
            .unwrap()
            .contains(&MAX_STORED_BODY_BYTES.to_string())
    );
}

#[tokio::test]
async fn a_head_that_would_not_fit_is_431() {
    let token = IngestToken::generate();
    let function = function(&token, door(), Ok(()));
    let headers = json!({"webhook-signature": "v1,a", "x-long": "a".repeat(MAX_HEAD_BYTES)});
    assert_eq!(
        answer(
            &function,
            Event {
                headers,
                ..event(token.expose())
            }
            .request()
        )
        .await
        .status,
        431
    );
    let query = "a".repeat(MAX_HEAD_BYTES);
    assert_eq!(
        answer(
            &function,
            Event {
                query: &query,
                ..event(token.expose())
            }
            .request()
        )
        .await
        .status,
        431
    );
}

#[tokio::test]
async fn our_own_failure_is_503_with_retry_after_and_says_nothing_of_us() {
    let token = IngestToken::generate();
    let errors = [
        StoreError::Unavailable("throttled by table X".into()),
        StoreError::Refused("validation".into()),
        StoreError::Unreadable("attribute".into()),
        StoreError::Newer { found: 2, known: 1 },
        StoreError::Conflict,
    ];
    let mut bodies = Vec::new();
    for error in errors {
        let writing = function(&token, door(), Err(error.clone()));
        let reading = function(&token, door(), Ok(()));
        *reading.store.door.lock().unwrap() = Err(error);
        for function in [writing, reading] {
            let answer = answer(&function, event(token.expose()).request()).await;
            assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")));
            bodies.push(answer.body);
        }
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "a 5xx body is constant");
}

#[tokio::test]
async fn a_door_is_read_once_in_a_few_seconds_and_a_stranger_each_time() {
    let token = IngestToken::generate();
    let function = function(&token, door(), Ok(()));
    for _ in 0..3 {
        assert_eq!(answer(&function, event(token.expose()).request()).await.status, 202);
    }
    assert_eq!(function.store.reads.load(Ordering::Relaxed), 1);
    // Disabled meanwhile: known after a few seconds.
    *function.store.door.lock().unwrap() = Ok(Door {
        enabled: false,
        ..door()
    });
    *function.clock.0.lock().unwrap() = now() + SignedDuration::from_secs(5);
    assert_eq!(answer(&function, event(token.expose()).request()).await.status, 404);
    assert_eq!(answer(&function, event(token.expose()).request()).await.status, 404);
    assert_eq!(function.store.reads.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_header_that_a_proxy_wrote_the_path_into_does_not_keep_the_token() {
    let token = IngestToken::generate();
    let function = function(&token, door(), Ok(()));
    let uri = format!("https://hooks.example.com/in/{}?a=b", token.expose());
    let headers = json!({"webhook-signature": "v1,a", "x-original-uri": uri});
    assert_eq!(
        answer(
            &function,
            Event {
                headers,
                ..event(token.expose())
            }
            .request()
        )
        .await
        .status,
        202
    );
    let receipt = only(&function);
    assert!(
        receipt
            .headers
            .iter()
            .any(|h| h.name == "x-original-uri" && matches!(h.value, HeaderValue::Hashed(_)))
    );
    assert!(!format!("{receipt:?}").contains(token.expose()));
}

#[tokio::test]
async fn a_plain_http_request_without_api_gateway_is_understood_too() {
    let token = IngestToken::generate();
    let function = function(&token, door(), Ok(()));
    let request = lambda_http::http::Request::builder()
        .method("POST")
        .uri(format!("/in/{}?q=1", token.expose()))
        .header("webhook-signature", "v1,a")
        .header("x-twice", "1")
        .header("x-twice", "2")
        .body(Body::Binary(vec![1, 2, 3]))
        .unwrap();
    assert_eq!(answer(&function, request).await.status, 202);
    let receipt = only(&function);
    assert_eq!((receipt.body.as_ref(), receipt.query.as_str()), (&[1, 2, 3][..], "q=1"));
    assert_eq!(receipt.header("x-twice").as_deref(), Some("1,2"));
}

proptest! {
    #[test]
    fn any_bytes_arrive_unchanged(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let token = IngestToken::generate();
        let function = function(&token, door(), Ok(()));
        let request = Event { body: json!(STANDARD.encode(&bytes)), is_base64: true, ..event(token.expose()) }.request();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let answer = runtime.block_on(answer(&function, request));
        prop_assert_eq!(answer.status, 202);
        let receipt = only(&function);
        prop_assert_eq!(receipt.body.as_ref(), bytes.as_slice());
    }
}
