//! Erasing one event, or all events of one entity.

use delivery::Deadline;
use futures::{StreamExt, TryStreamExt, stream};
use payload::id::token_hash;
use payload::receipt::ReceiptStatus;
use payload::{Clock, Event, EventId, OrganizationId, ReceiptId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::Found;

use super::Erased;
use crate::audit::Action;
use crate::command::EntityErasure;
use crate::failed::About;
use crate::{FailedRecords, Operate, OperateError, Store, progress};

/// The longest id or kind of an entity that is taken.
const MAX_ENTITY_BYTES: usize = 1024;

/// How far an erasure has come. What is found through an event is deleted before the event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Place {
    /// Receipts that brought the event once more.
    Duplicates(Option<String>),
    /// Stream records that could not be handled.
    Failed(Option<String>),
    /// The events, with what belongs to them.
    Events(Option<String>),
    /// Behind all of it.
    Done,
}

impl Default for Place {
    fn default() -> Self {
        Self::Duplicates(None)
    }
}

/// What is to be erased.
#[derive(Debug)]
enum Subject {
    Event(EventId),
    Entity { kind: Option<String>, id: String },
}

impl Subject {
    fn is(&self, event: &Event) -> bool {
        match self {
            Self::Event(id) => event.id == *id,
            Self::Entity { kind, id } => event
                .meta
                .entity
                .as_ref()
                .is_some_and(|entity| entity.id.as_ref() == Some(id) && (kind.is_none() || entity.kind == *kind)),
        }
    }

    /// What it is called in the trail, which outlives it: an entity's id may be a person's, so only its hash is there.
    fn resource(&self) -> String {
        match self {
            Self::Event(id) => id.to_string(),
            Self::Entity { id, .. } => format!("entity#{}", token_hash(id)),
        }
    }
}

impl<S: Store, F: FailedRecords, C: Clock> Operate<S, F, C> {
    pub(crate) async fn erase_event(
        &self,
        organization: OrganizationId,
        event: EventId,
        next: Option<String>,
        deadline: Deadline,
    ) -> Result<Value, OperateError> {
        let organization = self.organization(organization).await?.id;
        // What is another's is not there.
        if let Some(stored) = self.store.event(&event).await?
            && stored.organization != organization
        {
            return Ok(answer(true, None, Erased::default()));
        }
        let place = progress::read("eraseEvent", next.as_deref())?;
        let subject = Subject::Event(event);
        self.erase(
            ("eraseEvent", Action::EventErased),
            &organization,
            &subject,
            place,
            deadline,
        )
        .await
    }

    pub(crate) async fn erase_entity(&self, asked: EntityErasure, deadline: Deadline) -> Result<Value, OperateError> {
        let EntityErasure {
            organization,
            entity_type: kind,
            entity_id: id,
            next,
        } = asked;
        for (field, text) in [("entityId", Some(&id)), ("entityType", kind.as_ref())] {
            if text.is_some_and(|text| text.is_empty() || text.len() > MAX_ENTITY_BYTES) {
                let problem = format!("must have 1 to {MAX_ENTITY_BYTES} bytes");
                return Err(OperateError::invalid(field, problem));
            }
        }
        let organization = self.organization(organization).await?.id;
        let place = progress::read("eraseEntity", next.as_deref())?;
        let subject = Subject::Entity { kind, id };
        self.erase(
            ("eraseEntity", Action::EntityErased),
            &organization,
            &subject,
            place,
            deadline,
        )
        .await
    }

    async fn erase(
        &self,
        (action, entry): (&str, Action),
        organization: &OrganizationId,
        subject: &Subject,
        mut place: Place,
        deadline: Deadline,
    ) -> Result<Value, OperateError> {
        let mut erased = Erased::default();
        let mut result = Ok(());
        while result.is_ok() && place != Place::Done {
            result = self
                .erase_step(organization, subject, &mut place, &mut erased, &deadline)
                .await;
            if !self.may_go_on(&deadline) {
                break;
            }
        }
        // Also what came before a failure is in the trail.
        if erased.is_anything() {
            let after = erased.to_json();
            let entry = self.entry(organization, entry, subject.resource(), None, Some(&after));
            self.store.record(&entry).await?;
            tracing::info!(outcome = "erased", action, %organization, records = erased.events, "erased");
        }
        result?;
        let done = place == Place::Done;
        let next = (!done).then(|| progress::write(action, &place)).transpose()?;
        Ok(answer(done, next, erased))
    }

    async fn erase_step(
        &self,
        organization: &OrganizationId,
        subject: &Subject,
        place: &mut Place,
        erased: &mut Erased,
        deadline: &Deadline,
    ) -> Result<(), OperateError> {
        let limit = self.settings.page;
        *place = match place {
            Place::Duplicates(after) => {
                let page = self.store.outcomes_page(organization, after.as_deref(), limit).await?;
                let duplicates = page.items.into_iter().filter(|outcome| outcome.is_duplicate);
                let duplicates = duplicates.map(|outcome| outcome.id);
                erased.receipts += self
                    .each(duplicates, async |id| {
                        self.erase_duplicate(organization, subject, &id).await
                    })
                    .await?;
                page.next
                    .map_or(Place::Failed(None), |next| Place::Duplicates(Some(next)))
            }
            Place::Failed(after) => {
                let swept = self
                    .sweep(after, deadline, async |about| {
                        self.is_failed_subject(organization, subject, about).await
                    })
                    .await?;
                erased.failed_records += swept.dropped;
                erased.unreadable += swept.unreadable;
                if swept.done {
                    Place::Events(None)
                } else {
                    Place::Failed(after.take())
                }
            }
            Place::Events(after) => {
                let page = self.subjects_page(organization, subject, after.as_deref()).await?;
                for event in page.items {
                    *erased += self.erase_whole_event(organization, &event).await?;
                }
                if let (Subject::Event(id), None) = (subject, &page.next) {
                    // Where the event was gone already.
                    erased.deliveries += self.store.delete_deliveries(organization, id).await?;
                }
                page.next.map_or(Place::Done, |next| Place::Events(Some(next)))
            }
            Place::Done => Place::Done,
        };
        Ok(())
    }

    /// Deletes a receipt that is a duplicate of what is to be erased.
    async fn erase_duplicate(
        &self,
        organization: &OrganizationId,
        subject: &Subject,
        id: &ReceiptId,
    ) -> Result<u64, OperateError> {
        let Some(outcome) = self.store.outcome(id).await? else {
            return Ok(0);
        };
        let ReceiptStatus::Duplicate { event } = outcome.status else {
            return Ok(0);
        };
        let is_subject = match subject {
            Subject::Event(id) => *id == event,
            Subject::Entity { .. } => {
                let stored = self.store.event(&event).await?;
                stored.is_some_and(|stored| stored.organization == *organization && subject.is(&stored))
            }
        };
        if !is_subject {
            return Ok(0);
        }
        Ok(u64::from(self.store.delete_receipt(organization, id).await?))
    }

    async fn is_failed_subject(
        &self,
        organization: &OrganizationId,
        subject: &Subject,
        about: About,
    ) -> Result<bool, OperateError> {
        if about.organization() != Some(organization) {
            return Ok(false);
        }
        Ok(match about {
            About::Event(event) => subject.is(&event),
            About::BrokenEvent(_, event) => matches!(subject, Subject::Event(id) if *id == event),
            About::Receipt(receipt) => {
                let mut is_subject = false;
                for id in self.store.events_of_receipt(&receipt).await? {
                    let event = self.store.event(&id).await?;
                    is_subject |= event.is_some_and(|event| subject.is(&event));
                }
                is_subject
            }
            About::Unknown => false,
        })
    }

    /// A page of the events that are to be erased.
    async fn subjects_page(
        &self,
        organization: &OrganizationId,
        subject: &Subject,
        after: Option<&str>,
    ) -> Result<Found<Event>, OperateError> {
        let (ids, examined, next) = match subject {
            Subject::Event(id) => (vec![id.clone()], 1, None),
            Subject::Entity { .. } => {
                let page = self.store.events_page(organization, after, self.settings.page).await?;
                (page.items, page.examined, page.next)
            }
        };
        let read = stream::iter(ids)
            .map(async |id| self.store.event(&id).await)
            .buffer_unordered(self.settings.concurrency)
            .try_filter_map(async |event| {
                Ok(event.filter(|event| event.organization == *organization && subject.is(event)))
            });
        Ok(Found {
            items: read.try_collect().await?,
            examined,
            next,
        })
    }

    /// Does something for each, a few at a time, and adds up what they came to.
    pub(super) async fn each<T>(
        &self,
        all: impl Iterator<Item = T>,
        work: impl AsyncFn(T) -> Result<u64, OperateError>,
    ) -> Result<u64, OperateError> {
        let all: Vec<T> = all.collect();
        stream::iter(all)
            .map(|one| work(one))
            .buffer_unordered(self.settings.concurrency)
            .try_fold(0, async |sum, count| Ok(sum + count))
            .await
    }
}

fn answer(done: bool, next: Option<String>, erased: Erased) -> Value {
    json!({
        "done": done,
        "next": next,
        "erased": erased.to_json(),
        "unreadableFailedRecords": erased.unreadable,
    })
}
