//! Other secrets and receiving URLs take the place of those that are, at once or with an overlap.

use jiff::SignedDuration;
use payload::source::IngestToken;
use secrecy::ExposeSecret;

use super::*;

const OWN: &str = "whsec_dGhpcyBpcyBhIHNlY3JldCBvZiAzMiBieXRlcyEh";

fn after(seconds: i64) -> Option<Timestamp> {
    Some(now() + SignedDuration::from_secs(seconds))
}

#[tokio::test]
async fn a_webhook_signs_with_both_secrets_for_a_time() {
    let client = Client::new();
    let created = client.create_webhook().await;
    let (id, first) = (created.text("id"), created.text("secret"));
    let path = format!("/v1/webhooks/{id}/rotate-secret");
    let second = client.post(&path, json!({})).await;
    assert_eq!(second.status, 200, "{}", second.text);
    let own = client
        .post(&path, json!({"secret": OWN, "previousExpiresIn": 60}))
        .await;
    assert_eq!(own.text("secret"), OWN);
    let secrets = client.store.tables().webhook_secrets[&id.parse().unwrap()].clone();
    let kept: Vec<(String, Option<Timestamp>)> = secrets
        .signing
        .iter()
        .map(|secret| (secret.value.expose_secret().to_owned(), secret.expires_at))
        .collect();
    assert_eq!(kept[0], (OWN.to_owned(), None));
    assert!(kept.contains(&(second.text("secret"), after(60))));
    assert!(
        kept.contains(&(first.clone(), after(60))),
        "what was to last for a day is cut short too"
    );
    let at_once = client.post(&path, json!({"previousExpiresIn": 0})).await;
    assert_eq!(at_once.status, 200);
    let signing = client.store.tables().webhook_secrets[&id.parse().unwrap()]
        .signing
        .clone();
    assert_eq!(signing.iter().filter(|secret| secret.is_valid_at(now())).count(), 1);
    assert_eq!(signing.len(), 3, "no more than three are kept");
    assert!(!client.get(&format!("/v1/webhooks/{id}")).await.text.contains("whsec_"));

    let keyed = client.post(&path, json!({"signature": "v1a"})).await;
    assert!(keyed.text("publicKey").starts_with("whpk_"));
    assert_eq!(keyed.body.get("secret"), None, "a private key is shown to nobody");
    let still = client.post(&path, json!({})).await;
    assert!(still.text("publicKey").starts_with("whpk_"), "it remains as it is");
}

#[tokio::test]
async fn a_secret_of_ones_own_is_strong_enough_or_refused() {
    let client = Client::new();
    let created = client
        .post(
            "/v1/webhooks",
            json!({"name": "a", "url": "https://example.com/hook", "secret": OWN}),
        )
        .await;
    assert_eq!((created.status, created.text("secret").as_str()), (201, OWN));
    let path = format!("/v1/webhooks/{}/rotate-secret", created.text("id"));
    let weak = format!("whsec_{}", "QUFB".repeat(10));
    for (body, pointer) in [
        (json!({"secret": "hunter2"}), "/secret"),
        (json!({"secret": "whsec_c2hvcnQ="}), "/secret"),
        (json!({"secret": "whsec_not base64"}), "/secret"),
        (json!({"secret": weak}), "/secret"),
        (json!({"secret": OWN, "signature": "v1a"}), "/secret"),
        (json!({"secret": 1}), "/secret"),
        (json!({"signature": "v2"}), "/signature"),
        (json!({"previousExpiresIn": 604_801}), "/previousExpiresIn"),
        (json!({"previousExpiresIn": -1}), "/previousExpiresIn"),
        (json!({"overlap": 1}), "/overlap"),
    ] {
        let refused = client.post(&path, body.clone()).await;
        assert_eq!(
            (refused.status, refused.text("pointer").as_str()),
            (422, pointer),
            "{body}"
        );
        assert!(!refused.text.contains("hunter2"));
    }
}

#[tokio::test]
async fn a_source_takes_both_secrets_and_both_urls_for_a_time() {
    let client = Client::new();
    let created = client.create_source().await;
    let (id, first) = (created.text("id"), created.text("receivingUrl"));
    let path = format!("/v1/sources/{id}");
    let rotated = client
        .post(&format!("{path}/rotate-secret"), json!({"secret": OWN}))
        .await;
    assert_eq!((rotated.status, rotated.body.get("secret")), (200, None));
    let secrets = client.store.tables().secrets[&id].clone();
    assert_eq!(secrets[0].value.expose_secret(), OWN);
    assert_eq!(secrets[1].expires_at, after(86_400), "a day, where nothing is said");

    let rotated = client
        .post(&format!("{path}/rotate-token"), json!({"previousExpiresIn": 60}))
        .await;
    let second = rotated.text("receivingUrl");
    assert_ne!(first, second);
    let hash = |url: &str| url.rsplit('/').next().unwrap().parse::<IngestToken>().unwrap().hash();
    let source = client.store.tables().sources[&id.parse().unwrap()].clone();
    let tokens: Vec<_> = source
        .tokens
        .iter()
        .map(|token| (token.hash.clone(), token.expires_at))
        .collect();
    assert_eq!(tokens, [(hash(&second), None), (hash(&first), after(60))]);
    assert_eq!(
        client.get(&path).await.body.get("receivingUrl"),
        None,
        "it is shown once"
    );
    let third = client.post(&format!("{path}/rotate-token"), json!({})).await;
    assert_eq!(third.status, 200);
    let fourth = client.post(&format!("{path}/rotate-token"), json!({})).await;
    assert_eq!(
        (fourth.status, fourth.text("pointer").as_str()),
        (422, "/previousExpiresIn"),
        "none is cut short that was promised to last"
    );
    let source = client.store.tables().sources[&id.parse().unwrap()].clone();
    assert_eq!(source.tokens.len(), 3, "no more than three lead here");
    client
        .post(&format!("{path}/rotate-token"), json!({"previousExpiresIn": 0}))
        .await;
    let source = client.store.tables().sources[&id.parse().unwrap()].clone();
    assert_eq!(source.tokens.len(), 1, "at once");

    for (action, body, pointer) in [
        ("rotate-secret", json!({}), "/secret"),
        ("rotate-secret", json!({"secret": " padded "}), "/secret"),
        (
            "rotate-secret",
            json!({"secret": OWN, "previousExpiresIn": 604_801}),
            "/previousExpiresIn",
        ),
        (
            "rotate-token",
            json!({"previousExpiresIn": 604_801}),
            "/previousExpiresIn",
        ),
        ("rotate-token", json!({"token": "in_x"}), "/token"),
    ] {
        let refused = client.post(&format!("{path}/{action}"), body.clone()).await;
        assert_eq!(
            (refused.status, refused.text("pointer").as_str()),
            (422, pointer),
            "{body}"
        );
    }
    let theirs = client.another();
    for action in ["rotate-secret", "rotate-token"] {
        let body = if action == "rotate-secret" {
            json!({"secret": OWN})
        } else {
            json!({})
        };
        assert_eq!(theirs.post(&format!("{path}/{action}"), body).await.status, 404);
    }
}

#[tokio::test]
async fn without_a_secret_there_is_none_to_rotate() {
    let client = Client::new();
    let source = json!({"name": "open", "preset": "generic", "scheme": {"kind": "none"}});
    let created = client.post("/v1/sources", source).await;
    assert_eq!(created.status, 201, "{}", created.text);
    let path = format!("/v1/sources/{}/rotate-secret", created.text("id"));
    let refused = client.post(&path, json!({"secret": OWN})).await;
    assert_eq!((refused.status, refused.text("pointer").as_str()), (422, "/secret"));
}
