//! One webhook within a tick, and the way of one due delivery to it.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex as StdMutex, MutexGuard, PoisonError};
use std::time::Duration;

use delivery::policy::{Exhaustion, later, patience};
use delivery::{Jitter, Message, Next, Place, Request, Sender, report};
use futures::FutureExt;
use jiff::Timestamp;
use payload::delivery::{AttemptError, Delivery, DeliveryStatus};
use payload::event::MAX_HOPS;
use payload::webhook::Webhook;
use payload::{Clock, Event, EventId, TraceId, WebhookId, own};
use store::StoreError;
use telemetry::Count;
use telemetry::metrics::Outcome;
use tokio::sync::{Mutex, MutexGuard as AsyncGuard, OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use crate::bucket::{Page, live, log_trouble};
use crate::lease::Held;
use crate::{Store, Tick};

/// The longest wait for a webhook's next place in its rate. Where it is longer the rest waits for another tick, of which there is one a
/// minute: a place a minute is not missed by that.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The right to make one attempt, while it is held: a place of the webhook's organization, and one of all.
pub(crate) struct Turn<'a>(
    #[allow(dead_code, reason = "held")] OwnedSemaphorePermit,
    #[allow(dead_code, reason = "held")] SemaphorePermit<'a>,
);

/// What a tick knows of a webhook.
pub(crate) struct Lane {
    /// How many deliveries were handed to it that it has not come to the end of.
    handed: AtomicUsize,
    /// Places of those who are under way to the webhook, or about to be.
    in_flight: Semaphore,
    /// Held by the one who waits for the webhook's next place in its rate.
    turn: Mutex<()>,
    closed: AtomicBool,
    failures_in_a_row: AtomicU32,
    /// Held by the one who tries whether a failing webhook is well again.
    probe: Mutex<()>,
    /// Held by the one who notes how the webhook does.
    pub(crate) noting: Mutex<()>,
    noted: StdMutex<Noted>,
}

/// What this tick has noted of a webhook's health.
#[derive(Default)]
struct Noted {
    /// It noted that the webhook fails.
    failing: bool,
    /// It noted that the webhook, which failed since then, is well.
    well_after: Option<Timestamp>,
}

impl Lane {
    pub(crate) fn new(closed: bool, in_flight: usize) -> Self {
        Self {
            handed: AtomicUsize::new(0),
            in_flight: Semaphore::new(in_flight),
            turn: Mutex::new(()),
            closed: AtomicBool::new(closed),
            failures_in_a_row: AtomicU32::new(0),
            probe: Mutex::new(()),
            noting: Mutex::new(()),
            noted: StdMutex::default(),
        }
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that so many more deliveries wait in it.
    pub(crate) fn hand(&self, count: usize) {
        self.handed.fetch_add(count, Ordering::Relaxed);
    }

    /// Notes that so many wait no longer.
    pub(crate) fn finish(&self, count: usize) {
        self.handed.fetch_sub(count, Ordering::Relaxed);
    }

    /// Whether as many wait in it, or more. In one that is closed none waits.
    pub(crate) fn has(&self, count: usize) -> bool {
        !self.is_closed() && self.handed.load(Ordering::Relaxed) >= count
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Nothing more begins in this tick.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    /// Since when the webhook fails, given what was read of it: a success that this tick has noted meanwhile counts.
    pub(crate) fn failing_since(&self, read: Option<Timestamp>) -> Option<Timestamp> {
        read.filter(|since| self.noted().well_after != Some(*since))
    }

    /// The right to try a webhook that fails: one attempt at a time shows whether it still does, while several that hang would take the
    /// places of others. Nothing where it is well, or has become so meanwhile.
    async fn probe(&self, read: Option<Timestamp>) -> Option<AsyncGuard<'_, ()>> {
        self.failing_since(read)?;
        let guard = self.probe.lock().await;
        self.failing_since(read).map(|_| guard)
    }

    /// Whether this tick has noted that it fails.
    pub(crate) fn is_noted_failing(&self) -> bool {
        self.noted().failing
    }

    /// It is noted that it fails.
    pub(crate) fn note_failing(&self) {
        self.noted().failing = true;
    }

    /// It is noted that it is well, where this was read of it before.
    pub(crate) fn note_well(&self, read: Option<Timestamp>) {
        let mut noted = self.noted();
        noted.failing = false;
        noted.well_after = read.or(noted.well_after);
    }
}

impl<S: Store, D: Sender, C: Clock> Tick<'_, S, D, C> {
    /// Tries one delivery that the index calls due.
    pub(crate) async fn one(&self, held: &Held, page: &Page, lane: &Lane, event: &EventId, webhook: &WebhookId) {
        // The place in the lane first: those who wait for a slow webhook must not keep others from being sent to.
        let _place = lane.in_flight.acquire().await;
        if lane.is_closed() || !self.may_begin(held) {
            return self.count(|summary| summary.left += 1);
        }
        let mut delivery = match self.parts.store.delivery(event, webhook).await {
            Ok(Some(delivery)) if self.is_due(&delivery) => delivery,
            // The index was behind.
            Ok(_) => return,
            Err(error) => return self.trouble(held, event, webhook, &error),
        };
        delivery.fence = held.fence();
        let tried = AssertUnwindSafe(self.try_again(held, page, lane, &mut delivery))
            .catch_unwind()
            .await;
        let result = match tried {
            Ok(result) => result,
            Err(_) => self.set_aside(&mut delivery, None, "panic").await,
        };
        if let Err(error) = result {
            self.trouble(held, event, webhook, &error);
        }
    }

    pub(crate) fn is_due(&self, delivery: &Delivery) -> bool {
        delivery.status == DeliveryStatus::Due && delivery.next_attempt.is_some_and(|at| at <= self.parts.clock.now())
    }

    /// Brings about a next state of the delivery, and writes it.
    async fn try_again(
        &self,
        held: &Held,
        page: &Page,
        lane: &Lane,
        delivery: &mut Delivery,
    ) -> Result<(), StoreError> {
        let set = self.set(page, &delivery.organization).await?;
        if set.suspended {
            return self.put_off(delivery).await;
        }
        let Some(webhook) = live(&set, &delivery.webhook) else {
            return self.cancel(delivery).await;
        };
        let failing_since = set.failing_since(&webhook.id);
        let _probe = lane.probe(failing_since).await;
        let Some(_turn) = self.turn(held, lane, webhook).await else {
            self.count(|summary| summary.left += 1);
            return Ok(());
        };
        let (event, credentials) =
            tokio::join!(self.parts.store.event(&delivery.event), self.credentials(page, webhook));
        let Some(event) = event?.filter(|event| event.organization == delivery.organization) else {
            return self.exhaust(delivery, None, "event_gone").await;
        };
        if event.hops >= MAX_HOPS {
            // A replay does not send on what goes in circles.
            return self.exhaust(delivery, Some(event.trace()), "loop").await;
        }
        let Ok(message) = Message::render_as(&event, delivery.message_id(), webhook.format, webhook.method) else {
            return self.exhaust(delivery, Some(event.trace()), "event_broken").await;
        };
        let credentials = match credentials {
            Ok(credentials) if credentials.suffice_for(&message) => credentials,
            Err(error) if error.is_transient() => return Err(error),
            Ok(_) | Err(_) => return self.set_aside(delivery, Some(event.trace()), "no_valid_secret").await,
        };
        let request = Request {
            id: delivery.message_id(),
            ..credentials.request(&event, webhook, &message)
        };
        let outcome = self.parts.sender.send(request, self.parts.settings.attempt_limit).await;
        let patience = patience(&outcome, self.parts.clock.now());
        let schedule = self.parts.settings.schedule.of(webhook);
        let next = schedule.settle(delivery, outcome, self.parts.clock.now(), Jitter::random());
        report::attempt(&event, delivery, &next);
        self.learn(lane, delivery, &next, patience);
        if self.finish(delivery, &next, &event, webhook).await? {
            self.note_outcome(lane, delivery, &next, webhook, failing_since, !own::is_own(&event))
                .await;
        }
        Ok(())
    }

    /// The right to make one attempt, when the webhook's rate has a place for it. `None` when that is not soon, or the attempt may not begin
    /// any more: then its delivery waits for another tick.
    pub(crate) async fn turn(&self, held: &Held, lane: &Lane, webhook: &Webhook) -> Option<Turn<'_>> {
        let may_begin = || !lane.is_closed() && self.may_begin(held);
        let Some(rate) = webhook.effective_rate() else {
            let place = self.place(webhook).await?;
            return may_begin().then_some(place);
        };
        // One waits for the place, the others for their turn: so each is sent at its place, however long it waited for the permit.
        let _turn = lane.turn.lock().await;
        loop {
            let place = self.place(webhook).await?;
            if !may_begin() {
                return None;
            }
            let now = self.parts.clock.now();
            let Place::At(at) = self.parts.pace.take_free(&webhook.id, rate, now) else {
                return Some(place);
            };
            // Nobody sleeps on a place that another could use.
            drop(place);
            let wait = Duration::try_from(at.duration_since(now)).unwrap_or_default();
            if wait > LONGEST_PAUSE {
                lane.close();
                return None;
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// A place among the attempts under way. That of its organization first: who waits for one of those takes none of the others'.
    async fn place(&self, webhook: &Webhook) -> Option<Turn<'_>> {
        let of_organization = self.places_of(&webhook.organization).acquire_owned().await.ok()?;
        let of_all = self.in_flight.acquire().await.ok()?;
        Some(Turn(of_organization, of_all))
    }

    /// Closes the lane when going on would do no good.
    pub(crate) fn learn(&self, lane: &Lane, delivery: &Delivery, next: &Next, patience: Option<Timestamp>) {
        if *next == Next::Delivered {
            lane.failures_in_a_row.store(0, Ordering::Relaxed);
            return;
        }
        let in_a_row = lane.failures_in_a_row.fetch_add(1, Ordering::Relaxed) + 1;
        let hangs = delivery
            .attempts
            .last()
            .is_some_and(|attempt| attempt.error == Some(AttemptError::Timeout));
        let gone = *next == Next::Exhausted(Exhaustion::Gone);
        if gone || hangs || patience.is_some() || in_a_row >= self.parts.settings.failures_in_a_row {
            lane.close();
        }
        if let Some(until) = patience {
            self.parts
                .patience
                .trip_until(&delivery.webhook, self.parts.clock.now(), until);
        }
    }

    async fn cancel(&self, delivery: &mut Delivery) -> Result<(), StoreError> {
        delivery.status = DeliveryStatus::Cancelled;
        delivery.next_attempt = None;
        tracing::info!(organization = %delivery.organization, event = %delivery.event, webhook = %delivery.webhook, outcome = "cancelled", "delivery ended");
        if self.write(delivery, None, None).await? {
            self.count(|summary| summary.cancelled += 1);
            self.measured.count(Count::Deliveries(Outcome::Cancelled));
        }
        Ok(())
    }

    async fn exhaust(
        &self,
        delivery: &mut Delivery,
        trace: Option<TraceId>,
        why: &'static str,
    ) -> Result<(), StoreError> {
        delivery.status = DeliveryStatus::Exhausted;
        delivery.next_attempt = None;
        tracing::error!(organization = %delivery.organization, event = %delivery.event, webhook = %delivery.webhook, trace = trace.map(tracing::field::display), outcome = "exhausted", error_type = why, "delivery ended");
        if self.write(delivery, trace, None).await? {
            self.count(|summary| summary.exhausted += 1);
            self.measured.count(Count::Deliveries(Outcome::Exhausted));
        }
        Ok(())
    }

    /// Puts off what cannot be attempted for reasons of our own, so that it neither ends nor stands in the way of the rest.
    pub(crate) async fn set_aside(
        &self,
        delivery: &mut Delivery,
        trace: Option<TraceId>,
        why: &'static str,
    ) -> Result<(), StoreError> {
        delivery.status = DeliveryStatus::Due;
        delivery.next_attempt = Some(later(self.parts.clock.now(), self.parts.settings.set_aside_for));
        tracing::error!(organization = %delivery.organization, event = %delivery.event, webhook = %delivery.webhook, trace = trace.map(tracing::field::display), outcome = "set_aside", error_type = why, "delivery not attempted");
        if self.write(delivery, trace, None).await? {
            self.count(|summary| summary.set_aside += 1);
            self.measured.count(Count::Deliveries(Outcome::Parked));
        }
        Ok(())
    }

    /// Puts off a delivery of a suspended organization: it is looked at again later, and no attempt is counted.
    async fn put_off(&self, delivery: &mut Delivery) -> Result<(), StoreError> {
        delivery.next_attempt = Some(later(self.parts.clock.now(), self.parts.settings.set_aside_for));
        tracing::info!(organization = %delivery.organization, event = %delivery.event, webhook = %delivery.webhook, outcome = "suspended", "delivery put off");
        if self.write(delivery, None, None).await? {
            self.count(|summary| summary.set_aside += 1);
        }
        Ok(())
    }

    /// Writes the delivery under the fence of the lease, and what is to be told of it. `false` when it is no longer ours to write.
    pub(crate) async fn write(
        &self,
        delivery: &Delivery,
        trace: Option<TraceId>,
        tell: Option<&Event>,
    ) -> Result<bool, StoreError> {
        let written = self.parts.store.update_delivery(delivery, tell).await?;
        if !written {
            tracing::warn!(organization = %delivery.organization, event = %delivery.event, webhook = %delivery.webhook, trace = trace.map(tracing::field::display), error_type = "lease_lost", "the outcome is not written: the delivery is another's");
            self.count(|summary| summary.lost += 1);
        }
        Ok(written)
    }

    /// A failure of the store: one that passes ends the work on the bucket, one that stays concerns this delivery alone.
    pub(crate) fn trouble(&self, held: &Held, event: &EventId, webhook: &WebhookId, error: &StoreError) {
        if error.is_transient() {
            held.stop();
            log_trouble(held.lease().bucket, error);
        } else {
            tracing::error!(%event, %webhook, error_type = error.error_type(), error = %error, "the delivery cannot be handled");
        }
        self.count(|summary| summary.left += 1);
    }
}
