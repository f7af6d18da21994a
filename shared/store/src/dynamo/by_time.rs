//! The indexes by time: where they stand, and a span of one of their shards.

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use payload::{OrganizationId, WebhookId};

use super::{Dynamo, text};
use crate::item::{provider_ref, time_shards};

/// An index by time.
pub(super) struct ByTime<'a> {
    pub(super) table: &'a str,
    pub(super) name: &'static str,
    /// The name of its hash key.
    pub(super) hash: &'static str,
    /// The name of its range key: `at`, a time in milliseconds, or `id`, which begins with its time.
    pub(super) range: &'static str,
    /// The keys of its table that are not its own.
    pub(super) others: &'static [&'static str],
    /// The hash keys of the shards.
    pub(super) shards: Vec<String>,
}

impl Dynamo {
    /// An organization's events.
    pub(super) fn events_by_time(&self, organization: &OrganizationId) -> ByTime<'_> {
        ByTime {
            table: &self.tables.events,
            name: "by-organization",
            hash: "orgShard",
            range: "at",
            others: &["id"],
            shards: time_shards(organization.as_str()).collect(),
        }
    }

    /// An organization's events that their provider, or their publisher, gave this id.
    pub(super) fn events_by_provider_id(&self, organization: &OrganizationId, id: &str) -> ByTime<'_> {
        ByTime {
            table: &self.tables.events,
            name: "by-provider-id",
            hash: "providerRef",
            range: "at",
            others: &["id"],
            shards: vec![provider_ref(organization, id)],
        }
    }

    /// What became of an organization's receipts that made no event, or not at first.
    pub(super) fn outcomes_by_time(&self, organization: &OrganizationId) -> ByTime<'_> {
        ByTime {
            table: &self.tables.receipts,
            name: "by-organization",
            hash: "orgShard",
            range: "id",
            others: &[],
            shards: time_shards(organization.as_str()).collect(),
        }
    }

    /// The deliveries to a webhook.
    pub(super) fn deliveries_by_time(&self, webhook: &WebhookId) -> ByTime<'_> {
        ByTime {
            table: &self.tables.deliveries,
            name: "by-webhook",
            hash: "webhookShard",
            range: "at",
            others: &["event", "webhook"],
            shards: time_shards(webhook.as_str()).collect(),
        }
    }

    /// An organization's deliveries that are due or exhausted.
    pub(super) fn unsettled_by_time(&self, organization: &OrganizationId) -> ByTime<'_> {
        ByTime {
            table: &self.tables.deliveries,
            name: "unsettled",
            hash: "unsettled",
            range: "at",
            others: &["event", "webhook"],
            shards: time_shards(organization.as_str()).collect(),
        }
    }

    /// What one shard holds from the first of these to the last, both included.
    pub(super) fn between(
        &self,
        index: &ByTime<'_>,
        shard: &str,
        first: AttributeValue,
        last: AttributeValue,
    ) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(index.table)
            .index_name(index.name)
            .key_condition_expression("#hash = :shard AND #range BETWEEN :first AND :last")
            .expression_attribute_names("#hash", index.hash)
            .expression_attribute_names("#range", index.range)
            .expression_attribute_values(":shard", text(shard))
            .expression_attribute_values(":first", first)
            .expression_attribute_values(":last", last)
    }
}
