//! Organizations and their API keys, the audit trail, and requests that are made once.

use std::future::Future;

use jiff::Timestamp;
use jiff::civil::Date;
use payload::audit::AuditEntry;
use payload::organization::{ApiKey, Organization, Quota, Suspension};
use payload::{AuditId, KeyId, OrganizationId};

use super::Result;

/// Makes, changes and reads tenants. (registry: transactions, `GetItem`, `Query`; only `operate` may write)
pub trait Organizations: Send + Sync {
    /// The ids of at most `limit` organizations, oldest first and, with `after`, behind that one.
    fn organizations_after(
        &self,
        after: Option<&OrganizationId>,
        limit: u16,
    ) -> impl Future<Output = Result<Vec<OrganizationId>>> + Send;
    /// Says whether an organization is suspended, in its own item alone.
    /// [`StoreError::Conflict`](crate::StoreError::Conflict) when it is not there.
    fn set_suspension(
        &self,
        organization: &OrganizationId,
        suspension: Option<&Suspension>,
    ) -> impl Future<Output = Result<()>> + Send;
    /// Says how much an organization may register.
    /// [`StoreError::Conflict`](crate::StoreError::Conflict) when it is not there.
    fn set_quota(&self, organization: &OrganizationId, quota: &Quota) -> impl Future<Output = Result<()>> + Send;
    /// Deletes an organization's own item, as the last of all that it had.
    /// [`StoreError::Conflict`](crate::StoreError::Conflict) when it is not there.
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

/// Finds API keys. (registry: `GetItem`, `UpdateItem` of the day of the last use)
pub trait Keys: Send + Sync {
    /// The key with this hash.
    fn key(&self, hash: &str) -> impl Future<Output = Result<Option<ApiKey>>> + Send;
    /// Notes on which day (in UTC) the key with this hash opened something. Nothing happens when it is revoked meanwhile.
    fn note_use(&self, hash: &str, day: Date) -> impl Future<Output = Result<()>> + Send;
}

/// Makes, lists and revokes API keys. (registry: transactions; `Query` and `GetItem` for lists)
pub trait KeyRegistry: Send + Sync {
    /// Adds a key to an organization that exists and is suspended if, and only if, the key is; otherwise
    /// [`StoreError::Conflict`](crate::StoreError::Conflict).
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
