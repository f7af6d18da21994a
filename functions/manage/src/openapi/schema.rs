//! Schemas that do not follow from a type, because what is read is a secret, or kept as the text that it came as. The fields name them
//! with `value_type`.

use payload::event::EventMeta;
use payload::webhook::{MAX_HEADER_VALUE_BYTES, MAX_HEADERS};
use serde_json::{Value, json};
use utoipa::openapi::schema::{AdditionalProperties, SchemaType};
use utoipa::openapi::{KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::webhooks::MAX_WAIT;

/// An event as every webhook receives it.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "only its schema is of use: what it is about is written from its parts"
)]
pub(crate) struct CommonPayload {
    #[serde(flatten)]
    meta: EventMeta,
    /// The provider's own object, unchanged: any JSON value.
    data: Value,
    /// The previous values of what changed, where the provider sends them: any JSON value.
    #[serde(rename = "previousAttributes")]
    #[schema(required = false)]
    previous_attributes: Value,
}

/// An event in the common payload, as far as a filter looks at it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is of use: the text is kept as it came")]
pub(crate) struct EventToFilter {
    #[serde(flatten)]
    meta: EventMeta,
    /// The provider's own object: any JSON value.
    #[schema(required = false)]
    data: Value,
    /// The previous values of what changed: any JSON value.
    #[serde(rename = "previousAttributes")]
    #[schema(required = false)]
    previous_attributes: Value,
}

/// Declares a type that is nothing but a schema.
macro_rules! schemas {
    ($($(#[$doc:meta])* $name:ident = $schema:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub(crate) enum $name {}

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                $schema.into()
            }
        }

        impl ToSchema for $name {}
    )*};
}

schemas! {
    /// The status that a source answers with when all is well.
    SuccessStatus = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .enum_values(Some([200, 202, 204]));

    /// What an event is about.
    Content = ObjectBuilder::new()
        .schema_type(SchemaType::Array(vec![
            Type::Object,
            Type::Array,
            Type::String,
            Type::Number,
            Type::Boolean,
        ]))
        .examples([json!({"report": 42})]);

    /// How long to wait before an attempt.
    Wait = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .description(Some("Seconds."))
        .minimum(Some(1))
        .maximum(Some(MAX_WAIT));

    /// The headers that a destination wants.
    Headers = headers(SchemaType::Type(Type::String), MAX_HEADERS, &json!({"X-Api-Key": "a-key-of-the-destination"}));

    /// A patch of them.
    HeadersPatch = headers(
        SchemaType::Array(vec![Type::String, Type::Null]),
        // As many as may go, and as many as may come.
        2 * MAX_HEADERS,
        &json!({"X-Api-Key": null}),
    );
}

fn headers(value: SchemaType, max: usize, example: &Value) -> ObjectBuilder {
    let name = ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some("^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}$"));
    let value = ObjectBuilder::new()
        .schema_type(value)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Password)))
        .write_only(true)
        .max_length(Some(MAX_HEADER_VALUE_BYTES))
        // Visible characters, and spaces between them.
        .pattern(Some("^[!-~]([ -~]*[!-~])?$"));
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some(
            "Values by the names of headers. Names that Hookline or the connection sets by itself are refused, in any case: `host`, \
             `content-type`, `webhook-…`, `hookline-…`, `proxy-…` and the like.",
        ))
        .property_names(Some(name))
        .additional_properties(Some(AdditionalProperties::RefOr(value.into())))
        .max_properties(Some(max))
        .examples([example.clone()])
}
