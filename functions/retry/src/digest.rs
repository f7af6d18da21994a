//! Many events for one chat as one message: when more wait than its rate lets through soon, people read a digest instead of a queue of hours.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use delivery::policy::patience;
use delivery::{Jitter, Message, Next, Outcome, Sender, report};
use futures::{FutureExt, StreamExt, stream};
use payload::delivery::Delivery;
use payload::own::{self, News};
use payload::webhook::Webhook;
use payload::{Clock, Event, EventId, WebhookId};
use store::{StoreError, WebhookSet};
use telemetry::Count;
use telemetry::metrics::Outcome as Counted;

use crate::bucket::{Page, live};
use crate::lane::Lane;
use crate::lease::Held;
use crate::{Store, Tick};

/// What a chat can take within this time goes message by message.
const SOON: Duration = Duration::from_secs(20);

/// The most events of one message.
const MOST_EVENTS: usize = 100;

/// How much of their bodies is held at a time.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// How many of them are read, or written, at a time.
const READS: usize = 16;

impl<S: Store, D: Sender, C: Clock> Tick<'_, S, D, C> {
    /// Sends what waits for a chat as one message, or as a few, if it is a chat and that much waits. What is given back goes by itself: all
    /// where no message was made of it, and what had no place in one.
    pub(crate) async fn digest(
        &self,
        held: &Held,
        page: &Page,
        lane: &Lane,
        webhook: &WebhookId,
        events: Vec<EventId>,
    ) -> Vec<EventId> {
        let Some(set) = self.set_of_first(page, webhook, &events).await else {
            return events;
        };
        let Some(webhook) = live(&set, webhook) else {
            return events;
        };
        if set.suspended || !webhook.format.is_chat() || !is_much(webhook, events.len()) {
            return events;
        }
        let mut singly = Vec::new();
        let mut parts = events.chunks(MOST_EVENTS);
        for part in parts.by_ref() {
            let sent = AssertUnwindSafe(self.digest_part(held, page, lane, webhook, &set, part))
                .catch_unwind()
                .await;
            match sent {
                Ok(Some(left)) => singly.extend(left),
                // Not now, or a panic: what is due then still is looked at one by one.
                Ok(None) | Err(_) => singly.extend_from_slice(part),
            }
        }
        singly
    }

    /// The webhooks of the organization that the first delivery belongs to. What goes wrong here is met, and said, when it goes by itself.
    async fn set_of_first(&self, page: &Page, webhook: &WebhookId, events: &[EventId]) -> Option<Arc<WebhookSet>> {
        if events.len() < 2 {
            return None;
        }
        let first = self.parts.store.delivery(events.first()?, webhook).await.ok()??;
        self.set(page, &first.organization).await.ok()
    }

    /// Sends these as one message, and gives back those that had no place in it. `None` when nothing may be sent now.
    async fn digest_part(
        &self,
        held: &Held,
        page: &Page,
        lane: &Lane,
        webhook: &Webhook,
        set: &WebhookSet,
        events: &[EventId],
    ) -> Option<Vec<EventId>> {
        let credentials = self.credentials(page, webhook).await.ok()?;
        let _permit = self.turn(held, lane, webhook).await?;
        let (mut waiting, mut singly) = self.waiting(held, webhook, events).await;
        if !is_much(webhook, waiting.len()) {
            singly.extend(waiting.into_iter().map(|(delivery, _)| delivery.event));
            return Some(singly);
        }
        waiting.sort_by_key(|(_, event)| event.received_at);
        let about: Vec<&Event> = waiting.iter().map(|(_, event)| event).collect();
        let message = Message::digest(&about, about.len(), webhook.format)?;
        let (_, newest) = waiting.last()?;
        let request = credentials.request(newest, webhook, &message);
        let outcome = self.parts.sender.send(request, self.parts.settings.attempt_limit).await;
        if outcome.rejection.is_some_and(|rejection| !rejection.disables) {
            // It may be the fault of one of them, or of the message that was made of all: each by itself shows which.
            tracing::warn!(organization = %webhook.organization, webhook = %webhook.id, error_type = "digest_refused", events = waiting.len(), "each goes by itself");
            singly.extend(waiting.into_iter().map(|(delivery, _)| delivery.event));
            return Some(singly);
        }
        self.settle(held, lane, webhook, set, waiting, &outcome).await;
        Some(singly)
    }

    /// Those of a page that are due, with their events, and those that must be looked at one by one: they cannot be read, or are gone.
    async fn waiting(&self, held: &Held, webhook: &Webhook, ids: &[EventId]) -> (Vec<(Delivery, Event)>, Vec<EventId>) {
        let store = &self.parts.store;
        // Owned, since a future over borrowed items is not known to be sendable for every lifetime.
        let mut read = stream::iter(ids.to_vec())
            .map(|id| async move {
                let (delivery, event) = (store.delivery(&id, &webhook.id).await, store.event(&id).await);
                (id, delivery, event)
            })
            .buffer_unordered(READS);
        let (mut waiting, mut singly): (Vec<(Delivery, Event)>, Vec<EventId>) = (Vec::new(), Vec::new());
        let mut bytes = 0_usize;
        while let Some(found) = read.next().await {
            match found {
                (_, Ok(Some(delivery)), _) if !self.is_due(&delivery) => {}
                (_, Ok(Some(mut delivery)), Ok(Some(event))) if event.organization == delivery.organization => {
                    bytes = bytes.saturating_add(event.body.len());
                    delivery.fence = held.fence();
                    waiting.push((delivery, event));
                    while bytes > MOST_BYTES {
                        bytes = bytes.saturating_sub(forget_oldest_body(&mut waiting));
                    }
                }
                (id, ..) => singly.push(id),
            }
        }
        (waiting, singly)
    }

    /// Writes for each delivery of a message what the message came to.
    async fn settle(
        &self,
        held: &Held,
        lane: &Lane,
        webhook: &Webhook,
        set: &WebhookSet,
        waiting: Vec<(Delivery, Event)>,
        outcome: &Outcome,
    ) {
        let schedule = self.parts.settings.schedule.of(webhook);
        let now = self.parts.clock.now();
        let patience = patience(outcome, now);
        let settled: Vec<_> = waiting
            .into_iter()
            .map(|(mut delivery, event)| {
                let next = schedule.settle(&mut delivery, outcome.clone(), now, Jitter::random());
                report::attempt(&event, &delivery, &next);
                (delivery, next, event)
            })
            .collect();
        // It was one request, whatever it was about.
        if let Some((delivery, next, _)) = settled.last() {
            self.learn(lane, delivery, next, patience);
        }
        // All of them to their end: one that cannot be written is no reason to send the others again.
        stream::iter(&settled)
            .for_each_concurrent(READS, |(delivery, next, event)| async move {
                if let Err(error) = self.finish(delivery, next, event, webhook).await {
                    self.trouble(held, &delivery.event, &delivery.webhook, &error);
                }
            })
            .await;
        if let Some((delivery, next, _)) = settled.last() {
            let tell = settled.iter().any(|(_, _, event)| !own::is_own(event));
            let failing_since = set.failing_since(&webhook.id);
            self.note_outcome(lane, delivery, next, webhook, failing_since, tell)
                .await;
        }
    }

    /// Writes a delivery that came to its next state, and counts and tells it.
    pub(crate) async fn finish(
        &self,
        delivery: &Delivery,
        next: &Next,
        event: &Event,
        webhook: &Webhook,
    ) -> Result<bool, StoreError> {
        let tell = matches!(next, Next::Exhausted(_)) && !own::is_own(event);
        let news = tell.then(|| own::event(webhook, News::Exhausted(delivery), self.parts.clock.now()));
        if !self.write(delivery, Some(event.trace()), news.as_ref()).await? {
            return Ok(false);
        }
        self.count(|summary| match next {
            Next::Delivered => summary.delivered += 1,
            Next::RetryAt(_) => summary.retried += 1,
            Next::Exhausted(_) => summary.exhausted += 1,
        });
        self.measured.count(Count::Deliveries(match next {
            Next::Delivered => Counted::Delivered,
            Next::RetryAt(_) => Counted::Retried,
            Next::Exhausted(_) => Counted::Exhausted,
        }));
        // What a job asked for comes as late as it was asked for: that says nothing of us.
        if delivery.replay.job.is_none()
            && let [first] = delivery.attempts.as_slice()
        {
            self.measured.first_attempt(event.received_at, first.at);
        }
        Ok(true)
    }
}

/// Empties the body of the oldest event that has one, and says how long that was. Its type is counted all the same; what changed in it
/// cannot be told, which only the newest ones are asked for.
fn forget_oldest_body(waiting: &mut [(Delivery, Event)]) -> usize {
    let events = waiting.iter_mut().map(|(_, event)| event);
    let oldest = events
        .filter(|event| !event.body.is_empty())
        .min_by_key(|event| (event.meta.timestamp, event.received_at));
    oldest.map_or(usize::MAX, |event| {
        std::mem::replace(&mut event.body, Bytes::new()).len()
    })
}

/// Whether so many take longer, one by one, than people should wait.
fn is_much(webhook: &Webhook, count: usize) -> bool {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    count > 1
        && webhook
            .effective_rate()
            .is_some_and(|rate| rate.interval().saturating_mul(count) > SOON)
}
