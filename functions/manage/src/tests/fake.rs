//! A store in memory, as strict as the real one where the tests look.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};

use jiff::Timestamp;
use jiff::civil::Date;
use payload::JobId;
use payload::audit::AuditEntry;
use payload::called_url::CalledUrl;
use payload::delivery::Delivery;
use payload::job::{Job, JobStatus};
use payload::key::TimedSecret;
use payload::organization::{ApiKey, Quota};
use payload::receipt::{ReceiptOutcome, ReceiptStatus};
use payload::source::{Door, Source};
use payload::source_health::{Again, SourceHealth};
use payload::webhook::{Health, Webhook, WebhookSecrets};
use payload::{Event, EventId, KeyId, OrganizationId, Receipt, ReceiptId, SourceId, WebhookId};
use store::history::WebhookWas;
use store::{
    AuditSpan, AuditTrail, Begun, Deliveries, DestinationSecrets, Events, IdempotentRequest, IdempotentRequests,
    KeyRegistry, Keys, PutEvent, Quotas, RawReceipts, Receipts, RegistrationCounts, Reverification, Secrets,
    SourceHealths, SourceRegistry, Sources, StoreError, Webhooks,
};
use store::{JobDesk, Jobs};

type Result<T> = std::result::Result<T, StoreError>;

#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) keys: HashMap<String, ApiKey>,
    pub(super) quota: Quota,
    pub(super) sources: BTreeMap<SourceId, Source>,
    pub(super) doors: HashMap<String, Door>,
    pub(super) webhooks: BTreeMap<WebhookId, Webhook>,
    /// How often each webhook was written again.
    pub(super) webhook_revisions: HashMap<WebhookId, u64>,
    pub(super) secrets: HashMap<String, Vec<TimedSecret>>,
    pub(super) webhook_secrets: HashMap<WebhookId, WebhookSecrets>,
    pub(super) webhook_health: HashMap<WebhookId, Health>,
    /// The whole URLs that providers call.
    pub(super) called_urls: HashMap<SourceId, String>,
    pub(super) events: HashMap<EventId, Event>,
    pub(super) deliveries: Vec<Delivery>,
    pub(super) receipts: HashMap<ReceiptId, Receipt>,
    pub(super) outcomes: HashMap<ReceiptId, ReceiptOutcome>,
    pub(super) health: HashMap<SourceId, SourceHealth>,
    /// What webhooks were, by the time that it ended.
    pub(super) webhooks_were: Vec<(OrganizationId, WebhookWas)>,
    /// How often it was read what webhooks were.
    pub(super) histories: usize,
    /// How much of it is read at most, where that is not as much as is asked for.
    pub(super) history_limit: Option<usize>,
    pub(super) jobs: BTreeMap<JobId, Job>,
    /// What was asked to be verified again, and whether in bulk.
    pub(super) asked: Vec<(ReceiptId, bool)>,
    /// Whether somebody else changes a source or a webhook just before it is written again.
    pub(super) race: bool,
    /// How often a source or a webhook was written again.
    pub(super) updates: usize,
    /// What every call but that for the key ends with.
    pub(super) fault: Option<StoreError>,
    pub(super) audit: Vec<AuditEntry>,
    pub(super) idempotent: HashMap<(KeyId, String), Remembered>,
}

/// A request with an idempotency key.
#[derive(Debug)]
pub(super) struct Remembered {
    request: IdempotentRequest,
    locked_until: Timestamp,
    expires: Timestamp,
    pub(super) answer: Option<Vec<u8>>,
}

impl Tables {
    fn revision(&self, webhook: &WebhookId) -> u64 {
        self.webhook_revisions.get(webhook).copied().unwrap_or_default()
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct Fake {
    tables: Arc<Mutex<Tables>>,
    entry: Option<AuditEntry>,
}

impl Fake {
    pub(super) fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap()
    }

    /// The tables for one change, which is in the trail with it.
    fn changing(&self) -> Result<MutexGuard<'_, Tables>> {
        let mut tables = self.working()?;
        tables.audit.extend(self.entry.clone());
        Ok(tables)
    }

    pub(super) fn working(&self) -> Result<MutexGuard<'_, Tables>> {
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

    async fn note_use(&self, hash: &str, day: Date) -> Result<()> {
        let mut tables = self.working()?;
        if let Some(key) = tables.keys.get_mut(hash) {
            key.last_used = Some(day);
        }
        Ok(())
    }
}

impl Quotas for Fake {
    async fn quota(&self, _: &OrganizationId) -> Result<Quota> {
        Ok(self.working()?.quota)
    }
}

/// How many of these belong to the organization.
fn count<'a>(owners: impl Iterator<Item = &'a OrganizationId>, organization: &OrganizationId) -> Result<u64> {
    Ok(owners.filter(|owner| *owner == organization).count() as u64)
}

impl RegistrationCounts for Fake {
    async fn count_sources(&self, organization: &OrganizationId) -> Result<u64> {
        let tables = self.working()?;
        count(tables.sources.values().map(|source| &source.organization), organization)
    }

    async fn count_webhooks(&self, organization: &OrganizationId) -> Result<u64> {
        let tables = self.working()?;
        count(
            tables.webhooks.values().map(|webhook| &webhook.organization),
            organization,
        )
    }

    async fn count_keys(&self, organization: &OrganizationId) -> Result<u64> {
        let tables = self.working()?;
        count(tables.keys.values().map(|key| &key.organization), organization)
    }
}

impl KeyRegistry for Fake {
    async fn add_key(&self, key: &ApiKey, hash: &str) -> Result<()> {
        self.changing()?.keys.insert(hash.to_owned(), key.clone());
        Ok(())
    }

    async fn keys_of(&self, organization: &OrganizationId) -> Result<Vec<ApiKey>> {
        let tables = self.working()?;
        let theirs = tables.keys.values().filter(|key| key.organization == *organization);
        let mut keys: Vec<ApiKey> = theirs.cloned().collect();
        keys.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(keys)
    }

    async fn key_of(&self, organization: &OrganizationId, id: &KeyId) -> Result<Option<ApiKey>> {
        let keys = self.keys_of(organization).await?;
        Ok(keys.into_iter().find(|key| key.id == *id))
    }

    async fn revoke_key(&self, organization: &OrganizationId, id: &KeyId, _: &KeyId) -> Result<bool> {
        let is_it = |key: &ApiKey| key.organization == *organization && key.id == *id;
        if !self.working()?.keys.values().any(is_it) {
            return Ok(false);
        }
        self.changing()?.keys.retain(|_, key| !is_it(key));
        Ok(true)
    }
}

impl AuditTrail for Fake {
    fn recording(&self, entry: AuditEntry) -> Self {
        Self {
            entry: Some(entry),
            ..self.clone()
        }
    }

    async fn record(&self, entry: &AuditEntry) -> Result<()> {
        self.working()?.audit.push(entry.clone());
        Ok(())
    }

    async fn audit_of(&self, organization: &OrganizationId, span: &AuditSpan, limit: u16) -> Result<Vec<AuditEntry>> {
        let tables = self.working()?;
        let mut found: Vec<AuditEntry> = tables
            .audit
            .iter()
            .filter(|entry| entry.organization == *organization)
            .filter(|entry| span.since.is_none_or(|since| since <= entry.at))
            .filter(|entry| span.until.is_none_or(|until| entry.at < until))
            .cloned()
            .collect();
        found.sort_by(|a, b| a.id.cmp(&b.id));
        if span.newest_first {
            found.reverse();
        }
        if let Some(after) = &span.after {
            let place = found.iter().position(|entry| entry.id == *after).unwrap();
            found.drain(..=place);
        }
        found.truncate(limit.into());
        Ok(found)
    }
}

impl IdempotentRequests for Fake {
    async fn begin(
        &self,
        request: &IdempotentRequest,
        now: Timestamp,
        locked_until: Timestamp,
        expires: Timestamp,
    ) -> Result<Begun> {
        let mut tables = self.working()?;
        let key = (request.key.clone(), request.name.clone());
        let earlier = tables.idempotent.get(&key);
        match earlier.filter(|earlier| now < earlier.expires) {
            Some(earlier) if earlier.answer.is_none() && earlier.locked_until <= now => {}
            Some(earlier) if earlier.request.fingerprint != request.fingerprint => return Ok(Begun::Different),
            Some(earlier) => return Ok(earlier.answer.clone().map_or(Begun::InProgress, Begun::Answered)),
            None => {}
        }
        let remembered = Remembered {
            request: request.clone(),
            locked_until,
            expires,
            answer: None,
        };
        tables.idempotent.insert(key, remembered);
        Ok(Begun::Ours)
    }

    async fn finish(&self, request: &IdempotentRequest, answer: &[u8]) -> Result<()> {
        let mut tables = self.working()?;
        let key = (request.key.clone(), request.name.clone());
        tables.idempotent.get_mut(&key).unwrap().answer = Some(answer.to_vec());
        Ok(())
    }

    async fn abandon(&self, request: &IdempotentRequest) -> Result<()> {
        let key = (request.key.clone(), request.name.clone());
        self.working()?.idempotent.remove(&key);
        Ok(())
    }
}

impl Sources for Fake {
    async fn source(&self, id: &SourceId) -> Result<Option<Source>> {
        Ok(self.working()?.sources.get(id).cloned())
    }
}

impl SourceRegistry for Fake {
    async fn create_source(
        &self,
        source: &Source,
        door: &Door,
        secrets: &[TimedSecret],
        called_url: Option<&CalledUrl>,
    ) -> Result<()> {
        let mut tables = self.changing()?;
        tables.sources.insert(source.id.clone(), source.clone());
        for token in &source.tokens {
            tables.doors.insert(token.hash.clone(), door.clone());
        }
        if !secrets.is_empty() {
            tables.secrets.insert(source.id.to_string(), secrets.to_vec());
        }
        if let Some(url) = called_url {
            tables.called_urls.insert(source.id.clone(), url.expose().to_owned());
        }
        Ok(())
    }

    async fn update_source(
        &self,
        before: &Source,
        source: &Source,
        door: &Door,
        secrets: Option<&[TimedSecret]>,
        called_url: Option<&CalledUrl>,
    ) -> Result<()> {
        let mut tables = self.working()?;
        if tables.race || tables.sources.get(&source.id) != Some(before) {
            return Err(StoreError::Conflict);
        }
        tables.audit.extend(self.entry.clone());
        tables.updates += 1;
        let mut stored = source.clone();
        stored.revision = before.revision + 1;
        tables.sources.insert(source.id.clone(), stored);
        for token in &source.tokens {
            tables.doors.insert(token.hash.clone(), door.clone());
        }
        match secrets {
            None => {}
            Some([]) => drop(tables.secrets.remove(source.id.as_str())),
            Some(secrets) => drop(tables.secrets.insert(source.id.to_string(), secrets.to_vec())),
        }
        if let Some(url) = called_url {
            tables.called_urls.insert(source.id.clone(), url.expose().to_owned());
        }
        Ok(())
    }

    async fn sources_after(
        &self,
        organization: &OrganizationId,
        after: Option<&SourceId>,
        limit: u16,
    ) -> Result<Vec<Source>> {
        let tables = self.working()?;
        let theirs = (tables.sources.values()).filter(|source| source.organization == *organization);
        let behind = theirs.filter(|source| after.is_none_or(|after| source.id > *after));
        Ok(behind.take(limit.into()).cloned().collect())
    }

    async fn delete_source(&self, source: &Source) -> Result<()> {
        let mut tables = self.working()?;
        if tables.race || tables.sources.get(&source.id) != Some(source) {
            return Err(StoreError::Conflict);
        }
        tables.audit.extend(self.entry.clone());
        tables.sources.remove(&source.id);
        tables
            .doors
            .retain(|hash, _| source.tokens.iter().all(|token| token.hash != *hash));
        tables.secrets.remove(source.id.as_str());
        Ok(())
    }
}

impl Secrets for Fake {
    async fn secrets(&self, owner: &str) -> Result<Vec<TimedSecret>> {
        Ok(self.working()?.secrets.get(owner).cloned().unwrap_or_default())
    }
}

impl SourceHealths for Fake {
    async fn source_health(&self, id: &SourceId) -> Result<SourceHealth> {
        Ok(self.working()?.health.get(id).cloned().unwrap_or_default())
    }
}

impl Webhooks for Fake {
    async fn create_webhook(&self, webhook: &Webhook, secrets: &WebhookSecrets) -> Result<()> {
        let mut tables = self.changing()?;
        tables.webhooks.insert(webhook.id.clone(), webhook.clone());
        tables.webhook_secrets.insert(webhook.id.clone(), secrets.clone());
        Ok(())
    }

    async fn update_webhook(
        &self,
        webhook: &Webhook,
        revision: u64,
        secrets: Option<&WebhookSecrets>,
        enable: bool,
    ) -> Result<()> {
        let mut tables = self.working()?;
        let is_there = tables.webhooks.contains_key(&webhook.id);
        if tables.race || !is_there || tables.revision(&webhook.id) != revision {
            return Err(StoreError::Conflict);
        }
        tables.audit.extend(self.entry.clone());
        tables.updates += 1;
        tables.webhook_revisions.insert(webhook.id.clone(), revision + 1);
        tables.webhooks.insert(webhook.id.clone(), webhook.clone());
        if let Some(secrets) = secrets {
            tables.webhook_secrets.insert(webhook.id.clone(), secrets.clone());
        }
        if enable {
            tables.webhook_health.remove(&webhook.id);
        }
        Ok(())
    }

    async fn health(&self, organization: &OrganizationId, id: &WebhookId) -> Result<Option<Health>> {
        let tables = self.working()?;
        let webhook = tables.webhooks.get(id);
        let is_theirs = webhook.is_some_and(|webhook| webhook.organization == *organization);
        Ok(tables.webhook_health.get(id).filter(|_| is_theirs).cloned())
    }

    async fn webhook(&self, organization: &OrganizationId, id: &WebhookId) -> Result<Option<Webhook>> {
        Ok(self
            .working()?
            .webhooks
            .get(id)
            .filter(|webhook| webhook.organization == *organization)
            .cloned())
    }

    async fn webhook_to_change(&self, organization: &OrganizationId, id: &WebhookId) -> Result<Option<(Webhook, u64)>> {
        let webhook = self.webhook(organization, id).await?;
        Ok(webhook.map(|webhook| (webhook, self.tables().revision(id))))
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

    async fn webhooks_after(
        &self,
        organization: &OrganizationId,
        after: Option<&WebhookId>,
        limit: u16,
    ) -> Result<Vec<Webhook>> {
        let all = self.webhooks_of(organization).await?.into_iter();
        let behind = all.filter(|webhook| after.is_none_or(|after| webhook.id > *after));
        Ok(behind.take(limit.into()).collect())
    }

    async fn delete_webhook(&self, webhook: &Webhook, revision: u64) -> Result<()> {
        let mut tables = self.working()?;
        let is_there = tables.webhooks.contains_key(&webhook.id);
        if tables.race || !is_there || tables.revision(&webhook.id) != revision {
            return Err(StoreError::Conflict);
        }
        tables.audit.extend(self.entry.clone());
        tables.webhooks.remove(&webhook.id);
        tables.webhook_secrets.remove(&webhook.id);
        tables.webhook_health.remove(&webhook.id);
        Ok(())
    }
}

impl DestinationSecrets for Fake {
    async fn webhook_secrets(&self, webhook: &WebhookId) -> Result<WebhookSecrets> {
        let found = self.working()?.webhook_secrets.get(webhook).cloned();
        // As an answer over a network would: another request comes in between.
        tokio::task::yield_now().await;
        Ok(found.unwrap_or_default())
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

    async fn create_delivery(&self, delivery: &Delivery, _: Option<&Event>) -> Result<bool> {
        self.working()?.deliveries.push(delivery.clone());
        Ok(true)
    }

    async fn update_delivery(&self, _: &Delivery, _: Option<&Event>) -> Result<bool> {
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

impl Reverification for Fake {
    async fn ask_again(&self, organization: &OrganizationId, id: &ReceiptId, again: &Again) -> Result<bool> {
        let mut tables = self.working()?;
        let receipt = tables.receipts.get(id);
        if receipt.is_none_or(|receipt| receipt.organization != *organization) {
            return Ok(false);
        }
        tables.asked.push((id.clone(), again.in_bulk));
        Ok(true)
    }

    async fn rejected_since(
        &self,
        organization: &OrganizationId,
        source: &SourceId,
        since: Timestamp,
        after: Option<&ReceiptId>,
        limit: u16,
    ) -> Result<Vec<ReceiptId>> {
        let tables = self.working()?;
        let is_meant = |outcome: &&ReceiptOutcome| {
            (&outcome.organization, &outcome.source) == (organization, source)
                && matches!(outcome.status, ReceiptStatus::Rejected { .. })
                && outcome.id.created_at() >= since
                && after.is_none_or(|after| outcome.id > *after)
        };
        let mut found: Vec<ReceiptId> = tables
            .outcomes
            .values()
            .filter(is_meant)
            .map(|outcome| outcome.id.clone())
            .collect();
        found.sort();
        found.truncate(limit.into());
        Ok(found)
    }
}

impl Jobs for Fake {
    async fn job(&self, organization: &OrganizationId, id: &JobId) -> Result<Option<Job>> {
        let tables = self.working()?;
        let job = tables.jobs.get(id);
        Ok(job.filter(|job| job.organization == *organization).cloned())
    }
}

impl JobDesk for Fake {
    async fn create_job(&self, job: &Job, most: usize) -> Result<bool> {
        let mut tables = self.working()?;
        let is_running = |other: &&Job| other.organization == job.organization && other.status == JobStatus::Running;
        if tables.jobs.values().filter(is_running).count() >= most {
            return Ok(false);
        }
        tables.audit.extend(self.entry.clone());
        tables.jobs.insert(job.id.clone(), job.clone());
        Ok(true)
    }

    async fn jobs_of(&self, organization: &OrganizationId, before: Option<&JobId>, limit: u16) -> Result<Vec<Job>> {
        let tables = self.working()?;
        let newest_first = tables.jobs.values().rev();
        let meant = newest_first
            .filter(|job| job.organization == *organization && before.is_none_or(|before| job.id < *before));
        Ok(meant.take(limit.into()).cloned().collect())
    }

    async fn cancel_job(&self, organization: &OrganizationId, id: &JobId, now: Timestamp) -> Result<bool> {
        let mut tables = self.working()?;
        let job = tables.jobs.get_mut(id);
        let Some(job) = job.filter(|job| job.organization == *organization && job.status == JobStatus::Running) else {
            return Ok(false);
        };
        job.end(JobStatus::Cancelled, None, now);
        tables.audit.extend(self.entry.clone());
        Ok(true)
    }

    fn events_kept_since(&self, now: Timestamp) -> Timestamp {
        now - jiff::SignedDuration::from_hours(30 * 24)
    }
}
