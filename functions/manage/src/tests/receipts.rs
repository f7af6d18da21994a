//! Where a receipt went.

use bytes::Bytes;
use jiff::SignedDuration;
use payload::receipt::{Header, ReceiptOutcome, ReceiptStatus};
use payload::scheme::Proof;
use payload::{EventId, Receipt, ReceiptId, preset};

use super::*;

/// A source of the client's organization and a receipt that came in there.
pub(super) async fn received(client: &Client) -> Receipt {
    let source = client.create_source().await.text("id");
    let header = |name: &str, value: &str| Header::capture(name, value.as_bytes(), "", &[]);
    let receipt = Receipt {
        id: ReceiptId::generate(now()),
        organization: client.organization.clone(),
        source: source.parse().unwrap(),
        method: "POST".into(),
        query: String::new(),
        headers: vec![header("webhook-id", "msg_1")],
        body: Bytes::from_static(br#"{"type": "live.audio.updated", "data": {"id": 1}}"#),
        received_at: now(),
        scheme: Some("standard-webhooks".into()),
        trace: None,
    };
    client
        .store
        .tables()
        .receipts
        .insert(receipt.id.clone(), receipt.clone());
    receipt
}

/// Stores the event that `verify` would make of it.
pub(super) fn accept(client: &Client, receipt: &Receipt) -> EventId {
    let mut tables = client.store.tables();
    let source = tables.sources[&receipt.source].clone();
    let proof = Proof {
        scheme: "standard-webhooks".into(),
        body: true,
        id: true,
        time: true,
        query: false,
    };
    let event = preset::map(&source.effective().unwrap(), receipt, proof)
        .unwrap()
        .remove(0);
    tables.events.insert(event.id.clone(), event.clone());
    event.id
}

pub(super) fn decide(client: &Client, receipt: &Receipt, status: ReceiptStatus) {
    let (id, organization, source) = (receipt.id.clone(), receipt.organization.clone(), receipt.source.clone());
    let outcome = ReceiptOutcome {
        id,
        organization,
        source,
        status,
        received_at: receipt.received_at,
    };
    client.store.tables().outcomes.insert(receipt.id.clone(), outcome);
}

fn view(receipt: &Receipt, more: Value) -> Value {
    let mut view = json!({"id": receipt.id, "source": receipt.source, "receivedAt": "2025-03-25T13:31:00Z"});
    view.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    view
}

pub(super) fn rejected() -> ReceiptStatus {
    ReceiptStatus::Rejected {
        reason: "signature_mismatch".into(),
        detail: "no signature matches".into(),
        hint: Some("is the secret that of another endpoint?".into()),
    }
}

#[tokio::test]
async fn it_is_told_step_by_step() {
    let client = Client::new();
    let receipt = received(&client).await;
    let path = format!("/v1/receipts/{}", receipt.id);
    assert_eq!(
        client.get(&path).await.body,
        view(&receipt, json!({"status": "received"}))
    );
    decide(&client, &receipt, rejected());
    let told = view(
        &receipt,
        json!({
            "status": "rejected", "reason": "signature_mismatch", "detail": "no signature matches",
            "hint": "is the secret that of another endpoint?"
        }),
    );
    assert_eq!(client.get(&path).await.body, told);
    // Verified again, after a mistake was mended.
    let event = accept(&client, &receipt);
    assert_eq!(
        client.get(&path).await.body,
        view(&receipt, json!({"status": "accepted", "events": [event]}))
    );
}

#[tokio::test]
async fn a_receipt_that_was_verified_again_shows_its_event() {
    let client = Client::new();
    let receipt = received(&client).await;
    let event = accept(&client, &receipt);
    let accepted = view(&receipt, json!({"status": "accepted", "events": [event]}));
    decide(&client, &receipt, ReceiptStatus::Accepted { event });
    let path = format!("/v1/receipts/{}", receipt.id);
    assert_eq!(client.get(&path).await.body, accepted);
    // Its events can be found no more when the raw form is gone; the outcome still names the first.
    client.store.tables().receipts.clear();
    assert_eq!(client.get(&path).await.body, accepted);
}

#[tokio::test]
async fn an_accepted_receipt_keeps_its_events() {
    let client = Client::new();
    let receipt = received(&client).await;
    let event = accept(&client, &receipt);
    // Another one of the same millisecond, and the one after it.
    for (name, millisecond) in [("other", 0), ("later", 1)] {
        let mut tables = client.store.tables();
        let mut another = tables.events[&event].clone();
        another.id = EventId::compute(name, payload::id::Identity::ProviderId(name), 0);
        another.receipt = Some(ReceiptId::generate(now()));
        another.received_at = now() + SignedDuration::from_millis(millisecond);
        tables.events.insert(another.id.clone(), another);
    }
    let path = format!("/v1/receipts/{}", receipt.id);
    let accepted = view(&receipt, json!({"status": "accepted", "events": [event]}));
    // Its source maps otherwise by now, is gone, and the request itself is too.
    let mapped = client.store.tables().receipts.insert(
        receipt.id.clone(),
        Receipt {
            body: Bytes::from_static(b"{}"),
            ..receipt.clone()
        },
    );
    assert!(mapped.is_some());
    assert_eq!(client.get(&path).await.body, accepted);
    let source = format!("/v1/sources/{}", receipt.source);
    assert_eq!(client.delete(&source).await.status, 204);
    assert_eq!(client.get(&path).await.body, accepted);
    client.store.tables().receipts.clear();
    assert_eq!(client.get(&path).await.body, accepted);
    let traced = client.get(&format!("/v1/trace?receipt={}", receipt.id)).await.body;
    assert_eq!(
        (&traced["receipts"][0]["status"], &traced["events"][0]["id"]),
        (&json!("accepted"), &json!(event))
    );
    assert_eq!(client.another().get(&path).await.status, 404);
    client.store.tables().events.clear();
    assert_eq!(client.get(&path).await.status, 404);
}

#[tokio::test]
async fn a_duplicate_and_a_forgery_do_not_pass_for_the_event_they_name() {
    let client = Client::new();
    let genuine = received(&client).await;
    let event = accept(&client, &genuine);
    let again = Receipt {
        id: ReceiptId::generate(now()),
        ..genuine.clone()
    };
    client.store.tables().receipts.insert(again.id.clone(), again.clone());
    let path = format!("/v1/receipts/{}", again.id);
    assert_eq!(
        client.get(&path).await.body,
        view(&again, json!({"status": "received"}))
    );
    decide(&client, &again, ReceiptStatus::Duplicate { event: event.clone() });
    assert_eq!(
        client.get(&path).await.body,
        view(&again, json!({"status": "duplicate", "event": event}))
    );
    decide(&client, &again, rejected());
    assert_eq!(client.get(&path).await.body["status"], "rejected");
}

#[tokio::test]
async fn a_rejected_receipt_outlives_its_raw_form_and_its_source() {
    let client = Client::new();
    let receipt = received(&client).await;
    decide(&client, &receipt, rejected());
    assert_eq!(
        client.delete(&format!("/v1/sources/{}", receipt.source)).await.status,
        204
    );
    let path = format!("/v1/receipts/{}", receipt.id);
    assert_eq!(client.get(&path).await.body["status"], "rejected");
    client.store.tables().receipts.clear();
    assert_eq!(client.get(&path).await.body["status"], "rejected");
    client.store.tables().outcomes.clear();
    assert_eq!(client.get(&path).await.status, 404);
}

#[tokio::test]
async fn a_raw_receipt_of_another_organization_is_not_found() {
    let ours = Client::new();
    let receipt = received(&ours).await;
    assert_eq!(
        ours.another().get(&format!("/v1/receipts/{}", receipt.id)).await.status,
        404
    );
}

#[tokio::test]
async fn what_cannot_be_read_is_told_as_far_as_it_is_known() {
    let client = Client::new();
    let receipt = Receipt {
        body: Bytes::from_static(b"no json"),
        ..received(&client).await
    };
    client
        .store
        .tables()
        .receipts
        .insert(receipt.id.clone(), receipt.clone());
    assert_eq!(
        client.get(&format!("/v1/receipts/{}", receipt.id)).await.body["status"],
        "received"
    );
}
