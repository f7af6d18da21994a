//! Walking through an index by time: its shards merged into one list, forwards or backwards, from any place on.

use std::collections::VecDeque;
use std::fmt::Debug;

use aws_sdk_dynamodb::types::AttributeValue;
use futures::future::try_join_all;
use jiff::Timestamp;
use serde::de::DeserializeOwned;

use super::by_time::ByTime;
use super::{Attributes, Dynamo, number, sdk_error, text};
use crate::StoreError;
use crate::item::first_receipt_id;
use crate::lists::{DeliveryKey, EventKey, Order, Page, Place, ReceiptKey, Span, Walk};

/// The last millisecond that a time can have: the end of the year 9999.
const END_OF_TIME: i64 = 253_402_207_199_999;

/// The most entries that are read of a shard at once, unless a page wants more.
const MAX_CHUNK: usize = 250;

/// Where an entry stands in an index by time. The order of keys is that of the list.
pub(super) trait IndexKey: Clone + Ord + Debug + Send + Sync {
    /// When it is, in milliseconds since 1970.
    fn at(&self) -> i64;

    /// The first value of the range key at that millisecond, or the last.
    fn bound(at: i64, last: bool) -> AttributeValue;

    /// The keys of the index and of its table, without the shard.
    fn attributes(&self) -> Attributes;

    /// The place in front of this entry, newest first, in a shard that has nothing newer.
    fn newer(&self) -> Self;
}

fn time_bound(at: i64) -> AttributeValue {
    number(at)
}

fn attributes<const N: usize>(parts: [(&str, AttributeValue); N]) -> Attributes {
    parts
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

impl IndexKey for EventKey {
    fn at(&self) -> i64 {
        self.0
    }

    fn bound(at: i64, _: bool) -> AttributeValue {
        time_bound(at)
    }

    fn attributes(&self) -> Attributes {
        attributes([("at", number(self.0)), ("id", text(self.1.as_str()))])
    }

    fn newer(&self) -> Self {
        self.in_front()
    }
}

impl IndexKey for DeliveryKey {
    fn at(&self) -> i64 {
        self.0
    }

    fn bound(at: i64, _: bool) -> AttributeValue {
        time_bound(at)
    }

    fn attributes(&self) -> Attributes {
        attributes([
            ("at", number(self.0)),
            ("event", text(self.1.as_str())),
            ("webhook", text(self.2.as_str())),
        ])
    }

    fn newer(&self) -> Self {
        // Of those of one millisecond the order is the engine's: the next one is free, as a shard that had something there is behind it.
        Self(self.0.saturating_add(1), self.1.clone(), self.2.clone())
    }
}

impl IndexKey for ReceiptKey {
    fn at(&self) -> i64 {
        self.0.created_at().as_millisecond()
    }

    fn bound(at: i64, last: bool) -> AttributeValue {
        let at = Timestamp::from_millisecond(at).unwrap_or(Timestamp::UNIX_EPOCH);
        let first = first_receipt_id(at);
        // No id of that millisecond sorts behind it: their characters end with Z.
        text(if last { format!("{first}~") } else { first })
    }

    fn attributes(&self) -> Attributes {
        attributes([("id", text(self.0.as_str()))])
    }

    fn newer(&self) -> Self {
        // The order of ids is whole, and this one is in one shard.
        self.clone()
    }
}

/// What an index holds of one item.
pub(super) trait Entry: DeserializeOwned + Send {
    /// Where it stands.
    type Key: IndexKey;

    /// Where it stands.
    fn key(&self) -> Self::Key;
}

/// The span in whole milliseconds, both ends included; `None` when there is none in it.
fn milliseconds(span: Span) -> Option<(i64, i64)> {
    // A time between two milliseconds: what was stored before it has the lower one at most, what was stored after it the higher.
    let ceiling = |at: Timestamp| {
        let floor = at.as_millisecond();
        let is_whole = Timestamp::from_millisecond(floor).is_ok_and(|whole| whole >= at);
        if is_whole { floor } else { floor + 1 }
    };
    let from = span.since.map_or(0, ceiling).clamp(0, END_OF_TIME);
    let to = span
        .until
        .map_or(END_OF_TIME, |until| ceiling(until) - 1)
        .min(END_OF_TIME);
    (from <= to).then_some((from, to))
}

/// One shard as far as it was read.
struct Shard<E: Entry> {
    hash: String,
    ready: VecDeque<E>,
    /// The last entry that was taken out.
    taken: Option<E::Key>,
    /// Where to read on; `None` at the beginning.
    start: Option<Attributes>,
    /// Whether there is nothing more to read.
    is_read: bool,
}

impl<E: Entry> Shard<E> {
    /// A shard to be read on behind a place, which may lie outside of what is asked for now: before it nothing was taken, behind it all.
    fn behind(hash: String, place: Option<E::Key>, order: Order, (from, to): (i64, i64), hash_name: &str) -> Self {
        let at = place.as_ref().map(IndexKey::at);
        let is_beyond = at.is_some_and(|at| match order {
            Order::Ascending => at > to,
            Order::Descending => at < from,
        });
        let is_within = at.is_some_and(|at| (from..=to).contains(&at));
        let start = place.as_ref().filter(|_| is_within).map(|key| {
            let mut start = key.attributes();
            start.insert(hash_name.to_owned(), text(&hash));
            start
        });
        Self {
            hash,
            ready: VecDeque::new(),
            taken: place,
            start,
            is_read: is_beyond,
        }
    }

    /// Whether its next entry is not known.
    fn is_to_be_read(&self) -> bool {
        self.ready.is_empty() && !self.is_read
    }

    fn has_more(&self) -> bool {
        !self.is_read || !self.ready.is_empty()
    }
}

impl Dynamo {
    /// A page of the entries that are `wanted`, at most `most` entries looked at. Entries that cannot be read are left out.
    pub(super) async fn walk<E: Entry>(
        &self,
        index: ByTime<'_>,
        walk: Walk<'_, E::Key>,
        most: usize,
        wanted: impl Fn(&E) -> bool + Send,
    ) -> Result<Page<E, E::Key>, StoreError> {
        let nothing = Page {
            rows: Vec::new(),
            next: None,
        };
        let Some(range) = milliseconds(walk.span) else {
            return Ok(nothing);
        };
        let place = |shard: usize| walk.after.and_then(|place| place.0.get(shard)?.clone());
        let mut shards: Vec<Shard<E>> = (index.shards.iter().enumerate())
            .map(|(number, hash)| Shard::behind(hash.clone(), place(number), walk.order, range, index.hash))
            .collect();
        // A little more than falls to each shard, so that most pages take one reading.
        let mut chunk = walk.limit / shards.len().max(1) * 2 + 8;
        let (mut rows, mut examined, mut last) = (Vec::new(), 0, None);
        while rows.len() < walk.limit && examined < most {
            if shards.iter().any(Shard::is_to_be_read) {
                let empty = shards.iter_mut().filter(|shard| shard.is_to_be_read());
                try_join_all(empty.map(|shard| self.read_on(&index, shard, walk.order, range, chunk))).await?;
                chunk = (chunk * 2).min(MAX_CHUNK.max(chunk));
                continue;
            }
            let Some(entry) = take_next(&mut shards, walk.order) else {
                break;
            };
            examined += 1;
            last = Some(entry.key());
            if wanted(&entry) {
                rows.push(entry);
            }
        }
        let more = shards.iter().any(Shard::has_more);
        // Newest first, a shard that nothing was taken of is begun below this page: what arrives meanwhile belongs above it, and a list that
        // grows faster than it is read would otherwise never come to an end.
        let begun = last.filter(|_| walk.order == Order::Descending);
        let begun = begun.map(|last: E::Key| last.newer());
        let taken = |shard: Shard<E>| shard.taken.or_else(|| begun.clone());
        Ok(Page {
            rows,
            next: more.then(|| Place(shards.into_iter().map(taken).collect())),
        })
    }

    /// Reads the next entries of a shard.
    async fn read_on<E: Entry>(
        &self,
        index: &ByTime<'_>,
        shard: &mut Shard<E>,
        order: Order,
        (from, to): (i64, i64),
        chunk: usize,
    ) -> Result<(), StoreError> {
        let (first, last) = (E::Key::bound(from, false), E::Key::bound(to, true));
        let answer = self
            .between(index, &shard.hash, first, last)
            .set_exclusive_start_key(shard.start.take())
            .scan_index_forward(order == Order::Ascending)
            .limit(i32::try_from(chunk).unwrap_or(i32::MAX))
            .send()
            .await
            .map_err(sdk_error)?;
        shard.start = answer.last_evaluated_key.filter(|key| !key.is_empty());
        shard.is_read = shard.start.is_none();
        for item in answer.items.unwrap_or_default() {
            match serde_dynamo::from_item(item) {
                Ok(entry) => shard.ready.push_back(entry),
                Err(error) => {
                    tracing::error!(index = index.name, error_type = "store_unreadable", %error, "an entry of an index cannot be read");
                }
            }
        }
        Ok(())
    }
}

/// The next entry of all shards; each has one ready, or has none any more.
fn take_next<E: Entry>(shards: &mut [Shard<E>], order: Order) -> Option<E> {
    let heads = shards.iter_mut().filter(|shard| !shard.ready.is_empty());
    let key = |shard: &&mut Shard<E>| shard.ready.front().map(Entry::key);
    let shard = match order {
        Order::Ascending => heads.min_by_key(key),
        Order::Descending => heads.max_by_key(key),
    }?;
    let entry = shard.ready.pop_front()?;
    shard.taken = Some(entry.key());
    Some(entry)
}
