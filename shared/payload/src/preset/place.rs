//! Where a text of the common payload stands in a receipt.

use serde::{Deserialize, Serialize};

use crate::json::{Document, scalar};

/// Where a text stands: in a header, in the query, in the body, here, in the first of several places, or put together from several.
/// Exactly one of `header`, `query`, `pointer`, `envelope`, `const`, `firstOf`, `join` and `template` is given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Place {
    /// A header's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// A query parameter's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// A JSON Pointer (RFC 6901) into the body; into the element where one receipt holds several events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// A JSON Pointer into the whole body, where one receipt holds several events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub envelope: Option<String>,
    /// The text itself.
    #[serde(rename = "const", default, skip_serializing_if = "Option::is_none")]
    pub constant: Option<String>,
    /// The first of these that is there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", schema(no_recursion))]
    pub first_of: Vec<Place>,
    /// Those of these that are there, joined by `with`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", schema(no_recursion))]
    pub join: Vec<Place>,
    /// What joined parts are joined with.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub with: String,
    /// Texts and places, one after the other. Where a part that is not optional is missing, the whole is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub template: Vec<TemplatePart>,
    /// In a template: whether the rest stands without this part.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
    /// Splits what was found at each of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<String>,
    /// Which part of the split is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub take: Option<Take>,
    /// When the place counts at all; always where this is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Condition>,
    /// Other words for what was found; what is not named here stays as it is.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub words: std::collections::BTreeMap<String, String>,
}

/// A part of a template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(no_recursion))]
#[serde(untagged)]
pub enum TemplatePart {
    /// The text itself.
    Text(String),
    /// Where it stands.
    Place(Box<Place>),
}

/// Which part of a split text is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(untagged)]
pub enum Take {
    /// One that has a name.
    Word(TakeWord),
    /// The one with this number, from 0; nothing where there are fewer.
    Number(u8),
}

/// Parts that have names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub enum TakeWord {
    /// What stands before the first separator; all where there is none.
    First,
    /// What stands behind the first separator; nothing where there is none.
    AllButFirst,
    /// What stands behind the last separator; nothing where there is none.
    Last,
    /// What stands before the last separator; all where there is none.
    AllButLast,
}

/// Where `data` stands: a JSON Pointer, and whether it counts at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(untagged, deny_unknown_fields)]
pub enum DataPlace {
    /// A JSON Pointer.
    Pointer(String),
    /// A JSON Pointer that counts only where a header is there.
    WithHeader {
        /// The pointer.
        pointer: String,
        /// The header's name.
        #[serde(rename = "withHeader")]
        with_header: String,
    },
}

impl DataPlace {
    /// The JSON Pointer.
    #[must_use]
    pub fn pointer(&self) -> &str {
        match self {
            Self::Pointer(pointer) | Self::WithHeader { pointer, .. } => pointer,
        }
    }
}

/// Something that holds of a body or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Condition {
    /// A JSON Pointer.
    pub pointer: String,
    /// The texts of which one stands there; empty where it is enough that something does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub is: Vec<String>,
}

impl Condition {
    /// Whether it holds of this document. `null` is as good as nothing.
    pub(crate) fn holds(&self, document: &Document<'_>) -> bool {
        match document.at(&self.pointer).filter(|value| value.get() != "null") {
            None => false,
            Some(_) if self.is.is_empty() => true,
            Some(value) => scalar(value).is_some_and(|text| self.is.contains(&text)),
        }
    }
}

impl Take {
    /// The part of `text` between the separators; nothing where it is not there or empty.
    pub(super) fn part<'a>(self, text: &'a str, separator: &str) -> Option<&'a str> {
        let found = match self {
            Self::Word(TakeWord::First) => text.split_once(separator).map_or(text, |(first, _)| first),
            Self::Word(TakeWord::AllButFirst) => text.split_once(separator)?.1,
            Self::Word(TakeWord::Last) => text.rsplit_once(separator)?.1,
            Self::Word(TakeWord::AllButLast) => text.rsplit_once(separator).map_or(text, |(rest, _)| rest),
            Self::Number(number) => text.split(separator).nth(usize::from(number))?,
        };
        (!found.is_empty()).then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_split_text() {
        let part = |take, text| Take::part(take, text, ".");
        let word = |word| Take::Word(word);
        assert_eq!(part(word(TakeWord::First), "a.b.c"), Some("a"));
        assert_eq!(part(word(TakeWord::First), "a"), Some("a"));
        assert_eq!(part(word(TakeWord::AllButFirst), "a.b.c"), Some("b.c"));
        assert_eq!(part(word(TakeWord::AllButFirst), "a"), None);
        assert_eq!(part(word(TakeWord::Last), "a.b.c"), Some("c"));
        assert_eq!(part(word(TakeWord::Last), "a"), None);
        assert_eq!(part(word(TakeWord::AllButLast), "a.b.c"), Some("a.b"));
        assert_eq!(part(word(TakeWord::AllButLast), ".c"), None);
        assert_eq!(part(Take::Number(1), "a.b.c"), Some("b"));
        assert_eq!(part(Take::Number(3), "a.b.c"), None);
    }
}
