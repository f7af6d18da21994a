//! A destination behind TLS, under a chain of certificates of an authority of the test's own.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail by panicking")]

use std::sync::Arc;

use hookline_tests::api::quartr_message;
use hookline_tests::sink::Sink;
use hookline_tests::world::World;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A root, and what it vouches for: a server's configuration with its certificate and that of the authority in between.
fn chain(name: &str) -> (CertificateDer<'static>, Arc<rustls::ServerConfig>) {
    let authority = |path_length| {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(path_length));
        params
    };
    let root = CertifiedIssuer::self_signed(authority(1), KeyPair::generate().unwrap()).unwrap();
    let between = CertifiedIssuer::signed_by(authority(0), KeyPair::generate().unwrap(), &root).unwrap();
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(vec![name.to_owned()])
        .unwrap()
        .signed_by(&key, &between)
        .unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![server.der().clone(), between.der().clone()],
            PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        )
        .unwrap();
    (root.der().clone(), Arc::new(config))
}

/// Takes TLS off before a sink; the URL of it.
async fn tls_before(sink: &Sink, config: Arc<rustls::ServerConfig>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let address = sink
        .url()
        .trim_start_matches("http://")
        .split('/')
        .next()
        .unwrap()
        .to_owned();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, address) = (TlsAcceptor::from(Arc::clone(&config)), address.clone());
            tokio::spawn(async move {
                let Ok(mut tls) = acceptor.accept(stream).await else {
                    return;
                };
                let mut plain = TcpStream::connect(address).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut tls, &mut plain).await;
            });
        }
    });
    format!("https://localhost:{port}/hook")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_under_a_known_authority_is_delivered_to_and_no_other() {
    let (root, config) = chain("localhost");
    let (_, unknown) = chain("localhost");
    let world = World::start_with(|options| options.authorities = vec![root]).await;
    let sink = Sink::start().await;
    let good = world.api.webhook(&tls_before(&sink, config).await, &[]).await;
    world.api.webhook(&tls_before(&sink, unknown).await, &[]).await;
    let quartr = world.api.source("quartr").await;
    let body = quartr_message("live.audio.updated", 1);
    quartr.send_at("msg_1", world.now(), &body).await;

    assert!(sink.wait_for(1).await[0].is_signed_with(&good.secret));
    let is_settled = |event: &serde_json::Value| event["deliveries"].as_array().unwrap().len() == 2;
    let event = world.api.event_when(&quartr.event_id("msg_1"), is_settled).await;
    for delivery in event["deliveries"].as_array().unwrap() {
        let is_good = delivery["webhook"] == json!(good.id);
        let attempt = &delivery["attempts"][0];
        let expected = if is_good {
            ("delivered", json!(null))
        } else {
            ("due", json!("tls"))
        };
        assert_eq!(
            (delivery["status"].as_str().unwrap(), attempt["error"].clone()),
            expected,
            "{delivery}"
        );
        assert_eq!(attempt["status"].is_null(), !is_good);
    }
    world.drained().await;
    assert_eq!(sink.arrivals().len(), 1);
    world.stop().await;
}
