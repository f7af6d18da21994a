//! Whole batches against a store in memory and a sender that sends nothing.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod support;

use std::sync::atomic::Ordering;
use std::time::Duration;

use aws_lambda_events::streams::DynamoDbEventResponse;
use delivery::Deadline;
use fan_out::{FanOut, Settings};
use jiff::SignedDuration;
use payload::Event;
use payload::delivery::{AttemptError, DeliveryStatus};
use payload::webhook::Webhook;
use store::StoreError;
use support::{
    Behaviour, Fake, FakeSender, Fault, TestClock, a_minute, batch, event, organization, raw_record, record, start,
    webhook,
};

struct World {
    store: Fake,
    sender: FakeSender,
    function: FanOut<Fake, FakeSender, TestClock>,
}

impl World {
    fn new() -> Self {
        Self::with(Settings::default())
    }

    fn with(settings: Settings) -> Self {
        let (store, sender) = (Fake::default(), FakeSender::default());
        let function = FanOut::new(store.clone(), sender.clone(), TestClock::start(), settings);
        Self {
            store,
            sender,
            function,
        }
    }

    /// Handles a batch of these events; their sequence numbers count from 100.
    async fn handle(&self, events: &[&Event]) -> Option<String> {
        let records = events
            .iter()
            .enumerate()
            .map(|(i, event)| record(event, &(100 + i).to_string()))
            .collect();
        reported(&self.function.handle(batch(records), a_minute()).await)
    }

    fn is_delivered(&self, event: &Event, webhook: &Webhook) -> bool {
        self.store.status(event, webhook) == Some((DeliveryStatus::Delivered, 1))
    }

    fn is_parked(&self, event: &Event, webhook: &Webhook) -> bool {
        self.store.status(event, webhook) == Some((DeliveryStatus::Due, 0))
    }
}

/// What a response reports: nothing, or the one place to go on from.
fn reported(response: &DynamoDbEventResponse) -> Option<String> {
    assert!(response.batch_item_failures.len() <= 1, "a checkpoint is one place");
    let failure = response.batch_item_failures.first()?;
    Some(failure.item_identifier.clone().filter(|text| !text.is_empty()).unwrap())
}

fn unavailable() -> Option<Fault> {
    Some(Fault::Error(StoreError::Unavailable("told to".into())))
}

#[tokio::test(start_paused = true)]
async fn an_event_goes_to_every_enabled_webhook_that_wants_it() {
    let world = World::new();
    let (ours, theirs) = (organization(), organization());
    let wants_all = webhook(&ours, "all.example", &[]);
    let wants_live = webhook(&ours, "live.example", &["live.*"]);
    let wants_other = webhook(&ours, "other.example", &["document.*"]);
    let mut disabled = webhook(&ours, "disabled.example", &[]);
    disabled.enabled = false;
    let foreign = webhook(&theirs, "foreign.example", &[]);
    for webhook in [&wants_all, &wants_live, &wants_other, &disabled, &foreign] {
        world.store.add(webhook);
    }
    let event = event(&ours, "1", "live.audio.updated");
    assert_eq!(world.handle(&[&event]).await, None);
    assert!(world.is_delivered(&event, &wants_all) && world.is_delivered(&event, &wants_live));
    for other in [&wants_other, &disabled, &foreign] {
        assert_eq!(
            (world.store.status(&event, other), world.sender.sent_to(other)),
            (None, 0),
            "{}",
            other.name
        );
    }
    let delivery = world.store.delivery(&event, &wants_all).unwrap();
    assert_eq!(
        (delivery.organization, delivery.next_attempt, delivery.fence),
        (ours, None, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn a_repeated_batch_sends_nothing_twice() {
    let world = World::new();
    let ours = organization();
    let (good, bad) = (webhook(&ours, "good.example", &[]), webhook(&ours, "bad.example", &[]));
    world.store.add(&good);
    world.store.add(&bad);
    world.sender.set(&bad, Behaviour::Answer(500));
    let events: Vec<_> = (0..20).map(|i| event(&ours, &i.to_string(), "a.b")).collect();
    let events: Vec<_> = events.iter().collect();
    assert_eq!(world.handle(&events).await, None);
    let sent = world.sender.sent();
    assert_eq!(world.sender.sent_to(&good), 20);
    assert_eq!(world.handle(&events).await, None);
    assert_eq!(world.sender.sent(), sent);
    // Also not what another process makes of the same batch.
    let other = FanOut::new(
        world.store.clone(),
        world.sender.clone(),
        TestClock::start(),
        Settings::default(),
    );
    let records = events.iter().map(|event| record(event, "1")).collect();
    assert_eq!(reported(&other.handle(batch(records), a_minute()).await), None);
    assert_eq!(world.sender.sent(), sent);
}

#[tokio::test(start_paused = true)]
async fn what_is_read_once_is_read_once() {
    let world = World::new();
    let (ours, theirs) = (organization(), organization());
    for i in 0..3 {
        world.store.add(&webhook(&ours, &format!("{i}.example"), &[]));
    }
    world.store.add(&webhook(&theirs, "theirs.example", &[]));
    let events: Vec<_> = (0..30)
        .map(|i| event(if i % 2 == 0 { &ours } else { &theirs }, &i.to_string(), "a.b"))
        .collect();
    assert_eq!(world.handle(&events.iter().collect::<Vec<_>>()).await, None);
    assert_eq!(world.store.calls("webhook_set"), 2);
    assert_eq!(world.store.calls("secrets"), 4);
    assert_eq!(world.store.calls("deliveries_of"), 30);
    assert_eq!(world.store.calls("create_delivery"), 15 * 3 + 15);
}

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
async fn a_failure_is_recorded_and_due_by_the_schedule() {
    let world = World::new();
    let ours = organization();
    let bad = webhook(&ours, "bad.example", &[]);
    world.store.add(&bad);
    world.sender.set(&bad, Behaviour::Answer(500));
    let event = event(&ours, "1", "a.b");
    assert_eq!(world.handle(&[&event]).await, None);
    let delivery = world.store.delivery(&event, &bad).unwrap();
    assert_eq!((delivery.status, delivery.attempts.len()), (DeliveryStatus::Due, 1));
    assert_eq!(
        (delivery.attempts[0].status, delivery.attempts[0].error),
        (Some(500), Some(AttemptError::Status))
    );
    let wait = delivery.next_attempt.unwrap().duration_since(start());
    assert!(
        wait >= SignedDuration::from_secs(48) && wait <= SignedDuration::from_secs(73),
        "{wait}"
    );
    let health = world.store.health(&bad).unwrap();
    assert_eq!((health.failing_since, health.disabled), (Some(start()), None));
}

#[tokio::test(start_paused = true)]
async fn gone_is_final_and_a_throttle_is_heard() {
    let world = World::new();
    let ours = organization();
    let (gone, throttled) = (
        webhook(&ours, "gone.example", &[]),
        webhook(&ours, "throttled.example", &[]),
    );
    world.store.add(&gone);
    world.store.add(&throttled);
    world.sender.set(&gone, Behaviour::Answer(410));
    world.sender.set(&throttled, Behaviour::Throttle(7));
    let event = event(&ours, "1", "a.b");
    assert_eq!(world.handle(&[&event]).await, None);
    assert_eq!(world.store.status(&event, &gone), Some((DeliveryStatus::Exhausted, 1)));
    let wait = world
        .store
        .delivery(&event, &throttled)
        .unwrap()
        .next_attempt
        .unwrap()
        .duration_since(start());
    assert_eq!(wait.as_secs(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_hanging_webhook_delays_no_other_and_leaves_the_fast_lane() {
    let world = World::new();
    let ours = organization();
    let (good, hanging) = (
        webhook(&ours, "good.example", &[]),
        webhook(&ours, "hanging.example", &[]),
    );
    world.store.add(&good);
    world.store.add(&hanging);
    world.sender.set(&hanging, Behaviour::Hang);
    let events: Vec<_> = (0..100).map(|i| event(&ours, &i.to_string(), "a.b")).collect();
    let began = tokio::time::Instant::now();
    assert_eq!(world.handle(&events.iter().collect::<Vec<_>>()).await, None);
    assert!(
        began.elapsed() < Duration::from_secs(4),
        "no more than one limit: {:?}",
        began.elapsed()
    );
    assert!(events.iter().all(|event| world.is_delivered(event, &good)));
    assert_eq!(world.sender.sent_to(&hanging), 1, "one shows how it does");
    let parked = events.iter().filter(|event| world.is_parked(event, &hanging)).count();
    assert_eq!(parked, 99);
    assert_eq!(world.store.calls("set_failing"), 1, "health is written on change only");
    // The next batch of this process does not wait at all.
    let next = event(&ours, "next", "a.b");
    let began = tokio::time::Instant::now();
    assert_eq!(world.handle(&[&next]).await, None);
    assert!(began.elapsed() < Duration::from_millis(100) && world.is_parked(&next, &hanging));
}

#[tokio::test(start_paused = true)]
async fn the_breaker_closes_again() {
    let world = World::new();
    let ours = organization();
    let flaky = webhook(&ours, "flaky.example", &[]);
    world.store.add(&flaky);
    world.sender.set(&flaky, Behaviour::Answer(503));
    let (first, second, third) = (event(&ours, "1", "a"), event(&ours, "2", "a"), event(&ours, "3", "a"));
    world.handle(&[&first]).await;
    world.sender.set(&flaky, Behaviour::Answer(200));
    world.handle(&[&second]).await;
    assert!(world.is_parked(&second, &flaky));
    tokio::time::advance(Settings::default().open_for).await;
    // As retry notes it when the second has succeeded.
    world
        .store
        .change_health(&ours, &flaky.id, |health| health.failing_since = None);
    world.handle(&[&third]).await;
    assert!(world.is_delivered(&third, &flaky));
}

#[tokio::test(start_paused = true)]
async fn a_webhook_that_is_known_to_fail_is_parked() {
    let world = World::new();
    let ours = organization();
    let failing = webhook(&ours, "failing.example", &[]);
    world.store.add(&failing);
    world.store.mark_failing(&failing, start());
    let event = event(&ours, "1", "a.b");
    assert_eq!(world.handle(&[&event]).await, None);
    assert!(world.is_parked(&event, &failing));
    let due = world.store.delivery(&event, &failing).unwrap().next_attempt.unwrap();
    assert!(due.duration_since(start()) < SignedDuration::from_secs(1));
    assert_eq!((world.sender.sent(), world.store.calls("secrets")), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn more_matches_than_the_fast_lane_takes_are_parked() {
    let world = World::new();
    let ours = organization();
    let webhooks: Vec<_> = (0..120).map(|i| webhook(&ours, &format!("{i}.example"), &[])).collect();
    for webhook in &webhooks {
        world.store.add(webhook);
    }
    let event = event(&ours, "1", "a.b");
    assert_eq!(world.handle(&[&event]).await, None);
    assert_eq!(
        webhooks
            .iter()
            .filter(|webhook| world.is_delivered(&event, webhook))
            .count(),
        50
    );
    assert_eq!(
        webhooks
            .iter()
            .filter(|webhook| world.is_parked(&event, webhook))
            .count(),
        70
    );
    // The same places count when the batch comes again.
    assert_eq!(world.handle(&[&event]).await, None);
    assert_eq!(world.sender.sent(), 50);
}

#[tokio::test(start_paused = true)]
async fn no_more_attempts_are_under_way_than_allowed() {
    let world = World::new();
    let ours = organization();
    let webhooks: Vec<_> = (0..20).map(|i| webhook(&ours, &format!("{i}.example"), &[])).collect();
    for webhook in &webhooks {
        world.store.add(webhook);
        world.sender.set(webhook, Behaviour::Slow(Duration::from_millis(100)));
    }
    let events: Vec<_> = (0..20).map(|i| event(&ours, &i.to_string(), "a.b")).collect();
    assert_eq!(world.handle(&events.iter().collect::<Vec<_>>()).await, None);
    assert_eq!(world.sender.sent(), 400);
    let most = world.sender.0.most_in_flight.load(Ordering::SeqCst);
    assert!(most > 40 && most as usize <= Settings::default().in_flight, "{most}");
}

#[tokio::test(start_paused = true)]
async fn a_webhook_that_is_unproven_holds_up_one_batch_and_not_those_beside_it() {
    let world = World::new();
    let ours = organization();
    let (good, hanging) = (
        webhook(&ours, "good.example", &[]),
        webhook(&ours, "hanging.example", &[]),
    );
    world.store.add(&good);
    world.store.add(&hanging);
    world.sender.set(&hanging, Behaviour::Hang);
    let events: Vec<_> = (0..10).map(|i| event(&ours, &i.to_string(), "a.b")).collect();
    let began = tokio::time::Instant::now();
    // Each event is a batch of its own, as from several shards.
    let batches = events.iter().map(|event| async {
        assert_eq!(world.handle(&[event]).await, None);
        began.elapsed()
    });
    let mut times = futures::future::join_all(batches).await;
    times.sort_unstable();
    assert!(times[8] < Duration::from_millis(300), "{times:?}");
    assert!(times[9] >= Duration::from_secs(3), "{times:?}");
    assert!(events.iter().all(|event| world.is_delivered(event, &good)));
    assert_eq!(world.sender.sent_to(&hanging), 1);
}

#[tokio::test(start_paused = true)]
async fn a_webhook_that_is_known_and_begins_to_hang_takes_only_its_own_places() {
    let world = World::new();
    let ours = organization();
    let hanging = webhook(&ours, "hanging.example", &[]);
    world.store.add(&hanging);
    world.handle(&[&event(&ours, "first", "a.b")]).await;
    world.sender.set(&hanging, Behaviour::Hang);
    let events: Vec<_> = (0..100).map(|i| event(&ours, &i.to_string(), "a.b")).collect();
    world.handle(&events.iter().collect::<Vec<_>>()).await;
    assert_eq!(
        world.sender.sent_to(&hanging),
        1 + Settings::default().in_flight_per_webhook
    );
}

#[tokio::test(start_paused = true)]
async fn a_webhook_that_has_failed_and_is_well_in_the_same_batch_is_not_left_as_failing() {
    let world = World::new();
    let ours = organization();
    let flaky = webhook(&ours, "flaky.example", &[]);
    world.store.add(&flaky);
    world.handle(&[&event(&ours, "first", "a.b")]).await;
    world
        .sender
        .set(&flaky, Behaviour::FirstFails(Duration::from_millis(50)));
    let events: Vec<_> = (0..5).map(|i| event(&ours, &i.to_string(), "a.b")).collect();
    world.handle(&events.iter().collect::<Vec<_>>()).await;
    assert_eq!(
        events.iter().filter(|event| world.is_delivered(event, &flaky)).count(),
        4
    );
    let health = world.store.health(&flaky).unwrap();
    assert_eq!(health.failing_since, None, "a success counts");
}

#[tokio::test(start_paused = true)]
async fn asking_for_patience_is_no_failure() {
    let world = World::new();
    let ours = organization();
    let busy = webhook(&ours, "busy.example", &[]);
    world.store.add(&busy);
    world.sender.set(&busy, Behaviour::Throttle(30));
    let (first, second) = (event(&ours, "1", "a.b"), event(&ours, "2", "a.b"));
    world.handle(&[&first]).await;
    assert!(world.store.health(&busy).is_none() && world.store.told().is_empty());
    // And it is left alone for as long as it asked.
    tokio::time::advance(Duration::from_secs(20)).await;
    world.handle(&[&second]).await;
    assert_eq!(world.sender.sent_to(&busy), 1);
    tokio::time::advance(Duration::from_secs(11)).await;
    world.handle(&[&event(&ours, "3", "a.b")]).await;
    assert_eq!(world.sender.sent_to(&busy), 2);
}

#[tokio::test(start_paused = true)]
async fn thousands_of_matches_are_parked_a_few_at_a_time() {
    let world = World::new();
    let ours = organization();
    for i in 0..2000 {
        world.store.add(&webhook(&ours, &format!("h{i}.example"), &[]));
    }
    assert_eq!(world.handle(&[&event(&ours, "1", "a.b")]).await, None);
    assert_eq!(world.store.calls("create_delivery"), 2000);
    let most = world.store.0.most_creating.load(std::sync::atomic::Ordering::SeqCst);
    assert!(most <= 32 + 50, "{most} at a time");
}

#[tokio::test(start_paused = true)]
async fn what_has_no_time_left_is_parked() {
    let world = World::new();
    let ours = organization();
    let slow = webhook(&ours, "slow.example", &[]);
    world.store.add(&slow);
    world.handle(&[&event(&ours, "first", "a.b")]).await;
    world.sender.set(&slow, Behaviour::Slow(Duration::from_millis(2_900)));
    let events: Vec<_> = (0..100).map(|i| event(&ours, &i.to_string(), "a.b")).collect();
    let records = events
        .iter()
        .enumerate()
        .map(|(i, event)| record(event, &i.to_string()))
        .collect();
    let limit = Duration::from_secs(10);
    let began = tokio::time::Instant::now();
    let response = world.function.handle(batch(records), Deadline::after(limit)).await;
    assert_eq!(reported(&response), None);
    assert!(began.elapsed() < limit);
    let delivered = events.iter().filter(|event| world.is_delivered(event, &slow)).count();
    let parked = events.iter().filter(|event| world.is_parked(event, &slow)).count();
    assert_eq!(delivered + parked, 100);
    assert!(delivered >= 16 && parked >= 16, "{delivered} {parked}");
}

#[tokio::test(start_paused = true)]
async fn nothing_leaves_unsigned() {
    let world = World::new();
    let ours = organization();
    let (bare, expired) = (
        webhook(&ours, "bare.example", &[]),
        webhook(&ours, "expired.example", &[]),
    );
    world.store.add(&bare);
    world.store.add(&expired);
    {
        let mut secrets = world.store.0.secrets.lock().unwrap();
        secrets.remove(bare.id.as_str());
        secrets.get_mut(expired.id.as_str()).unwrap().signing[0].expires_at = Some(start());
    }
    let event = event(&ours, "1", "a.b");
    assert_eq!(world.handle(&[&event]).await, None);
    assert!(world.is_parked(&event, &bare) && world.is_parked(&event, &expired));
    assert_eq!(world.sender.sent(), 0);
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
