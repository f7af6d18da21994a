//! What the hub does on one machine: latency from request to destination, events and deliveries a second, processor time of the hub's own
//! process. What an event costs in DynamoDB's units, the program `cost` says.
//!
//! `cargo bench -p hookline-tests --bench hub` prints the tables of docs/BENCHMARKS.md. The hub runs as a process of its own; the load and the
//! destinations run in this one, on the same processors.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a measurement"
)]

mod support;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hookline_tests::api::{Api, PROVIDER_SECRET, Provider, signed_headers};
use hookline_tests::process::{AS_DEPLOYED, HubProcess};
use payload::Clock;
use reqwest::StatusCode;
use store::clock::SystemClock;
use support::{PROGRAM, body, is_measured, median, quantile};
use tokio::time::Instant;

fn usual_body() -> Vec<u8> {
    body("live.audio.updated")
}

/// A destination that only counts, and notes when it first saw an event.
#[derive(Clone, Default)]
struct Counter {
    arrived: Arc<AtomicUsize>,
    first: Arc<Mutex<HashMap<String, Instant>>>,
    is_timed: bool,
}

impl Counter {
    async fn listen(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let counter = self.clone();
        let app = axum::Router::new().fallback(move |request: axum::extract::Request| {
            let counter = counter.clone();
            async move {
                let now = Instant::now();
                let id = request
                    .headers()
                    .get("webhook-id")
                    .and_then(|id| id.to_str().ok())
                    .map(str::to_owned);
                let _ = axum::body::to_bytes(request.into_body(), usize::MAX).await;
                counter.arrived.fetch_add(1, Ordering::Relaxed);
                if counter.is_timed
                    && let Some(id) = id
                {
                    counter.first.lock().unwrap().entry(id).or_insert(now);
                }
                StatusCode::OK
            }
        });
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        url
    }

    async fn wait_for(&self, count: usize) {
        let deadline = Instant::now() + Duration::from_secs(120);
        while self.arrived.load(Ordering::Relaxed) < count {
            assert!(
                Instant::now() < deadline,
                "{} of {count} arrived",
                self.arrived.load(Ordering::Relaxed)
            );
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

struct Setup {
    hub: HubProcess,
    _folder: tempfile::TempDir,
    quartr: Provider,
    counter: Counter,
}

impl Setup {
    async fn new(webhooks: usize, is_timed: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut hub = HubProcess::start_with(PROGRAM, folder.path(), 0, &[(AS_DEPLOYED, "1")]).await;
        let key = hub.tell("organization").await;
        let api = Api::new(hub.url(), &key);
        let counter = Counter {
            is_timed,
            ..Counter::default()
        };
        for _ in 0..webhooks {
            let url = counter.listen().await;
            api.webhook(&url, &["live.*"]).await;
        }
        let quartr = api.source("quartr").await;
        Self {
            hub,
            _folder: folder,
            quartr,
            counter,
        }
    }

    async fn send(&self, id: &str, body: &[u8]) {
        let headers = signed_headers(PROVIDER_SECRET, id, SystemClock.now(), body);
        assert_eq!(self.quartr.try_send(&headers, body).await, Some(StatusCode::ACCEPTED));
    }

    /// Sends `count` events from `clients` clients and waits until all is delivered: the seconds that took.
    async fn run(&self, clients: usize, count: usize, webhooks: usize, name: &str, body: &[u8]) -> f64 {
        let before = self.counter.arrived.load(Ordering::Relaxed);
        let next = AtomicUsize::new(0);
        let started = Instant::now();
        futures::future::join_all((0..clients).map(|_| async {
            loop {
                let i = next.fetch_add(1, Ordering::Relaxed);
                if i >= count {
                    return;
                }
                self.send(&format!("{name}_{i}"), body).await;
            }
        }))
        .await;
        self.counter.wait_for(before + count * webhooks).await;
        started.elapsed().as_secs_f64()
    }
}

/// Processor time that a process has used, in seconds: `utime` and `stime` of proc(5).
fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    // USER_HZ is 100 on every Linux that there is.
    ticks as f64 / 100.0
}

fn resident_mib(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

async fn throughput() {
    println!("\n| clients | webhooks | events/s | deliveries/s | CPU ms per event | CPU ms per delivery |");
    println!("|---:|---:|---:|---:|---:|---:|");
    let body = usual_body();
    for webhooks in [1, 10] {
        for clients in [1, 16, 64] {
            let setup = Setup::new(webhooks, false).await;
            let pid = setup.hub.pid();
            setup.run(clients, 300, webhooks, "warm", &body).await;
            let (mut rates, mut costs) = (Vec::new(), Vec::new());
            let count = if clients == 1 { 600 } else { 3000 / webhooks.min(3) };
            for round in 0..5 {
                let before = cpu_seconds(pid);
                let seconds = setup
                    .run(clients, count, webhooks, &format!("round{round}"), &body)
                    .await;
                costs.push((cpu_seconds(pid) - before) * 1000.0 / count as f64);
                rates.push(count as f64 / seconds);
            }
            let (rate, cost) = (median(&mut rates), median(&mut costs));
            let deliveries = webhooks as f64;
            println!(
                "| {clients} | {webhooks} | {rate:.0} | {:.0} | {cost:.2} | {:.2} |",
                rate * deliveries,
                cost / deliveries
            );
        }
    }
}

async fn latency() {
    println!("\n| events/s | p50 ms | p99 ms | memory idle MiB | memory after MiB |");
    println!("|---:|---:|---:|---:|---:|");
    let body = usual_body();
    for rate in [50_u32, 500] {
        let setup = Setup::new(1, true).await;
        let idle = resident_mib(setup.hub.pid());
        setup.run(1, 100, 1, "warm", &body).await;
        let count = rate as usize * 20;
        let mut sent = HashMap::new();
        let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate);
        let setup = Arc::new(setup);
        for i in 0..count {
            ticks.tick().await;
            let id = format!("timed_{i}");
            sent.insert(setup.quartr.event_id(&id), Instant::now());
            let (setup, body) = (Arc::clone(&setup), body.clone());
            tokio::spawn(async move { setup.send(&id, &body).await });
        }
        setup.counter.wait_for(100 + count).await;
        let first = setup.counter.first.lock().unwrap();
        let mut times: Vec<f64> = sent
            .iter()
            .map(|(id, at)| first[id].duration_since(*at).as_secs_f64() * 1000.0)
            .collect();
        times.sort_unstable_by(f64::total_cmp);
        let at = |hundredths: usize| quantile(&times, hundredths);
        let after = resident_mib(setup.hub.pid());
        println!("| {rate} | {:.2} | {:.2} | {idle:.0} | {after:.0} |", at(50), at(99));
    }
}

#[tokio::main]
async fn main() {
    if !is_measured() {
        return;
    }
    println!("body: {} bytes", usual_body().len());
    latency().await;
    throughput().await;
}
