//! How a webhook does, and telling it once when that changes.

use delivery::policy::Exhaustion;
use delivery::{Next, Sender};
use jiff::{SignedDuration, Timestamp};
use payload::Clock;
use payload::delivery::Delivery;
use payload::own::{self, News};
use payload::webhook::{Disabled, DisabledReason, Webhook};

use crate::lane::Lane;
use crate::{Store, Tick};

/// After so long without a success a webhook is disabled.
const DISABLED_AFTER: SignedDuration = SignedDuration::from_hours(5 * 24);

impl<S: Store, D: Sender, C: Clock> Tick<'_, S, D, C> {
    /// Notes what an attempt says of its webhook, where that is news. The outcome is written already: should this fail, the next attempt
    /// that changes something says it again. Without `tell` it is noted and not told, as where the attempt was to tell of a webhook itself:
    /// what comes of that must not be told in turn, or two webhooks that fail by turns would tell of each other for ever.
    pub(crate) async fn note_outcome(
        &self,
        lane: &Lane,
        delivery: &Delivery,
        next: &Next,
        webhook: &Webhook,
        failing_since: Option<Timestamp>,
        tell: bool,
    ) {
        let delivered = *next == Next::Delivered;
        if *next == Next::Exhausted(Exhaustion::Gone) {
            return self.disable(lane, webhook, DisabledReason::Gone).await;
        }
        let now = self.parts.clock.now();
        if !delivered && failing_since.is_some_and(|since| now.duration_since(since) >= DISABLED_AFTER) {
            return self.disable(lane, webhook, DisabledReason::Failing).await;
        }
        if !lane.health_changed(failing_since.is_some(), delivered) {
            return;
        }
        let store = &self.parts.store;
        let (organization, id) = (&webhook.organization, &webhook.id);
        let noted = match delivery.attempts.last() {
            _ if delivered => store
                .clear_failing(organization, id)
                .await
                .map(|news| news.then_some(News::Recovered)),
            Some(attempt) => store.set_failing(organization, id, attempt.at).await.map(|news| {
                let since = attempt.at;
                news.then_some(News::Failing { since, attempt })
            }),
            None => Ok(None),
        };
        match noted {
            Ok(Some(news)) if tell => self.tell(webhook, news).await,
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(organization = %webhook.organization, webhook = %webhook.id, error_type = error.error_type(), "the webhook's health is not noted");
            }
        }
    }

    /// Sends the webhook nothing any more, and tells it once: somebody must enable it before it can be told again.
    async fn disable(&self, lane: &Lane, webhook: &Webhook, reason: DisabledReason) {
        lane.close();
        let disabled = Disabled {
            at: self.parts.clock.now(),
            reason,
        };
        let disabling = self.parts.store.disable(&webhook.organization, &webhook.id, &disabled);
        match disabling.await {
            Ok(true) => self.tell(webhook, News::Disabled(&disabled)).await,
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(organization = %webhook.organization, webhook = %webhook.id, error_type = error.error_type(), "the webhook is not disabled");
            }
        }
    }

    /// Publishes what happened to a webhook as an event of its organization.
    pub(crate) async fn tell(&self, webhook: &Webhook, news: News<'_>) {
        let event = own::event(webhook, news, self.parts.clock.now());
        if let Err(error) = self.parts.store.put_event(&event).await {
            tracing::warn!(organization = %webhook.organization, webhook = %webhook.id, error_type = error.error_type(), event_type = event.meta.event_type, "an operational event is not published");
        }
    }
}
