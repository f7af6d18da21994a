//! Webhooks of every format and method: what they take, what they show, and which field is named when something is wrong.

use payload::outbound::SigningKey;
use payload::webhook::{Disabled, DisabledReason, Health};

use super::*;

/// A webhook with these settings.
pub(super) fn webhook(fields: Value) -> Value {
    let mut webhook = json!({"name": "a", "url": "https://example.com/hook"});
    webhook
        .as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    webhook
}

#[tokio::test]
async fn every_setting_is_kept_and_shown() {
    let client = Client::new();
    let filter = json!({
        "types": ["live.*"], "entities": ["live.audio"], "pattern": {"data": {"n": [{"numeric": [">", 1]}]}}
    });
    let created = client
        .post(
            "/v1/webhooks",
            webhook(json!({
                "filter": filter, "method": "GET", "rateLimit": 90, "schedule": [1, 60, 86_400], "headers": {"X-Api-Key": "hidden"}
            })),
        )
        .await;
    assert_eq!(created.status, 201, "{}", created.body);
    let id = created.text("id");
    let shown = client.get(&format!("/v1/webhooks/{id}")).await.body;
    for (name, value) in [
        ("filter", filter),
        ("format", json!("raw")),
        ("method", json!("GET")),
        ("rateLimit", json!(90)),
        ("schedule", json!([1, 60, 86_400])),
        ("headers", json!(["X-Api-Key"])),
        ("url", json!("https://example.com/hook")),
    ] {
        assert_eq!((&created.body[name], &shown[name]), (&value, &value), "{name}");
    }
    let tables = client.store.tables();
    let stored = &tables.webhooks[&id.parse().unwrap()];
    assert_eq!(stored.rate.map(u32::from), Some(90));
    assert_eq!(stored.schedule.as_deref(), Some(&[1, 60, 86_400][..]));
}

#[tokio::test]
async fn the_numbers_of_a_pattern_keep_their_digits() {
    let client = Client::new();
    let digits = "[12345678901234567890123, 0.10]";
    let body = format!(
        r#"{{"name": "a", "url": "https://example.com/", "filter": {{"pattern": {{"data": {{"n": {digits}}}}}}}}}"#
    );
    let request = Request::post("/v1/webhooks")
        .header(AUTHORIZATION, format!("Bearer {}", client.key))
        .header(CONTENT_TYPE, "application/json")
        .body(Body::from(body));
    let created = client.send(request.unwrap()).await;
    assert_eq!(created.status, 201, "{}", created.body);
    let patched = client
        .patch(
            &format!("/v1/webhooks/{}", created.text("id")),
            json!({"filter": {"types": ["a"]}}),
        )
        .await;
    for answer in [created, patched] {
        let text: String = answer.text.split_whitespace().collect();
        assert!(text.contains("12345678901234567890123"), "{text}");
    }
}

#[tokio::test]
async fn the_url_of_a_chat_is_masked_in_every_answer() {
    let client = Client::new();
    for (format, url, masked, rate) in [
        (
            "slack",
            "https://hooks.slack.com/services/T0/B0/hidden",
            "https://hooks.slack.com/…",
            60,
        ),
        (
            "google_chat",
            "https://chat.googleapis.com/v1/spaces/a/messages?key=hidden&token=hidden",
            "https://chat.googleapis.com/…",
            60,
        ),
        (
            "teams",
            "https://a.logic.example.com:8443/workflows/hidden?sig=hidden",
            "https://a.logic.example.com:8443/…",
            240,
        ),
    ] {
        let created = client
            .post("/v1/webhooks", webhook(json!({"format": format, "url": url})))
            .await;
        assert_eq!(created.status, 201, "{}", created.body);
        let path = format!("/v1/webhooks/{}", created.text("id"));
        for answer in [
            created,
            client.get(&path).await,
            client.patch(&path, json!({"name": "b"})).await,
        ] {
            assert_eq!(answer.body["url"], masked);
            assert_eq!(answer.body["rateLimit"], rate);
            assert!(!answer.text.contains("hidden"), "{}", answer.text);
        }
        // And never by way of another format.
        let answer = client.patch(&path, json!({"format": "raw"})).await;
        assert_eq!((answer.status, answer.text("pointer").as_str()), (422, "/url"));
        let whole = json!({"format": "raw", "url": "https://example.com/new"});
        let answer = client.patch(&path, whole).await;
        assert_eq!(
            (answer.status, answer.text("url").as_str()),
            (200, "https://example.com/new")
        );
    }
    assert!(!client.get("/v1/webhooks").await.text.contains("hidden"));
}

#[tokio::test]
async fn what_was_shown_masked_is_no_url() {
    let client = Client::new();
    let masked = json!({"format": "slack", "url": "https://hooks.slack.com/…"});
    let answer = client.post("/v1/webhooks", webhook(masked.clone())).await;
    assert_eq!((answer.status, answer.text("pointer").as_str()), (422, "/url"));
    let slack = json!({"format": "slack", "url": "https://hooks.slack.com/services/T0"});
    let id = client.post("/v1/webhooks", webhook(slack)).await.text("id");
    let answer = client.patch(&format!("/v1/webhooks/{id}"), masked).await;
    assert_eq!((answer.status, answer.text("pointer").as_str()), (422, "/url"));
    let tables = client.store.tables();
    let stored = tables.webhooks[&id.parse().unwrap()].url.expose();
    assert_eq!(stored.path(), "/services/T0");
}

#[tokio::test]
async fn a_setting_that_is_wrong_is_named() {
    let client = Client::new();
    let pattern = |pattern: Value| json!({"filter": {"pattern": pattern}});
    for (fields, pointer) in [
        (json!({"method": "PUT"}), "/method"),
        (json!({"method": null}), "/method"),
        (json!({"method": 1}), "/method"),
        (json!({"format": {"raw": null}}), "/format"),
        (json!({"method": "GET", "format": "original"}), "/method"),
        (json!({"method": "GET", "format": "slack"}), "/method"),
        (json!({"method": "GET", "format": "cloudevents"}), "/method"),
        (json!({"format": "Slack"}), "/format"),
        (json!({"format": null}), "/format"),
        (json!({"rateLimit": 0}), "/rateLimit"),
        (json!({"rateLimit": 60_001}), "/rateLimit"),
        (json!({"rateLimit": -1}), "/rateLimit"),
        (json!({"rateLimit": 1.5}), "/rateLimit"),
        (json!({"rateLimit": "60"}), "/rateLimit"),
        (json!({"schedule": []}), "/schedule"),
        (json!({"schedule": vec![1; 21]}), "/schedule"),
        (json!({"schedule": [1, 0]}), "/schedule/1"),
        (json!({"schedule": [86_401]}), "/schedule/0"),
        (json!({"schedule": [1, 2, -3]}), "/schedule/2"),
        (json!({"schedule": [1, 5_000_000_000_u64]}), "/schedule/1"),
        (
            json!({"schedule": [86_400, 86_400, 86_400, 86_400, 86_400, 86_400, 86_400, 1]}),
            "/schedule",
        ),
        (json!({"schedule": 60}), "/schedule"),
        (json!({"filter": []}), "/filter"),
        (json!({"filter": "types"}), "/filter"),
        (json!({"filter": {"entities": ["a", 1]}}), "/filter/entities/1"),
        (
            pattern(json!({"data": {"a/b": [{"numeric": ["?", 1]}]}})),
            "/filter/pattern/data/a~1b/0",
        ),
        (pattern(json!({"data": [], "next": null})), "/filter/pattern/data"),
        (pattern(json!("nonsense")), "/filter/pattern"),
        (json!({"secret": "mine"}), "/secret"),
    ] {
        let answer = client.post("/v1/webhooks", webhook(fields.clone())).await;
        assert_eq!(answer.status, 422, "{fields} {}", answer.body);
        let named = answer.text("pointer");
        assert!(
            named == pointer || (pointer.starts_with("/filter/pattern") && named.starts_with(pointer)),
            "{fields} {}",
            answer.body
        );
    }
    assert!(client.store.tables().webhooks.is_empty());
}

#[tokio::test]
async fn limits_may_be_reached() {
    let client = Client::new();
    let week = vec![43_200; 14];
    for fields in [
        json!({"rateLimit": 1}),
        json!({"rateLimit": 60_000, "schedule": [86_400]}),
        json!({"schedule": week}),
        json!({"schedule": vec![1; 20]}),
        json!({"filter": null, "headers": null, "authorization": null, "rateLimit": null, "schedule": null, "enabled": null}),
    ] {
        let answer = client.post("/v1/webhooks", webhook(fields.clone())).await;
        assert_eq!(answer.status, 201, "{fields} {}", answer.body);
    }
}

#[tokio::test]
async fn one_webhook_shows_how_it_does() {
    let client = Client::new();
    let id = client.create_webhook().await.text("id");
    let path = format!("/v1/webhooks/{id}");
    let health = Health {
        webhook: id.parse().unwrap(),
        failing_since: Some(now()),
        disabled: Some(Disabled {
            at: now(),
            reason: DisabledReason::Gone,
        }),
    };
    client.store.tables().webhook_health.insert(id.parse().unwrap(), health);
    let shown = client.get(&path).await.body;
    let at = "2025-03-25T13:31:00Z";
    assert_eq!(
        shown["health"],
        json!({"failingSince": at, "disabled": {"at": at, "reason": "gone"}})
    );
    assert_eq!(shown["enabled"], true, "the team still wants it");
}

#[tokio::test]
async fn a_receiver_may_have_a_public_key_instead_of_a_secret() {
    let client = Client::new();
    let created = client.post("/v1/webhooks", webhook(json!({"signature": "v1a"}))).await;
    assert_eq!(created.status, 201, "{}", created.body);
    assert!(
        created.body.get("secret").is_none() && !created.text.contains("whsk_"),
        "{}",
        created.text
    );
    let public = created.text("publicKey");
    let id = created.text("id");
    let stored = client.store.tables().webhook_secrets[&id.parse().unwrap()].signing[0]
        .value
        .clone();
    assert_eq!(SigningKey::parse(&stored).unwrap().public_key(), Some(public.clone()));
    assert_eq!(
        client.get(&format!("/v1/webhooks/{id}")).await.text("publicKey"),
        public
    );
    let shared = client.post("/v1/webhooks", webhook(json!({"signature": "v1"}))).await;
    assert!(shared.body.get("publicKey").is_none() && shared.text("secret").starts_with("whsec_"));
    let unknown = client.post("/v1/webhooks", webhook(json!({"signature": "v2"}))).await;
    assert_eq!((unknown.status, unknown.text("pointer").as_str()), (422, "/signature"));
}
