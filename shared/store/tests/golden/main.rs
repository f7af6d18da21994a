//! Stored items are contracts between functions that are deployed at different moments. The golden files are items as they were written;
//! they are read with today's code, today's items are held against them, and an item with attributes of a later day is read too.
//!
//! A golden file that has been released is never edited: a change of schema adds a file.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]

mod arriving;
mod registered;
mod registry;
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
    insta::with_settings!({snapshot_path => ".", prepend_module_to_snapshot => false, omit_expression => true, sort_maps => true}, {
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

    later["v"] = serde_json::json!({"N": "3"});
    assert!(
        matches!(read(&later.to_string()), Err(StoreError::Newer { found: 3, known: 2 })),
        "{name}: a higher version waits"
    );
    later.as_object_mut().unwrap().remove("v");
    assert!(
        matches!(read(&later.to_string()), Err(StoreError::Unreadable(_))),
        "{name}: not ours"
    );
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
