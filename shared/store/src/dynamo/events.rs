//! The inbox, the outcomes of receipts, and the events.

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{ReturnValuesOnConditionCheckFailure, TransactWriteItem};
use payload::receipt::ReceiptOutcome;
use payload::{Event, EventId, Receipt, ReceiptId};

use super::{Dynamo, key, put_new, read, sdk_error, write};
use crate::item::{EventItem, OutcomeItem, ReceiptItem};
use crate::{Events, Inbox, PutEvent, RawReceipts, Receipts, StoreError};

impl Inbox for Dynamo {
    async fn put_receipt(&self, receipt: &Receipt) -> Result<(), StoreError> {
        let item = write(&ReceiptItem::new(receipt, self.retention.inbox_days)?)?;
        self.client
            .put_item()
            .table_name(&self.tables.inbox)
            .set_item(Some(item))
            .send()
            .await
            .map_err(sdk_error)?;
        Ok(())
    }
}

impl RawReceipts for Dynamo {
    async fn receipt(&self, id: &ReceiptId) -> Result<Option<Receipt>, StoreError> {
        let item: Option<ReceiptItem> = self.get(&self.tables.inbox, key([("id", id.as_str())]), true).await?;
        item.map(TryInto::try_into).transpose()
    }
}

impl Receipts for Dynamo {
    async fn put_outcome(&self, outcome: &ReceiptOutcome) -> Result<(), StoreError> {
        let item = write(&OutcomeItem::new(outcome, self.retention.inbox_days))?;
        self.client
            .put_item()
            .table_name(&self.tables.receipts)
            .set_item(Some(item))
            .send()
            .await
            .map_err(sdk_error)?;
        Ok(())
    }

    async fn outcome(&self, id: &ReceiptId) -> Result<Option<ReceiptOutcome>, StoreError> {
        let item: Option<OutcomeItem> = self
            .get(&self.tables.receipts, key([("id", id.as_str())]), true)
            .await?;
        item.map(TryInto::try_into).transpose()
    }
}

impl Events for Dynamo {
    async fn put_event(&self, event: &Event) -> Result<PutEvent, StoreError> {
        let item = write(&EventItem::new(event, self.retention.event_days)?)?;
        let outcome = self
            .client
            .put_item()
            .table_name(&self.tables.events)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(id)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let Err(error) = outcome else {
            return Ok(PutEvent::Stored);
        };
        let Some(PutItemError::ConditionalCheckFailedException(failed)) = error.as_service_error() else {
            return Err(sdk_error(error));
        };
        let stored: Event = match failed.item() {
            Some(item) => read::<EventItem>(item.clone())?.try_into()?,
            None => self
                .event(&event.id)
                .await?
                .ok_or_else(|| StoreError::Unavailable("the event expired just now".into()))?,
        };
        let own = event.receipt.is_some() && stored.receipt == event.receipt;
        Ok(if own { PutEvent::OwnRetry } else { PutEvent::Duplicate })
    }

    async fn event(&self, id: &EventId) -> Result<Option<Event>, StoreError> {
        let item: Option<EventItem> = self.get(&self.tables.events, key([("id", id.as_str())]), true).await?;
        item.map(TryInto::try_into).transpose()
    }
}

impl Dynamo {
    /// The event that tells what another part of a transaction writes; it is refused where it was told before.
    pub(super) fn put_news(&self, event: &Event) -> Result<TransactWriteItem, StoreError> {
        put_new(
            &self.tables.events,
            "id",
            &EventItem::new(event, self.retention.event_days)?,
        )
    }
}
