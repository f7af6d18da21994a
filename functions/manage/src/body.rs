//! Reading what a client sent: ids in paths, JSON in bodies.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use serde::de::{DeserializeOwned, IgnoredAny, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::error::Category;
use serde_path_to_error::{Path as FieldPath, Segment};

use crate::objects::Objects;
use crate::problem::ApiError;

/// An id in the path. A text that is no such id is answered as an id that is not there.
#[derive(Debug)]
pub(crate) struct Id<T>(pub(crate) T);

impl<T: FromStr, S: Send + Sync> FromRequestParts<S> for Id<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|_| ApiError::NotFound)?;
        text.parse().map(Self).map_err(|_| ApiError::NotFound)
    }
}

/// A JSON body. The types that it reads refuse unknown fields.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        // `application/json`, or any other type that is written in JSON (RFC 6839).
        let is_json = |essence: &str| {
            essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
        };
        if !is_json(&essence(request.headers())) {
            return Err(ApiError::UnsupportedMediaType);
        }
        parse(&bytes(request, state).await?).map(Self)
    }
}

/// A JSON Merge Patch (RFC 7396). Other kinds of patches are written in JSON too and mean something else.
#[derive(Debug)]
pub(crate) struct MergePatch<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for MergePatch<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let essence = essence(request.headers());
        if !matches!(essence.as_str(), "application/merge-patch+json" | "application/json") {
            return Err(ApiError::UnsupportedMediaType);
        }
        let body = bytes(request, state).await?;
        // The RFC lets such a patch take the place of the whole; and an array would pass for a patch that names nothing.
        if !body.trim_ascii_start().starts_with(b"{") {
            parse::<IgnoredAny>(&body)?;
            return Err(ApiError::invalid("", "must be an object"));
        }
        parse(&body).map(Self)
    }
}

async fn bytes<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, ApiError> {
    Bytes::from_request(request, state)
        .await
        .map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => ApiError::RequestTooLarge,
            _ => ApiError::Malformed("The body broke off.".into()),
        })
}

/// The media type without its parameters, in lower case.
fn essence(headers: &HeaderMap) -> String {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = value.unwrap_or_default().split(';').next().unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(Objects(&mut deserializer)).map_err(|error| {
        let pointer = pointer(error.path());
        let problem = error.into_inner();
        match problem.classify() {
            Category::Data => invalid(pointer, &problem),
            Category::Syntax | Category::Eof | Category::Io => ApiError::Malformed(problem.to_string()),
        }
    })?;
    deserializer
        .end()
        .map_err(|error| ApiError::Malformed(error.to_string()))?;
    Ok(value)
}

/// Reads what stands at `at` in a body that was read already.
pub(crate) fn read<T: DeserializeOwned>(value: &Value, at: &str) -> Result<T, ApiError> {
    serde_path_to_error::deserialize(Objects(value)).map_err(|error| {
        let pointer = format!("{at}{}", pointer(error.path()));
        invalid(pointer, &error.into_inner())
    })
}

/// Reads a part of a body that was kept as the text that it came as, and stands at `at`.
pub(crate) fn read_text<T: DeserializeOwned>(text: &str, at: &str) -> Result<T, ApiError> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(Objects(&mut deserializer)).map_err(|error| {
        let pointer = format!("{at}{}", pointer(error.path()));
        invalid(pointer, &error.into_inner())
    })
}

/// One of a few words. `serde_json` takes anything else in the place of an enum for broken JSON.
#[derive(Debug, Default)]
pub(crate) struct Word<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Word<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        T::deserialize(text.into_deserializer()).map(Self)
    }
}

/// The members of an object in the order that they came in, also those that came twice.
#[derive(Debug)]
pub(crate) struct Members<T>(pub(crate) Vec<(String, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Members<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
            type Value = Members<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<T>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Object(PhantomData))
    }
}

/// A value that does not fit. A field that is missing is named as one that is there and wrong.
fn invalid(pointer: String, problem: &serde_json::Error) -> ApiError {
    let problem = without_value(problem.to_string());
    let missing = problem
        .strip_prefix("missing field `")
        .and_then(|rest| rest.split_once('`'));
    match missing {
        Some((field, _)) => ApiError::invalid(format!("{pointer}/{}", token(field)), "is required"),
        None => ApiError::invalid(pointer, problem),
    }
}

/// What is wrong, without the value of a wrong type: it may be a secret in the wrong place. Nor the line and the column, which are those
/// of a part at times; the pointer says more.
fn without_value(problem: String) -> String {
    let problem = match problem.rsplit_once(" at line ") {
        Some((problem, _)) => problem.to_owned(),
        None => problem,
    };
    let found = problem.strip_prefix("invalid type: ");
    match found.and_then(|found| found.rsplit_once(", expected ")) {
        Some((found, expected)) => {
            let kind = found.split(['`', '"']).next().unwrap_or_default().trim_end();
            format!("invalid type: {kind}, expected {expected}")
        }
        None => problem,
    }
}

/// The place of a field as a JSON Pointer (RFC 6901).
fn pointer(path: &FieldPath) -> String {
    let mut pointer = String::new();
    for segment in path {
        let token = match segment {
            Segment::Seq { index } => index.to_string(),
            Segment::Map { key } => token(key),
            Segment::Enum { variant } => variant.clone(),
            Segment::Unknown => continue,
        };
        pointer.push('/');
        pointer.push_str(&token);
    }
    pointer
}

/// A name as part of a JSON Pointer.
pub(crate) fn token(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
