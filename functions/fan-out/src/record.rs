//! One record of the events' stream, and what can be wrong with it.

use std::cmp::Ordering;

use aws_lambda_events::dynamodb::EventRecord;
use payload::EventId;
use payload::event::BrokenEvent;
use serde_dynamo::{AttributeValue, Item};
use store::StoreError;

/// A record that announces an event.
#[derive(Debug)]
pub(crate) struct Record {
    /// Where it stands in the stream.
    pub(crate) sequence: Option<SequenceNumber>,
    /// The event's id, as far as it can be told even of an image that cannot be read.
    pub(crate) id: Option<EventId>,
    /// The event as it was stored.
    pub(crate) image: Item,
}

impl Record {
    /// `None` for what announces no event: a removal, as when an event's time has come. (The event source mapping filters those out
    /// already; this keeps a wider filter from doing harm.)
    pub(crate) fn new(record: EventRecord) -> Option<Self> {
        if record.event_name == "REMOVE" {
            return None;
        }
        let image = record.change.new_image;
        let id = match image.inner().get("id") {
            Some(AttributeValue::S(text)) => text.parse().ok(),
            _ => None,
        };
        Some(Self {
            sequence: record.change.sequence_number.and_then(SequenceNumber::new),
            id,
            image,
        })
    }
}

/// Why a record was not handled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Trouble {
    /// The store failed, or what it holds cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The event cannot be made into a message.
    #[error(transparent)]
    Broken(#[from] BrokenEvent),
    /// The code panicked over it. The message is not kept: it can hold a piece of the event.
    #[error("handling it panicked")]
    Panic,
}

impl Trouble {
    /// Whether the same record may succeed later.
    pub(crate) fn is_transient(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_transient())
    }

    /// A stable word for the log.
    pub(crate) fn error_type(&self) -> &'static str {
        match self {
            Self::Store(error) => error.error_type(),
            Self::Broken(_) => "event_broken",
            Self::Panic => "panic",
        }
    }
}

/// Logs why a record was not handled, once.
pub(crate) fn log(id: Option<&EventId>, trouble: &Trouble) {
    let outcome = if trouble.is_transient() { "retry" } else { "set_aside" };
    tracing::error!(
        event = id.map(EventId::as_str),
        error_type = trouble.error_type(),
        outcome,
        error = %trouble,
        "event not delivered"
    );
}

/// The place of a record in its shard: a decimal number of up to 40 digits, more than an integer type holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SequenceNumber(String);

impl SequenceNumber {
    /// `None` for the empty text: as an identifier of a failure it would fail the whole batch.
    pub(crate) fn new(text: String) -> Option<Self> {
        (!text.is_empty()).then_some(Self(text))
    }

    pub(crate) fn into_text(self) -> String {
        self.0
    }

    fn digits(&self) -> &str {
        self.0.trim_start_matches('0')
    }
}

impl Ord for SequenceNumber {
    fn cmp(&self, other: &Self) -> Ordering {
        let (a, b) = (self.digits(), other.digits());
        a.len()
            .cmp(&b.len())
            .then_with(|| a.cmp(b))
            .then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for SequenceNumber {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
