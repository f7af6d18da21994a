//! The AWS SDK's way to the engine: no socket, no TLS, the same requests and answers.

use std::fmt;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;

use super::fault::{FaultKind, answer_of};
use super::{Answer, Engine};

/// An HTTP client of the SDK whose every request goes to an engine in this process.
#[derive(Clone)]
pub(super) struct InProcess(pub(super) Engine);

impl fmt::Debug for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InProcess")
    }
}

impl HttpClient for InProcess {
    fn http_connector(
        &self,
        _settings: &HttpConnectorSettings,
        _components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for InProcess {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let engine = self.0.clone();
        HttpConnectorFuture::new(async move {
            let target = request.headers().get("x-amz-target").unwrap_or_default();
            let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
            let body = request.body().bytes().map(Bytes::copy_from_slice);
            let body = body.ok_or_else(|| ConnectorError::user("a streaming body".into()))?;
            let answer = call(&engine, &operation, body).await?;
            let status =
                StatusCode::try_from(answer.status).map_err(|error| ConnectorError::other(error.into(), None))?;
            let mut response = HttpResponse::new(status, SdkBody::from(answer.body));
            response
                .headers_mut()
                .insert("content-type", "application/x-amz-json-1.0");
            Ok(response)
        })
    }
}

/// The call, with the fault that a test may have asked for.
async fn call(engine: &Engine, operation: &str, body: Bytes) -> Result<Answer, ConnectorError> {
    let fault = engine.faults().strike(operation, &body, |name| engine.logical_id(name));
    match fault {
        None => {}
        Some(FaultKind::Delay(time)) => tokio::time::sleep(time).await,
        Some(FaultKind::Unreachable) => return Err(ConnectorError::io("injected: the connection was reset".into())),
        Some(kind) => {
            if kind == FaultKind::AppliedThenInternalServerError {
                engine.call(operation, body).await;
            }
            return answer_of(kind).ok_or_else(|| ConnectorError::other("a fault without an answer".into(), None));
        }
    }
    let meter = engine.meter();
    let answer = engine.call(operation, meter.ask(body)).await;
    meter.count(operation, &answer, |name| engine.logical_id(name));
    Ok(answer)
}
