//! Whole batches, in the JSON that Lambda hands over, against a small store in memory.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use payload::key::TimedSecret;
use payload::outbound::{SigningKey, generate_secret, sign};
use payload::receipt::Header;
use payload::source::Source;
use payload::{OrganizationId, ReceiptId};
use secrecy::SecretString;
use serde_json::{Value, json};
use store::item::ReceiptItem;

use super::*;

#[derive(Debug)]
struct FixedClock(Timestamp);

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        self.0
    }
}

/// What the store is told to do with what holds a certain text.
#[derive(Debug, Clone)]
enum Fault {
    Error(StoreError),
    Panic,
}

#[derive(Debug, Default)]
struct Fake {
    sources: Mutex<HashMap<SourceId, Source>>,
    secrets: Mutex<HashMap<String, Vec<TimedSecret>>>,
    events: Mutex<HashMap<EventId, Event>>,
    outcomes: Mutex<HashMap<ReceiptId, ReceiptOutcome>>,
    /// By a text in the event's body.
    event_faults: Mutex<Vec<(&'static str, Fault)>>,
    outcome_fault: Mutex<Option<Fault>>,
    source_fault: Mutex<Option<Fault>>,
    source_reads: AtomicUsize,
}

fn strike(fault: Option<Fault>) -> Result<(), StoreError> {
    match fault {
        None => Ok(()),
        Some(Fault::Error(error)) => Err(error),
        Some(Fault::Panic) => panic!("told to"),
    }
}

impl Sources for Fake {
    async fn source(&self, id: &SourceId) -> Result<Option<Source>, StoreError> {
        self.source_reads.fetch_add(1, Ordering::Relaxed);
        let fault = self.source_fault.lock().unwrap().clone();
        strike(fault)?;
        Ok(self.sources.lock().unwrap().get(id).cloned())
    }
}

impl Secrets for Fake {
    async fn secrets(&self, owner: &str) -> Result<Vec<TimedSecret>, StoreError> {
        Ok(self.secrets.lock().unwrap().get(owner).cloned().unwrap_or_default())
    }
}

impl Events for Fake {
    async fn put_event(&self, event: &Event) -> Result<PutEvent, StoreError> {
        let body = String::from_utf8_lossy(&event.body).into_owned();
        let faults = self.event_faults.lock().unwrap().clone();
        strike(
            faults
                .into_iter()
                .find(|(text, _)| body.contains(text))
                .map(|(_, fault)| fault),
        )?;
        // Others get their turn between the call and its effect, as with a real table.
        tokio::task::yield_now().await;
        let mut events = self.events.lock().unwrap();
        Ok(match events.get(&event.id) {
            None => {
                events.insert(event.id.clone(), event.clone());
                PutEvent::Stored
            }
            Some(stored) if stored.receipt == event.receipt => PutEvent::OwnRetry,
            Some(_) => PutEvent::Duplicate,
        })
    }

    async fn event(&self, id: &EventId) -> Result<Option<Event>, StoreError> {
        Ok(self.events.lock().unwrap().get(id).cloned())
    }
}

impl Receipts for Fake {
    async fn put_outcome(&self, outcome: &ReceiptOutcome) -> Result<(), StoreError> {
        let fault = self.outcome_fault.lock().unwrap().clone();
        strike(fault)?;
        self.outcomes
            .lock()
            .unwrap()
            .insert(outcome.id.clone(), outcome.clone());
        Ok(())
    }

    async fn outcome(&self, id: &ReceiptId) -> Result<Option<ReceiptOutcome>, StoreError> {
        Ok(self.outcomes.lock().unwrap().get(id).cloned())
    }
}

fn received_at() -> Timestamp {
    "2025-03-25T13:31:00Z".parse().unwrap()
}

/// A source with its secret, and the function that verifies for it.
struct Setup {
    source: Source,
    secret: SecretString,
    function: Verify<Fake, FixedClock>,
}

impl Setup {
    fn new() -> Self {
        let source = Source {
            id: SourceId::generate(received_at()),
            organization: OrganizationId::generate(received_at()),
            name: "quartr-prod".into(),
            preset: "quartr".into(),
            enabled: true,
            salt: "salt".into(),
            created_at: received_at(),
            token_hashes: Vec::new(),
        };
        let setup = Self {
            source,
            secret: generate_secret(),
            function: Verify::new(
                Fake::default(),
                FixedClock(received_at() + SignedDuration::from_secs(5)),
            ),
        };
        setup.put_source(|_| {});
        setup.put_secrets(vec![(setup.secret.clone(), None)]);
        setup
    }

    fn store(&self) -> &Fake {
        &self.function.store
    }

    fn put_source(&self, change: impl FnOnce(&mut Source)) {
        let mut source = self.source.clone();
        change(&mut source);
        self.store()
            .sources
            .lock()
            .unwrap()
            .insert(self.source.id.clone(), source);
    }

    fn put_secrets(&self, secrets: Vec<(SecretString, Option<Timestamp>)>) {
        let secrets = secrets.into_iter().map(|(value, expires_at)| TimedSecret {
            value,
            created_at: received_at(),
            expires_at,
        });
        self.store()
            .secrets
            .lock()
            .unwrap()
            .insert(self.source.id.to_string(), secrets.collect());
    }

    /// A receipt with a good signature under `secret`.
    fn signed(&self, secret: &SecretString, id: &str, body: &str) -> Receipt {
        let key = SigningKey::parse(secret).unwrap();
        let signature = sign(&[key], id, received_at(), body.as_bytes());
        let header = |name: &str, value: &str| Header::capture(name, value.as_bytes(), "salt", &[]);
        Receipt {
            id: ReceiptId::generate(received_at()),
            organization: self.source.organization.clone(),
            source: self.source.id.clone(),
            method: "POST".into(),
            query: String::new(),
            headers: vec![
                header("content-type", "application/json"),
                header("webhook-id", id),
                header("webhook-timestamp", &received_at().as_second().to_string()),
                header("webhook-signature", &signature),
            ],
            body: Bytes::copy_from_slice(body.as_bytes()),
            received_at: received_at(),
        }
    }

    fn genuine(&self, id: &str) -> Receipt {
        self.signed(&self.secret, id, &body(id))
    }

    fn forged(&self, id: &str) -> Receipt {
        self.signed(&generate_secret(), id, &body(id))
    }

    async fn handle(&self, records: Vec<Value>) -> Value {
        let event: StreamEvent = serde_json::from_value(json!({ "Records": records })).unwrap();
        serde_json::to_value(self.function.handle(event).await).unwrap()
    }

    fn events(&self) -> Vec<Event> {
        self.store().events.lock().unwrap().values().cloned().collect()
    }

    fn outcome(&self, receipt: &Receipt) -> Option<ReceiptOutcome> {
        self.store().outcomes.lock().unwrap().get(&receipt.id).cloned()
    }

    /// The reason and the detail with which a receipt was rejected.
    fn rejection(&self, receipt: &Receipt) -> (String, String) {
        match self.outcome(receipt).map(|outcome| outcome.status) {
            Some(ReceiptStatus::Rejected { reason, detail }) => (reason, detail),
            other => panic!("not rejected but {other:?}"),
        }
    }
}

fn body(id: &str) -> String {
    json!({"type": "live.audio.updated", "timestamp": "2025-03-25T13:30:59.000Z", "data": {"id": 1, "for": id}})
        .to_string()
}

/// A stream record as Lambda hands it over.
fn record(sequence: u32, receipt: &Receipt) -> Value {
    image_record(sequence, "INSERT", image(receipt))
}

fn image(receipt: &Receipt) -> Value {
    let item: serde_dynamo::Item = serde_dynamo::to_item(ReceiptItem::new(receipt, 7).unwrap()).unwrap();
    serde_json::to_value(item).unwrap()
}

fn image_record(sequence: u32, name: &str, image: Value) -> Value {
    json!({
        "eventID": format!("e{sequence}"), "eventName": name, "eventVersion": "1.1", "eventSource": "aws:dynamodb", "awsRegion": "eu-west-1",
        "eventSourceARN": "arn:aws:dynamodb:eu-west-1:123456789012:table/inbox/stream/2025-03-25T00:00:00.000",
        "dynamodb": {
            "Keys": {"id": {"S": "any"}}, "NewImage": image, "SequenceNumber": format!("1{sequence:020}"), "SizeBytes": 1,
            "StreamViewType": "NEW_IMAGE"
        }
    })
}

fn nothing_failed() -> Value {
    json!({"batchItemFailures": []})
}

fn failed_at(sequence: u32) -> Value {
    json!({"batchItemFailures": [{"itemIdentifier": format!("1{sequence:020}")}]})
}

#[tokio::test]
async fn a_genuine_receipt_becomes_an_event() {
    let setup = Setup::new();
    let receipt = setup.genuine("msg_1");
    assert_eq!(setup.handle(vec![record(1, &receipt)]).await, nothing_failed());
    let events = setup.events();
    assert_eq!(events.len(), 1);
    let event = &events[0];
    assert_eq!(
        (&event.receipt, &event.organization),
        (&Some(receipt.id.clone()), &receipt.organization)
    );
    assert_eq!(event.meta.event_type, "live.audio.updated");
    assert_eq!(event.meta.provider_event_id.as_deref(), Some("msg_1"));
    assert_eq!(
        event.meta.source.as_ref().map(|source| &source.id),
        Some(&receipt.source)
    );
    assert!(event.meta.verified.as_ref().unwrap().body);
    assert_eq!(event.body, receipt.body);
    assert_eq!(
        setup.outcome(&receipt),
        None,
        "an accepted receipt needs no item of its own"
    );
}

#[tokio::test]
async fn a_forged_receipt_is_rejected_with_its_reason() {
    let setup = Setup::new();
    let receipt = setup.forged("msg_1");
    assert_eq!(setup.handle(vec![record(1, &receipt)]).await, nothing_failed());
    assert!(setup.events().is_empty());
    assert_eq!(setup.rejection(&receipt).0, "signature_mismatch");
    assert_eq!(setup.outcome(&receipt).unwrap().received_at, receipt.received_at);
}

#[tokio::test]
async fn forged_first_and_genuine_second_with_the_same_id_is_no_duplicate() {
    let setup = Setup::new();
    let (forged, genuine) = (setup.forged("msg_1"), setup.genuine("msg_1"));
    // One after the other, and both in one batch.
    setup.handle(vec![record(1, &forged)]).await;
    setup.handle(vec![record(2, &forged), record(3, &genuine)]).await;
    assert_eq!(setup.events()[0].receipt, Some(genuine.id.clone()));
    assert_eq!(setup.outcome(&genuine), None);
    assert_eq!(setup.rejection(&forged).0, "signature_mismatch");
}

#[tokio::test]
async fn the_same_batch_again_is_our_own_retry_and_no_duplicate() {
    let setup = Setup::new();
    let receipt = setup.genuine("msg_1");
    for _ in 0..3 {
        assert_eq!(
            setup.handle(vec![record(1, &receipt), record(1, &receipt)]).await,
            nothing_failed()
        );
    }
    assert_eq!(setup.events().len(), 1);
    assert_eq!(setup.outcome(&receipt), None);
}

#[tokio::test]
async fn the_same_id_at_the_same_moment_is_one_event_and_one_duplicate() {
    let setup = Setup::new();
    let receipts = [setup.genuine("msg_1"), setup.genuine("msg_1")];
    let batch = receipts
        .iter()
        .zip(1..)
        .map(|(receipt, sequence)| record(sequence, receipt))
        .collect();
    assert_eq!(setup.handle(batch).await, nothing_failed());
    let events = setup.events();
    assert_eq!(events.len(), 1);
    let duplicates: Vec<_> = receipts.iter().filter_map(|receipt| setup.outcome(receipt)).collect();
    assert_eq!(duplicates.len(), 1);
    assert_ne!(Some(&duplicates[0].id), events[0].receipt.as_ref());
    assert_eq!(
        duplicates[0].status,
        ReceiptStatus::Duplicate {
            event: events[0].id.clone()
        }
    );
}

#[tokio::test]
async fn poison_in_the_middle_is_set_aside_and_the_batch_goes_on() {
    for (fault, error_type) in [
        (
            Fault::Error(StoreError::Refused("ValidationException".into())),
            "store_refused",
        ),
        (Fault::Error(StoreError::TooLarge { limit: 1 }), "store_too_large"),
        (Fault::Panic, "panic"),
    ] {
        let setup = Setup::new();
        setup.store().event_faults.lock().unwrap().push(("msg_poison", fault));
        let receipts: Vec<Receipt> = ["msg_1", "msg_poison", "msg_3"]
            .iter()
            .map(|id| setup.genuine(id))
            .collect();
        let batch = receipts
            .iter()
            .zip(1..)
            .map(|(receipt, sequence)| record(sequence, receipt))
            .collect();
        assert_eq!(setup.handle(batch).await, nothing_failed());
        assert_eq!(setup.events().len(), 2);
        let (reason, detail) = setup.rejection(&receipts[1]);
        assert_eq!(reason, "set_aside");
        assert!(detail.starts_with(error_type), "{detail}");
        assert!(
            !detail.contains("told to"),
            "a panic's message can hold a piece of the record"
        );
    }
}

#[tokio::test]
async fn an_unreadable_image_is_set_aside_where_it_can_be_told_whose_it_is() {
    let setup = Setup::new();
    let (broken, good) = (setup.genuine("msg_1"), setup.genuine("msg_2"));
    let mut bad_image = image(&broken);
    bad_image["headers"] = json!({"S": "not what it was"});
    let batch = vec![
        image_record(1, "INSERT", bad_image),
        image_record(2, "INSERT", json!({"id": {"S": "nobody's"}})),
        image_record(3, "INSERT", json!({})),
        record(4, &good),
    ];
    assert_eq!(setup.handle(batch).await, nothing_failed());
    assert_eq!(setup.events().len(), 1);
    assert_eq!(setup.rejection(&broken).0, "set_aside");
    assert!(setup.rejection(&broken).1.starts_with("store_unreadable"));
    assert_eq!(setup.store().outcomes.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_record_of_a_later_version_waits_for_its_reader() {
    let setup = Setup::new();
    let (newer, good) = (setup.genuine("msg_1"), setup.genuine("msg_2"));
    let mut newer_image = image(&newer);
    newer_image["v"] = json!({"N": "9999"});
    assert_eq!(
        setup
            .handle(vec![record(1, &good), image_record(2, "INSERT", newer_image)])
            .await,
        failed_at(2)
    );
    assert_eq!(setup.outcome(&newer), None);
    assert_eq!(setup.events().len(), 1);
}

#[tokio::test]
async fn of_several_failures_the_lowest_is_reported_and_the_rest_is_done() {
    let setup = Setup::new();
    let unavailable = Fault::Error(StoreError::Unavailable("throttled".into()));
    setup
        .store()
        .event_faults
        .lock()
        .unwrap()
        .extend([("msg_9", unavailable.clone()), ("msg_10", unavailable)]);
    let receipts: Vec<Receipt> = (1..=20).map(|number| setup.genuine(&format!("msg_{number}"))).collect();
    // Not in order: Lambda's is that of the stream, but nothing here depends on it.
    let mut batch: Vec<Value> = receipts
        .iter()
        .zip(1..)
        .map(|(receipt, sequence)| record(sequence, receipt))
        .collect();
    batch.reverse();
    assert_eq!(setup.handle(batch.clone()).await, failed_at(9));
    assert_eq!(setup.events().len(), 18);
    // The store is back: what comes again is done, and what was done is no duplicate.
    setup.store().event_faults.lock().unwrap().clear();
    assert_eq!(setup.handle(batch).await, nothing_failed());
    assert_eq!(setup.events().len(), 20);
    assert!(setup.store().outcomes.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_outcome_that_cannot_be_written_now_is_a_failure() {
    let setup = Setup::new();
    let (forged, genuine) = (setup.forged("msg_1"), setup.genuine("msg_2"));
    setup.store().event_faults.lock().unwrap().push(("msg_2", Fault::Panic));
    *setup.store().outcome_fault.lock().unwrap() = Some(Fault::Error(StoreError::Unavailable("throttled".into())));
    // A rejection, and something to be set aside.
    assert_eq!(
        setup.handle(vec![record(1, &forged), record(2, &genuine)]).await,
        failed_at(1)
    );
    assert_eq!(setup.handle(vec![record(2, &genuine)]).await, failed_at(2));
    // What can never be written down is only logged: it must not stop the others.
    for fault in [Fault::Panic, Fault::Error(StoreError::Refused("no".into()))] {
        *setup.store().outcome_fault.lock().unwrap() = Some(fault);
        assert_eq!(
            setup.handle(vec![record(1, &forged), record(2, &genuine)]).await,
            nothing_failed()
        );
    }
}

#[tokio::test]
async fn a_source_that_cannot_be_read_now_rejects_nothing() {
    let setup = Setup::new();
    let receipt = setup.genuine("msg_1");
    *setup.store().source_fault.lock().unwrap() = Some(Fault::Error(StoreError::Unavailable("throttled".into())));
    assert_eq!(setup.handle(vec![record(7, &receipt)]).await, failed_at(7));
    assert_eq!(setup.outcome(&receipt), None);
    *setup.store().source_fault.lock().unwrap() = Some(Fault::Panic);
    assert_eq!(setup.handle(vec![record(7, &receipt)]).await, nothing_failed());
    assert_eq!(setup.rejection(&receipt).0, "set_aside");
}

#[tokio::test]
async fn a_failure_without_a_sequence_number_brings_the_batch_back_and_never_as_an_empty_identifier() {
    let setup = Setup::new();
    let unavailable = Fault::Error(StoreError::Unavailable("throttled".into()));
    setup.store().event_faults.lock().unwrap().push(("msg_2", unavailable));
    let mut nameless = record(2, &setup.genuine("msg_2"));
    let others = [record(1, &setup.genuine("msg_1")), record(3, &setup.genuine("msg_3"))];
    for empty in [json!(""), Value::Null] {
        nameless["dynamodb"]["SequenceNumber"] = empty;
        let batch = vec![others[0].clone(), nameless.clone(), others[1].clone()];
        assert_eq!(setup.handle(batch).await, failed_at(1));
    }
    // No record has one: a null identifier fails the whole batch, and nothing is dropped.
    assert_eq!(
        setup.handle(vec![nameless]).await,
        json!({"batchItemFailures": [{"itemIdentifier": null}]})
    );
}

#[tokio::test]
async fn a_source_is_read_once_for_a_batch() {
    let setup = Setup::new();
    let batch = (1..=10)
        .map(|number| record(number, &setup.genuine(&format!("msg_{number}"))))
        .collect();
    setup.handle(batch).await;
    assert_eq!(setup.events().len(), 10);
    assert_eq!(setup.store().source_reads.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn without_source_preset_or_secret_it_is_closed() {
    let setup = Setup::new();
    let reason = async |receipt: &Receipt| {
        setup.handle(vec![record(1, receipt)]).await;
        setup.rejection(receipt).0
    };
    let receipt = setup.genuine("msg_1");
    setup.put_source(|source| source.preset = "nobody".into());
    assert_eq!(reason(&receipt).await, "unknown_preset");
    setup.put_source(|source| source.organization = OrganizationId::generate(received_at()));
    assert_eq!(reason(&receipt).await, "source_deleted");
    setup.store().sources.lock().unwrap().clear();
    assert_eq!(reason(&receipt).await, "source_deleted");
    setup.put_source(|_| {});
    setup.put_secrets(Vec::new());
    assert_eq!(reason(&receipt).await, "no_secret");
    setup.put_secrets(vec![(String::new().into(), None)]);
    assert_eq!(reason(&receipt).await, "unusable_secret");
    setup.put_secrets(vec![("whpk_nonsense".to_owned().into(), None)]);
    assert_eq!(reason(&receipt).await, "unusable_secret");
    assert!(setup.events().is_empty());
}

#[tokio::test]
async fn a_secret_counts_that_was_valid_when_the_receipt_came() {
    let setup = Setup::new();
    let other = generate_secret();
    let expired_since = |seconds: i64| Some(received_at() + SignedDuration::from_secs(seconds));
    // Expired between arrival and verification, beside its successor.
    setup.put_secrets(vec![(setup.secret.clone(), expired_since(2)), (other, None)]);
    setup.handle(vec![record(1, &setup.genuine("msg_1"))]).await;
    assert_eq!(setup.events().len(), 1);
    // Expired before it came.
    setup.put_secrets(vec![(setup.secret.clone(), expired_since(0))]);
    let receipt = setup.genuine("msg_2");
    setup.handle(vec![record(2, &receipt)]).await;
    assert_eq!(setup.rejection(&receipt).0, "no_secret");
}

#[tokio::test]
async fn a_verified_body_that_cannot_be_read_is_kept_as_rejected() {
    let setup = Setup::new();
    for (body, reason) in [
        ("not json", "unreadable_body"),
        ("", "unreadable_body"),
        ("{}", "no_event_type"),
        ("{\"type\": 1e", "unreadable_body"),
    ] {
        let receipt = setup.signed(&setup.secret, "msg_1", body);
        assert_eq!(setup.handle(vec![record(1, &receipt)]).await, nothing_failed());
        assert_eq!(setup.rejection(&receipt).0, reason, "{body}");
    }
}

#[tokio::test]
async fn a_replayed_and_an_old_request_are_rejected_against_the_time_of_receipt() {
    let setup = Setup::new();
    let mut late = setup.genuine("msg_1");
    late.received_at = received_at() + SignedDuration::from_hours(3);
    setup.handle(vec![record(1, &late)]).await;
    assert_eq!(setup.rejection(&late).0, "timestamp_too_old");
    let mut early = setup.genuine("msg_1");
    early.received_at = received_at() - SignedDuration::from_hours(3);
    setup.handle(vec![record(1, &early)]).await;
    assert_eq!(setup.rejection(&early).0, "timestamp_in_future");
}

#[tokio::test]
async fn a_change_is_verified_only_when_it_asks_for_it() {
    let setup = Setup::new();
    let receipt = setup.genuine("msg_1");
    let mut asking = image(&receipt);
    assert_eq!(
        setup.handle(vec![image_record(1, "MODIFY", asking.clone())]).await,
        nothing_failed()
    );
    assert_eq!(
        setup.handle(vec![image_record(2, "REMOVE", asking.clone())]).await,
        nothing_failed()
    );
    assert!(setup.events().is_empty());
    asking["again"] = json!({"S": "2025-03-26T00:00:00Z"});
    assert_eq!(
        setup.handle(vec![image_record(3, "MODIFY", asking)]).await,
        nothing_failed()
    );
    assert_eq!(setup.events().len(), 1);
}

#[tokio::test]
async fn an_empty_batch_is_no_failure() {
    assert_eq!(Setup::new().handle(Vec::new()).await, nothing_failed());
}
