//! The process is killed between each pair of steps and started again: nothing that was acknowledged is lost, nothing is delivered to the
//! wrong place.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};

use hookline_tests::api::{Api, PROVIDER_SECRET, Provider, Registered, quartr_message, signed_headers};
use hookline_tests::eventually;
use hookline_tests::process::HubProcess;
use hookline_tests::sink::{Behaviour, PATIENCE, Sink};
use payload::Clock;
use serde_json::Value;
use store::clock::SystemClock;

const PROGRAM: &str = env!("CARGO_BIN_EXE_hub-process");

/// A hub on a folder with one organization, one source and one webhook.
struct Victim {
    folder: tempfile::TempDir,
    hub: HubProcess,
    api: Api,
    quartr: Provider,
    webhook: Registered,
    sink: Sink,
}

impl Victim {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut hub = HubProcess::start(PROGRAM, folder.path(), 0).await;
        let key = hub.tell("organization").await;
        let api = Api::new(hub.url(), &key);
        let sink = Sink::start().await;
        let webhook = api.webhook(sink.url(), &[]).await;
        let quartr = api.source("quartr").await;
        Self {
            folder,
            hub,
            api,
            quartr,
            webhook,
            sink,
        }
    }

    async fn kill_and_start_again(mut self) -> Self {
        let port = self.hub.port();
        self.hub.kill().await;
        self.hub = HubProcess::start(PROGRAM, self.folder.path(), port).await;
        self
    }

    async fn send(&self, message: &str) -> String {
        self.quartr
            .send_at(message, SystemClock.now(), &quartr_message("audio.created", 1))
            .await
    }

    async fn delivery_when(&self, message: &str, is_right: impl Fn(&Value) -> bool) -> Value {
        let event = self
            .api
            .event_when(&self.quartr.event_id(message), |event| {
                event["deliveries"].get(0).is_some_and(&is_right)
            })
            .await;
        event["deliveries"][0].clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn between_receiving_and_verifying() {
    let mut victim = Victim::start().await;
    victim.hub.tell("fault unreachable PutItem EventsTable").await;
    victim.send("msg_1").await;
    let victim = victim.kill_and_start_again().await;
    let arrivals = victim.sink.wait_for(1).await;
    assert_eq!(arrivals[0].header("webhook-id"), victim.quartr.event_id("msg_1"));
    assert!(arrivals[0].is_signed_with(&victim.webhook.secret));
    victim
        .delivery_when("msg_1", |delivery| delivery["status"] == "delivered")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn between_verifying_and_sending() {
    let mut victim = Victim::start().await;
    victim.hub.tell("fault unreachable Query DeliveriesTable").await;
    let receipt = victim.send("msg_1").await;
    victim
        .api
        .receipt_when(&receipt, |receipt| receipt["status"] == "accepted")
        .await;
    assert!(victim.sink.arrivals().is_empty());
    let victim = victim.kill_and_start_again().await;
    victim.sink.wait_for(1).await;
    victim
        .delivery_when("msg_1", |delivery| delivery["status"] == "delivered")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn between_sending_and_recording() {
    let mut victim = Victim::start().await;
    victim.hub.tell("fault delay PutItem DeliveriesTable").await;
    victim.send("msg_1").await;
    victim.sink.wait_for(1).await;
    let mut victim = victim.kill_and_start_again().await;
    let arrivals = victim.sink.wait_for(2).await;
    assert_eq!(
        arrivals[0].header("webhook-id"),
        arrivals[1].header("webhook-id"),
        "the receiver can tell"
    );
    assert_eq!(arrivals[0].body, arrivals[1].body);
    let delivery = victim
        .delivery_when("msg_1", |delivery| delivery["status"] == "delivered")
        .await;
    assert_eq!(
        delivery["attempts"].as_array().unwrap().len(),
        1,
        "what was not recorded is not counted"
    );
    victim.hub.tell("drained").await;
    assert_eq!(victim.sink.arrivals().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_recording() {
    let victim = Victim::start().await;
    victim.send("msg_1").await;
    victim
        .delivery_when("msg_1", |delivery| delivery["status"] == "delivered")
        .await;
    let mut victim = victim.kill_and_start_again().await;
    // A message behind it says that the streams were worked off up to there.
    victim.send("msg_2").await;
    victim
        .delivery_when("msg_2", |delivery| delivery["status"] == "delivered")
        .await;
    victim.hub.tell("drained").await;
    assert_eq!(victim.sink.arrivals().len(), 2, "what is recorded is not sent again");
}

#[tokio::test(flavor = "multi_thread")]
async fn between_a_retry_and_its_recording() {
    let victim = Victim::start().await;
    victim.sink.next([Behaviour::Answer(500)]);
    victim.send("msg_1").await;
    victim
        .delivery_when("msg_1", |delivery| delivery["status"] == "due")
        .await;
    // Due deliveries outlive the process too.
    let mut victim = victim.kill_and_start_again().await;
    victim.hub.tell("advance 90").await;
    victim.hub.tell("fault delay PutItem DeliveriesTable").await;
    victim.hub.begin("tick").await;
    victim.sink.wait_for(2).await;
    let mut victim = victim.kill_and_start_again().await;
    victim.hub.tell("advance 100").await;
    victim.hub.tell("tick").await;
    assert_eq!(
        victim.sink.arrivals().len(),
        2,
        "the lease of the killed one still holds"
    );
    victim.hub.tell("advance 200").await;
    victim.hub.tell("tick").await;
    let delivery = victim
        .delivery_when("msg_1", |delivery| delivery["status"] == "delivered")
        .await;
    assert_eq!(delivery["attempts"].as_array().unwrap().len(), 2);
    let ids: BTreeSet<String> = victim
        .sink
        .arrivals()
        .iter()
        .map(|arrival| arrival.header("webhook-id").to_owned())
        .collect();
    assert_eq!(ids.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn at_any_moment_under_load() {
    let mut victim = Victim::start().await;
    // A second organization, whose webhook must never see the first one's events.
    let key = victim.hub.tell("organization").await;
    let other = Api::new(victim.hub.url(), &key);
    let other_sink = Sink::start().await;
    let other_webhook = other.webhook(other_sink.url(), &[]).await;
    let other_quartr = other.source("quartr").await;
    let mut acknowledged: BTreeMap<String, bool> = BTreeMap::new();
    for round in 0..5_u64 {
        let port = victim.hub.port();
        let count = AtomicU64::new(0);
        let senders = async {
            let mut acknowledged = Vec::new();
            for message in 0..400 {
                let id = format!("msg_{round}_{message}");
                let body = quartr_message("audio.created", 1);
                let headers = signed_headers(PROVIDER_SECRET, &id, SystemClock.now(), &body);
                let is_other = message % 2 == 1;
                let provider = if is_other { &other_quartr } else { &victim.quartr };
                if provider.try_send(&headers, &body).await == Some(reqwest::StatusCode::ACCEPTED) {
                    count.fetch_add(1, Ordering::Relaxed);
                    acknowledged.push((provider.event_id(&id), is_other));
                }
            }
            acknowledged
        };
        let killer = async {
            eventually("some are acknowledged", PATIENCE, async || {
                (count.load(Ordering::Relaxed) > 5 + 15 * round).then_some(())
            })
            .await;
            victim.hub.kill().await;
        };
        let (sent, ()) = tokio::join!(senders, killer);
        assert!(
            !sent.is_empty() && sent.len() < 400,
            "the kill fell into the sending: {}",
            sent.len()
        );
        acknowledged.extend(sent);
        victim.hub = HubProcess::start(PROGRAM, victim.folder.path(), port).await;
    }
    let arrived = |sink: &Sink| -> BTreeSet<String> {
        sink.arrivals()
            .iter()
            .map(|arrival| arrival.header("webhook-id").to_owned())
            .collect()
    };
    let expected = |is_other: bool| -> BTreeSet<String> {
        acknowledged
            .iter()
            .filter(|(_, other)| **other == is_other)
            .map(|(id, _)| id.clone())
            .collect()
    };
    for (sink, is_other) in [(&victim.sink, false), (&other_sink, true)] {
        eventually("all that was acknowledged is delivered", PATIENCE, async || {
            expected(is_other).is_subset(&arrived(sink)).then_some(())
        })
        .await;
        // What was stored and not acknowledged may arrive too; what is another's never does.
        assert!(arrived(sink).is_disjoint(&expected(!is_other)));
        let secret = if is_other {
            &other_webhook.secret
        } else {
            &victim.webhook.secret
        };
        assert!(sink.arrivals().iter().all(|arrival| arrival.is_signed_with(secret)));
    }
}
