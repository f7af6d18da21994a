//! Examples: a request with curl, an answer as it may look.

use serde_json::{Map, Value, json};

use super::Operation;
use super::schema::resolve;
use super::text::str_of;

/// How deep an example goes: schemas may hold themselves.
const MAX_DEPTH: usize = 8;

/// A value that a schema takes: its own example, or one that is made of its parts.
pub(crate) fn sample(api: &Value, schema: &Value) -> Value {
    made(api, schema, 0)
}

fn made(api: &Value, schema: &Value, depth: usize) -> Value {
    let schema = resolve(api, schema).unwrap_or(schema);
    let given = ["/example", "/examples/0", "/default", "/enum/0"]
        .iter()
        .find_map(|at| schema.pointer(at));
    if let Some(given) = given {
        return given.clone();
    }
    if depth > MAX_DEPTH {
        return Value::Null;
    }
    if let Some(parts) = schema["allOf"].as_array() {
        let mut whole = Map::new();
        for part in parts {
            if let Value::Object(members) = made(api, part, depth + 1) {
                whole.extend(members);
            }
        }
        return Value::Object(whole);
    }
    if let Some(forms) = schema["oneOf"].as_array() {
        let form = forms.iter().find(|form| form["type"] != "null");
        return form.map_or(Value::Null, |form| made(api, form, depth + 1));
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds.first().and_then(Value::as_str),
        other => other.as_str(),
    };
    match kind {
        Some("object") => object(api, schema, depth),
        Some("array") => json!([made(api, &schema["items"], depth + 1)]),
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or(json!(1)),
        Some("boolean") => json!(true),
        Some("string") if schema["format"] == "date-time" => json!("2025-03-25T13:31:00Z"),
        Some("string") => json!("…"),
        _ => json!({}),
    }
}

/// The fields that are always there.
fn object(api: &Value, schema: &Value, depth: usize) -> Value {
    let required = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    let members = required.map(|name| (name.to_owned(), made(api, &schema["properties"][name], depth + 1)));
    Value::Object(members.collect())
}

/// JSON over several lines.
pub(crate) fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// The request on a command line.
pub(crate) fn curl(api: &Value, operation: &Operation<'_>) -> String {
    let mut path = operation.path.to_owned();
    for parameter in operation.parameters().filter(|parameter| parameter["in"] == "path") {
        let example = sample(api, &parameter["schema"]);
        let name = format!("{{{}}}", str_of(parameter, "/name"));
        path = path.replace(&name, example.as_str().unwrap_or_default());
    }
    let method = match operation.method.as_str() {
        "GET" => String::new(),
        other => format!("-X {other} "),
    };
    let mut lines = vec![format!("curl {method}\"$HOOKLINE{path}\"")];
    let is_open = operation.value["security"][0].as_object().is_none_or(Map::is_empty);
    if !is_open {
        lines.push("-H \"Authorization: Bearer $KEY\"".to_owned());
    }
    if let Some((types, body)) = operation.body() {
        lines.push(format!(
            "-H 'Content-Type: {}'",
            types.first().unwrap_or(&"application/json")
        ));
        let json = pretty(&sample(api, body)).replace('\'', r"'\''");
        lines.push(format!("-d '{json}'"));
    }
    lines.join(" \\\n  ")
}
