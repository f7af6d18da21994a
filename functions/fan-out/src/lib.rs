//! Woken by the events' stream: delivers each new event to the webhooks that want it, each once and fast. What is slow, failing or too
//! much for that is left to `retry` as a due delivery.

mod acquaintance;
mod batch;
mod record;
mod sets;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::dynamodb::Event as StreamEvent;
use aws_lambda_events::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use delivery::{Breaker, Deadline, Pace, Schedule, Sender};
use futures::FutureExt;
use payload::Clock;
use store::stream::{SequenceNumber, checkpoint};
use store::{Deliveries, DestinationSecrets, HealthLog, WebhookSets};
use telemetry::Metrics;
use tokio::task::JoinSet;
use tracing::Instrument;

use acquaintance::Acquaintances;
use batch::Batch;
use record::{Record, Trouble};
use sets::Matchers;

/// What this step may do with the tables.
pub trait Store: WebhookSets + DestinationSecrets + Deliveries + HealthLog + 'static {}

impl<T: WebhookSets + DestinationSecrets + Deliveries + HealthLog + 'static> Store for T {}

/// What can be set, with the values that a deployed function has.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long an attempt may take here.
    pub attempt_limit: Duration,
    /// How much time of the invocation an attempt must leave for writing down what it came to.
    pub margin: Duration,
    /// How many attempts of one batch are under way at a time.
    pub in_flight: usize,
    /// How many of those go to one webhook: one that hangs must not take all places.
    pub in_flight_per_webhook: usize,
    /// How many of the webhooks that want an event are sent it here; the others get it from `retry`.
    pub most_matches: usize,
    /// How long after the beginning of an attempt at a webhook that nothing is known of others wait to see what it comes to.
    pub unproven_wait: Duration,
    /// How long this process leaves a webhook alone after a failure.
    pub open_for: Duration,
    /// When a failed delivery is tried again.
    pub schedule: Schedule,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            attempt_limit: Duration::from_secs(3),
            margin: Duration::from_secs(2),
            in_flight: 64,
            in_flight_per_webhook: 16,
            most_matches: 50,
            unproven_wait: Duration::from_millis(250),
            open_for: Duration::from_secs(10),
            schedule: Schedule::default(),
        }
    }
}

/// Delivers events.
#[derive(Debug)]
pub struct FanOut<S, D, C> {
    parts: Arc<Parts<S, D, C>>,
    metrics: Metrics,
}

impl<S, D, C> Clone for FanOut<S, D, C> {
    fn clone(&self) -> Self {
        Self {
            parts: Arc::clone(&self.parts),
            metrics: self.metrics.clone(),
        }
    }
}

/// What all batches share.
#[derive(Debug)]
struct Parts<S, D, C> {
    store: S,
    sender: D,
    clock: C,
    settings: Settings,
    breaker: Breaker,
    pace: Pace,
    matchers: Matchers,
    acquaintances: Acquaintances,
}

impl<S: Store, D: Sender, C: Clock> FanOut<S, D, C> {
    /// A function that works on `store` at the time of `clock` and sends through `sender`.
    #[must_use]
    pub fn new(store: S, sender: D, clock: C, settings: Settings) -> Self {
        let breaker = Breaker::new(settings.open_for);
        let parts = Arc::new(Parts {
            store,
            sender,
            clock,
            settings,
            breaker,
            pace: Pace::default(),
            matchers: Matchers::default(),
            acquaintances: Acquaintances::default(),
        });
        let metrics = Metrics::off();
        Self { parts, metrics }
    }

    /// The same function, which tells its numbers there.
    #[must_use]
    pub fn with_metrics(self, metrics: Metrics) -> Self {
        Self { metrics, ..self }
    }

    /// Handles a batch of the events' stream, its records side by side. What cannot be sent before `deadline` is left to `retry`.
    ///
    /// A record ends in one of three ways. Each webhook that wants its event has a recorded delivery, whatever the webhook answered;
    /// or it is poison and set aside with its reason in the log; or our own infrastructure failed, and it must come again. Of the last
    /// kind the lowest sequence number is reported, as the answer is a
    /// [checkpoint](https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html): everything from there on
    /// comes again, and what is recorded by then is not sent again.
    pub async fn handle(&self, event: StreamEvent, deadline: Deadline) -> DynamoDbEventResponse {
        let started = self.parts.clock.now();
        let batch = Arc::new(Batch::new(Arc::clone(&self.parts), deadline));
        let mut tasks = JoinSet::new();
        let mut first = None;
        for record in event.records.into_iter().filter_map(Record::new) {
            first = first.or_else(|| record.sequence.clone());
            let batch = Arc::clone(&batch);
            let work = async move {
                let Record {
                    sequence,
                    subject,
                    image,
                } = record;
                let worked = AssertUnwindSafe(batch.record(image)).catch_unwind().await;
                match worked.unwrap_or(Err(Trouble::Panic)) {
                    Ok(()) => None,
                    Err(trouble) => {
                        record::log(&subject, &trouble);
                        trouble.is_transient().then_some(sequence)
                    }
                }
            };
            // Its lines are told as this invocation's.
            tasks.spawn(work.in_current_span());
        }
        let failed = tasks.join_all().await;
        if let Some(batch) = Arc::into_inner(batch) {
            self.metrics.tell(started, batch.measured);
        }
        respond(failed.into_iter().flatten().collect(), first)
    }
}

/// Reports where the batch is to be taken up again. Where no record has a number to name it by, which DynamoDB never does, the failure
/// without a name fails the whole batch, as it must: an answer without a failure would drop a record that was not handled.
fn respond(failed: Vec<Option<SequenceNumber>>, first: Option<SequenceNumber>) -> DynamoDbEventResponse {
    let mut response = DynamoDbEventResponse::default();
    if !failed.is_empty() {
        let mut failure = DynamoDbBatchItemFailure::default();
        failure.item_identifier = checkpoint(failed, first).map(SequenceNumber::into_text);
        response.batch_item_failures.push(failure);
    }
    response
}
