//! The DynamoDB API over HTTP on a loopback port, for people who look into the tables with the AWS CLI.
//!
//! Not the engine's own server: that one answers every web page that asks (CORS `*`), while the tables hold secrets, and its calls would
//! pass the engine's thread and wake no pump.

use std::net::SocketAddr;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::Engine;
use crate::loopback;

/// DynamoDB takes requests of up to 16 MB.
const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;

pub(super) async fn serve(engine: Engine, address: SocketAddr) -> std::io::Result<(SocketAddr, JoinHandle<()>)> {
    let listener: TcpListener = loopback::bind(address).await?;
    let address = listener.local_addr()?;
    let router = Router::new()
        .route("/", post(answer))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(axum::middleware::from_fn(loopback::guard))
        .with_state(engine);
    let task = tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(error_type = "engine_http", %error, "the engine's HTTP server ended");
        }
    });
    Ok((address, task))
}

async fn answer(State(engine): State<Engine>, headers: HeaderMap, body: Bytes) -> Response {
    // Browsers ask before they send this type to another origin, and get no leave here.
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if !content_type.starts_with("application/x-amz-json-1.0") {
        return StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response();
    }
    let target = headers
        .get("x-amz-target")
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let operation = target.rsplit('.').next().unwrap_or_default();
    let answer = engine.call(operation, body).await;
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (
        status,
        [(header::CONTENT_TYPE, "application/x-amz-json-1.0")],
        answer.body,
    )
        .into_response()
}
