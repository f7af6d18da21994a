//! Event patterns: the language of
//! [Amazon EventBridge](https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html).

mod evaluate;
mod parse;
mod range;

use std::borrow::Cow;
use std::sync::Arc;

use super::document::{Scalar, Value};
use super::glob::{Glob, fold};
use super::invalid::InvalidFilter;
use super::number::Decimal;

pub(super) use range::{Address, Block, NumericRange};

/// The longest event pattern, in bytes of JSON.
pub const MAX_PATTERN_BYTES: usize = 8 * 1024;

/// The most patterns without `$or` that one pattern may stand for.
pub const MAX_ALTERNATIVES: usize = 64;

/// The most fields and operators in all of these together. Without it, what stands beside `$or` counted once and cost time and memory once
/// for each alternative.
pub const MAX_CONDITIONS: usize = 512;

/// The deepest nesting of a pattern.
pub const MAX_PATTERN_DEPTH: usize = 32;

/// A pattern that can be read.
#[derive(Debug, Clone)]
pub(super) struct EventPattern {
    /// As it was given.
    json: Box<str>,
    /// The patterns without `$or` that it stands for, of which one must hold.
    alternatives: Vec<Node>,
}

impl PartialEq for EventPattern {
    fn eq(&self, other: &Self) -> bool {
        self.json == other.json
    }
}

impl Eq for EventPattern {}

impl EventPattern {
    /// The JSON text that it was made of.
    pub(super) fn as_json(&self) -> &str {
        &self.json
    }

    /// The patterns without `$or` that it stands for, of which one must hold.
    pub(super) fn alternatives(&self) -> &[Node] {
        &self.alternatives
    }

    /// Whether the pattern holds for this document.
    pub(super) fn holds(&self, document: &Value<'_, '_>) -> bool {
        self.alternatives.iter().any(|node| node.holds(document))
    }
}

/// Conditions on one object, all of which must hold: by the names of its fields, in order, each once.
#[derive(Debug, Clone, Default)]
pub(super) struct Node(pub(super) Vec<(Arc<str>, Field)>);

/// Conditions on what stands under a name, all of which must hold.
#[derive(Debug, Clone, Default)]
pub(super) struct Field {
    /// On the object there, unless it is empty.
    pub(super) nested: Node,
    /// On the values there: of each list, one of the values must pass one of the tests.
    pub(super) tests: Vec<Arc<Tests>>,
}

impl Node {
    /// The fields and operators, of which [`MAX_CONDITIONS`] are allowed.
    pub(super) fn conditions(&self) -> usize {
        self.0.iter().map(|(_, field)| field.conditions()).sum()
    }

    /// Adds conditions on the same object.
    fn merge(&mut self, other: &Self) {
        for (name, field) in &other.0 {
            let at = match self.0.binary_search_by(|(here, _)| here.cmp(name)) {
                Ok(at) => at,
                Err(at) => {
                    self.0.insert(at, (name.clone(), Field::default()));
                    at
                }
            };
            let here = &mut self.0[at].1;
            here.nested.merge(&field.nested);
            here.tests.extend(field.tests.iter().cloned());
        }
    }
}

impl Field {
    fn conditions(&self) -> usize {
        let lists = self.tests.iter().map(|tests| 1 + tests.operators());
        let nested = match self.nested.conditions() {
            0 => 0,
            nested => 1 + nested,
        };
        lists.sum::<usize>() + nested
    }
}

/// The entries of a list in a pattern, of which one must be passed.
#[derive(Debug)]
pub(super) struct Tests {
    /// Exact values first, in order: there may be thousands, and so one of them is found without a look at each.
    all: Box<[Test]>,
    /// How many of them are exact values.
    exact: usize,
}

impl Tests {
    fn new(mut all: Vec<Test>) -> Self {
        all.sort_by(|one, other| match (one.exact(), other.exact()) {
            (Some(one), Some(other)) => one.cmp(other),
            (one, other) => other.is_some().cmp(&one.is_some()),
        });
        Self {
            exact: all.partition_point(|test| test.exact().is_some()),
            all: all.into(),
        }
    }

    /// All of them, in an order of their own.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Test> {
        self.all.iter()
    }

    /// Those that are made one after the other.
    fn others(&self) -> &[Test] {
        &self.all[self.exact..]
    }

    /// How many are made one after the other, also within `anything-but`.
    fn operators(&self) -> usize {
        let others = self.others().iter();
        others
            .map(|test| match test {
                Test::AnythingBut(tests) => tests.operators().max(1),
                _ => 1,
            })
            .sum()
    }

    /// Whether a value that is there passes one of them.
    fn pass(&self, value: &Scalar<'_>) -> bool {
        let exact = self.all[..self.exact].binary_search_by(|test| test.exact().cmp(&Some(value)));
        exact.is_ok() || self.others().iter().any(|test| test.passes(value))
    }

    /// Whether one of them is passed by what is not there.
    fn ask_for_absence(&self) -> bool {
        self.others().iter().any(|test| matches!(test, Test::Absent))
    }
}

/// One entry of a list in a pattern.
#[derive(Debug)]
pub(super) enum Test {
    /// Exactly this value.
    Equal(Scalar<'static>),
    /// A text of this form.
    Text(Glob),
    /// A text of this form without regard to case.
    Folded(Glob),
    /// A number in this range.
    Numeric(NumericRange),
    /// A text that is an IP address of this block.
    Cidr(Block),
    /// A value that passes none of these.
    AnythingBut(Tests),
    /// Any value.
    Exists,
    /// No value at all.
    Absent,
}

impl Test {
    /// The value, if it asks for exactly one.
    fn exact(&self) -> Option<&Scalar<'static>> {
        match self {
            Self::Equal(value) => Some(value),
            _ => None,
        }
    }

    /// Whether a value that is there passes.
    fn passes(&self, value: &Scalar<'_>) -> bool {
        match (self, value) {
            (Self::Equal(expected), value) => expected == value,
            (Self::Text(glob), Scalar::Text(text)) => glob.matches(text),
            (Self::Folded(glob), Scalar::Text(text)) => glob.matches_folded(text),
            (Self::Numeric(range), Scalar::Number(number)) => range.contains(number),
            (Self::Cidr(block), Scalar::Text(text)) => text.parse().is_ok_and(|address| block.contains(address)),
            (Self::AnythingBut(tests), value) => !tests.pass(value),
            (Self::Exists, _) => true,
            (Self::Text(_) | Self::Folded(_) | Self::Numeric(_) | Self::Cidr(_) | Self::Absent, _) => false,
        }
    }
}
