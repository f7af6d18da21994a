//! The signed bytes as a template: literal text and placeholders.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A part of the request that a signature covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placeholder {
    /// `{id}`: the message's id.
    Id,
    /// `{timestamp}`: the timestamp as it was written.
    Timestamp,
    /// `{body}`: the raw body.
    Body,
    /// `{method}`: the request's method in upper case.
    Method,
    /// `{url}`: the source's configured public URL; never what a request says of itself.
    Url,
    /// `{query}`: the raw query string, without the question mark.
    Query,
    /// `{header.x}`: another header's value.
    Header(String),
}

/// A template that can be read in one way only: it holds the body once, and what stands next to another part without a text between them
/// shows by itself where it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    segments: Vec<Segment>,
    /// Whether the timestamp has another part right beside it.
    timestamp_is_adjacent: bool,
    runs: Vec<Run>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Segment {
    Literal(String),
    Part(Placeholder),
}

/// Segments between two texts of which only these texts tell where they end: the body is not among them, and one of them can be of any
/// length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) segments: Range<usize>,
    /// The text that tells it: the one behind them where they stand left of the body, otherwise the one before them.
    pub(super) separator: usize,
    pub(super) separator_is_behind: bool,
    /// Whether it is the timestamp alone, which some units tell from anything beside it.
    pub(super) is_timestamp: bool,
}

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A brace without its partner.
    #[error("a brace is not closed or not opened")]
    Brace,
    /// A name that means nothing.
    #[error("{{{0}}} is not a placeholder: id, timestamp, body, method, url, query, header.NAME")]
    Unknown(String),
    /// What is signed must hold the body, once.
    #[error("{{body}} must stand in it exactly once")]
    Body,
    /// The same part twice proves nothing more.
    #[error("{{{0}}} stands in it more than once")]
    Repeated(String),
    /// With nothing between them, bytes could move from one to the other under the same signature.
    #[error(
        "two placeholders stand next to each other: bytes could move from one to the other under the same signature (only {{timestamp}}, {{method}} and {{url}} show by themselves where they end, and {{url}} may hold the text that ends another part)"
    )]
    Adjacent,
    /// Longer than any provider's.
    #[error("it is longer than {MAX_TEMPLATE_BYTES} bytes")]
    TooLong,
}

/// The methods that a provider may use.
pub(crate) const METHODS: [&str; 4] = ["GET", "POST", "PUT", "PATCH"];

/// The longest template, in bytes.
pub(crate) const MAX_TEMPLATE_BYTES: usize = 500;

impl Placeholder {
    /// Whether its end can be told without a separator: a timestamp then has a fixed form, the URL is known, and of the
    /// [methods](METHODS) none begins or ends as another.
    fn ends_by_itself(&self) -> bool {
        matches!(self, Self::Timestamp | Self::Url | Self::Method)
    }
}

impl fmt::Display for Placeholder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id => f.write_str("id"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::Body => f.write_str("body"),
            Self::Method => f.write_str("method"),
            Self::Url => f.write_str("url"),
            Self::Query => f.write_str("query"),
            Self::Header(name) => write!(f, "header.{name}"),
        }
    }
}

impl Template {
    pub(super) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// What must be looked at in each request, so that it cannot be read in two ways.
    pub(super) fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// The placeholders in their order.
    pub fn placeholders(&self) -> impl Iterator<Item = &Placeholder> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Part(placeholder) => Some(placeholder),
            Segment::Literal(_) => None,
        })
    }

    /// Whether `placeholder` stands in it.
    #[must_use]
    pub fn contains(&self, placeholder: &Placeholder) -> bool {
        self.placeholders().any(|p| p == placeholder)
    }

    /// Whether the timestamp has another part right beside it, so that only its fixed form tells where it ends.
    #[must_use]
    pub fn timestamp_is_adjacent(&self) -> bool {
        self.timestamp_is_adjacent
    }

    fn check(&self) -> Result<(), TemplateError> {
        if self.placeholders().filter(|p| **p == Placeholder::Body).count() != 1 {
            return Err(TemplateError::Body);
        }
        let placeholders: Vec<&Placeholder> = self.placeholders().collect();
        for (index, placeholder) in placeholders.iter().enumerate() {
            if placeholders[..index].contains(placeholder) {
                return Err(TemplateError::Repeated(placeholder.to_string()));
            }
        }
        // In a run without texts between them, all but one part must show where they end.
        for run in self.segments.split(|segment| matches!(segment, Segment::Literal(_))) {
            let is = |wanted: &Placeholder| run.contains(&Segment::Part(wanted.clone()));
            let open = run.iter().filter(|segment| !ends_by_itself(segment)).count();
            // A URL holds all sorts of texts: also the one that would tell where a part beside it ends.
            if open > 1 || (open == 1 && is(&Placeholder::Url) && !is(&Placeholder::Body)) {
                return Err(TemplateError::Adjacent);
            }
        }
        Ok(())
    }
}

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        if text.len() > MAX_TEMPLATE_BYTES {
            return Err(TemplateError::TooLong);
        }
        let mut segments = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            if let Some(inner) = rest.strip_prefix('{') {
                let (name, after) = inner.split_once('}').ok_or(TemplateError::Brace)?;
                segments.push(Segment::Part(placeholder(name)?));
                rest = after;
            } else {
                let end = rest.find(['{', '}']).unwrap_or(rest.len());
                if rest[end..].starts_with('}') {
                    return Err(TemplateError::Brace);
                }
                segments.push(Segment::Literal(rest[..end].to_owned()));
                rest = &rest[end..];
            }
        }
        let timestamp_is_adjacent = segments.windows(2).any(|pair| {
            matches!(pair, [Segment::Part(left), Segment::Part(right)]
                if *left == Placeholder::Timestamp || *right == Placeholder::Timestamp)
        });
        let template = Self {
            runs: runs(&segments),
            segments,
            timestamp_is_adjacent,
        };
        template.check()?;
        Ok(template)
    }
}

fn ends_by_itself(segment: &Segment) -> bool {
    matches!(segment, Segment::Part(part) if part.ends_by_itself())
}

fn runs(segments: &[Segment]) -> Vec<Run> {
    let mut runs = Vec::new();
    let mut start = 0;
    let mut separator_is_behind = true;
    for run in segments.split(|segment| matches!(segment, Segment::Literal(_))) {
        let range = start..start + run.len();
        start = range.end + 1;
        if run.contains(&Segment::Part(Placeholder::Body)) {
            separator_is_behind = false;
            continue;
        }
        let separator = if separator_is_behind {
            range.end
        } else {
            range.start.saturating_sub(1)
        };
        let is_timestamp = *run == [Segment::Part(Placeholder::Timestamp)];
        let is_open = match segments.get(separator) {
            // Plain digits cannot hold a text that is not all digits, nor run into one (and the other form of timestamps ends by itself).
            Some(Segment::Literal(text)) if is_timestamp => text.bytes().all(|b| b.is_ascii_digit()),
            _ => !run.iter().all(ends_by_itself),
        };
        if is_open {
            runs.push(Run {
                segments: range,
                separator,
                separator_is_behind,
                is_timestamp,
            });
        }
    }
    runs
}

fn placeholder(name: &str) -> Result<Placeholder, TemplateError> {
    let header = |name: &str| {
        super::check_header_name("", name)
            .is_ok()
            .then(|| Placeholder::Header(name.to_ascii_lowercase()))
    };
    match name {
        "id" => Some(Placeholder::Id),
        "timestamp" => Some(Placeholder::Timestamp),
        "body" => Some(Placeholder::Body),
        "method" => Some(Placeholder::Method),
        "url" => Some(Placeholder::Url),
        "query" => Some(Placeholder::Query),
        _ => name.strip_prefix("header.").and_then(header),
    }
    .ok_or_else(|| TemplateError::Unknown(name.into()))
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in &self.segments {
            match segment {
                Segment::Literal(text) => f.write_str(text)?,
                Segment::Part(placeholder) => write!(f, "{{{placeholder}}}")?,
            }
        }
        Ok(())
    }
}

impl Serialize for Template {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn templates_read_back_as_they_were_written() {
        for text in [
            "{body}",
            "{id}.{timestamp}.{body}",
            "v0:{timestamp}:{body}",
            "{method}\n{url}\n{header.x-request-id}\n{body}",
            "{timestamp}{body}",
            "{method}{url}{body}{timestamp}",
            "{method}{url}.{body}",
            "{id}{method}.{body}",
            "{url}{body}",
            "{body}|{query}",
        ] {
            assert_eq!(text.parse::<Template>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        let error = |text: &str| text.parse::<Template>().unwrap_err();
        assert_eq!(error(""), TemplateError::Body);
        assert_eq!(error("{id}"), TemplateError::Body);
        assert_eq!(error("{body}{body}"), TemplateError::Body);
        assert_eq!(error("{id}{body}"), TemplateError::Adjacent);
        assert_eq!(error("{id}{timestamp}{body}"), TemplateError::Adjacent);
        assert_eq!(error("{header.x}{body}"), TemplateError::Adjacent);
        assert_eq!(error("{id}{url}.{body}"), TemplateError::Adjacent);
        assert_eq!(error("{body}.{url}{query}"), TemplateError::Adjacent);
        assert_eq!(error("{id}.{id}.{body}"), TemplateError::Repeated("id".into()));
        assert_eq!(error("{body"), TemplateError::Brace);
        assert_eq!(error("body}"), TemplateError::Brace);
        assert_eq!(error("{host}{body}"), TemplateError::Unknown("host".into()));
        assert_eq!(error("{header.}{body}"), TemplateError::Unknown("header.".into()));
        assert_eq!(error(&"x".repeat(501)), TemplateError::TooLong);
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "[{}a-z.]{0,40}") {
            if let Ok(template) = text.parse::<Template>() {
                prop_assert_eq!(template.to_string(), text);
            }
        }
    }
}
