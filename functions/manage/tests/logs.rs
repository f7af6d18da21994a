//! One line for each request, with ids and without secrets. A binary of its own: `tracing` remembers for the whole process what the
//! first thread to pass a line wanted of it.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

#[path = "../src/tests/fake.rs"]
mod fake;
#[path = "../src/tests/fake_lists.rs"]
mod fake_lists;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use delivery::{Destinations, Guard};
use fake::Fake;
use jiff::Timestamp;
use manage::Settings;
use payload::organization::{ApiKey, ApiKeyText, Role};
use payload::{Clock, OrganizationId};
use serde_json::{Value, json};
use store::StoreError;
use telemetry::captured::Captured;
use tower::ServiceExt;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[derive(Clone, Copy)]
struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        "2025-03-25T13:31:00Z".parse().unwrap()
    }
}

fn untimed(line: &Value) -> Value {
    let mut line = line.clone();
    assert!(line.as_object_mut().unwrap().remove("timestamp").is_some());
    line
}

async fn call(router: &Router, key: &str, method: &str, path: &str, body: Value) -> Value {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"))
        .header(AUTHORIZATION, format!("Bearer {key}"));
    let request = request
        .header(CONTENT_TYPE, "application/json")
        .body(Body::from(body.to_string()))
        .unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    serde_json::from_slice(&to_bytes(response.into_body(), usize::MAX).await.unwrap()).unwrap()
}

#[tokio::test]
async fn each_request_is_one_line_with_ids_and_without_secrets() {
    let lines = Captured::default();
    let _guard = tracing::subscriber::set_default(lines.subscriber("trace"));
    let (store, text) = (Fake::default(), ApiKeyText::generate());
    let organization = OrganizationId::generate(FixedClock.now());
    let key = ApiKey::new(organization, Role::Admin, "admin".into(), &text, FixedClock.now());
    store.tables().keys.insert(text.hash(), key.clone());
    let settings = Settings {
        public_url: Some("https://hooks.example.com".parse().unwrap()),
        guard: Guard::new(Destinations::AllowPrivate),
    };
    let router = manage::router(store.clone(), FixedClock, settings);

    let source = json!({"name": "a", "preset": "quartr", "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"});
    let source = call(&router, text.expose(), "POST", "/v1/sources", source).await;
    let webhook = json!({"name": "a", "url": "http://127.0.0.1:1/hook"});
    let webhook = call(&router, text.expose(), "POST", "/v1/webhooks", webhook).await;
    let logged = lines.take_lines();
    let line = |method: &str, route: &str, status: u16, kind: &str, made: &Value| {
        json!({
            kind: made["id"],
            "message": "answered", "outcome": "answered", "level": "INFO", "target": "manage::log", "trace": TRACE, "method": method, "route": route, "status": status, "organization": key.organization, "key": key.id
        })
    };
    assert_eq!(
        logged.iter().map(untimed).collect::<Vec<_>>(),
        [
            line("POST", "/v1/sources", 201, "source", &source),
            line("POST", "/v1/webhooks", 201, "webhook", &webhook)
        ]
    );
    let said = json!(logged).to_string();
    let shown_once = [&source["receivingUrl"], &webhook["secret"]].map(|value| value.as_str().unwrap());
    for secret in [text.expose(), shown_once[0], shown_once[1], "whsec_", "/hook"] {
        assert!(!said.contains(secret), "{secret} in {said}");
    }

    call(&router, "hk_stranger", "GET", "/v1/sources/src_1", Value::Null).await;
    call(
        &router,
        text.expose(),
        "POST",
        "/v1/sources",
        json!({"secret": 12_345_678}),
    )
    .await;
    store.tables().fault = Some(StoreError::Unavailable("throttled".into()));
    call(&router, text.expose(), "GET", "/v1/sources", Value::Null).await;
    let logged = lines.take_lines();
    let told: Vec<_> = logged
        .iter()
        .map(|line| (line["level"].clone(), line["error_type"].clone()))
        .collect();
    let expected = [
        ("INFO", "unauthorized"),
        ("INFO", "invalid_field"),
        ("ERROR", "store_unavailable"),
    ];
    assert_eq!(told, expected.map(|(level, kind)| (json!(level), json!(kind))));
    assert_eq!(logged[2]["error"], "the store is not available now: throttled");
    let said = json!(logged).to_string();
    for secret in ["hk_stranger", "src_1", "12345678"] {
        assert!(!said.contains(secret), "{secret} in {said}");
    }
}
