//! What a job wants of one delivery, and asking for it.

use delivery::Sender;
use jiff::Timestamp;
use payload::delivery::{Asked, Delivery, DeliveryStatus};
use payload::event::MAX_HOPS;
use payload::filter::Matcher;
use payload::job::Job;
use payload::{Clock, own};
use store::StoreError;

use super::list::Entry;
use super::work::{Touched, Work};
use crate::bucket::live;
use crate::{Store, Tick};

/// How often a delivery that others write at the same time is looked at again.
const TRIES: usize = 3;

/// What became of a wish for a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// There was no need.
    Dropped,
    /// The job had asked for it before.
    Known,
    /// The job asks for it now.
    Made,
}

/// What a job wants of a delivery.
pub(super) enum Wanted {
    /// Nothing.
    Nothing,
    /// That it be recorded: there was none.
    First(Box<Delivery>),
    /// That it be made again.
    Again(Box<Delivery>),
}

impl<S: Store, D: Sender, C: Clock> Tick<'_, S, D, C> {
    /// What the job wants of a delivery, as it is now.
    pub(super) async fn look(
        &self,
        job: &Job,
        work: &Work,
        entry: &Entry,
        is_first: bool,
    ) -> Result<Wanted, StoreError> {
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
    pub(super) async fn ask(
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
