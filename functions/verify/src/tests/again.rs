//! Receipts that are verified once more.

use payload::source_health::Again;

use super::*;

/// The record of a receipt that was marked.
fn asked(sequence: u32, receipt: &Receipt, in_bulk: bool) -> Value {
    let mut image = image(receipt);
    image["again"] = json!({"S": Again::new(in_bulk).to_text()});
    image_record(sequence, "MODIFY", image)
}

#[tokio::test]
async fn a_change_is_verified_only_when_it_asks_for_it() {
    let setup = Setup::new();
    let receipt = setup.genuine("msg_1");
    let mut asking = image(&receipt);
    assert_eq!(
        setup.handle(vec![image_record(1, "MODIFY", asking.clone())]).await,
        nothing_failed()
    );
    assert_eq!(
        setup.handle(vec![image_record(2, "REMOVE", asking.clone())]).await,
        nothing_failed()
    );
    assert!(setup.events().is_empty());
    asking["again"] = json!({"S": "2025-03-26T00:00:00Z"});
    assert_eq!(
        setup.handle(vec![image_record(3, "MODIFY", asking)]).await,
        nothing_failed()
    );
    assert_eq!(setup.events().len(), 1);
}

#[tokio::test]
async fn what_is_verified_at_last_takes_the_place_of_its_rejection() {
    let setup = Setup::new();
    let receipt = setup.genuine("msg_1");
    setup.put_secrets(vec![(generate_secret(), None)]);
    setup.handle(vec![record(1, &receipt)]).await;
    assert_eq!(setup.rejection(&receipt).0, "signature_mismatch");
    // Still the wrong secret, and then none at all.
    setup.handle(vec![asked(2, &receipt, true)]).await;
    assert_eq!(setup.rejection(&receipt).0, "signature_mismatch");
    setup.put_secrets(Vec::new());
    setup.handle(vec![asked(3, &receipt, false)]).await;
    assert_eq!(setup.rejection(&receipt).0, "no_secret");

    setup.put_secrets(vec![(setup.secret.clone(), None)]);
    for sequence in 4..7 {
        // The same record once more is our own retry, and says the same.
        assert_eq!(
            setup.handle(vec![asked(sequence, &receipt, true)]).await,
            nothing_failed()
        );
        let event = setup.events()[0].id.clone();
        assert_eq!(
            setup.outcome(&receipt).unwrap().status,
            ReceiptStatus::Accepted { event }
        );
        assert_eq!(setup.outcome(&receipt).unwrap().received_at, receipt.received_at);
    }
    assert_eq!(setup.events().len(), 1);
}

#[tokio::test]
async fn what_came_from_elsewhere_meanwhile_is_a_duplicate() {
    let setup = Setup::new();
    let (rejected, sent_again) = (setup.genuine("msg_1"), setup.genuine("msg_1"));
    setup.put_secrets(Vec::new());
    setup.handle(vec![record(1, &rejected)]).await;
    setup.put_secrets(vec![(setup.secret.clone(), None)]);
    setup.handle(vec![record(2, &sent_again)]).await;
    setup.handle(vec![asked(3, &rejected, true)]).await;
    let event = setup.events()[0].id.clone();
    assert_eq!(
        setup.outcome(&rejected).unwrap().status,
        ReceiptStatus::Duplicate { event }
    );
    assert_eq!(setup.events().len(), 1);
}

#[tokio::test]
async fn an_outcome_that_was_not_written_is_written_by_the_retry() {
    let setup = Setup::new();
    let receipt = setup.genuine("msg_1");
    setup.put_secrets(Vec::new());
    setup.handle(vec![record(1, &receipt)]).await;
    setup.put_secrets(vec![(setup.secret.clone(), None)]);
    *setup.store().outcome_fault.lock().unwrap() = Some(Fault::Error(StoreError::Unavailable("throttled".into())));
    assert_eq!(setup.handle(vec![asked(2, &receipt, true)]).await, failed_at(2));
    assert_eq!(
        (setup.events().len(), setup.rejection(&receipt).0),
        (1, "no_secret".into()),
        "the event is stored"
    );
    *setup.store().outcome_fault.lock().unwrap() = None;
    assert_eq!(setup.handle(vec![asked(2, &receipt, true)]).await, nothing_failed());
    assert_eq!(setup.outcome(&receipt).unwrap().status.name(), "accepted");
}

#[tokio::test]
async fn nothing_is_verified_in_bulk_under_a_weaker_scheme_than_it_came_for() {
    let setup = Setup::new();
    let use_scheme = |scheme: Value| {
        let options = SourceOptions {
            scheme: Some(serde_json::from_value(scheme).unwrap()),
            ..SourceOptions::default()
        };
        setup.put_source(|source| source.options = options);
    };
    let of_kind = |kind: Option<&str>, id: &str| Receipt {
        scheme: kind.map(str::to_owned),
        ..setup.forged(id)
    };
    use_scheme(json!({"kind": "none"}));
    for kind in [Some("hmac"), Some("token"), Some("of-a-later-version"), Some(""), None] {
        let receipt = of_kind(kind, "msg_1");
        setup.handle(vec![asked(1, &receipt, true)]).await;
        let (reason, detail) = setup.rejection(&receipt);
        assert_eq!(reason, "weaker_scheme", "{kind:?}");
        assert!(detail.contains("the source has none now"), "{detail}");
        let mut of_another_form = image(&receipt);
        for again in [json!({"S": "please"}), json!({"N": "1"})] {
            of_another_form["again"] = again;
            setup
                .handle(vec![image_record(2, "MODIFY", of_another_form.clone())])
                .await;
            assert_eq!(setup.rejection(&receipt).0, "weaker_scheme", "it counts as bulk");
        }
    }
    assert!(setup.events().is_empty());
    // It came for no more than the source asks now; and somebody who looked at this one wants it.
    let (unsigned, wanted) = (of_kind(Some("none"), "msg_2"), of_kind(Some("hmac"), "msg_3"));
    setup
        .handle(vec![asked(3, &unsigned, true), asked(4, &wanted, false)])
        .await;
    assert_eq!(setup.outcome(&unsigned).unwrap().status.name(), "accepted");
    assert_eq!(setup.outcome(&wanted).unwrap().status.name(), "accepted");
    // A stronger scheme than it came for is no objection, but decides.
    use_scheme(json!({"kind": "standard-webhooks"}));
    let token = of_kind(Some("token"), "msg_4");
    setup.handle(vec![asked(5, &token, true)]).await;
    assert_eq!(setup.rejection(&token).0, "signature_mismatch");
}
