//! One lane of a pump: takes records in order, hands them over in batches, and decides what to do when that fails.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::event::dynamodb::{Event, EventRecord};
use aws_lambda_events::event::streams::DynamoDbEventResponse;
use jiff::Timestamp;
use tokio::sync::mpsc;

use super::failed::{Condition, FailedBatch};
use super::{Handler, Shared};
use crate::template::StreamMapping;

/// A record in a lane.
#[derive(Clone)]
pub(super) struct Item {
    pub(super) ordinal: u64,
    pub(super) created_at: Timestamp,
    pub(super) record: EventRecord,
}

impl Item {
    fn sequence_number(&self) -> &str {
        self.record.change.sequence_number.as_deref().unwrap_or_default()
    }
}

/// Records that go to the handler together, and how often they have failed together.
struct Batch {
    items: Vec<Item>,
    failures: u32,
    last_error: String,
}

/// What came of one invocation.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    Handled,
    /// Everything before this index is handled.
    FailedFrom(usize),
    /// The invocation failed as a whole.
    Failed(String),
}

/// What to do after an invocation that did not handle everything.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// Try these again, after a pause: the first of them has failed as often as the count says.
    Retry { from: usize, failures: u32 },
    /// Try both halves by themselves: somewhere in them is what fails. This does not count as an attempt.
    Split { at: usize },
    /// Set them aside.
    GiveUp,
}

/// Works until the queue ends, or the pump stops; what is unfinished then is read again at the next start.
pub(super) async fn work(shared: Arc<Shared>, mut queue: mpsc::UnboundedReceiver<Item>) {
    while let Some(first) = queue.recv().await {
        let mut items = vec![first];
        while items.len() < shared.mapping.batch_size {
            let Ok(item) = queue.try_recv() else { break };
            items.push(item);
        }
        if shared.stopping() || !work_off(&shared, items).await {
            return;
        }
    }
}

/// Brings all of these to an end. `false` when the pump stopped before.
async fn work_off(shared: &Arc<Shared>, items: Vec<Item>) -> bool {
    let mut batches = VecDeque::from([Batch {
        items,
        failures: 0,
        last_error: String::new(),
    }]);
    while let Some(mut batch) = batches.pop_front() {
        let expired = take_expired(&shared.mapping, shared.clock.now(), &mut batch.items);
        if !expired.is_empty() {
            let expired = Batch {
                items: expired,
                failures: batch.failures,
                last_error: batch.last_error.clone(),
            };
            if !set_aside(shared, expired, Condition::RecordAgeExceeded).await {
                return false;
            }
        }
        if batch.items.is_empty() {
            continue;
        }
        let outcome = invoke(shared, &batch.items).await;
        if outcome == Outcome::Handled {
            shared.finish(batch.items.iter().map(|item| item.ordinal));
            continue;
        }
        batch.last_error = match &outcome {
            Outcome::Failed(error) => error.clone(),
            _ => "ReportBatchItemFailures".into(),
        };
        let next = decide(&shared.mapping, batch.items.len(), batch.failures, &outcome);
        tracing::warn!(error_type = "batch_failed", mapping = %shared.mapping.id, records = batch.items.len(), failure = ?outcome, ?next, "a batch failed");
        match next {
            Next::Retry { from, failures } => {
                shared.finish(batch.items.drain(..from).map(|item| item.ordinal));
                batch.failures = failures;
                batches.push_front(batch);
                if !shared.pause(failures).await {
                    return false;
                }
            }
            Next::Split { at } => {
                let second = batch.items.split_off(at);
                batches.push_front(Batch {
                    items: second,
                    failures: batch.failures,
                    last_error: batch.last_error.clone(),
                });
                batches.push_front(batch);
            }
            Next::GiveUp => {
                if !set_aside(shared, batch, Condition::RetryAttemptsExhausted).await {
                    return false;
                }
            }
        }
        if shared.stopping() {
            return batches.is_empty();
        }
    }
    true
}

/// The rules of <https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html>.
fn decide(mapping: &StreamMapping, records: usize, failures: u32, outcome: &Outcome) -> Next {
    let from = match outcome {
        Outcome::FailedFrom(index) => *index,
        _ => 0,
    };
    if from > 0 {
        return Next::Retry { from, failures: 1 };
    }
    if mapping.bisect_batch_on_function_error && records > 1 {
        return Next::Split { at: records / 2 };
    }
    if mapping.maximum_retry_attempts.is_some_and(|most| failures >= most) {
        return Next::GiveUp;
    }
    Next::Retry {
        from: 0,
        failures: failures.saturating_add(1),
    }
}

/// Takes out what is older than the mapping allows.
fn take_expired(mapping: &StreamMapping, now: Timestamp, items: &mut Vec<Item>) -> Vec<Item> {
    let Some(limit) = mapping.maximum_record_age else {
        return Vec::new();
    };
    let too_old = |item: &Item| Duration::try_from(now.duration_since(item.created_at)).is_ok_and(|age| age > limit);
    let (expired, kept) = std::mem::take(items).into_iter().partition(too_old);
    *items = kept;
    expired
}

/// Writes a batch to the failure destination, however long that takes: nothing is finished that is nowhere. `false` when the pump
/// stopped before.
async fn set_aside(shared: &Shared, batch: Batch, condition: Condition) -> bool {
    let (Some(first), Some(last)) = (batch.items.first(), batch.items.last()) else {
        return true;
    };
    let mut event = Event::default();
    event.records = batch.items.iter().map(|item| item.record.clone()).collect();
    let failed = FailedBatch {
        mapping: &shared.mapping.id,
        stream_arn: &shared.stream_arn,
        condition,
        error: &batch.last_error,
        invocations: batch
            .failures
            .saturating_add(u32::from(condition == Condition::RetryAttemptsExhausted)),
        first: (first.sequence_number(), first.created_at),
        last: (last.sequence_number(), last.created_at),
        event: serde_json::to_value(&event).unwrap_or_default(),
    };
    let mut failures = 0;
    loop {
        match shared.failed.write(&failed, shared.clock.now()).await {
            Ok(path) => {
                let path = path.display();
                tracing::error!(error_type = "records_set_aside", mapping = %shared.mapping.id, records = batch.items.len(), ?condition, %path, "records were set aside");
                shared.set_aside(batch.items.iter().map(|item| item.ordinal));
                return true;
            }
            Err(error) => {
                tracing::error!(error_type = "failure_destination", %error, "the failure destination cannot be written");
                failures += 1;
                if !shared.pause(failures).await {
                    return false;
                }
            }
        }
    }
}

/// One invocation, in a task of its own so that a panic ends nothing else, and for no longer than the function may take.
async fn invoke(shared: &Shared, items: &[Item]) -> Outcome {
    let mut event = Event::default();
    event.records = items.iter().map(|item| item.record.clone()).collect();
    let handler = Handler::clone(&shared.handler);
    let mut task = tokio::spawn(async move { handler(event).await });
    let answer = match tokio::time::timeout(shared.timeout, &mut task).await {
        Ok(answer) => answer,
        Err(_) => {
            task.abort();
            return Outcome::Failed(format!("timed out after {} s", shared.timeout.as_secs()));
        }
    };
    match answer {
        Ok(Ok(response)) if shared.mapping.report_batch_item_failures => read_failures(&response, items),
        Ok(Ok(_)) => Outcome::Handled,
        Ok(Err(error)) => Outcome::Failed(error.to_string()),
        Err(error) if error.is_panic() => Outcome::Failed("panicked".into()),
        Err(_) => Outcome::Failed("cancelled".into()),
    }
}

/// The lowest reported record. A report that names none of the batch fails it as a whole.
fn read_failures(response: &DynamoDbEventResponse, items: &[Item]) -> Outcome {
    let mut lowest = items.len();
    for failure in &response.batch_item_failures {
        let reported = failure.item_identifier.as_deref().unwrap_or_default();
        match items.iter().position(|item| item.sequence_number() == reported) {
            Some(index) => lowest = lowest.min(index),
            None => return Outcome::Failed("batchItemFailures names a record that is not in the batch".into()),
        }
    }
    if lowest == items.len() {
        Outcome::Handled
    } else {
        Outcome::FailedFrom(lowest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(bisect: bool, attempts: Option<u32>) -> StreamMapping {
        StreamMapping {
            id: "m".into(),
            table: "T".into(),
            batch_size: 10,
            parallelization_factor: 1,
            maximum_retry_attempts: attempts,
            maximum_record_age: Some(Duration::from_secs(60)),
            bisect_batch_on_function_error: bisect,
            report_batch_item_failures: true,
            filters: vec![],
        }
    }

    fn items(count: usize) -> Vec<Item> {
        let made = |n: usize| {
            let mut record = EventRecord::default();
            record.change.sequence_number = Some(format!("s{n}"));
            Item {
                ordinal: n as u64,
                created_at: Timestamp::UNIX_EPOCH,
                record,
            }
        };
        (0..count).map(made).collect()
    }

    fn report(names: &[Option<&str>]) -> DynamoDbEventResponse {
        let mut response = DynamoDbEventResponse::default();
        for name in names {
            response.add_failure_for_test(name.map(str::to_owned));
        }
        response
    }

    trait AddFailure {
        fn add_failure_for_test(&mut self, name: Option<String>);
    }

    impl AddFailure for DynamoDbEventResponse {
        fn add_failure_for_test(&mut self, name: Option<String>) {
            let mut failure = aws_lambda_events::event::streams::DynamoDbBatchItemFailure::default();
            failure.item_identifier = name;
            self.batch_item_failures.push(failure);
        }
    }

    #[test]
    fn a_report_is_a_checkpoint() {
        let items = items(3);
        assert_eq!(read_failures(&report(&[]), &items), Outcome::Handled);
        assert_eq!(
            read_failures(&report(&[Some("s2"), Some("s1")]), &items),
            Outcome::FailedFrom(1)
        );
        assert_eq!(read_failures(&report(&[Some("s0")]), &items), Outcome::FailedFrom(0));
        for bad in [None, Some(""), Some("s9")] {
            assert!(
                matches!(read_failures(&report(&[Some("s1"), bad]), &items), Outcome::Failed(_)),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn progress_is_kept_and_what_makes_none_is_split_then_given_up() {
        let failed = Outcome::Failed(String::new());
        assert_eq!(
            decide(&mapping(true, Some(5)), 4, 3, &Outcome::FailedFrom(2)),
            Next::Retry { from: 2, failures: 1 }
        );
        assert_eq!(decide(&mapping(true, Some(5)), 5, 3, &failed), Next::Split { at: 2 });
        assert_eq!(
            decide(&mapping(true, Some(5)), 5, 3, &Outcome::FailedFrom(0)),
            Next::Split { at: 2 }
        );
        assert_eq!(
            decide(&mapping(true, Some(5)), 1, 4, &failed),
            Next::Retry { from: 0, failures: 5 }
        );
        assert_eq!(decide(&mapping(true, Some(5)), 1, 5, &failed), Next::GiveUp);
        assert_eq!(decide(&mapping(false, Some(0)), 7, 0, &failed), Next::GiveUp);
        assert_eq!(
            decide(&mapping(false, None), 7, u32::MAX, &failed),
            Next::Retry {
                from: 0,
                failures: u32::MAX
            }
        );
    }

    #[test]
    fn only_what_is_too_old_is_taken_out() {
        let mut all = items(3);
        all[1].created_at = Timestamp::from_second(100).unwrap_or_default();
        let at = |second| Timestamp::from_second(second).unwrap_or_default();
        assert!(take_expired(&mapping(true, None), at(60), &mut all).is_empty());
        let expired = take_expired(&mapping(true, None), at(61), &mut all);
        assert_eq!(expired.iter().map(|item| item.ordinal).collect::<Vec<_>>(), [0, 2]);
        assert_eq!(all.len(), 1);
        // A clock that stands before the record makes it young, not old.
        assert!(take_expired(&mapping(true, None), at(-5), &mut all).is_empty());
    }
}
