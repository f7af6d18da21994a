//! Requests as API Gateway hands them over, in each form that it has: payload format 2.0 (what `template.yaml` asks for), and 1.0, which a
//! REST API always sends and an HTTP API sends when it is told to.
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>
//!
//! `lambda_http` reads them all. Two things it does not do as the functions need them, and this room mends:
//!
//! - Of a header that came more than once, format 1.0 tells every value (`multiValueHeaders`) and the last one again (`headers`);
//!   `lambda_http` lets the latter take the place of all. Here every value stays.
//! - Before the path there may be a stage (`/prod`, which a REST API always has) or the name of a mapping of a custom domain. The
//!   functions know their routes without either. Here the path is the route's, and what stood before it is [`Base`].

#[cfg(test)]
mod tests;

use std::fmt::Debug;

use lambda_http::http::Uri;
use lambda_http::http::uri::PathAndQuery;
use lambda_http::lambda_runtime::{self, Diagnostic};
use lambda_http::request::{LambdaRequest, RequestContext};
use lambda_http::tower::util::MapRequest;
use lambda_http::{Adapter, Error, IntoResponse, LambdaEvent, Request, RequestExt, Service};

/// What stood in the URL before the route's own path: `/prod`, or nothing. An extension of a [`Request`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base(String);

impl Base {
    /// Begins with a slash and does not end in one, unless it is empty.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Runs a function that answers HTTP requests: `lambda_http::run`, with requests as [`read`] gives them.
///
/// # Errors
/// When the runtime cannot be reached.
pub async fn run<'a, R, S, E>(service: S) -> Result<(), Error>
where
    S: Service<Request, Response = R, Error = E>,
    S::Future: Send + 'a,
    R: IntoResponse,
    E: Debug + Into<Diagnostic>,
{
    let adapter = Adapter::from(MapRequest::new(service, at_its_route));
    lambda_runtime::run(MapRequest::new(adapter, |event: LambdaEvent<LambdaRequest>| {
        LambdaEvent {
            payload: with_every_header(event.payload),
            context: event.context,
        }
    }))
    .await
}

/// The request of an event's JSON, as [`run`] hands it to its service.
///
/// # Errors
/// When it is no request of API Gateway's.
pub fn read(event: &str) -> Result<Request, serde_json::Error> {
    let event: LambdaRequest = serde_json::from_str(event)?;
    Ok(at_its_route(with_every_header(event).into()))
}

/// Takes from the headers with one value each what stands among those with all their values.
fn with_every_header(mut event: LambdaRequest) -> LambdaRequest {
    if let LambdaRequest::ApiGatewayV1(request) = &mut event {
        for name in request.multi_value_headers.keys() {
            request.headers.remove(name);
        }
    }
    event
}

/// What of a request's context says where its route's path begins.
struct Called<'a> {
    /// The path as it was called.
    path: &'a str,
    /// The route: `/v1/{proxy+}`, after `ANY ` in format 2.0.
    route: &'a str,
    stage: &'a str,
}

/// The request under the path of its route; what stood before it is an extension.
fn at_its_route(mut request: Request) -> Request {
    let (base, path) = {
        let context = request.extensions().get::<RequestContext>();
        let own = request.uri().path();
        let called = match context {
            Some(RequestContext::ApiGatewayV1(context)) => Called {
                path: context.path.as_deref().unwrap_or(own),
                route: context.resource_path.as_deref().unwrap_or_default(),
                stage: context.stage.as_deref().unwrap_or_default(),
            },
            Some(RequestContext::ApiGatewayV2(context)) => Called {
                path: context.http.path.as_deref().unwrap_or(own),
                route: context.route_key.as_deref().unwrap_or_default(),
                stage: context.stage.as_deref().unwrap_or_default(),
            },
            _ => return request,
        };
        split(&called, own, &request)
    };
    if let Some(uri) = with_path(request.uri(), &path) {
        *request.uri_mut() = uri;
    }
    request.extensions_mut().insert(Base(base));
    request
}

/// What stands before the route's path, and that path.
fn split(called: &Called<'_>, own: &str, request: &Request) -> (String, String) {
    if let Some(path) = filled(called.route, request).filter(|path| own.ends_with(path.as_str())) {
        // `lambda_http` has put the stage before its own path, also where a custom domain shows none.
        let base = called.path.strip_suffix(path.as_str()).unwrap_or_default();
        return (base.to_owned(), path);
    }
    // A route that names nothing (`$default`), or parameters that were decoded.
    let stage = format!("/{}", called.stage);
    match own.strip_prefix(&stage).filter(|rest| rest.starts_with('/')) {
        Some(rest) => {
            let base = if called.path.starts_with(&stage) {
                stage
            } else {
                String::new()
            };
            (base, rest.to_owned())
        }
        None => (String::new(), own.to_owned()),
    }
}

/// The path of a route with its parameters filled in; `None` where one is missing, or the route has no path.
fn filled(route: &str, request: &Request) -> Option<String> {
    let parameters = request.path_parameters_ref();
    let mut rest = route.get(route.find('/')?..)?;
    let mut path = String::new();
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}')?;
        path.push_str(before);
        path.push_str(parameters?.first(name.trim_end_matches('+'))?);
        rest = after;
    }
    path.push_str(rest);
    Some(path)
}

/// The same URI with another path.
fn with_path(uri: &Uri, path: &str) -> Option<Uri> {
    let mut parts = uri.clone().into_parts();
    let text = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    parts.path_and_query = Some(PathAndQuery::try_from(text).ok()?);
    Uri::from_parts(parts).ok()
}
