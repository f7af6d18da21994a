//! What webhooks were.

use jiff::{SignedDuration, Timestamp};
use payload::audit::{Actor, AuditEntry};
use payload::filter::{Filter, StoredFilter};
use payload::webhook::{Disabled, DisabledReason, Webhook, WebhookSecrets};
use payload::{AuditId, OrganizationId};
use store::history::{WebhookHistory, WebhookWas};
use store::{AuditTrail, Dynamo, HealthLog, WebhookSets, Webhooks};

use super::webhooks::webhook;
use super::{event, now};

fn at(seconds: i64) -> Timestamp {
    now() + SignedDuration::from_secs(seconds)
}

/// The store, whose next change is made at that time.
fn changing(store: &Dynamo, webhook: &Webhook, seconds: i64) -> Dynamo {
    store.recording(AuditEntry {
        id: AuditId::generate(at(seconds)),
        organization: webhook.organization.clone(),
        at: at(seconds),
        actor: Actor::Operator,
        action: "webhook.changed".into(),
        resource: webhook.id.to_string(),
        before: None,
        after: None,
    })
}

fn types(types: &str) -> StoredFilter {
    Filter::parse(&format!("{{\"types\":[\"{types}\"]}}"))
        .expect("a filter")
        .into()
}

async fn update(store: &Dynamo, webhook: &Webhook, seconds: i64, enable: bool) {
    let (_, revision) = (store.webhook_to_change(&webhook.organization, &webhook.id).await)
        .expect("read")
        .expect("is there");
    let store = changing(store, webhook, seconds);
    store
        .update_webhook(webhook, revision, None, enable)
        .await
        .expect("update");
}

pub(super) async fn what_a_webhook_was_is_kept_with_its_change(store: &Dynamo) {
    let organization = OrganizationId::generate(now());
    let mut webhook = webhook(&organization);
    webhook.filter = types("a.*");
    store
        .create_webhook(&webhook, &WebhookSecrets::default())
        .await
        .expect("create");
    let were = async |seconds| {
        store
            .webhooks_were(&organization, at(seconds), 100)
            .await
            .expect("history")
            .were
    };
    let was = |webhook: &Webhook, until, deleted| WebhookWas {
        webhook: webhook.id.clone(),
        name: webhook.name.clone(),
        filter: webhook.filter.clone(),
        format: webhook.format,
        enabled: webhook.enabled,
        created_at: webhook.created_at,
        disabled: None,
        until: at(until),
        deleted,
    };
    // What decides nothing is not kept.
    let first = webhook.clone();
    webhook.name = "another".into();
    update(store, &webhook, 1, false).await;
    assert_eq!(were(0).await, []);
    let renamed = WebhookWas {
        name: webhook.name.clone(),
        ..was(&first, 2, false)
    };
    webhook.filter = types("b.*");
    update(store, &webhook, 2, false).await;
    let second = webhook.clone();
    webhook.enabled = false;
    update(store, &webhook, 4, false).await;
    let all = [renamed, was(&second, 4, false)];
    assert_eq!(were(0).await, all);
    assert_eq!(were(1).await, all);
    assert_eq!(were(2).await, all[1..], "at the time of the change it is the new one");
    assert_eq!(were(3).await, all[1..]);
    assert_eq!(were(4).await, []);
    for (limit, complete) in [(1, false), (2, true), (100, true)] {
        let history = store.webhooks_were(&organization, at(0), limit).await.expect("history");
        let first = &all[..limit.min(2)];
        assert_eq!((&*history.were, history.complete), (first, complete), "{limit}");
    }
    // A change that fails keeps nothing.
    let late = changing(store, &webhook, 5);
    webhook.enabled = true;
    assert!(late.update_webhook(&webhook, 0, None, false).await.is_err());
    assert_eq!(were(4).await, []);
    // The set that deliveries go by knows nothing of it.
    let set = store.webhook_set(&organization).await.expect("a set");
    assert_eq!((set.webhooks.len(), set.health.len()), (1, 0));
    let stranger = OrganizationId::generate(now());
    let nothing = store.webhooks_were(&stranger, at(0), 100).await.expect("history");
    assert_eq!((nothing.were, nothing.complete), (vec![], true));
}

pub(super) async fn what_was_disabled_and_deleted_is_kept(store: &Dynamo) {
    let organization = OrganizationId::generate(now());
    let webhook = webhook(&organization);
    store
        .create_webhook(&webhook, &WebhookSecrets::default())
        .await
        .expect("create");
    let disabled = Disabled {
        at: at(1),
        reason: DisabledReason::Gone,
    };
    let news = event(&organization, None, "disabled");
    let noted = store.disable(&organization, &webhook.id, &disabled, None, &news).await;
    assert_eq!(noted, Ok(true));
    update(store, &webhook, 3, true).await;
    let were = store
        .webhooks_were(&organization, at(2), 100)
        .await
        .expect("history")
        .were;
    assert_eq!((were.len(), &were[0].disabled), (1, &Some(disabled)));
    assert_eq!(store.webhooks_deleted(&organization, at(9), 100).await, Ok(vec![]));
    let deleted = changing(store, &webhook, 5);
    assert_eq!(deleted.delete_webhook(&webhook, 1).await, Ok(()));
    let were = store
        .webhooks_were(&organization, at(3), 100)
        .await
        .expect("history")
        .were;
    assert_eq!((were.len(), were[0].deleted, were[0].until), (1, true, at(5)));
    assert_eq!(were[0].disabled, None);
    assert_eq!(store.webhooks_deleted(&organization, at(4), 100).await, Ok(vec![]));
    assert_eq!(store.webhooks_deleted(&organization, at(5), 100).await, Ok(were));
}

pub(super) async fn history_is_read_up_to_some_megabytes(store: &Dynamo) {
    let organization = OrganizationId::generate(now());
    let mut webhook = webhook(&organization);
    // Few long ones for many.
    webhook.name = "n".repeat(100_000);
    webhook.filter = types("a.0");
    store
        .create_webhook(&webhook, &WebhookSecrets::default())
        .await
        .expect("create");
    for second in 1..=60 {
        webhook.filter = types(&format!("a.{second}"));
        update(store, &webhook, second, false).await;
    }
    let history = store.webhooks_were(&organization, at(0), 1000).await.expect("history");
    let count = history.were.len();
    assert!(!history.complete && (30..60).contains(&count), "{count}");
    assert!(history.were.is_sorted_by_key(|was| was.until));
    // From a later time on it is whole.
    let late = store.webhooks_were(&organization, at(40), 1000).await.expect("history");
    assert_eq!((late.were.len(), late.complete), (20, true));
}
