//! What the sender hears: an id, or a problem (RFC 9457). Nothing about why a signature is bad is ever among it.

use lambda_http::Body;
use lambda_http::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use lambda_http::http::{Response, StatusCode};
use payload::ReceiptId;
use payload::receipt::MAX_BODY_BYTES;
use serde_json::json;
use store::StoreError;

use crate::{MAX_HEAD_BYTES, Refusal};

/// After how many seconds a sender may try again when we could not store its request.
const RETRY_AFTER_SECONDS: &str = "5";

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

/// The one mapping from what went wrong to HTTP.
pub(crate) fn refused(refusal: &Refusal) -> Response<Body> {
    let (status, kind, title, detail) = match refusal {
        Refusal::UnknownToken => (
            StatusCode::NOT_FOUND,
            "not-found",
            "Not found",
            "There is no receiving URL of this form.".to_owned(),
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
    };
    let problem = json!({ "type": format!("urn:hookline:problem:{kind}"), "title": title, "status": status.as_u16(), "detail": detail });
    let mut response = response(
        status,
        Some("application/problem+json"),
        Body::Text(problem.to_string()),
    );
    if let Refusal::Method { allowed } = refusal
        && let Ok(methods) = HeaderValue::from_str(&allowed.join(", "))
    {
        response.headers_mut().insert(ALLOW, methods);
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
    }
    response
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
