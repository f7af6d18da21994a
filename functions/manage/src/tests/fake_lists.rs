//! The lists of the store in memory, in one shard where the real ones have several.

use jiff::Timestamp;
use payload::delivery::{Delivery, DeliveryStatus};
use payload::receipt::ReceiptOutcome;
use payload::{EventId, OrganizationId, WebhookId};
use store::history::{History, WebhookHistory, WebhookWas};
use store::lists::{
    Answers, DeliveryCounts, DeliveryKey, DeliveryLists, EventKey, EventLists, EventRow, EventsWanted, Order,
    OutcomeLists, OutcomesWanted, Page, Place, ReceiptKey, Span, Walk,
};
use store::{Deliveries, StoreError, WebhookSet, WebhookSets, Webhooks};

use super::fake::Fake;

type Result<T> = std::result::Result<T, StoreError>;

/// A page of what has these keys.
fn page<T, K: Ord + Clone>(mut all: Vec<(K, T)>, walk: &Walk<'_, K>) -> Page<T, K> {
    all.sort_by(|(one, _), (other, _)| one.cmp(other));
    if walk.order == Order::Descending {
        all.reverse();
    }
    // The place of several shards is behind all of them.
    let places = walk.after.iter().flat_map(|place| place.0.iter().flatten());
    let after = match walk.order {
        Order::Ascending => places.max(),
        Order::Descending => places.min(),
    };
    all.retain(|(key, _)| match (after, walk.order) {
        (None, _) => true,
        (Some(after), Order::Ascending) => key > after,
        (Some(after), Order::Descending) => key < after,
    });
    let next = (all.len() > walk.limit).then(|| Place(vec![Some(all[walk.limit - 1].0.clone())]));
    all.truncate(walk.limit);
    Page {
        rows: all.into_iter().map(|(_, row)| row).collect(),
        next,
    }
}

impl EventLists for Fake {
    async fn events_page(
        &self,
        organization: &OrganizationId,
        wanted: &EventsWanted,
        walk: Walk<'_, EventKey>,
    ) -> Result<Page<EventRow, EventKey>> {
        let tables = self.working()?;
        let events = tables.events.values().filter(|event| {
            let id = &event.meta.provider_event_id;
            event.organization == *organization
                && walk.span.contains(event.received_at)
                && wanted
                    .provider_event_id
                    .as_ref()
                    .is_none_or(|wanted| id.as_ref() == Some(wanted))
        });
        let rows = events.map(|event| EventRow {
            id: event.id.clone(),
            event_type: event.meta.event_type.clone(),
            timestamp: event.meta.timestamp,
            received_at: event.received_at,
            source: event.meta.source.as_ref().map(|source| source.id.clone()),
            receipt: event.receipt.clone(),
        });
        let rows = rows.filter(|row| wanted.takes(row));
        let keyed = rows.map(|row| (EventKey(row.received_at.as_millisecond(), row.id.clone()), row));
        Ok(page(keyed.collect(), &walk))
    }
}

impl OutcomeLists for Fake {
    async fn outcomes_page(
        &self,
        organization: &OrganizationId,
        wanted: &OutcomesWanted,
        walk: Walk<'_, ReceiptKey>,
    ) -> Result<Page<ReceiptOutcome, ReceiptKey>> {
        let tables = self.working()?;
        let outcomes = tables.outcomes.values().filter(|outcome| {
            outcome.organization == *organization
                && walk.span.contains(outcome.id.created_at())
                && wanted.source.as_ref().is_none_or(|source| outcome.source == *source)
                && wanted.status.is_none_or(|status| outcome.status.name() == status)
        });
        let keyed = outcomes.map(|outcome| (ReceiptKey(outcome.id.clone()), outcome.clone()));
        Ok(page(keyed.collect(), &walk))
    }
}

impl Fake {
    fn deliveries_page(
        &self,
        walk: &Walk<'_, DeliveryKey>,
        is_wanted: impl Fn(&Delivery) -> bool,
    ) -> Result<Page<Delivery, DeliveryKey>> {
        let tables = self.working()?;
        let deliveries = tables.deliveries.iter().filter(|delivery| is_wanted(delivery));
        let deliveries = deliveries.filter(|delivery| walk.span.contains(delivery.created_at));
        let key = |one: &Delivery| DeliveryKey(one.created_at.as_millisecond(), one.event.clone(), one.webhook.clone());
        Ok(page(deliveries.map(|one| (key(one), one.clone())).collect(), walk))
    }
}

impl DeliveryLists for Fake {
    async fn deliveries_to(
        &self,
        organization: &OrganizationId,
        webhook: &WebhookId,
        status: Option<DeliveryStatus>,
        walk: Walk<'_, DeliveryKey>,
    ) -> Result<Page<Delivery, DeliveryKey>> {
        self.deliveries_page(&walk, |delivery| {
            (&delivery.organization, &delivery.webhook) == (organization, webhook)
                && status.is_none_or(|status| delivery.status == status)
        })
    }

    async fn unsettled(
        &self,
        organization: &OrganizationId,
        status: DeliveryStatus,
        walk: Walk<'_, DeliveryKey>,
    ) -> Result<Page<Delivery, DeliveryKey>> {
        self.deliveries_page(&walk, |delivery| {
            delivery.organization == *organization && delivery.status == status
        })
    }

    async fn deliveries_of_page(
        &self,
        event: &EventId,
        after: Option<&WebhookId>,
        order: Order,
        limit: usize,
    ) -> Result<Vec<Delivery>> {
        let mut all = self.deliveries_of(event).await?;
        all.sort_by(|one, other| one.webhook.cmp(&other.webhook));
        if order == Order::Descending {
            all.reverse();
        }
        all.retain(|delivery| match order {
            Order::Ascending => after.is_none_or(|after| delivery.webhook > *after),
            Order::Descending => after.is_none_or(|after| delivery.webhook < *after),
        });
        all.truncate(limit);
        Ok(all)
    }

    async fn count_deliveries(&self, webhook: &WebhookId, span: Span, most: usize) -> Result<DeliveryCounts> {
        let tables = self.working()?;
        let mut deliveries: Vec<_> = (tables.deliveries.iter())
            .filter(|delivery| delivery.webhook == *webhook && span.contains(delivery.created_at))
            .collect();
        deliveries.sort_by_key(|delivery| std::cmp::Reverse(delivery.created_at));
        let is_more = deliveries.len() > most;
        deliveries.truncate(most);
        let count = |status| deliveries.iter().filter(|one| one.status == status).count() as u64;
        Ok(DeliveryCounts {
            due: count(DeliveryStatus::Due),
            delivered: count(DeliveryStatus::Delivered),
            exhausted: count(DeliveryStatus::Exhausted),
            cancelled: count(DeliveryStatus::Cancelled),
            counted_since: deliveries.last().filter(|_| is_more).map(|one| one.created_at),
        })
    }
}

impl Answers for Fake {
    async fn remove_answers(
        &self,
        organization: &OrganizationId,
        event: &EventId,
        webhook: &WebhookId,
    ) -> Result<bool> {
        let mut tables = self.working()?;
        if tables.race {
            return Err(StoreError::Conflict);
        }
        let found = tables
            .deliveries
            .iter_mut()
            .find(|one| (&one.organization, &one.event, &one.webhook) == (organization, event, webhook));
        let Some(delivery) = found else { return Ok(false) };
        delivery.attempts.iter_mut().for_each(|attempt| attempt.answer = None);
        Ok(true)
    }
}

impl WebhookSets for Fake {
    async fn webhook_set(&self, organization: &OrganizationId) -> Result<WebhookSet> {
        let webhooks = self.webhooks_of(organization).await?;
        let tables = self.working()?;
        let health = webhooks
            .iter()
            .filter_map(|webhook| tables.webhook_health.get(&webhook.id));
        Ok(WebhookSet {
            suspended: false,
            health: health.map(|health| (health.webhook.clone(), health.clone())).collect(),
            webhooks: std::sync::Arc::new(webhooks),
        })
    }
}

impl WebhookHistory for Fake {
    async fn webhooks_were(&self, organization: &OrganizationId, at: Timestamp, limit: usize) -> Result<History> {
        let mut tables = self.working()?;
        tables.histories += 1;
        let were = tables
            .webhooks_were
            .iter()
            .filter(|(owner, was)| owner == organization && was.until > at);
        let were: Vec<WebhookWas> = were.map(|(_, was)| was.clone()).collect();
        let limit = tables.history_limit.unwrap_or(limit);
        Ok(History {
            complete: were.len() <= limit,
            were: were.into_iter().take(limit).collect(),
        })
    }

    async fn webhooks_deleted(
        &self,
        organization: &OrganizationId,
        at: Timestamp,
        limit: usize,
    ) -> Result<Vec<WebhookWas>> {
        let tables = self.working()?;
        let were = tables
            .webhooks_were
            .iter()
            .rev()
            .filter(|(owner, was)| owner == organization && was.until <= at);
        Ok(were
            .take(limit)
            .filter(|(_, was)| was.deleted)
            .map(|(_, was)| was.clone())
            .collect())
    }
}
