//! What webhooks were: items beside the registrations, with a time to live.

use jiff::Timestamp;
use payload::filter::StoredFilter;
use payload::webhook::{Disabled, Format, Health, Webhook};
use payload::{OrganizationId, WebhookId};
use serde::{Deserialize, Serialize};

use super::{SCHEMA_VERSION, expiry, timestamp};
use crate::StoreError;
use crate::history::WebhookWas;

/// What the range key of such an item begins with. It sorts behind the version of the set and before the registrations, and so in
/// neither of the ranges that are read for deliveries.
const WAS_PREFIX: &str = "was#";

/// The range key before which all of an organization's sort that ended at `at` or earlier, and behind which all later ones.
pub(crate) fn was_behind(at: Timestamp) -> String {
    format!("{}~", was_until(at))
}

/// The range keys before and behind all of them.
pub(crate) fn was_all() -> (String, String) {
    (WAS_PREFIX.to_owned(), format!("{WAS_PREFIX}~"))
}

/// What the range key begins with of all that ended in this millisecond: as many digits as any time has.
fn was_until(at: Timestamp) -> String {
    format!("{WAS_PREFIX}{:015}", at.as_millisecond().max(0))
}

/// What a webhook was until it was changed or deleted.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookWasItem {
    v: u32,
    organization: OrganizationId,
    id: String,
    webhook: WebhookId,
    name: String,
    filter: StoredFilter,
    format: Format,
    enabled: bool,
    /// When it was made, in milliseconds since 1970.
    at: i64,
    /// Why and since when Hookline had disabled it, as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    disabled: Option<String>,
    /// Milliseconds since 1970.
    until: i64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    deleted: bool,
    ttl: i64,
}

impl WebhookWasItem {
    /// The item of what a webhook was that had been changed `revision` times: kept for as many days as events are.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when it cannot be written as JSON.
    pub fn new(
        before: &Webhook,
        revision: u64,
        health: Option<&Health>,
        until: Timestamp,
        deleted: bool,
        days: u16,
    ) -> Result<Self, StoreError> {
        let disabled = health.and_then(|health| health.disabled.as_ref());
        let disabled = disabled.map(serde_json::to_string).transpose();
        Ok(Self {
            v: SCHEMA_VERSION,
            organization: before.organization.clone(),
            id: format!("{}#{}#{revision}", was_until(until), before.id),
            webhook: before.id.clone(),
            name: before.name.clone(),
            filter: before.filter.clone(),
            format: before.format,
            enabled: before.enabled,
            at: before.created_at.as_millisecond(),
            disabled: disabled.map_err(|error| StoreError::Refused(error.to_string()))?,
            until: until.as_millisecond(),
            deleted,
            ttl: expiry(until, days),
        })
    }
}

impl TryFrom<WebhookWasItem> for WebhookWas {
    type Error = StoreError;

    fn try_from(item: WebhookWasItem) -> Result<Self, StoreError> {
        let disabled = item
            .disabled
            .map(|disabled| serde_json::from_str::<Disabled>(&disabled));
        Ok(Self {
            webhook: item.webhook,
            name: item.name,
            filter: item.filter,
            format: item.format,
            enabled: item.enabled,
            created_at: timestamp(item.at)?,
            disabled: disabled
                .transpose()
                .map_err(|_| StoreError::Unreadable("why a webhook was disabled".into()))?,
            until: timestamp(item.until)?,
            deleted: item.deleted,
        })
    }
}
