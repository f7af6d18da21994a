//! A second implementation of the scheme language, written from the documentation of its types in the plainest way: texts and vectors
//! everywhere, other libraries for the cryptography, nothing of the first implementation. It is slow, and not safe against timing.
//!
//! tests/properties.rs and fuzz/ hold the first one against it.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each program that this is part of uses some of it"
)]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

pub mod json;
pub mod keys;
pub mod template;
pub mod text;
pub mod time;

use serde_json::Value;

use keys::Key;

/// A request as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    pub query: String,
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
    /// In seconds since 1970.
    pub received_at: i64,
}

impl Request {
    /// The text of a header: bytes that are no UTF-8 replaced, several of the same name joined by commas; nothing where it is empty.
    pub fn header(&self, name: &str) -> Option<String> {
        let same = |found: &str| found.eq_ignore_ascii_case(name);
        let values: Vec<String> = self
            .headers
            .iter()
            .filter(|(found, _)| same(found))
            .map(|(_, value)| String::from_utf8_lossy(value).to_string())
            .collect();
        let joined = values.join(",");
        if joined.is_empty() { None } else { Some(joined) }
    }

    /// The values of a query parameter, percent-encoding and plus signs taken off.
    pub fn parameters(&self, name: &str) -> Vec<Vec<u8>> {
        let mut values = Vec::new();
        for pair in self.query.split('&') {
            let (found, value) = match pair.find('=') {
                Some(at) => (&pair[..at], &pair[at + 1..]),
                None => (pair, ""),
            };
            if text::from_form(found) == name.as_bytes() {
                values.push(text::from_form(value));
            }
        }
        values
    }
}

/// Whether a request with these secrets, as a person typed them, is to be accepted; or why not.
pub fn accepts(scheme: &Value, secrets: &[&str], request: &Request, public_url: Option<&str>) -> Result<(), String> {
    match scheme["kind"].as_str().unwrap() {
        "none" => Ok(()),
        "token" => {
            let prefix = scheme["prefix"].as_str().unwrap_or("");
            let sent: Vec<Vec<u8>> = match scheme["query"].as_str() {
                Some(parameter) => request.parameters(parameter),
                None => raw_headers(request, scheme["header"].as_str().unwrap()),
            };
            let wanted: Vec<String> = secrets.iter().map(|secret| format!("{prefix}{secret}")).collect();
            credential(&sent, &wanted)
        }
        "basic" => {
            let encode = |secret: &&str| text::to_base64(secret.as_bytes(), text::STANDARD);
            let wanted: Vec<String> = secrets
                .iter()
                .flat_map(|secret| [format!("Basic {}", encode(secret)), format!("basic {}", encode(secret))])
                .collect();
            credential(&raw_headers(request, "authorization"), &wanted)
        }
        "standard-webhooks" => standard_webhooks(scheme, secrets, request),
        _ => signed(scheme, secrets, request, public_url),
    }
}

fn raw_headers(request: &Request, name: &str) -> Vec<Vec<u8>> {
    let same = |found: &str| found.eq_ignore_ascii_case(name);
    let found = request.headers.iter().filter(|(found, _)| same(found));
    found.map(|(_, value)| value.clone()).collect()
}

fn credential(sent: &[Vec<u8>], wanted: &[String]) -> Result<(), String> {
    if sent.len() != 1 {
        return Err(format!("the credential stands there {} times", sent.len()));
    }
    if wanted.iter().any(|wanted| wanted.as_bytes() == sent[0]) {
        Ok(())
    } else {
        Err("another credential".into())
    }
}

fn standard_webhooks(scheme: &Value, secrets: &[&str], request: &Request) -> Result<(), String> {
    let prefix = scheme["headerPrefix"].as_str().unwrap_or("webhook-");
    let header = |name: &str| request.header(&format!("{prefix}{name}")).ok_or(format!("no {name}"));
    let (id, time, signatures) = (header("id")?, header("timestamp")?, header("signature")?);
    time::check(time::seconds(&time, "s", false)?, request.received_at, scheme)?;
    if id.contains('.') {
        return Err("the id holds a dot".into());
    }
    let mut message = format!("{id}.{time}.").into_bytes();
    message.extend(&request.body);
    for secret in secrets {
        for key in keys::standard_webhooks(secret, scheme["key"].as_str().unwrap_or("base64")) {
            let version = if key.is_hmac() { "v1," } else { "v1a," };
            for item in signatures.split(' ') {
                if let Some(signature) = item.trim().strip_prefix(version)
                    && key.fits(&message, signature, "base64")
                {
                    return Ok(());
                }
            }
        }
    }
    Err("no signature fits".into())
}

fn signed(scheme: &Value, secrets: &[&str], request: &Request, public_url: Option<&str>) -> Result<(), String> {
    let header = request
        .header(scheme["header"].as_str().unwrap())
        .ok_or("no signature")?;
    let message = template::message(scheme, request, public_url)?;
    let encoding = scheme["encoding"].as_str().unwrap();
    let keys: Vec<Key> = secrets
        .iter()
        .flat_map(|secret| keys::of_scheme(scheme, secret))
        .collect();
    let mut found = false;
    for item in items(scheme, &header) {
        let Some(value) = (match scheme["field"].as_str() {
            Some(field) => named(scheme, &item, field),
            None => Some(item),
        }) else {
            continue;
        };
        let Some(signature) = value.strip_prefix(scheme["prefix"].as_str().unwrap_or("")) else {
            continue;
        };
        found |= keys.iter().any(|key| key.fits(&message, signature, encoding));
    }
    if !found {
        return Err("no signature fits".into());
    }
    // A timestamp in the body is signed with it.
    if let Some(pointer) = scheme["timestamp"]["pointer"].as_str() {
        let value = json::parse(&request.body)
            .and_then(|body| body.at(pointer)?.scalar())
            .ok_or("no time in the body")?;
        let unit = scheme["timestamp"]["unit"].as_str().unwrap_or("s");
        time::check(time::seconds(&value, unit, false)?, request.received_at, scheme)?;
    }
    Ok(())
}

/// What stands between the separators of a header, without the white space around it.
pub fn items(scheme: &Value, header: &str) -> Vec<String> {
    let items: Vec<&str> = match scheme["separator"].as_str() {
        Some(separator) => header.split(separator).collect(),
        None => vec![header],
    };
    items.iter().map(|item| item.trim().to_string()).collect()
}

/// The value of an item of that name.
pub fn named(scheme: &Value, item: &str, name: &str) -> Option<String> {
    let separator = scheme["fieldSeparator"].as_str().unwrap_or("=");
    item.strip_prefix(&format!("{name}{separator}")).map(str::to_string)
}
