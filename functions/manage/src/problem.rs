//! Everything that a request can run into, and the one mapping of it to problem details (RFC 9457).

use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use payload::event::BrokenEvent;
use payload::organization::Role;
use serde::Serialize;
use store::StoreError;

use crate::MAX_REQUEST_BYTES;

/// After how many seconds a client may try again when the store was not available.
const RETRY_AFTER_SECONDS: &str = "5";

/// The longest `detail`, in characters: it may quote what the client sent.
const MAX_DETAIL_CHARS: usize = 300;

/// What the `type` of every problem begins with.
pub(crate) const TYPE_PREFIX: &str = "urn:hookline:problem:";

/// The kinds of problems: what ends the `type` of each, its title and its status.
macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident: $word:literal, $title:literal, $status:ident;)*) => {
        /// What is the matter, as clients can tell it: a stable word.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Kind {
            $($(#[$doc])* $name),*
        }

        impl Kind {
            /// All of them, for the document.
            #[cfg(test)]
            pub(crate) const ALL: &[Self] = &[$(Self::$name),*];

            pub(crate) fn word(self) -> &'static str {
                match self {
                    $(Self::$name => $word),*
                }
            }

            pub(crate) fn title(self) -> &'static str {
                match self {
                    $(Self::$name => $title),*
                }
            }

            pub(crate) fn status(self) -> StatusCode {
                match self {
                    $(Self::$name => StatusCode::$status),*
                }
            }
        }
    };
}

kinds! {
    /// No key, or one that opens nothing.
    Unauthorized: "unauthorized", "Unauthorized", UNAUTHORIZED;
    /// The key's role may not do this.
    Forbidden: "forbidden", "Forbidden", FORBIDDEN;
    /// The operator has suspended the key's organization.
    Suspended: "suspended", "The organization is suspended", FORBIDDEN;
    /// Not there, or another organization's.
    NotFound: "not-found", "Not found", NOT_FOUND;
    /// The route is there, under other methods.
    MethodNotAllowed: "method-not-allowed", "Method not allowed", METHOD_NOT_ALLOWED;
    /// Not JSON by its content type.
    UnsupportedMediaType: "unsupported-media-type", "Unsupported media type", UNSUPPORTED_MEDIA_TYPE;
    /// Longer than it may be.
    ContentTooLarge: "content-too-large", "Content too large", PAYLOAD_TOO_LARGE;
    /// Not JSON at all.
    MalformedJson: "malformed-json", "Malformed JSON", BAD_REQUEST;
    /// A field that cannot be right.
    InvalidField: "invalid-field", "A field is not valid", UNPROCESSABLE_ENTITY;
    /// A parameter of the query string that cannot be right.
    InvalidParameter: "invalid-parameter", "A parameter is not valid", UNPROCESSABLE_ENTITY;
    /// As many as there may be.
    LimitReached: "limit-reached", "A limit is reached", CONFLICT;
    /// A header that cannot be right.
    InvalidHeader: "invalid-header", "A header is not valid", BAD_REQUEST;
    /// It is not any more what the change was made for.
    PreconditionFailed: "precondition-failed", "It was changed meanwhile", PRECONDITION_FAILED;
    /// A key does not revoke itself.
    OwnKey: "own-key", "A key does not revoke itself", CONFLICT;
    /// No secret of the webhook is valid now.
    NoValidSecret: "no-valid-secret", "The webhook has no valid secret", CONFLICT;
    /// The same request is carried out at this moment.
    IdempotencyInProgress: "idempotency-in-progress", "The same request is being carried out", CONFLICT;
    /// Something else was asked under the same idempotency key.
    IdempotencyKeyReused: "idempotency-key-reused", "The idempotency key was used for another request", UNPROCESSABLE_ENTITY;
    /// Only what was rejected is verified again.
    NotRejected: "not-rejected", "The receipt is not rejected", CONFLICT;
    /// Nothing is sent to the webhook.
    WebhookDisabled: "webhook-disabled", "The webhook is disabled", CONFLICT;
    /// There is nothing left of it to end.
    JobEnded: "job-ended", "The job has ended", CONFLICT;
    /// Changed at the same time.
    Conflict: "conflict", "Conflict", CONFLICT;
    /// Not now.
    Unavailable: "unavailable", "Service unavailable", SERVICE_UNAVAILABLE;
    /// A failure of our own.
    InternalError: "internal-error", "Internal error", INTERNAL_SERVER_ERROR;
}

/// Why a request got no other answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// No key, or one that opens nothing.
    #[error("no valid API key")]
    Unauthorized,
    /// The key's role may not do this.
    #[error("a key of the role {} may not do this", .0.as_str())]
    Forbidden(Role),
    /// The key's organization is suspended.
    #[error("the organization is suspended")]
    Suspended,
    /// No such route, no such thing, or one of another organization: the same answer for all of them.
    #[error("not found")]
    NotFound,
    /// The route is there, under other methods.
    #[error("method not allowed")]
    MethodNotAllowed,
    /// Not JSON by its content type.
    #[error("unsupported content type")]
    UnsupportedMediaType,
    /// The request's body is longer than [`MAX_REQUEST_BYTES`].
    #[error("request too large")]
    RequestTooLarge,
    /// Not JSON at all.
    #[error("malformed JSON: {0}")]
    Malformed(String),
    /// A field that cannot be right.
    #[error("{pointer}: {problem}")]
    Invalid {
        /// The field, as a JSON Pointer (RFC 6901).
        pointer: String,
        /// What is wrong with it; it never holds a secret.
        problem: String,
    },
    /// A parameter of the query string that cannot be right.
    #[error("parameter {parameter}: {problem}")]
    Parameter {
        /// Its name.
        parameter: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The organization has as many of these as it may have.
    #[error("limit of {limit} {what} reached")]
    LimitReached {
        /// What there are too many of.
        what: &'static str,
        /// How many there may be.
        limit: usize,
    },
    /// A header that cannot be right.
    #[error("{header}: {problem}")]
    Header {
        /// Its name.
        header: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// It is not any more what the change was made for.
    #[error("precondition failed")]
    PreconditionFailed,
    /// A key does not revoke itself.
    #[error("a key does not revoke itself")]
    OwnKey,
    /// The same request is carried out at this moment.
    #[error("the request with this idempotency key is being carried out")]
    IdempotencyInProgress,
    /// Something else was asked under the same idempotency key.
    #[error("the idempotency key was used for another request")]
    IdempotencyKeyReused,
    /// No secret of the webhook is valid now.
    #[error("the webhook has no valid secret")]
    NoValidSecret,
    /// The HTTP client cannot be made.
    #[error("the HTTP client cannot be made")]
    NoClient,
    /// Only what was rejected is verified again.
    #[error("the receipt is not rejected: {0}")]
    NotRejected(&'static str),
    /// A webhook that is sent nothing gets nothing again either.
    #[error("the webhook is disabled")]
    WebhookDisabled,
    /// What has ended cannot be cancelled.
    #[error("the job has ended")]
    JobEnded,
    /// Nobody said under which URL senders reach us.
    #[error("neither a public URL is set nor did the request come through API Gateway")]
    NoPublicUrl,
    /// A stored event whose parts do not fit together.
    #[error(transparent)]
    BrokenEvent(#[from] BrokenEvent),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ApiError {
    /// A field that cannot be right.
    pub(crate) fn invalid(pointer: impl Into<String>, problem: impl ToString) -> Self {
        Self::Invalid {
            pointer: pointer.into(),
            problem: problem.to_string(),
        }
    }

    /// A parameter of the query string that cannot be right.
    pub(crate) fn parameter(parameter: impl Into<String>, problem: impl ToString) -> Self {
        Self::Parameter {
            parameter: parameter.into(),
            problem: problem.to_string(),
        }
    }

    /// The same problem, said of another field.
    pub(crate) fn at(self, pointer: String) -> Self {
        match self {
            Self::Invalid { problem, .. } => Self::Invalid { pointer, problem },
            other => other,
        }
    }

    fn error_type(&self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized",
            Self::Forbidden(_) => "forbidden",
            Self::Suspended => "suspended",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::RequestTooLarge => "request_too_large",
            Self::Malformed(_) => "malformed_json",
            Self::Invalid { .. } => "invalid_field",
            Self::Parameter { .. } => "invalid_parameter",
            Self::LimitReached { .. } => "limit_reached",
            Self::Header { .. } => "invalid_header",
            Self::PreconditionFailed => "precondition_failed",
            Self::OwnKey => "own_key",
            Self::NoValidSecret => "no_valid_secret",
            Self::NoClient => "no_client",
            Self::IdempotencyInProgress => "idempotency_in_progress",
            Self::IdempotencyKeyReused => "idempotency_key_reused",
            Self::NotRejected(_) => "not_rejected",
            Self::WebhookDisabled => "webhook_disabled",
            Self::JobEnded => "job_ended",
            Self::NoPublicUrl => "no_public_url",
            Self::BrokenEvent(_) => "broken_event",
            Self::Store(error) => error.error_type(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Unauthorized => Kind::Unauthorized,
            Self::Forbidden(_) => Kind::Forbidden,
            Self::Suspended => Kind::Suspended,
            Self::NotFound => Kind::NotFound,
            Self::MethodNotAllowed => Kind::MethodNotAllowed,
            Self::UnsupportedMediaType => Kind::UnsupportedMediaType,
            Self::RequestTooLarge | Self::Store(StoreError::TooLarge { .. }) => Kind::ContentTooLarge,
            Self::Malformed(_) => Kind::MalformedJson,
            Self::Invalid { .. } => Kind::InvalidField,
            Self::Parameter { .. } => Kind::InvalidParameter,
            Self::LimitReached { .. } => Kind::LimitReached,
            Self::Header { .. } => Kind::InvalidHeader,
            Self::PreconditionFailed => Kind::PreconditionFailed,
            Self::OwnKey => Kind::OwnKey,
            Self::NoValidSecret => Kind::NoValidSecret,
            Self::IdempotencyInProgress => Kind::IdempotencyInProgress,
            Self::IdempotencyKeyReused => Kind::IdempotencyKeyReused,
            Self::NotRejected(_) => Kind::NotRejected,
            Self::WebhookDisabled => Kind::WebhookDisabled,
            Self::JobEnded => Kind::JobEnded,
            Self::Store(StoreError::Conflict) => Kind::Conflict,
            Self::Store(error) if error.is_transient() => Kind::Unavailable,
            Self::NoPublicUrl | Self::NoClient | Self::BrokenEvent(_) | Self::Store(_) => Kind::InternalError,
        }
    }

    /// One sentence for the client. Of our own failures it says nothing.
    fn detail(&self) -> String {
        let text = match self {
            Self::Unauthorized => "Send a valid API key: Authorization: Bearer hk_….",
            Self::Forbidden(role) => return format!("A key of the role {} may not do this.", role.as_str()),
            Self::Suspended => "The organization of this key is suspended. Ask the operator of this installation.",
            Self::NotFound => "There is nothing here under this key.",
            Self::MethodNotAllowed => "This resource takes the methods that the header Allow names.",
            Self::UnsupportedMediaType => "Send JSON, with the header Content-Type: application/json.",
            Self::RequestTooLarge => return format!("The request's body is longer than {MAX_REQUEST_BYTES} bytes."),
            Self::Malformed(problem) | Self::Invalid { problem, .. } | Self::Parameter { problem, .. } => {
                return problem.chars().take(MAX_DETAIL_CHARS).collect();
            }
            Self::Header { header, problem } => return format!("The header {header} {problem}."),
            Self::PreconditionFailed => "It is not any more what If-Match names. Read it and try again.",
            Self::NoValidSecret => "Nothing can be sent that is not signed: rotate the secret of the webhook.",
            Self::OwnKey => "Another admin's key must revoke this one, so that an admin is left.",
            Self::IdempotencyInProgress => {
                "The request with this idempotency key is being carried out. Try again in a moment."
            }
            Self::IdempotencyKeyReused => {
                "Something else was asked with this idempotency key. Use a new key for each request."
            }
            Self::NotRejected(why) => why,
            Self::WebhookDisabled => "The webhook is disabled, and is sent nothing. Enable it first.",
            Self::JobEnded => "The job has ended already.",
            Self::LimitReached { what, limit } => return format!("An organization has at most {limit} {what}."),
            Self::Store(StoreError::TooLarge { limit }) => {
                return format!("The content is longer than {limit} bytes after compression.");
            }
            Self::Store(StoreError::Conflict) => "It was changed at the same time. Read it and try again.",
            Self::Store(error) if error.is_transient() => "The request could not be carried out now. Try again.",
            Self::NoPublicUrl | Self::NoClient | Self::BrokenEvent(_) | Self::Store(_) => {
                "The request could not be carried out. The operator's log says why."
            }
        };
        text.to_owned()
    }
}

/// What the log says of a failed request. It travels with the response, so that each error is logged once, with the request it belongs to.
#[derive(Debug, Clone)]
pub(crate) struct Cause {
    pub(crate) error_type: &'static str,
    /// What happened, only of our own failures: what a client sent may hold anything.
    pub(crate) error: Option<String>,
}

/// A problem (RFC 9457).
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Problem {
    /// What is the matter: a stable word for programs.
    #[serde(rename = "type")]
    kind: String,
    /// The same for people.
    title: &'static str,
    /// The status of the answer.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What happened this time.
    detail: String,
    /// The field of the request that cannot be right, as a JSON Pointer (RFC 6901); empty for the body as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(examples("/name"))]
    pointer: Option<String>,
    /// The parameter of the query string that cannot be right.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(examples("limit"))]
    parameter: Option<String>,
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let kind = self.kind();
        let status = kind.status();
        let detail = self.detail();
        let cause = Cause {
            error_type: self.error_type(),
            error: status.is_server_error().then(|| self.to_string()),
        };
        let (pointer, parameter) = match self {
            Self::Invalid { pointer, .. } => (Some(pointer), None),
            // It may be anything that a client makes up.
            Self::Parameter { parameter, .. } => (None, Some(parameter.chars().take(MAX_DETAIL_CHARS).collect())),
            _ => (None, None),
        };
        let problem = Problem {
            kind: format!("{TYPE_PREFIX}{}", kind.word()),
            title: kind.title(),
            status: status.as_u16(),
            detail,
            pointer,
            parameter,
        };
        let mut response = (status, axum::Json(problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"hookline\""));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
        }
        response.extensions_mut().insert(cause);
        response
    }
}
