//! Organizations and their API keys.

use aws_sdk_dynamodb::types::{ConditionCheck, TransactWriteItem};
use payload::organization::{ApiKey, Organization};
use payload::{KeyId, OrganizationId};

use super::{Dynamo, built, key, put_new, read, sdk_error, text};
use crate::item::{KEY_ITEM, KEY_REF_PREFIX, KeyItem, KeyRefItem, ORGANIZATION_KEY, OrganizationItem, key_lookup};
use crate::{Keys, Organizations, StoreError};

impl Keys for Dynamo {
    async fn key(&self, hash: &str) -> Result<Option<ApiKey>, StoreError> {
        let key = key([("pk", key_lookup(hash).as_str()), ("sk", KEY_ITEM)]);
        let item: Option<KeyItem> = self.get(&self.tables.registry, key, true).await?;
        item.map(TryInto::try_into).transpose()
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

    async fn organization(&self, id: &OrganizationId) -> Result<Option<Organization>, StoreError> {
        let item: Option<OrganizationItem> = self.get(&self.tables.registry, organization_key(id), true).await?;
        item.map(TryInto::try_into).transpose()
    }

    async fn keys_of(&self, id: &OrganizationId) -> Result<Vec<KeyId>, StoreError> {
        let mut pages = self
            .client
            .query()
            .table_name(&self.tables.registry)
            .key_condition_expression("pk = :organization AND begins_with(sk, :prefix)")
            .expression_attribute_values(":organization", text(id.as_str()))
            .expression_attribute_values(":prefix", text(KEY_REF_PREFIX))
            .consistent_read(true)
            .into_paginator()
            .items()
            .send();
        let mut keys = Vec::new();
        while let Some(item) = pages.next().await {
            keys.push(read::<KeyRefItem>(item.map_err(sdk_error)?)?.id()?);
        }
        Ok(keys)
    }
}

fn organization_key(id: &OrganizationId) -> super::Attributes {
    key([("pk", id.as_str()), ("sk", ORGANIZATION_KEY)])
}
