//! Organizations and their API keys.

use aws_sdk_dynamodb::types::{ConditionCheck, Delete, TransactWriteItem};
use jiff::civil::Date;
use payload::organization::{ApiKey, Organization};
use payload::{KeyId, OrganizationId};

use super::{Attributes, Dynamo, built, delete, key, put_new, read, sdk_error, text};
use crate::item::{KEY_ITEM, KeyItem, KeyRefItem, ORGANIZATION_KEY, OrganizationItem, key_lookup, key_refs};
use crate::{KeyRegistry, Keys, Organizations, StoreError};

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
            put_new(&self.tables.registry, "pk", &OrganizationItem::from(organization))?,
            put_new(&self.tables.registry, "pk", &KeyItem::new(key, key_hash))?,
            put_new(&self.tables.registry, "pk", &KeyRefItem::new(key, key_hash))?,
        ];
        if self.transact(writes).await?.is_some() {
            Err(StoreError::Conflict)
        } else {
            Ok(())
        }
    }

    async fn organization(&self, id: &OrganizationId) -> Result<Option<Organization>, StoreError> {
        let item: Option<OrganizationItem> = self.get(&self.tables.registry, organization_key(id), true).await?;
        item.map(TryInto::try_into).transpose()
    }
}

impl KeyRegistry for Dynamo {
    async fn add_key(&self, key: &ApiKey, key_hash: &str) -> Result<(), StoreError> {
        let exists = ConditionCheck::builder()
            .table_name(&self.tables.registry)
            .set_key(Some(organization_key(&key.organization)))
            .condition_expression("attribute_exists(pk)");
        let writes = vec![
            TransactWriteItem::builder()
                .condition_check(exists.build().map_err(built)?)
                .build(),
            put_new(&self.tables.registry, "pk", &KeyItem::new(key, key_hash))?,
            put_new(&self.tables.registry, "pk", &KeyRefItem::new(key, key_hash))?,
        ];
        if self.transact(writes).await?.is_some() {
            Err(StoreError::Conflict)
        } else {
            Ok(())
        }
    }

    async fn keys_of(&self, organization: &OrganizationId) -> Result<Vec<ApiKey>, StoreError> {
        let mut pages = self
            .client
            .query()
            .table_name(&self.tables.registry)
            .key_condition_expression("pk = :keys")
            .expression_attribute_values(":keys", text(key_refs(organization)))
            .consistent_read(true)
            .into_paginator()
            .items()
            .send();
        let mut keys = Vec::new();
        while let Some(item) = pages.next().await {
            let KeyRefItem { hash, .. } = read(item.map_err(sdk_error)?)?;
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

fn key_key(hash: &str) -> Attributes {
    key([("pk", key_lookup(hash).as_str()), ("sk", KEY_ITEM)])
}

fn organization_key(id: &OrganizationId) -> Attributes {
    key([("pk", id.as_str()), ("sk", ORGANIZATION_KEY)])
}
