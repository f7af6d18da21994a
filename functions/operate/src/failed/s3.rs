//! The bucket that the stream mappings of `template.yaml` write to.

use std::time::Duration;

use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation, SharedAsyncSleep,
    SharedHttpClient, StalledStreamProtectionConfig,
};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::{Client, Config};
use aws_smithy_async::rt::sleep::TokioSleep;
use store::connect::{self, ConnectError};

use super::{FailedRecords, FailedRecordsError, Result};

/// The variable with the bucket's name.
pub const BUCKET_VARIABLE: &str = "FAILED_RECORDS_BUCKET";

/// Failed records in S3.
#[derive(Debug, Clone)]
pub struct Bucket {
    client: Client,
    name: String,
}

impl Bucket {
    /// The bucket that the environment of a Lambda function names ([`BUCKET_VARIABLE`]), reached as the tables are; optionally
    /// under `AWS_ENDPOINT_URL_S3`.
    ///
    /// # Errors
    /// What is missing.
    pub fn from_env() -> std::result::Result<Self, ConnectError> {
        let endpoint = connect::optional("AWS_ENDPOINT_URL_S3").or_else(|| connect::optional("AWS_ENDPOINT_URL"));
        Ok(Self::new(
            &connect::required("AWS_REGION")?,
            connect::credentials_from_env()?,
            endpoint.as_deref(),
            connect::http_client(endpoint.as_deref())?,
            connect::required(BUCKET_VARIABLE)?,
        ))
    }

    /// A bucket of that name in a region, or at another endpoint that speaks the same protocol.
    #[must_use]
    pub fn new(
        region: &str,
        credentials: Credentials,
        endpoint: Option<&str>,
        http: SharedHttpClient,
        name: String,
    ) -> Self {
        let mut config = Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new(region.to_owned()))
            .credentials_provider(credentials)
            .http_client(http)
            .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
            .retry_config(RetryConfig::standard().with_max_attempts(3))
            // A document has up to 6 MB.
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(Duration::from_secs(2))
                    .operation_attempt_timeout(Duration::from_secs(15))
                    .operation_timeout(Duration::from_secs(40))
                    .build(),
            )
            // Over TLS, and only what is needed: a whole implementation of checksums would be linked in for them.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        if let Some(url) = endpoint {
            config = config.endpoint_url(url).force_path_style(true);
        }
        Self {
            client: Client::from_conf(config.build()),
            name,
        }
    }
}

impl FailedRecords for Bucket {
    async fn list(&self, after: Option<&str>, limit: u16) -> Result<Vec<String>> {
        let page = self
            .client
            .list_objects_v2()
            .bucket(&self.name)
            .set_start_after(after.map(str::to_owned))
            .max_keys(i32::from(limit))
            .send()
            .await
            .map_err(sdk_error)?;
        let objects = page.contents.unwrap_or_default();
        Ok(objects.into_iter().filter_map(|object| object.key).collect())
    }

    async fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let got = self.client.get_object().bucket(&self.name).key(name).send().await;
        let object = match got {
            Ok(object) => object,
            Err(error) => match error.as_service_error() {
                Some(GetObjectError::NoSuchKey(_)) => return Ok(None),
                _ => return Err(sdk_error(error)),
            },
        };
        let body = object.body.collect().await;
        let body = body.map_err(|_| FailedRecordsError("an object broke off".into()))?;
        Ok(Some(body.to_vec()))
    }

    async fn write(&self, name: &str, document: Vec<u8>) -> Result<()> {
        self.client
            .put_object()
            .bucket(&self.name)
            .key(name)
            .content_type("application/json")
            .body(ByteStream::from(document))
            .send()
            .await
            .map_err(sdk_error)?;
        Ok(())
    }

    async fn delete(&self, name: &str) -> Result<()> {
        let delete = self.client.delete_object().bucket(&self.name).key(name);
        delete.send().await.map_err(sdk_error)?;
        Ok(())
    }
}

/// The code alone: messages may name what must not be logged.
fn sdk_error<E: ProvideErrorMetadata, R>(error: SdkError<E, R>) -> FailedRecordsError {
    let text = match &error {
        SdkError::ServiceError(service) => service.err().code().unwrap_or("an answer without an error code"),
        SdkError::ConstructionFailure(_) => "the request could not be built",
        SdkError::TimeoutError(_) => "timeout",
        SdkError::DispatchFailure(_) => "no connection",
        _ => "an answer that could not be read",
    };
    FailedRecordsError(text.to_owned())
}
