//! The problems that operations can answer with: one type for each kind, and each kind where it can appear.

#![allow(clippy::expect_used, reason = "a test may fail by panicking")]

use std::collections::BTreeMap;

use axum::http::StatusCode;
use utoipa::ToSchema;
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::{Content, Header, ObjectBuilder, Ref, RefOr, Response, ResponseBuilder, Schema, Type};

use crate::problem::{Kind, Problem, TYPE_PREFIX};

/// The headers that change what an operation can answer.
const IF_MATCH: &str = "if-match";
pub(super) const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// One thing that can go wrong.
struct Told {
    kinds: Vec<Kind>,
    about: String,
    /// Whether the operation says so itself. Otherwise it is the same everywhere.
    is_own: bool,
}

/// Adds to an operation the problems that it can answer with: those that it names itself, and those that follow from its shape. Answers that
/// are the same everywhere are put with the `shared` ones.
pub(super) fn add(operation: &mut Operation, shared: &mut BTreeMap<String, Response>) {
    let mut by_status: BTreeMap<StatusCode, Vec<Told>> = BTreeMap::new();
    for told in own(operation).into_iter().chain(following(operation)) {
        let status = told.kinds.first().expect("a kind").status();
        by_status.entry(status).or_default().push(told);
    }
    for (status, told) in by_status {
        let answer = if told.iter().any(|told| told.is_own) {
            RefOr::T(response(status, &told))
        } else {
            let name = name_of(&told);
            shared.entry(name.clone()).or_insert_with(|| response(status, &told));
            Ref::from_response_name(name).into()
        };
        operation.responses.responses.insert(status.as_str().into(), answer);
    }
}

/// What a handler says itself.
fn own(operation: &Operation) -> Vec<Told> {
    let mut told = Vec::new();
    for (status, answer) in &operation.responses.responses {
        if let RefOr::T(answer) = answer
            && let Some((kinds, about)) = named_kinds(&answer.description)
        {
            let status: StatusCode = status.parse().expect("a status");
            let is_right = kinds.iter().all(|kind| kind.status() == status);
            assert!(is_right, "{about} has another status");
            let about = about.to_owned();
            told.push(Told {
                kinds,
                about,
                is_own: true,
            });
        }
    }
    told
}

/// What follows from the operation's shape, where it does not say so itself.
fn following(operation: &Operation) -> Vec<Told> {
    let own: Vec<Kind> = own(operation).into_iter().flat_map(|told| told.kinds).collect();
    let others = kinds_by_shape(operation).into_iter().filter(|kind| !own.contains(kind));
    others
        .map(|kind| Told {
            kinds: vec![kind],
            about: about_kind(kind).to_owned(),
            is_own: false,
        })
        .collect()
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
fn name_of(told: &[Told]) -> String {
    let names: Vec<String> = told
        .iter()
        .flat_map(|told| &told.kinds)
        .map(|kind| format!("{kind:?}"))
        .collect();
    names.join("Or")
}

fn kinds_by_shape(operation: &Operation) -> Vec<Kind> {
    let parameters = || {
        operation
            .parameters
            .iter()
            .flatten()
            .filter_map(|parameter| match parameter {
                RefOr::T(parameter) => Some(parameter),
                RefOr::Ref(_) => None,
            })
    };
    let has_parameter_in = |place: ParameterIn| parameters().any(|parameter| parameter.parameter_in == place);
    let has_header = |name: &str| parameters().any(|parameter| parameter.name == name);
    let mut kinds = vec![
        Kind::Unauthorized,
        Kind::Forbidden,
        Kind::Suspended,
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
    if has_header(IF_MATCH) {
        kinds.push(Kind::PreconditionFailed);
    }
    if has_header(IDEMPOTENCY_KEY) {
        kinds.extend([
            Kind::InvalidHeader,
            Kind::IdempotencyInProgress,
            Kind::IdempotencyKeyReused,
        ]);
    }
    kinds
}

/// The types of problems in words.
fn types(kinds: &[Kind]) -> String {
    let types: Vec<String> = kinds
        .iter()
        .map(|kind| format!("`{TYPE_PREFIX}{}`", kind.word()))
        .collect();
    types.join(" or ")
}

/// What a kind of problem means wherever it appears.
fn about_kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Unauthorized => "There is no key, or it opens nothing.",
        Kind::Forbidden => "The role of the key may not do this.",
        Kind::Suspended => "The operator has suspended the organization.",
        Kind::NotFound => "It is not there, or belongs to another organization.",
        Kind::MethodNotAllowed => "This is there under other methods, which the header Allow names.",
        Kind::UnsupportedMediaType => "The body is no JSON by its content type.",
        Kind::ContentTooLarge => "The body is too long.",
        Kind::MalformedJson => "The body is no JSON.",
        Kind::InvalidField => "A field cannot be right; `pointer` says which.",
        Kind::InvalidParameter => "A parameter cannot be right; `parameter` says which.",
        Kind::InvalidHeader => "A header cannot be right.",
        Kind::LimitReached => "There are as many as there may be.",
        Kind::PreconditionFailed => "It is not any more what `If-Match` names.",
        Kind::OwnKey => "A key does not revoke itself.",
        Kind::NoValidSecret => "The webhook has no valid secret.",
        Kind::IdempotencyInProgress => "The same request is carried out at this moment.",
        Kind::IdempotencyKeyReused => "Something else was asked with this `Idempotency-Key`.",
        Kind::NotRejected => "The receipt is not rejected.",
        Kind::WebhookDisabled => "The webhook is disabled.",
        Kind::JobEnded => "The job has ended already.",
        Kind::Conflict => "It was changed at the same time.",
        Kind::Unavailable => "It could not be done now. Nothing was lost; try again.",
        Kind::InternalError => "A failure of Hookline's own.",
    }
}

fn response(status: StatusCode, told: &[Told]) -> Response {
    let sentences = told
        .iter()
        .map(|told| format!("{} Type: {}.", told.about, types(&told.kinds)));
    let about = sentences.collect::<Vec<_>>().join("\n\n");
    let first = told.iter().flat_map(|told| &told.kinds).next();
    let mut content = Content::new(Some(Ref::from_schema_name(Problem::name())));
    content.example = first.map(|kind| example(*kind));
    let response = ResponseBuilder::new()
        .description(about)
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
pub(super) fn schema() -> RefOr<Schema> {
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
