//! Deleting what must not be there any more.

mod organization;
mod subject;

use payload::{Clock, Event, OrganizationId};
use serde_json::{Value, json};

use crate::{FailedRecords, Operate, OperateError, Store};

/// What one invocation deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Erased {
    pub(crate) events: u64,
    pub(crate) deliveries: u64,
    pub(crate) receipts: u64,
    pub(crate) failed_records: u64,
    /// Documents of failed records that cannot be read, so that nobody knows what they hold.
    pub(crate) unreadable: u64,
}

impl Erased {
    /// As it is told.
    pub(crate) fn to_json(self) -> Value {
        json!({
            "events": self.events,
            "deliveries": self.deliveries,
            "receipts": self.receipts,
            "failedRecords": self.failed_records,
        })
    }

    fn is_anything(self) -> bool {
        self.events + self.deliveries + self.receipts + self.failed_records > 0
    }
}

impl<S: Store, F: FailedRecords, C: Clock> Operate<S, F, C> {
    /// Deletes an event of this organization with all that belongs to it, the event last: it leads to the rest.
    pub(crate) async fn erase_whole_event(
        &self,
        organization: &OrganizationId,
        event: &Event,
    ) -> Result<Erased, OperateError> {
        let mut erased = Erased {
            deliveries: self.store.delete_deliveries(organization, &event.id).await?,
            ..Erased::default()
        };
        if let Some(receipt) = &event.receipt {
            erased.receipts += u64::from(self.store.delete_receipt(organization, receipt).await?);
        }
        erased.events += u64::from(self.store.delete_event(organization, &event.id).await?);
        Ok(erased)
    }
}

impl std::ops::AddAssign for Erased {
    fn add_assign(&mut self, other: Self) {
        self.events += other.events;
        self.deliveries += other.deliveries;
        self.receipts += other.receipts;
        self.failed_records += other.failed_records;
        self.unreadable += other.unreadable;
    }
}
