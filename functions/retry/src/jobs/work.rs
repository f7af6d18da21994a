//! One page of a job: what it looks at, and what becomes of each.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};

use delivery::Sender;
use futures::FutureExt;
use futures::future::join_all;
use jiff::Timestamp;
use payload::delivery::{Asked, Delivery, DeliveryStatus};
use payload::event::MAX_HOPS;
use payload::filter::{Matcher, StoredFilter};
use payload::job::{Headway, Job, JobFailure, JobKind, JobStatus, Position, Waymark};
use payload::webhook::{Rate, Webhook};
use payload::{Clock, Event, EventId, WebhookId, own};
use store::{Moment, StoreError, WebhookSet};

use super::Step;
use crate::bucket::live;
use crate::{Store, Tick};

/// How often a delivery that others write at the same time is looked at again.
const TRIES: usize = 3;

/// The buckets that have got something due.
#[derive(Default)]
pub(crate) struct Touched(Mutex<BTreeSet<u8>>);

impl Touched {
    fn add(&self, webhook: &WebhookId) {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.insert(Delivery::bucket(webhook));
    }

    pub(super) fn into_buckets(self) -> BTreeSet<u8> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A job with what it needs, as it is now.
enum Work {
    /// One event: to one webhook, or to all that it has deliveries for.
    Event {
        event: Box<Event>,
        webhook: Option<WebhookId>,
        set: Arc<WebhookSet>,
    },
    /// A webhook's exhausted deliveries.
    Failed {
        webhook: WebhookId,
        rate: Option<Rate>,
        span: (Timestamp, Timestamp),
    },
    /// The events that a webhook missed.
    Recovery {
        webhook: WebhookId,
        rate: Option<Rate>,
        matcher: Box<Matcher>,
        filter: StoredFilter,
        span: (Timestamp, Timestamp),
    },
}

impl Work {
    /// The webhook that all of it is for, where it is for many events.
    fn of_many(&self) -> Option<&WebhookId> {
        match self {
            Self::Event { .. } => None,
            Self::Failed { webhook, .. } | Self::Recovery { webhook, .. } => Some(webhook),
        }
    }

    /// Whether what an index says of an event, or of a delivery, is enough to know that it is left as it is.
    fn leaves(&self, moment: &Moment) -> bool {
        let over = [Some(DeliveryStatus::Delivered), Some(DeliveryStatus::Cancelled)];
        let unwanted = match (self, &moment.event_type) {
            (Self::Recovery { filter, .. }, Some(event_type)) => {
                let source = moment.source.as_ref();
                filter.read().is_ok_and(|filter| !filter.may_want(event_type, source))
            }
            _ => false,
        };
        unwanted || over.contains(&moment.status)
    }

    /// What that webhook takes.
    fn rate(&self) -> Option<Rate> {
        match self {
            Self::Event { .. } => None,
            Self::Failed { rate, .. } | Self::Recovery { rate, .. } => *rate,
        }
    }
}

/// One delivery that a job looks at.
struct Entry {
    position: Position,
    event: EventId,
    webhook: WebhookId,
    /// Whether what the index says of it shows that nothing is to be done.
    is_over: bool,
}

/// What a job has before it.
struct Page {
    entries: Vec<Entry>,
    /// Whether nothing comes behind these, now or later.
    is_last: bool,
}

/// What became of a wish for a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    /// There was no need.
    Dropped,
    /// The job had asked for it before.
    Known,
    /// The job asks for it now.
    Made,
}

/// What a job wants of a delivery.
enum Wanted {
    /// Nothing.
    Nothing,
    /// That it be recorded: there was none.
    First(Box<Delivery>),
    /// That it be made again.
    Again(Box<Delivery>),
}

impl<S: Store, D: Sender, C: Clock> Tick<'_, S, D, C> {
    /// Does one page of a job, and notes in it how far it has come: also when it breaks off with an error.
    ///
    /// Of the page that comes first after a crash nothing is taken for known: the index may show as delivered what this very job asked for.
    pub(super) async fn page(&self, job: &mut Job, is_first: bool, touched: &Touched) -> Result<Step, StoreError> {
        let settings = &self.parts.settings.jobs;
        let work = match self.prepare(job).await? {
            Ok(work) => work,
            Err(failure) => {
                job.end(JobStatus::Failed, Some(failure), self.parts.clock.now());
                return Ok(Step::Later);
            }
        };
        if self.is_too_far(job, &work).await? {
            return Ok(Step::Later);
        }
        let page = self.list(job, &work).await?;
        let is_empty = page.entries.is_empty();
        let mut entries = page.entries.into_iter().peekable();
        while entries.peek().is_some() {
            let together: Vec<Entry> = entries.by_ref().take(settings.together.max(1)).collect();
            if !self.together(job, &work, together, is_first, touched).await? {
                return Ok(Step::Later);
            }
        }
        if page.is_last {
            job.end(JobStatus::Done, None, self.parts.clock.now());
        }
        Ok(if is_empty { Step::Later } else { Step::More })
    }

    /// Whether a job is so far ahead of what its webhook takes that it waits: else what it asks for would lie before what others are owed.
    async fn is_too_far(&self, job: &mut Job, work: &Work) -> Result<bool, StoreError> {
        let Some(webhook) = work.of_many() else {
            return Ok(false);
        };
        while let Some(awaited) = &job.awaited {
            let delivery = self.parts.store.delivery(&awaited.event, webhook).await?;
            match job.look_back(delivery.as_ref(), self.parts.clock.now()) {
                Headway::Level => break,
                Headway::LookAgain => {}
                Headway::TooFar => return Ok(true),
            }
        }
        Ok(false)
    }

    /// Reads what the job needs; or why it cannot go on. Read for each page, so that a webhook that was deleted or disabled gets no more.
    async fn prepare(&self, job: &Job) -> Result<Result<Work, JobFailure>, StoreError> {
        let set = Arc::new(self.parts.store.webhook_set(&job.organization).await?);
        Ok(match &job.kind {
            JobKind::ReplayEvent { event, webhook } => {
                if let Some(failure) = webhook.as_ref().and_then(|id| registered(&set, id).err()) {
                    return Ok(Err(failure));
                }
                let event = self.parts.store.event(event).await?;
                let webhook = webhook.clone();
                let event = event.filter(|event| event.organization == job.organization);
                event.ok_or(JobFailure::EventGone).map(|event| Work::Event {
                    event: Box::new(event),
                    webhook,
                    set,
                })
            }
            JobKind::ReplayFailed { webhook, since, until } => {
                registered(&set, webhook).map(|registered| Work::Failed {
                    webhook: webhook.clone(),
                    rate: registered.effective_rate(),
                    span: (*since, *until),
                })
            }
            JobKind::Recover { webhook, since, until } => registered(&set, webhook).and_then(|registered| {
                let (matcher, unreadable) = Matcher::compile([(0, &registered.filter)]);
                if !unreadable.is_empty() {
                    return Err(JobFailure::BadFilter);
                }
                Ok(Work::Recovery {
                    webhook: webhook.clone(),
                    rate: registered.effective_rate(),
                    matcher: Box::new(matcher),
                    filter: registered.filter.clone(),
                    span: (*since, *until),
                })
            }),
        })
    }

    /// What comes next.
    async fn list(&self, job: &Job, work: &Work) -> Result<Page, StoreError> {
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

    /// Looks at a few at the same time, asks for those that are wanted, and counts them in their order. `false` when the rate allows no more.
    async fn together(
        &self,
        job: &mut Job,
        work: &Work,
        entries: Vec<Entry>,
        is_first: bool,
        touched: &Touched,
    ) -> Result<bool, StoreError> {
        let asker = &*job;
        let looks = entries
            .iter()
            .map(|entry| guarded(self.look(asker, work, entry, is_first)));
        let looks = join_all(looks).await;
        let mut wanted = Vec::with_capacity(entries.len());
        let mut has_room = true;
        for look in looks {
            let slot = match &look {
                Ok(Wanted::First(_) | Wanted::Again(_)) => {
                    let Some(slot) = job.slot(self.parts.clock.now()) else {
                        has_room = false;
                        break;
                    };
                    job.use_slot(slot, work.rate());
                    slot
                }
                _ => self.parts.clock.now(),
            };
            wanted.push((look, slot));
        }
        let slots: Vec<Timestamp> = wanted.iter().map(|(_, slot)| *slot).collect();
        let asker = &*job;
        let asking =
            wanted
                .into_iter()
                .zip(&entries)
                .map(|((look, slot), entry)| async move {
                    guarded(self.ask(asker, work, entry, look?, slot, touched)).await
                });
        let asked = join_all(asking).await;
        for ((asked, slot), entry) in asked.into_iter().zip(slots).zip(entries) {
            let wish = match asked {
                Ok(wish) => wish,
                // Those behind it that were asked for carry the job: they are counted when it comes to them again.
                Err(error) if error.is_transient() => return Err(error),
                Err(error) => {
                    tracing::error!(organization = %job.organization, job = %job.id, event = %entry.event, webhook = %entry.webhook, error_type = error.error_type(), error = %error, "the delivery cannot be asked for");
                    Wish::Dropped
                }
            };
            job.progress.count(wish != Wish::Dropped);
            if wish == Wish::Made && work.of_many().is_some() {
                job.note(Waymark {
                    event: entry.event,
                    at: slot,
                });
            }
            job.position = Some(entry.position);
        }
        Ok(has_room)
    }

    /// What the job wants of a delivery, as it is now.
    async fn look(&self, job: &Job, work: &Work, entry: &Entry, is_first: bool) -> Result<Wanted, StoreError> {
        if entry.is_over && !is_first {
            return Ok(Wanted::Nothing);
        }
        let store = &self.parts.store;
        let delivery = store.delivery(&entry.event, &entry.webhook).await?;
        let delivery = delivery.filter(|delivery| delivery.organization == job.organization);
        let is_ours = |delivery: &Delivery| delivery.replay.job.as_ref() == Some(&job.id);
        Ok(match (work, delivery) {
            (_, Some(delivery)) if is_ours(&delivery) => Wanted::Again(Box::new(delivery)),
            (Work::Event { set, .. }, _) if live(set, &entry.webhook).is_none() => Wanted::Nothing,
            (Work::Event { .. }, Some(delivery)) => Wanted::Again(Box::new(delivery)),
            (Work::Event { event, .. }, None) => {
                Wanted::First(Box::new(Delivery::new(event, &entry.webhook, self.parts.clock.now())))
            }
            (Work::Failed { .. }, Some(delivery)) if delivery.status == DeliveryStatus::Exhausted => {
                Wanted::Again(Box::new(delivery))
            }
            (Work::Recovery { matcher, .. }, delivery) => self.look_at_missed(job, entry, matcher, delivery).await?,
            (Work::Failed { .. }, _) => Wanted::Nothing,
        })
    }

    /// Whether a webhook missed an event: it wants it, and it has no delivery for it, or one that was cancelled.
    async fn look_at_missed(
        &self,
        job: &Job,
        entry: &Entry,
        matcher: &Matcher,
        delivery: Option<Delivery>,
    ) -> Result<Wanted, StoreError> {
        if delivery
            .as_ref()
            .is_some_and(|known| known.status != DeliveryStatus::Cancelled)
        {
            return Ok(Wanted::Nothing);
        }
        let event = self.parts.store.event(&entry.event).await?;
        let Some(event) = event.filter(|event| event.organization == job.organization) else {
            return Ok(Wanted::Nothing);
        };
        let is_for_it = event.hops < MAX_HOPS && !own::is_about(&event, &entry.webhook);
        // What cannot be read as JSON is no filter's.
        if !is_for_it || !matcher.matching(&event).is_ok_and(|found| !found.is_empty()) {
            return Ok(Wanted::Nothing);
        }
        let first = || Delivery::new(&event, &entry.webhook, self.parts.clock.now());
        Ok(match delivery {
            Some(delivery) => Wanted::Again(Box::new(delivery)),
            None => Wanted::First(Box::new(first())),
        })
    }

    /// Asks for a delivery, if there is need.
    async fn ask(
        &self,
        job: &Job,
        work: &Work,
        entry: &Entry,
        mut wanted: Wanted,
        slot: Timestamp,
        touched: &Touched,
    ) -> Result<Wish, StoreError> {
        let (store, ask) = (&self.parts.store, job.ask(slot));
        for _ in 0..TRIES {
            let written = match wanted {
                Wanted::Nothing => return Ok(Wish::Dropped),
                Wanted::First(mut delivery) => {
                    delivery.next_attempt = Some(slot);
                    delivery.mark(&ask);
                    delivery.replay.first = true;
                    store.create_delivery(&delivery, None).await?
                }
                Wanted::Again(delivery) => match delivery.ask(&ask, self.parts.clock.now()) {
                    Asked::Before => {
                        touched.add(&entry.webhook);
                        return Ok(Wish::Known);
                    }
                    Asked::NoNeed => return Ok(Wish::Dropped),
                    Asked::Again(again) => store.replace_delivery(&delivery, &again).await?,
                },
            };
            if written {
                touched.add(&entry.webhook);
                return Ok(Wish::Made);
            }
            // An outcome was written just now, or somebody else asks for it too.
            wanted = self.look(job, work, entry, true).await?;
        }
        tracing::warn!(organization = %job.organization, job = %job.id, event = %entry.event, webhook = %entry.webhook, error_type = "changing", "the delivery is not asked for: it changes all the time");
        Ok(Wish::Dropped)
    }
}

/// The webhook, if it is sent anything.
fn registered<'a>(set: &'a WebhookSet, id: &WebhookId) -> Result<&'a Webhook, JobFailure> {
    let webhook = set.webhooks.iter().find(|webhook| webhook.id == *id);
    let webhook = webhook.ok_or(JobFailure::WebhookDeleted)?;
    set.is_live(webhook)
        .then_some(webhook)
        .ok_or(JobFailure::WebhookDisabled)
}

/// A panic over one delivery concerns that one alone.
async fn guarded<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let worked = AssertUnwindSafe(work).catch_unwind().await;
    worked.unwrap_or_else(|_| Err(StoreError::Refused("a panic".into())))
}
