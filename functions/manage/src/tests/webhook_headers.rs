//! The headers that a destination wants: named, never shown.

use std::collections::HashSet;

use super::webhooks::webhook;
use super::*;

/// What is stored: names and values.
fn stored(client: &Client, id: &str) -> Vec<(String, String)> {
    let tables = client.store.tables();
    let headers = &tables.webhook_secrets[&id.parse().unwrap()].headers;
    let text = |header: &payload::webhook::DestinationHeader| (header.name().into(), header.expose_value().into());
    headers.iter().map(text).collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).into(), (*value).into()))
        .collect()
}

#[tokio::test]
async fn names_are_shown_and_values_never() {
    let client = Client::new();
    let fields =
        json!({"headers": {"X-Api-Key": "hidden-1", "X-Env": "hidden 2"}, "authorization": {"bearer": "hidden-3"}});
    let created = client.post("/v1/webhooks", webhook(fields)).await;
    assert_eq!(created.status, 201, "{}", created.body);
    let id = created.text("id");
    let expected = [
        ("X-Api-Key", "hidden-1"),
        ("X-Env", "hidden 2"),
        ("Authorization", "Bearer hidden-3"),
    ];
    assert_eq!(stored(&client, &id), pairs(&expected));
    let path = format!("/v1/webhooks/{id}");
    for answer in [
        created,
        client.get(&path).await,
        client.patch(&path, json!({"name": "b"})).await,
    ] {
        assert_eq!(answer.body["headers"], json!(["X-Api-Key", "X-Env", "Authorization"]));
        assert!(!answer.text.contains("hidden"));
    }
    assert!(!client.get("/v1/webhooks").await.text.contains("hidden"));
}

#[tokio::test]
async fn authorization_becomes_a_header() {
    let client = Client::new();
    for (authorization, value) in [
        (json!({"bearer": "a.b-c~d+e/f=="}), "Bearer a.b-c~d+e/f=="),
        (
            json!({"basic": {"user": "user", "password": "pass:word"}}),
            "Basic dXNlcjpwYXNzOndvcmQ=",
        ),
        (json!({"basic": {"user": "key", "password": ""}}), "Basic a2V5Og=="),
        (json!({"basic": {"user": "ä", "password": "ö"}}), "Basic w6Q6w7Y="),
    ] {
        let created = client
            .post("/v1/webhooks", webhook(json!({"authorization": authorization})))
            .await;
        assert_eq!(created.status, 201, "{}", created.body);
        assert_eq!(stored(&client, &created.text("id")), pairs(&[("Authorization", value)]));
    }
}

#[tokio::test]
async fn a_header_that_is_wrong_is_named_and_not_quoted() {
    let client = Client::new();
    let many: serde_json::Map<String, Value> = (0..21).map(|n| (format!("x-{n}"), json!("hidden"))).collect();
    let mut most = many.clone();
    most.remove("x-0");
    let basic = |user: &str, password: &str| json!({"authorization": {"basic": {"user": user, "password": password}}});
    for (fields, pointer) in [
        (json!({"headers": {"Host": "hidden"}}), "/headers/Host"),
        (json!({"headers": {"webhook-id": "hidden"}}), "/headers/webhook-id"),
        (json!({"headers": {"Content-Length": "5"}}), "/headers/Content-Length"),
        (
            json!({"headers": {"Accept-Encoding": "gzip"}}),
            "/headers/Accept-Encoding",
        ),
        (json!({"headers": {"a/b": "hidden"}}), "/headers/a~1b"),
        (json!({"headers": {"": "hidden"}}), "/headers/"),
        (json!({"headers": {"x": "hidden\r\nhost: a"}}), "/headers/x"),
        (json!({"headers": {"x": ""}}), "/headers/x"),
        (
            json!({"headers": {"x": format!("hidden{}", "a".repeat(4096))}}),
            "/headers/x",
        ),
        (json!({"headers": {"x": ["hidden"]}}), "/headers/x"),
        (json!({"headers": {"x": 7_245_317}}), "/headers/x"),
        (json!({"headers": {"x": null}}), "/headers/x"),
        (json!({"headers": {"X-A": "hidden", "x-a": "hidden"}}), "/headers/x-a"),
        (json!({"headers": "hidden"}), "/headers"),
        (json!({"headers": [["x", "hidden"]]}), "/headers"),
        (json!({"headers": many}), "/headers"),
        (
            json!({"headers": most, "authorization": {"bearer": "hidden"}}),
            "/headers",
        ),
        (
            json!({"headers": {"authorization": "hidden"}, "authorization": {"bearer": "hidden"}}),
            "/headers/authorization",
        ),
        (json!({"authorization": "Bearer hidden"}), "/authorization"),
        (json!({"authorization": {}}), "/authorization"),
        (
            json!({"authorization": {"bearer": "hidden", "basic": {"user": "a", "password": "b"}}}),
            "/authorization",
        ),
        (json!({"authorization": {"baerer": "hidden"}}), "/authorization/baerer"),
        (
            json!({"authorization": {"bearer": "Bearer hidden"}}),
            "/authorization/bearer",
        ),
        (
            json!({"authorization": {"bearer": "hidden\n"}}),
            "/authorization/bearer",
        ),
        (json!({"authorization": {"bearer": ""}}), "/authorization/bearer"),
        (
            json!({"authorization": {"bearer": {"token": "hidden"}}}),
            "/authorization/bearer",
        ),
        (json!({"authorization": {"basic": "a:hidden"}}), "/authorization/basic"),
        (
            json!({"authorization": {"basic": {"user": "a"}}}),
            "/authorization/basic/password",
        ),
        (
            json!({"authorization": {"basic": {"password": "hidden"}}}),
            "/authorization/basic/user",
        ),
        (basic("a:b", "hidden"), "/authorization/basic/user"),
        (basic("a", "hidden\u{0}"), "/authorization/basic/password"),
        (basic("a", &"hidden".repeat(1000)), "/authorization/basic"),
    ] {
        let answer = client.post("/v1/webhooks", webhook(fields.clone())).await;
        assert_eq!(answer.status, 422, "{fields} {}", answer.body);
        assert_eq!(answer.text("pointer"), pointer, "{}", answer.body);
        assert!(
            !answer.text.contains("hidden") && !answer.text.contains("7245317"),
            "{}",
            answer.text
        );
    }
    // The same member twice is no object that says one thing.
    let body = r#"{"name": "a", "url": "https://example.com/", "headers": {"x": "hidden", "x": "hidden"}}"#;
    let request = Request::post("/v1/webhooks")
        .header(AUTHORIZATION, format!("Bearer {}", client.key))
        .header(CONTENT_TYPE, "application/json")
        .body(Body::from(body));
    let answer = client.send(request.unwrap()).await;
    assert_eq!((answer.status, answer.text("pointer").as_str()), (422, "/headers/x"));
    assert!(client.store.tables().webhooks.is_empty());
}

#[tokio::test]
async fn of_two_patches_at_once_none_undoes_the_other() {
    let client = Client::new();
    let id = client.create_webhook().await.text("id");
    let path = format!("/v1/webhooks/{id}");
    let (a, b) = (json!({"headers": {"X-A": "1"}}), json!({"headers": {"X-B": "2"}}));
    let (first, second) = tokio::join!(client.patch(&path, a.clone()), client.patch(&path, b.clone()));
    let (kept, late) = match (first.status, second.status) {
        (200, 409) => (("X-A", "1"), (("X-B", "2"), b)),
        (409, 200) => (("X-B", "2"), (("X-A", "1"), a)),
        other => panic!("both had read the same headers: {other:?}"),
    };
    assert_eq!(stored(&client, &id), pairs(&[kept]));
    assert_eq!(client.patch(&path, late.1).await.status, 200);
    assert_eq!(stored(&client, &id), pairs(&[kept, late.0]));
}

#[tokio::test]
async fn stored_headers_go_to_no_other_host() {
    let client = Client::new();
    let fields = json!({"headers": {"X-Api-Key": "hidden"}, "authorization": {"bearer": "hidden"}});
    let id = client.post("/v1/webhooks", webhook(fields)).await.text("id");
    let path = format!("/v1/webhooks/{id}");
    for patch in [
        json!({"url": "https://attacker.example/"}),
        json!({"url": "https://example.com:8443/hook"}),
        json!({"url": "https://sub.example.com/hook"}),
        json!({"url": "https://attacker.example/", "headers": {}}),
        json!({"url": "https://attacker.example/", "headers": {"X-Other": "a"}}),
        json!({"url": "https://attacker.example/", "authorization": null}),
        json!({"url": "https://attacker.example/", "headers": {"x-api-key": null}}),
    ] {
        let answer = client.patch(&path, patch.clone()).await;
        assert_eq!(
            (answer.status, answer.text("pointer").as_str()),
            (422, "/headers"),
            "{patch}"
        );
        assert!(answer.text("detail").contains("another host"), "{}", answer.body);
    }
    let expected = [("X-Api-Key", "hidden"), ("Authorization", "Bearer hidden")];
    assert_eq!(stored(&client, &id), pairs(&expected));
    for (patch, expected) in [
        (json!({"url": "https://example.com:443/other?a=b"}), &expected[..]),
        (
            json!({"url": "https://a.example/", "headers": {"x-api-key": "new"}, "authorization": {"bearer": "t"}}),
            &[("x-api-key", "new"), ("Authorization", "Bearer t")],
        ),
        (
            json!({"url": "https://b.example/", "headers": {"X-Api-Key": null, "authorization": "Custom t"}}),
            &[("authorization", "Custom t")],
        ),
        (json!({"url": "https://c.example/", "authorization": null}), &[]),
        (
            json!({"url": "https://d.example/", "authorization": {"bearer": "t"}}),
            &[("Authorization", "Bearer t")],
        ),
        (json!({"url": "https://e.example/", "headers": null}), &[]),
    ] {
        let answer = client.patch(&path, patch.clone()).await;
        assert_eq!(answer.status, 200, "{patch} {}", answer.body);
        assert_eq!(stored(&client, &id), pairs(expected), "{patch}");
    }
}

#[tokio::test]
async fn a_header_that_comes_at_the_same_time_goes_to_no_other_host() {
    let secret = json!({"authorization": {"bearer": "hidden"}});
    let away = json!({"url": "https://attacker.example/"});
    // Whichever comes first, the other was decided by what is no longer so.
    let mut winners = HashSet::new();
    for (one, other) in [(&secret, &away), (&away, &secret)] {
        let client = Client::new();
        let path = format!("/v1/webhooks/{}", client.create_webhook().await.text("id"));
        let (first, second) = tokio::join!(client.patch(&path, one.clone()), client.patch(&path, other.clone()));
        let winner = match (first.status, second.status) {
            (200, 409) => one,
            (409, 200) => other,
            other => panic!("{other:?}"),
        };
        winners.insert(winner.to_string());
    }
    assert_eq!(winners.len(), 2, "both orders were seen");
}

#[tokio::test]
async fn headers_are_patched_by_name() {
    let client = Client::new();
    let fields = json!({"headers": {"X-A": "1", "X-B": "2"}, "authorization": {"bearer": "t"}});
    let id = client.post("/v1/webhooks", webhook(fields)).await.text("id");
    let path = format!("/v1/webhooks/{id}");
    let signing = || {
        client.store.tables().webhook_secrets[&id.parse().unwrap()]
            .signing
            .len()
    };
    for (patch, expected) in [
        (
            json!({"headers": {}}),
            &[("X-A", "1"), ("X-B", "2"), ("Authorization", "Bearer t")][..],
        ),
        (
            json!({"headers": {"x-a": "3", "X-B": null, "X-C": "4", "X-D": null}}),
            &[("x-a", "3"), ("Authorization", "Bearer t"), ("X-C", "4")],
        ),
        (
            json!({"authorization": {"basic": {"user": "u", "password": "p"}}}),
            &[("x-a", "3"), ("Authorization", "Basic dTpw"), ("X-C", "4")],
        ),
        (json!({"authorization": null}), &[("x-a", "3"), ("X-C", "4")]),
        (
            json!({"headers": {"authorization": "Custom key"}}),
            &[("x-a", "3"), ("X-C", "4"), ("authorization", "Custom key")],
        ),
        (
            json!({"headers": null, "authorization": {"bearer": "t"}}),
            &[("Authorization", "Bearer t")],
        ),
        (json!({"headers": {"AUTHORIZATION": null}}), &[]),
        (json!({"headers": null, "authorization": null}), &[]),
    ] {
        let answer = client.patch(&path, patch.clone()).await;
        assert_eq!(answer.status, 200, "{patch} {}", answer.body);
        assert_eq!(stored(&client, &id), pairs(expected), "{patch}");
        let names: Vec<&str> = expected.iter().map(|(name, _)| *name).collect();
        assert_eq!(answer.body["headers"], json!(names));
        assert_eq!(signing(), 1, "the signing secret stays");
    }
    // Two of them changed nothing.
    assert_eq!(client.store.tables().updates, 6);
    for (patch, pointer) in [
        (
            json!({"headers": {"authorization": null}, "authorization": {"bearer": "t"}}),
            "/headers/authorization",
        ),
        (json!({"headers": {"te": "a"}}), "/headers/te"),
        (json!({"headers": {"x": 1}}), "/headers/x"),
        (json!({"authorization": {"bearer": "a b"}}), "/authorization/bearer"),
    ] {
        let answer = client.patch(&path, patch.clone()).await;
        assert_eq!(
            (answer.status, answer.text("pointer").as_str()),
            (422, pointer),
            "{patch} {}",
            answer.body
        );
    }
    let absent: serde_json::Map<String, Value> = (0..41).map(|n| (format!("x-{n}"), Value::Null)).collect();
    let answer = client.patch(&path, json!({"headers": absent})).await;
    assert_eq!((answer.status, answer.text("pointer").as_str()), (422, "/headers"));
    assert_eq!(stored(&client, &id), []);
}
