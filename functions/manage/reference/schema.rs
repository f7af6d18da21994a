//! JSON Schema in words and tables.

use maud::{Markup, html};
use serde_json::Value;

use super::members;
use super::text::{codes, inline, markdown, str_of};

/// What the id of a schema's article is.
pub(crate) fn anchor(name: &str) -> String {
    format!("schema-{name}")
}

/// What stands where a reference leads; the value itself where it is none.
pub(crate) fn resolve<'a>(api: &'a Value, value: &'a Value) -> Option<&'a Value> {
    match value["$ref"].as_str() {
        Some(reference) => api.pointer(reference.strip_prefix('#')?),
        None => Some(value),
    }
}

/// The forms of a schema that has several.
fn forms(schema: &Value) -> Option<&Vec<Value>> {
    ["oneOf", "anyOf"].iter().find_map(|keyword| schema[keyword].as_array())
}

/// What a schema takes, in a few words.
pub(crate) fn kind(schema: &Value) -> Markup {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap_or_default();
        return html! { a href=(format!("#{}", anchor(name))) { (name) } };
    }
    if let Some(forms) = forms(schema) {
        return listed(forms.iter().map(kind));
    }
    if let Some(words) = schema["enum"].as_array() {
        return html! { "one of " (codes(words.iter().map(word), ", ")) };
    }
    match &schema["type"] {
        Value::String(name) => one(name, schema),
        Value::Array(names) => listed(names.iter().filter_map(Value::as_str).map(|name| one(name, schema))),
        _ => html! { "any value" },
    }
}

/// A value as it is written in JSON; a text without its quotes.
fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn listed(kinds: impl Iterator<Item = Markup>) -> Markup {
    html! {
        @for (index, kind) in kinds.enumerate() {
            @if index > 0 { " or " }
            (kind)
        }
    }
}

fn one(name: &str, schema: &Value) -> Markup {
    let values = &schema["additionalProperties"];
    html! {
        @match name {
            "array" => { "array of " (kind(&schema["items"])) }
            "object" if values.is_object() => { "object of " (kind(values)) }
            "string" if schema["format"].is_string() => { "string (" (str_of(schema, "/format")) ")" }
            other => (other)
        }
    }
}

/// What else a value must keep to.
fn limits(schema: &Value) -> Vec<Markup> {
    let number = |keyword: &str| schema[keyword].as_u64();
    let range = |least: &str, most: &str, unit: &str| match (number(least), number(most)) {
        (Some(least), Some(most)) => Some(format!("{least} to {most}{unit}")),
        (Some(least), None) if least > 0 => Some(format!("at least {least}{unit}")),
        (None, Some(most)) => Some(format!("at most {most}{unit}")),
        _ => None,
    };
    let ranges = [
        range("minLength", "maxLength", " characters"),
        range("minItems", "maxItems", " entries"),
        range("minProperties", "maxProperties", " members"),
        range("minimum", "maximum", ""),
    ];
    let mut limits: Vec<Markup> = ranges.into_iter().flatten().map(|range| html! { (range) }).collect();
    if let Some(pattern) = schema["pattern"].as_str() {
        limits.push(html! { "matches " code { (pattern) } });
    }
    if let Some(default) = schema.get("default") {
        limits.push(html! { "default " code { (word(default)) } });
    }
    if schema["writeOnly"] == true {
        limits.push(html! { "never shown again" });
    }
    limits
}

/// What is said of a field: its description, and what its value must keep to.
fn about(description: &str, schema: &Value) -> Markup {
    let limits = limits(schema);
    html! {
        (inline(description))
        @if !limits.is_empty() {
            " " span.limits {
                @for (index, limit) in limits.into_iter().enumerate() {
                    @if index > 0 { " · " }
                    (limit)
                }
            }
        }
    }
}

/// The fields of an object as a table; nothing where it has none.
pub(crate) fn fields(schema: &Value) -> Markup {
    let required: Vec<&str> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let fields: Vec<(&String, &Value)> = members(schema, "/properties").collect();
    html! {
        @if !fields.is_empty() {
            div.scroll { table {
                thead { tr { th { "Field" } th { "Type" } th { "Meaning" } } }
                tbody {
                    @for (name, field) in fields {
                        tr {
                            td { code { (name) } @if required.contains(&name.as_str()) { " " span.required { "required" } } }
                            td { (kind(field)) }
                            td { (about(str_of(field, "/description"), field)) }
                        }
                    }
                }
            } }
        }
    }
}

/// Parameters as a table.
pub(crate) fn parameters(parameters: &[&Value]) -> Markup {
    html! {
        div.scroll { table {
            thead { tr { th { "Name" } th { "In" } th { "Type" } th { "Meaning" } } }
            tbody {
                @for parameter in parameters {
                    tr {
                        td { code { (str_of(parameter, "/name")) } @if parameter["required"] == true { " " span.required { "required" } } }
                        td { (str_of(parameter, "/in")) }
                        td { (kind(&parameter["schema"])) }
                        td { (about(str_of(parameter, "/description"), &parameter["schema"])) }
                    }
                }
            }
        } }
    }
}

/// All of a schema but its description.
pub(crate) fn body(schema: &Value) -> Markup {
    if let Some(all) = schema["allOf"].as_array() {
        return html! { @for part in all { (part_of(part)) } };
    }
    if let Some(forms) = forms(schema) {
        return html! {
            p { "One of:" }
            @for form in forms {
                div.form { (part_of(form)) }
            }
        };
    }
    let limits = about("", schema);
    html! {
        @if schema["properties"].is_object() {
            (fields(schema))
        } @else {
            p { (kind(schema)) (limits) }
        }
    }
}

fn part_of(part: &Value) -> Markup {
    html! {
        @if part["properties"].is_object() {
            (markdown(str_of(part, "/description")))
            (fields(part))
        } @else if part.get("$ref").is_none() && forms(part).is_some() {
            (body(part))
        } @else {
            p { (kind(part)) " " (inline(str_of(part, "/description"))) }
        }
    }
}
