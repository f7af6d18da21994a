//! What the store in memory does, with leases and fences.

use jiff::Timestamp;
use payload::delivery::{Delivery, DeliveryStatus};
use payload::webhook::{Disabled, WebhookSecrets};
use payload::{Event, EventId, OrganizationId, WebhookId};
use store::{
    Deliveries, DestinationSecrets, Due, DueQueue, Events, HealthLog, Lease, PutEvent, StoreError, WebhookSet,
    WebhookSets,
};

use super::Fake;

impl WebhookSets for Fake {
    async fn webhook_set(&self, organization: &OrganizationId) -> Result<WebhookSet, StoreError> {
        self.enter("webhook_set", organization.as_str()).await?;
        Ok(self
            .0
            .sets
            .lock()
            .unwrap()
            .get(organization)
            .cloned()
            .unwrap_or_default())
    }
}

impl DestinationSecrets for Fake {
    async fn webhook_secrets(&self, webhook: &WebhookId) -> Result<WebhookSecrets, StoreError> {
        self.enter("secrets", webhook.as_str()).await?;
        let secrets = self.0.secrets.lock().unwrap();
        Ok(secrets.get(webhook.as_str()).cloned().unwrap_or_default())
    }
}

impl Events for Fake {
    async fn put_event(&self, _: &Event) -> Result<PutEvent, StoreError> {
        unreachable!("what is told is written with what it tells of")
    }

    async fn event(&self, id: &EventId) -> Result<Option<Event>, StoreError> {
        self.enter("event", id.as_str()).await?;
        Ok(self.0.events.lock().unwrap().get(id).cloned())
    }
}

impl HealthLog for Fake {
    async fn set_failing(
        &self,
        organization: &OrganizationId,
        webhook: &WebhookId,
        since: Timestamp,
        tell: Option<&Event>,
    ) -> Result<bool, StoreError> {
        self.enter("set_failing", webhook.as_str()).await?;
        let news = self.change_health(organization, webhook, |health| {
            let news = health.failing_since.is_none();
            health.failing_since.get_or_insert(since);
            news
        });
        Ok(self.tell_if(news, tell))
    }

    async fn clear_failing(
        &self,
        organization: &OrganizationId,
        webhook: &WebhookId,
        tell: Option<&Event>,
    ) -> Result<bool, StoreError> {
        self.enter("clear_failing", webhook.as_str()).await?;
        let news = self.change_health(organization, webhook, |health| health.failing_since.take().is_some());
        Ok(self.tell_if(news, tell))
    }

    async fn disable(
        &self,
        organization: &OrganizationId,
        webhook: &WebhookId,
        disabled: &Disabled,
        failing_since: Option<Timestamp>,
        tell: &Event,
    ) -> Result<bool, StoreError> {
        self.enter("disable", webhook.as_str()).await?;
        let news = self.change_health(organization, webhook, |health| {
            let holds = failing_since.is_none() || health.failing_since == failing_since;
            let news = holds && health.disabled.is_none();
            if news {
                health.disabled = Some(disabled.clone());
            }
            news
        });
        Ok(self.tell_if(news, Some(tell)))
    }
}

impl Fake {
    /// What is told by the write that is news.
    fn tell_if(&self, news: bool, tell: Option<&Event>) -> bool {
        if let Some(event) = tell.filter(|_| news) {
            assert!(payload::own::is_own(event), "no other event is published here");
            self.0.told.lock().unwrap().push(event.clone());
        }
        news
    }
}

impl Deliveries for Fake {
    async fn deliveries_of(&self, event: &EventId) -> Result<Vec<Delivery>, StoreError> {
        self.enter("deliveries_of", event.as_str()).await?;
        let deliveries = self.0.deliveries.lock().unwrap();
        let of_event = deliveries.values().filter(|delivery| delivery.event == *event);
        Ok(of_event.cloned().collect())
    }

    async fn delivery(&self, event: &EventId, webhook: &WebhookId) -> Result<Option<Delivery>, StoreError> {
        self.enter("delivery", event.as_str()).await?;
        Ok(self
            .0
            .deliveries
            .lock()
            .unwrap()
            .get(&(event.clone(), webhook.clone()))
            .cloned())
    }

    async fn create_delivery(&self, delivery: &Delivery, tell: Option<&Event>) -> Result<bool, StoreError> {
        assert!(tell.is_none(), "what is only due is not told");
        self.enter("create_delivery", delivery.event.as_str()).await?;
        let mut deliveries = self.0.deliveries.lock().unwrap();
        let key = (delivery.event.clone(), delivery.webhook.clone());
        let stored = deliveries.entry(key).or_insert_with(|| delivery.clone());
        Ok(stored == delivery)
    }

    async fn update_delivery(&self, delivery: &Delivery, tell: Option<&Event>) -> Result<bool, StoreError> {
        self.enter("update_delivery", delivery.event.as_str()).await?;
        let due = delivery.status == DeliveryStatus::Due;
        assert_eq!(
            delivery.next_attempt.is_some(),
            due,
            "only what is due has a next attempt"
        );
        let mut deliveries = self.0.deliveries.lock().unwrap();
        let key = (delivery.event.clone(), delivery.webhook.clone());
        let stored = deliveries.get_mut(&key).unwrap();
        if stored.status != DeliveryStatus::Due || stored.fence > delivery.fence {
            return Ok(false);
        }
        *stored = delivery.clone();
        Ok(self.tell_if(true, tell))
    }
}

impl DueQueue for Fake {
    async fn is_any_waiting(&self) -> Result<bool, StoreError> {
        self.enter("is_any_waiting", "").await?;
        let stale = !self.0.stale.lock().unwrap().is_empty();
        let deliveries = self.0.deliveries.lock().unwrap();
        Ok(stale || deliveries.values().any(|delivery| delivery.next_attempt.is_some()))
    }

    async fn due(
        &self,
        bucket: u8,
        from: Timestamp,
        until: Timestamp,
        after: Option<&Due>,
        limit: u16,
    ) -> Result<Vec<Due>, StoreError> {
        self.enter("due", &bucket.to_string()).await?;
        let stale = self.0.stale.lock().unwrap().clone();
        let deliveries = self.0.deliveries.lock().unwrap();
        let mut due: Vec<Due> = deliveries
            .iter()
            .filter(|((_, webhook), _)| Delivery::bucket(webhook) == bucket)
            .filter_map(|((event, webhook), delivery)| {
                let is_stale = stale.contains(&(event.clone(), webhook.clone()));
                let at = delivery.next_attempt.or(is_stale.then_some(Timestamp::UNIX_EPOCH))?;
                let (event, webhook) = (event.clone(), webhook.clone());
                (from <= at && at <= until).then_some(Due { at, event, webhook })
            })
            .filter(|due| after.is_none_or(|after| due > after))
            .collect();
        due.sort();
        due.truncate(usize::from(limit));
        Ok(due)
    }

    async fn take_lease(
        &self,
        bucket: u8,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Lease>, StoreError> {
        self.enter("take_lease", owner).await?;
        let mut leases = self.0.leases.lock().unwrap();
        let fence = match leases.get(&bucket) {
            Some(lease) if lease.until > now => return Ok(None),
            Some(lease) => lease.fence + 1,
            None => 1,
        };
        let lease = Lease {
            bucket,
            owner: owner.to_owned(),
            fence,
            until,
        };
        leases.insert(bucket, lease.clone());
        Ok(Some(lease))
    }

    async fn renew_lease(&self, lease: &Lease, until: Timestamp) -> Result<Option<Lease>, StoreError> {
        self.enter("renew_lease", &lease.owner).await?;
        let mut leases = self.0.leases.lock().unwrap();
        let held = leases.get_mut(&lease.bucket).unwrap();
        if held.owner != lease.owner || held.fence != lease.fence {
            return Ok(None);
        }
        held.until = until;
        Ok(Some(held.clone()))
    }

    async fn release_lease(&self, lease: &Lease) -> Result<(), StoreError> {
        self.enter("release_lease", &lease.owner).await?;
        let mut leases = self.0.leases.lock().unwrap();
        let held = leases.get_mut(&lease.bucket).unwrap();
        if held.owner == lease.owner && held.fence == lease.fence {
            held.until = Timestamp::UNIX_EPOCH;
        }
        Ok(())
    }
}
