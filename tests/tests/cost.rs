//! What is said of costs: the goals that must not creep, and that `docs/COST.md` is what the command prints.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test may fail by panicking")]

use hookline_tests::cost::{Findings, Model, Prices, Region, Sources, document};
use hookline_tests::log_lines::repository;

/// One measurement for all of it: it takes a while.
#[tokio::test(flavor = "multi_thread")]
async fn costs_are_as_they_are_said_to_be() {
    let model = Model::read();
    let found = Findings::measure(model.full_batch()).await;
    let prices = Prices::read();

    // An event of 1 KB with one webhook: listed, and found by its provider's id.
    let usual = found.usual();
    assert!(usual.alone.writes() <= 6.0, "{:?}", usual.alone.written);
    assert!(usual.alone.reads() <= 5.0, "{:?}", usual.alone.read);
    assert!(found.noted.writes() <= 1.0, "{:?}", found.noted);
    // With room for ids and names that are longer.
    let items = ["InboxTable", "EventsTable"].map(|table| usual.alone.left[table].largest);
    assert!(items.iter().all(|bytes| *bytes <= 1024 - 24), "{items:?}");
    // What is refused is not written, what is not known is one read.
    assert_eq!((found.unsigned.writes(), found.unsigned.reads()), (0.0, 0.0));
    assert!((found.unknown.writes(), found.unknown.reads()) <= (0.0, 0.5));
    assert!(found.forged.writes() <= 4.0, "{:?}", found.forged.written);

    // A month in which nothing happens, without anything that is free.
    assert!(
        found.tick.writes() == 0.0 && found.tick.reads() <= 1.5,
        "{:?}",
        found.tick
    );
    let idle = model.idle(&found.tick);
    for region in Region::ALL {
        let cost = prices.cost(&idle, region);
        assert!(cost < 0.10, "{}: {cost}", region.name());
    }

    let sources = Sources {
        found: &found,
        model: &model,
        prices: &prices,
    };
    let written = std::fs::read_to_string(repository().join("docs/COST.md")).expect("docs/COST.md");
    let printed = document(&sources);
    let advice = "write it anew: cargo run -p hookline-tests --bin cost > docs/COST.md";
    assert_eq!(written.lines().count(), printed.lines().count(), "{advice}");
    for (written, printed) in written.lines().zip(printed.lines()) {
        assert!(
            is_same(written, printed),
            "{advice}\nwritten: {written}\nprinted: {printed}"
        );
    }
}

/// Whether two lines say the same. Ids differ with each run, and with them by some bytes what is compressed: sums may differ by a hundredth,
/// or by one in the last place that is printed. What is counted may not.
fn is_same(written: &str, printed: &str) -> bool {
    let (ours, theirs) = (parts(written), parts(printed));
    ours.len() == theirs.len()
        && ours
            .iter()
            .zip(&theirs)
            .all(|(ours, theirs)| match (number(ours), number(theirs)) {
                (Some(first), Some(second)) => (first - second).abs() <= tolerance(ours, first),
                _ => ours == theirs,
            })
}

/// How far another number may be from this one: not at all from a whole one, unless it is so large that its thousands are set apart.
fn tolerance(part: &str, number: f64) -> f64 {
    let hundredth = 0.01 * number.abs();
    match part.trim_end_matches(['.', ',']).rsplit_once('.') {
        Some((_, decimals)) => hundredth.max(1.1 / 10_f64.powi(i32::try_from(decimals.len()).unwrap_or(0))),
        None if part.contains(',') => hundredth,
        None => 0.0,
    }
}

/// The numbers of a line, and what stands between them.
fn parts(line: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    let mut was_digit = None;
    for character in line.chars() {
        let is_digit = character.is_ascii_digit() || matches!(character, '.' | ',');
        match parts.last_mut().filter(|_| was_digit == Some(is_digit)) {
            Some(part) => part.push(character),
            None => parts.push(character.into()),
        }
        was_digit = Some(is_digit);
    }
    parts
}

fn number(part: &str) -> Option<f64> {
    part.replace(',', "").trim_end_matches('.').parse().ok()
}

#[test]
fn lines_differ_when_what_they_say_differs() {
    assert!(is_same("| a | 6 | $10.01 | $1,234 |", "| a | 6 | $10.02 | $1,230 |"));
    assert!(!is_same("| a | 6 |", "| a | 7 |"));
    assert!(!is_same("| a | 6 |", "| b | 6 |"));
    assert!(!is_same("| a | $10.00 |", "| a | $11.00 |"));
    assert!(!is_same("| a | $0.065 |", "| a | $0.067 |"));
    assert!(!is_same("seen 2026-09-20", "seen 2025-09-20"));
}
