//! Lists, page by page: nothing is left out and nothing comes twice, in whichever order and however small the pages.

use jiff::{SignedDuration, Timestamp};
use payload::delivery::{Attempt, Delivery, DeliveryStatus};
use payload::receipt::{ReceiptOutcome, ReceiptStatus};
use payload::{Event, EventId, OrganizationId, ReceiptId, SourceId, WebhookId};
use store::lists::{
    Answers, DeliveryKey, DeliveryLists, EventKey, EventLists, EventsWanted, Order, OutcomeLists, OutcomesWanted, Page,
    Place, ReceiptKey, Span, Walk,
};
use store::{Deliveries, Dynamo, Events, Receipts, StoreError};

use super::{event, now};

fn at(seconds: i64) -> Timestamp {
    now() + SignedDuration::from_secs(seconds)
}

/// All pages of a list, with how many there were.
async fn all<T, K: Clone>(
    span: Span,
    order: Order,
    limit: usize,
    mut read: impl AsyncFnMut(Walk<'_, K>) -> Result<Page<T, K>, StoreError>,
) -> (Vec<T>, usize) {
    let (mut rows, mut pages) = (Vec::new(), 0);
    let mut after: Option<Place<K>> = None;
    loop {
        let walk = Walk {
            span,
            order,
            after: after.as_ref(),
            limit,
        };
        let page = read(walk).await.expect("a page");
        assert!(page.rows.len() <= limit);
        rows.extend(page.rows);
        pages += 1;
        after = match page.next {
            Some(next) => Some(next),
            None => return (rows, pages),
        };
        assert!(pages < 1000, "the list has no end");
    }
}

/// Events of one organization, three of each second, of which two of one type.
async fn put_events(store: &Dynamo, organization: &OrganizationId, seconds: i64) -> Vec<Event> {
    let mut events = Vec::new();
    for number in 0..seconds * 3 {
        let mut event = event(organization, Some(ReceiptId::generate(now())), &format!("msg_{number}"));
        event.received_at = at(number / 3);
        event.meta.timestamp = at(-number);
        if number % 3 == 0 {
            event.meta.event_type = "b.deleted".into();
        }
        store.put_event(&event).await.expect("put");
        events.push(event);
    }
    events
}

pub(super) async fn events_come_page_by_page(store: &Dynamo) {
    let organization = OrganizationId::generate(now());
    let mut events = put_events(store, &organization, 10).await;
    put_events(store, &OrganizationId::generate(now()), 2).await;
    events.sort_by_key(|event| (event.received_at, event.id.clone()));
    let ids = |events: &[Event]| -> Vec<EventId> { events.iter().map(|event| event.id.clone()).collect() };
    let listed = async |wanted: &EventsWanted, span, order, limit| {
        let (rows, pages) = all(span, order, limit, async |walk: Walk<'_, EventKey>| {
            store.events_page(&organization, wanted, walk).await
        })
        .await;
        // Within one millisecond the order is the engine's; times are in order.
        let times: Vec<Timestamp> = rows.iter().map(|row| row.received_at).collect();
        assert!(match order {
            Order::Ascending => times.is_sorted(),
            Order::Descending => times.is_sorted_by(|one, other| one >= other),
        });
        let mut rows: Vec<EventId> = {
            let mut keys: Vec<_> = rows.into_iter().map(|row| (row.received_at, row.id)).collect();
            keys.sort();
            keys.into_iter().map(|(_, id)| id).collect()
        };
        let before = rows.len();
        rows.dedup();
        assert_eq!(rows.len(), before, "nothing comes twice");
        (rows, pages)
    };
    let everything = EventsWanted::default();
    for order in [Order::Ascending, Order::Descending] {
        for limit in [1, 7, 30, 100] {
            let (rows, pages) = listed(&everything, Span::default(), order, limit).await;
            assert_eq!(rows, ids(&events), "{order:?} {limit}");
            assert!(pages <= 30 / limit + 2, "{pages} pages of {limit}");
        }
        let span = Span {
            since: Some(at(2)),
            until: Some(at(5)),
        };
        assert_eq!(listed(&everything, span, order, 4).await.0, ids(&events[6..15]));
        let nothing = Span {
            since: Some(at(100)),
            until: None,
        };
        assert_eq!(listed(&everything, nothing, order, 4).await, (vec![], 1));
    }
    let wanted = EventsWanted {
        event_type: Some("b.*".parse().expect("a pattern")),
        ..EventsWanted::default()
    };
    let deleted: Vec<Event> = events
        .iter()
        .filter(|event| event.meta.event_type == "b.deleted")
        .cloned()
        .collect();
    assert_eq!(
        listed(&wanted, Span::default(), Order::Descending, 3).await.0,
        ids(&deleted)
    );
    // Those of one receipt, in the millisecond that it has in its events.
    let wanted = EventsWanted {
        receipt: events[4].receipt.clone(),
        ..EventsWanted::default()
    };
    let second = Span {
        since: Some(at(1)),
        until: Some(at(1) + SignedDuration::from_millis(1)),
    };
    for span in [Span::default(), second] {
        assert_eq!(listed(&wanted, span, Order::Ascending, 3).await.0, ids(&events[4..5]));
    }
    let wanted = EventsWanted {
        source: Some(SourceId::generate(now())),
        ..EventsWanted::default()
    };
    assert_eq!(listed(&wanted, Span::default(), Order::Descending, 3).await.0, vec![]);
}

pub(super) async fn an_event_is_found_by_its_providers_id(store: &Dynamo) {
    let organization = OrganizationId::generate(now());
    let events = put_events(store, &organization, 1).await;
    let others = put_events(store, &OrganizationId::generate(now()), 1).await;
    let found = async |organization: &OrganizationId, id: &str| {
        let wanted = EventsWanted {
            provider_event_id: Some(id.into()),
            ..EventsWanted::default()
        };
        let walk = Walk {
            span: Span::default(),
            order: Order::Descending,
            after: None,
            limit: 10,
        };
        let page = store.events_page(organization, &wanted, walk).await.expect("a page");
        assert_eq!(page.next, None);
        page.rows
    };
    let rows = found(&organization, "msg_1").await;
    assert_eq!(rows.len(), 1);
    let (row, event) = (&rows[0], &events[1]);
    assert_eq!((&row.id, &row.receipt, &row.source), (&event.id, &event.receipt, &None));
    assert_eq!(
        (row.received_at, row.timestamp),
        (event.received_at, event.meta.timestamp)
    );
    assert_eq!(row.event_type, event.meta.event_type);
    assert_eq!(found(&others[0].organization, "msg_1").await[0].id, others[1].id);
    assert_eq!(found(&organization, "msg_9").await, vec![]);
    assert_eq!(found(&organization, "").await, vec![]);
}

pub(super) async fn a_place_leads_nowhere_else(store: &Dynamo) {
    let (ours, theirs) = (OrganizationId::generate(now()), OrganizationId::generate(now()));
    let our_events = put_events(store, &ours, 2).await;
    put_events(store, &theirs, 4).await;
    let page = async |organization: &OrganizationId, span, order, after: Option<&Place<EventKey>>, limit| {
        let walk = Walk {
            span,
            order,
            after,
            limit,
        };
        store
            .events_page(organization, &EventsWanted::default(), walk)
            .await
            .expect("a page")
    };
    let all = Span::default();
    // Of another's list, of shards that are not there, before and behind all that there is.
    let foreign = page(&theirs, all, Order::Ascending, None, 5).await.next.expect("more");
    let is_ours = |id: &EventId| our_events.iter().any(|event| event.id == *id);
    for place in [
        foreign,
        Place(vec![]),
        Place(vec![None; 50]),
        Place(vec![Some(EventKey(i64::MIN, our_events[0].id.clone())); 4]),
        Place(vec![Some(EventKey(i64::MAX, our_events[0].id.clone())); 4]),
        Place(vec![
            Some(EventKey(at(1).as_millisecond(), our_events[0].id.clone()));
            4
        ]),
    ] {
        for order in [Order::Ascending, Order::Descending] {
            let found = page(&ours, all, order, Some(&place), 100).await;
            assert!(found.rows.iter().all(|row| is_ours(&row.id)), "{place:?}");
        }
    }
    // A place outside of the span that is asked for now.
    // The place behind a row is where the page ends that has no more than that row.
    let first = page(&ours, all, Order::Descending, None, 1).await;
    let behind = Place::behind(None, &first.rows[0]);
    let (one, other) = (first.next.expect("more"), &behind);
    let rest = page(&ours, all, Order::Descending, Some(&one), 10).await;
    assert_eq!(page(&ours, all, Order::Descending, Some(other), 10).await, rest);
    assert_eq!(rest.rows.len(), 5);
    let late = Place(vec![
        Some(EventKey(at(1).as_millisecond(), our_events[3].id.clone()));
        4
    ]);
    let span = Span {
        since: None,
        until: Some(at(1)),
    };
    assert_eq!(page(&ours, span, Order::Ascending, Some(&late), 10).await.rows, vec![]);
    assert_eq!(
        page(&ours, span, Order::Descending, Some(&late), 10).await.rows.len(),
        3
    );
}

pub(super) async fn what_arrives_between_pages_is_not_part_of_the_list(store: &Dynamo) {
    let everything = EventsWanted::default();
    for limit in [1, 4] {
        let organization = OrganizationId::generate(now());
        let events = put_events(store, &organization, 2).await;
        let mut second = 1;
        let (rows, pages) = all(
            Span::default(),
            Order::Descending,
            limit,
            async |walk: Walk<'_, EventKey>| {
                let page = store.events_page(&organization, &everything, walk).await;
                second += 1;
                assert!(second < 20, "the list has no end");
                // Enough for each shard to get some.
                for number in 0..12 {
                    let mut event = event(&organization, None, &format!("new_{second}_{number}"));
                    event.received_at = at(second);
                    store.put_event(&event).await.expect("put");
                }
                page
            },
        )
        .await;
        let mut listed: Vec<EventId> = rows.into_iter().map(|row| row.id).collect();
        let mut there: Vec<EventId> = events.into_iter().map(|event| event.id).collect();
        listed.sort();
        there.sort();
        assert_eq!(listed, there, "{limit}");
        assert!(pages <= 6 / limit + 2, "{pages} pages of {limit}");
    }
    // In front of a row nothing is passed over, and what is newer is left out.
    let organization = OrganizationId::generate(now());
    put_events(store, &organization, 3).await;
    let rows = async |after: Option<&Place<EventKey>>| {
        let walk = Walk {
            span: Span::default(),
            order: Order::Descending,
            after,
            limit: 100,
        };
        let page = store.events_page(&organization, &everything, walk).await;
        page.expect("a page").rows
    };
    let all = rows(None).await;
    for (number, row) in all.iter().enumerate() {
        let behind = rows(Some(&Place::in_front_of(row))).await;
        let newer = number - number % 3;
        assert_eq!(behind, all[newer..], "{number}");
    }
}

pub(super) async fn outcomes_come_page_by_page(store: &Dynamo) {
    let organization = OrganizationId::generate(now());
    let sources = [SourceId::generate(now()), SourceId::generate(now())];
    let mut outcomes = Vec::new();
    for number in 0..12_usize {
        let received_at = at(i64::try_from(number).expect("small"));
        let outcome = ReceiptOutcome {
            id: ReceiptId::generate(received_at),
            organization: organization.clone(),
            source: sources[number % 2].clone(),
            status: match number % 3 {
                0 => ReceiptStatus::Duplicate {
                    event: event(&organization, None, "msg_1").id,
                },
                _ => ReceiptStatus::Rejected {
                    reason: "signature_mismatch".into(),
                    detail: "why".into(),
                    hint: None,
                },
            },
            received_at,
        };
        store.put_outcome(&outcome).await.expect("put");
        outcomes.push(outcome);
    }
    let listed = async |wanted: OutcomesWanted, span, order| {
        let (rows, _) = all(span, order, 5, async |walk: Walk<'_, ReceiptKey>| {
            store.outcomes_page(&organization, &wanted, walk).await
        })
        .await;
        rows
    };
    let any = OutcomesWanted::default;
    assert_eq!(listed(any(), Span::default(), Order::Ascending).await, outcomes);
    let newest_first: Vec<_> = outcomes.iter().rev().cloned().collect();
    assert_eq!(listed(any(), Span::default(), Order::Descending).await, newest_first);
    let span = Span {
        since: Some(at(3)),
        until: Some(at(7)),
    };
    assert_eq!(listed(any(), span, Order::Ascending).await, outcomes[3..7]);
    let wanted = OutcomesWanted {
        source: Some(sources[1].clone()),
        status: Some("duplicate"),
    };
    assert_eq!(
        listed(wanted, Span::default(), Order::Ascending).await,
        [outcomes[3].clone(), outcomes[9].clone()]
    );
}

fn delivery(organization: &OrganizationId, webhook: &WebhookId, number: i64, status: DeliveryStatus) -> Delivery {
    Delivery {
        event: event(organization, None, &format!("msg_{number}")).id,
        webhook: webhook.clone(),
        organization: organization.clone(),
        status,
        created_at: at(number),
        next_attempt: (status == DeliveryStatus::Due).then(|| at(number + 60)),
        attempts: vec![],
        replay: payload::delivery::Replay::default(),
        fence: 0,
    }
}

pub(super) async fn deliveries_come_by_webhook_and_by_what_is_unsettled(store: &Dynamo) {
    use DeliveryStatus::{Cancelled, Delivered, Due, Exhausted};
    let (organization, stranger) = (OrganizationId::generate(now()), OrganizationId::generate(now()));
    let (webhook, other) = (WebhookId::generate(now()), WebhookId::generate(at(1)));
    let statuses = [Due, Delivered, Exhausted, Delivered, Cancelled, Due];
    let mut deliveries = Vec::new();
    for (number, status) in (0..).zip(statuses) {
        let delivery = delivery(&organization, &webhook, number, status);
        assert_eq!(store.create_delivery(&delivery, None).await, Ok(true));
        deliveries.push(delivery);
    }
    let beside = delivery(&organization, &other, 2, Due);
    assert_eq!(store.create_delivery(&beside, None).await, Ok(true));
    let to = async |organization: &OrganizationId, status| {
        let read = async |walk: Walk<'_, DeliveryKey>| store.deliveries_to(organization, &webhook, status, walk).await;
        all(Span::default(), Order::Ascending, 2, read).await.0
    };
    assert_eq!(to(&organization, None).await, deliveries);
    assert_eq!(
        to(&organization, Some(Delivered)).await,
        [deliveries[1].clone(), deliveries[3].clone()]
    );
    assert_eq!(to(&stranger, None).await, []);
    let unsettled = async |organization: &OrganizationId, status| {
        let read = async |walk: Walk<'_, DeliveryKey>| store.unsettled(organization, status, walk).await;
        all(Span::default(), Order::Descending, 2, read).await.0
    };
    let mut due = unsettled(&organization, Due).await;
    due.sort_by_key(|delivery| delivery.created_at);
    assert_eq!(due, [deliveries[0].clone(), beside.clone(), deliveries[5].clone()]);
    assert_eq!(unsettled(&organization, Exhausted).await, [deliveries[2].clone()]);
    assert_eq!(unsettled(&stranger, Due).await, []);
    // What is settled leaves the list.
    let done = Delivery {
        status: Delivered,
        next_attempt: None,
        ..deliveries[0].clone()
    };
    assert_eq!(store.update_delivery(&done, None).await, Ok(true));
    assert_eq!(
        unsettled(&organization, Due).await,
        [deliveries[5].clone(), beside.clone()]
    );

    let event = &deliveries[2].event;
    let of = async |after, order, limit| {
        store
            .deliveries_of_page(event, after, order, limit)
            .await
            .expect("a page")
    };
    assert_eq!(
        of(None, Order::Ascending, 5).await,
        [deliveries[2].clone(), beside.clone()]
    );
    assert_eq!(of(None, Order::Ascending, 1).await, [deliveries[2].clone()]);
    assert_eq!(
        of(Some(&webhook), Order::Ascending, 1).await,
        std::slice::from_ref(&beside)
    );
    assert_eq!(of(Some(&other), Order::Descending, 1).await, [deliveries[2].clone()]);
    assert_eq!(of(Some(&webhook), Order::Descending, 1).await, []);

    let counted = async |span, most| store.count_deliveries(&webhook, span, most).await.expect("counts");
    let counts = counted(Span::default(), 100).await;
    assert_eq!(
        (counts.due, counts.delivered, counts.exhausted, counts.cancelled),
        (1, 3, 1, 1)
    );
    assert_eq!(counts.counted_since, None);
    let counts = counted(Span::default(), 3).await;
    assert_eq!(
        (counts.due, counts.delivered, counts.exhausted, counts.cancelled),
        (1, 1, 0, 1)
    );
    assert_eq!(counts.counted_since, Some(at(3)));
    let span = Span {
        since: Some(at(2)),
        until: Some(at(4)),
    };
    let counts = counted(span, 100).await;
    assert_eq!(
        (counts.due, counts.delivered, counts.exhausted, counts.cancelled),
        (0, 1, 1, 0)
    );
}

pub(super) async fn answers_are_removed_and_nothing_else(store: &Dynamo) {
    let (organization, webhook) = (OrganizationId::generate(now()), WebhookId::generate(now()));
    let mut delivery = delivery(&organization, &webhook, 0, DeliveryStatus::Due);
    for status in [500, 503] {
        delivery.record(Attempt {
            throttled: false,
            at: now(),
            duration_ms: 7,
            status: Some(status),
            error: None,
            answer: Some("what it said".into()),
        });
    }
    assert_eq!(store.create_delivery(&delivery, None).await, Ok(true));
    let stranger = OrganizationId::generate(now());
    assert_eq!(
        store.remove_answers(&stranger, &delivery.event, &webhook).await,
        Ok(false)
    );
    assert_eq!(
        store.delivery(&delivery.event, &webhook).await,
        Ok(Some(delivery.clone()))
    );
    for _ in 0..2 {
        assert_eq!(
            store.remove_answers(&organization, &delivery.event, &webhook).await,
            Ok(true)
        );
        delivery.attempts[1].answer = None;
        assert_eq!(
            store.delivery(&delivery.event, &webhook).await,
            Ok(Some(delivery.clone()))
        );
    }
    let unknown = event(&organization, None, "msg_9").id;
    assert_eq!(store.remove_answers(&organization, &unknown, &webhook).await, Ok(false));
}
