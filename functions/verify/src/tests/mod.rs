//! Whole batches, in the JSON that Lambda hands over, against a small store in memory.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod again;
mod batches;
mod decisions;
mod health;
mod numbers;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use payload::called_url::CalledUrl;
use payload::key::TimedSecret;
use payload::outbound::{SigningKey, generate_secret, sign};
use payload::preset::Preset;
use payload::receipt::Header;
use payload::source::{Provider, Source, SourceOptions};
use payload::source_health::{HealthNote, SourceHealth};
use payload::{OrganizationId, ReceiptId};
use secrecy::SecretString;
use serde_json::{Value, json};
use store::item::ReceiptItem;

use super::*;

/// A clock that stands still until it is moved.
#[derive(Debug)]
struct FixedClock(Mutex<Timestamp>);

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// What the store is told to do with what holds a certain text.
#[derive(Debug, Clone)]
enum Fault {
    Error(StoreError),
    Panic,
}

#[derive(Debug, Default)]
struct Fake {
    sources: Mutex<HashMap<SourceId, Source>>,
    secrets: Mutex<HashMap<String, Vec<TimedSecret>>>,
    events: Mutex<HashMap<EventId, Event>>,
    outcomes: Mutex<HashMap<ReceiptId, ReceiptOutcome>>,
    /// By a text in the event's body.
    event_faults: Mutex<Vec<(&'static str, Fault)>>,
    outcome_fault: Mutex<Option<Fault>>,
    source_fault: Mutex<Option<Fault>>,
    source_reads: AtomicUsize,
    health: Mutex<HashMap<SourceId, SourceHealth>>,
    /// Every note that was taken.
    notes: Mutex<Vec<HealthNote>>,
    health_fault: Mutex<Option<Fault>>,
}

fn strike(fault: Option<Fault>) -> Result<(), StoreError> {
    match fault {
        None => Ok(()),
        Some(Fault::Error(error)) => Err(error),
        Some(Fault::Panic) => panic!("told to"),
    }
}

impl Sources for Fake {
    async fn source(&self, id: &SourceId) -> Result<Option<Source>, StoreError> {
        self.source_reads.fetch_add(1, Ordering::Relaxed);
        let fault = self.source_fault.lock().unwrap().clone();
        strike(fault)?;
        Ok(self.sources.lock().unwrap().get(id).cloned())
    }
}

impl Secrets for Fake {
    async fn secrets(&self, owner: &str) -> Result<Vec<TimedSecret>, StoreError> {
        Ok(self.secrets.lock().unwrap().get(owner).cloned().unwrap_or_default())
    }
}

impl Events for Fake {
    async fn put_event(&self, event: &Event) -> Result<PutEvent, StoreError> {
        let body = String::from_utf8_lossy(&event.body).into_owned();
        let faults = self.event_faults.lock().unwrap().clone();
        strike(
            faults
                .into_iter()
                .find(|(text, _)| body.contains(text))
                .map(|(_, fault)| fault),
        )?;
        // Others get their turn between the call and its effect, as with a real table.
        tokio::task::yield_now().await;
        let mut events = self.events.lock().unwrap();
        Ok(match events.get(&event.id) {
            None => {
                events.insert(event.id.clone(), event.clone());
                PutEvent::Stored
            }
            Some(stored) if stored.receipt == event.receipt => PutEvent::OwnRetry,
            Some(_) => PutEvent::Duplicate,
        })
    }

    async fn event(&self, id: &EventId) -> Result<Option<Event>, StoreError> {
        Ok(self.events.lock().unwrap().get(id).cloned())
    }
}

impl Receipts for Fake {
    async fn put_outcome(&self, outcome: &ReceiptOutcome) -> Result<(), StoreError> {
        let fault = self.outcome_fault.lock().unwrap().clone();
        strike(fault)?;
        self.outcomes
            .lock()
            .unwrap()
            .insert(outcome.id.clone(), outcome.clone());
        Ok(())
    }

    async fn outcome(&self, id: &ReceiptId) -> Result<Option<ReceiptOutcome>, StoreError> {
        Ok(self.outcomes.lock().unwrap().get(id).cloned())
    }
}

impl SourceHealthLog for Fake {
    async fn note_source_health(&self, note: &HealthNote) -> Result<SourceHealth, StoreError> {
        let fault = self.health_fault.lock().unwrap().clone();
        strike(fault)?;
        self.notes.lock().unwrap().push(note.clone());
        let mut healths = self.health.lock().unwrap();
        let health = healths.entry(note.source.clone()).or_default();
        for (reason, count) in &note.rejected {
            *health.rejected.entry(reason.clone()).or_default() += count;
        }
        if note.verified_at.is_some() {
            health.last_verified_at = note.verified_at;
            health.rejected_in_a_row = 0;
            health.rejecting_since = None;
        } else {
            health.rejected_in_a_row += note.rejected.values().sum::<u64>();
            health.rejecting_since = health.rejecting_since.or(note.rejecting_since);
        }
        health.last_rejection = note.last_rejection.clone().or(health.last_rejection.take());
        Ok(health.clone())
    }
}

fn received_at() -> Timestamp {
    "2025-03-25T13:31:00Z".parse().unwrap()
}

/// A source with its secret, and the function that verifies for it.
struct Setup {
    source: Source,
    secret: SecretString,
    function: Verify<Fake, FixedClock>,
}

impl Setup {
    fn new() -> Self {
        let source = Source {
            id: SourceId::generate(received_at()),
            organization: OrganizationId::generate(received_at()),
            name: "quartr-prod".into(),
            provider: Provider::Preset("quartr".into()),
            options: SourceOptions::default(),
            enabled: true,
            salt: "salt".into(),
            created_at: received_at(),
            tokens: Vec::new(),
            revision: 0,
        };
        let setup = Self {
            source,
            secret: generate_secret(),
            function: Verify::new(
                Fake::default(),
                FixedClock(Mutex::new(received_at() + SignedDuration::from_secs(5))),
            ),
        };
        setup.put_source(|_| {});
        setup.put_secrets(vec![(setup.secret.clone(), None)]);
        setup
    }

    fn store(&self) -> &Fake {
        &self.function.store
    }

    fn put_source(&self, change: impl FnOnce(&mut Source)) {
        let mut source = self.source.clone();
        change(&mut source);
        self.store()
            .sources
            .lock()
            .unwrap()
            .insert(self.source.id.clone(), source);
    }

    fn put_secrets(&self, secrets: Vec<(SecretString, Option<Timestamp>)>) {
        let secrets = secrets.into_iter().map(|(value, expires_at)| TimedSecret {
            value,
            created_at: received_at(),
            expires_at,
        });
        self.store()
            .secrets
            .lock()
            .unwrap()
            .insert(self.source.id.to_string(), secrets.collect());
    }

    /// Stores the whole URL that the provider calls, as the store does.
    fn put_called_url(&self, url: &str) {
        let secret = TimedSecret {
            value: url.into(),
            created_at: received_at(),
            expires_at: None,
        };
        let owner = format!("{}#url", self.source.id);
        self.store().secrets.lock().unwrap().insert(owner, vec![secret]);
    }

    /// A receipt with a good signature under `secret`.
    fn signed(&self, secret: &SecretString, id: &str, body: &str) -> Receipt {
        let key = SigningKey::parse(secret).unwrap();
        let signature = sign(&[key], id, received_at(), body.as_bytes());
        let header = |name: &str, value: &str| Header::capture(name, value.as_bytes(), "salt", &[]);
        Receipt {
            id: ReceiptId::generate(received_at()),
            organization: self.source.organization.clone(),
            source: self.source.id.clone(),
            method: "POST".into(),
            query: String::new(),
            headers: vec![
                header("content-type", "application/json"),
                header("webhook-id", id),
                header("webhook-timestamp", &received_at().as_second().to_string()),
                header("webhook-signature", &signature),
            ],
            body: Bytes::copy_from_slice(body.as_bytes()),
            received_at: received_at(),
            scheme: Some("standard-webhooks".into()),
            trace: None,
        }
    }

    /// Moves the clock.
    fn pass(&self, seconds: i64) {
        *self.function.clock.0.lock().unwrap() += SignedDuration::from_secs(seconds);
    }

    fn genuine(&self, id: &str) -> Receipt {
        self.signed(&self.secret, id, &body(id))
    }

    fn forged(&self, id: &str) -> Receipt {
        self.signed(&generate_secret(), id, &body(id))
    }

    async fn handle(&self, records: Vec<Value>) -> Value {
        let event: StreamEvent = serde_json::from_value(json!({ "Records": records })).unwrap();
        serde_json::to_value(self.function.handle(event).await).unwrap()
    }

    fn events(&self) -> Vec<Event> {
        self.store().events.lock().unwrap().values().cloned().collect()
    }

    fn outcome(&self, receipt: &Receipt) -> Option<ReceiptOutcome> {
        self.store().outcomes.lock().unwrap().get(&receipt.id).cloned()
    }

    /// The reason and the detail with which a receipt was rejected.
    fn rejection(&self, receipt: &Receipt) -> (String, String) {
        match self.outcome(receipt).map(|outcome| outcome.status) {
            Some(ReceiptStatus::Rejected { reason, detail, .. }) => (reason, detail),
            other => panic!("not rejected but {other:?}"),
        }
    }
}

fn body(id: &str) -> String {
    json!({"type": "live.audio.updated", "timestamp": "2025-03-25T13:30:59.000Z", "data": {"id": 1, "for": id}})
        .to_string()
}

/// A stream record as Lambda hands it over.
fn record(sequence: u32, receipt: &Receipt) -> Value {
    image_record(sequence, "INSERT", image(receipt))
}

fn image(receipt: &Receipt) -> Value {
    let item: serde_dynamo::Item = serde_dynamo::to_item(ReceiptItem::new(receipt, 7).unwrap()).unwrap();
    serde_json::to_value(item).unwrap()
}

fn image_record(sequence: u32, name: &str, image: Value) -> Value {
    json!({
        "eventID": format!("e{sequence}"), "eventName": name, "eventVersion": "1.1", "eventSource": "aws:dynamodb", "awsRegion": "eu-west-1",
        "eventSourceARN": "arn:aws:dynamodb:eu-west-1:123456789012:table/inbox/stream/2025-03-25T00:00:00.000",
        "dynamodb": {
            "Keys": {"id": {"S": "any"}}, "NewImage": image, "SequenceNumber": format!("1{sequence:020}"), "SizeBytes": 1,
            "StreamViewType": "NEW_IMAGE"
        }
    })
}

fn nothing_failed() -> Value {
    json!({"batchItemFailures": []})
}

fn failed_at(sequence: u32) -> Value {
    json!({"batchItemFailures": [{"itemIdentifier": format!("1{sequence:020}")}]})
}
