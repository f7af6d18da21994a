//! What a webhook asks for, how it does, and what is told of it.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod support;

use std::sync::Arc;

use delivery::{Message, SignedPart};
use fan_out::{FanOut, Settings};
use jiff::SignedDuration;
use payload::delivery::{AttemptError, DeliveryStatus};
use payload::event::MAX_HOPS;
use payload::own::{self, News};
use payload::webhook::{DestinationHeader, Disabled, DisabledReason, Format, Method, Rate, Webhook};
use payload::{Event, OrganizationId};
use serde_json::json;
use store::StoreError;
use support::{
    Behaviour, Fake, FakeSender, Fault, TestClock, a_minute, batch, event, filter, organization, record, start, webhook,
};

const FAILING: &str = "hookline.webhook.failing";
const DISABLED: &str = "hookline.webhook.disabled";
const EXHAUSTED: &str = "hookline.delivery.exhausted";

struct World {
    store: Fake,
    sender: FakeSender,
    function: FanOut<Fake, FakeSender, TestClock>,
    organization: OrganizationId,
}

impl World {
    fn new() -> Self {
        let (store, sender) = (Fake::default(), FakeSender::default());
        Self {
            function: FanOut::new(store.clone(), sender.clone(), TestClock::start(), Settings::default()),
            organization: organization(),
            store,
            sender,
        }
    }

    fn add(&self, host: &str, types: &[&str], change: impl FnOnce(&mut Webhook)) -> Webhook {
        let mut webhook = webhook(&self.organization, host, types);
        change(&mut webhook);
        self.store.add(&webhook);
        webhook
    }

    fn event(&self, name: &str) -> Event {
        event(&self.organization, name, "a.b")
    }

    async fn handle(&self, events: &[&Event]) {
        let numbered = events.iter().enumerate();
        let records = numbered
            .map(|(i, event)| record(event, &(100 + i).to_string()))
            .collect();
        let response = self.function.handle(batch(records), a_minute()).await;
        assert!(response.batch_item_failures.is_empty());
    }

    /// What was told so far comes back on the stream, as it does.
    async fn handle_what_was_told(&self) {
        let told = self.store.0.told.lock().unwrap().clone();
        self.handle(&told.iter().collect::<Vec<_>>()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_webhook_that_was_disabled_gets_nothing_and_no_delivery() {
    let world = World::new();
    let (gone, good) = (
        world.add("gone.example", &[], |_| {}),
        world.add("good.example", &[], |_| {}),
    );
    world.store.mark_disabled(&gone, DisabledReason::Gone);
    let event = world.event("1");
    world.handle(&[&event]).await;
    assert_eq!(
        (world.sender.sent_to(&gone), world.store.status(&event, &gone)),
        (0, None)
    );
    assert_eq!(world.sender.sent_to(&good), 1);
}

#[tokio::test(start_paused = true)]
async fn the_matcher_is_that_of_the_set_as_it_is_now() {
    let world = World::new();
    let first = world.add("first.example", &["a.*"], |_| {});
    let (one, two, three) = (world.event("1"), world.event("2"), world.event("3"));
    world.handle(&[&one]).await;
    let second = world.add("second.example", &["a.*"], |_| {});
    world.handle(&[&two]).await;
    let changed = Webhook {
        filter: filter(&json!({"types": ["other.*"]})),
        ..first.clone()
    };
    world.store.replace(&changed);
    world.handle(&[&three]).await;
    assert_eq!((world.sender.sent_to(&first), world.sender.sent_to(&second)), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn the_matcher_is_made_again_only_when_the_set_has_changed() {
    let world = World::new();
    let bad = world.add("bad.example", &[], |webhook| {
        webhook.filter = filter(&json!({"types": 3}))
    });
    // Each time that the filters are read, the bad one is met; that it cannot be noted keeps it in the way.
    world
        .store
        .fault(|called, _| (called == "disable").then(|| Fault::Error(StoreError::Unavailable("told to".into()))));
    for name in ["1", "2", "3"] {
        world.handle(&[&world.event(name)]).await;
    }
    assert_eq!(world.store.calls("disable"), 1);
    world.add("good.example", &[], |_| {});
    for name in ["4", "5"] {
        world.handle(&[&world.event(name)]).await;
    }
    assert_eq!(world.store.calls("disable"), 2);
    assert!(world.store.told().is_empty() && world.sender.sent_to(&bad) == 0);
}

#[tokio::test(start_paused = true)]
async fn a_bad_stored_filter_disables_its_webhook_alone_and_says_so_once() {
    let world = World::new();
    let bad = world.add("bad.example", &[], |webhook| {
        webhook.filter = filter(&json!({"ofALaterDay": ["x"]}))
    });
    let off = world.add("off.example", &[], |webhook| {
        webhook.filter = filter(&json!({"types": 3}));
        webhook.enabled = false;
    });
    let good = world.add("good.example", &[], |_| {});
    let ops = world.add("ops.example", &["hookline.*"], |_| {});
    let events: Vec<_> = (0..10).map(|i| world.event(&i.to_string())).collect();
    world.handle(&events.iter().collect::<Vec<_>>()).await;
    // Another process meets it too.
    let another = FanOut::new(
        world.store.clone(),
        world.sender.clone(),
        TestClock::start(),
        Settings::default(),
    );
    another
        .handle(batch(vec![record(&world.event("x"), "1")]), a_minute())
        .await;
    assert_eq!((world.sender.sent_to(&good), world.sender.sent_to(&bad)), (11, 0));
    assert_eq!(world.store.told(), [(DISABLED.to_owned(), bad.id.to_string())]);
    assert_eq!(
        world.store.health(&bad).unwrap().disabled.unwrap().reason,
        DisabledReason::BadFilter
    );
    assert_eq!(
        world.store.health(&off),
        None,
        "what is not enabled need not be disabled"
    );
    world.handle_what_was_told().await;
    assert_eq!(
        (world.sender.sent_to(&ops), world.sender.sent_to(&good)),
        (1, 11),
        "it goes to those who asked for it"
    );
}

#[tokio::test(start_paused = true)]
async fn a_rate_parks_the_rest_of_a_burst_one_interval_apart() {
    let world = World::new();
    let slack = world.add("slack.example", &[], |webhook| webhook.format = Format::Slack);
    let free = world.add("free.example", &[], |_| {});
    let events: Vec<_> = (0..5).map(|i| world.event(&i.to_string())).collect();
    world.handle(&events.iter().collect::<Vec<_>>()).await;
    assert_eq!((world.sender.sent_to(&slack), world.sender.sent_to(&free)), (1, 5));
    let mut waits: Vec<_> = events
        .iter()
        .filter_map(|event| world.store.delivery(event, &slack).unwrap().next_attempt)
        .map(|at| at.duration_since(start()).as_secs())
        .collect();
    waits.sort_unstable();
    assert_eq!(waits, [1, 2, 3, 4]);
    assert!(world.store.told().is_empty() && world.store.health(&slack).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_long_burst_is_parked_for_a_minute_at_most() {
    let world = World::new();
    let slow = world.add("slow.example", &[], |webhook| {
        webhook.rate = Some(Rate::try_from(60).unwrap())
    });
    let events: Vec<_> = (0..300).map(|i| world.event(&i.to_string())).collect();
    world.handle(&events.iter().collect::<Vec<_>>()).await;
    assert_eq!(world.sender.sent_to(&slow), 1);
    let waits = events
        .iter()
        .filter_map(|event| world.store.delivery(event, &slow).unwrap().next_attempt)
        .map(|at| at.duration_since(start()));
    assert_eq!(waits.max().unwrap(), SignedDuration::from_secs(60));
}

#[tokio::test(start_paused = true)]
async fn gone_disables_at_once_and_says_so() {
    let world = World::new();
    let gone = world.add("gone.example", &[], |_| {});
    world.sender.set(&gone, Behaviour::Answer(410));
    let (first, second) = (world.event("1"), world.event("2"));
    world.handle(&[&first]).await;
    assert_eq!(world.store.status(&first, &gone), Some((DeliveryStatus::Exhausted, 1)));
    let disabled = world.store.health(&gone).unwrap().disabled.unwrap();
    assert_eq!(disabled.reason, DisabledReason::Gone);
    world.handle(&[&second]).await;
    assert_eq!(
        (world.sender.sent_to(&gone), world.store.status(&second, &gone)),
        (1, None)
    );
    let (told, lost) = (
        world.store.told_of(&gone, DISABLED),
        world.store.told_of(&gone, EXHAUSTED),
    );
    assert_eq!((told, lost, world.store.told().len()), (1, 1, 2));
}

#[tokio::test(start_paused = true)]
async fn that_a_webhook_fails_is_told_once() {
    let world = World::new();
    let bad = world.add("bad.example", &[], |_| {});
    world.sender.set(&bad, Behaviour::Answer(500));
    let events: Vec<_> = (0..40).map(|i| world.event(&i.to_string())).collect();
    let (first, second) = events.split_at(20);
    world.handle(&first.iter().collect::<Vec<_>>()).await;
    world.handle(&second.iter().collect::<Vec<_>>()).await;
    assert_eq!(world.store.told(), [(FAILING.to_owned(), bad.id.to_string())]);
}

#[tokio::test(start_paused = true)]
async fn news_that_cannot_be_published_fail_nothing() {
    let world = World::new();
    let bad = world.add("bad.example", &[], |_| {});
    world.sender.set(&bad, Behaviour::Answer(500));
    world
        .store
        .fault(|called, _| (called == "set_failing").then(|| Fault::Error(StoreError::Unavailable("told to".into()))));
    let event = world.event("1");
    world.handle(&[&event]).await;
    assert_eq!(world.store.status(&event, &bad), Some((DeliveryStatus::Due, 1)));
}

#[tokio::test(start_paused = true)]
async fn news_go_to_those_who_asked_and_never_to_whom_they_are_about() {
    let world = World::new();
    // It asked for everything by name, and for what is told of itself.
    let bad = world.add("bad.example", &["*", "hookline.*"], |_| {});
    let ops = world.add("ops.example", &["hookline.*"], |_| {});
    let all = world.add("all.example", &[], |_| {});
    world.sender.set(&bad, Behaviour::Answer(500));
    let event = world.event("1");
    world.handle(&[&event]).await;
    assert_eq!(world.store.told(), [(FAILING.to_owned(), bad.id.to_string())]);
    world.handle_what_was_told().await;
    assert_eq!(world.sender.sent_to(&bad), 1, "the event, and not what was told of it");
    assert_eq!(world.sender.sent_to(&ops), 1);
    assert_eq!(world.sender.sent_to(&all), 1, "no filter wants no news");
}

#[tokio::test(start_paused = true)]
async fn what_becomes_of_news_makes_no_news() {
    for answer in [500, 410] {
        let world = World::new();
        let about = world.add("about.example", &[], |_| {});
        let ops = world.add("ops.example", &["hookline.*"], |_| {});
        world.sender.set(&ops, Behaviour::Answer(answer));
        let disabled = Disabled {
            at: start(),
            reason: DisabledReason::Gone,
        };
        let news = own::event(&about, News::Disabled(&disabled), start());
        world.handle(&[&news]).await;
        assert_eq!(world.sender.sent_to(&ops), 1);
        let health = world.store.health(&ops).unwrap();
        if answer == 500 {
            assert!(health.failing_since.is_some() && world.store.told().is_empty());
        } else {
            // This ends by itself: somebody must enable it first.
            assert_eq!(world.store.status(&news, &ops), Some((DeliveryStatus::Exhausted, 1)));
            assert_eq!(world.store.told(), [(DISABLED.to_owned(), ops.id.to_string())]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_that_goes_in_circles_ends_in_plain_sight() {
    let world = World::new();
    let good = world.add("good.example", &[], |_| {});
    let (last, over) = (
        Event {
            hops: MAX_HOPS - 1,
            ..world.event("1")
        },
        Event {
            hops: MAX_HOPS,
            ..world.event("2")
        },
    );
    world.handle(&[&last, &over]).await;
    assert_eq!(world.store.status(&last, &good), Some((DeliveryStatus::Delivered, 1)));
    assert_eq!(world.sender.0.sent.lock().unwrap()[0].hops, MAX_HOPS - 1);
    let ended = world.store.delivery(&over, &good).unwrap();
    assert_eq!((ended.status, ended.next_attempt), (DeliveryStatus::Exhausted, None));
    assert_eq!(ended.attempts[0].error, Some(AttemptError::Blocked));
    assert!(ended.attempts[0].answer.as_ref().unwrap().contains("circles"));
    assert_eq!(world.sender.sent(), 1);
}

#[tokio::test(start_paused = true)]
async fn each_is_sent_what_it_asked_for() {
    let world = World::new();
    let slack = world.add("slack.example", &[], |webhook| webhook.format = Format::Slack);
    let get = world.add("get.example", &[], |webhook| webhook.method = Method::Get);
    let events = world.add("events.example", &[], |webhook| webhook.format = Format::Cloudevents);
    let header = DestinationHeader::new("Authorization", "Bearer x".into()).unwrap();
    let mut secrets = world.store.0.secrets.lock().unwrap().clone();
    for secrets in secrets.values_mut() {
        secrets.headers.push(header.clone());
    }
    *world.store.0.secrets.lock().unwrap() = secrets;
    let event = world.event("1");
    world.handle(&[&event]).await;
    for (webhook, signed) in [
        (&slack, SignedPart::Nothing),
        (&get, SignedPart::Query),
        (&events, SignedPart::Body),
    ] {
        let sent = world.sender.0.sent.lock().unwrap().clone();
        let sent = sent.iter().find(|sent| sent.host == webhook.name).unwrap();
        assert_eq!(sent.message.signed, signed);
        let expected = Message::render(&event, webhook.format, webhook.method).unwrap();
        assert_eq!(sent.message, expected, "{}", webhook.name);
        assert_eq!(sent.headers, [("Authorization".to_owned(), "Bearer x".to_owned())]);
        assert_eq!(
            world.store.status(&event, webhook),
            Some((DeliveryStatus::Delivered, 1))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_schedule_of_its_own_decides_when_it_is_tried_again() {
    let world = World::new();
    let bad = world.add("bad.example", &[], |webhook| webhook.schedule = Some(vec![1_000]));
    let never = world.add("never.example", &[], |webhook| webhook.schedule = Some(vec![]));
    world.sender.set(&bad, Behaviour::Answer(500));
    world.sender.set(&never, Behaviour::Answer(500));
    let event = world.event("1");
    world.handle(&[&event]).await;
    let wait = world
        .store
        .delivery(&event, &bad)
        .unwrap()
        .next_attempt
        .unwrap()
        .duration_since(start());
    assert!((800..=1_201).contains(&wait.as_secs()), "{wait}");
    assert_eq!(world.store.status(&event, &never), Some((DeliveryStatus::Exhausted, 1)));
    assert_eq!(world.store.told_of(&never, EXHAUSTED), 1);
    let told: Arc<str> = String::from_utf8(world.store.0.told.lock().unwrap()[0].body.to_vec())
        .unwrap()
        .into();
    assert!(!told.contains(".example/"), "no URL in {told}");
}
