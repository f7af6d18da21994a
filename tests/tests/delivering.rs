//! What happens to a delivery: destinations that fail, hang, disappear; batches that come again; ticks that overlap.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail by panicking")]

use std::collections::HashSet;
use std::time::Duration;

use hookline_tests::api::quartr_message;
use hookline_tests::sink::{Behaviour, Sink};
use hookline_tests::world::World;
use local::engine::FaultKind;
use reqwest::{Method, StatusCode};
use serde_json::Value;

fn only(event: &Value) -> &Value {
    let deliveries = event["deliveries"].as_array().unwrap();
    assert_eq!(deliveries.len(), 1, "{event}");
    &deliveries[0]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_500_is_tried_again_and_then_delivered_under_the_same_id() {
    let world = World::start().await;
    let sink = Sink::start().await;
    world.api.webhook(sink.url(), &[]).await;
    let quartr = world.api.source("quartr").await;
    sink.next([Behaviour::Answer(500), Behaviour::Answer(503)]);
    quartr
        .send_at("msg_1", world.now(), &quartr_message("audio.created", 1))
        .await;
    let id = quartr.event_id("msg_1");
    let event = world
        .api
        .event_when(&id, |event| event["deliveries"].get(0).is_some())
        .await;
    assert_eq!(only(&event)["status"], "due");
    assert_eq!(only(&event)["attempts"][0]["status"], 500);
    assert_eq!(only(&event)["attempts"][0]["error"], "status");
    assert_eq!(only(&event)["attempts"][0]["answer"], "answer of the sink");

    world.tick().await;
    assert_eq!(sink.arrivals().len(), 1, "not due yet");
    world.advance(Duration::from_secs(80));
    world.tick().await;
    let event = world.api.get(&format!("/v1/events/{id}")).await;
    assert_eq!(only(&event)["attempts"].as_array().unwrap().len(), 2);
    assert_eq!(only(&event)["status"], "due");
    world.advance(Duration::from_secs(400));
    world.tick().await;
    let event = world.api.get(&format!("/v1/events/{id}")).await;
    assert_eq!(only(&event)["status"], "delivered");
    assert_eq!(only(&event)["attempts"].as_array().unwrap().len(), 3);

    let arrivals = sink.arrivals();
    assert_eq!(arrivals.len(), 3);
    assert!(arrivals.iter().all(|arrival| arrival.header("webhook-id") == id));
    let bodies: HashSet<_> = arrivals.iter().map(|arrival| arrival.body.clone()).collect();
    assert_eq!(bodies.len(), 1, "the same bytes each time");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_destination_delays_nobody_else() {
    let world = World::start().await;
    let (hangs, good) = (Sink::start().await, Sink::start().await);
    world.api.webhook(hangs.url(), &["audio.created"]).await;
    world.api.webhook(good.url(), &[]).await;
    let quartr = world.api.source("quartr").await;
    hangs.always(Behaviour::Hang);
    quartr
        .send_at("msg_1", world.now(), &quartr_message("audio.created", 1))
        .await;
    good.wait_for(1).await;
    hangs.wait_for(1).await;
    let id = quartr.event_id("msg_1");
    let event = world
        .api
        .event_when(&id, |event| event["deliveries"].as_array().unwrap().len() == 2)
        .await;
    let statuses: HashSet<&str> = event["deliveries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| d["status"].as_str().unwrap())
        .collect();
    assert_eq!(statuses, HashSet::from(["delivered", "due"]));
    let due = event["deliveries"]
        .as_array()
        .unwrap()
        .iter()
        .find(|d| d["status"] == "due")
        .unwrap();
    assert_eq!(due["attempts"][0]["error"], "timeout");

    // While it is failing it leaves the fast lane: its next event is parked without an attempt.
    quartr
        .send_at("msg_2", world.now(), &quartr_message("audio.created", 2))
        .await;
    good.wait_for(2).await;
    let second = quartr.event_id("msg_2");
    world
        .api
        .event_when(&second, |event| event["deliveries"].as_array().unwrap().len() == 2)
        .await;
    assert_eq!(hangs.arrivals().len(), 1);

    hangs.always(Behaviour::Answer(200));
    world.advance(Duration::from_secs(90));
    world.tick().await;
    for id in [id, second] {
        world
            .api
            .event_when(&id, |event| {
                event["deliveries"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .all(|d| d["status"] == "delivered")
            })
            .await;
    }
    // After a success it is back in the fast lane.
    world.advance(Duration::from_secs(90));
    quartr
        .send_at("msg_3", world.now(), &quartr_message("audio.created", 3))
        .await;
    hangs.wait_for(4).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_comes_again_sends_nothing_twice_that_is_recorded() {
    let world = World::start().await;
    let sinks = [Sink::start().await, Sink::start().await, Sink::start().await];
    let mut webhooks = Vec::new();
    for sink in &sinks {
        webhooks.push(world.api.webhook(sink.url(), &[]).await);
    }
    let quartr = world.api.source("quartr").await;
    // One of the three outcomes cannot be written, however often the SDK tries: the batch comes again.
    world.fail(
        FaultKind::InternalServerError,
        "PutItem",
        "DeliveriesTable",
        &webhooks[1].id,
        3,
    );
    quartr
        .send_at("msg_1", world.now(), &quartr_message("audio.created", 1))
        .await;
    let id = quartr.event_id("msg_1");
    world
        .api
        .event_when(&id, |event| {
            event["deliveries"]
                .as_array()
                .is_some_and(|deliveries| deliveries.len() == 3)
        })
        .await;
    world.drained().await;
    let arrivals: Vec<usize> = sinks.iter().map(|sink| sink.arrivals().len()).collect();
    assert_eq!(arrivals, [1, 2, 1], "only what was not recorded is sent again");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn overlapping_ticks_share_the_work() {
    let world = World::start().await;
    let sinks = [
        Sink::start().await,
        Sink::start().await,
        Sink::start().await,
        Sink::start().await,
    ];
    for sink in &sinks {
        sink.next([Behaviour::Answer(500)]);
        world.api.webhook(sink.url(), &[]).await;
    }
    let quartr = world.api.source("quartr").await;
    for round in 0..10 {
        quartr
            .send_at(
                &format!("msg_{round}"),
                world.now(),
                &quartr_message("audio.created", round),
            )
            .await;
    }
    for round in 0..10 {
        let id = quartr.event_id(&format!("msg_{round}"));
        world
            .api
            .event_when(&id, |event| event["deliveries"].as_array().unwrap().len() == 4)
            .await;
    }
    let before: usize = sinks.iter().map(|sink| sink.arrivals().len()).sum();
    let recorded_before = world.attempts(&quartr, 10).await;
    assert_eq!(before, recorded_before);
    world.advance(Duration::from_secs(90));
    tokio::join!(world.tick(), world.tick(), world.tick(), world.tick());
    world.tick().await;
    let after: usize = sinks.iter().map(|sink| sink.arrivals().len()).sum();
    assert_eq!(
        after,
        world.attempts(&quartr, 10).await,
        "each request is a recorded attempt, and none was sent twice"
    );
    for round in 0..10 {
        let event = world
            .api
            .get(&format!("/v1/events/{}", quartr.event_id(&format!("msg_{round}"))))
            .await;
        assert!(
            event["deliveries"]
                .as_array()
                .unwrap()
                .iter()
                .all(|d| d["status"] == "delivered"),
            "{event}"
        );
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_is_deleted_gets_nothing_that_was_still_due() {
    let world = World::start().await;
    let sink = Sink::start().await;
    let webhook = world.api.webhook(sink.url(), &[]).await;
    let quartr = world.api.source("quartr").await;
    sink.next([Behaviour::Answer(500)]);
    quartr
        .send_at("msg_1", world.now(), &quartr_message("audio.created", 1))
        .await;
    let id = quartr.event_id("msg_1");
    world
        .api
        .event_when(&id, |event| event["deliveries"].get(0).is_some())
        .await;
    let (status, _) = world
        .api
        .call(Method::DELETE, &format!("/v1/webhooks/{}", webhook.id), None)
        .await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    world.advance(Duration::from_secs(90));
    world.tick().await;
    let event = world.api.get(&format!("/v1/events/{id}")).await;
    assert_eq!(only(&event)["status"], "cancelled");
    assert_eq!(sink.arrivals().len(), 1);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gone_is_final() {
    let world = World::start().await;
    let sink = Sink::start().await;
    world.api.webhook(sink.url(), &[]).await;
    let quartr = world.api.source("quartr").await;
    sink.next([Behaviour::Answer(410)]);
    quartr
        .send_at("msg_1", world.now(), &quartr_message("audio.created", 1))
        .await;
    let event = world
        .api
        .event_when(&quartr.event_id("msg_1"), |event| event["deliveries"].get(0).is_some())
        .await;
    assert_eq!(only(&event)["status"], "exhausted");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_is_not_there_is_a_recorded_attempt() {
    let world = World::start().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    world.api.webhook(&url, &[]).await;
    let quartr = world.api.source("quartr").await;
    quartr
        .send_at("msg_1", world.now(), &quartr_message("audio.created", 1))
        .await;
    let event = world
        .api
        .event_when(&quartr.event_id("msg_1"), |event| event["deliveries"].get(0).is_some())
        .await;
    assert_eq!(only(&event)["attempts"][0]["error"], "connect");
    assert_eq!(only(&event)["status"], "due");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_due_goes_where_its_webhook_leads_now() {
    let world = World::start().await;
    let (before, after, late) = (Sink::start().await, Sink::start().await, Sink::start().await);
    before.always(Behaviour::Answer(500));
    let moved = world.api.webhook(before.url(), &["audio.*"]).await;
    let quartr = world.api.source("quartr").await;
    quartr
        .send_at("msg_1", world.now(), &quartr_message("audio.created", 1))
        .await;
    before.wait_for(1).await;
    world.drained().await;
    // It moves, and wants other events from now on; another one is made.
    let path = format!("/v1/webhooks/{}", moved.id);
    let patch = serde_json::json!({"url": after.url(), "filter": {"types": ["report.*"]}});
    let (status, answer) = world.api.call(Method::PATCH, &path, Some(&patch)).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    world.api.webhook(late.url(), &["audio.*"]).await;
    world.advance(Duration::from_secs(80));
    world.tick().await;
    assert!(after.wait_for(1).await[0].is_signed_with(&moved.secret));
    let event = world.api.get(&format!("/v1/events/{}", quartr.event_id("msg_1"))).await;
    assert_eq!(only(&event)["status"], "delivered");
    assert_eq!((before.arrivals().len(), late.arrivals().len()), (1, 0));
    world.stop().await;
}
