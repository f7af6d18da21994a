//! From units, times and the template to a use of things that has a price.

use local::template::{Function, Template};
use serde_json::Value;

use super::prices::{GB, Usage};
use super::time::{Invocation, Times};
use super::units::Measured;

/// Days of the longest month, by which an idle month is counted.
const LONGEST_MONTH_DAYS: f64 = 31.0;

/// Days of the month that storage is priced by.
const MONTH_DAYS: f64 = 30.0;

/// Seconds of that month.
pub const MONTH_SECONDS: f64 = MONTH_DAYS * 86_400.0;

/// What API Gateway counts as one request.
const REQUEST_BYTES: usize = 512 * 1024;

/// Lambda's own lines for an invocation, `platform.start` and `platform.report` in JSON with the 26 bytes that CloudWatch adds to each: the
/// lengths of the examples of
/// <https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-logformat.html>, a little rounded up.
pub const PLATFORM_LOG_BYTES: f64 = 650.0;

/// A line of API Gateway's access log in the format of the template, with those 26 bytes, a little rounded up.
pub const ACCESS_LOG_BYTES: f64 = 420.0;

/// What a sender is answered, with the headers that API Gateway adds.
pub const ANSWER_BYTES: f64 = 400.0;

/// How much of a log is left when CloudWatch has compressed it: what AWS's own calculator takes.
const LOG_COMPRESSION: f64 = 0.15;

/// Shards of a new on-demand table's stream, and how often a second each is looked at: together they say when events come in batches
/// (<https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html>). A busier table has more shards.
const POLLS_A_SECOND: f64 = 4.0 * 4.0;

/// The body that comparisons are made with.
pub const USUAL_BYTES: usize = 1024;

/// What an event of one kind costs the database: alone, and as one of a full batch.
#[derive(Debug, Clone)]
pub struct EventUnits {
    /// The body's length.
    pub bytes: usize,
    /// How many webhooks want it.
    pub webhooks: usize,
    /// When each step is woken for it.
    pub alone: Measured,
    /// When each step is woken once for a full batch.
    pub in_batch: Measured,
}

/// What the template says, and what was measured.
#[derive(Debug)]
pub struct Model {
    /// The template.
    pub template: Template,
    /// What was measured of the functions.
    pub times: Times,
}

impl Model {
    /// That of the repository.
    #[must_use]
    pub fn read() -> Self {
        Self {
            template: Template::bundled().expect("the template"),
            times: Times::read(),
        }
    }

    /// The function that runs this binary.
    #[must_use]
    pub fn function(&self, binary: &str) -> &Function {
        self.template.function(binary).expect("a function of the template")
    }

    /// How many records of a stream wake a function at most.
    #[must_use]
    pub fn full_batch(&self) -> usize {
        let size = |binary| self.function(binary).streams[0].batch_size;
        assert_eq!(size("verify"), size("fan-out"), "measured.json has one size of batches");
        size("verify")
    }

    /// A parameter's default that is a number.
    #[must_use]
    pub fn parameter(&self, name: &str) -> f64 {
        self.template
            .parameters
            .get(name)
            .and_then(Value::as_f64)
            .unwrap_or_else(|| panic!("{name} is no number of the template"))
    }

    /// One invocation. `traced` is the share of them that X-Ray records, where the function is traced.
    #[must_use]
    pub fn invocation(&self, binary: &str, measured: &Invocation, traced: f64) -> Usage {
        let function = self.function(binary);
        let gb_seconds = measured.billed_ms(function.memory_mb) / 1000.0 * f64::from(function.memory_mb) / 1024.0;
        let platform = if function.logs_invocations {
            PLATFORM_LOG_BYTES
        } else {
            0.0
        };
        let traces = if function.is_traced { traced } else { 0.0 };
        Usage::of("lambdaRequests", 1.0)
            .and("lambdaX86", gb_seconds)
            .and("traces", traces)
            .plus(&logs(measured.log_bytes + platform))
    }

    /// What a request over the API costs beside its function.
    #[must_use]
    pub fn request(&self, bytes: usize) -> Usage {
        Usage::of("apiRequests", bytes.div_ceil(REQUEST_BYTES).max(1) as f64)
            .and("egress", ANSWER_BYTES / GB)
            .plus(&logs(ACCESS_LOG_BYTES))
    }

    /// Units, what is left in the tables until its time to live ends, and what is sent.
    #[must_use]
    pub fn database(&self, measured: &Measured) -> Usage {
        let mut usage = Usage::of("dynamoWrites", measured.writes())
            .and("dynamoReads", measured.reads())
            .and("egress", measured.sent as f64 / GB);
        for (table, held) in &measured.left {
            let days = match table.as_str() {
                "InboxTable" | "ReceiptsTable" => self.parameter("InboxRetentionDays"),
                "EventsTable" | "DeliveriesTable" => self.parameter("EventRetentionDays"),
                // What is there once, and not once for each event.
                _ => continue,
            };
            let months = days / MONTH_DAYS;
            usage = usage.and("dynamoStorage", (held.items + held.indexes) as f64 / GB * months);
            if table == "EventsTable" {
                usage = usage.and("dynamoPitr", held.items as f64 / GB * months);
            }
        }
        usage
    }

    /// A received event, as `batch` of them (whole or on the average) wake each step behind a stream.
    #[must_use]
    pub fn event(&self, units: &EventUnits, batch: f64, traced: f64) -> Usage {
        let full = self.full_batch();
        let (bytes, webhooks) = (units.bytes, units.webhooks);
        let behind = |size: usize| {
            let verify = self.invocation("verify", self.times.verify(bytes, size), traced);
            let fan_out = self.invocation("fan-out", self.times.fan_out(bytes, webhooks, size), traced);
            verify.plus(&fan_out).times(1.0 / size as f64)
        };
        let in_batch = Measured {
            left: units.alone.left.clone(),
            ..units.in_batch.clone()
        };
        let alone = behind(1).plus(&self.database(&units.alone));
        let in_batch = behind(full).plus(&self.database(&in_batch));
        // Whatever is done once for a batch is shared by it: all of it is linear in what one event's share is.
        let share = (1.0 / batch - 1.0 / full as f64) / (1.0 - 1.0 / full as f64);
        let receive = self.invocation("receive", self.times.receive(bytes), traced);
        in_batch
            .times(1.0 - share)
            .plus(&alone.times(share))
            .plus(&receive)
            .plus(&self.request(bytes))
    }

    /// How many records wake a function on the average, at so many a second.
    #[must_use]
    pub fn usual_batch(&self, a_second: f64) -> f64 {
        (a_second / POLLS_A_SECOND).clamp(1.0, self.full_batch() as f64)
    }

    /// A month with so many events, evenly spread over it, and its ticks.
    #[must_use]
    pub fn month(&self, units: &EventUnits, tick: &Measured, events: f64) -> Usage {
        let a_second = events / MONTH_SECONDS;
        let batch = self.usual_batch(a_second);
        // Each function samples what wakes it: receive by events, the others by batches.
        let usage = self.event(units, batch, 1.0).times(events);
        let all = usage.get("traces");
        let traced = |function: &str, a_second: f64| {
            let is_traced = self.function(function).is_traced;
            if is_traced {
                sampled(a_second) * a_second * MONTH_SECONDS
            } else {
                0.0
            }
        };
        let recorded =
            traced("receive", a_second) + traced("verify", a_second / batch) + traced("fan-out", a_second / batch);
        usage.and("traces", recorded - all).plus(&self.idle(tick))
    }

    /// A month of 31 days in which nothing happens.
    #[must_use]
    pub fn idle(&self, tick: &Measured) -> Usage {
        let every = self.function("retry").schedules[0].every;
        let ticks = LONGEST_MONTH_DAYS * 86_400.0 / every.as_secs_f64();
        // A tick a minute is below one a second: each is sampled, where ticks are traced.
        self.invocation("retry", &self.times.idle_tick, 1.0)
            .plus(&self.database(tick))
            .and("scheduler", 1.0)
            .times(ticks)
    }
}

/// So many bytes of a log, taken in and kept for a month.
#[must_use]
pub fn logs(bytes: f64) -> Usage {
    Usage::of("logsIngested", bytes / GB).and("logsStored", bytes / GB * LOG_COMPRESSION)
}

/// The share that X-Ray records of so many a second: the first of each second, and a twentieth of the others
/// (<https://docs.aws.amazon.com/lambda/latest/dg/services-xray.html>).
#[must_use]
pub fn sampled(a_second: f64) -> f64 {
    if a_second <= 1.0 {
        1.0
    } else {
        (1.0 + (a_second - 1.0) / 20.0) / a_second
    }
}
