//! The word that an organization is suspended, where each step looks.

use std::future::Future;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use payload::OrganizationId;

use super::registry::key_key;
use super::webhooks::webhook_key;
use super::{Attributes, Dynamo, key, sdk_error, write};
use crate::item::{SUSPENDED_KEY, SuspendedItem, door_key};
use crate::{StoreError, Suspensions};

impl Suspensions for Dynamo {
    async fn mark_keys(&self, organization: &OrganizationId, suspended: bool) -> Result<u64, StoreError> {
        let mut keys = 0;
        for hash in self.key_hashes(organization).await? {
            self.mark(&self.tables.registry, key_key(&hash), "pk", suspended)
                .await?;
            keys += 1;
        }
        Ok(keys)
    }

    async fn mark_doors(&self, organization: &OrganizationId, suspended: bool) -> Result<u64, StoreError> {
        let mut doors = 0;
        for source in self.sources_of(organization).await? {
            for token in &source.tokens {
                let door = key([("id", &*door_key(&token.hash))]);
                self.mark(&self.tables.sources, door, "id", suspended).await?;
                doors += 1;
            }
        }
        Ok(doors)
    }

    async fn mark_webhooks(&self, organization: &OrganizationId, since: Option<Timestamp>) -> Result<(), StoreError> {
        match since {
            Some(since) => {
                let item = write(&SuspendedItem::new(organization, since))?;
                let put = self.client.put_item().table_name(&self.tables.webhooks);
                put.set_item(Some(item)).send().await.map_err(sdk_error)?;
            }
            None => {
                let delete = self.client.delete_item().table_name(&self.tables.webhooks);
                let item = webhook_key(organization, SUSPENDED_KEY);
                delete.set_key(Some(item)).send().await.map_err(sdk_error)?;
            }
        }
        Ok(())
    }
}

impl Dynamo {
    /// Sets or removes the mark of an item that is there; nothing happens to one that is not.
    fn mark(
        &self,
        table: &str,
        item: Attributes,
        hash_key: &str,
        suspended: bool,
    ) -> impl Future<Output = Result<(), StoreError>> + Send {
        let update = self
            .client
            .update_item()
            .table_name(table)
            .set_key(Some(item))
            .condition_expression("attribute_exists(#key)")
            .expression_attribute_names("#key", hash_key);
        let update = if suspended {
            update
                .update_expression("SET suspended = :true")
                .expression_attribute_values(":true", AttributeValue::Bool(true))
        } else {
            update.update_expression("REMOVE suspended")
        };
        async move {
            match update.send().await.map_err(sdk_error) {
                Ok(_) | Err(StoreError::Conflict) => Ok(()),
                Err(error) => Err(error),
            }
        }
    }
}
