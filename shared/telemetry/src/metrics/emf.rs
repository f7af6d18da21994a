//! Numbers as lines of the embedded metric format.
//!
//! A root member holds one value. So of several reasons, or outcomes, each but the first has a document of its own; and of an array, which
//! may hold 100 numbers, what is beyond goes into another.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{Dimension, NAMESPACE, Numbers};

/// The most numbers of one array.
const MOST_VALUES: usize = 100;

/// One document on its way.
#[derive(Default)]
struct Document {
    /// The metrics without a dimension, and those of each dimension: their definitions.
    directives: BTreeMap<Option<&'static str>, Vec<Value>>,
    /// The values of metrics and dimensions.
    members: Map<String, Value>,
}

impl Document {
    /// Whether a metric, and its dimension's value, has no place here beside what there is.
    fn is_taken(&self, name: &str, dimension: Option<Dimension>) -> bool {
        self.members.contains_key(name) || dimension.is_some_and(|(name, _)| self.members.contains_key(name))
    }

    fn add(&mut self, name: &'static str, unit: &'static str, dimension: Option<Dimension>, value: Value) {
        let definition = json!({"Name": name, "Unit": unit});
        let directive = self.directives.entry(dimension.map(|(name, _)| name));
        directive.or_default().push(definition);
        self.members.insert(name.to_owned(), value);
        if let Some((name, value)) = dimension {
            self.members.insert(name.to_owned(), value.into());
        }
    }

    fn line(mut self, at: Timestamp) -> String {
        let directives: Vec<Value> = self
            .directives
            .into_iter()
            .map(|(dimension, metrics)| {
                let set: Vec<&str> = dimension.into_iter().collect();
                json!({"Namespace": NAMESPACE, "Dimensions": [set], "Metrics": metrics})
            })
            .collect();
        let metadata = json!({"Timestamp": at.as_millisecond(), "CloudWatchMetrics": directives});
        self.members.insert("_aws".to_owned(), metadata);
        Value::Object(self.members).to_string()
    }
}

/// Whole lines, or nothing where there is nothing to tell.
pub(super) fn lines(at: Timestamp, numbers: &Numbers) -> Vec<u8> {
    let mut documents: Vec<Document> = Vec::new();
    let mut add = |name, unit, dimension, value: Value| {
        let free = documents
            .iter_mut()
            .find(|document| !document.is_taken(name, dimension));
        match free {
            Some(document) => document.add(name, unit, dimension, value),
            None => {
                let mut document = Document::default();
                document.add(name, unit, dimension, value);
                documents.push(document);
            }
        }
    };
    for ((name, dimension), count) in &numbers.counts {
        add(*name, "Count", *dimension, (*count).into());
    }
    for values in numbers.first_attempts.chunks(MOST_VALUES) {
        add("FirstAttemptLatency", "Milliseconds", None, values.into());
    }
    if numbers.due > 0 {
        add("DueBacklog", "Count", None, numbers.due.into());
        add("OldestDue", "Seconds", None, numbers.oldest_due.into());
    }
    let lines = documents.into_iter().map(|document| document.line(at) + "\n");
    lines.collect::<String>().into_bytes()
}
