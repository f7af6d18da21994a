//! By what to find a filter: of all its conditions the one that the fewest filters share.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::literals::Anchor;
use crate::filter::Filter;
use crate::filter::document::{Paths, Scalar};
use crate::filter::glob::Glob;
use crate::filter::lists::{Entry, List};
use crate::filter::pattern::{Block, EventPattern, Node, NumericRange, Test, Tests};

/// Something that a value can have. A value that passes a test has the test's key; one that has the key need not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Key<'f> {
    Text(&'f str),
    /// A number, a boolean or null.
    Equal(&'f Scalar<'static>),
    FoldedText(&'f str),
    Piece {
        folded: bool,
        anchor: Anchor,
        piece: &'f str,
    },
    /// Ends that do not belong to the range are taken to.
    Numeric(&'f NumericRange),
    Cidr(Block),
    /// That it is there.
    Present,
}

/// The longest piece that is searched for, in bytes: with longer ones, one text could hold nested pieces without number.
const MAX_PIECE_BYTES: usize = 32;

/// The keys of a text, each of which is enough.
fn glob_keys(glob: &Glob, folded: bool) -> Vec<Key<'_>> {
    match glob.as_exact() {
        Some(text) if folded => return vec![Key::FoldedText(text)],
        Some(text) => return vec![Key::Text(text)],
        None => {}
    }
    let pieces = glob.pieces();
    let keys = pieces
        .iter()
        .enumerate()
        .filter(|(_, piece)| !piece.is_empty())
        .map(|(position, whole)| {
            let from = whole.len().saturating_sub(MAX_PIECE_BYTES);
            let from = (from..whole.len()).find(|&at| whole.is_char_boundary(at)).unwrap_or(0);
            let anchor = match position {
                0 if from == 0 => Anchor::Start,
                last if last + 1 == pieces.len() => Anchor::End,
                _ => Anchor::Anywhere,
            };
            Key::Piece {
                folded,
                anchor,
                piece: &whole[from..],
            }
        });
    let keys: Vec<Key<'_>> = keys.collect();
    if keys.is_empty() { vec![Key::Present] } else { keys }
}

fn entry_keys(entry: &Entry) -> Vec<Key<'_>> {
    let exact = || vec![Key::Text(&entry.text)];
    entry.glob.as_ref().map_or_else(exact, |glob| glob_keys(glob, false))
}

/// The keys of a test, each of which is enough; none when it can be passed by what is not there.
fn test_keys(test: &Test) -> Option<Vec<Key<'_>>> {
    Some(match test {
        Test::Equal(Scalar::Text(text)) => vec![Key::Text(text)],
        Test::Equal(value) => vec![Key::Equal(value)],
        Test::Text(glob) => glob_keys(glob, false),
        Test::Folded(glob) => glob_keys(glob, true),
        Test::Numeric(range) => vec![Key::Numeric(range)],
        Test::Cidr(block) => vec![Key::Cidr(*block)],
        Test::AnythingBut(_) | Test::Exists => vec![Key::Present],
        Test::Absent => return None,
    })
}

/// A condition: of the values at one place, one must pass one of several tests.
#[derive(Debug, Clone, Copy)]
struct Condition<'f> {
    place: usize,
    tests: OneOf<'f>,
}

#[derive(Debug, Clone, Copy)]
enum OneOf<'f> {
    List(&'f [Entry]),
    Pattern(&'f Arc<Tests>),
}

impl<'f> Condition<'f> {
    fn of_lists(filter: &'f Filter) -> Vec<Self> {
        let lists = filter.0.lists.iter().map(|(list, entries)| Self {
            place: list.place(),
            tests: OneOf::List(entries),
        });
        lists.collect()
    }

    fn of_node(node: &'f Node, paths: &Paths, conditions: &mut Vec<Self>) {
        for (name, field) in &node.0 {
            let Some(below) = paths.children.get(&**name) else {
                continue;
            };
            Self::of_node(&field.nested, below, conditions);
            let Some(place) = below.leaf else { continue };
            conditions.extend(field.tests.iter().map(|tests| Self {
                place,
                tests: OneOf::Pattern(tests),
            }));
        }
    }

    /// The keys of each test; none when one of them can be passed by what is not there.
    fn keys(self) -> Option<Vec<Vec<Key<'f>>>> {
        match self.tests {
            OneOf::List(entries) => Some(entries.iter().map(entry_keys).collect()),
            OneOf::Pattern(tests) => tests.iter().map(test_keys).collect(),
        }
    }

    /// The same for conditions that the alternatives of a pattern have in common.
    fn id(self) -> (usize, usize) {
        let address = match self.tests {
            OneOf::List(entries) => entries.as_ptr().addr(),
            OneOf::Pattern(tests) => Arc::as_ptr(tests).addr(),
        };
        (self.place, address)
    }
}

/// How many filters ask for each key.
#[derive(Debug, Default)]
pub(super) struct Popularity {
    /// By the hash of place and key: that two of them are taken for one is rare and costs time only.
    keys: HashMap<u64, usize>,
    /// The ranges and blocks of a place together: they overlap.
    ranges: HashMap<usize, usize>,
}

/// One way to find a filter: it can only match an event that has one of the keys at its place.
#[derive(Debug, Default)]
pub(super) struct Access<'f> {
    /// About how many filters are found together with it.
    cost: usize,
    pub(super) keys: Vec<(usize, Key<'f>)>,
    /// The mark that the event must have besides.
    pub(super) guard: Option<(usize, u64)>,
}

/// What an event can have at a place and a filter can ask for, as one number. Two of them rarely are the same by chance.
pub(super) fn mark(place: usize, value: &Scalar<'_>) -> u64 {
    hash(&(place, value))
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

impl Popularity {
    /// Counts what a filter asks for, each thing once.
    pub(super) fn count(&mut self, filter: &Filter, paths: &Paths) {
        let mut conditions = Condition::of_lists(filter);
        for node in filter.0.pattern.iter().flat_map(EventPattern::alternatives) {
            Condition::of_node(node, paths, &mut conditions);
        }
        let mut known = HashSet::new();
        conditions.retain(|condition| known.insert(condition.id()));
        let mut counted = HashSet::new();
        for condition in conditions {
            let place = condition.place;
            for key in condition.keys().into_iter().flatten().flatten() {
                let id = hash(&(place, key));
                if !counted.insert(id) {
                    continue;
                }
                match key {
                    Key::Numeric(_) | Key::Cidr(_) => *self.ranges.entry(place).or_default() += 1,
                    _ => *self.keys.entry(id).or_default() += 1,
                }
            }
        }
    }

    /// The best way to find a filter; none when it can match events that have nothing it names.
    pub(super) fn access<'f>(&self, filter: &'f Filter, paths: &Paths) -> Option<Access<'f>> {
        let mut ways: Vec<Access<'f>> = Condition::of_lists(filter)
            .into_iter()
            .filter_map(|list| self.way(list))
            .collect();
        let of_node = |node| {
            let mut conditions = Vec::new();
            Condition::of_node(node, paths, &mut conditions);
            conditions
        };
        match filter.0.pattern.as_ref().map(EventPattern::alternatives) {
            None => {}
            Some([node]) => ways.extend(of_node(node).into_iter().filter_map(|condition| self.way(condition))),
            Some(nodes) => ways.extend(self.one_of(nodes.iter().map(of_node))),
        }
        guarded(ways)
    }

    /// By this condition: for each of its tests, by the best key.
    fn way<'f>(&self, condition: Condition<'f>) -> Option<Access<'f>> {
        let place = condition.place;
        let mut way = Access::default();
        for keys in condition.keys()? {
            let costs = keys.into_iter().map(|key| (self.cost(place, key), key));
            if let Some((cost, key)) = costs.min_by_key(|(cost, _)| *cost) {
                way.cost = way.cost.saturating_add(cost);
                way.keys.push((place, key));
            }
        }
        Some(way)
    }

    /// By the best condition of each alternative, of which one must hold. What they have in common is looked for once.
    fn one_of<'f>(&self, alternatives: impl Iterator<Item = Vec<Condition<'f>>>) -> Option<Access<'f>> {
        let mut ways: HashMap<(usize, usize), Option<Access<'f>>> = HashMap::new();
        let mut chosen = HashSet::new();
        for conditions in alternatives {
            let costs = conditions.into_iter().filter_map(|condition| {
                let way = ways.entry(condition.id()).or_insert_with(|| self.way(condition));
                way.as_ref().map(|way| (way.cost, condition.id()))
            });
            chosen.insert(costs.min()?.1);
        }
        let mut union = Access::default();
        for way in chosen.iter().filter_map(|id| ways.remove(id)?) {
            union.cost = union.cost.saturating_add(way.cost);
            union.keys.extend(way.keys);
        }
        Some(union)
    }

    fn cost(&self, place: usize, key: Key<'_>) -> usize {
        let ranges = || self.ranges.get(&place).copied().unwrap_or(0);
        match key {
            // Guesses: a value lies within every second half-open range, and within few that have two ends.
            Key::Numeric(NumericRange {
                low: Some(_),
                high: Some(_),
            })
            | Key::Cidr(_) => ranges() / 16 + 1,
            Key::Numeric(_) => ranges() / 2 + 1,
            _ => self.keys.get(&hash(&(place, key))).copied().unwrap_or(0),
        }
    }
}

/// The cheapest of several ways, all of which are needed. The next one that is a single value guards it.
fn guarded(mut ways: Vec<Access<'_>>) -> Option<Access<'_>> {
    ways.sort_by_key(|way| way.cost);
    let mut ways = ways.into_iter();
    let mut best = ways.next()?;
    best.guard = ways.find_map(|way| match way.keys.as_slice() {
        [(place, Key::Text(text))] => Some((*place, mark(*place, &Scalar::Text((*text).into())))),
        [(place, Key::Equal(value))] => Some((*place, mark(*place, value))),
        _ => None,
    });
    Some(best)
}

impl List {
    /// Where its values are, among all places.
    pub(super) fn place(self) -> usize {
        self as usize
    }
}
