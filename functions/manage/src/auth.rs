//! Who is calling.

use std::ops::Deref;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use jiff::tz::TimeZone;
use payload::organization::{Access, ApiKey, ApiKeyText};
use payload::{Clock, OrganizationId};

use crate::log::Line;
use crate::problem::ApiError;
use crate::{App, Store, page};

/// Longer texts are no keys of ours.
const MAX_KEY_BYTES: usize = 256;

/// The caller of a request that was admitted.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    key: ApiKey,
    text: ApiKeyText,
}

impl Caller {
    /// The organization whose data the key opens: the only one that a handler may touch.
    pub(crate) fn organization(&self) -> &OrganizationId {
        &self.key.organization
    }

    /// The key that the request was made with.
    pub(crate) fn key(&self) -> &ApiKey {
        &self.key
    }

    /// Its text, which nobody else has.
    pub(crate) fn text(&self) -> &ApiKeyText {
        &self.text
    }
}

/// Lets only requests with a valid key through, and logs each with its outcome.
pub(crate) async fn admit<S: Store, C: Clock>(
    State(app): State<Arc<App<S, C>>>,
    mut request: Request,
    next: Next,
) -> Response {
    let line = Line::of(&request);
    request.extensions_mut().insert(line.trace());
    let caller = caller(&*app, request.headers()).await;
    let (key, response) = match caller {
        Ok(caller) => {
            let key = caller.key.clone();
            request.extensions_mut().insert(caller);
            (Some(key), next.run(request).await)
        }
        Err(error) => (None, error.into_response()),
    };
    line.write(key.as_ref(), &response);
    response
}

/// The key behind the header `Authorization` (RFC 6750). A missing, a malformed and an unknown key are the same to the caller, and whatever
/// is sent as a key is looked for, so that the time says nothing either.
async fn caller<S: Store, C: Clock>(app: &App<S, C>, headers: &HeaderMap) -> Result<Caller, ApiError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(ApiError::Unauthorized);
    };
    let text = value.to_str().map_err(|_| ApiError::Unauthorized)?;
    let (scheme, key) = text.split_once(' ').ok_or(ApiError::Unauthorized)?;
    let key = key.trim();
    if !scheme.eq_ignore_ascii_case("bearer") || key.len() > MAX_KEY_BYTES {
        return Err(ApiError::Unauthorized);
    }
    let text = ApiKeyText::from_client(key);
    let hash = text.hash();
    let key = app.store.key(&hash).await?.ok_or(ApiError::Unauthorized)?;
    if key.suspended {
        return Err(ApiError::Suspended);
    }
    let today = app.clock.now().to_zoned(TimeZone::UTC).date();
    // One write a day for each key; what it opens does not depend on it.
    if key.last_used.is_none_or(|day| day < today)
        && let Err(error) = app.store.note_use(&hash, today).await
    {
        tracing::warn!(organization = %key.organization, key = %key.id, error_type = error.error_type(), "the key's use is not noted");
    }
    Ok(Caller { key, text })
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
                if !caller.key.role.may(Access::$access) {
                    return Err(ApiError::Forbidden(caller.key.role));
                }
                // Here, where the method is one that the route has.
                page::check_parameters(parts)?;
                Ok(Self(caller))
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
