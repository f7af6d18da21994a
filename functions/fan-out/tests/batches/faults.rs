//! Failures of ours, and records that cannot be worked on.

use super::*;

#[tokio::test(start_paused = true)]
async fn one_failure_of_ours_in_a_hundred_reports_the_lowest_place() {
    for operation in ["deliveries_of", "create_delivery"] {
        let world = World::new();
        let ours = organization();
        let good = webhook(&ours, "good.example", &[]);
        world.store.add(&good);
        let events: Vec<_> = (0..100).map(|i| event(&ours, &i.to_string(), "a.b")).collect();
        // Two fail: the lower one counts. Numbers of different lengths are compared as numbers.
        let (lower, higher) = (events[37].id.to_string(), events[80].id.to_string());
        world.store.fault(move |called, key| {
            if called == operation && (key == lower || key == higher) {
                unavailable()
            } else {
                None
            }
        });
        let records = events
            .iter()
            .enumerate()
            .map(|(i, event)| record(event, &(63 + i).to_string()))
            .collect();
        let response = world.function.handle(batch(records), a_minute()).await;
        assert_eq!(reported(&response).as_deref(), Some("100"), "{operation}");
        for (i, event) in events.iter().enumerate() {
            assert_eq!(world.is_delivered(event, &good), i != 37 && i != 80, "{operation} {i}");
        }
        // The batch comes again from there, and the rest is delivered.
        world.store.no_fault();
        let again: Vec<_> = events[37..].iter().collect();
        assert_eq!(world.handle(&again).await, None);
        assert!(events.iter().all(|event| world.is_delivered(event, &good)));
        let expected = if operation == "create_delivery" { 102 } else { 100 };
        assert_eq!(
            world.sender.sent(),
            expected,
            "only what was sent and could not be recorded is sent again"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_down_fails_the_batch_and_is_not_asked_for_each_record() {
    let world = World::new();
    let ours = organization();
    world.store.add(&webhook(&ours, "good.example", &[]));
    let events: Vec<_> = (0..10).map(|i| event(&ours, &i.to_string(), "a.b")).collect();
    world
        .store
        .fault(|called, _| if called == "webhook_set" { unavailable() } else { None });
    assert_eq!(
        world.handle(&events.iter().collect::<Vec<_>>()).await.as_deref(),
        Some("100")
    );
    assert_eq!((world.store.calls("webhook_set"), world.sender.sent()), (1, 0));
    world
        .store
        .fault(|called, _| if called == "secrets" { unavailable() } else { None });
    assert_eq!(
        world.handle(&events.iter().collect::<Vec<_>>()).await.as_deref(),
        Some("100")
    );
    assert_eq!((world.store.calls("secrets"), world.sender.sent()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn poison_is_set_aside_and_the_batch_goes_on() {
    let world = World::new();
    let ours = organization();
    let good = webhook(&ours, "good.example", &[]);
    world.store.add(&good);
    let (before, after) = (event(&ours, "before", "a.b"), event(&ours, "after", "a.b"));
    let mut broken = event(&ours, "broken", "a.b");
    broken.data = payload::event::Content::Span(5, 5_000);
    let refused = event(&ours, "refused", "a.b");
    let refused_id = refused.id.to_string();
    world.store.fault(move |called, key| {
        (called == "create_delivery" && key == refused_id).then(|| Fault::Error(StoreError::Refused("told to".into())))
    });
    let records = vec![
        record(&before, "1"),
        raw_record(serde_json::json!({"id": {"S": "evt_1"}, "v": {"N": "1"}}), "2"),
        raw_record(serde_json::json!({}), "3"),
        raw_record(serde_json::json!({"id": {"S": "x"}, "body": {"BOOL": true}}), "4"),
        record(&broken, "5"),
        record(&refused, "6"),
        record(&after, "7"),
    ];
    let response = world.function.handle(batch(records), a_minute()).await;
    assert_eq!(reported(&response), None);
    assert!(world.is_delivered(&before, &good) && world.is_delivered(&after, &good));
    assert_eq!(world.store.status(&broken, &good), None);
}

#[tokio::test(start_paused = true)]
async fn an_item_of_a_later_version_waits_for_its_reader() {
    let world = World::new();
    let records = vec![raw_record(
        serde_json::json!({"id": {"S": "evt_1"}, "v": {"N": "999"}}),
        "42",
    )];
    assert_eq!(
        reported(&world.function.handle(batch(records), a_minute()).await).as_deref(),
        Some("42")
    );
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_one_record_stops_no_other() {
    let world = World::new();
    let ours = organization();
    let good = webhook(&ours, "good.example", &[]);
    world.store.add(&good);
    let events: Vec<_> = (0..5).map(|i| event(&ours, &i.to_string(), "a.b")).collect();
    let bad = events[2].id.to_string();
    world
        .store
        .fault(move |called, key| (called == "deliveries_of" && key == bad).then_some(Fault::Panic));
    assert_eq!(world.handle(&events.iter().collect::<Vec<_>>()).await, None);
    for (i, event) in events.iter().enumerate() {
        assert_eq!(world.is_delivered(event, &good), i != 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_over_one_webhook_leaves_it_to_retry_and_stops_no_other() {
    let world = World::new();
    let ours = organization();
    let (good, bad) = (webhook(&ours, "good.example", &[]), webhook(&ours, "bad.example", &[]));
    world.store.add(&good);
    world.store.add(&bad);
    world.sender.set(&bad, Behaviour::Panic);
    let event = event(&ours, "1", "a.b");
    assert_eq!(world.handle(&[&event]).await, None);
    assert!(world.is_delivered(&event, &good) && world.is_parked(&event, &bad));
}

#[tokio::test(start_paused = true)]
async fn health_that_cannot_be_noted_fails_nothing() {
    let world = World::new();
    let ours = organization();
    let bad = webhook(&ours, "bad.example", &[]);
    world.store.add(&bad);
    world.sender.set(&bad, Behaviour::Answer(500));
    world
        .store
        .fault(|called, _| if called == "set_failing" { unavailable() } else { None });
    let event = event(&ours, "1", "a.b");
    assert_eq!(world.handle(&[&event]).await, None);
    assert_eq!(world.store.status(&event, &bad), Some((DeliveryStatus::Due, 1)));
}

#[tokio::test(start_paused = true)]
async fn records_that_announce_no_event_and_empty_batches_are_nothing() {
    let world = World::new();
    assert_eq!(reported(&world.function.handle(batch(vec![]), a_minute()).await), None);
    let mut removal = raw_record(serde_json::json!({}), "1");
    removal.event_name = "REMOVE".into();
    assert_eq!(
        reported(&world.function.handle(batch(vec![removal]), a_minute()).await),
        None
    );
    assert!(world.store.0.calls.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_record_without_a_number_brings_the_batch_again_from_one_that_has_one() {
    let ours = organization();
    let (named, unnamed) = (event(&ours, "1", "a.b"), event(&ours, "2", "a.b"));
    for (records, expected) in [
        (vec![record(&named, "7"), record(&unnamed, "")], Some("7")),
        // Nothing to name it by, which DynamoDB never does: the whole batch fails, so that nothing is lost.
        (vec![record(&unnamed, "")], None),
    ] {
        let world = World::new();
        world.store.add(&webhook(&ours, "good.example", &[]));
        let failing = unnamed.id.to_string();
        world
            .store
            .fault(move |_, key| if key == failing { unavailable() } else { None });
        let mut batch = batch(records);
        // Absent as well as empty.
        for record in &mut batch.records {
            record.change.sequence_number = record.change.sequence_number.take().filter(|text| !text.is_empty());
        }
        let response = world.function.handle(batch, a_minute()).await;
        assert_eq!(response.batch_item_failures.len(), 1);
        assert_eq!(response.batch_item_failures[0].item_identifier.as_deref(), expected);
    }
}
