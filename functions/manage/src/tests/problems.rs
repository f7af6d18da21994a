//! What each route answers when something is wrong.

use payload::webhook::{MAX_NAME_CHARS, MAX_URL_BYTES};
use store::StoreError;

use super::*;

async fn raw(client: &Client, content_type: Option<&str>, body: Vec<u8>) -> Answer {
    let mut request = Request::post("/v1/events").header(AUTHORIZATION, format!("Bearer {}", client.key));
    if let Some(content_type) = content_type {
        request = request.header(CONTENT_TYPE, content_type);
    }
    client.send(request.body(Body::from(body)).unwrap()).await
}

#[tokio::test]
async fn without_a_valid_key_every_answer_is_the_same_401() {
    let client = Client::new();
    let stranger = ApiKeyText::generate();
    let mut answers = Vec::new();
    for authorization in [
        None,
        Some(String::new()),
        Some("Bearer".into()),
        Some("Bearer ".into()),
        Some(format!("Basic {}", client.key)),
        Some(client.key.clone()),
        Some(format!("Bearer {}x", client.key)),
        Some(format!("Bearer {}", stranger.expose())),
        Some(format!("Bearer {}", "a".repeat(10_000))),
    ] {
        for (method, path) in [
            ("GET", "/v1/sources"),
            ("POST", "/v1/events"),
            ("PUT", "/v1/sources"),
            ("GET", "/v1/nothing"),
            ("GET", "/"),
        ] {
            let mut request = Request::builder().method(method).uri(path);
            if let Some(value) = &authorization {
                request = request.header(AUTHORIZATION, value);
            }
            let answer = client.send(request.body(Body::empty()).unwrap()).await;
            assert_eq!(answer.status, 401, "{method} {path} {authorization:?}");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"hookline\""));
            answers.push(answer.text);
        }
    }
    answers.dedup();
    assert_eq!(answers.len(), 1);
    // Two keys are none, and the scheme's case does not matter (RFC 9110 section 11.1).
    let twice = Request::get("/v1/sources")
        .header(AUTHORIZATION, format!("Bearer {}", client.key))
        .header(AUTHORIZATION, format!("Bearer {}", client.key));
    assert_eq!(client.send(twice.body(Body::empty()).unwrap()).await.status, 401);
    let lower = Request::get("/v1/sources").header(AUTHORIZATION, format!("bearer {}", client.key));
    assert_eq!(client.send(lower.body(Body::empty()).unwrap()).await.status, 200);
}

#[tokio::test]
async fn unknown_routes_and_methods_are_problems_too() {
    let client = Client::new();
    for path in [
        "/",
        "/v1",
        "/v1/nothing",
        "/v1/sources/",
        "/v1/sources/a/b",
        "/v1/sources/%ff",
        "/v2/sources",
    ] {
        assert_eq!(client.get(path).await.status, 404, "{path}");
    }
    for (method, path, allow) in [
        ("PUT", "/v1/sources", "POST,GET,HEAD"),
        ("POST", "/v1/webhooks/wh_1", "GET,HEAD,PATCH,DELETE"),
        ("PUT", "/v1/sources/src_1", "GET,HEAD,PATCH,DELETE"),
        ("GET", "/v1/sources/src_1/reverify", "POST"),
        ("GET", "/v1/receipts/rcp_1/reverify", "POST"),
        ("PUT", "/v1/events", "POST,GET,HEAD"),
        ("OPTIONS", "/v1/events", "POST,GET,HEAD"),
    ] {
        let answer = client.call(method, path, None).await;
        assert_eq!(
            (answer.status, answer.header("allow")),
            (405, Some(allow)),
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn ids_that_are_none_are_not_found() {
    let client = Client::new();
    for path in [
        "/v1/sources/src_1",
        "/v1/webhooks/x",
        "/v1/events/evt_",
        "/v1/receipts/src_01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "/v1/events/%00",
    ] {
        assert_eq!(client.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_body_must_be_json() {
    let client = Client::new();
    for content_type in [
        None,
        Some("text/plain"),
        Some("application/x-www-form-urlencoded"),
        Some("application/jsonx"),
    ] {
        assert_eq!(
            raw(&client, content_type, b"{}".to_vec()).await.status,
            415,
            "{content_type:?}"
        );
    }
    let deep = "[".repeat(100_000).into_bytes();
    for body in [
        &b""[..],
        b"{",
        b"nonsense",
        b"{} {}",
        b"{\"type\": \"\xff\"}",
        b"\xef\xbb\xbf{}",
        b"{\"type\": 1e}",
        &deep,
    ] {
        let answer = raw(&client, Some("application/json"), body.to_vec()).await;
        assert!(matches!(answer.status, 400 | 422), "{}", answer.body);
        assert!(client.store.tables().events.is_empty());
    }
    assert_eq!(raw(&client, Some("application/json"), b"{".to_vec()).await.status, 400);
    assert_eq!(
        raw(&client, Some("Application/JSON;charset=utf-8"), b"{".to_vec())
            .await
            .status,
        400
    );
    assert_eq!(
        raw(&client, Some("application/cloudevents+json"), b"{".to_vec())
            .await
            .status,
        400
    );
}

#[tokio::test]
async fn a_body_that_is_too_large_is_413() {
    let client = Client::new();
    let body = |length: usize| format!("{{\"type\": \"a\", \"data\": \"{}\"}}", "a".repeat(length)).into_bytes();
    let around = body(0).len();
    let limit = crate::MAX_REQUEST_BYTES;
    assert_eq!(
        raw(&client, Some("application/json"), body(limit - around))
            .await
            .status,
        202
    );
    let answer = raw(&client, Some("application/json"), body(limit - around + 1)).await;
    assert_eq!(answer.status, 413);
    assert!(answer.text("detail").contains(&limit.to_string()));
}

#[tokio::test]
async fn a_field_that_is_wrong_is_named() {
    let client = Client::new();
    let long_name = "ä".repeat(MAX_NAME_CHARS + 1);
    let patterns = vec!["a"; 101];
    let long_url = format!("https://example.com/{}", "a".repeat(MAX_URL_BYTES));
    let webhook = |field: &str, value: Value| {
        let mut body = json!({"name": "a", "url": "https://example.com/"});
        body[field] = value;
        ("/v1/webhooks", body)
    };
    let source = |field: &str, value: Value| {
        let mut body = new_source();
        body[field] = value;
        ("/v1/sources", body)
    };
    let event = |field: &str, value: Value| {
        let mut body = json!({"type": "a", "data": {}});
        body[field] = value;
        ("/v1/events", body)
    };
    for ((path, body), pointer) in [
        (("/v1/webhooks", json!({})), "/name"),
        (("/v1/webhooks", json!([])), ""),
        (("/v1/webhooks", json!({"name": "a"})), "/url"),
        (webhook("name", json!(" ")), "/name"),
        (webhook("name", json!(long_name)), "/name"),
        (webhook("name", json!("a\u{0}")), "/name"),
        (webhook("name", json!(null)), "/name"),
        (webhook("name", json!(1)), "/name"),
        (webhook("nmae", json!("a")), "/nmae"),
        (webhook("a/b~c", json!("a")), "/a~1b~0c"),
        (webhook("enabled", json!("yes")), "/enabled"),
        (webhook("format", json!("slakc")), "/format"),
        (webhook("filter", json!({"types": ["ok", "not ok"]})), "/filter/types/1"),
        (webhook("filter", json!({"types": [""]})), "/filter/types/0"),
        (webhook("filter", json!({"types": patterns})), "/filter/types"),
        (webhook("filter", json!({"tpyes": []})), "/filter/tpyes"),
        (webhook("url", json!("/hook")), "/url"),
        (webhook("url", json!(long_url)), "/url"),
        (webhook("url", json!("http://example.com/")), "/url"),
        (webhook("url", json!("https://user:pass@example.com/")), "/url"),
        (webhook("url", json!("https://127.0.0.1/")), "/url"),
        (webhook("url", json!("https://2130706433/")), "/url"),
        (webhook("url", json!("https://[::ffff:10.0.0.1]/")), "/url"),
        (webhook("url", json!("https://inside.example.com/")), "/url"),
        (webhook("url", json!("https://hooks.example.com/in/x")), "/url"),
        (source("preset", json!("nobody")), "/preset"),
        (source("preset", json!(null)), "/preset"),
        (source("secret", json!(null)), "/secret"),
        (source("secret", json!("")), "/secret"),
        (
            source("secret", json!("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n")),
            "/secret",
        ),
        (source("secret", json!("a".repeat(513))), "/secret"),
        (source("secret", json!("whpk_nonsense")), "/secret"),
        (source("name", json!("")), "/name"),
        (event("type", json!(null)), "/type"),
        (event("type", json!("a b")), "/type"),
        (event("type", json!("hookline.source.rejecting")), "/type"),
        (event("type", json!("a.*")), "/type"),
        (event("type", json!("a".repeat(201))), "/type"),
        (event("data", json!(null)), "/data"),
        (event("id", json!("")), "/id"),
        (event("id", json!("a".repeat(257))), "/id"),
        (event("timestamp", json!("yesterday")), "/timestamp"),
        (event("timestamp", json!(1)), "/timestamp"),
        (event("summary", json!("a".repeat(1025))), "/summary"),
        (event("entity", json!({"type": "a", "name": "b"})), "/entity/name"),
        (event("entity", json!({"id": ""})), "/entity/id"),
        (event("scope", json!({"pool": "\n"})), "/scope/pool"),
        (
            event("changes", json!([{"type": "field", "code": "a"}, {"type": "field"}])),
            "/changes/1/code",
        ),
        (
            event("changes", json!(vec![json!({"type": "a", "code": "b"}); 201])),
            "/changes",
        ),
        (event("source", json!({"id": "src_1"})), "/source"),
        (event("organization", json!("org_1")), "/organization"),
    ] {
        let answer = client.post(path, body.clone()).await;
        assert_eq!(answer.status, 422, "{path} {pointer} {}", answer.body);
        assert_eq!(answer.text("pointer"), pointer, "{}", answer.body);
        assert_eq!(answer.text("type"), "urn:hookline:problem:invalid-field");
    }
    let tables = client.store.tables();
    assert!(tables.webhooks.is_empty() && tables.sources.is_empty() && tables.events.is_empty());
}

#[tokio::test]
async fn a_problem_neither_quotes_a_secret_nor_grows_with_the_request() {
    let client = Client::new();
    let mut source = new_source();
    source["secret"] = json!("whpk_c2VjcmV0");
    let answer = client.post("/v1/sources", source).await;
    assert_eq!(answer.status, 422);
    assert!(!answer.text.contains("c2VjcmV0"));
    let answer = client
        .post(
            "/v1/webhooks",
            json!({"name": "a", "url": "https://example.com/secret#x"}),
        )
        .await;
    assert!(answer.status == 422 && !answer.text.contains("secret"));
    let answer = client
        .post("/v1/webhooks", json!({"enabled": "a".repeat(100_000)}))
        .await;
    assert!(answer.status == 422 && answer.text.len() < 1000);
}

#[tokio::test]
async fn our_own_failures_have_constant_bodies() {
    let client = Client::new();
    let mut bodies = Vec::new();
    for (error, status) in [
        (StoreError::Unavailable("table X".into()), 503),
        (StoreError::Newer { found: 2, known: 1 }, 503),
        (StoreError::Refused("table X".into()), 500),
        (StoreError::Unreadable("table X".into()), 500),
    ] {
        client.store.tables().fault = Some(error);
        let id = payload::SourceId::generate(now());
        for answer in [
            client.create_source().await,
            client.get("/v1/webhooks").await,
            client.delete(&format!("/v1/sources/{id}")).await,
        ] {
            assert_eq!(answer.status, status);
            assert_eq!(answer.header("retry-after"), (status == 503).then_some("5"));
            assert!(!answer.text.contains("table X"));
            bodies.push(answer.text);
        }
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 2);
    for (error, status) in [
        (StoreError::Conflict, 409),
        (StoreError::TooLarge { limit: 358_400 }, 413),
    ] {
        client.store.tables().fault = Some(error);
        assert_eq!(
            client.post("/v1/events", json!({"type": "a", "data": 1})).await.status,
            status
        );
    }
}

#[tokio::test]
async fn an_organization_has_a_limited_number_of_sources() {
    let client = Client::new();
    assert_eq!(client.create_source().await.status, 201);
    {
        let mut tables = client.store.tables();
        let source = tables.sources.values().next().unwrap().clone();
        while tables.sources.len() < payload::organization::MAX_SOURCES {
            let id = payload::SourceId::generate(now());
            tables
                .sources
                .insert(id.clone(), payload::source::Source { id, ..source.clone() });
        }
    }
    let answer = client.create_source().await;
    assert_eq!(
        (answer.status, answer.text("type").as_str()),
        (409, "urn:hookline:problem:limit-reached")
    );
    assert_eq!(client.another().create_source().await.status, 201);
}

#[tokio::test]
async fn an_organization_has_a_limited_number_of_webhooks() {
    let client = Client::new();
    assert_eq!(client.create_webhook().await.status, 201);
    {
        let mut tables = client.store.tables();
        let webhook = tables.webhooks.values().next().unwrap().clone();
        while tables.webhooks.len() < payload::webhook::MAX_WEBHOOKS {
            let id = payload::WebhookId::generate(now());
            tables
                .webhooks
                .insert(id.clone(), payload::webhook::Webhook { id, ..webhook.clone() });
        }
    }
    assert_eq!(client.create_webhook().await.status, 409);
    assert_eq!(client.another().create_webhook().await.status, 201);
}
