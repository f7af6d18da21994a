//! `Idempotency-Key` on POST: the same request again does nothing more, and is answered as it was.
//!
//! After [draft-ietf-httpapi-idempotency-key-header](https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/). Only a
//! success is remembered, for a day: what was refused changed nothing and may be asked again, and so may what failed. (Where our store failed so
//! that nobody knows whether it wrote, or the function was killed, the same request may be carried out twice; a publication is not, whose id
//! follows from the key.) An answer can hold a secret that is
//! shown once, so it is kept sealed under a key that is made of the text of the API key, which we do not keep.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, ETAG, LOCATION, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use jiff::SignedDuration;
use payload::Clock;
use payload::id::{random, token_hash};
use payload::organization::ApiKeyText;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf;
use serde::{Deserialize, Serialize};
use store::{Begun, IdempotentRequest};

use crate::auth::Caller;
use crate::problem::ApiError;
use crate::{App, MAX_REQUEST_BYTES, Store};

const HEADER: &str = "idempotency-key";

/// Tells that an answer was given before.
pub(crate) const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The longest idempotency key, in bytes.
pub(crate) const MAX_NAME_BYTES: usize = 255;

/// For how long nobody else carries the request out: longer than the function may take.
const LOCKED_FOR: SignedDuration = SignedDuration::from_secs(60);

/// For how long an answer is remembered.
const REMEMBERED_FOR: SignedDuration = SignedDuration::from_hours(24);

/// The longest answer that is remembered, in bytes: an item of DynamoDB has 400 KB. Whatever is longer changed nothing.
const MAX_ANSWER_BYTES: usize = 300 * 1024;

/// The headers of an answer that are given again.
const KEPT_HEADERS: [HeaderName; 4] = [CONTENT_TYPE, LOCATION, ETAG, RETRY_AFTER];

/// The idempotency key of a request, hashed together with the API key's id: for what is made of it.
#[derive(Debug, Clone)]
pub(crate) struct RequestName(pub(crate) String);

/// Carries a POST with an idempotency key out once.
pub(crate) async fn once<S: Store, C: Clock>(
    State(app): State<Arc<App<S, C>>>,
    request: Request,
    next: Next,
) -> Response {
    let caller = request.extensions().get::<Caller>().cloned();
    let name = match name(request.headers()) {
        Ok(name) => name.filter(|_| request.method() == Method::POST),
        Err(error) => return error.into_response(),
    };
    let (Some(caller), Some(name)) = (caller, name) else {
        return next.run(request).await;
    };
    match carry_out(&app, &caller, &name, request, next).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    }
}

/// The idempotency key, be it in quotes as the draft wants it or bare as many send it.
fn name(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let mut values = headers.get_all(HEADER).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    let text = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .unwrap_or(text);
    let is_visible = |b: u8| b.is_ascii_graphic() || b == b' ';
    if values.next().is_some() || text.is_empty() || text.len() > MAX_NAME_BYTES || !text.bytes().all(is_visible) {
        return Err(ApiError::Header {
            header: "Idempotency-Key",
            problem: format!("must be there once, with 1 to {MAX_NAME_BYTES} visible ASCII characters"),
        });
    }
    Ok(Some(text.to_owned()))
}

async fn carry_out<S: Store, C: Clock>(
    app: &App<S, C>,
    caller: &Caller,
    name: &str,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    // One byte more than may be, so that what is too long still is when it is read again.
    let body = to_bytes(body, MAX_REQUEST_BYTES + 1)
        .await
        .map_err(|_| ApiError::RequestTooLarge)?;
    let path = parts.uri.path_and_query().map_or("", |path| path.as_str());
    let asked = IdempotentRequest {
        key: caller.key().id.clone(),
        name: token_hash(name),
        fingerprint: fingerprint(&[parts.method.as_str().as_bytes(), path.as_bytes(), &body]),
        owner: hex::encode(random::<16>()),
    };
    let now = app.clock.now();
    match app
        .store
        .begin(&asked, now, now + LOCKED_FOR, now + REMEMBERED_FOR)
        .await?
    {
        Begun::Ours => {}
        Begun::InProgress => return Err(ApiError::IdempotencyInProgress),
        Begun::Different => return Err(ApiError::IdempotencyKeyReused),
        // What cannot be opened was sealed by a later version, or was tampered with.
        Begun::Answered(sealed) => {
            let answer = Sealer::new(caller.text(), &asked).and_then(|sealer| sealer.open(sealed));
            return answer
                .ok_or(ApiError::IdempotencyKeyReused)
                .map(Remembered::into_response);
        }
    }
    let mut request = Request::from_parts(parts, Body::from(body));
    let id = format!("{}:{}", asked.key, asked.name);
    request.extensions_mut().insert(RequestName(id));
    let (response, answer) = remember(next.run(request).await).await?;
    let sealed = answer
        .and_then(|answer| Sealer::new(caller.text(), &asked)?.seal(&answer))
        .filter(|sealed| sealed.len() <= MAX_ANSWER_BYTES);
    let kept = match sealed {
        Some(sealed) => app.store.finish(&asked, &sealed).await,
        None => app.store.abandon(&asked).await,
    };
    // What was asked is done: its answer counts. Until the lock ends the same request again is refused.
    if let Err(error) = kept {
        tracing::warn!(organization = %caller.organization(), key = %asked.key, error_type = error.error_type(), "an idempotent request is not remembered");
    }
    Ok(response)
}

fn fingerprint(parts: &[&[u8]]) -> String {
    let mut text = String::new();
    for part in parts {
        text.push_str(&hex::encode(ring::digest::digest(&ring::digest::SHA256, part)));
    }
    token_hash(&text)
}

/// An answer that was given.
#[derive(Serialize, Deserialize)]
struct Remembered {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

/// The response as it goes out, and what is kept of it when it is a success.
async fn remember(response: Response) -> Result<(Response, Option<Remembered>), ApiError> {
    if !response.status().is_success() {
        return Ok((response, None));
    }
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let header = |name: &HeaderName| {
        let value = parts.headers.get(name)?.to_str().ok()?;
        Some((name.as_str().to_owned(), value.to_owned()))
    };
    let answer = String::from_utf8(body.to_vec()).ok().map(|text| Remembered {
        status: parts.status.as_u16(),
        headers: KEPT_HEADERS.iter().filter_map(header).collect(),
        body: text,
    });
    Ok((Response::from_parts(parts, Body::from(body)), answer))
}

impl IntoResponse for Remembered {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(Bytes::from(self.body)));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::OK);
        let headers = response.headers_mut();
        for (name, value) in self.headers {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                headers.insert(name, value);
            }
        }
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
        response
    }
}

/// Seals answers to one request: AES-256-GCM under a key of the API key's text (HKDF, RFC 5869), bound to what was asked.
struct Sealer<'a> {
    key: LessSafeKey,
    asked: &'a IdempotentRequest,
}

impl<'a> Sealer<'a> {
    fn new(text: &ApiKeyText, asked: &'a IdempotentRequest) -> Option<Self> {
        let secret = hkdf::Salt::new(hkdf::HKDF_SHA256, b"hookline").extract(text.expose().as_bytes());
        let key = UnboundKey::from(secret.expand(&[b"idempotent answer v1"], &AES_256_GCM).ok()?);
        Some(Self {
            key: LessSafeKey::new(key),
            asked,
        })
    }

    fn aad(&self) -> Aad<String> {
        Aad::from(format!("{}:{}", self.asked.name, self.asked.fingerprint))
    }

    /// The nonce, and behind it the sealed answer.
    fn seal(&self, answer: &Remembered) -> Option<Vec<u8>> {
        let nonce = random::<NONCE_LEN>();
        let mut sealed = serde_json::to_vec(answer).ok()?;
        let nonce_again = Nonce::assume_unique_for_key(nonce);
        self.key
            .seal_in_place_append_tag(nonce_again, self.aad(), &mut sealed)
            .ok()?;
        Some([&nonce[..], &sealed].concat())
    }

    fn open(&self, sealed: Vec<u8>) -> Option<Remembered> {
        let (nonce, rest) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut rest = rest.to_vec();
        let plain = self.key.open_in_place(nonce, self.aad(), &mut rest).ok()?;
        serde_json::from_slice(plain).ok()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;
    use jiff::Timestamp;
    use payload::KeyId;

    fn asked(fingerprint: &str) -> IdempotentRequest {
        IdempotentRequest {
            key: KeyId::generate(Timestamp::UNIX_EPOCH),
            name: "name".into(),
            fingerprint: fingerprint.into(),
            owner: "me".into(),
        }
    }

    #[test]
    fn a_sealed_answer_opens_only_to_who_asked_the_same() {
        let (text, asked_for) = (ApiKeyText::generate(), asked("a"));
        let answer = Remembered {
            status: 201,
            headers: vec![("location".into(), "/v1/x".into())],
            body: "whsec_shown_once".into(),
        };
        let sealed = Sealer::new(&text, &asked_for).unwrap().seal(&answer).unwrap();
        assert!(!String::from_utf8_lossy(&sealed).contains("whsec_"));
        let opened = Sealer::new(&text, &asked_for).unwrap().open(sealed.clone()).unwrap();
        assert_eq!(
            (opened.status, opened.headers, opened.body),
            (201, answer.headers, answer.body)
        );
        let stranger = ApiKeyText::generate();
        assert!(
            Sealer::new(&stranger, &asked_for)
                .unwrap()
                .open(sealed.clone())
                .is_none()
        );
        assert!(Sealer::new(&text, &asked("b")).unwrap().open(sealed.clone()).is_none());
        for broken in [Vec::new(), vec![0; NONCE_LEN], sealed[..sealed.len() - 1].to_vec()] {
            assert!(Sealer::new(&text, &asked_for).unwrap().open(broken).is_none());
        }
    }

    #[test]
    fn parts_of_a_request_do_not_run_together() {
        assert_ne!(fingerprint(&[b"a", b"bc"]), fingerprint(&[b"ab", b"c"]));
    }
}
