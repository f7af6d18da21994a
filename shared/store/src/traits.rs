//! One small trait per capability: what a function can do with the tables is what its signature says.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use payload::audit::AuditEntry;
use payload::called_url::{CalledUrl, InvalidCalledUrl};
use payload::delivery::{Delivery, DeliveryStatus};
use payload::event::BrokenEvent;
use payload::filter::Matcher;
use payload::job::{Job, Position};
use payload::key::TimedSecret;
use payload::organization::{ApiKey, Organization, Quota, Suspension};
use payload::receipt::ReceiptOutcome;
use payload::source::{Door, Source};
use payload::source_health::{Again, HealthNote, SourceHealth};
use payload::webhook::{Disabled, Health, Webhook, WebhookSecrets};
use payload::{AuditId, Event, EventId, JobId, KeyId, OrganizationId, Receipt, ReceiptId, SourceId, WebhookId, own};
use secrecy::ExposeSecret;

use crate::StoreError;
use crate::item::called_url_key;

type Result<T> = std::result::Result<T, StoreError>;

/// Finds what stands behind a receiving URL. (sources: `GetItem`)
pub trait Doors: Send + Sync {
    /// What `receive` needs to know, by the hash of the ingest token.
    fn door(&self, token_hash: &str) -> impl Future<Output = Result<Option<Door>>> + Send;
}

/// Stores requests before they are acknowledged. (inbox: `PutItem`)
pub trait Inbox: Send + Sync {
    /// Stores a receipt; its stream record wakes `verify`.
    ///
    /// [`StoreError::TooLarge`] when the body does not fit an item after compression.
    fn put_receipt(&self, receipt: &Receipt) -> impl Future<Output = Result<()>> + Send;
}

/// Reads one source. (sources: `GetItem`)
pub trait Sources: Send + Sync {
    /// A source by its id, whatever its organization: for steps that got the id from a stored receipt. Callers that act for a tenant
    /// compare [`Source::organization`].
    fn source(&self, id: &SourceId) -> impl Future<Output = Result<Option<Source>>> + Send;
}

/// Registers sources. (sources: `Query` for lists, transactions; secrets: `PutItem`, `DeleteItem`)
pub trait SourceRegistry: Sources {
    /// At most `limit` sources of an organization, oldest first and, with `after`, behind that one. The index is eventually consistent.
    fn sources_after(
        &self,
        organization: &OrganizationId,
        after: Option<&SourceId>,
        limit: u16,
    ) -> impl Future<Output = Result<Vec<Source>>> + Send;
    /// Stores a new source, its door under each token's hash, its secrets and the whole URL that its provider calls, all or nothing.
    fn create_source(
        &self,
        source: &Source,
        door: &Door,
        secrets: &[TimedSecret],
        called_url: Option<&CalledUrl>,
    ) -> impl Future<Output = Result<()>> + Send;
    /// Replaces what a source says, the door under each of its tokens, and, where given, its secrets and the whole URL that its provider
    /// calls, all or nothing. The URL goes when the source has none. [`StoreError::Conflict`] when it is no longer as `before`.
    fn update_source(
        &self,
        before: &Source,
        source: &Source,
        door: &Door,
        secrets: Option<&[TimedSecret]>,
        called_url: Option<&CalledUrl>,
    ) -> impl Future<Output = Result<()>> + Send;
    /// Deletes a source, its doors and its secrets. [`StoreError::Conflict`] when it was changed since it was read as `source`, or is gone.
    fn delete_source(&self, source: &Source) -> impl Future<Output = Result<()>> + Send;
}

/// Reads everything secret about webhooks. (secrets: `GetItem`)
pub trait DestinationSecrets: Send + Sync {
    /// What a webhook's deliveries are signed with, and the headers that its destination wants; nothing when there is none.
    fn webhook_secrets(&self, webhook: &WebhookId) -> impl Future<Output = Result<WebhookSecrets>> + Send;
}

/// Reads secrets. (secrets: `GetItem`)
pub trait Secrets: Send + Sync {
    /// The secrets of a source, expired ones too; empty when there are none.
    fn secrets(&self, owner: &str) -> impl Future<Output = Result<Vec<TimedSecret>>> + Send;
    /// The whole URL that a source's provider calls, where it has one.
    fn called_url(&self, source: &SourceId) -> impl Future<Output = Result<Option<CalledUrl>>> + Send {
        async move {
            let stored = self.secrets(&called_url_key(source)).await?;
            let read = |secret: &TimedSecret| secret.value.expose_secret().parse();
            let read = stored.first().map(read).transpose();
            read.map_err(|error: InvalidCalledUrl| StoreError::Unreadable(error.to_string()))
        }
    }
}

/// What a conditional put of an event found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PutEvent {
    /// It is new: stored, and announced on the stream by the same write.
    Stored,
    /// It was stored by an earlier try of the same receipt: nothing is a duplicate here.
    OwnRetry,
    /// It was there already, from another receipt or publication.
    Duplicate,
}

/// Stores and reads events. (events: `PutItem`, `GetItem`)
pub trait Events: Send + Sync {
    /// Stores an event unless it is there: the deduplication and the storing are this one write. An event is never overwritten.
    fn put_event(&self, event: &Event) -> impl Future<Output = Result<PutEvent>> + Send;
    /// An event by its id, whatever its organization: callers that act for a tenant compare [`Event::organization`].
    fn event(&self, id: &EventId) -> impl Future<Output = Result<Option<Event>>> + Send;
}

/// Reads receipts as they arrived. (inbox: `GetItem`)
pub trait RawReceipts: Send + Sync {
    /// A receipt by its id, whatever its organization, until its time to live ends: callers that act for a tenant compare
    /// [`Receipt::organization`].
    fn receipt(&self, id: &ReceiptId) -> impl Future<Output = Result<Option<Receipt>>> + Send;
}

/// Keeps what became of receipts that made no event. (receipts: `PutItem`, `GetItem`)
pub trait Receipts: Send + Sync {
    /// Records a rejected or duplicate receipt; repeating it changes nothing.
    fn put_outcome(&self, outcome: &ReceiptOutcome) -> impl Future<Output = Result<()>> + Send;
    /// What became of a receipt, if it made no event.
    fn outcome(&self, id: &ReceiptId) -> impl Future<Output = Result<Option<ReceiptOutcome>>> + Send;
}

/// Asks for another verification of receipts. (inbox: `UpdateItem`; receipts: `Query` on `by-organization`)
pub trait Reverification: Send + Sync {
    /// Marks a receipt of this organization, so that its stream record wakes `verify` once more. `false` when it is not there.
    fn ask_again(
        &self,
        organization: &OrganizationId,
        id: &ReceiptId,
        again: &Again,
    ) -> impl Future<Output = Result<bool>> + Send;
    /// The rejected receipts of a source that arrived at `since` or later and, with `after`, behind that receipt, oldest first, at most
    /// `limit`. The index is eventually consistent.
    fn rejected_since(
        &self,
        organization: &OrganizationId,
        source: &SourceId,
        since: Timestamp,
        after: Option<&ReceiptId>,
        limit: u16,
    ) -> impl Future<Output = Result<Vec<ReceiptId>>> + Send;
}

/// Writes how sources do, one write for each batch of receipts. (receipts: `UpdateItem` on health items)
pub trait SourceHealthLog: Send + Sync {
    /// Adds what one batch showed, and tells how the source does now. A batch that is repeated is counted again.
    fn note_source_health(&self, note: &HealthNote) -> impl Future<Output = Result<SourceHealth>> + Send;
}

/// Reads how sources do. (receipts: `GetItem`)
pub trait SourceHealths: Send + Sync {
    /// How a source does; the default when nothing was noted yet. Callers that act for a tenant compare the organization of the source.
    fn source_health(&self, id: &SourceId) -> impl Future<Output = Result<SourceHealth>> + Send;
}

/// The webhooks of one organization as one consistent reading.
#[derive(Debug, Clone, Default)]
pub struct WebhookSet {
    /// All of them, disabled ones too.
    pub webhooks: Arc<Vec<Webhook>>,
    /// How those do of which there is something to say: who fails leaves the fast lane, who is disabled gets nothing.
    pub health: HashMap<WebhookId, Health>,
    /// Whether the organization is suspended: nothing is sent to any of them, and nothing is lost meanwhile.
    pub suspended: bool,
}

impl WebhookSet {
    /// Whether a webhook is sent anything: its team wants it, and Hookline has not disabled it.
    #[must_use]
    pub fn is_live(&self, webhook: &Webhook) -> bool {
        let health = self.health.get(&webhook.id);
        webhook.enabled && health.is_none_or(|health| health.disabled.is_none())
    }

    /// The webhooks that are to get an event, in their order, by the matcher that was made of them.
    ///
    /// # Errors
    /// When the stored parts of the event do not fit together.
    pub fn wanting(&self, matcher: &Matcher, event: &Event) -> std::result::Result<Vec<&Webhook>, BrokenEvent> {
        let positions = matcher.matching(event)?.into_iter();
        Ok(positions
            .filter_map(|position| self.webhooks.get(position))
            .filter(|webhook| self.is_live(webhook) && !own::is_about(event, &webhook.id))
            .collect())
    }

    /// Since when a webhook has been failing, as far as it was noted.
    #[must_use]
    pub fn failing_since(&self, webhook: &WebhookId) -> Option<Timestamp> {
        self.health.get(webhook).and_then(|health| health.failing_since)
    }
}

/// Reads an organization's webhooks, cached by the set's version. (webhooks: `Query`)
pub trait WebhookSets: Send + Sync {
    /// The set as it is now: one small consistent read, and the registrations only when their version changed.
    fn webhook_set(&self, organization: &OrganizationId) -> impl Future<Output = Result<WebhookSet>> + Send;
}

/// Writes how webhooks do. Each tells whether that is news; then the event that tells it is stored by the same write, so that it is told
/// once, and not lost either. (webhooks: `UpdateItem` on health items; events: `PutItem`)
pub trait HealthLog: Send + Sync {
    /// Notes that a webhook has been failing since then; keeps an earlier time that is there already.
    fn set_failing(
        &self,
        organization: &OrganizationId,
        webhook: &WebhookId,
        since: Timestamp,
        tell: Option<&Event>,
    ) -> impl Future<Output = Result<bool>> + Send;
    /// Notes that it is well again.
    fn clear_failing(
        &self,
        organization: &OrganizationId,
        webhook: &WebhookId,
        tell: Option<&Event>,
    ) -> impl Future<Output = Result<bool>> + Send;
    /// Notes that it is sent nothing any more; keeps an earlier reason. With `failing_since` only while it has been failing since then:
    /// a success meanwhile counts.
    fn disable(
        &self,
        organization: &OrganizationId,
        webhook: &WebhookId,
        disabled: &Disabled,
        failing_since: Option<Timestamp>,
        tell: &Event,
    ) -> impl Future<Output = Result<bool>> + Send;
}

/// Records deliveries. The event that tells of an outcome is stored by the same write. (deliveries: `Query`, `GetItem`, `PutItem`; events:
/// `PutItem`)
pub trait Deliveries: Send + Sync {
    /// All deliveries of an event, consistently read: what is recorded is not sent again.
    fn deliveries_of(&self, event: &EventId) -> impl Future<Output = Result<Vec<Delivery>>> + Send;
    /// One delivery, consistently read.
    fn delivery(&self, event: &EventId, webhook: &WebhookId) -> impl Future<Output = Result<Option<Delivery>>> + Send;
    /// Records a delivery for the first time. `false` when it is recorded already: then that record stands.
    fn create_delivery(&self, delivery: &Delivery, tell: Option<&Event>) -> impl Future<Output = Result<bool>> + Send;
    /// Writes the outcome of a further attempt under `delivery.fence`. `false` when a later owner wrote meanwhile, or it is no longer due.
    fn update_delivery(&self, delivery: &Delivery, tell: Option<&Event>) -> impl Future<Output = Result<bool>> + Send;
}

/// Asks for deliveries that were made, or given up, before. (deliveries: `PutItem`)
pub trait Redelivery: Send + Sync {
    /// Puts a delivery in the place of the one that was read. `false` when that has changed meanwhile: an outcome was written, or somebody
    /// else asked for it.
    fn replace_delivery(&self, before: &Delivery, after: &Delivery) -> impl Future<Output = Result<bool>> + Send;
}

/// What an index by time says of an event, or of a webhook's delivery of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// When the event arrived, or the delivery was first recorded.
    pub at: Timestamp,
    /// The event.
    pub event: EventId,
    /// Where the delivery stood a moment ago.
    pub status: Option<DeliveryStatus>,
    /// The event's type; `None` of a delivery.
    pub event_type: Option<String>,
    /// Where the event came in; `None` when it was published, and of a delivery.
    pub source: Option<SourceId>,
}

impl Moment {
    /// Its place in the order.
    #[must_use]
    pub fn position(&self) -> Position {
        Position {
            at: self.at,
            id: self.event.to_string(),
        }
    }
}

/// Finds events and deliveries by time, oldest first. The indexes are eventually consistent. (events: `Query` on `by-organization`;
/// deliveries: `Query` on `by-webhook`)
pub trait Timelines: Send + Sync {
    /// The events of an organization that arrived from `since` to `until` and, with `after`, stand behind that place, at most `limit`.
    fn events_between(
        &self,
        organization: &OrganizationId,
        since: Timestamp,
        until: Timestamp,
        after: Option<&Position>,
        limit: u16,
    ) -> impl Future<Output = Result<Vec<Moment>>> + Send;
    /// The deliveries to a webhook that were first recorded from `since` to `until` and, with `after`, stand behind that place, at most
    /// `limit`. Callers that act for a tenant have looked whose webhook it is.
    fn deliveries_between(
        &self,
        webhook: &WebhookId,
        since: Timestamp,
        until: Timestamp,
        after: Option<&Position>,
        limit: u16,
    ) -> impl Future<Output = Result<Vec<Moment>>> + Send;
}

/// Reads jobs. (registry: `GetItem`)
pub trait Jobs: Send + Sync {
    /// A job of this organization.
    fn job(&self, organization: &OrganizationId, id: &JobId) -> impl Future<Output = Result<Option<Job>>> + Send;
}

/// Takes orders for jobs. (registry: `Query`, transactions of `PutItem`, `UpdateItem`, `DeleteItem`)
pub trait JobDesk: Jobs {
    /// Stores a new job, and that it is to be worked on, all or nothing. `false` when its organization has `most` jobs, or more, that have
    /// not ended: however many are asked for at the same time.
    fn create_job(&self, job: &Job, most: usize) -> impl Future<Output = Result<bool>> + Send;
    /// The jobs of an organization, newest first and, with `before`, older than that one, at most `limit`.
    fn jobs_of(
        &self,
        organization: &OrganizationId,
        before: Option<&JobId>,
        limit: u16,
    ) -> impl Future<Output = Result<Vec<Job>>> + Send;
    /// Ends a job that has not ended. `false` when it has, or is not there.
    fn cancel_job(
        &self,
        organization: &OrganizationId,
        id: &JobId,
        now: Timestamp,
    ) -> impl Future<Output = Result<bool>> + Send;
    /// What arrived before this time may be forgotten by `now`.
    fn events_kept_since(&self, now: Timestamp) -> Timestamp;
}

/// A job that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningJob {
    /// Its tenant.
    pub organization: OrganizationId,
    /// The job.
    pub job: JobId,
    /// Whether it is about one event alone, and so soon done.
    pub of_one_event: bool,
}

/// The right to work on a job, for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobLease {
    /// The job.
    pub job: JobId,
    /// Who holds it: a text of its own for each invocation.
    pub owner: String,
    /// Grows each time the lease passes to somebody.
    pub fence: u64,
    /// Until when it is held.
    pub until: Timestamp,
}

/// Finds the jobs to work on, and keeps how far they are. (registry: `Query` on the jobs that have not ended, `UpdateItem` on leases,
/// transactions of `PutItem`, `UpdateItem` and `DeleteItem`)
pub trait JobQueue: Jobs {
    /// All jobs that have not ended, of all organizations, oldest first.
    fn running_jobs(&self) -> impl Future<Output = Result<Vec<RunningJob>>> + Send;
    /// Takes the lease of a job until then, when nobody holds it at `now`.
    fn take_job_lease(
        &self,
        job: &JobId,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> impl Future<Output = Result<Option<JobLease>>> + Send;
    /// Gives a lease back; nothing happens when it has passed to another.
    fn release_job_lease(&self, lease: &JobLease) -> impl Future<Output = Result<()>> + Send;
    /// Writes how far a job is, or that it has ended, under `job.fence`. `false` when it had ended already, or a later owner has written.
    fn save_job(&self, job: &Job) -> impl Future<Output = Result<bool>> + Send;
    /// Forgets that a job is to be worked on that is not there any more.
    fn forget_running_job(&self, job: &JobId) -> impl Future<Output = Result<()>> + Send;
}

/// The right to send what is due in one bucket, for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The bucket.
    pub bucket: u8,
    /// Who holds it: a text of its own for each invocation.
    pub owner: String,
    /// Grows each time the lease passes to somebody.
    pub fence: u64,
    /// Until when it is held.
    pub until: Timestamp,
}

/// What the index says of a delivery that is due.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Due {
    /// When its next attempt is due.
    pub at: Timestamp,
    /// The event.
    pub event: EventId,
    /// The webhook.
    pub webhook: WebhookId,
}

/// Finds what is due, and shares the buckets between overlapping ticks. (deliveries: `Query` on `due`; registry: `UpdateItem` on leases)
pub trait DueQueue: Send + Sync {
    /// The deliveries of a bucket whose next attempt is from `from` to `until`, oldest first and, with `after`, behind that one, at most
    /// `limit`. The index is eventually consistent: read the delivery itself before acting on it.
    fn due(
        &self,
        bucket: u8,
        from: Timestamp,
        until: Timestamp,
        after: Option<&Due>,
        limit: u16,
    ) -> impl Future<Output = Result<Vec<Due>>> + Send;
    /// Takes the lease of a bucket until then, when nobody holds it at `now`.
    fn take_lease(
        &self,
        bucket: u8,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> impl Future<Output = Result<Option<Lease>>> + Send;
    /// Prolongs a lease under the same fence. `None` when it has passed to another.
    fn renew_lease(&self, lease: &Lease, until: Timestamp) -> impl Future<Output = Result<Option<Lease>>> + Send;
    /// Gives a lease back; nothing happens when it has passed to another.
    fn release_lease(&self, lease: &Lease) -> impl Future<Output = Result<()>> + Send;
}

/// Registers webhooks. (webhooks: transactions that also count the set's version; secrets: `PutItem`, `DeleteItem`)
pub trait Webhooks: Send + Sync {
    /// Stores a new webhook with its secrets and counts the set's version, all or nothing.
    fn create_webhook(&self, webhook: &Webhook, secrets: &WebhookSecrets) -> impl Future<Output = Result<()>> + Send;
    /// A webhook of this organization, and how often it was changed, its secrets included: what a change of it is made for. Secrets
    /// that are read after this are covered by it too.
    fn webhook_to_change(
        &self,
        organization: &OrganizationId,
        id: &WebhookId,
    ) -> impl Future<Output = Result<Option<(Webhook, u64)>>> + Send;
    /// Replaces what a webhook says and, where given, its secrets, and counts the set's version, all or nothing. With `enable` what
    /// Hookline disabled by itself is taken back. [`StoreError::Conflict`] when it or its secrets were changed since `revision`, or when
    /// it is gone.
    fn update_webhook(
        &self,
        webhook: &Webhook,
        revision: u64,
        secrets: Option<&WebhookSecrets>,
        enable: bool,
    ) -> impl Future<Output = Result<()>> + Send;
    /// How a webhook does; `None` when there is nothing to say.
    fn health(
        &self,
        organization: &OrganizationId,
        id: &WebhookId,
    ) -> impl Future<Output = Result<Option<Health>>> + Send;
    /// A webhook of this organization.
    fn webhook(
        &self,
        organization: &OrganizationId,
        id: &WebhookId,
    ) -> impl Future<Output = Result<Option<Webhook>>> + Send;
    /// The webhooks of an organization, oldest first.
    fn webhooks_of(&self, organization: &OrganizationId) -> impl Future<Output = Result<Vec<Webhook>>> + Send;
    /// At most `limit` webhooks of an organization, oldest first and, with `after`, behind that one.
    fn webhooks_after(
        &self,
        organization: &OrganizationId,
        after: Option<&WebhookId>,
        limit: u16,
    ) -> impl Future<Output = Result<Vec<Webhook>>> + Send;
    /// Deletes a webhook, its secrets and its health, and counts the set's version. [`StoreError::Conflict`] when it or its secrets were
    /// changed since `revision`, or when it is gone.
    fn delete_webhook(&self, webhook: &Webhook, revision: u64) -> impl Future<Output = Result<()>> + Send;
}

/// Finds API keys. (registry: `GetItem`, `UpdateItem` of the day of the last use)
pub trait Keys: Send + Sync {
    /// The key with this hash.
    fn key(&self, hash: &str) -> impl Future<Output = Result<Option<ApiKey>>> + Send;
    /// Notes on which day (in UTC) the key with this hash opened something. Nothing happens when it is revoked meanwhile.
    fn note_use(&self, hash: &str, day: Date) -> impl Future<Output = Result<()>> + Send;
}

/// Makes, lists and revokes API keys. (registry: transactions; `Query` and `GetItem` for lists)
pub trait KeyRegistry: Send + Sync {
    /// Adds a key to an organization that exists and is suspended if, and only if, the key is; otherwise [`StoreError::Conflict`].
    fn add_key(&self, key: &ApiKey, key_hash: &str) -> impl Future<Output = Result<()>> + Send;
    /// The keys of an organization, oldest first.
    fn keys_of(&self, organization: &OrganizationId) -> impl Future<Output = Result<Vec<ApiKey>>> + Send;
    /// A key of an organization by its id.
    fn key_of(&self, organization: &OrganizationId, id: &KeyId) -> impl Future<Output = Result<Option<ApiKey>>> + Send;
    /// Revokes a key, which opens nothing from then on, in the name of another one, which must still be there: two that revoke each other do not
    /// both succeed. `false` when either is gone.
    fn revoke_key(
        &self,
        organization: &OrganizationId,
        id: &KeyId,
        by: &KeyId,
    ) -> impl Future<Output = Result<bool>> + Send;
}

/// Keeps the audit trail. (registry: `PutItem`, alone and in transactions; `Query`)
pub trait AuditTrail: Clone + Send + Sync {
    /// The same store, whose next change carries this entry: both are written, or neither. For one change each.
    #[must_use]
    fn recording(&self, entry: AuditEntry) -> Self;
    /// Writes an entry by itself: of what is not one write.
    fn record(&self, entry: &AuditEntry) -> impl Future<Output = Result<()>> + Send;
    /// The entries of an organization from `since` until before `until`, in the order that `newest_first` says and, with `after`, behind that
    /// one, at most `limit`.
    fn audit_of(
        &self,
        organization: &OrganizationId,
        span: &AuditSpan,
        limit: u16,
    ) -> impl Future<Output = Result<Vec<AuditEntry>>> + Send;
}

/// Which entries of an audit trail are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditSpan {
    /// The time of the oldest; all when it is absent.
    pub since: Option<Timestamp>,
    /// What the newest lies before; up to now when it is absent.
    pub until: Option<Timestamp>,
    /// The newest first, instead of the oldest.
    pub newest_first: bool,
    /// The one behind which to go on.
    pub after: Option<AuditId>,
}

/// A request that carries an [idempotency key](https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotentRequest {
    /// The API key that it was made with: idempotency keys of two API keys never meet.
    pub key: KeyId,
    /// What the client called it, hashed.
    pub name: String,
    /// What was asked, hashed: method, path and body.
    pub fingerprint: String,
    /// Who carries it out: a text of its own for each try.
    pub owner: String,
}

/// What is known of a request that carries an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// It is new, or its last try broke off: this one carries it out.
    Ours,
    /// Another try carries it out at this moment.
    InProgress,
    /// Something else was asked under the same key.
    Different,
    /// It was carried out: its sealed answer.
    Answered(Vec<u8>),
}

/// Remembers requests that carry an idempotency key. (registry: `PutItem`, `UpdateItem`, `DeleteItem` on their items)
pub trait IdempotentRequests: Send + Sync {
    /// Begins to carry out a request at `now`: nobody else does until `locked_until`, and it is remembered until `expires`.
    fn begin(
        &self,
        request: &IdempotentRequest,
        now: Timestamp,
        locked_until: Timestamp,
        expires: Timestamp,
    ) -> impl Future<Output = Result<Begun>> + Send;
    /// Keeps the sealed answer, unless another try has taken over.
    fn finish(&self, request: &IdempotentRequest, answer: &[u8]) -> impl Future<Output = Result<()>> + Send;
    /// Forgets a request that came to nothing, unless another try has taken over.
    fn abandon(&self, request: &IdempotentRequest) -> impl Future<Output = Result<()>> + Send;
}

/// Counts what an organization has registered, and reads none of it. (sources, webhooks, registry: `Query` with `Select: COUNT`)
pub trait RegistrationCounts: Send + Sync {
    /// How many sources it has. The index is eventually consistent.
    fn count_sources(&self, organization: &OrganizationId) -> impl Future<Output = Result<u64>> + Send;
    /// How many webhooks it has, those that cannot be read among them.
    fn count_webhooks(&self, organization: &OrganizationId) -> impl Future<Output = Result<u64>> + Send;
    /// How many API keys it has.
    fn count_keys(&self, organization: &OrganizationId) -> impl Future<Output = Result<u64>> + Send;
}

/// Reads how much an organization may register. (registry: `GetItem` on the organization)
pub trait Quotas: Send + Sync {
    /// Its quota; that of all where the organization is not there.
    fn quota(&self, organization: &OrganizationId) -> impl Future<Output = Result<Quota>> + Send;
}

/// Makes, changes and reads tenants. (registry: transactions, `GetItem`, `Query`; only `operate` may write)
pub trait Organizations: Send + Sync {
    /// The ids of at most `limit` organizations, oldest first and, with `after`, behind that one.
    fn organizations_after(
        &self,
        after: Option<&OrganizationId>,
        limit: u16,
    ) -> impl Future<Output = Result<Vec<OrganizationId>>> + Send;
    /// Says whether an organization is suspended, in its own item alone. [`StoreError::Conflict`] when it is not there.
    fn set_suspension(
        &self,
        organization: &OrganizationId,
        suspension: Option<&Suspension>,
    ) -> impl Future<Output = Result<()>> + Send;
    /// Says how much an organization may register. [`StoreError::Conflict`] when it is not there.
    fn set_quota(&self, organization: &OrganizationId, quota: &Quota) -> impl Future<Output = Result<()>> + Send;
    /// Deletes an organization's own item, as the last of all that it had. [`StoreError::Conflict`] when it is not there.
    fn delete_organization(&self, organization: &OrganizationId) -> impl Future<Output = Result<()>> + Send;
    /// Stores a new organization with its first key, all or nothing.
    fn create_organization(
        &self,
        organization: &Organization,
        key: &ApiKey,
        key_hash: &str,
    ) -> impl Future<Output = Result<()>> + Send;
    /// An organization.
    fn organization(&self, id: &OrganizationId) -> impl Future<Output = Result<Option<Organization>>> + Send;
}
