//! Finding the few filters that an event may be wanted by.
//!
//! Each filter is entered under one of its conditions only: the one that the fewest filters share, as far as that can be told from the
//! filters alone. A second condition guards it, if there is one that asks for a single value. What is found is held against the whole
//! filter afterwards, so the index may find too much, and must never find too little.

mod access;
mod field;
mod intervals;
mod literals;
mod postings;

use std::collections::{BTreeMap, HashSet};

use super::Filter;
use super::document::{Paths, Scalar, Value};
use super::lists::List;
use super::pattern::{EventPattern, Node};
use crate::event::EventMeta;
use access::{Popularity, mark};
use field::{FieldIndex, FieldIndexBuilder};

/// The filters of an organization by what they ask for.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// The places that patterns ask for.
    paths: Paths,
    /// By place: those of the lists first, then the leaves of `paths`.
    fields: Vec<Option<FieldIndex>>,
    /// Whether a guard asks for a value at this place.
    guarding: Vec<bool>,
    /// By filter: the mark that an event must have, and whether it stands in the document.
    guards: Vec<Option<(u64, bool)>>,
    /// The filters that no value leads to.
    others: Vec<u32>,
}

impl Index {
    pub(super) fn new(filters: &[Filter]) -> Self {
        let mut paths = Paths::default();
        let mut places = List::ALL.len();
        let mut popularity = Popularity::default();
        for filter in filters {
            for node in filter.0.pattern.iter().flat_map(EventPattern::alternatives) {
                enter(node, &mut paths, &mut places);
            }
            popularity.count(filter, &paths);
        }
        let mut builders: BTreeMap<usize, FieldIndexBuilder<'_>> = BTreeMap::new();
        let mut guarding = vec![false; places];
        let mut guards = vec![None; filters.len()];
        let mut others = Vec::new();
        for ((number, filter), filter_guard) in (0_u32..).zip(filters).zip(&mut guards) {
            let Some(access) = popularity.access(filter, &paths) else {
                others.push(number);
                continue;
            };
            for (place, key) in access.keys {
                builders.entry(place).or_default().add(key, number);
            }
            if let Some((place, mark)) = access.guard {
                guarding[place] = true;
                *filter_guard = Some((mark, place >= List::ALL.len()));
            }
        }
        let fields = (0..places).map(|place| builders.remove(&place).map(FieldIndexBuilder::build));
        Self {
            fields: fields.collect(),
            paths,
            guarding,
            guards,
            others,
        }
    }

    /// The places that patterns ask for.
    pub(super) fn paths(&self) -> &Paths {
        &self.paths
    }

    /// Whether the document may lead to filters that the event's metadata does not lead to.
    pub(super) fn needs_document(&self) -> bool {
        self.fields.iter().skip(List::ALL.len()).any(Option::is_some)
    }

    /// Finds the filters to look at whatever the event is, and those that its metadata leads to.
    pub(super) fn find(&self, event: &EventMeta, found: &mut Found) {
        self.others.iter().for_each(|filter| found.add(*filter));
        for list in List::ALL {
            list.values(event)
                .for_each(|value| self.find_at(list.place(), &Scalar::Text(value.into()), found));
        }
    }

    /// Finds the filters that the document leads to.
    pub(super) fn find_in(&self, document: &Value<'_, '_>, found: &mut Found) {
        self.find_below(document, &self.paths, found);
    }

    /// Whether a filter that was found cannot match, because its guard found nothing: in the metadata, or after [`Self::find_in`] in the
    /// document too.
    pub(super) fn is_kept_out(&self, filter: usize, with_document: bool, found: &Found) -> bool {
        let guard = self.guards.get(filter).copied().flatten();
        guard.is_some_and(|(mark, of_document)| (with_document || !of_document) && !found.marks.contains(&mark))
    }

    fn find_at(&self, place: usize, value: &Scalar<'_>, found: &mut Found) {
        if self.guarding.get(place) == Some(&true) {
            found.marks.insert(mark(place, value));
        }
        if let Some(Some(field)) = self.fields.get(place) {
            field.find(value, &mut |filter| found.add(filter));
        }
    }

    fn find_below(&self, value: &Value<'_, '_>, paths: &Paths, found: &mut Found) {
        if let Some(place) = paths.leaf {
            value.scalars().for_each(|scalar| self.find_at(place, scalar, found));
        }
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    if let Some(below) = paths.children.get(*name) {
                        self.find_below(value, below, found);
                    }
                }
            }
            Value::List(elements) => {
                let objects = elements.iter().filter(|element| matches!(element, Value::Object(_)));
                objects.for_each(|object| self.find_below(object, paths, found));
            }
            Value::Scalar(_) | Value::Other => {}
        }
    }
}

/// What was found of an event.
#[derive(Debug)]
pub(super) struct Found {
    /// The filters to look at; whoever takes them out gets each once.
    pub(super) filters: Vec<usize>,
    seen: Vec<u64>,
    /// What the event has at the places of guards.
    marks: HashSet<u64>,
}

impl Found {
    /// Nothing yet, of so many filters.
    pub(super) fn new(filters: usize) -> Self {
        Self {
            filters: Vec::new(),
            seen: vec![0; filters.div_ceil(64)],
            marks: HashSet::new(),
        }
    }

    fn add(&mut self, filter: u32) {
        let number = filter as usize;
        let (word, bit) = (number / 64, 1 << (number % 64));
        if self.seen[word] & bit == 0 {
            self.seen[word] |= bit;
            self.filters.push(number);
        }
    }
}

/// Enters the places of a pattern; leaves get the next free numbers.
pub(super) fn enter(node: &Node, paths: &mut Paths, places: &mut usize) {
    for (name, field) in &node.0 {
        let below = paths.child(name);
        if !field.tests.is_empty() && below.leaf.is_none() {
            below.leaf = Some(*places);
            *places += 1;
        }
        enter(&field.nested, below, places);
    }
}
