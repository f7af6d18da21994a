//! One record of the events' stream, and what can be wrong with it.

use aws_lambda_events::dynamodb::EventRecord;
use payload::EventId;
use payload::event::BrokenEvent;
use serde_dynamo::{AttributeValue, Item};
use store::StoreError;
use store::stream::SequenceNumber;

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
