//! A small store in memory, a sender that answers as it is told, and records as Lambda hands them over.
#![allow(
    clippy::unwrap_used,
    dead_code,
    reason = "a test may fail by panicking; not every test uses everything"
)]

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lambda_events::dynamodb::{Event as StreamEvent, EventRecord};
use bytes::Bytes;
use delivery::format::Rejection;
use delivery::{Deadline, Message, Outcome, Request, RetryAfter, Sender, SignedPart};
use jiff::{SignedDuration, Timestamp};
use payload::delivery::{Attempt, AttemptError, Delivery, DeliveryStatus};
use payload::event::{Content, EventMeta};
use payload::filter::StoredFilter;
use payload::id::Identity;
use payload::key::TimedSecret;
use payload::outbound::generate_secret;
use payload::webhook::{
    DestinationUrl, Disabled, DisabledReason, Format, Health, HttpPolicy, Method, Webhook, WebhookSecrets,
};
use payload::{Clock, Event, EventId, OrganizationId, TraceId, WebhookId};
use store::item::EventItem;
use store::{Deliveries, DestinationSecrets, HealthLog, StoreError, WebhookSet, WebhookSets};

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
    pub(crate) secrets: Mutex<HashMap<String, WebhookSecrets>>,
    pub(crate) deliveries: Mutex<BTreeMap<(EventId, WebhookId), Delivery>>,
    pub(crate) told: Mutex<Vec<Event>>,
    creating: AtomicU32,
    /// The most deliveries that were created at a time.
    pub(crate) most_creating: AtomicU32,
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
        // Another reading, as when the set's version has grown.
        let mut webhooks = Vec::clone(&set.webhooks);
        webhooks.push(webhook.clone());
        set.webhooks = Arc::new(webhooks);
        let secret = TimedSecret {
            value: generate_secret(),
            created_at: start(),
            expires_at: None,
        };
        self.0.secrets.lock().unwrap().insert(
            webhook.id.to_string(),
            WebhookSecrets {
                signing: if webhook.format.is_chat() { vec![] } else { vec![secret] },
                headers: vec![],
            },
        );
    }

    pub(crate) fn change_health<R>(
        &self,
        organization: &OrganizationId,
        webhook: &WebhookId,
        change: impl FnOnce(&mut Health) -> R,
    ) -> R {
        let mut sets = self.0.sets.lock().unwrap();
        let health = &mut sets.entry(organization.clone()).or_default().health;
        change(health.entry(webhook.clone()).or_insert_with(|| Health {
            webhook: webhook.clone(),
            failing_since: None,
            disabled: None,
        }))
    }

    pub(crate) fn health(&self, webhook: &Webhook) -> Option<Health> {
        let sets = self.0.sets.lock().unwrap();
        sets[&webhook.organization].health.get(&webhook.id).cloned()
    }

    pub(crate) fn mark_failing(&self, webhook: &Webhook, since: Timestamp) {
        self.change_health(&webhook.organization, &webhook.id, |health| {
            health.failing_since = Some(since);
        });
    }

    pub(crate) fn mark_disabled(&self, webhook: &Webhook, reason: DisabledReason) {
        self.change_health(&webhook.organization, &webhook.id, |health| {
            health.disabled = Some(Disabled { at: start(), reason });
        });
    }

    /// The types of the events that were published, in order, and which webhook each is about.
    pub(crate) fn told(&self) -> Vec<(String, String)> {
        let told = self.0.told.lock().unwrap();
        let about = |event: &Event| event.meta.entity.as_ref().unwrap().id.clone().unwrap();
        told.iter()
            .map(|event| (event.meta.event_type.clone(), about(event)))
            .collect()
    }

    /// How often this was told of the webhook.
    pub(crate) fn told_of(&self, webhook: &Webhook, event_type: &str) -> usize {
        let expected = (event_type.to_owned(), webhook.id.to_string());
        self.told().into_iter().filter(|told| *told == expected).count()
    }

    /// Puts another registration in the place of the one with its id.
    pub(crate) fn replace(&self, webhook: &Webhook) {
        let mut sets = self.0.sets.lock().unwrap();
        let set = sets.get_mut(&webhook.organization).unwrap();
        let mut webhooks = Vec::clone(&set.webhooks);
        *webhooks.iter_mut().find(|known| known.id == webhook.id).unwrap() = webhook.clone();
        set.webhooks = Arc::new(webhooks);
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

impl DestinationSecrets for Fake {
    async fn webhook_secrets(&self, webhook: &WebhookId) -> Result<WebhookSecrets, StoreError> {
        self.enter("secrets", webhook.as_str()).await?;
        let secrets = self.0.secrets.lock().unwrap();
        Ok(secrets.get(webhook.as_str()).cloned().unwrap_or_default())
    }
}

impl HealthLog for Fake {
    async fn set_failing(
        &self,
        organization: &OrganizationId,
        webhook: &WebhookId,
        since: Timestamp,
        tell: Option<&Event>,
    ) -> Result<bool, StoreError> {
        self.enter("set_failing", webhook.as_str()).await?;
        let news = self.change_health(organization, webhook, |health| {
            let news = health.failing_since.is_none();
            health.failing_since.get_or_insert(since);
            news
        });
        Ok(self.tell_if(news, tell))
    }

    async fn clear_failing(
        &self,
        organization: &OrganizationId,
        webhook: &WebhookId,
        tell: Option<&Event>,
    ) -> Result<bool, StoreError> {
        self.enter("clear_failing", webhook.as_str()).await?;
        let news = self.change_health(organization, webhook, |health| health.failing_since.take().is_some());
        Ok(self.tell_if(news, tell))
    }

    async fn disable(
        &self,
        organization: &OrganizationId,
        webhook: &WebhookId,
        disabled: &Disabled,
        failing_since: Option<Timestamp>,
        tell: &Event,
    ) -> Result<bool, StoreError> {
        self.enter("disable", webhook.as_str()).await?;
        let news = self.change_health(organization, webhook, |health| {
            let holds = failing_since.is_none() || health.failing_since == failing_since;
            let news = holds && health.disabled.is_none();
            if news {
                health.disabled = Some(disabled.clone());
            }
            news
        });
        Ok(self.tell_if(news, Some(tell)))
    }
}

impl Fake {
    /// What is told by the write that is news.
    fn tell_if(&self, news: bool, tell: Option<&Event>) -> bool {
        if let Some(event) = tell.filter(|_| news) {
            assert!(payload::own::is_own(event), "no other event is published here");
            self.0.told.lock().unwrap().push(event.clone());
        }
        news
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

    async fn create_delivery(&self, delivery: &Delivery, tell: Option<&Event>) -> Result<bool, StoreError> {
        let creating = self.0.creating.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.most_creating.fetch_max(creating, Ordering::SeqCst);
        let entered = self.enter("create_delivery", delivery.event.as_str()).await;
        self.0.creating.fetch_sub(1, Ordering::SeqCst);
        entered?;
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
        Ok(self.tell_if(true, tell))
    }

    async fn update_delivery(&self, _: &Delivery, _: Option<&Event>) -> Result<bool, StoreError> {
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
    /// The next request fails at once, and those after it succeed after this time.
    FirstFails(Duration),
}

#[derive(Default)]
pub(crate) struct SenderState {
    behaviours: Mutex<HashMap<String, Behaviour>>,
    failed: Mutex<HashSet<String>>,
    pub(crate) sent: Mutex<Vec<Sent>>,
    pub(crate) in_flight: AtomicU32,
    pub(crate) most_in_flight: AtomicU32,
    clock: Mutex<Option<TestClock>>,
}

/// What was sent.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) event: EventId,
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
}

impl Sender for FakeSender {
    async fn send(&self, request: Request<'_>, limit: Duration) -> Outcome {
        let host = request.destination.expose().host_str().unwrap().to_owned();
        let is_signed = request.message.signed != SignedPart::Nothing;
        assert!(!is_signed || request.keys.is_some_and(|keys| !keys.as_slice().is_empty()));
        self.0.sent.lock().unwrap().push(Sent::of(&request));
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
            Behaviour::FirstFails(time) => {
                if self.0.failed.lock().unwrap().insert(host.clone()) {
                    tokio::task::yield_now().await;
                    (Some(500), Some(AttemptError::Status))
                } else {
                    tokio::time::sleep(time).await;
                    (Some(200), None)
                }
            }
            Behaviour::Panic => panic!("told to, with a secret-in-the-message"),
        };
        self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
        let attempt = Attempt {
            throttled: status == Some(429),
            at: start(),
            duration_ms: 1,
            status,
            error,
            answer: Some("secret-in-the-answer".into()),
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

pub(crate) fn organization() -> OrganizationId {
    OrganizationId::generate(start())
}

/// A filter as it is read from a table.
pub(crate) fn filter(json: &serde_json::Value) -> StoredFilter {
    serde_json::from_value(json.clone()).unwrap()
}

pub(crate) fn webhook(organization: &OrganizationId, host: &str, types: &[&str]) -> Webhook {
    Webhook {
        id: WebhookId::generate(start()),
        organization: organization.clone(),
        name: host.to_owned(),
        description: None,
        url: DestinationUrl::parse(&format!("https://{host}/secret-path"), HttpPolicy::HttpsOnly).unwrap(),
        filter: filter(&serde_json::json!({ "types": types })),
        format: Format::Raw,
        method: Method::Post,
        rate: None,
        schedule: None,
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
        hops: 0,
        trace: None,
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
