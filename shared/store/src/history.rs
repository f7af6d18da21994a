//! What webhooks were, as far as that decides which events they got: it answers why one got an event and another did not, also after
//! they were changed.

use std::future::Future;

use jiff::Timestamp;
use payload::filter::StoredFilter;
use payload::webhook::{Disabled, Format};
use payload::{OrganizationId, WebhookId};

use crate::StoreError;

type Result<T> = std::result::Result<T, StoreError>;

/// What a webhook was until it was changed or deleted. Its URL is not kept: it may be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookWas {
    /// The webhook.
    pub webhook: WebhookId,
    /// Its name for people.
    pub name: String,
    /// Which events it wanted.
    pub filter: StoredFilter,
    /// What was sent.
    pub format: Format,
    /// Whether its team wanted anything sent at all.
    pub enabled: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// Why and since when Hookline had disabled it.
    pub disabled: Option<Disabled>,
    /// Until when it was so.
    pub until: Timestamp,
    /// Whether it was deleted then, and not only changed.
    pub deleted: bool,
}

/// What webhooks were, as far as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// What they were, in the order that was asked for.
    pub were: Vec<WebhookWas>,
    /// Whether that is all: not more than was to be read, and nothing that cannot be read.
    pub complete: bool,
}

/// Reads what webhooks were. It is written by whatever changes them under an entry of the audit trail, whose time is that of the change.
/// (webhooks: `Query`)
pub trait WebhookHistory: Send + Sync {
    /// What webhooks of this organization were after `at` and are no more, by the time that it ended, at most `limit` of them, and
    /// not more than some megabytes. Of each webhook the first is what it was at that time.
    fn webhooks_were(
        &self,
        organization: &OrganizationId,
        at: Timestamp,
        limit: usize,
    ) -> impl Future<Output = Result<History>> + Send;
    /// The webhooks of this organization that were deleted until `at`, the last first. At most `limit` changes are looked at.
    fn webhooks_deleted(
        &self,
        organization: &OrganizationId,
        at: Timestamp,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<WebhookWas>>> + Send;
}
