#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::captured::Captured;

fn at() -> Timestamp {
    Timestamp::from_millisecond(1_742_909_460_123).unwrap()
}

/// The documents that tell it.
fn told(measured: Measured) -> Vec<Value> {
    let lines = Captured::default();
    lines.metrics().tell(at(), measured);
    lines.take_lines()
}

/// What the specification says that a document must be.
fn check(document: &Value) {
    let root = document.as_object().unwrap();
    let metadata = document["_aws"].as_object().unwrap();
    assert_eq!(metadata.keys().collect::<Vec<_>>(), ["CloudWatchMetrics", "Timestamp"]);
    assert_eq!(metadata["Timestamp"], at().as_millisecond());
    let mut targets = vec!["_aws"];
    for directive in metadata["CloudWatchMetrics"].as_array().unwrap() {
        let members: Vec<_> = directive.as_object().unwrap().keys().collect();
        assert_eq!(members, ["Dimensions", "Metrics", "Namespace"]);
        let namespace = directive["Namespace"].as_str().unwrap();
        assert!((1..=255).contains(&namespace.len()) && !namespace.starts_with("AWS/"));
        let sets = directive["Dimensions"].as_array().unwrap();
        assert!(!sets.is_empty());
        for set in sets {
            let set = set.as_array().unwrap();
            assert!(set.len() <= 9);
            for name in set {
                let value = root[name.as_str().unwrap()].as_str().unwrap();
                assert!((1..=1024).contains(&value.len()), "{document}");
                targets.push(name.as_str().unwrap());
            }
        }
        let metrics = directive["Metrics"].as_array().unwrap();
        assert!((1..=100).contains(&metrics.len()));
        for metric in metrics {
            let name = metric["Name"].as_str().unwrap();
            assert!((1..=255).contains(&name.len()));
            assert!(["Count", "Milliseconds", "Seconds"].contains(&metric["Unit"].as_str().unwrap()));
            match &root[name] {
                Value::Number(_) => {}
                Value::Array(values) => {
                    assert!((1..=100).contains(&values.len()) && values.iter().all(Value::is_number))
                }
                other => panic!("{other} is no target of a metric"),
            }
            assert!(!targets.contains(&name), "{name} has two meanings in {document}");
            targets.push(name);
        }
    }
    // Nothing stands there that is no target: nothing else is to be told here.
    assert!(root.keys().all(|name| targets.contains(&name.as_str())), "{document}");
    assert!(document.to_string().len() < 256 * 1024);
}

#[test]
fn a_usual_batch_is_one_line() {
    let measured = Measured::default();
    for _ in 0..3 {
        measured.count(Count::Deliveries(Outcome::Delivered));
        measured.first_attempt(at(), at() + SignedDuration::from_millis(42));
    }
    let documents = told(measured);
    assert_eq!(
        documents,
        [json!({
            "_aws": {
                "Timestamp": 1_742_909_460_123_i64,
                "CloudWatchMetrics": [
                    {
                        "Namespace": "Hookline", "Dimensions": [[]],
                        "Metrics": [{"Name": "FirstAttemptLatency", "Unit": "Milliseconds"}]
                    },
                    {"Namespace": "Hookline", "Dimensions": [["Outcome"]], "Metrics": [{"Name": "Deliveries", "Unit": "Count"}]},
                ]
            },
            "FirstAttemptLatency": [42, 42, 42], "Deliveries": 3, "Outcome": "delivered"
        })]
    );
    check(&documents[0]);
}

#[test]
fn each_further_reason_is_one_more_line() {
    let measured = Measured::default();
    for count in [
        Count::Verified,
        Count::Rejected("signature_mismatch"),
        Count::Duplicates,
        Count::Rejected("timestamp"),
        Count::Rejected("signature_mismatch"),
    ] {
        measured.count(count);
    }
    let documents = told(measured);
    documents.iter().for_each(check);
    assert_eq!(documents.len(), 2);
    assert_eq!(
        (&documents[0]["Verified"], &documents[0]["Duplicates"]),
        (&json!(1), &json!(1))
    );
    let reasons: Vec<_> = documents.iter().map(|d| (&d["Reason"], &d["Rejected"])).collect();
    assert_eq!(
        reasons,
        [
            (&json!("signature_mismatch"), &json!(2)),
            (&json!("timestamp"), &json!(1))
        ]
    );
}

#[test]
fn nothing_is_told_where_nothing_happened_or_nobody_asked() {
    assert!(told(Measured::default()).is_empty());
    let nothing_due = Measured::default();
    nothing_due.due(0, SignedDuration::ZERO);
    assert!(told(nothing_due).is_empty());
    for setting in [None, Some(""), Some("disabled"), Some("true")] {
        assert_eq!(format!("{:?}", Metrics::from_setting(setting)), "Metrics(off)");
    }
    assert_eq!(format!("{:?}", Metrics::from_setting(Some(ENABLED))), "Metrics(on)");
}

#[test]
fn what_is_due_adds_up_and_the_oldest_of_all_counts() {
    let measured = Measured::default();
    measured.due(3, SignedDuration::from_secs(60));
    measured.due(4, SignedDuration::from_secs(20));
    let documents = told(measured);
    check(&documents[0]);
    assert_eq!(
        (&documents[0]["DueBacklog"], &documents[0]["OldestDue"]),
        (&json!(7), &json!(60))
    );
}

#[test]
fn a_clock_that_went_back_is_no_time() {
    let measured = Measured::default();
    measured.first_attempt(at(), at() - SignedDuration::from_secs(1));
    assert_eq!(told(measured)[0]["FirstAttemptLatency"], json!([0]));
}

proptest! {
    #[test]
    fn whatever_is_measured_keeps_to_the_specification_and_loses_nothing(
        reasons in proptest::collection::vec(0_usize..4, 0..60), attempts in 0_usize..350, due in 0_usize..2_000, outcomes in 0_usize..60,
    ) {
        let measured = Measured::default();
        for reason in &reasons {
            measured.count(Count::Rejected(["a", "b", "c", "d"][*reason]));
        }
        let all = [Outcome::Delivered, Outcome::Retried, Outcome::Exhausted, Outcome::Cancelled, Outcome::Parked];
        for number in 0..outcomes {
            measured.count(Count::Deliveries(all[number % all.len()]));
        }
        for _ in 0..attempts {
            measured.first_attempt(at(), at());
        }
        measured.due(due, SignedDuration::from_hours(1));
        let documents = told(measured);
        documents.iter().for_each(check);
        let sum = |name: &str| documents.iter().filter_map(|document| document[name].as_u64()).sum::<u64>();
        prop_assert_eq!(sum("Rejected"), reasons.len() as u64);
        prop_assert_eq!(sum("Deliveries"), outcomes as u64);
        prop_assert_eq!(sum("DueBacklog"), due as u64);
        let latencies: usize = documents.iter().filter_map(|document| document["FirstAttemptLatency"].as_array()).map(Vec::len).sum();
        prop_assert_eq!(latencies, attempts);
    }
}
