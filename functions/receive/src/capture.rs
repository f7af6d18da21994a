//! What must be there of a request's head, and what of it is kept in which form.

use lambda_http::http::HeaderMap;
use lambda_http::http::request::Parts;
use payload::TraceId;
use payload::query::{Parameter, parameters};
use payload::receipt::{Header, HeaderValue, salted_hash};
use payload::scheme::PARAMETER_PREFIX;
use payload::source::{Door, IngestToken};

use crate::{MAX_HEAD_BYTES, Refusal};

/// The most query parameters that are kept as hashes. A hash is longer than most of them: a query that is full of them must not make the
/// item too large. What is sent more than once is no good credential anyway.
const MAX_HASHED_PARAMETERS: usize = 8;

/// The trace that a request with these headers belongs to.
pub(crate) fn trace(headers: &HeaderMap) -> TraceId {
    TraceId::of_headers(|name| headers.get_all(name).into_iter().map(|value| value.as_bytes()))
}

/// Whether the head is short enough to be looked at.
pub(crate) fn check_size(head: &Parts) -> Result<(), Refusal> {
    let headers = head
        .headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len());
    if headers.sum::<usize>() + query(head).len() > MAX_HEAD_BYTES {
        return Err(Refusal::HeadTooLarge);
    }
    Ok(())
}

/// Whether the request is one that could be verified.
pub(crate) fn check_head(head: &Parts, door: &Door) -> Result<(), Refusal> {
    if !door.methods.iter().any(|method| method == head.method.as_str()) {
        return Err(Refusal::Method {
            allowed: door.methods.clone(),
        });
    }
    for name in &door.required {
        if let Some(parameter) = name.strip_prefix(PARAMETER_PREFIX) {
            let mut there = parameters(query(head)).filter(|found| *found.name == *parameter.as_bytes());
            if !there.any(|found| !found.value.trim_ascii().is_empty()) {
                return Err(Refusal::MissingParameter {
                    name: parameter.to_owned(),
                });
            }
        } else {
            let mut values = head.headers.get_all(name).iter();
            if values.all(|value| value.as_bytes().trim_ascii().is_empty()) {
                return Err(Refusal::MissingHeader {
                    name: name.to_ascii_lowercase(),
                });
            }
        }
    }
    Ok(())
}

/// The query as it is kept, and the headers. Secrets among the query's parameters are taken out of it and stand among the headers, hashed.
pub(crate) fn capture(head: &Parts, token: &IngestToken, door: &Door) -> (String, Vec<Header>) {
    let token = token.expose().as_bytes();
    let mut headers = capture_headers(&head.headers, token, door);
    let (mut kept, mut hashed) = (Vec::new(), Vec::new());
    for parameter in parameters(query(head)) {
        match secret_name(&parameter, token, door) {
            None => kept.push(parameter.text),
            Some(name) => hashed.push((name, parameter.value)),
        }
    }
    headers.extend(
        hashed
            .into_iter()
            .take(MAX_HASHED_PARAMETERS)
            .map(|(name, value)| Header {
                name,
                value: HeaderValue::Hashed(salted_hash(&door.salt, &value)),
            }),
    );
    (kept.join("&"), headers)
}

/// The headers as they are kept. A proxy may have written the path into one of them (`x-original-uri`): the ingest token in it is a
/// credential like any other.
fn capture_headers(headers: &HeaderMap, token: &[u8], door: &Door) -> Vec<Header> {
    headers
        .iter()
        .map(|(name, value)| {
            let value = value.as_bytes();
            if holds(value, token) {
                let hash = HeaderValue::Hashed(salted_hash(&door.salt, value));
                return Header {
                    name: name.as_str().to_owned(),
                    value: hash,
                };
            }
            Header::capture(name.as_str(), value, &door.salt, &door.credentials)
        })
        .collect()
}

/// Under which name a parameter is kept that is a secret; nothing where it is none. One that holds the ingest token is as secret as a
/// header with it.
fn secret_name(parameter: &Parameter<'_>, token: &[u8], door: &Door) -> Option<String> {
    let is_named = |credential: &&String| {
        let name = credential.strip_prefix(PARAMETER_PREFIX);
        name.is_some_and(|name| *parameter.name == *name.as_bytes())
    };
    if let Some(credential) = door.credentials.iter().find(is_named) {
        return Some(credential.clone());
    }
    if holds(&parameter.name, token) {
        return Some(PARAMETER_PREFIX.into());
    }
    let name = || format!("{PARAMETER_PREFIX}{}", String::from_utf8_lossy(&parameter.name));
    holds(&parameter.value, token).then(name)
}

fn holds(bytes: &[u8], token: &[u8]) -> bool {
    bytes.windows(token.len()).any(|window| window == token)
}

fn query(head: &Parts) -> &str {
    head.uri.query().unwrap_or_default()
}
