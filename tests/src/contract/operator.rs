//! What only the operator may do: tenants, suspension, reading whole tables, counting, deleting.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use payload::audit::{Actor, AuditEntry};
use payload::delivery::Delivery;
use payload::organization::{ApiKey, ApiKeyText, Organization, Quota, Role, Suspension};
use payload::receipt::{ReceiptOutcome, ReceiptStatus};
use payload::source::{IngestToken, Source};
use payload::webhook::WebhookSecrets;
use payload::{AuditId, EventId, OrganizationId, ReceiptId, SourceId};
use store::{
    AuditSpan, AuditTrail, Deliveries, Doors, Dynamo, Erasure, Events, Found, Inbox, KeyRegistry, Keys, Organizations,
    Quotas, RawReceipts, ReceiptKey, Receipts, Scans, Secrets, Segment, SourceRegistry, Sources, Span, StoreError,
    Suspensions, Usage, UsageCounts, WebhookSets, Webhooks,
};

use super::webhooks::webhook;
use super::{event, now, receipt};

/// An organization that is there, with a key.
async fn organization(store: &Dynamo) -> (Organization, ApiKeyText) {
    let organization = Organization {
        id: OrganizationId::generate(now()),
        name: "Example".into(),
        created_at: now(),
        suspension: None,
        quota: Quota::default(),
    };
    let text = ApiKeyText::generate();
    let key = ApiKey::new(organization.id.clone(), Role::Admin, "first".into(), &text, now());
    let created = store.create_organization(&organization, &key, &text.hash()).await;
    created.expect("create");
    (organization, text)
}

fn suspension() -> Suspension {
    Suspension {
        at: now(),
        reason: "unpaid".into(),
    }
}

pub(super) async fn organizations_are_listed_and_changed(store: &Dynamo) {
    let (first, _) = organization(store).await;
    let (second, _) = organization(store).await;
    let (mut listed, mut after) = (BTreeSet::new(), None);
    loop {
        let page = store.organizations_after(after.as_ref(), 1).await.expect("a page");
        let Some(last) = page.last().cloned() else { break };
        assert_eq!(page.len(), 1);
        listed.extend(page);
        after = Some(last);
    }
    assert!(listed.contains(&first.id) && listed.contains(&second.id));

    let quota = Quota {
        sources: Some(2),
        webhooks: None,
        keys: None,
    };
    store.set_quota(&first.id, &quota).await.expect("set");
    store.set_suspension(&first.id, Some(&suspension())).await.expect("set");
    let read = store.organization(&first.id).await.expect("read");
    let expected = Organization {
        suspension: Some(suspension()),
        quota,
        ..first.clone()
    };
    assert_eq!(read, Some(expected));
    assert_eq!(store.quota(&first.id).await, Ok(quota));
    store.set_quota(&first.id, &Quota::default()).await.expect("set");
    store.set_suspension(&first.id, None).await.expect("set");
    assert_eq!(
        store.organization(&first.id).await,
        Ok(Some(first.clone())),
        "as it was"
    );

    store.delete_organization(&first.id).await.expect("delete");
    assert_eq!(store.delete_organization(&first.id).await, Err(StoreError::Conflict));
    assert_eq!(store.set_quota(&first.id, &quota).await, Err(StoreError::Conflict));
    assert_eq!(store.set_suspension(&first.id, None).await, Err(StoreError::Conflict));
    assert_eq!(store.quota(&first.id).await, Ok(Quota::default()));
    let all = store.organizations_after(None, 1000).await.expect("a page");
    assert!(!all.contains(&first.id) && all.contains(&second.id));
}

fn source(organization: &OrganizationId) -> (Source, IngestToken) {
    let token = IngestToken::generate();
    let (mut source, _) = super::sources::source(&token);
    source.id = SourceId::generate(now());
    source.organization = organization.clone();
    (source, token)
}

async fn create_source(store: &Dynamo, organization: &OrganizationId) -> (Source, IngestToken) {
    let (source, token) = source(organization);
    let door = source.effective().expect("a preset").door();
    let secret = super::sources::secret("a");
    let created = store.create_source(&source, &door, &[secret], None).await;
    created.expect("create");
    (source, token)
}

pub(super) async fn a_suspension_stands_where_each_step_looks(store: &Dynamo) {
    let (organization, text) = organization(store).await;
    let id = &organization.id;
    let (_, token) = create_source(store, id).await;
    let (_, foreign) = create_source(store, &OrganizationId::generate(now())).await;
    let marks = async || {
        let key = store.key(&text.hash()).await.expect("read").expect("a key");
        let door = store.door(&token.hash()).await.expect("read").expect("a door");
        let set = store.webhook_set(id).await.expect("read");
        (key.suspended, door.suspended, set.suspended)
    };
    assert_eq!(marks().await, (false, false, false));
    let key = |suspended| ApiKey {
        suspended,
        ..ApiKey::new(id.clone(), Role::Viewer, "b".into(), &ApiKeyText::generate(), now())
    };
    let hash = || ApiKeyText::generate().hash();
    assert_eq!(store.add_key(&key(true), &hash()).await, Err(StoreError::Conflict));
    store.set_suspension(id, Some(&suspension())).await.expect("set");
    assert_eq!(store.add_key(&key(false), &hash()).await, Err(StoreError::Conflict));
    store
        .add_key(&key(true), &hash())
        .await
        .expect("a key that carries the mark");
    for _ in 0..2 {
        assert_eq!(store.mark_keys(id, true).await, Ok(2));
        assert_eq!(store.mark_doors(id, true).await, Ok(1));
        store.mark_webhooks(id, Some(now())).await.expect("mark");
    }
    assert_eq!(marks().await, (true, true, true));
    let other = store.door(&foreign.hash()).await.expect("read").expect("a door");
    assert!(!other.suspended);
    for _ in 0..2 {
        store.mark_keys(id, false).await.expect("mark");
        store.mark_doors(id, false).await.expect("mark");
        store.mark_webhooks(id, None).await.expect("mark");
    }
    assert_eq!(marks().await, (false, false, false));
}

/// A span about a moment that no other case uses.
fn span(second: i64) -> (Timestamp, Span) {
    let at = Timestamp::from_second(second).expect("a time");
    let until = at + SignedDuration::from_millis(1);
    (at, Span { since: at, until })
}

async fn pages<T>(page: impl AsyncFn(Segment) -> Result<Found<T>, StoreError>) -> Vec<T> {
    let mut all = Vec::new();
    for number in 0..3 {
        let mut after = None;
        loop {
            let segment = Segment { number, of: 3, after };
            let found = page(segment).await.expect("a page");
            assert!(found.items.len() as u64 <= found.examined);
            all.extend(found.items);
            let Some(next) = found.next else { break };
            after = Some(next);
        }
    }
    all
}

pub(super) async fn tables_are_read_in_segments_and_pages(store: &Dynamo) {
    let (one, two) = (OrganizationId::generate(now()), OrganizationId::generate(now()));
    let (at, span) = span(4_100_000_000);
    let mut receipts = BTreeSet::new();
    for organization in [&one, &one, &one, &two] {
        let mut receipt = receipt(b"a".to_vec());
        (receipt.organization, receipt.received_at) = (organization.clone(), at);
        store.put_receipt(&receipt).await.expect("put");
        receipts.insert(receipt.id.to_string());
    }
    let ids =
        |found: Vec<ReceiptKey>| -> BTreeSet<String> { found.into_iter().map(|key| key.id.to_string()).collect() };
    let all = pages(async |segment| store.scan_receipts(&segment, None, span, 2).await).await;
    assert_eq!(all.len(), 4, "each once");
    assert_eq!(ids(all), receipts);
    let own = pages(async |segment| store.scan_receipts(&segment, Some(&two), span, 2).await).await;
    assert_eq!(own.len(), 1);
    let key = own.into_iter().next().expect("one");
    assert_eq!((&key.organization, key.received_at), (&two, at));
    assert_eq!(store.has_receipt(&key).await, Ok(true));
    let gone = ReceiptKey {
        id: ReceiptId::generate(at),
        ..key.clone()
    };
    assert_eq!(store.has_receipt(&gone).await, Ok(false));

    assert_eq!(store.events_of_receipt(&key).await, Ok(vec![]));
    let mut stored = event(&two, Some(key.id.clone()), "msg_1");
    stored.received_at = at;
    let mut other = event(&two, Some(gone.id.clone()), "msg_2");
    other.received_at = at;
    for event in [&stored, &other] {
        store.put_event(event).await.expect("put");
    }
    assert_eq!(store.events_of_receipt(&key).await, Ok(vec![stored.id.clone()]));
    let mut events = pages(async |segment| store.scan_events(&segment, span, 1).await).await;
    events.sort_by(|a, b| a.meta.provider_event_id.cmp(&b.meta.provider_event_id));
    assert_eq!(events, [stored, other]);
}

async fn delivery(store: &Dynamo, event: &payload::Event, webhook: &payload::WebhookId, at: Timestamp) {
    let delivery = Delivery::new(event, webhook, at);
    store.create_delivery(&delivery, None).await.expect("create");
}

pub(super) async fn what_is_counted_is_what_is_there(store: &Dynamo) {
    let (organization, _) = organization(store).await;
    let id = &organization.id;
    let (at, span) = span(4_200_000_000);
    create_source(store, id).await;
    let webhook = webhook(id);
    store
        .create_webhook(&webhook, &WebhookSecrets::default())
        .await
        .expect("create");
    for (number, time) in [(1, at), (2, at), (3, now())] {
        let mut event = event(id, None, &format!("msg_{number}"));
        event.received_at = time;
        store.put_event(&event).await.expect("put");
        delivery(store, &event, &webhook.id, time).await;
    }
    store.put_outcome(&outcome(id, at)).await.expect("put");
    store.put_outcome(&outcome(id, now())).await.expect("put");
    let expected = Usage {
        sources: 1,
        webhooks: 1,
        keys: 1,
        events: 2,
        other_receipts: 1,
        deliveries: 2,
    };
    assert_eq!(store.usage(id, span).await, Ok(expected));
    let nobody = OrganizationId::generate(now());
    assert_eq!(store.usage(&nobody, span).await, Ok(Usage::default()));
}

fn outcome(organization: &OrganizationId, at: Timestamp) -> ReceiptOutcome {
    ReceiptOutcome {
        id: ReceiptId::generate(at),
        organization: organization.clone(),
        source: SourceId::generate(now()),
        status: ReceiptStatus::Duplicate {
            event: EventId::compute("a", payload::id::Identity::ProviderId("b"), 0),
        },
        received_at: at,
    }
}

/// All pages of a list.
async fn list<T>(page: impl AsyncFn(Option<String>) -> Result<Found<T>, StoreError>) -> Vec<T> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let found = page(after).await.expect("a page");
        all.extend(found.items);
        let Some(next) = found.next else { return all };
        after = Some(next);
    }
}

pub(super) async fn what_is_deleted_is_its_own(store: &Dynamo) {
    let (one, two) = (OrganizationId::generate(now()), OrganizationId::generate(now()));
    let hook = webhook(&one);
    let mut ids = BTreeSet::new();
    for number in 0..5 {
        let event = event(&one, None, &format!("msg_{number}"));
        store.put_event(&event).await.expect("put");
        delivery(store, &event, &hook.id, now()).await;
        ids.insert(event.id);
    }
    let events = list(async |after| store.events_page(&one, after.as_deref(), 2).await).await;
    assert_eq!((events.len(), events.iter().cloned().collect()), (5, ids.clone()));
    let deliveries = list(async |after| store.deliveries_page(&hook.id, after.as_deref(), 2).await).await;
    assert_eq!((deliveries.len(), deliveries.into_iter().collect()), (5, ids));
    assert!(matches!(
        store.events_page(&one, Some("x y"), 2).await,
        Err(StoreError::Refused(_))
    ));

    let first = &events[0];
    assert_eq!(store.delete_deliveries(&two, first).await, Ok(0), "another's");
    assert_eq!(store.delete_event(&two, first).await, Ok(false));
    assert_eq!(store.delete_delivery(&two, first, &hook.id).await, Ok(false));
    assert_eq!(store.delete_deliveries(&one, first).await, Ok(1));
    assert_eq!(store.deliveries_of(first).await, Ok(vec![]));
    assert_eq!(store.delete_event(&one, first).await, Ok(true));
    assert_eq!(store.delete_event(&one, first).await, Ok(false), "it is gone");
    assert_eq!(store.event(first).await, Ok(None));
    assert_eq!(store.delete_delivery(&one, &events[1], &hook.id).await, Ok(true));

    let mut raw = receipt(b"a".to_vec());
    raw.organization = one.clone();
    store.put_receipt(&raw).await.expect("put");
    let mut known = outcome(&one, now());
    known.id = raw.id.clone();
    store.put_outcome(&known).await.expect("put");
    let outcomes = list(async |after| store.outcomes_page(&one, after.as_deref(), 1).await).await;
    assert_eq!(outcomes.len(), 1);
    assert_eq!((&outcomes[0].id, outcomes[0].is_duplicate), (&raw.id, true));
    assert_eq!(store.delete_receipt(&two, &raw.id).await, Ok(false));
    assert_eq!(store.delete_receipt(&one, &raw.id).await, Ok(true));
    assert_eq!(store.delete_receipt(&one, &raw.id).await, Ok(false));
    assert_eq!(
        (store.receipt(&raw.id).await, store.outcome(&raw.id).await),
        (Ok(None), Ok(None))
    );
}

pub(super) async fn everything_beside_events_is_erased(store: &Dynamo) {
    let (organization, text) = organization(store).await;
    let id = &organization.id;
    let (source, token) = create_source(store, id).await;
    assert_eq!(store.source_ids(id).await, Ok(vec![source.id.clone()]));
    let other = OrganizationId::generate(now());
    assert_eq!(store.erase_source(&other, &source.id).await, Ok(false), "another's");
    assert_eq!(store.erase_source(id, &source.id).await, Ok(true));
    assert_eq!(store.door(&token.hash()).await, Ok(None));
    assert_eq!(store.source(&source.id).await, Ok(None));
    assert!(store.secrets(source.id.as_str()).await.expect("read").is_empty());

    let hook = webhook(id);
    let secret = super::sources::secret("whsec_a");
    let secrets = WebhookSecrets {
        signing: vec![secret],
        ..WebhookSecrets::default()
    };
    store.create_webhook(&hook, &secrets).await.expect("create");
    store.mark_webhooks(id, Some(now())).await.expect("mark");
    while store.erase_webhooks(id, 2).await.expect("erase") > 0 {}
    let set = store.webhook_set(id).await.expect("read");
    assert!(set.webhooks.is_empty() && !set.suspended);
    assert!(store.secrets(hook.id.as_str()).await.expect("read").is_empty());

    while store.erase_keys(id, 2).await.expect("erase") > 0 {}
    assert_eq!(store.key(&text.hash()).await, Ok(None));
    assert!(store.keys_of(id).await.expect("read").is_empty());
    assert_eq!(store.erase_jobs(id, 2).await, Ok(0));

    for _ in 0..3 {
        let entry = AuditEntry {
            id: AuditId::generate(now()),
            organization: id.clone(),
            at: now(),
            actor: Actor::Operator,
            action: "a.b".into(),
            resource: "c".into(),
            before: None,
            after: None,
        };
        store.record(&entry).await.expect("record");
    }
    assert_eq!(store.erase_audit(id, 2).await, Ok(2));
    assert_eq!(store.erase_audit(id, 2).await, Ok(1));
    assert_eq!(store.audit_of(id, &AuditSpan::default(), 9).await, Ok(vec![]));
}
