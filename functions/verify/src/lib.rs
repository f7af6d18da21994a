//! Woken by the inbox's stream: verifies what was received over its raw bytes, and turns it into events. One conditional put both
//! drops duplicates and stores the event.

mod decide;
mod health;
mod record;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::panic::AssertUnwindSafe;

use aws_lambda_events::dynamodb::Event as StreamEvent;
use aws_lambda_events::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use futures::{FutureExt, StreamExt, stream};
use payload::receipt::{ReceiptOutcome, ReceiptStatus};
use payload::source_health::Again;
use payload::{Clock, Event, EventId, Receipt, SourceId};
use store::stream::{SequenceNumber, checkpoint};
use store::{Events, PutEvent, Receipts, Secrets, SourceHealthLog, Sources, StoreError};
use telemetry::{Count, Measured, Metrics};

use decide::{HintBudget, Origin, Rejected};
use health::{Known, Sign, Tally};
use record::{Record, Subject, Trouble};

/// The reason of a receipt that cannot be handled at all.
const SET_ASIDE: &str = "set_aside";

/// How many sources are read, and how many receipts are handled, at the same time.
const CONCURRENCY: usize = 16;

/// Verifies receipts.
#[derive(Debug)]
pub struct Verify<S, C> {
    store: S,
    clock: C,
    /// What this process knows of the health of sources.
    known: Known,
    metrics: Metrics,
}

/// What each source of a batch is verified with, or why that could not be read.
type Origins = HashMap<SourceId, Result<Origin, Trouble>>;

/// What all records of a batch share.
#[derive(Debug)]
struct Batch {
    origins: Origins,
    hints: HintBudget,
    measured: Measured,
}

/// A record that has to come again, and where it stands in the stream.
#[derive(Debug)]
struct Failed {
    at: Option<SequenceNumber>,
}

/// What became of a receipt that was handled.
#[derive(Debug)]
enum Outcome {
    /// It made this event (and perhaps more).
    Accepted(EventId),
    /// It had made this event already, in an earlier try.
    OwnRetry(EventId),
    /// All it holds was there before, from another receipt: this event first.
    Duplicate(EventId),
    /// It is not verified, or not readable.
    Rejected(Rejected),
}

impl Outcome {
    /// What is counted of it. An earlier try of the same record was counted then.
    fn counted(&self) -> Option<Count> {
        match self {
            Self::Accepted(_) => Some(Count::Verified),
            Self::OwnRetry(_) => None,
            Self::Duplicate(_) => Some(Count::Duplicates),
            Self::Rejected(rejected) => Some(Count::Rejected(rejected.reason)),
        }
    }

    /// What is to be recorded of the receipt. What is accepted at once has its event and needs nothing else; what is accepted later takes
    /// the place of its rejection.
    fn status(&self, again: Option<&Again>) -> Option<ReceiptStatus> {
        match self {
            Self::Accepted(event) | Self::OwnRetry(event) => {
                again.map(|_| ReceiptStatus::Accepted { event: event.clone() })
            }
            Self::Duplicate(event) => Some(ReceiptStatus::Duplicate { event: event.clone() }),
            Self::Rejected(Rejected { reason, detail, hint }) => Some(ReceiptStatus::Rejected {
                reason: (*reason).into(),
                detail: detail.clone(),
                hint: hint.clone(),
            }),
        }
    }
}

impl<S: Sources + Secrets + Events + Receipts + SourceHealthLog, C: Clock> Verify<S, C> {
    /// A function that works on `store` at the time of `clock`.
    pub fn new(store: S, clock: C) -> Self {
        Self {
            store,
            clock,
            known: Known::default(),
            metrics: Metrics::off(),
        }
    }

    /// The same function, which tells its numbers there.
    #[must_use]
    pub fn with_metrics(self, metrics: Metrics) -> Self {
        Self { metrics, ..self }
    }

    /// Handles a batch of the inbox's stream.
    ///
    /// Each record ends in one of these ways: its events are stored; it is recorded as rejected or as a duplicate; it is poison and
    /// recorded as rejected with the reason `set_aside`; or the store is not available, and it has to be tried again. Of the last kind
    /// the lowest sequence number is reported, as the answer is a
    /// [checkpoint](https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html): everything from there on
    /// comes again, and every step stands that.
    ///
    /// Then it is noted once for each source how it does. That is a courtesy: when it fails, it is logged, and the batch is done.
    pub async fn handle(&self, event: StreamEvent) -> DynamoDbEventResponse {
        let started = self.clock.now();
        let records: Vec<Record> = event.records.into_iter().filter_map(Record::read).collect();
        let batch = Batch {
            origins: self.origins(&records).await,
            hints: HintBudget::default(),
            measured: Measured::default(),
        };
        let first = records.iter().filter_map(|record| record.sequence.clone()).min();
        let settled: Vec<Result<Option<Sign>, Failed>> = stream::iter(records)
            .map(|record| self.settle(record, &batch))
            .buffer_unordered(CONCURRENCY)
            .collect()
            .await;
        let (mut failed, mut tally) = (Vec::new(), Tally::default());
        for settled in settled {
            match settled {
                Ok(sign) => tally.extend(sign),
                Err(record) => failed.push(record),
            }
        }
        self.note_health(tally, &batch.origins).await;
        self.metrics.tell(started, batch.measured);
        respond(failed, first)
    }

    /// Reads each source and its secrets once.
    async fn origins(&self, records: &[Record]) -> Origins {
        let sources: HashSet<SourceId> = records
            .iter()
            .filter_map(|record| record.receipt.as_ref().ok())
            .map(|receipt| receipt.source.clone())
            .collect();
        stream::iter(sources)
            .map(|id| async move {
                let read = AssertUnwindSafe(self.origin(&id)).catch_unwind().await;
                let origin = read.map_or(Err(Trouble::Panic), |read| read.map_err(Trouble::Store));
                (id, origin)
            })
            .buffer_unordered(CONCURRENCY)
            .collect()
            .await
    }

    async fn origin(&self, id: &SourceId) -> Result<Origin, StoreError> {
        let (source, secrets) = futures::try_join!(self.store.source(id), self.store.secrets(id.as_str()))?;
        let has_url = source
            .as_ref()
            .is_some_and(|source| source.options.public_url.is_some());
        let called_url = if has_url {
            self.store.called_url(id).await?
        } else {
            None
        };
        Ok(Origin::new(source, secrets, called_url))
    }

    /// Handles one record to its end, unless it has to come again, and tells what it says of its source.
    async fn settle(&self, record: Record, batch: &Batch) -> Result<Option<Sign>, Failed> {
        let Record {
            sequence,
            again,
            subject,
            receipt,
        } = record;
        let worked = match receipt {
            Ok(receipt) => AssertUnwindSafe(self.work(&receipt, again.as_ref(), batch))
                .catch_unwind()
                .await
                .unwrap_or(Err(Trouble::Panic)),
            Err(trouble) => Err(trouble),
        };
        let trouble = match worked {
            Ok(sign) => return Ok(sign),
            Err(trouble) => trouble,
        };
        let settled = if trouble.is_transient() {
            Err(trouble)
        } else {
            let set_aside = self.set_aside(subject.as_ref(), &trouble).await;
            if set_aside.is_ok() {
                batch.measured.count(Count::Rejected(SET_ASIDE));
            }
            set_aside
        };
        // Poison says nothing of its source: it is ours.
        let Err(trouble) = settled else { return Ok(None) };
        tracing::error!(
            outcome = "retry",
            error_type = trouble.error_type(),
            receipt = subject.as_ref().map(|subject| tracing::field::display(&subject.id)),
            source = subject.as_ref().map(|subject| tracing::field::display(&subject.source)),
            organization = subject.as_ref().map(|subject| tracing::field::display(&subject.organization)),
            trace = subject.as_ref().and_then(|subject| subject.trace).map(tracing::field::display),
            error = %trouble,
            "to be tried again"
        );
        Err(Failed { at: sequence })
    }

    async fn work(&self, receipt: &Receipt, again: Option<&Again>, batch: &Batch) -> Result<Option<Sign>, Trouble> {
        let origin = match batch.origins.get(&receipt.source) {
            Some(Ok(origin)) => origin,
            Some(Err(trouble)) => return Err(trouble.clone()),
            None => {
                return Err(Trouble::Store(StoreError::Unavailable(
                    "the source was not read".into(),
                )));
            }
        };
        let now = self.clock.now();
        let outcome = match origin.decide(receipt, again, now, &batch.hints) {
            Ok(events) => self.put_events(&events).await?,
            Err(rejected) => Outcome::Rejected(rejected),
        };
        if let Some(status) = outcome.status(again) {
            let (id, organization, source) = (receipt.id.clone(), receipt.organization.clone(), receipt.source.clone());
            let outcome = ReceiptOutcome {
                id,
                organization,
                source,
                status,
                received_at: receipt.received_at,
            };
            self.store.put_outcome(&outcome).await?;
        }
        log(receipt, again, &outcome);
        if let Some(counted) = outcome.counted() {
            batch.measured.count(counted);
        }
        let exists = origin.source_of(receipt).is_some();
        Ok(exists.then(|| Sign::of(receipt, again, &outcome, now)).flatten())
    }

    /// Stores the events of a receipt. Only what was there before from somewhere else makes it a duplicate.
    async fn put_events(&self, events: &[Event]) -> Result<Outcome, StoreError> {
        let (mut own_retry, mut duplicate, mut accepted) = (None, None, None);
        for event in events {
            let found = match self.store.put_event(event).await? {
                PutEvent::Stored => &mut accepted,
                PutEvent::OwnRetry => &mut own_retry,
                PutEvent::Duplicate => &mut duplicate,
            };
            found.get_or_insert_with(|| event.id.clone());
        }
        let outcome = accepted
            .map(Outcome::Accepted)
            .or(own_retry.map(Outcome::OwnRetry))
            .or(duplicate.map(Outcome::Duplicate));
        Ok(outcome.unwrap_or_else(|| Outcome::Rejected(Rejected::new("no_event", "the receipt holds no event"))))
    }

    /// Takes poison out of the way: it is recorded with its reason where it can be told whose it is, and logged in any case. The raw
    /// receipt stays in the inbox.
    async fn set_aside(&self, subject: Option<&Subject>, trouble: &Trouble) -> Result<(), Trouble> {
        let mut recorded = false;
        if let Some(Subject {
            id,
            organization,
            source,
            ..
        }) = subject
        {
            let detail = format!("{}: {trouble}", trouble.error_type());
            let outcome = ReceiptOutcome {
                id: id.clone(),
                organization: organization.clone(),
                source: source.clone(),
                status: ReceiptStatus::Rejected {
                    reason: SET_ASIDE.into(),
                    detail,
                    hint: None,
                },
                received_at: id.created_at(),
            };
            match AssertUnwindSafe(self.store.put_outcome(&outcome)).catch_unwind().await {
                Ok(Ok(())) => recorded = true,
                Ok(Err(error)) if error.is_transient() => return Err(error.into()),
                // Nothing more can be done with it than to say so in the log.
                Ok(Err(_)) | Err(_) => {}
            }
        }
        tracing::error!(
            outcome = "set_aside",
            error_type = trouble.error_type(),
            receipt = subject.map(|subject| tracing::field::display(&subject.id)),
            source = subject.map(|subject| tracing::field::display(&subject.source)),
            organization = subject.map(|subject| tracing::field::display(&subject.organization)),
            trace = subject.and_then(|subject| subject.trace).map(tracing::field::display),
            recorded,
            error = %trouble,
            "set aside"
        );
        Ok(())
    }
}

/// One line for what became of a receipt.
fn log(receipt: &Receipt, again: Option<&Again>, outcome: &Outcome) {
    let Receipt {
        id,
        source,
        organization,
        ..
    } = receipt;
    let again = again.is_some();
    let trace = receipt.trace.map(tracing::field::display);
    match outcome {
        Outcome::Accepted(event) => {
            tracing::info!(outcome = "accepted", receipt = %id, %source, %organization, trace, %event, again, "accepted")
        }
        Outcome::OwnRetry(event) => {
            tracing::info!(outcome = "own_retry", receipt = %id, %source, %organization, trace, %event, again, "own retry")
        }
        Outcome::Duplicate(event) => {
            tracing::info!(outcome = "duplicate", receipt = %id, %source, %organization, trace, %event, again, "duplicate")
        }
        Outcome::Rejected(Rejected { reason, detail, hint }) => {
            tracing::warn!(outcome = "rejected", receipt = %id, %source, %organization, trace, reason, detail, hint, again, "rejected");
        }
    }
}

/// Reports where the batch is to be taken up again. Where no record has a number to name it by, which DynamoDB never does, the failure
/// without a name fails the whole batch, as it must: an answer without a failure would drop a record that was not handled.
fn respond(failed: Vec<Failed>, first: Option<SequenceNumber>) -> DynamoDbEventResponse {
    let mut response = DynamoDbEventResponse::default();
    if !failed.is_empty() {
        let mut failure = DynamoDbBatchItemFailure::default();
        failure.item_identifier =
            checkpoint(failed.into_iter().map(|failed| failed.at).collect(), first).map(SequenceNumber::into_text);
        response.batch_item_failures.push(failure);
    }
    response
}
