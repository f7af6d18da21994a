//! The lists of a filter: the plain way to say which events are wanted.

use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::glob::Glob;
use super::invalid::InvalidFilter;
use crate::SourceId;
use crate::event::{Entity, EventMeta, Locales, Scope};

/// The most entries of one list.
pub const MAX_ENTRIES: usize = 100;

/// The longest entry of a list, in bytes.
pub const MAX_ENTRY_BYTES: usize = 200;

/// What the types of Hookline's own events begin with. Only a filter that names such a type itself wants them.
pub const OPERATIONAL: &str = "hookline.";

/// One of the lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum List {
    Sources,
    Types,
    Applications,
    Categories,
    Actions,
    Entities,
    Pools,
    Stations,
    Locales,
}

impl List {
    pub(super) const ALL: [Self; 9] = [
        Self::Sources,
        Self::Types,
        Self::Applications,
        Self::Categories,
        Self::Actions,
        Self::Entities,
        Self::Pools,
        Self::Stations,
        Self::Locales,
    ];

    /// Its name in JSON.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sources => "sources",
            Self::Types => "types",
            Self::Applications => "applications",
            Self::Categories => "categories",
            Self::Actions => "actions",
            Self::Entities => "entities",
            Self::Pools => "pools",
            Self::Stations => "stations",
            Self::Locales => "locales",
        }
    }

    /// Reads an entry; `at` is its place.
    fn entry(self, text: &str, at: &str) -> Result<Entry, InvalidFilter> {
        let fail = |problem: &str| Err(InvalidFilter::new(at, problem));
        if text.is_empty() {
            return fail("is empty");
        }
        if text.len() > MAX_ENTRY_BYTES {
            return fail(&format!("is longer than {MAX_ENTRY_BYTES} bytes"));
        }
        let of_a_type = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | ':' | '/' | '*');
        let glob = match self {
            Self::Sources if text.parse::<SourceId>().is_err() => return fail("is not the id of a source, src_…"),
            Self::Types if !text.chars().all(of_a_type) => {
                return fail("holds a character other than letters, digits, '.', '_', '-', ':', '/' and '*'");
            }
            Self::Types | Self::Entities if text.contains('*') => Some(Glob::plain(text)),
            _ => None,
        };
        Ok(Entry {
            text: text.into(),
            glob,
        })
    }

    /// Reads the entries; `at` is the place of the list.
    pub(super) fn parse<'t>(
        self,
        texts: impl ExactSizeIterator<Item = Result<std::borrow::Cow<'t, str>, InvalidFilter>>,
        at: &str,
    ) -> Result<Vec<Entry>, InvalidFilter> {
        let count = texts.len();
        if count > MAX_ENTRIES {
            let problem = format!("has {count} entries; at most {MAX_ENTRIES} are allowed");
            return Err(InvalidFilter::new(at, problem));
        }
        let entries = texts.enumerate();
        entries
            .map(|(index, text)| self.entry(&text?, &format!("{at}/{index}")))
            .collect()
    }

    /// What an event has to offer to this list.
    pub(super) fn values(self, event: &EventMeta) -> impl Iterator<Item = &str> {
        let (one, more) = match self {
            Self::Sources => (event.source.as_ref().map(|source| source.id.as_str()), None),
            Self::Types => (Some(event.event_type.as_str()), None),
            Self::Applications => (event.application.as_deref(), None),
            Self::Categories => (event.category.as_deref(), None),
            Self::Actions => (event.action.as_deref(), None),
            Self::Entities => (
                event.entity.as_ref().and_then(|Entity { kind, .. }| kind.as_deref()),
                None,
            ),
            Self::Pools => (
                event.scope.as_ref().and_then(|Scope { pool, .. }| pool.as_deref()),
                None,
            ),
            Self::Stations => (
                event
                    .scope
                    .as_ref()
                    .and_then(|Scope { station, .. }| station.as_deref()),
                None,
            ),
            Self::Locales => (None, event.locales.as_ref()),
        };
        let locales = more
            .into_iter()
            .flat_map(|Locales { updated, inherited }| updated.iter().chain(inherited));
        one.into_iter().chain(locales.map(String::as_str))
    }

    /// Whether an event has what one of the entries asks for.
    pub(super) fn holds(self, entries: &[Entry], event: &EventMeta) -> bool {
        match self {
            Self::Types => hold_type(entries, &event.event_type),
            _ => entries
                .iter()
                .any(|entry| self.values(event).any(|value| entry.matches(value))),
        }
    }
}

/// An event type as an entry of the list of types says it: the whole of it, or with `*` for any part. Hookline's own are types as any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypePattern(Entry);

impl TypePattern {
    /// Whether this type is meant.
    #[must_use]
    pub fn matches(&self, event_type: &str) -> bool {
        self.0.matches(event_type)
    }
}

impl FromStr for TypePattern {
    type Err = InvalidFilter;

    fn from_str(text: &str) -> Result<Self, InvalidFilter> {
        List::Types.entry(text, "").map(Self)
    }
}

impl<'de> Deserialize<'de> for TypePattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse()
            .map_err(|InvalidFilter { problem, .. }| D::Error::custom(problem))
    }
}

/// Whether one of the entries of the list of types asks for this type: for one of Hookline's own only by its name.
pub(super) fn hold_type(entries: &[Entry], event_type: &str) -> bool {
    let operational = event_type.starts_with(OPERATIONAL);
    let mut asked = entries
        .iter()
        .filter(|entry| !operational || entry.text.starts_with(OPERATIONAL));
    asked.any(|entry| entry.matches(event_type))
}

/// Whether it is one of Hookline's own events.
pub(super) fn is_operational(event: &EventMeta) -> bool {
    event.event_type.starts_with(OPERATIONAL)
}

/// One entry of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// As it was given.
    pub(super) text: Box<str>,
    /// What it means, if it has wildcards.
    pub(super) glob: Option<Glob>,
}

impl Entry {
    pub(super) fn matches(&self, value: &str) -> bool {
        match &self.glob {
            Some(glob) => glob.matches(value),
            None => *self.text == *value,
        }
    }
}
