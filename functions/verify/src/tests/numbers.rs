//! What a batch tells in numbers, and the trace that goes with a receipt.

use payload::TraceId;
use telemetry::captured::Captured;

use super::*;

fn numbers(lines: &[Value], name: &str) -> u64 {
    lines.iter().filter_map(|line| line[name].as_u64()).sum()
}

#[tokio::test]
async fn a_batch_is_told_in_one_line_and_a_repetition_counts_nothing_twice() {
    let (mut setup, lines) = (Setup::new(), Captured::default());
    setup.function = setup.function.with_metrics(lines.metrics());
    let (first, forged) = (setup.genuine("msg_1"), setup.forged("msg_2"));
    let again = Receipt {
        id: ReceiptId::generate(received_at()),
        ..first.clone()
    };
    setup.handle(vec![record(1, &first), record(2, &forged)]).await;
    let told = lines.take_lines();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((numbers(&told, "Verified"), numbers(&told, "Rejected")), (1, 1));
    assert_eq!(told[0]["Reason"], setup.rejection(&forged).0);
    setup.handle(vec![record(1, &first), record(3, &again)]).await;
    let told = lines.take_lines();
    assert_eq!((numbers(&told, "Verified"), numbers(&told, "Duplicates")), (0, 1));
    setup.handle(Vec::new()).await;
    assert!(lines.take().is_empty());
}

#[tokio::test]
async fn an_event_belongs_to_its_receipts_trace_which_decides_nothing() {
    let setup = Setup::new();
    let traced = |receipt: Receipt| Receipt {
        id: ReceiptId::generate(received_at()),
        trace: Some(TraceId::generate()),
        ..receipt
    };
    let first = traced(setup.genuine("msg_1"));
    let second = traced(first.clone());
    assert_ne!(first.trace, second.trace);
    setup.handle(vec![record(1, &first)]).await;
    setup.handle(vec![record(2, &second)]).await;
    let events = setup.events();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].trace, first.trace);
    assert!(matches!(
        setup.outcome(&second).map(|outcome| outcome.status),
        Some(ReceiptStatus::Duplicate { .. })
    ));
    let payload = String::from_utf8(events[0].to_json().unwrap()).unwrap();
    assert!(!payload.contains(&first.trace.unwrap().to_string()), "{payload}");
}
