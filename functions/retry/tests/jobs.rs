//! Jobs in whole ticks, against a store in memory and a sender that sends nothing.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod support;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use jiff::SignedDuration;
use payload::delivery::DeliveryStatus;
use payload::event::MAX_HOPS;
use payload::filter::Filter;
use payload::job::{Job, JobFailure, JobKind, JobStatus, Progress};
use payload::webhook::{DisabledReason, Webhook};
use payload::{Clock, Event, OrganizationId};
use retry::{JobSettings, Retry, Settings, Summary};
use store::StoreError;
use support::{Behaviour, Fake, FakeSender, Fault, TestClock, event, five_minutes, organization, start, webhook};

struct World {
    store: Fake,
    sender: FakeSender,
    clock: TestClock,
    settings: Settings,
    function: Retry<Fake, FakeSender, TestClock>,
    organization: OrganizationId,
}

impl World {
    /// A minute after the start, when what happened then is known everywhere.
    async fn new() -> Self {
        Self::with(JobSettings::default()).await
    }

    async fn with(jobs: JobSettings) -> Self {
        let settings = Settings {
            jobs,
            ..Settings::default()
        };
        let (store, sender, clock) = (Fake::default(), FakeSender::default(), TestClock::start());
        let function = Retry::new(store.clone(), sender.clone(), clock.clone(), settings.clone());
        tokio::time::sleep(Duration::from_secs(60)).await;
        Self {
            store,
            sender,
            clock,
            settings,
            function,
            organization: organization(),
        }
    }

    /// The same function in another process.
    fn another(&self) -> Retry<Fake, FakeSender, TestClock> {
        let (store, sender) = (self.store.clone(), self.sender.clone());
        Retry::new(store, sender, self.clock.clone(), self.settings.clone())
    }

    async fn tick(&self) -> Summary {
        self.function.handle(five_minutes()).await
    }

    fn webhook(&self, host: &str) -> Webhook {
        let webhook = webhook(&self.organization, host);
        self.store.add(&webhook);
        webhook
    }

    /// An event without any delivery.
    fn event(&self, name: &str) -> Event {
        let event = event(&self.organization, name);
        self.store
            .0
            .events
            .lock()
            .unwrap()
            .insert(event.id.clone(), event.clone());
        event
    }

    /// A delivery that has ended in this way, of an event of its own.
    fn ended(&self, webhook: &Webhook, name: &str, status: DeliveryStatus) -> Event {
        let event = self.event(name);
        self.store.add_due(&event, webhook, start());
        self.store.tried_before(&event, webhook);
        let mut deliveries = self.store.0.deliveries.lock().unwrap();
        let delivery = deliveries.get_mut(&(event.id.clone(), webhook.id.clone())).unwrap();
        (delivery.status, delivery.next_attempt) = (status, None);
        event
    }

    fn exhausted(&self, webhook: &Webhook, count: usize) -> Vec<Event> {
        let name = |number| format!("{}-{number}", webhook.name);
        (0..count)
            .map(|number| self.ended(webhook, &name(number), DeliveryStatus::Exhausted))
            .collect()
    }

    fn job(&self, kind: JobKind) -> Job {
        self.job_with(kind, |_| {})
    }

    fn job_with(&self, kind: JobKind, change: impl FnOnce(&mut Job)) -> Job {
        let mut job = Job::new(self.organization.clone(), kind, self.clock.now());
        change(&mut job);
        self.store.add_job(&job);
        job
    }

    fn replay_failed(&self, webhook: &Webhook) -> JobKind {
        JobKind::ReplayFailed {
            webhook: webhook.id.clone(),
            since: start(),
            until: self.clock.now(),
        }
    }

    fn recover(&self, webhook: &Webhook) -> JobKind {
        JobKind::Recover {
            webhook: webhook.id.clone(),
            since: start(),
            until: self.clock.now(),
        }
    }

    /// Ticks, a minute apart, until a job has ended.
    async fn run(&self, job: &Job) -> Job {
        for _ in 0..20 {
            self.tick().await;
            let job = self.store.job_now(job);
            if job.status != JobStatus::Running {
                return job;
            }
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        panic!("it does not end: {:?}", self.store.job_now(job));
    }

    fn delivered(&self, events: &[Event], webhook: &Webhook) -> usize {
        let status = |event| self.store.status(event, webhook).0;
        events
            .iter()
            .filter(|event| status(event) == DeliveryStatus::Delivered)
            .count()
    }

    /// How often each event was sent.
    fn sent(&self) -> BTreeMap<String, usize> {
        let mut sent = BTreeMap::new();
        for request in self.sender.0.sent.lock().unwrap().iter() {
            *sent.entry(request.event.to_string()).or_default() += 1;
        }
        sent
    }

    fn has_delivery(&self, event: &Event, webhook: &Webhook) -> bool {
        let deliveries = self.store.0.deliveries.lock().unwrap();
        deliveries.contains_key(&(event.id.clone(), webhook.id.clone()))
    }
}

fn progress(examined: u64, requested: u64) -> Progress {
    Progress {
        examined,
        requested,
        skipped: examined - requested,
    }
}

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
        let to = |sent: &&support::Sent| Some(sent.host.as_str()) == webhook.url.expose().host_str();
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
