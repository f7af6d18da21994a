//! One webhook within a tick, and the way of one due delivery to it.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use delivery::policy::later;
use delivery::{Jitter, Message, Next, Request, Sender, SigningKeys, report};
use futures::FutureExt;
use payload::delivery::{AttemptError, Delivery, DeliveryStatus};
use payload::webhook::{Health, Webhook};
use payload::{Clock, EventId, WebhookId};
use store::StoreError;

use crate::bucket::{Page, log_trouble};
use crate::lease::Held;
use crate::{Store, Tick};

/// What a tick knows of a webhook.
pub(crate) struct Lane {
    closed: AtomicBool,
    failures_in_a_row: AtomicU32,
    /// Whether it fails, as this tick has last noted; `None` while it has noted nothing.
    failing: Mutex<Option<bool>>,
}

impl Lane {
    pub(crate) fn new(closed: bool) -> Self {
        Self {
            closed: AtomicBool::new(closed),
            failures_in_a_row: AtomicU32::new(0),
            failing: Mutex::new(None),
        }
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Whether the webhook's health has changed with this outcome, given what was noted of it before the tick.
    fn health_changed(&self, noted_before: bool, delivered: bool) -> bool {
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
        let permit = self.in_flight.acquire().await;
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
        drop(permit);
        let result = match tried {
            Ok(result) => result,
            Err(_) => self.set_aside(&mut delivery, "panic").await,
        };
        if let Err(error) = result {
            self.trouble(held, event, webhook, &error);
        }
    }

    fn is_due(&self, delivery: &Delivery) -> bool {
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
        let store = &self.parts.store;
        let organization = &delivery.organization;
        let set = page
            .sets
            .get(organization, || async {
                store.webhook_set(organization).await.map(Arc::new)
            })
            .await?;
        let Some(webhook) = set
            .webhooks
            .iter()
            .find(|webhook| webhook.id == delivery.webhook && webhook.enabled)
        else {
            return self.cancel(delivery).await;
        };
        let read_keys = || async {
            let secrets = store.secrets(webhook.id.as_str()).await?;
            Ok(SigningKeys::valid_at(&secrets, self.parts.clock.now()))
        };
        let (event, keys) = tokio::join!(store.event(&delivery.event), page.keys.get(&webhook.id, read_keys));
        let Some(event) = event?.filter(|event| event.organization == delivery.organization) else {
            return self.exhaust(delivery, "event_gone").await;
        };
        let Ok(message) = Message::render(&event, webhook.format) else {
            return self.exhaust(delivery, "event_broken").await;
        };
        let keys = match keys {
            Ok(Some(keys)) => keys,
            Err(error) if error.is_transient() => return Err(error),
            Ok(None) | Err(_) => return self.set_aside(delivery, "no_valid_secret").await,
        };
        if lane.is_closed() || !self.may_begin(held) {
            self.count(|summary| summary.left += 1);
            return Ok(());
        }
        let request = Request {
            event: &event.id,
            destination: &webhook.url,
            keys: &keys,
            message: &message,
        };
        self.attempt(lane, request, webhook, delivery, set.failing.contains_key(&webhook.id))
            .await
    }

    /// Makes an attempt and writes what it came to.
    async fn attempt(
        &self,
        lane: &Lane,
        request: Request<'_>,
        webhook: &Webhook,
        delivery: &mut Delivery,
        failing: bool,
    ) -> Result<(), StoreError> {
        let settings = &self.parts.settings;
        let outcome = self.parts.sender.send(request, settings.attempt_limit).await;
        let throttled = outcome.attempt.status == Some(429) || outcome.retry_after.is_some();
        let next = settings
            .schedule
            .settle(delivery, outcome, self.parts.clock.now(), Jitter::random());
        report::attempt(delivery, &next);
        self.learn(lane, delivery, &next, throttled);
        if !self.write(delivery).await? {
            return Ok(());
        }
        self.count(|summary| match next {
            Next::Delivered => summary.delivered += 1,
            Next::RetryAt(_) => summary.retried += 1,
            Next::Exhausted(_) => summary.exhausted += 1,
        });
        let delivered = next == Next::Delivered;
        if lane.health_changed(failing, delivered) {
            self.note_health(webhook, delivery, delivered).await;
        }
        Ok(())
    }

    /// Closes the lane when going on would do no good.
    fn learn(&self, lane: &Lane, delivery: &Delivery, next: &Next, throttled: bool) {
        if *next == Next::Delivered {
            lane.failures_in_a_row.store(0, Ordering::Relaxed);
            return;
        }
        let in_a_row = lane.failures_in_a_row.fetch_add(1, Ordering::Relaxed) + 1;
        let hangs = delivery
            .attempts
            .last()
            .is_some_and(|attempt| attempt.error == Some(AttemptError::Timeout));
        if hangs || throttled || in_a_row >= self.parts.settings.failures_in_a_row {
            lane.closed.store(true, Ordering::Relaxed);
        }
        if let (true, Next::RetryAt(at)) = (throttled, next) {
            self.parts
                .patience
                .trip_until(&delivery.webhook, self.parts.clock.now(), *at);
        }
    }

    async fn note_health(&self, webhook: &Webhook, delivery: &Delivery, delivered: bool) {
        let store = &self.parts.store;
        let noted = if delivered {
            store.clear_failing(&webhook.organization, &webhook.id).await
        } else {
            let failing_since = delivery.attempts.last().map(|attempt| attempt.at);
            let health = Health {
                webhook: webhook.id.clone(),
                failing_since,
            };
            store.set_failing(&webhook.organization, &health).await
        };
        if let Err(error) = noted {
            // The outcome is written already; the next attempt that changes something says it again.
            tracing::warn!(organization = %webhook.organization, webhook = %webhook.id, error_type = error.error_type(), "the webhook's health is not noted");
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
    async fn set_aside(&self, delivery: &mut Delivery, why: &'static str) -> Result<(), StoreError> {
        delivery.status = DeliveryStatus::Due;
        delivery.next_attempt = Some(later(self.parts.clock.now(), self.parts.settings.set_aside_for));
        tracing::error!(organization = %delivery.organization, event = %delivery.event, webhook = %delivery.webhook, outcome = "set_aside", error_type = why, "delivery not attempted");
        if self.write(delivery).await? {
            self.count(|summary| summary.set_aside += 1);
        }
        Ok(())
    }

    /// Writes the delivery under the fence of the lease. `false` when it is no longer ours to write.
    async fn write(&self, delivery: &Delivery) -> Result<bool, StoreError> {
        let written = self.parts.store.update_delivery(delivery).await?;
        if !written {
            tracing::warn!(organization = %delivery.organization, event = %delivery.event, webhook = %delivery.webhook, error_type = "lease_lost", "the outcome is not written: the delivery is another's");
            self.count(|summary| summary.lost += 1);
        }
        Ok(written)
    }

    /// A failure of the store: one that passes ends the work on the bucket, one that stays concerns this delivery alone.
    fn trouble(&self, held: &Held, event: &EventId, webhook: &WebhookId, error: &StoreError) {
        if error.is_transient() {
            held.stop();
            log_trouble(held.lease().bucket, error);
        } else {
            tracing::error!(%event, %webhook, error_type = error.error_type(), error = %error, "the delivery cannot be handled");
        }
        self.count(|summary| summary.left += 1);
    }
}
