//! What JSON merge patches (RFC 7396) of several things share.

use std::collections::HashSet;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::body::{Members, token};
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
/// written, to the digits of its numbers. `at` is where the patch stands in the body.
///
/// # Errors
/// The patch is nested too deeply, or names a member twice: one of the two would be lost.
pub(crate) fn patched_text(target: &str, patch: &str, at: &str) -> Result<String, ApiError> {
    patched_at(target, patch, at, 0)?.ok_or_else(|| ApiError::invalid(at, "is nested too deeply"))
}

/// `None` when the patch is nested too deeply.
fn patched_at(target: &str, patch: &str, at: &str, depth: usize) -> Result<Option<String>, ApiError> {
    let Some(patch) = members(patch) else {
        return Ok(Some(patch.to_owned()));
    };
    if depth >= MAX_DEPTH {
        return Ok(None);
    }
    let mut seen = HashSet::new();
    let mut merged: Vec<(String, String)> = members(target)
        .unwrap_or_default()
        .into_iter()
        .map(|(name, value)| (name, value.get().to_owned()))
        .collect();
    for (name, value) in patch {
        let below = format!("{at}/{}", token(&name));
        if !seen.insert(name.clone()) {
            return Err(ApiError::invalid(below, "stands twice"));
        }
        let place = merged.iter().position(|(known, _)| *known == name);
        if value.get() == "null" {
            merged.retain(|(known, _)| *known != name);
            continue;
        }
        let before = place.and_then(|place| merged.get(place));
        let before = before.map_or("null", |(_, before)| before);
        let Some(after) = patched_at(before, value.get(), &below, depth + 1)? else {
            return Ok(None);
        };
        match place.and_then(|place| merged.get_mut(place)) {
            Some((_, before)) => *before = after,
            None => merged.push((name, after)),
        }
    }
    let members: Vec<String> = merged
        .into_iter()
        .map(|(name, value)| format!("{}:{value}", serde_json::Value::String(name)))
        .collect();
    Ok(Some(format!("{{{}}}", members.join(","))))
}

fn members(text: &str) -> Option<Vec<(String, &RawValue)>> {
    serde_json::from_str::<Members<&RawValue>>(text)
        .ok()
        .map(|Members(members)| members)
}

#[cfg(test)]
mod tests {
    use super::{ApiError, patched_text};

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
            let patched = patched_text(target, patch, "").ok();
            assert_eq!(patched.as_deref(), Some(result), "{target} {patch}");
        }
    }

    #[test]
    fn a_patch_without_bottom_is_refused() {
        let deep = |depth: usize| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
        assert_eq!(patched_text("{}", &deep(64), "/filter").ok(), Some(deep(64)));
        for depth in [65, 50_000] {
            assert_eq!(pointer(&deep(depth)), "/filter");
        }
    }

    #[test]
    fn a_patch_that_names_a_member_twice_is_refused() {
        for (patch, at) in [
            (r#"{"a":1,"a":2}"#, "/filter/a"),
            (r#"{"a":null,"a":null}"#, "/filter/a"),
            (r#"{"a":1,"\u0061":2}"#, "/filter/a"),
            (r#"{"b":{"c/d":[1],"c/d":[2]}}"#, "/filter/b/c~1d"),
        ] {
            assert_eq!(pointer(patch), at, "{patch}");
        }
    }

    /// Where a patch is wrong that must be.
    fn pointer(patch: &str) -> String {
        match patched_text("{}", patch, "/filter") {
            Err(ApiError::Invalid { pointer, .. }) => pointer,
            other => panic!("{other:?}"),
        }
    }
}
