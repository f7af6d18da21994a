//! The signed bytes as a template: literal text and placeholders.

use std::fmt;
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
    /// `{header.x}`: another header's value.
    Header(String),
}

/// A template that can be read in one way only: it holds the body once, and between two placeholders stands literal text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    segments: Vec<Segment>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Segment {
    Literal(String),
    Part(Placeholder),
}

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A brace without its partner.
    #[error("a brace is not closed or not opened")]
    Brace,
    /// A name that means nothing.
    #[error("{{{0}}} is not a placeholder: id, timestamp, body, method, header.NAME")]
    Unknown(String),
    /// What is signed must hold the body, once.
    #[error("{{body}} must stand in it exactly once")]
    Body,
    /// With nothing between them, bytes could move from one to the other under the same signature.
    #[error(
        "two placeholders stand next to each other: bytes could move from one to the other under the same signature"
    )]
    Adjacent,
}

impl Template {
    pub(super) fn segments(&self) -> &[Segment] {
        &self.segments
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
}

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        let mut segments = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            if let Some(inner) = rest.strip_prefix('{') {
                let (name, after) = inner.split_once('}').ok_or(TemplateError::Brace)?;
                let placeholder = match name {
                    "id" => Placeholder::Id,
                    "timestamp" => Placeholder::Timestamp,
                    "body" => Placeholder::Body,
                    "method" => Placeholder::Method,
                    _ => match name.strip_prefix("header.") {
                        Some(header) if !header.is_empty() => Placeholder::Header(header.to_ascii_lowercase()),
                        _ => return Err(TemplateError::Unknown(name.into())),
                    },
                };
                if matches!(segments.last(), Some(Segment::Part(_))) {
                    return Err(TemplateError::Adjacent);
                }
                segments.push(Segment::Part(placeholder));
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
        let template = Self { segments };
        if template.placeholders().filter(|p| **p == Placeholder::Body).count() != 1 {
            return Err(TemplateError::Body);
        }
        Ok(template)
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in &self.segments {
            match segment {
                Segment::Literal(text) => f.write_str(text)?,
                Segment::Part(Placeholder::Id) => f.write_str("{id}")?,
                Segment::Part(Placeholder::Timestamp) => f.write_str("{timestamp}")?,
                Segment::Part(Placeholder::Body) => f.write_str("{body}")?,
                Segment::Part(Placeholder::Method) => f.write_str("{method}")?,
                Segment::Part(Placeholder::Header(name)) => write!(f, "{{header.{name}}}")?,
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
    fn good_templates_are_printed_as_they_were_written() {
        for text in [
            "{body}",
            "{id}.{timestamp}.{body}",
            "v0:{timestamp}:{body}",
            "{method} {header.x-a}\n{body}",
        ] {
            assert_eq!(text.parse::<Template>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn unsafe_templates_are_refused() {
        let refused = |text: &str| text.parse::<Template>().unwrap_err();
        assert_eq!(refused(""), TemplateError::Body);
        assert_eq!(refused("{id}.{timestamp}"), TemplateError::Body);
        assert_eq!(refused("{body}.{body}"), TemplateError::Body);
        assert_eq!(refused("{id}{body}"), TemplateError::Adjacent);
        assert_eq!(refused("{body"), TemplateError::Brace);
        assert_eq!(refused("body}"), TemplateError::Brace);
        assert!(matches!(refused("{secret}.{body}"), TemplateError::Unknown(_)));
        assert!(matches!(refused("{header.}.{body}"), TemplateError::Unknown(_)));
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_printing_is_its_inverse(text in "[{}a-z.:é]{0,40}") {
            if let Ok(template) = text.parse::<Template>() {
                prop_assert_eq!(template.to_string().parse::<Template>().unwrap(), template);
            }
        }
    }
}
