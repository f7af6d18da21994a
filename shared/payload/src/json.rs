//! Reading single places of a JSON document without building it: numbers keep every digit, and a value's exact bytes can be found again.

use std::collections::HashMap;
use std::ops::Range;

use serde_json::value::RawValue;

/// A JSON text whose top level has been read.
#[derive(Debug)]
pub(crate) struct Document<'a> {
    text: &'a str,
    root: &'a RawValue,
    /// The members of the top level: nearly every lookup begins with one of them.
    top: HashMap<String, &'a RawValue>,
}

/// Where and why a body is no JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the body is not JSON: {problem} (line {line}, column {column})")]
pub struct InvalidJson {
    /// What the parser met.
    pub problem: &'static str,
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1.
    pub column: usize,
}

impl<'a> Document<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, InvalidJson> {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let before = &bytes[..error.valid_up_to()];
            let line_start = before
                .iter()
                .rposition(|&b| b == b'\n')
                .map_or(0, |newline| newline + 1);
            InvalidJson {
                problem: "invalid UTF-8",
                line: before.iter().filter(|&&b| b == b'\n').count() + 1,
                column: before.len() - line_start + 1,
            }
        })?;
        let root: &RawValue = serde_json::from_str(text).map_err(|error| InvalidJson {
            problem: if error.is_eof() {
                "it ends too early"
            } else {
                "unexpected character"
            },
            line: error.line(),
            column: error.column(),
        })?;
        Ok(Self {
            text,
            root,
            top: members(root),
        })
    }

    /// The value at a JSON Pointer (RFC 6901).
    pub(crate) fn at(&self, pointer: &str) -> Option<&'a RawValue> {
        let mut tokens = pointer.split('/');
        // A pointer is empty or begins with a slash.
        if tokens.next() != Some("") {
            return None;
        }
        let Some(first) = tokens.next() else {
            return Some(self.root);
        };
        let mut value = match self.top.get(&unescape(first)) {
            Some(value) => *value,
            None => child(self.root, &unescape(first))?,
        };
        for token in tokens {
            value = child(value, &unescape(token))?;
        }
        Some(value)
    }

    /// The text that was read.
    pub(crate) fn text(&self) -> &'a str {
        self.text
    }

    /// Where a value that came from this document stands in its bytes.
    pub(crate) fn span_of(&self, value: &RawValue) -> Option<Range<usize>> {
        let start = (value.get().as_ptr() as usize).checked_sub(self.text.as_ptr() as usize)?;
        let end = start.checked_add(value.get().len())?;
        (end <= self.text.len()).then_some(start..end)
    }
}

/// The members of an object; of equal names the last, as nearly every reader takes it. Empty for what is no object.
pub(crate) fn members(value: &RawValue) -> HashMap<String, &RawValue> {
    if value.get().starts_with('{') {
        serde_json::from_str(value.get()).unwrap_or_default()
    } else {
        HashMap::new()
    }
}

/// The elements of an array; nothing for what is none.
pub(crate) fn elements(value: &RawValue) -> Option<Vec<&RawValue>> {
    value
        .get()
        .starts_with('[')
        .then(|| serde_json::from_str(value.get()).unwrap_or_default())
}

/// A string's content or a number's or boolean's own text; nothing for null, arrays and objects.
pub(crate) fn scalar(value: &RawValue) -> Option<String> {
    match value.get().as_bytes().first()? {
        b'"' => serde_json::from_str(value.get()).ok(),
        b'{' | b'[' | b'n' => None,
        _ => Some(value.get().to_owned()),
    }
}

fn child<'a>(value: &'a RawValue, token: &str) -> Option<&'a RawValue> {
    if let Some(elements) = elements(value) {
        let index: usize = token.parse().ok()?;
        // A sign or leading zeros are no index (RFC 6901 section 4).
        return elements.get(index).filter(|_| index.to_string() == token).copied();
    }
    members(value).remove(token)
}

fn unescape(token: &str) -> String {
    token.replace("~1", "/").replace("~0", "~")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn pointers_spans_and_exact_numbers() {
        let body = br#" { "a/b": [1, {"c": 12345678901234567890123}], "d": "x\u00e9", "d": "last", "n": null } "#;
        let document = Document::parse(body).unwrap();
        let number = document.at("/a~1b/1/c").unwrap();
        assert_eq!(scalar(number).as_deref(), Some("12345678901234567890123"));
        let span = document.span_of(number).unwrap();
        assert_eq!(&body[span], b"12345678901234567890123");
        assert_eq!(scalar(document.at("/d").unwrap()).as_deref(), Some("last"));
        assert_eq!(scalar(document.at("/n").unwrap()), None);
        for nowhere in ["/a~1b/2", "/a~1b/01", "/a~1b/+1", "/a~1b/-"] {
            assert!(document.at(nowhere).is_none(), "{nowhere}");
        }
        assert!(document.at("/a~1b/0").is_some());
        assert!(document.at("/a~1b/00").is_none());
        assert!(document.at("d").is_none());
        assert!(document.at("").is_some());
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        assert_eq!(Document::parse(b"{\n  x").unwrap_err().line, 2);
        let invalid = Document::parse(b"{\n\xff").unwrap_err();
        assert_eq!((invalid.problem, invalid.line, invalid.column), ("invalid UTF-8", 2, 1));
        assert_eq!(Document::parse(b"").unwrap_err().problem, "it ends too early");
    }

    #[test]
    fn deep_nesting_is_no_stack_overflow() {
        let deep = "[".repeat(200_000);
        assert!(Document::parse(deep.as_bytes()).is_err());
        let closed = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
        let _ = Document::parse(closed.as_bytes());
    }

    proptest! {
        #[test]
        fn nothing_panics(body in proptest::collection::vec(any::<u8>(), 0..200), pointer in "[/~01a-c]{0,12}") {
            if let Ok(document) = Document::parse(&body)
                && let Some(value) = document.at(&pointer)
            {
                prop_assert_eq!(&body[document.span_of(value).unwrap()], value.get().as_bytes());
            }
        }
    }
}
