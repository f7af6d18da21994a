//! The whole way on one machine, with real HTTP and real signatures: what is accepted, and what is not.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail by panicking")]

use std::time::Duration;

use hookline_tests::api::{PROVIDER_SECRET, quartr_message, signed_headers};
use hookline_tests::sink::Sink;
use hookline_tests::world::World;
use jiff::SignedDuration;
use local::engine::FaultKind;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

fn deliveries(event: &Value) -> &Vec<Value> {
    event["deliveries"].as_array().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_webhook_goes_in_and_arrives_signed() {
    let world = World::start().await;
    let sink = Sink::start().await;
    let webhook = world.api.webhook(sink.url(), &["live.*"]).await;
    let quartr = world.api.source("quartr").await;

    let body = quartr_message("live.audio.updated", 328_350);
    let receipt = quartr.send_at("msg_1", world.now(), &body).await;
    let arrival = sink.wait_for(1).await.remove(0);
    let event_id = quartr.event_id("msg_1");

    assert_eq!(arrival.header("webhook-id"), event_id);
    assert!(arrival.is_signed_with(&webhook.secret));
    assert_eq!(arrival.header("content-type"), "application/json");
    let payload = arrival.json();
    assert_eq!(payload["id"], event_id);
    assert_eq!(payload["type"], "live.audio.updated");
    assert_eq!(payload["timestamp"], "2025-03-25T13:31:00Z");
    assert_eq!(payload["source"]["id"], quartr.id);
    assert_eq!(payload["providerEventId"], "msg_1");
    assert_eq!(payload["entity"], json!({"type": "live.audio", "id": "328350"}));
    assert_eq!(payload["action"], "updated");
    assert_eq!(payload["changes"], json!([{"type": "field", "code": "state"}]));
    assert_eq!(payload["data"], serde_json::from_slice::<Value>(&body).unwrap()["data"]);
    assert_eq!(payload["previousAttributes"], json!({"state": "notLive"}));

    let event = world
        .api
        .event_when(&event_id, |event| {
            deliveries(event).first().is_some_and(|d| d["status"] == "delivered")
        })
        .await;
    assert_eq!(deliveries(&event).len(), 1);
    assert_eq!(deliveries(&event)[0]["webhook"], webhook.id);
    assert_eq!(deliveries(&event)[0]["attempts"].as_array().unwrap().len(), 1);
    assert_eq!(deliveries(&event)[0]["attempts"][0]["status"], 200);
    assert!(receipt.starts_with("rcp_"));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_keeps_out_what_is_not_wanted() {
    let world = World::start().await;
    let (live, all) = (Sink::start().await, Sink::start().await);
    world.api.webhook(live.url(), &["live.*"]).await;
    world.api.webhook(all.url(), &[]).await;
    let quartr = world.api.source("quartr").await;
    quartr
        .send_at("msg_1", world.now(), &quartr_message("audio.created", 1))
        .await;
    quartr
        .send_at("msg_2", world.now(), &quartr_message("live.audio.updated", 2))
        .await;
    all.wait_for(2).await;
    let arrivals = live.wait_for(1).await;
    assert_eq!(arrivals.len(), 1);
    assert_eq!(arrivals[0].json()["type"], "live.audio.updated");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_request_is_kept_and_never_delivered() {
    let world = World::start().await;
    let sink = Sink::start().await;
    world.api.webhook(sink.url(), &[]).await;
    let quartr = world.api.source("quartr").await;
    let body = quartr_message("live.audio.updated", 1);

    let wrong = signed_headers("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "msg_1", world.now(), &body);
    let (status, answer) = quartr.send_with(&wrong, &body).await;
    assert_eq!(status, StatusCode::ACCEPTED, "the sender learns nothing about why");
    let receipt = world
        .api
        .receipt_when(answer["id"].as_str().unwrap(), |receipt| {
            receipt["status"] == "rejected"
        })
        .await;
    assert_eq!(receipt["reason"], "signature_mismatch");

    // The genuine message with the same id is no duplicate of the forged one.
    quartr.send_at("msg_1", world.now(), &body).await;
    assert_eq!(sink.wait_for(1).await.len(), 1);
    world.api.event_when(&quartr.event_id("msg_1"), |_| true).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_its_signature_headers_is_refused_and_not_stored() {
    let world = World::start().await;
    let quartr = world.api.source("quartr").await;
    let body = quartr_message("live.audio.updated", 1);
    let [id, timestamp, signature] = signed_headers(PROVIDER_SECRET, "msg_1", world.now(), &body);
    for headers in [
        vec![],
        vec![id.clone(), timestamp.clone()],
        vec![id, timestamp, (signature.0, String::new())],
    ] {
        let (status, problem) = quartr.send_with(&headers, &body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert_eq!(problem["status"], 400);
    }
    assert_eq!(world.count("InboxTable").await, 0);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_sender_does_wrong_is_said() {
    let world = World::start().await;
    let quartr = world.api.source("quartr").await;
    let http = hookline_tests::http();
    let unknown = quartr.url.rsplit_once('/').unwrap().0.to_owned() + "/in_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    for url in [unknown, quartr.url.rsplit_once('/').unwrap().0.to_owned() + "/x"] {
        assert_eq!(
            http.post(&url).body("{}").send().await.unwrap().status(),
            StatusCode::NOT_FOUND
        );
    }
    let answer = http.put(&quartr.url).body("{}").send().await.unwrap();
    assert_eq!(
        (answer.status(), answer.headers()["allow"].to_str().unwrap()),
        (StatusCode::METHOD_NOT_ALLOWED, "POST")
    );

    let large = vec![b'a'; 1024 * 1024 + 1];
    let (status, problem) = quartr
        .send_with(&signed_headers(PROVIDER_SECRET, "msg_1", world.now(), &large), &large)
        .await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(problem["detail"].as_str().unwrap().contains("1048576"), "{problem}");
    let noise: Vec<u8> = (0..12_000)
        .flat_map(|i: u32| payload::id::token_hash(&i.to_string()).into_bytes())
        .collect();
    let (status, problem) = quartr
        .send_with(&signed_headers(PROVIDER_SECRET, "msg_1", world.now(), &noise), &noise)
        .await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(problem["detail"].as_str().unwrap().contains("358400"), "{problem}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_failing_write_is_503_and_the_sender_comes_again() {
    let world = World::start().await;
    let sink = Sink::start().await;
    world.api.webhook(sink.url(), &[]).await;
    let quartr = world.api.source("quartr").await;
    let body = quartr_message("live.audio.updated", 1);
    let headers = signed_headers(PROVIDER_SECRET, "msg_1", world.now(), &body);
    // The SDK tries three times by itself.
    world.fail(FaultKind::InternalServerError, "PutItem", "InboxTable", "", 3);
    let (status, problem) = quartr.send_with(&headers, &body).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(problem["status"], 503);
    assert_eq!(world.count("InboxTable").await, 0);
    let (status, _) = quartr.send_with(&headers, &body).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    sink.wait_for(1).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_retry_is_not_a_duplicate() {
    let world = World::start().await;
    let sink = Sink::start().await;
    world.api.webhook(sink.url(), &[]).await;
    let quartr = world.api.source("quartr").await;
    // The event is written and the answer lost, again and again, until the stream brings the record once more.
    world.fail(
        FaultKind::AppliedThenInternalServerError,
        "PutItem",
        "EventsTable",
        "",
        3,
    );
    let receipt = quartr
        .send_at("msg_1", world.now(), &quartr_message("live.audio.updated", 1))
        .await;
    sink.wait_for(1).await;
    world.drained().await;
    assert_eq!(sink.arrivals().len(), 1);
    assert_eq!(world.count("EventsTable").await, 1);
    assert_eq!(world.outcomes().await, 0, "nothing was a duplicate: {receipt}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_message_again_is_a_duplicate() {
    let world = World::start().await;
    let sink = Sink::start().await;
    world.api.webhook(sink.url(), &[]).await;
    let quartr = world.api.source("quartr").await;
    let body = quartr_message("live.audio.updated", 1);
    quartr.send_at("msg_1", world.now(), &body).await;
    sink.wait_for(1).await;
    // A provider that did not see our answer sends it again, with another timestamp; a replay is the same to the last byte.
    let again = quartr
        .send_at("msg_1", world.now() + SignedDuration::from_secs(5), &body)
        .await;
    let receipt = world
        .api
        .receipt_when(&again, |receipt| receipt["status"] == "duplicate")
        .await;
    assert_eq!(receipt["event"], quartr.event_id("msg_1"));
    world.drained().await;
    assert_eq!(sink.arrivals().len(), 1);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_id_at_the_same_moment_is_one_event() {
    let world = World::start().await;
    let sink = Sink::start().await;
    world.api.webhook(sink.url(), &[]).await;
    let quartr = world.api.source("quartr").await;
    let body = quartr_message("live.audio.updated", 1);
    for round in 0..10 {
        let id = format!("msg_{round}");
        let now = world.now();
        // Both senders get 202: send_at insists on it.
        tokio::join!(quartr.send_at(&id, now, &body), quartr.send_at(&id, now, &body));
    }
    sink.wait_for(10).await;
    world.drained().await;
    assert_eq!(sink.arrivals().len(), 10);
    assert_eq!(world.count("EventsTable").await, 10);
    assert_eq!(world.outcomes().await, 10, "each second one is recorded as a duplicate");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_old_or_ahead_of_its_time_is_rejected() {
    let world = World::start().await;
    let sink = Sink::start().await;
    world.api.webhook(sink.url(), &[]).await;
    let source = world.api.source("standard-webhooks").await;
    let body = br#"{"type":"a.b","data":{}}"#;
    for (offset, reason) in [(-302, "timestamp_too_old"), (302, "timestamp_in_future")] {
        let receipt = source
            .send_at("msg_1", world.now() + SignedDuration::from_secs(offset), body)
            .await;
        let receipt = world
            .api
            .receipt_when(&receipt, |receipt| receipt["status"] == "rejected")
            .await;
        assert_eq!(receipt["reason"], reason);
    }
    source
        .send_at("msg_1", world.now() - SignedDuration::from_secs(290), body)
        .await;
    sink.wait_for(1).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_in_the_middle_of_a_batch_stops_nobody() {
    let world = World::start().await;
    let sink = Sink::start().await;
    world.api.webhook(sink.url(), &[]).await;
    let quartr = world.api.source("quartr").await;
    // What follows gathers behind the first.
    world.fail(
        FaultKind::Delay(Duration::from_millis(300)),
        "GetItem",
        "SecretsTable",
        "",
        1,
    );
    for round in 0..20 {
        quartr
            .send_at(
                &format!("msg_{round}"),
                world.now(),
                &quartr_message("audio.created", round),
            )
            .await;
        if round % 5 == 0 {
            world.put_poison("InboxTable", &format!("poison-{round}")).await;
        }
    }
    sink.wait_for(20).await;
    world.drained().await;
    assert_eq!(sink.arrivals().len(), 20);
    assert_eq!(world.count("EventsTable").await, 20);

    // The same one step further.
    world.put_poison("EventsTable", "poison").await;
    quartr
        .send_at("msg_last", world.now(), &quartr_message("audio.created", 99))
        .await;
    sink.wait_for(21).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_own_event_is_published_once_and_delivered() {
    let world = World::start().await;
    let sink = Sink::start().await;
    let webhook = world.api.webhook(sink.url(), &["order.*"]).await;
    let event = json!({"id": "order-7", "type": "order.paid", "data": {"amount": 12}});
    let (status, first) = world.api.call(Method::POST, "/v1/events", Some(&event)).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{first}");
    let arrival = sink.wait_for(1).await.remove(0);
    assert!(arrival.is_signed_with(&webhook.secret));
    assert_eq!(arrival.json()["data"], json!({"amount": 12}));
    assert_eq!(arrival.json()["id"], first["id"]);
    let (status, second) = world.api.call(Method::POST, "/v1/events", Some(&event)).await;
    assert_eq!((status, &second["id"]), (StatusCode::OK, &first["id"]));
    world.drained().await;
    assert_eq!(sink.arrivals().len(), 1);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_organizations_never_see_each_other() {
    let world = World::start().await;
    let other = world.another_organization().await;
    let (mine, theirs) = (Sink::start().await, Sink::start().await);
    let webhook = world.api.webhook(mine.url(), &[]).await;
    other.webhook(theirs.url(), &[]).await;
    let quartr = world.api.source("quartr").await;
    let receipt = quartr
        .send_at("msg_1", world.now(), &quartr_message("audio.created", 1))
        .await;
    let rejected = signed_headers("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "msg_2", world.now(), b"{}");
    let (_, answer) = quartr.send_with(&rejected, b"{}").await;
    let rejected = answer["id"].as_str().unwrap();
    world
        .api
        .receipt_when(rejected, |receipt| receipt["status"] == "rejected")
        .await;
    mine.wait_for(1).await;
    world.drained().await;
    assert!(theirs.arrivals().is_empty());

    let event = quartr.event_id("msg_1");
    let paths = [
        format!("/v1/sources/{}", quartr.id),
        format!("/v1/webhooks/{}", webhook.id),
        format!("/v1/events/{event}"),
        format!("/v1/receipts/{receipt}"),
        format!("/v1/receipts/{rejected}"),
    ];
    for path in &paths {
        let (status, problem) = other.call(Method::GET, path, None).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        let unknown = format!("{}0", &path[..path.len() - 1]);
        let (_, same) = other.call(Method::GET, &unknown, None).await;
        assert_eq!(
            (&problem["type"], &problem["title"]),
            (&same["type"], &same["title"]),
            "{path}: the same as unknown"
        );
    }
    for path in &paths[..2] {
        assert_eq!(
            other.call(Method::DELETE, path, None).await.0,
            StatusCode::NOT_FOUND,
            "{path}"
        );
        world.api.get(path).await;
    }
    assert_eq!(other.get("/v1/sources").await["data"], json!([]));
    assert_eq!(other.get("/v1/webhooks").await["data"].as_array().unwrap().len(), 1);
    let stranger = hookline_tests::api::Api::new(world.url(), "hk_wrong");
    for path in paths.iter().map(String::as_str).chain(["/v1/sources", "/v1/webhooks"]) {
        assert_eq!(
            stranger.call(Method::GET, path, None).await.0,
            StatusCode::UNAUTHORIZED,
            "{path}"
        );
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_source_takes_nothing_and_a_deleted_webhook_gets_nothing() {
    let world = World::start().await;
    let (gone, stays) = (Sink::start().await, Sink::start().await);
    let webhook = world.api.webhook(gone.url(), &[]).await;
    world.api.webhook(stays.url(), &[]).await;
    let quartr = world.api.source("quartr").await;
    quartr
        .send_at("msg_1", world.now(), &quartr_message("audio.created", 1))
        .await;
    gone.wait_for(1).await;
    let (status, _) = world
        .api
        .call(Method::DELETE, &format!("/v1/webhooks/{}", webhook.id), None)
        .await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    quartr
        .send_at("msg_2", world.now(), &quartr_message("audio.created", 1))
        .await;
    stays.wait_for(2).await;
    assert_eq!(gone.arrivals().len(), 1);

    let (status, _) = world
        .api
        .call(Method::DELETE, &format!("/v1/sources/{}", quartr.id), None)
        .await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    world.advance(Duration::from_secs(60));
    let body = quartr_message("audio.created", 1);
    let (status, _) = quartr
        .send_with(&signed_headers(PROVIDER_SECRET, "msg_3", world.now(), &body), &body)
        .await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    world.stop().await;
}
