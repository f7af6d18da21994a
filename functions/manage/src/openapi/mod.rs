//! The OpenAPI document of this API, and where each operation that it tells of is mounted.
//!
//! Every handler says with `#[utoipa::path]` where it stands and what it answers. [`operations`] mounts it there, and the same list makes
//! the document: no route can be missing from it. What is served is the committed `docs/openapi.json`, which a test holds against the
//! code; so a request, and a cold start, costs no more than a file.

#[cfg(test)]
mod document;
#[cfg(test)]
mod problems;
#[cfg(test)]
mod prose;
pub(crate) mod schema;
#[cfg(test)]
mod schemas;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use axum::Router;
use axum::handler::Handler;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, on};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use utoipa::openapi::HttpMethod;

/// The document as it is committed and served.
const DOCUMENT: &str = include_str!("../../../../docs/openapi.json");

/// The document for people, which build.rs makes of it.
const REFERENCE: &str = include_str!(concat!(env!("OUT_DIR"), "/reference.html"));

/// The style sheet within it.
const STYLE: &str = include_str!("../../reference/style.css");

/// The entity tags of the two (RFC 9110 section 8.8.3).
static DOCUMENT_TAG: LazyLock<HeaderValue> = LazyLock::new(|| tag(DOCUMENT));
static REFERENCE_TAG: LazyLock<HeaderValue> = LazyLock::new(|| tag(REFERENCE));

/// Nothing on the page runs, is loaded or sent, and its one style is known by its hash.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let style = STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

/// Mounts each operation of the API where its handler's `#[utoipa::path]` says: the `admitted` ones ask for a key, the `public` ones do not. Those `without_store` are admitted too, and need nothing else.
/// The handlers must stand in modules of the crate's root, with what the attribute makes of them.
macro_rules! operations {
    (
        admitted: $($module:ident::$handler:ident),+ $(,)?;
        without_store: $($bare_module:ident::$bare_handler:ident),+ $(,)?;
        public: $($public_module:ident::$public_handler:ident),+ $(,)?;
    ) => { pastey::paste! {
        /// The operations that ask for a key.
        fn admitted<S: Store, C: Clock + Clone>() -> Router<Arc<App<S, C>>> {
            let router = Router::new();
            $(let router = openapi::mount::<$module::[<__path_ $handler>], _, _, _>(router, $module::$handler::<S, C>);)+
            $(let router = openapi::mount::<$bare_module::[<__path_ $bare_handler>], _, _, _>(
                router,
                $bare_module::$bare_handler,
            );)+
            router
        }

        /// The operations that ask for none.
        fn public() -> Router {
            let router = Router::new();
            $(let router = openapi::mount::<$public_module::[<__path_ $public_handler>], _, _, _>(
                router,
                $public_module::$public_handler,
            );)+
            router
        }

        /// All of them, as OpenAPI has them.
        #[cfg(test)]
        #[derive(utoipa::OpenApi)]
        #[openapi(paths($($module::$handler,)+ $($bare_module::$bare_handler,)+ $($public_module::$public_handler),+))]
        struct Operations;
    } };
}
pub(crate) use operations;

/// Mounts a handler where its operation says.
pub(crate) fn mount<P, S, H, T>(router: Router<S>, handler: H) -> Router<S>
where
    P: utoipa::Path,
    S: Clone + Send + Sync + 'static,
    H: Handler<T, S>,
    T: 'static,
{
    let path = P::path();
    P::methods().into_iter().fold(router, |router, method| {
        router.route(&path, on(filter(&method), handler.clone()))
    })
}

fn filter(method: &HttpMethod) -> MethodFilter {
    match method {
        HttpMethod::Get => MethodFilter::GET,
        HttpMethod::Post => MethodFilter::POST,
        HttpMethod::Put => MethodFilter::PUT,
        HttpMethod::Delete => MethodFilter::DELETE,
        HttpMethod::Options => MethodFilter::OPTIONS,
        HttpMethod::Head => MethodFilter::HEAD,
        HttpMethod::Patch => MethodFilter::PATCH,
        HttpMethod::Trace => MethodFilter::TRACE,
    }
}

/// This document.
///
/// It is the same for every deployment of a version, and needs no key.
#[utoipa::path(
    get, path = "/openapi.json", operation_id = "getOpenApi", tag = "Documentation",
    params(("if-none-match" = Option<String>, Header, description = "The `ETag` of an answer that the client still has.")),
    responses(
        (status = 200, description = "The document, in OpenAPI 3.1.", body = Object, content_type = "application/json",
            headers(("etag" = String, description = "Names this content."))),
        (status = 304, description = "The client has it already."),
    ),
    security(()),
)]
pub(crate) async fn openapi_json(headers: HeaderMap) -> Response {
    unchanged(&headers, &DOCUMENT_TAG, "application/json", DOCUMENT)
}

/// This document as a page for people.
///
/// It is one file of HTML and CSS: nothing on it runs, and nothing is loaded from elsewhere. It needs no key.
#[utoipa::path(
    get, path = "/docs", operation_id = "getReference", tag = "Documentation",
    params(("if-none-match" = Option<String>, Header, description = "The `ETag` of an answer that the client still has.")),
    responses(
        (status = 200, description = "The page.", body = String, content_type = "text/html; charset=utf-8",
            headers(
                ("etag" = String, description = "Names this content."),
                ("content-security-policy" = String, description = "Allows the page's own style, and nothing else."),
            )),
        (status = 304, description = "The client has it already."),
    ),
    security(()),
)]
pub(crate) async fn reference(headers: HeaderMap) -> Response {
    let mut response = unchanged(&headers, &REFERENCE_TAG, "text/html; charset=utf-8", REFERENCE);
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, POLICY.clone());
    response
}

/// A text that is the same for everybody until the next version: with a tag, and nothing where the client has it already.
fn unchanged(request: &HeaderMap, tag: &HeaderValue, content_type: &'static str, text: &'static str) -> Response {
    let headers = [
        (ETAG, tag.clone()),
        // Kept, and asked for again after five minutes: a new version shows soon.
        (CACHE_CONTROL, HeaderValue::from_static("public, max-age=300")),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    let is_known = request
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|known| matches!(known.trim(), "*") || known.trim().trim_start_matches("W/").as_bytes() == tag.as_bytes());
    if is_known {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    (headers, [(CONTENT_TYPE, content_type)], text).into_response()
}

fn tag(text: &str) -> HeaderValue {
    let hash = hex::encode(&Sha256::digest(text)[..16]);
    // Hexadecimal digits between quotes are a value for any header.
    HeaderValue::try_from(format!("\"{hash}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}
