//! What JSON merge patches (RFC 7396) of several things share.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::body::Members;
use crate::problem::ApiError;

/// How deep a patch of a text may be nested: deeper than any filter.
const MAX_DEPTH: usize = 64;

/// A member of a merge patch.
#[derive(Debug, Default)]
pub(crate) enum Member<T> {
    /// Not there: what is stays as it is.
    #[default]
    Absent,
    /// `null`: what is is removed.
    Null,
    /// What is to be.
    Given(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Member<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::deserialize(deserializer).map(|value| value.map_or(Self::Null, Self::Given))
    }
}

impl<T> Member<T> {
    /// The new value, of a field that is always there.
    pub(crate) fn replacement(self, pointer: &str) -> Result<Option<T>, ApiError> {
        match self {
            Self::Absent => Ok(None),
            Self::Null => Err(ApiError::invalid(pointer, "cannot be removed")),
            Self::Given(value) => Ok(Some(value)),
        }
    }

    /// The same member, its value turned into another.
    pub(crate) fn try_map<U>(self, turn: impl FnOnce(T) -> Result<U, ApiError>) -> Result<Member<U>, ApiError> {
        Ok(match self {
            Self::Absent => Member::Absent,
            Self::Null => Member::Null,
            Self::Given(value) => Member::Given(turn(value)?),
        })
    }

    /// Changes an option.
    pub(crate) fn apply(self, option: &mut Option<T>) {
        match self {
            Self::Absent => {}
            Self::Null => *option = None,
            Self::Given(value) => *option = Some(value),
        }
    }
}

/// JSON merge patch from text to text ([RFC 7396](https://www.rfc-editor.org/rfc/rfc7396#section-2)): what is not touched stays as it was
/// written, to the digits of its numbers. `None` when the patch is nested too deeply.
pub(crate) fn patched_text(target: &str, patch: &str) -> Option<String> {
    patched_at(target, patch, 0)
}

fn patched_at(target: &str, patch: &str, depth: usize) -> Option<String> {
    let Some(patch) = members(patch) else {
        return Some(patch.to_owned());
    };
    if depth >= MAX_DEPTH {
        return None;
    }
    let mut merged: Vec<(String, String)> = members(target)
        .unwrap_or_default()
        .into_iter()
        .map(|(name, value)| (name, value.get().to_owned()))
        .collect();
    for (name, value) in patch {
        let place = merged.iter().position(|(known, _)| *known == name);
        if value.get() == "null" {
            merged.retain(|(known, _)| *known != name);
            continue;
        }
        let before = place.and_then(|place| merged.get(place));
        let after = patched_at(before.map_or("null", |(_, before)| before), value.get(), depth + 1)?;
        match place.and_then(|place| merged.get_mut(place)) {
            Some((_, before)) => *before = after,
            None => merged.push((name, after)),
        }
    }
    let members: Vec<String> = merged
        .into_iter()
        .map(|(name, value)| format!("{}:{value}", serde_json::Value::String(name)))
        .collect();
    Some(format!("{{{}}}", members.join(",")))
}

fn members(text: &str) -> Option<Vec<(String, &RawValue)>> {
    serde_json::from_str::<Members<&RawValue>>(text)
        .ok()
        .map(|Members(members)| members)
}

#[cfg(test)]
mod tests {
    use super::patched_text;

    #[test]
    fn what_is_not_touched_stays_as_it_was_written() {
        for (target, patch, result) in [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
            (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (
                r#"{"a":{"b":"c"}}"#,
                r#"{"a":{"b":"d","c":null}}"#,
                r#"{"a":{"b":"d"}}"#,
            ),
            (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
            (r#"["a","b"]"#, r#"["c"]"#, r#"["c"]"#),
            (r#"{"a":"foo"}"#, "null", "null"),
            (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#),
            ("[1,2]", r#"{"a":"b","c":null}"#, r#"{"a":"b"}"#),
            ("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
            // Beyond what a double can hold.
            (
                r#"{"n":[1.10, 12345678901234567890123]}"#,
                r#"{ "m" : 0.30000000000000000001 }"#,
                r#"{"n":[1.10, 12345678901234567890123],"m":0.30000000000000000001}"#,
            ),
            (r#"{"\u00e4":1}"#, r#"{"ä":2,"\"":3}"#, r#"{"ä":2,"\"":3}"#),
        ] {
            assert_eq!(patched_text(target, patch).as_deref(), Some(result), "{target} {patch}");
        }
    }

    #[test]
    fn a_patch_without_bottom_is_refused() {
        let deep = |depth: usize| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
        assert_eq!(patched_text("{}", &deep(64)), Some(deep(64)));
        assert_eq!(patched_text("{}", &deep(65)), None);
        assert_eq!(patched_text("{}", &deep(50_000)), None);
    }
}
