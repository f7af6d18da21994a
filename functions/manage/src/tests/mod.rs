//! The API over a small store in memory: what each route answers, and that no organization reaches another's data.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod audit;
mod creating;
mod fake;
mod fake_lists;
mod idempotency;
mod jobs;
mod keys;
mod lists;
mod patching;
mod problems;
mod receipts;
mod reverify;
mod revisions;
mod rotation;
mod routes;
mod secrets;
mod tenants;
mod test_filter;
mod trace;
mod webhook_headers;
mod webhook_patching;
mod webhooks;

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, Request};
use delivery::guard::Resolver;
use delivery::{Destinations, Guard};
use jiff::Timestamp;
use payload::organization::{ApiKey, ApiKeyText, Role};
use payload::{Clock, OrganizationId};
use serde_json::{Value, json};
use store::StoreError;
use tower::ServiceExt;

use crate::{Settings, router};
use fake::Fake;

#[derive(Debug, Clone, Copy)]
struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        now()
    }
}

fn now() -> Timestamp {
    "2025-03-25T13:31:00Z".parse().unwrap()
}

/// Names as the tests need them: nothing asks a network.
struct Names;

impl Resolver for Names {
    fn resolve(&self, host: &str) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>> {
        let address = match host {
            "inside.example.com" => Ok("10.0.0.1"),
            "nowhere.example.com" => Err(io::Error::other("no such name")),
            _ => Ok("93.184.216.34"),
        };
        Box::pin(async move { Ok(vec![address?.parse().unwrap()]) })
    }
}

/// The API, and one organization's key to it.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) router: Router,
    store: Fake,
    organization: OrganizationId,
    pub(crate) key: String,
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Value,
    /// The body as it came.
    text: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// A member of the answer that is a text.
    fn text(&self, name: &str) -> String {
        self.body[name]
            .as_str()
            .unwrap_or_else(|| panic!("no text {name} in {}", self.body))
            .to_owned()
    }
}

impl Client {
    pub(crate) fn new() -> Self {
        Self::with(Destinations::PublicOnly)
    }

    fn with(destinations: Destinations) -> Self {
        let settings = Settings {
            public_url: Some("https://hooks.example.com".parse().unwrap()),
            guard: Guard::new(destinations).with_resolver(Names),
        };
        let store = Fake::default();
        let router = router(store.clone(), FixedClock, settings);
        let client = Self {
            router,
            store,
            organization: OrganizationId::generate(now()),
            key: String::new(),
        };
        client.another()
    }

    /// Another organization with a key to the same API.
    fn another(&self) -> Self {
        let organization = OrganizationId::generate(now());
        let text = ApiKeyText::generate();
        let key = ApiKey::new(organization.clone(), Role::Admin, "admin".into(), &text, now());
        self.store.tables().keys.insert(text.hash(), key);
        Self {
            organization,
            key: text.expose().into(),
            ..self.clone()
        }
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let (head, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let text = String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().to_vec()).unwrap();
        let body = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).unwrap()
        };
        let answer = Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body,
            text,
        };
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        if answer.status >= 400 {
            assert_eq!(answer.header("content-type"), Some("application/problem+json"));
            assert!(
                answer.text("type").starts_with("urn:hookline:problem:"),
                "{}",
                answer.body
            );
            assert_eq!(answer.body["status"], answer.status);
            assert!(!answer.text("title").is_empty() && !answer.text("detail").is_empty());
        }
        answer
    }

    async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(AUTHORIZATION, format!("Bearer {}", self.key));
        let request = match body {
            None => request.body(Body::empty()),
            Some(json) => request
                .header(CONTENT_TYPE, "application/json")
                .body(Body::from(json.to_string())),
        };
        self.send(request.unwrap()).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, None).await
    }

    async fn delete(&self, path: &str) -> Answer {
        self.call("DELETE", path, None).await
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.call("POST", path, Some(body)).await
    }

    async fn patch(&self, path: &str, body: Value) -> Answer {
        self.call("PATCH", path, Some(body)).await
    }

    async fn create_source(&self) -> Answer {
        self.post("/v1/sources", new_source()).await
    }

    async fn create_webhook(&self) -> Answer {
        self.post(
            "/v1/webhooks",
            json!({"name": "mine", "url": "https://example.com/hook"}),
        )
        .await
    }
}

fn new_source() -> Value {
    json!({"name": "quartr-prod", "preset": "quartr", "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"})
}
