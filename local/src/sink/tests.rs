#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
use payload::outbound::{SigningKey, generate_secret, sign};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use store::clock::SystemClock;

use super::*;
use crate::http_client::{self, Answer};

async fn sink() -> Sink {
    Sink::start("127.0.0.1:0".parse().unwrap(), Arc::new(SystemClock))
        .await
        .unwrap()
}

async fn deliver(sink: &Sink, query: &str, secret: &SecretString, body: &'static [u8], signed: &[u8]) -> Answer {
    let at = SystemClock.now();
    let signature = sign(&[SigningKey::parse(secret).unwrap()], "msg_1", at, signed);
    let headers = [
        ("webhook-id", "msg_1".to_owned()),
        ("webhook-timestamp", at.as_second().to_string()),
        ("webhook-signature", signature),
    ];
    http_client::send(
        "POST",
        &format!("{}{query}", sink.url()),
        &headers,
        Bytes::from_static(body),
    )
    .await
    .unwrap()
}

#[tokio::test]
async fn signatures_are_checked_with_the_secrets_it_knows() {
    let sink = sink().await;
    let (first, second) = (generate_secret(), generate_secret());
    assert_eq!(deliver(&sink, "", &first, b"{}", b"{}").await.status, 200);
    assert!(sink.add_secret(&first));
    assert!(!sink.add_secret(&"no base64!".into()));
    deliver(&sink, "", &first, b"{}", b"{}").await;
    deliver(&sink, "", &second, b"{}", b"{}").await;
    deliver(&sink, "", &first, b"{ }", b"{}").await;
    let json = json!({ "secret": second.expose_secret() }).to_string();
    let url = sink.url().replace("/sink", "/secrets");
    let header = [("content-type", "application/json".to_owned())];
    assert_eq!(
        http_client::send("POST", &url, &header, json.into())
            .await
            .unwrap()
            .status,
        204
    );
    assert_eq!(
        http_client::send("POST", &url, &header, r#"{"secret":"?"}"#.into())
            .await
            .unwrap()
            .status,
        422
    );
    deliver(&sink, "", &second, b"{}", b"{}").await;
    let found: Vec<Signature> = sink.taken().into_iter().map(|taken| taken.signature).collect();
    assert!(matches!(
        &found[..],
        [
            Signature::NotChecked,
            Signature::Valid,
            Signature::Invalid(_),
            Signature::Invalid(_),
            Signature::Valid
        ]
    ));
    sink.stop().await;
}

#[tokio::test]
async fn it_shows_what_it_took_newest_first_and_answers_as_it_is_asked() {
    let sink = sink().await;
    let secret = generate_secret();
    deliver(&sink, "", &secret, b"{\"a\":1}", b"").await;
    assert_eq!(deliver(&sink, "?status=503", &secret, b"\xff", b"").await.status, 503);
    let shown = http_client::send("GET", &sink.url(), &[], Bytes::new()).await.unwrap();
    let shown: Value = serde_json::from_slice(&shown.body).unwrap();
    assert_eq!(shown["requests"][0]["body"], json!({"base64": "/w=="}));
    assert_eq!(shown["requests"][0]["answered"], 503);
    assert_eq!(shown["requests"][1]["body"], json!({"a": 1}));
    assert_eq!(shown["requests"][1]["headers"]["webhook-id"], "msg_1");
    let get = http_client::send("GET", &sink.url(), &[("webhook-id", "msg_2".into())], Bytes::new())
        .await
        .unwrap();
    assert_eq!((get.status, sink.taken().len()), (200, 3));
    sink.stop().await;
}

#[tokio::test]
async fn it_remembers_only_the_last() {
    let sink = sink().await;
    for _ in 0..=CAPACITY {
        deliver(&sink, "", &generate_secret(), b"x", b"").await;
    }
    assert_eq!(sink.taken().len(), CAPACITY);
    let large = Taken {
        body: Bytes::from(vec![0; CAPACITY_BYTES]),
        ..sink.taken()[0].clone()
    };
    sink.shared.keep(large.clone());
    assert_eq!(sink.taken().len(), 1);
    sink.shared.keep(large);
    assert_eq!(sink.taken().len(), 1);
    sink.stop().await;
}

#[tokio::test]
async fn only_this_machine_is_listened_to() {
    assert!(
        Sink::start("0.0.0.0:0".parse().unwrap(), Arc::new(SystemClock))
            .await
            .is_err()
    );
    let sink = sink().await;
    let answer = http_client::send("GET", &sink.url(), &[("host", "rebound.example".into())], Bytes::new())
        .await
        .unwrap();
    assert_eq!(answer.status, 403);
    sink.stop().await;
}
