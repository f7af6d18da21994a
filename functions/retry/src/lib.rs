//! Woken every minute: tries again what is due.
//!
//! Due deliveries lie in buckets, by their webhook. A tick takes leases on buckets that nobody holds and works on them for minutes, so
//! that overlapping ticks share the work instead of repeating it. Within a bucket each webhook has a lane of its own, in which only so
//! many attempts are under way at a time, and which closes for the rest of the tick when the webhook hangs, fails again and again, or
//! asks for patience.

mod bucket;
mod digest;
mod health;
mod jobs;
mod lane;
mod lease;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use delivery::{Breaker, Deadline, Pace, Schedule, Sender};
use futures::{StreamExt, stream};
use payload::delivery::DUE_BUCKETS;
use payload::id::random;
use payload::{Clock, OrganizationId};
use store::{
    Deliveries, DestinationSecrets, DueQueue, Events, HealthLog, JobQueue, Redelivery, Timelines, WebhookSets,
};
use telemetry::{Measured, Metrics};
use tokio::sync::Semaphore;

pub use jobs::JobSettings;

/// What this step may do with the tables.
pub trait Store: Sending + Asking + 'static {}

impl<T: Sending + Asking + 'static> Store for T {}

/// What it takes to send what is due.
pub trait Sending: DueQueue + Deliveries + Events + WebhookSets + DestinationSecrets + HealthLog {}

impl<T: DueQueue + Deliveries + Events + WebhookSets + DestinationSecrets + HealthLog> Sending for T {}

/// What it takes to work on jobs.
pub trait Asking: JobQueue + Redelivery + Timelines {}

impl<T: JobQueue + Redelivery + Timelines> Asking for T {}

/// What can be set, with the values that a deployed function has.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long an attempt may take here.
    pub attempt_limit: Duration,
    /// How much time an attempt must leave, of the invocation and of the lease, for writing down what it came to.
    pub margin: Duration,
    /// How long a lease lasts. Longer than an attempt with its margin, also when it is due to be renewed.
    pub lease: Duration,
    /// How often a lease is renewed.
    pub renew_every: Duration,
    /// How many buckets are worked on at a time. Fewer than there are, so that an overlapping tick finds some that are free.
    pub buckets_at_once: usize,
    /// How many attempts are under way at a time.
    pub in_flight: usize,
    /// How many of those go to the webhooks of one organization: it must not take all places with what hangs.
    pub in_flight_per_organization: usize,
    /// How many of those go to one webhook.
    pub in_flight_per_webhook: usize,
    /// How many due deliveries are asked for at a time.
    pub page: u16,
    /// After how many failures in a row a webhook is left alone for the rest of the tick.
    pub failures_in_a_row: u32,
    /// When to look again at a delivery that cannot be attempted for reasons of our own, such as a webhook without a valid secret.
    pub set_aside_for: Duration,
    /// When a failed delivery is tried again.
    pub schedule: Schedule,
    /// How jobs are worked on.
    pub jobs: JobSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            attempt_limit: Duration::from_secs(30),
            margin: Duration::from_secs(10),
            lease: Duration::from_secs(90),
            renew_every: Duration::from_secs(20),
            buckets_at_once: 4,
            in_flight: 64,
            in_flight_per_organization: 24,
            in_flight_per_webhook: 4,
            page: 100,
            failures_in_a_row: 5,
            set_aside_for: Duration::from_secs(60 * 60),
            schedule: Schedule::default(),
            jobs: JobSettings::default(),
        }
    }
}

/// What a tick did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Buckets that it held a lease on.
    pub buckets: u32,
    /// Deliveries that succeeded.
    pub delivered: u32,
    /// Deliveries that failed and are due again later.
    pub retried: u32,
    /// Deliveries that failed for good.
    pub exhausted: u32,
    /// Deliveries whose webhook is gone or disabled.
    pub cancelled: u32,
    /// Deliveries that could not be attempted for reasons of our own.
    pub set_aside: u32,
    /// Due deliveries that were left to a later tick.
    pub left: u32,
    /// Outcomes that were not written, because the lease had passed to another or the delivery had changed.
    pub lost: u32,
    /// Jobs that it worked on.
    pub jobs: u32,
    /// Deliveries that those asked for.
    pub requested: u32,
}

/// Tries again what is due.
#[derive(Debug)]
pub struct Retry<S, D, C> {
    store: S,
    sender: D,
    clock: C,
    settings: Settings,
    /// Webhooks that asked for patience, as far as this process knows.
    patience: Breaker,
    /// When webhooks that take only so many requests may next be sent to.
    pace: Pace,
    metrics: Metrics,
}

/// One invocation.
struct Tick<'a, S, D, C> {
    parts: &'a Retry<S, D, C>,
    owner: String,
    deadline: Deadline,
    in_flight: Semaphore,
    by_organization: Mutex<HashMap<OrganizationId, Arc<Semaphore>>>,
    summary: Mutex<Summary>,
    measured: Measured,
}

impl<S: Store, D: Sender, C: Clock> Retry<S, D, C> {
    /// A function that works on `store` at the time of `clock` and sends through `sender`.
    #[must_use]
    pub fn new(store: S, sender: D, clock: C, settings: Settings) -> Self {
        Self {
            store,
            sender,
            clock,
            settings,
            patience: Breaker::new(Duration::ZERO),
            pace: Pace::default(),
            metrics: Metrics::off(),
        }
    }

    /// The same function, which tells its numbers there.
    #[must_use]
    pub fn with_metrics(self, metrics: Metrics) -> Self {
        Self { metrics, ..self }
    }

    /// Tries what is due until nothing is, or too little time is left before `deadline` for another attempt; and gives jobs their turns
    /// beside that, so that neither waits for the other.
    ///
    /// It never fails: what could not be done is still due, and the next tick comes within a minute.
    pub async fn handle(&self, deadline: Deadline) -> Summary {
        let started = self.clock.now();
        let tick = Tick {
            parts: self,
            owner: format!("{:032x}", u128::from_be_bytes(random())),
            deadline,
            in_flight: Semaphore::new(self.settings.in_flight),
            by_organization: Mutex::default(),
            summary: Mutex::default(),
            measured: Measured::default(),
        };
        let all = tick.all_buckets();
        let of_jobs = async {
            let touched = tick.jobs().await;
            // What was asked for just now need not wait for a minute. A bucket that is at work sees it by itself.
            tick.buckets(touched.into_iter().collect(), false).await;
        };
        tokio::join!(all, of_jobs);
        // An alarm counts it from this line (template.yaml), also of a tick that got no lease, or could do nothing.
        let oldest_due = tick.measured.oldest_due();
        self.metrics.tell(started, tick.measured);
        let summary = tick.summary.into_inner().unwrap_or_else(PoisonError::into_inner);
        if summary != Summary::default() || oldest_due.is_some() {
            tracing::info!(
                buckets = summary.buckets,
                delivered = summary.delivered,
                retried = summary.retried,
                exhausted = summary.exhausted,
                cancelled = summary.cancelled,
                set_aside = summary.set_aside,
                left = summary.left,
                lost = summary.lost,
                oldest_due,
                outcome = "worked",
                jobs = summary.jobs,
                requested = summary.requested,
                "tick"
            );
        }
        summary
    }
}

impl<S: Store, D: Sender, C: Clock> Tick<'_, S, D, C> {
    /// Works on all buckets. Most ticks find that nothing waits at all: one read says so, where a look into each bucket would be one each.
    async fn all_buckets(&self) {
        match self.parts.store.is_any_waiting().await {
            Ok(false) => return,
            Ok(true) => {}
            // The buckets are read by themselves; what keeps this read from succeeding need not keep those.
            Err(error) => {
                tracing::warn!(error_type = error.error_type(), error = %error, "each bucket is looked into");
            }
        }
        self.buckets(shuffled((0..DUE_BUCKETS).collect()), true).await;
    }

    /// Works on these buckets, a few at a time.
    async fn buckets(&self, buckets: Vec<u8>, is_first_look: bool) {
        stream::iter(buckets)
            .for_each_concurrent(self.parts.settings.buckets_at_once, |bucket| {
                self.bucket(bucket, is_first_look)
            })
            .await;
    }
}

impl<S, D, C> Tick<'_, S, D, C> {
    /// The places of an organization among the attempts under way.
    fn places_of(&self, organization: &OrganizationId) -> Arc<Semaphore> {
        let mut places = self.by_organization.lock().unwrap_or_else(PoisonError::into_inner);
        let made = || Arc::new(Semaphore::new(self.parts.settings.in_flight_per_organization));
        Arc::clone(places.entry(organization.clone()).or_insert_with(made))
    }

    fn count(&self, add: impl FnOnce(&mut Summary)) {
        add(&mut self.summary.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// The same in an order by chance: ticks that overlap begin in different places.
fn shuffled<T>(mut things: Vec<T>) -> Vec<T> {
    for i in (1..things.len()).rev() {
        let chance = usize::try_from(u32::from_be_bytes(random())).unwrap_or(0);
        things.swap(i, chance % (i + 1));
    }
    things
}
