//! Sources and webhooks, their secrets, and how many there may be.

use std::future::Future;

use payload::called_url::{CalledUrl, InvalidCalledUrl};
use payload::key::TimedSecret;
use payload::organization::Quota;
use payload::source::{Door, Source};
use payload::webhook::{Health, Webhook, WebhookSecrets};
use payload::{OrganizationId, SourceId, WebhookId};
use secrecy::ExposeSecret;

use super::Result;
use crate::StoreError;
use crate::item::called_url_key;

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

/// Reads everything secret about webhooks. (secrets: `GetItem`)
pub trait DestinationSecrets: Send + Sync {
    /// What a webhook's deliveries are signed with, and the headers that its destination wants; nothing when there is none.
    fn webhook_secrets(&self, webhook: &WebhookId) -> impl Future<Output = Result<WebhookSecrets>> + Send;
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
