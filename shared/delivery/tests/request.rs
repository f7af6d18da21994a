//! What a destination is sent, where it goes, and over what.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use delivery::{Client, Destinations, Guard, HttpSender, Request, Sender};
use payload::TraceId;
use payload::clock::Clock;
use payload::delivery::AttemptError;
use payload::outbound::{SigningKey, sign};
use payload::webhook::Format;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use support::{Changing, LONG, SHORT, Server, at, event, keys, message, open_client, read_request, send, url};
use tokio::io::AsyncWriteExt;
use tokio_rustls::TlsAcceptor;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> jiff::Timestamp {
        at()
    }
}

#[tokio::test]
async fn the_request_is_signed_and_says_who_we_are() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&seen);
    let server = Server::start(move |mut stream| {
        let record = Arc::clone(&record);
        async move {
            let request = read_request(&mut stream).await.unwrap();
            record.lock().unwrap().push(request);
            let _ = stream.write_all(OK).await;
        }
    })
    .await;
    let (event, destination, keys, message) = (event(), url(&server.url()), keys(), message());
    let request = Request {
        event: &event,
        id: event.as_str(),
        destination: &destination,
        keys: Some(&keys),
        headers: &[],
        message: &message,
        format: Format::Raw,
        hops: 0,
        trace: TraceId::of_event(&event),
    };
    let outcome = HttpSender::new(open_client(), Fixed).send(request, LONG).await;
    assert_eq!(
        (outcome.attempt.status, outcome.attempt.error, outcome.attempt.at),
        (Some(200), None, at())
    );

    let (head, body) = seen.lock().unwrap().pop().unwrap();
    assert_eq!(body, message.body);
    let mut lines = head.lines();
    assert_eq!(lines.next(), Some("POST /hook/secret-path?token=secret-query HTTP/1.1"));
    let mut headers: Vec<_> = lines
        .map(|line| line.split_once(": ").unwrap())
        .map(|(n, v)| (n.to_ascii_lowercase(), v))
        .collect();
    headers.sort();
    // Under another parent id each time.
    let traceparent = headers.iter().position(|(name, _)| name == "traceparent").unwrap();
    let (_, traceparent) = headers.remove(traceparent);
    assert_eq!(TraceId::of_traceparent(traceparent), Some(TraceId::of_event(&event)));
    let key = SigningKey::parse(&support::SECRET.into()).unwrap();
    let signature = sign(&[key], event.as_str(), at(), &body);
    let host = server.address.to_string();
    let expected = [
        ("accept", "*/*"),
        ("content-length", "12"),
        ("content-type", "application/json"),
        ("hookline-hops", "1"),
        ("host", &host),
        ("user-agent", concat!("Hookline/", env!("CARGO_PKG_VERSION"))),
        ("webhook-id", event.as_str()),
        ("webhook-signature", &signature),
        ("webhook-timestamp", "1750000000"),
    ];
    assert_eq!(headers, expected.map(|(name, value)| (name.to_owned(), value)).to_vec());
}

#[tokio::test]
async fn nothing_leaves_for_a_private_address() {
    let server = Server::start(|mut stream| async move {
        let _ = stream.write_all(OK).await;
    })
    .await;
    let port = server.address.port();
    let guard = Guard::new(Destinations::PublicOnly);
    let literal = Client::builder(guard.clone()).build().unwrap();
    for host in ["127.0.0.1", "2130706433", "127.1", "[::ffff:127.0.0.1]", "localhost"] {
        let outcome = send(&literal, &format!("https://{host}:{port}/"), LONG).await;
        assert_eq!(
            (outcome.attempt.status, outcome.attempt.error),
            (None, Some(AttemptError::Blocked)),
            "{host}"
        );
    }
    let http = send(&literal, &server.url(), LONG).await;
    assert_eq!(http.attempt.error, Some(AttemptError::Blocked));
    let mixed = Client::builder(guard.with_resolver(Changing::new(&[&["93.184.216.34", "127.0.0.1"]])))
        .build()
        .unwrap();
    assert_eq!(
        send(&mixed, &format!("https://example.com:{port}/"), LONG)
            .await
            .attempt
            .error,
        Some(AttemptError::Blocked)
    );
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_name_that_changes_its_answer_after_the_check_is_blocked() {
    let server = Server::start(|_| std::future::ready(())).await;
    let destination = url(&format!("https://rebinding.example:{}/", server.address.port()));
    let guard =
        Guard::new(Destinations::PublicOnly).with_resolver(Changing::new(&[&["93.184.216.34"], &["127.0.0.1"]]));
    assert_eq!(
        guard.check(destination.expose()).await,
        Ok(()),
        "registered while its name led to a public address"
    );
    let client = Client::builder(guard).build().unwrap();
    let outcome = send(&client, destination.expose().as_str(), LONG).await;
    assert_eq!(outcome.attempt.error, Some(AttemptError::Blocked));
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_connection_goes_to_the_address_that_was_checked() {
    let server = Server::start(|mut stream| async move {
        read_request(&mut stream).await;
        let _ = stream.write_all(OK).await;
    })
    .await;
    // The name is nobody's: only the guard's own lookup can have led here.
    let guard = Guard::new(Destinations::AllowPrivate).with_resolver(Changing::new(&[&["127.0.0.1"]]));
    let client = Client::builder(guard).build().unwrap();
    let outcome = send(
        &client,
        &format!("http://destination.invalid:{}/", server.address.port()),
        LONG,
    )
    .await;
    assert_eq!((outcome.attempt.status, outcome.attempt.error), (Some(200), None));
}

#[tokio::test]
async fn a_name_without_an_address_is_an_error_of_dns() {
    let guard = Guard::new(Destinations::PublicOnly).with_resolver(Changing::new(&[&[]]));
    let client = Client::builder(guard).build().unwrap();
    assert_eq!(
        send(&client, "https://nowhere.example/", LONG).await.attempt.error,
        Some(AttemptError::Dns)
    );
}

/// An authority and a certificate that it made for a name.
fn authority_and_server(name: &str) -> (CertificateDer<'static>, Arc<rustls::ServerConfig>) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()])
        .unwrap()
        .signed_by(&key, &authority)
        .unwrap();
    let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        )
        .unwrap();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    (authority.der().clone(), Arc::new(config))
}

async fn tls_server(config: Arc<rustls::ServerConfig>) -> Server {
    Server::start(move |stream| {
        let acceptor = TlsAcceptor::from(Arc::clone(&config));
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                return;
            };
            if read_request(&mut stream).await.is_some() {
                let _ = stream.write_all(OK).await;
                let _ = stream.flush().await;
            }
            let _ = stream.shutdown().await;
        }
    })
    .await
}

fn client_trusting(authority: Option<CertificateDer<'static>>) -> Client {
    let guard = Guard::new(Destinations::AllowPrivate).with_resolver(Changing::new(&[&["127.0.0.1"]]));
    let builder = Client::builder(guard);
    match authority {
        Some(authority) => builder.trust(authority),
        None => builder,
    }
    .build()
    .unwrap()
}

#[tokio::test]
async fn a_good_certificate_is_taken_and_a_bad_one_is_not() {
    let (authority, config) = authority_and_server("good.example");
    let server = tls_server(config).await;
    let port = server.address.port();
    let trusting = client_trusting(Some(authority));
    let outcome = send(&trusting, &format!("https://good.example:{port}/"), LONG).await;
    assert_eq!((outcome.attempt.status, outcome.attempt.error), (Some(200), None));
    let wrong_name = send(&trusting, &format!("https://other.example:{port}/"), LONG).await;
    assert_eq!(
        (wrong_name.attempt.status, wrong_name.attempt.error),
        (None, Some(AttemptError::Tls))
    );
    let unknown_authority = send(&client_trusting(None), &format!("https://good.example:{port}/"), LONG).await;
    assert_eq!(
        (unknown_authority.attempt.status, unknown_authority.attempt.error),
        (None, Some(AttemptError::Tls))
    );
}

#[tokio::test]
async fn http2_is_spoken_where_it_is_offered() {
    let (authority, config) = authority_and_server("good.example");
    let mut config = Arc::unwrap_or_clone(config);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let server = Server::start(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let mut connection = h2::server::handshake(acceptor.accept(stream).await.unwrap())
                .await
                .unwrap();
            while let Some(Ok((request, mut respond))) = connection.accept().await {
                assert!(request.headers().contains_key("webhook-signature"));
                respond
                    .send_response(http::Response::builder().status(204).body(()).unwrap(), true)
                    .unwrap();
            }
        }
    })
    .await;
    let client = client_trusting(Some(authority));
    let destination = format!("https://good.example:{}/", server.address.port());
    let outcomes = tokio::join!(send(&client, &destination, LONG), send(&client, &destination, LONG));
    assert_eq!(
        (outcomes.0.attempt.status, outcomes.1.attempt.status),
        (Some(204), Some(204))
    );
    assert_eq!(send(&client, &destination, LONG).await.attempt.status, Some(204));
    assert!(server.connections() <= 2, "connections are shared");
}

#[tokio::test]
async fn a_handshake_that_fails_is_an_error_of_tls() {
    let broken_off = Server::start(|stream| async move { drop(stream) }).await;
    let not_tls = Server::start(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        read_request(&mut stream).await;
    })
    .await;
    let hanging = Server::start(|stream| async move {
        let _stream = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let client = client_trusting(None);
    let error = async |server: &Server, limit: Duration| {
        send(&client, &format!("https://x.example:{}/", server.address.port()), limit)
            .await
            .attempt
            .error
    };
    assert!(matches!(
        error(&broken_off, LONG).await,
        Some(AttemptError::Tls | AttemptError::Connect)
    ));
    assert_eq!(error(&not_tls, LONG).await, Some(AttemptError::Tls));
    assert_eq!(error(&hanging, SHORT).await, Some(AttemptError::Timeout));
}
