//! What only the operator may do: organizations, recovery of a lost stream, erasure, failed records.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use hookline_tests::api::{Api, Provider, quartr_message, signed_headers};
use hookline_tests::sink::Sink;
use hookline_tests::world::World;
use local::engine::{Data, FaultKind};
use local::hub::Hub;
use operate::OperateError;
use payload::Clock;
use payload::receipt::{ReceiptOutcome, ReceiptStatus};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use store::clock::SystemClock;
use store::{RawReceipts, Receipts};

/// An organization with its API.
struct Tenant {
    id: String,
    api: Api,
}

async fn tenant(hub: &Hub) -> Tenant {
    let made = operate(hub, json!({"action": "createOrganization", "name": "Tenant"})).await;
    Tenant {
        id: made["organization"]["id"].as_str().unwrap().to_owned(),
        api: Api::new(hub.url(), made["adminKey"].as_str().unwrap()),
    }
}

async fn operate(hub: &Hub, command: Value) -> Value {
    hub.operate(command.clone())
        .await
        .unwrap_or_else(|error| panic!("{command}: {error}"))
}

/// The same command until it is done, in invocations without time: each does one step. The answers.
async fn step_by_step(hub: &Hub, command: &Value) -> Vec<Value> {
    let mut answers = Vec::new();
    let mut command = command.clone();
    loop {
        let answer = hub.operate_within(command.clone(), Duration::ZERO).await.unwrap();
        let next = answer["next"].clone();
        assert_eq!(answer["done"], json!(next.is_null()));
        answers.push(answer);
        if next.is_null() {
            return answers;
        }
        assert!(answers.len() < 500, "it does not end");
        command["next"] = next;
    }
}

fn sum(answers: &[Value], pointer: &str) -> u64 {
    answers
        .iter()
        .map(|answer| answer.pointer(pointer).unwrap().as_u64().unwrap())
        .sum()
}

/// What of an organization stands in the tables: how many items of each hold its id or one of these.
async fn traces(hub: &Hub, texts: &[&str]) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for table in [
        "InboxTable",
        "ReceiptsTable",
        "EventsTable",
        "DeliveriesTable",
        "WebhooksTable",
        "SourcesTable",
        "SecretsTable",
        "RegistryTable",
    ] {
        let name = hub.engine().table_name(table).unwrap();
        let page = hub
            .client()
            .scan()
            .table_name(name)
            .consistent_read(true)
            .send()
            .await
            .unwrap();
        let holds = |item: &std::collections::HashMap<String, AttributeValue>| {
            let text = format!("{item:?}");
            texts.iter().any(|wanted| text.contains(wanted))
        };
        let count = page.items().iter().filter(|item| holds(item)).count();
        if count > 0 {
            found.insert(table.to_owned(), count);
        }
    }
    found
}

async fn actions(api: &Api) -> Vec<String> {
    let trail = api.get("/v1/audit?order=asc").await;
    let entries = trail["data"].as_array().unwrap();
    let by_operator = entries.iter().filter(|entry| entry["key"].is_null());
    by_operator
        .map(|entry| entry["action"].as_str().unwrap().to_owned())
        .collect()
}

fn error_type(result: Result<Value, OperateError>) -> &'static str {
    result.unwrap_err().error_type()
}

#[tokio::test(flavor = "multi_thread")]
async fn organizations_are_made_listed_and_limited() {
    let world = World::start().await;
    let hub = world.hub();
    let (one, two) = (tenant(hub).await, tenant(hub).await);

    let mut listed = Vec::new();
    let mut command = json!({"action": "listOrganizations", "limit": 1});
    loop {
        let page = operate(hub, command.clone()).await;
        assert!(page["data"].as_array().unwrap().len() <= 1);
        listed.extend(
            page["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|view| view["id"].as_str().unwrap().to_owned()),
        );
        if page["next"].is_null() {
            break;
        }
        command["next"] = page["next"].clone();
    }
    assert_eq!(listed.len(), 3, "the world's own, and two");
    assert!(listed.contains(&one.id) && listed.contains(&two.id));

    let read = operate(hub, json!({"action": "getOrganization", "organization": one.id})).await;
    assert_eq!(read["organization"]["status"], "active");
    assert_eq!(read["quota"], json!({"sources": 1000, "webhooks": 10_000, "keys": 100}));
    assert_eq!(read["keys"].as_array().unwrap().len(), 1);

    let quota =
        json!({"action": "setQuota", "organization": one.id, "quota": {"sources": 1, "webhooks": 0, "keys": 2}});
    for _ in 0..2 {
        let set = operate(hub, quota.clone()).await;
        assert_eq!(set["quota"], json!({"sources": 1, "webhooks": 0, "keys": 2}));
    }
    one.api.source("quartr").await;
    let refused = [
        (
            "/v1/sources",
            json!({"name": "b", "preset": "quartr", "secret": hookline_tests::api::PROVIDER_SECRET}),
        ),
        ("/v1/webhooks", json!({"name": "b", "url": "http://127.0.0.1:1/"})),
    ];
    for (path, body) in &refused {
        let (status, problem) = one.api.call(Method::POST, path, Some(body)).await;
        assert_eq!(
            (status, &problem["type"]),
            (StatusCode::CONFLICT, &json!("urn:hookline:problem:limit-reached"))
        );
        let (status, _) = two.api.call(Method::POST, path, Some(body)).await;
        assert_eq!(status, StatusCode::CREATED, "another's quota");
    }
    let key = json!({"name": "k", "role": "viewer"});
    assert_eq!(
        one.api.call(Method::POST, "/v1/keys", Some(&key)).await.0,
        StatusCode::CREATED
    );
    assert_eq!(
        one.api.call(Method::POST, "/v1/keys", Some(&key)).await.0,
        StatusCode::CONFLICT
    );
    // What is not named is as for all.
    operate(hub, json!({"action": "setQuota", "organization": one.id, "quota": {}})).await;
    assert_eq!(
        one.api.call(Method::POST, "/v1/keys", Some(&key)).await.0,
        StatusCode::CREATED
    );
    let made = operate(
        hub,
        json!({"action": "createAdminKey", "organization": one.id, "name": "lost"}),
    )
    .await;
    let again = Api::new(hub.url(), made["adminKey"].as_str().unwrap());
    assert_eq!(
        actions(&again).await,
        [
            "organization.created",
            "organization.quota_set",
            "organization.quota_set",
            "key.created"
        ]
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_command_says_why_and_does_nothing() {
    let world = World::start().await;
    let hub = world.hub();
    let Tenant { id, .. } = tenant(hub).await;
    let unknown = "org_00000000000000000000000000";
    let event = format!("evt_{}", "0".repeat(52));
    for (command, kind, word) in [
        (json!(null), "InvalidCommand", "invalid type"),
        (json!({}), "InvalidCommand", "action"),
        (json!({"action": "drop"}), "InvalidCommand", "drop"),
        (json!({"action": "createOrganization"}), "InvalidCommand", "name"),
        (
            json!({"action": "createOrganization", "name": " "}),
            "InvalidCommand",
            "name",
        ),
        (
            json!({"action": "createOrganization", "name": "a\nb"}),
            "InvalidCommand",
            "name",
        ),
        (
            json!({"action": "createOrganization", "name": "a".repeat(101)}),
            "InvalidCommand",
            "name",
        ),
        (
            json!({"action": "createOrganization", "name": "a", "nmae": "b"}),
            "InvalidCommand",
            "nmae",
        ),
        (
            json!({"action": "createAdminKey", "organization": "org_1"}),
            "InvalidCommand",
            "org_",
        ),
        (
            json!({"action": "listOrganizations", "limit": 0}),
            "InvalidCommand",
            "limit",
        ),
        (
            json!({"action": "listOrganizations", "next": "x"}),
            "InvalidCommand",
            "next",
        ),
        (
            json!({"action": "suspendOrganization", "organization": id}),
            "InvalidCommand",
            "reason",
        ),
        (
            json!({"action": "suspendOrganization", "organization": unknown, "reason": "a"}),
            "OrganizationNotFound",
            unknown,
        ),
        (
            json!({"action": "resumeOrganization", "organization": unknown}),
            "OrganizationNotFound",
            unknown,
        ),
        (
            json!({"action": "setQuota", "organization": id, "quota": {"events": 1}}),
            "InvalidCommand",
            "events",
        ),
        (
            json!({"action": "setQuota", "organization": id, "quota": {"keys": 1001}}),
            "InvalidCommand",
            "quota.keys",
        ),
        (
            json!({"action": "setQuota", "organization": id, "quota": {"keys": -1}}),
            "InvalidCommand",
            "-1",
        ),
        (
            json!({"action": "usage", "organization": id, "since": "2999-01-01T00:00:00Z"}),
            "InvalidCommand",
            "since",
        ),
        (
            json!({"action": "deleteOrganization", "organization": id}),
            "NotConfirmed",
            "confirm",
        ),
        (
            json!({"action": "deleteOrganization", "organization": id, "confirm": unknown}),
            "InvalidCommand",
            "confirm",
        ),
        (
            json!({"action": "deleteOrganization", "organization": unknown, "confirm": unknown}),
            "OrganizationNotFound",
            unknown,
        ),
        (json!({"action": "recoverReceipts"}), "InvalidCommand", "since"),
        (
            json!({"action": "recoverEvents", "since": "yesterday"}),
            "InvalidCommand",
            "invalid digit",
        ),
        (
            json!({"action": "recoverEvents", "since": "2020-01-01T00:00:00Z", "next": "bm8"}),
            "InvalidCommand",
            "next",
        ),
        (
            json!({"action": "recoverEvents", "since": "2020-01-01T00:00:00Z", "includeHandled": true}),
            "InvalidCommand",
            "includeHandled",
        ),
        (
            json!({"action": "eraseEvent", "organization": id, "event": "evt_1"}),
            "InvalidCommand",
            "evt_",
        ),
        (
            json!({"action": "eraseEvent", "organization": unknown, "event": event}),
            "InvalidCommand",
            "evt_",
        ),
        (
            json!({"action": "eraseEntity", "organization": id, "entityId": ""}),
            "InvalidCommand",
            "entityId",
        ),
        (
            json!({"action": "eraseEntity", "organization": id, "entityId": "a", "entityType": "a".repeat(2000)}),
            "InvalidCommand",
            "entityType",
        ),
    ] {
        let error = hub.operate(command.clone()).await.unwrap_err();
        // Whether an id of all zeros is one is not what this is about.
        if command["event"] != json!(event) {
            assert_eq!(error.error_type(), kind, "{command}: {error}");
            assert!(error.to_string().contains(word), "{command}: {error}");
        }
    }
    assert_eq!(
        world.count("RegistryTable").await,
        2 * 5,
        "two organizations: each with two items, a key's two, and an entry of the trail"
    );
    world.fail(FaultKind::Unreachable, "GetItem", "RegistryTable", &id, 9);
    let read = json!({"action": "getOrganization", "organization": id});
    assert_eq!(error_type(hub.operate(read).await), "StoreUnavailable");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_organization_takes_and_sends_nothing_and_loses_nothing() {
    let world = World::start().await;
    let hub = world.hub();
    let (victim, other) = (tenant(hub).await, tenant(hub).await);
    let sink = Sink::start().await;
    let webhook = victim.api.webhook(sink.url(), &[]).await;
    let quartr = victim.api.source("quartr").await;
    let body = quartr_message("audio.created", 1);

    // One is being delivered in vain when it happens; another was received and not verified.
    sink.next([hookline_tests::sink::Behaviour::Answer(500)]);
    quartr.send_at("msg_0", world.now(), &body).await;
    world.drained().await;
    assert_eq!(sink.arrivals().len(), 1);

    let suspend = json!({"action": "suspendOrganization", "organization": victim.id, "reason": "unpaid"});
    // Broken off before the last mark; the same again completes it, and keeps the first time and reason.
    world.fail(FaultKind::Unreachable, "PutItem", "WebhooksTable", &victim.id, 3);
    assert_eq!(error_type(hub.operate(suspend.clone()).await), "StoreUnavailable");
    let suspended = operate(hub, suspend.clone()).await;
    assert_eq!(suspended["organization"]["status"], "suspended");
    assert_eq!(suspended["organization"]["suspension"]["reason"], "unpaid");
    assert_eq!(suspended["marked"], json!({"keys": 1, "receivingUrls": 1}));
    let later = json!({"action": "suspendOrganization", "organization": victim.id, "reason": "another"});
    assert_eq!(operate(hub, later).await["organization"], suspended["organization"]);

    let (status, problem) = victim.api.call(Method::GET, "/v1/sources", None).await;
    assert_eq!(
        (status, &problem["type"]),
        (StatusCode::FORBIDDEN, &json!("urn:hookline:problem:suspended"))
    );
    let made = operate(hub, json!({"action": "createAdminKey", "organization": victim.id})).await;
    let new_key = Api::new(hub.url(), made["adminKey"].as_str().unwrap());
    assert_eq!(
        new_key.call(Method::GET, "/v1/sources", None).await.0,
        StatusCode::FORBIDDEN
    );
    other.api.get("/v1/sources").await;

    world.advance(Duration::from_secs(6));
    let stored = world.count("InboxTable").await;
    let headers = signed_headers(hookline_tests::api::PROVIDER_SECRET, "msg_1", world.now(), &body);
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let refused = quartr.request(Method::POST, "", &headers, &body).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()["retry-after"], "3600");
    assert_eq!(world.count("InboxTable").await, stored);

    // What was received before it is verified and waits.
    let receipt = hub.store();
    let waiting = payload::ReceiptId::generate(world.now());
    let mut copy = receipt_of(hub).await;
    copy.id = waiting;
    copy.headers = captured("msg_2", &world, &body);
    copy.received_at = world.now();
    store::Inbox::put_receipt(receipt, &copy).await.unwrap();
    world.drained().await;
    world.advance(Duration::from_secs(120));
    world.tick().await;
    world.advance(Duration::from_secs(3 * 3600));
    world.tick().await;
    assert_eq!(sink.arrivals().len(), 1, "nothing is sent");

    let resume = json!({"action": "resumeOrganization", "organization": victim.id, "reason": "paid"});
    world.fail(FaultKind::Unreachable, "UpdateItem", "SourcesTable", "tok#", 3);
    assert_eq!(error_type(hub.operate(resume.clone()).await), "StoreUnavailable");
    for _ in 0..2 {
        assert_eq!(operate(hub, resume.clone()).await["organization"]["status"], "active");
    }
    quartr.send_at("msg_1", world.now(), &body).await;
    world.drained().await;
    world.advance(Duration::from_secs(3700));
    world.tick().await;
    let arrivals = sink.wait_for(4).await;
    assert_eq!(arrivals.len(), 4);
    let ids: BTreeSet<&str> = arrivals.iter().map(|arrival| arrival.header("webhook-id")).collect();
    assert_eq!(ids.len(), 3, "each of the three, and the first of them twice");
    let first = new_key.get(&format!("/v1/events/{}", quartr.event_id("msg_0"))).await;
    assert_eq!(first["deliveries"][0]["webhook"], webhook.id);
    assert_eq!(
        first["deliveries"][0]["attempts"].as_array().unwrap().len(),
        2,
        "putting off is no attempt"
    );
    assert_eq!(
        actions(&victim.api).await,
        [
            "organization.created",
            "organization.suspended",
            "key.created",
            "organization.resumed"
        ]
    );
    world.stop().await;
}

/// Any receipt of the inbox.
async fn receipt_of(hub: &Hub) -> payload::Receipt {
    let name = hub.engine().table_name("InboxTable").unwrap();
    let page = hub.client().scan().table_name(name).send().await.unwrap();
    let id = page.items()[0]["id"].as_s().unwrap().parse().unwrap();
    hub.store().receipt(&id).await.unwrap().unwrap()
}

fn captured(message: &str, world: &World, body: &[u8]) -> Vec<payload::receipt::Header> {
    signed_headers(hookline_tests::api::PROVIDER_SECRET, message, world.now(), body)
        .iter()
        .map(|(name, value)| payload::receipt::Header::capture(name, value.as_bytes(), "", &[]))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_counts_what_is_there_and_what_came_in_a_span() {
    let world = World::start().await;
    let hub = world.hub();
    let one = tenant(hub).await;
    let sink = Sink::start().await;
    one.api.webhook(sink.url(), &[]).await;
    let quartr = one.api.source("quartr").await;
    for message in ["msg_0", "msg_1", "msg_1"] {
        quartr
            .send_at(message, world.now(), &quartr_message("audio.created", 1))
            .await;
        world.drained().await;
    }
    let usage = operate(hub, json!({"action": "usage", "organization": one.id, "until": "2999-01-01T00:00:00Z", "since": "2020-01-01T00:00:00Z"})).await;
    for (name, count) in [
        ("sources", 1),
        ("webhooks", 1),
        ("keys", 1),
        ("events", 2),
        ("otherReceipts", 1),
        ("deliveries", 2),
    ] {
        assert_eq!(usage[name], count, "{name}: {usage}");
    }
    let before = operate(
        hub,
        json!({"action": "usage", "organization": one.id, "until": "2020-01-01T00:00:00Z"}),
    )
    .await;
    assert_eq!((&before["events"], &before["deliveries"]), (&json!(0), &json!(0)));
    assert_eq!(before["since"], "2019-12-31T00:00:00Z", "a day, where nothing is said");
    let read = json!({"action": "usage", "organization": one.id});
    let late = hub.operate_within(read, Duration::ZERO).await;
    assert_eq!(error_type(late), "OutOfTime");
    world.stop().await;
}

/// A hub on a folder, whose streams forget what was not read by the end of the last one.
async fn hub_in(folder: &Path) -> World {
    let folder = folder.to_owned();
    World::start_with(|options| {
        options.data = Data::Dir(folder);
        options.operate.page = 1;
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_both_streams_lost_comes_back_exactly_once() {
    let folder = tempfile::tempdir().unwrap();
    let world = hub_in(folder.path()).await;
    let since = world.now();
    let Tenant { id, api } = tenant(world.hub()).await;
    let sink = Sink::start().await;
    api.webhook(sink.url(), &[]).await;
    api.webhook_with(&json!({"name": "other", "url": sink.url(), "filter": {"types": ["never"]}}))
        .await;
    let quartr = api.source("quartr").await;
    let body = quartr_message("audio.created", 1);
    quartr.send_at("msg_0", world.now(), &body).await;
    let forged = signed_headers("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "msg_x", world.now(), &body);
    assert_eq!(quartr.send_with(&forged, &body).await.0, StatusCode::ACCEPTED);
    world.drained().await;
    assert_eq!(sink.arrivals().len(), 1);
    // Fan-out stands still, then verification too.
    let [fan_out, verify] = world.hub().pumps() else {
        panic!("two pumps")
    };
    fan_out.stop().await;
    for message in ["msg_1", "msg_2"] {
        quartr.send_at(message, world.now(), &body).await;
        api.event_when(&quartr.event_id(message), |_| true).await;
    }
    verify.stop().await;
    for message in ["msg_3", "msg_4", "msg_5"] {
        quartr.send_at(message, world.now(), &body).await;
    }
    // The last record of a stream is kept: one that nobody can read.
    world.put_poison("InboxTable", "rcp_unreadable").await;
    world.put_poison("EventsTable", "evt_unreadable").await;
    world
        .hub()
        .engine()
        .trim_streams(SystemClock.now().as_second() + 10)
        .await
        .unwrap();
    world.stop().await;

    let world = hub_in(folder.path()).await;
    let hub = world.hub();
    world.drained().await;
    world.tick().await;
    assert_eq!(sink.arrivals().len(), 1, "both streams are lost");

    let receipts = json!({"action": "recoverReceipts", "since": since});
    let answers = step_by_step(hub, &receipts).await;
    assert!(answers.len() > 1, "page by page");
    assert_eq!((sum(&answers, "/examined"), sum(&answers, "/recovered")), (8, 3));
    world.drained().await;
    assert_eq!(sink.wait_for(4).await.len(), 4);

    // What is registered now was not there when the events came.
    let api = api_again(hub, &id).await;
    let late = Sink::start().await;
    api.webhook(late.url(), &[]).await;
    let events = json!({"action": "recoverEvents", "since": since});
    let answers = step_by_step(hub, &events).await;
    assert_eq!(sum(&answers, "/recovered"), 2);
    assert_eq!(sink.arrivals().len(), 4, "they are due, and the tick sends them");
    world.tick().await;
    assert_eq!(sink.wait_for(6).await.len(), 6);

    for command in [&receipts, &events] {
        assert_eq!(
            sum(&step_by_step(hub, command).await, "/recovered"),
            0,
            "again: nothing is left"
        );
    }
    world.drained().await;
    world.tick().await;
    let ids: BTreeSet<String> = sink
        .arrivals()
        .iter()
        .map(|arrival| arrival.header("webhook-id").to_owned())
        .collect();
    let expected: BTreeSet<String> = (0..6).map(|n| quartr.event_id(&format!("msg_{n}"))).collect();
    assert_eq!((sink.arrivals().len(), ids), (6, expected), "each exactly once");
    assert!(late.arrivals().is_empty());
    let trail = actions(&api).await;
    assert!(
        trail.contains(&"receipts.recovered".to_owned()) && trail.contains(&"events.recovered".to_owned()),
        "{trail:?}"
    );
    let nothing = json!({"action": "recoverEvents", "since": "2020-01-01T00:00:00Z", "until": "2020-01-02T00:00:00Z"});
    assert_eq!(operate(hub, nothing).await["recovered"], 0);
    world.stop().await;
}

async fn api_again(hub: &Hub, organization: &str) -> Api {
    let made = operate(hub, json!({"action": "createAdminKey", "organization": organization})).await;
    Api::new(hub.url(), made["adminKey"].as_str().unwrap())
}

/// Two organizations with a source and a webhook each, and some events of two entities; one of them twice, and one forged.
async fn lived_in(world: &World, sink: &Sink) -> (Tenant, Provider) {
    let one = tenant(world.hub()).await;
    one.api.webhook(sink.url(), &[]).await;
    let quartr = one.api.source("quartr").await;
    for (message, entity) in [("msg_1", 4711), ("msg_2", 4711), ("msg_3", 4712), ("msg_1", 4711)] {
        quartr
            .send_at(message, world.now(), &quartr_message("audio.created", entity))
            .await;
        world.drained().await;
    }
    let body = quartr_message("audio.created", 4712);
    let forged = signed_headers("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "msg_x", world.now(), &body);
    quartr.send_with(&forged, &body).await;
    world.drained().await;
    (one, quartr)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_erased_with_all_that_came_of_it() {
    let world = World::start_with(|options| options.operate.page = 1).await;
    let (hub, sink) = (world.hub(), Sink::start().await);
    let (one, quartr) = lived_in(&world, &sink).await;
    let (two, others) = lived_in(&world, &sink).await;
    let event = quartr.event_id("msg_1");
    let before = traces(hub, &[&two.id]).await;

    let foreign = json!({"action": "eraseEvent", "organization": two.id, "event": event});
    assert_eq!(
        operate(hub, foreign).await["erased"]["events"],
        0,
        "another's is not there"
    );
    one.api.get(&format!("/v1/events/{event}")).await;

    let command = json!({"action": "eraseEvent", "organization": one.id, "event": event});
    let answers = step_by_step(hub, &command).await;
    let erased = |name: &str| sum(&answers, &format!("/erased/{name}"));
    assert_eq!((erased("events"), erased("deliveries"), erased("receipts")), (1, 1, 2));
    // The trail alone names it.
    assert_eq!(
        traces(hub, &[&event]).await.keys().collect::<Vec<_>>(),
        ["RegistryTable"]
    );
    assert_eq!(
        one.api.call(Method::GET, &format!("/v1/events/{event}"), None).await.0,
        StatusCode::NOT_FOUND
    );
    one.api.get(&format!("/v1/events/{}", quartr.event_id("msg_2"))).await;
    two.api.get(&format!("/v1/events/{}", others.event_id("msg_1"))).await;
    assert_eq!(
        traces(hub, &[&two.id]).await,
        before,
        "the other organization's are as they were"
    );
    let again = step_by_step(hub, &command).await;
    assert_eq!(sum(&again, "/erased/events") + sum(&again, "/erased/receipts"), 0);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entity_is_erased_with_all_its_events() {
    let world = World::start_with(|options| options.operate.page = 2).await;
    let (hub, sink) = (world.hub(), Sink::start().await);
    let (one, quartr) = lived_in(&world, &sink).await;
    let other_type =
        json!({"action": "eraseEntity", "organization": one.id, "entityType": "video", "entityId": "4711"});
    assert_eq!(sum(&step_by_step(hub, &other_type).await, "/erased/events"), 0);
    let command = json!({"action": "eraseEntity", "organization": one.id, "entityId": "4711"});
    // Broken off in the middle: what is done is done, and the same again does the rest.
    world.fail(FaultKind::Unreachable, "DeleteItem", "EventsTable", "evt_", 3);
    assert_eq!(error_type(hub.operate(command.clone()).await), "StoreUnavailable");
    let answer = operate(hub, command).await;
    assert_eq!(
        (&answer["done"], &answer["erased"]["events"]),
        (&json!(true), &json!(2))
    );
    let left = traces(hub, &[&quartr.event_id("msg_1"), &quartr.event_id("msg_2")]).await;
    assert!(left.is_empty(), "{left:?}");
    one.api.get(&format!("/v1/events/{}", quartr.event_id("msg_3"))).await;
    assert!(actions(&one.api).await.contains(&"entity.erased".to_owned()));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_goes_with_everything_and_another_stays() {
    let world = World::start_with(|options| options.operate.page = 2).await;
    let (hub, sink) = (world.hub(), Sink::start().await);
    let (one, quartr) = lived_in(&world, &sink).await;
    let (two, _) = lived_in(&world, &sink).await;
    one.api
        .webhook_with(&json!({"name": "second", "url": sink.url(), "headers": {"X-Team": "a"}}))
        .await;
    let stays = traces(hub, &[&two.id]).await;
    let sources = one.api.get("/v1/sources").await["data"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let webhooks: Vec<String> = one.api.get("/v1/webhooks").await["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|w| w["id"].as_str().unwrap().to_owned())
        .collect();
    let command = json!({"action": "deleteOrganization", "organization": one.id, "confirm": one.id});
    let answers = step_by_step(hub, &command).await;
    assert!(answers.len() > 5, "step by step");
    let erased = |name: &str| sum(&answers, &format!("/erased/{name}"));
    assert_eq!((erased("events"), erased("deliveries"), erased("receipts")), (3, 3, 5));
    assert_eq!(
        one.api.call(Method::GET, "/v1/sources", None).await.0,
        StatusCode::UNAUTHORIZED
    );
    // Receiving URLs are remembered for some seconds.
    world.advance(Duration::from_secs(6));
    assert_eq!(
        quartr.request(Method::POST, "", &[], b"{}").await.status(),
        StatusCode::NOT_FOUND
    );
    let mut texts = vec![one.id.as_str(), sources.as_str()];
    texts.extend(webhooks.iter().map(String::as_str));
    let left = traces(hub, &texts).await;
    assert_eq!(
        left.keys().collect::<Vec<_>>(),
        ["RegistryTable"],
        "only the trail: {left:?}"
    );
    assert_eq!(traces(hub, &[&two.id]).await, stays);

    let repeated = operate(hub, command).await;
    assert_eq!(
        (&repeated["done"], &repeated["erased"]["events"]),
        (&json!(true), &json!(0))
    );
    let all = json!({"action": "deleteOrganization", "organization": one.id, "eraseAudit": true});
    assert_eq!(step_by_step(hub, &all).await.last().unwrap()["done"], true);
    assert!(traces(hub, &texts).await.is_empty());
    assert_eq!(error_type(hub.operate(all).await), "OrganizationNotFound");
    world.stop().await;
}

/// A document as a stream mapping writes it, of these images.
fn put_document(hub: &Hub, name: &str, images: &[serde_dynamo::Item]) -> std::path::PathBuf {
    let records: Vec<Value> = images
        .iter()
        .map(|image| json!({"eventName": "INSERT", "dynamodb": {"NewImage": image, "SequenceNumber": "1"}}))
        .collect();
    let document =
        json!({"DDBStreamBatchInfo": {"batchSize": records.len()}, "payload": json!({"Records": records}).to_string()});
    let path = hub.failed_folder().join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, document.to_string()).unwrap();
    path
}

async fn images(hub: &Hub, table: &str) -> Vec<serde_dynamo::Item> {
    let name = hub.engine().table_name(table).unwrap();
    let page = hub.client().scan().table_name(name).send().await.unwrap();
    let items = page.items.unwrap().into_iter();
    items.map(serde_dynamo::Item::from).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_records_are_erased_too() {
    let world = World::start().await;
    let (hub, sink) = (world.hub(), Sink::start().await);
    let (one, quartr) = lived_in(&world, &sink).await;
    let (events, receipts) = (images(hub, "EventsTable").await, images(hub, "InboxTable").await);
    let both = put_document(hub, "aws/lambda/a/1.json", &[events.clone(), receipts].concat());
    let foreign = hub.failed_folder().join("readme.json");
    std::fs::write(&foreign, "not ours").unwrap();
    let answer = operate(
        hub,
        json!({"action": "eraseEntity", "organization": one.id, "entityId": "4711"}),
    )
    .await;
    // Two events, and the receipts they came of; the duplicate's had made no event.
    assert_eq!(answer["erased"]["failedRecords"], 4, "{answer}");
    assert_eq!(answer["unreadableFailedRecords"], 1);
    let left = std::fs::read_to_string(&both).unwrap();
    assert!(!left.contains(&quartr.event_id("msg_1")) && left.contains(&quartr.event_id("msg_3")));
    operate(
        hub,
        json!({"action": "deleteOrganization", "organization": one.id, "confirm": one.id}),
    )
    .await;
    assert!(!both.exists() && foreign.exists());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_records_are_driven_again() {
    let world = World::start().await;
    let hub = world.hub();
    let Tenant { api, .. } = tenant(hub).await;
    let sink = Sink::start().await;
    api.webhook(sink.url(), &[]).await;
    let quartr = api.source("quartr").await;
    let body = quartr_message("audio.created", 1);
    let [fan_out, _] = world.hub().pumps() else {
        panic!("two pumps")
    };
    fan_out.stop().await;
    quartr.send_at("msg_1", world.now(), &body).await;
    api.event_when(&quartr.event_id("msg_1"), |_| true).await;
    let path = put_document(hub, "1.json", &images(hub, "EventsTable").await);
    let mut gone = images(hub, "EventsTable").await;
    gone[0].insert(
        "id".into(),
        serde_dynamo::AttributeValue::S(format!("{}x", quartr.event_id("none"))),
    );
    let kept = put_document(hub, "2.json", &gone);
    let answer = operate(hub, json!({"action": "redriveFailedRecords"})).await;
    assert_eq!(
        (
            &answer["done"],
            &answer["examined"],
            &answer["recovered"],
            &answer["kept"]
        ),
        (&json!(true), &json!(2), &json!(1), &json!(1))
    );
    assert!(!path.exists() && kept.exists(), "what is nowhere else stays");
    world.tick().await;
    assert_eq!(sink.wait_for(1).await[0].header("webhook-id"), quartr.event_id("msg_1"));
    assert_eq!(
        operate(hub, json!({"action": "redriveFailedRecords"})).await["recovered"],
        0
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_whose_outcome_is_known_is_left_alone() {
    let world = World::start().await;
    let hub = world.hub();
    let since = world.now();
    let Tenant { api, .. } = tenant(hub).await;
    let quartr = api.source("quartr").await;
    quartr
        .send_at("msg_1", world.now(), &quartr_message("audio.created", 1))
        .await;
    world.drained().await;
    let command = json!({"action": "recoverReceipts", "since": since});
    assert_eq!(
        operate(hub, command.clone()).await["recovered"],
        0,
        "it became an event"
    );
    // On request it is asked for again, and is recognised as its own retry.
    let mut all = command.clone();
    all["includeHandled"] = json!(true);
    assert_eq!(operate(hub, all).await["recovered"], 1);
    world.drained().await;
    assert_eq!(world.count("EventsTable").await, 1);
    let receipt = receipt_of(hub).await;
    let outcome = hub.store().outcome(&receipt.id).await.unwrap();
    assert!(matches!(
        outcome,
        Some(ReceiptOutcome {
            status: ReceiptStatus::Accepted { .. },
            ..
        })
    ));
    world.stop().await;
}
