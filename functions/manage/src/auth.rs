//! Who is calling, and one log line for what came of it.

use std::ops::Deref;
use std::sync::Arc;

use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use payload::organization::{Access, ApiKey, ApiKeyText};
use payload::{Clock, OrganizationId, TraceId};

use crate::problem::{ApiError, Cause};
use crate::{App, Store};

/// Longer texts are no keys of ours.
const MAX_KEY_BYTES: usize = 256;

/// The caller of a request that was admitted.
#[derive(Debug, Clone)]
pub(crate) struct Caller(ApiKey);

impl Caller {
    /// The organization whose data the key opens: the only one that a handler may touch.
    pub(crate) fn organization(&self) -> &OrganizationId {
        &self.0.organization
    }
}

/// Lets only requests with a valid key through, and logs each with its outcome.
pub(crate) async fn admit<S: Store, C: Clock>(
    State(app): State<Arc<App<S, C>>>,
    mut request: Request,
    next: Next,
) -> Response {
    let method = request.method().clone();
    // The route and not the path: what stands in a path is the client's.
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map(|path| path.as_str().to_owned());
    let headers = request.headers();
    let trace = TraceId::of_headers(|name| headers.get_all(name).into_iter().map(|value| value.as_bytes()));
    request.extensions_mut().insert(trace);
    let caller = caller(&app.store, request.headers()).await;
    let (key, response) = match caller {
        Ok(caller) => {
            let key = caller.0.clone();
            request.extensions_mut().insert(caller);
            (Some(key), next.run(request).await)
        }
        Err(error) => (None, error.into_response()),
    };
    log(&method, route.as_deref(), key.as_ref(), trace, &response);
    response
}

/// The key behind the header `Authorization` (RFC 6750). A missing, a malformed and an unknown key are the same to the caller.
async fn caller<S: Store>(store: &S, headers: &HeaderMap) -> Result<Caller, ApiError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(ApiError::Unauthorized);
    };
    let text = value.to_str().map_err(|_| ApiError::Unauthorized)?;
    let (scheme, key) = text.split_once(' ').ok_or(ApiError::Unauthorized)?;
    let key = key.trim();
    if !scheme.eq_ignore_ascii_case("bearer") || key.is_empty() || key.len() > MAX_KEY_BYTES {
        return Err(ApiError::Unauthorized);
    }
    let found = store.key(&ApiKeyText::from_client(key).hash()).await?;
    found.map(Caller).ok_or(ApiError::Unauthorized)
}

fn log(method: &Method, route: Option<&str>, key: Option<&ApiKey>, trace: TraceId, response: &Response) {
    let status = response.status();
    let organization = key.map(|key| tracing::field::display(&key.organization));
    let key = key.map(|key| tracing::field::display(&key.id));
    let cause = response.extensions().get::<Cause>();
    let error_type = cause.map(|cause| cause.error_type);
    let error = cause.and_then(|cause| cause.error.as_deref());
    let status = status.as_u16();
    if response.status().is_server_error() {
        tracing::error!(outcome = "failed", %method, route, status, organization, key, %trace, error_type, error, "failed");
    } else {
        let outcome = if response.status().is_success() {
            "answered"
        } else {
            "refused"
        };
        tracing::info!(outcome, %method, route, status, organization, key, %trace, error_type, "answered");
    }
}

/// A caller whose key may do what its handler does. A handler that asks for one cannot be reached without it, wherever its route is
/// mounted; and none asks for a bare [`Caller`].
macro_rules! callers {
    ($($(#[$doc:meta])* $name:ident: $access:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub(crate) struct $name(Caller);

        impl Deref for $name {
            type Target = Caller;

            fn deref(&self) -> &Caller {
                &self.0
            }
        }

        impl<S: Send + Sync> FromRequestParts<S> for $name {
            type Rejection = ApiError;

            async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
                let caller = parts.extensions.get::<Caller>().cloned().ok_or(ApiError::Unauthorized)?;
                if caller.0.role.may(Access::$access) {
                    Ok(Self(caller))
                } else {
                    Err(ApiError::Forbidden(caller.0.role))
                }
            }
        }
    )*};
}

callers! {
    /// May look.
    Reader: Read;
    /// May publish events.
    Publisher: Publish;
    /// May change sources and webhooks, replay, and verify again.
    Editor: Edit;
    /// May make and revoke keys, and read the audit trail.
    Admin: Administer;
}
