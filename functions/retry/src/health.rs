//! How a webhook does, and telling it once when that changes.

use delivery::policy::Exhaustion;
use delivery::{Next, Sender};
use jiff::{SignedDuration, Timestamp};
use payload::Clock;
use payload::delivery::{Attempt, Delivery};
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
        if *next == Next::Exhausted(Exhaustion::Gone) {
            return self.disable(lane, webhook, DisabledReason::Gone, None).await;
        }
        // Several that end at the same time note it once.
        let _noting = lane.noting.lock().await;
        let (now, known) = (self.parts.clock.now(), lane.failing_since(failing_since));
        let (organization, id, store) = (&webhook.organization, &webhook.id, &self.parts.store);
        let event = |news| tell.then(|| own::event(webhook, news, now));
        let noted = match delivery.attempts.last() {
            // Nothing was noted that would have to be taken back.
            _ if *next == Next::Delivered && known.is_none() && !lane.is_noted_failing() => return,
            _ if *next == Next::Delivered => {
                let news = event(News::Recovered);
                let noted = store.clear_failing(organization, id, news.as_ref()).await;
                noted.map(|_| lane.note_well(failing_since))
            }
            // Asking for patience is no failure.
            None | Some(Attempt { throttled: true, .. }) => return,
            // Not with the first attempt of a delivery, or of its replay: one that fails by chance, after days without any, says little.
            Some(_) if delivery.round().len() > 1 && is_over(known, now) => {
                return self.disable(lane, webhook, DisabledReason::Failing, known).await;
            }
            Some(_) if known.is_some() || lane.is_noted_failing() => return,
            Some(attempt) => {
                let since = attempt.at;
                let news = event(News::Failing { since, attempt });
                let noted = store.set_failing(organization, id, since, news.as_ref()).await;
                noted.map(|_| lane.note_failing())
            }
        };
        if let Err(error) = noted {
            tracing::warn!(organization = %webhook.organization, webhook = %webhook.id, error_type = error.error_type(), "the webhook's health is not noted");
        }
    }

    /// Sends the webhook nothing any more, and tells it once: somebody must enable it before it can be told again.
    async fn disable(&self, lane: &Lane, webhook: &Webhook, reason: DisabledReason, failing_since: Option<Timestamp>) {
        let now = self.parts.clock.now();
        let disabled = Disabled { at: now, reason };
        let news = own::event(webhook, News::Disabled(&disabled), now);
        let store = &self.parts.store;
        let disabling = store.disable(&webhook.organization, &webhook.id, &disabled, failing_since, &news);
        match disabling.await {
            // It was well meanwhile, and goes on.
            Ok(false) if failing_since.is_some() => {}
            Ok(_) => lane.close(),
            Err(error) => {
                tracing::warn!(organization = %webhook.organization, webhook = %webhook.id, error_type = error.error_type(), "the webhook is not disabled");
            }
        }
    }
}

/// Whether it has failed for so long that it is disabled.
fn is_over(failing_since: Option<Timestamp>, now: Timestamp) -> bool {
    failing_since.is_some_and(|since| now.duration_since(since) >= DISABLED_AFTER)
}
