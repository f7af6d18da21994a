//! How sources do: one item for each, written by adding to it.

use aws_sdk_dynamodb::types::ReturnValue;
use jiff::Timestamp;
use payload::SourceId;
use payload::source_health::{HealthNote, SourceHealth};

use super::{Dynamo, key, number, read, sdk_error, text};
use crate::item::{COUNT_PREFIX, SCHEMA_VERSION, SourceHealthItem, source_health_key, source_health_ttl};
use crate::{SourceHealthLog, SourceHealths, StoreError};

impl SourceHealthLog for Dynamo {
    async fn note_source_health(&self, note: &HealthNote) -> Result<SourceHealth, StoreError> {
        // An empty note says nothing that could be written.
        let Some(noted_at) = noted_at(note) else {
            return self.source_health(&note.source).await;
        };
        let mut set = vec![
            "v = :version",
            "organization = :organization",
            "#source = :source",
            "#ttl = :ttl",
        ];
        let (mut add, mut remove) = (Vec::new(), "");
        let mut update = self
            .client
            .update_item()
            .table_name(&self.tables.receipts)
            .set_key(Some(key([("id", &source_health_key(&note.source))])))
            .return_values(ReturnValue::AllNew)
            .expression_attribute_names("#source", "source")
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":version", number(SCHEMA_VERSION))
            .expression_attribute_values(":organization", text(note.organization.as_str()))
            .expression_attribute_values(":source", text(note.source.as_str()))
            .expression_attribute_values(":ttl", number(source_health_ttl(noted_at)));
        if let Some(at) = note.verified_at {
            set.extend(["lastVerifiedAt = :verified", "rejectedInARow = :none"]);
            remove = " REMOVE rejectingSince";
            update = update
                .expression_attribute_values(":verified", number(at.as_millisecond()))
                .expression_attribute_values(":none", number(0));
        } else {
            add.push("rejectedInARow :row".to_owned());
            update = update.expression_attribute_values(":row", number(note.rejected.values().sum::<u64>()));
            if let Some(since) = note.rejecting_since {
                set.push("rejectingSince = if_not_exists(rejectingSince, :since)");
                update = update.expression_attribute_values(":since", number(since.as_millisecond()));
            }
        }
        if let Some(last) = &note.last_rejection {
            let json = serde_json::to_string(last).map_err(|error| StoreError::Refused(error.to_string()))?;
            set.push("lastRejection = :last");
            update = update.expression_attribute_values(":last", text(json));
        }
        for (index, (reason, count)) in note.rejected.iter().enumerate() {
            add.push(format!("#n{index} :n{index}"));
            update = update
                .expression_attribute_names(format!("#n{index}"), format!("{COUNT_PREFIX}{reason}"))
                .expression_attribute_values(format!(":n{index}"), number(count));
        }
        let mut expression = format!("SET {}{remove}", set.join(", "));
        if !add.is_empty() {
            expression = format!("{expression} ADD {}", add.join(", "));
        }
        let answer = update.update_expression(expression).send().await.map_err(sdk_error)?;
        let item = answer
            .attributes
            .ok_or_else(|| StoreError::Unreadable("a health item without attributes".into()))?;
        read::<SourceHealthItem>(item)?.try_into()
    }
}

/// When the last thing happened that the note tells of: the store has no clock of its own.
fn noted_at(note: &HealthNote) -> Option<Timestamp> {
    let rejected_at = note.last_rejection.as_ref().map(|last| last.at);
    note.verified_at.max(rejected_at).max(note.rejecting_since)
}

impl SourceHealths for Dynamo {
    async fn source_health(&self, id: &SourceId) -> Result<SourceHealth, StoreError> {
        let item: Option<SourceHealthItem> = self
            .get(&self.tables.receipts, key([("id", &source_health_key(id))]), true)
            .await?;
        item.map_or_else(|| Ok(SourceHealth::default()), TryInto::try_into)
    }
}
