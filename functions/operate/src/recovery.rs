//! What a lost stream was to bring, once more: receipts to verification, events to the webhooks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use delivery::{Deadline, Memo};
use futures::{StreamExt, TryStreamExt, stream};
use payload::delivery::Delivery;
use payload::event::MAX_HOPS;
use payload::filter::Matcher;
use payload::source_health::Again;
use payload::{Clock, Event, OrganizationId};
use serde_json::{Value, json};
use store::{ReceiptKey, Span, StoreError, WebhookSet};

use crate::audit::Action;
use crate::command::Recovery;
use crate::progress::{self, ScanPlace};
use crate::usage::checked_span;
use crate::{FailedRecords, Operate, OperateError, Store};

/// An organization's webhooks as they are now, and what they want.
#[derive(Debug)]
pub(crate) struct Wanted {
    set: WebhookSet,
    matcher: Matcher,
}

/// The webhooks of the organizations that a page is about, each read once.
pub(crate) type Sets = Memo<OrganizationId, Result<Arc<Wanted>, StoreError>>;

/// What was recovered, by organization.
#[derive(Debug, Default)]
pub(crate) struct Recovered(Mutex<BTreeMap<OrganizationId, u64>>);

impl Recovered {
    pub(crate) fn add(&self, organization: &OrganizationId) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(organization.clone()).or_default() += 1;
    }

    fn into_inner(self) -> BTreeMap<OrganizationId, u64> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Store, F: FailedRecords, C: Clock> Operate<S, F, C> {
    pub(crate) async fn recover_receipts(&self, asked: Recovery, deadline: Deadline) -> Result<Value, OperateError> {
        const ACTION: &str = "recoverReceipts";
        let span = self.span(&asked)?;
        let mut place: ScanPlace = progress::read(ACTION, asked.next.as_deref())?;
        let recovered = Recovered::default();
        let page = async |segment| {
            Ok(self
                .store
                .scan_receipts(&segment, None, span, self.settings.page)
                .await?)
        };
        let work = async |receipts: Vec<ReceiptKey>| {
            stream::iter(receipts)
                .map(|receipt| self.recover_receipt(receipt, asked.include_handled, &recovered))
                .buffer_unordered(self.settings.concurrency)
                .try_collect::<()>()
                .await
        };
        let examined = self.scan(&mut place, &deadline, page, work).await;
        let of = self.note_recovered(Action::ReceiptsRecovered, span, recovered).await?;
        answer(ACTION, &place, examined?, of)
    }

    pub(crate) async fn recover_events(&self, asked: Recovery, deadline: Deadline) -> Result<Value, OperateError> {
        const ACTION: &str = "recoverEvents";
        if asked.include_handled {
            return Err(OperateError::invalid("includeHandled", "is for receipts"));
        }
        let span = self.span(&asked)?;
        let mut place: ScanPlace = progress::read(ACTION, asked.next.as_deref())?;
        let recovered = Recovered::default();
        let page = async |segment| Ok(self.store.scan_events(&segment, span, self.settings.page).await?);
        let work = async |events: Vec<Event>| {
            let sets = &Sets::default();
            stream::iter(events)
                .map(|event| self.recover_event(event, sets, &recovered))
                .buffer_unordered(self.settings.concurrency)
                .try_collect::<()>()
                .await
        };
        let examined = self.scan(&mut place, &deadline, page, work).await;
        let of = self.note_recovered(Action::EventsRecovered, span, recovered).await?;
        answer(ACTION, &place, examined?, of)
    }

    fn span(&self, asked: &Recovery) -> Result<Span, OperateError> {
        checked_span(asked.since, asked.until.unwrap_or_else(|| self.clock.now()))
    }

    /// Hands a receipt to verification again, unless it is known what became of it.
    ///
    /// One that became an event would be recognised as its own retry; but were its source changed or deleted since, it would be recorded as
    /// rejected beside its event. So it is left alone.
    pub(crate) async fn recover_receipt(
        &self,
        receipt: ReceiptKey,
        include_handled: bool,
        recovered: &Recovered,
    ) -> Result<(), OperateError> {
        let is_handled = self.store.outcome(&receipt.id).await?.is_some()
            || (!include_handled && !self.store.events_of_receipt(&receipt).await?.is_empty());
        if is_handled {
            return Ok(());
        }
        // In bulk: nothing is verified under a weaker scheme than it came for.
        let again = Again::new(true);
        if self.store.ask_again(&receipt.organization, &receipt.id, &again).await? {
            recovered.add(&receipt.organization);
        }
        Ok(())
    }

    /// Makes the deliveries of an event that are missing, due at once. `retry` sends them.
    ///
    /// The stream wakes fan-out by inserts only, and an event is never changed or put again: so the matching is done here, by the same
    /// rules, and the conditional put of a delivery makes it idempotent.
    pub(crate) async fn recover_event(
        &self,
        event: Event,
        sets: &Sets,
        recovered: &Recovered,
    ) -> Result<(), OperateError> {
        // What goes in circles was at its end before.
        if event.hops >= MAX_HOPS {
            return Ok(());
        }
        let wanted = sets
            .get(&event.organization, || self.wanted(&event.organization))
            .await?;
        let Ok(wanting) = wanted.set.wanting(&wanted.matcher, &event) else {
            tracing::error!(organization = %event.organization, event = %event.id, trace = %event.trace(), error_type = "event_broken", outcome = "set_aside", "event not recovered");
            return Ok(());
        };
        // What was registered later is not sent what was before it.
        let mut wanting = wanting
            .into_iter()
            .filter(|webhook| webhook.created_at <= event.received_at);
        let mut is_missing = false;
        let Some(first) = wanting.next() else { return Ok(()) };
        let recorded = self.store.deliveries_of(&event.id).await?;
        for webhook in std::iter::once(first).chain(wanting) {
            if recorded.iter().any(|delivery| delivery.webhook == webhook.id) {
                continue;
            }
            let delivery = Delivery::new(&event, &webhook.id, self.clock.now());
            is_missing |= self.store.create_delivery(&delivery, None).await?;
        }
        if is_missing {
            recovered.add(&event.organization);
        }
        Ok(())
    }

    async fn wanted(&self, organization: &OrganizationId) -> Result<Arc<Wanted>, StoreError> {
        let set = self.store.webhook_set(organization).await?;
        let filters = set.webhooks.iter().enumerate();
        // One that cannot be read wants nothing, as in fan-out, which disables its webhook.
        let (matcher, _) = Matcher::compile(filters.map(|(position, webhook)| (position, &webhook.filter)));
        Ok(Arc::new(Wanted { set, matcher }))
    }

    /// Notes in each organization's trail how much was recovered; how much it was in all.
    pub(crate) async fn note_recovered(
        &self,
        action: Action,
        span: Span,
        recovered: Recovered,
    ) -> Result<u64, OperateError> {
        let mut all = 0;
        for (organization, count) in recovered.into_inner() {
            all += count;
            let after = json!({"recovered": count, "since": span.since, "until": span.until});
            let entry = self.entry(&organization, action, &organization, None, Some(&after));
            self.store.record(&entry).await?;
            tracing::info!(outcome = "recovered", action = action.as_str(), organization = %organization, records = count, "recovered");
        }
        Ok(all)
    }
}

fn answer(action: &str, place: &ScanPlace, examined: u64, recovered: u64) -> Result<Value, OperateError> {
    let done = place.is_done();
    let next = (!done).then(|| progress::write(action, place)).transpose()?;
    Ok(json!({"done": done, "next": next, "examined": examined, "recovered": recovered}))
}
