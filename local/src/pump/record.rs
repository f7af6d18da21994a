//! Stream records as the handlers get them.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use aws_lambda_events::event::dynamodb::{EventRecord, StreamRecord, StreamViewType, UserIdentity};
use dynoxide::AttributeValue as Stored;
use dynoxide::actions::get_records::Record;
use jiff::Timestamp;
use quamina::{Quamina, QuaminaError};
use serde_dynamo::AttributeValue;

/// The event patterns of a mapping: a record must match one of them.
pub(super) struct Filters(Option<Quamina<usize>>);

impl Filters {
    /// Reads the patterns; none lets everything pass.
    pub(super) fn new(patterns: &[String]) -> Result<Self, QuaminaError> {
        if patterns.is_empty() {
            return Ok(Self(None));
        }
        let mut matcher = Quamina::new();
        for (index, pattern) in patterns.iter().enumerate() {
            matcher.add_pattern(index, pattern)?;
        }
        Ok(Self(Some(matcher)))
    }

    /// Whether a record is for the handler. What cannot be judged is, so that nothing is lost.
    pub(super) fn pass(&self, record: &Record) -> bool {
        let Some(matcher) = &self.0 else { return true };
        let Ok(json) = serde_json::to_vec(record) else {
            return true;
        };
        matcher.has_matches(&json).unwrap_or(true)
    }
}

/// The lane of a record: the same for all records of one partition, so that they stay in order.
pub(super) fn lane_of(record: &Record, hash_key: &str, lanes: usize) -> usize {
    let mut hasher = DefaultHasher::new();
    match record.dynamodb.keys.get(hash_key) {
        Some(Stored::S(text) | Stored::N(text)) => text.hash(&mut hasher),
        Some(Stored::B(bytes)) => bytes.hash(&mut hasher),
        _ => {}
    }
    usize::try_from(hasher.finish() % lanes.max(1) as u64).unwrap_or(0)
}

/// How many bytes a record holds, roughly.
pub(super) fn size(record: &Record) -> usize {
    usize::try_from(record.dynamodb.size_bytes).unwrap_or(0)
}

/// The record as Lambda hands it over. Field by field, not through JSON: this happens for every record. A test compares the two.
pub(super) fn event_record(record: Record, stream_arn: &str) -> EventRecord {
    let mut stream_record = StreamRecord::default();
    // The default is 1970-01-01.
    stream_record.approximate_creation_date_time += since_epoch(&record);
    let change = record.dynamodb;
    stream_record.keys = item(change.keys);
    stream_record.new_image = change.new_image.map(item).unwrap_or_default();
    stream_record.old_image = change.old_image.map(item).unwrap_or_default();
    stream_record.sequence_number = Some(change.sequence_number);
    stream_record.size_bytes = change.size_bytes;
    stream_record.stream_view_type = Some(match change.stream_view_type.as_str() {
        "NEW_IMAGE" => StreamViewType::NewImage,
        "OLD_IMAGE" => StreamViewType::OldImage,
        "NEW_AND_OLD_IMAGES" => StreamViewType::NewAndOldImages,
        _ => StreamViewType::KeysOnly,
    });
    let mut event = EventRecord::default();
    event.aws_region = record.aws_region;
    event.change = stream_record;
    event.event_id = record.event_id;
    event.event_name = record.event_name;
    event.event_source = Some(record.event_source);
    event.event_version = Some(record.event_version);
    event.event_source_arn = Some(stream_arn.to_owned());
    event.user_identity = record.user_identity.map(|identity| {
        let mut user = UserIdentity::default();
        user.type_ = identity.identity_type;
        user.principal_id = identity.principal_id;
        user
    });
    event
}

/// How long after 1970 a record was made. The engine tells whole seconds.
fn since_epoch(record: &Record) -> Duration {
    Duration::try_from_secs_f64(record.dynamodb.approximate_creation_date_time).unwrap_or_default()
}

/// When a record was made.
pub(super) fn created_at(record: &Record) -> Timestamp {
    Timestamp::UNIX_EPOCH
        .checked_add(since_epoch(record))
        .unwrap_or(Timestamp::MAX)
}

fn item(stored: HashMap<String, Stored>) -> serde_dynamo::Item {
    serde_dynamo::Item::from(attributes(stored))
}

fn attributes(stored: HashMap<String, Stored>) -> HashMap<String, AttributeValue> {
    stored
        .into_iter()
        .map(|(name, value)| (name, attribute(value)))
        .collect()
}

fn attribute(stored: Stored) -> AttributeValue {
    match stored {
        Stored::S(text) => AttributeValue::S(text),
        Stored::N(number) => AttributeValue::N(number),
        Stored::B(bytes) => AttributeValue::B(bytes),
        Stored::BOOL(flag) => AttributeValue::Bool(flag),
        Stored::NULL(flag) => AttributeValue::Null(flag),
        Stored::SS(texts) => AttributeValue::Ss(texts),
        Stored::NS(numbers) => AttributeValue::Ns(numbers),
        Stored::BS(blobs) => AttributeValue::Bs(blobs),
        Stored::L(values) => AttributeValue::L(values.into_iter().map(attribute).collect()),
        Stored::M(values) => AttributeValue::M(attributes(values)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use dynoxide::actions::get_records::UserIdentity as StoredIdentity;
    use serde_json::json;

    use super::*;

    fn record(image: serde_json::Value) -> Record {
        let mut record = Record {
            event_id: "e1".into(),
            event_name: "INSERT".into(),
            event_version: "1.1".into(),
            event_source: "aws:dynamodb".into(),
            aws_region: "dynoxide".into(),
            ..Record::default()
        };
        record.dynamodb.keys = serde_json::from_value(json!({"id": {"S": "a"}})).unwrap();
        record.dynamodb.new_image = Some(serde_json::from_value(image).unwrap());
        record.dynamodb.sequence_number = "100000000000000000007".into();
        record.dynamodb.size_bytes = 12;
        record.dynamodb.stream_view_type = "NEW_IMAGE".into();
        record.dynamodb.approximate_creation_date_time = 1_742_909_460.0;
        record
    }

    fn every_type() -> serde_json::Value {
        json!({
            "s": {"S": "é"}, "n": {"N": "1.50"}, "b": {"B": "AP8="}, "t": {"BOOL": true}, "z": {"NULL": true},
            "ss": {"SS": ["a", "b"]}, "ns": {"NS": ["1"]}, "bs": {"BS": ["AA==", "/w=="]},
            "l": {"L": [{"S": "x"}, {"M": {"y": {"N": "0"}}}]}, "m": {"M": {"k": {"L": []}}},
        })
    }

    #[test]
    fn a_record_is_what_lambda_would_have_read_from_json() {
        let stored = record(every_type());
        let mut json = serde_json::to_value(&stored).unwrap();
        json["eventSourceARN"] = "arn:1".into();
        let through_json: EventRecord = serde_json::from_value(json).unwrap();
        let direct = event_record(stored, "arn:1");
        assert_eq!(direct, through_json);
        assert_eq!(direct.change.new_image.len(), 10);
    }

    #[test]
    fn a_deletion_by_time_to_live_is_marked() {
        let mut stored = record(json!({}));
        stored.dynamodb.new_image = None;
        stored.user_identity = Some(StoredIdentity {
            identity_type: "Service".into(),
            principal_id: "dynamodb.amazonaws.com".into(),
        });
        let event = event_record(stored, "arn:1");
        assert!(event.change.new_image.is_empty());
        assert_eq!(event.user_identity.unwrap().principal_id, "dynamodb.amazonaws.com");
    }

    #[test]
    fn patterns_decide_what_passes() {
        let pattern = |text: &str| text.to_owned();
        let filters = Filters::new(&[
            pattern(r#"{"eventName":["INSERT"]}"#),
            pattern(r#"{"eventName":["MODIFY"],"dynamodb":{"NewImage":{"again":{"S":[{"exists":true}]}}}}"#),
        ])
        .unwrap();
        let named = |name: &str, image| Record {
            event_name: name.into(),
            ..record(image)
        };
        assert!(filters.pass(&named("INSERT", every_type())));
        assert!(filters.pass(&named("MODIFY", json!({"again": {"S": "2025"}}))));
        assert!(!filters.pass(&named("MODIFY", json!({"other": {"S": "2025"}}))));
        assert!(!filters.pass(&named("REMOVE", json!({"again": {"S": "2025"}}))));
        assert!(Filters::new(&[]).unwrap().pass(&named("REMOVE", json!({}))));
        assert!(Filters::new(&[pattern("{")]).is_err());
    }

    #[test]
    fn a_partition_keeps_its_lane() {
        let with_key = |key: serde_json::Value| {
            let mut stored = record(json!({}));
            stored.dynamodb.keys = serde_json::from_value(key).unwrap();
            stored
        };
        let lane = |key| lane_of(&with_key(key), "id", 10);
        assert_eq!(
            lane(json!({"id": {"S": "a"}, "sort": {"S": "1"}})),
            lane(json!({"id": {"S": "a"}, "sort": {"S": "2"}}))
        );
        let used: std::collections::HashSet<usize> =
            (0..200).map(|n| lane(json!({"id": {"S": n.to_string()}}))).collect();
        assert_eq!(used.len(), 10);
        assert_eq!(lane_of(&with_key(json!({"id": {"N": "1"}})), "id", 1), 0);
    }

    #[test]
    fn times_are_read() {
        assert_eq!(created_at(&record(json!({}))), "2025-03-25T13:31:00Z".parse().unwrap());
        let mut broken = record(json!({}));
        broken.dynamodb.approximate_creation_date_time = f64::NAN;
        assert_eq!(created_at(&broken), Timestamp::UNIX_EPOCH);
    }
}
