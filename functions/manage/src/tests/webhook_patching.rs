//! A webhook that is changed: what is named changes, and what is not stays.

use payload::webhook::{Disabled, DisabledReason, Health};
use payload::{SourceId, WebhookId};

use super::*;

async fn webhook(client: &Client) -> String {
    format!("/v1/webhooks/{}", client.create_webhook().await.text("id"))
}

#[tokio::test]
async fn what_is_named_changes_and_the_rest_stays() {
    let client = Client::new();
    let path = webhook(&client).await;
    let mut before = client.get(&path).await.body;
    before.as_object_mut().unwrap().remove("health");
    let patch = json!({
        "name": " other ", "url": "https://example.com/other", "filter": {"types": ["a.*"], "pattern": {"data": {"n": [1]}}},
        "method": "GET", "rateLimit": 7, "schedule": [5], "enabled": false
    });
    let answer = client.patch(&path, patch.clone()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let mut expected = before.clone();
    let fields = expected.as_object_mut().unwrap();
    fields.extend(patch.as_object().unwrap().clone());
    fields.insert("name".into(), json!("other"));
    assert_eq!(answer.body, expected);
    // Of a filter, what is named.
    let answer = client
        .patch(
            &path,
            json!({"filter": {"types": null, "actions": ["updated"], "pattern": {"data": {"n": null, "m": [2]}}}}),
        )
        .await;
    assert_eq!(
        answer.body["filter"],
        json!({"actions": ["updated"], "pattern": {"data": {"m": [2]}}}),
        "{}",
        answer.body
    );
    let answer = client
        .patch(
            &path,
            json!({
                "name": "mine", "url": "https://example.com/hook", "filter": null, "method": "POST", "rateLimit": null, "schedule": null,
                "enabled": true
            }),
        )
        .await;
    assert_eq!(answer.body, before);
    assert_eq!(client.store.tables().updates, 3);
    for patch in [
        json!({}),
        json!({"enabled": true, "schedule": null, "url": "https://example.com/hook", "filter": {}, "format": "raw"}),
    ] {
        assert_eq!(client.patch(&path, patch).await.body, before);
    }
    assert_eq!(client.store.tables().updates, 3, "what changes nothing is not written");
}

#[tokio::test]
async fn what_cannot_be_is_named_and_changes_nothing() {
    let client = Client::new();
    let path = webhook(&client).await;
    let before = client.get(&path).await.body;
    let mut deep = json!(1);
    for _ in 0..100 {
        deep = json!({ "a": deep });
    }
    for (patch, pointer) in [
        (json!([]), ""),
        (json!({"name": null}), "/name"),
        (json!({"name": " "}), "/name"),
        (json!({"url": null}), "/url"),
        (json!({"url": "http://example.com/"}), "/url"),
        (json!({"url": "https://inside.example.com/"}), "/url"),
        (json!({"url": "https://hooks.example.com/in/x"}), "/url"),
        (json!({"filter": {"types": ["not ok"]}}), "/filter/types/0"),
        (json!({"filter": {"tpyes": ["a"]}}), "/filter/tpyes"),
        (json!({"filter": 1}), "/filter"),
        (json!({"filter": {"pattern": deep}}), "/filter"),
        (json!({"format": null}), "/format"),
        (json!({"format": "irc"}), "/format"),
        (json!({"format": 1}), "/format"),
        (json!({"method": null}), "/method"),
        (json!({"method": "GET", "format": "teams"}), "/method"),
        (json!({"rateLimit": 0}), "/rateLimit"),
        (json!({"schedule": [0]}), "/schedule/0"),
        (json!({"enabled": null}), "/enabled"),
        (json!({"secret": "mine"}), "/secret"),
        (json!({"id": "wh_1"}), "/id"),
    ] {
        let answer = client.patch(&path, patch.clone()).await;
        assert_eq!(
            (answer.status, answer.text("pointer").as_str()),
            (422, pointer),
            "{patch} {}",
            answer.body
        );
    }
    let absent = format!("/v1/webhooks/{}", WebhookId::generate(now()));
    assert_eq!(client.patch(&absent, json!({"name": "b"})).await.status, 404);
    let other = format!("/v1/webhooks/{}", SourceId::generate(now()));
    assert_eq!(client.patch(&other, json!({"name": "b"})).await.status, 404);
    // GET goes with one format only, whichever of the two changes.
    assert_eq!(client.patch(&path, json!({"method": "GET"})).await.status, 200);
    let answer = client.patch(&path, json!({"format": "slack"})).await;
    assert_eq!((answer.status, answer.text("pointer").as_str()), (422, "/method"));
    assert_eq!(client.patch(&path, json!({"method": "POST"})).await.status, 200);
    assert_eq!(client.get(&path).await.body, before);
}

#[tokio::test]
async fn a_change_at_the_same_time_is_a_conflict() {
    let client = Client::new();
    let path = webhook(&client).await;
    client.store.tables().race = true;
    let answer = client.patch(&path, json!({"name": "b"})).await;
    assert_eq!(
        (answer.status, answer.text("type").as_str()),
        (409, "urn:hookline:problem:conflict")
    );
}

#[tokio::test]
async fn enabling_takes_back_what_hookline_disabled() {
    let client = Client::new();
    let path = webhook(&client).await;
    let id: WebhookId = path.rsplit('/').next().unwrap().parse().unwrap();
    let failing = |disabled: bool| {
        let disabled = disabled.then_some(Disabled {
            at: now(),
            reason: DisabledReason::Failing,
        });
        let health = Health {
            webhook: id.clone(),
            failing_since: Some(now()),
            disabled,
        };
        client.store.tables().webhook_health.insert(id.clone(), health);
    };
    let has_health = || client.store.tables().webhook_health.contains_key(&id);
    failing(true);
    for (patch, stays) in [
        (json!({"name": "b"}), true),
        (json!({"enabled": false}), true),
        (json!({"enabled": true}), false),
    ] {
        assert_eq!(client.patch(&path, patch.clone()).await.status, 200);
        assert_eq!(has_health(), stays, "{patch}");
    }
    // Nothing else changes, and it is written all the same.
    failing(true);
    let updates = client.store.tables().updates;
    assert_eq!(client.patch(&path, json!({"enabled": true})).await.status, 200);
    assert_eq!((has_health(), client.store.tables().updates), (false, updates + 1));
    assert_eq!(
        client.get(&path).await.body["health"],
        json!({"failingSince": null, "disabled": null})
    );
    // That it fails remains true while it is sent to; what failed before a pause says nothing about what comes after.
    failing(false);
    assert_eq!(client.patch(&path, json!({"enabled": true})).await.status, 200);
    assert!(has_health());
    assert_eq!(client.patch(&path, json!({"enabled": false})).await.status, 200);
    assert_eq!(client.patch(&path, json!({"enabled": true})).await.status, 200);
    assert!(!has_health());
}

#[tokio::test]
async fn a_stored_filter_that_cannot_be_read_is_shown_and_can_be_replaced() {
    let client = Client::new();
    let path = webhook(&client).await;
    let id: WebhookId = path.rsplit('/').next().unwrap().parse().unwrap();
    let stored = json!({"types": ["a"], "moods": ["good"]});
    client.store.tables().webhooks.get_mut(&id).unwrap().filter = serde_json::from_value(stored.clone()).unwrap();
    assert_eq!(client.get(&path).await.body["filter"], stored);
    assert_eq!(client.patch(&path, json!({"name": "b"})).await.body["filter"], stored);
    // A patch that asks for nothing does not ask for everything; one that is wrong itself is told so.
    for (patch, pointer) in [
        (json!({}), "/filter/moods"),
        (json!({"types": null}), "/filter/moods"),
        (json!({"types": ["not ok"]}), "/filter/types/0"),
    ] {
        let answer = client.patch(&path, json!({"filter": patch})).await;
        assert_eq!(
            (answer.status, answer.text("pointer").as_str()),
            (422, pointer),
            "{patch}"
        );
    }
    for (patch, after) in [
        (json!({"moods": null}), json!({"types": ["a"]})),
        (json!({"actions": ["a"]}), json!({"actions": ["a"]})),
        (Value::Null, json!({})),
    ] {
        let unreadable = serde_json::from_value(stored.clone()).unwrap();
        let health = Health {
            webhook: id.clone(),
            failing_since: None,
            disabled: Some(Disabled {
                at: now(),
                reason: DisabledReason::BadFilter,
            }),
        };
        client.store.tables().webhooks.get_mut(&id).unwrap().filter = unreadable;
        client.store.tables().webhook_health.insert(id.clone(), health);
        let answer = client.patch(&path, json!({"filter": patch, "enabled": true})).await;
        assert_eq!(
            (answer.status, &answer.body["filter"]),
            (200, &after),
            "{}",
            answer.body
        );
        assert!(client.store.tables().webhook_health.is_empty(), "{patch}");
    }
}

#[tokio::test]
async fn a_patch_that_names_a_member_twice_is_refused() {
    let client = Client::new();
    let path = webhook(&client).await;
    for (patch, pointer) in [
        (
            r#"{"filter":{"pattern":{"action":["a"],"action":["b"]}}}"#,
            "/filter/pattern/action",
        ),
        (r#"{"filter":{"types":["a"],"types":null}}"#, "/filter/types"),
    ] {
        let request = Request::patch(&path)
            .header(AUTHORIZATION, format!("Bearer {}", client.key))
            .header(CONTENT_TYPE, "application/merge-patch+json")
            .body(Body::from(patch));
        let answer = client.send(request.unwrap()).await;
        assert_eq!(
            (answer.status, answer.text("pointer").as_str()),
            (422, pointer),
            "{patch}"
        );
    }
    assert_eq!(client.store.tables().updates, 0);
}

#[tokio::test]
async fn anothers_webhook_is_not_there() {
    let ours = Client::new();
    let theirs = ours.another();
    let path = webhook(&ours).await;
    let foreign = theirs.patch(&path, json!({"name": "b", "enabled": false})).await;
    let absent = theirs
        .patch(
            &format!("/v1/webhooks/{}", WebhookId::generate(now())),
            json!({"name": "b"}),
        )
        .await;
    assert_eq!((foreign.status, &foreign.text), (404, &absent.text));
    assert_eq!(ours.store.tables().updates, 0);
}
