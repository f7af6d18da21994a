//! What a tick tells in numbers, and the trace that goes with an event.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod support;

use jiff::SignedDuration;
use payload::{Event, TraceId};
use retry::{Retry, Settings};
use store::StoreError;
use support::{Behaviour, Fake, FakeSender, Fault, TestClock, event, five_minutes, organization, start, webhook};
use telemetry::captured::Captured;

#[tokio::test(start_paused = true)]
async fn a_tick_tells_what_was_due_and_what_became_of_it_and_an_idle_one_nothing() {
    let (store, sender, lines) = (Fake::default(), FakeSender::default(), Captured::default());
    let function = Retry::new(store.clone(), sender.clone(), TestClock::start(), Settings::default());
    let function = function.with_metrics(lines.metrics());
    function.handle(five_minutes()).await;
    assert_eq!(lines.take(), "", "nothing is due");

    let ours = organization();
    let (good, bad, deleted) = (
        webhook(&ours, "good.example"),
        webhook(&ours, "bad.example"),
        webhook(&ours, "deleted.example"),
    );
    store.add(&good);
    store.add(&bad);
    sender.set(&bad, Behaviour::Answer(500));
    let trace = Some(TraceId::generate());
    for (webhook, name, minutes) in [(&good, "1", 3), (&bad, "2", 2), (&deleted, "3", 1)] {
        let ago = SignedDuration::from_mins(minutes);
        let event = Event {
            received_at: start() - ago,
            trace,
            ..event(&ours, name)
        };
        store.add_due(&event, webhook, start() - ago);
    }
    function.handle(five_minutes()).await;
    let told = lines.take_lines();
    assert_eq!(
        (told[0]["DueBacklog"].as_u64(), told[0]["OldestDue"].as_u64()),
        (Some(3), Some(180))
    );
    let mut outcomes: Vec<_> = told
        .iter()
        .map(|line| (line["Outcome"].as_str().unwrap(), line["Deliveries"].as_u64().unwrap()))
        .collect();
    outcomes.sort_unstable();
    assert_eq!(outcomes, [("cancelled", 1), ("delivered", 1), ("retried", 1)]);
    let mut latencies: Vec<u64> = told[0]["FirstAttemptLatency"]
        .as_array()
        .unwrap()
        .iter()
        .map(|latency| latency.as_u64().unwrap())
        .collect();
    latencies.sort_unstable();
    // In whole minutes: which bucket comes first is chance, and takes some milliseconds.
    let minutes: Vec<_> = latencies.iter().map(|latency| latency / 60_000).collect();
    assert_eq!(minutes, [2, 3], "both were first attempts");
    let sent = sender.0.sent.lock().unwrap().clone();
    assert!(sent.len() == 2 && sent.iter().all(|sent| Some(sent.trace) == trace));
}

/// An alarm counts this line, so it is there also when a tick can do nothing about what is due.
#[tokio::test(start_paused = true)]
async fn the_line_of_a_tick_says_for_how_long_the_oldest_has_been_due() {
    let (store, lines) = (Fake::default(), Captured::default());
    let _guard = tracing::subscriber::set_default(lines.subscriber("info"));
    let function = Retry::new(
        store.clone(),
        FakeSender::default(),
        TestClock::start(),
        Settings::default(),
    );
    let ticks = || -> Vec<_> {
        let lines = lines.take_lines();
        lines.into_iter().filter(|line| line["message"] == "tick").collect()
    };
    function.handle(five_minutes()).await;
    assert!(ticks().is_empty(), "nothing is due");

    let ours = organization();
    let webhook = webhook(&ours, "good.example");
    store.add(&webhook);
    for (name, minutes) in [("1", 2), ("2", 3)] {
        store.add_due(
            &event(&ours, name),
            &webhook,
            start() - SignedDuration::from_mins(minutes),
        );
    }
    store.fault(|operation, _| {
        (operation == "take_lease").then(|| Fault::Error(StoreError::Unavailable("throttled".into())))
    });
    function.handle(five_minutes()).await;
    let told = ticks();
    assert_eq!(told.len(), 1);
    let seconds = told[0]["oldest_due"].as_u64().unwrap();
    assert!((180..190).contains(&seconds), "{told:?}");
    assert_eq!(told[0]["buckets"], 0);
}
