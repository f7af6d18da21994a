//! Every id of one organization with a key of another.

use payload::ReceiptId;
use payload::receipt::{ReceiptOutcome, ReceiptStatus};

use super::receipts::{decide, received, rejected};
use super::*;

#[tokio::test]
async fn what_is_anothers_is_answered_as_what_is_not_there() {
    let ours = Client::new();
    let theirs = ours.another();
    let source = ours.create_source().await.text("id");
    let webhook = ours.create_webhook().await.text("id");
    let event = ours
        .post("/v1/events", json!({"type": "a", "id": "1", "data": 1}))
        .await
        .text("id");
    let receipt = ReceiptId::generate(now());
    let outcome = ReceiptOutcome {
        id: receipt.clone(),
        organization: ours.organization.clone(),
        source: source.parse().unwrap(),
        status: ReceiptStatus::Rejected {
            reason: "signature_mismatch".into(),
            detail: "x".into(),
            hint: None,
        },
        received_at: now(),
    };
    ours.store.tables().outcomes.insert(receipt.clone(), outcome);

    for (kind, id) in [
        ("sources", &source),
        ("webhooks", &webhook),
        ("events", &event),
        ("receipts", &receipt.to_string()),
    ] {
        let path = format!("/v1/{kind}/{id}");
        assert_eq!(ours.get(&path).await.status, 200, "{path}");
        let foreign = theirs.get(&path).await;
        // An id of the same form that never was.
        let unknown = match kind {
            "events" => format!("evt_{}", "0".repeat(40)),
            _ => format!("{}{}", &id[..id.len() - 1], if id.ends_with('0') { '1' } else { '0' }),
        };
        let absent = theirs.get(&format!("/v1/{kind}/{unknown}")).await;
        assert_eq!((foreign.status, &foreign.text), (404, &absent.text), "{path}");
        if matches!(kind, "sources" | "webhooks") {
            let foreign = theirs.delete(&path).await;
            let absent = theirs.delete(&format!("/v1/{kind}/{unknown}")).await;
            assert_eq!((foreign.status, &foreign.text), (404, &absent.text), "{path}");
            assert_eq!(ours.get(&path).await.status, 200, "{path} is still there");
        }
    }
    for kind in ["sources", "webhooks"] {
        assert_eq!(
            theirs.get(&format!("/v1/{kind}")).await.body,
            json!({"data": [], "next": null})
        );
        assert_eq!(
            ours.get(&format!("/v1/{kind}")).await.body["data"]
                .as_array()
                .unwrap()
                .len(),
            1
        );
    }
}

#[tokio::test]
async fn what_is_anothers_is_neither_changed_nor_verified_again() {
    let ours = Client::new();
    let theirs = ours.another();
    let receipt = received(&ours).await;
    decide(&ours, &receipt, rejected());
    let source = receipt.source.as_str();
    let unknown = |id: &str| format!("{}{}", &id[..id.len() - 1], if id.ends_with('0') { '1' } else { '0' });
    for (method, kind, id, action, body) in [
        (
            "PATCH",
            "sources",
            source,
            "",
            Some(json!({"enabled": false, "secret": "another"})),
        ),
        ("PATCH", "sources", source, "", Some(json!({"preset": "nobody"}))),
        (
            "POST",
            "sources",
            source,
            "/reverify",
            Some(json!({"since": "2025-01-01T00:00:00Z"})),
        ),
        ("POST", "receipts", receipt.id.as_str(), "/reverify", None),
    ] {
        let path = format!("/v1/{kind}/{id}{action}");
        let foreign = theirs.call(method, &path, body.clone()).await;
        let absent = theirs
            .call(method, &format!("/v1/{kind}/{}{action}", unknown(id)), body)
            .await;
        assert_eq!((foreign.status, &foreign.text), (404, &absent.text), "{method} {path}");
    }
    // Their own source does not reach our receipts, and our receipts are no place to go on from.
    let own = theirs.create_source().await.text("id");
    for body in [
        json!({"since": "2025-01-01T00:00:00Z"}),
        json!({"since": "2025-01-01T00:00:00Z", "after": receipt.id}),
    ] {
        let answer = theirs.post(&format!("/v1/sources/{own}/reverify"), body).await;
        assert_eq!(
            (answer.status, answer.body),
            (202, json!({"requested": 0, "next": null}))
        );
    }
    let tables = ours.store.tables();
    assert!(tables.asked.is_empty() && tables.updates == 0);
}

#[tokio::test]
async fn the_same_id_published_by_two_organizations_is_two_events() {
    let ours = Client::new();
    let theirs = ours.another();
    let publication = json!({"type": "a", "id": "1", "data": 1});
    let first = ours.post("/v1/events", publication.clone()).await;
    let second = theirs.post("/v1/events", publication).await;
    assert_eq!((first.status, second.status), (202, 202));
    assert_ne!(first.body, second.body);
}
