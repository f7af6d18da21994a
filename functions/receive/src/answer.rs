//! What the sender hears: an id, or a problem (RFC 9457). Nothing about why a signature is bad is ever among it.

use lambda_http::Body;
use lambda_http::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER,
    X_CONTENT_TYPE_OPTIONS,
};
use lambda_http::http::{Response, StatusCode};
use payload::ReceiptId;
use payload::receipt::MAX_BODY_BYTES;
use payload::source::Door;
use serde_json::json;
use store::StoreError;

use crate::asked::Asked;
use crate::{MAX_HEAD_BYTES, Refusal};

/// After how many seconds a sender may try again when we could not store its request.
const RETRY_AFTER_SECONDS: &str = "5";

/// After how many seconds a sender may try again whose source's organization is suspended.
const SUSPENDED_RETRY_AFTER_SECONDS: &str = "3600";

/// The receipt is stored: the source's success status with the receipt's id, and nothing but the status where that is 204.
pub(crate) fn stored(id: &ReceiptId, success_status: u16) -> Response<Body> {
    let status = StatusCode::from_u16(success_status)
        .ok()
        .filter(StatusCode::is_success)
        .unwrap_or(StatusCode::ACCEPTED);
    if status == StatusCode::NO_CONTENT {
        return response(status, None, Body::Empty);
    }
    response(
        status,
        Some("application/json"),
        Body::Text(json!({ "id": id }).to_string()),
    )
}

/// What somebody hears who opens a receiving URL.
const PROBED: &str = "Webhooks are received here. Nothing was stored.\n";

/// The answer to a question.
pub(crate) fn asked(asked: &Asked, door: &Door) -> Response<Body> {
    match asked {
        Asked::Echo(word) => text(Body::Text(word.clone())),
        Asked::AllowOrigin { origin, rate } => {
            let mut response = allowing(response(StatusCode::OK, None, Body::Empty), &door.methods);
            for (name, value) in [("webhook-allowed-origin", origin), ("webhook-allowed-rate", rate)] {
                if let Ok(value) = HeaderValue::from_str(value) {
                    response.headers_mut().insert(HeaderName::from_static(name), value);
                }
            }
            response
        }
        Asked::Look => text(Body::Text(PROBED.into())),
        Asked::LookAtHead => text(Body::Empty),
        Asked::Options => allowing(response(StatusCode::NO_CONTENT, None, Body::Empty), &door.methods),
    }
}

/// Plain text, which no browser may take for anything else: what is sent back came from outside.
fn text(body: Body) -> Response<Body> {
    let mut response = response(StatusCode::OK, Some("text/plain; charset=utf-8"), body);
    response
        .headers_mut()
        .insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'"));
    response
}

/// With the methods that the provider uses.
fn allowing(mut response: Response<Body>, methods: &[String]) -> Response<Body> {
    if let Ok(methods) = HeaderValue::from_str(&methods.join(", ")) {
        response.headers_mut().insert(ALLOW, methods);
    }
    response
}

/// The one mapping from what went wrong to HTTP.
pub(crate) fn refused(refusal: &Refusal) -> Response<Body> {
    let (status, kind, title, detail) = describe(refusal);
    let problem = json!({ "type": format!("urn:hookline:problem:{kind}"), "title": title, "status": status.as_u16(), "detail": detail });
    let mut response = response(
        status,
        Some("application/problem+json"),
        Body::Text(problem.to_string()),
    );
    if let Refusal::Method { allowed } = refusal {
        response = allowing(response, allowed);
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        let seconds = match refusal {
            Refusal::Suspended => SUSPENDED_RETRY_AFTER_SECONDS,
            _ => RETRY_AFTER_SECONDS,
        };
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from_static(seconds));
    }
    response
}

/// The status of a refusal, and its problem's type, title and detail.
fn describe(refusal: &Refusal) -> (StatusCode, &'static str, &'static str, String) {
    match refusal {
        Refusal::UnknownToken => (
            StatusCode::NOT_FOUND,
            "not-found",
            "Not found",
            "There is no receiving URL of this form.".to_owned(),
        ),
        Refusal::Suspended => (
            StatusCode::SERVICE_UNAVAILABLE,
            "suspended",
            "Suspended",
            "This receiving URL takes no requests for now. Nothing was stored. Send it again later.".to_owned(),
        ),
        Refusal::Method { .. } => (
            StatusCode::METHOD_NOT_ALLOWED,
            "method-not-allowed",
            "Method not allowed",
            "This receiving URL takes the methods that the header Allow names.".to_owned(),
        ),
        Refusal::MissingHeader { name } => (
            StatusCode::BAD_REQUEST,
            "missing-header",
            "A header is missing",
            format!("The header {name} is missing or empty. Nothing was stored."),
        ),
        Refusal::MissingParameter { name } => (
            StatusCode::BAD_REQUEST,
            "missing-parameter",
            "A query parameter is missing",
            format!("The query parameter {name} is missing or empty. Nothing was stored."),
        ),
        Refusal::Handshake => (
            StatusCode::FORBIDDEN,
            "forbidden",
            "Forbidden",
            "This question is not answered.".to_owned(),
        ),
        Refusal::HeadTooLarge => (
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "header-fields-too-large",
            "Header fields too large",
            format!(
                "The headers and the query string are longer than {MAX_HEAD_BYTES} bytes together. Nothing was stored."
            ),
        ),
        Refusal::BodyTooLarge => (
            StatusCode::PAYLOAD_TOO_LARGE,
            "content-too-large",
            "Content too large",
            format!("The body is longer than {MAX_BODY_BYTES} bytes. Nothing was stored."),
        ),
        Refusal::Store(StoreError::TooLarge { limit }) => (
            StatusCode::PAYLOAD_TOO_LARGE,
            "content-too-large",
            "Content too large",
            format!("The body is longer than {limit} bytes after compression. Nothing was stored."),
        ),
        Refusal::Store(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "Service unavailable",
            "The request could not be stored. Send it again.".to_owned(),
        ),
    }
}

fn response(status: StatusCode, content_type: Option<&'static str>, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let mut set = |name: HeaderName, value| response.headers_mut().insert(name, HeaderValue::from_static(value));
    set(CACHE_CONTROL, "no-store");
    set(X_CONTENT_TYPE_OPTIONS, "nosniff");
    if let Some(content_type) = content_type {
        set(CONTENT_TYPE, content_type);
    }
    response
}
