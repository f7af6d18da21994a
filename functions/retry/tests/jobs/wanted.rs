//! What a job asks for, and what it leaves.

use super::*;

#[tokio::test(start_paused = true)]
async fn what_a_webhook_failed_to_take_is_sent_again_and_nothing_else() {
    let world = World::new().await;
    let (mended, other) = (world.webhook("mended.example"), world.webhook("other.example"));
    let failed = world.exhausted(&mended, 3);
    let elsewhere = world.exhausted(&other, 2);
    world.ended(&mended, "delivered", DeliveryStatus::Delivered);
    world.ended(&mended, "cancelled", DeliveryStatus::Cancelled);
    let job = world.job(world.replay_failed(&mended));
    let summary = world.tick().await;
    assert_eq!((summary.jobs, summary.requested), (1, 3));
    // At ten a second all of them are due within this tick, or the next.
    let job = world.run(&job).await;
    assert_eq!((job.status, job.progress), (JobStatus::Done, progress(5, 3)));
    assert!(job.ended_at.is_some());
    world.tick().await;
    assert_eq!(world.delivered(&failed, &mended), 3);
    assert_eq!(world.sent().values().copied().collect::<Vec<_>>(), [1, 1, 1]);
    assert_eq!(world.sender.sent_to(&other), 0, "the other one is left alone");
    assert_eq!(
        world.store.status(&elsewhere[0], &other),
        (DeliveryStatus::Exhausted, 1)
    );
    let delivery = world.store.get(&failed[0], &mended);
    assert_eq!(delivery.attempts.len(), 2, "the earlier attempt stays visible");
    assert_eq!(delivery.replay.job, Some(job.id.clone()));
    // Another tick finds nothing to do.
    assert_eq!(world.tick().await, Summary::default());
}

#[tokio::test(start_paused = true)]
async fn the_first_is_sent_within_the_same_tick() {
    let world = World::new().await;
    let mended = world.webhook("mended.example");
    let failed = world.exhausted(&mended, 1);
    world.job(JobKind::ReplayEvent {
        event: failed[0].id.clone(),
        webhook: None,
    });
    world.tick().await;
    assert_eq!(world.delivered(&failed, &mended), 1);
}

#[tokio::test(start_paused = true)]
async fn one_event_is_replayed_to_one_webhook_or_to_all_that_had_it() {
    let world = World::new().await;
    let (first, second, never) = (
        world.webhook("first.example"),
        world.webhook("second.example"),
        world.webhook("never.example"),
    );
    let event = world.ended(&first, "1", DeliveryStatus::Delivered);
    world.ended(&second, "1", DeliveryStatus::Exhausted);
    let replay = |webhook: Option<&Webhook>| JobKind::ReplayEvent {
        event: event.id.clone(),
        webhook: webhook.map(|webhook| webhook.id.clone()),
    };
    let job = world.job(replay(Some(&second)));
    assert_eq!(world.run(&job).await.progress, progress(1, 1));
    let sent = |webhook| world.sender.sent_to(webhook);
    assert_eq!((sent(&first), sent(&second), sent(&never)), (0, 1, 0));

    let job = world.job(replay(None));
    assert_eq!(world.run(&job).await.progress, progress(2, 2));
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.tick().await;
    assert_eq!((sent(&first), sent(&second), sent(&never)), (1, 2, 0));

    // By name also to one that it was never for, whatever its filter says.
    let job = world.job(replay(Some(&never)));
    assert_eq!(world.run(&job).await.progress, progress(1, 1));
    world.tick().await;
    assert_eq!((sent(&first), sent(&second), sent(&never)), (1, 2, 1));

    // One that is disabled is left out.
    world.store.mark_disabled(&second, DisabledReason::Gone);
    let job = world.job(replay(None));
    assert_eq!(world.run(&job).await.progress, progress(3, 2));
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.tick().await;
    assert_eq!((sent(&first), sent(&second), sent(&never)), (2, 2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_webhook_gets_what_it_missed() {
    let world = World::new().await;
    let mut late = webhook(&world.organization, "late.example");
    late.filter = Filter::parse(r#"{"types": ["a.*"]}"#).unwrap().into();
    world.store.add(&late);
    let missed = [world.event("missed-1"), world.event("missed-2")];
    let cancelled = world.ended(&late, "cancelled", DeliveryStatus::Cancelled);
    let taken = world.ended(&late, "taken", DeliveryStatus::Delivered);
    let failed = world.ended(&late, "failed", DeliveryStatus::Exhausted);
    let change = |event: &Event, change: &dyn Fn(&mut Event)| {
        change(world.store.0.events.lock().unwrap().get_mut(&event.id).unwrap());
    };
    let unwanted = world.event("unwanted");
    change(&unwanted, &|event| event.meta.event_type = "b.c".into());
    let before = world.event("before");
    change(&before, &|event| {
        event.received_at = start() - SignedDuration::from_secs(1)
    });
    let in_circles = world.event("circles");
    change(&in_circles, &|event| event.hops = MAX_HOPS);
    let job = world.job(world.recover(&late));
    let job = world.run(&job).await;
    assert_eq!((job.status, job.progress), (JobStatus::Done, progress(7, 3)));
    world.tick().await;
    let sent: HashSet<String> = world.sent().into_keys().collect();
    let expected = [&missed[0], &missed[1], &cancelled].map(|event| event.id.to_string());
    assert_eq!(sent, HashSet::from(expected));
    for event in [&unwanted, &before, &in_circles] {
        assert!(!world.has_delivery(event, &late));
    }
    assert_eq!(world.store.status(&taken, &late), (DeliveryStatus::Delivered, 1));
    assert_eq!(world.store.status(&failed, &late), (DeliveryStatus::Exhausted, 1));
    // What the job recorded first says so, and what was there before does not.
    let first = |event| world.store.get(event, &late).replay.first;
    assert_eq!(
        [&missed[0], &missed[1], &cancelled, &taken].map(first),
        [true, true, false, false]
    );
}

#[tokio::test(start_paused = true)]
async fn what_the_index_shows_to_be_unwanted_is_not_read() {
    let world = World::new().await;
    let mut picky = webhook(&world.organization, "picky.example");
    picky.filter = Filter::parse(r#"{"types": ["none.such"]}"#).unwrap().into();
    world.store.add(&picky);
    (0..600).for_each(|number| drop(world.event(&format!("{number}"))));
    let job = world.job(world.recover(&picky));
    assert_eq!(world.run(&job).await.progress, progress(600, 0));
    // But for the first page, which may come after a crash.
    assert_eq!(world.store.calls("event"), 256);
    assert_eq!(world.store.calls("delivery"), 256);
}

#[tokio::test(start_paused = true)]
async fn a_replay_has_a_schedule_and_an_id_of_its_own() {
    let world = World::new().await;
    let mended = world.webhook("mended.example");
    let failed = world.exhausted(&mended, 1);
    world.sender.set(&mended, Behaviour::Answer(500));
    let job = world.job_with(world.replay_failed(&mended), |job| job.new_message_id = true);
    world.tick().await;
    assert_eq!(world.store.job_now(&job).progress, progress(1, 1));
    let delivery = world.store.get(&failed[0], &mended);
    assert_eq!((delivery.status, delivery.round().len()), (DeliveryStatus::Due, 1));
    world.sender.set(&mended, Behaviour::Answer(200));
    tokio::time::sleep(Duration::from_secs(90)).await;
    world.tick().await;
    assert_eq!(world.delivered(&failed, &mended), 1);
    let sent = world.sender.0.sent.lock().unwrap();
    assert_eq!(sent.len(), 2);
    assert!(
        sent.iter()
            .all(|sent| sent.id == delivery.message_id() && sent.id.starts_with("msg_"))
    );
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_later_attempt_is_brought_forward() {
    let world = World::new().await;
    let mended = world.webhook("mended.example");
    let event = world.event("1");
    world
        .store
        .add_due(&event, &mended, start() + SignedDuration::from_hours(20));
    let job = world.job(JobKind::ReplayEvent {
        event: event.id.clone(),
        webhook: Some(mended.id.clone()),
    });
    assert_eq!(world.run(&job).await.progress, progress(1, 1));
    assert_eq!(world.store.status(&event, &mended).0, DeliveryStatus::Delivered);
    // What is about to be sent anyway is left as it is.
    let soon = world.event("2");
    world
        .store
        .add_due(&soon, &mended, world.clock.now() + SignedDuration::from_secs(30));
    let job = world.job(JobKind::ReplayEvent {
        event: soon.id.clone(),
        webhook: Some(mended.id.clone()),
    });
    assert_eq!(world.run(&job).await.progress, progress(1, 0));
    let left = world.store.get(&soon, &mended);
    assert!(left.next_attempt.is_some_and(|at| at > world.clock.now()) && left.replay.job.is_none());
}
