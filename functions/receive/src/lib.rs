//! `ANY /in/{token}`: stores a provider's request, raw, before it answers. It verifies nothing and reads no secret; `verify` does, woken
//! by the write. A provider's question whether its webhooks are wanted, and a monitor's whether we are there, are answered and not stored.

mod answer;
mod asked;
mod capture;
mod doors;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use lambda_http::http::{Response, request};
use lambda_http::{Body, Request, RequestExt};
use payload::receipt::MAX_BODY_BYTES;
use payload::source::{Door, IngestToken};
use payload::{Clock, Receipt, ReceiptId, TraceId};
use store::{Doors, Inbox, StoreError};
use telemetry::{Count, Measured, Metrics};

use asked::Asked;
use doors::DoorCache;

/// The most bytes of headers and query string together. API Gateway takes 10,240 with the request line; this leaves room for what it and
/// a proxy add, and keeps the stored item below the 400 KB of DynamoDB where no API Gateway stands before us.
pub const MAX_HEAD_BYTES: usize = 16 * 1024;

/// Takes requests in.
#[derive(Debug)]
pub struct Receive<S, C> {
    store: S,
    clock: C,
    doors: DoorCache,
    metrics: Metrics,
}

/// What a request is given when it arrives.
#[derive(Debug, Clone, Copy)]
struct Arrival {
    received_at: Timestamp,
    trace: TraceId,
}

/// What became of a request that was not refused.
enum Taken {
    /// It is stored.
    Stored {
        /// The receipt.
        id: ReceiptId,
        /// The length of its body.
        bytes: usize,
    },
    /// It asks something.
    Asked(Asked),
}

/// Why a request was not stored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// No such token, not even the form of one, or its source takes no requests: a stranger is not told which.
    #[error("no source takes requests under this token")]
    UnknownToken,
    /// The organization of the source is suspended.
    #[error("the organization is suspended")]
    Suspended,
    /// The provider does not use this method.
    #[error("the source does not take this method")]
    Method {
        /// The methods that the source takes.
        allowed: Vec<String>,
    },
    /// Without this header the request can never be verified.
    #[error("the header {name} is missing or empty")]
    MissingHeader {
        /// The header's name, in lower case.
        name: String,
    },
    /// Without this query parameter the request can never be verified.
    #[error("the query parameter {name} is missing or empty")]
    MissingParameter {
        /// The parameter's name.
        name: String,
    },
    /// A provider's question that is not to be answered as it wishes.
    #[error("the handshake's token is wrong, or its challenge is none that is sent back")]
    Handshake,
    /// Longer than [`MAX_HEAD_BYTES`].
    #[error("headers and query string are longer than {MAX_HEAD_BYTES} bytes")]
    HeadTooLarge,
    /// Longer than [`MAX_BODY_BYTES`].
    #[error("the body is longer than {MAX_BODY_BYTES} bytes")]
    BodyTooLarge,
    /// The door could not be read, or the receipt could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Refusal {
    fn error_type(&self) -> &'static str {
        match self {
            Self::UnknownToken => "unknown_token",
            Self::Suspended => "suspended",
            Self::Method { .. } => "method_not_allowed",
            Self::MissingHeader { .. } => "missing_header",
            Self::MissingParameter { .. } => "missing_parameter",
            Self::Handshake => "handshake_refused",
            Self::HeadTooLarge => "header_fields_too_large",
            Self::BodyTooLarge => "body_too_large",
            Self::Store(error) => error.error_type(),
        }
    }

    fn is_ours(&self) -> bool {
        matches!(self, Self::Store(error) if !matches!(error, StoreError::TooLarge { .. }))
    }
}

impl<S: Doors + Inbox, C: Clock> Receive<S, C> {
    /// A function that stores with `store` what arrives at the time of `clock`.
    pub fn new(store: S, clock: C) -> Self {
        Self {
            store,
            clock,
            doors: DoorCache::default(),
            metrics: Metrics::off(),
        }
    }

    /// The same function, which tells its numbers there.
    #[must_use]
    pub fn with_metrics(self, metrics: Metrics) -> Self {
        Self { metrics, ..self }
    }

    /// Answers one request:
    ///
    /// | status | when |
    /// |---|---|
    /// | the source's success status (202, 200 or 204) | stored; the body is `{"id":"rcp_…"}`, with 204 there is none |
    /// | 200 | a provider's question, answered; or a HEAD, or a GET with neither query nor body: nothing is stored |
    /// | 204 | another OPTIONS; `Allow` names the methods that the provider uses |
    /// | 400 | a header or a query parameter that the source's scheme needs is missing or empty |
    /// | 403 | a provider's question with a wrong token, or one that wants to hear what we do not send back |
    /// | 404 | unknown or malformed token, or a disabled source |
    /// | 405 | a method that the provider does not use; `Allow` names those it uses |
    /// | 413 | the body is longer than [`MAX_BODY_BYTES`], or than 350 KB after compression |
    /// | 431 | headers and query string are longer than [`MAX_HEAD_BYTES`] |
    /// | 503 | the store failed, or the organization is suspended; `Retry-After` says when to send again |
    ///
    /// # Errors
    /// None: every outcome is an answer.
    pub async fn handle(&self, request: Request) -> Result<Response<Body>, Infallible> {
        // The clock of the replay window: read at arrival, so that a slow write does not make a good timestamp too old.
        let received_at = self.clock.now();
        let trace = capture::trace(request.headers());
        let (token, door) = match self.door(&request, received_at).await {
            Ok(found) => found,
            Err(refusal) => return Ok(refuse(&refusal, None, trace)),
        };
        let arrival = Arrival { received_at, trace };
        let (head, body) = request.into_parts();
        Ok(match self.take(&head, body, arrival, &token, &door).await {
            Ok(Taken::Stored { id, bytes }) => {
                tracing::info!(
                    outcome = "stored",
                    receipt = %id,
                    source = %door.source,
                    organization = %door.organization,
                    %trace,
                    bytes,
                    status = door.success_status,
                    "stored"
                );
                let measured = Measured::default();
                measured.count(Count::Received);
                self.metrics.tell(received_at, measured);
                answer::stored(&id, door.success_status)
            }
            Ok(Taken::Asked(asked)) => {
                let response = answer::asked(&asked, &door);
                tracing::info!(
                    outcome = asked.outcome(),
                    source = %door.source,
                    organization = %door.organization,
                    %trace,
                    status = response.status().as_u16(),
                    "answered"
                );
                response
            }
            Err(refusal) => refuse(&refusal, Some(&door), trace),
        })
    }

    /// The token of the request's path and what stands behind it, when that takes requests.
    async fn door(&self, request: &Request, now: Timestamp) -> Result<(IngestToken, Arc<Door>), Refusal> {
        let token = token(request).ok_or(Refusal::UnknownToken)?;
        let hash = token.hash();
        if let Some(door) = self.doors.get(&hash, now) {
            return Ok((token, door));
        }
        let door = self
            .store
            .door(&hash)
            .await?
            .filter(|door| door.enabled && door.expires_at.is_none_or(|end| now < end))
            .ok_or(Refusal::UnknownToken)?;
        if door.suspended {
            return Err(Refusal::Suspended);
        }
        let door = Arc::new(door);
        self.doors.put(hash, Arc::clone(&door), now);
        Ok((token, door))
    }

    /// Finds what is asked, or stores the request.
    async fn take(
        &self,
        head: &request::Parts,
        body: Body,
        Arrival { received_at, trace }: Arrival,
        token: &IngestToken,
        door: &Door,
    ) -> Result<Taken, Refusal> {
        capture::check_size(head)?;
        let body = bytes_of(body);
        if let Some(asked) = Asked::read(head, &body, door)? {
            return Ok(Taken::Asked(asked));
        }
        capture::check_head(head, door)?;
        if body.len() > MAX_BODY_BYTES {
            return Err(Refusal::BodyTooLarge);
        }
        let (query, headers) = capture::capture(head, token, door);
        let receipt = Receipt {
            id: ReceiptId::generate(received_at),
            organization: door.organization.clone(),
            source: door.source.clone(),
            method: head.method.as_str().to_owned(),
            query,
            headers,
            body,
            received_at,
            scheme: Some(door.scheme.clone()),
            trace: Some(trace),
        };
        self.store.put_receipt(&receipt).await?;
        Ok(Taken::Stored {
            id: receipt.id,
            bytes: receipt.body.len(),
        })
    }
}

/// The ingest token: the route's parameter, or the last segment of the path where no API Gateway has taken it apart.
fn token(request: &Request) -> Option<IngestToken> {
    let parameters = request.path_parameters_ref();
    let parameter = parameters.and_then(|parameters| parameters.first("token"));
    parameter
        .or_else(|| request.uri().path().rsplit('/').next())?
        .parse()
        .ok()
}

/// The exact bytes of the body, whichever way API Gateway handed them over.
fn bytes_of(body: Body) -> Bytes {
    match body {
        Body::Empty => Bytes::new(),
        Body::Text(text) => text.into(),
        Body::Binary(bytes) => bytes.into(),
        // The type is open for further forms: each shows its bytes.
        other => Bytes::copy_from_slice(&other),
    }
}

/// Logs what went wrong, once, and answers. Neither holds the token.
fn refuse(refusal: &Refusal, door: Option<&Door>, trace: TraceId) -> Response<Body> {
    let response = answer::refused(refusal);
    let source = door.map(|door| tracing::field::display(&door.source));
    let organization = door.map(|door| tracing::field::display(&door.organization));
    let (status, error_type) = (response.status().as_u16(), refusal.error_type());
    if refusal.is_ours() {
        tracing::error!(outcome = "failed", error_type, source, organization, %trace, status, error = %refusal, "failed");
    } else {
        tracing::info!(outcome = "refused", error_type, source, organization, %trace, status, "refused");
    }
    response
}
