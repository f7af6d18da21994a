//! The prices, and what is assumed.

use std::fmt::Write as _;

use super::super::model::{ACCESS_LOG_BYTES, ANSWER_BYTES, PLATFORM_LOG_BYTES};
use super::super::time::{DESTINATION_MS, DYNAMODB_MS, MB_OF_A_PROCESSOR};
use super::{Sources, grouped, line};

/// The sections about assumptions and prices.
pub(super) fn write(text: &mut String, Sources { model, prices, .. }: &Sources<'_>) {
    let times = &model.times;
    line!(text, "## What is assumed");
    line!(text);
    line!(
        text,
        "- **Units** are measured, not assumed: `ReturnConsumedCapacity` of the embedded engine, on a hub that has been awake for a while. A process that starts reads its sources' doors anew, a read unit for each."
    );
    line!(
        text,
        "- **Processor time** was measured on {}, {} invocations (of full batches: {}) for each number, by the scheduler's own count for the function's process, over plain HTTP to DynamoDB Local: encryption on warm connections adds some hundredths of a millisecond. Lambda's processors differ, and at {} MB a function has a whole one. Read ratios.",
        times.machine,
        times.invocations,
        times.batches,
        grouped(MB_OF_A_PROCESSOR)
    );
    line!(
        text,
        "- **Waiting**: how many answers an invocation waits for one after another was measured, by delaying them. Each of DynamoDB's is taken for {DYNAMODB_MS} ms ([AWS](https://aws.amazon.com/dynamodb/features/) says single-digit), each of a destination for {DESTINATION_MS} ms. A destination that takes a second costs a second: eight times the GB-seconds of an event."
    );
    line!(
        text,
        "- **Logs**: the functions' own lines are measured. Lambda's own are taken for {PLATFORM_LOG_BYTES} bytes an invocation, a line of the access log for {ACCESS_LOG_BYTES}, both kept {} days at 15 % of their size.",
        model.parameter("LogRetentionDays")
    );
    line!(
        text,
        "- **Storage**: items and entries of indexes with the 100 bytes that DynamoDB adds to each, for as long as the defaults keep them; it deletes within days after that."
    );
    line!(
        text,
        "- **Traffic**: what goes to destinations, as it stands on the line without TLS, and {ANSWER_BYTES} bytes for each answer. What comes in costs nothing."
    );
    line!(
        text,
        "- **X-Ray** records one invocation a second and 5 % of the others, for each traced function."
    );
    line!(text, "- A month has 30 days; the idle one 31. A GB is 2^30 bytes.");
    line!(text);
    line!(text, "## Prices");
    line!(text);
    line!(
        text,
        "In dollars, looked up on {} in public pages, as each row says; none is a quotation of AWS's price list itself. Where it says \"not looked up\", nothing was found to hold the number against: do so before you rely on it. They stand in `docs/cost/prices.json`; a changed number there changes all of this.",
        prices.seen
    );
    line!(text);
    line!(
        text,
        "| | for one | us-east-1 | eu-central-1 | free each month | page | seen: us-east-1 | seen: eu-central-1 |"
    );
    line!(text, "|---|---|---:|---:|---:|---|---|---|");
    for price in &prices.aws {
        let free = if price.free > 0.0 {
            price.free.to_string()
        } else {
            String::new()
        };
        line!(
            text,
            "| {} | {} | {} | {} | {free} | [{}]({}) | {} | {} |",
            price.what,
            price.unit,
            price.us_east1,
            price.eu_central1,
            host(&price.source),
            price.source,
            seen(&price.us_east1_seen),
            seen(&price.eu_central1_seen)
        );
    }
}

/// What is shown of a page's address.
fn host(url: &str) -> &str {
    url.trim_start_matches("https://").trim_end_matches('/')
}

/// Where a price was seen: a short link where it is an address.
fn seen(place: &str) -> String {
    let (url, when) = place.split_once(", ").unwrap_or((place, ""));
    if !url.starts_with("https://") {
        return place.to_owned();
    }
    let name = host(url).split('/').next().unwrap_or_default();
    if when.is_empty() {
        format!("[{name}]({url})")
    } else {
        format!("[{name}]({url}), {when}")
    }
}
