//! What one batch shares, and the way of one event to its webhooks.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use delivery::{Deadline, Memo, Message, Next, Request, Sender, SigningKeys, report};
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use payload::delivery::{Delivery, DeliveryStatus};
use payload::webhook::{Health, Webhook};
use payload::{Clock, Event, OrganizationId, WebhookId};
use serde_dynamo::Item;
use store::{StoreError, WebhookSet, item};
use tokio::sync::Semaphore;

use crate::record::Trouble;
use crate::{Parts, Store};

/// What the records of one batch share: everything about an organization or a webhook is read once.
pub(crate) struct Batch<S, D, C> {
    parts: Arc<Parts<S, D, C>>,
    deadline: Deadline,
    sets: Memo<OrganizationId, Result<Arc<WebhookSet>, StoreError>>,
    lanes: Memo<WebhookId, Arc<Lane>>,
    in_flight: Semaphore,
}

/// One webhook within a batch.
struct Lane {
    keys: Result<Option<SigningKeys>, StoreError>,
    in_flight: Semaphore,
    /// Whether this batch has noted that it fails.
    noted: AtomicBool,
}

/// Why a delivery is left to `retry` without an attempt.
#[derive(Debug, Clone, Copy)]
enum Parked {
    Failing,
    Breaker,
    TooManyMatches,
    NoTimeLeft,
    NoSecret,
    Panic,
}

impl Parked {
    fn reason(self) -> &'static str {
        match self {
            Self::Failing => "webhook_failing",
            Self::Breaker => "webhook_just_failed",
            Self::TooManyMatches => "too_many_matches",
            Self::NoTimeLeft => "no_time_left",
            Self::NoSecret => "no_valid_secret",
            Self::Panic => "panic",
        }
    }
}

impl<S: Store, D: Sender, C: Clock> Batch<S, D, C> {
    pub(crate) fn new(parts: Arc<Parts<S, D, C>>, deadline: Deadline) -> Self {
        let in_flight = Semaphore::new(parts.settings.in_flight);
        Self {
            parts,
            deadline,
            sets: Memo::default(),
            lanes: Memo::default(),
            in_flight,
        }
    }

    /// Delivers the event of one record.
    pub(crate) async fn record(&self, image: Item) -> Result<(), Trouble> {
        let event = item::read_event(image)?;
        let organization = &event.organization;
        let store = &self.parts.store;
        let (set, recorded) = tokio::join!(
            self.sets.get(organization, || async {
                store.webhook_set(organization).await.map(Arc::new)
            }),
            store.deliveries_of(&event.id),
        );
        let (set, recorded) = (set?, recorded?);
        let wanted = set
            .webhooks
            .iter()
            .filter(|webhook| webhook.enabled && webhook.filter.matches(&event.meta))
            .enumerate()
            .filter(|(_, webhook)| recorded.iter().all(|delivery| delivery.webhook != webhook.id));

        let mut messages: Vec<(_, Message)> = Vec::new();
        let mut deliveries = Vec::new();
        for (position, webhook) in wanted {
            let message = match messages.iter().find(|(format, _)| *format == webhook.format) {
                Some((_, message)) => message.clone(),
                None => {
                    let message = Message::render(&event, webhook.format)?;
                    messages.push((webhook.format, message.clone()));
                    message
                }
            };
            deliveries.push((position, webhook, message));
        }
        let mut deliveries: FuturesUnordered<_> = deliveries
            .into_iter()
            .map(|(position, webhook, message)| {
                let failing = set.failing.contains_key(&webhook.id);
                self.deliver(&event, webhook, message, failing, position)
            })
            .collect();
        // All of them to their end: what one meets is no reason to give up the others.
        let mut result = Ok(());
        while let Some(delivered) = deliveries.next().await {
            result = result.and(delivered);
        }
        Ok(result?)
    }

    /// Brings about a recorded delivery of the event to the webhook: attempted, or parked.
    async fn deliver(
        &self,
        event: &Event,
        webhook: &Webhook,
        message: Message,
        failing: bool,
        position: usize,
    ) -> Result<(), StoreError> {
        let parked = if position >= self.parts.settings.most_matches {
            Parked::TooManyMatches
        } else if failing {
            Parked::Failing
        } else {
            let attempted = AssertUnwindSafe(self.attempt(event, webhook, &message))
                .catch_unwind()
                .await;
            match attempted.unwrap_or(Ok(Some(Parked::Panic)))? {
                None => return Ok(()),
                Some(parked) => parked,
            }
        };
        let delivery = self.new_delivery(event, webhook);
        let reason = parked.reason();
        match parked {
            // Somebody must look at these; the others are the course of things.
            Parked::NoSecret | Parked::Panic => {
                tracing::error!(organization = %event.organization, event = %event.id, webhook = %webhook.id, error_type = reason, "delivery parked");
            }
            _ => {
                tracing::info!(organization = %event.organization, event = %event.id, webhook = %webhook.id, reason, outcome = "parked", "delivery parked");
            }
        }
        self.record_new(&delivery).await
    }

    /// Makes the first attempt and records what it came to; or says why there is none.
    async fn attempt(&self, event: &Event, webhook: &Webhook, message: &Message) -> Result<Option<Parked>, StoreError> {
        let Parts {
            sender,
            clock,
            settings,
            breaker,
            ..
        } = &*self.parts;
        let lane = self.lane(&webhook.id).await;
        let keys = match &lane.keys {
            Ok(Some(keys)) => keys,
            Err(error) if error.is_transient() => return Err(error.clone()),
            // What cannot be signed is not sent, and not lost either: it waits until the secret is mended.
            Ok(None) | Err(_) => return Ok(Some(Parked::NoSecret)),
        };
        // The place in the lane first: those who wait for a slow webhook must not keep others from being sent to.
        let place = lane.in_flight.acquire().await;
        let permit = self.in_flight.acquire().await;
        if breaker.is_open(&webhook.id, clock.now()) {
            return Ok(Some(Parked::Breaker));
        }
        if !self.deadline.allows(settings.attempt_limit + settings.margin) {
            return Ok(Some(Parked::NoTimeLeft));
        }
        let mut delivery = self.new_delivery(event, webhook);
        let request = Request {
            event: &event.id,
            destination: &webhook.url,
            keys,
            message,
        };
        let outcome = sender.send(request, settings.attempt_limit).await;
        let now = clock.now();
        let next = settings
            .schedule
            .settle(&mut delivery, outcome, now, delivery::Jitter::random());
        let delivered = next == Next::Delivered;
        if delivered {
            breaker.reset(&webhook.id);
        } else {
            breaker.trip(&webhook.id, now);
        }
        drop((place, permit));
        report::attempt(&delivery, &next);
        self.record_new(&delivery).await?;
        if !delivered && !lane.noted.swap(true, Ordering::Relaxed) {
            self.note_failing(webhook, &delivery).await;
        }
        Ok(None)
    }

    fn new_delivery(&self, event: &Event, webhook: &Webhook) -> Delivery {
        let now = self.parts.clock.now();
        Delivery {
            event: event.id.clone(),
            webhook: webhook.id.clone(),
            organization: event.organization.clone(),
            status: DeliveryStatus::Due,
            created_at: now,
            next_attempt: Some(now),
            attempts: Vec::new(),
            fence: 0,
        }
    }

    async fn record_new(&self, delivery: &Delivery) -> Result<(), StoreError> {
        if !self.parts.store.create_delivery(delivery).await? {
            // An earlier run of the same batch, thought dead, was still at work.
            tracing::debug!(event = %delivery.event, webhook = %delivery.webhook, "the delivery was recorded meanwhile");
        }
        Ok(())
    }

    /// Tells the other processes to leave the webhook alone. The delivery is recorded already: should this fail, the next failure says it.
    async fn note_failing(&self, webhook: &Webhook, delivery: &Delivery) {
        let health = Health {
            webhook: webhook.id.clone(),
            failing_since: delivery.attempts.first().map(|attempt| attempt.at),
        };
        if let Err(error) = self.parts.store.set_failing(&webhook.organization, &health).await {
            tracing::warn!(organization = %webhook.organization, webhook = %webhook.id, error_type = error.error_type(), "the webhook's health is not noted");
        }
    }

    async fn lane(&self, webhook: &WebhookId) -> Arc<Lane> {
        let Parts {
            store, clock, settings, ..
        } = &*self.parts;
        self.lanes
            .get(webhook, || async {
                let secrets = store.secrets(webhook.as_str()).await;
                Arc::new(Lane {
                    keys: secrets.map(|secrets| SigningKeys::valid_at(&secrets, clock.now())),
                    in_flight: Semaphore::new(settings.in_flight_per_webhook),
                    noted: AtomicBool::new(false),
                })
            })
            .await
    }
}
