//! Why a filter does not want an event, for people: which of its conditions does not hold, and what the event has there.

use std::borrow::Cow;

use super::document::{Paths, Scalar, Value};
use super::index::enter;
use super::invalid::below;
use super::json::Json;
use super::lists::{List, OPERATIONAL, is_operational};
use super::matcher::UnreadablePayload;
use super::pattern::{EventPattern, Node};
use super::{Filter, StoredFilter};
use crate::event::EventMeta;

/// The most characters of one value that are shown.
const MAX_VALUE_CHARS: usize = 100;

/// The most values of a list that are shown.
const MAX_VALUES: usize = 5;

/// The most conditions of a pattern that are named: one for each of its alternatives.
const MAX_NAMED: usize = 5;

/// A condition of a filter that does not hold for an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmet {
    /// Where it stands in the filter, as a JSON Pointer (RFC 6901): `/types`, `/pattern/data/state`. Empty for the filter itself.
    pub pointer: String,
    /// What is the matter, as a sentence: `type is live.audio.updated; wanted is live.video.*`.
    pub sentence: String,
}

impl StoredFilter {
    /// The conditions that keep this filter from wanting an event, of whose common payload `json` is the text; none when it wants it. It
    /// says so for exactly those that a [`Matcher`](super::Matcher) finds.
    ///
    /// # Errors
    /// When there is a pattern and `json` is not JSON.
    pub fn unmet(&self, event: &EventMeta, json: &[u8]) -> Result<Vec<Unmet>, UnreadablePayload> {
        match self.read() {
            Ok(filter) => filter.unmet(event, json),
            Err(problem) => Ok(vec![Unmet {
                pointer: problem.pointer.clone(),
                sentence: format!("the filter cannot be read here: {}", problem.problem),
            }]),
        }
    }
}

impl Filter {
    fn unmet(&self, event: &EventMeta, json: &[u8]) -> Result<Vec<Unmet>, UnreadablePayload> {
        let mut unmet = Vec::new();
        let names_types = self.0.lists.iter().any(|(list, _)| *list == List::Types);
        if is_operational(event) && !names_types {
            let sentence = format!(
                "{} is one of Hookline's own events, which only a filter wants that names a type beginning with {OPERATIONAL}",
                shown(&event.event_type)
            );
            unmet.push(Unmet {
                pointer: String::new(),
                sentence,
            });
        }
        for (list, entries) in &self.0.lists {
            if !list.holds(entries, event) {
                let has = some_of(list.values(event).map(Cow::from), "nothing");
                let wanted = some_of(entries.iter().map(|entry| Cow::from(&*entry.text)), "nothing");
                unmet.push(Unmet {
                    pointer: format!("/{}", list.name()),
                    sentence: format!("{} is {has}; wanted is {wanted}", list.of_event()),
                });
            }
        }
        if let Some(pattern) = &self.0.pattern {
            unmet.extend(pattern.unmet(json)?);
        }
        Ok(unmet)
    }
}

impl List {
    /// What an event has of it, in the words of the common payload.
    fn of_event(self) -> &'static str {
        match self {
            Self::Sources => "source.id",
            Self::Types => "type",
            Self::Applications => "application",
            Self::Categories => "category",
            Self::Actions => "action",
            Self::Entities => "entity.type",
            Self::Pools => "scope.pool",
            Self::Stations => "scope.station",
            Self::Locales => "one of locales",
        }
    }
}

impl EventPattern {
    fn unmet(&self, json: &[u8]) -> Result<Vec<Unmet>, UnreadablePayload> {
        let (mut paths, mut places) = (Paths::default(), 0);
        for node in self.alternatives() {
            enter(node, &mut paths, &mut places);
        }
        let document = Value::read(json, &paths).map_err(|_| UnreadablePayload)?;
        if self.holds(&document) {
            return Ok(Vec::new());
        }
        let mut unmet: Vec<Unmet> = Vec::new();
        for node in self.alternatives() {
            let condition = self.condition(node, &document);
            if !unmet.contains(&condition) {
                unmet.push(condition);
            }
            if unmet.len() == MAX_NAMED {
                break;
            }
        }
        Ok(unmet)
    }

    /// The condition that keeps one alternative from holding.
    fn condition(&self, node: &Node, document: &Value<'_, '_>) -> Unmet {
        let mut path = Vec::new();
        node.first_unmet(Some(document), &mut path);
        let found = found_at(document, &path);
        let (pointer, wanted) = self.place_of(&path);
        let name = path.join(".");
        let sentence = match (found.is_empty(), wanted) {
            (true, Some(wanted)) => format!("{name} is not there; wanted is {wanted}"),
            (false, Some(wanted)) => {
                let found = some_of(found.into_iter().map(Cow::from), "not there");
                format!("{name} is {found}; wanted is {wanted}")
            }
            (_, None) if path.is_empty() => "no one object of the event meets all conditions on it".to_owned(),
            (_, None) => format!("no one element of {name} meets all conditions on it"),
        };
        Unmet { pointer, sentence }
    }

    /// Where the conditions on this field stand in the text, with the tests that are made there, where it is one list of them.
    fn place_of(&self, path: &[&str]) -> (String, Option<String>) {
        let mut lists = Vec::new();
        if let Ok(raw) = serde_json::from_str(self.as_json()) {
            lists_of(raw, path, "/pattern", &mut lists);
        }
        // In several alternatives: wherever they come together.
        let pointer = match lists.split_first() {
            Some(((first, _), others)) => common(first, others.iter().map(|(pointer, _)| pointer.as_str())),
            None => "/pattern".to_owned(),
        };
        let tests: Vec<&str> = lists.iter().filter_map(|(_, tests)| tests.as_deref()).collect();
        (pointer, (!tests.is_empty()).then(|| tests.join(" or ")))
    }
}

/// A list of tests on a field, or the conditions on an object, with its place.
type Place = (String, Option<String>);

/// Finds what a pattern says of a field. `$or` does not count as a name.
fn lists_of(raw: &serde_json::value::RawValue, path: &[&str], at: &str, lists: &mut Vec<Place>) {
    let Some((name, rest)) = path.split_first() else {
        let tests = raw.get().starts_with('[').then(|| shown(raw.get()).into_owned());
        lists.push((at.to_owned(), tests));
        return;
    };
    let Ok(Json::Object(members)) = Json::of(raw) else {
        return;
    };
    for (member, value) in members {
        let at = below(at, &member);
        if member == "$or" {
            let Ok(Json::Array(alternatives)) = Json::of(value) else {
                continue;
            };
            for (index, alternative) in alternatives.into_iter().enumerate() {
                lists_of(alternative, path, &format!("{at}/{index}"), lists);
            }
        } else if member == *name {
            lists_of(value, rest, &at, lists);
        }
    }
}

/// The longest pointer that leads to all of these.
fn common<'a>(first: &'a str, others: impl Iterator<Item = &'a str>) -> String {
    let mut shared: Vec<&str> = first.split('/').collect();
    for other in others {
        let same = shared
            .iter()
            .zip(other.split('/'))
            .take_while(|(one, other)| **one == *other);
        let same = same.count();
        shared.truncate(same);
    }
    shared.join("/")
}

/// What an event has under a name, in whichever element of whichever array.
fn found_at(document: &Value<'_, '_>, path: &[&str]) -> Vec<String> {
    let Some((name, rest)) = path.split_first() else {
        return document.scalars().map(in_words).collect();
    };
    let elements = match document {
        Value::List(elements) => elements.as_slice(),
        other => std::slice::from_ref(other),
    };
    let values = elements.iter().filter_map(|element| element.get(name));
    values.flat_map(|value| found_at(value, rest)).collect()
}

fn in_words(scalar: &Scalar<'_>) -> String {
    match scalar {
        Scalar::Null => "null".to_owned(),
        Scalar::Bool(value) => value.to_string(),
        Scalar::Number(number) => number.to_string(),
        Scalar::Text(text) => text.clone().into_owned(),
    }
}

/// The first of these values.
fn some_of<'a>(values: impl Iterator<Item = Cow<'a, str>>, nothing: &str) -> String {
    let mut values = values.peekable();
    if values.peek().is_none() {
        return nothing.to_owned();
    }
    let first: Vec<String> = values
        .by_ref()
        .take(MAX_VALUES)
        .map(|value| shown(&value).into_owned())
        .collect();
    let first = first.join(", ");
    match values.count() {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

/// A text that may be long, or hold anything.
fn shown(text: &str) -> Cow<'_, str> {
    let is_plain = |c: char| !c.is_control();
    if text.chars().count() <= MAX_VALUE_CHARS && text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut short: String = text.chars().filter(|c| is_plain(*c)).take(MAX_VALUE_CHARS).collect();
    short.push('…');
    Cow::Owned(short)
}
