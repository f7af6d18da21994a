//! The schema of a filter, for the OpenAPI document: docs/FILTERS.md in short.

use serde_json::json;
use utoipa::openapi::schema::AdditionalProperties;
use utoipa::openapi::{ArrayBuilder, Object, ObjectBuilder, OneOfBuilder, Ref, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::lists::List;
use super::{Filter, MAX_ENTRIES, MAX_ENTRY_BYTES, MAX_FILTER_BYTES, MAX_PATTERN_BYTES};

impl PartialSchema for Filter {
    fn schema() -> RefOr<Schema> {
        let filter = ObjectBuilder::new()
            .schema_type(Type::Object)
            .description(Some(format!(
                "Which events a webhook wants: everything that its parts say must hold. A part that is absent, or a list that is empty, \
                 does not restrict. At most {MAX_FILTER_BYTES} bytes of JSON."
            )))
            .additional_properties(Some(AdditionalProperties::FreeForm(false)))
            .examples([json!({"types": ["live.*"], "pattern": {"data": {"state": ["live", "ended"]}}})]);
        let filter = List::ALL
            .into_iter()
            .fold(filter, |filter, list| filter.property(list.name(), entries(list)));
        filter.property("pattern", Ref::from_schema_name("EventPattern")).into()
    }
}

impl ToSchema for Filter {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push(("EventPattern".into(), event_pattern()));
    }
}

fn entries(list: List) -> ArrayBuilder {
    let about = match list {
        List::Sources => "Ids of sources, compared with `source.id`.",
        List::Types => "Compared with `type`; `*` stands for any run of characters.",
        List::Applications => "Compared with `application`.",
        List::Categories => "Compared with `category`.",
        List::Actions => "Compared with `action`.",
        List::Entities => "Compared with `entity.type`; `*` stands for any run of characters.",
        List::Pools => "Compared with `scope.pool`.",
        List::Stations => "Compared with `scope.station`.",
        List::Locales => "Compared with each of `locales.updated` and `locales.inherited`.",
    };
    let entry = ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1))
        .max_length(Some(MAX_ENTRY_BYTES));
    ArrayBuilder::new()
        .description(Some(about))
        .max_items(Some(MAX_ENTRIES))
        .items(entry)
}

fn event_pattern() -> RefOr<Schema> {
    let text = ObjectBuilder::new()
        .schema_type(Type::String)
        .max_length(Some(MAX_PATTERN_BYTES))
        .description(Some("The text of such an object."));
    OneOfBuilder::new()
        .description(Some(
            "An event pattern as [Amazon EventBridge](https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html) \
             has them, over the whole common payload: wherever the event has a value, it has a list of what that value may be.",
        ))
        .item(Object::with_type(Type::Object))
        .item(text)
        .examples([json!({"data": {"state": ["live"], "amount": [{"numeric": [">", 1000]}]}})])
        .into()
}
