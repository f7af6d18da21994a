//! All filters of an organization, ready for matching.

use super::document::Value;
use super::index::{Found, Index};
use super::lists::is_operational;
use super::{Filter, InvalidFilter, StoredFilter};
use crate::Event;
use crate::event::{BrokenEvent, EventMeta};

/// The filters of an organization's webhooks, made ready once and used until one of them changes.
///
/// An index finds the few filters that an event may be wanted by; each of those is then held against the event in full. So the time for
/// one event grows with how many filters come into question, and hardly with how many there are.
#[derive(Debug, Default)]
pub struct Matcher {
    /// Those that restrict, with the positions that they were given with.
    filters: Vec<Filter>,
    positions: Vec<usize>,
    index: Index,
    /// The positions of those that do not restrict.
    unrestricted: Vec<usize>,
}

/// An event whose common payload is not JSON, as no event's is that was stored by us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the common payload is not JSON")]
pub struct UnreadablePayload;

impl Matcher {
    /// Makes filters ready. Each comes with a position of the caller's choice. Given back beside the matcher are those that cannot be
    /// read, with the reason: they want nothing, and the others are as if they were not there.
    #[must_use]
    pub fn compile<'a>(
        filters: impl IntoIterator<Item = (usize, &'a StoredFilter)>,
    ) -> (Self, Vec<(usize, InvalidFilter)>) {
        let mut matcher = Self::default();
        let mut unreadable = Vec::new();
        for (position, stored) in filters {
            match stored.read() {
                Ok(filter) if filter.is_empty() => matcher.unrestricted.push(position),
                Ok(filter) => {
                    matcher.filters.push(filter.clone());
                    matcher.positions.push(position);
                }
                Err(problem) => unreadable.push((position, problem.clone())),
            }
        }
        matcher.index = Index::new(&matcher.filters);
        (matcher, unreadable)
    }

    /// The positions of the filters that want an event, in ascending order. `json` is its common payload, as
    /// [`Event::to_json`](crate::Event::to_json) gives it; it is looked at only when a pattern comes into question.
    ///
    /// # Errors
    /// When a pattern comes into question and `json` is not JSON.
    pub fn matches(&self, event: &EventMeta, json: &[u8]) -> Result<Vec<usize>, UnreadablePayload> {
        self.matches_with(event, || Ok(json))
    }

    /// The positions of the filters that want an event, in ascending order. Its common payload is put together only when a pattern comes
    /// into question.
    ///
    /// # Errors
    /// When a pattern comes into question and the stored parts of the event do not fit together.
    pub fn matching(&self, event: &Event) -> Result<Vec<usize>, BrokenEvent> {
        self.matches_with(&event.meta, || event.to_json().map_err(|_| UnreadablePayload))
            .map_err(|UnreadablePayload| BrokenEvent::Span)
    }

    fn matches_with<J: AsRef<[u8]>>(
        &self,
        event: &EventMeta,
        json: impl FnOnce() -> Result<J, UnreadablePayload>,
    ) -> Result<Vec<usize>, UnreadablePayload> {
        let mut found = Found::new(self.filters.len());
        self.index.find(event, &mut found);
        let of_the_lists = |number: usize, found: &Found| {
            !self.index.is_kept_out(number, false, found) && self.filters[number].lists_hold(event)
        };
        let mut by_metadata = std::mem::take(&mut found.filters);
        by_metadata.retain(|&number| of_the_lists(number, &found));
        let asked = |&number: &usize| self.filters[number].0.pattern.is_some();
        let payload;
        let mut document = None;
        if self.index.needs_document() || by_metadata.iter().any(asked) {
            payload = json()?;
            let read = Value::read(payload.as_ref(), self.index.paths()).map_err(|_| UnreadablePayload)?;
            let document = document.insert(read);
            self.index.find_in(document, &mut found);
        }
        let by_document = found
            .filters
            .iter()
            .copied()
            .filter(|&number| of_the_lists(number, &found));
        let holds = |&number: &usize| match (&self.filters[number].0.pattern, &document) {
            (Some(pattern), Some(document)) => !self.index.is_kept_out(number, true, &found) && pattern.holds(document),
            (pattern, _) => pattern.is_none(),
        };
        let numbers = by_metadata.into_iter().chain(by_document).filter(holds);
        let mut wanted: Vec<usize> = numbers.map(|number| self.positions[number]).collect();
        if !is_operational(event) {
            wanted.extend_from_slice(&self.unrestricted);
        }
        wanted.sort_unstable();
        wanted.dedup();
        Ok(wanted)
    }
}
