//! What the measurements share.

use serde_json::json;

/// The hub as a process of its own.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_hub-process");

/// A body of 1 KB as Quartr sends it, with words rather than noise in it.
pub(crate) fn body(event_type: &str) -> Vec<u8> {
    let mut text = String::new();
    for i in 0.. {
        let body = json!({
            "type": event_type,
            "timestamp": "2025-03-25T13:31:00.000Z",
            "data": {"id": 328_350, "companyId": 4742, "eventId": 128_301, "state": "live", "description": text},
            "previousAttributes": {"state": "notLive"},
        })
        .to_string();
        if body.len() >= 1024 {
            return body.into_bytes();
        }
        text.push_str(["quarter ", "earnings ", "call ", "of the ", "year ", "2025 "][i % 6]);
    }
    unreachable!("the text grows")
}

/// The middle one of the values; sorts them.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The value below which so many hundredths of the sorted values lie.
pub(crate) fn quantile(sorted: &[f64], hundredths: usize) -> f64 {
    sorted[(sorted.len() * hundredths / 100).min(sorted.len() - 1)]
}

/// Whether this is a measurement: `cargo test --all-targets` runs benches too, as a check that they start.
pub(crate) fn is_measured() -> bool {
    std::env::args().any(|argument| argument == "--bench")
}
