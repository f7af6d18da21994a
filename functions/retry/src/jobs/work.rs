//! One page of a job: what it looks at, and what becomes of each.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};

use delivery::Sender;
use futures::FutureExt;
use futures::future::join_all;
use jiff::Timestamp;
use payload::delivery::{Delivery, DeliveryStatus};
use payload::filter::{Matcher, StoredFilter};
use payload::job::{Headway, Job, JobFailure, JobKind, JobStatus, Waymark};
use payload::webhook::{Rate, Webhook};
use payload::{Clock, Event, WebhookId};
use store::{Moment, StoreError, WebhookSet};

use super::Step;
use super::ask::{Wanted, Wish};
use super::list::Entry;
use crate::{Store, Tick};

/// The buckets that have got something due.
#[derive(Default)]
pub(crate) struct Touched(Mutex<BTreeSet<u8>>);

impl Touched {
    pub(super) fn add(&self, webhook: &WebhookId) {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.insert(Delivery::bucket(webhook));
    }

    pub(super) fn into_buckets(self) -> BTreeSet<u8> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A job with what it needs, as it is now.
pub(super) enum Work {
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
    pub(super) fn leaves(&self, moment: &Moment) -> bool {
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
