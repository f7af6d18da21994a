//! What a team does through the API every day: keys and roles, rotations with an overlap, test deliveries, safe repetitions, changes that do
//! not overwrite each other, and the trail of all that. Over real HTTP, with the whole hub.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail by panicking")]

use std::time::Duration;

use hookline_tests::api::{Api, PROVIDER_SECRET, Provider, quartr_message, signed_headers};
use hookline_tests::sink::{Behaviour, Sink};
use hookline_tests::world::World;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const HOUR: Duration = Duration::from_secs(3600);

async fn post(api: &Api, path: &str, body: Value) -> Value {
    let (status, json) = api.call(Method::POST, path, Some(&body)).await;
    assert!(status.is_success(), "{path}: {status} {json}");
    json
}

async fn status_of(world: &World, provider: &Provider, secret: &str, message: &str) -> StatusCode {
    let body = quartr_message("live.audio.updated", 1);
    let headers = signed_headers(secret, message, world.now(), &body);
    provider.send_with(&headers, &body).await.0
}

#[tokio::test]
async fn a_receiving_url_is_replaced_without_a_gap() {
    let world = World::start().await;
    let old = world.api.source("quartr").await;
    let path = format!("/v1/sources/{}/rotate-token", old.id);
    let rotated = post(&world.api, &path, json!({"previousExpiresIn": 3600})).await;
    let mut new = old.clone();
    new.url = rotated["receivingUrl"].as_str().unwrap().to_owned();
    for (provider, message) in [(&old, "msg_old"), (&new, "msg_new")] {
        assert_eq!(
            status_of(&world, provider, PROVIDER_SECRET, message).await,
            StatusCode::ACCEPTED
        );
        let event = provider.event_id(message);
        world.api.event_when(&event, |_| true).await;
    }
    world.advance(HOUR);
    assert_eq!(
        status_of(&world, &old, PROVIDER_SECRET, "msg_late").await,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        status_of(&world, &new, PROVIDER_SECRET, "msg_next").await,
        StatusCode::ACCEPTED
    );
    world.stop().await;
}

#[tokio::test]
async fn a_providers_secret_is_replaced_without_a_gap() {
    let world = World::start().await;
    let provider = world.api.source("quartr").await;
    let new_secret = "whsec_dGhpcyBpcyBhIHNlY3JldCBvZiAzMiBieXRlcyEh";
    let path = format!("/v1/sources/{}/rotate-secret", provider.id);
    post(
        &world.api,
        &path,
        json!({"secret": new_secret, "previousExpiresIn": 3600}),
    )
    .await;
    for (secret, message) in [(PROVIDER_SECRET, "msg_old"), (new_secret, "msg_new")] {
        status_of(&world, &provider, secret, message).await;
        world.api.event_when(&provider.event_id(message), |_| true).await;
    }
    world.advance(HOUR);
    let body = quartr_message("live.audio.updated", 2);
    let late = provider.send_at("msg_late", world.now(), &body).await;
    let rejected = world
        .api
        .receipt_when(&late, |receipt| receipt["status"] == "rejected")
        .await;
    assert_eq!(rejected["reason"], "signature_mismatch", "the old secret has ended");
    world.stop().await;
}

#[tokio::test]
async fn deliveries_carry_a_signature_of_each_valid_secret() {
    let (world, sink) = (World::start().await, Sink::start().await);
    let webhook = world.api.webhook(sink.url(), &[]).await;
    let path = format!("/v1/webhooks/{}/rotate-secret", webhook.id);
    let rotated = post(&world.api, &path, json!({"previousExpiresIn": 3600})).await;
    let new = rotated["secret"].as_str().unwrap().to_owned();
    post(&world.api, "/v1/events", json!({"type": "a", "data": 1})).await;
    let signatures = async |at: usize| {
        let arrival = sink.wait_for(at + 1).await.remove(at);
        [&new, &webhook.secret].map(|secret| arrival.is_signed_with(secret))
    };
    assert_eq!(signatures(0).await, [true, true], "both for as long as they overlap");
    world.advance(HOUR);
    post(&world.api, "/v1/events", json!({"type": "b", "data": 1})).await;
    assert_eq!(signatures(1).await, [true, false], "then the new one only");
    world.stop().await;
}

#[tokio::test]
async fn a_test_delivery_is_answered_with_its_outcome() {
    let (world, sink) = (World::start().await, Sink::start().await);
    // Its filter wants nothing of the kind, and it is disabled: a test is sent all the same.
    let webhook = world
        .api
        .webhook_with(&json!({"name": "a", "url": sink.url(), "filter": {"types": ["x"]}, "enabled": false}))
        .await;
    let path = format!("/v1/webhooks/{}/test", webhook.id);
    let outcome = post(&world.api, &path, json!({"provider": "github", "type": "push"})).await;
    assert_eq!(
        (outcome["delivered"].as_bool(), outcome["type"].as_str()),
        (Some(true), Some("push"))
    );
    assert_eq!(outcome["attempt"]["status"], 200);
    let arrival = sink.wait_for(1).await.remove(0);
    let payload = arrival.json();
    assert_eq!(payload["type"], "push");
    assert_eq!(payload["id"], outcome["event"]);
    assert_eq!(
        payload["warnings"],
        json!(["This is a test delivery: nothing has happened at the provider."])
    );
    assert!(arrival.is_signed_with(&webhook.secret));

    sink.next([Behaviour::Answer(503)]);
    let outcome = post(&world.api, &path, json!({"provider": "quartr"})).await;
    assert_eq!(
        (outcome["delivered"].as_bool(), outcome["attempt"]["status"].as_u64()),
        (Some(false), Some(503))
    );
    let health = world.api.get(&format!("/v1/webhooks/{}", webhook.id)).await["health"].clone();
    assert_eq!(
        health,
        json!({"failingSince": null, "disabled": null}),
        "a test says nothing of its health"
    );
    let stored = world
        .api
        .call(
            Method::GET,
            &format!("/v1/events/{}", outcome["event"].as_str().unwrap()),
            None,
        )
        .await;
    assert_eq!(stored.0, StatusCode::NOT_FOUND, "it is no event");
    for (body, pointer) in [
        (json!({}), "/provider"),
        (json!({"provider": "nobody"}), "/provider"),
        (json!({"provider": "github", "type": "nothing"}), "/type"),
    ] {
        let (status, problem) = world.api.call(Method::POST, &path, Some(&body)).await;
        assert_eq!(
            (status.as_u16(), problem["pointer"].as_str()),
            (422, Some(pointer)),
            "{body}"
        );
    }
    world.drained().await;
    assert_eq!(sink.wait_for(2).await.len(), 2, "and it is not tried again");
    world.stop().await;
}

#[tokio::test]
async fn a_publisher_publishes_and_sees_nothing() {
    let world = World::start().await;
    let made = post(&world.api, "/v1/keys", json!({"name": "sender", "role": "publisher"})).await;
    let publisher = Api::new(world.url(), made["key"].as_str().unwrap());
    let event = post(&publisher, "/v1/events", json!({"type": "a", "data": 1})).await;
    let path = format!("/v1/events/{}", event["id"].as_str().unwrap());
    for path in [path.as_str(), "/v1/webhooks", "/v1/keys", "/v1/audit"] {
        let (status, _) = publisher.call(Method::GET, path, None).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{path}");
    }
    world.api.get(&path).await;
    let id = made["id"].as_str().unwrap();
    let key = world.api.get(&format!("/v1/keys/{id}")).await;
    assert_eq!(key["lastUsed"], world.now().to_string()[..10], "to the day");
    let (status, _) = world.api.call(Method::DELETE, &format!("/v1/keys/{id}"), None).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let (status, _) = publisher
        .call(Method::POST, "/v1/events", Some(&json!({"type": "a", "data": 1})))
        .await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let trail = world.api.get("/v1/audit").await;
    let actions: Vec<&str> = trail["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["action"].as_str().unwrap())
        .collect();
    assert_eq!(actions, ["key.revoked", "key.created", "organization.created"]);
    world.stop().await;
}

#[tokio::test]
async fn a_request_is_repeated_safely_also_at_the_same_time() {
    let world = World::start().await;
    let http = hookline_tests::http();
    let made = post(&world.api, "/v1/keys", json!({"name": "ci", "role": "editor"})).await;
    let send = || {
        let request = http
            .post(format!("{}/v1/webhooks", world.url()))
            .bearer_auth(made["key"].as_str().unwrap())
            .header("idempotency-key", "deploy-17")
            .header("content-type", "application/json")
            .body(json!({"name": "once", "url": "http://127.0.0.1:9/hook"}).to_string());
        async move {
            let answer = request.send().await.unwrap();
            let status = answer.status();
            (
                status,
                serde_json::from_str::<Value>(&answer.text().await.unwrap()).unwrap(),
            )
        }
    };
    let answers = futures::future::join_all((0..8).map(|_| send())).await;
    assert!(
        answers.iter().all(|(status, _)| matches!(status.as_u16(), 201 | 409)),
        "{answers:?}"
    );
    let (status, last) = send().await;
    assert_eq!(status, StatusCode::CREATED);
    for (_, answer) in answers.iter().filter(|(status, _)| *status == StatusCode::CREATED) {
        assert_eq!(*answer, last, "with the secret that is shown once");
    }
    let webhooks = world.api.get("/v1/webhooks").await;
    assert_eq!(webhooks["data"].as_array().unwrap().len(), 1);
    world.stop().await;
}

#[tokio::test]
async fn of_two_who_change_the_same_the_second_is_told() {
    let world = World::start().await;
    let http = hookline_tests::http();
    let made = post(&world.api, "/v1/keys", json!({"name": "ci", "role": "editor"})).await;
    let webhook = world.api.webhook("http://127.0.0.1:9/hook", &[]).await;
    let url = format!("{}/v1/webhooks/{}", world.url(), webhook.id);
    let bearer = made["key"].as_str().unwrap();
    let read = http.get(&url).bearer_auth(bearer).send().await.unwrap();
    let tag = read.headers()["etag"].to_str().unwrap().to_owned();
    let patch = |name: &str| {
        let request = http.patch(&url).bearer_auth(bearer).header("if-match", &tag);
        request
            .header("content-type", "application/merge-patch+json")
            .body(json!({"name": name}).to_string())
            .send()
    };
    assert_eq!(patch("first").await.unwrap().status(), StatusCode::OK);
    assert_eq!(patch("second").await.unwrap().status(), StatusCode::PRECONDITION_FAILED);
    assert_eq!(
        world.api.get(&format!("/v1/webhooks/{}", webhook.id)).await["name"],
        "first"
    );
    world.stop().await;
}
