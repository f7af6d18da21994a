//! What is logged, and what never is.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod support;

use fan_out::{FanOut, Settings};
use serde_json::Value;
use support::{
    Behaviour, Fake, FakeSender, TestClock, a_minute, batch, event, organization, raw_record, record, webhook,
};
use telemetry::captured::Captured;

#[tokio::test(start_paused = true)]
async fn one_line_for_each_outcome_and_no_secret_in_any() {
    let lines = Captured::default();
    let _guard = tracing::subscriber::set_default(lines.subscriber("trace"));

    let (store, sender) = (Fake::default(), FakeSender::default());
    let function = FanOut::new(store.clone(), sender.clone(), TestClock::start(), Settings::default());
    let ours = organization();
    let behaviours = [
        ("good.example", None),
        ("bad.example", Some(Behaviour::Answer(500))),
        ("gone.example", Some(Behaviour::Answer(410))),
        ("panic.example", Some(Behaviour::Panic)),
    ];
    for (host, behaviour) in behaviours {
        let webhook = webhook(&ours, host, &[]);
        store.add(&webhook);
        if let Some(behaviour) = behaviour {
            sender.set(&webhook, behaviour);
        }
    }
    let event = event(&ours, "1", "a.b");
    let poison = raw_record(
        serde_json::json!({"id": {"S": "evt_secret"}, "body": {"S": "secret-poison"}}),
        "2",
    );
    function
        .handle(batch(vec![record(&event, "1"), poison]), a_minute())
        .await;

    let text = lines.take();
    for secret in ["secret", "whsec_", ".example", "https:"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut outcomes: Vec<_> = lines
        .iter()
        .map(|line| {
            (
                line["outcome"].as_str().unwrap_or_default(),
                line["error_type"].as_str().unwrap_or_default(),
                line["status"].as_u64(),
            )
        })
        .collect();
    outcomes.sort_unstable();
    assert_eq!(
        outcomes,
        [
            ("delivered", "", Some(200)),
            ("gone", "status", Some(410)),
            ("parked", "panic", None),
            ("retry", "status", Some(500)),
            ("set_aside", "store_unreadable", None),
        ]
    );
    for line in lines.iter().filter(|line| line["message"] == "attempt") {
        assert_eq!(
            (line["organization"].as_str(), line["event"].as_str()),
            (Some(ours.as_str()), Some(event.id.as_str()))
        );
        assert_eq!(line["trace"], event.trace().to_string());
        assert!(line["webhook"].as_str().unwrap().starts_with("wh_") && line["duration_ms"].is_u64());
    }
}
