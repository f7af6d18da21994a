//! What the tests of one attempt share: raw TCP servers that behave as they are told, and something to send.
#![allow(
    clippy::unwrap_used,
    dead_code,
    reason = "a test may fail by panicking; not every test uses everything"
)]

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use delivery::guard::Resolver;
use delivery::{Client, Destinations, Guard, Message, Outcome, Request, SignedPart, SigningKeys};
use http::HeaderValue;
use jiff::Timestamp;
use payload::id::Identity;
use payload::key::TimedSecret;
use payload::webhook::{DestinationUrl, Format, HttpPolicy, Method};
use payload::{EventId, TraceId};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

/// The secret that everything here is signed with.
pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// The limit of an attempt that is meant to run into it.
pub(crate) const SHORT: Duration = Duration::from_millis(400);

/// The limit of an attempt that is not.
pub(crate) const LONG: Duration = Duration::from_secs(20);

pub(crate) fn at() -> Timestamp {
    Timestamp::from_second(1_750_000_000).unwrap()
}

pub(crate) fn event() -> EventId {
    EventId::compute("src_1", Identity::ProviderId("msg_1"), 0)
}

pub(crate) fn keys() -> SigningKeys {
    let secret = TimedSecret {
        value: SECRET.into(),
        created_at: at(),
        expires_at: None,
    };
    SigningKeys::valid_at(&[secret], at()).unwrap()
}

pub(crate) fn message() -> Message {
    Message {
        method: Method::Post,
        content_type: Some(HeaderValue::from_static("application/json")),
        body: Bytes::from_static(br#"{"type":"a"}"#),
        query: None,
        signed: SignedPart::Body,
    }
}

pub(crate) fn url(text: &str) -> DestinationUrl {
    DestinationUrl::parse(text, HttpPolicy::AllowHttp).unwrap()
}

pub(crate) fn open_client() -> Client {
    Client::builder(Guard::new(Destinations::AllowPrivate)).build().unwrap()
}

pub(crate) async fn send(client: &Client, destination: &str, limit: Duration) -> Outcome {
    let (event, destination, keys, message) = (event(), url(destination), keys(), message());
    let request = Request {
        event: &event,
        id: event.as_str(),
        destination: &destination,
        keys: Some(&keys),
        headers: &[],
        message: &message,
        format: Format::Raw,
        hops: 0,
        trace: TraceId::of_event(&event),
    };
    delivery::attempt::attempt(client, at(), request, limit).await
}

/// A server on loopback that hands each connection to `behave`, and counts them.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) connections: Arc<AtomicU32>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(crate) async fn start<F, Fut>(behave: F) -> Self
    where
        F: Fn(TcpStream) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            let mut tasks = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                counter.fetch_add(1, Ordering::SeqCst);
                tasks.spawn(behave(stream));
            }
        });
        Self {
            address,
            connections,
            task,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook/secret-path?token=secret-query", self.address)
    }

    pub(crate) fn connections(&self) -> u32 {
        self.connections.load(Ordering::SeqCst)
    }
}

/// Reads one HTTP/1.1 request: its head and as much of a body as Content-Length says.
pub(crate) async fn read_request<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
            let length = head
                .lines()
                .find_map(|line| {
                    line.to_ascii_lowercase()
                        .strip_prefix("content-length:")
                        .map(|rest| rest.trim().parse().unwrap())
                })
                .unwrap_or(0_usize);
            let mut body = bytes.split_off(end + 4);
            while body.len() < length {
                let mut chunk = vec![0; length - body.len()];
                let read = stream.read(&mut chunk).await.ok().filter(|read| *read > 0)?;
                body.extend_from_slice(&chunk[..read]);
            }
            return Some((head, body));
        }
        let mut chunk = [0; 4096];
        let read = stream.read(&mut chunk).await.ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&chunk[..read]);
    }
}

/// A resolver that gives one answer after another, and the last one for ever.
#[derive(Clone)]
pub(crate) struct Changing(Arc<Mutex<Vec<Vec<IpAddr>>>>);

impl Changing {
    pub(crate) fn new(answers: &[&[&str]]) -> Self {
        let parse = |answer: &&[&str]| answer.iter().map(|text| text.parse().unwrap()).collect();
        Self(Arc::new(Mutex::new(answers.iter().map(parse).collect())))
    }
}

impl Resolver for Changing {
    fn resolve(&self, _: &str) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>> {
        let mut answers = self.0.lock().unwrap();
        let answer = if answers.len() > 1 {
            answers.remove(0)
        } else {
            answers[0].clone()
        };
        Box::pin(async { Ok(answer) })
    }
}
