//! Names of tables, and the client that reaches them.
//!
//! The client is built by hand: in Lambda the credentials are environment variables, so nothing else of the SDK's configuration is
//! needed, and most of its cold start is saved. It trusts only the roots that AWS endpoints chain to
//! (<https://www.amazontrust.com/repository/>) and uses ring, whose first handshake is several times faster than the default's.

use std::path::Path;
use std::time::Duration;

use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{
    BehaviorVersion, Credentials, Region, SharedAsyncSleep, SharedHttpClient, StalledStreamProtectionConfig,
};
use aws_sdk_dynamodb::{Client, Config};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::HttpConnectorSettings;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::Dynamo;

/// The roots that AWS endpoints chain to.
const AMAZON_ROOTS: &str = include_str!("../roots/amazon-trust-services.pem");

/// The names of the tables. A function that may not touch a table has no name for it: the empty text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tables {
    /// Requests as they arrived.
    pub inbox: String,
    /// What became of receipts that made no event.
    pub receipts: String,
    /// Events.
    pub events: String,
    /// Deliveries with their attempts.
    pub deliveries: String,
    /// Webhooks, their health and their set's version.
    pub webhooks: String,
    /// Sources and their doors.
    pub sources: String,
    /// Secrets of sources and webhooks.
    pub secrets: String,
    /// Organizations, API keys, leases.
    pub registry: String,
}

/// How long things are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Receipts, in days.
    pub inbox_days: u16,
    /// Events and deliveries, in days.
    pub event_days: u16,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            inbox_days: 7,
            event_days: 30,
        }
    }
}

/// Why there is no client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// A variable of the environment is missing.
    #[error("the environment variable {0} is not set")]
    Missing(&'static str),
    /// A variable of the environment cannot be used.
    #[error("the environment variable {0} is not a whole number of days from 1 to 3650")]
    NotDays(&'static str),
    /// The trust anchors cannot be read: the build is broken, or the file that `AWS_CA_BUNDLE` names holds none.
    #[error("the root certificates cannot be read")]
    Roots,
}

/// The store as the environment of a Lambda function describes it: `*_TABLE`, `AWS_REGION`, the three credentials, optionally
/// `AWS_ENDPOINT_URL_DYNAMODB` or `AWS_ENDPOINT_URL`, `AWS_CA_BUNDLE`, `INBOX_RETENTION_DAYS`, `EVENT_RETENTION_DAYS`.
///
/// # Errors
/// What is missing.
pub fn dynamo_from_env() -> Result<Dynamo, ConnectError> {
    let table = |name: &str| optional(name).unwrap_or_default();
    let days = |name: &'static str, default: u16| match optional(name) {
        None => Ok(default),
        Some(text) => text
            .parse()
            .ok()
            .filter(|days| (1..=3650).contains(days))
            .ok_or(ConnectError::NotDays(name)),
    };
    let endpoint = endpoint("AWS_ENDPOINT_URL_DYNAMODB");
    let client = client(&required("AWS_REGION")?, credentials_from_env()?, endpoint.as_deref())?;
    let tables = Tables {
        inbox: table("INBOX_TABLE"),
        receipts: table("RECEIPTS_TABLE"),
        events: table("EVENTS_TABLE"),
        deliveries: table("DELIVERIES_TABLE"),
        webhooks: table("WEBHOOKS_TABLE"),
        sources: table("SOURCES_TABLE"),
        secrets: table("SECRETS_TABLE"),
        registry: table("REGISTRY_TABLE"),
    };
    let defaults = Retention::default();
    let retention = Retention {
        inbox_days: days("INBOX_RETENTION_DAYS", defaults.inbox_days)?,
        event_days: days("EVENT_RETENTION_DAYS", defaults.event_days)?,
    };
    Ok(Dynamo::new(client, tables, retention))
}

/// A variable of the environment that may be missing; an empty one counts as missing.
#[must_use]
pub fn optional(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The endpoint that the environment names for one service by its own variable, or for all by `AWS_ENDPOINT_URL`
/// (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html>).
#[must_use]
pub fn endpoint(variable: &str) -> Option<String> {
    optional(variable).or_else(|| optional("AWS_ENDPOINT_URL"))
}

/// A variable of the environment that must be there.
///
/// # Errors
/// [`ConnectError::Missing`].
pub fn required(name: &'static str) -> Result<String, ConnectError> {
    optional(name).ok_or(ConnectError::Missing(name))
}

/// The credentials that Lambda puts into the environment.
///
/// # Errors
/// [`ConnectError::Missing`].
pub fn credentials_from_env() -> Result<Credentials, ConnectError> {
    Ok(Credentials::new(
        required("AWS_ACCESS_KEY_ID")?,
        required("AWS_SECRET_ACCESS_KEY")?,
        optional("AWS_SESSION_TOKEN"),
        None,
        "environment",
    ))
}

/// What carries the requests of an SDK's client to AWS, or to another endpoint that speaks its protocols, plain http among them.
fn http_client(endpoint: Option<&str>) -> Result<SharedHttpClient, ConnectError> {
    if is_plain(endpoint) {
        Ok(Builder::new().build_http())
    } else {
        Ok(Builder::new()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .tls_context(trusted()?)
            .build_https())
    }
}

/// How long a [`http_connector`] waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection.
    pub connect: Duration,
    /// For the head of an answer.
    pub read: Duration,
}

/// What carries requests to AWS, or to another endpoint that speaks its protocols, plain http among them: for what has no client of an SDK.
///
/// # Errors
/// [`ConnectError::Roots`].
pub fn http_connector(endpoint: Option<&str>, timeouts: Timeouts) -> Result<Connector, ConnectError> {
    let settings = HttpConnectorSettings::builder()
        .connect_timeout(timeouts.connect)
        .read_timeout(timeouts.read)
        .build();
    let builder = Connector::builder()
        .connector_settings(settings)
        .sleep_impl(TokioSleep::new());
    if is_plain(endpoint) {
        Ok(builder.build_http())
    } else {
        Ok(builder
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .tls_context(trusted()?)
            .build())
    }
}

fn is_plain(endpoint: Option<&str>) -> bool {
    endpoint.is_some_and(|url| url.starts_with("http://"))
}

/// A client for one region, or for another endpoint that speaks the same protocol.
///
/// # Errors
/// [`ConnectError::Roots`].
pub fn client(region: &str, credentials: Credentials, endpoint: Option<&str>) -> Result<Client, ConnectError> {
    Ok(client_over(region, credentials, endpoint, http_client(endpoint)?))
}

/// A client over a given HTTP client: how an embedded engine is reached without a network.
#[must_use]
pub fn client_over(
    region: &str,
    credentials: Credentials,
    endpoint: Option<&str>,
    http: impl Into<SharedHttpClient>,
) -> Client {
    let mut config = Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(region.to_owned()))
        .credentials_provider(credentials)
        .http_client(http.into())
        .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
        .retry_config(RetryConfig::standard().with_max_attempts(3))
        // Within what a sender waits for: three attempts, and an answer that says to come again.
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(Duration::from_secs(1))
                .operation_attempt_timeout(Duration::from_secs(3))
                .operation_timeout(Duration::from_secs(8))
                .build(),
        )
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    if let Some(url) = endpoint {
        config = config.endpoint_url(url);
    }
    Client::from_conf(config.build())
}

/// A file of certificates, once all of it is known to be good: the client would panic at anything else.
fn bundle(file: &Path) -> Result<Vec<u8>, ConnectError> {
    let pem = std::fs::read(file).map_err(|_| ConnectError::Roots)?;
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|_| ConnectError::Roots)?;
        roots.add(certificate).map_err(|_| ConnectError::Roots)?;
    }
    if roots.is_empty() {
        Err(ConnectError::Roots)
    } else {
        Ok(pem)
    }
}

/// Whom all of it trusts. The file that `AWS_CA_BUNDLE` names holds the certificates (PEM) to trust in place of the built-in ones, as in every
/// SDK of AWS (<https://docs.aws.amazon.com/sdkref/latest/guide/environment-variables.html>): for endpoints behind a proxy that ends TLS.
fn trusted() -> Result<TlsContext, ConnectError> {
    match optional("AWS_CA_BUNDLE") {
        None => context(AMAZON_ROOTS.as_bytes()),
        Some(file) => context(&bundle(Path::new(&file))?),
    }
}

fn context(roots: &[u8]) -> Result<TlsContext, ConnectError> {
    TlsContext::builder()
        .with_trust_store(TrustStore::empty().with_pem_certificate(roots))
        .build()
        .map_err(|_| ConnectError::Roots)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;

    #[test]
    fn the_built_in_roots_are_read() {
        assert_eq!(AMAZON_ROOTS.matches("-----BEGIN CERTIFICATE-----").count(), 5);
        assert!(http_client(None).is_ok());
    }

    #[test]
    fn a_bundle_of_certificates_is_trusted_only_when_all_of_it_can_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let read = |pem: &str| {
            let file = folder.path().join("bundle.pem");
            std::fs::write(&file, pem).unwrap();
            bundle(&file)
        };
        assert_eq!(read(AMAZON_ROOTS).unwrap(), AMAZON_ROOTS.as_bytes());
        let damaged = AMAZON_ROOTS.replacen("MII", "MIX", 1);
        let none = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for wrong in ["", "no certificates", none, &damaged] {
            assert_eq!(read(wrong), Err(ConnectError::Roots), "{wrong}");
        }
        assert_eq!(bundle(&folder.path().join("missing")), Err(ConnectError::Roots));
    }
}
