//! Sources as people make and mend them: a provider that no preset covers, a wrong secret and what it costs, and what is verified again
//! afterwards. Over real HTTP, with the whole hub.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail by panicking")]

use std::collections::HashSet;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use hookline_tests::api::{Api, Provider};
use hookline_tests::eventually;
use hookline_tests::sink::{Arrival, PATIENCE, Sink};
use hookline_tests::world::World;
use jiff::Timestamp;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sha2::Sha512;

const SECRET: &str = "correct-horse-battery-staple";

/// A provider that no preset covers.
fn acme() -> Value {
    json!({
        "name": "acme",
        "comment": "Orders of Acme. The timestamp is in milliseconds, and the method is signed too.",
        "scheme": {
            "kind": "hmac", "algorithm": "sha512", "header": "X-Acme-Signature", "prefix": "v2=", "encoding": "hex",
            "signed": "{timestamp}.{method}.{body}", "timestamp": {"header": "X-Acme-Time", "unit": "ms"}
        },
        "duplicates": "id",
        "event": {
            "id": {"pointer": "/id"},
            "type": {"template": ["acme.", {"pointer": "/event", "words": {"ORDER_PAID": "order.paid"}}]},
            "time": {"pointer": "/at"},
            "entity": {"type": {"const": "order"}, "id": {"pointer": "/order/number"}},
            "changes": [{"each": "/changed", "type": {"const": "field"}, "code": {"pointer": ""}}],
            "data": ["/order"]
        }
    })
}

async fn source(api: &Api, secret: &str) -> Provider {
    api.source_with(&json!({"name": "acme-prod", "custom": acme(), "secret": secret}))
        .await
}

fn order(number: u64) -> Vec<u8> {
    json!({
        "id": format!("ord-{number}"), "event": "ORDER_PAID", "at": "2025-03-25T14:31:00+01:00",
        "order": {"number": number, "total": 12.50}, "changed": ["state", "total"]
    })
    .to_string()
    .into_bytes()
}

fn signed(secret: &[u8], at: Timestamp, body: &[u8]) -> [(&'static str, String); 2] {
    let time = at.as_millisecond().to_string();
    let mut mac = Hmac::<Sha512>::new_from_slice(secret).unwrap();
    mac.update(time.as_bytes());
    mac.update(b".POST.");
    mac.update(body);
    let signature = hex::encode(mac.finalize().into_bytes());
    [("X-Acme-Time", time), ("X-Acme-Signature", format!("v2={signature}"))]
}

/// Sends an order signed with this secret; its receipt, which says nothing to the sender.
async fn send(provider: &Provider, secret: &[u8], at: Timestamp, number: u64) -> String {
    let body = order(number);
    let (status, answer) = provider.send_with(&signed(secret, at, &body), &body).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    answer["id"].as_str().unwrap().to_owned()
}

async fn patch(api: &Api, provider: &Provider, patch: Value) -> Value {
    let path = format!("/v1/sources/{}", provider.id);
    let (status, answer) = api.call(Method::PATCH, &path, Some(&patch)).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer
}

/// Asks for all that was rejected; how many receipts that is.
async fn verify_all_again(api: &Api, provider: &Provider, since: Timestamp) -> u64 {
    let path = format!("/v1/sources/{}/reverify", provider.id);
    let (status, answer) = api
        .call(Method::POST, &path, Some(&json!({"since": since.to_string()})))
        .await;
    assert_eq!(
        (status, &answer["next"]),
        (StatusCode::ACCEPTED, &Value::Null),
        "{answer}"
    );
    answer["requested"].as_u64().unwrap()
}

async fn verify_again(api: &Api, receipt: &str) -> StatusCode {
    let path = format!("/v1/receipts/{receipt}/reverify");
    api.call(Method::POST, &path, None).await.0
}

async fn rejected(api: &Api, receipt: &str) -> Value {
    api.receipt_when(receipt, |receipt| receipt["status"] == "rejected")
        .await
}

async fn health_when(api: &Api, provider: &Provider, is_right: impl Fn(&Value) -> bool) -> Value {
    eventually("the source's health as expected", PATIENCE, async || {
        let source = api.get(&format!("/v1/sources/{}", provider.id)).await;
        is_right(&source["health"]).then(|| source["health"].clone())
    })
    .await
}

/// The entities of what arrived, each once.
fn entities(arrivals: &[Arrival]) -> HashSet<String> {
    let entity = |arrival: &Arrival| arrival.json()["entity"]["id"].as_str().unwrap().to_owned();
    let found: HashSet<String> = arrivals.iter().map(entity).collect();
    assert_eq!(found.len(), arrivals.len(), "each is delivered once");
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_no_preset_covers_is_described_and_received() {
    let world = World::start().await;
    let sink = Sink::start().await;
    let webhook = world.api.webhook(sink.url(), &["acme.*"]).await;
    let provider = source(&world.api, SECRET).await;

    let receipt = send(&provider, SECRET.as_bytes(), world.now(), 7).await;
    let arrival = sink.wait_for(1).await.remove(0);
    assert!(arrival.is_signed_with(&webhook.secret));
    let event = arrival.json();
    assert_eq!(event["type"], "acme.order.paid");
    assert_eq!(event["timestamp"], "2025-03-25T13:31:00Z");
    assert_eq!(
        event["source"],
        json!({"id": provider.id, "name": "acme-prod", "provider": "acme"})
    );
    assert_eq!(event["providerEventId"], "ord-7");
    assert_eq!(event["entity"], json!({"type": "order", "id": "7"}));
    assert_eq!(
        event["changes"],
        json!([{"type": "field", "code": "state"}, {"type": "field", "code": "total"}])
    );
    assert_eq!(event["data"], json!({"number": 7, "total": 12.5}));
    let accepted = world
        .api
        .receipt_when(&receipt, |receipt| receipt["status"] == "accepted")
        .await;
    assert_eq!(accepted["events"], json!([provider.event_id("ord-7")]));

    // The same order again is a duplicate; what lacks the signature is refused before anything is stored.
    let again = send(&provider, SECRET.as_bytes(), world.now(), 7).await;
    world
        .api
        .receipt_when(&again, |receipt| receipt["status"] == "duplicate")
        .await;
    let (status, _) = provider.send_with(&[], &order(8)).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    // One byte of what is signed is another.
    let body = order(9);
    let at = world.now();
    let mut headers = signed(SECRET.as_bytes(), at, &body);
    headers[0].1 = (at.as_millisecond() - 1).to_string();
    let (_, answer) = provider.send_with(&headers, &body).await;
    let forged = rejected(&world.api, answer["id"].as_str().unwrap()).await;
    assert_eq!(forged["reason"], "signature_mismatch");
    world.drained().await;
    assert_eq!(sink.arrivals().len(), 1);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_signs_the_receiving_url_is_verified_and_its_token_stays_hidden() {
    let world = World::start().await;
    let sink = Sink::start().await;
    world.api.webhook(sink.url(), &["*"]).await;
    let mut custom = acme();
    custom["scheme"]["signed"] = json!("{url}.{timestamp}.{body}");
    let new = json!({"name": "acme", "custom": custom, "secret": SECRET, "publicUrl": "{receivingUrl}"});
    let provider = world.api.source_with(&new).await;

    let (at, body) = (world.now(), order(7));
    let time = at.as_millisecond().to_string();
    let mut mac = Hmac::<Sha512>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(format!("{}.{time}.", provider.url).as_bytes());
    mac.update(&body);
    let signature = format!("v2={}", hex::encode(mac.finalize().into_bytes()));
    let headers = [("X-Acme-Time", time), ("X-Acme-Signature", signature)];
    let (status, answer) = provider.send_with(&headers, &body).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    assert_eq!(sink.wait_for(1).await[0].json()["entity"]["id"], "7");

    let token = provider.url.rsplit('/').next().unwrap();
    let shown = world.api.get(&format!("/v1/sources/{}", provider.id)).await;
    assert_eq!(shown["publicUrl"], provider.url.replace(token, "in_…"));
    assert!(!shown.to_string().contains(token), "{shown}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_is_seen_and_mended_and_nothing_is_lost() {
    let world = World::start().await;
    let (orders, alarms) = (Sink::start().await, Sink::start().await);
    world.api.webhook(orders.url(), &["acme.*"]).await;
    world.api.webhook(alarms.url(), &["hookline.source.rejecting"]).await;
    // The provider shows its secret in base64 and signs with what that stands for; whoever made the source did not know.
    let (shown, meant) = ("c2VjcmV0LW9mLWFjbWUtY29ycG9yYXRpb24=", b"secret-of-acme-corporation");
    let begun = world.now();
    let provider = source(&world.api, shown).await;
    let mut good = Vec::new();
    for number in 0..6 {
        good.push(send(&provider, meant, world.now(), number).await);
    }
    let forged = send(&provider, b"not-the-secret", world.now(), 666).await;

    for receipt in &good {
        let receipt = rejected(&world.api, receipt).await;
        assert_eq!(receipt["reason"], "signature_mismatch");
        assert!(receipt["hint"].as_str().unwrap().contains("base64"), "{receipt}");
    }
    rejected(&world.api, &forged).await;
    let health = health_when(&world.api, &provider, |health| health["rejectedInARow"] == 7).await;
    assert_eq!(health["rejected"], json!({"signature_mismatch": 7}));
    assert_eq!(
        (&health["lastVerifiedAt"], &health["lastRejection"]["reason"]),
        (&Value::Null, &json!("signature_mismatch"))
    );
    let alarm = alarms.wait_for(1).await.remove(0).json();
    assert_eq!(alarm["type"], "hookline.source.rejecting");
    assert_eq!(alarm["source"]["id"], provider.id);
    assert_eq!(alarm["data"]["rejectingSince"], health["rejectingSince"]);

    // The setting that the hint names is the description's, so the secret stays what the provider shows.
    let changed = patch(&world.api, &provider, json!({"custom": {"scheme": {"key": "base64"}}})).await;
    assert_eq!(changed["scheme"]["key"], "base64");
    assert_eq!(verify_all_again(&world.api, &provider, begun).await, 7);
    let arrivals = orders.wait_for(6).await;
    assert_eq!(entities(&arrivals), (0..6).map(|number| number.to_string()).collect());
    for (number, receipt) in good.iter().enumerate() {
        let receipt = world
            .api
            .receipt_when(receipt, |receipt| receipt["status"] == "accepted")
            .await;
        assert_eq!(receipt["events"], json!([provider.event_id(&format!("ord-{number}"))]));
    }
    let health = health_when(&world.api, &provider, |health| health["rejectedInARow"] == 0).await;
    assert!(
        health["lastVerifiedAt"].is_string() && health["rejectingSince"].is_null(),
        "{health}"
    );

    // Again, and one by one: nothing comes twice, and the forged stays what it is.
    assert_eq!(verify_all_again(&world.api, &provider, begun).await, 1);
    assert_eq!(verify_again(&world.api, &good[0]).await, StatusCode::CONFLICT);
    assert_eq!(verify_again(&world.api, &forged).await, StatusCode::ACCEPTED);
    world.drained().await;
    assert_eq!(
        world.api.get(&format!("/v1/receipts/{forged}")).await["status"],
        "rejected"
    );
    assert_eq!(orders.arrivals().len(), 6);
    assert_eq!(alarms.arrivals().len(), 1, "said once");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_secret_lets_what_was_rejected_through_once() {
    let world = World::start().await;
    let sink = Sink::start().await;
    world.api.webhook(sink.url(), &["acme.*"]).await;
    let begun = world.now();
    let provider = source(&world.api, "the-secret-of-another-endpoint").await;
    let receipts = [
        send(&provider, SECRET.as_bytes(), world.now(), 1).await,
        send(&provider, SECRET.as_bytes(), world.now(), 2).await,
    ];
    // The provider did not see what became of it, and sends the second once more.
    let repeated = send(&provider, SECRET.as_bytes(), world.now(), 2).await;
    for receipt in [&receipts[0], &receipts[1], &repeated] {
        rejected(&world.api, receipt).await;
    }
    // A backlog of an hour does not make good messages too old.
    world.advance(Duration::from_secs(3600));
    patch(&world.api, &provider, json!({"secret": SECRET})).await;

    assert_eq!(verify_again(&world.api, &receipts[0]).await, StatusCode::ACCEPTED);
    assert_eq!(entities(&sink.wait_for(1).await), HashSet::from(["1".to_owned()]));
    world
        .api
        .receipt_when(&receipts[0], |receipt| receipt["status"] == "accepted")
        .await;
    assert_eq!(verify_all_again(&world.api, &provider, begun).await, 2);
    sink.wait_for(2).await;
    world.drained().await;
    assert_eq!(entities(&sink.arrivals()), ["1", "2"].map(str::to_owned).into());
    let mut statuses = Vec::new();
    for receipt in [&receipts[1], &repeated] {
        let receipt = world.api.get(&format!("/v1/receipts/{receipt}")).await;
        statuses.push(receipt["status"].as_str().unwrap().to_owned());
    }
    statuses.sort();
    assert_eq!(statuses, ["accepted", "duplicate"]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_bulk_nothing_passes_under_a_weaker_scheme() {
    let world = World::start().await;
    let sink = Sink::start().await;
    world.api.webhook(sink.url(), &["acme.*"]).await;
    let begun = world.now();
    let provider = source(&world.api, SECRET).await;
    let forged = [
        send(&provider, b"forged", world.now(), 1).await,
        send(&provider, b"forged", world.now(), 2).await,
    ];
    for receipt in &forged {
        rejected(&world.api, receipt).await;
    }
    let open = patch(&world.api, &provider, json!({"scheme": {"kind": "none"}})).await;
    assert_eq!(open["scheme"], json!({"kind": "none"}));
    assert_eq!(verify_all_again(&world.api, &provider, begun).await, 2);
    for receipt in &forged {
        world
            .api
            .receipt_when(receipt, |receipt| receipt["reason"] == "weaker_scheme")
            .await;
    }
    world.drained().await;
    assert!(sink.arrivals().is_empty());
    // Whoever looks at one receipt and decides may.
    assert_eq!(verify_again(&world.api, &forged[1]).await, StatusCode::ACCEPTED);
    assert_eq!(entities(&sink.wait_for(1).await), HashSet::from(["2".to_owned()]));
    world.drained().await;
    assert_eq!(sink.arrivals().len(), 1);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_one_secret_replaces_another_both_are_good() {
    let world = World::start().await;
    let sink = Sink::start().await;
    world.api.webhook(sink.url(), &["acme.*"]).await;
    let provider = source(&world.api, SECRET).await;
    patch(
        &world.api,
        &provider,
        json!({"secret": "the-next-one", "previousSecretExpiresIn": 60}),
    )
    .await;
    send(&provider, SECRET.as_bytes(), world.now(), 1).await;
    send(&provider, b"the-next-one", world.now(), 2).await;
    sink.wait_for(2).await;
    world.advance(Duration::from_secs(61));
    let late = send(&provider, SECRET.as_bytes(), world.now(), 3).await;
    rejected(&world.api, &late).await;
    send(&provider, b"the-next-one", world.now(), 4).await;
    sink.wait_for(3).await;
    // At once: the one that signs now is the only one.
    patch(&world.api, &provider, json!({"secret": "the-last-one"})).await;
    let late = send(&provider, b"the-next-one", world.now(), 5).await;
    rejected(&world.api, &late).await;
    send(&provider, b"the-last-one", world.now(), 6).await;
    sink.wait_for(4).await;
    world.drained().await;
    assert_eq!(
        entities(&sink.arrivals()),
        ["1", "2", "4", "6"].map(str::to_owned).into()
    );
    world.stop().await;
}
