//! Makes the document of the operations: what all of them have in common is added here, so that no handler can forget it.

#![allow(clippy::expect_used, reason = "a test may fail by panicking")]

use std::collections::BTreeMap;

use axum::http::StatusCode;
use payload::organization::{Access, Role};
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    Content, Header, InfoBuilder, License, ObjectBuilder, OpenApi, PathItem, Ref, RefOr, Required, Response,
    ResponseBuilder, Schema, Server, Type, tag::TagBuilder,
};
use utoipa::{OpenApi as _, ToSchema};

use super::prose::prose;
use super::schemas;
use crate::idempotency::{MAX_NAME_BYTES, REPLAYED};
use crate::problem::{Kind, Problem, TYPE_PREFIX};

/// The name of the security scheme.
const KEY: &str = "key";

/// The headers that change what an operation can answer.
const IF_MATCH: &str = "if-match";
const IDEMPOTENCY_KEY: &str = "idempotency-key";

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
    ("Deliveries", "What was sent where, and what came back."),
    (
        "Jobs",
        "Replays and recoveries: work in the background, with its progress.",
    ),
    ("Trace", "Where it went, and why not elsewhere."),
    ("Keys", "API keys and their roles, for admins."),
    ("Audit", "Who changed what, and when, for admins."),
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
        if let Some(post) = &mut item.post {
            add_idempotency(post);
        }
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
    let mut kinds = follow(operation);
    let mut named: BTreeMap<StatusCode, String> = BTreeMap::new();
    for (status, answer) in &operation.responses.responses {
        if let RefOr::T(answer) = answer
            && let Some((words, about)) = named_kinds(&answer.description)
        {
            let status: StatusCode = status.parse().expect("a status");
            assert!(
                words.iter().all(|kind| kind.status() == status),
                "{about} has another status"
            );
            named.insert(status, format!("{about} Type: {}.", types(&words)));
            kinds.retain(|kind| !words.contains(kind));
            // The status is there also where nothing else has it.
            kinds.extend(words);
        }
    }
    let mut by_status: BTreeMap<StatusCode, Vec<Kind>> = BTreeMap::new();
    for kind in kinds {
        by_status.entry(kind.status()).or_default().push(kind);
    }
    for (status, kinds) in by_status {
        let answer = match named.remove(&status) {
            // What the handler says itself takes the place of what is said of these kinds everywhere.
            Some(about) => {
                let words = named_kinds(&described(operation, status))
                    .map(|(words, _)| words)
                    .unwrap_or_default();
                let others = kinds
                    .iter()
                    .filter(|kind| !words.contains(kind))
                    .map(|kind| about_kind(*kind));
                let text = std::iter::once(about).chain(others).collect::<Vec<_>>().join("\n\n");
                RefOr::T(response(status, words.first().copied(), text))
            }
            None => {
                let name = name_of(&kinds);
                answers.entry(name.clone()).or_insert_with(|| {
                    let text: Vec<String> = kinds.iter().map(|kind| about_kind(*kind)).collect();
                    response(status, kinds.first().copied(), text.join("\n\n"))
                });
                Ref::from_response_name(name).into()
            }
        };
        operation.responses.responses.insert(status.as_str().into(), answer);
    }
}

/// What an operation says of a status.
fn described(operation: &Operation, status: StatusCode) -> String {
    match operation.responses.responses.get(status.as_str()) {
        Some(RefOr::T(answer)) => answer.description.clone(),
        _ => String::new(),
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
fn follow(operation: &Operation) -> Vec<Kind> {
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

/// A POST takes an idempotency key, whichever it is: they are looked at before its handler.
fn add_idempotency(operation: &mut Operation) {
    let parameter = ParameterBuilder::new()
        .name(IDEMPOTENCY_KEY)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(
            "A text of the client's own for this request, such as a UUID: sent again within a day, it is answered as it was and does \
             nothing more.",
        ))
        .schema(Some(
            ObjectBuilder::new()
                .schema_type(Type::String)
                .min_length(Some(1))
                .max_length(Some(MAX_NAME_BYTES))
                .pattern(Some("^[!-~]([ -~]*[!-~])?$")),
        ));
    operation
        .parameters
        .get_or_insert_default()
        .push(parameter.build().into());
    for (status, answer) in &mut operation.responses.responses {
        if let RefOr::T(answer) = answer
            && status.starts_with('2')
        {
            let mut replayed = Header::new(
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .enum_values(Some(["true"])),
            );
            replayed.description =
                Some("There where the answer was given before, to the same `Idempotency-Key`.".into());
            answer.headers.insert(REPLAYED.as_str().into(), replayed.into());
        }
    }
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
fn about_kind(kind: Kind) -> String {
    let about = match kind {
        Kind::Unauthorized => "There is no key, or it opens nothing.",
        Kind::Forbidden => "The role of the key may not do this.",
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
    };
    format!("{about} Type: {}.", types(&[kind]))
}

fn response(status: StatusCode, kind: Option<Kind>, about: String) -> Response {
    let mut content = Content::new(Some(Ref::from_schema_name(Problem::name())));
    content.example = kind.map(example);
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
