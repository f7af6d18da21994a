//! A foreign implementation of Standard Webhooks, PyPI's `standardwebhooks`, on both ends of the way.
#![cfg(feature = "deep")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail by panicking")]

use std::process::Stdio;

use hookline_tests::api::{PROVIDER_SECRET, quartr_message};
use hookline_tests::sink::Sink;
use hookline_tests::world::World;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

const VERIFY: &str = r#"
import json, sys
from standardwebhooks import Webhook
request = json.load(sys.stdin)
print(json.dumps(Webhook(request["secret"]).verify(request["body"].encode(), request["headers"])))
"#;

const SIGN: &str = r#"
import datetime, json, sys
from standardwebhooks import Webhook
request = json.load(sys.stdin)
at = datetime.datetime.fromtimestamp(request["at"], tz=datetime.timezone.utc)
print(json.dumps(Webhook(request["secret"]).sign(request["id"], at, request["body"])))
"#;

/// Runs a script with the Python that `HOOKLINE_PYTHON` names, with this JSON as its input.
async fn python(script: &str, input: &Value) -> Result<Value, String> {
    let python = std::env::var("HOOKLINE_PYTHON")
        .expect("HOOKLINE_PYTHON names a Python with standardwebhooks (see CONTRIBUTING.md)");
    let mut child = tokio::process::Command::new(python)
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python starts");
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.to_string().as_bytes()).await.unwrap();
    drop(stdin);
    let output = child.wait_with_output().await.unwrap();
    if output.status.success() {
        Ok(serde_json::from_slice(&output.stdout).expect("JSON"))
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_arrives_at_the_sink_verifies() {
    let world = World::start().await;
    let sink = Sink::start().await;
    let webhook = world.api.webhook(sink.url(), &[]).await;
    let quartr = world.api.source("quartr").await;
    quartr
        .send_at("msg_1", world.now(), &quartr_message("live.audio.updated", 7))
        .await;
    let arrival = sink.wait_for(1).await.remove(0);
    let headers: Value = ["webhook-id", "webhook-timestamp", "webhook-signature"]
        .iter()
        .map(|name| ((*name).to_owned(), arrival.header(name).into()))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let body = std::str::from_utf8(&arrival.body).unwrap();
    let verified = python(
        VERIFY,
        &json!({"secret": webhook.secret, "headers": headers, "body": body}),
    )
    .await
    .unwrap();
    assert_eq!(verified["type"], "live.audio.updated");
    let forged = python(
        VERIFY,
        &json!({"secret": webhook.secret, "headers": headers, "body": format!("{body} ")}),
    )
    .await;
    assert!(forged.unwrap_err().contains("WebhookVerificationError"));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_it_signed_is_accepted() {
    let world = World::start().await;
    let sink = Sink::start().await;
    world.api.webhook(sink.url(), &[]).await;
    let source = world.api.source("standard-webhooks").await;
    let body = r#"{"type":"user.created","timestamp":"2025-03-25T13:31:00Z","data":{"name":"Zoë"}}"#;
    let at = world.now().as_second();
    let signature = python(
        SIGN,
        &json!({"secret": PROVIDER_SECRET, "id": "msg_py", "at": at, "body": body}),
    )
    .await
    .unwrap();
    let headers = [
        ("webhook-id", "msg_py".to_owned()),
        ("webhook-timestamp", at.to_string()),
        ("webhook-signature", signature.as_str().unwrap().to_owned()),
    ];
    let (status, _) = source.send_with(&headers, body.as_bytes()).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    assert_eq!(sink.wait_for(1).await[0].json()["data"], json!({"name": "Zoë"}));
    world.stop().await;
}
