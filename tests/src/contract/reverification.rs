//! Asking for another verification, and how sources do.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use payload::receipt::{ReceiptOutcome, ReceiptStatus};
use payload::source_health::{Again, HealthNote, LastRejection, SourceHealth};
use payload::{OrganizationId, ReceiptId, SourceId};
use store::{Dynamo, Inbox, RawReceipts, Receipts, Reverification, SourceHealthLog, SourceHealths};

use super::{event, now, receipt};

fn later(seconds: i64) -> Timestamp {
    now() + SignedDuration::from_secs(seconds)
}

pub(super) async fn a_receipt_is_marked_for_another_verification(store: &Dynamo) {
    let receipt = receipt(b"body".to_vec());
    store.put_receipt(&receipt).await.expect("put");
    let stranger = OrganizationId::generate(now());
    let again = Again::new(false);
    assert_eq!(
        store.ask_again(&receipt.organization, &receipt.id, &again).await,
        Ok(true)
    );
    assert_eq!(
        store
            .ask_again(&receipt.organization, &receipt.id, &Again::new(true))
            .await,
        Ok(true)
    );
    assert_eq!(
        store.ask_again(&stranger, &receipt.id, &again).await,
        Ok(false),
        "not theirs"
    );
    let unknown = ReceiptId::generate(now());
    assert_eq!(
        store.ask_again(&receipt.organization, &unknown, &again).await,
        Ok(false)
    );
    assert_eq!(store.receipt(&unknown).await, Ok(None), "a question creates nothing");
    assert_eq!(
        store.receipt(&receipt.id).await,
        Ok(Some(receipt)),
        "it is otherwise as it was"
    );
}

fn rejected(organization: &OrganizationId, source: &SourceId, at: Timestamp) -> ReceiptOutcome {
    ReceiptOutcome {
        id: ReceiptId::generate(at),
        organization: organization.clone(),
        source: source.clone(),
        status: ReceiptStatus::Rejected {
            reason: "signature_mismatch".into(),
            detail: "why".into(),
            hint: Some("look there".into()),
        },
        received_at: at,
    }
}

pub(super) async fn rejected_receipts_are_found_by_source_and_time(store: &Dynamo) {
    let (organization, source) = (OrganizationId::generate(now()), SourceId::generate(now()));
    let mut outcomes: Vec<ReceiptOutcome> = (0..20)
        .map(|second| rejected(&organization, &source, later(second)))
        .collect();
    outcomes.push(rejected(&organization, &SourceId::generate(now()), later(3)));
    outcomes.push(rejected(&OrganizationId::generate(now()), &source, later(3)));
    for outcome in &outcomes {
        store.put_outcome(outcome).await.expect("put");
    }
    let mended = event(&organization, Some(outcomes[4].id.clone()), "msg_1").id;
    for (outcome, status) in [
        (&outcomes[4], ReceiptStatus::Accepted { event: mended.clone() }),
        (&outcomes[5], ReceiptStatus::Duplicate { event: mended }),
    ] {
        let settled = ReceiptOutcome {
            status,
            ..outcome.clone()
        };
        store.put_outcome(&settled).await.expect("put");
        assert_eq!(
            store.outcome(&settled.id).await,
            Ok(Some(settled)),
            "the new one took the place of the old"
        );
    }
    let expected: Vec<ReceiptId> = (0..20)
        .filter(|n| ![4, 5].contains(n))
        .map(|n: usize| outcomes[n].id.clone())
        .collect();
    let found = |since, after, limit| {
        let (organization, source) = (&organization, &source);
        async move { store.rejected_since(organization, source, since, after, limit).await }
    };
    assert_eq!(
        found(Timestamp::UNIX_EPOCH, None, 100).await,
        Ok(expected.clone()),
        "oldest first, of all shards"
    );
    assert_eq!(
        found(later(3), None, 100).await,
        Ok(expected[3..].to_vec()),
        "at that very moment or later"
    );
    assert_eq!(found(later(3), None, 5).await, Ok(expected[3..8].to_vec()));
    assert_eq!(
        found(later(3), Some(&expected[7]), 5).await,
        Ok(expected[8..13].to_vec()),
        "the next page"
    );
    assert_eq!(
        found(later(3), Some(&expected[0]), 2).await,
        Ok(expected[3..5].to_vec()),
        "not before that moment"
    );
    assert_eq!(found(later(20), None, 100).await, Ok(vec![]));
    assert_eq!(found(now(), None, 0).await, Ok(vec![]));
}

fn note(source: &SourceId, rejected: &[(&str, u64)], at: Timestamp) -> HealthNote {
    HealthNote {
        source: source.clone(),
        organization: OrganizationId::generate(now()),
        verified_at: None,
        rejected: rejected
            .iter()
            .map(|(reason, count)| ((*reason).to_owned(), *count))
            .collect(),
        rejecting_since: (!rejected.is_empty()).then_some(at),
        last_rejection: rejected.first().map(|(reason, _)| LastRejection {
            receipt: ReceiptId::generate(at),
            at,
            reason: (*reason).to_owned(),
            detail: "why".into(),
            hint: Some("look there".into()),
        }),
    }
}

pub(super) async fn the_health_of_a_source_adds_up(store: &Dynamo) {
    let source = SourceId::generate(now());
    let counts = |counts: &[(&str, u64)]| -> BTreeMap<String, u64> {
        counts
            .iter()
            .map(|(reason, count)| ((*reason).to_owned(), *count))
            .collect()
    };
    assert_eq!(
        store.source_health(&source).await,
        Ok(SourceHealth::default()),
        "nothing was noted yet"
    );
    let empty = note(&source, &[], now());
    assert_eq!(store.note_source_health(&empty).await, Ok(SourceHealth::default()));

    let first = note(&source, &[("no_secret", 2), ("signature_mismatch", 1)], now());
    let health = store.note_source_health(&first).await.expect("note");
    let expected = SourceHealth {
        last_verified_at: None,
        rejected_in_a_row: 3,
        rejecting_since: Some(now()),
        rejected: counts(&[("no_secret", 2), ("signature_mismatch", 1)]),
        last_rejection: first.last_rejection,
    };
    assert_eq!(health, expected);

    let second = note(&source, &[("signature_mismatch", 4)], later(60));
    let expected = SourceHealth {
        rejected_in_a_row: 7,
        rejected: counts(&[("no_secret", 2), ("signature_mismatch", 5)]),
        last_rejection: second.last_rejection.clone(),
        ..expected
    };
    assert_eq!(
        store.note_source_health(&second).await,
        Ok(expected.clone()),
        "the first time stands"
    );
    assert_eq!(store.source_health(&source).await, Ok(expected.clone()));

    let third = HealthNote {
        verified_at: Some(later(120)),
        ..note(&source, &[("signature_mismatch", 1)], later(110))
    };
    let expected = SourceHealth {
        last_verified_at: Some(later(120)),
        rejected_in_a_row: 0,
        rejecting_since: None,
        rejected: counts(&[("no_secret", 2), ("signature_mismatch", 6)]),
        last_rejection: third.last_rejection.clone(),
    };
    assert_eq!(
        store.note_source_health(&third).await,
        Ok(expected.clone()),
        "well again"
    );

    let fourth = note(&source, &[("signature_mismatch", 1)], later(180));
    let health = store.note_source_health(&fourth).await.expect("note");
    assert_eq!(
        (health.rejected_in_a_row, health.rejecting_since),
        (1, Some(later(180))),
        "a new row"
    );
    assert_eq!(health.last_verified_at, Some(later(120)));
    let verified = HealthNote {
        verified_at: Some(later(240)),
        ..note(&source, &[], later(240))
    };
    let health = store.note_source_health(&verified).await.expect("note");
    assert_eq!(
        (health.rejected_in_a_row, health.last_verified_at),
        (0, Some(later(240)))
    );
    assert_eq!(health.last_rejection, fourth.last_rejection, "it stays to be seen");
}
