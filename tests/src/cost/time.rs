//! What Lambda bills of an invocation: computed from what was measured under the runtime interface emulator (`tests/scripts/cost.py`), which
//! stands in `docs/cost/measured.json`, and from what is assumed of the network.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::log_lines::repository;

/// The memory at which a function has one whole processor, in MB
/// (<https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html>).
pub const MB_OF_A_PROCESSOR: f64 = 1769.0;

/// An assumption: how long an answer of DynamoDB takes in the same region, in milliseconds. AWS says "single-digit".
pub const DYNAMODB_MS: f64 = 5.0;

/// An assumption: how long a destination takes to answer, in milliseconds, with connecting to it.
pub const DESTINATION_MS: f64 = 100.0;

/// One measurement of a function.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Invocation {
    /// The body's length; 0 where there is none.
    #[serde(default)]
    pub bytes: usize,
    /// How many webhooks want each event.
    #[serde(default)]
    pub webhooks: usize,
    /// How many records of a stream it was given.
    #[serde(default = "one")]
    pub batch: usize,
    /// How many deliveries it attempted, where that is what was measured.
    #[serde(default)]
    pub attempts: usize,
    /// Milliseconds of one whole processor.
    pub cpu_ms: f64,
    /// What it logs itself, with the 26 bytes that CloudWatch adds to each line.
    pub log_bytes: f64,
    /// Answers of DynamoDB that it waits for, one after another.
    #[serde(default)]
    pub round_trips: u32,
    /// Answers of destinations that it waits for, one after another.
    #[serde(default)]
    pub destination_rounds: u32,
}

fn one() -> usize {
    1
}

impl Invocation {
    /// What is billed of it at so much memory, in whole milliseconds.
    #[must_use]
    pub fn billed_ms(&self, memory_mb: u32) -> f64 {
        let processor = self.cpu_ms / (f64::from(memory_mb) / MB_OF_A_PROCESSOR);
        let waiting = f64::from(self.round_trips) * DYNAMODB_MS + f64::from(self.destination_rounds) * DESTINATION_MS;
        (processor + waiting).ceil()
    }
}

/// All measurements, and where they were made.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Times {
    /// When.
    pub date: String,
    /// By what.
    pub command: String,
    /// On what kind of machine.
    pub machine: String,
    /// How many invocations each number is the mean of.
    pub invocations: u32,
    /// How many full batches each number of a batch is the mean of.
    pub batches: u32,
    /// Of `receive`, by body.
    pub receive: Vec<Invocation>,
    /// Of `verify`, by body and batch.
    pub verify: Vec<Invocation>,
    /// Of `fan-out`, by body, webhooks and batch.
    pub fan_out: Vec<Invocation>,
    /// Of `retry`, when nothing waits.
    pub idle_tick: Invocation,
    /// Of `retry`, when something is due.
    pub retry: Invocation,
    /// By function: what its start and its first invocation take, in milliseconds of one whole processor.
    pub init_cpu_ms: BTreeMap<String, f64>,
}

impl Times {
    /// Those of the repository.
    #[must_use]
    pub fn read() -> Self {
        let text =
            std::fs::read_to_string(repository().join("docs/cost/measured.json")).expect("docs/cost/measured.json");
        serde_json::from_str(&text).expect("docs/cost/measured.json is as it should be")
    }

    /// What was measured of `receive`.
    #[must_use]
    pub fn receive(&self, bytes: usize) -> &Invocation {
        find(&self.receive, |row| row.bytes == bytes)
    }

    /// What was measured of `verify`.
    #[must_use]
    pub fn verify(&self, bytes: usize, batch: usize) -> &Invocation {
        find(&self.verify, |row| (row.bytes, row.batch) == (bytes, batch))
    }

    /// What was measured of `fan-out`.
    #[must_use]
    pub fn fan_out(&self, bytes: usize, webhooks: usize, batch: usize) -> &Invocation {
        find(&self.fan_out, |row| {
            (row.bytes, row.webhooks, row.batch) == (bytes, webhooks, batch)
        })
    }
}

fn find(rows: &[Invocation], is_it: impl Fn(&Invocation) -> bool) -> &Invocation {
    let found = rows.iter().find(|row| is_it(row));
    found.expect("docs/cost/measured.json has what is asked for")
}
