//! One record of the inbox's stream, as far as it can be read.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::str::FromStr;

use aws_lambda_events::dynamodb::EventRecord;
use payload::source_health::Again;
use payload::{OrganizationId, Receipt, ReceiptId, SourceId, TraceId};
use serde_dynamo::{AttributeValue, Item};
use store::stream::SequenceNumber;
use store::{StoreError, item};

/// The attribute whose presence asks for another verification of a receipt that was stored before.
const AGAIN: &str = "again";

/// A record that asks for a verification.
#[derive(Debug)]
pub(crate) struct Record {
    /// Where it stands in the stream.
    pub(crate) sequence: Option<SequenceNumber>,
    /// How it was asked for, when it is another verification of a receipt that was stored before.
    pub(crate) again: Option<Again>,
    /// Whom it concerns, as far as that can be told even of an image that cannot be read.
    pub(crate) subject: Option<Subject>,
    /// The receipt, or why there is none.
    pub(crate) receipt: Result<Receipt, Trouble>,
}

/// What a receipt's outcome is kept under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subject {
    pub(crate) id: ReceiptId,
    pub(crate) organization: OrganizationId,
    pub(crate) source: SourceId,
    /// The trace that it belongs to, where that is known.
    pub(crate) trace: Option<TraceId>,
}

/// Why a record cannot be handled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The store failed, or what it holds cannot be read.
    Store(StoreError),
    /// The code panicked over it. The message is not kept: it can hold a piece of the record.
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
            Self::Panic => "panic",
        }
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Panic => f.write_str("the verification panicked"),
        }
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Record {
    /// Reads a record; `None` when it asks for no verification: a removal, or a change that does not carry the attribute `again`.
    /// (The event source mapping filters them out already; this keeps a wider filter from doing harm.)
    pub(crate) fn read(record: EventRecord) -> Option<Self> {
        let image = record.change.new_image;
        let again = match record.event_name.as_str() {
            "INSERT" => None,
            // What is no text is of another form than ours, which counts as bulk.
            "MODIFY" => match image.inner().get(AGAIN)? {
                AttributeValue::S(text) => Some(Again::parse(text)),
                _ => Some(Again::parse("")),
            },
            _ => return None,
        };
        let sequence = record.change.sequence_number.and_then(SequenceNumber::new);
        let subject = Subject::of(&image);
        let receipt = catch_unwind(AssertUnwindSafe(|| item::read_receipt(image)))
            .map_or(Err(Trouble::Panic), |read| read.map_err(Trouble::Store));
        Some(Self {
            sequence,
            again,
            subject,
            receipt,
        })
    }
}

impl Subject {
    fn of(image: &Item) -> Option<Self> {
        Some(Self {
            id: id(image, "id")?,
            organization: id(image, "organization")?,
            source: id(image, "source")?,
            trace: match image.inner().get("trace") {
                Some(AttributeValue::S(text)) => TraceId::parse(text),
                _ => None,
            },
        })
    }
}

fn id<T: FromStr>(image: &Item, attribute: &str) -> Option<T> {
    match image.inner().get(attribute)? {
        AttributeValue::S(text) => text.parse().ok(),
        _ => None,
    }
}
