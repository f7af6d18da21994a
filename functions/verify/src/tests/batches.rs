//! Batches: what stops nobody, what comes again, and from where on.

use super::*;

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
async fn an_empty_batch_is_no_failure() {
    assert_eq!(Setup::new().handle(Vec::new()).await, nothing_failed());
}
