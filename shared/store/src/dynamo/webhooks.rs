//! Webhooks, their health, and the cached set of an organization's webhooks.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::builders::UpdateBuilder;
use aws_sdk_dynamodb::types::{TransactWriteItem, Update};
use jiff::Timestamp;
use payload::webhook::{Disabled, Health, Webhook, WebhookSecrets};
use payload::{Event, OrganizationId, WebhookId};

use super::history::Becomes;
use super::{Attributes, Dynamo, built, delete, key, number, put, put_new, read, remove, replace, sdk_error, text};
use crate::item::{
    HEALTH_PREFIX, HealthItem, SCHEMA_VERSION, SUSPENDED_KEY, SecretsItem, VERSION_KEY, VersionItem, WebhookItem,
};
use crate::{DestinationSecrets, HealthLog, StoreError, WebhookSet, WebhookSets, Webhooks};

/// An organization's registrations as they were at one version of the set.
#[derive(Debug, Clone)]
pub(super) struct CachedSet {
    version: u64,
    webhooks: Arc<Vec<Webhook>>,
}

/// The most organizations whose sets are kept in memory.
const MAX_CACHED_SETS: usize = 1000;

impl WebhookSets for Dynamo {
    async fn webhook_set(&self, organization: &OrganizationId) -> Result<WebhookSet, StoreError> {
        // Health items and the version lie next to each other: one small read tells both.
        let (mut version, mut health, mut suspended) = (0, HashMap::new(), false);
        for item in self.webhook_items(organization, HEALTH_PREFIX, VERSION_KEY).await? {
            let id = item.get("id").and_then(|id| id.as_s().ok()).map(String::as_str);
            if id == Some(SUSPENDED_KEY) {
                // That it is there says it: what it holds is for people.
                suspended = true;
            } else if id == Some(VERSION_KEY) {
                version = read::<VersionItem>(item)?.n;
            } else {
                // What cannot be read says nothing about its webhook, which is then taken to be well; the others are none the worse.
                match read::<HealthItem>(item).and_then(Health::try_from) {
                    Ok(found) if says_something(&found) => {
                        health.insert(found.webhook.clone(), found);
                    }
                    Ok(_) => {}
                    Err(error @ StoreError::Newer { .. }) => return Err(error),
                    Err(error) => {
                        tracing::error!(%organization, error_type = error.error_type(), "a stored health item cannot be read");
                    }
                }
            }
        }
        let cached = self
            .sets
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(organization)
            .cloned();
        if let Some(set) = cached.filter(|set| set.version == version) {
            return Ok(WebhookSet {
                webhooks: set.webhooks,
                health,
                suspended,
            });
        }
        let webhooks = Arc::new(self.webhooks_of(organization).await?);
        let mut sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        if sets.len() >= MAX_CACHED_SETS {
            sets.clear();
        }
        sets.insert(
            organization.clone(),
            CachedSet {
                version,
                webhooks: Arc::clone(&webhooks),
            },
        );
        Ok(WebhookSet {
            webhooks,
            health,
            suspended,
        })
    }
}

impl HealthLog for Dynamo {
    async fn set_failing(
        &self,
        organization: &OrganizationId,
        webhook: &WebhookId,
        since: Timestamp,
        tell: Option<&Event>,
    ) -> Result<bool, StoreError> {
        let update = self
            .health_update(organization, webhook)
            .update_expression("SET v = :v, failingSince = :since")
            .condition_expression("attribute_not_exists(failingSince)")
            .expression_attribute_values(":v", number(SCHEMA_VERSION))
            .expression_attribute_values(":since", number(since.as_millisecond()));
        self.note(update, tell).await
    }

    async fn clear_failing(
        &self,
        organization: &OrganizationId,
        webhook: &WebhookId,
        tell: Option<&Event>,
    ) -> Result<bool, StoreError> {
        let update = self
            .health_update(organization, webhook)
            .update_expression("REMOVE failingSince")
            .condition_expression("attribute_exists(failingSince)");
        self.note(update, tell).await
    }

    async fn disable(
        &self,
        organization: &OrganizationId,
        webhook: &WebhookId,
        disabled: &Disabled,
        failing_since: Option<Timestamp>,
        tell: &Event,
    ) -> Result<bool, StoreError> {
        let json = serde_json::to_string(disabled).map_err(|error| StoreError::Refused(error.to_string()))?;
        let update = self
            .health_update(organization, webhook)
            .update_expression("SET v = :v, disabled = :disabled")
            .expression_attribute_values(":v", number(SCHEMA_VERSION))
            .expression_attribute_values(":disabled", text(json));
        let update = match failing_since {
            None => update.condition_expression("attribute_not_exists(disabled)"),
            Some(since) => update
                .condition_expression("attribute_not_exists(disabled) AND failingSince = :since")
                .expression_attribute_values(":since", number(since.as_millisecond())),
        };
        self.note(update, Some(tell)).await
    }
}

impl DestinationSecrets for Dynamo {
    async fn webhook_secrets(&self, webhook: &WebhookId) -> Result<WebhookSecrets, StoreError> {
        let item: Option<SecretsItem> = self
            .get(&self.tables.secrets, key([("owner", webhook.as_str())]), true)
            .await?;
        item.map_or_else(|| Ok(WebhookSecrets::default()), SecretsItem::into_webhook_secrets)
    }
}

/// An item stays behind when a webhook is well again, and says nothing then.
fn says_something(health: &Health) -> bool {
    health.failing_since.is_some() || health.disabled.is_some()
}

/// Whether a conditional write found that it was needed.
fn is_news<T>(outcome: Result<T, StoreError>) -> Result<bool, StoreError> {
    match outcome {
        Ok(_) => Ok(true),
        Err(StoreError::Conflict) => Ok(false),
        Err(error) => Err(error),
    }
}

impl Webhooks for Dynamo {
    async fn create_webhook(&self, webhook: &Webhook, secrets: &WebhookSecrets) -> Result<(), StoreError> {
        let writes = vec![
            put_new(&self.tables.webhooks, "id", &WebhookItem::from(webhook))?,
            put_new(
                &self.tables.secrets,
                "owner",
                &SecretsItem::of_webhook(webhook.id.as_str(), secrets),
            )?,
            self.count_version(&webhook.organization)?,
        ];
        self.write_all(writes).await
    }

    async fn update_webhook(
        &self,
        webhook: &Webhook,
        revision: u64,
        secrets: Option<&WebhookSecrets>,
        enable: bool,
    ) -> Result<(), StoreError> {
        // Every change counts, also one of the secrets alone: so this one condition holds for the secrets too.
        let item = WebhookItem::from(webhook).at_revision(revision.saturating_add(1));
        let mut writes = vec![
            replace(&self.tables.webhooks, &item, revision)?,
            self.count_version(&webhook.organization)?,
        ];
        if let Some(secrets) = secrets {
            writes.push(put(
                &self.tables.secrets,
                &SecretsItem::of_webhook(webhook.id.as_str(), secrets),
            )?);
        }
        if enable {
            writes.push(delete(
                &self.tables.webhooks,
                health_key(&webhook.organization, &webhook.id),
            )?);
        }
        // What was changed meanwhile fails below.
        if let Some((before, _)) =
            (self.webhook_to_change(&webhook.organization, &webhook.id).await?).filter(|(_, found)| *found == revision)
        {
            let becomes = Becomes::Changed { after: webhook, enable };
            writes.extend(self.keep(&before, revision, becomes).await?);
        }
        self.write_all(writes).await
    }

    async fn webhook_to_change(
        &self,
        organization: &OrganizationId,
        id: &WebhookId,
    ) -> Result<Option<(Webhook, u64)>, StoreError> {
        let item: Option<WebhookItem> = self
            .get(&self.tables.webhooks, webhook_key(organization, id.as_str()), true)
            .await?;
        let with_revision = |item: WebhookItem| {
            let revision = item.revision;
            Ok((Webhook::try_from(item)?, revision))
        };
        item.map(with_revision).transpose()
    }

    async fn health(&self, organization: &OrganizationId, id: &WebhookId) -> Result<Option<Health>, StoreError> {
        let item: Option<HealthItem> = self
            .get(&self.tables.webhooks, health_key(organization, id), true)
            .await?;
        let health: Option<Health> = item.map(TryInto::try_into).transpose()?;
        Ok(health.filter(says_something))
    }

    async fn webhook(&self, organization: &OrganizationId, id: &WebhookId) -> Result<Option<Webhook>, StoreError> {
        let item: Option<WebhookItem> = self
            .get(&self.tables.webhooks, webhook_key(organization, id.as_str()), true)
            .await?;
        item.map(TryInto::try_into).transpose()
    }

    async fn webhooks_of(&self, organization: &OrganizationId) -> Result<Vec<Webhook>, StoreError> {
        let items = self
            .webhook_items(organization, WebhookId::PREFIX, BEHIND_WEBHOOKS)
            .await?;
        readable(organization, items)
    }

    async fn webhooks_after(
        &self,
        organization: &OrganizationId,
        after: Option<&WebhookId>,
        limit: u16,
    ) -> Result<Vec<Webhook>, StoreError> {
        let mut pages = self
            .webhook_query(organization, WebhookId::PREFIX, BEHIND_WEBHOOKS)
            .set_exclusive_start_key(after.map(|after| webhook_key(organization, after.as_str())))
            .limit(i32::from(limit))
            .into_paginator()
            .items()
            .send();
        let mut webhooks = Vec::new();
        while webhooks.len() < usize::from(limit) {
            let Some(item) = pages.next().await else { break };
            webhooks.extend(readable(organization, vec![item.map_err(sdk_error)?])?);
        }
        Ok(webhooks)
    }

    async fn delete_webhook(&self, webhook: &Webhook, revision: u64) -> Result<(), StoreError> {
        let Webhook { organization, id, .. } = webhook;
        let mut writes = vec![
            remove(&self.tables.webhooks, webhook_key(organization, id.as_str()), revision)?,
            delete(&self.tables.webhooks, health_key(organization, id))?,
            delete(&self.tables.secrets, key([("owner", id.as_str())]))?,
            self.count_version(organization)?,
        ];
        writes.extend(self.keep(webhook, revision, Becomes::Deleted).await?);
        self.write_all(writes).await
    }
}

/// Behind the range keys of all registrations.
pub(super) const BEHIND_WEBHOOKS: &str = "wh_~";

/// The registrations that can be read. One that cannot must not stop the deliveries to all others.
fn readable(organization: &OrganizationId, items: Vec<Attributes>) -> Result<Vec<Webhook>, StoreError> {
    let mut webhooks = Vec::new();
    for item in items {
        match read::<WebhookItem>(item).and_then(Webhook::try_from) {
            Ok(webhook) => webhooks.push(webhook),
            Err(error @ StoreError::Newer { .. }) => return Err(error),
            Err(error) => {
                tracing::error!(%organization, error_type = error.error_type(), "a stored webhook cannot be read and gets nothing");
            }
        }
    }
    Ok(webhooks)
}

impl Dynamo {
    /// All items of an organization whose range key lies between these two, consistently read.
    async fn webhook_items(
        &self,
        organization: &OrganizationId,
        from: &str,
        to: &str,
    ) -> Result<Vec<Attributes>, StoreError> {
        let query = self.webhook_query(organization, from, to);
        let mut pages = query.into_paginator().items().send();
        let mut items = Vec::new();
        while let Some(item) = pages.next().await {
            items.push(item.map_err(sdk_error)?);
        }
        Ok(items)
    }

    pub(super) fn webhook_query(&self, organization: &OrganizationId, from: &str, to: &str) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(&self.tables.webhooks)
            .key_condition_expression("organization = :organization AND id BETWEEN :from AND :to")
            .expression_attribute_values(":organization", text(organization.as_str()))
            .expression_attribute_values(":from", text(from))
            .expression_attribute_values(":to", text(to))
            .consistent_read(true)
    }

    fn health_update(&self, organization: &OrganizationId, webhook: &WebhookId) -> UpdateBuilder {
        Update::builder()
            .table_name(&self.tables.webhooks)
            .set_key(Some(health_key(organization, webhook)))
    }

    /// Writes a health item under a condition, which says whether it is news; together with the event that tells it, where there is one.
    async fn note(&self, update: UpdateBuilder, tell: Option<&Event>) -> Result<bool, StoreError> {
        let update = update.build().map_err(built)?;
        if let Some(event) = tell {
            let update = TransactWriteItem::builder().update(update.clone()).build();
            match self.transact(vec![update, self.put_news(event)?]).await? {
                None => return Ok(true),
                // It was told before: what is left is to note it.
                Some(reasons) if reasons.first().is_some_and(Option::is_none) => {}
                Some(_) => return Ok(false),
            }
        }
        let outcome = self
            .client
            .update_item()
            .table_name(update.table_name())
            .set_key(Some(update.key().clone()))
            .update_expression(update.update_expression())
            .set_condition_expression(update.condition_expression().map(str::to_owned))
            .set_expression_attribute_values(update.expression_attribute_values().cloned())
            .send()
            .await
            .map_err(sdk_error);
        is_news(outcome)
    }

    fn count_version(&self, organization: &OrganizationId) -> Result<TransactWriteItem, StoreError> {
        let update = Update::builder()
            .table_name(&self.tables.webhooks)
            .set_key(Some(webhook_key(organization, VERSION_KEY)))
            .update_expression("SET v = :version ADD n :one")
            .expression_attribute_values(":version", number(SCHEMA_VERSION))
            .expression_attribute_values(":one", number(1));
        Ok(TransactWriteItem::builder()
            .update(update.build().map_err(built)?)
            .build())
    }
}

pub(super) fn webhook_key(organization: &OrganizationId, id: &str) -> Attributes {
    key([("organization", organization.as_str()), ("id", id)])
}

fn health_key(organization: &OrganizationId, webhook: &WebhookId) -> Attributes {
    webhook_key(organization, &format!("{HEALTH_PREFIX}{webhook}"))
}
