//! `docs/COST.md`, from what was measured and what things cost.

mod events;
mod flood;
mod idle;
mod others;
mod prices;

use std::fmt::Write as _;

use super::findings::Findings;
use super::model::Model;
use super::prices::{Prices, Region};

/// What the document is made from.
#[derive(Debug)]
pub struct Sources<'a> {
    /// Units.
    pub found: &'a Findings,
    /// Times, and the template.
    pub model: &'a Model,
    /// Prices.
    pub prices: &'a Prices,
}

/// The whole document.
#[must_use]
pub fn document(sources: &Sources<'_>) -> String {
    let mut text = String::new();
    summary(&mut text, sources);
    events::write(&mut text, sources);
    events::write_others(&mut text, sources);
    idle::write(&mut text, sources);
    flood::write(&mut text, sources);
    others::write(&mut text, sources);
    prices::write(&mut text, sources);
    text
}

/// One more line.
macro_rules! line {
    ($text:expr) => { writeln!($text).expect("a text takes everything") };
    ($text:expr, $($arguments:tt)*) => { writeln!($text, $($arguments)*).expect("a text takes everything") };
}
use line;

fn summary(text: &mut String, Sources { found, model, prices }: &Sources<'_>) {
    let idle = model.idle(&found.tick);
    let (quiet, busy) = (
        model.event(found.usual(), 1.0, 1.0),
        model.event(found.usual(), model.full_batch() as f64, 0.0),
    );
    line!(text, "# Costs");
    line!(text);
    line!(
        text,
        "Made by a command, from units that it measures on the embedded engine (whose arithmetic matches AWS's), from times that were measured of the\nbuilt functions ({}, {}), and from list prices of {} ([the table](#prices) says where each was seen).\nA test holds it to be what the command prints.",
        model.times.date,
        model.times.machine,
        prices.seen
    );
    line!(text);
    line!(text, "```sh");
    line!(
        text,
        "cargo run -p hookline-tests --bin cost > docs/COST.md   # units anew, times and prices from docs/cost/"
    );
    line!(
        text,
        "{}                                   # the times too; after `sam build`",
        model.times.command
    );
    line!(text, "```");
    line!(text);
    line!(
        text,
        "Nothing was billed by AWS for this: it is arithmetic, with its [assumptions](#what-is-assumed) named. All sums are dollars before tax, and without what is free unless that is said."
    );
    line!(text);
    line!(text, "| in short | us-east-1 | eu-central-1 |");
    line!(text, "|---|---:|---:|");
    let row = |text: &mut String, what: &str, usage: &super::prices::Usage, times: f64| {
        let cells = Region::ALL.map(|region| dollars(prices.cost(usage, region) * times));
        line!(text, "| {what} | {} |", cells.join(" | "));
    };
    row(text, "a month in which nothing happens", &idle, 1.0);
    row(
        text,
        "a million events of 1 KB with one webhook, each alone, all traced in X-Ray",
        &quiet,
        1e6,
    );
    let mut untraced = quiet.clone();
    untraced.0.remove("traces");
    row(text, "the same without X-Ray (parameter `Tracing`)", &untraced, 1e6);
    row(text, "a million of them in full batches, without X-Ray", &busy, 1e6);
    line!(text);
    let free = Region::ALL.map(|region| dollars(prices.cost_beyond_free(&idle, region)));
    line!(
        text,
        "With what AWS gives every account for free and without end, an idle month costs {} and {}.",
        free[0],
        free[1]
    );
    line!(text);
}

/// A sum for people: cents where it is large, and two digits that say something where it is small.
fn dollars(sum: f64) -> String {
    match sum {
        0.0 => "$0".into(),
        sum if sum >= 1000.0 => format!("${}", grouped(sum)),
        sum if sum >= 0.1 => format!("${sum:.2}"),
        sum if sum >= 0.001 => format!("${sum:.3}"),
        sum => format!("${sum:.5}"),
    }
}

/// A whole number with its thousands apart.
fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of units, without digits that say nothing.
fn units(number: f64) -> String {
    // The sum of nothing is a negative zero.
    let text = format!("{:.2}", number + 0.0);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A body's length in KB.
fn kilobytes(bytes: usize) -> String {
    units(bytes as f64 / 1024.0)
}

/// Units by table, as "events 3, inbox 1".
fn by_table(parts: &super::units::ByTable) -> String {
    let parts = parts.iter();
    let named: Vec<String> = parts
        .map(|(table, number)| format!("{} {}", table.trim_end_matches("Table").to_lowercase(), units(*number)))
        .collect();
    if named.is_empty() {
        "–".into()
    } else {
        named.join(", ")
    }
}
