//! The filters that are looked at because of a value at one place.

use std::collections::HashMap;
use std::net::IpAddr;

use super::access::Key;
use super::intervals::{Interval, Intervals};
use super::literals::{Anchor, Literals};
use super::postings::{Head, Postings};
use crate::filter::document::Scalar;
use crate::filter::glob::fold;
use crate::filter::number::Decimal;
use crate::filter::pattern::Address;

/// What is asked for at one place, and by which filters.
#[derive(Debug, Default)]
pub(super) struct FieldIndex {
    texts: HashMap<Box<str>, Head>,
    /// Numbers, booleans and null.
    equal: HashMap<Scalar<'static>, Head>,
    folded_texts: HashMap<Box<str>, Head>,
    present: Head,
    literals: Option<Literals>,
    folded_literals: Option<Literals>,
    numbers: Option<Intervals<Decimal>>,
    addresses: Option<Intervals<Address>>,
    postings: Postings,
}

/// A [`FieldIndex`] in the making.
#[derive(Debug, Default)]
pub(super) struct FieldIndexBuilder<'f> {
    index: FieldIndex,
    pieces: Vec<(Anchor, &'f str, u32)>,
    folded_pieces: Vec<(Anchor, &'f str, u32)>,
    numbers: Vec<Interval<Decimal>>,
    addresses: Vec<Interval<Address>>,
}

impl<'f> FieldIndexBuilder<'f> {
    pub(super) fn add(&mut self, key: Key<'f>, filter: u32) {
        let index = &mut self.index;
        let head = match key {
            Key::Text(text) => index.texts.entry(text.into()).or_default(),
            Key::Equal(value) => index.equal.entry(value.clone()).or_default(),
            Key::FoldedText(text) => index.folded_texts.entry(text.into()).or_default(),
            Key::Present => &mut index.present,
            Key::Piece { folded, anchor, piece } => {
                let pieces = if folded {
                    &mut self.folded_pieces
                } else {
                    &mut self.pieces
                };
                pieces.push((anchor, piece, filter));
                return;
            }
            Key::Numeric(range) => {
                self.numbers.push(Interval {
                    low: range.low.as_ref().map(|end| end.value.clone()),
                    high: range.high.as_ref().map(|end| end.value.clone()),
                    filter,
                });
                return;
            }
            Key::Cidr(block) => {
                self.addresses.push(Interval {
                    low: Some(block.first),
                    high: Some(block.last),
                    filter,
                });
                return;
            }
        };
        index.postings.push(head, filter);
    }

    pub(super) fn build(self) -> FieldIndex {
        let mut index = self.index;
        index.numbers = (!self.numbers.is_empty()).then(|| Intervals::new(self.numbers));
        index.addresses = (!self.addresses.is_empty()).then(|| Intervals::new(self.addresses));
        for (pieces, literals) in [
            (self.pieces, &mut index.literals),
            (self.folded_pieces, &mut index.folded_literals),
        ] {
            if pieces.is_empty() {
                continue;
            }
            *literals = Literals::new(&pieces, &mut index.postings);
            if literals.is_none() {
                // Too many for one automaton: whoever has any value there is looked at.
                for (_, _, filter) in pieces {
                    index.postings.push(&mut index.present, filter);
                }
            }
        }
        index
    }
}

impl FieldIndex {
    /// Says the filters to look at because this value is there; some of them more than once.
    pub(super) fn find(&self, value: &Scalar<'_>, found: &mut impl FnMut(u32)) {
        self.postings.each(self.present, found);
        if let Scalar::Text(text) = value {
            return self.find_text(text, found);
        }
        if let Some(head) = self.equal.get(value) {
            self.postings.each(*head, found);
        }
        if let (Scalar::Number(number), Some(numbers)) = (value, &self.numbers) {
            numbers.find(number, found);
        }
    }

    fn find_text(&self, text: &str, found: &mut impl FnMut(u32)) {
        let mut among = |texts: &HashMap<Box<str>, Head>, literals: &Option<Literals>, text: &str| {
            if let Some(head) = texts.get(text) {
                self.postings.each(*head, found);
            }
            if let Some(literals) = literals {
                literals.find(text, &self.postings, found);
            }
        };
        among(&self.texts, &self.literals, text);
        if !self.folded_texts.is_empty() || self.folded_literals.is_some() {
            among(&self.folded_texts, &self.folded_literals, &fold(text));
        }
        if let Some(addresses) = &self.addresses
            && let Ok(address) = text.parse::<IpAddr>()
        {
            addresses.find(&address.into(), found);
        }
    }
}
