//! Which events a webhook wants.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::event::EventMeta;

/// What a webhook wants of the common payload. An absent or empty list does not restrict.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Filter {
    /// Event types, with `*` for any run of characters: `live.*`, `*.deleted`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<TypePattern>,
}

/// What the types of the events begin with that Hookline publishes about itself.
pub const OWN_TYPES: &str = "hookline.";

/// The most patterns that one filter may hold.
pub const MAX_TYPE_PATTERNS: usize = 100;

impl Filter {
    /// Whether the webhook wants this event. What Hookline tells of itself (`hookline.…`) goes only to those who ask for it by name: who
    /// takes everything means everything that providers send.
    #[must_use]
    pub fn matches(&self, event: &EventMeta) -> bool {
        let is_ours = event.event_type.starts_with(OWN_TYPES);
        let mut patterns = self
            .types
            .iter()
            .filter(|pattern| !is_ours || pattern.0.starts_with(OWN_TYPES));
        (self.types.is_empty() && !is_ours) || patterns.any(|pattern| pattern.matches(&event.event_type))
    }
}

/// An event type in which `*` stands for any run of characters, also none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypePattern(String);

/// Why a text is no [`TypePattern`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPattern {
    /// Nothing would match.
    #[error("an event type pattern is empty")]
    Empty,
    /// Longer than any event type.
    #[error("an event type pattern is longer than 200 bytes")]
    TooLong,
    /// A character that no event type has.
    #[error("an event type pattern holds a character other than letters, digits, '.', '_', '-', ':', '/' and '*'")]
    Character,
}

impl TypePattern {
    /// Whether `text` is of this pattern.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        // Greedy with one step back: linear in practice and never exponential, however many stars there are.
        let (pattern, text) = (self.0.as_bytes(), text.as_bytes());
        let (mut p, mut t) = (0, 0);
        let mut star: Option<(usize, usize)> = None;
        while t < text.len() {
            if p < pattern.len() && pattern[p] == b'*' {
                star = Some((p, t));
                p += 1;
            } else if p < pattern.len() && pattern[p] == text[t] {
                p += 1;
                t += 1;
            } else if let Some((star_p, star_t)) = star {
                p = star_p + 1;
                t = star_t + 1;
                star = Some((star_p, t));
            } else {
                return false;
            }
        }
        pattern[p..].iter().all(|&b| b == b'*')
    }
}

impl FromStr for TypePattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        if text.is_empty() {
            return Err(InvalidPattern::Empty);
        }
        if text.len() > 200 {
            return Err(InvalidPattern::TooLong);
        }
        if !text
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | ':' | '/' | '*'))
        {
            return Err(InvalidPattern::Character);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for TypePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for TypePattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for TypePattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;
    use proptest::prelude::*;

    fn plain(pattern: &str, text: &str) -> bool {
        match pattern.split_once('*') {
            None => pattern == text,
            Some((head, tail)) => {
                text.starts_with(head)
                    && (head.len()..=text.len()).any(|i| text.is_char_boundary(i) && plain(tail, &text[i..]))
            }
        }
    }

    #[test]
    fn wildcards() {
        let matches = |pattern: &str, text: &str| pattern.parse::<TypePattern>().unwrap().matches(text);
        assert!(matches("*", "live.audio.updated"));
        assert!(matches("live.*", "live.audio.updated"));
        assert!(matches("*.updated", "live.audio.updated"));
        assert!(matches("live.*.updated", "live.audio.updated"));
        assert!(!matches("live.*", "alive.audio"));
        assert!(!matches("live", "live.audio"));
        assert!(matches("a**b", "ab"));
    }

    #[test]
    fn what_hookline_tells_of_itself_goes_to_those_who_ask() {
        let meta: EventMeta = serde_json::from_value(serde_json::json!({
            "id": "evt_030191e28031305abd8a3ea760cab2ff6949dfa7", "type": "hookline.source.rejecting", "timestamp": "2025-03-25T13:31:00Z"
        }))
        .unwrap();
        let wants = |types: &[&str]| {
            let types = types.iter().map(|text| text.parse().unwrap()).collect();
            Filter { types }.matches(&meta)
        };
        assert!(wants(&["hookline.*"]) && wants(&["order.*", "hookline.source.rejecting"]));
        assert!(!wants(&[]) && !wants(&["*"]) && !wants(&["*.rejecting"]) && !wants(&["hookline.webhook.*"]));
    }

    #[test]
    fn bad_patterns_are_refused() {
        assert_eq!("".parse::<TypePattern>(), Err(InvalidPattern::Empty));
        assert_eq!("a b".parse::<TypePattern>(), Err(InvalidPattern::Character));
        assert_eq!("a".repeat(201).parse::<TypePattern>(), Err(InvalidPattern::TooLong));
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_plain_reading(pattern in "[ab*.]{1,8}", text in "[ab.]{0,10}") {
            prop_assert_eq!(pattern.parse::<TypePattern>().unwrap().matches(&text), plain(&pattern, &text));
        }
    }
}
