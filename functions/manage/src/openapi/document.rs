//! Makes the document of the operations: what all of them have in common is added here, so that no handler can forget it.

#![allow(clippy::expect_used, reason = "a test may fail by panicking")]

use std::collections::BTreeMap;

use payload::organization::{Access, Role};
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    Header, InfoBuilder, License, ObjectBuilder, OpenApi, PathItem, RefOr, Required, Response, Server, Type,
    tag::TagBuilder,
};
use utoipa::{OpenApi as _, ToSchema};

use super::problems::{self, IDEMPOTENCY_KEY};
use super::prose::prose;
use super::schemas;
use crate::idempotency::{MAX_NAME_BYTES, REPLAYED};
use crate::problem::Problem;

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
    components
        .schemas
        .insert(Problem::name().into_owned(), problems::schema());
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
    problems::add(operation, answers);
}

fn in_words(roles: &[&str]) -> String {
    let quoted: Vec<String> = roles.iter().map(|role| format!("`{role}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
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
