//! A small store in memory, a sender that answers as it is told, and records as Lambda hands them over.
#![allow(
    clippy::unwrap_used,
    dead_code,
    reason = "a test may fail by panicking; not every test uses everything"
)]

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lambda_events::dynamodb::{Event as StreamEvent, EventRecord};
use bytes::Bytes;
use delivery::{Deadline, Outcome, Request, RetryAfter, Sender};
use jiff::{SignedDuration, Timestamp};
use payload::delivery::{Attempt, AttemptError, Delivery, DeliveryStatus};
use payload::event::{Content, EventMeta};
use payload::filter::Filter;
use payload::id::Identity;
use payload::key::TimedSecret;
use payload::outbound::generate_secret;
use payload::webhook::{DestinationUrl, Format, Health, HttpPolicy, Webhook};
use payload::{Clock, Event, EventId, OrganizationId, WebhookId};
use store::item::EventItem;
use store::{Deliveries, HealthLog, Secrets, StoreError, WebhookSet, WebhookSets};

/// A clock that goes with tokio's, so that a paused test has paused time everywhere.
#[derive(Debug, Clone)]
pub(crate) struct TestClock {
    start: tokio::time::Instant,
    offset: Arc<AtomicI64>,
}

impl TestClock {
    pub(crate) fn start() -> Self {
        Self {
            start: tokio::time::Instant::now(),
            offset: Arc::default(),
        }
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        let elapsed = SignedDuration::try_from(self.start.elapsed()).unwrap();
        start() + elapsed + SignedDuration::from_millis(self.offset.load(Ordering::SeqCst))
    }
}

pub(crate) fn start() -> Timestamp {
    Timestamp::from_second(1_750_000_000).unwrap()
}

/// What the store is told to do instead of what it should.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    Error(StoreError),
    Panic,
}

type FaultRule = Box<dyn Fn(&str, &str) -> Option<Fault> + Send + Sync>;

#[derive(Default)]
pub(crate) struct State {
    pub(crate) sets: Mutex<HashMap<OrganizationId, WebhookSet>>,
    pub(crate) secrets: Mutex<HashMap<String, Vec<TimedSecret>>>,
    pub(crate) deliveries: Mutex<BTreeMap<(EventId, WebhookId), Delivery>>,
    pub(crate) failing: Mutex<Vec<WebhookId>>,
    pub(crate) calls: Mutex<HashMap<&'static str, u32>>,
    rule: Mutex<Option<FaultRule>>,
}

/// A store in memory; clones share it.
#[derive(Clone, Default)]
pub(crate) struct Fake(pub(crate) Arc<State>);

impl Fake {
    /// Adds a webhook with a good secret.
    pub(crate) fn add(&self, webhook: &Webhook) {
        let mut sets = self.0.sets.lock().unwrap();
        let set = sets.entry(webhook.organization.clone()).or_default();
        Arc::make_mut(&mut set.webhooks).push(webhook.clone());
        let secret = TimedSecret {
            value: generate_secret(),
            created_at: start(),
            expires_at: None,
        };
        self.0
            .secrets
            .lock()
            .unwrap()
            .insert(webhook.id.to_string(), vec![secret]);
    }

    pub(crate) fn mark_failing(&self, webhook: &Webhook) {
        let health = Health {
            webhook: webhook.id.clone(),
            failing_since: Some(start()),
        };
        let mut sets = self.0.sets.lock().unwrap();
        sets.get_mut(&webhook.organization)
            .unwrap()
            .failing
            .insert(webhook.id.clone(), health);
    }

    /// From now on each call asks `rule` first: with the operation's name and the key it is about.
    pub(crate) fn fault(&self, rule: impl Fn(&str, &str) -> Option<Fault> + Send + Sync + 'static) {
        *self.0.rule.lock().unwrap() = Some(Box::new(rule));
    }

    pub(crate) fn no_fault(&self) {
        *self.0.rule.lock().unwrap() = None;
    }

    pub(crate) fn calls(&self, operation: &str) -> u32 {
        self.0.calls.lock().unwrap().get(operation).copied().unwrap_or(0)
    }

    pub(crate) fn delivery(&self, event: &Event, webhook: &Webhook) -> Option<Delivery> {
        self.0
            .deliveries
            .lock()
            .unwrap()
            .get(&(event.id.clone(), webhook.id.clone()))
            .cloned()
    }

    pub(crate) fn status(&self, event: &Event, webhook: &Webhook) -> Option<(DeliveryStatus, usize)> {
        self.delivery(event, webhook)
            .map(|delivery| (delivery.status, delivery.attempts.len()))
    }

    async fn enter(&self, operation: &'static str, key: &str) -> Result<(), StoreError> {
        *self.0.calls.lock().unwrap().entry(operation).or_default() += 1;
        tokio::task::yield_now().await;
        let fault = self
            .0
            .rule
            .lock()
            .unwrap()
            .as_ref()
            .and_then(|rule| rule(operation, key));
        match fault {
            None => Ok(()),
            Some(Fault::Error(error)) => Err(error),
            Some(Fault::Panic) => panic!("told to"),
        }
    }
}

impl WebhookSets for Fake {
    async fn webhook_set(&self, organization: &OrganizationId) -> Result<WebhookSet, StoreError> {
        self.enter("webhook_set", organization.as_str()).await?;
        Ok(self
            .0
            .sets
            .lock()
            .unwrap()
            .get(organization)
            .cloned()
            .unwrap_or_default())
    }
}

impl Secrets for Fake {
    async fn secrets(&self, owner: &str) -> Result<Vec<TimedSecret>, StoreError> {
        self.enter("secrets", owner).await?;
        Ok(self.0.secrets.lock().unwrap().get(owner).cloned().unwrap_or_default())
    }
}

impl HealthLog for Fake {
    async fn set_failing(&self, _: &OrganizationId, health: &Health) -> Result<(), StoreError> {
        self.enter("set_failing", health.webhook.as_str()).await?;
        assert!(health.failing_since.is_some());
        self.0.failing.lock().unwrap().push(health.webhook.clone());
        Ok(())
    }

    async fn clear_failing(&self, _: &OrganizationId, webhook: &WebhookId) -> Result<(), StoreError> {
        self.enter("clear_failing", webhook.as_str()).await
    }
}

impl Deliveries for Fake {
    async fn deliveries_of(&self, event: &EventId) -> Result<Vec<Delivery>, StoreError> {
        self.enter("deliveries_of", event.as_str()).await?;
        Ok(self
            .0
            .deliveries
            .lock()
            .unwrap()
            .values()
            .filter(|delivery| delivery.event == *event)
            .cloned()
            .collect())
    }

    async fn delivery(&self, _: &EventId, _: &WebhookId) -> Result<Option<Delivery>, StoreError> {
        unreachable!("fan-out reads all deliveries of an event at once")
    }

    async fn create_delivery(&self, delivery: &Delivery) -> Result<bool, StoreError> {
        self.enter("create_delivery", delivery.event.as_str()).await?;
        let due = delivery.status == DeliveryStatus::Due;
        assert_eq!(
            delivery.next_attempt.is_some(),
            due,
            "only what is due has a next attempt"
        );
        let mut deliveries = self.0.deliveries.lock().unwrap();
        let key = (delivery.event.clone(), delivery.webhook.clone());
        if deliveries.contains_key(&key) {
            return Ok(false);
        }
        deliveries.insert(key, delivery.clone());
        Ok(true)
    }

    async fn update_delivery(&self, _: &Delivery) -> Result<bool, StoreError> {
        unreachable!("fan-out only creates")
    }
}

/// How a destination behaves.
#[derive(Debug, Clone)]
pub(crate) enum Behaviour {
    Answer(u16),
    Throttle(u64),
    Hang,
    Panic,
    Slow(Duration),
}

#[derive(Default)]
pub(crate) struct SenderState {
    behaviours: Mutex<HashMap<String, Behaviour>>,
    pub(crate) sent: Mutex<Vec<(EventId, String)>>,
    pub(crate) in_flight: AtomicU32,
    pub(crate) most_in_flight: AtomicU32,
    clock: Mutex<Option<TestClock>>,
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
        self.0.sent.lock().unwrap().iter().filter(|(_, to)| to == host).count()
    }

    pub(crate) fn sent(&self) -> usize {
        self.0.sent.lock().unwrap().len()
    }
}

impl Sender for FakeSender {
    async fn send(&self, request: Request<'_>, limit: Duration) -> Outcome {
        let host = request.destination.expose().host_str().unwrap().to_owned();
        assert!(!request.keys.as_slice().is_empty());
        self.0.sent.lock().unwrap().push((request.event.clone(), host.clone()));
        let now = self.0.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.most_in_flight.fetch_max(now, Ordering::SeqCst);
        let behaviour = self
            .0
            .behaviours
            .lock()
            .unwrap()
            .get(&host)
            .cloned()
            .unwrap_or(Behaviour::Answer(200));
        let mut retry_after = None;
        let (status, error) = match behaviour {
            Behaviour::Answer(status) => {
                tokio::task::yield_now().await;
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
            Behaviour::Panic => panic!("told to, with a secret-in-the-message"),
        };
        self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
        let attempt = Attempt {
            at: start(),
            duration_ms: 1,
            status,
            error,
            answer: Some("secret-in-the-answer".into()),
        };
        Outcome { attempt, retry_after }
    }
}

pub(crate) fn organization() -> OrganizationId {
    OrganizationId::generate(start())
}

pub(crate) fn webhook(organization: &OrganizationId, host: &str, types: &[&str]) -> Webhook {
    Webhook {
        id: WebhookId::generate(start()),
        organization: organization.clone(),
        name: host.to_owned(),
        url: DestinationUrl::parse(&format!("https://{host}/secret-path"), HttpPolicy::HttpsOnly).unwrap(),
        filter: Filter {
            types: types.iter().map(|text| text.parse().unwrap()).collect(),
        },
        format: Format::Raw,
        enabled: true,
        created_at: start(),
    }
}

pub(crate) fn event(organization: &OrganizationId, name: &str, event_type: &str) -> Event {
    let id = EventId::compute("src_1", Identity::ProviderId(name), 0);
    let body = Bytes::from_static(br#"{"secret":"in-the-body"}"#);
    Event {
        id: id.clone(),
        organization: organization.clone(),
        receipt: None,
        received_at: start(),
        meta: EventMeta {
            id,
            event_type: event_type.to_owned(),
            timestamp: start(),
            source: None,
            provider_event_id: None,
            entity: None,
            action: None,
            actor: None,
            category: None,
            summary: None,
            application: None,
            scope: None,
            locales: None,
            links: vec![],
            changes: vec![],
            warnings: vec![],
            verified: None,
        },
        data: Content::Span(0, body.len()),
        previous_attributes: None,
        content_type: Some("application/json".into()),
        body,
    }
}

/// The record of an event, in the JSON that Lambda hands over.
pub(crate) fn record(event: &Event, sequence: &str) -> EventRecord {
    let image: serde_dynamo::Item = serde_dynamo::to_item(EventItem::new(event, 30).unwrap()).unwrap();
    raw_record(serde_json::to_value(image).unwrap(), sequence)
}

pub(crate) fn raw_record(image: serde_json::Value, sequence: &str) -> EventRecord {
    serde_json::from_value(serde_json::json!({
        "eventID": "c4ca4238a0b923820dcc509a6f75849b",
        "eventName": "INSERT",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "eu-central-1",
        "dynamodb": {
            "Keys": {"id": image.get("id").unwrap_or(&serde_json::json!({"S": "evt_0"}))},
            "NewImage": image,
            "SequenceNumber": sequence,
            "SizeBytes": 100,
            "StreamViewType": "NEW_IMAGE",
        },
    }))
    .unwrap()
}

pub(crate) fn batch(records: Vec<EventRecord>) -> StreamEvent {
    let mut batch = StreamEvent::default();
    batch.records = records;
    batch
}

pub(crate) fn a_minute() -> Deadline {
    Deadline::after(Duration::from_secs(60))
}
