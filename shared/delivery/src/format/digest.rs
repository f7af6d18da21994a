//! What people are told of many events at once, the same for every chat.

use std::cmp::Reverse;
use std::collections::HashMap;

use jiff::Timestamp;
use payload::Event;

use super::notice::{Notice, Piece, non_empty};

/// The most types that are counted one by one.
const MAX_TYPES: usize = 12;

/// The most events that are told one by one.
const MAX_NEWEST: usize = 10;

/// The most changes of one of these.
const MAX_CHANGES: usize = 2;

/// Many events as people read them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Digest {
    /// How many wait.
    total: usize,
    /// How many of these were looked at.
    looked_at: usize,
    /// From when to when these happened, where there is one.
    span: Option<(Timestamp, Timestamp)>,
    /// How many of each type, the most frequent first.
    pub(super) types: Vec<(String, usize)>,
    /// How many events are of other types.
    of_other_types: usize,
    /// The newest, the last first.
    pub(super) newest: Vec<Entry>,
}

/// One event of a digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// When it happened.
    pub(super) time: String,
    /// What it is about.
    pub(super) notice: Notice,
    /// What stands for the changes that are not told.
    more: Option<String>,
}

impl Digest {
    pub(super) fn of(events: &[&Event], total: usize) -> Self {
        let mut newest: Vec<&Event> = events.to_vec();
        newest.sort_by_key(|event| Reverse((event.meta.timestamp, event.received_at)));
        let times = || events.iter().map(|event| event.meta.timestamp);
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for event in events {
            *counts.entry(&event.meta.event_type).or_default() += 1;
        }
        let mut types: Vec<(&str, usize)> = counts.into_iter().collect();
        types.sort_unstable_by_key(|(name, count)| (Reverse(*count), *name));
        Self {
            total: total.max(events.len()),
            looked_at: events.len(),
            span: times().min().zip(times().max()),
            of_other_types: types.iter().skip(MAX_TYPES).map(|(_, count)| count).sum(),
            types: types
                .into_iter()
                .take(MAX_TYPES)
                .map(|(name, count)| (non_empty(Some(name)).unwrap_or_else(|| "(no type)".to_owned()), count))
                .collect(),
            newest: newest.into_iter().take(MAX_NEWEST).map(Entry::of).collect(),
        }
    }

    /// The headline: `37 events`.
    pub(super) fn lead(&self) -> String {
        match self.total {
            1 => "1 event".to_owned(),
            total => format!("{total} events"),
        }
    }

    /// From when to when.
    pub(super) fn span(&self) -> Option<String> {
        self.span.map(|(first, last)| {
            format!(
                "{} to {} UTC",
                first.strftime(DAY_AND_TIME),
                last.strftime(DAY_AND_TIME)
            )
        })
    }

    /// What stands behind the counted types.
    pub(super) fn other_types(&self) -> Option<String> {
        let of_others = (self.of_other_types > 0).then(|| format!("{} × other types", self.of_other_types));
        let not_counted = self.total - self.looked_at;
        let not_counted = (not_counted > 0).then(|| format!("{not_counted} more, not counted by type"));
        let parts: Vec<String> = [of_others, not_counted].into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join("; "))
    }

    /// The line that stands for the events beyond the first `shown`.
    pub(super) fn more(&self, shown: usize) -> Option<String> {
        let more = self.total - shown;
        (more > 0).then(|| format!("and {more} more"))
    }
}

const DAY_AND_TIME: &str = "%Y-%m-%d %H:%M:%S";

impl Entry {
    fn of(event: &Event) -> Self {
        let notice = Notice::of(event);
        let more = notice.changes.len().saturating_sub(MAX_CHANGES) + notice.changes_left_out;
        Self {
            time: event.meta.timestamp.strftime("%m-%d %H:%M:%S").to_string(),
            notice,
            more: (more > 0).then(|| format!(" and {more} more")),
        }
    }

    /// Its first changes on one line: `state: notLive → live, date: … → …`.
    pub(super) fn changes(&self) -> Vec<Piece<'_>> {
        let mut pieces = Vec::new();
        for line in self.notice.changes.iter().take(MAX_CHANGES) {
            if !pieces.is_empty() {
                pieces.push(Piece::Ours(", "));
            }
            pieces.extend(line.pieces());
        }
        pieces.extend(self.more.as_deref().map(Piece::Ours));
        pieces
    }
}
