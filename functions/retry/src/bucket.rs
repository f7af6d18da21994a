//! The work on one bucket under its lease.

use std::collections::{HashMap, HashSet};
use std::pin::pin;
use std::sync::Arc;

use delivery::policy::later;
use delivery::{Memo, Sender, SigningKeys};
use futures::future::{Either, select};
use futures::{StreamExt, stream};
use payload::{Clock, EventId, OrganizationId, WebhookId};
use store::{StoreError, WebhookSet};

use crate::lane::Lane;
use crate::lease::Held;
use crate::{Store, Tick};

/// What the deliveries of one page share: read once for each page, so that a webhook that was disabled or deleted gets nothing after
/// the page that is being worked on.
#[derive(Default)]
pub(crate) struct Page {
    pub(crate) sets: Memo<OrganizationId, Result<Arc<WebhookSet>, StoreError>>,
    pub(crate) keys: Memo<WebhookId, Result<Option<SigningKeys>, StoreError>>,
}

impl<S: Store, D: Sender, C: Clock> Tick<'_, S, D, C> {
    /// Works on a bucket, if there is something due in it and nobody else does.
    pub(crate) async fn bucket(&self, bucket: u8) {
        let store = &self.parts.store;
        let settings = &self.parts.settings;
        if !self.deadline.allows(settings.attempt_limit + settings.margin) {
            return;
        }
        let now = self.parts.clock.now();
        // First a look, which costs almost nothing: a lease is two writes, every minute, whether there is work or not.
        let page = match store.due(bucket, now, settings.page).await {
            Ok(page) if page.is_empty() => return,
            Ok(page) => page,
            Err(error) => return log_trouble(bucket, &error),
        };
        let held = match store
            .take_lease(bucket, &self.owner, now, later(now, settings.lease))
            .await
        {
            Ok(Some(lease)) => Held::new(lease),
            Ok(None) => return,
            Err(error) => return log_trouble(bucket, &error),
        };
        self.count(|summary| summary.buckets += 1);
        let work = pin!(self.work(bucket, &held, page));
        let renewal = pin!(self.renew(bucket, &held));
        if let Either::Right(((), work)) = select(work, renewal).await {
            // The lease is lost: nothing more begins, and what is under way comes to its end.
            work.await;
        }
        if let Err(error) = store.release_lease(&held.lease()).await {
            log_trouble(bucket, &error);
        }
    }

    /// Renews the lease for as long as it is ours.
    async fn renew(&self, bucket: u8, held: &Held) {
        let settings = &self.parts.settings;
        loop {
            tokio::time::sleep(settings.renew_every).await;
            let until = later(self.parts.clock.now(), settings.lease);
            match self.parts.store.renew_lease(&held.lease(), until).await {
                Ok(Some(lease)) => held.renewed(lease),
                Ok(None) => {
                    held.stop();
                    tracing::warn!(bucket, error_type = "lease_lost", "the lease has passed to another");
                    return;
                }
                // There is a next time, and nothing begins that the lease does not cover.
                Err(error) => log_trouble(bucket, &error),
            }
        }
    }

    /// Tries what is due in the bucket, page after page.
    async fn work(&self, bucket: u8, held: &Held, mut page: Vec<(EventId, WebhookId)>) {
        let mut limit = self.parts.settings.page;
        let mut seen = HashSet::new();
        let mut lanes: HashMap<WebhookId, Arc<Lane>> = HashMap::new();
        loop {
            let full = page.len() >= usize::from(limit);
            let mut waiting: HashMap<WebhookId, Vec<EventId>> = HashMap::new();
            let mut fresh = 0_usize;
            for (event, webhook) in page {
                if seen.insert((event.clone(), webhook.clone())) {
                    waiting.entry(webhook).or_default().push(event);
                    fresh += 1;
                }
            }
            if fresh == 0 && (!full || limit == u16::MAX) {
                return;
            }
            if full && fresh < usize::from(limit / 2) {
                // What was seen and left, or is still in the index although it is done, stands before the rest: look behind it.
                limit = limit.saturating_mul(2);
            }
            self.work_on_page(held, waiting, &mut lanes).await;
            if !self.may_begin(held) {
                return;
            }
            page = match self.parts.store.due(bucket, self.parts.clock.now(), limit).await {
                Ok(page) => page,
                Err(error) => return log_trouble(bucket, &error),
            };
        }
    }

    /// Tries the deliveries of a page: those of one webhook in its lane, the lanes side by side.
    async fn work_on_page(
        &self,
        held: &Held,
        waiting: HashMap<WebhookId, Vec<EventId>>,
        lanes: &mut HashMap<WebhookId, Arc<Lane>>,
    ) {
        let now = self.parts.clock.now();
        let shared = Page::default();
        let lanes: Vec<_> = waiting
            .into_iter()
            .map(|(webhook, events)| {
                let lane = lanes
                    .entry(webhook.clone())
                    .or_insert_with(|| Arc::new(Lane::new(self.parts.patience.is_open(&webhook, now))));
                (Arc::clone(lane), webhook, events)
            })
            .collect();
        stream::iter(lanes)
            .for_each_concurrent(None, |(lane, webhook, events)| {
                let shared = &shared;
                async move {
                    let (lane, webhook) = (&lane, &webhook);
                    stream::iter(events)
                        .for_each_concurrent(self.parts.settings.in_flight_per_webhook, |event| async move {
                            self.one(held, shared, lane, &event, webhook).await;
                        })
                        .await;
                }
            })
            .await;
    }

    /// Whether another attempt may begin: it ends, and its outcome is written, before the invocation and the lease end.
    pub(crate) fn may_begin(&self, held: &Held) -> bool {
        let settings = &self.parts.settings;
        let need = settings.attempt_limit + settings.margin;
        self.deadline.allows(need) && held.covers(later(self.parts.clock.now(), need))
    }
}

pub(crate) fn log_trouble(bucket: u8, error: &StoreError) {
    tracing::error!(bucket, error_type = error.error_type(), error = %error, "the bucket waits for the next tick");
}
