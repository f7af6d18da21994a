//! A hub as a process of its own that a test can kill between any two steps: `hub-process FOLDER PORT`.
//!
//! It prints its URL, then carries out commands from its standard input, one a line, each answered by one line:
//! `organization` (answers the admin key), `tick`, `advance SECONDS`, `drained`, `clear`, and
//! `fault unreachable|delay OPERATION TABLE`, which lets all such calls go wrong from then on.
#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::panic,
    reason = "a part of the tests"
)]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hookline_tests::process::AS_DEPLOYED;
use hookline_tests::world::ShiftedClock;
use local::engine::{Data, Durability, Fault, FaultKind};
use local::hub::{Hub, HubOptions};
use payload::Clock;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().expect("a folder"));
    let port: u16 = arguments.next().and_then(|port| port.parse().ok()).expect("a port");
    let clock = Arc::new(ShiftedClock::default());
    let mut options = HubOptions {
        clock: Arc::clone(&clock) as Arc<dyn Clock>,
        listen: SocketAddr::from(([127, 0, 0, 1], port)),
        ticking: false,
        durability: Durability::Process,
        ..HubOptions::new(Data::Dir(folder)).expect("the template")
    };
    if std::env::var_os(AS_DEPLOYED).is_none() {
        // A busy machine must not make a good destination one that is parked: nothing ticks here by itself.
        options.fan_out.unproven_wait = options.fan_out.attempt_limit;
    }
    let hub = Hub::start(options).await.expect("the hub starts");
    println!("{}", hub.url());
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await.expect("standard input") {
        let words: Vec<&str> = line.split(' ').collect();
        println!("{}", carry_out(&hub, &clock, &words).await);
    }
    hub.stop().await;
}

async fn carry_out(hub: &Hub, clock: &ShiftedClock, words: &[&str]) -> String {
    match words {
        ["organization"] => {
            let made = hub
                .operate(json!({"action": "createOrganization", "name": "Example"}))
                .await;
            made.expect("an organization")["adminKey"]
                .as_str()
                .expect("a key")
                .to_owned()
        }
        ["tick"] => {
            hub.tick().await;
            "ok".into()
        }
        ["advance", seconds] => {
            clock.advance(seconds.parse().expect("a number"));
            "ok".into()
        }
        ["drained"] => {
            assert!(
                hub.settle(Duration::from_secs(20)).await.expect("the streams are read"),
                "not drained"
            );
            "ok".into()
        }
        ["clear"] => {
            hub.engine().faults().clear();
            "ok".into()
        }
        ["fault", kind, operation, table] => {
            let kind = match *kind {
                "unreachable" => FaultKind::Unreachable,
                "delay" => FaultKind::Delay(Duration::from_secs(3600)),
                other => panic!("no such fault: {other}"),
            };
            hub.engine()
                .faults()
                .inject(Fault::new(kind).operation(operation).table(table));
            "ok".into()
        }
        other => panic!("no such command: {other:?}"),
    }
}
