//! A sender that answers as it is told.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use delivery::format::Rejection;
use delivery::{Message, Outcome, Request, RetryAfter, Sender, SignedPart};
use jiff::SignedDuration;
use payload::delivery::{Attempt, AttemptError};
use payload::webhook::Webhook;
use payload::{EventId, TraceId};

use super::start;

/// How a destination behaves.
#[derive(Debug, Clone)]
pub(crate) enum Behaviour {
    Answer(u16),
    Throttle(u64),
    Hang,
    Panic,
    Slow(Duration),
    /// 503 with `Retry-After`.
    Unavailable(u64),
    /// The first request succeeds, and those after it do not.
    OnlyFirstSucceeds,
}

#[derive(Default)]
pub(crate) struct SenderState {
    behaviours: Mutex<HashMap<String, Behaviour>>,
    pub(crate) sent: Mutex<Vec<Sent>>,
    in_flight: Mutex<HashMap<String, u32>>,
    first: OnceLock<tokio::time::Instant>,
    pub(crate) most_to_one: AtomicU32,
    pub(crate) most: AtomicU32,
}

/// What was sent.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) event: EventId,
    pub(crate) id: String,
    pub(crate) host: String,
    pub(crate) at: tokio::time::Instant,
    pub(crate) message: Message,
    pub(crate) is_signed: bool,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) hops: u8,
    pub(crate) trace: TraceId,
}

impl Sent {
    fn of(request: &Request<'_>) -> Self {
        let headers = request.headers.iter();
        Self {
            event: request.event.clone(),
            id: request.id.to_owned(),
            host: request.destination.expose().host_str().unwrap().to_owned(),
            at: tokio::time::Instant::now(),
            message: request.message.clone(),
            is_signed: request.message.signed != SignedPart::Nothing,
            headers: headers
                .map(|header| (header.name().to_owned(), header.expose_value().to_owned()))
                .collect(),
            hops: request.hops,
            trace: request.trace,
        }
    }
}

/// A sender that sends nothing: destinations are told apart by their host. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct FakeSender(pub(crate) Arc<SenderState>);

impl FakeSender {
    pub(crate) fn set(&self, webhook: &Webhook, behaviour: Behaviour) {
        let host = webhook.url.expose().host_str().unwrap().to_owned();
        self.0.behaviours.lock().unwrap().insert(host, behaviour);
    }

    pub(crate) fn sent_to(&self, webhook: &Webhook) -> usize {
        let host = webhook.url.expose().host_str().unwrap();
        self.0
            .sent
            .lock()
            .unwrap()
            .iter()
            .filter(|sent| sent.host == host)
            .count()
    }

    pub(crate) fn sent(&self) -> usize {
        self.0.sent.lock().unwrap().len()
    }

    /// The most that any one delivery was sent.
    pub(crate) fn most_often(&self) -> usize {
        let mut counts: HashMap<(EventId, String), usize> = HashMap::new();
        for sent in self.0.sent.lock().unwrap().iter() {
            *counts.entry((sent.event.clone(), sent.host.clone())).or_default() += 1;
        }
        counts.into_values().max().unwrap_or(0)
    }
}

impl Sender for FakeSender {
    async fn send(&self, request: Request<'_>, limit: Duration) -> Outcome {
        let host = request.destination.expose().host_str().unwrap().to_owned();
        let is_signed = request.message.signed != SignedPart::Nothing;
        assert!(!is_signed || request.keys.is_some_and(|keys| !keys.as_slice().is_empty()));
        self.0.sent.lock().unwrap().push(Sent::of(&request));
        {
            let mut in_flight = self.0.in_flight.lock().unwrap();
            let now = in_flight.entry(host.clone()).or_default();
            *now += 1;
            self.0.most_to_one.fetch_max(*now, Ordering::SeqCst);
            self.0.most.fetch_max(in_flight.values().sum(), Ordering::SeqCst);
        }
        let behaviour = self
            .0
            .behaviours
            .lock()
            .unwrap()
            .get(&host)
            .cloned()
            .unwrap_or(Behaviour::Answer(200));
        let mut retry_after = None;
        let began = tokio::time::Instant::now();
        let (status, error) = match behaviour {
            Behaviour::Answer(status) => {
                tokio::time::sleep(Duration::from_millis(5)).await;
                (
                    Some(status),
                    (!(200..300).contains(&status)).then_some(AttemptError::Status),
                )
            }
            Behaviour::Throttle(seconds) => {
                retry_after = RetryAfter::parse(&seconds.to_string());
                (Some(429), Some(AttemptError::Status))
            }
            Behaviour::Hang => {
                tokio::time::sleep(limit).await;
                (None, Some(AttemptError::Timeout))
            }
            Behaviour::Slow(time) => {
                tokio::time::sleep(time).await;
                (Some(200), None)
            }
            Behaviour::Unavailable(seconds) => {
                retry_after = RetryAfter::parse(&seconds.to_string());
                (Some(503), Some(AttemptError::Status))
            }
            Behaviour::OnlyFirstSucceeds => {
                tokio::time::sleep(Duration::from_millis(5)).await;
                let is_first = self
                    .0
                    .sent
                    .lock()
                    .unwrap()
                    .iter()
                    .filter(|sent| sent.host == host)
                    .count()
                    == 1;
                if is_first {
                    (Some(200), None)
                } else {
                    (Some(500), Some(AttemptError::Status))
                }
            }
            Behaviour::Panic => panic!("told to"),
        };
        *self.0.in_flight.lock().unwrap().get_mut(&host).unwrap() -= 1;
        let first = *self.0.first.get_or_init(|| began);
        let attempt = Attempt {
            throttled: status == Some(429),
            at: start() + SignedDuration::try_from(began - first).unwrap(),
            duration_ms: u32::try_from(began.elapsed().as_millis()).unwrap(),
            status,
            error,
            answer: None,
        };
        Outcome {
            rejection: (status == Some(410)).then_some(Rejection {
                reason: "gone",
                disables: true,
            }),
            attempt,
            retry_after,
        }
    }
}
