//! What one batch shares, and the way of one event to its webhooks.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use delivery::policy::{Exhaustion, patience};
use delivery::{Credentials, Deadline, Memo, Message, Next, Place, Sender, report};
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use jiff::Timestamp;
use payload::delivery::{Attempt, AttemptError, Delivery, DeliveryStatus};
use payload::event::MAX_HOPS;
use payload::own::{self, News};
use payload::webhook::{Disabled, DisabledReason, Format, Method, Webhook};
use payload::{Clock, Event, OrganizationId, WebhookId};
use serde_dynamo::Item;
use store::{StoreError, WebhookSet, item};
use telemetry::metrics::Outcome;
use telemetry::{Count, Measured};
use tokio::sync::Semaphore;

use crate::record::Trouble;
use crate::sets::OrganizationSet;
use crate::{Parts, Store};

/// What the records of one batch share: everything about an organization or a webhook is read once.
pub(crate) struct Batch<S, D, C> {
    parts: Arc<Parts<S, D, C>>,
    deadline: Deadline,
    sets: Memo<OrganizationId, Result<Arc<OrganizationSet>, StoreError>>,
    lanes: Memo<WebhookId, Arc<Lane>>,
    in_flight: Semaphore,
    /// How many parked deliveries are written at a time.
    parking: Semaphore,
    pub(crate) measured: Measured,
}

/// How many parked deliveries of a batch are written at a time: an event may match thousands.
const PARKING: usize = 32;

/// One webhook within a batch.
struct Lane {
    credentials: Result<Credentials, StoreError>,
    in_flight: Semaphore,
    /// Whether this batch has noted that it fails.
    noted: AtomicBool,
}

/// Why a delivery is left to `retry` without an attempt.
#[derive(Debug, Clone, Copy)]
enum Parked {
    /// The organization is suspended: `retry` puts it off until that has ended.
    Suspended,
    Failing,
    Breaker,
    /// Nothing is known of it, and the attempt that is to show how it does takes long.
    Unproven,
    TooManyMatches,
    NoTimeLeft,
    NoSecret,
    /// The webhook takes only so many requests, and its next place is then.
    Paced(Timestamp),
    Panic,
}

impl Parked {
    fn reason(self) -> &'static str {
        match self {
            Self::Suspended => "suspended",
            Self::Failing => "webhook_failing",
            Self::Breaker => "webhook_just_failed",
            Self::Unproven => "webhook_unproven",
            Self::TooManyMatches => "too_many_matches",
            Self::NoTimeLeft => "no_time_left",
            Self::NoSecret => "no_valid_secret",
            Self::Paced(_) => "rate_limited",
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
            parking: Semaphore::new(PARKING),
            measured: Measured::default(),
        }
    }

    /// Delivers the event of one record.
    pub(crate) async fn record(&self, image: Item) -> Result<(), Trouble> {
        let event = item::read_event(image)?;
        let (set, recorded) = tokio::join!(self.set(&event.organization), self.parts.store.deliveries_of(&event.id));
        let (set, recorded) = (set?, recorded?);
        let wanted = set
            .registered
            .wanting(&set.matcher, &event)?
            .into_iter()
            .enumerate()
            .filter(|(_, webhook)| recorded.iter().all(|delivery| delivery.webhook != webhook.id));

        let mut messages: Vec<((Format, Method), Message)> = Vec::new();
        let mut deliveries = Vec::new();
        for (position, webhook) in wanted {
            let form = (webhook.format, webhook.method);
            let message = match messages.iter().find(|(known, _)| *known == form) {
                Some((_, message)) => message.clone(),
                None => {
                    let message = Message::render(&event, webhook.format, webhook.method)?;
                    messages.push((form, message.clone()));
                    message
                }
            };
            deliveries.push((position, webhook, message));
        }
        let mut deliveries: FuturesUnordered<_> = deliveries
            .into_iter()
            .map(|(position, webhook, message)| {
                let parked = self.parked_at_once(&set.registered, webhook, position);
                self.deliver(&event, webhook, message, parked)
            })
            .collect();
        // All of them to their end: what one meets is no reason to give up the others.
        let mut result = Ok(());
        while let Some(delivered) = deliveries.next().await {
            result = result.and(delivered);
        }
        Ok(result?)
    }

    /// The organization's webhooks, read once for the batch.
    async fn set(&self, organization: &OrganizationId) -> Result<Arc<OrganizationSet>, StoreError> {
        self.sets
            .get(organization, || async {
                let set = self.parts.store.webhook_set(organization).await?;
                let set = self.parts.matchers.ready(organization, set);
                for (position, problem) in &set.unreadable {
                    // What is sent nothing anyway need not be told.
                    let webhook = set.registered.webhooks.get(*position);
                    if let Some(webhook) = webhook.filter(|webhook| set.registered.is_live(webhook)) {
                        tracing::error!(%organization, webhook = %webhook.id, error_type = "bad_filter", error = %problem, "a stored filter cannot be read: its webhook gets nothing");
                        self.disable(webhook, DisabledReason::BadFilter).await;
                    }
                }
                Ok(Arc::new(set))
            })
            .await
    }

    /// Why a delivery is left to `retry` before anything is tried.
    fn parked_at_once(&self, set: &WebhookSet, webhook: &Webhook, position: usize) -> Option<Parked> {
        if set.suspended {
            return Some(Parked::Suspended);
        }
        if position >= self.parts.settings.most_matches {
            return Some(Parked::TooManyMatches);
        }
        set.failing_since(&webhook.id).map(|_| Parked::Failing)
    }

    /// Brings about a recorded delivery of the event to the webhook: attempted, or parked.
    async fn deliver(
        &self,
        event: &Event,
        webhook: &Webhook,
        message: Message,
        parked: Option<Parked>,
    ) -> Result<(), StoreError> {
        if event.hops >= MAX_HOPS {
            return self.end_loop(event, webhook).await;
        }
        let parked = match parked {
            Some(parked) => parked,
            None => {
                let attempted = AssertUnwindSafe(self.attempt(event, webhook, &message))
                    .catch_unwind()
                    .await;
                match attempted.unwrap_or(Ok(Some(Parked::Panic)))? {
                    None => return Ok(()),
                    Some(parked) => parked,
                }
            }
        };
        let mut delivery = self.new_delivery(event, webhook);
        if let Parked::Paced(until) = parked {
            delivery.next_attempt = Some(until);
        }
        let reason = parked.reason();
        match parked {
            // Somebody must look at these; the others are the course of things.
            Parked::NoSecret | Parked::Panic => {
                tracing::error!(organization = %event.organization, event = %event.id, webhook = %webhook.id, trace = %event.trace(), error_type = reason, outcome = "parked", "delivery parked");
            }
            _ => {
                tracing::info!(organization = %event.organization, event = %event.id, webhook = %webhook.id, trace = %event.trace(), reason, outcome = "parked", "delivery parked");
            }
        }
        let _place = self.parking.acquire().await;
        if !self.deadline.allows(self.parts.settings.margin) {
            // What is not written comes again with the batch; killed in the middle it would come again without an answer.
            return Err(StoreError::Unavailable("no time is left in this invocation".into()));
        }
        self.record_new(&delivery, None).await?;
        Ok(())
    }

    /// Makes the first attempt and records what it came to; or says why there is none.
    async fn attempt(&self, event: &Event, webhook: &Webhook, message: &Message) -> Result<Option<Parked>, StoreError> {
        let Parts {
            sender,
            clock,
            settings,
            breaker,
            pace,
            acquaintances,
            ..
        } = &*self.parts;
        let lane = self.lane(&webhook.id).await;
        let credentials = match &lane.credentials {
            Ok(credentials) if credentials.suffice_for(message) => credentials,
            Err(error) if error.is_transient() => return Err(error.clone()),
            // What cannot be signed is not sent, and not lost either: it waits until the secret is mended.
            Ok(_) | Err(_) => return Ok(Some(Parked::NoSecret)),
        };
        // Of a webhook that nothing is known of, one attempt shows how it does: were it to hang, it would hold up one batch and not all.
        let Some(first) = acquaintances.meet(&webhook.id, clock, settings.unproven_wait).await else {
            return Ok(Some(Parked::Unproven));
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
        if let Some(rate) = webhook.effective_rate()
            && let Place::At(until) = pace.take(&webhook.id, rate, clock.now())
        {
            return Ok(Some(Parked::Paced(until)));
        }
        let mut delivery = self.new_delivery(event, webhook);
        let request = credentials.request(event, webhook, message);
        let outcome = sender.send(request, settings.attempt_limit).await;
        let now = clock.now();
        let patience = patience(&outcome, now);
        let next = settings
            .schedule
            .of(webhook)
            .settle(&mut delivery, outcome, now, delivery::Jitter::random());
        match (next == Next::Delivered, patience) {
            (true, _) => breaker.reset(&webhook.id),
            (false, Some(until)) => breaker.trip_until(&webhook.id, now, until),
            (false, None) => breaker.trip(&webhook.id, now),
        }
        first.end(next == Next::Delivered, now);
        drop((place, permit));
        report::attempt(event, &delivery, &next);
        self.record_outcome(event, webhook, &lane, &delivery, &next).await?;
        Ok(None)
    }

    /// Writes what an attempt came to, and what it says of the webhook.
    async fn record_outcome(
        &self,
        event: &Event,
        webhook: &Webhook,
        lane: &Lane,
        delivery: &Delivery,
        next: &Next,
    ) -> Result<(), StoreError> {
        let tell = !own::is_own(event);
        let ended = matches!(next, Next::Exhausted(_)) && tell;
        let news = ended.then(|| own::event(webhook, News::Exhausted(delivery), self.parts.clock.now()));
        if self.record_new(delivery, news.as_ref()).await?
            && let Some(first) = delivery.attempts.first()
        {
            self.measured.first_attempt(event.received_at, first.at);
        }
        let is_throttled = delivery.attempts.last().is_some_and(|attempt| attempt.throttled);
        if *next == Next::Exhausted(Exhaustion::Gone) {
            self.disable(webhook, DisabledReason::Gone).await;
        } else if *next == Next::Delivered {
            // What this batch noted was no lasting failure.
            if lane.noted.swap(false, Ordering::Relaxed) {
                self.note_well(webhook, tell).await;
            }
        } else if !is_throttled && !lane.noted.swap(true, Ordering::Relaxed) {
            self.note_failing(webhook, delivery, tell).await;
        }
        Ok(())
    }

    /// Ends the delivery of an event that goes in circles, in plain sight.
    async fn end_loop(&self, event: &Event, webhook: &Webhook) -> Result<(), StoreError> {
        let mut delivery = self.new_delivery(event, webhook);
        (delivery.status, delivery.next_attempt) = (DeliveryStatus::Exhausted, None);
        delivery.record(Attempt {
            throttled: false,
            at: delivery.created_at,
            duration_ms: 0,
            status: None,
            error: Some(AttemptError::Blocked),
            answer: Some(format!(
                "not sent: the event has gone through {MAX_HOPS} hubs and goes in circles"
            )),
        });
        tracing::warn!(organization = %event.organization, event = %event.id, webhook = %webhook.id, trace = %event.trace(), error_type = "loop", outcome = "exhausted", "delivery ended");
        self.record_new(&delivery, None).await?;
        Ok(())
    }

    /// Sends the webhook nothing any more, and tells it once. The delivery is recorded already: should this fail, the next one says it.
    async fn disable(&self, webhook: &Webhook, reason: DisabledReason) {
        let disabled = Disabled {
            at: self.parts.clock.now(),
            reason,
        };
        let news = own::event(webhook, News::Disabled(&disabled), disabled.at);
        let store = &self.parts.store;
        let disabling = store.disable(&webhook.organization, &webhook.id, &disabled, None, &news);
        if let Err(error) = disabling.await {
            tracing::warn!(organization = %webhook.organization, webhook = %webhook.id, error_type = error.error_type(), "the webhook is not disabled");
        }
    }

    fn new_delivery(&self, event: &Event, webhook: &Webhook) -> Delivery {
        Delivery::new(event, &webhook.id, self.parts.clock.now())
    }

    /// Writes a new delivery and counts it; `false` where it was there already.
    async fn record_new(&self, delivery: &Delivery, tell: Option<&Event>) -> Result<bool, StoreError> {
        let is_new = self.parts.store.create_delivery(delivery, tell).await?;
        if is_new {
            self.measured.count(Count::Deliveries(counted(delivery)));
        } else {
            // An earlier run of the same batch, thought dead, was still at work.
            tracing::debug!(organization = %delivery.organization, event = %delivery.event, webhook = %delivery.webhook, "the delivery was recorded meanwhile");
        }
        Ok(is_new)
    }

    /// Tells the other processes to leave the webhook alone. The delivery is recorded already: should this fail, the next failure says it.
    ///
    /// Without `tell` it is noted and not told, as where the attempt was to tell of a webhook itself: what comes of that must not be told in
    /// turn, or two webhooks that fail by turns would tell of each other for ever.
    async fn note_failing(&self, webhook: &Webhook, delivery: &Delivery, tell: bool) {
        let Some(attempt) = delivery.attempts.first() else {
            return;
        };
        let (store, since) = (&self.parts.store, attempt.at);
        let news = tell.then(|| own::event(webhook, News::Failing { since, attempt }, self.parts.clock.now()));
        let noted = store.set_failing(&webhook.organization, &webhook.id, since, news.as_ref());
        log_if_not_noted(webhook, noted.await);
    }

    /// Takes back that the webhook fails.
    async fn note_well(&self, webhook: &Webhook, tell: bool) {
        let news = tell.then(|| own::event(webhook, News::Recovered, self.parts.clock.now()));
        let store = &self.parts.store;
        let noted = store.clear_failing(&webhook.organization, &webhook.id, news.as_ref());
        log_if_not_noted(webhook, noted.await);
    }

    async fn lane(&self, webhook: &WebhookId) -> Arc<Lane> {
        let Parts {
            store, clock, settings, ..
        } = &*self.parts;
        self.lanes
            .get(webhook, || async {
                let secrets = store.webhook_secrets(webhook).await;
                Arc::new(Lane {
                    credentials: secrets.map(|secrets| Credentials::valid_at(secrets, clock.now())),
                    in_flight: Semaphore::new(settings.in_flight_per_webhook),
                    noted: AtomicBool::new(false),
                })
            })
            .await
    }
}

/// What a new delivery is counted as.
fn counted(delivery: &Delivery) -> Outcome {
    match delivery.status {
        DeliveryStatus::Delivered => Outcome::Delivered,
        DeliveryStatus::Exhausted => Outcome::Exhausted,
        DeliveryStatus::Cancelled => Outcome::Cancelled,
        DeliveryStatus::Due if delivery.attempts.is_empty() => Outcome::Parked,
        DeliveryStatus::Due => Outcome::Retried,
    }
}

fn log_if_not_noted(webhook: &Webhook, noted: Result<bool, StoreError>) {
    if let Err(error) = noted {
        tracing::warn!(organization = %webhook.organization, webhook = %webhook.id, error_type = error.error_type(), "the webhook's health is not noted");
    }
}
