//! A small store in memory with leases and fences, and a sender that answers as it is told.
#![allow(
    clippy::unwrap_used,
    dead_code,
    reason = "a test may fail by panicking; not every test uses everything"
)]

mod jobs;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use delivery::format::Rejection;
use delivery::{Deadline, Message, Outcome, Request, RetryAfter, Sender, SignedPart};
use jiff::{SignedDuration, Timestamp};
use payload::delivery::{Attempt, AttemptError, Delivery, DeliveryStatus};
use payload::event::{Content, EventMeta};
use payload::id::Identity;
use payload::job::Job;
use payload::key::TimedSecret;
use payload::outbound::generate_secret;
use payload::webhook::{
    DestinationUrl, Disabled, DisabledReason, Format, Health, HttpPolicy, Method, Webhook, WebhookSecrets,
};
use payload::{Clock, Event, EventId, JobId, OrganizationId, TraceId, WebhookId};
use store::{
    Deliveries, DestinationSecrets, Due, DueQueue, Events, HealthLog, JobLease, Lease, PutEvent, StoreError,
    WebhookSet, WebhookSets,
};

/// A clock that goes with tokio's, so that a paused test has paused time everywhere.
#[derive(Debug, Clone)]
pub(crate) struct TestClock(tokio::time::Instant);

impl TestClock {
    pub(crate) fn start() -> Self {
        Self(tokio::time::Instant::now())
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        start() + SignedDuration::try_from(self.0.elapsed()).unwrap()
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
    pub(crate) events: Mutex<HashMap<EventId, Event>>,
    /// What was published.
    pub(crate) told: Mutex<Vec<Event>>,
    pub(crate) deliveries: Mutex<BTreeMap<(EventId, WebhookId), Delivery>>,
    pub(crate) leases: Mutex<HashMap<u8, Lease>>,
    pub(crate) jobs: Mutex<BTreeMap<JobId, Job>>,
    pub(crate) job_leases: Mutex<HashMap<JobId, JobLease>>,
    /// Deliveries that the index still calls due although they are not, as an index that is behind does.
    pub(crate) stale: Mutex<HashSet<(EventId, WebhookId)>>,
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
        self.0.secrets.lock().unwrap().insert(
            webhook.id.to_string(),
            WebhookSecrets {
                signing: if webhook.format.is_chat() { vec![] } else { vec![secret] },
                headers: vec![],
            },
        );
    }

    /// Adds an event and a delivery of it that is due.
    pub(crate) fn add_due(&self, event: &Event, webhook: &Webhook, due: Timestamp) {
        self.0.events.lock().unwrap().insert(event.id.clone(), event.clone());
        let delivery = Delivery {
            event: event.id.clone(),
            webhook: webhook.id.clone(),
            organization: event.organization.clone(),
            status: DeliveryStatus::Due,
            created_at: start(),
            next_attempt: Some(due),
            attempts: vec![],
            replay: Default::default(),
            fence: 0,
        };
        let key = (event.id.clone(), webhook.id.clone());
        self.0.deliveries.lock().unwrap().insert(key, delivery);
    }

    /// The delivery has failed once more before.
    pub(crate) fn tried_before(&self, event: &Event, webhook: &Webhook) {
        let mut deliveries = self.0.deliveries.lock().unwrap();
        let delivery = deliveries.get_mut(&(event.id.clone(), webhook.id.clone())).unwrap();
        delivery.attempts.push(Attempt {
            at: start(),
            duration_ms: 1,
            status: Some(500),
            error: Some(AttemptError::Status),
            throttled: false,
            answer: None,
        });
    }

    pub(crate) fn fault(&self, rule: impl Fn(&str, &str) -> Option<Fault> + Send + Sync + 'static) {
        *self.0.rule.lock().unwrap() = Some(Box::new(rule));
    }

    pub(crate) fn no_fault(&self) {
        *self.0.rule.lock().unwrap() = None;
    }

    pub(crate) fn calls(&self, operation: &str) -> u32 {
        self.0.calls.lock().unwrap().get(operation).copied().unwrap_or(0)
    }

    pub(crate) fn get(&self, event: &Event, webhook: &Webhook) -> Delivery {
        self.0.deliveries.lock().unwrap()[&(event.id.clone(), webhook.id.clone())].clone()
    }

    pub(crate) fn status(&self, event: &Event, webhook: &Webhook) -> (DeliveryStatus, usize) {
        let delivery = self.get(event, webhook);
        (delivery.status, delivery.attempts.len())
    }

    pub(crate) fn is_failing(&self, webhook: &Webhook) -> bool {
        self.health(webhook)
            .is_some_and(|health| health.failing_since.is_some())
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

    /// Somebody else takes the lease of a bucket, as after the death of its owner.
    pub(crate) fn steal(&self, bucket: u8) {
        let mut leases = self.0.leases.lock().unwrap();
        let lease = leases.get_mut(&bucket).unwrap();
        lease.owner = "another".into();
        lease.fence += 1;
        lease.until = start() + SignedDuration::from_hours(1);
    }

    async fn enter(&self, operation: &'static str, key: &str) -> Result<(), StoreError> {
        *self.0.calls.lock().unwrap().entry(operation).or_default() += 1;
        // A moment, so that ticks that overlap really do.
        tokio::time::sleep(Duration::from_millis(1)).await;
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

impl Events for Fake {
    async fn put_event(&self, _: &Event) -> Result<PutEvent, StoreError> {
        unreachable!("what is told is written with what it tells of")
    }

    async fn event(&self, id: &EventId) -> Result<Option<Event>, StoreError> {
        self.enter("event", id.as_str()).await?;
        Ok(self.0.events.lock().unwrap().get(id).cloned())
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
        let deliveries = self.0.deliveries.lock().unwrap();
        let of_event = deliveries.values().filter(|delivery| delivery.event == *event);
        Ok(of_event.cloned().collect())
    }

    async fn delivery(&self, event: &EventId, webhook: &WebhookId) -> Result<Option<Delivery>, StoreError> {
        self.enter("delivery", event.as_str()).await?;
        Ok(self
            .0
            .deliveries
            .lock()
            .unwrap()
            .get(&(event.clone(), webhook.clone()))
            .cloned())
    }

    async fn create_delivery(&self, delivery: &Delivery, tell: Option<&Event>) -> Result<bool, StoreError> {
        assert!(tell.is_none(), "what is only due is not told");
        self.enter("create_delivery", delivery.event.as_str()).await?;
        let mut deliveries = self.0.deliveries.lock().unwrap();
        let key = (delivery.event.clone(), delivery.webhook.clone());
        let stored = deliveries.entry(key).or_insert_with(|| delivery.clone());
        Ok(stored == delivery)
    }

    async fn update_delivery(&self, delivery: &Delivery, tell: Option<&Event>) -> Result<bool, StoreError> {
        self.enter("update_delivery", delivery.event.as_str()).await?;
        let due = delivery.status == DeliveryStatus::Due;
        assert_eq!(
            delivery.next_attempt.is_some(),
            due,
            "only what is due has a next attempt"
        );
        let mut deliveries = self.0.deliveries.lock().unwrap();
        let key = (delivery.event.clone(), delivery.webhook.clone());
        let stored = deliveries.get_mut(&key).unwrap();
        if stored.status != DeliveryStatus::Due || stored.fence > delivery.fence {
            return Ok(false);
        }
        *stored = delivery.clone();
        Ok(self.tell_if(true, tell))
    }
}

impl DueQueue for Fake {
    async fn due(
        &self,
        bucket: u8,
        from: Timestamp,
        until: Timestamp,
        after: Option<&Due>,
        limit: u16,
    ) -> Result<Vec<Due>, StoreError> {
        self.enter("due", &bucket.to_string()).await?;
        let stale = self.0.stale.lock().unwrap().clone();
        let deliveries = self.0.deliveries.lock().unwrap();
        let mut due: Vec<Due> = deliveries
            .iter()
            .filter(|((_, webhook), _)| Delivery::bucket(webhook) == bucket)
            .filter_map(|((event, webhook), delivery)| {
                let is_stale = stale.contains(&(event.clone(), webhook.clone()));
                let at = delivery.next_attempt.or(is_stale.then_some(Timestamp::UNIX_EPOCH))?;
                let (event, webhook) = (event.clone(), webhook.clone());
                (from <= at && at <= until).then_some(Due { at, event, webhook })
            })
            .filter(|due| after.is_none_or(|after| due > after))
            .collect();
        due.sort();
        due.truncate(usize::from(limit));
        Ok(due)
    }

    async fn take_lease(
        &self,
        bucket: u8,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Lease>, StoreError> {
        self.enter("take_lease", owner).await?;
        let mut leases = self.0.leases.lock().unwrap();
        let fence = match leases.get(&bucket) {
            Some(lease) if lease.until > now => return Ok(None),
            Some(lease) => lease.fence + 1,
            None => 1,
        };
        let lease = Lease {
            bucket,
            owner: owner.to_owned(),
            fence,
            until,
        };
        leases.insert(bucket, lease.clone());
        Ok(Some(lease))
    }

    async fn renew_lease(&self, lease: &Lease, until: Timestamp) -> Result<Option<Lease>, StoreError> {
        self.enter("renew_lease", &lease.owner).await?;
        let mut leases = self.0.leases.lock().unwrap();
        let held = leases.get_mut(&lease.bucket).unwrap();
        if held.owner != lease.owner || held.fence != lease.fence {
            return Ok(None);
        }
        held.until = until;
        Ok(Some(held.clone()))
    }

    async fn release_lease(&self, lease: &Lease) -> Result<(), StoreError> {
        self.enter("release_lease", &lease.owner).await?;
        let mut leases = self.0.leases.lock().unwrap();
        let held = leases.get_mut(&lease.bucket).unwrap();
        if held.owner == lease.owner && held.fence == lease.fence {
            held.until = Timestamp::UNIX_EPOCH;
        }
        Ok(())
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

pub(crate) fn organization() -> OrganizationId {
    OrganizationId::generate(start())
}

pub(crate) fn webhook(organization: &OrganizationId, host: &str) -> Webhook {
    Webhook {
        id: WebhookId::generate(start()),
        organization: organization.clone(),
        name: host.to_owned(),
        description: None,
        url: DestinationUrl::parse(&format!("https://{host}/"), HttpPolicy::HttpsOnly).unwrap(),
        filter: Default::default(),
        format: Format::Raw,
        method: Method::Post,
        rate: None,
        schedule: None,
        enabled: true,
        created_at: start(),
    }
}

/// A webhook whose deliveries lie in this bucket.
pub(crate) fn webhook_in(organization: &OrganizationId, host: &str, bucket: u8) -> Webhook {
    loop {
        let webhook = webhook(organization, host);
        if Delivery::bucket(&webhook.id) == bucket {
            return webhook;
        }
    }
}

pub(crate) fn event(organization: &OrganizationId, name: &str) -> Event {
    let id = EventId::compute("src_1", Identity::ProviderId(name), 0);
    let body = Bytes::from_static(b"{}");
    Event {
        id: id.clone(),
        organization: organization.clone(),
        receipt: None,
        received_at: start(),
        hops: 0,
        trace: None,
        meta: EventMeta {
            id,
            event_type: "a.b".to_owned(),
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

/// The time that a deployed function has.
pub(crate) fn five_minutes() -> Deadline {
    Deadline::after(Duration::from_secs(300))
}
