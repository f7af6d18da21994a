//! Sources, their doors, and all secrets.

use payload::key::TimedSecret;
use payload::source::{Door, Source};
use payload::{OrganizationId, SourceId};
use serde::Deserialize;

use super::{Dynamo, delete, key, put_new, sdk_error, text};
use crate::item::{DoorItem, SecretsItem, SourceItem, door_key};
use crate::{Doors, Secrets, SourceRegistry, Sources, StoreError};

impl Doors for Dynamo {
    async fn door(&self, token_hash: &str) -> Result<Option<Door>, StoreError> {
        // Eventually consistent, at half the price: a new URL answers 404 for a moment, and nobody has it yet.
        let item: Option<DoorItem> = self
            .get(&self.tables.sources, key([("id", &door_key(token_hash))]), false)
            .await?;
        Ok(item.map(Into::into))
    }
}

impl Secrets for Dynamo {
    async fn secrets(&self, owner: &str) -> Result<Vec<TimedSecret>, StoreError> {
        let item: Option<SecretsItem> = self.get(&self.tables.secrets, key([("owner", owner)]), true).await?;
        item.map_or_else(|| Ok(Vec::new()), SecretsItem::into_secrets)
    }
}

impl Sources for Dynamo {
    async fn source(&self, id: &SourceId) -> Result<Option<Source>, StoreError> {
        let item: Option<SourceItem> = self.get(&self.tables.sources, key([("id", id.as_str())]), true).await?;
        item.map(TryInto::try_into).transpose()
    }
}

/// What the index of an organization's sources holds of one.
#[derive(Deserialize)]
struct SourceKey {
    id: SourceId,
}

impl SourceRegistry for Dynamo {
    async fn sources_of(&self, organization: &OrganizationId) -> Result<Vec<Source>, StoreError> {
        let mut pages = self
            .client
            .query()
            .table_name(&self.tables.sources)
            .index_name("by-organization")
            .key_condition_expression("organization = :organization")
            .expression_attribute_values(":organization", text(organization.as_str()))
            .into_paginator()
            .items()
            .send();
        let mut sources = Vec::new();
        while let Some(item) = pages.next().await {
            let SourceKey { id } = serde_dynamo::from_item(item.map_err(sdk_error)?)
                .map_err(|error| StoreError::Unreadable(error.to_string()))?;
            // The index may still hold what was deleted a moment ago.
            sources.extend(
                self.source(&id)
                    .await?
                    .filter(|source| source.organization == *organization),
            );
        }
        Ok(sources)
    }

    async fn create_source(&self, source: &Source, door: &Door, secrets: &[TimedSecret]) -> Result<(), StoreError> {
        let mut writes = vec![put_new(&self.tables.sources, "id", &SourceItem::from(source))?];
        for token_hash in &source.token_hashes {
            writes.push(put_new(&self.tables.sources, "id", &DoorItem::new(door, token_hash))?);
        }
        if !secrets.is_empty() {
            writes.push(put_new(
                &self.tables.secrets,
                "owner",
                &SecretsItem::new(source.id.as_str(), secrets),
            )?);
        }
        if self.transact(writes).await?.is_some() {
            Err(StoreError::Conflict)
        } else {
            Ok(())
        }
    }

    async fn delete_source(&self, organization: &OrganizationId, id: &SourceId) -> Result<bool, StoreError> {
        let Some(source) = self
            .source(id)
            .await?
            .filter(|source| source.organization == *organization)
        else {
            return Ok(false);
        };
        let mut writes = vec![
            delete(&self.tables.sources, key([("id", id.as_str())]))?,
            delete(&self.tables.secrets, key([("owner", id.as_str())]))?,
        ];
        for token_hash in &source.token_hashes {
            writes.push(delete(&self.tables.sources, key([("id", &door_key(token_hash))]))?);
        }
        self.transact(writes).await?;
        Ok(true)
    }
}
