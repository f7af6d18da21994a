//! What a team and its providers do: the API with a key, and signed requests to a receiving URL.

use jiff::Timestamp;
use payload::outbound::{SigningKey, sign};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::eventually;
use crate::sink::PATIENCE;

/// The secret that the tests' providers sign with.
pub const PROVIDER_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A client of the API with one organization's key.
#[derive(Debug, Clone)]
pub struct Api {
    http: reqwest::Client,
    base: String,
    key: String,
}

/// A source that was made, as its provider sees it.
#[derive(Debug, Clone)]
pub struct Provider {
    http: reqwest::Client,
    /// The source's id.
    pub id: String,
    /// Where it sends.
    pub url: String,
}

/// A webhook that was made.
#[derive(Debug, Clone)]
pub struct Registered {
    /// Its id.
    pub id: String,
    /// Its signing secret.
    pub secret: String,
}

impl Api {
    /// A client of the hub at `base` with this key.
    #[must_use]
    pub fn new(base: &str, key: &str) -> Self {
        Self {
            http: crate::http(),
            base: base.to_owned(),
            key: key.to_owned(),
        }
    }

    /// One call; the answer's status and JSON (null where it has no body).
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> (StatusCode, Value) {
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.base))
            .bearer_auth(&self.key);
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let response = request.send().await.expect("the API answers");
        let status = response.status();
        let text = response.text().await.expect("a body");
        (
            status,
            if text.is_empty() {
                Value::Null
            } else {
                serde_json::from_str(&text).expect("a JSON answer")
            },
        )
    }

    /// Reads a path that must be there.
    pub async fn get(&self, path: &str) -> Value {
        let (status, json) = self.call(Method::GET, path, None).await;
        assert_eq!(status, StatusCode::OK, "{path}: {json}");
        json
    }

    /// Makes a source of this preset whose secret is [`PROVIDER_SECRET`].
    pub async fn source(&self, preset: &str) -> Provider {
        self.source_with(&json!({"name": format!("{preset}-test"), "preset": preset, "secret": PROVIDER_SECRET}))
            .await
    }

    /// Makes a source as this request says.
    pub async fn source_with(&self, request: &Value) -> Provider {
        let (status, json) = self.call(Method::POST, "/v1/sources", Some(request)).await;
        assert_eq!(status, StatusCode::CREATED, "{json}");
        Provider {
            http: self.http.clone(),
            id: json["id"].as_str().expect("an id").to_owned(),
            url: json["receivingUrl"].as_str().expect("a URL").to_owned(),
        }
    }

    /// Registers a webhook for these event types (all when there are none).
    pub async fn webhook(&self, url: &str, types: &[&str]) -> Registered {
        self.webhook_with(&json!({"name": "test", "url": url, "filter": {"types": types}}))
            .await
    }

    /// Registers a webhook as this request says.
    pub async fn webhook_with(&self, request: &Value) -> Registered {
        let (status, json) = self.call(Method::POST, "/v1/webhooks", Some(request)).await;
        assert_eq!(status, StatusCode::CREATED, "{json}");
        Registered {
            id: json["id"].as_str().expect("an id").to_owned(),
            secret: json["secret"].as_str().expect("a secret").to_owned(),
        }
    }

    /// The event and its deliveries once `is_right` says so.
    pub async fn event_when(&self, id: &str, is_right: impl Fn(&Value) -> bool) -> Value {
        eventually(&format!("event {id} as expected"), PATIENCE, async || {
            let (status, json) = self.call(Method::GET, &format!("/v1/events/{id}"), None).await;
            (status == StatusCode::OK && is_right(&json)).then_some(json)
        })
        .await
    }

    /// What became of a receipt once it is recorded.
    pub async fn receipt_when(&self, id: &str, is_right: impl Fn(&Value) -> bool) -> Value {
        eventually(&format!("receipt {id} as expected"), PATIENCE, async || {
            let (status, json) = self.call(Method::GET, &format!("/v1/receipts/{id}"), None).await;
            (status == StatusCode::OK && is_right(&json)).then_some(json)
        })
        .await
    }
}

/// The headers of a Standard Webhooks request.
#[must_use]
pub fn signed_headers(secret: &str, id: &str, at: Timestamp, body: &[u8]) -> [(&'static str, String); 3] {
    let key = SigningKey::parse(&secret.to_owned().into()).expect("a signing secret");
    [
        ("Webhook-Id", id.to_owned()),
        ("Webhook-Timestamp", at.as_second().to_string()),
        ("Webhook-Signature", sign(&[key], id, at, body)),
    ]
}

/// A message as Quartr sends it.
#[must_use]
pub fn quartr_message(event_type: &str, entity: u32) -> Vec<u8> {
    json!({
        "type": event_type,
        "timestamp": "2025-03-25T13:31:00.000Z",
        "data": {"id": entity, "companyId": 4742, "state": "live"},
        "previousAttributes": {"state": "notLive"},
    })
    .to_string()
    .into_bytes()
}

impl Provider {
    /// The id of the event that the message with this id becomes.
    #[must_use]
    pub fn event_id(&self, message: &str) -> String {
        payload::EventId::compute(&self.id, payload::id::Identity::ProviderId(message), 0).to_string()
    }

    /// Sends a body with these headers; the answer's status, headers and JSON.
    pub async fn send_with(&self, headers: &[(&str, String)], body: &[u8]) -> (StatusCode, Value) {
        let mut request = self
            .http
            .post(&self.url)
            .header("content-type", "application/json")
            .body(body.to_vec());
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let response = request.send().await.expect("the hub answers");
        let status = response.status();
        let text = response.text().await.expect("a body");
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// Sends any request to the receiving URL, with this behind it; the answer.
    pub async fn request(
        &self,
        method: Method,
        behind_url: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> reqwest::Response {
        let mut request = self.http.request(method, format!("{}{behind_url}", self.url));
        if !body.is_empty() {
            request = request.body(body.to_vec());
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.expect("the hub answers")
    }

    /// Sends a body with these headers to a hub that may be dying: the answer's status, if there was one.
    pub async fn try_send(&self, headers: &[(&str, String)], body: &[u8]) -> Option<StatusCode> {
        let mut request = self.http.post(&self.url).body(body.to_vec());
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        request.send().await.ok().map(|response| response.status())
    }

    /// Sends a message signed at `at`; the receipt's id.
    pub async fn send_at(&self, message: &str, at: Timestamp, body: &[u8]) -> String {
        let (status, json) = self
            .send_with(&signed_headers(PROVIDER_SECRET, message, at, body), body)
            .await;
        assert_eq!(status, StatusCode::ACCEPTED, "{json}");
        json["id"].as_str().expect("a receipt's id").to_owned()
    }
}
