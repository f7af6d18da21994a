//! The contract of the store: what every engine under it must do. The same suite runs on the embedded engine and on Amazon's DynamoDB
//! Local. Each case makes its own organization, so that all can share one database.

mod deliveries;
mod history;
mod jobs;
mod lists;
mod operator;
mod registry;
mod reverification;
mod sources;
mod webhooks;

use std::sync::Arc;

use jiff::Timestamp;
use payload::event::{Content, EventMeta};
use payload::id::Identity;
use payload::receipt::{Header, ReceiptOutcome, ReceiptStatus};
use payload::{Event, EventId, OrganizationId, Receipt, ReceiptId, SourceId};
use store::{Dynamo, Events, Inbox, PutEvent, RawReceipts, Receipts, StoreError};

/// Runs every case, one after another.
pub async fn run(store: &Arc<Dynamo>) {
    receipts_are_stored_and_too_large_ones_refused(store).await;
    an_event_is_stored_once_whoever_comes_first(store).await;
    one_of_many_concurrent_puts_wins(store).await;
    outcomes_of_receipts_are_kept(store).await;
    reverification::a_receipt_is_marked_for_another_verification(store).await;
    reverification::rejected_receipts_are_found_by_source_and_time(store).await;
    reverification::the_health_of_a_source_adds_up(store).await;
    sources::sources_their_doors_and_secrets_come_and_go_together(store).await;
    sources::a_source_is_replaced_with_its_doors_and_secrets(store).await;
    sources::the_url_that_a_provider_calls_lies_with_the_secrets(store).await;
    sources::sources_come_in_pages(store).await;
    sources::of_concurrent_changes_of_a_source_one_wins(store).await;
    webhooks::they_count_their_sets_version(store).await;
    webhooks::one_is_replaced_with_its_secrets(store).await;
    webhooks::of_concurrent_changes_one_wins(store).await;
    webhooks::a_change_of_the_secrets_alone_is_a_change(store).await;
    webhooks::of_concurrent_changes_of_the_secrets_one_wins(store).await;
    webhooks::their_secrets_come_back_as_they_were(store).await;
    webhooks::health_is_an_item_of_its_own(store).await;
    webhooks::each_change_of_health_is_news_once(store).await;
    webhooks::enabling_takes_back_what_was_disabled(store).await;
    deliveries::a_delivery_is_created_once_and_updated_under_its_fence(store).await;
    deliveries::what_tells_of_an_outcome_is_stored_with_it(store).await;
    deliveries::due_deliveries_are_found_in_their_bucket(store).await;
    deliveries::a_lease_is_held_by_one_owner_at_a_time(store).await;
    registry::organizations_and_keys(store).await;
    operator::organizations_are_listed_and_changed(store).await;
    operator::a_suspension_stands_where_each_step_looks(store).await;
    operator::tables_are_read_in_segments_and_pages(store).await;
    operator::what_is_counted_is_what_is_there(store).await;
    operator::what_is_deleted_is_its_own(store).await;
    operator::everything_beside_events_is_erased(store).await;
    registry::a_change_and_its_entry_in_the_trail_are_one_write(store).await;
    registry::the_audit_trail_is_read_both_ways(store).await;
    registry::a_request_with_an_idempotency_key_is_carried_out_once(store).await;
    history::what_a_webhook_was_is_kept_with_its_change(store).await;
    history::what_was_disabled_and_deleted_is_kept(store).await;
    history::history_is_read_up_to_some_megabytes(store).await;
    lists::events_come_page_by_page(store).await;
    lists::an_event_is_found_by_its_providers_id(store).await;
    lists::a_place_leads_nowhere_else(store).await;
    lists::what_arrives_between_pages_is_not_part_of_the_list(store).await;
    lists::outcomes_come_page_by_page(store).await;
    lists::deliveries_come_by_webhook_and_by_what_is_unsettled(store).await;
    lists::answers_are_removed_and_nothing_else(store).await;
    jobs::a_job_runs_until_it_ends(store).await;
    jobs::a_cancelled_job_is_written_by_nobody(store).await;
    jobs::an_organization_has_so_many_jobs_at_a_time(store).await;
    jobs::an_answer_that_is_removed_does_not_come_back(store).await;
    jobs::jobs_are_listed_newest_first(store).await;
    jobs::a_job_is_worked_on_by_one_owner_at_a_time(store).await;
    jobs::a_delivery_is_asked_for_as_it_was_read(store).await;
    jobs::what_is_due_is_brought_forward_as_it_was_read(store).await;
    jobs::events_and_deliveries_are_found_by_time(store).await;
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
        scheme: Some("none".into()),
        trace: payload::TraceId::parse("4bf92f3577b34da6a3ce929d0e0e4736"),
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
        hops: 0,
        trace: payload::TraceId::parse("4bf92f3577b34da6a3ce929d0e0e4736"),
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
            locales: None,
            links: vec![],
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
    let empty = receipt(vec![]);
    store.put_receipt(&empty).await.expect("an empty body is a body");
    assert_eq!(store.receipt(&empty.id).await, Ok(Some(empty)));
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
            hint: None,
        },
        received_at: now(),
    };
    assert_eq!(store.outcome(&outcome.id).await, Ok(None));
    store.put_outcome(&outcome).await.expect("put");
    store.put_outcome(&outcome).await.expect("repeating it changes nothing");
    assert_eq!(store.outcome(&outcome.id).await, Ok(Some(outcome)));
}
