//! Names and values, as queries and forms have them, as one JSON object: `a[b]=1` is nested, `a=1&a=2` and `a[]=1` are arrays.

use std::borrow::Cow;

use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use url::form_urlencoded;

/// The most pairs of one query or form.
pub(super) const MAX_PAIRS: usize = 1000;

/// The deepest nesting: a name with more brackets is taken as it stands.
const MAX_DEPTH: usize = 8;

enum Node {
    Text(String),
    Json(Box<RawValue>),
    Object(Vec<(String, Node)>),
    Array(Vec<Node>),
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Json(json) => json.serialize(serializer),
            Self::Object(members) => {
                let mut map = serializer.serialize_map(Some(members.len()))?;
                for (name, value) in members {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
            Self::Array(elements) => {
                let mut sequence = serializer.serialize_seq(Some(elements.len()))?;
                for element in elements {
                    sequence.serialize_element(element)?;
                }
                sequence.end()
            }
        }
    }
}

/// Reads the pairs of a query or form.
pub(super) fn parse(text: &[u8]) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    form_urlencoded::parse(text)
}

/// The pairs as the text of a JSON object; nothing when there are more than [`MAX_PAIRS`]. The values of `json` are JSON in a text, and
/// taken as a text where they are not.
pub(super) fn to_json<'a>(
    pairs: impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)>,
    json: &[String],
) -> Option<String> {
    let mut root = Vec::new();
    for (count, (name, value)) in pairs.enumerate() {
        if count == MAX_PAIRS {
            return None;
        }
        let is_json = json.iter().any(|wanted| *wanted == name);
        let leaf = match is_json.then(|| serde_json::from_str::<Box<RawValue>>(&value)) {
            Some(Ok(raw)) => Node::Json(raw),
            _ => Node::Text(value.into_owned()),
        };
        let keys = path(&name).unwrap_or_else(|| vec![name.clone()]);
        if let Err(leaf) = insert(&mut root, &keys, leaf) {
            // `a=1&a[b]=2`: both cannot be had under one name.
            let _ = insert(&mut root, &[name], leaf);
        }
    }
    serde_json::to_string(&Node::Object(root)).ok()
}

/// The keys of `a[b][c]`; nothing where the brackets are not in order, so that the name is meant as it stands.
fn path<'a>(name: &str) -> Option<Vec<Cow<'a, str>>> {
    let (first, mut rest) = name.split_at(name.find('[')?);
    if first.is_empty() {
        return None;
    }
    let mut keys = vec![Cow::Owned(first.to_owned())];
    while !rest.is_empty() {
        let (key, after) = rest.strip_prefix('[')?.split_once(']')?;
        keys.push(Cow::Owned(key.to_owned()));
        rest = after;
    }
    (keys.len() <= MAX_DEPTH).then_some(keys)
}

/// Puts a leaf where its keys lead; gives it back where something of another kind stands in the way.
fn insert(members: &mut Vec<(String, Node)>, keys: &[Cow<'_, str>], leaf: Node) -> Result<(), Node> {
    let Some((key, rest)) = keys.split_first() else {
        return Err(leaf);
    };
    let at = members.iter().position(|(name, _)| *name == **key);
    let is_array = rest.first().is_some_and(|next| next.is_empty());
    match (at.map(|at| &mut members[at].1), rest.is_empty()) {
        (None, true) => members.push((key.to_string(), leaf)),
        (None, false) if is_array => members.push((key.to_string(), Node::Array(vec![leaf]))),
        (None, false) => {
            let mut inner = Vec::new();
            insert(&mut inner, rest, leaf)?;
            members.push((key.to_string(), Node::Object(inner)));
        }
        (Some(Node::Array(elements)), _) if rest.is_empty() || is_array => elements.push(leaf),
        (Some(Node::Object(inner)), false) if !is_array => insert(inner, rest, leaf)?,
        // `a[b]=1&a=2`: the object's own value.
        (Some(Node::Object(inner)), true) => insert(inner, &[Cow::Borrowed("")], leaf)?,
        (Some(there @ (Node::Text(_) | Node::Json(_))), true) => {
            let first = std::mem::replace(there, Node::Array(Vec::new()));
            *there = Node::Array(vec![first, leaf]);
        }
        (Some(_), _) => return Err(leaf),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;
    use proptest::prelude::*;

    fn json(text: &str) -> String {
        to_json(parse(text.as_bytes()), &["sender".to_owned()]).unwrap()
    }

    #[test]
    fn flat_nested_and_json() {
        assert_eq!(json(""), "{}");
        assert_eq!(json("a=1&b=x+y%20z"), r#"{"a":"1","b":"x y z"}"#);
        assert_eq!(
            json("s%5Bid%5D=9007199254740993&s[name]=N"),
            r#"{"s":{"id":"9007199254740993","name":"N"}}"#
        );
        assert_eq!(
            json("sender=%7B%22id%22%3A9007199254740993%7D"),
            r#"{"sender":{"id":9007199254740993}}"#
        );
        assert_eq!(json("sender=%7Bbroken"), r#"{"sender":"{broken"}"#);
        assert_eq!(json("other=%7B%7D"), r#"{"other":"{}"}"#);
    }

    #[test]
    fn repeated_names_are_arrays_and_nothing_is_lost() {
        assert_eq!(json("a=1&a=2&a=3"), r#"{"a":["1","2","3"]}"#);
        assert_eq!(json("a[]=1&a[]=2"), r#"{"a":["1","2"]}"#);
        assert_eq!(json("a=1&a[b]=2"), r#"{"a":"1","a[b]":"2"}"#);
        assert_eq!(json("a[b]=1&a=2"), r#"{"a":{"b":"1","":"2"}}"#);
        assert_eq!(json("a[b=1&[c]=2&a]=3"), r#"{"a[b":"1","[c]":"2","a]":"3"}"#);
        let deep = format!("a{}=1", "[b]".repeat(9));
        assert!(json(&deep).contains(&"[b]".repeat(9)));
    }

    #[test]
    fn too_many_pairs_are_refused() {
        assert!(to_json(parse("a=1&".repeat(MAX_PAIRS + 1).as_bytes()), &[]).is_none());
    }

    proptest! {
        #[test]
        fn it_is_always_a_json_object(text in "[ab\\[\\]=&%0-9+é]{0,60}") {
            let json = to_json(parse(text.as_bytes()), &["a".to_owned()]).unwrap();
            prop_assert!(serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&json).is_ok());
        }
    }
}
