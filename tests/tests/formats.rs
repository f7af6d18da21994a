//! What leaves the hub in each format, over real HTTP, and what the platforms' own answers come to.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail by panicking")]

use std::time::Duration;

use hookline_tests::api::{Registered, quartr_message};
use hookline_tests::sink::{Arrival, Behaviour, Sink};
use hookline_tests::world::World;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// A webhook of this format at a sink of its own that answers as its platform does.
async fn webhook(world: &World, format: &str, more: Value) -> (Sink, Registered) {
    let sink = Sink::start().await;
    match format {
        "slack" => sink.always(Behaviour::Say(200, "ok")),
        "teams" => sink.always(Behaviour::Say(202, "")),
        _ => {}
    }
    let mut request = json!({"name": format, "url": sink.url(), "format": format});
    request
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let registered = world.api.webhook_with(&request).await;
    (sink, registered)
}

async fn first(sink: &Sink) -> Arrival {
    sink.wait_for(1).await.remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_format_arrives_as_its_readers_expect() {
    let world = World::start().await;
    let (raw, raw_webhook) = webhook(&world, "raw", json!({})).await;
    let (get, get_webhook) = webhook(&world, "raw", json!({"method": "GET"})).await;
    let (original, original_webhook) = webhook(&world, "original", json!({})).await;
    let (cloudevents, cloudevents_webhook) = webhook(&world, "cloudevents", json!({})).await;
    let (slack, _) = webhook(&world, "slack", json!({})).await;
    let (chat, _) = webhook(&world, "google_chat", json!({})).await;
    let (teams, _) = webhook(&world, "teams", json!({})).await;
    let quartr = world.api.source("quartr").await;
    let body = quartr_message("live.audio.updated", 7);
    quartr.send_at("msg_1", world.now(), &body).await;
    let id = quartr.event_id("msg_1");

    let arrival = first(&raw).await;
    assert!(arrival.is_signed_with(&raw_webhook.secret));
    assert_eq!(arrival.json()["type"], "live.audio.updated");
    assert_eq!(arrival.header("hookline-hops"), "1");

    let arrival = first(&get).await;
    assert_eq!((arrival.method.as_str(), arrival.body.len()), ("GET", 0));
    assert!(arrival.is_signed_with(&get_webhook.secret), "{}", arrival.query);
    assert!(arrival.query.contains("type=live.audio.updated"), "{}", arrival.query);

    let arrival = first(&original).await;
    assert_eq!(arrival.body, body, "byte for byte");
    assert!(arrival.is_signed_with(&original_webhook.secret));

    let arrival = first(&cloudevents).await;
    assert_eq!(arrival.header("content-type"), "application/cloudevents+json");
    assert!(arrival.is_signed_with(&cloudevents_webhook.secret));
    assert_eq!(
        (&arrival.json()["specversion"], &arrival.json()["id"]),
        (&json!("1.0"), &json!(id))
    );

    let arrival = first(&slack).await;
    assert!(arrival.json()["blocks"].is_array());
    assert_eq!(arrival.header("webhook-signature"), "", "a chat verifies nothing");
    assert!(
        String::from_utf8_lossy(&arrival.body).contains("notLive"),
        "what changed, old and new"
    );
    assert!(first(&chat).await.json()["cardsV2"].is_array());
    assert!(
        chat.arrivals()[0]
            .query
            .contains("messageReplyOption=REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD")
    );
    assert_eq!(
        first(&teams).await.json()["attachments"][0]["contentType"],
        "application/vnd.microsoft.card.adaptive"
    );

    let event = world
        .api
        .event_when(&id, |event| {
            let deliveries = event["deliveries"].as_array().unwrap();
            deliveries.len() == 7 && deliveries.iter().all(|delivery| delivery["status"] == "delivered")
        })
        .await;
    assert_eq!(event["deliveries"].as_array().unwrap().len(), 7);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_gets_the_headers_it_wants_and_nobody_sees_them() {
    let world = World::start().await;
    let secret = json!({"headers": {"X-Api-Key": "k-123"}, "authorization": {"bearer": "tok-456"}});
    let (sink, registered) = webhook(&world, "raw", secret).await;
    let shown = world.api.get(&format!("/v1/webhooks/{}", registered.id)).await;
    assert!(
        !shown.to_string().contains("k-123") && !shown.to_string().contains("tok-456"),
        "{shown}"
    );
    let quartr = world.api.source("quartr").await;
    quartr
        .send_at("msg_1", world.now(), &quartr_message("audio.created", 1))
        .await;
    let arrival = first(&sink).await;
    assert_eq!(
        (arrival.header("x-api-key"), arrival.header("authorization")),
        ("k-123", "Bearer tok-456")
    );
    for (name, value) in [("Host", "x"), ("Webhook-Id", "x"), ("X", "a\r\nb: c")] {
        let mut headers = serde_json::Map::new();
        headers.insert(name.into(), value.into());
        let request = json!({"name": "x", "url": sink.url(), "headers": headers});
        let (status, problem) = world.api.call(Method::POST, "/v1/webhooks", Some(&request)).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{name}: {problem}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gone_disables_at_once_and_is_told_to_those_who_asked() {
    let world = World::start().await;
    let (alarms, _) = webhook(&world, "raw", json!({"filter": {"types": ["hookline.*"]}})).await;
    let (slack, registered) = webhook(&world, "slack", json!({})).await;
    slack.always(Behaviour::Say(404, "no_service"));
    let quartr = world.api.source("quartr").await;
    quartr
        .send_at("msg_1", world.now(), &quartr_message("audio.created", 1))
        .await;
    let told = alarms.wait_for(2).await;
    let mut types: Vec<String> = told
        .iter()
        .map(|arrival| arrival.json()["type"].as_str().unwrap().to_owned())
        .collect();
    types.sort_unstable();
    assert_eq!(types, ["hookline.delivery.exhausted", "hookline.webhook.disabled"]);
    let shown = world.api.get(&format!("/v1/webhooks/{}", registered.id)).await;
    assert_eq!(shown["health"]["disabled"]["reason"], "gone", "{shown}");

    quartr
        .send_at("msg_2", world.now(), &quartr_message("audio.created", 2))
        .await;
    world.api.event_when(&quartr.event_id("msg_2"), |_| true).await;
    world.drained().await;
    assert_eq!(slack.arrivals().len(), 1, "a disabled webhook gets nothing");

    // Enabled again by its team.
    slack.always(Behaviour::Say(200, "ok"));
    let (status, answer) = world
        .api
        .call(
            Method::PATCH,
            &format!("/v1/webhooks/{}", registered.id),
            Some(&json!({"enabled": true})),
        )
        .await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    world.advance(Duration::from_secs(30));
    quartr
        .send_at("msg_3", world.now(), &quartr_message("audio.created", 3))
        .await;
    slack.wait_for(2).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_chat_goes_as_one_digest() {
    let world = World::start().await;
    let (slack, _) = webhook(&world, "slack", json!({"rateLimit": 6})).await;
    let quartr = world.api.source("quartr").await;
    for number in 0..30 {
        quartr
            .send_at(
                &format!("msg_{number}"),
                world.now(),
                &quartr_message("audio.created", number),
            )
            .await;
    }
    slack.wait_for(1).await;
    world.drained().await;
    let before = slack.arrivals().len();
    assert!(before < 5, "the rate holds: {before}");
    world.advance(Duration::from_secs(600));
    world.tick().await;
    assert_eq!(slack.arrivals().len(), before + 1, "one message for all that waited");
    for number in 0..30 {
        let event = world
            .api
            .get(&format!("/v1/events/{}", quartr.event_id(&format!("msg_{number}"))))
            .await;
        assert_eq!(event["deliveries"][0]["status"], "delivered", "{event}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_goes_in_circles_ends_in_plain_sight() {
    let world = World::start().await;
    let (sink, _) = webhook(&world, "raw", json!({})).await;
    let request = json!({"name": "g", "preset": "generic", "secret": "a-long-token"});
    let source = world.api.source_with(&request).await;
    let headers = [
        ("x-webhook-token", "a-long-token"),
        ("hookline-hops", "8"),
        ("content-type", "application/json"),
    ];
    let response = source
        .request(Method::POST, "", &headers, br#"{"type":"order.paid","id":"o-1"}"#)
        .await;
    let answer: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    let receipt = world
        .api
        .receipt_when(answer["id"].as_str().unwrap(), |receipt| {
            receipt["status"] == "accepted"
        })
        .await;
    let event = world
        .api
        .event_when(receipt["events"][0].as_str().unwrap(), |event| {
            event["deliveries"].get(0).is_some()
        })
        .await;
    assert_eq!(event["deliveries"][0]["status"], "exhausted");
    assert_eq!(event["deliveries"][0]["attempts"][0]["error"], "blocked");
    assert!(sink.arrivals().is_empty());
    world.stop().await;
}
