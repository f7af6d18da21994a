//! What the environment says of proxies is not asked: a request that went through one would go where the guard has not looked.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail by panicking")]

use hookline_tests::api::{Api, quartr_message};
use hookline_tests::process::HubProcess;
use hookline_tests::sink::Sink;
use payload::Clock;
use store::clock::SystemClock;

const PROGRAM: &str = env!("CARGO_BIN_EXE_hub-process");

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_of_the_environment_is_not_used() {
    let (sink, proxy) = (Sink::start().await, Sink::start().await);
    let folder = tempfile::tempdir().unwrap();
    let names = [
        "HTTP_PROXY",
        "http_proxy",
        "HTTPS_PROXY",
        "https_proxy",
        "ALL_PROXY",
        "all_proxy",
    ];
    let mut hub = HubProcess::start_with(PROGRAM, folder.path(), 0, &names.map(|name| (name, proxy.url()))).await;
    let key = hub.tell("organization").await;
    let api = Api::new(hub.url(), &key);
    api.webhook(sink.url(), &[]).await;
    let quartr = api.source("quartr").await;
    let body = quartr_message("audio.created", 1);
    quartr.send_at("msg_1", SystemClock.now(), &body).await;
    sink.wait_for(1).await;
    assert_eq!(proxy.arrivals().len(), 0);
    hub.kill().await;
}
