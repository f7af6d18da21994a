//! Jobs in whole ticks, against a store in memory and a sender that sends nothing.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod faults;
mod pace;
#[path = "../support/mod.rs"]
mod support;
mod wanted;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use jiff::SignedDuration;
use payload::delivery::DeliveryStatus;
use payload::event::MAX_HOPS;
use payload::filter::Filter;
use payload::job::{Job, JobFailure, JobKind, JobStatus, Progress};
use payload::webhook::{DisabledReason, Webhook};
use payload::{Clock, Event, OrganizationId};
use retry::{JobSettings, Retry, Settings, Summary};
use store::StoreError;
use support::{Behaviour, Fake, FakeSender, Fault, TestClock, event, five_minutes, organization, start, webhook};

struct World {
    store: Fake,
    sender: FakeSender,
    clock: TestClock,
    settings: Settings,
    function: Retry<Fake, FakeSender, TestClock>,
    organization: OrganizationId,
}

impl World {
    /// A minute after the start, when what happened then is known everywhere.
    async fn new() -> Self {
        Self::with(JobSettings::default()).await
    }

    async fn with(jobs: JobSettings) -> Self {
        let settings = Settings {
            jobs,
            ..Settings::default()
        };
        let (store, sender, clock) = (Fake::default(), FakeSender::default(), TestClock::start());
        let function = Retry::new(store.clone(), sender.clone(), clock.clone(), settings.clone());
        tokio::time::sleep(Duration::from_secs(60)).await;
        Self {
            store,
            sender,
            clock,
            settings,
            function,
            organization: organization(),
        }
    }

    /// The same function in another process.
    fn another(&self) -> Retry<Fake, FakeSender, TestClock> {
        let (store, sender) = (self.store.clone(), self.sender.clone());
        Retry::new(store, sender, self.clock.clone(), self.settings.clone())
    }

    async fn tick(&self) -> Summary {
        self.function.handle(five_minutes()).await
    }

    fn webhook(&self, host: &str) -> Webhook {
        let webhook = webhook(&self.organization, host);
        self.store.add(&webhook);
        webhook
    }

    /// An event without any delivery.
    fn event(&self, name: &str) -> Event {
        let event = event(&self.organization, name);
        self.store
            .0
            .events
            .lock()
            .unwrap()
            .insert(event.id.clone(), event.clone());
        event
    }

    /// A delivery that has ended in this way, of an event of its own.
    fn ended(&self, webhook: &Webhook, name: &str, status: DeliveryStatus) -> Event {
        let event = self.event(name);
        self.store.add_due(&event, webhook, start());
        self.store.tried_before(&event, webhook);
        let mut deliveries = self.store.0.deliveries.lock().unwrap();
        let delivery = deliveries.get_mut(&(event.id.clone(), webhook.id.clone())).unwrap();
        (delivery.status, delivery.next_attempt) = (status, None);
        event
    }

    fn exhausted(&self, webhook: &Webhook, count: usize) -> Vec<Event> {
        let name = |number| format!("{}-{number}", webhook.name);
        (0..count)
            .map(|number| self.ended(webhook, &name(number), DeliveryStatus::Exhausted))
            .collect()
    }

    fn job(&self, kind: JobKind) -> Job {
        self.job_with(kind, |_| {})
    }

    fn job_with(&self, kind: JobKind, change: impl FnOnce(&mut Job)) -> Job {
        let mut job = Job::new(self.organization.clone(), kind, self.clock.now());
        change(&mut job);
        self.store.add_job(&job);
        job
    }

    fn replay_failed(&self, webhook: &Webhook) -> JobKind {
        JobKind::ReplayFailed {
            webhook: webhook.id.clone(),
            since: start(),
            until: self.clock.now(),
        }
    }

    fn recover(&self, webhook: &Webhook) -> JobKind {
        JobKind::Recover {
            webhook: webhook.id.clone(),
            since: start(),
            until: self.clock.now(),
        }
    }

    /// Ticks, a minute apart, until a job has ended.
    async fn run(&self, job: &Job) -> Job {
        for _ in 0..20 {
            self.tick().await;
            let job = self.store.job_now(job);
            if job.status != JobStatus::Running {
                return job;
            }
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        panic!("it does not end: {:?}", self.store.job_now(job));
    }

    fn delivered(&self, events: &[Event], webhook: &Webhook) -> usize {
        let status = |event| self.store.status(event, webhook).0;
        events
            .iter()
            .filter(|event| status(event) == DeliveryStatus::Delivered)
            .count()
    }

    /// How often each event was sent.
    fn sent(&self) -> BTreeMap<String, usize> {
        let mut sent = BTreeMap::new();
        for request in self.sender.0.sent.lock().unwrap().iter() {
            *sent.entry(request.event.to_string()).or_default() += 1;
        }
        sent
    }

    fn has_delivery(&self, event: &Event, webhook: &Webhook) -> bool {
        let deliveries = self.store.0.deliveries.lock().unwrap();
        deliveries.contains_key(&(event.id.clone(), webhook.id.clone()))
    }
}

fn progress(examined: u64, requested: u64) -> Progress {
    Progress {
        examined,
        requested,
        skipped: examined - requested,
    }
}
