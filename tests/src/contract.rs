//! The contract of the store: what every engine under it must do. The same suite runs on the embedded engine and on Amazon's DynamoDB
//! Local. Each case makes its own organization, so that all can share one database.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use payload::delivery::{Attempt, AttemptError, Delivery, DeliveryStatus};
use payload::event::{Content, EventMeta};
use payload::id::Identity;
use payload::key::TimedSecret;
use payload::organization::{ApiKey, ApiKeyText, Organization, Role};
use payload::receipt::{Header, ReceiptOutcome, ReceiptStatus};
use payload::source::{Door, IngestToken, Source};
use payload::webhook::{DestinationUrl, Format, Health, HttpPolicy, Webhook};
use payload::{Event, EventId, KeyId, OrganizationId, Receipt, ReceiptId, SourceId, WebhookId};
use secrecy::ExposeSecret;
use store::{
    Deliveries, Doors, DueQueue, Dynamo, Events, HealthLog, Inbox, Keys, Organizations, PutEvent, Receipts, Secrets,
    SourceRegistry, Sources, StoreError, WebhookSets, Webhooks,
};

/// Runs every case, one after another.
pub async fn run(store: &Arc<Dynamo>) {
    receipts_are_stored_and_too_large_ones_refused(store).await;
    an_event_is_stored_once_whoever_comes_first(store).await;
    one_of_many_concurrent_puts_wins(store).await;
    outcomes_of_receipts_are_kept(store).await;
    sources_their_doors_and_secrets_come_and_go_together(store).await;
    webhooks_count_their_sets_version(store).await;
    health_is_an_item_of_its_own(store).await;
    a_delivery_is_created_once_and_updated_under_its_fence(store).await;
    due_deliveries_are_found_in_their_bucket(store).await;
    a_lease_is_held_by_one_owner_at_a_time(store).await;
    organizations_and_keys(store).await;
}

fn now() -> Timestamp {
    // Far in the future of no test and of no time to live.
    Timestamp::from_second(4_000_000_000).expect("a valid time")
}

fn receipt(body: Vec<u8>) -> Receipt {
    Receipt {
        id: ReceiptId::generate(now()),
        organization: OrganizationId::generate(now()),
        source: SourceId::generate(now()),
        method: "POST".into(),
        query: String::new(),
        headers: vec![Header::capture("a", b"b", "", &[])],
        body: body.into(),
        received_at: now(),
    }
}

/// An event of its own, as if it had come from `receipt`.
#[must_use]
pub fn event(organization: &OrganizationId, receipt: Option<ReceiptId>, provider_id: &str) -> Event {
    let id = EventId::compute(organization.as_str(), Identity::ProviderId(provider_id), 0);
    Event {
        id: id.clone(),
        organization: organization.clone(),
        receipt,
        received_at: now(),
        meta: EventMeta {
            id,
            event_type: "a.created".into(),
            timestamp: now(),
            source: None,
            provider_event_id: Some(provider_id.into()),
            entity: None,
            action: None,
            actor: None,
            category: None,
            summary: None,
            application: None,
            scope: None,
            changes: vec![],
            warnings: vec![],
            verified: None,
        },
        data: Content::Span(0, 2),
        previous_attributes: None,
        content_type: None,
        body: b"{}".to_vec().into(),
    }
}

async fn receipts_are_stored_and_too_large_ones_refused(store: &Dynamo) {
    store
        .put_receipt(&receipt(vec![0xff; 1024 * 1024]))
        .await
        .expect("compresses well");
    store
        .put_receipt(&receipt(vec![]))
        .await
        .expect("an empty body is a body");
    let noise: Vec<u8> = (0..12_000)
        .flat_map(|i| payload::id::token_hash(&i.to_string()).into_bytes())
        .collect();
    let refused = store
        .put_receipt(&receipt(noise))
        .await
        .expect_err("hexadecimal noise halves at best");
    assert_eq!(refused, StoreError::TooLarge { limit: 350 * 1024 });
}

async fn an_event_is_stored_once_whoever_comes_first(store: &Dynamo) {
    let organization = OrganizationId::generate(now());
    let receipt = ReceiptId::generate(now());
    let first = event(&organization, Some(receipt.clone()), "msg_1");
    assert_eq!(store.event(&first.id).await, Ok(None));
    assert_eq!(store.put_event(&first).await, Ok(PutEvent::Stored));
    assert_eq!(
        store.put_event(&first).await,
        Ok(PutEvent::OwnRetry),
        "our own retry is not a duplicate"
    );
    let other = Event {
        body: b"[]".to_vec().into(),
        ..event(&organization, Some(ReceiptId::generate(now())), "msg_1")
    };
    assert_eq!(store.put_event(&other).await, Ok(PutEvent::Duplicate));
    assert_eq!(
        store.event(&first.id).await,
        Ok(Some(first)),
        "an event is never overwritten"
    );
    let published = event(&organization, None, "own_1");
    assert_eq!(store.put_event(&published).await, Ok(PutEvent::Stored));
    assert_eq!(
        store.put_event(&published).await,
        Ok(PutEvent::Duplicate),
        "a publication has no receipt to be known by"
    );
}

async fn one_of_many_concurrent_puts_wins(store: &Arc<Dynamo>) {
    let organization = OrganizationId::generate(now());
    let mut puts = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let event = event(&organization, Some(ReceiptId::generate(now())), "msg_1");
        let store = Arc::clone(store);
        puts.spawn(async move { store.put_event(&event).await });
    }
    let outcomes = puts.join_all().await;
    let stored = outcomes
        .iter()
        .filter(|outcome| **outcome == Ok(PutEvent::Stored))
        .count();
    let duplicates = outcomes
        .iter()
        .filter(|outcome| **outcome == Ok(PutEvent::Duplicate))
        .count();
    assert_eq!((stored, duplicates), (1, 15), "{outcomes:?}");
}

async fn outcomes_of_receipts_are_kept(store: &Dynamo) {
    let outcome = ReceiptOutcome {
        id: ReceiptId::generate(now()),
        organization: OrganizationId::generate(now()),
        source: SourceId::generate(now()),
        status: ReceiptStatus::Rejected {
            reason: "signature_mismatch".into(),
            detail: "why".into(),
        },
        received_at: now(),
    };
    assert_eq!(store.outcome(&outcome.id).await, Ok(None));
    store.put_outcome(&outcome).await.expect("put");
    store.put_outcome(&outcome).await.expect("repeating it changes nothing");
    assert_eq!(store.outcome(&outcome.id).await, Ok(Some(outcome)));
}

async fn sources_their_doors_and_secrets_come_and_go_together(store: &Dynamo) {
    let token = IngestToken::generate();
    let source = Source {
        id: SourceId::generate(now()),
        organization: OrganizationId::generate(now()),
        name: "n".into(),
        preset: "quartr".into(),
        enabled: true,
        salt: "s".into(),
        created_at: now(),
        token_hashes: vec![token.hash()],
    };
    let door = Door {
        source: source.id.clone(),
        organization: source.organization.clone(),
        enabled: true,
        methods: vec!["POST".into()],
        required_headers: vec!["webhook-id".into()],
        credential_headers: vec![],
        salt: "s".into(),
        success_status: 202,
    };
    let secret = TimedSecret {
        value: "whsec_x".into(),
        created_at: now(),
        expires_at: None,
    };
    store
        .create_source(&source, &door, std::slice::from_ref(&secret))
        .await
        .expect("create");
    assert_eq!(
        store.create_source(&source, &door, &[]).await,
        Err(StoreError::Conflict)
    );
    assert_eq!(store.door(&token.hash()).await, Ok(Some(door)));
    assert_eq!(store.door(&IngestToken::generate().hash()).await, Ok(None));
    assert_eq!(store.source(&source.id).await, Ok(Some(source.clone())));
    assert_eq!(
        store.sources_of(&source.organization).await,
        Ok(vec![source.clone()]),
        "doors are not in the list"
    );
    let secrets = store.secrets(source.id.as_str()).await.expect("secrets");
    assert_eq!(secrets[0].value.expose_secret(), "whsec_x");

    let stranger = OrganizationId::generate(now());
    assert_eq!(store.sources_of(&stranger).await, Ok(vec![]));
    assert_eq!(
        store.delete_source(&stranger, &source.id).await,
        Ok(false),
        "not theirs"
    );
    assert_eq!(store.delete_source(&source.organization, &source.id).await, Ok(true));
    assert_eq!(store.delete_source(&source.organization, &source.id).await, Ok(false));
    assert_eq!(store.door(&token.hash()).await, Ok(None));
    assert!(store.secrets(source.id.as_str()).await.expect("secrets").is_empty());
}

fn webhook(organization: &OrganizationId) -> Webhook {
    Webhook {
        id: WebhookId::generate(now()),
        organization: organization.clone(),
        name: "n".into(),
        url: DestinationUrl::parse("https://example.com/hook", HttpPolicy::HttpsOnly).expect("a good URL"),
        filter: serde_json::from_str(r#"{"types":["a.*"]}"#).expect("a good filter"),
        format: Format::Raw,
        enabled: true,
        created_at: now(),
    }
}

async fn webhooks_count_their_sets_version(store: &Dynamo) {
    let organization = OrganizationId::generate(now());
    assert!(store.webhook_set(&organization).await.expect("set").webhooks.is_empty());
    let secret = TimedSecret {
        value: "whsec_x".into(),
        created_at: now(),
        expires_at: None,
    };
    let (first, second) = (webhook(&organization), webhook(&organization));
    for webhook in [&first, &second] {
        store
            .create_webhook(webhook, std::slice::from_ref(&secret))
            .await
            .expect("create");
    }
    assert_eq!(store.create_webhook(&first, &[]).await, Err(StoreError::Conflict));
    let ids = |webhooks: &[Webhook]| {
        webhooks
            .iter()
            .map(|webhook| webhook.id.clone())
            .collect::<HashSet<_>>()
    };
    let both = HashSet::from([first.id.clone(), second.id.clone()]);
    assert_eq!(
        ids(&store.webhook_set(&organization).await.expect("set").webhooks),
        both
    );
    let cached = store.webhook_set(&organization).await.expect("set");
    assert!(
        Arc::ptr_eq(
            &cached.webhooks,
            &store.webhook_set(&organization).await.expect("set").webhooks
        ),
        "cached"
    );
    assert_eq!(ids(&store.webhooks_of(&organization).await.expect("list")), both);
    assert_eq!(store.webhook(&organization, &first.id).await, Ok(Some(first.clone())));

    let stranger = OrganizationId::generate(now());
    assert_eq!(store.webhook(&stranger, &first.id).await, Ok(None));
    assert_eq!(store.delete_webhook(&stranger, &first.id).await, Ok(false));
    assert_eq!(store.delete_webhook(&organization, &first.id).await, Ok(true));
    let left = store.webhook_set(&organization).await.expect("set");
    assert_eq!(
        ids(&left.webhooks),
        HashSet::from([second.id]),
        "the next reading knows"
    );
    assert!(store.secrets(first.id.as_str()).await.expect("secrets").is_empty());
}

async fn health_is_an_item_of_its_own(store: &Dynamo) {
    let webhook = webhook(&OrganizationId::generate(now()));
    let organization = &webhook.organization;
    store.create_webhook(&webhook, &[]).await.expect("create");
    let health = Health {
        webhook: webhook.id.clone(),
        failing_since: Some(now()),
    };
    store.set_failing(organization, &health).await.expect("set");
    let later = Health {
        failing_since: Some(now() + SignedDuration::from_secs(60)),
        ..health.clone()
    };
    store.set_failing(organization, &later).await.expect("set again");
    let set = store.webhook_set(organization).await.expect("set");
    assert_eq!(set.failing.get(&webhook.id), Some(&health), "the first time stands");
    assert_eq!(set.webhooks.len(), 1);
    store.clear_failing(organization, &webhook.id).await.expect("clear");
    store
        .clear_failing(organization, &webhook.id)
        .await
        .expect("clear again");
    assert!(store.webhook_set(organization).await.expect("set").failing.is_empty());
}

fn delivery(webhook: &WebhookId) -> Delivery {
    let organization = OrganizationId::generate(now());
    Delivery {
        event: event(&organization, None, "msg_1").id,
        webhook: webhook.clone(),
        organization,
        status: DeliveryStatus::Due,
        created_at: now(),
        next_attempt: Some(now()),
        attempts: vec![],
        fence: 0,
    }
}

async fn a_delivery_is_created_once_and_updated_under_its_fence(store: &Dynamo) {
    let first = delivery(&WebhookId::generate(now()));
    let second = Delivery {
        webhook: WebhookId::generate(now()),
        ..first.clone()
    };
    assert_eq!(store.deliveries_of(&first.event).await, Ok(vec![]));
    assert_eq!(store.create_delivery(&first).await, Ok(true));
    assert_eq!(store.create_delivery(&first).await, Ok(false));
    assert_eq!(store.create_delivery(&second).await, Ok(true));
    assert_eq!(store.deliveries_of(&first.event).await.expect("list").len(), 2);

    let mut tried = Delivery {
        fence: 5,
        ..first.clone()
    };
    tried.record(Attempt {
        at: now(),
        duration_ms: 7,
        status: Some(500),
        error: Some(AttemptError::Status),
        answer: Some("oops".into()),
    });
    assert_eq!(store.update_delivery(&tried).await, Ok(true));
    assert_eq!(
        store
            .update_delivery(&Delivery {
                fence: 4,
                ..tried.clone()
            })
            .await,
        Ok(false),
        "an owner of the past"
    );
    assert_eq!(
        store.delivery(&first.event, &first.webhook).await,
        Ok(Some(tried.clone()))
    );
    let done = Delivery {
        status: DeliveryStatus::Delivered,
        next_attempt: None,
        ..tried.clone()
    };
    assert_eq!(store.update_delivery(&done).await, Ok(true));
    assert_eq!(store.update_delivery(&tried).await, Ok(false), "what is done is done");
    assert_eq!(store.delivery(&first.event, &first.webhook).await, Ok(Some(done)));
    let unknown = delivery(&WebhookId::generate(now()));
    assert_eq!(
        store.update_delivery(&unknown).await,
        Ok(false),
        "an update creates nothing"
    );
}

async fn due_deliveries_are_found_in_their_bucket(store: &Dynamo) {
    let webhook = WebhookId::generate(now());
    let bucket = Delivery::bucket(&webhook);
    let soon = delivery(&webhook);
    let later = Delivery {
        next_attempt: Some(now() + SignedDuration::from_secs(60)),
        ..delivery(&webhook)
    };
    let done = Delivery {
        status: DeliveryStatus::Delivered,
        next_attempt: None,
        ..delivery(&webhook)
    };
    for delivery in [&later, &soon, &done] {
        store.create_delivery(delivery).await.expect("create");
    }
    let keys = |due: Vec<(EventId, WebhookId)>| -> Vec<EventId> {
        due.into_iter()
            .filter(|(_, found)| *found == webhook)
            .map(|(event, _)| event)
            .collect()
    };
    let at = |seconds| now() + SignedDuration::from_secs(seconds);
    assert_eq!(keys(store.due(bucket, at(-1), 100).await.expect("due")), vec![]);
    assert_eq!(
        keys(store.due(bucket, at(0), 100).await.expect("due")),
        vec![soon.event.clone()]
    );
    assert_eq!(
        keys(store.due(bucket, at(60), 100).await.expect("due")),
        vec![soon.event.clone(), later.event.clone()]
    );
    assert!(store.due(bucket, at(60), 1).await.expect("due").len() <= 1);
    assert_eq!(
        keys(store.due((bucket + 1) % 16, at(60), 100).await.expect("due")),
        vec![]
    );
    store
        .update_delivery(&Delivery {
            status: DeliveryStatus::Delivered,
            next_attempt: None,
            ..soon
        })
        .await
        .expect("update");
    assert_eq!(
        keys(store.due(bucket, at(60), 100).await.expect("due")),
        vec![later.event],
        "the index is sparse"
    );
}

async fn a_lease_is_held_by_one_owner_at_a_time(store: &Dynamo) {
    // A bucket that no other case uses, and times of its own.
    let (bucket, at) = (99, |seconds: i64| now() + SignedDuration::from_secs(seconds));
    let mine = store
        .take_lease(bucket, "a", at(0), at(60))
        .await
        .expect("take")
        .expect("free");
    assert_eq!(store.take_lease(bucket, "b", at(59), at(120)).await, Ok(None), "held");
    let mine = store
        .renew_lease(&mine, at(90))
        .await
        .expect("renew")
        .expect("still mine");
    assert_eq!(mine.until, at(90));
    let theirs = store
        .take_lease(bucket, "b", at(90), at(150))
        .await
        .expect("take")
        .expect("it had ended");
    assert!(theirs.fence > mine.fence);
    assert_eq!(
        store.renew_lease(&mine, at(200)).await,
        Ok(None),
        "it has passed to another"
    );
    store.release_lease(&mine).await.expect("nothing happens");
    assert_eq!(
        store.take_lease(bucket, "c", at(100), at(160)).await,
        Ok(None),
        "still theirs"
    );
    store.release_lease(&theirs).await.expect("release");
    let again = store
        .take_lease(bucket, "c", at(100), at(160))
        .await
        .expect("take")
        .expect("given back");
    assert!(again.fence > theirs.fence);
    store.release_lease(&again).await.expect("release");
}

async fn organizations_and_keys(store: &Dynamo) {
    let organization = Organization {
        id: OrganizationId::generate(now()),
        name: "Example".into(),
        created_at: now(),
    };
    let key = |name: &str| ApiKey {
        id: KeyId::generate(now()),
        organization: organization.id.clone(),
        role: Role::Admin,
        name: name.into(),
        created_at: now(),
    };
    let (first, second) = (key("first"), key("second"));
    let (first_hash, second_hash) = (ApiKeyText::generate().hash(), ApiKeyText::generate().hash());
    assert_eq!(
        store.add_key(&second, &second_hash).await,
        Err(StoreError::Conflict),
        "no such organization yet"
    );
    store
        .create_organization(&organization, &first, &first_hash)
        .await
        .expect("create");
    assert_eq!(
        store.create_organization(&organization, &first, &first_hash).await,
        Err(StoreError::Conflict)
    );
    store.add_key(&second, &second_hash).await.expect("add");
    assert_eq!(store.key(&first_hash).await, Ok(Some(first.clone())));
    assert_eq!(store.key(&second_hash).await, Ok(Some(second.clone())));
    assert_eq!(store.key(&ApiKeyText::generate().hash()).await, Ok(None));
    assert_eq!(
        store.organization(&organization.id).await,
        Ok(Some(organization.clone()))
    );
    let keys: HashSet<KeyId> = store
        .keys_of(&organization.id)
        .await
        .expect("keys")
        .into_iter()
        .collect();
    assert_eq!(keys, HashSet::from([first.id, second.id]));
}
