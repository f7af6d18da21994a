//! How fast a job goes: behind the fast lane, at its rate, and not ahead of what its webhook takes.

use super::*;

#[tokio::test(start_paused = true)]
async fn what_is_new_is_left_to_the_fast_lane_at_first() {
    let world = World::new().await;
    let late = world.webhook("late.example");
    let event = world.event("new");
    {
        let mut events = world.store.0.events.lock().unwrap();
        events.get_mut(&event.id).unwrap().received_at = world.clock.now();
    }
    for kind in [
        world.recover(&late),
        JobKind::ReplayEvent {
            event: event.id.clone(),
            webhook: Some(late.id.clone()),
        },
    ] {
        let job = world.job(kind);
        world.tick().await;
        assert_eq!(world.store.job_now(&job).status, JobStatus::Running);
    }
    assert!(!world.has_delivery(&event, &late));
    tokio::time::sleep(Duration::from_secs(30)).await;
    world.tick().await;
    assert!(world.has_delivery(&event, &late));
    assert!(
        world
            .store
            .0
            .jobs
            .lock()
            .unwrap()
            .values()
            .all(|job| job.status == JobStatus::Done)
    );
}

#[tokio::test(start_paused = true)]
async fn the_rate_is_kept() {
    let world = World::new().await;
    let mended = world.webhook("mended.example");
    let failed = world.exhausted(&mended, 150);
    let job = world.job_with(world.replay_failed(&mended), |job| job.rate = 60);
    let began = tokio::time::Instant::now();
    let (first, second) = (world.tick().await.requested, world.tick().await.requested);
    // One of them a second, and those of the next minute.
    assert!(first >= 60 && first + second <= 62, "{first}, {second}");
    let ended = world.run(&job).await;
    assert_eq!(ended.progress, progress(150, 150));
    tokio::time::sleep(Duration::from_secs(60)).await;
    world.tick().await;
    assert_eq!(world.delivered(&failed, &mended), 150);
    for (number, sent) in world.sender.0.sent.lock().unwrap().iter().enumerate() {
        let allowed = sent.at.duration_since(began).as_secs() + 1;
        assert!(
            u64::try_from(number).unwrap() < allowed + 1,
            "{number} within {allowed} s"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_webhook_that_takes_less_than_the_job_is_asked_for_less() {
    let world = World::new().await;
    let mut slow = webhook(&world.organization, "slow.example");
    slow.rate = Some(30.try_into().unwrap());
    world.store.add(&slow);
    world.exhausted(&slow, 200);
    let job = world.job(world.replay_failed(&slow));
    world.tick().await;
    let requested = world.store.job_now(&job).progress.requested;
    assert!((30..=32).contains(&requested), "{requested}");
}

#[tokio::test(start_paused = true)]
async fn a_job_does_not_run_ahead_of_what_its_webhook_takes() {
    let world = World::new().await;
    let stuck = world.webhook("stuck.example");
    world.exhausted(&stuck, 4_000);
    world.sender.set(&stuck, Behaviour::Hang);
    let job = world.job(world.replay_failed(&stuck));
    for _ in 0..8 {
        world.tick().await;
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    let ahead = world.store.job_now(&job).progress.requested;
    // Of eight minutes, at the rate of the job, that of two.
    assert!((600..=1_300).contains(&ahead), "{ahead}");
    world.sender.set(&stuck, Behaviour::Answer(200));
    let job = world.run(&job).await;
    assert_eq!((job.status, job.progress), (JobStatus::Done, progress(4_000, 4_000)));
}

#[tokio::test(start_paused = true)]
async fn neither_jobs_nor_what_is_due_wait_for_each_other() {
    let world = World::new().await;
    let (waiting, hanging) = (world.webhook("waiting.example"), world.webhook("hanging.example"));
    world.sender.set(&hanging, Behaviour::Hang);
    let events: Vec<Event> = (0..20)
        .map(|number| event(&world.organization, &format!("due-{number}")))
        .collect();
    for event in &events {
        world.store.add_due(event, &waiting, start());
        world.store.add_due(event, &hanging, start());
    }
    // More than a tick can look at, of a webhook that lies elsewhere.
    let many = world.webhook("many.example");
    (0..30_000).for_each(|number| drop(world.ended(&many, &format!("{number}"), DeliveryStatus::Delivered)));
    let failed = world.exhausted(&many, 1);
    let long = world.job(world.replay_failed(&many));
    let short = world.job(JobKind::ReplayEvent {
        event: failed[0].id.clone(),
        webhook: None,
    });
    let began = tokio::time::Instant::now();
    world.tick().await;
    let sent = world.sender.0.sent.lock().unwrap().clone();
    let when = |webhook: &Webhook| {
        let to = |sent: &&support::sender::Sent| Some(sent.host.as_str()) == webhook.url.expose().host_str();
        sent.iter()
            .filter(to)
            .map(|sent| sent.at.duration_since(began))
            .max()
            .unwrap()
    };
    assert!(when(&waiting) < Duration::from_secs(2), "{:?}", when(&waiting));
    assert_eq!(world.store.job_now(&short).status, JobStatus::Done);
    let progress = world.store.job_now(&long).progress;
    assert!(progress.examined > 1_000, "{progress:?}");
}
