//! The audit trail.

use std::sync::Arc;

use payload::audit::AuditEntry;
use payload::{AuditId, OrganizationId};

use super::{Dynamo, read, sdk_error, text, write};
use crate::item::{AuditItem, audit_key};
use crate::{AuditSpan, AuditTrail, StoreError};

/// Behind the range keys of all entries.
const BEHIND_ALL: &str = "aud_~";

impl AuditTrail for Dynamo {
    fn recording(&self, entry: AuditEntry) -> Self {
        Self {
            audit: Some(Arc::new(entry)),
            ..self.clone()
        }
    }

    async fn record(&self, entry: &AuditEntry) -> Result<(), StoreError> {
        self.client
            .put_item()
            .table_name(&self.tables.registry)
            .set_item(Some(write(&AuditItem::from(entry))?))
            .send()
            .await
            .map_err(sdk_error)?;
        Ok(())
    }

    async fn audit_of(
        &self,
        organization: &OrganizationId,
        span: &AuditSpan,
        limit: u16,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let mut from = span
            .since
            .map_or_else(|| AuditId::PREFIX.to_owned(), AuditId::first_at_text);
        let mut until = span.until.map_or_else(|| BEHIND_ALL.to_owned(), AuditId::first_at_text);
        // The place to go on from narrows the span: as a start key it would have to lie within it, and times may have moved on since.
        if let Some(after) = span.after.as_ref().map(AuditId::as_str) {
            if span.newest_first && after < until.as_str() {
                after.clone_into(&mut until);
            } else if !span.newest_first && after > from.as_str() {
                after.clone_into(&mut from);
            }
        }
        if from >= until {
            return Ok(Vec::new());
        }
        let mut pages = self
            .client
            .query()
            .table_name(&self.tables.registry)
            .key_condition_expression("pk = :trail AND sk BETWEEN :from AND :until")
            .expression_attribute_values(":trail", text(audit_key(organization)))
            .expression_attribute_values(":from", text(from))
            .expression_attribute_values(":until", text(until))
            .scan_index_forward(!span.newest_first)
            // One more: the span holds the place to go on from too.
            .limit(i32::from(limit).saturating_add(1))
            .into_paginator()
            .items()
            .send();
        let mut entries = Vec::new();
        while entries.len() < usize::from(limit) {
            let Some(item) = pages.next().await else { break };
            let entry = AuditEntry::try_from(read::<AuditItem>(item.map_err(sdk_error)?)?)?;
            if span.after.as_ref() != Some(&entry.id) {
                entries.push(entry);
            }
        }
        Ok(entries)
    }
}
