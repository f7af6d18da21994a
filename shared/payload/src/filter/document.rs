//! The parts of an event's common payload that patterns ask for.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use serde::Deserialize as _;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::json::Text;
use super::number::Decimal;

/// The deepest nesting of arrays directly in one another that is looked into.
const MAX_NESTED_ARRAYS: usize = 16;

/// A value that tests are made on: a leaf of a document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Scalar<'a> {
    Null,
    Bool(bool),
    Number(Decimal),
    Text(Cow<'a, str>),
}

/// The places that patterns ask for, as a tree of names.
#[derive(Debug, Default)]
pub(super) struct Paths {
    /// Whether a pattern tests the value here. The number is the place of its index.
    pub(super) leaf: Option<usize>,
    pub(super) children: HashMap<Box<str>, Paths>,
}

impl Paths {
    /// The place of this name below this one; it is made where it is not there yet.
    pub(super) fn child(&mut self, name: &str) -> &mut Self {
        self.children.entry(name.into()).or_default()
    }
}

/// What stands at one of the places.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value<'p, 'e> {
    Scalar(Scalar<'e>),
    /// By name, in order.
    Object(Vec<(&'p str, Value<'p, 'e>)>),
    /// Scalars and objects; arrays within arrays are laid out flat.
    List(Vec<Value<'p, 'e>>),
    /// What no pattern asks for.
    Other,
}

impl<'p, 'e> Value<'p, 'e> {
    /// Reads what `paths` names. Of equal names the last counts, as nearly every reader takes it.
    ///
    /// # Errors
    /// When the text is not JSON.
    pub(super) fn read(json: &'e [u8], paths: &'p Paths) -> Result<Self, serde_json::Error> {
        let raw: &RawValue = serde_json::from_slice(json)?;
        Self::of(raw, paths, 0)
    }

    fn of(raw: &'e RawValue, paths: &'p Paths, arrays: usize) -> Result<Self, serde_json::Error> {
        let text = raw.get();
        let scalar = match text.as_bytes().first() {
            Some(b'{') if paths.children.is_empty() => return Ok(Self::Other),
            Some(b'{') => {
                let mut deserializer = serde_json::Deserializer::from_str(text);
                return ObjectSeed(paths).deserialize(&mut deserializer);
            }
            Some(b'[') if arrays == MAX_NESTED_ARRAYS => return Ok(Self::Other),
            Some(b'[') => return Self::list(text, paths, arrays + 1),
            _ if paths.leaf.is_none() => return Ok(Self::Other),
            Some(b'"') => Scalar::Text(serde_json::from_str::<Text<'e>>(text)?.0),
            Some(b't') => Scalar::Bool(true),
            Some(b'f') => Scalar::Bool(false),
            Some(b'n') => Scalar::Null,
            _ => Scalar::Number(Decimal::parse(text).ok_or_else(|| serde_json::Error::custom("not a number"))?),
        };
        Ok(Self::Scalar(scalar))
    }

    fn list(text: &'e str, paths: &'p Paths, arrays: usize) -> Result<Self, serde_json::Error> {
        let mut values = Vec::new();
        for element in serde_json::from_str::<Vec<&'e RawValue>>(text)? {
            match Self::of(element, paths, arrays)? {
                Self::List(inner) => values.extend(inner),
                Self::Other => {}
                value => values.push(value),
            }
        }
        Ok(Self::List(values))
    }

    /// What stands under this name, in an object.
    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        let Self::Object(members) = self else { return None };
        let at = members.binary_search_by(|(other, _)| (*other).cmp(name)).ok()?;
        Some(&members[at].1)
    }

    /// All that stands under this name: in the object here, or in those of the list here.
    pub(super) fn all_under(&self, name: &str) -> Option<Self> {
        let Self::List(elements) = self else {
            return self.get(name).cloned();
        };
        let values = elements.iter().filter_map(|element| element.get(name)).cloned();
        let values = values.flat_map(|value| match value {
            Self::List(inner) => inner,
            other => vec![other],
        });
        Some(Self::List(values.collect()))
    }

    /// The scalars that stand here, be it in a list.
    pub(super) fn scalars(&self) -> impl Iterator<Item = &Scalar<'e>> {
        let values = match self {
            Self::List(values) => values.as_slice(),
            other => std::slice::from_ref(other),
        };
        values.iter().filter_map(|value| match value {
            Self::Scalar(scalar) => Some(scalar),
            _ => None,
        })
    }
}

/// Reads of an object the members that are asked for; the others are skipped over.
struct ObjectSeed<'p>(&'p Paths);

impl<'p, 'e> DeserializeSeed<'e> for ObjectSeed<'p> {
    type Value = Value<'p, 'e>;

    fn deserialize<D: Deserializer<'e>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'p, 'e> Visitor<'e> for ObjectSeed<'p> {
    type Value = Value<'p, 'e>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'e>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members: Vec<(&'p str, Value<'p, 'e>)> = Vec::new();
        while let Some(asked) = map.next_key_seed(NameSeed(self.0))? {
            let Some((name, paths)) = asked else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            members.push((name, Value::of(map.next_value()?, paths, 0).map_err(A::Error::custom)?));
        }
        members.reverse();
        members.sort_by_key(|(name, _)| *name);
        members.dedup_by_key(|(name, _)| *name);
        Ok(Value::Object(members))
    }
}

/// Reads a name and says which place it is, if it is one.
struct NameSeed<'p>(&'p Paths);

impl<'p, 'e> DeserializeSeed<'e> for NameSeed<'p> {
    type Value = Option<(&'p str, &'p Paths)>;

    fn deserialize<D: Deserializer<'e>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let name = Text::deserialize(deserializer)?;
        Ok(self
            .0
            .children
            .get_key_value(&*name.0)
            .map(|(name, paths)| (&**name, paths)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;
    use proptest::prelude::*;

    fn paths() -> Paths {
        let mut paths = Paths::default();
        paths.child("a").leaf = Some(0);
        paths.child("a").child("b").leaf = Some(1);
        paths.child("c").child("d").leaf = Some(2);
        paths
    }

    fn text(text: &str) -> Value<'_, '_> {
        Value::Scalar(Scalar::Text(text.into()))
    }

    #[test]
    fn only_what_is_asked_for_is_read() {
        let paths = paths();
        let json = br#" {"x": [[[]]], "a": [1, ["x\u00e9", {"b": true, "z": 1}], []], "c": "leaf", "c": {"d": null, "e": 2}} "#;
        let read = Value::read(json, &paths).unwrap();
        let Some(Value::List(list)) = read.get("a") else {
            panic!()
        };
        assert_eq!(list[0], Value::Scalar(Scalar::Number(Decimal::parse("1").unwrap())));
        assert_eq!(list[1], text("xé"));
        assert_eq!(list[2].get("b"), Some(&Value::Scalar(Scalar::Bool(true))));
        assert_eq!(list.len(), 3);
        assert_eq!(read.get("c").unwrap().get("d"), Some(&Value::Scalar(Scalar::Null)));
        assert_eq!(read.get("x"), None);
        assert_eq!(read.get("a").unwrap().scalars().count(), 2);
    }

    #[test]
    fn the_last_of_equal_names_counts_and_broken_surrogates_are_no_error() {
        let paths = paths();
        let read = Value::read(br#"{"\ud800": 1, "a": {"b": 1}, "\u0061": "x\ud800y"}"#, &paths).unwrap();
        let Some(Value::Scalar(Scalar::Text(value))) = read.get("a") else {
            panic!()
        };
        assert!(value.starts_with('x') && value.contains('\u{fffd}') && value.ends_with('y'));
    }

    #[test]
    fn deep_nesting_neither_overflows_the_stack_nor_takes_long() {
        let paths = paths();
        for (open, close) in [("[", "]"), (r#"{"a":"#, "}"), (r#"[{"b":"#, "}]")] {
            let json = format!("{{\"a\":{}1{}}}", open.repeat(100_000), close.repeat(100_000));
            Value::read(json.as_bytes(), &paths).unwrap();
        }
        let unclosed = format!("{{\"a\":{}", "[".repeat(100_000));
        assert!(Value::read(unclosed.as_bytes(), &paths).is_err());
    }

    proptest! {
        #[test]
        fn nothing_panics(json in proptest::collection::vec(any::<u8>(), 0..100), like in r#"[{}\[\]",:abcd01\\ue]{0,60}"#) {
            let paths = paths();
            let _ = Value::read(&json, &paths);
            let _ = Value::read(like.as_bytes(), &paths);
            let _ = Value::read(format!("{{\"a\":{like}}}").as_bytes(), &paths);
        }
    }
}
