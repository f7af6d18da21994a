//! The parts of a source that are data: read so that an error names its field, and patched.

use payload::handshake::{Cloudevents, EchoBody, EchoQuery, Handshake, HubChallenge};
use payload::preset::{Place, Preset};
use payload::scheme::{Basic, Scheme, Signed, StandardWebhooks, Token, Unsigned};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::body;
use crate::problem::ApiError;

/// The longest description of a provider as JSON, in bytes.
pub(super) const MAX_CUSTOM_BYTES: usize = 32 * 1024;

/// How the error of a value that cannot be read begins where several forms may stand.
const NO_FORM: &str = "data did not match any variant of untagged enum ";

/// A source has one provider.
pub(super) fn both_providers() -> ApiError {
    ApiError::invalid("/custom", "cannot be given beside preset: a source has one provider")
}

/// A description of a source's own. Whether it can work is [`payload::source::Effective::check`]'s question.
pub(super) fn custom(value: &Value) -> Result<Box<Preset>, ApiError> {
    if let Some(member) = value.get("scheme") {
        scheme(member, "/custom/scheme")?;
    }
    if let Some(member) = value.get("handshake").filter(|member| !member.is_null()) {
        handshake(member, "/custom/handshake")?;
    }
    let preset: Preset = body::read(value, "/custom").map_err(|error| deeper(error, value, "/custom"))?;
    let length = serde_json::to_vec(&preset).map_or(usize::MAX, |json| json.len());
    if length > MAX_CUSTOM_BYTES {
        return Err(ApiError::invalid(
            "/custom",
            format!("is {length} bytes long as JSON; at most {MAX_CUSTOM_BYTES} are allowed"),
        ));
    }
    Ok(Box::new(preset))
}

/// A scheme that stands at `at`.
pub(super) fn scheme(value: &Value, at: &str) -> Result<Scheme, ApiError> {
    tagged(value, at, |kind, settings| match kind {
        "standard-webhooks" => trouble::<StandardWebhooks>(settings, at),
        "hmac" | "ed25519" | "ecdsa-p256" => trouble::<Signed>(settings, at),
        "token" => trouble::<Token>(settings, at),
        "basic" => trouble::<Basic>(settings, at),
        "none" => trouble::<Unsigned>(settings, at),
        _ => None,
    })
}

fn handshake(value: &Value, at: &str) -> Result<Handshake, ApiError> {
    tagged(value, at, |kind, settings| match kind {
        "echo-body" => trouble::<EchoBody>(settings, at),
        "echo-query" => trouble::<EchoQuery>(settings, at),
        "hub-challenge" => trouble::<HubChallenge>(settings, at),
        "cloudevents" => trouble::<Cloudevents>(settings, at),
        _ => None,
    })
}

/// Reads a value whose `kind` says what the rest is. Behind such a tag serde does not know any more which field it was reading, so that
/// what cannot be read is read once more, as `look` says, to find the field.
fn tagged<T: DeserializeOwned>(
    value: &Value,
    at: &str,
    look: impl FnOnce(&str, &Value) -> Option<ApiError>,
) -> Result<T, ApiError> {
    body::read(value, at).map_err(|error| {
        let Value::Object(mut settings) = value.clone() else {
            return ApiError::invalid(at, "must be an object with a kind");
        };
        let kind_at = format!("{at}/kind");
        match settings.remove("kind") {
            None => error,
            Some(Value::String(kind)) => look(&kind, &Value::Object(settings)).unwrap_or_else(|| error.at(kind_at)),
            Some(_) => error.at(kind_at),
        }
    })
}

fn trouble<T: DeserializeOwned>(settings: &Value, at: &str) -> Option<ApiError> {
    body::read::<T>(settings, at).err()
}

/// The error of a part that may have several forms, said of the form that it was meant to have. `value` stands at `at`.
fn deeper(error: ApiError, value: &Value, at: &str) -> ApiError {
    let ApiError::Invalid { pointer, problem } = &error else {
        return error;
    };
    let Some(form) = problem.strip_prefix(NO_FORM) else {
        return error;
    };
    let part = pointer.strip_prefix(at).and_then(|pointer| value.pointer(pointer));
    match (form, part) {
        ("TemplatePart", Some(part @ Value::Object(_))) => match body::read::<Place>(part, pointer) {
            Err(inner) => deeper(inner, part, pointer),
            Ok(_) => error,
        },
        ("TemplatePart", _) => ApiError::invalid(pointer, "must be a text or a place"),
        ("DataPlace", _) => ApiError::invalid(
            pointer,
            "must be a JSON Pointer, or an object of pointer and withHeader",
        ),
        ("Take", _) => ApiError::invalid(
            pointer,
            "must be first, allButFirst, last, allButLast or a number from 0 to 255",
        ),
        _ => ApiError::invalid(pointer, "has none of the forms that it may have"),
    }
}

/// JSON Merge Patch ([RFC 7396](https://www.rfc-editor.org/rfc/rfc7396#section-2)), but for one thing: an object that gets another `kind`
/// begins anew, since the settings of one kind are errors in another.
pub(super) fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    let is_of_another_kind = |target: &Map<String, Value>| match (target.get("kind"), patch.get("kind")) {
        (Some(before), Some(after)) => !after.is_null() && before != after,
        _ => false,
    };
    let mut members = match target.take() {
        Value::Object(members) if !is_of_another_kind(&members) => members,
        _ => Map::new(),
    };
    for (name, member) in patch {
        if member.is_null() {
            members.remove(&name);
        } else {
            merge(members.entry(name).or_insert(Value::Null), member);
        }
    }
    *target = Value::Object(members);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_examples_of_the_rfc() {
        for (mut target, patch, result) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (
                json!({"a": {"b": "c"}}),
                json!({"a": {"b": "d", "c": null}}),
                json!({"a": {"b": "d"}}),
            ),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
            (json!({"a": "b"}), json!(["c"]), json!(["c"])),
            (json!({"a": "foo"}), json!(null), json!(null)),
            (json!({"a": "foo"}), json!("bar"), json!("bar")),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!([1, 2]), json!({"a": "b", "c": null}), json!({"a": "b"})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ] {
            merge(&mut target, patch);
            assert_eq!(target, result);
        }
    }

    #[test]
    fn another_kind_begins_anew() {
        let mut target = json!({"scheme": {"kind": "hmac", "header": "x-signature", "encoding": "hex"}});
        merge(&mut target, json!({"scheme": {"kind": "hmac", "encoding": "base64"}}));
        assert_eq!(
            target,
            json!({"scheme": {"kind": "hmac", "header": "x-signature", "encoding": "base64"}})
        );
        merge(&mut target, json!({"scheme": {"kind": "token", "header": "x-token"}}));
        assert_eq!(target, json!({"scheme": {"kind": "token", "header": "x-token"}}));
    }
}
