//! What was rejected is verified again; and how a source does.

use std::collections::BTreeMap;
use std::time::Duration;

use payload::receipt::ReceiptStatus;
use payload::source_health::{LastRejection, SourceHealth};
use payload::{Receipt, ReceiptId};

use super::receipts::{accept, decide, received, rejected};
use super::*;

/// Another receipt of the same source.
fn another(client: &Client, receipt: &Receipt, at: Timestamp) -> Receipt {
    let another = Receipt {
        id: ReceiptId::generate(at),
        received_at: at,
        ..receipt.clone()
    };
    let mut tables = client.store.tables();
    tables.receipts.insert(another.id.clone(), another.clone());
    another
}

fn path(receipt: &Receipt) -> String {
    format!("/v1/receipts/{}/reverify", receipt.id)
}

#[tokio::test]
async fn a_rejected_receipt_is_verified_again() {
    let client = Client::new();
    let receipt = received(&client).await;
    decide(&client, &receipt, rejected());
    let answer = client.call("POST", &path(&receipt), None).await;
    assert_eq!((answer.status, answer.body), (202, json!({"id": receipt.id})));
    assert_eq!(client.store.tables().asked, [(receipt.id.clone(), false)]);
    // It may have been in vain.
    assert_eq!(client.call("POST", &path(&receipt), None).await.status, 202);
}

#[tokio::test]
async fn what_is_not_rejected_is_not_verified_again() {
    let client = Client::new();
    let receipt = received(&client).await;
    let refused = async |said: &str| {
        let answer = client.call("POST", &path(&receipt), None).await;
        assert_eq!(
            (answer.status, answer.text("type").as_str()),
            (409, "urn:hookline:problem:not-rejected")
        );
        assert_eq!(answer.text("detail"), said);
    };
    refused("It has not been decided yet, or became an event.").await;
    let event = accept(&client, &receipt);
    refused("It became an event already.").await;
    client.store.tables().events.clear();
    decide(&client, &receipt, ReceiptStatus::Accepted { event: event.clone() });
    refused("It became an event already.").await;
    decide(&client, &receipt, ReceiptStatus::Duplicate { event });
    refused("It repeats an event that is there already.").await;
    assert!(client.store.tables().asked.is_empty());
}

#[tokio::test]
async fn what_became_an_event_before_its_source_was_described_otherwise_becomes_no_other() {
    let client = Client::new();
    let receipt = received(&client).await;
    accept(&client, &receipt);
    let source = format!("/v1/sources/{}", receipt.source);
    assert_eq!(client.patch(&source, json!({"duplicates": "none"})).await.status, 200);
    assert_eq!(client.call("POST", &path(&receipt), None).await.status, 409);
}

#[tokio::test]
async fn what_is_not_there_any_more_is_not_found() {
    let client = Client::new();
    let receipt = received(&client).await;
    decide(&client, &receipt, rejected());
    client.store.tables().receipts.clear();
    assert_eq!(client.call("POST", &path(&receipt), None).await.status, 404);
    client.store.tables().outcomes.clear();
    assert_eq!(client.call("POST", &path(&receipt), None).await.status, 404);
}

#[tokio::test]
async fn what_a_source_rejected_since_a_time_is_verified_again() {
    let client = Client::new();
    let old = received(&client).await;
    let later = now() + Duration::from_secs(60);
    let (first, second, duplicate, _undecided) = (
        another(&client, &old, later),
        another(&client, &old, later + Duration::from_secs(1)),
        another(&client, &old, later),
        another(&client, &old, later),
    );
    let elsewhere = received(&client).await;
    for receipt in [&old, &first, &second, &elsewhere] {
        decide(&client, receipt, rejected());
    }
    let event = accept(&client, &duplicate);
    decide(&client, &duplicate, ReceiptStatus::Duplicate { event });
    let source = format!("/v1/sources/{}/reverify", old.source);
    let answer = client
        .post(&source, json!({"since": "2025-03-25T14:32:00+01:00"}))
        .await;
    assert_eq!(
        (answer.status, answer.body),
        (202, json!({"requested": 2, "next": null}))
    );
    let mut asked = std::mem::take(&mut client.store.tables().asked);
    asked.sort();
    assert_eq!(asked, [(first.id, true), (second.id.clone(), true)]);
    // What is gone meanwhile is not counted.
    client.store.tables().receipts.remove(&second.id);
    let answer = client.post(&source, json!({"since": "-009999-01-02T01:59:59Z"})).await;
    assert_eq!(answer.body, json!({"requested": 2, "next": null}));
}

#[tokio::test]
async fn many_receipts_are_verified_again_page_by_page() {
    let client = Client::new();
    let receipt = received(&client).await;
    for second in 0..1001 {
        let receipt = another(&client, &receipt, now() + Duration::from_secs(second));
        decide(&client, &receipt, rejected());
    }
    let source = format!("/v1/sources/{}/reverify", receipt.source);
    let mut after = Value::Null;
    for requested in [500, 500, 1] {
        let mut body = json!({"since": "2025-01-01T00:00:00Z"});
        if after.is_string() {
            body["after"] = after;
        }
        let answer = client.post(&source, body).await;
        assert_eq!((answer.status, &answer.body["requested"]), (202, &json!(requested)));
        after = answer.body["next"].clone();
        assert_eq!(after.is_string(), requested == 500);
    }
    let mut asked: Vec<_> = client.store.tables().asked.drain(..).map(|(id, _)| id).collect();
    asked.sort();
    asked.dedup();
    assert_eq!(asked.len(), 1001);
}

#[tokio::test]
async fn a_span_that_is_wrong_is_named() {
    let client = Client::new();
    let source = client.create_source().await.text("id");
    for (body, pointer) in [
        (json!({}), "/since"),
        (json!({"since": null}), "/since"),
        (json!({"since": "yesterday"}), "/since"),
        (json!({"since": "2025-03-25T13:31:00"}), "/since"),
        (json!({"since": "2025-03-25T13:31:00Z", "after": source}), "/after"),
        (
            json!({"since": "2025-03-25T13:31:00Z", "until": "2025-03-25T13:31:00Z"}),
            "/until",
        ),
    ] {
        let answer = client
            .post(&format!("/v1/sources/{source}/reverify"), body.clone())
            .await;
        assert_eq!(
            (answer.status, answer.text("pointer").as_str()),
            (422, pointer),
            "{body}"
        );
    }
}

#[tokio::test]
async fn a_source_shows_how_it_does() {
    let client = Client::new();
    let receipt = received(&client).await;
    let health = SourceHealth {
        last_verified_at: Some(now()),
        rejected_in_a_row: 7,
        rejecting_since: Some(now()),
        rejected: BTreeMap::from([
            ("signature_mismatch".to_owned(), 9),
            ("malformed_signature".to_owned(), 1),
        ]),
        last_rejection: Some(LastRejection {
            receipt: receipt.id.clone(),
            at: now(),
            reason: "signature_mismatch".into(),
            detail: "no signature matches".into(),
            hint: Some("is the secret that of another endpoint?".into()),
        }),
    };
    client.store.tables().health.insert(receipt.source.clone(), health);
    let path = format!("/v1/sources/{}", receipt.source);
    assert_eq!(
        client.get(&path).await.body["health"],
        json!({
            "lastVerifiedAt": "2025-03-25T13:31:00Z", "rejectedInARow": 7, "rejectingSince": "2025-03-25T13:31:00Z",
            "rejected": {"signature_mismatch": 9, "malformed_signature": 1},
            "lastRejection": {
                "receipt": receipt.id, "at": "2025-03-25T13:31:00Z", "reason": "signature_mismatch",
                "detail": "no signature matches", "hint": "is the secret that of another endpoint?"
            }
        })
    );
    assert!(client.get("/v1/sources").await.body["data"][0].get("health").is_none());
    assert_eq!(client.another().get(&path).await.status, 404);
}
