//! A store in memory, as strict as the real one where the tests look.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};

use payload::delivery::Delivery;
use payload::key::TimedSecret;
use payload::organization::ApiKey;
use payload::receipt::ReceiptOutcome;
use payload::source::{Door, Source};
use payload::webhook::Webhook;
use payload::{Event, EventId, OrganizationId, Receipt, ReceiptId, SourceId, WebhookId};
use store::{Deliveries, Events, Keys, PutEvent, RawReceipts, Receipts, SourceRegistry, Sources, StoreError, Webhooks};

type Result<T> = std::result::Result<T, StoreError>;

#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) keys: HashMap<String, ApiKey>,
    pub(super) sources: BTreeMap<SourceId, Source>,
    pub(super) doors: HashMap<String, Door>,
    pub(super) webhooks: BTreeMap<WebhookId, Webhook>,
    pub(super) secrets: HashMap<String, Vec<TimedSecret>>,
    pub(super) events: HashMap<EventId, Event>,
    pub(super) deliveries: Vec<Delivery>,
    pub(super) receipts: HashMap<ReceiptId, Receipt>,
    pub(super) outcomes: HashMap<ReceiptId, ReceiptOutcome>,
    /// What every call but that for the key ends with.
    pub(super) fault: Option<StoreError>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Fake(Arc<Mutex<Tables>>);

impl Fake {
    pub(super) fn tables(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap()
    }

    fn working(&self) -> Result<MutexGuard<'_, Tables>> {
        let tables = self.tables();
        match &tables.fault {
            Some(error) => Err(error.clone()),
            None => Ok(tables),
        }
    }
}

impl Keys for Fake {
    async fn key(&self, hash: &str) -> Result<Option<ApiKey>> {
        Ok(self.tables().keys.get(hash).cloned())
    }
}

impl Sources for Fake {
    async fn source(&self, id: &SourceId) -> Result<Option<Source>> {
        Ok(self.working()?.sources.get(id).cloned())
    }
}

impl SourceRegistry for Fake {
    async fn sources_of(&self, organization: &OrganizationId) -> Result<Vec<Source>> {
        Ok(self
            .working()?
            .sources
            .values()
            .filter(|source| source.organization == *organization)
            .cloned()
            .collect())
    }

    async fn create_source(&self, source: &Source, door: &Door, secrets: &[TimedSecret]) -> Result<()> {
        let mut tables = self.working()?;
        tables.sources.insert(source.id.clone(), source.clone());
        for hash in &source.token_hashes {
            tables.doors.insert(hash.clone(), door.clone());
        }
        tables.secrets.insert(source.id.to_string(), secrets.to_vec());
        Ok(())
    }

    async fn delete_source(&self, organization: &OrganizationId, id: &SourceId) -> Result<bool> {
        let mut tables = self.working()?;
        let Some(source) = tables
            .sources
            .get(id)
            .filter(|source| source.organization == *organization)
            .cloned()
        else {
            return Ok(false);
        };
        tables.sources.remove(id);
        tables.doors.retain(|hash, _| !source.token_hashes.contains(hash));
        tables.secrets.remove(id.as_str());
        Ok(true)
    }
}

impl Webhooks for Fake {
    async fn create_webhook(&self, webhook: &Webhook, secrets: &[TimedSecret]) -> Result<()> {
        let mut tables = self.working()?;
        tables.webhooks.insert(webhook.id.clone(), webhook.clone());
        tables.secrets.insert(webhook.id.to_string(), secrets.to_vec());
        Ok(())
    }

    async fn webhook(&self, organization: &OrganizationId, id: &WebhookId) -> Result<Option<Webhook>> {
        Ok(self
            .working()?
            .webhooks
            .get(id)
            .filter(|webhook| webhook.organization == *organization)
            .cloned())
    }

    async fn webhooks_of(&self, organization: &OrganizationId) -> Result<Vec<Webhook>> {
        Ok(self
            .working()?
            .webhooks
            .values()
            .filter(|webhook| webhook.organization == *organization)
            .cloned()
            .collect())
    }

    async fn delete_webhook(&self, organization: &OrganizationId, id: &WebhookId) -> Result<bool> {
        let mut tables = self.working()?;
        if tables
            .webhooks
            .get(id)
            .is_none_or(|webhook| webhook.organization != *organization)
        {
            return Ok(false);
        }
        tables.webhooks.remove(id);
        tables.secrets.remove(id.as_str());
        Ok(true)
    }
}

impl Events for Fake {
    async fn put_event(&self, event: &Event) -> Result<PutEvent> {
        let mut tables = self.working()?;
        if tables.events.contains_key(&event.id) {
            return Ok(PutEvent::Duplicate);
        }
        tables.events.insert(event.id.clone(), event.clone());
        Ok(PutEvent::Stored)
    }

    async fn event(&self, id: &EventId) -> Result<Option<Event>> {
        Ok(self.working()?.events.get(id).cloned())
    }
}

impl Deliveries for Fake {
    async fn deliveries_of(&self, event: &EventId) -> Result<Vec<Delivery>> {
        Ok(self
            .working()?
            .deliveries
            .iter()
            .filter(|delivery| delivery.event == *event)
            .cloned()
            .collect())
    }

    async fn delivery(&self, event: &EventId, webhook: &WebhookId) -> Result<Option<Delivery>> {
        let all = self.deliveries_of(event).await?;
        Ok(all.into_iter().find(|delivery| delivery.webhook == *webhook))
    }

    async fn create_delivery(&self, delivery: &Delivery) -> Result<bool> {
        self.working()?.deliveries.push(delivery.clone());
        Ok(true)
    }

    async fn update_delivery(&self, _: &Delivery) -> Result<bool> {
        Err(StoreError::Refused("the API does not attempt deliveries".into()))
    }
}

impl Receipts for Fake {
    async fn put_outcome(&self, outcome: &ReceiptOutcome) -> Result<()> {
        self.working()?.outcomes.insert(outcome.id.clone(), outcome.clone());
        Ok(())
    }

    async fn outcome(&self, id: &ReceiptId) -> Result<Option<ReceiptOutcome>> {
        Ok(self.working()?.outcomes.get(id).cloned())
    }
}

impl RawReceipts for Fake {
    async fn receipt(&self, id: &ReceiptId) -> Result<Option<Receipt>> {
        Ok(self.working()?.receipts.get(id).cloned())
    }
}
