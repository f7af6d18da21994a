//! What webhooks answer, and who leaves the fast lane.

use super::*;

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
