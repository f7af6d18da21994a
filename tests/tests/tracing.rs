//! Where did it go: from a request to each attempt, and why not elsewhere, also after webhooks were changed. Over real HTTP, with the whole
//! hub.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail by panicking")]

use std::time::Duration;

use hookline_tests::api::{Api, PROVIDER_SECRET, Provider, quartr_message, signed_headers};
use hookline_tests::eventually;
use hookline_tests::sink::{Behaviour, PATIENCE, Sink};
use hookline_tests::world::World;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

async fn webhook(api: &Api, sink: &Sink, name: &str, filter: Value) -> String {
    let request = json!({"name": name, "url": sink.url(), "filter": filter});
    api.webhook_with(&request).await.id
}

/// The row of a webhook in one of the lists of a traced event.
fn row<'a>(rows: &'a Value, webhook: &str) -> &'a Value {
    let rows = rows.as_array().unwrap();
    let row = rows.iter().find(|row| row["webhook"] == webhook);
    row.unwrap_or_else(|| panic!("no {webhook} in {rows:?}"))
}

/// The kinds of reasons why a webhook did not get an event.
fn reasons(event: &Value, webhook: &str) -> Vec<String> {
    let reasons = row(&event["unmatched"]["data"], webhook)["reasons"].as_array().unwrap();
    reasons
        .iter()
        .map(|reason| reason["code"].as_str().unwrap().to_owned())
        .collect()
}

async fn send(world: &World, provider: &Provider, secret: &str, message: &str) -> String {
    let body = quartr_message("live.audio.updated", 328_350);
    let headers = signed_headers(secret, message, world.now(), &body);
    let (status, answer) = provider.send_with(&headers, &body).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    answer["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_whole_story_of_an_event_is_told() {
    let world = World::start().await;
    let (api, sink) = (&world.api, Sink::start().await);
    let provider = api.source("quartr").await;
    let wanting = webhook(api, &sink, "wanting", json!({"types": ["live.audio.*"]})).await;
    let other_type = webhook(api, &sink, "other type", json!({"types": ["live.video.*"]})).await;
    let other_state = webhook(
        api,
        &sink,
        "other state",
        json!({"pattern": {"data": {"state": ["over"]}}}),
    )
    .await;
    let changed = webhook(api, &sink, "changed", json!({"types": ["live.audio.*"]})).await;
    let deleted = webhook(api, &sink, "deleted", json!({})).await;
    let request = json!({"name": "resting", "url": sink.url(), "enabled": false});
    let resting = api.webhook_with(&request).await.id;

    let accepted = send(&world, &provider, PROVIDER_SECRET, "msg_1").await;
    let event = provider.event_id("msg_1");
    let is_delivered = |event: &Value| {
        let deliveries = event["deliveries"].as_array().unwrap();
        deliveries.len() == 3 && deliveries.iter().all(|delivery| delivery["status"] == "delivered")
    };
    api.event_when(&event, is_delivered).await;
    let duplicate = send(&world, &provider, PROVIDER_SECRET, "msg_1").await;
    api.receipt_when(&duplicate, |receipt| receipt["status"] == "duplicate")
        .await;
    let forged = send(&world, &provider, "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "msg_2").await;
    api.receipt_when(&forged, |receipt| receipt["status"] == "rejected")
        .await;

    // Everything changes afterwards, and what is told stays.
    world.advance(Duration::from_secs(60));
    let filter = json!({"filter": {"types": ["live.video.*"]}});
    let (status, _) = api
        .call(Method::PATCH, &format!("/v1/webhooks/{changed}"), Some(&filter))
        .await;
    assert_eq!(status, StatusCode::OK);
    let enabled = json!({"enabled": true});
    let (status, _) = api
        .call(Method::PATCH, &format!("/v1/webhooks/{resting}"), Some(&enabled))
        .await;
    assert_eq!(status, StatusCode::OK);
    let (status, _) = api.call(Method::DELETE, &format!("/v1/webhooks/{deleted}"), None).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let late = webhook(api, &sink, "late", json!({})).await;

    let told = api.get(&format!("/v1/trace?id={accepted}")).await;
    let receipt = &told["receipts"][0];
    assert_eq!(
        (&receipt["id"], &receipt["status"]),
        (&json!(accepted), &json!("accepted"))
    );
    assert_eq!(
        (&receipt["source"], &receipt["method"]),
        (&json!(provider.id), &json!("POST"))
    );
    let size = quartr_message("live.audio.updated", 328_350).len();
    assert_eq!(
        (&receipt["size"], &receipt["contentType"]),
        (&json!(size), &json!("application/json"))
    );
    assert!(!told.to_string().contains("companyId"), "no body is shown");
    let traced = &told["events"][0];
    assert_eq!(
        (&traced["id"], &traced["type"]),
        (&json!(event), &json!("live.audio.updated"))
    );
    assert_eq!(
        (&traced["receipt"], &traced["providerEventId"]),
        (&json!(accepted), &json!("msg_1"))
    );
    assert_eq!(traced["verified"]["id"], true);
    assert_eq!(
        (&traced["matchedCount"], &traced["historyComplete"]),
        (&json!(3), &json!(true))
    );
    for (webhook, name) in [(&wanting, "wanting"), (&changed, "changed"), (&deleted, "deleted")] {
        let row = row(&traced["matched"], webhook);
        assert_eq!((&row["name"], &row["wanted"]), (&json!(name), &json!(true)), "{row}");
        let attempt = &row["delivery"]["attempts"][0];
        assert_eq!(
            (&row["delivery"]["status"], &attempt["status"]),
            (&json!("delivered"), &json!(200))
        );
        assert!(attempt["at"].is_string() && attempt["durationMs"].is_u64(), "{attempt}");
    }
    assert!(row(&traced["matched"], &deleted)["deletedAt"].is_string());
    assert_eq!(
        row(&traced["unmatched"]["data"], &other_type)["reasons"],
        json!([{"code": "filter", "pointer": "/types", "detail": "type is live.audio.updated; wanted is live.video.*"}])
    );
    assert_eq!(
        row(&traced["unmatched"]["data"], &other_state)["reasons"],
        json!([{"code": "filter", "pointer": "/pattern/data/state", "detail": "data.state is live; wanted is [\"over\"]"}])
    );
    assert_eq!(reasons(traced, &resting), ["disabled"]);
    assert_eq!(reasons(traced, &late), ["created_later"]);
    assert_eq!(traced["unmatched"]["next"], Value::Null);

    // The same by the event's id and by its provider's, and for what repeats it.
    for query in [
        format!("event={event}"),
        format!("id={event}"),
        "id=msg_1".into(),
        "providerEventId=msg_1".into(),
    ] {
        let same = api.get(&format!("/v1/trace?{query}")).await;
        assert_eq!(same, told, "{query}");
    }
    let repeated = api.get(&format!("/v1/trace?receipt={duplicate}")).await;
    assert_eq!(
        (&repeated["receipts"][0]["status"], &repeated["receipts"][0]["event"]),
        (&json!("duplicate"), &json!(event))
    );
    assert_eq!(repeated["events"], told["events"]);
    let refused = api.get(&format!("/v1/trace?id={forged}")).await;
    assert_eq!(
        (&refused["receipts"][0]["reason"], &refused["events"]),
        (&json!("signature_mismatch"), &json!([]))
    );

    // An event of today is told by what the webhooks are today.
    send(&world, &provider, PROVIDER_SECRET, "msg_3").await;
    let event = provider.event_id("msg_3");
    api.event_when(&event, |event| event["deliveries"].as_array().unwrap().len() == 3)
        .await;
    let told = api.get(&format!("/v1/trace?event={event}")).await;
    let traced = &told["events"][0];
    assert_eq!(
        (reasons(traced, &changed), reasons(traced, &deleted)),
        (vec!["filter".to_owned()], vec!["deleted".to_owned()])
    );
    assert_eq!(
        (&row(&traced["matched"], &late)["wanted"], &traced["matchedCount"]),
        (&json!(true), &json!(3))
    );
    // Page by page.
    let first = api.get(&format!("/v1/trace?event={event}&limit=3")).await;
    let (rows, next) = (
        &first["events"][0]["unmatched"]["data"],
        &first["events"][0]["unmatched"]["next"],
    );
    let rest = api
        .get(&format!(
            "/v1/trace?event={event}&limit=3&cursor={}",
            next.as_str().unwrap()
        ))
        .await;
    let both = [
        rows.as_array().unwrap().clone(),
        rest["events"][0]["unmatched"]["data"].as_array().unwrap().clone(),
    ];
    assert_eq!(json!(both.concat()), traced["unmatched"]["data"]);

    // Nobody else is told.
    let others = world.another_organization().await;
    for id in [&accepted, &duplicate, &forged, &event, "msg_1"] {
        let (status, _) = others.call(Method::GET, &format!("/v1/trace?id={id}"), None).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{id}");
    }
    world.stop().await;
}

/// The ids in the rows of a list, once there are so many.
async fn listed(api: &Api, path: &str, count: usize) -> Vec<String> {
    eventually(&format!("{count} rows of {path}"), PATIENCE, async || {
        let page = api.get(path).await;
        let rows = page["data"].as_array().unwrap();
        (rows.len() == count).then(|| rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect())
    })
    .await
}

#[tokio::test]
async fn what_happened_is_listed() {
    let world = World::start().await;
    let (api, sink) = (&world.api, Sink::start().await);
    let provider = api.source("quartr").await;
    let wanting = webhook(api, &sink, "wanting", json!({})).await;
    sink.always(Behaviour::Say(500, "out of tea"));
    for number in 0..5 {
        send(&world, &provider, PROVIDER_SECRET, &format!("msg_{number}")).await;
        let event = provider.event_id(&format!("msg_{number}"));
        api.event_when(&event, |event| event["deliveries"].as_array().unwrap().len() == 1)
            .await;
        world.advance(Duration::from_secs(1));
    }
    let forged = send(&world, &provider, "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "msg_9").await;
    api.receipt_when(&forged, |receipt| receipt["status"] == "rejected")
        .await;
    let expected: Vec<String> = (0..5)
        .rev()
        .map(|number| provider.event_id(&format!("msg_{number}")))
        .collect();
    let source = &provider.id;
    assert_eq!(
        listed(api, &format!("/v1/events?type=live.*&source={source}"), 5).await,
        expected
    );
    let first = api
        .get(&format!("/v1/events?type=live.*&source={source}&limit=2"))
        .await;
    let next = first["next"].as_str().unwrap();
    let path = format!("/v1/events?type=live.*&source={source}&limit=3&cursor={next}");
    assert_eq!(listed(api, &path, 3).await, expected[2..]);
    assert_eq!(listed(api, "/v1/events?providerEventId=msg_3", 1).await, expected[1..2]);
    assert_eq!(listed(api, "/v1/receipts", 1).await, [&*forged]);
    let deliveries: Vec<String> = expected.iter().map(|event| format!("{event}.{wanting}")).collect();
    for query in [
        format!("webhook={wanting}"),
        format!("webhook={wanting}&status=due"),
        "status=due".into(),
    ] {
        assert_eq!(
            listed(api, &format!("/v1/deliveries?{query}"), 5).await,
            deliveries,
            "{query}"
        );
    }
    assert_eq!(
        listed(api, &format!("/v1/deliveries?event={}", expected[0]), 1).await,
        deliveries[..1]
    );
    let (status, _) = api.call(Method::GET, "/v1/deliveries?status=delivered", None).await;
    assert_eq!(status, StatusCode::OK);
    let stats = api.get(&format!("/v1/webhooks/{wanting}/stats")).await;
    assert_eq!(
        (&stats["due"], &stats["delivered"], &stats["complete"]),
        (&json!(5), &json!(0), &json!(true))
    );
    // The answer of a destination can be removed.
    let path = format!("/v1/deliveries/{}", deliveries[0]);
    let (status, _) = api.call(Method::DELETE, &format!("{path}/answer"), None).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert!(
        api.get(&path).await["attempts"]
            .as_array()
            .unwrap()
            .iter()
            .all(|attempt| attempt.get("answer").is_none())
    );
    // Another organization has none of it.
    let others = world.another_organization().await;
    for path in [
        "/v1/events",
        "/v1/receipts",
        "/v1/deliveries",
        "/v1/deliveries?status=due",
    ] {
        assert_eq!(others.get(path).await, json!({"data": [], "next": null}), "{path}");
    }
    let (status, _) = others.call(Method::DELETE, &format!("{path}/answer"), None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    world.stop().await;
}
