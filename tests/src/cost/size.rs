//! How large stored items are, by
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use local::engine::Engine;
use local::template::Template;

/// What DynamoDB adds to each item, and to each entry of an index, where it bills what is stored.
const OVERHEAD: usize = 100;

/// The bytes of an item in a table or in an index, as they are billed when they are stored.
#[must_use]
pub fn stored(item: &HashMap<String, AttributeValue>) -> usize {
    OVERHEAD + written(item)
}

/// The bytes of an item as they are billed when they are written.
#[must_use]
pub fn written(item: &HashMap<String, AttributeValue>) -> usize {
    item.iter().map(|(name, value)| name.len() + bytes(value)).sum()
}

fn bytes(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        // About a byte for two significant digits, and one.
        AttributeValue::N(number) => number.trim_start_matches('-').len().div_ceil(2) + 1,
        AttributeValue::B(blob) => blob.as_ref().len(),
        AttributeValue::Ss(texts) => texts.iter().map(String::len).sum(),
        AttributeValue::L(list) => 3 + list.iter().map(|value| 1 + bytes(value)).sum::<usize>(),
        AttributeValue::M(map) => {
            3 + map
                .iter()
                .map(|(name, value)| 1 + name.len() + bytes(value))
                .sum::<usize>()
        }
        AttributeValue::Bool(_) | AttributeValue::Null(_) => 1,
        other => panic!("no item holds a {other:?}"),
    }
}

/// What a table holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Held {
    /// Bytes of the items, as they are billed when they are stored.
    pub items: usize,
    /// Bytes of the entries of all indexes, as they are billed when they are stored.
    pub indexes: usize,
    /// The bytes of the largest item, as they are billed when they are written.
    pub largest: usize,
}

/// What each table holds just now, by its logical id.
pub async fn held(engine: &Engine, template: &Template) -> BTreeMap<String, Held> {
    let client = engine.client();
    let mut held: BTreeMap<String, Held> = BTreeMap::new();
    for table in &template.tables {
        let name = engine.table_name(&table.logical_id).expect("a table");
        let definition = table.create_request(name);
        let indexes = definition["GlobalSecondaryIndexes"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let indexes = indexes
            .iter()
            .map(|index| index["IndexName"].as_str().map(str::to_owned));
        let of_table = held.entry(table.logical_id.clone()).or_default();
        for index in std::iter::once(None).chain(indexes) {
            let mut pages = client
                .scan()
                .table_name(name)
                .set_index_name(index.clone())
                .into_paginator()
                .items()
                .send();
            while let Some(item) = pages.next().await {
                let item = item.expect("a scan");
                if index.is_some() {
                    of_table.indexes += stored(&item);
                } else {
                    of_table.items += stored(&item);
                    of_table.largest = of_table.largest.max(written(&item));
                }
            }
        }
    }
    held
}
