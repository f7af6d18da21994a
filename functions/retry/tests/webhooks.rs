//! What a webhook asks for, how it does, and what is told of it.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod support;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use payload::delivery::{Delivery, DeliveryStatus};
use payload::event::Content;
use payload::own::{self, News};
use payload::webhook::{DisabledReason, Format, Rate, Webhook};
use payload::{Clock, Event, OrganizationId};
use retry::{Retry, Settings, Summary};
use store::StoreError;
use support::{
    Behaviour, Fake, FakeSender, Fault, TestClock, event, five_minutes, organization, start, webhook, webhook_in,
};

const FAILING: &str = "hookline.webhook.failing";
const RECOVERED: &str = "hookline.webhook.recovered";
const DISABLED: &str = "hookline.webhook.disabled";
const EXHAUSTED: &str = "hookline.delivery.exhausted";

struct World {
    store: Fake,
    sender: FakeSender,
    clock: TestClock,
    function: Retry<Fake, FakeSender, TestClock>,
    organization: OrganizationId,
}

impl World {
    fn new() -> Self {
        let (store, sender, clock) = (Fake::default(), FakeSender::default(), TestClock::start());
        Self {
            function: Retry::new(store.clone(), sender.clone(), clock.clone(), Settings::default()),
            organization: organization(),
            store,
            sender,
            clock,
        }
    }

    fn add(&self, host: &str, change: impl FnOnce(&mut Webhook)) -> Webhook {
        let mut webhook = webhook(&self.organization, host);
        change(&mut webhook);
        self.store.add(&webhook);
        webhook
    }

    /// A webhook whose deliveries lie in the same bucket.
    fn add_beside(&self, other: &Webhook, host: &str) -> Webhook {
        let webhook = webhook_in(&self.organization, host, Delivery::bucket(&other.id));
        self.store.add(&webhook);
        webhook
    }

    fn add_for_another(&self, host: &str) -> Webhook {
        let webhook = webhook(&organization(), host);
        self.store.add(&webhook);
        webhook
    }

    fn slack(&self) -> Webhook {
        self.add("slack.example", |webhook| webhook.format = Format::Slack)
    }

    async fn tick(&self) -> Summary {
        self.function.handle(five_minutes()).await
    }

    /// So many deliveries, due one after another before now.
    fn waiting(&self, webhook: &Webhook, count: usize) -> Vec<Event> {
        let events: Vec<_> = (0..count)
            .map(|i| {
                event(
                    &webhook.organization,
                    &format!("{}-{i}-{}", webhook.name, self.clock.now()),
                )
            })
            .collect();
        for (event, i) in events.iter().zip((0..count).rev()) {
            let ago = SignedDuration::from_millis(i64::try_from(i).unwrap() + 1);
            self.store.add_due(event, webhook, self.clock.now() - ago);
        }
        events
    }

    fn count(&self, events: &[Event], webhook: &Webhook, status: DeliveryStatus, attempts: usize) -> usize {
        let statuses = events.iter().map(|event| self.store.status(event, webhook));
        statuses.filter(|found| *found == (status, attempts)).count()
    }

    /// When each request to the webhook was begun, since the first of them.
    fn times(&self, webhook: &Webhook) -> Vec<Duration> {
        let sent = self.sender.0.sent.lock().unwrap();
        let times: Vec<_> = sent
            .iter()
            .filter(|sent| sent.host == webhook.name)
            .map(|sent| sent.at)
            .collect();
        times.iter().map(|at| *at - times[0]).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn that_a_webhook_is_well_again_is_told_once() {
    let world = World::new();
    let good = world.add("good.example", |_| {});
    world.store.mark_failing(&good, start());
    world.waiting(&good, 20);
    assert_eq!(world.tick().await.delivered, 20);
    assert_eq!(world.store.told(), [(RECOVERED.to_owned(), good.id.to_string())]);
    world.waiting(&good, 20);
    world.tick().await;
    assert_eq!(world.store.told().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn that_a_webhook_fails_is_told_once_and_once_more_after_it_was_well() {
    let world = World::new();
    let flaky = world.add("flaky.example", |_| {});
    for answer in [500, 500, 200, 500] {
        world.sender.set(&flaky, Behaviour::Answer(answer));
        world.waiting(&flaky, 3);
        world.tick().await;
        tokio::time::advance(Duration::from_secs(10)).await;
    }
    assert_eq!(world.store.told_of(&flaky, FAILING), 2);
    assert_eq!(world.store.told_of(&flaky, RECOVERED), 1);
}

#[tokio::test(start_paused = true)]
async fn five_days_without_a_success_disable() {
    let world = World::new();
    let bad = world.add("bad.example", |_| {});
    world.sender.set(&bad, Behaviour::Answer(500));
    let five_days = SignedDuration::from_hours(5 * 24);
    world
        .store
        .mark_failing(&bad, start() - five_days + SignedDuration::from_secs(30));
    let first = world.waiting(&bad, 1);
    world.tick().await;
    assert_eq!(world.count(&first, &bad, DeliveryStatus::Due, 1), 1);
    assert_eq!(
        world.store.health(&bad).unwrap().disabled,
        None,
        "not a moment too early"
    );
    tokio::time::advance(Duration::from_secs(90)).await;
    world.tick().await;
    let second = world.waiting(&bad, 6);
    let disabled = world.store.health(&bad).unwrap().disabled.unwrap();
    assert_eq!(disabled.reason, DisabledReason::Failing);
    assert_eq!(world.store.told(), [(DISABLED.to_owned(), bad.id.to_string())]);
    // What waits for it is not sent any more.
    tokio::time::advance(Duration::from_secs(600)).await;
    let sent = world.sender.sent();
    let summary = world.tick().await;
    assert_eq!((summary.cancelled, world.sender.sent()), (7, sent));
    assert_eq!(
        second
            .iter()
            .filter(|event| world.store.status(event, &bad).0 == DeliveryStatus::Cancelled)
            .count(),
        6
    );
    assert_eq!(world.store.told().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_failure_by_chance_after_days_disables_nothing() {
    let world = World::new();
    let flaky = world.add("flaky.example", |_| {});
    world
        .store
        .mark_failing(&flaky, start() - SignedDuration::from_hours(10 * 24));
    world.sender.set(&flaky, Behaviour::Answer(500));
    let event = world.waiting(&flaky, 1);
    world.tick().await;
    assert_eq!(world.store.health(&flaky).unwrap().disabled, None);
    world.sender.set(&flaky, Behaviour::Answer(200));
    tokio::time::advance(Duration::from_secs(90)).await;
    world.tick().await;
    assert_eq!(world.count(&event, &flaky, DeliveryStatus::Delivered, 2), 1);
    assert_eq!(world.store.health(&flaky).unwrap().failing_since, None);
}

#[tokio::test(start_paused = true)]
async fn a_success_in_the_same_tick_counts_before_what_was_read_earlier() {
    let world = World::new();
    let back = world.add("back.example", |_| {});
    world
        .store
        .mark_failing(&back, start() - SignedDuration::from_hours(6 * 24));
    // All were tried before; the first is taken, and the others meet a receiver that is busy with it.
    let events = world.waiting(&back, 4);
    for event in &events {
        world.store.tried_before(event, &back);
    }
    world.sender.set(&back, Behaviour::OnlyFirstSucceeds);
    world.tick().await;
    let health = world.store.health(&back).unwrap();
    assert_eq!(health.disabled, None, "it had just succeeded");
    assert_eq!(world.store.told_of(&back, RECOVERED), 1);
}

#[tokio::test(start_paused = true)]
async fn patience_ends_when_the_destination_said_and_not_with_the_schedule() {
    let world = World::new();
    let back = world.add("back.example", |_| {});
    let old = world.waiting(&back, 1);
    for _ in 0..8 {
        world.store.tried_before(&old[0], &back);
    }
    world.sender.set(&back, Behaviour::Unavailable(5));
    world.tick().await;
    // That delivery comes again in a day; what is new does not wait for it.
    world.sender.set(&back, Behaviour::Answer(200));
    tokio::time::advance(Duration::from_secs(6)).await;
    let new = world.waiting(&back, 1);
    world.tick().await;
    assert_eq!(world.count(&new, &back, DeliveryStatus::Delivered, 1), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_left_of_one_webhook_does_not_stand_before_the_rest() {
    let world = World::new();
    let stuck = world.add("stuck.example", |_| {});
    let good = world.add_beside(&stuck, "good.example");
    world.sender.set(&stuck, Behaviour::Hang);
    world.waiting(&stuck, 1000);
    tokio::time::advance(Duration::from_secs(1)).await;
    let events = world.waiting(&good, 3);
    world.tick().await;
    assert_eq!(world.count(&events, &good, DeliveryStatus::Delivered, 1), 3);
    assert!(world.store.calls("due") < 200, "{}", world.store.calls("due"));
}

#[tokio::test(start_paused = true)]
async fn an_organization_with_much_that_hangs_leaves_places_for_others() {
    let world = World::new();
    let settings = Settings::default();
    // In one bucket, which one tick works on from its beginning.
    let other = world.add_for_another("other.example");
    for i in 0..200 {
        let hanging = world.add_beside(&other, &format!("hanging{i}.example"));
        world.sender.set(&hanging, Behaviour::Hang);
        world.waiting(&hanging, 4);
    }
    tokio::time::advance(Duration::from_secs(1)).await;
    let events = world.waiting(&other, 4);
    world.tick().await;
    assert_eq!(world.count(&events, &other, DeliveryStatus::Delivered, 1), 4);
    let most = world.sender.0.most.load(std::sync::atomic::Ordering::SeqCst) as usize;
    assert!(most <= settings.in_flight_per_organization + 4, "{most}");
}

#[tokio::test(start_paused = true)]
async fn gone_disables_at_once_and_nothing_more_begins() {
    let world = World::new();
    let gone = world.add("gone.example", |_| {});
    world.sender.set(&gone, Behaviour::Answer(410));
    world.waiting(&gone, 50);
    let summary = world.tick().await;
    assert!(
        world.sender.sent() <= 4,
        "those that were under way: {}",
        world.sender.sent()
    );
    assert_eq!(summary.exhausted as usize, world.sender.sent());
    assert_eq!(
        world.store.health(&gone).unwrap().disabled.unwrap().reason,
        DisabledReason::Gone
    );
    assert_eq!(world.store.told_of(&gone, DISABLED), 1);
    assert_eq!(world.store.told_of(&gone, EXHAUSTED), world.sender.sent());
    assert_eq!(world.tick().await.cancelled, 50 - summary.exhausted);
}

#[tokio::test(start_paused = true)]
async fn what_becomes_of_news_makes_no_news() {
    for answer in [200, 500] {
        let world = World::new();
        let about = world.add("about.example", |_| {});
        let ops = world.add("ops.example", |webhook| webhook.schedule = Some(vec![]));
        if answer == 200 {
            world.store.mark_failing(&ops, start());
        }
        world.sender.set(&ops, Behaviour::Answer(answer));
        let news = own::event(&about, News::Recovered, start());
        world.store.add_due(&news, &ops, start());
        let summary = world.tick().await;
        assert_eq!(summary.delivered + summary.exhausted, 1);
        assert_eq!(world.store.is_failing(&ops), answer == 500, "it is noted all the same");
        assert_eq!(world.store.told(), []);
    }
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_chat_goes_as_one_message() {
    let world = World::new();
    let slack = world.slack();
    let events = world.waiting(&slack, 100);
    let summary = world.tick().await;
    assert_eq!((summary.delivered, summary.left), (100, 0));
    assert_eq!(world.sender.sent(), 1);
    let body = String::from_utf8(world.sender.0.sent.lock().unwrap()[0].message.body.to_vec()).unwrap();
    assert!(body.contains("100 events") && body.contains("a.b"), "{body}");
    assert_eq!(world.count(&events, &slack, DeliveryStatus::Delivered, 1), 100);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_fails_leaves_all_due_and_counts_as_one_failure() {
    let world = World::new();
    let slack = world.slack();
    world.sender.set(&slack, Behaviour::Answer(500));
    let events = world.waiting(&slack, 250);
    let summary = world.tick().await;
    assert_eq!(
        world.sender.sent(),
        3,
        "each part is tried: no five requests have failed"
    );
    assert_eq!((summary.retried, summary.left), (250, 0));
    assert_eq!(world.count(&events, &slack, DeliveryStatus::Due, 1), 250);
    assert_eq!(world.store.told(), [(FAILING.to_owned(), slack.id.to_string())]);
    world.sender.set(&slack, Behaviour::Answer(200));
    tokio::time::advance(Duration::from_secs(80)).await;
    assert_eq!(world.tick().await.delivered, 250);
    assert_eq!(world.store.told_of(&slack, RECOVERED), 1);
}

#[tokio::test(start_paused = true)]
async fn parts_of_a_long_queue_keep_to_the_rate() {
    let world = World::new();
    let slack = world.slack();
    let events = world.waiting(&slack, 450);
    assert_eq!(world.tick().await.delivered, 450);
    assert_eq!(world.count(&events, &slack, DeliveryStatus::Delivered, 1), 450);
    let times = world.times(&slack);
    assert!((5..=8).contains(&times.len()), "{times:?}");
    // What a message is about is read at its place: a part that is shorter is sent a moment sooner after it.
    let almost = Duration::from_millis(950);
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= almost), "{times:?}");
}

#[tokio::test(start_paused = true)]
async fn one_that_cannot_be_read_or_is_gone_does_not_stop_the_message() {
    let world = World::new();
    let slack = world.slack();
    let events = world.waiting(&slack, 50);
    world.store.0.events.lock().unwrap().remove(&events[7].id);
    let poison = events[9].id.to_string();
    world.store.fault(move |called, key| {
        (called == "event" && key == poison).then(|| Fault::Error(StoreError::Unreadable("told to".into())))
    });
    let summary = world.tick().await;
    assert_eq!(
        (summary.delivered, summary.exhausted, summary.left),
        (48, 1, 1),
        "{summary:?}"
    );
    assert_eq!(world.sender.sent(), 1);
    assert_eq!(world.store.status(&events[7], &slack), (DeliveryStatus::Exhausted, 0));
    assert_eq!(world.store.status(&events[9], &slack), (DeliveryStatus::Due, 0));
}

#[tokio::test(start_paused = true)]
async fn one_outcome_that_cannot_be_written_costs_only_its_own() {
    let world = World::new();
    let slack = world.slack();
    let events = world.waiting(&slack, 50);
    let poison = events[3].id.to_string();
    world.store.fault(move |called, key| {
        (called == "update_delivery" && key == poison).then(|| Fault::Error(StoreError::Unavailable("told to".into())))
    });
    let summary = world.tick().await;
    assert_eq!((summary.delivered, summary.left), (49, 1));
    world.store.no_fault();
    tokio::time::advance(Duration::from_secs(91)).await;
    assert_eq!(world.tick().await.delivered, 1);
    assert_eq!(world.sender.sent(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_panic_over_a_message_sets_it_aside_and_stops_no_other() {
    let world = World::new();
    let ours = organization();
    let mut slack = webhook_in(&ours, "slack.example", 3);
    slack.format = Format::Slack;
    let good = webhook_in(&ours, "good.example", 3);
    world.store.add(&slack);
    world.store.add(&good);
    world.sender.set(&slack, Behaviour::Panic);
    let (events, stuck) = (world.waiting(&good, 5), world.waiting(&slack, 25));
    let summary = world.tick().await;
    assert_eq!((summary.delivered, summary.set_aside), (5, 25), "{summary:?}");
    assert_eq!(world.count(&events, &good, DeliveryStatus::Delivered, 1), 5);
    assert_eq!(world.count(&stuck, &slack, DeliveryStatus::Due, 0), 25);
}

#[tokio::test(start_paused = true)]
async fn what_machines_read_is_never_put_together() {
    let world = World::new();
    let raw = world.add("raw.example", |webhook| {
        webhook.rate = Some(Rate::try_from(60).unwrap())
    });
    world.waiting(&raw, 40);
    assert_eq!(world.tick().await.delivered, 40);
    assert_eq!(world.sender.sent(), 40);
}

#[tokio::test(start_paused = true)]
async fn few_for_a_chat_go_one_by_one() {
    let world = World::new();
    let slack = world.slack();
    world.waiting(&slack, 5);
    assert_eq!(world.tick().await.delivered, 5);
    let times = world.times(&slack);
    assert_eq!(times.len(), 5);
    assert!(
        times.windows(2).all(|pair| pair[1] - pair[0] >= Duration::from_secs(1)),
        "{times:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn attempts_keep_their_distance_and_use_the_rate() {
    let world = World::new();
    for (host, per_minute, count) in [("two.example", 120, 60), ("six.example", 6, 12)] {
        let paced = world.add(host, |webhook| webhook.rate = Some(Rate::try_from(per_minute).unwrap()));
        world.waiting(&paced, count);
        world.sender.set(&paced, Behaviour::Slow(Duration::from_millis(300)));
        assert_eq!(world.tick().await.delivered as usize, count, "{host}");
        let interval = Rate::try_from(per_minute).unwrap().interval();
        let times = world.times(&paced);
        assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= interval), "{times:?}");
        let all = interval * u32::try_from(count).unwrap();
        assert!(*times.last().unwrap() < all + Duration::from_secs(5), "{times:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_very_low_rate_gets_its_place_in_every_tick() {
    let world = World::new();
    let slow = world.add("slow.example", |webhook| {
        webhook.rate = Some(Rate::try_from(1).unwrap())
    });
    world.waiting(&slow, 10);
    for tick in 1..=5 {
        let summary = world.tick().await;
        assert_eq!((summary.delivered, world.sender.sent()), (1, tick));
        tokio::time::advance(Duration::from_secs(60)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_rate_keeps_nobody_else_waiting() {
    let settings = Settings {
        page: 20,
        in_flight: 8,
        ..Settings::default()
    };
    let world = World::new();
    let function = Retry::new(world.store.clone(), world.sender.clone(), world.clock.clone(), settings);
    let ours = organization();
    // Many that take one request in ten seconds, and one that takes as many as come, behind them in the same bucket.
    for i in 0..12 {
        let mut paced = webhook_in(&ours, &format!("paced-{i}.example"), 5);
        paced.rate = Some(Rate::try_from(6).unwrap());
        world.store.add(&paced);
        world.waiting(&paced, 10);
    }
    let good = webhook_in(&ours, "good.example", 5);
    world.store.add(&good);
    let events: Vec<_> = (0..100).map(|i| event(&ours, &format!("good-{i}"))).collect();
    for event in &events {
        world.store.add_due(event, &good, start());
    }
    let began = tokio::time::Instant::now();
    let summary = function.handle(five_minutes()).await;
    assert_eq!(summary.delivered, 220, "{summary:?}");
    let sent = world.sender.0.sent.lock().unwrap();
    let last = sent
        .iter()
        .filter(|sent| sent.host == good.name)
        .map(|sent| sent.at)
        .max()
        .unwrap();
    assert!(last - began < Duration::from_secs(15), "{:?}", last - began);
}

#[tokio::test(start_paused = true)]
async fn what_becomes_due_during_a_long_tick_is_found_by_it() {
    let world = World::new();
    let ours = organization();
    let (mut paced, good) = (
        webhook_in(&ours, "paced.example", 5),
        webhook_in(&ours, "good.example", 5),
    );
    paced.rate = Some(Rate::try_from(6).unwrap());
    world.store.add(&paced);
    world.store.add(&good);
    world.waiting(&paced, 12);
    let late = event(&ours, "late");
    let arrives = async {
        tokio::time::sleep(Duration::from_secs(20)).await;
        world.store.add_due(&late, &good, world.clock.now());
        tokio::time::sleep(Duration::from_secs(10)).await;
        world.store.status(&late, &good)
    };
    let (_, status) = tokio::join!(world.tick(), arrives);
    assert_eq!(status, (DeliveryStatus::Delivered, 1));
}

#[tokio::test(start_paused = true)]
async fn each_webhook_has_its_schedule() {
    let world = World::new();
    let quick = world.add("quick.example", |webhook| webhook.schedule = Some(vec![10, 10]));
    let usual = world.add("usual.example", |_| {});
    for webhook in [&quick, &usual] {
        world.sender.set(webhook, Behaviour::Answer(500));
    }
    let (first, second) = (world.waiting(&quick, 1), world.waiting(&usual, 1));
    let wait = |event: &Event, webhook: &Webhook, now: Timestamp| {
        world
            .store
            .get(event, webhook)
            .next_attempt
            .unwrap()
            .duration_since(now)
            .as_secs()
    };
    world.tick().await;
    let now = world.clock.now();
    assert!((7..=12).contains(&wait(&first[0], &quick, now)));
    assert!((47..=72).contains(&wait(&second[0], &usual, now)));
    for _ in 0..2 {
        tokio::time::advance(Duration::from_secs(13)).await;
        world.tick().await;
    }
    assert_eq!(world.store.status(&first[0], &quick), (DeliveryStatus::Exhausted, 3));
    assert_eq!(world.store.told_of(&quick, EXHAUSTED), 1);
    assert_eq!(world.store.status(&second[0], &usual), (DeliveryStatus::Due, 1));
}

#[tokio::test(start_paused = true)]
async fn a_message_tells_what_it_can_of_an_event_that_is_broken() {
    let world = World::new();
    let slack = world.slack();
    let events = world.waiting(&slack, 30);
    world
        .store
        .0
        .events
        .lock()
        .unwrap()
        .get_mut(&events[4].id)
        .unwrap()
        .data = Content::Span(0, 500);
    assert_eq!(world.tick().await.delivered, 30);
    assert_eq!(world.sender.sent(), 1);
}
