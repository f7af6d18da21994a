//! The presets once through the whole hub, signed as its provider signs, over real HTTP: stored, verified, mapped and delivered; and the
//! same request with one thing changed is rejected. What each mapping makes of every kind of event: shared/payload/tests/presets.rs.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail by panicking")]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use hookline_tests::api::{PROVIDER_SECRET, Provider, quartr_message, signed_headers};
use hookline_tests::sink::Sink;
use hookline_tests::world::World;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sha2::Sha256;

/// What a provider sends.
#[derive(Clone)]
struct Sent {
    method: Method,
    behind_url: String,
    headers: Vec<(String, String)>,
    body: String,
}

/// A preset, what its source is made with, what its provider sends, and the type of the event that comes of it.
struct Case {
    preset: &'static str,
    fields: Value,
    sent: Sent,
    event_type: &'static str,
    proven_by: ProvenBy,
}

/// What beside the receiving URL proves the sender.
#[derive(Clone, Copy, PartialEq)]
enum ProvenBy {
    Signature,
    Token(&'static str),
    Nothing,
}

impl Case {
    /// The same request with one byte more: in the body where that is signed, in the token otherwise.
    fn forged(&self) -> Sent {
        let mut forged = self.sent.clone();
        match self.proven_by {
            ProvenBy::Signature => forged.body.push(' '),
            ProvenBy::Token(header) => {
                let token = forged
                    .headers
                    .iter_mut()
                    .find(|(name, _)| name == header)
                    .expect("a token");
                token.1.push('x');
            }
            ProvenBy::Nothing => panic!("nothing can be forged"),
        }
        forged
    }
}

fn hmac(message: &str) -> Vec<u8> {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(PROVIDER_SECRET.as_bytes()).unwrap();
    mac.update(message.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn post(headers: &[(&str, String)], body: &Value) -> Sent {
    let own = headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    Sent {
        method: Method::POST,
        behind_url: String::new(),
        headers: own
            .chain([("Content-Type".to_owned(), "application/json".to_owned())])
            .collect(),
        body: body.to_string(),
    }
}

fn signed(preset: &'static str, sent: Sent, event_type: &'static str) -> Case {
    Case {
        preset,
        fields: json!({"secret": PROVIDER_SECRET}),
        sent,
        event_type,
        proven_by: ProvenBy::Signature,
    }
}

/// The same with a token in this header.
fn with_token(preset: &'static str, header: &'static str, sent: Sent, event_type: &'static str) -> Case {
    Case {
        proven_by: ProvenBy::Token(header),
        ..signed(preset, sent, event_type)
    }
}

fn unsigned(preset: &'static str, sent: Sent, event_type: &'static str) -> Case {
    Case {
        preset,
        fields: json!({}),
        sent,
        event_type,
        proven_by: ProvenBy::Nothing,
    }
}

/// The four that Hookline is first judged by.
fn the_four(now: jiff::Timestamp) -> Vec<Case> {
    let quartr: Value = serde_json::from_slice(&quartr_message("live.audio.updated", 1)).unwrap();
    let quortex = json!({
        "application": "play", "category": "input_status", "operation": "status_change", "resource_uuid": "r-1", "organization_uuid": "o-1",
        "organization": "Example", "pool_uuid": "p-1", "message": "Input main went down",
        "metadata": {"stream": "main", "previous_status": "up", "current_status": "down"}
    });
    let quable = json!({
        "uuid": "u-1", "code": "document.update", "created_at": "2025-03-25T13:31:00+00:00", "created_by": "ada", "links": [{"href": "/webhooks/u-1"}],
        "resource": {
            "type": "document", "code": "doc-1", "document_type_code": "product", "updated_items": [{"type": "field", "code": "title"}],
            "links": [{"rel": "self", "href": "/api/documents/doc-1"}], "locales": {"updated": ["fr_FR"], "inherited": []}
        }
    });
    let query = "?event=Play.created&webhookCallId=c-1&sentAt=2025-03-25T14%3A31%3A00%2B01%3A00&station=one&sender%5Bid%5D=9007199254740993";
    vec![
        signed(
            "quartr",
            post(
                &signed_headers(PROVIDER_SECRET, "msg_q", now, quartr.to_string().as_bytes()),
                &quartr,
            ),
            "live.audio.updated",
        ),
        unsigned("quortex", post(&[], &quortex), "play.input_status.status_change"),
        with_token(
            "quable",
            "Authorization",
            post(&[("Authorization", PROVIDER_SECRET.into())], &quable),
            "document.update",
        ),
        unsigned(
            "audata",
            Sent {
                method: Method::GET,
                behind_url: query.into(),
                headers: vec![],
                body: String::new(),
            },
            "Play.created",
        ),
    ]
}

/// The usual ones.
fn the_usual(now: jiff::Timestamp) -> Vec<Case> {
    let seconds = now.as_second();
    let body = json!({"type": "order.paid", "timestamp": "2025-03-25T13:31:00Z", "data": {"id": "o-1"}});
    let github = json!({"action": "opened", "repository": {"full_name": "a/b"}, "sender": {"login": "ada"}});
    let gitlab = json!({"object_kind": "push", "project": {"path_with_namespace": "a/b"}, "user_username": "ada"});
    let stripe = json!({"id": "evt_1", "object": "event", "type": "invoice.paid", "created": seconds, "data": {"object": {"id": "in_1", "object": "invoice"}}});
    let shopify = json!({"id": 820_982_911_946_154_508_u64});
    let slack = json!({"type": "event_callback", "event_id": "Ev1", "event_time": seconds, "event": {"type": "app_mention", "user": "U1"}});
    let meta =
        json!({"object": "page", "entry": [{"id": "1", "time": seconds, "changes": [{"field": "feed", "value": {}}]}]});
    let graph = json!({"value": [{"subscriptionId": "s-1", "changeType": "updated", "resource": "Users/1/Messages/2", "resourceData": {"id": "2", "@odata.type": "#Microsoft.Graph.Message", "@odata.etag": "W/1"}}]});
    let cloud = json!({"specversion": "1.0", "id": "1", "source": "/s", "type": "com.example.made", "data": {"a": 1}});
    let header = |name, value: String| (name, value);
    vec![
        signed(
            "standard-webhooks",
            post(
                &signed_headers(PROVIDER_SECRET, "msg_s", now, body.to_string().as_bytes()),
                &body,
            ),
            "order.paid",
        ),
        signed(
            "github",
            post(
                &[
                    header("X-GitHub-Event", "issues".into()),
                    header("X-GitHub-Delivery", "d-1".into()),
                    header(
                        "X-Hub-Signature-256",
                        format!("sha256={}", hex::encode(hmac(&github.to_string()))),
                    ),
                ],
                &github,
            ),
            "issues.opened",
        ),
        with_token(
            "gitlab",
            "X-Gitlab-Token",
            post(
                &[
                    header("X-Gitlab-Token", PROVIDER_SECRET.into()),
                    header("X-Gitlab-Event", "Push Hook".into()),
                    header("X-Gitlab-Event-UUID", "g-1".into()),
                ],
                &gitlab,
            ),
            "push",
        ),
        signed(
            "stripe",
            post(
                &[header(
                    "Stripe-Signature",
                    format!("t={seconds},v1={}", hex::encode(hmac(&format!("{seconds}.{stripe}")))),
                )],
                &stripe,
            ),
            "invoice.paid",
        ),
        signed(
            "shopify",
            post(
                &[
                    header("X-Shopify-Topic", "orders/create".into()),
                    header("X-Shopify-Hmac-Sha256", STANDARD.encode(hmac(&shopify.to_string()))),
                ],
                &shopify,
            ),
            "orders/create",
        ),
        signed(
            "slack",
            post(
                &[
                    header("X-Slack-Request-Timestamp", seconds.to_string()),
                    header(
                        "X-Slack-Signature",
                        format!("v0={}", hex::encode(hmac(&format!("v0:{seconds}:{slack}")))),
                    ),
                ],
                &slack,
            ),
            "app_mention",
        ),
        Case {
            fields: json!({"secret": PROVIDER_SECRET, "verifyToken": "verify-me"}),
            ..signed(
                "meta",
                post(
                    &[header(
                        "X-Hub-Signature-256",
                        format!("sha256={}", hex::encode(hmac(&meta.to_string()))),
                    )],
                    &meta,
                ),
                "page.feed",
            )
        },
        unsigned("microsoft-graph", post(&[], &graph), "message.updated"),
        with_token(
            "cloudevents",
            "Authorization",
            post(&[header("Authorization", format!("Bearer {PROVIDER_SECRET}"))], &cloud),
            "com.example.made",
        ),
        with_token(
            "generic",
            "X-Webhook-Token",
            post(&[header("X-Webhook-Token", PROVIDER_SECRET.into())], &body),
            "order.paid",
        ),
    ]
}

async fn send(provider: &Provider, sent: &Sent) -> String {
    let headers: Vec<(&str, &str)> = sent.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
    let response = provider
        .request(sent.method.clone(), &sent.behind_url, &headers, sent.body.as_bytes())
        .await;
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    let answer: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    answer["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_preset_goes_the_whole_way() {
    let world = World::start().await;
    let sink = Sink::start().await;
    world.api.webhook(sink.url(), &[]).await;
    let mut cases = the_four(world.now());
    cases.extend(the_usual(world.now()));
    for (count, case) in cases.iter().enumerate() {
        let mut request = json!({"name": case.preset, "preset": case.preset});
        request
            .as_object_mut()
            .unwrap()
            .extend(case.fields.as_object().unwrap().clone());
        let provider = world.api.source_with(&request).await;
        let receipt = send(&provider, &case.sent).await;
        let arrivals = sink.wait_for(count + 1).await;
        let payload = arrivals[count].json();
        assert_eq!(payload["type"], case.event_type, "{}: {payload}", case.preset);
        assert_eq!(payload["source"]["provider"], case.preset);
        assert_eq!(payload.get("warnings"), None, "{}: {payload}", case.preset);
        let receipt = world
            .api
            .receipt_when(&receipt, |receipt| receipt["status"] != "received")
            .await;
        assert_eq!(receipt["events"], json!([payload["id"]]), "{}", case.preset);

        if case.proven_by != ProvenBy::Nothing {
            let forged = send(&provider, &case.forged()).await;
            let forged = world
                .api
                .receipt_when(&forged, |receipt| receipt["status"] != "received")
                .await;
            assert_eq!(forged["status"], "rejected", "{}: {forged}", case.preset);
        }
    }
    world.drained().await;
    assert_eq!(
        sink.wait_for(cases.len()).await.len(),
        cases.len(),
        "nothing forged was delivered"
    );
    world.stop().await;
}
