//! The audit trail: every change is in it, no secret is, and it is read back.

use super::receipts::{decide, received, rejected};
use super::*;

fn actions(trail: &Answer) -> Vec<&str> {
    let entries = trail.body["data"].as_array().unwrap();
    entries.iter().map(|entry| entry["action"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn every_change_is_recorded_without_its_secrets() {
    let admin = Client::with(Destinations::AllowPrivate);
    let receipt = received(&admin).await;
    decide(&admin, &receipt, rejected());
    let source = receipt.source.to_string();
    let source = format!("/v1/sources/{source}");
    let secret = "whsec_dGhpcyBpcyBhIHNlY3JldCBvZiAzMiBieXRlcyEh";
    let webhook = json!({
        "name": "chat", "url": "http://127.0.0.1:9/services/T000/B000/secretpath", "format": "slack",
        "headers": {"x-token": "tokenvalue"},
    });
    let webhook = admin.post("/v1/webhooks", webhook).await;
    assert_eq!(webhook.status, 201, "{}", webhook.body);
    let webhook = format!("/v1/webhooks/{}", webhook.text("id"));
    let mut secrets = vec![secret.to_owned(), "secretpath".into(), "tokenvalue".into()];
    for (method, path, body, status) in [
        (
            "PATCH",
            source.clone(),
            Some(json!({"name": "renamed", "secret": secret})),
            200,
        ),
        (
            "POST",
            format!("{source}/rotate-secret"),
            Some(json!({"secret": secret})),
            200,
        ),
        ("POST", format!("{source}/rotate-token"), Some(json!({})), 200),
        (
            "POST",
            format!("{source}/reverify"),
            Some(json!({"since": "2025-01-01T00:00:00Z"})),
            202,
        ),
        ("POST", format!("/v1/receipts/{}/reverify", receipt.id), None, 202),
        (
            "PATCH",
            webhook.clone(),
            Some(json!({"headers": {"x-token": "tokenvalue2"}})),
            200,
        ),
        ("POST", format!("{webhook}/rotate-secret"), Some(json!({})), 200),
        (
            "POST",
            format!("{webhook}/test"),
            Some(json!({"provider": "github", "type": "push"})),
            200,
        ),
        (
            "POST",
            "/v1/keys".into(),
            Some(json!({"name": "k", "role": "editor"})),
            201,
        ),
        ("DELETE", webhook.clone(), None, 204),
        ("DELETE", source.clone(), None, 204),
    ] {
        let answer = admin.call(method, &path, body).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text);
        for name in ["secret", "receivingUrl", "key"] {
            secrets.extend(answer.body[name].as_str().map(str::to_owned));
        }
    }
    let keys = admin.get("/v1/keys").await.body["data"].clone();
    let made = keys.as_array().unwrap().iter().find(|key| key["name"] == "k");
    let key = made.unwrap()["id"].as_str().unwrap().to_owned();
    assert_eq!(admin.delete(&format!("/v1/keys/{key}")).await.status, 204);

    let trail = admin.get("/v1/audit?order=asc").await;
    let mut found = actions(&trail);
    found.sort_unstable();
    let mut expected = vec![
        "source.created",
        "webhook.created",
        "source.updated",
        "source.secret_rotated",
        "source.token_rotated",
        "source.reverified",
        "receipt.reverified",
        "webhook.updated",
        "webhook.secret_rotated",
        "webhook.tested",
        "key.created",
        "webhook.deleted",
        "source.deleted",
        "key.revoked",
    ];
    expected.sort_unstable();
    assert_eq!(found, expected);
    for secret in &secrets {
        assert!(!trail.text.contains(secret.as_str()), "{secret} is in the trail");
    }
    let entries = trail.body["data"].as_array().unwrap();
    let of = |action: &str| entries.iter().find(|entry| entry["action"] == action).unwrap();
    let updated = of("source.updated");
    assert_eq!(updated["before"], json!({"name": "quartr-prod"}));
    assert_eq!(
        updated["after"],
        json!({"name": "renamed", "replacedSecrets": ["secret"]})
    );
    assert_eq!(updated["key"]["role"], "admin");
    assert_eq!(updated["at"], "2025-03-25T13:31:00Z");
    assert_eq!(of("webhook.updated")["after"], json!({"replacedSecrets": ["headers"]}));
    assert_eq!(
        of("webhook.tested")["after"],
        json!({"provider": "github", "type": "push"})
    );
    assert_eq!(of("source.deleted")["before"]["name"], "renamed");
    assert_eq!(of("source.deleted")["after"], Value::Null);
    assert_eq!(of("key.created")["after"]["role"], "editor");
}

#[tokio::test]
async fn what_changes_nothing_is_not_recorded() {
    let admin = Client::new();
    let source = admin.create_source().await.text("id");
    let webhook = admin.create_webhook().await.text("id");
    let before = admin.get("/v1/audit").await.text;
    for (method, path, body) in [
        ("PATCH", format!("/v1/sources/{source}"), json!({"name": "quartr-prod"})),
        ("PATCH", format!("/v1/webhooks/{webhook}"), json!({})),
        ("PATCH", format!("/v1/webhooks/{webhook}"), json!({"name": ""})),
        ("POST", "/v1/sources".into(), json!({"name": "a", "preset": "nobody"})),
        ("POST", "/v1/events".into(), json!({"type": "a", "data": 1})),
    ] {
        admin.call(method, &path, Some(body)).await;
    }
    admin.store.tables().race = true;
    let raced = admin
        .patch(&format!("/v1/webhooks/{webhook}"), json!({"name": "b"}))
        .await;
    assert_eq!(raced.status, 409);
    assert_eq!(admin.delete(&format!("/v1/sources/{source}")).await.status, 409);
    assert_eq!(admin.get("/v1/audit").await.text, before);
}

#[tokio::test]
async fn the_trail_is_read_in_pages_and_by_time() {
    let admin = Client::new();
    let theirs = admin.another();
    for _ in 0..5 {
        admin.create_webhook().await;
    }
    let mut ids: Vec<String> = Vec::new();
    let mut path = "/v1/audit?limit=2".to_owned();
    loop {
        let page = admin.get(&path).await;
        assert_eq!(page.status, 200, "{}", page.text);
        let entries = page.body["data"].as_array().unwrap();
        ids.extend(entries.iter().map(|entry| entry["id"].as_str().unwrap().to_owned()));
        let Some(next) = page.body["next"].as_str() else { break };
        path = format!("/v1/audit?limit=2&cursor={next}");
    }
    let mut newest_first = ids.clone();
    newest_first.sort();
    newest_first.reverse();
    assert_eq!((ids.len(), &ids), (5, &newest_first));
    for (query, rows) in [
        ("since=2025-03-25T13:31:00Z", 5),
        ("since=2025-03-25T13:31:01Z", 0),
        ("until=2025-03-25T13:31:00Z", 0),
        ("since=2025-03-01T00:00:00Z&until=2025-04-01T00:00:00Z", 5),
    ] {
        let page = admin.get(&format!("/v1/audit?{query}")).await;
        assert_eq!(page.body["data"].as_array().unwrap().len(), rows, "{query}");
    }
    for query in [
        "limit=0",
        "colour=red",
        "cursor=x",
        "since=yesterday",
        "since=2025-04-01T00:00:00Z&until=2025-03-01T00:00:00Z",
    ] {
        assert_eq!(admin.get(&format!("/v1/audit?{query}")).await.status, 422, "{query}");
    }
    assert_eq!(theirs.get("/v1/audit").await.body, json!({"data": [], "next": null}));
}

#[tokio::test]
async fn an_entry_names_what_changed_and_nothing_else() {
    let admin = Client::new();
    let filter = r#"{"types":["x.y"],"pattern":{"b":[{"numeric":["=",1.10]}],"a":["q"]}}"#;
    let body = format!(r#"{{"name":"a","url":"https://hooks.example.net/T0/secretpath","filter":{filter}}}"#);
    let created = admin.post("/v1/webhooks", serde_json::from_str(&body).unwrap()).await;
    let path = format!("/v1/webhooks/{}", created.text("id"));
    admin.patch(&path, json!({"name": "b"})).await;
    let updated = async || {
        let trail = admin.get("/v1/audit").await.body["data"].clone();
        let entries = trail.as_array().unwrap().iter();
        let updated = entries.filter(|entry| entry["action"].as_str().unwrap().ends_with(".updated"));
        updated.cloned().collect::<Vec<Value>>()
    };
    let renamed = updated().await;
    assert_eq!(renamed[0]["before"], json!({"name": "a"}));
    assert_eq!(renamed[0]["after"], json!({"name": "b"}));
    let created = admin.get("/v1/audit").await.text;
    admin.store.tables().audit.clear();
    assert!(created.contains("secretpath"), "until then it was no secret");
    // What was a URL like any other is a credential from here on.
    let chat = admin.patch(&path, json!({"format": "slack"})).await;
    assert_eq!(chat.status, 200, "{}", chat.text);
    assert!(!admin.get("/v1/audit").await.text.contains("secretpath"));
    assert_eq!(updated().await[0]["before"]["format"], "raw");
    admin.store.tables().audit.clear();

    let source = json!({"name": "m", "preset": "meta", "secret": "0123456789abcdef", "verifyToken": "one"});
    let source = admin.post("/v1/sources", source).await;
    assert_eq!(source.status, 201, "{}", source.text);
    let path = format!("/v1/sources/{}", source.text("id"));
    assert_eq!(admin.patch(&path, json!({"verifyToken": "two"})).await.status, 200);
    assert_eq!(updated().await[0]["after"], json!({"replacedSecrets": ["verifyToken"]}));
}
