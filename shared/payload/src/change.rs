//! What changed in an event, as people read it: old and new values as short texts.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::value::RawValue;

use crate::Event;
use crate::event::{BrokenEvent, Content};
use crate::json::{Document, members, scalar};

/// The most changes that are told one by one.
pub const MAX_CHANGES: usize = 50;

/// The longest text of a value, in bytes of UTF-8, its ellipsis counted.
pub const MAX_VALUE_BYTES: usize = 500;

/// What a text that was cut ends with.
const ELLIPSIS: char = '…';

/// The `type` of a change that is known only from the previous attributes.
const FIELD: &str = "field";

/// One thing that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadableChange {
    /// The kind of thing: `field`, `status`, `media`.
    pub kind: String,
    /// Which one.
    pub code: String,
    /// What it was before, where the provider says so; at most [`MAX_VALUE_BYTES`].
    pub previous: Option<String>,
    /// What it is now, where the provider says so; at most [`MAX_VALUE_BYTES`].
    pub current: Option<String>,
}

/// What changed in an event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadableChanges {
    /// The first [`MAX_CHANGES`] of them.
    pub list: Vec<ReadableChange>,
    /// How many there are beyond these.
    pub left_out: usize,
}

impl Event {
    /// `data` as JSON text: the provider's own bytes.
    ///
    /// # Errors
    /// When the stored parts do not fit together.
    pub fn data_json(&self) -> Result<Cow<'_, [u8]>, BrokenEvent> {
        self.content(&self.data)
    }

    /// `previousAttributes` as JSON, where the provider sends them.
    ///
    /// # Errors
    /// As [`Self::data_json`].
    pub fn previous_attributes_json(&self) -> Result<Option<Cow<'_, [u8]>>, BrokenEvent> {
        self.previous_attributes
            .as_ref()
            .map(|content| self.content(content))
            .transpose()
    }

    /// What changed: the changes that the metadata names, in their order, and then the other members of `previousAttributes`, by name.
    /// A value of `previousAttributes` is told beside the member of `data` that has the same name. Texts stand as they are, numbers with
    /// every digit, objects and arrays as JSON without spaces, and `null` as an empty text.
    ///
    /// What cannot be read is left out: a message without it is better than none.
    #[must_use]
    pub fn readable_changes(&self) -> ReadableChanges {
        let old_text = self
            .previous_attributes
            .as_ref()
            .and_then(|content| self.json_of(content));
        let old: BTreeMap<_, _> = members_of(old_text.as_deref()).into_iter().collect();
        // Only what has an old value is looked up: without one, an equal name is chance.
        let new_text = (!old.is_empty()).then(|| self.json_of(&self.data)).flatten();
        let new = members_of(new_text.as_deref());
        let value = |values: Option<&&RawValue>| values.map(|value| readable(value));

        let mut changes = ReadableChanges::default();
        let mut told = HashSet::new();
        for change in &self.meta.changes {
            let was = old.get(&change.code).filter(|_| told.insert(change.code.as_str()));
            changes.push(|| ReadableChange {
                kind: change.kind.clone(),
                code: change.code.clone(),
                previous: change.previous.as_deref().map(shortened).or_else(|| value(was)),
                current: (change.current.as_deref().map(shortened))
                    .or_else(|| value(was.and_then(|_| new.get(&change.code)))),
            });
        }
        for (name, was) in old.iter().filter(|(name, _)| !told.contains(name.as_str())) {
            changes.push(|| ReadableChange {
                kind: FIELD.to_owned(),
                code: name.clone(),
                previous: Some(readable(was)),
                current: value(new.get(name)),
            });
        }
        changes
    }

    fn json_of<'a>(&'a self, content: &'a Content) -> Option<Cow<'a, [u8]>> {
        self.content(content).ok()
    }
}

impl ReadableChanges {
    fn push(&mut self, change: impl FnOnce() -> ReadableChange) {
        if self.list.len() < MAX_CHANGES {
            self.list.push(change());
        } else {
            self.left_out += 1;
        }
    }
}

fn members_of(json: Option<&[u8]>) -> HashMap<String, &RawValue> {
    let root = json
        .and_then(|json| Document::parse(json).ok())
        .and_then(|document| document.at(""));
    root.map(members).unwrap_or_default()
}

/// A value as a short text.
fn readable(value: &RawValue) -> String {
    match scalar(value) {
        Some(text) => shortened(&text),
        None if value.get() == "null" => String::new(),
        // An object or an array. One byte more than fits shows that something is missing.
        None => shortened(&compact(value.get(), MAX_VALUE_BYTES + 1)),
    }
}

fn shortened(text: &str) -> String {
    shortened_to(text, MAX_VALUE_BYTES)
}

/// A text of at most so many bytes, cut at a character's end.
pub(crate) fn shortened_to(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(most.saturating_sub(ELLIPSIS.len_utf8()));
    let mut short = text[..end].to_owned();
    short.push(ELLIPSIS);
    short
}

/// JSON text without the spaces between its tokens; no more of it than the first `enough` bytes and the character that reaches them.
pub(crate) fn compact(json: &str, enough: usize) -> String {
    let mut compact = String::with_capacity(json.len().min(enough));
    let (mut in_string, mut escaped) = (false, false);
    for c in json.chars() {
        if compact.len() >= enough {
            break;
        }
        if !in_string && c.is_ascii_whitespace() {
            continue;
        }
        if c == '"' && !escaped {
            in_string = !in_string;
        }
        escaped = in_string && c == '\\' && !escaped;
        compact.push(c);
    }
    compact
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;
    use crate::event::{Change, EventMeta};
    use crate::id::Identity;
    use crate::{EventId, OrganizationId};
    use jiff::Timestamp;
    use proptest::prelude::*;

    fn event(data: &str, previous: Option<&str>, changes: Vec<Change>) -> Event {
        let id = EventId::compute("src_1", Identity::ProviderId("msg_1"), 0);
        Event {
            id: id.clone(),
            hops: 0,
            trace: None,
            organization: "org_01JQ6ZQ0M0000000000000000A".parse::<OrganizationId>().unwrap(),
            receipt: None,
            received_at: Timestamp::UNIX_EPOCH,
            meta: EventMeta {
                id,
                event_type: "a.updated".into(),
                timestamp: Timestamp::UNIX_EPOCH,
                source: None,
                provider_event_id: None,
                entity: None,
                action: None,
                actor: None,
                category: None,
                summary: None,
                application: None,
                scope: None,
                locales: None,
                links: vec![],
                changes,
                warnings: vec![],
                verified: None,
            },
            data: Content::Span(0, data.len()),
            previous_attributes: previous.map(|text| Content::Inline(text.into())),
            content_type: None,
            body: data.to_owned().into(),
        }
    }

    fn change(kind: &str, code: &str, previous: Option<&str>, current: Option<&str>) -> Change {
        Change {
            kind: kind.into(),
            code: code.into(),
            previous: previous.map(Into::into),
            current: current.map(Into::into),
        }
    }

    fn told(event: &Event) -> Vec<String> {
        let show = |value: Option<String>| value.unwrap_or_else(|| "-".into());
        let changes = event.readable_changes().list.into_iter();
        changes
            .map(|c| format!("{} {}: {} → {}", c.kind, c.code, show(c.previous), show(c.current)))
            .collect()
    }

    #[test]
    fn old_values_stand_beside_the_new_ones_with_every_digit() {
        let data = r#"{"n": 12345678901234567890123, "t": "née \"x\"", "o": { "a": [1, "b c"] }, "same": 1}"#;
        let previous = r#"{"n": 9007199254740993, "t": null, "o": { }, "gone": [true, "a\\"] }"#;
        let event = event(data, Some(previous), vec![]);
        let expected = [
            r#"field gone: [true,"a\\"] → -"#,
            "field n: 9007199254740993 → 12345678901234567890123",
            r#"field o: {} → {"a":[1,"b c"]}"#,
            r#"field t:  → née "x""#,
        ];
        assert_eq!(told(&event), expected);
    }

    #[test]
    fn what_the_metadata_names_comes_first_and_once() {
        let named = vec![
            change("status", "main", Some("active"), Some("down")),
            change("field", "b", None, None),
            change("media", "photo", None, None),
        ];
        let event = event(r#"{"a":1,"b":2,"photo":3}"#, Some(r#"{"a":0,"b":1}"#), named);
        let expected = [
            "status main: active → down",
            "field b: 1 → 2",
            "media photo: - → -",
            "field a: 0 → 1",
        ];
        assert_eq!(told(&event), expected);
    }

    #[test]
    fn what_is_no_object_or_is_broken_tells_nothing() {
        for previous in ["null", "[]", "1", "{", "\"x\""] {
            assert_eq!(told(&event("{}", Some(previous), vec![])), [""; 0], "{previous}");
        }
        let mut broken = event("{}", Some(r#"{"a":1}"#), vec![]);
        broken.data = Content::Span(5, 9);
        assert_eq!(told(&broken), ["field a: 1 → -"]);
        broken.previous_attributes = Some(Content::Span(5, 9));
        assert_eq!(told(&broken), [""; 0]);
    }

    #[test]
    fn many_changes_are_counted_and_long_ones_cut() {
        let previous = serde_json::to_string(
            &(0..200)
                .map(|n| (format!("f{n}"), "é".repeat(300)))
                .collect::<HashMap<_, _>>(),
        );
        let changes = event("{}", Some(&previous.unwrap()), vec![]).readable_changes();
        assert_eq!((changes.list.len(), changes.left_out), (MAX_CHANGES, 150));
        let value = changes.list[0].previous.as_ref().unwrap();
        assert!(value.ends_with("é…") && value.len() > MAX_VALUE_BYTES - 3, "{value}");
    }

    proptest! {
        #[test]
        fn values_are_bounded_texts(text in "(\\PC|[\"\\\\ \n]){0,300}", deep in 0_usize..40) {
            let json = serde_json::to_string(&text).unwrap();
            let nested = format!("{}{json}{}", "[ ".repeat(deep), " ]".repeat(deep));
            let previous = format!(r#"{{"v": {nested}}}"#);
            let changes = event(&previous, Some(&previous), vec![]).readable_changes();
            let value = changes.list[0].previous.clone().unwrap();
            prop_assert!(value.len() <= MAX_VALUE_BYTES);
            prop_assert_eq!(&changes.list[0].current, &changes.list[0].previous);
            let whole = if deep == 0 { text } else { nested.replace("[ ", "[").replace(" ]", "]") };
            match value.strip_suffix('…') {
                Some(start) if whole.len() > MAX_VALUE_BYTES => prop_assert!(start.len() > MAX_VALUE_BYTES - 8),
                _ => prop_assert!(value.len() <= whole.len().max(MAX_VALUE_BYTES)),
            }
        }

        #[test]
        fn compact_json_is_the_same_json(text in "(\\PC|[\"\\\\ \n\t]){0,60}", number in any::<i64>()) {
            let value = serde_json::json!({"a": [text, number, null, true], "b c": {"d": {}}});
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            prop_assert_eq!(compact(&pretty, usize::MAX), serde_json::to_string(&value).unwrap());
        }
    }
}
