//! The work on one bucket under its lease.

use std::collections::{HashMap, HashSet};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use delivery::policy::later;
use delivery::{Credentials, Memo, Sender};
use futures::future::{Either, select};
use futures::stream::FuturesUnordered;
use futures::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use payload::webhook::Webhook;
use payload::{Clock, EventId, OrganizationId, WebhookId};
use store::{Due, StoreError, WebhookSet};

use crate::lane::Lane;
use crate::lease::Held;
use crate::{Store, Tick};

/// How many deliveries wait in a lane at most. What its webhook is owed beyond that is passed over at first: it must not keep the reading from
/// what the others are owed.
const FULL_LANE: usize = 1_000;

/// How long the deliveries of a page keep the bucket's next page waiting at most.
const NEXT_PAGE: Duration = Duration::from_secs(1);

/// How often to look what has become due meanwhile, while deliveries are under way and nothing else is there to do.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// How far the index of what is due may be behind, generously.
const INDEX_DELAY: SignedDuration = SignedDuration::from_secs(60);

/// What the deliveries of one page share: read once for each page, so that a webhook that was disabled or deleted gets nothing after
/// the page that is being worked on.
#[derive(Default)]
pub(crate) struct Page {
    pub(crate) sets: Memo<OrganizationId, Result<Arc<WebhookSet>, StoreError>>,
    pub(crate) credentials: Memo<WebhookId, Result<Arc<Credentials>, StoreError>>,
}

/// A webhook of the set that is there, and is sent to.
pub(crate) fn live<'a>(set: &'a WebhookSet, id: &WebhookId) -> Option<&'a Webhook> {
    let mut webhooks = set.webhooks.iter();
    webhooks.find(|webhook| webhook.id == *id && set.is_live(webhook))
}

impl<S: Store, D: Sender, C: Clock> Tick<'_, S, D, C> {
    /// Works on a bucket, if there is something due in it and nobody else does.
    ///
    /// What waits is measured with the first look of a tick alone.
    pub(crate) async fn bucket(&self, bucket: u8, is_first_look: bool) {
        let store = &self.parts.store;
        let settings = &self.parts.settings;
        if !self.deadline.allows(settings.attempt_limit + settings.margin) {
            return;
        }
        let now = self.parts.clock.now();
        // First a look, which costs almost nothing: a lease is two writes, every minute, whether there is work or not.
        let page = match store.due(bucket, Timestamp::UNIX_EPOCH, now, None, settings.page).await {
            Ok(page) if page.is_empty() => return,
            Ok(page) => page,
            Err(error) => return log_trouble(bucket, &error),
        };
        if is_first_look && let Some(oldest) = page.first() {
            // What one look saw, and not all that there may be: counting costs reads.
            self.measured.due(page.len(), now.duration_since(oldest.at));
        }
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

    /// Tries what is due in the bucket, page after page, and then what has become due meanwhile. A lane that takes long, because its webhook
    /// is slow or takes only so many requests, does not keep the next page waiting; nor do those that are left stand before the rest.
    async fn work(&self, bucket: u8, held: &Held, mut page: Vec<Due>) {
        let limit = self.parts.settings.page;
        let mut seen = HashSet::new();
        let mut lanes: HashMap<WebhookId, Arc<Lane>> = HashMap::new();
        let mut at_work = FuturesUnordered::new();
        // What is read now reaches from here to there.
        let (mut from, mut until) = (Timestamp::UNIX_EPOCH, self.parts.clock.now());
        let mut is_anything_fresh = false;
        // The lanes that something was passed over for, since the last reading from the beginning.
        let mut owed: HashMap<WebhookId, Arc<Lane>> = HashMap::new();
        loop {
            let is_last = page.len() < usize::from(limit);
            let after = page.last().cloned().filter(|_| !is_last);
            let mut waiting: HashMap<WebhookId, Vec<EventId>> = HashMap::new();
            for Due { event, webhook, at } in page {
                if let Some(lane) = lanes.get(&webhook).filter(|lane| lane.has(FULL_LANE)) {
                    if !seen.contains(&(event, webhook.clone(), at)) {
                        owed.insert(webhook, Arc::clone(lane));
                    }
                    continue;
                }
                if seen.insert((event.clone(), webhook.clone(), at)) {
                    waiting.entry(webhook).or_default().push(event);
                }
            }
            let is_fresh = !waiting.is_empty();
            is_anything_fresh |= is_fresh;
            let now = self.parts.clock.now();
            let shared = Arc::new(Page::default());
            at_work.extend(waiting.into_iter().map(|(webhook, events)| {
                let lane = lanes.entry(webhook.clone()).or_insert_with(|| {
                    let in_flight = self.parts.settings.in_flight_per_webhook;
                    Arc::new(Lane::new(self.parts.patience.is_open(&webhook, now), in_flight))
                });
                lane.hand(events.len());
                self.work_in_lane(held, Arc::clone(&shared), Arc::clone(lane), webhook, events)
            }));
            if is_last && !is_anything_fresh && at_work.is_empty() && owed.is_empty() {
                return;
            }
            if is_fresh || is_last {
                let all = async { while at_work.next().await.is_some() {} };
                let patience = if is_last { LOOK_AGAIN } else { NEXT_PAGE };
                // Whether they are done or not is seen above.
                let _ = tokio::time::timeout(patience, all).await;
            }
            if is_last {
                // The next reading begins a little before the end of this one: the index may have been behind.
                let has_room = owed.values().any(|lane| !lane.has(FULL_LANE / 2));
                let begin = if has_room {
                    Timestamp::UNIX_EPOCH
                } else {
                    earlier(until, INDEX_DELAY)
                };
                if has_room {
                    owed.clear();
                }
                (from, until) = (begin, self.parts.clock.now());
                is_anything_fresh = false;
            }
            let next = if self.may_begin(held) {
                self.parts
                    .store
                    .due(bucket, from, until, after.as_ref(), limit)
                    .await
                    .map(Some)
            } else {
                Ok(None)
            };
            page = match next {
                Ok(Some(next)) => next,
                ended => {
                    if let Err(error) = ended {
                        log_trouble(bucket, &error);
                    }
                    // What is under way comes to its end.
                    while at_work.next().await.is_some() {}
                    return;
                }
            };
        }
    }

    /// Tries the deliveries of one page to one webhook: as one message where that is better, the others each by itself.
    async fn work_in_lane(
        &self,
        held: &Held,
        page: Arc<Page>,
        lane: Arc<Lane>,
        webhook: WebhookId,
        events: Vec<EventId>,
    ) {
        let handed = events.len();
        let events = self.digest(held, &page, &lane, &webhook, events).await;
        lane.finish(handed - events.len().min(handed));
        let (page, lane, webhook) = (&page, &lane, &webhook);
        stream::iter(events)
            .for_each_concurrent(self.parts.settings.in_flight_per_webhook, |event| async move {
                self.one(held, page, lane, &event, webhook).await;
                lane.finish(1);
            })
            .await;
    }

    /// The webhooks of an organization, read once for the page.
    pub(crate) async fn set(&self, page: &Page, organization: &OrganizationId) -> Result<Arc<WebhookSet>, StoreError> {
        let read = || async { self.parts.store.webhook_set(organization).await.map(Arc::new) };
        page.sets.get(organization, read).await
    }

    /// What requests to a webhook carry, read once for the page.
    pub(crate) async fn credentials(&self, page: &Page, webhook: &Webhook) -> Result<Arc<Credentials>, StoreError> {
        let read = || async {
            let secrets = self.parts.store.webhook_secrets(&webhook.id).await?;
            Ok(Arc::new(Credentials::valid_at(secrets, self.parts.clock.now())))
        };
        page.credentials.get(&webhook.id, read).await
    }

    /// Whether another attempt may begin: it ends, and its outcome is written, before the invocation and the lease end.
    pub(crate) fn may_begin(&self, held: &Held) -> bool {
        let settings = &self.parts.settings;
        let need = settings.attempt_limit + settings.margin;
        self.deadline.allows(need) && held.covers(later(self.parts.clock.now(), need))
    }
}

fn earlier(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.checked_sub(by).unwrap_or(Timestamp::MIN)
}

pub(crate) fn log_trouble(bucket: u8, error: &StoreError) {
    tracing::error!(bucket, error_type = error.error_type(), error = %error, "the bucket waits for the next tick");
}
