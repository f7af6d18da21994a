//! Makes the document of the operations: what all of them have in common is added here, so that no handler can forget it.

#![allow(clippy::expect_used, reason = "a test may fail by panicking")]

use std::collections::BTreeMap;

use axum::http::StatusCode;
use payload::organization::{Access, Role};
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    Content, Header, InfoBuilder, License, ObjectBuilder, OpenApi, PathItem, Ref, RefOr, Response, ResponseBuilder,
    Schema, Server, Type, tag::TagBuilder,
};
use utoipa::{OpenApi as _, ToSchema};

use super::prose::prose;
use super::schemas;
use crate::problem::{Kind, Problem, TYPE_PREFIX};

/// The name of the security scheme.
const KEY: &str = "key";

/// What the document is about, for whoever opens it first.
const DESCRIPTION: &str = include_str!("description.md");

/// The groups of operations, in the order in which they are read best.
const TAGS: &[(&str, &str)] = &[
    (
        "Sources",
        "Providers' connections to Hookline: a preset or a scheme of its own, and secrets.",
    ),
    ("Webhooks", "Where to deliver: a URL, a format, a filter."),
    (
        "Events",
        "What was received and verified, or published here, and what became of it.",
    ),
    ("Receipts", "Requests as they arrived, and what was decided about each."),
    ("Documentation", "This document, for programs and for people."),
];

/// The whole document.
pub(super) fn document() -> OpenApi {
    let mut api = crate::Operations::openapi();
    api.info = InfoBuilder::new()
        .title("Hookline")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(DESCRIPTION))
        .license(Some(license()))
        .build();
    api.servers = Some(vec![Server::new("/")]);
    api.tags = Some(
        TAGS.iter()
            .map(|(name, about)| TagBuilder::new().name(*name).description(Some(*about)).build())
            .collect(),
    );
    let mut components = api.components.take().unwrap_or_default();
    components.schemas.insert(Problem::name().into_owned(), problem());
    components.add_security_scheme(
        KEY,
        SecurityScheme::Http(
            HttpBuilder::new()
                .scheme(HttpAuthScheme::Bearer)
                .bearer_format("hk_…")
                .description(Some(
                    "An API key of one organization: `Authorization: Bearer hk_…`. Its role says what it may do.",
                ))
                .build(),
        ),
    );
    let mut answers = BTreeMap::new();
    for item in api.paths.paths.values_mut() {
        for operation in operations(item) {
            complete(operation, &mut answers);
        }
    }
    components
        .responses
        .extend(answers.into_iter().map(|(name, answer)| (name, RefOr::T(answer))));
    api.components = Some(components);
    schemas::tidy(&mut api);
    api
}

fn license() -> License {
    let mut license = License::new("Apache License 2.0");
    license.identifier = Some(env!("CARGO_PKG_LICENSE").into());
    license
}

/// The operations under one path.
pub(super) fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [
        &mut item.get,
        &mut item.post,
        &mut item.put,
        &mut item.patch,
        &mut item.delete,
    ]
    .into_iter()
    .flatten()
}

/// What a handler names in the place of roles, in its security requirement.
pub(super) fn access(word: &str) -> Access {
    match word {
        "read" => Access::Read,
        "publish" => Access::Publish,
        "edit" => Access::Edit,
        "administer" => Access::Administer,
        other => panic!("{other} is nothing that a key may do"),
    }
}

/// Adds to an operation what it has in common with others: the roles that may call it, and the problems that it can answer with.
fn complete(operation: &mut Operation, answers: &mut BTreeMap<String, Response>) {
    operation.summary = operation.summary.as_deref().map(prose);
    let required = serde_json::to_value(operation.security.take()).expect("requirements are JSON");
    let Some(word) = required[0][KEY][0].as_str() else {
        operation.security = Some(vec![utoipa::openapi::SecurityRequirement::default()]);
        return;
    };
    let roles: Vec<&str> = Role::ALL
        .iter()
        .filter(|role| role.may(access(word)))
        .map(|role| role.as_str())
        .collect();
    operation.security = Some(vec![utoipa::openapi::SecurityRequirement::new(KEY, roles.clone())]);
    let about = format!("Needs a key of the role {}.", in_words(&roles));
    operation.description = Some(match operation.description.take() {
        Some(description) => format!("{}\n\n{about}", prose(&description)),
        None => about,
    });
    for (status, kinds) in follow(operation) {
        let name = name_of(&kinds);
        answers
            .entry(name.clone())
            .or_insert_with(|| response(status, &kinds, None));
        operation
            .responses
            .responses
            .entry(status.as_str().into())
            .or_insert_with(|| Ref::from_response_name(name).into());
    }
    for (named, answer) in &mut operation.responses.responses {
        if let RefOr::T(described) = answer
            && let Some((kinds, about)) = named_kinds(&described.description)
        {
            let status: StatusCode = named.parse().expect("a status");
            *described = response(status, &kinds, Some(about));
        }
    }
}

/// The kinds of problems that a handler names itself: `[limit-reached, conflict] What this means here.`
fn named_kinds(description: &str) -> Option<(Vec<Kind>, &str)> {
    let (words, about) = description.strip_prefix('[')?.split_once("] ")?;
    let kind = |word: &str| {
        let found = Kind::ALL.iter().find(|kind| kind.word() == word);
        *found.unwrap_or_else(|| panic!("{word} is no kind of problem"))
    };
    Some((words.split(", ").map(kind).collect(), about))
}

/// The name of a shared answer: `InvalidFieldOrInvalidParameter`.
fn name_of(kinds: &[Kind]) -> String {
    let names: Vec<String> = kinds.iter().map(|kind| format!("{kind:?}")).collect();
    names.join("Or")
}

fn in_words(roles: &[&str]) -> String {
    let quoted: Vec<String> = roles.iter().map(|role| format!("`{role}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

/// The problems that an operation can answer with because of its shape.
fn follow(operation: &Operation) -> BTreeMap<StatusCode, Vec<Kind>> {
    let has_parameter_in = |place: ParameterIn| {
        let mut parameters = operation.parameters.iter().flatten();
        parameters.any(|parameter| matches!(parameter, RefOr::T(parameter) if parameter.parameter_in == place))
    };
    let mut kinds = vec![
        Kind::Unauthorized,
        Kind::Forbidden,
        Kind::InternalError,
        Kind::Unavailable,
    ];
    if operation.request_body.is_some() {
        kinds.extend([
            Kind::MalformedJson,
            Kind::ContentTooLarge,
            Kind::UnsupportedMediaType,
            Kind::InvalidField,
        ]);
    }
    if has_parameter_in(ParameterIn::Query) {
        kinds.push(Kind::InvalidParameter);
    }
    if has_parameter_in(ParameterIn::Path) {
        kinds.push(Kind::NotFound);
    }
    let mut by_status: BTreeMap<StatusCode, Vec<Kind>> = BTreeMap::new();
    for kind in kinds {
        by_status.entry(kind.status()).or_default().push(kind);
    }
    by_status
}

fn response(status: StatusCode, kinds: &[Kind], described: Option<&str>) -> Response {
    let about = described.unwrap_or_else(|| match status {
        StatusCode::BAD_REQUEST => "The body is no JSON.",
        StatusCode::UNAUTHORIZED => "There is no key, or it opens nothing.",
        StatusCode::FORBIDDEN => "The role of the key may not do this.",
        StatusCode::NOT_FOUND => "It is not there, or belongs to another organization.",
        StatusCode::PAYLOAD_TOO_LARGE => "The body is too long.",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "The body is no JSON by its content type.",
        StatusCode::UNPROCESSABLE_ENTITY => "A field cannot be right; `pointer` says which.",
        StatusCode::INTERNAL_SERVER_ERROR => "A failure of Hookline's own.",
        StatusCode::SERVICE_UNAVAILABLE => "It could not be done now. Nothing was lost; try again.",
        other => panic!("{other} has no description"),
    });
    let types: Vec<String> = kinds
        .iter()
        .map(|kind| format!("`{TYPE_PREFIX}{}`", kind.word()))
        .collect();
    let mut content = Content::new(Some(Ref::from_schema_name(Problem::name())));
    if let [kind, ..] = kinds {
        content.example = Some(example(*kind));
    }
    let response = ResponseBuilder::new()
        .description(format!("{about} Type: {}.", types.join(" or ")))
        .content("application/problem+json", content);
    let text = |about: &str| {
        let mut header = Header::new(ObjectBuilder::new().schema_type(Type::String));
        header.description = Some(about.into());
        header
    };
    match status {
        StatusCode::UNAUTHORIZED => response.header("www-authenticate", text("`Bearer`, with the realm (RFC 6750).")),
        StatusCode::SERVICE_UNAVAILABLE => response.header("retry-after", text("After how many seconds to try again.")),
        _ => response,
    }
    .build()
}

/// A problem as it may look.
fn example(kind: Kind) -> serde_json::Value {
    let mut example = serde_json::json!({
        "type": format!("{TYPE_PREFIX}{}", kind.word()),
        "title": kind.title(),
        "status": kind.status().as_u16(),
        "detail": "One sentence on what happened.",
    });
    if kind == Kind::InvalidField {
        example["detail"] = "is required".into();
        example["pointer"] = "/name".into();
    }
    if kind == Kind::InvalidParameter {
        example["detail"] = "must be a whole number from 1 to 100".into();
        example["parameter"] = "limit".into();
    }
    example
}

/// The schema of problems, with the list of their types from the code.
fn problem() -> RefOr<Schema> {
    let types: Vec<String> = Kind::ALL
        .iter()
        .map(|kind| format!("{TYPE_PREFIX}{}", kind.word()))
        .collect();
    let RefOr::T(Schema::Object(mut object)) = <Problem as utoipa::PartialSchema>::schema() else {
        panic!("a problem is an object");
    };
    let kind = ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some("What is the matter: a stable word for programs."))
        .enum_values(Some(types));
    object.properties.insert("type".into(), kind.into());
    RefOr::T(Schema::Object(object))
}
