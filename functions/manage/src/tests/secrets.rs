//! The secrets of a source that is changed: which stay, for how long, and when another is needed.

use jiff::SignedDuration;
use secrecy::ExposeSecret;

use super::*;

const FIRST: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

async fn source(client: &Client) -> String {
    client.create_source().await.text("id")
}

/// What is stored: each secret with the seconds until it ends.
fn stored(client: &Client, id: &str) -> Vec<(String, Option<i64>)> {
    let tables = client.store.tables();
    let secrets = tables.secrets.get(id).map(Vec::as_slice).unwrap_or_default();
    secrets
        .iter()
        .map(|secret| {
            let ends = secret.expires_at.map(|end| end.duration_since(now()).as_secs());
            (secret.value.expose_secret().to_owned(), ends)
        })
        .collect()
}

fn hmac() -> Value {
    json!({"kind": "hmac", "algorithm": "sha256", "header": "x-signature", "encoding": "hex", "signed": "{body}"})
}

/// A patch to this scheme, under which anything may decide about duplicates.
fn to_scheme(scheme: Value) -> Value {
    json!({"scheme": scheme, "duplicates": "none"})
}

#[tokio::test]
async fn a_new_secret_ends_the_old_ones_at_once_or_later() {
    let client = Client::new();
    let id = source(&client).await;
    let path = format!("/v1/sources/{id}");
    let answer = client
        .patch(&path, json!({"secret": "second", "previousSecretExpiresIn": 3600}))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(!answer.text.contains("second"));
    let of = |value: &str, ends| (value.to_owned(), ends);
    assert_eq!(stored(&client, &id), [of("second", None), of(FIRST, Some(3600))]);
    assert_eq!(client.patch(&path, json!({"secret": "third"})).await.status, 200);
    // An end that has come is kept with its secret: a backlog is verified with what was valid when it arrived.
    assert_eq!(
        stored(&client, &id),
        [of("third", None), of("second", Some(0)), of(FIRST, Some(0))]
    );
    for patch in [
        json!({"secret": "fourth", "previousSecretExpiresIn": 604_800}),
        json!({"secret": "fifth", "previousSecretExpiresIn": null}),
    ] {
        assert_eq!(client.patch(&path, patch).await.status, 200);
        assert_eq!(stored(&client, &id).len(), 3);
    }
    assert_eq!(stored(&client, &id)[0], of("fifth", None));
}

#[tokio::test]
async fn what_says_nothing_of_the_secret_leaves_it_alone() {
    let client = Client::new();
    let id = source(&client).await;
    let path = format!("/v1/sources/{id}");
    let before = stored(&client, &id);
    client.store.tables().secrets.get_mut(&id).unwrap()[0].created_at += SignedDuration::from_secs(7);
    for patch in [
        json!({"enabled": false}),
        json!({"scheme": {"tolerance": 60}}),
        to_scheme(hmac()),
    ] {
        assert_eq!(client.patch(&path, patch).await.status, 200);
        assert_eq!(stored(&client, &id), before);
    }
    let created = client.store.tables().secrets[&id][0].created_at;
    assert_eq!(created, now() + SignedDuration::from_secs(7));
}

#[tokio::test]
async fn another_kind_of_scheme_needs_another_secret() {
    let client = Client::new();
    let token = |prefix: &str| json!({"kind": "token", "header": "x-token", "prefix": prefix});
    let public = json!({"kind": "ed25519", "header": "x-signature", "encoding": "hex", "signed": "{body}"});
    let key = "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1";
    let id = source(&client).await;
    let path = format!("/v1/sources/{id}");
    for (scheme, secret) in [
        (token("Bearer "), "tok-1"),
        // The hash holds the prefix.
        (token("Token "), "tok-1"),
        (json!({"kind": "basic"}), "user:pass"),
        (hmac(), "s3cret"),
        // Whoever could use a public key as a shared one could forge.
        (public, key),
        (hmac(), "s3cret"),
    ] {
        let mut patch = to_scheme(scheme);
        let before = stored(&client, &id);
        let answer = client.patch(&path, patch.clone()).await;
        assert_eq!(
            (answer.status, answer.text("pointer").as_str()),
            (422, "/secret"),
            "{patch} {}",
            answer.body
        );
        assert_eq!(stored(&client, &id), before);
        patch["secret"] = json!(secret);
        let answer = client.patch(&path, patch.clone()).await;
        assert_eq!(answer.status, 200, "{patch} {}", answer.body);
        assert_eq!(stored(&client, &id).len(), 1, "what cannot be used is not kept");
    }
}

#[tokio::test]
async fn a_credential_may_move_to_another_place() {
    let client = Client::new();
    let id = source(&client).await;
    let path = format!("/v1/sources/{id}");
    let mut patch = to_scheme(json!({"kind": "token", "header": "x-token"}));
    patch["secret"] = json!("tok-1");
    assert_eq!(client.patch(&path, patch).await.status, 200);
    let before = stored(&client, &id);
    let answer = client
        .patch(&path, json!({"scheme": {"header": null, "query": "key"}}))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(stored(&client, &id), before);
    assert_eq!(
        client.store.tables().doors.values().next().unwrap().credentials,
        ["?key"]
    );
}

#[tokio::test]
async fn a_scheme_that_proves_nothing_leaves_no_secret() {
    let client = Client::new();
    let id = source(&client).await;
    let path = format!("/v1/sources/{id}");
    let mut patch = to_scheme(json!({"kind": "none"}));
    patch["secret"] = json!("s3cret");
    let answer = client.patch(&path, patch.clone()).await;
    assert_eq!((answer.status, answer.text("pointer").as_str()), (422, "/secret"));
    patch["secret"] = json!(null);
    assert_eq!(client.patch(&path, patch).await.status, 200);
    assert_eq!(stored(&client, &id), []);
    // And back.
    let back = json!({"scheme": null, "duplicates": null});
    let answer = client.patch(&path, back).await;
    assert_eq!((answer.status, answer.text("pointer").as_str()), (422, "/secret"));
    let back = json!({"scheme": null, "duplicates": null, "secret": FIRST});
    assert_eq!(client.patch(&path, back).await.status, 200);
    assert_eq!(stored(&client, &id), [(FIRST.to_owned(), None)]);
}

#[tokio::test]
async fn a_secret_that_the_new_scheme_cannot_read_is_asked_for_again() {
    let client = Client::new();
    let id = source(&client).await;
    let path = format!("/v1/sources/{id}");
    let mut hex = hmac();
    hex["key"] = json!("hex");
    let answer = client.patch(&path, to_scheme(hex.clone())).await;
    assert_eq!((answer.status, answer.text("pointer").as_str()), (422, "/secret"));
    assert!(!answer.text.contains(FIRST));
    // What is still valid decides; what it cannot read goes.
    let overlapping = json!({"secret": "00ff", "previousSecretExpiresIn": 60});
    assert_eq!(client.patch(&path, overlapping).await.status, 200);
    assert_eq!(client.patch(&path, to_scheme(hex)).await.status, 200);
    assert_eq!(stored(&client, &id), [("00ff".to_owned(), None)]);
}
