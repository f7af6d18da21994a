//! What is logged, and what never is.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod support;

use std::io;
use std::sync::{Arc, Mutex};

use fan_out::{FanOut, Settings};
use serde_json::Value;
use support::{
    Behaviour, Fake, FakeSender, TestClock, a_minute, batch, event, organization, raw_record, record, webhook,
};
use tracing_subscriber::fmt::MakeWriter;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test(start_paused = true)]
async fn one_line_for_each_outcome_and_no_secret_in_any() {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(lines.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);

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

    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    for secret in ["secret", "whsec_", ".example", "https:"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut outcomes: Vec<_> = lines
        .iter()
        .map(|line| {
            let fields = &line["fields"];
            (
                fields["outcome"].as_str().unwrap_or_default(),
                fields["error_type"].as_str().unwrap_or_default(),
                fields["status"].as_u64(),
            )
        })
        .collect();
    outcomes.sort_unstable();
    assert_eq!(
        outcomes,
        [
            ("", "panic", None),
            ("delivered", "", Some(200)),
            ("gone", "status", Some(410)),
            ("retry", "status", Some(500)),
            ("set_aside", "store_unreadable", None),
        ]
    );
    for line in lines.iter().filter(|line| line["fields"]["message"] == "attempt") {
        let fields = &line["fields"];
        assert_eq!(
            (fields["organization"].as_str(), fields["event"].as_str()),
            (Some(ours.as_str()), Some(event.id.as_str()))
        );
        assert!(fields["webhook"].as_str().unwrap().starts_with("wh_") && fields["duration_ms"].is_u64());
    }
}
