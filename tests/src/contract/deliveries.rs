//! Deliveries, what of them is due, and leases.

use jiff::{SignedDuration, Timestamp};
use payload::delivery::{Attempt, AttemptError, Delivery, DeliveryStatus};
use payload::{EventId, OrganizationId, WebhookId};
use store::{Deliveries, Due, DueQueue, Dynamo, Events, PutEvent};

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
        replay: Default::default(),
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
    assert_eq!(store.create_delivery(&first, None).await, Ok(true));
    assert_eq!(
        store.create_delivery(&first, None).await,
        Ok(true),
        "it is what is written, as after a repetition of the client's own"
    );
    let other = Delivery {
        fence: 1,
        ..first.clone()
    };
    assert_eq!(
        store.create_delivery(&other, None).await,
        Ok(false),
        "that record stands"
    );
    assert_eq!(store.create_delivery(&second, None).await, Ok(true));
    assert_eq!(store.deliveries_of(&first.event).await.expect("list").len(), 2);

    let mut tried = Delivery {
        fence: 5,
        ..first.clone()
    };
    tried.record(Attempt {
        throttled: false,
        at: now(),
        duration_ms: 7,
        status: Some(500),
        error: Some(AttemptError::Status),
        answer: Some("oops".into()),
    });
    assert_eq!(store.update_delivery(&tried, None).await, Ok(true));
    assert_eq!(
        store
            .update_delivery(
                &Delivery {
                    fence: 4,
                    ..tried.clone()
                },
                None
            )
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
    assert_eq!(store.update_delivery(&done, None).await, Ok(true));
    assert_eq!(
        store.update_delivery(&tried, None).await,
        Ok(false),
        "what is done is done"
    );
    assert_eq!(store.delivery(&first.event, &first.webhook).await, Ok(Some(done)));
    let unknown = delivery(&WebhookId::generate(now()));
    assert_eq!(
        store.update_delivery(&unknown, None).await,
        Ok(false),
        "an update creates nothing"
    );
}

pub(super) async fn what_tells_of_an_outcome_is_stored_with_it(store: &Dynamo) {
    let first = delivery(&WebhookId::generate(now()));
    let news = |name: &str| event(&first.organization, None, name);
    let stored = async |name: &str| store.event(&news(name).id).await.expect("read").is_some();
    assert_eq!(store.create_delivery(&first, Some(&news("made"))).await, Ok(true));
    assert!(stored("made").await);
    let other = Delivery {
        fence: 1,
        ..first.clone()
    };
    assert_eq!(store.create_delivery(&other, Some(&news("other"))).await, Ok(false));
    assert!(!stored("other").await, "all or nothing");
    let done = Delivery {
        status: DeliveryStatus::Exhausted,
        next_attempt: None,
        ..first.clone()
    };
    // What was told already keeps nothing from being written.
    assert_eq!(store.put_event(&news("done")).await, Ok(PutEvent::Stored));
    assert_eq!(store.update_delivery(&done, Some(&news("done"))).await, Ok(true));
    assert_eq!(
        store.delivery(&first.event, &first.webhook).await,
        Ok(Some(done.clone()))
    );
    assert_eq!(
        store.update_delivery(&done, Some(&news("done"))).await,
        Ok(true),
        "it is what is written"
    );
    let late = Delivery { fence: 9, ..done };
    assert_eq!(store.update_delivery(&late, Some(&news("late"))).await, Ok(false));
    assert!(!stored("late").await);
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
        store.create_delivery(delivery, None).await.expect("create");
    }
    assert_eq!(
        store.is_any_waiting().await,
        Ok(true),
        "now or later, in whatever bucket"
    );
    let keys = |due: Vec<Due>| -> Vec<EventId> {
        due.into_iter()
            .filter(|due| due.webhook == webhook)
            .map(|due| due.event)
            .collect()
    };
    let at = |seconds| now() + SignedDuration::from_secs(seconds);
    let always = Timestamp::UNIX_EPOCH;
    assert_eq!(
        keys(store.due(bucket, always, at(-1), None, 100).await.expect("due")),
        vec![]
    );
    assert_eq!(
        keys(store.due(bucket, always, at(0), None, 100).await.expect("due")),
        vec![soon.event.clone()]
    );
    assert_eq!(
        keys(store.due(bucket, always, at(60), None, 100).await.expect("due")),
        vec![soon.event.clone(), later.event.clone()]
    );
    assert!(store.due(bucket, always, at(60), None, 1).await.expect("due").len() <= 1);
    assert_eq!(
        keys(
            store
                .due((bucket + 1) % 16, always, at(60), None, 100)
                .await
                .expect("due")
        ),
        vec![]
    );
    let all = store.due(bucket, always, at(60), None, 100).await.expect("due");
    let behind = |due: &Due| all.iter().filter(|other| *other > due).cloned().collect::<Vec<_>>();
    for due in &all {
        let next = store.due(bucket, always, at(60), Some(due), 100).await.expect("due");
        assert_eq!(next, behind(due), "what stands behind it, and no other");
    }
    assert_eq!(
        keys(store.due(bucket, at(1), at(60), None, 100).await.expect("due")),
        vec![later.event.clone()]
    );
    store
        .update_delivery(
            &Delivery {
                status: DeliveryStatus::Delivered,
                next_attempt: None,
                ..soon
            },
            None,
        )
        .await
        .expect("update");
    assert_eq!(
        keys(store.due(bucket, always, at(60), None, 100).await.expect("due")),
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
