//! Puts the derived schemas in order: says what serde does and the derive cannot know.

#![allow(clippy::expect_used, reason = "a test may fail by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;
use utoipa::openapi::schema::{AdditionalProperties, ArrayItems, SchemaType};
use utoipa::openapi::{Components, KnownFormat, Object, OneOf, OpenApi, RefOr, Schema, SchemaFormat, Type};

use super::document::operations;
use super::prose::prose;

/// What the address of every schema begins with.
const SCHEMAS: &str = "#/components/schemas/";

/// Puts all schemas of the document in order.
pub(super) fn tidy(api: &mut OpenApi) {
    let Some(mut components) = api.components.take() else {
        return;
    };
    for schema in components.schemas.values_mut() {
        walk(schema, &mut bound);
        walk(schema, &mut describe);
        walk(schema, &mut lift);
    }
    for operation in api.paths.paths.values_mut().flat_map(operations) {
        for parameter in operation.parameters.iter_mut().flatten() {
            if let RefOr::T(parameter) = parameter
                && let Some(schema) = &mut parameter.schema
            {
                walk(schema, &mut bound);
                // There is no way to write it there.
                not_null(schema);
            }
        }
    }
    let before = components.schemas.clone();
    for schema in components.schemas.values_mut() {
        walk(schema, &mut |schema| merge(schema, &before));
    }
    let (requests, answers) = uses(api, &components);
    let sent = reached(requests, &components.schemas);
    let shown = reached(answers, &components.schemas);
    components
        .schemas
        .retain(|name, _| sent.contains(name) || shown.contains(name));
    for (name, schema) in &mut components.schemas {
        if !sent.contains(name) {
            walk(schema, &mut without_null);
        }
    }
    api.components = Some(components);
}

/// Calls `visit` for a schema and all schemas in it, the inner ones first.
fn walk(schema: &mut RefOr<Schema>, visit: &mut impl FnMut(&mut RefOr<Schema>)) {
    if let RefOr::T(inner) = schema {
        match inner {
            Schema::Array(array) => {
                if let ArrayItems::RefOrSchema(items) = &mut array.items {
                    walk(items, visit);
                }
            }
            Schema::Object(object) => {
                object
                    .properties
                    .values_mut()
                    .for_each(|property| walk(property, visit));
                if let Some(AdditionalProperties::RefOr(value)) = object.additional_properties.as_deref_mut() {
                    walk(value, visit);
                }
            }
            Schema::OneOf(one) => one.items.iter_mut().for_each(|item| walk(item, visit)),
            Schema::AllOf(all) => all.items.iter_mut().for_each(|item| walk(item, visit)),
            Schema::AnyOf(any) => any.items.iter_mut().for_each(|item| walk(item, visit)),
            _ => {}
        }
    }
    visit(schema);
}

/// Objects that are flattened into one become one: each part alone would refuse the fields of the others.
fn merge(schema: &mut RefOr<Schema>, schemas: &BTreeMap<String, RefOr<Schema>>) {
    let RefOr::T(Schema::AllOf(all)) = schema else {
        return;
    };
    let parts: Option<Vec<&Object>> = all.items.iter().map(|item| object(item, schemas)).collect();
    let Some(parts) = parts else {
        return;
    };
    let mut merged = Object::with_type(Type::Object);
    merged.description.clone_from(&all.description);
    // What tells the variants of an enum apart stands in the last part, and is read first.
    for part in parts.iter().rev() {
        merged.properties.extend(part.properties.clone());
        merged.required.extend(part.required.iter().cloned());
        if part.additional_properties.is_some() {
            merged.additional_properties.clone_from(&part.additional_properties);
        }
    }
    *schema = RefOr::T(Schema::Object(merged));
}

fn object<'a>(schema: &'a RefOr<Schema>, schemas: &'a BTreeMap<String, RefOr<Schema>>) -> Option<&'a Object> {
    match schema {
        RefOr::T(Schema::Object(object)) => Some(object),
        RefOr::Ref(reference) => object(schemas.get(reference.ref_location.strip_prefix(SCHEMAS)?)?, schemas),
        RefOr::T(_) => None,
    }
}

/// What is said of it, without what only rustdoc understands.
fn describe(schema: &mut RefOr<Schema>) {
    let description = match schema {
        RefOr::Ref(reference) => {
            reference.description = prose(&reference.description);
            return;
        }
        RefOr::T(Schema::Array(array)) => &mut array.description,
        RefOr::T(Schema::Object(object)) => &mut object.description,
        RefOr::T(Schema::OneOf(one)) => &mut one.description,
        RefOr::T(Schema::AllOf(all)) => &mut all.description,
        RefOr::T(Schema::AnyOf(any)) => &mut any.description,
        RefOr::T(_) => return,
    };
    *description = description.as_deref().map(prose);
}

/// A number of the code ends somewhere. Its format says no more then, and is none that JSON Schema knows.
fn bound(schema: &mut RefOr<Schema>) {
    let RefOr::T(Schema::Object(object)) = schema else {
        return;
    };
    let Some(SchemaFormat::KnownFormat(format)) = &object.format else {
        return;
    };
    let maximum = match format {
        KnownFormat::UInt8 => u8::MAX.into(),
        KnownFormat::UInt16 => u16::MAX.into(),
        KnownFormat::UInt32 => u32::MAX.into(),
        KnownFormat::UInt64 => {
            object.format = None;
            return;
        }
        _ => return,
    };
    object.format = None;
    object.maximum.get_or_insert(maximum);
}

/// What is said of a field that may be `null` stands beside the field's type, and not in one of its forms.
fn lift(schema: &mut RefOr<Schema>) {
    let RefOr::T(Schema::OneOf(one)) = schema else {
        return;
    };
    if let Some(RefOr::Ref(reference)) = value_of(one)
        && one.description.is_none()
        && !reference.description.is_empty()
    {
        let description = reference.description.clone();
        one.description = Some(description);
        for item in &mut one.items {
            if let RefOr::Ref(reference) = item {
                reference.description.clear();
            }
        }
    }
}

/// What it is where it is not `null`, of a schema that is one or the other.
fn value_of(one: &OneOf) -> Option<&RefOr<Schema>> {
    let is_null = |item: &&RefOr<Schema>| match item {
        RefOr::T(Schema::Object(object)) => object.schema_type == SchemaType::Type(Type::Null),
        _ => false,
    };
    let has_null = one.items.iter().any(|item| is_null(&item));
    let mut others = one.items.iter().filter(|item| !is_null(item));
    match (others.next(), others.next()) {
        (Some(value), None) if has_null => Some(value),
        _ => None,
    }
}

/// Of an answer: a field that may be absent is never `null`. (serde leaves it out instead.)
fn without_null(schema: &mut RefOr<Schema>) {
    let RefOr::T(Schema::Object(object)) = schema else {
        return;
    };
    let required: BTreeSet<String> = object.required.iter().cloned().collect();
    for (name, property) in &mut object.properties {
        if !required.contains(name) {
            not_null(property);
        }
    }
}

fn not_null(schema: &mut RefOr<Schema>) {
    match schema {
        RefOr::T(Schema::Object(object)) => drop_null(&mut object.schema_type),
        RefOr::T(Schema::Array(array)) => drop_null(&mut array.schema_type),
        RefOr::T(Schema::OneOf(one)) => {
            if let Some(value) = value_of(one) {
                let mut value = value.clone();
                if let (RefOr::Ref(reference), Some(description)) = (&mut value, &one.description) {
                    reference.description.clone_from(description);
                }
                *schema = value;
            }
        }
        _ => {}
    }
}

fn drop_null(schema_type: &mut SchemaType) {
    if let SchemaType::Array(types) = schema_type {
        types.retain(|one| *one != Type::Null);
        if let [one] = types.as_slice() {
            *schema_type = SchemaType::Type(one.clone());
        }
    }
}

/// The names of the schemas that requests and answers name themselves.
fn uses(api: &mut OpenApi, components: &Components) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut requests, mut answers) = (BTreeSet::new(), BTreeSet::new());
    for operation in api.paths.paths.values_mut().flat_map(operations) {
        references(&operation.parameters, &mut requests);
        references(&operation.request_body, &mut requests);
        references(&operation.responses, &mut answers);
    }
    references(&components.responses, &mut answers);
    (requests, answers)
}

/// These schemas, and all that they are made of.
fn reached(mut names: BTreeSet<String>, schemas: &BTreeMap<String, RefOr<Schema>>) -> BTreeSet<String> {
    loop {
        let mut more = names.clone();
        for (_, schema) in schemas.iter().filter(|(name, _)| names.contains(*name)) {
            references(schema, &mut more);
        }
        if more == names {
            return names;
        }
        names = more;
    }
}

/// Adds the names of the schemas that something refers to.
fn references(thing: &impl Serialize, names: &mut BTreeSet<String>) {
    fn collect(value: &Value, names: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                let named = members.get("$ref").and_then(Value::as_str);
                names.extend(named.and_then(|name| name.strip_prefix(SCHEMAS)).map(str::to_owned));
                members.values().for_each(|member| collect(member, names));
            }
            Value::Array(items) => items.iter().for_each(|item| collect(item, names)),
            _ => {}
        }
    }
    collect(&serde_json::to_value(thing).expect("a document is JSON"), names);
}
