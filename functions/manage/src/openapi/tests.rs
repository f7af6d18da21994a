//! The document is true: it is the committed one, and it says what the handlers do.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::collections::HashSet;
use std::path::Path;
use std::{env, fs};

use axum::body::{Body, to_bytes};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, Request};
use payload::filter::{MAX_ENTRIES, MAX_ENTRY_BYTES};
use payload::organization::Role;
use payload::webhook::{MAX_NAME_CHARS, MAX_URL_BYTES};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::document::document;
use crate::tests::Client;

/// The variable that has the committed document written anew.
const UPDATE: &str = "UPDATE_OPENAPI";

#[test]
fn the_committed_document_is_that_of_the_code() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let made = document().to_pretty_json().unwrap() + "\n";
    if env::var_os(UPDATE).is_some() {
        fs::write(&file, &made).unwrap();
        return;
    }
    let committed = fs::read_to_string(&file).unwrap();
    assert!(
        committed == made,
        "docs/openapi.json is not what the code says any more: `{UPDATE}=1 cargo test -p manage --lib openapi` writes it anew"
    );
}

/// Method, path and description of each operation.
fn operations() -> Vec<(String, String, Value)> {
    let api = serde_json::to_value(document()).unwrap();
    let paths = api["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(path, item)| {
            let methods = item.as_object().unwrap().iter();
            methods.map(|(method, operation)| (method.to_uppercase(), path.clone(), operation.clone()))
        })
        .collect()
}

#[test]
fn each_operation_is_described() {
    let api = serde_json::to_value(document()).unwrap();
    let tags: Vec<&Value> = api["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).collect();
    let mut ids = HashSet::new();
    for (method, path, operation) in operations() {
        let id = operation["operationId"].as_str().unwrap().to_owned();
        assert!(ids.insert(id.clone()), "{id} is the name of two operations");
        let summary = operation["summary"].as_str().unwrap();
        assert!(
            (5..=90).contains(&summary.len()),
            "{id}: the summary is the first paragraph, and a short one: {summary}"
        );
        assert!(tags.contains(&&operation["tags"][0]), "{id} is in no group");
        let answers = operation["responses"].as_object().unwrap();
        assert!(
            answers.keys().any(|status| status.starts_with('2')),
            "{id} never succeeds"
        );
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            assert!(
                !parameter["description"].as_str().unwrap_or_default().is_empty(),
                "{id}: {parameter}"
            );
        }
        let placeholders = path.matches('{').count();
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let in_path = parameters.filter(|parameter| parameter["in"] == "path").count();
        assert_eq!(placeholders, in_path, "{method} {path}");
    }
}

/// What programs read must be said to people too.
#[test]
fn each_field_is_described() {
    fn walk(value: &Value, at: &str, api: &Value) {
        for (name, field) in value["properties"].as_object().into_iter().flatten() {
            let is_tag = field["enum"].as_array().is_some_and(|words| words.len() == 1);
            let own = field["description"].as_str();
            // Or that of what it refers to.
            let target = field["$ref"]
                .as_str()
                .and_then(|target| api.pointer(target.trim_start_matches('#')));
            let description = own.or_else(|| target?["description"].as_str()).unwrap_or_default();
            assert!(is_tag || !description.is_empty(), "{at}/{name} has no description");
        }
        match value {
            Value::Object(members) => members
                .iter()
                .for_each(|(name, member)| walk(member, &format!("{at}/{name}"), api)),
            Value::Array(items) => items.iter().for_each(|item| walk(item, at, api)),
            _ => {}
        }
    }
    let api = serde_json::to_value(document()).unwrap();
    walk(&api["components"]["schemas"], "", &api);
}

/// The derives take numbers only: here they are held against the names that the code has for them.
#[test]
fn limits_are_those_of_the_code() {
    let api = serde_json::to_value(document()).unwrap();
    for (schema, field, keyword, limit) in [
        ("NewSource", "name", "maxLength", MAX_NAME_CHARS),
        ("SourcePatch", "name", "maxLength", MAX_NAME_CHARS),
        (
            "NewSource",
            "verifyToken",
            "maxLength",
            crate::sources::MAX_VERIFY_TOKEN_BYTES,
        ),
        (
            "SourcePatch",
            "verifyToken",
            "maxLength",
            crate::sources::MAX_VERIFY_TOKEN_BYTES,
        ),
        (
            "SourcePatch",
            "previousSecretExpiresIn",
            "maximum",
            crate::rotation::MAX_OVERLAP as usize,
        ),
        ("NewWebhook", "name", "maxLength", MAX_NAME_CHARS),
        ("WebhookPatch", "name", "maxLength", MAX_NAME_CHARS),
        ("NewWebhook", "url", "maxLength", MAX_URL_BYTES),
        ("WebhookPatch", "url", "maxLength", MAX_URL_BYTES),
        (
            "NewWebhook",
            "schedule",
            "maxItems",
            crate::webhooks::MAX_SCHEDULE_ENTRIES,
        ),
        (
            "WebhookPatch",
            "schedule",
            "maxItems",
            crate::webhooks::MAX_SCHEDULE_ENTRIES,
        ),
        ("NewEvent", "type", "maxLength", crate::events::MAX_TYPE_BYTES),
        ("NewEvent", "id", "maxLength", crate::events::MAX_ID_BYTES),
        ("NewEvent", "summary", "maxLength", crate::events::MAX_FIELD_BYTES),
        ("NewEvent", "changes", "maxItems", crate::events::MAX_CHANGES),
        ("NewEntity", "id", "maxLength", crate::events::MAX_FIELD_BYTES),
        ("NewScope", "pool", "maxLength", crate::events::MAX_FIELD_BYTES),
        ("NewChange", "code", "maxLength", crate::events::MAX_ID_BYTES),
        ("ReplayFailed", "rate", "maximum", payload::job::MAX_RATE as usize),
        ("Recover", "rate", "maximum", payload::job::MAX_RATE as usize),
        ("NewKey", "name", "maxLength", MAX_NAME_CHARS),
        (
            "SourceSecretRotation",
            "previousExpiresIn",
            "maximum",
            crate::rotation::MAX_OVERLAP as usize,
        ),
        (
            "SourceTokenRotation",
            "previousExpiresIn",
            "maximum",
            crate::rotation::MAX_OVERLAP as usize,
        ),
        (
            "WebhookSecretRotation",
            "previousExpiresIn",
            "maximum",
            crate::rotation::MAX_OVERLAP as usize,
        ),
        (
            "NewWebhook",
            "description",
            "maxLength",
            crate::webhooks::MAX_DESCRIPTION_CHARS,
        ),
        (
            "WebhookPatch",
            "description",
            "maxLength",
            crate::webhooks::MAX_DESCRIPTION_CHARS,
        ),
        ("Filter", "types", "maxItems", MAX_ENTRIES),
    ] {
        let described = &api["components"]["schemas"][schema]["properties"][field][keyword];
        assert_eq!(*described, json!(limit), "{schema}.{field} {keyword}");
    }
    let entry = &api["components"]["schemas"]["Filter"]["properties"]["types"]["items"];
    assert_eq!(entry["maxLength"], json!(MAX_ENTRY_BYTES));
}

/// An answer of the API that need not be JSON.
async fn answer(
    client: &Client,
    method: &str,
    path: &str,
    key: Option<&str>,
    headers: &HeaderMap,
) -> (u16, HeaderMap, String) {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(key) = key {
        request = request.header(AUTHORIZATION, format!("Bearer {key}"));
    }
    let mut request = request
        .header(CONTENT_TYPE, "application/json")
        .body(Body::from("{}"))
        .unwrap();
    request.headers_mut().extend(headers.clone());
    let (head, body) = client.router.clone().oneshot(request).await.unwrap().into_parts();
    let text = String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().to_vec()).unwrap();
    (head.status.as_u16(), head.headers, text)
}

/// A path with ids of things that are not there.
fn concrete(api: &Value, path: &str, operation: &Value) -> String {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    parameters
        .filter(|parameter| parameter["in"] == "path")
        .fold(path.to_owned(), |path, parameter| {
            let schema = parameter["schema"]["$ref"].as_str().unwrap().trim_start_matches('#');
            let example = api.pointer(schema).unwrap()["examples"][0].as_str().unwrap();
            path.replace(&format!("{{{}}}", parameter["name"].as_str().unwrap()), example)
        })
}

#[tokio::test]
async fn the_roles_of_an_operation_are_those_that_may_call_it() {
    let client = Client::new();
    let none = HeaderMap::new();
    let api = serde_json::to_value(document()).unwrap();
    let mut keys = Vec::new();
    for role in Role::ALL {
        keys.push((role.as_str(), client.with_role(role.as_str()).await.key));
    }
    for (method, path, operation) in operations() {
        let path = concrete(&api, &path, &operation);
        let at = format!("{method} {path}");
        let allowed = &operation["security"][0]["key"];
        let (status, ..) = answer(&client, &method, &path, None, &none).await;
        assert_eq!(status == 401, allowed.is_array(), "{at} without a key: {status}");
        if !allowed.is_array() {
            continue;
        }
        for (role, key) in &keys {
            let (status, _, body) = answer(&client, &method, &path, Some(key), &none).await;
            let is_allowed = allowed.as_array().unwrap().contains(&json!(role));
            assert_eq!(status == 403, !is_allowed, "{at} by {role}: {status} {body}");
            let described = operation["responses"].get(status.to_string());
            assert!(described.is_some(), "{at} answers {status}, which is not described");
        }
    }
}

#[tokio::test]
async fn the_document_and_its_page_are_public_and_kept() {
    let client = Client::new();
    for (path, content_type) in [
        ("/openapi.json", "application/json"),
        ("/docs", "text/html; charset=utf-8"),
    ] {
        let (status, headers, body) = answer(&client, "GET", path, None, &HeaderMap::new()).await;
        assert_eq!(
            (status, &headers["content-type"]),
            (200, &content_type.parse().unwrap())
        );
        assert_eq!(headers["cache-control"], "public, max-age=300");
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert!(!body.is_empty());
        let tag = headers["etag"].to_str().unwrap();
        for (known, expected) in [
            (tag.to_owned(), 304),
            (format!("W/{tag}"), 304),
            (format!("\"other\", {tag}"), 304),
            ("*".to_owned(), 304),
            ("\"other\"".to_owned(), 200),
        ] {
            let condition = HeaderMap::from_iter([("if-none-match".parse().unwrap(), known.parse().unwrap())]);
            let (status, headers, again) = answer(&client, "GET", path, None, &condition).await;
            assert_eq!(
                (status, again.is_empty()),
                (expected, expected == 304),
                "{path} {known}"
            );
            assert_eq!(headers["etag"], *tag);
        }
    }
}

#[tokio::test]
async fn the_page_shows_every_operation_and_runs_nothing() {
    let (_, headers, page) = answer(&Client::new(), "GET", "/docs", None, &HeaderMap::new()).await;
    for (_, _, operation) in operations() {
        let id = operation["operationId"].as_str().unwrap();
        assert!(
            page.contains(&format!("<article id=\"{id}\">")),
            "{id} is not on the page"
        );
    }
    let lower = page.to_ascii_lowercase();
    for forbidden in [
        "<script",
        "<iframe",
        "<img",
        "<link",
        "javascript:",
        " onclick",
        " style=",
        "@import",
        "url(",
    ] {
        assert!(!lower.contains(forbidden), "{forbidden} on the page");
    }
    let policy = headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    let style = page.split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
    assert_eq!(style, super::STYLE, "the policy allows exactly this");
    // Each link within the page leads somewhere.
    for link in page.split("href=\"#").skip(1) {
        let target = link.split('"').next().unwrap();
        assert!(page.contains(&format!("id=\"{target}\"")), "#{target} is nowhere");
    }
}
