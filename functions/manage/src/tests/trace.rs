//! Where it went, and why not elsewhere.

use jiff::SignedDuration;
use payload::delivery::{Delivery, DeliveryStatus, Replay};
use payload::filter::Filter;
use payload::receipt::ReceiptStatus;
use payload::webhook::{Disabled, DisabledReason, Health};
use payload::{EventId, Receipt, ReceiptId, WebhookId};
use store::history::WebhookWas;

use super::receipts::{accept, decide, received, rejected};
use super::*;

fn at(seconds: i64) -> Timestamp {
    now() + SignedDuration::from_secs(seconds)
}

/// A webhook for these types, made at that time.
async fn webhook(client: &Client, types: &str, second: i64) -> WebhookId {
    let body = json!({"name": types, "url": "https://example.com/hook", "filter": {"types": [types]}});
    let id: WebhookId = client.post("/v1/webhooks", body).await.text("id").parse().unwrap();
    client.store.tables().webhooks.get_mut(&id).unwrap().created_at = at(second);
    id
}

fn deliver(client: &Client, event: &EventId, webhook: &WebhookId, second: i64) {
    deliver_as(client, event, webhook, second, Replay::default());
}

fn deliver_as(client: &Client, event: &EventId, webhook: &WebhookId, second: i64, replay: Replay) {
    client.store.tables().deliveries.push(Delivery {
        event: event.clone(),
        webhook: webhook.clone(),
        organization: client.organization.clone(),
        status: DeliveryStatus::Delivered,
        created_at: at(second),
        next_attempt: None,
        attempts: vec![],
        fence: 0,
        replay,
    });
}

/// That a webhook wanted these types until then.
fn was(client: &Client, webhook: &WebhookId, types: &str, until: i64, deleted: bool) {
    let was = WebhookWas {
        webhook: webhook.clone(),
        name: format!("was {types}"),
        filter: Filter::parse(&json!({"types": [types]}).to_string()).unwrap().into(),
        format: Default::default(),
        enabled: true,
        created_at: at(-100),
        disabled: None,
        until: at(until),
        deleted,
    };
    client
        .store
        .tables()
        .webhooks_were
        .push((client.organization.clone(), was));
}

/// The codes of the reasons of each webhook that did not get an event, in the order of these.
fn codes(traced: &Value, webhooks: &[&WebhookId]) -> Vec<Vec<String>> {
    let rows = traced["unmatched"]["data"].as_array().unwrap();
    let of = |webhook: &&WebhookId| {
        let row = rows.iter().find(|row| row["webhook"] == webhook.as_str());
        let reasons = row.unwrap_or_else(|| panic!("no {webhook} in {rows:?}"))["reasons"]
            .as_array()
            .unwrap();
        reasons
            .iter()
            .map(|reason| reason["code"].as_str().unwrap().to_owned())
            .collect()
    };
    webhooks.iter().map(of).collect()
}

fn names(rows: &Value) -> Vec<String> {
    let mut names: Vec<String> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["name"].as_str().unwrap_or_default().to_owned())
        .collect();
    names.sort();
    names
}

/// An event of the type `live.audio.updated` that arrived at second 0.
async fn accepted(client: &Client) -> (Receipt, EventId) {
    let receipt = received(client).await;
    let event = accept(client, &receipt);
    (receipt, event)
}

#[tokio::test]
async fn each_webhook_says_why_not() {
    let client = Client::new();
    let (_, event) = accepted(&client).await;
    let other = webhook(&client, "other", -10).await;
    let late = webhook(&client, "live.*", 5).await;
    let resting = webhook(&client, "*", -10).await;
    let gone = webhook(&client, "live.*", -10).await;
    let wanting = webhook(&client, "live.audio.*", -10).await;
    {
        let mut tables = client.store.tables();
        tables.webhooks.get_mut(&resting).unwrap().enabled = false;
        let disabled = Disabled {
            at: at(-5),
            reason: DisabledReason::Gone,
        };
        let health = Health {
            webhook: gone.clone(),
            failing_since: None,
            disabled: Some(disabled),
        };
        tables.webhook_health.insert(gone.clone(), health);
    }
    let told = client.get(&format!("/v1/trace?event={event}")).await;
    assert_eq!(told.status, 200, "{}", told.body);
    let traced = &told.body["events"][0];
    assert_eq!(
        codes(traced, &[&other, &late, &resting, &gone]),
        [
            vec!["filter"],
            vec!["created_later"],
            vec!["disabled"],
            vec!["disabled_by_hookline"]
        ]
    );
    let rows = traced["unmatched"]["data"].as_array().unwrap();
    let row = rows.iter().find(|row| row["webhook"] == gone.as_str()).unwrap();
    assert_eq!(
        row["reasons"],
        json!([{
            "code": "disabled_by_hookline", "detail": "Hookline had disabled it: its destination wants nothing more",
            "since": "2025-03-25T13:30:55Z"
        }])
    );
    // It is not delivered yet, and will be.
    assert_eq!(
        traced["matched"],
        json!([{"webhook": wanting, "name": "live.audio.*", "wanted": true, "delivery": null}])
    );
    assert_eq!(traced["asOf"], "2025-03-25T13:31:00Z");
    // What was disabled after the first delivery was not disabled then.
    client
        .store
        .tables()
        .webhook_health
        .get_mut(&gone)
        .unwrap()
        .disabled
        .as_mut()
        .unwrap()
        .at = at(3);
    deliver(&client, &event, &wanting, 2);
    let told = client.get(&format!("/v1/trace?event={event}")).await;
    let traced = &told.body["events"][0];
    assert_eq!(
        (&traced["asOf"], &traced["matchedCount"]),
        (&json!("2025-03-25T13:31:02Z"), &json!(2))
    );
}

#[tokio::test]
async fn webhooks_count_as_what_they_were() {
    let client = Client::new();
    let (_, event) = accepted(&client).await;
    let narrowed = webhook(&client, "other", -10).await;
    let widened = webhook(&client, "live.*", -10).await;
    let replayed = webhook(&client, "other", -10).await;
    let (before, after) = (WebhookId::generate(now()), WebhookId::generate(now()));
    was(&client, &before, "live.*", -3, true);
    was(&client, &widened, "nothing", 4, false);
    was(&client, &narrowed, "live.*", 5, false);
    was(&client, &narrowed, "nothing", 6, false);
    was(&client, &after, "live.*", 7, true);
    deliver(&client, &event, &replayed, 1);
    let told = client.get(&format!("/v1/trace?event={event}")).await;
    let traced = &told.body["events"][0];
    assert_eq!(names(&traced["matched"]), ["other", "was live.*", "was live.*"]);
    let matched = traced["matched"].as_array().unwrap();
    for (webhook, wanted, deleted) in [
        (&narrowed, true, Value::Null),
        (&after, true, json!("2025-03-25T13:31:07Z")),
        (&replayed, false, Value::Null),
    ] {
        let row = matched.iter().find(|row| row["webhook"] == webhook.as_str()).unwrap();
        assert_eq!((&row["wanted"], &row["deletedAt"]), (&json!(wanted), &deleted), "{row}");
    }
    assert_eq!(codes(traced, &[&widened, &before]), [vec!["filter"], vec!["deleted"]]);
}

#[tokio::test]
async fn what_a_job_recorded_does_not_move_the_time() {
    let client = Client::new();
    let (_, event) = accepted(&client).await;
    let (recovered, original) = (
        webhook(&client, "other", -10).await,
        webhook(&client, "live.*", -10).await,
    );
    was(&client, &recovered, "live.*", 50, false);
    let later = webhook(&client, "live.*", 60).await;
    let by_job = Replay {
        job: Some(payload::JobId::generate(at(100))),
        first: true,
        ..Replay::default()
    };
    deliver_as(&client, &event, &recovered, 100, by_job.clone());
    let traced = async || client.get(&format!("/v1/trace?event={event}")).await.body["events"][0].clone();
    let told = traced().await;
    assert_eq!(told["asOf"], "2025-03-25T13:31:00Z");
    let row = |told: &Value, webhook: &WebhookId| {
        let matched = told["matched"].as_array().unwrap();
        matched.iter().find(|row| row["webhook"] == webhook.as_str()).cloned()
    };
    assert_eq!(row(&told, &recovered).unwrap()["wanted"], true);
    assert_eq!(codes(&told, &[&later]), [vec!["created_later"]]);
    // What was delivered at first, and replayed since, tells the time as before.
    let replayed = Replay { first: false, ..by_job };
    deliver_as(&client, &event, &original, 2, replayed);
    assert_eq!(traced().await["asOf"], "2025-03-25T13:31:02Z");
}

#[tokio::test]
async fn what_webhooks_were_is_read_once_for_all_events() {
    let client = Client::new();
    let (_, event) = accepted(&client).await;
    // Another event of the same id of its provider's, which arrived and was looked at later.
    let another = EventId::compute("another", payload::id::Identity::ProviderId("msg_1"), 0);
    {
        let mut tables = client.store.tables();
        let mut later = tables.events[&event].clone();
        (later.id, later.meta.id, later.received_at) = (another.clone(), another.clone(), at(10));
        tables.events.insert(later.id.clone(), later);
    }
    let narrowed = webhook(&client, "other", -10).await;
    let gone = WebhookId::generate(now());
    was(&client, &narrowed, "live.*", 5, false);
    was(&client, &gone, "live.*", 6, true);
    let traced = async || client.get("/v1/trace?id=msg_1").await.body["events"].clone();
    let told = traced().await;
    assert_eq!(client.store.tables().histories, 1);
    let times = ["2025-03-25T13:31:00Z", "2025-03-25T13:31:10Z"];
    assert_eq!([&told[0]["asOf"], &told[1]["asOf"]], times);
    assert_eq!(names(&told[0]["matched"]), ["was live.*", "was live.*"]);
    assert_eq!(told[1]["matched"], json!([]));
    assert_eq!(codes(&told[1], &[&narrowed, &gone]), [vec!["filter"], vec!["deleted"]]);
    let complete = |told: &Value| [0, 1].map(|number| told[number]["historyComplete"].as_bool().unwrap());
    assert_eq!(complete(&told), [true, true]);
    client.store.tables().history_limit = Some(1);
    assert_eq!(complete(&traced().await), [false, false]);
}

#[tokio::test]
async fn of_many_deliveries_the_first_are_shown() {
    let client = Client::new();
    let (_, event) = accepted(&client).await;
    let mut webhooks: Vec<WebhookId> = (0..205).map(|_| WebhookId::generate(now())).collect();
    for webhook in &webhooks {
        deliver(&client, &event, webhook, 3);
    }
    // The last of them tells the time.
    webhooks.sort();
    let last = &webhooks[204];
    {
        let mut tables = client.store.tables();
        let found = tables.deliveries.iter_mut().find(|one| one.webhook == *last);
        found.unwrap().created_at = at(1);
    }
    let told = client.get(&format!("/v1/trace?id={event}")).await.body["events"][0].clone();
    assert_eq!(
        (&told["matchedCount"], &told["asOf"], &told["unmatched"]["data"]),
        (&json!(205), &json!("2025-03-25T13:31:01Z"), &json!([]))
    );
    let shown = told["matched"].as_array().unwrap();
    assert_eq!(shown.len(), 100);
    for (row, webhook) in shown.iter().zip(&webhooks) {
        assert_eq!((&row["webhook"], row["delivery"].is_object()), (&json!(webhook), true));
    }
}

#[tokio::test]
async fn what_is_not_matched_comes_page_by_page() {
    let client = Client::new();
    let (_, event) = accepted(&client).await;
    for number in 0..7 {
        webhook(&client, &format!("other.{number}"), -10).await;
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let told = client.get(&format!("/v1/trace?id={event}&limit=3{cursor}")).await;
        let unmatched = &told.body["events"][0]["unmatched"];
        seen.extend(names(&unmatched["data"]));
        match unmatched["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    seen.sort();
    assert_eq!(seen, (0..7).map(|number| format!("other.{number}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn receipts_are_traced_by_any_id() {
    let client = Client::new();
    let (receipt, event) = accepted(&client).await;
    let told = client.get(&format!("/v1/trace?id={}", receipt.id)).await;
    assert_eq!(
        told.body["receipts"],
        json!([{
            "id": receipt.id, "source": receipt.source, "receivedAt": "2025-03-25T13:31:00Z", "status": "accepted", "events": [event],
            "method": "POST", "size": receipt.body.len(), "contentType": null
        }])
    );
    for query in [
        format!("receipt={}", receipt.id),
        format!("id={event}"),
        "id=msg_1".into(),
        "providerEventId=msg_1".into(),
    ] {
        assert_eq!(
            client.get(&format!("/v1/trace?{query}")).await.body,
            told.body,
            "{query}"
        );
    }
    // What repeats it, and what was refused.
    let again = |status| {
        let receipt = Receipt {
            id: ReceiptId::generate(now()),
            ..receipt.clone()
        };
        client
            .store
            .tables()
            .receipts
            .insert(receipt.id.clone(), receipt.clone());
        decide(&client, &receipt, status);
        receipt.id
    };
    let duplicate = again(ReceiptStatus::Duplicate { event: event.clone() });
    let repeated = client.get(&format!("/v1/trace?id={duplicate}")).await;
    assert_eq!(repeated.body["receipts"][0]["status"], "duplicate");
    assert_eq!(repeated.body["events"], told.body["events"]);
    let refused = client.get(&format!("/v1/trace?id={}", again(rejected()))).await;
    assert_eq!(
        (&refused.body["receipts"][0]["status"], &refused.body["events"]),
        (&json!("rejected"), &json!([]))
    );
    // The event outlives the request, and knows its receipt.
    client.store.tables().receipts.clear();
    let without = client.get(&format!("/v1/trace?id={event}")).await;
    assert_eq!(
        without.body["receipts"],
        json!([{
            "id": receipt.id, "source": receipt.source, "receivedAt": "2025-03-25T13:31:00Z", "status": "accepted", "events": [event],
            "method": null, "size": null, "contentType": null
        }])
    );
    assert_eq!(without.body["events"], told.body["events"]);

    let theirs = client.another();
    for id in [
        event.as_str(),
        receipt.id.as_str(),
        duplicate.as_str(),
        "msg_1",
        "nothing",
    ] {
        assert_eq!(theirs.get(&format!("/v1/trace?id={id}")).await.status, 404, "{id}");
    }
}

#[tokio::test]
async fn a_trace_is_asked_for_by_one_id() {
    let client = Client::new();
    let (receipt, event) = accepted(&client).await;
    let cursor = crate::page::Cursor(WebhookId::generate(now())).to_text();
    for (query, parameter) in [
        (String::new(), "id"),
        (format!("id={event}&event={event}"), "id"),
        ("id=".into(), "id"),
        (format!("id={}", "x".repeat(2000)), "id"),
        ("event=rcp_1".into(), "event"),
        ("providerEventId=".into(), "providerEventId"),
        ("what=1".into(), "what"),
        (format!("receipt={}&cursor={cursor}", receipt.id), "cursor"),
        (format!("event={event}&cursor=x"), "cursor"),
    ] {
        let answer = client.get(&format!("/v1/trace?{query}")).await;
        assert_eq!(
            (answer.status, &answer.body["parameter"]),
            (422, &json!(parameter)),
            "{query}: {}",
            answer.body
        );
    }
}
