//! What the stream mappings gave up, once more.

use delivery::Deadline;
use payload::Clock;
use serde_json::{Value, json};
use store::Span;

use crate::audit::Action;
use crate::failed::About;
use crate::progress;
use crate::recovery::{Recovered, Sets};
use crate::{FailedRecords, Operate, OperateError, Store};

const ACTION: &str = "redriveFailedRecords";

impl<S: Store, F: FailedRecords, C: Clock> Operate<S, F, C> {
    /// Hands what the failed records are about to the recovery of receipts and of events, and takes those out of their documents that are
    /// done with. What is not in its table any more stays where it is: the record is the last that is left of it.
    pub(crate) async fn redrive(&self, next: Option<String>, deadline: Deadline) -> Result<Value, OperateError> {
        let mut place: Option<String> = progress::read(ACTION, next.as_deref())?;
        let (receipts, events) = (Recovered::default(), Recovered::default());
        let sets = Sets::default();
        let swept = self
            .sweep(&mut place, &deadline, async |about| match about {
                About::Receipt(receipt) => {
                    if !self.store.has_receipt(&receipt).await? {
                        return Ok(false);
                    }
                    self.recover_receipt(receipt, false, &receipts).await?;
                    Ok(true)
                }
                About::Event(event) => {
                    if self.store.event(&event.id).await?.is_none() {
                        return Ok(false);
                    }
                    self.recover_event(*event, &sets, &events).await?;
                    Ok(true)
                }
                About::BrokenEvent(..) | About::Unknown => Ok(false),
            })
            .await;
        let now = self.clock.now();
        let span = Span { since: now, until: now };
        let of_receipts = self.note_recovered(Action::ReceiptsRecovered, span, receipts).await?;
        let of_events = self.note_recovered(Action::EventsRecovered, span, events).await?;
        let swept = swept?;
        let next = (!swept.done).then(|| progress::write(ACTION, &place)).transpose()?;
        Ok(json!({
            "done": swept.done,
            "next": next,
            "examined": swept.examined,
            "recovered": of_receipts + of_events,
            "kept": swept.examined.saturating_sub(swept.dropped),
            "unreadable": swept.unreadable,
        }))
    }
}
