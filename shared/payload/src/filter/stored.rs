//! Filters as they lie in a table, perhaps written by another version of Hookline.

use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Filter, InvalidFilter};

/// A filter that was read from a table. One that this version cannot read is kept as it is: it is written back unchanged, and wants no
/// event until it is replaced or a version comes that can read it.
///
/// It is stored as the same object that the API shows, but with the pattern as a text: a table's own numbers and names have other limits
/// than those of JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFilter(Reading);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Reading {
    Good(Filter),
    Bad { stored: Value, problem: InvalidFilter },
}

impl StoredFilter {
    /// The filter, if it can be read.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn read(&self) -> Result<&Filter, &InvalidFilter> {
        match &self.0 {
            Reading::Good(filter) => Ok(filter),
            Reading::Bad { problem, .. } => Err(problem),
        }
    }

    /// The filter as JSON, as it is shown to its owner, also one that cannot be read.
    #[must_use]
    pub fn to_json(&self) -> Box<RawValue> {
        match &self.0 {
            Reading::Good(filter) => filter.to_json(),
            Reading::Bad { stored, .. } => serde_json::value::to_raw_value(stored).unwrap_or_default(),
        }
    }
}

impl Default for StoredFilter {
    fn default() -> Self {
        Filter::default().into()
    }
}

impl From<Filter> for StoredFilter {
    fn from(filter: Filter) -> Self {
        Self(Reading::Good(filter))
    }
}

impl Serialize for StoredFilter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let filter = match &self.0 {
            Reading::Good(filter) => filter,
            Reading::Bad { stored, .. } => return stored.serialize(serializer),
        };
        let mut map = serializer.serialize_map(None)?;
        for (list, entries) in &filter.0.lists {
            let texts: Vec<&str> = entries.iter().map(|entry| &*entry.text).collect();
            map.serialize_entry(list.name(), &texts)?;
        }
        if let Some(pattern) = &filter.0.pattern {
            map.serialize_entry("pattern", pattern.as_json())?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for StoredFilter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored = Value::deserialize(deserializer)?;
        Ok(Self(match Filter::of_any_length(&stored.to_string()) {
            Ok(filter) => Reading::Good(filter),
            Err(problem) => Reading::Bad { stored, problem },
        }))
    }
}
