//! The audit trail.

use std::sync::Arc;

use payload::audit::AuditEntry;
use payload::{AuditId, OrganizationId};

use super::{Dynamo, key, read, sdk_error, text, write};
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
        let from = span
            .since
            .map_or_else(|| AuditId::PREFIX.to_owned(), AuditId::first_at_text);
        let until = span.until.map_or_else(|| BEHIND_ALL.to_owned(), AuditId::first_at_text);
        let partition = audit_key(organization);
        let start = span
            .after
            .as_ref()
            .map(|after| key([("pk", partition.as_str()), ("sk", after.as_str())]));
        if from >= until {
            return Ok(Vec::new());
        }
        let mut pages = self
            .client
            .query()
            .table_name(&self.tables.registry)
            .key_condition_expression("pk = :trail AND sk BETWEEN :from AND :until")
            .expression_attribute_values(":trail", text(&partition))
            .expression_attribute_values(":from", text(from))
            .expression_attribute_values(":until", text(&until))
            .scan_index_forward(!span.newest_first)
            .set_exclusive_start_key(start)
            .limit(i32::from(limit))
            .into_paginator()
            .items()
            .send();
        let mut entries = Vec::new();
        while entries.len() < usize::from(limit) {
            let Some(item) = pages.next().await else { break };
            entries.push(AuditEntry::try_from(read::<AuditItem>(item.map_err(sdk_error)?)?)?);
        }
        Ok(entries)
    }
}
