//! A source that is changed: what is named changes, and what is not stays.

use super::*;

/// A source of the preset, its path.
async fn source(client: &Client) -> String {
    format!("/v1/sources/{}", client.create_source().await.text("id"))
}

/// The source as a list shows it.
async fn shown(client: &Client) -> Value {
    client.get("/v1/sources").await.body["data"][0].clone()
}

fn github_scheme() -> Value {
    json!({"kind": "hmac", "algorithm": "sha256", "header": "x-signature", "encoding": "hex", "signed": "{body}"})
}

#[tokio::test]
async fn what_is_named_changes_and_the_rest_stays() {
    let client = Client::new();
    let path = source(&client).await;
    let before = shown(&client).await;
    let answer = client
        .patch(
            &path,
            json!({"name": " other ", "enabled": false, "successStatus": 204, "baseUrl": "https://a.example.com"}),
        )
        .await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let mut expected = before.clone();
    for (name, value) in [
        ("name", json!("other")),
        ("enabled", json!(false)),
        ("successStatus", json!(204)),
        ("baseUrl", json!("https://a.example.com")),
    ] {
        expected[name] = value;
    }
    assert_eq!(answer.body, expected);
    assert_eq!(shown(&client).await, expected);
    {
        let tables = client.store.tables();
        assert_eq!(tables.doors.len(), 1);
        let door = tables.doors.values().next().unwrap();
        assert_eq!((door.enabled, door.success_status), (false, 204));
    }
    let answer = client
        .patch(
            &path,
            json!({"successStatus": null, "baseUrl": null, "name": "quartr-prod", "enabled": true}),
        )
        .await;
    assert_eq!(answer.body, before);
    assert_eq!(client.store.tables().updates, 2);
    // What changes nothing is not written.
    for patch in [
        json!({}),
        json!({"enabled": true, "baseUrl": null}),
        json!({"name": " quartr-prod"}),
    ] {
        assert_eq!(client.patch(&path, patch).await.body, before);
    }
    assert_eq!(client.store.tables().updates, 2);
}

#[tokio::test]
async fn a_scheme_of_the_sources_own_comes_and_goes() {
    let client = Client::new();
    let path = source(&client).await;
    let before = shown(&client).await;
    // Of what is shown, one setting.
    let answer = client.patch(&path, json!({"scheme": {"tolerance": 60}})).await;
    assert_eq!(
        answer.body["scheme"],
        json!({"kind": "standard-webhooks", "headerPrefix": "webhook-", "key": "either", "tolerance": 60})
    );
    // Another kind begins anew, and what cannot be together is named.
    let answer = client.patch(&path, json!({"scheme": github_scheme()})).await;
    assert_eq!((answer.status, answer.text("pointer").as_str()), (422, "/duplicates"));
    let answer = client
        .patch(&path, json!({"scheme": github_scheme(), "duplicates": "signedBytes"}))
        .await;
    assert_eq!(
        (answer.status, &answer.body["scheme"]),
        (200, &github_scheme()),
        "{}",
        answer.body
    );
    assert_eq!(
        client.store.tables().doors.values().next().unwrap().required,
        ["x-signature"]
    );
    let answer = client.patch(&path, json!({"scheme": {"header": null}})).await;
    assert_eq!(
        (answer.status, answer.text("pointer").as_str()),
        (422, "/scheme/header")
    );
    let answer = client
        .patch(&path, json!({"scheme": {"prefix": "v1=", "encoding": "base64"}}))
        .await;
    let mut expected = github_scheme();
    expected["prefix"] = json!("v1=");
    expected["encoding"] = json!("base64");
    assert_eq!(answer.body["scheme"], expected);
    let answer = client.patch(&path, json!({"scheme": null, "duplicates": null})).await;
    assert_eq!(answer.body, before);
    // The preset's description is nobody's to change.
    assert_eq!(
        client.post("/v1/sources", new_source()).await.body["scheme"]["tolerance"],
        json!(7200)
    );
}

#[tokio::test]
async fn duplicates_are_decided_otherwise() {
    let client = Client::new();
    let path = source(&client).await;
    for (patch, shown) in [
        (json!({"bodyWithin": 60}), json!({"bodyWithin": 60})),
        (json!({"bodyWithin": 90}), json!({"bodyWithin": 90})),
        (json!("none"), json!("none")),
        (json!(null), json!("id")),
    ] {
        let answer = client.patch(&path, json!({"duplicates": patch})).await;
        assert_eq!(
            (answer.status, &answer.body["duplicates"]),
            (200, &shown),
            "{}",
            answer.body
        );
    }
}

#[tokio::test]
async fn a_preset_and_a_description_take_each_others_place() {
    let client = Client::new();
    let path = source(&client).await;
    let custom = json!({
        "name": "acme", "scheme": github_scheme(), "duplicates": "signedBytes", "event": {"type": {"pointer": "/kind"}}
    });
    let answer = client.patch(&path, json!({"custom": custom})).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(answer.body.get("preset").is_none());
    assert_eq!(
        (&answer.body["custom"]["name"], &answer.body["scheme"]),
        (&json!("acme"), &github_scheme())
    );
    // A part of it.
    let patch =
        json!({"event": {"type": {"pointer": "/type"}, "time": {"pointer": "/at"}}, "scheme": {"prefix": "sha256="}});
    let answer = client.patch(&path, json!({"custom": patch})).await;
    let event = &answer.body["custom"]["event"];
    assert_eq!(
        (&event["type"], &event["time"]),
        (&json!({"pointer": "/type"}), &json!({"pointer": "/at"}))
    );
    assert_eq!(answer.body["scheme"]["prefix"], "sha256=");
    assert_eq!(answer.body["scheme"]["header"], "x-signature");
    let answer = client.patch(&path, json!({"custom": {"event": {"time": null}}})).await;
    assert!(answer.body["custom"]["event"].get("time").is_none());
    let answer = client.patch(&path, json!({"preset": "quartr"})).await;
    assert_eq!(answer.body, shown(&client).await);
    assert_eq!(
        (&answer.body["preset"], answer.body.get("custom")),
        (&json!("quartr"), None)
    );
    // Said in full.
    let answer = client.patch(&path, json!({"preset": null, "custom": custom})).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let answer = client.patch(&path, json!({"preset": "quartr", "custom": null})).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[tokio::test]
async fn a_field_of_a_patch_that_is_wrong_is_named() {
    let client = Client::new();
    let path = source(&client).await;
    let custom = json!({"name": "acme", "scheme": github_scheme(), "duplicates": "signedBytes", "event": {"type": {}}});
    for (patch, pointer) in [
        (json!([]), ""),
        (json!({"nmae": "a"}), "/nmae"),
        (json!({"id": "src_1"}), "/id"),
        (json!({"createdAt": null}), "/createdAt"),
        (json!({"name": null}), "/name"),
        (json!({"name": ""}), "/name"),
        (json!({"enabled": null}), "/enabled"),
        (json!({"enabled": 1}), "/enabled"),
        (json!({"preset": null}), "/preset"),
        (json!({"preset": "nobody"}), "/preset"),
        (json!({"preset": "quartr", "custom": custom}), "/custom"),
        (json!({"custom": custom}), "/custom/event/type"),
        (json!({"custom": {"name": "acme"}}), "/custom/scheme"),
        (json!({"scheme": {"tolerance": "a"}}), "/scheme/tolerance"),
        (json!({"scheme": {"tolerance": 0}}), "/scheme/tolerance"),
        (json!({"scheme": {"signed": "{body}"}}), "/scheme/signed"),
        (json!({"scheme": "none"}), "/scheme"),
        (json!({"duplicates": "signedBites"}), "/duplicates"),
        (json!({"duplicates": {"bodyWithin": 0}}), "/duplicates/bodyWithin"),
        (json!({"publicUrl": "x"}), "/publicUrl"),
        (json!({"baseUrl": 1}), "/baseUrl"),
        (json!({"successStatus": 100}), "/successStatus"),
        (json!({"verifyToken": "token"}), "/verifyToken"),
        (json!({"secret": null}), "/secret"),
        (json!({"secret": ""}), "/secret"),
        (json!({"secret": "whsec_AAAA "}), "/secret"),
        (json!({"previousSecretExpiresIn": 60}), "/previousSecretExpiresIn"),
        (
            json!({"secret": "abc", "previousSecretExpiresIn": 604_801}),
            "/previousSecretExpiresIn",
        ),
        (
            json!({"secret": "abc", "previousSecretExpiresIn": -1}),
            "/previousSecretExpiresIn",
        ),
    ] {
        let answer = client.patch(&path, patch.clone()).await;
        assert_eq!(answer.status, 422, "{patch} {}", answer.body);
        assert_eq!(answer.text("pointer"), pointer, "{}", answer.body);
    }
    assert_eq!(client.store.tables().updates, 0);
}

#[tokio::test]
async fn the_token_of_a_handshake_stays_as_long_as_it_is_asked_for() {
    let client = Client::new();
    let custom = json!({
        "name": "acme", "scheme": github_scheme(), "duplicates": "signedBytes", "event": {"type": {"const": "a"}},
        "methods": ["GET", "POST"], "handshake": {"kind": "hub-challenge"}
    });
    let new = json!({"name": "a", "custom": custom, "secret": "s3cret", "verifyToken": "first"});
    let path = format!("/v1/sources/{}", client.post("/v1/sources", new).await.text("id"));
    let hash = || {
        client
            .store
            .tables()
            .doors
            .values()
            .next()
            .unwrap()
            .verify_token_hash
            .clone()
    };
    let first = hash();
    assert_eq!(client.patch(&path, json!({"verifyToken": "second"})).await.status, 200);
    assert!(hash().is_some() && hash() != first);
    let answer = client.patch(&path, json!({"verifyToken": null})).await;
    assert_eq!((answer.status, answer.text("pointer").as_str()), (422, "/verifyToken"));
    let answer = client.patch(&path, json!({"custom": {"handshake": null}})).await;
    assert_eq!((answer.status, answer.text("pointer").as_str()), (422, "/verifyToken"));
    let answer = client
        .patch(&path, json!({"custom": {"handshake": null}, "verifyToken": null}))
        .await;
    assert_eq!((answer.status, &answer.body["hasVerifyToken"]), (200, &json!(false)));
}

#[tokio::test]
async fn a_patch_is_a_merge_patch() {
    let client = Client::new();
    let path = source(&client).await;
    let mut statuses = Vec::new();
    for content_type in [
        "application/merge-patch+json",
        "application/merge-patch+json; charset=utf-8",
        "application/json",
        "application/json-patch+json",
        "text/plain",
    ] {
        let request = Request::patch(&path)
            .header(AUTHORIZATION, format!("Bearer {}", client.key))
            .header(CONTENT_TYPE, content_type)
            .body(Body::from(r#"{"enabled": false}"#));
        statuses.push(client.send(request.unwrap()).await.status);
    }
    assert_eq!(statuses, [200, 200, 200, 415, 415]);
}

#[tokio::test]
async fn a_change_at_the_same_time_is_a_conflict() {
    let client = Client::new();
    let path = source(&client).await;
    client.store.tables().race = true;
    let answer = client.patch(&path, json!({"enabled": false})).await;
    assert_eq!(
        (answer.status, answer.text("type").as_str()),
        (409, "urn:hookline:problem:conflict")
    );
}

#[tokio::test]
async fn a_source_whose_preset_is_gone_can_be_given_another() {
    let client = Client::new();
    let path = source(&client).await;
    for source in client.store.tables().sources.values_mut() {
        source.provider = payload::source::Provider::Preset("of-a-later-version".into());
    }
    let read = client.get(&path).await;
    assert_eq!((read.status, &read.body["preset"]), (200, &json!("of-a-later-version")));
    let answer = client.patch(&path, json!({"enabled": false})).await;
    assert_eq!((answer.status, answer.text("pointer").as_str()), (422, "/preset"));
    // What its secret was for is not known.
    let answer = client.patch(&path, json!({"preset": "github"})).await;
    assert_eq!((answer.status, answer.text("pointer").as_str()), (422, "/secret"));
    let answer = client
        .patch(&path, json!({"preset": "github", "secret": "s3cret"}))
        .await;
    assert_eq!((answer.status, &answer.body["preset"]), (200, &json!("github")));
}

#[tokio::test]
async fn a_source_that_would_be_refused_today_can_still_be_disabled() {
    let client = Client::new();
    let path = source(&client).await;
    for source in client.store.tables().sources.values_mut() {
        source.options.success_status = Some(299);
    }
    let answer = client
        .patch(&path, json!({"enabled": false, "secret": "another"}))
        .await;
    assert_eq!((answer.status, &answer.body["enabled"]), (200, &json!(false)));
    let answer = client.patch(&path, json!({"baseUrl": "https://example.com"})).await;
    assert_eq!(
        (answer.status, answer.text("pointer").as_str()),
        (422, "/successStatus")
    );
}
