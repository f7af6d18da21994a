//! One line for each request, with ids and without secrets. A binary of its own: `tracing` remembers for the whole process what the
//! first thread to pass a line wanted of it.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

#[path = "../src/tests/fake.rs"]
mod fake;

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

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
use tower::ServiceExt;

#[derive(Clone, Copy)]
struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        "2025-03-25T13:31:00Z".parse().unwrap()
    }
}

/// What was logged, as JSON.
#[derive(Debug, Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn taken(&self) -> Vec<Value> {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap());
        String::from_utf8(bytes)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

async fn call(router: &Router, key: &str, method: &str, path: &str, body: Value) -> Value {
    let request = Request::builder()
        .method(method)
        .uri(path)
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
    let lines = Lines::default();
    let writer = lines.clone();
    let format = tracing_subscriber::fmt().json().with_max_level(tracing::Level::TRACE);
    let _guard = tracing::subscriber::set_default(format.with_writer(move || writer.clone()).finish());
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
    let logged = lines.taken();
    let line = |method: &str, route: &str, status: u16| {
        json!({
            "message": "answered", "method": method, "route": route, "status": status, "organization": key.organization, "key": key.id
        })
    };
    assert_eq!(
        logged.iter().map(|line| &line["fields"]).collect::<Vec<_>>(),
        [&line("POST", "/v1/sources", 201), &line("POST", "/v1/webhooks", 201)]
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
    let logged = lines.taken();
    let told: Vec<_> = logged
        .iter()
        .map(|line| (line["level"].clone(), line["fields"]["error_type"].clone()))
        .collect();
    let expected = [
        ("INFO", "unauthorized"),
        ("INFO", "invalid_field"),
        ("ERROR", "store_unavailable"),
    ];
    assert_eq!(told, expected.map(|(level, kind)| (json!(level), json!(kind))));
    assert_eq!(
        logged[2]["fields"]["error"],
        "the store is not available now: throttled"
    );
    let said = json!(logged).to_string();
    for secret in ["hk_stranger", "src_1", "12345678"] {
        assert!(!said.contains(secret), "{secret} in {said}");
    }
}
