//! Foreign implementations of Standard Webhooks on the ends of the way: the packages `standardwebhooks` of PyPI and of npm.
#![cfg(feature = "deep")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail by panicking")]

use std::process::Stdio;

use hookline_tests::api::{PROVIDER_SECRET, quartr_message};
use hookline_tests::sink::{Arrival, Sink};
use hookline_tests::world::World;
use payload::Clock;
use payload::outbound::{SigningKey, generate_secret, sign};
use reqwest::StatusCode;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use store::clock::SystemClock;
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

const NODE_VERIFY: &str = r#"
const path = require("node:path");
const { Webhook } = require(path.join(process.env.HOOKLINE_NODE_MODULES, "standardwebhooks"));
const request = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
console.log(JSON.stringify(new Webhook(request.secret).verify(request.body, request.headers)));
"#;

/// Runs a script with the Python that `HOOKLINE_PYTHON` names, with this JSON as its input.
async fn python(script: &str, input: &Value) -> Result<Value, String> {
    let python = std::env::var("HOOKLINE_PYTHON")
        .expect("HOOKLINE_PYTHON names a Python with standardwebhooks (see CONTRIBUTING.md)");
    run(&python, &["-c", script], input).await
}

/// Runs a script with Node and the packages that `HOOKLINE_NODE_MODULES` holds.
async fn node(script: &str, input: &Value) -> Result<Value, String> {
    std::env::var("HOOKLINE_NODE_MODULES")
        .expect("HOOKLINE_NODE_MODULES is a folder with standardwebhooks (see CONTRIBUTING.md)");
    run("node", &["-e", script], input).await
}

async fn run(program: &str, arguments: &[&str], input: &Value) -> Result<Value, String> {
    let mut child = tokio::process::Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
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

/// What each package makes of a message.
async fn verify(secret: &str, headers: &Value, body: &str) -> [Result<Value, String>; 2] {
    let input = json!({"secret": secret, "headers": headers, "body": body});
    [python(VERIFY, &input).await, node(NODE_VERIFY, &input).await]
}

fn signature_headers(arrival: &Arrival) -> Value {
    ["webhook-id", "webhook-timestamp", "webhook-signature"]
        .iter()
        .map(|name| ((*name).to_owned(), arrival.header(name).into()))
        .collect::<serde_json::Map<_, _>>()
        .into()
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
    let headers = signature_headers(&arrival);
    let body = std::str::from_utf8(&arrival.body).unwrap();
    for verified in verify(&webhook.secret, &headers, body).await {
        assert_eq!(verified.unwrap()["type"], "live.audio.updated");
    }
    for forged in verify(&webhook.secret, &headers, &format!("{body} ")).await {
        assert!(forged.unwrap_err().contains("WebhookVerificationError"));
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_one_secret_replaces_another_both_verify() {
    let secrets = [generate_secret(), generate_secret()];
    let keys = secrets.each_ref().map(|secret| SigningKey::parse(secret).unwrap());
    let (id, at, body) = ("evt_1", SystemClock.now(), r#"{"type":"a.b"}"#);
    let headers = json!({
        "webhook-id": id, "webhook-timestamp": at.as_second().to_string(),
        "webhook-signature": sign(&keys, id, at, body.as_bytes())
    });
    for secret in &secrets {
        for verified in verify(secret.expose_secret(), &headers, body).await {
            assert_eq!(verified.unwrap()["type"], "a.b");
        }
    }
    for unknown in verify(generate_secret().expose_secret(), &headers, body).await {
        assert!(unknown.unwrap_err().contains("WebhookVerificationError"));
    }
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
