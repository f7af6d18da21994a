//! Receipts, events and deliveries.

use super::*;

#[test]
fn receipts_v1() {
    check_reading("receipt-v1", |item: ReceiptItem| {
        Receipt::try_from(item).unwrap() == receipt()
    });
    let rejected = ReceiptOutcome {
        id: id("rcp_"),
        organization: id("org_"),
        source: id("src_"),
        status: ReceiptStatus::Rejected {
            reason: "signature_mismatch".into(),
            detail: "why".into(),
            hint: None,
        },
        received_at: at(),
    };
    check("outcome-rejected-v1", &OutcomeItem::new(&rejected, 7), |item| {
        ReceiptOutcome::try_from(item).unwrap() == rejected
    });
    let duplicate = ReceiptOutcome {
        status: ReceiptStatus::Duplicate { event: event_id() },
        ..rejected.clone()
    };
    check("outcome-duplicate-v1", &OutcomeItem::new(&duplicate, 7), |item| {
        ReceiptOutcome::try_from(item).unwrap() == duplicate
    });
}

#[test]
fn receipts_since_they_are_verified_again() {
    let with_scheme = Receipt {
        scheme: Some("hmac".into()),
        ..receipt()
    };
    check_reading("receipt-scheme-v1", |item: ReceiptItem| {
        Receipt::try_from(item).unwrap() == with_scheme
    });
    let rejected = ReceiptOutcome {
        id: id("rcp_"),
        organization: id("org_"),
        source: id("src_"),
        status: ReceiptStatus::Rejected {
            reason: "signature_mismatch".into(),
            detail: "why".into(),
            hint: Some("look there".into()),
        },
        received_at: at(),
    };
    check("outcome-rejected-hint-v1", &OutcomeItem::new(&rejected, 7), |item| {
        ReceiptOutcome::try_from(item).unwrap() == rejected
    });
    let accepted = ReceiptOutcome {
        status: ReceiptStatus::Accepted { event: event_id() },
        ..rejected.clone()
    };
    check("outcome-accepted-v1", &OutcomeItem::new(&accepted, 7), |item| {
        ReceiptOutcome::try_from(item).unwrap() == accepted
    });
}

#[test]
fn receipts_and_events_since_they_belong_to_a_trace() {
    let trace = TraceId::parse("4bf92f3577b34da6a3ce929d0e0e4736");
    let receipt = Receipt { trace, ..receipt() };
    check_reading("receipt-trace-v1", |item: ReceiptItem| {
        Receipt::try_from(item).unwrap() == receipt
    });
    let event = Event { trace, ..event() };
    check_reading("event-trace-v1", |item: EventItem| {
        Event::try_from(item).unwrap() == event
    });
    // One that cannot be read is no reason to lose what it stands in.
    let item = serde_json::to_string(&ReceiptItem::new(&receipt, 7).unwrap()).unwrap();
    let item: ReceiptItem = serde_json::from_str(&item.replace("4bf9", "....")).unwrap();
    assert_eq!(Receipt::try_from(item).unwrap().trace, None);
}

#[test]
fn receipts_and_events_v2() {
    let trace = TraceId::parse("4bf92f3577b34da6a3ce929d0e0e4736");
    let receipt = Receipt {
        trace,
        scheme: Some("hmac".into()),
        ..receipt()
    };
    check("receipt-v2", &ReceiptItem::new(&receipt, 7).unwrap(), |item| {
        Receipt::try_from(item).unwrap() == receipt
    });
    let event = Event { trace, ..event() };
    check("event-v2", &EventItem::new(&event, 30).unwrap(), |item| {
        Event::try_from(item).unwrap() == event
    });
}

#[test]
fn source_health_v1() {
    let health = SourceHealth {
        last_verified_at: Some(at()),
        rejected_in_a_row: 3,
        rejecting_since: Some(at()),
        rejected: [("signature_mismatch".to_owned(), 2), ("no_secret".to_owned(), 1)].into(),
        last_rejection: Some(LastRejection {
            receipt: id("rcp_"),
            at: at(),
            reason: "signature_mismatch".into(),
            detail: "why".into(),
            hint: Some("look there".into()),
        }),
    };
    // It is written by adding to it, so that there is no whole item to write: the store's contract holds that against this reader.
    let item: SourceHealthItem = serde_json::from_value(serde_json::json!({
        "v": 1, "id": format!("health#{}", id::<payload::SourceId>("src_")), "organization": id::<payload::OrganizationId>("org_"),
        "source": id::<payload::SourceId>("src_"), "lastVerifiedAt": at().as_millisecond(), "rejectedInARow": 3,
        "rejectingSince": at().as_millisecond(), "n#signature_mismatch": 2, "n#no_secret": 1,
        "lastRejection": serde_json::to_string(&health.last_rejection).unwrap(), "ttl": 1_750_685_460,
    }))
    .unwrap();
    check("source-health-v1", &item, |item| {
        SourceHealth::try_from(item).unwrap() == health
    });
}

#[test]
fn events_and_deliveries_v1() {
    check_reading("event-v1", |item: EventItem| Event::try_from(item).unwrap() == event());
    check_reading("delivery-v1", |item: DeliveryItem| {
        Delivery::try_from(item).unwrap() == delivery()
    });
    let done = Delivery {
        status: DeliveryStatus::Delivered,
        next_attempt: None,
        attempts: vec![],
        ..delivery()
    };
    check("delivery-done-v1", &DeliveryItem::new(&done, 30), |item| {
        Delivery::try_from(item).unwrap() == done
    });
    check_reading("delivery-replayed-v1", |item: DeliveryItem| {
        Delivery::try_from(item).unwrap() == replayed()
    });
    check("delivery-asked-v1", &DeliveryItem::new(&asked(), 30), |item| {
        Delivery::try_from(item).unwrap() == asked()
    });
}

#[test]
fn events_and_deliveries_since_they_are_listed() {
    let hopped = Event { hops: 3, ..event() };
    check_reading("event-listed-v1", |item: EventItem| {
        Event::try_from(item).unwrap() == hopped
    });
    check_reading("delivery-unsettled-v1", |item: DeliveryItem| {
        Delivery::try_from(item).unwrap() == delivery()
    });
    let exhausted = Delivery {
        status: DeliveryStatus::Exhausted,
        next_attempt: None,
        ..delivery()
    };
    check("delivery-exhausted-v1", &DeliveryItem::new(&exhausted, 30), |item| {
        Delivery::try_from(item).unwrap() == exhausted
    });
}

#[test]
fn deliveries_since_they_last_as_long_as_they_are_due() {
    check("delivery-lasting-v1", &DeliveryItem::new(&replayed(), 30), |item| {
        Delivery::try_from(item).unwrap() == replayed()
    });
    let ttl = |delivery: &Delivery| -> i64 {
        let written: serde_dynamo::Item = serde_dynamo::to_item(DeliveryItem::new(delivery, 30)).unwrap();
        serde_json::to_value(&written).unwrap()["ttl"]["N"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap()
    };
    let month = SignedDuration::from_hours(30 * 24);
    // Another round, a month after the first: it lives through its schedule.
    let late = Delivery {
        next_attempt: Some(at() + month + SignedDuration::from_secs(7)),
        ..replayed()
    };
    assert_eq!(ttl(&late), (at() + month + month).as_second() + 7);
    let mut ended = Delivery {
        status: DeliveryStatus::Exhausted,
        next_attempt: None,
        ..replayed()
    };
    ended.attempts.last_mut().unwrap().at = at() + month;
    assert_eq!(
        ttl(&ended),
        (at() + month + month).as_second(),
        "what it came to is seen as long"
    );
    ended.attempts.clear();
    assert_eq!(ttl(&ended), (at() + month).as_second());
}
