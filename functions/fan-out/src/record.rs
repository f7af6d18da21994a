//! One record of the events' stream, and what can be wrong with it.

use aws_lambda_events::dynamodb::EventRecord;
use payload::event::BrokenEvent;
use payload::{EventId, OrganizationId, TraceId};
use serde_dynamo::{AttributeValue, Item};
use store::StoreError;
use store::stream::SequenceNumber;

/// A record that announces an event.
#[derive(Debug)]
pub(crate) struct Record {
    /// Where it stands in the stream.
    pub(crate) sequence: Option<SequenceNumber>,
    /// What it announces.
    pub(crate) subject: Subject,
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
        Some(Self {
            sequence: record.change.sequence_number.and_then(SequenceNumber::new),
            subject: Subject::of(&image),
            image,
        })
    }
}

/// The event of a record, as far as it can be told even of an image that cannot be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Subject {
    id: Option<EventId>,
    organization: Option<OrganizationId>,
    trace: Option<TraceId>,
}

impl Subject {
    fn of(image: &Item) -> Self {
        let text = |attribute| match image.inner().get(attribute) {
            Some(AttributeValue::S(text)) => Some(text.as_str()),
            _ => None,
        };
        let id: Option<EventId> = text("id").and_then(|id| id.parse().ok());
        let trace = text("trace").and_then(TraceId::parse);
        Self {
            organization: text("organization").and_then(|id| id.parse().ok()),
            trace: trace.or_else(|| id.as_ref().map(TraceId::of_event)),
            id,
        }
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
pub(crate) fn log(subject: &Subject, trouble: &Trouble) {
    let outcome = if trouble.is_transient() { "retry" } else { "set_aside" };
    tracing::error!(
        organization = subject.organization.as_ref().map(OrganizationId::as_str),
        event = subject.id.as_ref().map(EventId::as_str),
        trace = subject.trace.map(tracing::field::display),
        error_type = trouble.error_type(),
        outcome,
        error = %trouble,
        "event not delivered"
    );
}
