//! Reads single fields where a preset says that they stand.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::value::RawValue;
use url::{ParseError, Url};

use super::{ChangePlaces, Condition, DataPlace, Expectation, LinkPlace, Place, TemplatePart, pairs};
use crate::Receipt;
use crate::change::shortened_to;
use crate::event::{Change, Link};
use crate::json::{Document, elements, members, scalar};

/// The longest text of a field of the common payload, in bytes; a longer one is left out, with a warning.
const MAX_FIELD_BYTES: usize = 1024;

/// The longest code, locale or old or new value in a list, in bytes.
const MAX_ENTRY_BYTES: usize = 256;

/// The most entries of `changes`, and of each list of locales; further ones are left out, with a warning.
const MAX_ENTRIES: usize = 200;

/// The most entries of `links`.
const MAX_LINKS: usize = 20;

/// Where everything about one event can be looked up.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) receipt: &'a Receipt,
    /// The whole body.
    pub(super) root: &'a Document<'a>,
    /// The event in it: the same where a receipt holds one event.
    pub(super) document: &'a Document<'a>,
}

impl<'a> Reader<'a> {
    /// The text at a place; nothing where there is none, or an empty one.
    pub(super) fn text(&self, place: &Place) -> Option<String> {
        if place.when.as_ref().is_some_and(|when| !self.holds(when)) {
            return None;
        }
        let found = if let Some(name) = &place.header {
            self.receipt.header(name).map(Into::into)
        } else if let Some(name) = &place.query {
            let mut pairs = pairs::parse(self.receipt.query.as_bytes());
            pairs
                .find(|(found, _)| found == name)
                .map(|(_, value)| value.into_owned())
        } else if let Some(pointer) = &place.pointer {
            self.document.at(pointer).and_then(scalar)
        } else if let Some(pointer) = &place.envelope {
            self.root.at(pointer).and_then(scalar)
        } else if let Some(constant) = &place.constant {
            Some(constant.clone())
        } else if !place.first_of.is_empty() {
            place.first_of.iter().find_map(|place| self.text(place))
        } else if !place.template.is_empty() {
            self.template(&place.template)
        } else {
            let parts: Vec<String> = place.join.iter().filter_map(|place| self.text(place)).collect();
            Some(parts.join(&place.with))
        };
        let text = found.filter(|text| !text.is_empty())?;
        let text = match (&place.split, place.take) {
            (Some(separator), Some(take)) => take.part(&text, separator)?.to_owned(),
            _ => text,
        };
        Some(place.words.get(&text).cloned().unwrap_or(text))
    }

    fn template(&self, parts: &[TemplatePart]) -> Option<String> {
        let mut all = String::new();
        for part in parts {
            match part {
                TemplatePart::Text(text) => all.push_str(text),
                TemplatePart::Place(place) => match self.text(place) {
                    Some(text) => all.push_str(&text),
                    None if place.optional => {}
                    None => return None,
                },
            }
        }
        Some(all)
    }

    /// The value that stands for `data`.
    pub(super) fn data(&self, place: &DataPlace) -> Option<&'a RawValue> {
        if let DataPlace::WithHeader { with_header, .. } = place {
            self.receipt.header(with_header)?;
        }
        self.document.at(place.pointer())
    }

    fn holds(&self, condition: &Condition) -> bool {
        condition.holds(self.document)
    }
}

/// Reads the fields of one event, and collects what is wrong with them.
pub(super) struct Fields<'a> {
    reader: Reader<'a>,
    warnings: Vec<String>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(reader: Reader<'a>) -> Self {
        Self {
            reader,
            warnings: Vec::new(),
        }
    }

    pub(super) fn warn(&mut self, warning: impl Into<String>) {
        self.warnings.push(warning.into());
    }

    pub(super) fn into_warnings(self) -> Vec<String> {
        self.warnings
    }

    /// A text of the common payload.
    pub(super) fn text(&mut self, name: &str, place: Option<&Place>) -> Option<String> {
        let text = self.reader.text(place?)?;
        if text.len() > MAX_FIELD_BYTES {
            self.warn(format!(
                "{name} was left out: it is longer than {MAX_FIELD_BYTES} bytes"
            ));
            return None;
        }
        Some(text)
    }

    /// A text for people: of one that is too long, its beginning.
    pub(super) fn prose(&self, place: Option<&Place>) -> Option<String> {
        Some(shortened_to(&self.reader.text(place?)?, MAX_FIELD_BYTES))
    }

    /// The texts of an array.
    pub(super) fn texts(&mut self, name: &str, pointer: Option<&str>) -> Vec<String> {
        let Some(values) = pointer
            .and_then(|pointer| self.reader.document.at(pointer))
            .and_then(elements)
        else {
            return Vec::new();
        };
        let texts = values
            .into_iter()
            .filter_map(scalar)
            .filter(|text| text.len() <= MAX_ENTRY_BYTES)
            .collect();
        self.cut(name, texts)
    }

    fn cut<T>(&mut self, name: &str, mut entries: Vec<T>) -> Vec<T> {
        if entries.len() > MAX_ENTRIES {
            self.warn(format!("{name} holds the first {MAX_ENTRIES} of {}", entries.len()));
            entries.truncate(MAX_ENTRIES);
        }
        entries
    }

    /// When it happened; when it reached us, where that is not said.
    pub(super) fn time(&mut self, place: Option<&Place>) -> Timestamp {
        let received_at = self.reader.receipt.received_at;
        let Some(text) = place.and_then(|place| self.reader.text(place)) else {
            return received_at;
        };
        match time(&text) {
            Some((time, true)) => time,
            Some((time, false)) => {
                self.warn("timestamp has no offset: it was read as UTC");
                time
            }
            None => {
                self.warn("timestamp could not be read: the time of receipt stands for it");
                received_at
            }
        }
    }

    /// The links, made absolute where the source says what they begin at.
    pub(super) fn links(&mut self, places: &[LinkPlace], base: Option<&str>) -> Vec<Link> {
        let base = base.and_then(|base| Url::parse(base).ok());
        let mut links = Vec::new();
        for place in places {
            let rel = place.rel.clone();
            if let Some(href) = place.href.as_ref().and_then(|href| self.reader.text(href)) {
                links.push(Link { rel, href });
            } else if let Some(value) = place
                .all_of
                .as_deref()
                .and_then(|pointer| self.reader.document.at(pointer))
            {
                links.extend(all_links(value, rel.as_deref()));
            }
        }
        links.truncate(MAX_LINKS);
        links
            .into_iter()
            .filter_map(|link| self.absolute(link, base.as_ref()))
            .collect()
    }

    fn absolute(&mut self, link: Link, base: Option<&Url>) -> Option<Link> {
        let parsed = match (Url::parse(&link.href), base) {
            (Err(ParseError::RelativeUrlWithoutBase), Some(base)) => resolve(base, &link.href),
            (parsed, _) => parsed.ok(),
        };
        let href = match parsed {
            // Whoever clicks on it must land on a page, and run nothing.
            Some(url) if matches!(url.scheme(), "http" | "https") => url.into(),
            None if link.href.starts_with('/') => link.href,
            _ => {
                self.warn("a link was left out: it leads to no web page");
                return None;
            }
        };
        if href.len() > MAX_FIELD_BYTES {
            self.warn(format!(
                "a link was left out: it is longer than {MAX_FIELD_BYTES} bytes"
            ));
            return None;
        }
        Some(Link { rel: link.rel, href })
    }

    /// What changed.
    pub(super) fn changes(&mut self, places: &[ChangePlaces]) -> Vec<Change> {
        let changes = places.iter().flat_map(|place| changes(self.reader, place)).collect();
        self.cut("changes", changes)
    }

    /// Holds the event against what the provider promises: a breach is told, and the event is genuine all the same.
    pub(super) fn expect(&mut self, expectations: &[Expectation]) {
        for expectation in expectations {
            if expectation.when.as_ref().is_some_and(|when| !self.reader.holds(when)) {
                continue;
            }
            let field = &expectation.pointer;
            let is_there = self
                .reader
                .document
                .at(field)
                .is_some_and(|value| value.get() != "null");
            let wanted = expectation
                .only_when
                .as_ref()
                .is_none_or(|condition| self.reader.holds(condition));
            match (is_there, wanted) {
                (false, true) => self.warn(format!("{field} is missing")),
                (true, false) => self.warn(format!("{field} is there where the provider promises that it is not")),
                _ => {}
            }
        }
    }
}

/// A relative link behind its base, path and all: an API whose root is not the server's sends `/items/1` and means `/api/items/1`, which
/// RFC 3986 section 5 would not make of it.
fn resolve(base: &Url, href: &str) -> Option<Url> {
    let root = base.path().trim_end_matches('/');
    let is_below = |href: &str| href.strip_prefix(root).is_some_and(|rest| rest.starts_with('/'));
    if href.starts_with("//") || is_below(href) {
        return base.join(href).ok();
    }
    base.join(&format!("{root}/{}", href.trim_start_matches('/'))).ok()
}

fn changes(reader: Reader<'_>, places: &ChangePlaces) -> Vec<Change> {
    let short = |text: &String| text.len() <= MAX_ENTRY_BYTES;
    let change = |reader: Reader<'_>, code: Option<String>| {
        let value = |place: &Option<Place>| {
            let text = place.as_ref().and_then(|place| reader.text(place));
            text.map(|text| shortened_to(&text, MAX_ENTRY_BYTES))
        };
        Some(Change {
            kind: reader.text(&places.kind).filter(short)?,
            code: code.filter(short)?,
            previous: value(&places.previous),
            current: value(&places.current),
        })
    };
    let code = |reader: &Reader<'_>| places.code.as_ref().and_then(|place| reader.text(place));
    match (&places.keys_of, &places.each) {
        (Some(pointer), _) => {
            let mut found: Vec<_> = reader
                .document
                .at(pointer)
                .map(members)
                .unwrap_or_default()
                .into_iter()
                .collect();
            found.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
            let says_values = places.previous.is_some() || places.current.is_some();
            let read = |(code, value): (String, &RawValue)| {
                if !says_values {
                    return change(reader, Some(code));
                }
                let document = Document::parse(value.get().as_bytes()).ok()?;
                let member = Reader {
                    document: &document,
                    ..reader
                };
                change(member, Some(code))
            };
            found.into_iter().filter_map(read).collect()
        }
        (None, Some(pointer)) => {
            let values = reader.document.at(pointer).and_then(elements).unwrap_or_default();
            let read = |value: &RawValue| {
                let document = Document::parse(value.get().as_bytes()).ok()?;
                let element = Reader {
                    document: &document,
                    ..reader
                };
                change(element, code(&element))
            };
            values.into_iter().filter_map(read).collect()
        }
        (None, None) => {
            // Where a preset says where the values stand, a change without any is none.
            let says_values = places.previous.is_some() || places.current.is_some();
            let is_one = |change: &Change| !says_values || change.previous.is_some() || change.current.is_some();
            change(reader, code(&reader)).filter(is_one).into_iter().collect()
        }
    }
}

/// The links of an object by their names, or of an array.
fn all_links(value: &RawValue, rel: Option<&str>) -> Vec<Link> {
    let one = |value: &RawValue, name: Option<String>| {
        let inner = members(value);
        let text = |name: &str| inner.get(name).and_then(|value| scalar(value));
        let href = scalar(value).or_else(|| text("href"))?;
        let rel = name.or_else(|| text("rel")).or_else(|| rel.map(Into::into));
        Some(Link { rel, href })
    };
    if let Some(values) = elements(value) {
        return values.into_iter().filter_map(|value| one(value, None)).collect();
    }
    let mut links: Vec<Link> = members(value)
        .into_iter()
        .filter_map(|(name, value)| one(value, Some(name)))
        .collect();
    links.sort_by(|a, b| a.rel.cmp(&b.rel));
    links
}

/// A time as providers write it, and whether it says its offset: RFC 3339, also with a space for the `T`, before the offset or `UTC`, or
/// for a `+` that was not encoded in a query; seconds or milliseconds since 1970, also with a fraction.
fn time(text: &str) -> Option<(Timestamp, bool)> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some((time, true));
    }
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if digits > 0 && text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let whole: i64 = whole.parse().ok()?;
        let time = if digits > 11 {
            Timestamp::from_millisecond(whole)
        } else {
            let nanoseconds: String = fraction.chars().chain("000000000".chars()).take(9).collect();
            Timestamp::new(whole, nanoseconds.parse().ok()?)
        };
        return Some((time.ok()?, true));
    }
    if let Some((date_time, offset)) = text.rsplit_once(' ') {
        let sign = if offset.starts_with(['+', '-']) { "" } else { "+" };
        let whole = if offset == "UTC" {
            format!("{date_time}Z")
        } else {
            format!("{date_time}{sign}{offset}")
        };
        if let Ok(time) = whole.parse::<Timestamp>() {
            return Some((time, true));
        }
    }
    let local: DateTime = text.parse().ok()?;
    Some((local.to_zoned(TimeZone::UTC).ok()?.timestamp(), false))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_as_providers_write_them() {
        let at = |text: &str| time(text).map(|(time, offset)| (time.to_string(), offset));
        let good = |time: &str, offset| Some((time.to_owned(), offset));
        assert_eq!(at("2025-03-25T13:31:00Z"), good("2025-03-25T13:31:00Z", true));
        assert_eq!(at("2025-03-25T14:31:00+01:00"), good("2025-03-25T13:31:00Z", true));
        assert_eq!(at("2025-03-25T14:31:00+0100"), good("2025-03-25T13:31:00Z", true));
        assert_eq!(at("2025-03-25T14:31:00 01:00"), good("2025-03-25T13:31:00Z", true));
        assert_eq!(at("2025-03-25 13:31:00 UTC"), good("2025-03-25T13:31:00Z", true));
        assert_eq!(at("2025-03-25 14:31:00 +0100"), good("2025-03-25T13:31:00Z", true));
        assert_eq!(at("2025-03-25 12:31:00 -01:00"), good("2025-03-25T13:31:00Z", true));
        assert_eq!(at("2025-03-25T13:31:00"), good("2025-03-25T13:31:00Z", false));
        assert_eq!(at("2025-03-25 13:31:00"), good("2025-03-25T13:31:00Z", false));
        assert_eq!(at("1742909460"), good("2025-03-25T13:31:00Z", true));
        assert_eq!(at("1742909460000"), good("2025-03-25T13:31:00Z", true));
        assert_eq!(at("1742909460.5"), good("2025-03-25T13:31:00.5Z", true));
        for text in ["", "soon", "-1", "99999999999999999999", "1.2.3", "2025", "é"] {
            assert_eq!(at(text).filter(|_| text != "2025"), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn reading_a_time_never_panics(text in ".{0,40}") {
            let _ = time(&text);
        }
    }
}
