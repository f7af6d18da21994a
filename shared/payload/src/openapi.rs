//! Schemas of what is written by hand in JSON, for the OpenAPI document. What follows from a type is derived beside it.

use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::TraceId;
use crate::scheme::{MAX_TEMPLATE_BYTES, Template};
use crate::webhook::{MAX_RATE, Rate};

impl PartialSchema for Template {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some(
                "Literal text and placeholders: `{id}`, `{timestamp}`, `{body}` (exactly once), `{method}`, `{url}`, `{query}` and \
                 `{header.NAME}`. A brace of the text itself is written twice.",
            ))
            .max_length(Some(MAX_TEMPLATE_BYTES))
            .examples(["{timestamp}.{body}"])
            .into()
    }
}

impl ToSchema for Template {}

impl PartialSchema for Rate {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::Integer)
            .description(Some("Requests a minute."))
            .minimum(Some(1))
            .maximum(Some(MAX_RATE))
            .into()
    }
}

impl ToSchema for Rate {}

impl PartialSchema for TraceId {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some(
                "A trace id ([W3C Trace Context](https://www.w3.org/TR/trace-context/#trace-id)).",
            ))
            .pattern(Some("^[0-9a-f]{32}$"))
            .examples(["4bf92f3577b34da6a3ce929d0e0e4736"])
            .into()
    }
}

impl ToSchema for TraceId {}
