//! Jobs that are killed, overtaken, ended or poisonous.

use super::*;

/// The operations that only work on jobs makes.
const OF_JOBS: [&str; 7] = [
    "job",
    "deliveries_between",
    "events_between",
    "create_delivery",
    "replace_delivery",
    "save_job",
    "release_job_lease",
];

#[tokio::test(start_paused = true)]
async fn killed_before_any_write_it_asks_once_and_counts_once() {
    let mut writes = 0;
    for is_recovery in [false, true] {
        for killed_at in 1.. {
            let world = World::with(JobSettings {
                page: 4,
                together: 3,
                ..JobSettings::default()
            })
            .await;
            let webhook = world.webhook("mended.example");
            let job = if is_recovery {
                (0..10).for_each(|number| drop(world.event(&format!("missed-{number}"))));
                world.job(world.recover(&webhook))
            } else {
                world.exhausted(&webhook, 10);
                world.job(world.replay_failed(&webhook))
            };
            let count = Arc::new(AtomicU32::new(0));
            let counted = Arc::clone(&count);
            // From there on nothing of it is done any more, as after a kill.
            world.store.fault(move |operation, _| {
                if matches!(operation, "create_delivery" | "replace_delivery" | "save_job") {
                    counted.fetch_add(1, Ordering::SeqCst);
                }
                let is_dead = counted.load(Ordering::SeqCst) >= killed_at && OF_JOBS.contains(&operation);
                is_dead.then(|| Fault::Error(StoreError::Unavailable("killed".into())))
            });
            world.tick().await;
            let was_killed = count.load(Ordering::SeqCst) >= killed_at;
            world.store.no_fault();
            // The lease of the killed one ends.
            tokio::time::sleep(Duration::from_secs(100)).await;
            let job = world.run(&job).await;
            assert_eq!(
                (job.status, job.progress),
                (JobStatus::Done, progress(10, 10)),
                "killed at {killed_at}"
            );
            tokio::time::sleep(Duration::from_secs(60)).await;
            world.tick().await;
            let sent = world.sent();
            assert!(
                sent.len() == 10 && sent.values().all(|times| *times == 1),
                "killed at {killed_at}: {sent:?}"
            );
            if !was_killed {
                break;
            }
            writes += 1;
        }
    }
    assert!(writes > 20, "{writes}");
}

#[tokio::test(start_paused = true)]
async fn overlapping_ticks_ask_once() {
    let world = World::new().await;
    let mended = world.webhook("mended.example");
    world.exhausted(&mended, 200);
    let job = world.job_with(world.replay_failed(&mended), |job| job.rate = 6_000);
    let other = world.another();
    tokio::join!(world.tick(), other.handle(five_minutes()));
    let job = world.run(&job).await;
    assert_eq!(job.progress, progress(200, 200));
    tokio::time::sleep(Duration::from_secs(60)).await;
    world.tick().await;
    assert_eq!((world.sender.sent(), world.sender.most_often()), (200, 1));
}

#[tokio::test(start_paused = true)]
async fn two_jobs_for_the_same_deliveries_do_not_get_in_each_others_way() {
    let world = World::new().await;
    let mended = world.webhook("mended.example");
    let failed = world.exhausted(&mended, 20);
    let first = world.job(world.replay_failed(&mended));
    let second = world.job(world.replay_failed(&mended));
    world.tick().await;
    let (first, second) = (world.run(&first).await, world.run(&second).await);
    assert!(first.progress.requested + second.progress.requested >= 20);
    tokio::time::sleep(Duration::from_secs(60)).await;
    world.tick().await;
    assert_eq!(world.delivered(&failed, &mended), 20);
    assert_eq!(world.sender.most_often(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_somebody_ended_asks_for_nothing_more() {
    let world = World::with(JobSettings {
        page: 5,
        ..JobSettings::default()
    })
    .await;
    let mended = world.webhook("mended.example");
    world.exhausted(&mended, 40);
    let job = world.job(world.replay_failed(&mended));
    // Somebody ends it while its second page is under way.
    let (store, pages, id) = (world.store.clone(), AtomicU32::new(0), job.id.clone());
    world.store.fault(move |operation, _| {
        if operation == "deliveries_between" && pages.fetch_add(1, Ordering::SeqCst) == 1 {
            let mut jobs = store.0.jobs.lock().unwrap();
            jobs.get_mut(&id).unwrap().end(JobStatus::Cancelled, None, start());
        }
        None
    });
    world.tick().await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    world.tick().await;
    let job = world.store.job_now(&job);
    assert_eq!((job.status, job.progress), (JobStatus::Cancelled, progress(5, 5)));
    assert_eq!(world.sender.sent(), 10, "what was asked for goes on");
}

#[tokio::test(start_paused = true)]
async fn a_job_whose_webhook_or_event_is_gone_fails_with_the_reason() {
    let world = World::new().await;
    let (disabled, broken) = (world.webhook("disabled.example"), world.webhook("broken.example"));
    let deleted = webhook(&world.organization, "deleted.example");
    let event = world.ended(&disabled, "1", DeliveryStatus::Exhausted);
    world.store.mark_disabled(&disabled, DisabledReason::Gone);
    {
        let mut sets = world.store.0.sets.lock().unwrap();
        let webhooks = Arc::make_mut(&mut sets.get_mut(&world.organization).unwrap().webhooks);
        let stored = webhooks.iter_mut().find(|webhook| webhook.id == broken.id).unwrap();
        stored.filter = serde_json::from_str(r#"{"pattern": "no pattern"}"#).unwrap();
    }
    let replay = |event: &Event, webhook: Option<&Webhook>| JobKind::ReplayEvent {
        event: event.id.clone(),
        webhook: webhook.map(|webhook| webhook.id.clone()),
    };
    let unknown = support::event(&world.organization, "unknown");
    let another = support::event(&organization(), "another's");
    let events = &world.store.0.events;
    events.lock().unwrap().insert(another.id.clone(), another.clone());
    for (kind, failure) in [
        (world.replay_failed(&deleted), JobFailure::WebhookDeleted),
        (world.replay_failed(&disabled), JobFailure::WebhookDisabled),
        (world.recover(&disabled), JobFailure::WebhookDisabled),
        (world.recover(&broken), JobFailure::BadFilter),
        (replay(&event, Some(&deleted)), JobFailure::WebhookDeleted),
        (replay(&unknown, None), JobFailure::EventGone),
        (replay(&another, None), JobFailure::EventGone),
    ] {
        let job = world.job(kind);
        let job = world.run(&job).await;
        assert_eq!((job.status, job.failure), (JobStatus::Failed, Some(failure)), "{job:?}");
        assert_eq!(job.progress, Progress::default());
    }
    assert_eq!(world.sender.sent(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_poisonous_job_stops_no_other() {
    let world = World::new().await;
    let (good, bad, panicking) = (
        world.webhook("good.example"),
        world.webhook("bad.example"),
        world.webhook("panicking.example"),
    );
    let failed = world.exhausted(&good, 3);
    let poison = failed[1].id.to_string();
    let jobs = [&good, &bad, &panicking].map(|webhook| world.job(world.replay_failed(webhook)));
    let (bad_id, panicking_id) = (bad.id.to_string(), panicking.id.to_string());
    world.store.fault(move |operation, key| match operation {
        "deliveries_between" if key == bad_id => Some(Fault::Error(StoreError::Unreadable("told to".into()))),
        "deliveries_between" if key == panicking_id => Some(Fault::Panic),
        "replace_delivery" if key == poison => Some(Fault::Panic),
        _ => None,
    });
    let mut ended = Vec::new();
    for job in &jobs {
        ended.push(world.run(job).await);
    }
    assert_eq!((ended[0].status, ended[0].progress), (JobStatus::Done, progress(3, 2)));
    for ended in &ended[1..] {
        assert_eq!(
            (ended.status, ended.failure),
            (JobStatus::Failed, Some(JobFailure::Internal))
        );
    }
    world.tick().await;
    assert_eq!(world.delivered(&failed, &good), 2);
}
