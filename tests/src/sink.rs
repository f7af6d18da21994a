//! A destination on loopback that records what arrives and answers as it is told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, StatusCode};
use jiff::Timestamp;
use payload::outbound::{SigningKey, sign};
use tokio::task::JoinHandle;

use crate::eventually;

/// How long a test waits for something that should take milliseconds.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// One request that arrived.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// Its method.
    pub method: Method,
    /// Its query, without the question mark.
    pub query: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Arrival {
    /// A header's text; empty when it is absent.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// The body as JSON.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }

    /// Whether it is signed with this secret over exactly these bytes: its body, or its query where it is a GET.
    #[must_use]
    pub fn is_signed_with(&self, secret: &str) -> bool {
        let signed = if self.method == Method::GET {
            self.query.as_bytes()
        } else {
            &self.body
        };
        let key = SigningKey::parse(&secret.to_owned().into()).expect("a signing secret");
        let at =
            Timestamp::from_second(self.header("webhook-timestamp").parse().expect("a timestamp")).expect("a time");
        self.header("webhook-signature")
            .split(' ')
            .any(|one| one == sign(std::slice::from_ref(&key), self.header("webhook-id"), at, signed))
    }
}

/// What a destination does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// Answers with this status.
    Answer(u16),
    /// Answers with this status and this body.
    Say(u16, &'static str),
    /// Answers 429 with this `Retry-After`.
    Throttle(&'static str),
    /// Never answers.
    Hang,
}

#[derive(Debug, Default)]
struct Inner {
    arrivals: Mutex<Vec<Arrival>>,
    next: Mutex<VecDeque<Behaviour>>,
    after: Mutex<Option<Behaviour>>,
}

/// A destination; it ends with this value.
#[derive(Debug)]
pub struct Sink {
    inner: Arc<Inner>,
    url: String,
    server: JoinHandle<()>,
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Sink {
    /// A destination that answers 200.
    pub async fn start() -> Self {
        let inner = Arc::new(Inner::default());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
        let app = Router::new().fallback(take).with_state(Arc::clone(&inner));
        let server = tokio::spawn(async move {
            axum::serve(listener, app).await.expect("the sink serves");
        });
        Self { inner, url, server }
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it does with the next requests, before it goes on as usual.
    pub fn next(&self, behaviours: impl IntoIterator<Item = Behaviour>) {
        lock(&self.inner.next).extend(behaviours);
    }

    /// What it does with all requests from now on.
    pub fn always(&self, behaviour: Behaviour) {
        *lock(&self.inner.after) = Some(behaviour);
    }

    /// What has arrived so far.
    #[must_use]
    pub fn arrivals(&self) -> Vec<Arrival> {
        lock(&self.inner.arrivals).clone()
    }

    /// Waits until `count` requests have arrived, and gives them.
    pub async fn wait_for(&self, count: usize) -> Vec<Arrival> {
        eventually(&format!("{count} arrivals at the sink"), PATIENCE, async || {
            Some(self.arrivals()).filter(|arrivals| arrivals.len() >= count)
        })
        .await
    }
}

async fn take(
    State(inner): State<Arc<Inner>>,
    method: Method,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    lock(&inner.arrivals).push(Arrival {
        method,
        query: query.unwrap_or_default(),
        headers,
        body,
    });
    let behaviour = lock(&inner.next)
        .pop_front()
        .or(*lock(&inner.after))
        .unwrap_or(Behaviour::Answer(200));
    let status = |status| StatusCode::from_u16(status).expect("a status");
    match behaviour {
        Behaviour::Answer(code) => (status(code), "answer of the sink").into_response(),
        Behaviour::Say(code, text) => (status(code), text).into_response(),
        Behaviour::Throttle(retry_after) => (status(429), [("retry-after", retry_after)], "later").into_response(),
        Behaviour::Hang => std::future::pending().await,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
