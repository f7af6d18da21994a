//! Which webhooks would take an event, before it comes.

use payload::WebhookId;

use super::*;

const PATH: &str = "/v1/webhooks/test-filter";

fn event() -> Value {
    json!({
        "id": format!("evt_{}", "0".repeat(40)), "type": "live.audio.updated", "timestamp": "2025-03-25T13:31:00.000Z",
        "action": "updated", "entity": {"type": "live.audio", "id": "1"}, "data": {"state": "open", "n": 5}
    })
}

async fn webhook(client: &Client, filter: Value) -> String {
    let new = json!({"name": "a", "url": "https://example.com/", "filter": filter, "enabled": false});
    let created = client.post("/v1/webhooks", new).await;
    assert_eq!(created.status, 201, "{}", created.body);
    created.text("id")
}

#[tokio::test]
async fn a_filter_that_belongs_to_nobody() {
    let client = Client::new();
    for (filter, matches) in [
        (json!({}), true),
        (json!({"types": ["live.*"]}), true),
        (json!({"types": ["live.*"], "actions": ["deleted"]}), false),
        (json!({"pattern": {"data": {"n": [{"numeric": [">", 4]}]}}}), true),
        (
            json!({"pattern": {"data": {"state": [{"anything-but": "open"}]}}}),
            false,
        ),
    ] {
        let answer = client.post(PATH, json!({"event": event(), "filter": filter})).await;
        assert_eq!(
            (answer.status, &answer.body),
            (200, &json!({"matches": matches})),
            "{filter}"
        );
    }
}

#[tokio::test]
async fn the_text_of_the_event_is_what_is_matched() {
    let client = Client::new();
    let digits = "12345678901234567890123";
    for (other, matches) in [(digits, true), ("12345678901234567890124", false)] {
        let mut event = event().to_string();
        event.truncate(event.len() - 1);
        let body =
            format!(r#"{{"event": {event}, "more": {digits}}}, "filter": {{"pattern": {{"more": [{other}]}}}}}}"#);
        let request = Request::post(PATH)
            .header(AUTHORIZATION, format!("Bearer {}", client.key))
            .header(CONTENT_TYPE, "application/json")
            .body(Body::from(body));
        let answer = client.send(request.unwrap()).await;
        assert_eq!(
            (answer.status, &answer.body),
            (200, &json!({"matches": matches})),
            "{other}"
        );
    }
}

#[tokio::test]
async fn webhooks_by_name_or_all_of_them() {
    let client = Client::new();
    let all = webhook(&client, json!({})).await;
    let some = webhook(&client, json!({"types": ["live.*"]})).await;
    let none = webhook(&client, json!({"types": ["other"]})).await;
    let broken = webhook(&client, json!({})).await;
    let id: WebhookId = broken.parse().unwrap();
    client.store.tables().webhooks.get_mut(&id).unwrap().filter =
        serde_json::from_value(json!({"moods": ["good"]})).unwrap();
    let foreign = webhook(&client.another(), json!({})).await;

    let answer = client.post(PATH, json!({"event": event()})).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let answers = answer.body["data"].as_array().unwrap();
    assert_eq!(answers.len(), 4);
    for (webhook, matches) in [(&all, true), (&some, true), (&none, false), (&broken, false)] {
        let answer = answers.iter().find(|answer| answer["webhook"] == **webhook).unwrap();
        assert_eq!(answer["matches"], matches);
        let problem = answer.get("problem").map(|problem| problem.as_str().unwrap());
        assert_eq!(problem.is_some(), *webhook == broken, "{answer}");
        assert!(problem.is_none_or(|problem| problem.contains("/moods")), "{answer}");
    }
    let answer = client
        .post(PATH, json!({"event": event(), "webhooks": [none, all]}))
        .await;
    assert_eq!(
        answer.body,
        json!({"data": [{"webhook": none, "matches": false}, {"webhook": all, "matches": true}]})
    );
    for unknown in [foreign.as_str(), "nonsense"] {
        let answer = client
            .post(PATH, json!({"event": event(), "webhooks": [all, unknown]}))
            .await;
        assert_eq!((answer.status, answer.text("pointer").as_str()), (422, "/webhooks/1"));
    }
    assert!(client.store.tables().events.is_empty(), "nothing is stored");
}

#[tokio::test]
async fn hooklines_own_events_go_to_those_who_named_them_but_not_to_whom_they_are_about() {
    let client = Client::new();
    let all = webhook(&client, json!({})).await;
    let (one, other) = (
        webhook(&client, json!({"types": ["hookline.*"]})).await,
        webhook(&client, json!({"types": ["hookline.*"]})).await,
    );
    let mut event = event();
    event["type"] = json!("hookline.webhook.failing");
    event["entity"] = json!({"type": "webhook", "id": one});
    let answer = client
        .post(PATH, json!({"event": event, "webhooks": [all, one, other]}))
        .await;
    let matches: Vec<&Value> = answer.body["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|each| &each["matches"])
        .collect();
    assert_eq!(matches, [false, false, true]);
}

#[tokio::test]
async fn what_is_no_event_is_named() {
    let client = Client::new();
    let with = |name: &str, value: Value| {
        let mut event = event();
        event[name] = value;
        json!({ "event": event })
    };
    let without = |name: &str| {
        let mut event = event();
        event.as_object_mut().unwrap().remove(name);
        json!({ "event": event })
    };
    for (body, pointer) in [
        (json!({}), "/event"),
        (json!({"event": null}), "/event"),
        (json!({"event": []}), "/event"),
        (json!({"event": "text"}), "/event"),
        (without("id"), "/event/id"),
        (without("type"), "/event/type"),
        (without("timestamp"), "/event/timestamp"),
        (with("id", json!("1")), "/event/id"),
        (with("timestamp", json!("yesterday")), "/event/timestamp"),
        (with("entity", json!({"id": 1})), "/event/entity/id"),
        (with("changes", json!([{"type": "a"}])), "/event/changes/0/code"),
        (json!({"event": event(), "filter": {}, "webhooks": []}), "/webhooks"),
        (json!({"event": event(), "filter": {"types": [1]}}), "/filter/types/0"),
        (json!({"event": event(), "webhooks": [1]}), "/webhooks/0"),
        (json!({"event": event(), "webhook": "wh_1"}), "/webhook"),
    ] {
        let answer = client.post(PATH, body.clone()).await;
        assert_eq!(
            (answer.status, answer.text("pointer").as_str()),
            (422, pointer),
            "{body} {}",
            answer.body
        );
        assert!(!answer.text("detail").contains(" at line "), "{}", answer.body);
    }
    let answer = client.get(PATH).await;
    assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")));
}
