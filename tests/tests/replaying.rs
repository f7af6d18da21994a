//! Doing it again: replays of one event, of what a webhook failed to take, and the recovery of what it missed.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail by panicking")]

use std::collections::BTreeMap;
use std::time::Duration;

use hookline_tests::api::{Api, Registered};
use hookline_tests::process::HubProcess;
use hookline_tests::sink::{Arrival, Behaviour, Sink};
use hookline_tests::world::World;
use local::engine::FaultKind;
use payload::Clock;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use store::clock::SystemClock;

const PROGRAM: &str = env!("CARGO_BIN_EXE_hub-process");

async fn publish(api: &Api, event_type: &str) -> String {
    let (status, json) = api
        .call(
            Method::POST,
            "/v1/events",
            Some(&json!({"type": event_type, "data": {}})),
        )
        .await;
    assert_eq!(status, StatusCode::ACCEPTED, "{json}");
    json["id"].as_str().unwrap().to_owned()
}

/// A webhook that is given up after two attempts.
async fn impatient(api: &Api, sink: &Sink, format: &str) -> Registered {
    let request = json!({"name": "impatient", "url": sink.url(), "schedule": [1], "format": format});
    api.webhook_with(&request).await
}

/// Begins a job; its id.
async fn begin(api: &Api, path: &str, body: Value) -> String {
    let (status, json) = api.call(Method::POST, path, Some(&body)).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{json}");
    assert_eq!(json["status"], "running");
    json["id"].as_str().unwrap().to_owned()
}

/// Ticks until a job has ended.
async fn ended(world: &World, job: &str) -> Value {
    for _ in 0..20 {
        world.tick().await;
        let job = world.api.get(&format!("/v1/jobs/{job}")).await;
        if job["status"] != "running" {
            // What it asked for last is due a little later.
            world.advance(Duration::from_secs(60));
            world.tick().await;
            return job;
        }
        world.advance(Duration::from_secs(60));
    }
    panic!("it does not end");
}

fn delivery_to<'a>(event: &'a Value, webhook: &Registered) -> &'a Value {
    let mut deliveries = event["deliveries"].as_array().unwrap().iter();
    deliveries.find(|delivery| delivery["webhook"] == webhook.id).unwrap()
}

/// So many events that the webhook gave up on.
async fn exhausted(world: &World, sink: &Sink, webhook: &Registered, count: usize) -> Vec<String> {
    sink.always(Behaviour::Answer(500));
    let mut events = Vec::new();
    for _ in 0..count {
        events.push(publish(&world.api, "a").await);
    }
    world.drained().await;
    for _ in 0..count + 5 {
        world.advance(Duration::from_secs(60));
        world.tick().await;
    }
    for event in &events {
        let event = world.api.get(&format!("/v1/events/{event}")).await;
        assert_eq!(delivery_to(&event, webhook)["status"], "exhausted", "{event}");
    }
    events
}

/// How often each id arrived.
fn ids(arrivals: &[Arrival]) -> BTreeMap<String, usize> {
    let mut ids = BTreeMap::new();
    for arrival in arrivals {
        *ids.entry(arrival.header("webhook-id").to_owned()).or_default() += 1;
    }
    ids
}

fn once(events: &[String]) -> BTreeMap<String, usize> {
    events.iter().map(|event| (event.clone(), 1)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mended_destination_gets_exactly_what_it_failed_to_take() {
    let world = World::start().await;
    let (mended, fine) = (Sink::start().await, Sink::start().await);
    let since = world.now();
    let webhook = impatient(&world.api, &mended, "raw").await;
    world.api.webhook(fine.url(), &[]).await;
    let failed = exhausted(&world, &mended, &webhook, 3).await;
    mended.always(Behaviour::Answer(200));
    let taken = publish(&world.api, "a").await;
    world.drained().await;
    world.tick().await;
    let before = mended.arrivals().len();
    assert_eq!(mended.arrivals().last().unwrap().header("webhook-id"), taken);
    assert_eq!(fine.wait_for(4).await.len(), 4);

    let path = format!("/v1/webhooks/{}/replay", webhook.id);
    let job = ended(&world, &begin(&world.api, &path, json!({"since": since})).await).await;
    assert_eq!(job["status"], "done", "{job}");
    assert_eq!(job["progress"], json!({"examined": 4, "requested": 3, "skipped": 1}));
    let again = &mended.arrivals()[before..];
    assert_eq!(ids(again), once(&failed), "the same ids, and no other");
    assert!(again.iter().all(|arrival| arrival.is_signed_with(&webhook.secret)));
    assert_eq!(fine.arrivals().len(), 4, "the other webhook is sent nothing again");
    for event in &failed {
        let event = world.api.get(&format!("/v1/events/{event}")).await;
        let delivery = delivery_to(&event, &webhook);
        assert_eq!(
            (&delivery["status"], &delivery["job"]),
            (&json!("delivered"), &job["id"])
        );
        let statuses: Vec<&Value> = delivery["attempts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|a| &a["status"])
            .collect();
        assert_eq!(statuses, [500, 500, 200], "what was tried before stays visible");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_fails_goes_along_the_schedule_again() {
    let world = World::start().await;
    let sink = Sink::start().await;
    let webhook = impatient(&world.api, &sink, "raw").await;
    let failed = exhausted(&world, &sink, &webhook, 1).await;
    let path = format!("/v1/events/{}/replay", failed[0]);
    let job = ended(&world, &begin(&world.api, &path, json!({"webhook": webhook.id})).await).await;
    assert_eq!(job["progress"]["requested"], 1);
    world.advance(Duration::from_secs(60));
    world.tick().await;
    let event = world.api.get(&format!("/v1/events/{}", failed[0])).await;
    let delivery = delivery_to(&event, &webhook);
    assert_eq!(delivery["status"], "exhausted");
    assert_eq!(delivery["attempts"].as_array().unwrap().len(), 4, "two in each round");
    assert_eq!(ids(&sink.arrivals()), BTreeMap::from([(failed[0].clone(), 4)]));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_id_is_sent_and_signed_when_it_is_asked_for() {
    let world = World::start().await;
    let (raw, cloud) = (Sink::start().await, Sink::start().await);
    let webhook = world.api.webhook(raw.url(), &[]).await;
    let request = json!({"name": "cloud", "url": cloud.url(), "format": "cloudevents"});
    let cloud_webhook = world.api.webhook_with(&request).await;
    let event = publish(&world.api, "a").await;
    world.drained().await;
    world.advance(Duration::from_secs(40));
    let path = format!("/v1/events/{event}/replay");
    let job = ended(&world, &begin(&world.api, &path, json!({"newMessageId": true})).await).await;
    assert_eq!(job["progress"], json!({"examined": 2, "requested": 2, "skipped": 0}));
    let shown = world.api.get(&format!("/v1/events/{event}")).await;
    for (sink, webhook) in [(&raw, &webhook), (&cloud, &cloud_webhook)] {
        let arrivals = sink.wait_for(2).await;
        assert_eq!(arrivals.len(), 2);
        assert_eq!(arrivals[0].header("webhook-id"), event);
        let id = arrivals[1].header("webhook-id");
        assert!(id.starts_with("msg_"), "{id}");
        assert_eq!(delivery_to(&shown, webhook)["messageId"], id);
        assert!(arrivals.iter().all(|arrival| arrival.is_signed_with(&webhook.secret)));
    }
    assert_eq!(
        raw.arrivals()[0].body,
        raw.arrivals()[1].body,
        "what happened is the same"
    );
    // Receivers of CloudEvents know a repetition by `source` and `id`.
    let again = cloud.arrivals()[1].json();
    assert_eq!(again["id"], cloud.arrivals()[1].header("webhook-id"));
    assert_eq!(again["data"]["id"], event);
    // Without being asked for, the next one carries the event's id again.
    ended(&world, &begin(&world.api, &path, json!({})).await).await;
    assert_eq!(raw.arrivals().last().unwrap().header("webhook-id"), event);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_event_goes_to_one_webhook_also_to_one_that_never_had_it() {
    let world = World::start().await;
    let (first, second) = (Sink::start().await, Sink::start().await);
    world.api.webhook(first.url(), &[]).await;
    let event = publish(&world.api, "a").await;
    world.drained().await;
    let late = world.api.webhook(second.url(), &["another.type"]).await;
    world.advance(Duration::from_secs(40));
    let path = format!("/v1/events/{event}/replay");
    let job = ended(&world, &begin(&world.api, &path, json!({"webhook": late.id})).await).await;
    assert_eq!(job["progress"]["requested"], 1);
    assert_eq!((first.arrivals().len(), second.arrivals().len()), (1, 1));
    assert_eq!(ids(&second.arrivals()), once(&[event]));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_was_created_late_gets_what_it_missed() {
    let world = World::start().await;
    let since = world.now();
    let mut wanted = Vec::new();
    for event_type in ["a.created", "b.created", "a.updated"] {
        let event = publish(&world.api, event_type).await;
        if event_type.starts_with("a.") {
            wanted.push(event);
        }
    }
    world.drained().await;
    world.advance(Duration::from_secs(60));
    let sink = Sink::start().await;
    let webhook = world.api.webhook(sink.url(), &["a.*"]).await;
    // This one it gets by itself.
    let own = publish(&world.api, "a.created").await;
    world.drained().await;
    let path = format!("/v1/webhooks/{}/recover", webhook.id);
    let job = ended(&world, &begin(&world.api, &path, json!({"since": since})).await).await;
    assert_eq!(job["progress"], json!({"examined": 1, "requested": 0, "skipped": 1}));
    let body = json!({"since": since, "includeBeforeCreation": true});
    let job = ended(&world, &begin(&world.api, &path, body.clone()).await).await;
    assert_eq!(job["progress"], json!({"examined": 4, "requested": 2, "skipped": 2}));
    wanted.push(own);
    assert_eq!(ids(&sink.arrivals()), once(&wanted));
    // Nothing is missing any more.
    let job = ended(&world, &begin(&world.api, &path, body).await).await;
    assert_eq!(job["progress"], json!({"examined": 4, "requested": 0, "skipped": 4}));
    assert_eq!(sink.arrivals().len(), 3);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_cancelled_while_a_webhook_was_disabled_is_recovered() {
    let world = World::start().await;
    let since = world.now();
    let sink = Sink::start().await;
    let webhook = world.api.webhook(sink.url(), &[]).await;
    sink.always(Behaviour::Answer(500));
    let cancelled = publish(&world.api, "a").await;
    world.drained().await;
    let enabled = async |enabled: bool| {
        let path = format!("/v1/webhooks/{}", webhook.id);
        let body = json!({"enabled": enabled});
        let (status, json) = world.api.call(Method::PATCH, &path, Some(&body)).await;
        assert_eq!(status, StatusCode::OK, "{json}");
    };
    enabled(false).await;
    world.advance(Duration::from_secs(120));
    world.tick().await;
    let missed = publish(&world.api, "a").await;
    world.drained().await;
    let path = format!("/v1/webhooks/{}/recover", webhook.id);
    let body = json!({"since": since});
    let (status, json) = world.api.call(Method::POST, &path, Some(&body)).await;
    assert_eq!(status, StatusCode::CONFLICT, "{json}");
    assert_eq!(json["type"], "urn:hookline:problem:webhook-disabled");
    enabled(true).await;
    sink.always(Behaviour::Answer(200));
    let before = sink.arrivals().len();
    let job = ended(&world, &begin(&world.api, &path, body).await).await;
    assert_eq!(job["progress"]["requested"], 2, "{job}");
    assert_eq!(ids(&sink.arrivals()[before..]), once(&[cancelled, missed]));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_job_asks_for_nothing_more() {
    let world = World::start().await;
    let sink = Sink::start().await;
    let since = world.now();
    let webhook = impatient(&world.api, &sink, "raw").await;
    exhausted(&world, &sink, &webhook, 4).await;
    sink.always(Behaviour::Answer(200));
    let before = sink.arrivals().len();
    let path = format!("/v1/webhooks/{}/replay", webhook.id);
    let job = begin(&world.api, &path, json!({"since": since, "rate": 1})).await;
    world.tick().await;
    assert_eq!(
        world.api.get(&format!("/v1/jobs/{job}")).await["progress"]["requested"],
        1
    );
    let (status, json) = world
        .api
        .call(Method::POST, &format!("/v1/jobs/{job}/cancel"), None)
        .await;
    assert_eq!((status, &json["status"]), (StatusCode::OK, &json!("cancelled")));
    world.advance(Duration::from_secs(300));
    world.tick().await;
    assert_eq!(sink.arrivals().len() - before, 1);
    let listed = world.api.get("/v1/jobs").await;
    assert_eq!(listed["data"][0]["id"], job.as_str());
    assert_eq!(listed["data"][0]["progress"]["requested"], 1);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_ends_when_its_webhook_is_deleted() {
    let world = World::start().await;
    let sink = Sink::start().await;
    let since = world.now();
    let webhook = impatient(&world.api, &sink, "raw").await;
    exhausted(&world, &sink, &webhook, 2).await;
    let path = format!("/v1/webhooks/{}", webhook.id);
    let job = begin(&world.api, &format!("{path}/replay"), json!({"since": since})).await;
    let (status, _) = world.api.call(Method::DELETE, &path, None).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let before = sink.arrivals().len();
    let job = ended(&world, &job).await;
    assert_eq!(
        (&job["status"], &job["failure"]),
        (&json!("failed"), &json!("webhook_deleted"))
    );
    assert_eq!(sink.arrivals().len(), before);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_in_trouble_asks_for_nothing_twice() {
    for (kind, operation, table) in [
        (
            FaultKind::AppliedThenInternalServerError,
            "TransactWriteItems",
            "RegistryTable",
        ),
        (FaultKind::AppliedThenInternalServerError, "PutItem", "DeliveriesTable"),
        (FaultKind::AppliedThenInternalServerError, "UpdateItem", "RegistryTable"),
        // For longer than the SDK tries by itself.
        (FaultKind::InternalServerError, "TransactWriteItems", "RegistryTable"),
        (FaultKind::Throttling, "Query", "DeliveriesTable"),
    ] {
        let world = World::start().await;
        let sink = Sink::start().await;
        let since = world.now();
        let webhook = impatient(&world.api, &sink, "raw").await;
        let failed = exhausted(&world, &sink, &webhook, 3).await;
        sink.always(Behaviour::Answer(200));
        let before = sink.arrivals().len();
        let path = format!("/v1/webhooks/{}/replay", webhook.id);
        let job = begin(&world.api, &path, json!({"since": since})).await;
        world.fail(
            kind,
            operation,
            table,
            "",
            if kind == FaultKind::AppliedThenInternalServerError {
                1
            } else {
                3
            },
        );
        world.tick().await;
        world.advance(Duration::from_secs(100));
        let job = ended(&world, &job).await;
        assert_eq!(
            job["progress"],
            json!({"examined": 3, "requested": 3, "skipped": 0}),
            "{kind:?} {operation}"
        );
        assert_eq!(ids(&sink.arrivals()[before..]), once(&failed), "{kind:?} {operation}");
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_asking_and_noting_it_asks_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut hub = HubProcess::start(PROGRAM, folder.path(), 0).await;
    let key = hub.tell("organization").await;
    let api = Api::new(hub.url(), &key);
    let since = SystemClock.now();
    let mut events = Vec::new();
    for _ in 0..3 {
        events.push(publish(&api, "a").await);
    }
    hub.tell("drained").await;
    let sink = Sink::start().await;
    let webhook = api.webhook(sink.url(), &[]).await;
    hub.tell("advance 60").await;
    let path = format!("/v1/webhooks/{}/recover", webhook.id);
    let body = json!({"since": since, "includeBeforeCreation": true});
    let job = begin(&api, &path, body).await;
    // It asks for deliveries, and never comes to note how far it is.
    hub.tell("fault delay TransactWriteItems RegistryTable").await;
    hub.begin("tick").await;
    for event in &events {
        api.event_when(event, |event| {
            event["deliveries"]
                .get(0)
                .is_some_and(|delivery| delivery["job"] == job)
        })
        .await;
    }
    let port = hub.port();
    hub.kill().await;
    let mut hub = HubProcess::start(PROGRAM, folder.path(), port).await;
    let path = format!("/v1/jobs/{job}");
    assert_eq!(api.get(&path).await["progress"]["examined"], 0);
    // The lease of the killed one ends, and another tick goes on.
    hub.tell("advance 300").await;
    hub.tell("tick").await;
    hub.tell("advance 360").await;
    hub.tell("tick").await;
    let job = api.get(&path).await;
    assert_eq!(job["status"], "done", "{job}");
    assert_eq!(job["progress"], json!({"examined": 3, "requested": 3, "skipped": 0}));
    assert_eq!(ids(&sink.arrivals()), once(&events));
}
