//! Sources, their doors, and all secrets.

use std::pin::pin;

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::TransactWriteItem;
use futures::{StreamExt, TryStreamExt, stream};
use payload::called_url::CalledUrl;
use payload::key::TimedSecret;
use payload::source::{Door, Source};
use payload::{OrganizationId, SourceId};
use serde::Deserialize;

use super::{Attributes, Dynamo, delete, key, put, put_new, remove, replace, sdk_error, text};
use crate::item::{DoorItem, SecretsItem, SourceItem, called_url_key, door_key};
use crate::{Doors, Secrets, SourceRegistry, Sources, StoreError};

impl Doors for Dynamo {
    async fn door(&self, token_hash: &str) -> Result<Option<Door>, StoreError> {
        // Eventually consistent, at half the price: a new URL answers 404 for a moment, and nobody has it yet.
        let item: Option<DoorItem> = self
            .get(&self.tables.sources, key([("id", &door_key(token_hash))]), false)
            .await?;
        item.map(TryInto::try_into).transpose()
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
        let item: Option<SourceItem> = self.get(&self.tables.sources, source_key(id), true).await?;
        item.map(TryInto::try_into).transpose()
    }
}

/// What the index of an organization's sources holds of one.
#[derive(Deserialize)]
struct SourceKey {
    id: SourceId,
}

impl SourceRegistry for Dynamo {
    async fn sources_after(
        &self,
        organization: &OrganizationId,
        after: Option<&SourceId>,
        limit: u16,
    ) -> Result<Vec<Source>, StoreError> {
        self.sources_behind(organization, after, Some(limit)).await
    }

    async fn create_source(
        &self,
        source: &Source,
        door: &Door,
        secrets: &[TimedSecret],
        called_url: Option<&CalledUrl>,
    ) -> Result<(), StoreError> {
        let mut writes = vec![put_new(&self.tables.sources, "id", &SourceItem::try_from(source)?)?];
        for token in &source.tokens {
            writes.push(put_new(&self.tables.sources, "id", &DoorItem::new(door, token)?)?);
        }
        if !secrets.is_empty() {
            writes.push(put_new(
                &self.tables.secrets,
                "owner",
                &SecretsItem::new(source.id.as_str(), secrets),
            )?);
        }
        if let Some(url) = called_url {
            writes.push(put_new(&self.tables.secrets, "owner", &called_url_item(source, url))?);
        }
        self.write_all(writes).await
    }

    async fn update_source(
        &self,
        before: &Source,
        source: &Source,
        door: &Door,
        secrets: Option<&[TimedSecret]>,
        called_url: Option<&CalledUrl>,
    ) -> Result<(), StoreError> {
        if (&before.id, &before.organization) != (&source.id, &source.organization) {
            return Err(StoreError::Refused("a source keeps its id and its organization".into()));
        }
        let mut writes = vec![self.replace_source(source, before.revision)?];
        for token in &source.tokens {
            writes.push(put(&self.tables.sources, &DoorItem::new(door, token)?)?);
        }
        let remains = |hash: &str| source.tokens.iter().any(|token| token.hash == hash);
        for gone in before.tokens.iter().filter(|token| !remains(&token.hash)) {
            writes.push(delete(&self.tables.sources, key([("id", &door_key(&gone.hash))]))?);
        }
        match secrets {
            None => {}
            Some([]) => writes.push(delete(&self.tables.secrets, key([("owner", source.id.as_str())]))?),
            Some(secrets) => {
                let item = SecretsItem::new(source.id.as_str(), secrets);
                writes.push(put(&self.tables.secrets, &item)?);
            }
        }
        let url = match (called_url, &source.options.public_url, &before.options.public_url) {
            (Some(url), Some(_), _) => Some(put(&self.tables.secrets, &called_url_item(source, url))?),
            (_, None, Some(_)) => Some(self.remove_called_url(&source.id)?),
            _ => None,
        };
        writes.extend(url);
        self.write_all(writes).await
    }

    async fn delete_source(&self, source: &Source) -> Result<(), StoreError> {
        let mut writes = vec![
            remove(&self.tables.sources, source_key(&source.id), source.revision)?,
            delete(&self.tables.secrets, key([("owner", source.id.as_str())]))?,
        ];
        for token in &source.tokens {
            writes.push(delete(&self.tables.sources, key([("id", &door_key(&token.hash))]))?);
        }
        if source.options.public_url.is_some() {
            writes.push(self.remove_called_url(&source.id)?);
        }
        self.write_all(writes).await
    }
}

/// How many sources of a list are read at a time: the index holds their ids only.
const READS_AT_ONCE: usize = 16;

impl Dynamo {
    /// The sources of an organization, oldest first.
    pub(super) async fn sources_of(&self, organization: &OrganizationId) -> Result<Vec<Source>, StoreError> {
        self.sources_behind(organization, None, None).await
    }

    /// What the index of an organization's sources holds.
    pub(super) fn source_query(&self, organization: &OrganizationId) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(&self.tables.sources)
            .index_name("by-organization")
            .key_condition_expression("organization = :organization")
            .expression_attribute_values(":organization", text(organization.as_str()))
    }

    async fn sources_behind(
        &self,
        organization: &OrganizationId,
        after: Option<&SourceId>,
        limit: Option<u16>,
    ) -> Result<Vec<Source>, StoreError> {
        let behind = after.map(|after| key([("organization", organization.as_str()), ("id", after.as_str())]));
        let mut pages = self
            .source_query(organization)
            .set_exclusive_start_key(behind)
            .set_limit(limit.map(i32::from))
            .into_paginator()
            .items()
            .send();
        let ids = stream::poll_fn(move |context| pages.poll_next(context)).map(|item| {
            let SourceKey { id } = serde_dynamo::from_item(item.map_err(sdk_error)?)
                .map_err(|error| StoreError::Unreadable(error.to_string()))?;
            Ok::<_, StoreError>(id)
        });
        let mut found = pin!(
            ids.map_ok(|id| self.listed_source(organization, id))
                .try_buffered(READS_AT_ONCE)
        );
        let mut sources = Vec::new();
        while limit.is_none_or(|limit| sources.len() < usize::from(limit)) {
            let Some(source) = found.try_next().await? else { break };
            sources.extend(source);
        }
        Ok(sources)
    }

    /// A source that the index names; nothing when it was deleted a moment ago, or when it cannot be read: it must not hide all others.
    async fn listed_source(&self, organization: &OrganizationId, id: SourceId) -> Result<Option<Source>, StoreError> {
        match self.source(&id).await {
            Ok(source) => Ok(source.filter(|source| source.organization == *organization)),
            Err(error @ StoreError::Unreadable(_)) => {
                tracing::error!(%organization, source = %id, error_type = error.error_type(), "a stored source cannot be read");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn remove_called_url(&self, id: &SourceId) -> Result<TransactWriteItem, StoreError> {
        delete(&self.tables.secrets, key([("owner", &called_url_key(id))]))
    }

    /// Puts a source in the place of the one that had been changed `revision` times; fails when there is another, or none.
    fn replace_source(&self, source: &Source, revision: u64) -> Result<TransactWriteItem, StoreError> {
        let item = SourceItem::try_from(source)?.at_revision(revision.saturating_add(1));
        replace(&self.tables.sources, &item, revision)
    }
}

/// The whole URL that a provider calls, as a secret.
fn called_url_item(source: &Source, url: &CalledUrl) -> SecretsItem {
    let secret = TimedSecret {
        value: url.clone().into_secret(),
        created_at: source.created_at,
        expires_at: None,
    };
    SecretsItem::new(&called_url_key(&source.id), &[secret])
}

fn source_key(id: &SourceId) -> Attributes {
    key([("id", id.as_str())])
}
