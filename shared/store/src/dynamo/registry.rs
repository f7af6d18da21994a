//! Organizations and their API keys.

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::{ConditionCheck, Delete, TransactWriteItem, Update};
use jiff::civil::Date;
use payload::organization::{ApiKey, Organization, Quota, Suspension};
use payload::{KeyId, OrganizationId};

use super::{Attributes, Dynamo, built, delete, key, put, put_new, read, sdk_error, text};
use crate::item::{
    KEY_ITEM, KeyItem, KeyRefItem, ListedOrganizationItem, ORGANIZATION_KEY, ORGANIZATIONS, OrganizationItem,
    key_lookup, key_refs,
};
use crate::{KeyRegistry, Keys, Organizations, Quotas, StoreError};

impl Keys for Dynamo {
    async fn key(&self, hash: &str) -> Result<Option<ApiKey>, StoreError> {
        let item: Option<KeyItem> = self.get(&self.tables.registry, key_key(hash), true).await?;
        item.map(TryInto::try_into).transpose()
    }

    async fn note_use(&self, hash: &str, day: Date) -> Result<(), StoreError> {
        let outcome = self
            .client
            .update_item()
            .table_name(&self.tables.registry)
            .set_key(Some(key_key(hash)))
            .update_expression("SET lastUsed = :day")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":day", text(day.to_string()))
            .send()
            .await
            .map_err(sdk_error);
        match outcome {
            Ok(_) | Err(StoreError::Conflict) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl Organizations for Dynamo {
    async fn create_organization(
        &self,
        organization: &Organization,
        key: &ApiKey,
        key_hash: &str,
    ) -> Result<(), StoreError> {
        let writes = vec![
            put_new(&self.tables.registry, "pk", &OrganizationItem::try_from(organization)?)?,
            put_new(
                &self.tables.registry,
                "pk",
                &ListedOrganizationItem::new(&organization.id),
            )?,
            put_new(&self.tables.registry, "pk", &KeyItem::new(key, key_hash))?,
            put_new(&self.tables.registry, "pk", &KeyRefItem::new(key, key_hash))?,
        ];
        self.write_all(writes).await
    }

    async fn organization(&self, id: &OrganizationId) -> Result<Option<Organization>, StoreError> {
        let item: Option<OrganizationItem> = self.get(&self.tables.registry, organization_key(id), true).await?;
        item.map(TryInto::try_into).transpose()
    }

    async fn organizations_after(
        &self,
        after: Option<&OrganizationId>,
        limit: u16,
    ) -> Result<Vec<OrganizationId>, StoreError> {
        let mut pages = self
            .registry_partition(ORGANIZATIONS)
            .set_exclusive_start_key(after.map(listed_key))
            .limit(i32::from(limit))
            .into_paginator()
            .items()
            .send();
        let mut organizations = Vec::new();
        while organizations.len() < usize::from(limit) {
            let Some(item) = pages.next().await else { break };
            organizations.push(read::<ListedOrganizationItem>(item.map_err(sdk_error)?)?.sk);
        }
        Ok(organizations)
    }

    async fn set_suspension(
        &self,
        organization: &OrganizationId,
        suspension: Option<&Suspension>,
    ) -> Result<(), StoreError> {
        let json = suspension.map(serde_json::to_string).transpose();
        self.set_in_organization(organization, "suspension", json.map_err(built)?)
            .await
    }

    async fn set_quota(&self, organization: &OrganizationId, quota: &Quota) -> Result<(), StoreError> {
        let is_usual = *quota == Quota::default();
        let json = (!is_usual).then(|| serde_json::to_string(quota)).transpose();
        self.set_in_organization(organization, "quota", json.map_err(built)?)
            .await
    }

    async fn delete_organization(&self, organization: &OrganizationId) -> Result<(), StoreError> {
        let own = Delete::builder()
            .table_name(&self.tables.registry)
            .set_key(Some(organization_key(organization)))
            .condition_expression("attribute_exists(pk)");
        let writes = vec![
            TransactWriteItem::builder().delete(own.build().map_err(built)?).build(),
            delete(&self.tables.registry, listed_key(organization))?,
        ];
        self.all_or_conflict(writes).await
    }
}

impl Quotas for Dynamo {
    async fn quota(&self, organization: &OrganizationId) -> Result<Quota, StoreError> {
        let organization = self.organization(organization).await?;
        Ok(organization.map(|organization| organization.quota).unwrap_or_default())
    }
}

impl Dynamo {
    /// The hashes of an organization's keys.
    pub(super) async fn key_hashes(&self, organization: &OrganizationId) -> Result<Vec<String>, StoreError> {
        let mut pages = self.key_query(organization).into_paginator().items().send();
        let mut hashes = Vec::new();
        while let Some(item) = pages.next().await {
            let KeyRefItem { hash, .. } = read(item.map_err(sdk_error)?)?;
            hashes.push(hash);
        }
        Ok(hashes)
    }

    /// What says of each of an organization's keys where it is.
    pub(super) fn key_query(&self, organization: &OrganizationId) -> QueryFluentBuilder {
        self.registry_partition(&key_refs(organization))
    }

    /// All items of one partition of the registry, consistently read.
    pub(super) fn registry_partition(&self, partition: &str) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(&self.tables.registry)
            .key_condition_expression("pk = :partition")
            .expression_attribute_values(":partition", text(partition))
            .consistent_read(true)
    }

    /// Sets or removes one attribute of an organization that is there. One of before there was a list of all gets into it.
    async fn set_in_organization(
        &self,
        organization: &OrganizationId,
        attribute: &str,
        value: Option<String>,
    ) -> Result<(), StoreError> {
        let update = Update::builder()
            .table_name(&self.tables.registry)
            .set_key(Some(organization_key(organization)))
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_names("#attribute", attribute);
        let update = match value {
            Some(value) => update
                .update_expression("SET #attribute = :value")
                .expression_attribute_values(":value", text(value)),
            None => update.update_expression("REMOVE #attribute"),
        };
        let writes = vec![
            TransactWriteItem::builder()
                .update(update.build().map_err(built)?)
                .build(),
            put(&self.tables.registry, &ListedOrganizationItem::new(organization))?,
        ];
        self.all_or_conflict(writes).await
    }

    async fn all_or_conflict(&self, writes: Vec<TransactWriteItem>) -> Result<(), StoreError> {
        self.write_all(writes).await
    }
}

impl KeyRegistry for Dynamo {
    async fn add_key(&self, key: &ApiKey, key_hash: &str) -> Result<(), StoreError> {
        let exists = ConditionCheck::builder()
            .table_name(&self.tables.registry)
            .set_key(Some(organization_key(&key.organization)))
            .condition_expression(if key.suspended {
                "attribute_exists(suspension)"
            } else {
                "attribute_exists(pk) AND attribute_not_exists(suspension)"
            });
        let writes = vec![
            TransactWriteItem::builder()
                .condition_check(exists.build().map_err(built)?)
                .build(),
            put_new(&self.tables.registry, "pk", &KeyItem::new(key, key_hash))?,
            put_new(&self.tables.registry, "pk", &KeyRefItem::new(key, key_hash))?,
        ];
        self.write_all(writes).await
    }

    async fn keys_of(&self, organization: &OrganizationId) -> Result<Vec<ApiKey>, StoreError> {
        let mut keys = Vec::new();
        for hash in self.key_hashes(organization).await? {
            // Revoked between the two reads.
            keys.extend(self.key(&hash).await?);
        }
        Ok(keys)
    }

    async fn key_of(&self, organization: &OrganizationId, id: &KeyId) -> Result<Option<ApiKey>, StoreError> {
        let entry: Option<KeyRefItem> = self
            .get(&self.tables.registry, entry_key(organization, id), true)
            .await?;
        match entry {
            Some(entry) => self.key(&entry.hash).await,
            None => Ok(None),
        }
    }

    async fn revoke_key(&self, organization: &OrganizationId, id: &KeyId, by: &KeyId) -> Result<bool, StoreError> {
        let entry = entry_key(organization, id);
        let found: Option<KeyRefItem> = self.get(&self.tables.registry, entry.clone(), true).await?;
        let Some(KeyRefItem { hash, .. }) = found else {
            return Ok(false);
        };
        let gone = Delete::builder()
            .table_name(&self.tables.registry)
            .set_key(Some(entry))
            .condition_expression("attribute_exists(pk)");
        let is_there = ConditionCheck::builder()
            .table_name(&self.tables.registry)
            .set_key(Some(entry_key(organization, by)))
            .condition_expression("attribute_exists(pk)");
        let writes = vec![
            TransactWriteItem::builder()
                .delete(gone.build().map_err(built)?)
                .build(),
            delete(&self.tables.registry, key_key(&hash))?,
            TransactWriteItem::builder()
                .condition_check(is_there.build().map_err(built)?)
                .build(),
        ];
        Ok(self.transact(writes).await?.is_none())
    }
}

fn entry_key(organization: &OrganizationId, id: &KeyId) -> Attributes {
    key([("pk", key_refs(organization).as_str()), ("sk", id.as_str())])
}

pub(super) fn key_key(hash: &str) -> Attributes {
    key([("pk", key_lookup(hash).as_str()), ("sk", KEY_ITEM)])
}

fn organization_key(id: &OrganizationId) -> Attributes {
    key([("pk", id.as_str()), ("sk", ORGANIZATION_KEY)])
}

fn listed_key(id: &OrganizationId) -> Attributes {
    key([("pk", ORGANIZATIONS), ("sk", id.as_str())])
}
