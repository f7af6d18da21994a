//! A small store in memory with leases and fences, and a sender that answers as it is told.
#![allow(
    clippy::unwrap_used,
    dead_code,
    reason = "a test may fail by panicking; not every test uses everything"
)]

mod jobs;
mod memory;
pub(crate) mod sender;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use delivery::Deadline;
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
use payload::{Clock, Event, EventId, JobId, OrganizationId, WebhookId};
use store::{JobLease, Lease, StoreError, WebhookSet};

pub(crate) use sender::{Behaviour, FakeSender};

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
