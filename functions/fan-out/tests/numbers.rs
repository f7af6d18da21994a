//! What a batch tells in numbers, and the trace that goes with an event.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod support;

use fan_out::{FanOut, Settings};
use jiff::SignedDuration;
use payload::{Event, TraceId};
use serde_json::Value;
use support::{Behaviour, Fake, FakeSender, TestClock, a_minute, batch, event, organization, record, start, webhook};
use telemetry::captured::Captured;

/// The deliveries of an outcome.
fn deliveries(lines: &[Value], outcome: &str) -> u64 {
    let lines = lines.iter().filter(|line| line["Outcome"] == outcome);
    lines.filter_map(|line| line["Deliveries"].as_u64()).sum()
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_told_once_with_each_outcome_and_how_long_it_took() {
    let (store, sender, lines) = (Fake::default(), FakeSender::default(), Captured::default());
    let function = FanOut::new(store.clone(), sender.clone(), TestClock::start(), Settings::default());
    let function = function.with_metrics(lines.metrics());
    let ours = organization();
    for (host, behaviour) in [
        ("good.example", None),
        ("bad.example", Some(Behaviour::Answer(500))),
        ("gone.example", Some(Behaviour::Answer(410))),
        ("panic.example", Some(Behaviour::Panic)),
    ] {
        let webhook = webhook(&ours, host, &[]);
        store.add(&webhook);
        if let Some(behaviour) = behaviour {
            sender.set(&webhook, behaviour);
        }
    }
    let event = Event {
        received_at: start() - SignedDuration::from_millis(1_500),
        trace: Some(TraceId::generate()),
        ..event(&ours, "1", "a.b")
    };
    let records = || batch(vec![record(&event, "1")]);
    function.handle(records(), a_minute()).await;
    let told = lines.take_lines();
    for (outcome, count) in [("delivered", 1), ("retried", 1), ("exhausted", 1), ("parked", 1)] {
        assert_eq!(deliveries(&told, outcome), count, "{outcome} in {told:?}");
    }
    let latencies = told[0]["FirstAttemptLatency"].as_array().unwrap();
    assert_eq!(latencies.len(), 3, "what is parked had no attempt");
    assert!(
        latencies.iter().all(|latency| latency.as_u64().unwrap() >= 1_500),
        "{latencies:?}"
    );
    assert_eq!(told.len(), 4, "one for each outcome");
    // Each attempt carries the event's trace.
    let sent = sender.0.sent.lock().unwrap().clone();
    assert!(!sent.is_empty() && sent.iter().all(|sent| Some(sent.trace) == event.trace));

    // What is recorded already is counted already.
    function.handle(records(), a_minute()).await;
    function.handle(batch(Vec::new()), a_minute()).await;
    assert_eq!(lines.take(), "");
}
