//! Deleting an organization with everything that it has.

use delivery::Deadline;
use jiff::Timestamp;
use payload::organization::Organization;
use payload::{Clock, OrganizationId, WebhookId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{AuditSpan, ReceiptKey, Span, StoreError};

use super::Erased;
use crate::audit::Action;
use crate::command::Deletion;
use crate::progress::ScanPlace;
use crate::{FailedRecords, Operate, OperateError, Store, progress};

const ACTION: &str = "deleteOrganization";

/// How far a deletion has come, in the order in which things go: first what lets new ones in, last the organization itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Place {
    /// The sources with their receiving URLs and secrets.
    #[default]
    Sources,
    /// The events with their deliveries and receipts.
    Events(Option<String>),
    /// What is left of the deliveries of this webhook and those behind it: their events had expired.
    Deliveries(Option<WebhookId>, Option<String>),
    /// The webhooks with their secrets, and all beside them.
    Webhooks,
    /// What lies in the inbox and became nothing.
    Inbox(ScanPlace),
    /// What was recorded of receipts.
    Outcomes(Option<String>),
    /// Stream records that could not be handled.
    Failed(Option<String>),
    /// The API keys, and what was remembered of requests.
    Keys,
    /// The jobs.
    Jobs,
    /// The audit trail, if it is to go.
    Audit,
    /// The organization itself.
    Organization,
    /// Behind all of it.
    Done,
}

/// What is deleted, and how.
struct Deleting {
    id: OrganizationId,
    erase_audit: bool,
    /// Whether its own item is there still.
    exists: bool,
}

impl<S: Store, F: FailedRecords, C: Clock> Operate<S, F, C> {
    pub(crate) async fn delete_organization(&self, asked: Deletion, deadline: Deadline) -> Result<Value, OperateError> {
        let mut place: Place = progress::read(ACTION, asked.next.as_deref())?;
        let id = asked.organization;
        if asked.confirm.as_ref().is_some_and(|confirm| *confirm != id) {
            return Err(OperateError::invalid("confirm", "is another organization's id"));
        }
        let organization = self.store.organization(&id).await?;
        let deleting = Deleting {
            exists: organization.is_some(),
            erase_audit: asked.erase_audit,
            id,
        };
        match organization {
            Some(organization) => {
                let is_confirmed = asked.confirm.is_some() || organization.suspension.is_some();
                if !is_confirmed {
                    return Err(OperateError::NotConfirmed(organization.id));
                }
                if asked.next.is_none() {
                    self.begin(organization).await?;
                }
            }
            None if !self.was_deleted(&deleting.id).await? => {
                return Err(OperateError::OrganizationNotFound(deleting.id));
            }
            // All is gone but perhaps its trail.
            None => place = Place::Audit,
        }
        let mut erased = Erased::default();
        loop {
            self.delete_step(&deleting, &mut place, &mut erased, &deadline).await?;
            if place == Place::Done || !self.may_go_on(&deadline) {
                break;
            }
        }
        let done = place == Place::Done;
        tracing::info!(outcome = if done { "deleted" } else { "going_on" }, action = ACTION, organization = %deleting.id, records = erased.events, "erased");
        let next = (!done).then(|| progress::write(ACTION, &place)).transpose()?;
        Ok(json!({
            "done": done,
            "next": next,
            "erased": erased.to_json(),
            "unreadableFailedRecords": erased.unreadable,
        }))
    }

    /// Lets nothing in any more, and notes that it begins.
    async fn begin(&self, mut organization: Organization) -> Result<(), OperateError> {
        self.mark_suspended(&mut organization, "it is being deleted").await?;
        let id = &organization.id;
        let entry = self.entry(id, Action::OrganizationDeletionBegun, id, None, None);
        Ok(self.store.record(&entry).await?)
    }

    /// Whether the trail says that this organization was deleted.
    async fn was_deleted(&self, id: &OrganizationId) -> Result<bool, OperateError> {
        let last = AuditSpan {
            newest_first: true,
            ..AuditSpan::default()
        };
        let entries = self.store.audit_of(id, &last, 1).await?;
        Ok(!entries.is_empty())
    }

    async fn delete_step(
        &self,
        deleting: &Deleting,
        place: &mut Place,
        erased: &mut Erased,
        deadline: &Deadline,
    ) -> Result<(), OperateError> {
        let (id, limit) = (&deleting.id, self.settings.page);
        // Whether as many were deleted as one step may: then there may be more.
        let is_more = |deleted: u64| deleted >= u64::from(limit);
        *place = match place {
            Place::Sources => {
                for source in self.store.source_ids(id).await? {
                    self.store.erase_source(id, &source).await?;
                }
                Place::Events(None)
            }
            Place::Events(after) => self.delete_events(id, after.as_deref(), erased).await?,
            Place::Deliveries(webhook, after) => {
                self.delete_deliveries_left(id, webhook.take(), after.as_deref(), erased)
                    .await?
            }
            Place::Webhooks if self.store.erase_webhooks(id, limit).await? > 0 => Place::Webhooks,
            Place::Webhooks => Place::Inbox(ScanPlace::default()),
            Place::Inbox(scan) => self.delete_inbox(id, std::mem::take(scan), erased, deadline).await?,
            Place::Outcomes(after) => {
                let page = self.store.outcomes_page(id, after.as_deref(), limit).await?;
                let delete = async |receipt| Ok(u64::from(self.store.delete_receipt(id, &receipt).await?));
                let receipts = page.items.into_iter().map(|outcome| outcome.id);
                erased.receipts += self.each(receipts, delete).await?;
                page.next
                    .map_or(Place::Failed(None), |next| Place::Outcomes(Some(next)))
            }
            Place::Failed(after) => {
                let swept = self
                    .sweep(after, deadline, async |about| Ok(about.organization() == Some(id)))
                    .await?;
                erased.failed_records += swept.dropped;
                erased.unreadable += swept.unreadable;
                if swept.done {
                    Place::Keys
                } else {
                    Place::Failed(after.take())
                }
            }
            Place::Keys if self.store.erase_keys(id, limit).await? > 0 => Place::Keys,
            Place::Keys => Place::Jobs,
            Place::Jobs if is_more(self.store.erase_jobs(id, limit).await?) => Place::Jobs,
            Place::Jobs => Place::Audit,
            Place::Audit if deleting.erase_audit && is_more(self.store.erase_audit(id, limit).await?) => Place::Audit,
            Place::Audit if !deleting.exists => Place::Done,
            Place::Audit => Place::Organization,
            Place::Organization => self.delete_itself(deleting).await?,
            Place::Done => Place::Done,
        };
        Ok(())
    }

    async fn delete_events(
        &self,
        id: &OrganizationId,
        after: Option<&str>,
        erased: &mut Erased,
    ) -> Result<Place, OperateError> {
        let page = self.store.events_page(id, after, self.settings.page).await?;
        let counts = std::sync::Mutex::new(Erased::default());
        let delete = async |event| {
            let one = match self.store.event(&event).await {
                Ok(Some(event)) => self.erase_whole_event(id, &event).await?,
                // What cannot be read goes too; its receipt is found in the inbox.
                Ok(None) | Err(StoreError::Unreadable(_)) => Erased {
                    deliveries: self.store.delete_deliveries(id, &event).await?,
                    events: u64::from(self.store.delete_event(id, &event).await?),
                    ..Erased::default()
                },
                Err(error) => return Err(error.into()),
            };
            *counts.lock().unwrap_or_else(std::sync::PoisonError::into_inner) += one;
            Ok(1)
        };
        self.each(page.items.into_iter(), delete).await?;
        *erased += counts.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        Ok(page
            .next
            .map_or(Place::Deliveries(None, None), |next| Place::Events(Some(next))))
    }

    async fn delete_deliveries_left(
        &self,
        id: &OrganizationId,
        webhook: Option<WebhookId>,
        after: Option<&str>,
        erased: &mut Erased,
    ) -> Result<Place, OperateError> {
        let webhooks = self.store.webhooks_of(id).await?;
        let mut ids = webhooks.into_iter().map(|webhook| webhook.id);
        let Some(webhook) = ids.find(|id| webhook.as_ref().is_none_or(|from| id >= from)) else {
            return Ok(Place::Webhooks);
        };
        let page = self.store.deliveries_page(&webhook, after, self.settings.page).await?;
        let delete = async |event| Ok(u64::from(self.store.delete_delivery(id, &event, &webhook).await?));
        erased.deliveries += self.each(page.items.into_iter(), delete).await?;
        Ok(match (page.next, ids.next()) {
            (Some(next), _) => Place::Deliveries(Some(webhook), Some(next)),
            (None, Some(following)) => Place::Deliveries(Some(following), None),
            (None, None) => Place::Webhooks,
        })
    }

    /// No index leads from an organization to what lies in the inbox: all of it is read.
    async fn delete_inbox(
        &self,
        id: &OrganizationId,
        mut scan: ScanPlace,
        erased: &mut Erased,
        deadline: &Deadline,
    ) -> Result<Place, OperateError> {
        let always = Span {
            since: Timestamp::UNIX_EPOCH,
            until: Timestamp::MAX,
        };
        let page = async |segment| {
            let limit = self.settings.page;
            Ok(self.store.scan_receipts(&segment, Some(id), always, limit).await?)
        };
        let deleted = std::sync::atomic::AtomicU64::new(0);
        let work = async |receipts: Vec<ReceiptKey>| {
            let delete = async |receipt: ReceiptKey| Ok(u64::from(self.store.delete_receipt(id, &receipt.id).await?));
            let count = self.each(receipts.into_iter(), delete).await?;
            deleted.fetch_add(count, std::sync::atomic::Ordering::Relaxed);
            Ok(())
        };
        self.scan(&mut scan, deadline, page, work).await?;
        erased.receipts += deleted.into_inner();
        Ok(if scan.is_done() {
            Place::Outcomes(None)
        } else {
            Place::Inbox(scan)
        })
    }

    async fn delete_itself(&self, deleting: &Deleting) -> Result<Place, OperateError> {
        let id = &deleting.id;
        let deleted = if deleting.erase_audit {
            self.store.delete_organization(id).await
        } else {
            let entry = self.entry(id, Action::OrganizationDeleted, id, None, None);
            self.store.recording(entry).delete_organization(id).await
        };
        match deleted {
            // Another invocation did it meanwhile.
            Ok(()) | Err(StoreError::Conflict) => Ok(Place::Done),
            Err(error) => Err(error.into()),
        }
    }
}
