//! A small destination for deliveries, so that a first run needs nothing else: it takes what comes, checks the signature where it knows
//! the secret, and shows the last requests as JSON.
//!
//! | request | answer |
//! |---|---|
//! | `GET /sink` without the header `webhook-id` | the last requests, newest first |
//! | any other request to `/sink` | taken: 200, or the status of `?status=` |
//! | `POST /secrets` with `{"secret": "whsec_…"}` | 204: deliveries are checked with this secret too, until the process ends |

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::{DefaultBodyLimit, Query, RawQuery, Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, post};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiff::Timestamp;
use payload::key::Key;
use payload::receipt::{Header, HeaderValue};
use payload::scheme::Context;
use payload::{Clock, OrganizationId, Receipt, ReceiptId, SourceId, preset};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::loopback;

/// How many requests are remembered.
const CAPACITY: usize = 100;

/// How many bytes of bodies are remembered.
const CAPACITY_BYTES: usize = 32 * 1024 * 1024;

/// The longest body that is taken: an event's body of 1 MiB with what is around it.
const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;

/// The most secrets that are known.
const MAX_SECRETS: usize = 1_000;

/// What the sink found out about a signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Signature {
    /// It is that of a known secret over these very bytes.
    Valid,
    /// It is not: why.
    Invalid(String),
    /// No secret is known to check it with.
    NotChecked,
}

/// A request that the sink took.
#[derive(Debug, Clone)]
pub struct Taken {
    /// When it came.
    pub at: Timestamp,
    /// Its method.
    pub method: Method,
    /// The raw query string; empty when there was none.
    pub query: String,
    /// Its headers, as they came.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// Whether it is signed as a delivery must be.
    pub signature: Signature,
    /// The status that the sink answered.
    pub answered: StatusCode,
}

impl Taken {
    /// A header's value as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    fn view(&self) -> View<'_> {
        let headers = self
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes())))
            .collect();
        let json = serde_json::from_slice::<&RawValue>(&self.body);
        let body = match (json, std::str::from_utf8(&self.body)) {
            (Ok(json), _) => BodyView::Json(json),
            (Err(_), Ok(text)) => BodyView::Text(text),
            (Err(_), Err(_)) => BodyView::Base64 {
                base64: STANDARD.encode(&self.body),
            },
        };
        View {
            at: self.at,
            method: self.method.as_str(),
            query: &self.query,
            signature: &self.signature,
            answered: self.answered.as_u16(),
            headers,
            body,
        }
    }
}

/// A request as the sink shows it.
#[derive(Serialize)]
struct View<'a> {
    at: Timestamp,
    method: &'a str,
    query: &'a str,
    signature: &'a Signature,
    answered: u16,
    headers: BTreeMap<&'a str, Cow<'a, str>>,
    body: BodyView<'a>,
}

/// A body as it came where that can be shown: JSON byte for byte.
#[derive(Serialize)]
#[serde(untagged)]
enum BodyView<'a> {
    Json(&'a RawValue),
    Text(&'a str),
    Base64 { base64: String },
}

/// A running sink.
pub struct Sink {
    shared: Arc<Shared>,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    clock: Arc<dyn Clock>,
    taken: Mutex<VecDeque<Taken>>,
    keys: Mutex<Vec<Key>>,
}

impl Sink {
    /// Starts to listen on a loopback address.
    ///
    /// # Errors
    /// When it is not loopback, or taken.
    pub async fn start(address: SocketAddr, clock: Arc<dyn Clock>) -> std::io::Result<Self> {
        let listener: TcpListener = loopback::bind(address).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            clock,
            taken: Mutex::default(),
            keys: Mutex::default(),
        });
        let router = Router::new()
            .route("/sink", any(take))
            .route("/secrets", post(add_secret))
            .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
            .layer(from_fn(loopback::guard))
            .with_state(Arc::clone(&shared));
        let (stop, mut stopped) = watch::channel(false);
        let task = tokio::spawn(async move {
            let shutdown = async move {
                stopped.wait_for(|stop| *stop).await.ok();
            };
            if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(shutdown).await {
                tracing::error!(error_type = "sink", %error, "the sink ended badly");
            }
        });
        Ok(Self {
            shared,
            address,
            stop,
            task: Mutex::new(Some(task)),
        })
    }

    /// Where deliveries are to be sent.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/sink", self.address)
    }

    /// Checks deliveries with this secret too. `false` when it is no secret of a webhook.
    #[must_use]
    pub fn add_secret(&self, secret: &SecretString) -> bool {
        self.shared.add_secret(secret)
    }

    /// The last requests, oldest first.
    #[must_use]
    pub fn taken(&self) -> Vec<Taken> {
        self.shared.taken().iter().cloned().collect()
    }

    /// Stops to listen, after what is under way.
    pub async fn stop(&self) {
        self.stop.send_replace(true);
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            task.await.ok();
        }
    }
}

impl std::fmt::Debug for Sink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sink")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn taken(&self) -> MutexGuard<'_, VecDeque<Taken>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keys(&self) -> MutexGuard<'_, Vec<Key>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add_secret(&self, secret: &SecretString) -> bool {
        let Some(preset) = preset::find("standard-webhooks") else {
            return false;
        };
        let Ok(keys) = preset.scheme.keys(secret) else {
            return false;
        };
        let mut known = self.keys();
        known.extend(keys);
        let surplus = known.len().saturating_sub(MAX_SECRETS);
        known.drain(..surplus);
        true
    }

    /// What a receiver of Standard Webhooks has to check.
    fn check(&self, headers: &HeaderMap, body: &Bytes, at: Timestamp) -> Signature {
        let keys = self.keys();
        if keys.is_empty() {
            return Signature::NotChecked;
        }
        let Some(preset) = preset::find("standard-webhooks") else {
            return Signature::NotChecked;
        };
        let header = |(name, value): (&axum::http::HeaderName, &axum::http::HeaderValue)| Header {
            name: name.to_string(),
            value: HeaderValue::Text(String::from_utf8_lossy(value.as_bytes()).into_owned()),
        };
        let request = Receipt {
            id: ReceiptId::generate(at),
            organization: OrganizationId::generate(at),
            source: SourceId::generate(at),
            method: "POST".into(),
            query: String::new(),
            headers: headers.iter().map(header).collect(),
            body: body.clone(),
            received_at: at,
            scheme: None,
            trace: None,
        };
        match preset.scheme.verify(&request, &keys, &Context::default()) {
            Ok(_) => Signature::Valid,
            Err(rejection) => Signature::Invalid(rejection.to_string()),
        }
    }

    fn keep(&self, request: Taken) {
        let mut taken = self.taken();
        taken.push_back(request);
        let mut bytes: usize = taken.iter().map(|request| request.body.len()).sum();
        while taken.len() > CAPACITY || (bytes > CAPACITY_BYTES && taken.len() > 1) {
            bytes -= taken.pop_front().map_or(0, |request| request.body.len());
        }
    }
}

#[derive(Deserialize)]
struct Wish {
    status: Option<u16>,
}

async fn take(
    State(shared): State<Arc<Shared>>,
    Query(wish): Query<Wish>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Response {
    if request.method() == Method::GET && !request.headers().contains_key("webhook-id") {
        let taken = shared.taken();
        let requests: Vec<View<'_>> = taken.iter().rev().map(Taken::view).collect();
        return axum::Json(BTreeMap::from([("requests", requests)])).into_response();
    }
    let at = shared.clock.now();
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, MAX_BODY_BYTES).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let answered = wish
        .status
        .and_then(|status| StatusCode::from_u16(status).ok())
        .unwrap_or(StatusCode::OK);
    let signature = shared.check(&parts.headers, &body, at);
    let query = query.unwrap_or_default();
    shared.keep(Taken {
        at,
        method: parts.method,
        query,
        headers: parts.headers,
        body,
        signature,
        answered,
    });
    answered.into_response()
}

#[derive(Deserialize)]
struct NewSecret {
    secret: SecretString,
}

async fn add_secret(State(shared): State<Arc<Shared>>, axum::Json(new): axum::Json<NewSecret>) -> Response {
    if shared.add_secret(&new.secret) {
        return StatusCode::NO_CONTENT.into_response();
    }
    (StatusCode::UNPROCESSABLE_ENTITY, "not a webhook's secret (whsec_…)").into_response()
}

#[cfg(test)]
mod tests;
