//! Stored items are contracts between functions that are deployed at different moments. The golden files are items as they were written;
//! they are read with today's code, today's items are held against them, and an item with attributes of a later day is read too.
//!
//! A golden file that has been released is never edited: a change of schema adds a file.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]

#[path = "golden/samples.rs"]
mod samples;

use jiff::SignedDuration;
use payload::TraceId;
use payload::audit::{Actor, AuditEntry};
use payload::delivery::{Delivery, DeliveryStatus};
use payload::event::Event;
use payload::job::{Job, JobFailure, JobKind, JobStatus, Waymark};
use payload::key::TimedSecret;
use payload::organization::{ApiKey, Organization, Quota, Role, Suspension};
use payload::receipt::{Receipt, ReceiptOutcome, ReceiptStatus};
use payload::source::{Door, Source, TokenHash};
use payload::source_health::{LastRejection, SourceHealth};
use payload::webhook::{Disabled, DisabledReason, Health, Webhook};
use serde::Serialize;
use serde::de::DeserializeOwned;
use store::history::WebhookWas;
use store::item::{
    AuditItem, DeliveryItem, DoorItem, EventItem, HealthItem, IdempotencyItem, JobItem, KeyItem, KeyRefItem, LeaseItem,
    ListedOrganizationItem, OrganizationItem, OutcomeItem, ReceiptItem, RunningJobItem, SecretsItem, SourceHealthItem,
    SourceItem, SuspendedItem, VersionItem, WebhookItem, WebhookWasItem,
};
use store::{IdempotentRequest, RunningJob, StoreError};

use samples::{
    api_key, asked, at, custom_source, delivery, door, event, event_id, full_webhook, handshake_door, id, job, receipt,
    replayed, secrets, source, webhook,
};

/// Writes today's item, holds it against the golden file, and reads the golden file back, plain and with a stranger's attributes.
fn check<T: Serialize + DeserializeOwned>(name: &str, item: &T, is_same: impl Fn(T) -> bool) {
    let written: serde_dynamo::Item = serde_dynamo::to_item(item).unwrap();
    let json = serde_json::to_value(&written).unwrap();
    insta::with_settings!({snapshot_path => "golden", prepend_module_to_snapshot => false, omit_expression => true, sort_maps => true}, {
        insta::assert_json_snapshot!(name, json);
    });
    check_reading(name, is_same);
}

/// Reads a golden file, plain and with a stranger's attributes: one that today's items are no longer written like.
fn check_reading<T: DeserializeOwned>(name: &str, is_same: impl Fn(T) -> bool) {
    let path = format!("{}/tests/golden/{name}.snap", env!("CARGO_MANIFEST_DIR"));
    let file = std::fs::read_to_string(path).unwrap();
    let golden = file.splitn(3, "---").nth(2).unwrap();
    let read = |golden: &str| store::item::read::<T>(serde_json::from_str(golden).unwrap());
    assert!(
        is_same(read(golden).unwrap_or_else(|error| panic!("{name}: {error}"))),
        "{name}: new reader, old item"
    );

    let mut later: serde_json::Value = serde_json::from_str(golden).unwrap();
    later["ofALaterDay"] = serde_json::json!({"M": {"a": {"N": "1"}}});
    assert!(
        is_same(read(&later.to_string()).unwrap()),
        "{name}: old reader, new item"
    );

    later["v"] = serde_json::json!({"N": "2"});
    assert!(
        matches!(read(&later.to_string()), Err(StoreError::Newer { found: 2, known: 1 })),
        "{name}: a higher version waits"
    );
    later.as_object_mut().unwrap().remove("v");
    assert!(
        matches!(read(&later.to_string()), Err(StoreError::Unreadable(_))),
        "{name}: not ours"
    );
}

#[test]
fn receipts_v1() {
    check("receipt-v1", &ReceiptItem::new(&receipt(), 7).unwrap(), |item| {
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
    check(
        "receipt-scheme-v1",
        &ReceiptItem::new(&with_scheme, 7).unwrap(),
        |item| Receipt::try_from(item).unwrap() == with_scheme,
    );
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
    check("receipt-trace-v1", &ReceiptItem::new(&receipt, 7).unwrap(), |item| {
        Receipt::try_from(item).unwrap() == receipt
    });
    let event = Event { trace, ..event() };
    check("event-trace-v1", &EventItem::new(&event, 30).unwrap(), |item| {
        Event::try_from(item).unwrap() == event
    });
    // One that cannot be read is no reason to lose what it stands in.
    let item = serde_json::to_string(&ReceiptItem::new(&receipt, 7).unwrap()).unwrap();
    let item: ReceiptItem = serde_json::from_str(&item.replace("4bf9", "....")).unwrap();
    assert_eq!(Receipt::try_from(item).unwrap().trace, None);
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
fn jobs_v1() {
    check("job-v1", &JobItem::from(&job()), |item| {
        Job::try_from(item).unwrap() == job()
    });
    let ahead = Job {
        awaited: Some(Waymark {
            event: event_id(),
            at: at(),
        }),
        newest: Some(Waymark {
            event: event_id(),
            at: at() + SignedDuration::from_secs(1),
        }),
        ..job()
    };
    check("job-ahead-v1", &JobItem::from(&ahead), |item| {
        Job::try_from(item).unwrap() == ahead
    });
    let mut ended = Job {
        kind: JobKind::ReplayEvent {
            event: event_id(),
            webhook: None,
        },
        position: None,
        ..job()
    };
    ended.end(JobStatus::Failed, Some(JobFailure::EventGone), at());
    check("job-ended-v1", &JobItem::from(&ended), |item| {
        Job::try_from(item).unwrap() == ended
    });
    let running = RunningJob {
        organization: id("org_"),
        job: id("job_"),
        of_one_event: false,
    };
    check("job-running-v1", &RunningJobItem::from(&job()), |item| {
        RunningJob::from(item) == running
    });
    let running = RunningJob {
        of_one_event: true,
        ..running
    };
    check("job-running-one-event-v1", &RunningJobItem::from(&ended), |item| {
        RunningJob::from(item) == running
    });
}

#[test]
fn registrations_v1() {
    check("source-v1", &SourceItem::try_from(&source()).unwrap(), |item| {
        Source::try_from(item).unwrap() == source()
    });
    let rotated = Source {
        tokens: vec![
            TokenHash {
                hash: "33".repeat(32),
                expires_at: None,
            },
            TokenHash {
                hash: "00".repeat(32),
                expires_at: Some(at()),
            },
        ],
        revision: 3,
        ..source()
    };
    check("source-rotated-v1", &SourceItem::try_from(&rotated).unwrap(), |item| {
        Source::try_from(item).unwrap() == rotated
    });
    let custom = SourceItem::try_from(&custom_source()).unwrap().at_revision(2);
    check("source-custom-v1", &custom, |item| {
        let expected = Source {
            revision: 2,
            ..custom_source()
        };
        Source::try_from(item).unwrap() == expected
    });
    let token = TokenHash {
        hash: "00".repeat(32),
        expires_at: None,
    };
    check("door-v1", &DoorItem::new(&door(), &token).unwrap(), |item| {
        Door::try_from(item).unwrap() == door()
    });
    let ending = TokenHash {
        expires_at: Some(at()),
        ..token.clone()
    };
    check("door-ending-v1", &DoorItem::new(&door(), &ending).unwrap(), |item| {
        Door::try_from(item).unwrap().expires_at == Some(at())
    });
    let closed = Door {
        suspended: true,
        ..door()
    };
    check("door-suspended-v1", &DoorItem::new(&closed, &token).unwrap(), |item| {
        Door::try_from(item).unwrap() == closed
    });
    let suspended = SuspendedItem::new(&id("org_"), at());
    check("suspended-v1", &suspended, |item| item == suspended);
    let door = DoorItem::new(&handshake_door(), &token).unwrap();
    check("door-handshake-v1", &door, |item| {
        Door::try_from(item).unwrap() == handshake_door()
    });
    check("webhook-v1", &WebhookItem::from(&webhook()), |item| {
        Webhook::try_from(item).unwrap() == webhook()
    });
    let health = Health {
        webhook: id("wh_"),
        failing_since: Some(at()),
        disabled: None,
    };
    check("health-v1", &HealthItem::new(&id("org_"), &health).unwrap(), |item| {
        Health::try_from(item).unwrap() == health
    });
    let secret = TimedSecret {
        value: "whsec_x".into(),
        created_at: at(),
        expires_at: Some(at()),
    };
    check("secrets-v1", &SecretsItem::new("wh_1", &[secret]), |item| {
        let secrets = item.into_secrets().unwrap();
        secrets.len() == 1 && !secrets[0].is_valid_at(at())
    });
    let version: VersionItem = serde_json::from_value(
        serde_json::json!({"v": 1, "organization": id::<payload::OrganizationId>("org_"), "id": "version", "n": 7}),
    )
    .unwrap();
    check("version-v1", &version, |item| item.n == 7);
}

#[test]
fn registrations_since_webhooks_have_more_to_say() {
    check(
        "webhook-full-v1",
        &WebhookItem::from(&full_webhook()).at_revision(3),
        |item| Webhook::try_from(item).unwrap() == full_webhook(),
    );
    let disabled = Health {
        webhook: id("wh_"),
        failing_since: None,
        disabled: Some(Disabled {
            at: at(),
            reason: DisabledReason::Gone,
        }),
    };
    check(
        "health-disabled-v1",
        &HealthItem::new(&id("org_"), &disabled).unwrap(),
        |item| Health::try_from(item).unwrap() == disabled,
    );
    check(
        "secrets-headers-v1",
        &SecretsItem::of_webhook("wh_1", &secrets()),
        |item| {
            let read = item.into_webhook_secrets().unwrap();
            let header = &read.headers[0];
            (header.name(), header.expose_value()) == ("Authorization", "Bearer x") && read.signing.len() == 1
        },
    );
    let hopped = Event { hops: 3, ..event() };
    check_reading("event-hops-v1", |item: EventItem| {
        Event::try_from(item).unwrap() == hopped
    });
}

#[test]
fn events_and_deliveries_since_they_are_listed() {
    let hopped = Event { hops: 3, ..event() };
    check("event-listed-v1", &EventItem::new(&hopped, 30).unwrap(), |item| {
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

#[test]
fn what_webhooks_were_v1() {
    let was = WebhookWas {
        webhook: id("wh_"),
        name: full_webhook().name,
        filter: full_webhook().filter,
        format: full_webhook().format,
        enabled: full_webhook().enabled,
        created_at: at(),
        disabled: Some(Disabled {
            at: at(),
            reason: DisabledReason::Failing,
        }),
        until: at(),
        deleted: true,
    };
    let health = Health {
        webhook: id("wh_"),
        failing_since: Some(at()),
        disabled: was.disabled.clone(),
    };
    let item = |health, deleted| WebhookWasItem::new(&full_webhook(), 3, health, at(), deleted, 30).unwrap();
    check("webhook-was-deleted-v1", &item(Some(&health), true), |item| {
        WebhookWas::try_from(item).unwrap() == was
    });
    let changed = WebhookWas {
        disabled: None,
        deleted: false,
        ..was.clone()
    };
    check("webhook-was-v1", &item(None, false), |item| {
        WebhookWas::try_from(item).unwrap() == changed
    });
}

#[test]
fn a_filter_that_cannot_be_read_is_kept_as_it_is() {
    let mut stored = serde_json::to_value(WebhookItem::from(&webhook())).unwrap();
    stored["filter"] = serde_json::json!({"ofALaterDay": ["x"], "types": 3});
    let item: WebhookItem = serde_json::from_value(stored.clone()).unwrap();
    let read = Webhook::try_from(item).unwrap();
    assert!(read.filter.read().is_err());
    let written = serde_json::to_value(WebhookItem::from(&read)).unwrap();
    assert_eq!(written["filter"], stored["filter"]);
}

#[test]
fn registry_v1() {
    let organization = Organization {
        id: id("org_"),
        name: "Example".into(),
        created_at: at(),
        suspension: None,
        quota: Quota::default(),
    };
    check(
        "organization-v1",
        &OrganizationItem::try_from(&organization).unwrap(),
        |item| Organization::try_from(item).unwrap() == organization,
    );
    let suspension = Suspension {
        at: at(),
        reason: "unpaid".into(),
    };
    let suspended = Organization {
        suspension: Some(suspension),
        quota: Quota {
            sources: Some(5),
            webhooks: None,
            keys: Some(0),
        },
        ..organization.clone()
    };
    check(
        "organization-suspended-v1",
        &OrganizationItem::try_from(&suspended).unwrap(),
        |item| Organization::try_from(item).unwrap() == suspended,
    );
    let listed = ListedOrganizationItem::new(&organization.id);
    check("organization-listed-v1", &listed, |item| item == listed);
    let closed = ApiKey {
        suspended: true,
        ..api_key()
    };
    check("key-suspended-v1", &KeyItem::new(&closed, &"11".repeat(32)), |item| {
        ApiKey::try_from(item).unwrap() == closed
    });
    check("key-v1", &KeyItem::new(&api_key(), &"11".repeat(32)), |item| {
        ApiKey::try_from(item).unwrap() == api_key()
    });
    let used = ApiKey {
        role: Role::Publisher,
        prefix: "hk_Ab3dE".into(),
        last_used: Some("2026-11-22".parse().unwrap()),
        ..api_key()
    };
    check("key-used-v1", &KeyItem::new(&used, &"11".repeat(32)), |item| {
        ApiKey::try_from(item).unwrap() == used
    });
    check("key-ref-v1", &KeyRefItem::new(&api_key(), &"11".repeat(32)), |item| {
        *item.id() == api_key().id
    });
    let lease: LeaseItem = serde_json::from_value(
        serde_json::json!({"v": 1, "pk": "lease", "sk": "bucket#07", "owner": "me", "fence": 4, "until": 1000}),
    )
    .unwrap();
    check("lease-v1", &lease, |item| item.into_lease().unwrap().bucket == 7);
}

#[test]
fn audit_v1() {
    let entry = AuditEntry {
        id: id("aud_"),
        organization: id("org_"),
        at: at(),
        actor: Actor::Key {
            id: id("key_"),
            name: "deploy".into(),
            role: Role::Editor,
        },
        action: "webhook.updated".into(),
        resource: id::<payload::WebhookId>("wh_").to_string(),
        before: Some(r#"{"name":"old"}"#.into()),
        after: Some(r#"{"name":"new"}"#.into()),
    };
    check("audit-v1", &AuditItem::from(&entry), |item| {
        AuditEntry::try_from(item).unwrap() == entry
    });
    let operators = AuditEntry {
        actor: Actor::Operator,
        before: None,
        ..entry
    };
    check("audit-operator-v1", &AuditItem::from(&operators), |item| {
        AuditEntry::try_from(item).unwrap() == operators
    });
}

#[test]
fn idempotency_v1() {
    let request = IdempotentRequest {
        key: id("key_"),
        name: "ab".repeat(32),
        fingerprint: "cd".repeat(32),
        owner: "me".into(),
    };
    let item = IdempotencyItem::new(&request, at(), at());
    check("idempotency-v1", &item, |read| read == item);
}

#[test]
fn a_body_that_does_not_fit_is_refused_with_the_limit() {
    // What does not compress: a simple generator's bytes.
    let mut state = 1_u32;
    let noise: Vec<u8> = (0..400 * 1024)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        })
        .collect();
    let too_large = Receipt {
        body: noise.into(),
        ..receipt()
    };
    assert_eq!(
        ReceiptItem::new(&too_large, 7).unwrap_err(),
        StoreError::TooLarge { limit: 350 * 1024 }
    );
    let large_but_plain = Receipt {
        body: vec![b'a'; 1024 * 1024].into(),
        ..receipt()
    };
    assert!(ReceiptItem::new(&large_but_plain, 7).is_ok());
}
