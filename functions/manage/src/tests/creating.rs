//! Sources of every kind: what they need, what they show, and which field is named when something is wrong.

use payload::receipt::salted_hash;
use secrecy::ExposeSecret;

use super::*;

/// A provider that no preset covers.
fn custom() -> Value {
    json!({
        "name": "acme",
        "methods": ["POST"],
        "scheme": {
            "kind": "hmac", "algorithm": "sha512", "header": "x-acme-signature", "encoding": "hex",
            "signed": "{timestamp}.{method}.{body}", "timestamp": {"header": "x-acme-time", "unit": "ms"}
        },
        "duplicates": "signedBytes",
        "event": {
            "type": {"template": ["acme.", {"pointer": "/kind"}]},
            "entity": {"id": {"pointer": "/order/id"}},
            "data": ["/order"]
        }
    })
}

fn source(fields: Value) -> Value {
    let mut source = json!({"name": "a"});
    source
        .as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    source
}

/// A custom source with this value at `pointer` in its description.
fn custom_with(pointer: &str, value: Value) -> Value {
    let mut custom = custom();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = custom.pointer_mut(parent).unwrap();
    match parent {
        Value::Array(elements) => elements[name.parse::<usize>().unwrap()] = value,
        parent => parent[name] = value,
    }
    source(json!({"custom": custom, "secret": "s3cret"}))
}

fn secrets_of(client: &Client, id: &str) -> Vec<String> {
    let tables = client.store.tables();
    let secrets = tables.secrets.get(id).map(Vec::as_slice).unwrap_or_default();
    secrets
        .iter()
        .map(|secret| secret.value.expose_secret().to_owned())
        .collect()
}

#[tokio::test]
async fn a_custom_source_shows_what_it_was_made_of() {
    let client = Client::new();
    let created = client
        .post("/v1/sources", source(json!({"custom": custom(), "secret": "s3cret"})))
        .await;
    assert_eq!(created.status, 201, "{}", created.body);
    let id = created.text("id");
    assert_eq!(secrets_of(&client, &id), ["s3cret"]);
    assert!(!created.text.contains("s3cret"));
    let shown = client.get(&format!("/v1/sources/{id}")).await.body;
    assert_eq!(shown["custom"]["event"]["type"], custom()["event"]["type"]);
    assert_eq!(shown["scheme"], custom()["scheme"]);
    assert_eq!(shown["custom"]["scheme"], custom()["scheme"]);
    assert_eq!(shown["duplicates"], "signedBytes");
    assert!(shown.get("preset").is_none() && shown.get("receivingUrl").is_none());
    {
        let tables = client.store.tables();
        let door = tables.doors.values().next().unwrap();
        assert_eq!(door.required, ["x-acme-signature", "x-acme-time"]);
        assert_eq!(
            (door.scheme.as_str(), door.methods.as_slice()),
            ("hmac", &["POST".to_owned()][..])
        );
    }
    // What is shown makes the same source again.
    let again = source(json!({"custom": shown["custom"], "secret": "s3cret"}));
    assert_eq!(client.post("/v1/sources", again).await.status, 201);
}

#[tokio::test]
async fn a_credential_is_stored_as_its_hash_only() {
    let client = Client::new();
    let token = json!({"kind": "token", "header": "X-Token", "prefix": "Bearer "});
    for (scheme, secret, credential) in [
        (token, "tok-1", "Bearer tok-1"),
        (json!({"kind": "basic"}), "user:pass", "Basic dXNlcjpwYXNz"),
    ] {
        let duplicates = json!({"bodyWithin": 60});
        let body = json!({"preset": "quartr", "scheme": scheme, "duplicates": duplicates, "secret": secret});
        let created = client.post("/v1/sources", source(body)).await;
        assert_eq!(created.status, 201, "{}", created.body);
        let id = created.text("id");
        let salt = client.store.tables().sources[&id.parse().unwrap()].salt.clone();
        let stored = secrets_of(&client, &id).remove(0);
        assert!(stored.contains(&salted_hash(&salt, credential.as_bytes())), "{stored}");
        assert!(!stored.contains(secret));
        assert_eq!(
            (&created.body["scheme"]["kind"], &created.body["duplicates"]),
            (&scheme["kind"], &duplicates)
        );
    }
}

#[tokio::test]
async fn options_are_kept_and_shown_but_for_the_token_of_the_handshake() {
    let client = Client::new();
    let mut preset = custom();
    preset["handshake"] = json!({"kind": "hub-challenge"});
    preset["methods"] = json!(["GET", "POST"]);
    preset["scheme"]["signed"] = json!("{url}.{timestamp}.{body}");
    let created = client
        .post(
            "/v1/sources",
            source(json!({
                "custom": preset, "secret": "s3cret", "verifyToken": "hub-token", "publicUrl": "https://hooks.example.com/in/x",
                "baseUrl": "https://acme.example.com", "successStatus": 200
            })),
        )
        .await;
    assert_eq!(created.status, 201, "{}", created.body);
    for (name, value) in [
        ("publicUrl", json!("https://hooks.example.com/in/x")),
        ("baseUrl", json!("https://acme.example.com")),
        ("successStatus", json!(200)),
        ("hasVerifyToken", json!(true)),
    ] {
        assert_eq!(created.body[name], value);
    }
    let tables = client.store.tables();
    let stored = tables.sources.values().next().unwrap();
    assert_eq!(tables.called_urls[&stored.id], "https://hooks.example.com/in/x");
    let hash = salted_hash(&stored.salt, b"hub-token");
    assert_eq!(stored.options.verify_token_hash.as_ref(), Some(&hash));
    let door = tables.doors.values().next().unwrap();
    assert_eq!(
        (door.verify_token_hash.as_ref(), door.success_status),
        (Some(&hash), 200)
    );
    assert!(!created.text.contains("hub-token") && !created.text.contains(&hash));
}

#[tokio::test]
async fn a_source_that_proves_nothing_has_no_secret() {
    let client = Client::new();
    let open = json!({"preset": "quartr", "scheme": {"kind": "none"}});
    let created = client.post("/v1/sources", source(open.clone())).await;
    assert_eq!(created.status, 201, "{}", created.body);
    assert!(secrets_of(&client, &created.text("id")).is_empty());
    let mut with_secret = open;
    with_secret["secret"] = json!("s3cret");
    let answer = client.post("/v1/sources", source(with_secret)).await;
    assert_eq!((answer.status, answer.text("pointer").as_str()), (422, "/secret"));
    assert_eq!(answer.text("detail"), "the scheme needs no secret");
}

#[tokio::test]
async fn a_public_key_may_end_as_its_file_does() {
    let client = Client::new();
    let pem = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----";
    let scheme = json!({"kind": "ed25519", "header": "x-signature", "encoding": "hex", "signed": "{body}"});
    let body = |secret: String| {
        source(json!({"preset": "quartr", "scheme": scheme, "duplicates": "signedBytes", "secret": secret}))
    };
    let created = client.post("/v1/sources", body(format!("{pem}\n"))).await;
    assert_eq!(created.status, 201, "{}", created.body);
    assert_eq!(secrets_of(&client, &created.text("id")), [pem]);
    let shared = client.post("/v1/sources", body("AAAA\n".into())).await;
    assert_eq!(shared.text("detail"), "the secret has white space around it");
    let private = client
        .post("/v1/sources", body(pem.replace("PUBLIC", "PRIVATE") + "\n"))
        .await;
    assert_eq!((private.status, private.text("pointer").as_str()), (422, "/secret"));
    assert!(!private.text.contains("MCowBQ"));
}

#[tokio::test]
async fn a_field_of_a_description_that_is_wrong_is_named() {
    let client = Client::new();
    for (body, pointer) in [
        // Its shape: also behind a kind, and where several forms may stand.
        (custom_with("/scheme", json!("hmac")), "/custom/scheme"),
        (custom_with("/scheme", json!({"header": "a"})), "/custom/scheme/kind"),
        (custom_with("/scheme/kind", json!("hmca")), "/custom/scheme/kind"),
        (custom_with("/scheme/kind", json!(1)), "/custom/scheme/kind"),
        (custom_with("/scheme/hedaer", json!("a")), "/custom/scheme/hedaer"),
        (
            custom_with("/scheme/algorithm", json!("md5")),
            "/custom/scheme/algorithm",
        ),
        (custom_with("/scheme/tolerance", json!(-1)), "/custom/scheme/tolerance"),
        (custom_with("/scheme/signed", json!("{bdoy}")), "/custom/scheme/signed"),
        (
            custom_with("/scheme/signed", json!("{timestamp}")),
            "/custom/scheme/signed",
        ),
        (
            custom_with("/scheme/signed", json!("{header.x-a}{body}")),
            "/custom/scheme/signed",
        ),
        (
            custom_with("/scheme/timestamp", json!({"header": "a", "unit": "years"})),
            "/custom/scheme/timestamp/unit",
        ),
        (
            custom_with("/scheme/timestamp/haeder", json!("a")),
            "/custom/scheme/timestamp/haeder",
        ),
        (
            custom_with(
                "/scheme",
                json!({"kind": "hmac", "algorithm": "sha256", "encoding": "hex", "signed": "{body}"}),
            ),
            "/custom/scheme/header",
        ),
        (
            custom_with("/scheme", json!({"kind": "none", "header": "a"})),
            "/custom/scheme/header",
        ),
        (
            custom_with("/handshake", json!({"kind": "echo"})),
            "/custom/handshake/kind",
        ),
        (
            custom_with("/handshake", json!({"kind": "echo-query", "parameter": 1})),
            "/custom/handshake/parameter",
        ),
        (custom_with("/evnet", json!({})), "/custom/evnet"),
        (custom_with("/event/typo", json!({})), "/custom/event/typo"),
        (custom_with("/event", json!({})), "/custom/event/type"),
        (
            custom_with("/event/entity/id", json!({"pionter": "/a"})),
            "/custom/event/entity/id/pionter",
        ),
        (
            custom_with("/event/type/template/0", json!(1)),
            "/custom/event/type/template/0",
        ),
        (
            custom_with("/event/type/template/1", json!({"template": ["a", {"pionter": "/a"}]})),
            "/custom/event/type/template/1/template/1/pionter",
        ),
        (
            custom_with("/event/entity/id/take", json!("firts")),
            "/custom/event/entity/id/take",
        ),
        (
            custom_with("/event/data/0", json!({"pointer": "/a", "withHeader": "a", "more": 1})),
            "/custom/event/data/0",
        ),
        (
            custom_with("/event/data/0", json!({"withHeader": "a"})),
            "/custom/event/data/0",
        ),
        (custom_with("/duplicates", json!("ids")), "/custom/duplicates"),
        (
            custom_with("/duplicates", json!({"bodyWithin": "a"})),
            "/custom/duplicates/bodyWithin",
        ),
        (custom_with("/methods", json!("POST")), "/custom/methods"),
        // What it means.
        (custom_with("/name", json!("Acme")), "/custom/name"),
        (custom_with("/methods/0", json!("TRACE")), "/custom/methods/0"),
        (
            custom_with("/scheme/algorithm", json!(null)),
            "/custom/scheme/algorithm",
        ),
        (custom_with("/scheme/header", json!("x acme")), "/custom/scheme/header"),
        (
            custom_with("/scheme/timestamp/header", json!("")),
            "/custom/scheme/timestamp/header",
        ),
        (
            custom_with("/scheme/timestamp", json!(null)),
            "/custom/scheme/timestamp",
        ),
        (custom_with("/event/entity/id", json!({})), "/custom/event/entity/id"),
        (
            custom_with("/event/entity/id/pointer", json!("order")),
            "/custom/event/entity/id/pointer",
        ),
        (custom_with("/duplicates", json!("id")), "/custom/duplicates"),
        (
            custom_with("/duplicates", json!({"bodyWithin": 0})),
            "/custom/duplicates/bodyWithin",
        ),
        (
            custom_with("/handshake", json!({"kind": "echo-query", "parameter": ""})),
            "/custom/handshake/parameter",
        ),
        // What the source adds.
        (
            custom_with("/scheme/signed", json!("{url}.{timestamp}.{body}")),
            "/publicUrl",
        ),
        (
            custom_with("/handshake", json!({"kind": "hub-challenge"})),
            "/verifyToken",
        ),
    ] {
        let answer = client.post("/v1/sources", body.clone()).await;
        assert_eq!(answer.status, 422, "{pointer} {}", answer.body);
        assert_eq!(answer.text("pointer"), pointer, "{}", answer.body);
        assert!(!answer.text("detail").contains("untagged"), "{}", answer.body);
    }
    assert!(client.store.tables().sources.is_empty());
}

#[tokio::test]
async fn a_field_of_a_source_that_is_wrong_is_named() {
    let client = Client::new();
    let quartr = |more: Value| {
        let mut body = new_source();
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let long = "a".repeat(201);
    for (body, pointer) in [
        (source(json!({"secret": "s3cret"})), "/preset"),
        (quartr(json!({"custom": custom()})), "/custom"),
        (source(json!({"custom": custom()})), "/secret"),
        (source(json!({"custom": []})), "/custom"),
        (quartr(json!({"scheme": {"kind": "token"}})), "/scheme/header"),
        (
            quartr(json!({"scheme": {"kind": "token", "haeder": "a"}})),
            "/scheme/haeder",
        ),
        (
            quartr(
                json!({"scheme": {"kind": "hmac", "algorithm": "sha256", "header": "a", "encoding": "hex", "signed": "{body}"}}),
            ),
            "/duplicates",
        ),
        (
            quartr(json!({"duplicates": {"bodyWithin": 86_401}})),
            "/duplicates/bodyWithin",
        ),
        (quartr(json!({"publicUrl": "hooks.example.com"})), "/publicUrl"),
        (quartr(json!({"publicUrl": "{receivingurl}"})), "/publicUrl"),
        (
            quartr(json!({"publicUrl": format!("https://example.com/{}", "a".repeat(1024))})),
            "/publicUrl",
        ),
        (quartr(json!({"baseUrl": "ftp://example.com"})), "/baseUrl"),
        (quartr(json!({"successStatus": 201})), "/successStatus"),
        (quartr(json!({"successStatus": 70_000})), "/successStatus"),
        (quartr(json!({"verifyToken": "a"})), "/verifyToken"),
        (quartr(json!({"verifyToken": ""})), "/verifyToken"),
        (quartr(json!({"verifyToken": long})), "/verifyToken"),
        (
            quartr(json!({"previousSecretExpiresIn": 1})),
            "/previousSecretExpiresIn",
        ),
        (quartr(json!({"enabled": true})), "/enabled"),
        (
            quartr(json!({"secret": " whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"})),
            "/secret",
        ),
    ] {
        let answer = client.post("/v1/sources", body.clone()).await;
        assert_eq!(answer.status, 422, "{pointer} {}", answer.body);
        assert_eq!(answer.text("pointer"), pointer, "{}", answer.body);
    }
    assert!(client.store.tables().sources.is_empty());
}

#[tokio::test]
async fn a_description_has_a_limited_length() {
    let client = Client::new();
    let with_expectations = |expectations: usize| {
        let expect = vec![json!({"pointer": format!("/{}", "a".repeat(299))}); expectations];
        custom_with("/expect", json!(expect))
    };
    assert_eq!(client.post("/v1/sources", with_expectations(90)).await.status, 201);
    let answer = client.post("/v1/sources", with_expectations(110)).await;
    assert_eq!((answer.status, answer.text("pointer").as_str()), (422, "/custom"));
    assert!(answer.text("detail").contains("32768"), "{}", answer.body);
}

#[tokio::test]
async fn the_receiving_url_as_public_url_lies_with_the_secrets_and_is_never_shown() {
    let client = Client::new();
    let mut preset = custom();
    preset["scheme"]["signed"] = json!("{url}.{timestamp}.{body}");
    let new = json!({"custom": preset, "secret": "s3cret", "publicUrl": "{receivingUrl}"});
    let created = client.post("/v1/sources", source(new)).await;
    assert_eq!(created.status, 201, "{}", created.body);
    let receiving_url = created.text("receivingUrl");
    let token = receiving_url.rsplit('/').next().unwrap().to_owned();
    assert_eq!(created.text("publicUrl"), receiving_url.replace(&token, "in_…"));

    let called_url = || client.store.tables().called_urls.values().next().cloned();
    assert_eq!(called_url().as_ref(), Some(&receiving_url));
    // As it is written: corrected by hand, it is not shown either.
    let path = format!("/v1/sources/{}", created.text("id"));
    let corrected = format!("{receiving_url}?x=1");
    let patched = client.patch(&path, json!({"publicUrl": corrected})).await;
    assert_eq!(patched.status, 200, "{}", patched.body);
    assert_eq!(called_url(), Some(corrected.clone()));
    // A token that replaces another looks the same, and is written all the same.
    let other = corrected.replace(&token, &format!("in_{}", "b".repeat(32)));
    let patched = client.patch(&path, json!({"publicUrl": other})).await;
    assert_eq!(patched.status, 200, "{}", patched.body);
    assert_eq!(called_url(), Some(other));
    let shown = client.get(&path).await.text("publicUrl");
    assert_eq!(shown, receiving_url.replace(&token, "in_…?…"));
    // What was shown comes back with the rest of what was read, and changes nothing; elsewhere it is no URL.
    let echoed = client
        .patch(&path, json!({"name": "renamed", "publicUrl": shown}))
        .await;
    assert_eq!(echoed.status, 200, "{}", echoed.body);
    assert!(called_url().unwrap().contains("bbbbbbbb"));
    let other = client.patch(&path, json!({"publicUrl": format!("{shown}/")})).await;
    assert_eq!((other.status, other.text("pointer").as_str()), (422, "/publicUrl"));
    let tables = client.store.tables();
    let stored = format!("{:?} {:?}", tables.sources, tables.doors);
    assert!(!stored.contains(&token) && !stored.contains("bbbbbbbb"), "{stored}");
}
