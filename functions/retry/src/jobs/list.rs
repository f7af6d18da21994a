//! What a job has before it.

use std::collections::BTreeSet;

use delivery::Sender;
use jiff::Timestamp;
use payload::job::{Job, Position};
use payload::{Clock, Event, EventId, WebhookId};
use store::{Moment, StoreError};

use super::work::Work;
use crate::{Store, Tick};

/// One delivery that a job looks at.
pub(super) struct Entry {
    pub(super) position: Position,
    pub(super) event: EventId,
    pub(super) webhook: WebhookId,
    /// Whether what the index says of it shows that nothing is to be done.
    pub(super) is_over: bool,
}

/// What a job has before it.
pub(super) struct Page {
    pub(super) entries: Vec<Entry>,
    /// Whether nothing comes behind these, now or later.
    pub(super) is_last: bool,
}

impl<S: Store, D: Sender, C: Clock> Tick<'_, S, D, C> {
    /// What comes next.
    pub(super) async fn list(&self, job: &Job, work: &Work) -> Result<Page, StoreError> {
        let settings = &self.parts.settings.jobs;
        let now = self.parts.clock.now();
        let settled = now.checked_sub(settings.settled_after).unwrap_or(Timestamp::MIN);
        let (after, limit) = (job.position.as_ref(), settings.page.max(1));
        let store = &self.parts.store;
        let (webhook, until, moments) = match work {
            Work::Event { event, webhook, .. } => {
                return self.list_of_event(job, event, webhook.as_ref(), settled).await;
            }
            Work::Failed { webhook, span, .. } => {
                let (since, until) = *span;
                let end = until.min(settled);
                let moments = store.deliveries_between(webhook, since, end, after, limit).await?;
                (webhook, until, moments)
            }
            Work::Recovery { webhook, span, .. } => {
                let (since, until) = *span;
                let end = until.min(settled);
                let moments = store
                    .events_between(&job.organization, since, end, after, limit)
                    .await?;
                (webhook, until, moments)
            }
        };
        let is_last = moments.len() < usize::from(limit) && until <= settled;
        let entry = |moment: Moment| Entry {
            position: moment.position(),
            is_over: work.leaves(&moment),
            event: moment.event,
            webhook: webhook.clone(),
        };
        Ok(Page {
            entries: moments.into_iter().map(entry).collect(),
            is_last,
        })
    }

    /// The deliveries of one event, in the order of their webhooks.
    async fn list_of_event(
        &self,
        job: &Job,
        event: &Event,
        webhook: Option<&WebhookId>,
        settled: Timestamp,
    ) -> Result<Page, StoreError> {
        if event.received_at > settled {
            return Ok(Page {
                entries: Vec::new(),
                is_last: false,
            });
        }
        let webhooks: BTreeSet<WebhookId> = match webhook {
            Some(webhook) => BTreeSet::from([webhook.clone()]),
            None => {
                let deliveries = self.parts.store.deliveries_of(&event.id).await?;
                deliveries.into_iter().map(|delivery| delivery.webhook).collect()
            }
        };
        let entries = webhooks.into_iter().map(|webhook| Entry {
            position: Position {
                at: event.received_at,
                id: webhook.to_string(),
            },
            event: event.id.clone(),
            webhook,
            is_over: false,
        });
        let is_ahead = |entry: &Entry| job.position.as_ref().is_none_or(|after| entry.position > *after);
        let mut entries: Vec<Entry> = entries.filter(is_ahead).collect();
        let limit = usize::from(self.parts.settings.jobs.page.max(1));
        let is_last = entries.len() <= limit;
        entries.truncate(limit);
        Ok(Page { entries, is_last })
    }
}
