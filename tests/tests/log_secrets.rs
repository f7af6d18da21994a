//! Secrets, tokens and bodies go the whole way through, and no line of the log holds them. One test in a binary of its own: its log is that
//! of the process.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail by panicking")]

use std::collections::BTreeSet;
use std::time::Duration;

use hookline_tests::api::{Api, PROVIDER_SECRET, Provider, quartr_message, signed_headers};
use hookline_tests::log_lines::{Lines, of_page, repository};
use hookline_tests::sink::{Behaviour, Sink};
use hookline_tests::world::World;
use payload::TraceId;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use telemetry::captured::Captured;

/// Every line of our own, down to the least.
const LEVELS: &str = "off,receive=trace,verify=trace,fan_out=trace,retry=trace,manage=trace,operate=trace,payload=trace,store=trace,\
                      delivery=trace,telemetry=trace,local=trace";

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// What is planted where, each to be found nowhere.
const BODY: &str = "planted-in-the-body";
const HEADER: &str = "planted-in-a-header";
const QUERY: &str = "planted-in-the-query";
const PATH: &str = "planted-in-the-path";
const PUBLISHED: &str = "planted-in-what-is-published";
const DESTINATION: &str = "planted-in-the-destination";
const DESTINATION_HEADER: &str = "planted-in-a-destination-header";
const ANSWER: &str = "planted-in-an-answer";
const SETTING: &str = "planted-in-a-setting";

fn traceparent() -> String {
    format!("00-{TRACE}-00f067aa0ba902b7-01")
}

fn message(entity: u32) -> Vec<u8> {
    let mut message: Value = serde_json::from_slice(&quartr_message("audio.created", entity)).unwrap();
    message["data"]["title"] = BODY.into();
    message.to_string().into_bytes()
}

/// Sends a signed message with planted headers and a planted query; its receipt.
async fn send(world: &World, provider: &Provider, secret: &str, id: &str, entity: u32) -> String {
    let body = message(entity);
    let signed = signed_headers(secret, id, world.now(), &body);
    let traceparent = traceparent();
    let mut headers: Vec<(&str, &str)> = signed.iter().map(|(name, value)| (*name, value.as_str())).collect();
    headers.extend([
        ("content-type", "application/json"),
        ("traceparent", &traceparent),
        ("authorization", HEADER),
        ("x-more", HEADER),
    ]);
    let response = provider
        .request(Method::POST, &format!("?q={QUERY}"), &headers, &body)
        .await;
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    let answer: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    answer["id"].as_str().unwrap().to_owned()
}

/// What the team does wrong, with a secret in each.
async fn mistakes(world: &World, provider: &Provider) {
    for (method, path, body) in [
        (
            Method::POST,
            "/v1/sources".to_owned(),
            json!({"name": SETTING, "preset": SETTING, "secret": SETTING}),
        ),
        (
            Method::POST,
            "/v1/webhooks".to_owned(),
            json!({"name": "a", "url": format!("ftp://{SETTING}/")}),
        ),
        (
            Method::POST,
            "/v1/events".to_owned(),
            json!({"type": "a b", "data": PUBLISHED}),
        ),
        (
            Method::PATCH,
            format!("/v1/sources/{}", provider.id),
            json!({SETTING: 1}),
        ),
        (Method::GET, format!("/v1/events/{PATH}"), Value::Null),
        (Method::GET, format!("/v1/{PATH}?{QUERY}"), Value::Null),
    ] {
        let (status, _) = world.api.call(method, &path, Some(&body)).await;
        assert!(status.is_client_error(), "{path}: {status}");
    }
    let stranger = Api::new(world.url(), "hk_planted-in-a-key");
    let (status, _) = stranger.call(Method::GET, &format!("/v1/events/{PATH}"), None).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_no_token_and_no_body_is_in_any_line_on_the_whole_way() {
    let (lines, numbers) = (Captured::default(), Captured::default());
    tracing::subscriber::set_global_default(lines.subscriber(LEVELS)).unwrap();
    let world = World::start_with(|options| options.metrics = numbers.metrics()).await;
    let (good, bad) = (Sink::start().await, Sink::start().await);
    let webhook = |url: &str| json!({"name": "a", "url": format!("{url}/{DESTINATION}?k={DESTINATION}"), "headers": {"X-Key": DESTINATION_HEADER}});
    let good_webhook = world.api.webhook_with(&webhook(good.url())).await;
    let bad_webhook = world.api.webhook_with(&webhook(bad.url())).await;
    bad.always(Behaviour::Say(500, ANSWER));
    let quartr = world.api.source("quartr").await;

    let receipt = send(&world, &quartr, PROVIDER_SECRET, "msg_1", 1).await;
    let duplicate = send(&world, &quartr, PROVIDER_SECRET, "msg_1", 1).await;
    let forged_with = payload::outbound::generate_secret();
    let forged_with = secrecy::ExposeSecret::expose_secret(&forged_with).to_owned();
    let forged = send(&world, &quartr, &forged_with, "msg_2", 2).await;
    let unsigned = quartr
        .request(Method::POST, "", &[("x-more", HEADER)], BODY.as_bytes())
        .await;
    assert_eq!(unsigned.status(), StatusCode::BAD_REQUEST);
    let unknown = quartr.request(Method::POST, PATH, &[], BODY.as_bytes()).await;
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
    let published = json!({"type": "report.ready", "data": {"text": PUBLISHED}, "summary": PUBLISHED});
    let (status, published) = world.api.call(Method::POST, "/v1/events", Some(&published)).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    mistakes(&world, &quartr).await;
    world.drained().await;
    world
        .api
        .receipt_when(&forged, |receipt| receipt["status"] == "rejected")
        .await;
    for _ in 0..3 {
        world.advance(Duration::from_secs(600));
        world.tick().await;
    }
    let (status, _) = world
        .api
        .call(Method::DELETE, &format!("/v1/webhooks/{}", bad_webhook.id), None)
        .await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    world.advance(Duration::from_secs(24 * 60 * 60));
    world.tick().await;

    let event = quartr.event_id("msg_1");
    let shown = world.api.get(&format!("/v1/events/{event}")).await;
    assert_eq!((&shown["trace"], &shown["receipt"]), (&json!(TRACE), &json!(receipt)));
    assert_eq!(world.api.get(&format!("/v1/receipts/{receipt}")).await["trace"], TRACE);
    // Each attempt, the first and the later ones, is a part of the trace under an id of its own.
    let arrived: Vec<_> = [good.arrivals(), bad.arrivals()].concat();
    let of_event: Vec<_> = arrived
        .iter()
        .filter(|arrival| arrival.header("webhook-id") == event)
        .collect();
    assert!(of_event.len() >= 3, "{}", of_event.len());
    let sent: BTreeSet<_> = of_event.iter().map(|arrival| arrival.header("traceparent")).collect();
    assert_eq!(sent.len(), of_event.len());
    assert!(
        sent.iter()
            .all(|sent| TraceId::of_traceparent(sent) == TraceId::parse(TRACE))
    );
    world.stop().await;

    let text = lines.take();
    let token = quartr.url.rsplit('/').next().unwrap();
    let planted = [
        BODY,
        HEADER,
        QUERY,
        PATH,
        PUBLISHED,
        DESTINATION,
        DESTINATION_HEADER,
        ANSWER,
        SETTING,
        "planted",
        "whsec_",
        "hk_",
        "in_",
    ];
    let secrets = [
        token,
        PROVIDER_SECRET,
        &forged_with,
        &good_webhook.secret,
        &bad_webhook.secret,
        good.url(),
        bad.url(),
        "v1,",
        "127.0.0.1",
    ];
    for secret in planted.into_iter().chain(secrets) {
        let line = text.lines().find(|line| line.contains(secret));
        assert_eq!(line.filter(|line| !is_word(line, secret)), None, "{secret}");
    }
    let all: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    check_lines(&all);
    check_trace(&all, &[&receipt, &duplicate, &forged, &event]);
    let published = published["id"].as_str().unwrap();
    assert!(
        all.iter()
            .any(|line| line["message"] == "answered" && line["event"] == published),
        "what was made is named"
    );
    check_numbers(&numbers.take());
}

/// Whether a prefix stands there only as a part of our own words (`rejected_in_a_row`).
fn is_word(line: &str, prefix: &str) -> bool {
    prefix == "in_" && line.replace("_in_a_row", "").find("in_").is_none()
}

/// Each line is one that the page lists, with no field that the page does not name.
fn check_lines(all: &[Value]) {
    let page = std::fs::read_to_string(repository().join("docs/LOGGING.md")).unwrap();
    let listed: Lines = of_page(&page);
    let common = BTreeSet::from(["timestamp", "level", "target", "message"].map(str::to_owned));
    for line in all {
        let target = line["target"].as_str().unwrap();
        let package = target.split("::").next().unwrap().replace('_', "-");
        let (level, message) = (
            line["level"].as_str().unwrap().to_lowercase(),
            line["message"].as_str().unwrap(),
        );
        let found = listed
            .iter()
            .find(|(kind, _)| (&*kind.package, &*kind.level, &*kind.message) == (&*package, &*level, message));
        let (_, fields) = found.unwrap_or_else(|| panic!("the page does not list {line}"));
        for field in line
            .as_object()
            .unwrap()
            .keys()
            .filter(|field| !common.contains(*field))
        {
            assert!(fields.contains(field), "the page does not name {field} of {line}");
        }
    }
    let messages: BTreeSet<_> = all.iter().map(|line| line["message"].as_str().unwrap()).collect();
    for expected in [
        "stored",
        "refused",
        "accepted",
        "duplicate",
        "rejected",
        "attempt",
        "delivery ended",
        "tick",
        "answered",
        "created",
    ] {
        assert!(messages.contains(expected), "{expected} is not in {messages:?}");
    }
}

/// All that is told of one message stands under its trace, in each function that it went through.
fn check_trace(all: &[Value], ids: &[&str]) {
    let is_about = |line: &Value| {
        ["receipt", "event"]
            .iter()
            .any(|field| ids.iter().any(|id| line[field] == *id))
    };
    let mut functions = BTreeSet::new();
    for line in all.iter().filter(|line| is_about(line)) {
        let target = line["target"].as_str().unwrap().split("::").next().unwrap();
        // What is asked of the API belongs to the trace of who asks; what `retry` ends unread has none.
        if target == "manage" || line["trace"].is_null() {
            assert!(target == "manage" || target == "retry", "{line}");
            continue;
        }
        assert_eq!(line["trace"], TRACE, "{line}");
        functions.insert(target.to_owned());
    }
    assert_eq!(
        functions,
        BTreeSet::from(["delivery", "receive", "verify"].map(str::to_owned))
    );
}

/// The numbers add up to what happened.
fn check_numbers(text: &str) {
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let sum = |name: &str| lines.iter().filter_map(|line| line[name].as_u64()).sum::<u64>();
    assert_eq!(
        (sum("Received"), sum("Verified"), sum("Duplicates"), sum("Rejected")),
        (3, 1, 1, 1)
    );
    let deliveries = |outcome: &str| {
        let of_outcome = lines.iter().filter(|line| line["Outcome"] == outcome);
        of_outcome.filter_map(|line| line["Deliveries"].as_u64()).sum::<u64>()
    };
    assert!(
        deliveries("delivered") >= 2 && deliveries("retried") >= 1 && deliveries("cancelled") >= 1,
        "{text}"
    );
    assert!(
        sum("DueBacklog") > 0 && lines.iter().any(|line| line["FirstAttemptLatency"].is_array()),
        "{text}"
    );
    assert!(!text.contains("planted"), "{text}");
    let page = std::fs::read_to_string(repository().join("docs/LOGGING.md")).unwrap();
    let directives = lines
        .iter()
        .flat_map(|line| line["_aws"]["CloudWatchMetrics"].as_array().unwrap());
    for metric in directives.flat_map(|directive| directive["Metrics"].as_array().unwrap()) {
        let row = format!(
            "| `{}` | {} |",
            metric["Name"].as_str().unwrap(),
            metric["Unit"].as_str().unwrap()
        );
        assert!(page.contains(&row), "the page does not list {row}");
    }
}
