//! `Idempotency-Key`: the same request again does nothing more and is answered as it was.

use super::*;

impl Client {
    async fn post_once(&self, name: &str, path: &str, body: &Value) -> Answer {
        let request = Request::builder()
            .method("POST")
            .uri(path)
            .header(AUTHORIZATION, format!("Bearer {}", self.key))
            .header(CONTENT_TYPE, "application/json")
            .header("idempotency-key", name);
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }
}

#[tokio::test]
async fn a_repeated_request_gets_the_same_answer_with_its_secrets() {
    let client = Client::new();
    for (path, body) in [
        ("/v1/sources", new_source()),
        (
            "/v1/webhooks",
            json!({"name": "mine", "url": "https://example.com/hook"}),
        ),
        ("/v1/keys", json!({"name": "k", "role": "viewer"})),
        ("/v1/events", json!({"type": "a", "data": 1})),
    ] {
        let first = client.post_once(path, path, &body).await;
        assert!(matches!(first.status, 201 | 202), "{path}: {}", first.text);
        assert_eq!(first.header("idempotency-replayed"), None);
        let again = client.post_once(&format!("\"{path}\""), path, &body).await;
        assert_eq!((again.status, &again.text), (first.status, &first.text), "{path}");
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
        for name in ["location", "etag", "content-type"] {
            assert_eq!(again.header(name), first.header(name), "{path} {name}");
        }
    }
    let tables = client.store.tables();
    assert_eq!(
        (tables.sources.len(), tables.webhooks.len(), tables.events.len()),
        (1, 1, 1)
    );
    assert_eq!(tables.keys.len(), 2);
    assert_eq!(tables.audit.len(), 3);
    // What is kept can be read by nobody who does not hold the API key.
    for remembered in tables.idempotent.values() {
        let kept = String::from_utf8_lossy(remembered.answer.as_deref().unwrap()).into_owned();
        assert!(
            !kept.contains("whsec_") && !kept.contains("/in/") && !kept.contains("hk_"),
            "{kept}"
        );
    }
}

#[tokio::test]
async fn another_request_under_the_same_key_is_refused() {
    let client = Client::new();
    let body = json!({"type": "a", "data": 1});
    assert_eq!(client.post_once("k", "/v1/events", &body).await.status, 202);
    for (path, body) in [
        ("/v1/events", json!({"type": "a", "data": 2})),
        ("/v1/keys", body.clone()),
    ] {
        let refused = client.post_once("k", path, &body).await;
        assert_eq!(
            (refused.status, refused.text("type").as_str()),
            (422, "urn:hookline:problem:idempotency-key-reused"),
            "{path}"
        );
    }
    assert_eq!(client.store.tables().events.len(), 1);
}

#[tokio::test]
async fn what_failed_may_be_asked_again() {
    let client = Client::new();
    let bad = json!({"name": "k", "role": "root"});
    assert_eq!(client.post_once("k", "/v1/keys", &bad).await.status, 422);
    let good = json!({"name": "k", "role": "viewer"});
    assert_eq!(
        client.post_once("k", "/v1/keys", &good).await.status,
        201,
        "nothing came of the first"
    );
    client.store.tables().fault = Some(StoreError::Unavailable("throttled".into()));
    assert_eq!(client.post_once("other", "/v1/keys", &good).await.status, 503);
    client.store.tables().fault = None;
    assert_eq!(client.post_once("other", "/v1/keys", &good).await.status, 201);
}

#[tokio::test]
async fn requests_at_the_same_time_are_carried_out_once() {
    let client = Client::new();
    let body = json!({"name": "mine", "url": "https://example.com/hook"});
    let requests = (0..8).map(|_| client.post_once("k", "/v1/webhooks", &body));
    let answers = futures::future::join_all(requests).await;
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    let waiting = answers.iter().filter(|answer| answer.status == 409).count();
    assert_eq!(made + waiting, 8);
    assert!(made >= 1);
    assert_eq!(client.store.tables().webhooks.len(), 1);
}

#[tokio::test]
async fn keys_of_two_api_keys_never_meet() {
    let ours = Client::new();
    let theirs = ours.another();
    let body = json!({"name": "mine", "url": "https://example.com/hook"});
    let one = ours.post_once("k", "/v1/webhooks", &body).await;
    let other = theirs.post_once("k", "/v1/webhooks", &body).await;
    assert_eq!((one.status, other.status), (201, 201));
    assert_ne!(one.text("secret"), other.text("secret"));
}

#[tokio::test]
async fn a_publication_whose_answer_was_lost_is_the_same_event_again() {
    let client = Client::new();
    let body = json!({"type": "a", "data": 1});
    let first = client.post_once("k", "/v1/events", &body).await.text("id");
    // As when the function was killed before the answer was kept.
    client.store.tables().idempotent.clear();
    let again = client.post_once("k", "/v1/events", &body).await;
    assert_eq!((again.status, again.text("id")), (200, first.clone()));
    assert_ne!(client.post("/v1/events", body).await.text("id"), first);
}

#[tokio::test]
async fn a_key_that_is_none_is_refused_and_only_post_has_one() {
    let client = Client::new();
    let body = json!({"type": "a", "data": 1});
    for name in ["", "\"\"", "é", &"k".repeat(256)] {
        let refused = client.post_once(name, "/v1/events", &body).await;
        assert_eq!(
            (refused.status, refused.text("type").as_str()),
            (400, "urn:hookline:problem:invalid-header"),
            "{name}"
        );
    }
    let request = Request::builder()
        .uri("/v1/webhooks")
        .header(AUTHORIZATION, format!("Bearer {}", client.key))
        .header("idempotency-key", "k");
    assert_eq!(client.send(request.body(Body::empty()).unwrap()).await.status, 200);
    assert!(client.store.tables().idempotent.is_empty());
    let stranger = Client {
        key: "hk_nobody".into(),
        ..client.clone()
    };
    assert_eq!(stranger.post_once("k", "/v1/events", &body).await.status, 401);
    assert!(client.store.tables().idempotent.is_empty());
}
