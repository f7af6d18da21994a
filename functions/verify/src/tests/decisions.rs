//! What becomes of one receipt.

use super::*;

#[tokio::test]
async fn a_genuine_receipt_becomes_an_event() {
    let setup = Setup::new();
    let receipt = setup.genuine("msg_1");
    assert_eq!(setup.handle(vec![record(1, &receipt)]).await, nothing_failed());
    let events = setup.events();
    assert_eq!(events.len(), 1);
    let event = &events[0];
    assert_eq!(
        (&event.receipt, &event.organization),
        (&Some(receipt.id.clone()), &receipt.organization)
    );
    assert_eq!(event.meta.event_type, "live.audio.updated");
    assert_eq!(event.meta.provider_event_id.as_deref(), Some("msg_1"));
    assert_eq!(
        event.meta.source.as_ref().map(|source| &source.id),
        Some(&receipt.source)
    );
    assert!(event.meta.verified.as_ref().unwrap().body);
    assert_eq!(event.body, receipt.body);
    assert_eq!(
        setup.outcome(&receipt),
        None,
        "an accepted receipt needs no item of its own"
    );
}

#[tokio::test]
async fn a_forged_receipt_is_rejected_with_its_reason() {
    let setup = Setup::new();
    let receipt = setup.forged("msg_1");
    assert_eq!(setup.handle(vec![record(1, &receipt)]).await, nothing_failed());
    assert!(setup.events().is_empty());
    assert_eq!(setup.rejection(&receipt).0, "signature_mismatch");
    assert_eq!(setup.outcome(&receipt).unwrap().received_at, receipt.received_at);
}

#[tokio::test]
async fn forged_first_and_genuine_second_with_the_same_id_is_no_duplicate() {
    let setup = Setup::new();
    let (forged, genuine) = (setup.forged("msg_1"), setup.genuine("msg_1"));
    // One after the other, and both in one batch.
    setup.handle(vec![record(1, &forged)]).await;
    setup.handle(vec![record(2, &forged), record(3, &genuine)]).await;
    assert_eq!(setup.events()[0].receipt, Some(genuine.id.clone()));
    assert_eq!(setup.outcome(&genuine), None);
    assert_eq!(setup.rejection(&forged).0, "signature_mismatch");
}

#[tokio::test]
async fn the_same_batch_again_is_our_own_retry_and_no_duplicate() {
    let setup = Setup::new();
    let receipt = setup.genuine("msg_1");
    for _ in 0..3 {
        assert_eq!(
            setup.handle(vec![record(1, &receipt), record(1, &receipt)]).await,
            nothing_failed()
        );
    }
    assert_eq!(setup.events().len(), 1);
    assert_eq!(setup.outcome(&receipt), None);
}

#[tokio::test]
async fn the_same_id_at_the_same_moment_is_one_event_and_one_duplicate() {
    let setup = Setup::new();
    let receipts = [setup.genuine("msg_1"), setup.genuine("msg_1")];
    let batch = receipts
        .iter()
        .zip(1..)
        .map(|(receipt, sequence)| record(sequence, receipt))
        .collect();
    assert_eq!(setup.handle(batch).await, nothing_failed());
    let events = setup.events();
    assert_eq!(events.len(), 1);
    let duplicates: Vec<_> = receipts.iter().filter_map(|receipt| setup.outcome(receipt)).collect();
    assert_eq!(duplicates.len(), 1);
    assert_ne!(Some(&duplicates[0].id), events[0].receipt.as_ref());
    assert_eq!(
        duplicates[0].status,
        ReceiptStatus::Duplicate {
            event: events[0].id.clone()
        }
    );
}

#[tokio::test]
async fn without_source_preset_or_secret_it_is_closed() {
    let setup = Setup::new();
    let reason = async |receipt: &Receipt| {
        setup.handle(vec![record(1, receipt)]).await;
        setup.rejection(receipt).0
    };
    let receipt = setup.genuine("msg_1");
    setup.put_source(|source| source.provider = Provider::Preset("nobody".into()));
    assert_eq!(reason(&receipt).await, "unknown_preset");
    setup.put_source(|source| source.organization = OrganizationId::generate(received_at()));
    assert_eq!(reason(&receipt).await, "source_deleted");
    setup.store().sources.lock().unwrap().clear();
    assert_eq!(reason(&receipt).await, "source_deleted");
    setup.put_source(|_| {});
    setup.put_secrets(Vec::new());
    assert_eq!(reason(&receipt).await, "no_secret");
    setup.put_secrets(vec![(String::new().into(), None)]);
    assert_eq!(reason(&receipt).await, "unusable_secret");
    setup.put_secrets(vec![("whpk_nonsense".to_owned().into(), None)]);
    assert_eq!(reason(&receipt).await, "unusable_secret");
    assert!(setup.events().is_empty());
}

#[tokio::test]
async fn a_secret_counts_that_was_valid_when_the_receipt_came() {
    let setup = Setup::new();
    let other = generate_secret();
    let expired_since = |seconds: i64| Some(received_at() + SignedDuration::from_secs(seconds));
    // Expired between arrival and verification, beside its successor.
    setup.put_secrets(vec![(setup.secret.clone(), expired_since(2)), (other, None)]);
    setup.handle(vec![record(1, &setup.genuine("msg_1"))]).await;
    assert_eq!(setup.events().len(), 1);
    // Expired before it came.
    setup.put_secrets(vec![(setup.secret.clone(), expired_since(0))]);
    let receipt = setup.genuine("msg_2");
    setup.handle(vec![record(2, &receipt)]).await;
    assert_eq!(setup.rejection(&receipt).0, "no_secret");
}

#[tokio::test]
async fn a_verified_body_that_cannot_be_read_is_kept_as_rejected() {
    let setup = Setup::new();
    for (body, reason) in [
        ("not json", "unreadable_body"),
        ("", "no_event_type"),
        ("{}", "no_event_type"),
        ("{\"type\": 1e", "unreadable_body"),
    ] {
        let receipt = setup.signed(&setup.secret, "msg_1", body);
        assert_eq!(setup.handle(vec![record(1, &receipt)]).await, nothing_failed());
        assert_eq!(setup.rejection(&receipt).0, reason, "{body}");
    }
}

#[tokio::test]
async fn a_replayed_and_an_old_request_are_rejected_against_the_time_of_receipt() {
    let setup = Setup::new();
    let mut late = setup.genuine("msg_1");
    late.received_at = received_at() + SignedDuration::from_hours(3);
    setup.handle(vec![record(1, &late)]).await;
    assert_eq!(setup.rejection(&late).0, "timestamp_too_old");
    let mut early = setup.genuine("msg_1");
    early.received_at = received_at() - SignedDuration::from_hours(3);
    setup.handle(vec![record(1, &early)]).await;
    assert_eq!(setup.rejection(&early).0, "timestamp_in_future");
}

#[tokio::test]
async fn a_rejected_receipt_says_what_to_look_at() {
    let setup = Setup::new();
    let hint = |receipt: &Receipt| match setup.outcome(receipt).unwrap().status {
        ReceiptStatus::Rejected { hint, .. } => hint,
        other => panic!("not rejected but {other:?}"),
    };
    // It was signed with a line break behind the body, which something on the way took off.
    let mut changed = setup.signed(&setup.secret, "msg_1", &format!("{}\n", body("msg_1")));
    changed.body = body("msg_1").into();
    let (forged, unreadable) = (setup.forged("msg_2"), setup.signed(&setup.secret, "msg_3", "no json"));
    setup
        .handle(vec![record(1, &changed), record(2, &forged), record(3, &unreadable)])
        .await;
    assert!(hint(&changed).unwrap().contains("line break at the end of the body"));
    assert_eq!(hint(&forged), None, "nothing that was tried fits");
    assert_eq!(hint(&unreadable), None, "it is verified");
    assert!(setup.events().is_empty(), "a hint is a text and no more");
}

#[tokio::test]
async fn forged_requests_cannot_buy_endless_work_for_hints() {
    let setup = Setup::new();
    let large = "x".repeat(payload::receipt::MAX_BODY_BYTES);
    let receipts: Vec<Receipt> = (0..8)
        .map(|number| {
            let mut receipt = setup.signed(&setup.secret, &format!("msg_{number}"), &format!("{large}\n"));
            receipt.body = large.clone().into();
            receipt
        })
        .collect();
    let batch = receipts
        .iter()
        .zip(1..)
        .map(|(receipt, sequence)| record(sequence, receipt))
        .collect();
    assert_eq!(setup.handle(batch).await, nothing_failed());
    let has_hint = |receipt: &&Receipt| {
        matches!(
            setup.outcome(receipt).unwrap().status,
            ReceiptStatus::Rejected { hint: Some(_), .. }
        )
    };
    assert_eq!(
        receipts.iter().filter(has_hint).count(),
        2,
        "the others are rejected without one"
    );
}

#[tokio::test]
async fn a_signature_over_the_receiving_url_holds_though_the_source_does_not_know_its_token() {
    use hmac::{Hmac, KeyInit, Mac};
    let setup = Setup::new();
    let url = format!("https://hooks.example.com/in/in_{}", "a".repeat(32));
    setup.put_source(|source| {
        source.provider = Provider::Custom(Box::new(square()));
        let called: CalledUrl = url.parse().unwrap();
        source.options.public_url = Some(called.shown());
    });
    setup.put_secrets(vec![("key".to_owned().into(), None)]);
    let body = br#"{"id":"1","type":"payment.created"}"#;
    let signed = |url: &str| {
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(b"key").unwrap();
        mac.update(url.as_bytes());
        mac.update(body);
        let mut receipt = setup.genuine("1");
        receipt.id = ReceiptId::generate(received_at());
        let signature = hex::encode(mac.finalize().into_bytes());
        receipt.headers = vec![Header::capture("x-signature", signature.as_bytes(), "salt", &[])];
        receipt.body = Bytes::from_static(body);
        receipt
    };
    // What may be shown of the URL proves nothing where the whole one is not there.
    let early = signed(&url);
    setup.handle(vec![record(1, &early)]).await;
    assert_eq!(setup.rejection(&early).0, "no_public_url");
    setup.put_called_url(&url);
    let receipt = signed(&url);
    assert_eq!(setup.handle(vec![record(2, &receipt)]).await, nothing_failed());
    assert_eq!(setup.events().len(), 1);
    let shown = signed("https://hooks.example.com/in/in_…");
    setup.handle(vec![record(3, &shown)]).await;
    assert_eq!(setup.rejection(&shown).0, "signature_mismatch");
    assert_eq!(setup.events().len(), 1);
}

/// A provider that signs the URL that it calls.
fn square() -> Preset {
    serde_json::from_value(serde_json::json!({
        "name": "square",
        "scheme": {"kind": "hmac", "algorithm": "sha256", "header": "x-signature", "encoding": "hex", "signed": "{url}{body}"},
        "duplicates": "id",
        "event": {"id": {"pointer": "/id"}, "type": {"pointer": "/type"}}
    }))
    .unwrap()
}
