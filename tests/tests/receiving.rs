//! The receiving URL over real HTTP: handshakes and probes, which make no receipt, and bodies as they come.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail by panicking")]

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use hmac::{Hmac, KeyInit, Mac};
use hookline_tests::api::{PROVIDER_SECRET, Provider};
use hookline_tests::sink::Sink;
use hookline_tests::world::World;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use sha2::Sha256;

type Headers<'a> = &'a [(&'a str, &'a str)];

/// A source of this preset, made with these fields.
async fn source(world: &World, preset: &str, fields: Value) -> Provider {
    let mut request = json!({"name": preset, "preset": preset});
    request
        .as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    world.api.source_with(&request).await
}

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

/// What is sent back must be text for every browser.
async fn echoed(response: Response) -> String {
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(header(&response, "content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(header(&response, "x-content-type-options"), Some("nosniff"));
    assert_eq!(header(&response, "cache-control"), Some("no-store"));
    response.text().await.unwrap()
}

async fn refused(response: Response) -> bool {
    let status = response.status();
    let problem: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    assert_eq!(problem["status"], status.as_u16());
    status == StatusCode::FORBIDDEN
}

/// The receipt's id of a request that was taken.
async fn taken(response: Response) -> String {
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    let answer: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    answer["id"].as_str().unwrap().to_owned()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A delivery of GitHub's, signed over the bytes as they are sent.
async fn send_github(github: &Provider, id: &str, headers: Headers<'_>, body: &[u8]) -> String {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(PROVIDER_SECRET.as_bytes()).unwrap();
    mac.update(body);
    let signature = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
    let own = [
        ("X-GitHub-Event", "issues"),
        ("X-GitHub-Delivery", id),
        ("X-Hub-Signature-256", &signature),
    ];
    let headers = [&own, headers].concat();
    taken(github.request(Method::POST, "", &headers, body).await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_handshake_is_answered_and_makes_no_receipt() {
    let world = World::start().await;
    let json = [("Content-Type", "application/json")];

    let slack = source(&world, "slack", json!({"secret": PROVIDER_SECRET})).await;
    let question = br#"{"token":"t","challenge":"3eZbrw1aBm2rZgRNFdxV2595E9CY","type":"url_verification"}"#;
    let answer = slack.request(Method::POST, "", &json, question).await;
    assert_eq!(echoed(answer).await, "3eZbrw1aBm2rZgRNFdxV2595E9CY");
    let question = br#"{"challenge":"a\u0000b","type":"url_verification"}"#;
    assert!(refused(slack.request(Method::POST, "", &json, question).await).await);

    let meta = source(
        &world,
        "meta",
        json!({"secret": PROVIDER_SECRET, "verifyToken": "verify me"}),
    )
    .await;
    let ask = |mode: &str, token: &str| format!("?hub.mode={mode}&hub.challenge=1158201444&hub.verify_token={token}");
    let answer = meta
        .request(Method::GET, &ask("subscribe", "verify+me"), &[], b"")
        .await;
    assert_eq!(echoed(answer).await, "1158201444");
    for question in [ask("subscribe", "verify-me"), ask("unsubscribe", "verify+me")] {
        assert!(
            refused(meta.request(Method::GET, &question, &[], b"").await).await,
            "{question}"
        );
    }

    let graph = source(&world, "microsoft-graph", json!({})).await;
    let question = "?validationToken=Validation%3a+Testing+client+%3cb%3e";
    let answer = graph
        .request(
            Method::POST,
            question,
            &[("Content-Type", "text/plain; charset=utf-8")],
            b"",
        )
        .await;
    assert_eq!(echoed(answer).await, "Validation: Testing client <b>");
    let long = format!("?validationToken={}", "a".repeat(1025));
    assert!(refused(graph.request(Method::POST, &long, &[], b"").await).await);

    let cloudevents = source(&world, "cloudevents", json!({"secret": PROVIDER_SECRET})).await;
    let asking = [
        ("WebHook-Request-Origin", "eventemitter.example.com"),
        ("WebHook-Request-Rate", "120"),
    ];
    let answer = cloudevents.request(Method::OPTIONS, "", &asking, b"").await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(
        header(&answer, "webhook-allowed-origin"),
        Some("eventemitter.example.com")
    );
    assert_eq!(header(&answer, "webhook-allowed-rate"), Some("120"));
    assert_eq!(header(&answer, "allow"), Some("POST"));

    world.drained().await;
    assert_eq!(world.count("InboxTable").await, 0);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_makes_no_receipt() {
    let world = World::start().await;
    let sources = [
        (
            source(&world, "github", json!({"secret": PROVIDER_SECRET})).await,
            "POST",
        ),
        (source(&world, "audata", json!({})).await, "GET, POST"),
        (
            source(&world, "cloudevents", json!({"secret": PROVIDER_SECRET})).await,
            "POST",
        ),
    ];
    for (provider, allow) in &sources {
        let head = provider.request(Method::HEAD, "", &[], b"").await;
        assert_eq!(head.status(), StatusCode::OK);
        assert_eq!(head.text().await.unwrap(), "");
        let look = provider.request(Method::GET, "", &[], b"").await;
        assert!(echoed(look).await.contains("Nothing was stored."));
        let options = provider.request(Method::OPTIONS, "", &[], b"").await;
        assert_eq!(
            (options.status(), header(&options, "allow")),
            (StatusCode::NO_CONTENT, Some(*allow))
        );
    }
    let asking = sources[0].0.request(Method::GET, "?a=b", &[], b"").await;
    assert_eq!(
        (asking.status(), header(&asking, "allow")),
        (StatusCode::METHOD_NOT_ALLOWED, Some("POST"))
    );
    for method in [Method::HEAD, Method::GET, Method::OPTIONS] {
        // One character more is another token.
        let unknown = sources[0].0.request(method, "A", &[], b"").await;
        assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
    }
    world.drained().await;
    assert_eq!(world.count("InboxTable").await, 0);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_of_a_get_become_an_event() {
    let world = World::start().await;
    let sink = Sink::start().await;
    world.api.webhook(sink.url(), &[]).await;
    let audata = source(&world, "audata", json!({})).await;
    let query = "?event=Play.created&webhookCallId=c-1&sentAt=2025-03-25T14%3A31%3A00%2B01%3A00&station=one\
        &sender%5Bid%5D=9007199254740993&sender%5Btitle%5D=A+b%26c";
    let receipt = taken(audata.request(Method::GET, query, &[], b"").await).await;
    let payload = sink.wait_for(1).await.remove(0).json();
    assert_eq!(
        (&payload["type"], &payload["providerEventId"]),
        (&json!("Play.created"), &json!("c-1"))
    );
    assert_eq!(payload["timestamp"], "2025-03-25T13:31:00Z");
    assert_eq!(
        payload["data"]["sender"],
        json!({"id": "9007199254740993", "title": "A b&c"})
    );
    let receipt = world
        .api
        .receipt_when(&receipt, |receipt| receipt["status"] != "received")
        .await;
    assert_eq!(receipt["events"], json!([payload["id"]]));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_in_the_query_proves_the_sender_and_is_not_delivered() {
    let world = World::start().await;
    let sink = Sink::start().await;
    world.api.webhook(sink.url(), &["Play.*"]).await;
    let scheme = json!({"kind": "token", "query": "key"});
    let audata = source(&world, "audata", json!({"scheme": scheme, "secret": "s3cret & more"})).await;
    let query = |id: &str, key: &str| format!("?event=Play.created&webhookCallId={id}&station=one{key}");
    let missing = audata.request(Method::GET, &query("c-0", ""), &[], b"").await;
    assert_eq!(missing.status(), StatusCode::BAD_REQUEST);
    let wrong = audata.request(Method::GET, &query("c-1", "&key=other"), &[], b"").await;
    let wrong = taken(wrong).await;
    let wrong = world
        .api
        .receipt_when(&wrong, |receipt| receipt["status"] != "received")
        .await;
    assert_eq!(
        (&wrong["status"], &wrong["reason"]),
        (&json!("rejected"), &json!("credential_mismatch"))
    );
    let right = audata
        .request(Method::GET, &query("c-1", "&key=s3cret+%26%20more"), &[], b"")
        .await;
    taken(right).await;
    let arrival = sink.wait_for(1).await.remove(0);
    assert_eq!(arrival.json()["data"]["station"], "one");
    assert!(!String::from_utf8_lossy(&arrival.body).contains("s3cret"));
    world.drained().await;
    assert_eq!(sink.arrivals().len(), 1);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_read_as_they_come() {
    let world = World::start().await;
    let sink = Sink::start().await;
    world.api.webhook(sink.url(), &[]).await;
    let github = source(&world, "github", json!({"secret": PROVIDER_SECRET})).await;
    let issue =
        json!({"action": "opened", "issue": {"id": 9_007_199_254_740_993_u64, "title": "é & more"}}).to_string();
    let form: String = form(&issue);
    let marked = format!("\u{feff}{issue}");
    let json = ("Content-Type", "application/json");
    let cases: [(Headers<'_>, Vec<u8>); 4] = [
        (&[json], issue.clone().into_bytes()),
        (&[json], marked.into_bytes()),
        (&[json, ("Content-Encoding", "gzip")], gzip(issue.as_bytes())),
        (
            &[("Content-Type", "application/x-www-form-urlencoded")],
            form.into_bytes(),
        ),
    ];
    for (count, (headers, body)) in cases.into_iter().enumerate() {
        send_github(&github, &format!("d-{count}"), headers, &body).await;
        let arrival = sink.wait_for(count + 1).await.remove(count);
        let payload = arrival.json();
        assert_eq!(payload["type"], "issues.opened", "{count}: {payload}");
        assert!(
            arrival.body.windows(16).any(|digits| digits == b"9007199254740993"),
            "{count}: {payload}"
        );
        assert_eq!(payload["data"]["issue"]["title"], "é & more", "{count}: {payload}");
    }
    world.stop().await;
}

fn form(payload: &str) -> String {
    let encoded: String = payload.bytes().map(|byte| format!("%{byte:02X}")).collect();
    format!("payload={encoded}")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_rejected_with_its_reason_and_stops_nobody() {
    let world = World::start().await;
    let sink = Sink::start().await;
    world.api.webhook(sink.url(), &["issues.*"]).await;
    let github = source(&world, "github", json!({"secret": PROVIDER_SECRET})).await;
    let json = ("Content-Type", "application/json");
    let encoded = [json, ("Content-Encoding", "gzip")];
    let bomb = gzip(&vec![0; 64 * 1024 * 1024]);
    let mut broken = gzip(br#"{"action":"opened"}"#);
    broken.truncate(15);
    let cases: [(Headers<'_>, &[u8], &str); 4] = [
        (&encoded, &bomb, "body_too_large"),
        (&encoded, &broken, "unreadable_body"),
        (&[json, ("Content-Encoding", "br")], b"{}", "unreadable_body"),
        (&[json], b"{\n \"action\": opened}", "unreadable_body"),
    ];
    for (count, (headers, body, reason)) in cases.into_iter().enumerate() {
        let receipt = send_github(&github, &format!("d-{count}"), headers, body).await;
        let receipt = world
            .api
            .receipt_when(&receipt, |receipt| receipt["status"] != "received")
            .await;
        assert_eq!(
            (&receipt["status"], &receipt["reason"]),
            (&json!("rejected"), &json!(reason)),
            "{receipt}"
        );
    }
    let receipt = send_github(&github, "d-9", &[json], b"{\n \"action\": x}").await;
    let receipt = world
        .api
        .receipt_when(&receipt, |receipt| receipt["status"] != "received")
        .await;
    assert!(
        receipt["detail"].as_str().unwrap().contains("line 2, column 12"),
        "{receipt}"
    );
    send_github(&github, "d-10", &[json], br#"{"action":"opened"}"#).await;
    sink.wait_for(1).await;
    world.drained().await;
    assert_eq!(sink.arrivals().len(), 1);
    world.stop().await;
}
