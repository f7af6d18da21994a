//! What one destination that hangs costs the others: the time from request to destination of 99 good ones, with and without it.
//!
//! `cargo bench -p hookline-tests --bench isolation` prints the table of docs/BENCHMARKS.md. The runs with and without take turns, each on a hub
//! process of its own; the load and the destinations run in this process, on the same processors.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement"
)]

mod support;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hookline_tests::api::{Api, PROVIDER_SECRET, signed_headers};
use hookline_tests::process::{AS_DEPLOYED, HubProcess};
use payload::Clock;
use reqwest::StatusCode;
use store::clock::SystemClock;
use support::{PROGRAM, body, is_measured, median, quantile};
use tokio::time::Instant;

const GOOD: usize = 99;
const EVENTS: usize = 1000;
const EVENTS_PER_SECOND: u32 = 25;
const ROUNDS: usize = 3;

/// Each event goes to a third of the good ones, so that with the hanging one no more match than the fast lane takes; and the hanging one
/// wants every event.
const TYPES: [&str; 3] = ["live.audio.updated", "live.audio.created", "live.audio.deleted"];

/// When each of them got each event.
type Arrivals = Arc<Mutex<HashMap<(usize, String), Instant>>>;

async fn good(index: usize, arrivals: Arrivals) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let app = axum::Router::new().fallback(move |request: axum::extract::Request| {
        let arrivals = Arc::clone(&arrivals);
        async move {
            let now = Instant::now();
            let id = request.headers()["webhook-id"].to_str().unwrap().to_owned();
            let _ = axum::body::to_bytes(request.into_body(), usize::MAX).await;
            arrivals.lock().unwrap().entry((index, id)).or_insert(now);
            StatusCode::OK
        }
    });
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    url
}

/// A destination that takes every request and never answers.
async fn hanging() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let app = axum::Router::new().fallback(std::future::pending::<StatusCode>);
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    url
}

/// The milliseconds from each request to each good destination, sorted.
async fn run(with_hanging: bool) -> Vec<f64> {
    let folder = tempfile::tempdir().unwrap();
    let mut hub = HubProcess::start_with(PROGRAM, folder.path(), 0, &[(AS_DEPLOYED, "1")]).await;
    let key = hub.tell("organization").await;
    let api = Api::new(hub.url(), &key);
    let arrivals = Arrivals::default();
    for index in 0..GOOD {
        let url = good(index, Arc::clone(&arrivals)).await;
        api.webhook(&url, &[TYPES[index % TYPES.len()]]).await;
    }
    if with_hanging {
        api.webhook(&hanging().await, &["live.*"]).await;
    }
    let quartr = Arc::new(api.source("quartr").await);
    let bodies = TYPES.map(body);
    let mut sent = Vec::new();
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / EVENTS_PER_SECOND);
    for i in 0..EVENTS {
        ticks.tick().await;
        let id = format!("msg_{i}");
        sent.push((quartr.event_id(&id), Instant::now()));
        let (quartr, body) = (Arc::clone(&quartr), bodies[i % TYPES.len()].clone());
        tokio::spawn(async move {
            let headers = signed_headers(PROVIDER_SECRET, &id, SystemClock.now(), &body);
            assert_eq!(quartr.try_send(&headers, &body).await, Some(StatusCode::ACCEPTED));
        });
    }
    let wanted = EVENTS * GOOD / TYPES.len();
    let deadline = Instant::now() + Duration::from_secs(120);
    while arrivals.lock().unwrap().len() < wanted {
        let arrived = arrivals.lock().unwrap().len();
        assert!(Instant::now() < deadline, "{arrived} of {wanted} arrived");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let sent: HashMap<String, Instant> = sent.into_iter().collect();
    let arrivals = arrivals.lock().unwrap();
    let mut times: Vec<f64> = arrivals
        .iter()
        .map(|((_, id), at)| at.duration_since(sent[id]).as_secs_f64() * 1000.0)
        .collect();
    times.sort_unstable_by(f64::total_cmp);
    times
}

#[tokio::main]
async fn main() {
    if !is_measured() {
        return;
    }
    let mut measured: [Vec<[f64; 3]>; 2] = [Vec::new(), Vec::new()];
    for round in 0..ROUNDS {
        for with_hanging in [false, true] {
            let times = run(with_hanging).await;
            let row = [50, 99, 100].map(|hundredths| quantile(&times, hundredths));
            println!(
                "round {round}, hanging: {with_hanging}: p50 {:.1}, p99 {:.1}, longest {:.1} ms",
                row[0], row[1], row[2]
            );
            measured[usize::from(with_hanging)].push(row);
        }
    }
    let of = |rows: &[[f64; 3]], column: usize| median(&mut rows.iter().map(|row| row[column]).collect::<Vec<_>>());
    println!("\n| {EVENTS} events to {GOOD} good destinations | p50 ms | p99 ms | longest ms |");
    println!("|---|---:|---:|---:|");
    for (rows, name) in measured.iter().zip(["alone", "beside one that hangs"]) {
        println!(
            "| {name} | {:.1} | {:.1} | {:.1} |",
            of(rows, 0),
            of(rows, 1),
            of(rows, 2)
        );
    }
    let ratio = |column| of(&measured[1], column) / of(&measured[0], column);
    println!("| ratio | {:.2} | {:.2} | {:.2} |", ratio(0), ratio(1), ratio(2));
}
