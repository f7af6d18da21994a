//! The HTTP client that carries deliveries: rustls with ring and trust anchors known at compile time, no redirects, no proxy, no
//! cookies, no decompression, and no address that the guard has not seen.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;

use crate::guard::{Destinations, Guard};

/// What we call ourselves to destinations.
pub const USER_AGENT: &str = concat!("Hookline/", env!("CARGO_PKG_VERSION"));

/// How long an idle connection is kept. Short, because a connection that its other end has closed while this process was frozen
/// between two invocations costs a failed attempt.
const IDLE_LIMIT: Duration = Duration::from_secs(30);

/// How many idle connections to one host are kept.
const IDLE_CONNECTIONS: usize = 32;

/// What an HTTP/2 destination may send before it is asked for more: nothing beyond what is read of an answer at most.
const WINDOW_BYTES: u32 = 64 * 1024;

/// A guarded HTTP client. A clone shares its connections.
#[derive(Debug, Clone)]
pub struct Client {
    pub(crate) http: reqwest::Client,
    pub(crate) guard: Guard,
}

/// What a [`Client`] is made of.
#[derive(Debug)]
pub struct ClientBuilder {
    guard: Guard,
    extra_anchors: Vec<CertificateDer<'static>>,
}

/// A client that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The TLS provider lacks what it must have, or a trust anchor cannot be read.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    /// The HTTP client refuses its configuration.
    #[error("the HTTP client cannot be set up: {0}")]
    Http(#[from] reqwest::Error),
}

impl Client {
    /// A client that goes only where `guard` allows, and trusts the certificate authorities of Mozilla's root program.
    #[must_use]
    pub fn builder(guard: Guard) -> ClientBuilder {
        ClientBuilder {
            guard,
            extra_anchors: Vec::new(),
        }
    }
}

impl ClientBuilder {
    /// Also trusts this authority's certificate (DER): for destinations under an authority of one's own.
    #[must_use]
    pub fn trust(mut self, authority: CertificateDer<'static>) -> Self {
        self.extra_anchors.push(authority);
        self
    }

    /// Makes the client.
    ///
    /// # Errors
    /// When an extra trust anchor cannot be read, or the client cannot be set up.
    pub fn build(self) -> Result<Client, ClientError> {
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls_config(self.extra_anchors)?)
            .dns_resolver(self.guard.clone())
            .https_only(self.guard.destinations() == Destinations::PublicOnly)
            .redirect(reqwest::redirect::Policy::none())
            // One attempt is one request: what is sent again is recorded as an attempt of its own.
            .retry(reqwest::retry::never())
            .no_proxy()
            .referer(false)
            .user_agent(USER_AGENT)
            .pool_idle_timeout(IDLE_LIMIT)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .http2_initial_stream_window_size(WINDOW_BYTES)
            .tcp_nodelay(true)
            .build()?;
        Ok(Client {
            http,
            guard: self.guard,
        })
    }
}

fn tls_config(extra_anchors: Vec<CertificateDer<'static>>) -> Result<rustls::ClientConfig, rustls::Error> {
    // Anchors parsed at compile time: reading the system's store is most of what a cold start would cost.
    let mut anchors: rustls::RootCertStore = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
    for authority in extra_anchors {
        anchors.add(authority)?;
    }
    // The provider is named, not taken from the process: aws-lc-rs would cost a cold start tens of milliseconds.
    let mut config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(anchors)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
