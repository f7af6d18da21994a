//! One webhook within a tick, and the way of one due delivery to it.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex as StdMutex, PoisonError};
use std::time::Duration;

use delivery::policy::{Exhaustion, later};
use delivery::{Jitter, Message, Next, Place, Sender, SignedPart, report};
use futures::FutureExt;
use payload::delivery::{AttemptError, Delivery, DeliveryStatus};
use payload::webhook::Webhook;
use payload::{Clock, EventId, WebhookId, own};
use store::StoreError;
use tokio::sync::{Mutex, Semaphore, SemaphorePermit};

use crate::bucket::{Page, log_trouble};
use crate::lease::Held;
use crate::{Store, Tick};

/// The longest wait for a webhook's next place in its rate. Where it is longer the rest waits for another tick, of which there is one a
/// minute: a place a minute is not missed by that.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What a tick knows of a webhook.
pub(crate) struct Lane {
    /// Places of those who are under way to the webhook, or about to be.
    in_flight: Semaphore,
    /// Held by the one who waits for the webhook's next place in its rate.
    turn: Mutex<()>,
    closed: AtomicBool,
    failures_in_a_row: AtomicU32,
    /// Whether it fails, as this tick has last noted; `None` while it has noted nothing.
    failing: StdMutex<Option<bool>>,
}

impl Lane {
    pub(crate) fn new(closed: bool, in_flight: usize) -> Self {
        Self {
            in_flight: Semaphore::new(in_flight),
            turn: Mutex::new(()),
            closed: AtomicBool::new(closed),
            failures_in_a_row: AtomicU32::new(0),
            failing: StdMutex::new(None),
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Nothing more begins in this tick.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    /// Whether the webhook's health has changed with this outcome, given what was noted of it before the tick.
    pub(crate) fn health_changed(&self, noted_before: bool, delivered: bool) -> bool {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = failing.unwrap_or(noted_before) == delivered;
        if changed {
            *failing = Some(!delivered);
        }
        changed
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
            Err(_) => self.set_aside(&mut delivery, "panic").await,
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
        let Some(webhook) = set.live(&delivery.webhook) else {
            return self.cancel(delivery).await;
        };
        let Some(_permit) = self.turn(held, lane, webhook).await else {
            self.count(|summary| summary.left += 1);
            return Ok(());
        };
        let (event, secrets) = tokio::join!(self.parts.store.event(&delivery.event), self.secrets(page, webhook));
        let Some(event) = event?.filter(|event| event.organization == delivery.organization) else {
            return self.exhaust(delivery, "event_gone").await;
        };
        let Ok(message) = Message::render(&event, webhook.format, webhook.method) else {
            return self.exhaust(delivery, "event_broken").await;
        };
        let secrets = match secrets {
            Ok(secrets) if secrets.keys.is_some() || message.signed == SignedPart::Nothing => secrets,
            Err(error) if error.is_transient() => return Err(error),
            Ok(_) | Err(_) => return self.set_aside(delivery, "no_valid_secret").await,
        };
        let request = secrets.request(&event, webhook, &message);
        let outcome = self.parts.sender.send(request, self.parts.settings.attempt_limit).await;
        let throttled = outcome.throttled || outcome.retry_after.is_some();
        let schedule = self.parts.settings.schedule.of(webhook);
        let next = schedule.settle(delivery, outcome, self.parts.clock.now(), Jitter::random());
        report::attempt(delivery, &next);
        self.learn(lane, delivery, &next, throttled);
        if self.finish(delivery, &next, &event, webhook).await? {
            let failing_since = set.failing_since(&webhook.id);
            self.note_outcome(lane, delivery, &next, webhook, failing_since, !own::is_own(&event))
                .await;
        }
        Ok(())
    }

    /// The right to make one attempt, when the webhook's rate has a place for it. `None` when that is not soon, or the attempt may not begin
    /// any more: then its delivery waits for another tick.
    pub(crate) async fn turn(&self, held: &Held, lane: &Lane, webhook: &Webhook) -> Option<SemaphorePermit<'_>> {
        let may_begin = || !lane.is_closed() && self.may_begin(held);
        let Some(rate) = webhook.effective_rate() else {
            let permit = self.in_flight.acquire().await.ok()?;
            return may_begin().then_some(permit);
        };
        // One waits for the place, the others for their turn: so each is sent at its place, however long it waited for the permit.
        let _turn = lane.turn.lock().await;
        loop {
            let permit = self.in_flight.acquire().await.ok()?;
            if !may_begin() {
                return None;
            }
            let now = self.parts.clock.now();
            let Place::At(at) = self.parts.pace.take_free(&webhook.id, rate, now) else {
                return Some(permit);
            };
            // Nobody sleeps on a permit that another could use.
            drop(permit);
            let wait = Duration::try_from(at.duration_since(now)).unwrap_or_default();
            if wait > LONGEST_PAUSE {
                lane.close();
                return None;
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// Closes the lane when going on would do no good.
    pub(crate) fn learn(&self, lane: &Lane, delivery: &Delivery, next: &Next, throttled: bool) {
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
        if gone || hangs || throttled || in_a_row >= self.parts.settings.failures_in_a_row {
            lane.close();
        }
        if let (true, Next::RetryAt(at)) = (throttled, next) {
            self.parts
                .patience
                .trip_until(&delivery.webhook, self.parts.clock.now(), *at);
        }
    }

    async fn cancel(&self, delivery: &mut Delivery) -> Result<(), StoreError> {
        delivery.status = DeliveryStatus::Cancelled;
        delivery.next_attempt = None;
        tracing::info!(organization = %delivery.organization, event = %delivery.event, webhook = %delivery.webhook, outcome = "cancelled", "delivery ended");
        if self.write(delivery).await? {
            self.count(|summary| summary.cancelled += 1);
        }
        Ok(())
    }

    async fn exhaust(&self, delivery: &mut Delivery, why: &'static str) -> Result<(), StoreError> {
        delivery.status = DeliveryStatus::Exhausted;
        delivery.next_attempt = None;
        tracing::error!(organization = %delivery.organization, event = %delivery.event, webhook = %delivery.webhook, outcome = "exhausted", error_type = why, "delivery ended");
        if self.write(delivery).await? {
            self.count(|summary| summary.exhausted += 1);
        }
        Ok(())
    }

    /// Puts off what cannot be attempted for reasons of our own, so that it neither ends nor stands in the way of the rest.
    pub(crate) async fn set_aside(&self, delivery: &mut Delivery, why: &'static str) -> Result<(), StoreError> {
        delivery.status = DeliveryStatus::Due;
        delivery.next_attempt = Some(later(self.parts.clock.now(), self.parts.settings.set_aside_for));
        tracing::error!(organization = %delivery.organization, event = %delivery.event, webhook = %delivery.webhook, outcome = "set_aside", error_type = why, "delivery not attempted");
        if self.write(delivery).await? {
            self.count(|summary| summary.set_aside += 1);
        }
        Ok(())
    }

    /// Writes the delivery under the fence of the lease. `false` when it is no longer ours to write.
    pub(crate) async fn write(&self, delivery: &Delivery) -> Result<bool, StoreError> {
        let written = self.parts.store.update_delivery(delivery).await?;
        if !written {
            tracing::warn!(organization = %delivery.organization, event = %delivery.event, webhook = %delivery.webhook, error_type = "lease_lost", "the outcome is not written: the delivery is another's");
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
