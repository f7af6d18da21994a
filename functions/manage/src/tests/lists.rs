//! Lists of events, receipts and deliveries.

use jiff::SignedDuration;
use payload::delivery::{Attempt, Delivery, DeliveryStatus, Replay};
use payload::receipt::{ReceiptOutcome, ReceiptStatus};
use payload::{EventId, ReceiptId, WebhookId};

use super::receipts::{accept, decide, received, rejected};
use super::*;

fn at(seconds: i64) -> Timestamp {
    now() + SignedDuration::from_secs(seconds)
}

/// Publishes events of these types, one each second; their ids.
async fn publish(client: &Client, types: &[&str]) -> Vec<String> {
    let mut ids = Vec::new();
    for (second, event_type) in (0..).zip(types) {
        let body = json!({"type": event_type, "data": 1, "id": format!("own-{second}")});
        let id = client.post("/v1/events", body).await.text("id");
        let key: EventId = id.parse().unwrap();
        client.store.tables().events.get_mut(&key).unwrap().received_at = at(second);
        ids.push(id);
    }
    ids
}

/// A member of each row.
fn column(answer: &Answer, name: &str) -> Vec<String> {
    assert_eq!(answer.status, 200, "{}", answer.body);
    let rows = answer.body["data"].as_array().unwrap();
    rows.iter().map(|row| row[name].as_str().unwrap().to_owned()).collect()
}

/// The column of all pages of a list, page by page.
async fn pages(client: &Client, path: &str, name: &str) -> Vec<Vec<String>> {
    let (mut pages, mut cursor) = (Vec::new(), String::new());
    loop {
        let answer = client.get(&format!("{path}{cursor}")).await;
        pages.push(column(&answer, name));
        match answer.body["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return pages,
        }
        assert!(pages.len() < 50);
    }
}

fn deliver(client: &Client, event: &str, webhook: &WebhookId, second: i64, status: DeliveryStatus) -> String {
    let mut delivery = Delivery {
        event: event.parse().unwrap(),
        webhook: webhook.clone(),
        organization: client.organization.clone(),
        status,
        created_at: at(second),
        next_attempt: (status == DeliveryStatus::Due).then(|| at(60)),
        attempts: vec![],
        fence: 0,
        replay: Replay::default(),
    };
    delivery.record(Attempt {
        throttled: false,
        at: at(second),
        duration_ms: 5,
        status: Some(500),
        error: None,
        answer: Some("out of tea".into()),
    });
    client.store.tables().deliveries.push(delivery);
    format!("{event}.{webhook}")
}

#[tokio::test]
async fn events_are_listed_newest_first_and_filtered() {
    let client = Client::new();
    let receipt = received(&client).await;
    let ids = publish(&client, &["a.made", "b.made", "a.gone"]).await;
    let accepted = accept(&client, &receipt).to_string();
    client
        .store
        .tables()
        .events
        .get_mut(&accepted.parse().unwrap())
        .unwrap()
        .received_at = at(9);
    let answer = client.get("/v1/events").await;
    assert_eq!(
        answer.body["data"][0],
        json!({
            "id": accepted, "type": "live.audio.updated", "timestamp": "2025-03-25T13:31:00Z", "receivedAt": "2025-03-25T13:31:09Z",
            "source": receipt.source, "receipt": receipt.id
        })
    );
    assert_eq!(
        (&answer.body["data"][1]["source"], &answer.body["next"]),
        (&Value::Null, &Value::Null)
    );
    let newest_first = [&accepted, &ids[2], &ids[1], &ids[0]].map(Clone::clone);
    assert_eq!(pages(&client, "/v1/events?limit=2", "id").await.concat(), newest_first);
    assert_eq!(pages(&client, "/v1/events?limit=3", "id").await.len(), 2);
    let ask = async |query: &str| column(&client.get(&format!("/v1/events?{query}")).await, "id");
    assert_eq!(ask("order=asc&limit=2").await, ids[..2]);
    assert_eq!(ask("type=a.*&order=asc").await, [ids[0].clone(), ids[2].clone()]);
    assert_eq!(ask("type=b.made").await, [ids[1].clone()]);
    assert_eq!(ask(&format!("source={}", receipt.source)).await, [&*accepted]);
    assert_eq!(
        ask("since=2025-03-25T13:31:01Z&until=2025-03-25T13:31:02Z").await,
        [ids[1].clone()]
    );
    assert_eq!(ask("providerEventId=own-2").await, [ids[2].clone()]);
    assert_eq!(ask("providerEventId=own-2&type=b.*").await, Vec::<String>::new());
}

#[tokio::test]
async fn what_cannot_be_asked_is_named() {
    let client = Client::new();
    let publish = publish(&client, &["a", "b"]).await;
    let cursor = client.get("/v1/events?limit=1").await.text("next");
    let of_event = format!("/v1/deliveries?event={}&cursor={cursor}", publish[0]);
    for (path, parameter) in [
        ("/v1/events?colour=red", "colour"),
        ("/v1/events?limit=0", "limit"),
        ("/v1/events?limit=101", "limit"),
        ("/v1/events?type=", "type"),
        ("/v1/events?type=a%20b", "type"),
        ("/v1/events?source=evt_1", "source"),
        ("/v1/events?since=now", "since"),
        (
            "/v1/events?since=2025-03-25T13:31:00Z&until=2025-03-25T13:31:00Z",
            "until",
        ),
        ("/v1/events?providerEventId=", "providerEventId"),
        ("/v1/events?cursor=bm90aGluZw", "cursor"),
        ("/v1/events?order=up", "order"),
        ("/v1/receipts?status=received", "status"),
        (&format!("/v1/receipts?cursor={cursor}"), "cursor"),
        ("/v1/deliveries?status=failed", "status"),
        ("/v1/deliveries?webhook=1", "webhook"),
        (&format!("/v1/deliveries?cursor={cursor}"), "cursor"),
        (&of_event, "cursor"),
    ] {
        let answer = client.get(path).await;
        assert_eq!(answer.status, 422, "{path}: {}", answer.body);
        assert_eq!(answer.body["type"], "urn:hookline:problem:invalid-parameter");
        assert_eq!(
            (&answer.body["parameter"], &answer.body["pointer"]),
            (&json!(parameter), &Value::Null),
            "{path}"
        );
    }
}

#[tokio::test]
async fn receipts_without_an_event_are_listed() {
    let client = Client::new();
    let receipt = received(&client).await;
    let mut ids = Vec::new();
    for second in 0..5 {
        let mut outcome = ReceiptOutcome {
            id: ReceiptId::generate(at(second)),
            organization: client.organization.clone(),
            source: receipt.source.clone(),
            status: rejected(),
            received_at: at(second),
        };
        if second == 3 {
            outcome.status = ReceiptStatus::Duplicate {
                event: accept(&client, &receipt),
            };
        }
        ids.push(outcome.id.to_string());
        client.store.tables().outcomes.insert(outcome.id.clone(), outcome);
    }
    let first = client.get("/v1/receipts?order=asc&limit=1").await;
    assert_eq!(
        first.body["data"][0],
        json!({
            "id": ids[0], "source": receipt.source, "receivedAt": "2025-03-25T13:31:00Z", "status": "rejected",
            "reason": "signature_mismatch", "detail": "no signature matches", "hint": "is the secret that of another endpoint?"
        })
    );
    assert_eq!(
        pages(&client, "/v1/receipts?order=asc&limit=2", "id").await.concat(),
        ids
    );
    let ask = async |query: &str| column(&client.get(&format!("/v1/receipts?{query}")).await, "id");
    assert_eq!(ask("status=duplicate").await, [ids[3].clone()]);
    assert_eq!(
        ask("status=rejected&since=2025-03-25T13:31:02Z").await,
        [ids[4].clone(), ids[2].clone()]
    );
    assert_eq!(
        ask(&format!("source={}&until=2025-03-25T13:31:01Z", receipt.source)).await,
        [ids[0].clone()]
    );
    let other = client.create_source().await.text("id");
    assert_eq!(ask(&format!("source={other}")).await, Vec::<String>::new());
}

#[tokio::test]
async fn deliveries_are_listed_by_webhook_event_and_status() {
    use DeliveryStatus::{Delivered, Due, Exhausted};
    let client = Client::new();
    let events = publish(&client, &["a", "b", "c"]).await;
    let mut webhooks: Vec<WebhookId> = Vec::new();
    for _ in 0..2 {
        webhooks.push(client.create_webhook().await.text("id").parse().unwrap());
    }
    webhooks.sort();
    let (one, two) = (&webhooks[0], &webhooks[1]);
    let made = [
        deliver(&client, &events[0], one, 0, Delivered),
        deliver(&client, &events[0], two, 0, Due),
        deliver(&client, &events[1], one, 1, Exhausted),
        deliver(&client, &events[2], one, 2, Delivered),
        deliver(&client, &events[2], two, 2, Due),
    ];
    let pick = |numbers: &[usize]| -> Vec<String> { numbers.iter().map(|&number| made[number].clone()).collect() };
    let ask = async |query: &str| {
        pages(&client, &format!("/v1/deliveries?limit=1&{query}"), "id")
            .await
            .concat()
    };
    assert_eq!(ask(&format!("webhook={one}")).await, pick(&[3, 2, 0]));
    assert_eq!(
        ask(&format!("webhook={one}&order=asc&status=delivered")).await,
        pick(&[0, 3])
    );
    assert_eq!(
        ask(&format!("webhook={one}&since=2025-03-25T13:31:01Z")).await,
        pick(&[3, 2])
    );
    assert_eq!(ask(&format!("event={}&order=asc", events[2])).await, pick(&[3, 4]));
    assert_eq!(ask(&format!("event={}&status=due", events[2])).await, pick(&[4]));
    assert_eq!(ask(&format!("event={}&webhook={one}", events[2])).await, pick(&[3]));
    assert_eq!(
        ask(&format!("event={}&webhook={one}&status=due", events[2])).await,
        pick(&[])
    );
    assert_eq!(ask("status=due").await, pick(&[4, 1]));
    assert_eq!(ask("status=exhausted").await, pick(&[2]));
    for query in ["order=desc", "limit=2"] {
        let rows = pages(&client, &format!("/v1/deliveries?{query}"), "id").await.concat();
        assert_eq!(rows, pick(&[3, 4, 2, 0, 1]), "newest event first, and in it by webhook");
    }
    assert_eq!(ask("order=asc").await, pick(&[0, 1, 2, 3, 4]));
    assert_eq!(ask("status=delivered").await, pick(&[3, 0]));
    assert_eq!(ask("status=cancelled").await, pick(&[]));
    assert_eq!(ask("until=2025-03-25T13:31:01Z").await, pick(&[0, 1]));
    // Of a webhook that is gone, too.
    client.delete(&format!("/v1/webhooks/{one}")).await;
    assert_eq!(ask(&format!("webhook={one}")).await, pick(&[3, 2, 0]));
    let stats = client
        .get(&format!("/v1/webhooks/{two}/stats?until=2025-03-25T13:31:02Z"))
        .await;
    assert_eq!(
        stats.body,
        json!({
            "webhook": two, "since": "2025-03-24T13:31:02Z", "until": "2025-03-25T13:31:02Z", "complete": true,
            "due": 1, "delivered": 0, "exhausted": 0, "cancelled": 0
        })
    );
}

#[tokio::test]
async fn a_list_of_deliveries_comes_to_an_end_while_events_arrive() {
    let client = Client::new();
    let events = publish(&client, &["a", "b"]).await;
    let mut made = Vec::new();
    for event in events.iter().rev() {
        let mut of_event = Vec::new();
        for _ in 0..3 {
            let webhook = WebhookId::generate(now());
            of_event.push(deliver(&client, event, &webhook, 0, DeliveryStatus::Delivered));
        }
        of_event.sort();
        made.extend(of_event);
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    for number in 10.. {
        let answer = client.get(&format!("/v1/deliveries?limit=1{cursor}")).await;
        seen.extend(column(&answer, "id"));
        let body = json!({"type": "new", "data": 1, "id": format!("new-{number}")});
        let id = client.post("/v1/events", body).await.text("id");
        let key: EventId = id.parse().unwrap();
        client.store.tables().events.get_mut(&key).unwrap().received_at = at(number);
        deliver(
            &client,
            &id,
            &WebhookId::generate(now()),
            number,
            DeliveryStatus::Delivered,
        );
        match answer.body["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
        assert!(number < 30, "it has no end: {seen:?}");
    }
    assert_eq!(seen, made);
}

#[tokio::test]
async fn one_delivery_is_read_and_its_answer_removed() {
    let client = Client::new();
    let event = publish(&client, &["a"]).await.remove(0);
    let webhook: WebhookId = client.create_webhook().await.text("id").parse().unwrap();
    let path = format!(
        "/v1/deliveries/{}",
        deliver(&client, &event, &webhook, 0, DeliveryStatus::Due)
    );
    let read = client.get(&path).await;
    assert_eq!(
        read.body,
        json!({
            "id": format!("{event}.{webhook}"), "event": event, "webhook": webhook, "status": "due",
            "createdAt": "2025-03-25T13:31:00Z", "nextAttempt": "2025-03-25T13:32:00Z",
            "attempts": [{"at": "2025-03-25T13:31:00Z", "durationMs": 5, "status": 500, "answer": "out of tea"}]
        })
    );
    for _ in 0..2 {
        assert_eq!(client.delete(&format!("{path}/answer")).await.status, 204);
        assert_eq!(client.get(&path).await.body["attempts"][0].get("answer"), None);
    }
    for id in [
        event.clone(),
        format!("{event}."),
        format!("{webhook}.{event}"),
        format!("{event}.{webhook}."),
    ] {
        assert_eq!(client.get(&format!("/v1/deliveries/{id}")).await.status, 404, "{id}");
    }
}

#[tokio::test]
async fn an_event_is_shown_with_a_page_of_its_deliveries() {
    let client = Client::new();
    let event = publish(&client, &["a"]).await.remove(0);
    let path = format!("/v1/events/{event}");
    for (count, shown, more) in [(100, 100, false), (101, 100, true)] {
        while client.store.tables().deliveries.len() < count {
            deliver(
                &client,
                &event,
                &WebhookId::generate(now()),
                0,
                DeliveryStatus::Delivered,
            );
        }
        let read = client.get(&path).await.body;
        assert_eq!(
            (read["deliveries"].as_array().unwrap().len(), &read["moreDeliveries"]),
            (shown, &json!(more))
        );
    }
    let rest = pages(&client, &format!("/v1/deliveries?limit=100&event={event}"), "id").await;
    assert_eq!(rest.concat().len(), 101);
}

#[tokio::test]
async fn behind_a_page_that_holds_the_last_row_there_is_none() {
    let client = Client::new();
    let event = publish(&client, &["a"]).await.remove(0);
    for second in 0..2 {
        client.create_source().await;
        let webhook: WebhookId = client.create_webhook().await.text("id").parse().unwrap();
        deliver(&client, &event, &webhook, second, DeliveryStatus::Delivered);
        client.post(&format!("/v1/events/{event}/replay"), json!({})).await;
    }
    let trail = column(&client.get("/v1/audit").await, "id").len();
    for (path, rows) in [
        ("/v1/sources?", 2),
        ("/v1/webhooks?", 2),
        ("/v1/jobs?", 2),
        ("/v1/audit?", trail),
        (&format!("/v1/deliveries?event={event}&"), 2),
    ] {
        for (limit, expected) in [
            (rows - 1, vec![rows - 1, 1]),
            (rows, vec![rows]),
            (rows + 1, vec![rows]),
        ] {
            let pages = pages(&client, &format!("{path}limit={limit}"), "id").await;
            let lengths: Vec<usize> = pages.iter().map(Vec::len).collect();
            assert_eq!(lengths, expected, "{path}limit={limit}");
        }
    }
}

#[tokio::test]
async fn a_removal_is_in_the_trail_before_it_is_made() {
    let client = Client::new();
    let event = publish(&client, &["a"]).await.remove(0);
    let webhook: WebhookId = client.create_webhook().await.text("id").parse().unwrap();
    let id = deliver(&client, &event, &webhook, 0, DeliveryStatus::Due);
    let recorded = async || {
        let trail = client.get("/v1/audit").await.body["data"].clone();
        let of_it = |entry: &&Value| entry["action"] == "delivery.answer_removed" && entry["resource"] == id;
        trail.as_array().unwrap().iter().filter(of_it).count()
    };
    let other = WebhookId::generate(now());
    let missing = client.delete(&format!("/v1/deliveries/{event}.{other}/answer")).await;
    assert_eq!((missing.status, recorded().await), (404, 0));
    client.store.tables().race = true;
    let path = format!("/v1/deliveries/{id}/answer");
    assert_eq!((client.delete(&path).await.status, recorded().await), (409, 1));
    client.store.tables().race = false;
    assert_eq!((client.delete(&path).await.status, recorded().await), (204, 2));
}

#[tokio::test]
async fn nothing_of_another_organization_is_listed() {
    let ours = Client::new();
    let theirs = ours.another();
    let events = publish(&ours, &["a", "b"]).await;
    let webhook: WebhookId = ours.create_webhook().await.text("id").parse().unwrap();
    let delivery = deliver(&ours, &events[0], &webhook, 0, DeliveryStatus::Due);
    deliver(&ours, &events[1], &webhook, 1, DeliveryStatus::Delivered);
    let receipt = received(&ours).await;
    decide(&ours, &receipt, rejected());
    for path in [
        "/v1/events?limit=1".to_owned(),
        "/v1/events?limit=1&providerEventId=own-0".to_owned(),
        format!("/v1/events?limit=1&source={}", receipt.source),
        "/v1/receipts?limit=1".to_owned(),
        format!("/v1/receipts?limit=1&source={}", receipt.source),
        "/v1/deliveries?limit=1".to_owned(),
        "/v1/deliveries?limit=1&status=due".to_owned(),
        format!("/v1/deliveries?limit=1&webhook={webhook}"),
        format!("/v1/deliveries?limit=1&event={}", events[0]),
        format!("/v1/deliveries?event={}&webhook={webhook}", events[0]),
    ] {
        let foreign = theirs.get(&path).await;
        assert_eq!(
            (foreign.status, foreign.body),
            (200, json!({"data": [], "next": null})),
            "{path}"
        );
        let own = ours.get(&path).await;
        if !path.contains("/v1/events?limit=1&source") {
            assert_eq!(own.body["data"].as_array().unwrap().len(), 1, "{path}");
        }
        // Not even with our cursor.
        if let Some(cursor) = own.body["next"].as_str() {
            let foreign = theirs.get(&format!("{path}&cursor={cursor}")).await;
            assert_eq!(
                (foreign.status, foreign.body),
                (200, json!({"data": [], "next": null})),
                "{path}"
            );
        }
    }
    for (method, path) in [
        ("GET", format!("/v1/deliveries/{delivery}")),
        ("DELETE", format!("/v1/deliveries/{delivery}/answer")),
        ("GET", format!("/v1/webhooks/{webhook}/stats")),
    ] {
        assert_eq!(theirs.call(method, &path, None).await.status, 404, "{method} {path}");
    }
    let attempt = &ours.get(&format!("/v1/deliveries/{delivery}")).await.body["attempts"][0];
    assert_eq!(attempt["answer"], "out of tea");
}
