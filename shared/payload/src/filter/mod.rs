//! Which events a webhook wants.
//!
//! A [`Filter`] has lists of plain words and at most one event pattern; docs/FILTERS.md explains the language to its users. A [`Matcher`]
//! is all filters of an organization made ready: what one event costs hardly depends on how many there are.
//!
//! What is stored is a [`StoredFilter`]: one that this version cannot read is kept as it is and wants nothing, and harms no other.

mod document;
mod explain;
mod glob;
mod index;
mod invalid;
mod json;
mod lists;
mod matcher;
mod number;
#[cfg(feature = "openapi")]
mod openapi;
mod pattern;
mod stored;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde_json::value::RawValue;

use invalid::below;
use json::Json;
use lists::{Entry, List};
use pattern::EventPattern;

use crate::SourceId;
use crate::event::EventMeta;

pub use explain::Unmet;
pub use invalid::InvalidFilter;
pub use lists::{MAX_ENTRIES, MAX_ENTRY_BYTES, OPERATIONAL, TypePattern};
pub use matcher::{Matcher, UnreadablePayload};
pub use pattern::{MAX_ALTERNATIVES, MAX_CONDITIONS, MAX_PATTERN_BYTES, MAX_PATTERN_DEPTH};
pub use stored::StoredFilter;

/// The longest filter, in bytes of JSON. All filters of an organization are in memory together.
pub const MAX_FILTER_BYTES: usize = 16 * 1024;

/// What a webhook wants of the common payload: everything that its parts say must hold. A part that is absent, or a list that is empty,
/// does not restrict. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter(Arc<Parts>);

#[derive(Debug, Default, PartialEq, Eq)]
struct Parts {
    /// Those that are not empty, in the order of [`List::ALL`].
    lists: Vec<(List, Vec<Entry>)>,
    pattern: Option<EventPattern>,
}

impl Filter {
    /// Reads a filter from its JSON text, an object. Whoever holds it as part of a larger text does best to pass on exactly that part:
    /// the numbers of a pattern keep their digits only in the text.
    ///
    /// # Errors
    /// The first place that cannot be right, and why.
    pub fn parse(json: &str) -> Result<Self, InvalidFilter> {
        if json.len() > MAX_FILTER_BYTES {
            let problem = format!("has {} bytes; at most {MAX_FILTER_BYTES} are allowed", json.len());
            return Err(InvalidFilter::new("", problem));
        }
        Self::of_any_length(json)
    }

    /// The same without a limit to the whole text, for what is stored: a pattern is stored as a text, in which each quote takes two bytes.
    fn of_any_length(json: &str) -> Result<Self, InvalidFilter> {
        let fail = |problem: String| Err(InvalidFilter::new("", problem));
        let raw = match serde_json::from_str(json) {
            Ok(raw) => raw,
            Err(error) => return fail(format!("is not JSON: {error}")),
        };
        let members = match read(raw, "")? {
            Json::Object(members) => members,
            other => return fail(format!("must be an object, not {}", other.kind())),
        };
        let mut parts = Parts::default();
        for (name, value) in members {
            let at = below("", &name);
            if name == "pattern" {
                parts.pattern = Some(pattern(value, &at)?);
            } else if let Some(list) = List::ALL.into_iter().find(|list| list.name() == name) {
                parts.lists.push((list, entries(list, value, &at)?));
            } else {
                let names = List::ALL.map(List::name).join(", ");
                return Err(InvalidFilter::new(
                    &at,
                    format!("is no part of a filter; there are {names} and pattern"),
                ));
            }
        }
        parts.lists.retain(|(_, entries)| !entries.is_empty());
        parts
            .lists
            .sort_by_key(|(list, _)| List::ALL.iter().position(|other| other == list));
        Ok(Self(Arc::new(parts)))
    }

    /// The filter as JSON, as it is shown to its owner.
    #[must_use]
    pub fn to_json(&self) -> Box<RawValue> {
        let lists = self.0.lists.iter().map(|(list, entries)| {
            let texts: serde_json::Value = entries.iter().map(|entry| &*entry.text).collect();
            format!("\"{}\":{texts}", list.name())
        });
        let pattern = self
            .0
            .pattern
            .iter()
            .map(|pattern| format!("\"pattern\":{}", pattern.as_json()));
        let members: Vec<String> = lists.chain(pattern).collect();
        RawValue::from_string(format!("{{{}}}", members.join(","))).unwrap_or_default()
    }

    /// Whether every event is wanted, Hookline's own excepted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.lists.is_empty() && self.0.pattern.is_none()
    }

    /// Whether an event of this type, from this source where one is known, may be wanted, as far as these two say. Where it is not, none is.
    #[must_use]
    pub fn may_want(&self, event_type: &str, source: Option<&SourceId>) -> bool {
        let list = |wanted| {
            self.0
                .lists
                .iter()
                .find(|(list, _)| *list == wanted)
                .map(|(_, entries)| entries)
        };
        let of_type = match list(List::Types) {
            Some(entries) => lists::hold_type(entries, event_type),
            None => !event_type.starts_with(OPERATIONAL),
        };
        let from_source = match (list(List::Sources), source) {
            (Some(entries), Some(source)) => entries.iter().any(|entry| entry.matches(source.as_str())),
            _ => true,
        };
        of_type && from_source
    }

    /// Whether the lists want this event.
    fn lists_hold(&self, event: &EventMeta) -> bool {
        let named = !lists::is_operational(event) || self.0.lists.iter().any(|(list, _)| *list == List::Types);
        named && self.0.lists.iter().all(|(list, entries)| list.holds(entries, event))
    }
}

fn read<'a>(raw: &'a RawValue, at: &str) -> Result<Json<'a>, InvalidFilter> {
    Json::of(raw).map_err(|error| InvalidFilter::new(at, format!("cannot be read: {error}")))
}

/// A pattern stands there as an object, or as the text of one, as it does in the tools of AWS and in our own tables.
fn pattern(raw: &RawValue, at: &str) -> Result<EventPattern, InvalidFilter> {
    match read(raw, at)? {
        Json::Object(_) => EventPattern::parse(raw.get(), at),
        Json::Text(text) => EventPattern::parse(&text, at),
        other => Err(InvalidFilter::new(
            at,
            format!("must be an event pattern, an object, not {}", other.kind()),
        )),
    }
}

fn entries(list: List, raw: &RawValue, at: &str) -> Result<Vec<Entry>, InvalidFilter> {
    let entries = match read(raw, at)? {
        Json::Array(entries) => entries,
        other => return Err(InvalidFilter::new(at, format!("must be a list, not {}", other.kind()))),
    };
    let texts = entries.into_iter().enumerate().map(|(index, entry)| {
        let at = format!("{at}/{index}");
        match read(entry, &at)? {
            Json::Text(text) => Ok(text),
            other => Err(InvalidFilter::new(
                &at,
                format!("must be a string, not {}", other.kind()),
            )),
        }
    });
    list.parse(texts, at)
}
