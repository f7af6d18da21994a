//! How sources do.

use payload::event::Content;
use payload::source_health::{REJECTING_AFTER, REJECTING_EVENT};

use super::*;

impl Setup {
    fn notes(&self) -> Vec<HealthNote> {
        self.store().notes.lock().unwrap().clone()
    }

    /// What was said of the source.
    fn alarms(&self) -> Vec<Event> {
        let mut events = self.events();
        events.retain(|event| event.meta.event_type == REJECTING_EVENT);
        events.sort_by_key(|event| event.meta.timestamp);
        events
    }

    /// Handles so many forged receipts that arrived then.
    async fn reject(&self, count: u64, arrived: Timestamp) {
        let batch = (0..count).map(|number| {
            let mut receipt = self.forged(&format!("msg_{number}"));
            receipt.received_at = arrived;
            receipt
        });
        let batch: Vec<Receipt> = batch.collect();
        let records = batch
            .iter()
            .zip(1..)
            .map(|(receipt, sequence)| record(sequence, receipt));
        assert_eq!(self.handle(records.collect()).await, nothing_failed());
    }
}

fn later(seconds: i64) -> Timestamp {
    received_at() + SignedDuration::from_secs(seconds)
}

#[tokio::test]
async fn a_batch_is_one_note_for_each_source() {
    let (setup, other) = (Setup::new(), SourceId::generate(received_at()));
    let mut other_source = setup.source.clone();
    other_source.id = other.clone();
    setup
        .store()
        .sources
        .lock()
        .unwrap()
        .insert(other.clone(), other_source);
    let mut receipts = vec![
        setup.genuine("msg_1"),
        setup.forged("msg_2"),
        setup.forged("msg_3"),
        setup.genuine("msg_4"),
    ];
    for (receipt, seconds) in receipts.iter_mut().zip([0, 3, 1, 2]) {
        receipt.received_at = later(seconds);
    }
    let unreadable = setup.signed(&setup.secret, "msg_5", "no json");
    let without_secret = Receipt {
        source: other.clone(),
        ..setup.genuine("msg_6")
    };
    receipts.extend([unreadable, without_secret]);
    setup
        .handle(
            receipts
                .iter()
                .zip(1..)
                .map(|(receipt, sequence)| record(sequence, receipt))
                .collect(),
        )
        .await;
    let mut notes = setup.notes();
    notes.sort_by_key(|note| note.source == other);
    let [note, other_note] = &notes[..] else {
        panic!("{notes:?}")
    };
    assert_eq!(
        (&note.source, &note.organization),
        (&setup.source.id, &setup.source.organization)
    );
    assert_eq!(note.verified_at, Some(later(2)));
    assert_eq!(note.rejecting_since, Some(later(0)));
    let counts = [("signature_mismatch".to_owned(), 2), ("unreadable_body".to_owned(), 1)];
    assert_eq!(note.rejected, counts.into());
    let last = note.last_rejection.as_ref().unwrap();
    assert_eq!(
        (&last.receipt, last.at, last.reason.as_str()),
        (&receipts[1].id, later(3), "signature_mismatch")
    );
    assert_eq!((&other_note.source, other_note.verified_at), (&other, None));
    assert_eq!(other_note.rejected, [("no_secret".to_owned(), 1)].into());
}

#[tokio::test]
async fn that_a_source_is_well_is_written_once_a_minute() {
    let setup = Setup::new();
    let verify = async |id: &str| {
        setup.handle(vec![record(1, &setup.genuine(id))]).await;
        setup.notes().len()
    };
    assert_eq!(verify("msg_1").await, 1);
    setup.pass(59);
    assert_eq!(verify("msg_2").await, 1);
    setup.pass(1);
    assert_eq!(verify("msg_3").await, 2);
    assert_eq!(verify("msg_4").await, 2);
    // A rejection is always written, and that it is over too.
    setup.reject(1, received_at()).await;
    assert_eq!(setup.notes().len(), 3);
    assert_eq!(verify("msg_5").await, 4);
    assert_eq!(
        setup.store().health.lock().unwrap()[&setup.source.id].rejected_in_a_row,
        0
    );
    assert_eq!(verify("msg_6").await, 4);
    setup.pass(-3600);
    assert_eq!(verify("msg_7").await, 5, "a clock that went back silences nothing");
}

#[tokio::test]
async fn what_is_not_the_sources_fault_is_not_noted() {
    let setup = Setup::new();
    let receipts: Vec<Receipt> = (1..=6).map(|number| setup.genuine(&format!("msg_{number}"))).collect();
    let batch = || {
        receipts
            .iter()
            .zip(1..)
            .map(|(receipt, sequence)| record(sequence, receipt))
            .collect()
    };
    setup.store().event_faults.lock().unwrap().push(("msg_", Fault::Panic));
    setup.handle(batch()).await;
    assert_eq!(setup.rejection(&receipts[0]).0, "set_aside");
    setup.store().event_faults.lock().unwrap()[0].1 = Fault::Error(StoreError::Unavailable("throttled".into()));
    setup.handle(batch()).await;
    setup.store().sources.lock().unwrap().clear();
    setup.handle(batch()).await;
    assert_eq!(setup.rejection(&receipts[0]).0, "source_deleted");
    assert_eq!(setup.notes(), vec![]);
    assert!(setup.events().is_empty());
}

#[tokio::test]
async fn a_source_that_rejects_everything_is_told_of_once_a_day() {
    let setup = Setup::new();
    setup.reject(REJECTING_AFTER - 1, later(0)).await;
    assert!(setup.alarms().is_empty());
    setup.reject(1, later(60)).await;
    setup.reject(3, later(120)).await;
    let alarms = setup.alarms();
    let [alarm] = &alarms[..] else { panic!("{alarms:?}") };
    assert_eq!(
        (&alarm.receipt, &alarm.organization),
        (&None, &setup.source.organization)
    );
    assert_eq!((alarm.received_at, alarm.meta.timestamp), (later(5), later(60)));
    let reference = alarm.meta.source.as_ref().unwrap();
    assert_eq!(
        (&reference.id, reference.name.as_str(), reference.provider.as_str()),
        (&setup.source.id, "quartr-prod", "quartr")
    );
    let entity = alarm.meta.entity.as_ref().unwrap();
    assert_eq!(
        (entity.kind.as_deref(), entity.id.as_deref()),
        (Some("source"), Some(setup.source.id.as_str()))
    );
    let summary = alarm.meta.summary.as_deref().unwrap();
    assert!(
        summary.starts_with("quartr-prod has rejected 5 webhooks in a row since 2025-03-25T13:31:00Z"),
        "{summary}"
    );
    assert!(summary.contains("signature_mismatch"), "{summary}");
    assert!(matches!(alarm.data, Content::Span(0, _)));
    let payload: Value = serde_json::from_slice(&alarm.to_json().unwrap()).unwrap();
    assert_eq!(payload["type"], REJECTING_EVENT);
    assert_eq!(payload["data"]["source"], payload["source"]);
    assert_eq!(payload["data"]["rejectedInARow"], 5);
    assert_eq!(payload["data"]["rejectingSince"], "2025-03-25T13:31:00Z");
    assert_eq!(payload["data"]["lastRejection"]["reason"], "signature_mismatch");
    assert_eq!(payload.get("verified"), None);

    let next_day = later(24 * 3600);
    setup.reject(1, next_day).await;
    setup.reject(1, next_day).await;
    assert_eq!(setup.alarms().len(), 2, "a new day");
    setup.handle(vec![record(1, &setup.genuine("msg_good"))]).await;
    setup.reject(REJECTING_AFTER - 1, next_day).await;
    assert_eq!(setup.alarms().len(), 2, "a new run begins");
    setup.reject(1, next_day).await;
    assert_eq!(setup.alarms().len(), 3);
}

#[tokio::test]
async fn another_process_that_tells_the_same_tells_nothing_new() {
    let setup = Setup::new();
    setup.reject(REJECTING_AFTER, later(0)).await;
    let alarm = setup.alarms().remove(0);
    // A process that knows nothing, on the same tables.
    let mut other = Setup::new();
    other.source = setup.source.clone();
    other.put_source(|_| {});
    other
        .store()
        .events
        .lock()
        .unwrap()
        .insert(alarm.id.clone(), alarm.clone());
    other.reject(REJECTING_AFTER + 1, later(0)).await;
    assert_eq!(other.alarms(), vec![alarm]);
}

#[tokio::test]
async fn the_health_fails_no_batch() {
    let setup = Setup::new();
    let unavailable = Fault::Error(StoreError::Unavailable("throttled".into()));
    for fault in [
        unavailable.clone(),
        Fault::Error(StoreError::Refused("no".into())),
        Fault::Panic,
    ] {
        *setup.store().health_fault.lock().unwrap() = Some(fault);
        setup.reject(REJECTING_AFTER, later(0)).await;
        assert_eq!(setup.notes(), vec![]);
    }
    *setup.store().health_fault.lock().unwrap() = None;
    // The event cannot be stored: the next rejection tries again.
    setup
        .store()
        .event_faults
        .lock()
        .unwrap()
        .push(("rejectingSince", unavailable));
    setup.reject(REJECTING_AFTER, later(0)).await;
    assert!(setup.alarms().is_empty());
    setup.store().event_faults.lock().unwrap().clear();
    setup.reject(1, later(0)).await;
    assert_eq!(setup.alarms().len(), 1);
}

#[tokio::test]
async fn verifying_again_counts_no_rejection_twice_and_ends_the_row() {
    let setup = Setup::new();
    let receipts: Vec<Receipt> = (0..10).map(|number| setup.genuine(&format!("msg_{number}"))).collect();
    let marked = |sequence: u32, receipt: &Receipt| {
        let mut image = image(receipt);
        image["again"] = json!({"S": "bulk#1"});
        image_record(sequence, "MODIFY", image)
    };
    setup.put_secrets(vec![(generate_secret(), None)]);
    setup.handle(vec![record(1, &receipts[0])]).await;
    assert_eq!(setup.notes().len(), 1);
    setup
        .handle(
            receipts
                .iter()
                .zip(1..)
                .map(|(receipt, sequence)| marked(sequence, receipt))
                .collect(),
        )
        .await;
    assert_eq!(setup.notes().len(), 1);
    assert!(setup.alarms().is_empty());
    setup.put_secrets(vec![(setup.secret.clone(), None)]);
    setup.pass(600);
    setup.handle(vec![marked(1, &receipts[0])]).await;
    let health = setup.store().health.lock().unwrap()[&setup.source.id].clone();
    assert_eq!(
        (health.rejected_in_a_row, health.last_verified_at),
        (0, Some(later(605))),
        "it is verified now"
    );
}
