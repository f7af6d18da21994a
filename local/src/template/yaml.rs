//! Reads CloudFormation YAML into JSON, with the short form of intrinsic functions spelt out.
//!
//! `!Ref X` becomes `{"Ref": "X"}`, `!GetAtt X.Y` becomes `{"Fn::GetAtt": "X.Y"}` and so on, as
//! <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/intrinsic-function-reference.html> defines the two forms to be the same.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use serde_saphyr::Tagged;

/// Reads a document. Only YAML 1.2's booleans are booleans: the attribute type `N` is a text.
pub(super) fn read<T: DeserializeOwned>(text: &str) -> Result<T, serde_saphyr::Error> {
    serde_saphyr::from_str_with_options(text, serde_saphyr::options! { strict_booleans: true })
}

/// Any YAML node as JSON.
pub(super) struct Node(pub(super) Value);

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Tagged(Untagged(value), tag) = Tagged::deserialize(deserializer)?;
        // Core tags such as `!!str` come resolved as `tag:yaml.org,2002:str` and say nothing beyond the value itself.
        let function = tag.as_deref().and_then(|tag| tag.strip_prefix('!'));
        Ok(Self(match function {
            None => value,
            Some(name @ ("Ref" | "Condition")) => single(name.to_owned(), value),
            Some(name) => single(format!("Fn::{name}"), value),
        }))
    }
}

fn single(key: String, value: Value) -> Value {
    Value::Object(Map::from_iter([(key, value)]))
}

/// The node without its own tag; nodes below keep theirs.
struct Untagged(Value);

impl<'de> Deserialize<'de> for Untagged {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyNode).map(Self)
    }
}

struct AnyNode;

impl<'de> Visitor<'de> for AnyNode {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Node(value)) = sequence.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut mapping: A) -> Result<Value, A::Error> {
        let mut values = Map::new();
        while let Some((key, Node(value))) = mapping.next_entry::<String, Node>()? {
            values.insert(key, value);
        }
        Ok(Value::Object(values))
    }
}

/// Replaces what can be known without deploying: a reference to a parameter by its default, one to a resource by its logical id, and
/// `!GetAtt X.Y` by `"X.Y"`. Other functions stay as they are; whoever needs a plain value there gets an error about its type.
pub(super) fn resolve(value: Value, parameters: &BTreeMap<String, Value>) -> Value {
    match value {
        Value::Object(map) => {
            if let [(name, argument)] = map.iter().collect::<Vec<_>>()[..] {
                match (name.as_str(), argument) {
                    ("Ref", Value::String(target)) => {
                        return parameters
                            .get(target)
                            .cloned()
                            .unwrap_or_else(|| Value::String(target.clone()));
                    }
                    ("Fn::GetAtt", Value::String(attribute)) => return Value::String(attribute.clone()),
                    ("Fn::GetAtt", Value::Array(parts)) => {
                        return Value::String(parts.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("."));
                    }
                    _ => {}
                }
            }
            Value::Object(
                map.into_iter()
                    .map(|(key, inner)| (key, resolve(inner, parameters)))
                    .collect(),
            )
        }
        Value::Array(values) => Value::Array(values.into_iter().map(|inner| resolve(inner, parameters)).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::{Node, resolve};

    fn read(yaml: &str) -> Value {
        super::read::<Node>(yaml).unwrap().0
    }

    #[test]
    fn short_forms_read_as_long_forms() {
        let short =
            read("{a: !Ref Table, b: !GetAtt Table.StreamArn, c: [!If [Big, 1, !Ref Small]], d: !Sub 'x-${Table}'}");
        let long = json!({
            "a": {"Ref": "Table"},
            "b": {"Fn::GetAtt": "Table.StreamArn"},
            "c": [{"Fn::If": ["Big", 1, {"Ref": "Small"}]}],
            "d": {"Fn::Sub": "x-${Table}"},
        });
        assert_eq!(short, long);
    }

    #[test]
    fn scalars_keep_their_types() {
        assert_eq!(
            read("{a: 7, b: -1, c: true, d: '7', e: 2.5, f: null, g: !!str 7, h: N, i: on}"),
            json!({"a": 7, "b": -1, "c": true, "d": "7", "e": 2.5, "f": null, "g": "7", "h": "N", "i": "on"})
        );
    }

    #[test]
    fn references_resolve() {
        let parameters = BTreeMap::from([("Days".to_owned(), json!(7))]);
        let value = read(
            "{a: !Ref Days, b: !Ref Table, c: !GetAtt Table.Arn, d: {'Fn::GetAtt': [Table, Arn]}, e: !Sub '${Days}'}",
        );
        assert_eq!(
            resolve(value, &parameters),
            json!({"a": 7, "b": "Table", "c": "Table.Arn", "d": "Table.Arn", "e": {"Fn::Sub": "${Days}"}})
        );
    }
}
