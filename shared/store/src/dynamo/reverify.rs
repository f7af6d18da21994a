//! Asking for another verification: the mark on a receipt, and which receipts were rejected.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use jiff::Timestamp;
use payload::source_health::Again;
use payload::{OrganizationId, ReceiptId, SourceId};
use serde::Deserialize;

use super::{Dynamo, key, sdk_error, text};
use crate::item::{first_receipt_id, time_shards};
use crate::{Reverification, StoreError};

/// What the index of an organization's outcomes holds of one, as far as it is needed here.
#[derive(Deserialize)]
struct OutcomeKey {
    id: ReceiptId,
}

impl Reverification for Dynamo {
    async fn ask_again(
        &self,
        organization: &OrganizationId,
        id: &ReceiptId,
        again: &Again,
    ) -> Result<bool, StoreError> {
        let outcome = self
            .client
            .update_item()
            .table_name(&self.tables.inbox)
            .set_key(Some(key([("id", id.as_str())])))
            .update_expression("SET again = :again")
            .condition_expression("attribute_exists(id) AND organization = :organization")
            .expression_attribute_values(":again", text(again.to_text()))
            .expression_attribute_values(":organization", text(organization.as_str()))
            .send()
            .await;
        match outcome {
            Ok(_) => Ok(true),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(_)) => Ok(false),
                _ => Err(sdk_error(error)),
            },
        }
    }

    async fn rejected_since(
        &self,
        organization: &OrganizationId,
        source: &SourceId,
        since: Timestamp,
        after: Option<&ReceiptId>,
        limit: u16,
    ) -> Result<Vec<ReceiptId>, StoreError> {
        let earliest = first_receipt_id(since);
        let (comparison, from) = match after.map(ReceiptId::as_str).filter(|after| *after >= earliest.as_str()) {
            Some(after) => (">", after),
            None => (">=", earliest.as_str()),
        };
        let shards = time_shards(organization.as_str())
            .map(|shard| self.rejected_in_shard(shard, source, comparison, from, usize::from(limit)));
        let mut rejected = Vec::new();
        for shard in shards {
            rejected.extend(shard.await?);
        }
        rejected.sort_unstable();
        rejected.truncate(usize::from(limit));
        Ok(rejected)
    }
}

impl Dynamo {
    /// The first rejected receipts of one shard. The filter works behind the reading: what it drops is read and paid for all the same.
    async fn rejected_in_shard(
        &self,
        shard: String,
        source: &SourceId,
        comparison: &str,
        from: &str,
        limit: usize,
    ) -> Result<Vec<ReceiptId>, StoreError> {
        let names = [("#source", "source"), ("#status", "status")].map(|(short, name)| (short.into(), name.into()));
        let mut pages = self
            .client
            .query()
            .table_name(&self.tables.receipts)
            .index_name("by-organization")
            .key_condition_expression(format!("orgShard = :shard AND id {comparison} :from"))
            .filter_expression("#source = :source AND #status = :rejected")
            .set_expression_attribute_names(Some(HashMap::from(names)))
            .expression_attribute_values(":shard", text(shard))
            .expression_attribute_values(":from", text(from))
            .expression_attribute_values(":source", text(source.as_str()))
            .expression_attribute_values(":rejected", text("rejected"))
            .into_paginator()
            .items()
            .send();
        let mut rejected = Vec::new();
        while rejected.len() < limit {
            let Some(item) = pages.next().await else { break };
            let OutcomeKey { id } = serde_dynamo::from_item(item.map_err(sdk_error)?)
                .map_err(|error| StoreError::Unreadable(error.to_string()))?;
            rejected.push(id);
        }
        Ok(rejected)
    }
}
