//! Deliveries, what of them is due, and leases.

use jiff::SignedDuration;
use payload::delivery::{Attempt, AttemptError, Delivery, DeliveryStatus};
use payload::{EventId, OrganizationId, WebhookId};
use store::{Deliveries, DueQueue, Dynamo};

use super::{event, now};

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

pub(super) async fn a_delivery_is_created_once_and_updated_under_its_fence(store: &Dynamo) {
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

pub(super) async fn due_deliveries_are_found_in_their_bucket(store: &Dynamo) {
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

pub(super) async fn a_lease_is_held_by_one_owner_at_a_time(store: &Dynamo) {
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
