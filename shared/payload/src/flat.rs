//! `data` and `previousAttributes` as names and values, for where a document has to stand in a URL.

use serde_json::value::RawValue;

use crate::Event;
use crate::change::compact;
use crate::event::BrokenEvent;
use crate::json::{Document, elements, members, scalar};

/// The most fields.
const MAX_FIELDS: usize = 1000;

/// The deepest nesting that names can tell; what lies below is JSON in a text.
const MAX_DEPTH: usize = 8;

/// The fields of `data`, and behind them those of `previousAttributes`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlatData {
    /// Names and values in the order of the document: `data[a][0]`.
    pub fields: Vec<(String, String)>,
    /// Whether that is all of it.
    pub complete: bool,
}

impl Event {
    /// `data` and `previousAttributes` as names and values: members and elements in brackets, texts as they stand, numbers with every digit. `null`, an empty object
    /// and an empty array are an empty text. What has a bracket in its name is left out, since it could be read as something else.
    ///
    /// # Errors
    /// When the stored parts do not fit together.
    pub fn flat_data(&self) -> Result<FlatData, BrokenEvent> {
        let mut flat = FlatData {
            fields: Vec::new(),
            complete: true,
        };
        let parts = [
            ("data", Some(self.data_json()?)),
            ("previousAttributes", self.previous_attributes_json()?),
        ];
        for (name, json) in parts {
            let Some(json) = json else { continue };
            let document = Document::parse(&json).map_err(|_| BrokenEvent::Span)?;
            if let Some(root) = document.at("") {
                flat.add(name.to_owned(), root, 0);
            }
        }
        Ok(flat)
    }
}

impl FlatData {
    fn add(&mut self, name: String, value: &RawValue, depth: usize) {
        if self.fields.len() == MAX_FIELDS {
            self.complete = false;
            return;
        }
        if depth < MAX_DEPTH {
            let children = children(value);
            if !children.is_empty() {
                for (key, child) in children {
                    if key.contains(['[', ']']) {
                        self.complete = false;
                    } else {
                        self.add(format!("{name}[{key}]"), child, depth + 1);
                    }
                }
                return;
            }
        }
        let text = scalar(value).unwrap_or_else(|| match compact(value.get(), usize::MAX) {
            empty if matches!(empty.as_str(), "null" | "{}" | "[]") => String::new(),
            json => json,
        });
        self.fields.push((name, text));
    }
}

/// What lies in an object or an array, in the order of the document. No more than can be told, and one.
fn children(value: &RawValue) -> Vec<(String, &RawValue)> {
    if let Some(elements) = elements(value) {
        let numbered = elements.into_iter().take(MAX_FIELDS + 1).enumerate();
        return numbered
            .map(|(number, element)| (number.to_string(), element))
            .collect();
    }
    let mut members: Vec<(String, &RawValue)> = members(value).into_iter().collect();
    // They all lie in one text: where one begins says which comes first.
    members.sort_unstable_by_key(|(_, member)| member.get().as_ptr());
    members
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;
    use proptest::prelude::*;

    fn flat(json: &str) -> FlatData {
        let document = Document::parse(json.as_bytes()).unwrap();
        let mut flat = FlatData {
            fields: Vec::new(),
            complete: true,
        };
        flat.add("data".into(), document.at("").unwrap(), 0);
        flat
    }

    fn lines(json: &str) -> Vec<String> {
        flat(json)
            .fields
            .into_iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect()
    }

    #[test]
    fn names_tell_the_place_and_values_keep_their_digits() {
        let json = r#"{"z": 9007199254740993, "a": [1, {"b": "x y"}], "n": null, "o": {}, "l": [], "t": true}"#;
        let expected = [
            "data[z]=9007199254740993",
            "data[a][0]=1",
            "data[a][1][b]=x y",
            "data[n]=",
            "data[o]=",
            "data[l]=",
            "data[t]=true",
        ];
        assert_eq!(lines(json), expected);
        assert_eq!(lines("[5]"), ["data[0]=5"]);
        assert_eq!(lines("\"text\""), ["data=text"]);
        assert_eq!(lines("null"), ["data="]);
    }

    #[test]
    fn a_name_with_brackets_cannot_pass_for_a_place() {
        let flat = flat(r#"{"a][b": 1, "a": {"b": 2}}"#);
        assert_eq!(flat.fields, [("data[a][b]".to_owned(), "2".to_owned())]);
        assert!(!flat.complete);
    }

    #[test]
    fn depth_and_number_are_bounded() {
        let deep = format!("{}[1, 2]{}", "{\"a\":".repeat(20), "}".repeat(20));
        let flat_deep = flat(&deep);
        assert_eq!(flat_deep.fields.len(), 1);
        assert_eq!(flat_deep.fields[0].0, format!("data{}", "[a]".repeat(8)));
        assert!(
            flat_deep.fields[0].1.ends_with("[1,2]}}}}}}}}}}}}"),
            "{:?}",
            flat_deep.fields
        );
        let many = flat(&format!("[{}1]", "1,".repeat(5000)));
        assert_eq!((many.fields.len(), many.complete), (1000, false));
    }

    proptest! {
        #[test]
        fn any_json_is_flattened(text in "\\PC{0,20}", key in "\\PC{0,6}", number in any::<u64>()) {
            let json = serde_json::json!({key.clone(): {"a": [text.clone(), {"n": number}]}}).to_string();
            let flat = flat(&json);
            if key.contains(['[', ']']) {
                prop_assert!(!flat.complete && flat.fields.is_empty());
            } else {
                prop_assert_eq!(flat.fields, vec![
                    (format!("data[{key}][a][0]"), text),
                    (format!("data[{key}][a][1][n]"), number.to_string()),
                ]);
            }
        }
    }
}
