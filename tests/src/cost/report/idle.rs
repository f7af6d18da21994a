//! A month in which nothing happens.

use std::fmt::Write as _;

use super::super::model::Model;
use super::super::prices::{Region, Usage};
use super::{Sources, by_table, dollars, grouped, line, units};

/// How many secrets' readers ask KMS for the table's key, and how often: DynamoDB keeps it for five minutes for each of them
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.howitworks.html>).
const KMS_READERS: f64 = 4.0;
const KMS_PERIODS: f64 = 31.0 * 24.0 * 12.0;

/// The section about a month in which nothing happens.
pub(super) fn write(text: &mut String, Sources { found, model, prices }: &Sources<'_>) {
    let idle = model.idle(&found.tick);
    line!(text, "## An idle month");
    line!(text);
    line!(
        text,
        "What there is without any event: the schedule wakes `retry` {} times in 31 days. A tick that finds nothing waiting reads {} units ({}: whether any delivery waits, one read for all buckets; whether a job runs), writes {}, and is billed {} ms. It is not traced, and Lambda writes no lines of its own for it, only for its failures. Tables, functions, topics and the bucket cost nothing by being there; the tables with recovery to a point in time cost by what they hold.",
        grouped(idle.get("scheduler")),
        units(found.tick.reads()),
        by_table(&found.tick.read),
        units(found.tick.writes()),
        model.times.idle_tick.billed_ms(model.function("retry").memory_mb)
    );
    line!(text);
    line!(text, "| | how much | us-east-1 | eu-central-1 |");
    line!(text, "|---|---:|---:|---:|");
    for (id, quantity) in idle.0.iter().filter(|(_, quantity)| **quantity > 0.0) {
        let what = prices.of(id).what.split(" (").next().unwrap_or_default();
        let cells = Region::ALL.map(|region| dollars(prices.line(id, *quantity, region)));
        line!(text, "| {what} | {} | {} |", units(*quantity), cells.join(" | "));
    }
    let sums = Region::ALL.map(|region| dollars(prices.cost(&idle, region)));
    line!(text, "| **all** | | **{}** | **{}** |", sums[0], sums[1]);
    let free = Region::ALL.map(|region| dollars(prices.cost_beyond_free(&idle, region)));
    line!(
        text,
        "| with what is free without end, in an account that does nothing else | | {} | {} |",
        free[0],
        free[1]
    );
    line!(text);
    optional(text, model, prices);
}

/// What can be had for more.
fn optional(text: &mut String, model: &Model, prices: &super::super::prices::Prices) {
    line!(text, "Optional, or only with use, a month:");
    line!(text);
    line!(text, "| | us-east-1 | eu-central-1 |");
    line!(text, "|---|---:|---:|");
    let traced = ["receive", "verify", "fan-out", "manage"].map(|binary| model.function(binary).is_traced);
    let tracing = if traced.contains(&true) {
        "on by default"
    } else {
        "off by default"
    };
    let rows: [(String, Usage); 8] = [
        ("each alarm (none by default)".into(), Usage::of("alarm", 1.0)),
        ("a dashboard (none by default)".into(), Usage::of("dashboard", 1.0)),
        (
            "each metric of `EmbeddedMetrics` (off by default; up to 11, and one for each reason of rejections)".into(),
            Usage::of("metric", 1.0),
        ),
        (
            format!("X-Ray ({tracing}; idle it records nothing): a million traces"),
            Usage::of("traces", 1e6),
        ),
        (
            "a KMS key of your own (none by default)".into(),
            Usage::of("kmsKey", 1.0),
        ),
        (
            "KMS requests for the table of secrets, at most: four functions that are never at rest".into(),
            Usage::of("kmsRequests", KMS_READERS * KMS_PERIODS),
        ),
        ("a domain of your own for the API".into(), Usage::default()),
        ("mails of alarms, a hundred".into(), Usage::of("snsMail", 100.0)),
    ];
    for (what, usage) in rows {
        let cells = Region::ALL.map(|region| dollars(prices.cost(&usage, region)));
        line!(text, "| {what} | {} |", cells.join(" | "));
    }
    line!(text);
    line!(
        text,
        "A certificate and a domain's mapping cost nothing; its zone in Route 53 does ($0.50 a month). Failed records in S3 cost by what they hold, a few cents a GB."
    );
    line!(text);
}
