//! Prints `docs/COST.md`: `cargo run -p hookline-tests --bin cost > docs/COST.md`. Units are measured anew; times and prices stand in `docs/cost/`.
//!
//! `cost body BYTES` prints the body of that length that is measured with.
#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a measurement")]

use std::io::Write;

use hookline_tests::cost::body::{Content, body};
use hookline_tests::cost::{Findings, Model, Prices, Sources, document};

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [] => {
            let model = Model::read();
            let found = Findings::measure(model.full_batch()).await;
            let prices = Prices::read();
            let sources = Sources {
                found: &found,
                model: &model,
                prices: &prices,
            };
            print!("{}", document(&sources));
        }
        ["body", bytes] => {
            let bytes = bytes.parse().expect("a number of bytes");
            let body = body(bytes, Content::Usual);
            std::io::stdout().write_all(&body).expect("standard output");
        }
        other => panic!("no such command: {other:?}"),
    }
}
