//! The HTTP front: what API Gateway does with a request before and after a function, on a loopback port.
//!
//! Routes are those of the template. A function gets the very type that it gets in Lambda, made of payload format 2.0
//! (<https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>): header names in lower
//! case, repeated headers joined by commas, cookies apart, the raw query string, and a body that is base64 when it is no text. The limits are
//! those of <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html> and of Lambda's payload.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::event::apigw::{
    ApiGatewayV2httpRequest, ApiGatewayV2httpRequestContext, ApiGatewayV2httpRequestContextHttpDescription,
};
use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Path, Request};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE, COOKIE, HOST, HeaderValue, USER_AGENT};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Response, StatusCode, uri};
use axum::response::IntoResponse;
use axum::routing::any;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::future::BoxFuture;
use jiff::tz::TimeZone;
use lambda_http::request::LambdaRequest;
use payload::Clock;
use tokio::net::TcpListener;

use crate::pump::HandlerError;
use crate::template::Route;

/// A function behind a route.
pub type HttpHandler =
    Arc<dyn Fn(lambda_http::Request) -> BoxFuture<'static, Result<Response<Body>, HandlerError>> + Send + Sync>;

/// The most bytes of the request line and all headers together.
const MAX_HEAD_BYTES: usize = 10_240;

/// The most bytes of a function's event: its JSON with the body, base64 counted as it is written.
const MAX_EVENT_BYTES: usize = 6 * 1024 * 1024;

/// How long API Gateway waits for a function.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// Routes that lead to one function.
pub struct Integration {
    /// The routes.
    pub routes: Vec<Route>,
    /// The function.
    pub handler: HttpHandler,
    /// How long one invocation may take.
    pub timeout: Duration,
}

/// Answers requests on `listener` until `stop` resolves, and then those that are under way.
pub(crate) async fn serve(
    listener: TcpListener,
    integrations: Vec<Integration>,
    clock: Arc<dyn Clock>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let router = router(integrations, &clock);
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).with_graceful_shutdown(stop).await
}

/// One function behind one path, for the methods of its route.
#[derive(Clone)]
struct Target {
    method: Option<String>,
    route_key: String,
    handler: HttpHandler,
    timeout: Duration,
}

fn router(integrations: Vec<Integration>, clock: &Arc<dyn Clock>) -> Router {
    let mut by_path: BTreeMap<String, Vec<Target>> = BTreeMap::new();
    for integration in integrations {
        for route in integration.routes {
            let method = route.method.as_deref().unwrap_or("ANY");
            by_path.entry(axum_path(&route.path)).or_default().push(Target {
                route_key: format!("{method} {}", route.path),
                method: route.method,
                handler: Arc::clone(&integration.handler),
                timeout: integration.timeout,
            });
        }
    }
    let mut router = Router::new().fallback(async || message(StatusCode::NOT_FOUND, "Not Found"));
    for (path, targets) in by_path {
        let (targets, clock) = (Arc::new(targets), Arc::clone(clock));
        let answer = move |ConnectInfo(peer): ConnectInfo<SocketAddr>,
                           Path(parameters): Path<BTreeMap<String, String>>,
                           request: Request| {
            let (targets, clock) = (Arc::clone(&targets), Arc::clone(&clock));
            async move {
                // A route with the method goes before one for any.
                let of_method = targets
                    .iter()
                    .find(|target| target.method.as_deref() == Some(request.method().as_str()));
                match of_method.or_else(|| targets.iter().find(|target| target.method.is_none())) {
                    Some(target) => answer(target, parameters, peer, clock.as_ref(), request).await,
                    None => message(StatusCode::NOT_FOUND, "Not Found"),
                }
            }
        };
        router = router.route(&path, any(answer));
    }
    router
}

/// `/v1/{proxy+}` as axum writes it.
fn axum_path(path: &str) -> String {
    let segment = |segment: &str| match segment.strip_prefix('{').and_then(|rest| rest.strip_suffix("+}")) {
        Some(name) => format!("{{*{name}}}"),
        None => segment.to_owned(),
    };
    path.split('/').map(segment).collect::<Vec<_>>().join("/")
}

/// An answer of API Gateway's own.
fn message(status: StatusCode, text: &str) -> axum::response::Response {
    (status, axum::Json(serde_json::json!({ "message": text }))).into_response()
}

async fn answer(
    target: &Target,
    parameters: BTreeMap<String, String>,
    peer: SocketAddr,
    clock: &dyn Clock,
    request: Request,
) -> axum::response::Response {
    let (parts, body) = request.into_parts();
    if head_bytes(&parts) > MAX_HEAD_BYTES {
        return message(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "Request Header Fields Too Large",
        );
    }
    let Ok(body) = axum::body::to_bytes(body, MAX_EVENT_BYTES).await else {
        return message(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large");
    };
    let Some(event) = event(target, &parts, parameters, peer, clock, &body) else {
        return message(StatusCode::BAD_REQUEST, "Bad Request");
    };
    if event.body.as_ref().is_some_and(|body| body.len() > MAX_EVENT_BYTES) {
        return message(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large");
    }
    // In a task of its own: a panic of the function is an answer of 500, and a sender that hangs up does not cut it off.
    let handler = Arc::clone(&target.handler);
    let mut task = tokio::spawn(async move { handler(LambdaRequest::ApiGatewayV2(event).into()).await });
    match tokio::time::timeout(target.timeout.min(MAX_WAIT), &mut task).await {
        Ok(Ok(Ok(response))) => response,
        Ok(failed) => {
            let error = failed.map_or_else(
                |error| error.to_string(),
                |error| error.err().map_or_else(String::new, |e| e.to_string()),
            );
            tracing::error!(error_type = "function_error", route = target.route_key, %error, "the function failed");
            message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
        }
        Err(_) => {
            task.abort();
            tracing::error!(
                error_type = "function_timeout",
                route = target.route_key,
                "the function took too long"
            );
            message(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable")
        }
    }
}

/// The request line and the headers as they were written.
fn head_bytes(parts: &Parts) -> usize {
    let line = parts.method.as_str().len()
        + parts.uri.path_and_query().map_or(1, |target| target.as_str().len())
        + "  HTTP/1.1\r\n".len();
    let headers: usize = parts
        .headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len())
        .sum();
    line + headers
}

/// The function's event; `None` for a request that API Gateway would not let through.
fn event(
    target: &Target,
    parts: &Parts,
    parameters: BTreeMap<String, String>,
    peer: SocketAddr,
    clock: &dyn Clock,
    body: &Bytes,
) -> Option<ApiGatewayV2httpRequest> {
    let mut http = ApiGatewayV2httpRequestContextHttpDescription::default();
    http.method = parts.method.clone();
    http.path = Some(parts.uri.path().to_owned());
    http.protocol = Some("HTTP/1.1".into());
    http.source_ip = Some(peer.ip().to_string());
    http.user_agent = parts
        .headers
        .get(USER_AGENT)
        .and_then(|agent| agent.to_str().ok())
        .map(str::to_owned);
    let now = clock.now();
    let mut context = ApiGatewayV2httpRequestContext::default();
    context.route_key = Some(target.route_key.clone());
    context.stage = Some("$default".into());
    context.request_id = Some(hex::encode(payload::id::random::<8>()));
    context.domain_name = Some(host(&parts.headers)?);
    context.time = Some(now.to_zoned(TimeZone::UTC).strftime("%d/%b/%Y:%H:%M:%S %z").to_string());
    context.time_epoch = now.as_millisecond();
    context.http = http;
    let (body, is_base64_encoded) = encode(&parts.headers, body);
    let mut event = ApiGatewayV2httpRequest::default();
    event.version = Some("2.0".into());
    event.route_key = context.route_key.clone();
    event.raw_path = Some(parts.uri.path().to_owned());
    event.raw_query_string = Some(parts.uri.query().unwrap_or_default().to_owned());
    event.cookies = cookies(&parts.headers);
    event.headers = headers(&parts.headers, peer)?;
    event.path_parameters = parameters.into_iter().collect();
    event.request_context = context;
    event.body = body;
    event.is_base64_encoded = is_base64_encoded;
    Some(event)
}

/// The host that the request names, when it is one: what is made of it later must be a URL.
fn host(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(HOST)?.to_str().ok()?;
    let authority: uri::Authority = text.parse().ok()?;
    (!text.contains('@') && url::Url::parse(&format!("http://{authority}/")).is_ok()).then(|| text.to_owned())
}

/// The body as the event holds it: text as it is, everything else in base64.
fn encode(headers: &HeaderMap, body: &Bytes) -> (Option<String>, bool) {
    if body.is_empty() {
        return (None, false);
    }
    let content_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let media_type = content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    let is_text = media_type.starts_with("text/")
        || matches!(
            media_type.as_str(),
            "application/json" | "application/javascript" | "application/xml"
        );
    match std::str::from_utf8(body) {
        Ok(text) if is_text && !headers.contains_key(CONTENT_ENCODING) => (Some(text.to_owned()), false),
        _ => (Some(STANDARD.encode(body)), true),
    }
}

fn cookies(headers: &HeaderMap) -> Option<Vec<String>> {
    let values = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let cookies: Vec<String> = values.flat_map(|value| value.split("; ")).map(str::to_owned).collect();
    (!cookies.is_empty()).then_some(cookies)
}

/// One value for each name, repeated ones joined by commas, with what API Gateway adds.
fn headers(received: &HeaderMap, peer: SocketAddr) -> Option<HeaderMap> {
    let mut joined = HeaderMap::with_capacity(received.keys_len() + 3);
    for name in received.keys().filter(|name| **name != COOKIE) {
        let values: Vec<&[u8]> = received.get_all(name).iter().map(HeaderValue::as_bytes).collect();
        joined.insert(name.clone(), HeaderValue::from_bytes(&values.join(&b","[..])).ok()?);
    }
    let forwarded_for = HeaderName::from_static("x-forwarded-for");
    let before = joined
        .get(&forwarded_for)
        .and_then(|value| value.to_str().ok())
        .map_or(String::new(), |before| format!("{before}, "));
    joined.insert(
        forwarded_for,
        HeaderValue::from_str(&format!("{before}{}", peer.ip())).ok()?,
    );
    joined.insert(
        HeaderName::from_static("x-forwarded-proto"),
        HeaderValue::from_static("http"),
    );
    Some(joined)
}

#[cfg(test)]
mod tests;
