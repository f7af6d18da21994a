//! Whole ticks against a store in memory and a sender that sends nothing. Time is paused: it passes when everybody waits.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod support;

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use delivery::{Deadline, Schedule};
use jiff::SignedDuration;
use payload::delivery::{AttemptError, DeliveryStatus};
use payload::webhook::Webhook;
use payload::{Clock, Event};
use retry::{Retry, Settings, Summary};
use store::StoreError;
use support::{
    Behaviour, Fake, FakeSender, Fault, TestClock, event, five_minutes, organization, start, webhook, webhook_in,
};

struct World {
    store: Fake,
    sender: FakeSender,
    clock: TestClock,
    settings: Settings,
    function: Retry<Fake, FakeSender, TestClock>,
}

impl World {
    fn new() -> Self {
        Self::with(Settings::default())
    }

    fn with(settings: Settings) -> Self {
        let (store, sender, clock) = (Fake::default(), FakeSender::default(), TestClock::start());
        let function = Retry::new(store.clone(), sender.clone(), clock.clone(), settings.clone());
        Self {
            store,
            sender,
            clock,
            settings,
            function,
        }
    }

    /// The same function in another process.
    fn another(&self) -> Retry<Fake, FakeSender, TestClock> {
        Retry::new(
            self.store.clone(),
            self.sender.clone(),
            self.clock.clone(),
            self.settings.clone(),
        )
    }

    async fn tick(&self) -> Summary {
        self.function.handle(five_minutes()).await
    }

    /// A webhook with so many due deliveries, due one after another before the start.
    fn waiting(&self, webhook: &Webhook, count: usize) -> Vec<Event> {
        let events: Vec<_> = (0..count)
            .map(|i| event(&webhook.organization, &format!("{}-{i}", webhook.name)))
            .collect();
        for (event, i) in events.iter().zip((0..count).rev()) {
            let ago = SignedDuration::from_millis(i64::try_from(i).unwrap() + 1);
            self.store.add_due(event, webhook, start() - ago);
        }
        events
    }

    fn webhook(&self, host: &str) -> Webhook {
        let webhook = webhook(&organization(), host);
        self.store.add(&webhook);
        webhook
    }

    fn count(&self, events: &[Event], webhook: &Webhook, status: DeliveryStatus) -> usize {
        events
            .iter()
            .filter(|event| self.store.status(event, webhook).0 == status)
            .count()
    }
}

fn unavailable() -> Option<Fault> {
    Some(Fault::Error(StoreError::Unavailable("told to".into())))
}

#[tokio::test(start_paused = true)]
async fn nothing_waiting_costs_one_look_at_all_buckets_together() {
    let world = World::new();
    assert_eq!(world.tick().await, Summary::default());
    assert_eq!((world.store.calls("is_any_waiting"), world.store.calls("due")), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn whether_anything_waits_need_not_be_known() {
    let world = World::new();
    let good = world.webhook("good.example");
    let events = world.waiting(&good, 5);
    world.store.fault(|called, _| {
        if called == "is_any_waiting" {
            unavailable()
        } else {
            None
        }
    });
    assert_eq!(world.tick().await.delivered, 5);
    assert_eq!(world.count(&events, &good, DeliveryStatus::Delivered), 5);
}

#[tokio::test(start_paused = true)]
async fn nothing_due_costs_one_look_at_each_bucket() {
    let world = World::new();
    let good = world.webhook("good.example");
    world.store.add_due(
        &event(&good.organization, "later"),
        &good,
        start() + SignedDuration::from_mins(5),
    );
    assert_eq!(world.tick().await, Summary::default());
    assert_eq!((world.store.calls("due"), world.store.calls("take_lease")), (16, 0));
}

#[tokio::test(start_paused = true)]
async fn what_is_due_is_delivered_and_the_lease_given_back() {
    let world = World::new();
    let good = world.webhook("good.example");
    let events = world.waiting(&good, 250);
    let summary = world.tick().await;
    assert_eq!(
        summary,
        Summary {
            buckets: 1,
            delivered: 250,
            ..Summary::default()
        }
    );
    assert_eq!(world.count(&events, &good, DeliveryStatus::Delivered), 250);
    assert!(world.sender.0.most_to_one.load(Ordering::SeqCst) <= 4);
    let leases = world.store.0.leases.lock().unwrap();
    assert!(leases.values().all(|lease| lease.until < start()));
    assert_eq!(world.store.get(&events[0], &good).fence, 1);
}

#[tokio::test(start_paused = true)]
async fn a_failure_goes_on_along_the_schedule_to_its_end() {
    let world = World::with(Settings {
        schedule: Schedule::new(vec![Duration::ZERO, Duration::from_secs(60), Duration::from_secs(300)]),
        ..Settings::default()
    });
    let bad = world.webhook("bad.example");
    let events = world.waiting(&bad, 1);
    world.sender.set(&bad, Behaviour::Answer(500));
    for (number, (shortest, longest)) in [(48, 73), (240, 361)].into_iter().enumerate() {
        let summary = world.tick().await;
        assert_eq!((summary.retried, summary.exhausted), (1, 0));
        let delivery = world.store.get(&events[0], &bad);
        assert_eq!(
            (delivery.status, delivery.attempts.len()),
            (DeliveryStatus::Due, number + 1)
        );
        assert_eq!(delivery.attempts[number].error, Some(AttemptError::Status));
        let wait = delivery
            .next_attempt
            .unwrap()
            .duration_since(world.clock.now())
            .as_secs();
        assert!((shortest..longest).contains(&(wait + 1)), "{wait}");
        // Nothing is tried before its time.
        assert_eq!(world.tick().await, Summary::default());
        tokio::time::advance(Duration::from_secs(longest.unsigned_abs())).await;
    }
    let summary = world.tick().await;
    assert_eq!((summary.retried, summary.exhausted), (0, 1));
    assert_eq!(world.store.status(&events[0], &bad), (DeliveryStatus::Exhausted, 3));
    assert_eq!(world.tick().await, Summary::default());
}

#[tokio::test(start_paused = true)]
async fn a_success_clears_the_webhooks_health_once() {
    let world = World::new();
    let good = world.webhook("good.example");
    world.waiting(&good, 20);
    world.store.mark_failing(&good, start());
    world.tick().await;
    assert!(!world.store.is_failing(&good));
    assert_eq!(
        (world.store.calls("clear_failing"), world.store.calls("set_failing")),
        (1, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn a_failure_marks_the_webhook_once() {
    let world = World::new();
    let bad = world.webhook("bad.example");
    world.waiting(&bad, 20);
    world.sender.set(&bad, Behaviour::Answer(500));
    world.tick().await;
    assert!(world.store.is_failing(&bad));
    assert_eq!(
        (world.store.calls("clear_failing"), world.store.calls("set_failing")),
        (0, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn overlapping_ticks_share_the_work_and_send_nothing_twice() {
    for ticks in [2, 4] {
        let world = World::new();
        let ours = organization();
        let mut waiting = Vec::new();
        for i in 0..40 {
            let webhook = webhook_in(&ours, &format!("{i}.example"), i % 16);
            world.store.add(&webhook);
            world.sender.set(&webhook, Behaviour::Slow(Duration::from_millis(200)));
            waiting.push((world.waiting(&webhook, 25), webhook));
        }
        let functions: Vec<_> = (0..ticks).map(|_| world.another()).collect();
        let summaries =
            futures::future::join_all(functions.iter().map(|function| function.handle(five_minutes()))).await;
        assert_eq!(world.sender.sent(), 1_000);
        assert_eq!(world.sender.most_often(), 1);
        for (events, webhook) in &waiting {
            assert_eq!(world.count(events, webhook, DeliveryStatus::Delivered), 25);
        }
        assert_eq!(summaries.iter().map(|summary| summary.delivered).sum::<u32>(), 1_000);
        let at_work = summaries.iter().filter(|summary| summary.delivered > 0).count();
        assert!(at_work >= 2, "the work is shared: {summaries:?}");
        assert_eq!(summaries.iter().map(|summary| summary.lost).sum::<u32>(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn ticks_that_start_a_minute_apart_send_nothing_twice() {
    let world = World::new();
    let slow = world.webhook("slow.example");
    let events = world.waiting(&slow, 40);
    world.sender.set(&slow, Behaviour::Slow(Duration::from_secs(20)));
    let (first, second, third) = (world.another(), world.another(), world.another());
    let later = async |function: &Retry<_, _, _>, minutes: u64| {
        tokio::time::sleep(Duration::from_secs(60 * minutes)).await;
        function.handle(five_minutes()).await
    };
    tokio::join!(later(&first, 0), later(&second, 1), later(&third, 2));
    assert_eq!(
        world.count(&events, &slow, DeliveryStatus::Delivered),
        40,
        "longer than one lease, renewed in time"
    );
    assert_eq!((world.sender.sent(), world.sender.most_often()), (40, 1));
    assert!(world.store.calls("renew_lease") >= 9);
}

#[tokio::test(start_paused = true)]
async fn a_lost_lease_cannot_write_and_begins_nothing() {
    let world = World::new();
    let slow = world.webhook("slow.example");
    let events = world.waiting(&slow, 10);
    world.sender.set(&slow, Behaviour::Slow(Duration::from_secs(25)));
    let bucket = payload::delivery::Delivery::bucket(&slow.id);
    let steal = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        world.store.steal(bucket);
        // The new owner has written one of those that are under way, and the old one must not undo it.
        let mut deliveries = world.store.0.deliveries.lock().unwrap();
        let stored = deliveries.get_mut(&(events[0].id.clone(), slow.id.clone())).unwrap();
        stored.fence = 2;
        stored.next_attempt = Some(start() + SignedDuration::from_hours(2));
    };
    let (summary, ()) = tokio::join!(world.tick(), steal);
    assert_eq!(summary.lost, 1);
    let delivery = world.store.get(&events[0], &slow);
    assert_eq!(
        (delivery.status, delivery.attempts.len(), delivery.fence),
        (DeliveryStatus::Due, 0, 2)
    );
    assert_eq!(world.sender.sent(), 4, "nothing begins after the renewal failed");
    assert_eq!(
        world.store.0.leases.lock().unwrap()[&bucket].owner,
        "another",
        "another's lease is not given back"
    );
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_cannot_be_renewed_is_worked_under_only_while_it_lasts() {
    let world = World::new();
    let slow = world.webhook("slow.example");
    world.waiting(&slow, 100);
    world.sender.set(&slow, Behaviour::Slow(Duration::from_secs(10)));
    world
        .store
        .fault(|called, _| if called == "renew_lease" { unavailable() } else { None });
    let began = tokio::time::Instant::now();
    world.tick().await;
    // The last attempt begins while the lease of 90 s covers 40 s more.
    assert!(began.elapsed() <= Duration::from_secs(62), "{:?}", began.elapsed());
    assert!(
        world.sender.sent() >= 20 && world.sender.sent() <= 24,
        "{}",
        world.sender.sent()
    );
}

#[tokio::test(start_paused = true)]
async fn a_bucket_that_another_holds_is_left_alone() {
    let world = World::new();
    let good = world.webhook("good.example");
    world.waiting(&good, 3);
    world.tick().await;
    world.waiting(&good, 3);
    world.store.steal(payload::delivery::Delivery::bucket(&good.id));
    assert_eq!(world.tick().await, Summary::default());
    assert_eq!(world.sender.sent(), 3);
    // A lease ends by itself when its owner is gone.
    tokio::time::advance(Duration::from_secs(3_601)).await;
    assert_eq!(world.tick().await.delivered, 3);
}

#[tokio::test(start_paused = true)]
async fn an_index_that_is_behind_sends_nothing_again() {
    let world = World::with(Settings {
        page: 4,
        ..Settings::default()
    });
    let good = world.webhook("good.example");
    let events = world.waiting(&good, 30);
    world.tick().await;
    let keys: Vec<_> = events.iter().map(|event| (event.id.clone(), good.id.clone())).collect();
    world.store.0.stale.lock().unwrap().extend(keys);
    // What is really due stands behind all those that only seem to be.
    let fresh = event(&good.organization, "fresh");
    world.store.add_due(&fresh, &good, start());
    assert_eq!(world.tick().await.delivered, 1);
    assert_eq!((world.sender.sent(), world.sender.most_often()), (31, 1));
}

#[tokio::test(start_paused = true)]
async fn a_hanging_webhook_does_not_keep_others_of_its_bucket_waiting_for_long() {
    let world = World::with(Settings {
        page: 20,
        ..Settings::default()
    });
    let ours = organization();
    let (hanging, good) = (
        webhook_in(&ours, "hanging.example", 7),
        webhook_in(&ours, "good.example", 7),
    );
    world.store.add(&hanging);
    world.store.add(&good);
    world.sender.set(&hanging, Behaviour::Hang);
    // The hanging one's fill many pages before the good one's.
    let stuck = world.waiting(&hanging, 500);
    let events: Vec<_> = (0..10).map(|i| event(&ours, &format!("good-{i}"))).collect();
    for event in &events {
        world.store.add_due(event, &good, start());
    }
    let began = tokio::time::Instant::now();
    let summary = world.tick().await;
    assert_eq!((summary.delivered, summary.retried, summary.left), (10, 4, 496));
    assert!(began.elapsed() < Duration::from_secs(40), "{:?}", began.elapsed());
    assert_eq!(world.sender.sent_to(&hanging), 4);
    assert_eq!(world.count(&stuck, &hanging, DeliveryStatus::Due), 500);
}

#[tokio::test(start_paused = true)]
async fn a_webhook_that_fails_again_and_again_is_left_for_the_rest_of_the_tick() {
    let world = World::new();
    let bad = world.webhook("bad.example");
    world.waiting(&bad, 50);
    world.sender.set(&bad, Behaviour::Answer(500));
    let summary = world.tick().await;
    let begun = u32::try_from(world.sender.sent()).unwrap();
    assert!(
        (5..=8).contains(&begun),
        "five in a row, and those under way with them: {begun}"
    );
    assert_eq!((summary.retried, summary.left), (begun, 50 - begun));
}

#[tokio::test(start_paused = true)]
async fn a_webhook_that_asks_for_patience_gets_it_also_from_the_next_tick() {
    let world = World::new();
    let busy = world.webhook("busy.example");
    world.waiting(&busy, 20);
    world.sender.set(&busy, Behaviour::Throttle(600));
    world.tick().await;
    let sent = world.sender.sent();
    assert!(sent <= 4, "{sent}");
    tokio::time::advance(Duration::from_secs(300)).await;
    assert_eq!(world.tick().await.delivered, 0);
    assert_eq!(world.sender.sent(), sent);
    tokio::time::advance(Duration::from_secs(301)).await;
    world.sender.set(&busy, Behaviour::Answer(200));
    assert_eq!(world.tick().await.delivered, 20);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_or_disabled_webhook_gets_nothing() {
    let world = World::new();
    let ours = organization();
    let (deleted, mut disabled) = (webhook(&ours, "deleted.example"), webhook(&ours, "disabled.example"));
    disabled.enabled = false;
    world.store.add(&disabled);
    let events = world.waiting(&deleted, 1);
    let others = world.waiting(&disabled, 1);
    assert_eq!(world.tick().await.cancelled, 2);
    assert_eq!(world.store.status(&events[0], &deleted), (DeliveryStatus::Cancelled, 0));
    assert_eq!(
        world.store.status(&others[0], &disabled),
        (DeliveryStatus::Cancelled, 0)
    );
    assert_eq!(world.sender.sent(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_gone_broken_or_anothers_ends_its_delivery() {
    let world = World::new();
    let good = world.webhook("good.example");
    let events = world.waiting(&good, 3);
    {
        let mut stored = world.store.0.events.lock().unwrap();
        stored.remove(&events[0].id);
        stored.get_mut(&events[1].id).unwrap().data = payload::event::Content::Span(0, 500);
        stored.get_mut(&events[2].id).unwrap().organization = organization();
    }
    assert_eq!(world.tick().await.exhausted, 3);
    assert_eq!(world.count(&events, &good, DeliveryStatus::Exhausted), 3);
    assert_eq!(world.sender.sent(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_signed_waits_without_an_attempt() {
    let world = World::new();
    let bare = world.webhook("bare.example");
    let events = world.waiting(&bare, 1);
    let secrets = world.store.0.secrets.lock().unwrap().remove(bare.id.as_str()).unwrap();
    assert_eq!(world.tick().await.set_aside, 1);
    assert_eq!(world.store.status(&events[0], &bare), (DeliveryStatus::Due, 0));
    assert_eq!(
        world.tick().await,
        Summary::default(),
        "it is not looked at every minute"
    );
    world
        .store
        .0
        .secrets
        .lock()
        .unwrap()
        .insert(bare.id.to_string(), secrets);
    tokio::time::advance(Duration::from_secs(3_601)).await;
    assert_eq!(world.tick().await.delivered, 1);
}

#[tokio::test(start_paused = true)]
async fn a_panic_over_one_delivery_stops_no_other() {
    let world = World::new();
    let ours = organization();
    let (good, bad) = (
        webhook_in(&ours, "good.example", 3),
        webhook_in(&ours, "bad.example", 3),
    );
    world.store.add(&good);
    world.store.add(&bad);
    world.sender.set(&bad, Behaviour::Panic);
    let (events, stuck) = (world.waiting(&good, 5), world.waiting(&bad, 5));
    let summary = world.tick().await;
    assert_eq!((summary.delivered, summary.set_aside), (5, 5));
    assert_eq!(world.count(&events, &good, DeliveryStatus::Delivered), 5);
    assert_eq!(world.count(&stuck, &bad, DeliveryStatus::Due), 5);
}

#[tokio::test(start_paused = true)]
async fn a_store_in_trouble_ends_the_work_on_the_bucket_and_nothing_is_lost() {
    for operation in [
        "due",
        "take_lease",
        "delivery",
        "webhook_set",
        "secrets",
        "event",
        "update_delivery",
        "release_lease",
    ] {
        let world = World::new();
        let good = world.webhook("good.example");
        let events = world.waiting(&good, 10);
        world
            .store
            .fault(move |called, _| if called == operation { unavailable() } else { None });
        world.tick().await;
        assert!(world.sender.sent() <= 10, "{operation}");
        world.store.no_fault();
        tokio::time::advance(Duration::from_secs(91)).await;
        world.tick().await;
        assert_eq!(
            world.count(&events, &good, DeliveryStatus::Delivered),
            10,
            "{operation}"
        );
        let again = if operation == "update_delivery" { 2 } else { 1 };
        assert!(world.sender.most_often() <= again, "{operation}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_delivery_that_cannot_be_read_or_written_stands_in_nobodys_way() {
    for operation in ["delivery", "update_delivery"] {
        let world = World::with(Settings {
            page: 2,
            ..Settings::default()
        });
        let good = world.webhook("good.example");
        let events = world.waiting(&good, 10);
        let poison: HashSet<_> = events[..3].iter().map(|event| event.id.to_string()).collect();
        world.store.fault(move |called, key| {
            (called == operation && poison.contains(key))
                .then(|| Fault::Error(StoreError::Unreadable("told to".into())))
        });
        let summary = world.tick().await;
        assert_eq!((summary.delivered, summary.left), (7, 3), "{operation}");
        assert_eq!(world.sender.most_often(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_begins_that_the_deadline_would_cut_off() {
    let world = World::new();
    let slow = world.webhook("slow.example");
    world.waiting(&slow, 100);
    world.sender.set(&slow, Behaviour::Slow(Duration::from_secs(20)));
    let limit = Duration::from_secs(100);
    let began = tokio::time::Instant::now();
    let summary = world.function.handle(Deadline::after(limit)).await;
    assert!(began.elapsed() < limit - world.settings.margin, "{:?}", began.elapsed());
    assert!(summary.delivered >= 12 && summary.left > 0, "{summary:?}");
    assert_eq!(
        world.function.handle(Deadline::after(Duration::from_secs(39))).await,
        Summary::default()
    );
}

#[tokio::test(start_paused = true)]
async fn no_more_attempts_are_under_way_than_allowed() {
    let world = World::new();
    let ours = organization();
    for i in 0..100 {
        let webhook = webhook(&ours, &format!("{i}.example"));
        world.store.add(&webhook);
        world.sender.set(&webhook, Behaviour::Slow(Duration::from_secs(1)));
        world.waiting(&webhook, 5);
    }
    assert_eq!(world.tick().await.delivered, 500);
    assert!(world.sender.0.most.load(Ordering::SeqCst) <= 64);
    assert!(world.sender.0.most_to_one.load(Ordering::SeqCst) <= 4);
}

#[tokio::test(start_paused = true)]
async fn what_one_webhook_is_owed_does_not_lie_before_what_others_are() {
    let world = World::new();
    let slow = webhook_in(&organization(), "slow.example", 3);
    let other = webhook_in(&organization(), "other.example", 3);
    for webhook in [&slow, &other] {
        world.store.add(webhook);
    }
    world.waiting(&slow, 3_000);
    world.sender.set(&slow, Behaviour::Slow(Duration::from_secs(1)));
    let newer = event(&other.organization, "newer");
    world.store.add_due(&newer, &other, start());
    let began = tokio::time::Instant::now();
    world.tick().await;
    let sent = world.sender.0.sent.lock().unwrap().clone();
    let when = sent.iter().find(|sent| sent.host == "other.example").unwrap().at;
    // As long as it takes to fill one lane, and not to read thirty pages a second apart.
    let waited = when.duration_since(began);
    assert!(waited < Duration::from_secs(15), "{waited:?}");
    // What was passed over at first has its turn in the same tick.
    assert!(world.sender.sent_to(&slow) > 1_000, "{}", world.sender.sent_to(&slow));
    assert_eq!(world.sender.most_often(), 1);
}
