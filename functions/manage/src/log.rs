//! One line in the log for each request: whose it was, what it was about, and what came of it. Never a body, a key, or a path as it came.

use axum::extract::{MatchedPath, Request};
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, Method};
use axum::response::Response;
use payload::organization::ApiKey;
use payload::{EventId, JobId, ReceiptId, SourceId, TraceId, WebhookId};
use tracing::field::display;

use crate::problem::Cause;

/// What is known of a request when it arrives.
#[derive(Debug)]
pub(crate) struct Line {
    method: Method,
    /// The route and not the path: what stands in a path is the client's.
    route: Option<String>,
    about: Subject,
    trace: TraceId,
}

/// The ids that a path names: texts that are ids, and nothing else of it.
#[derive(Debug, Default)]
struct Subject {
    source: Option<SourceId>,
    webhook: Option<WebhookId>,
    event: Option<EventId>,
    receipt: Option<ReceiptId>,
    job: Option<JobId>,
}

impl Subject {
    fn name(&mut self, path: &str) {
        for part in path.split('/') {
            self.source = self.source.take().or_else(|| part.parse().ok());
            self.webhook = self.webhook.take().or_else(|| part.parse().ok());
            self.event = self.event.take().or_else(|| part.parse().ok());
            self.receipt = self.receipt.take().or_else(|| part.parse().ok());
            self.job = self.job.take().or_else(|| part.parse().ok());
        }
    }
}

impl Line {
    /// The line of this request.
    pub(crate) fn of(request: &Request) -> Self {
        let route = request.extensions().get::<MatchedPath>();
        let mut about = Subject::default();
        about.name(request.uri().path());
        Self {
            method: request.method().clone(),
            route: route.map(|path| path.as_str().to_owned()),
            about,
            trace: trace(request.headers()),
        }
    }

    /// The trace that the request belongs to.
    pub(crate) fn trace(&self) -> TraceId {
        self.trace
    }

    /// Writes it, with what came of the request. What was made is named by its `Location`. Without a key nothing is told of what was asked
    /// for: it is a stranger's text.
    pub(crate) fn write(mut self, key: Option<&ApiKey>, response: &Response) {
        let made = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        self.about.name(made.unwrap_or_default());
        let Subject {
            source,
            webhook,
            event,
            receipt,
            job,
        } = if key.is_some() { self.about } else { Subject::default() };
        let (source, webhook, event) = (source.map(display), webhook.map(display), event.map(display));
        let (receipt, job) = (receipt.map(display), job.map(display));
        let organization = key.map(|key| display(&key.organization));
        let key = key.map(|key| display(&key.id));
        let cause = response.extensions().get::<Cause>();
        let error_type = cause.map(|cause| cause.error_type);
        let error = cause.and_then(|cause| cause.error.as_deref());
        let (method, route, trace) = (&self.method, self.route, self.trace);
        let status = response.status().as_u16();
        if response.status().is_server_error() {
            tracing::error!(
                outcome = "failed",
                %method,
                route,
                status,
                organization,
                key,
                source,
                webhook,
                event,
                receipt,
                job,
                %trace,
                error_type,
                error,
                "failed"
            );
            return;
        }
        let is_well = response.status().is_success();
        tracing::info!(
            outcome = if is_well { "answered" } else { "refused" },
            %method,
            route,
            status,
            organization,
            key,
            source,
            webhook,
            event,
            receipt,
            job,
            %trace,
            error_type,
            "answered"
        );
    }
}

fn trace(headers: &HeaderMap) -> TraceId {
    TraceId::of_headers(|name| headers.get_all(name).into_iter().map(|value| value.as_bytes()))
}
