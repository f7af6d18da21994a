//! Plain HTTP to this machine, for the command line and the tests.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

/// How long a request may take: longer than API Gateway waits for a function.
const LIMIT: Duration = Duration::from_secs(35);

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
}

/// Sends one request to an `http://` URL. The errors do not name the URL: it can hold an ingest token.
pub(crate) async fn send(
    method: &str,
    url: &str,
    headers: &[(&str, String)],
    body: Bytes,
) -> Result<Answer, reqwest::Error> {
    let method = method.parse().unwrap_or(reqwest::Method::POST);
    let mut request = client()?.request(method, url).body(body);
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let answer = request.send().await.map_err(reqwest::Error::without_url)?;
    let status = answer.status().as_u16();
    let body = answer.bytes().await.map_err(reqwest::Error::without_url)?;
    Ok(Answer { status, body })
}

fn client() -> Result<reqwest::Client, reqwest::Error> {
    let builder = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(LIMIT);
    // There is no TLS on one machine: a client that trusts nobody saves reading the system's certificates.
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    match tls.with_safe_default_protocol_versions() {
        Ok(tls) => {
            let tls = tls
                .with_root_certificates(rustls::RootCertStore::empty())
                .with_no_client_auth();
            builder.tls_backend_preconfigured(tls).build()
        }
        Err(_) => builder.build(),
    }
}
