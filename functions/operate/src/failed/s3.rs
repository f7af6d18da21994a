//! The bucket that the stream mappings of `template.yaml` write to.
//!
//! Requests are signed by `rusty-s3`, in the query (<https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html>), and
//! carried by what carries those to DynamoDB. AWS's own client of S3 would make this function a third larger, for four operations.

use std::time::Duration;

use aws_smithy_http_client::Connector;
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use payload::Clock;
use rusty_s3::actions::ListObjectsV2;
use rusty_s3::{Credentials, S3Action, UrlStyle};
use store::connect::{self, ConnectError, Timeouts};
use url::Url;

use super::{FailedRecords, FailedRecordsError, Result};

/// The variable with the bucket's name.
pub const BUCKET_VARIABLE: &str = "FAILED_RECORDS_BUCKET";

/// A document has up to 6 MB.
const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(2),
    read: Duration::from_secs(15),
};

/// How long what was signed can be used. It is used at once.
const SIGNATURE_VALID: Duration = Duration::from_secs(60);

/// How often a request is sent at most: each does the same when it is sent again.
const ATTEMPTS: u32 = 3;

/// What is waited before the second attempt; before the third, twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// Failed records in S3.
#[derive(Debug)]
pub struct Bucket<C> {
    bucket: rusty_s3::Bucket,
    credentials: Credentials,
    http: Connector,
    /// For the body of an answer, whose head has come in time.
    body_timeout: Duration,
    clock: C,
}

/// Why there is no bucket.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BucketError {
    /// What the environment lacks.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// No URL can be made of the endpoint and the bucket's name.
    #[error("the endpoint of S3 or the name of the bucket cannot be used")]
    Url,
}

impl<C: Clock> Bucket<C> {
    /// The bucket that the environment of a Lambda function names ([`BUCKET_VARIABLE`]), reached as the tables are; optionally
    /// under `AWS_ENDPOINT_URL_S3`.
    ///
    /// # Errors
    /// What is missing or cannot be used.
    pub fn from_env(clock: C) -> std::result::Result<Self, BucketError> {
        let endpoint = connect::endpoint("AWS_ENDPOINT_URL_S3");
        let credentials = connect::credentials_from_env()?;
        let (key, secret) = (credentials.access_key_id(), credentials.secret_access_key());
        let credentials = match credentials.session_token() {
            Some(token) => Credentials::new_with_token(key, secret, token),
            None => Credentials::new(key, secret),
        };
        let region = connect::required("AWS_REGION")?;
        let name = connect::required(BUCKET_VARIABLE)?;
        Self::new(&region, credentials, endpoint.as_deref(), name, clock)
    }

    /// A bucket of that name in a region, or at another endpoint that speaks the same protocol.
    ///
    /// # Errors
    /// When the endpoint is no URL, the name is none of a bucket, or the roots cannot be read.
    pub fn new(
        region: &str,
        credentials: Credentials,
        endpoint: Option<&str>,
        name: String,
        clock: C,
    ) -> std::result::Result<Self, BucketError> {
        let http = connect::http_connector(endpoint, TIMEOUTS)?;
        let (url, style) = match endpoint {
            Some(url) => (url.to_owned(), UrlStyle::Path),
            None => (regional(region), UrlStyle::VirtualHost),
        };
        let url: Url = url.parse().map_err(|_| BucketError::Url)?;
        let bucket = rusty_s3::Bucket::new(url, style, name, region.to_owned()).map_err(|_| BucketError::Url)?;
        Ok(Self {
            bucket,
            credentials,
            http,
            body_timeout: TIMEOUTS.read,
            clock,
        })
    }

    /// The same with another time for the body of an answer.
    #[must_use]
    pub fn with_timeout(mut self, body: Duration) -> Self {
        self.body_timeout = body;
        self
    }

    /// Sends a request, again where another attempt may go better; the body of its answer. `Err` holds the code of an error.
    async fn send<'a>(&self, action: &impl S3Action<'a>, method: &str, body: &[u8]) -> Result<Vec<u8>> {
        let mut attempt = 1;
        loop {
            let url = action.sign_with_time(SIGNATURE_VALID, &self.clock.now());
            match self.attempt(&url, method, body).await {
                Err(Failure { is_transient: true, .. }) if attempt < ATTEMPTS => {
                    tokio::time::sleep(FIRST_WAIT * attempt).await;
                    attempt += 1;
                }
                answered => return answered.map_err(|failure| FailedRecordsError(failure.code)),
            }
        }
    }

    async fn attempt(&self, url: &Url, method: &str, body: &[u8]) -> std::result::Result<Vec<u8>, Failure> {
        let mut request = HttpRequest::new(SdkBody::from(body));
        request
            .set_method(method)
            .and_then(|_| request.set_uri(url.as_str()))
            .map_err(|_| Failure::lasting("the request could not be built"))?;
        if !body.is_empty() {
            request.headers_mut().insert("content-type", "application/json");
        }
        let response = self.http.call(request).await.map_err(|error| not_sent(&error))?;
        let status = response.status();
        // The timeouts of what carries it end with the head.
        let body = tokio::time::timeout(self.body_timeout, ByteStream::new(response.into_body()).collect()).await;
        let body = body.map_err(|_| Failure::transient("timeout"))?;
        let body = body.map_err(|_| Failure::transient("an answer broke off"))?.to_vec();
        if status.is_success() {
            return Ok(body);
        }
        let code = code(&String::from_utf8_lossy(&body)).to_owned();
        let is_transient = status.is_server_error() || status.as_u16() == 429 || code == "RequestTimeout";
        Err(Failure { code, is_transient })
    }
}

impl<C: Clock> FailedRecords for Bucket<C> {
    async fn list(&self, after: Option<&str>, limit: u16) -> Result<Vec<String>> {
        let mut action = self.bucket.list_objects_v2(Some(&self.credentials));
        action.with_max_keys(limit.into());
        if let Some(after) = after {
            action.with_start_after(after);
        }
        let answer = self.send(&action, "GET", &[]).await?;
        let page = std::str::from_utf8(&answer).ok();
        let page = page.and_then(|text| ListObjectsV2::parse_response(text).ok());
        let page = page.ok_or_else(|| FailedRecordsError("a list that cannot be read".into()))?;
        Ok(page.contents.into_iter().map(|object| object.key).collect())
    }

    async fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let action = self.bucket.get_object(Some(&self.credentials), name);
        match self.send(&action, "GET", &[]).await {
            Ok(document) => Ok(Some(document)),
            Err(FailedRecordsError(code)) if code == "NoSuchKey" => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn write(&self, name: &str, document: Vec<u8>) -> Result<()> {
        let action = self.bucket.put_object(Some(&self.credentials), name);
        self.send(&action, "PUT", &document).await.map(drop)
    }

    async fn delete(&self, name: &str) -> Result<()> {
        let action = self.bucket.delete_object(Some(&self.credentials), name);
        self.send(&action, "DELETE", &[]).await.map(drop)
    }
}

/// Why an attempt failed. Only a code: messages may name what must not be logged.
struct Failure {
    code: String,
    is_transient: bool,
}

impl Failure {
    fn transient(code: &str) -> Self {
        Self {
            code: code.to_owned(),
            is_transient: true,
        }
    }

    fn lasting(code: &str) -> Self {
        Self {
            is_transient: false,
            ..Self::transient(code)
        }
    }
}

fn not_sent(error: &ConnectorError) -> Failure {
    match error {
        error if error.is_timeout() => Failure::transient("timeout"),
        error if error.is_user() => Failure::lasting("the request could not be built"),
        _ => Failure::transient("no connection"),
    }
}

/// The code of an error document (<https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>).
fn code(document: &str) -> &str {
    document
        .split_once("<Code>")
        .and_then(|(_, rest)| rest.split_once("</Code>"))
        .map(|(code, _)| code)
        .filter(|code| !code.is_empty() && code.len() <= 64 && code.bytes().all(|b| b.is_ascii_alphanumeric()))
        .unwrap_or("an answer without an error code")
}

/// How the regions of a partition begin, and its domain, where that is not `amazonaws.com`
/// (<https://github.com/boto/botocore/blob/develop/botocore/data/partitions.json>).
const PARTITIONS: &[(&str, &str)] = &[
    ("cn-", "amazonaws.com.cn"),
    ("eusc-", "amazonaws.eu"),
    ("us-iso-", "c2s.ic.gov"),
    ("us-isob-", "sc2s.sgov.gov"),
    ("us-isof-", "csp.hci.ic.gov"),
    ("eu-isoe-", "cloud.adc-e.uk"),
];

/// The endpoint of a region.
fn regional(region: &str) -> String {
    let partition = PARTITIONS.iter().find(|(begin, _)| region.starts_with(begin));
    let domain = partition.map_or("amazonaws.com", |(_, domain)| domain);
    format!("https://s3.{region}.{domain}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_partition_has_its_domain() {
        for (region, endpoint) in [
            ("eu-central-1", "https://s3.eu-central-1.amazonaws.com"),
            ("us-gov-west-1", "https://s3.us-gov-west-1.amazonaws.com"),
            ("cn-north-1", "https://s3.cn-north-1.amazonaws.com.cn"),
            ("eusc-de-east-1", "https://s3.eusc-de-east-1.amazonaws.eu"),
            ("us-isob-east-1", "https://s3.us-isob-east-1.sc2s.sgov.gov"),
        ] {
            assert_eq!(regional(region), endpoint);
        }
    }

    #[test]
    fn only_a_code_is_told_of_an_error() {
        assert_eq!(
            code("<Error><Code>AccessDenied</Code><Message>m</Message></Error>"),
            "AccessDenied"
        );
        for other in [
            "",
            "<Code></Code>",
            "<Code>a secret/name</Code>",
            "<Code>AccessDenied",
            "<html>",
        ] {
            assert_eq!(code(other), "an answer without an error code", "{other}");
        }
    }
}
