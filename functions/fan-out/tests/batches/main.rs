//! Whole batches against a store in memory and a sender that sends nothing.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod fast_lane;
mod faults;
#[path = "../support/mod.rs"]
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
