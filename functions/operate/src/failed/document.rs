//! One document of a failure destination: [what Lambda writes](https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html)
//! of a batch that it gives up, with the stream records themselves in `payload`.

use jiff::Timestamp;
use payload::{Event, EventId, OrganizationId, ReceiptId};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use store::{ReceiptKey, item};

/// A document with its records.
#[derive(Debug)]
pub(crate) struct Document {
    all: Map<String, Value>,
    /// The event of the batch: `{"Records": […]}`.
    event: Map<String, Value>,
    /// Whether the event stands in the document as a text.
    is_text: bool,
}

impl Document {
    /// Reads a document; `None` for what is none, or holds no records.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut all: Map<String, Value> = serde_json::from_slice(bytes).ok()?;
        let (event, is_text) = match all.remove("payload")? {
            Value::String(text) => (serde_json::from_str(&text).ok()?, true),
            Value::Object(event) => (event, false),
            _ => return None,
        };
        event.get("Records")?.as_array()?;
        Some(Self { all, event, is_text })
    }

    /// Takes its records out of it.
    pub(crate) fn take_records(&mut self) -> Vec<Value> {
        match self.event.remove("Records") {
            Some(Value::Array(records)) => records,
            _ => Vec::new(),
        }
    }

    /// Puts these in.
    pub(crate) fn put_records(&mut self, records: Vec<Value>) {
        if let Some(Value::Object(batch)) = self.all.get_mut("DDBStreamBatchInfo") {
            batch.insert("batchSize".to_owned(), json!(records.len()));
        }
        self.event.insert("Records".to_owned(), Value::Array(records));
    }

    /// The document as it is to be stored.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut all = self.all.clone();
        let event = Value::Object(self.event.clone());
        let payload = if self.is_text {
            Value::String(event.to_string())
        } else {
            event
        };
        all.insert("payload".to_owned(), payload);
        Value::Object(all).to_string().into_bytes()
    }
}

/// What a record is about, as far as it can be told.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum About {
    /// A receipt that waits for verification.
    Receipt(ReceiptKey),
    /// An event that waits for fan-out.
    Event(Box<Event>),
    /// An event that cannot be read.
    BrokenEvent(OrganizationId, EventId),
    /// Something else.
    Unknown,
}

/// What an image tells of itself even where the rest of it cannot be read.
#[derive(Deserialize)]
struct Key {
    id: String,
    organization: OrganizationId,
    at: i64,
}

impl About {
    /// What a stream record is about.
    pub(crate) fn of(record: &Value) -> Self {
        Self::read(record).unwrap_or(Self::Unknown)
    }

    fn read(record: &Value) -> Option<Self> {
        let image = record.get("dynamodb")?.get("NewImage")?;
        let image: serde_dynamo::Item = serde_json::from_value(image.clone()).ok()?;
        let Key { id, organization, at } = serde_dynamo::from_item(image.clone()).ok()?;
        if let Ok(id) = id.parse::<ReceiptId>() {
            return Some(Self::Receipt(ReceiptKey {
                id,
                organization,
                received_at: Timestamp::from_millisecond(at).ok()?,
            }));
        }
        let id: EventId = id.parse().ok()?;
        Some(match item::read_event(image) {
            Ok(event) => Self::Event(Box::new(event)),
            Err(_) => Self::BrokenEvent(organization, id),
        })
    }

    /// Whose it is.
    pub(crate) fn organization(&self) -> Option<&OrganizationId> {
        match self {
            Self::Receipt(receipt) => Some(&receipt.organization),
            Self::Event(event) => Some(&event.organization),
            Self::BrokenEvent(organization, _) => Some(organization),
            Self::Unknown => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;

    fn document(payload: &Value) -> Vec<u8> {
        let all = json!({"requestContext": {"condition": "RecordAgeExceeded"}, "DDBStreamBatchInfo": {"batchSize": 2}, "payload": payload});
        all.to_string().into_bytes()
    }

    #[test]
    fn records_come_out_and_go_back_in_either_form() {
        let event = json!({"Records": [{"eventID": "1"}, {"eventID": "2"}]});
        for payload in [event.clone(), Value::String(event.to_string())] {
            let mut read = Document::parse(&document(&payload)).unwrap();
            let mut records = read.take_records();
            assert_eq!(records.len(), 2);
            records.remove(0);
            read.put_records(records);
            let again: Value = serde_json::from_slice(&read.to_bytes()).unwrap();
            assert_eq!(again["payload"].is_string(), payload.is_string());
            assert_eq!(again["DDBStreamBatchInfo"]["batchSize"], 1);
            assert_eq!(again["requestContext"]["condition"], "RecordAgeExceeded");
            let records = Document::parse(&read.to_bytes()).unwrap().take_records();
            assert_eq!(records, [json!({"eventID": "2"})]);
        }
    }

    #[test]
    fn what_is_no_document_is_none() {
        for bytes in [
            &b""[..],
            b"x",
            b"[]",
            b"{}",
            br#"{"payload": 1}"#,
            br#"{"payload": "{}"}"#,
            br#"{"payload": {"Records": 1}}"#,
        ] {
            assert!(Document::parse(bytes).is_none(), "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn a_record_says_what_it_is_about() {
        let organization = OrganizationId::generate(Timestamp::UNIX_EPOCH);
        let receipt = ReceiptId::generate(Timestamp::UNIX_EPOCH);
        let event = EventId::compute("a", payload::id::Identity::ProviderId("b"), 0);
        let record = |id: &str| json!({"dynamodb": {"NewImage": {"id": {"S": id}, "organization": {"S": organization.as_str()}, "at": {"N": "5"}}}});
        let received_at = Timestamp::from_millisecond(5).unwrap();
        let about = About::of(&record(receipt.as_str()));
        assert_eq!(about.organization(), Some(&organization));
        let key = ReceiptKey {
            id: receipt,
            organization: organization.clone(),
            received_at,
        };
        assert_eq!(about, About::Receipt(key));
        // Its image lacks what an event has.
        assert_eq!(
            About::of(&record(event.as_str())),
            About::BrokenEvent(organization.clone(), event)
        );
        for record in [
            record("wh_1"),
            json!({}),
            json!({"dynamodb": {"Keys": {}}}),
            json!(null),
        ] {
            assert_eq!(About::of(&record), About::Unknown);
        }
    }
}
