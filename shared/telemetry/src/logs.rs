//! The one set-up of logs: each line a JSON object in a function, and readable text on a terminal.

use std::env;
use std::panic;

use tracing::{Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, Registry, fmt};

/// Where the Lambda runtime opens a span for each invocation, with `requestId`: its lines carry it whatever the level of the log is.
const INVOCATION: &str = "lambda_runtime::layers::trace";

/// How a line looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// For people at a terminal.
    #[default]
    Text,
    /// One JSON object: `timestamp`, `level`, `target`, `message`, then the fields of the line, and in `span` those of the invocation.
    Json,
}

/// Sets up the log of a Lambda function: JSON on standard output, where Lambda takes it from.
///
/// The level is that of `AWS_LAMBDA_LOG_LEVEL`, or else of `RUST_LOG`, or else `info`. `AWS_LAMBDA_LOG_FORMAT`, which Lambda sets after the
/// function's `LoggingConfig`, asks for text with `Text`.
pub fn start_function() {
    let level = env::var("AWS_LAMBDA_LOG_LEVEL").or_else(|_| env::var("RUST_LOG"));
    let format = match env::var("AWS_LAMBDA_LOG_FORMAT") {
        Ok(format) if format.eq_ignore_ascii_case("text") => Format::Text,
        _ => Format::Json,
    };
    start(format, filter(level.as_deref().unwrap_or("info")), std::io::stdout);
}

/// Sets up the log of a program at a terminal: on standard error, with the levels of `RUST_LOG`, or else warnings and errors.
pub fn start_program(format: Format) {
    let level = env::var("RUST_LOG");
    start(format, filter(level.as_deref().unwrap_or("warn")), std::io::stderr);
}

/// What writes such lines to `writer`, without becoming the log of the process: for tests.
pub fn subscriber<W>(format: Format, levels: &str, writer: W) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    build(format, filter(levels), writer)
}

fn start<W>(format: Format, filter: Targets, writer: W)
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    // Only one log is ever set up in a process; where there is one already, that stays.
    tracing::subscriber::set_global_default(build(format, filter, writer)).ok();
    report_panics();
}

fn build<W>(format: Format, filter: Targets, writer: W) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = fmt::layer().with_writer(writer);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match format {
        Format::Text => Box::new(lines),
        Format::Json => Box::new(
            lines
                .json()
                .flatten_event(true)
                .with_current_span(true)
                .with_span_list(false),
        ),
    };
    Box::new(Registry::default().with(lines).with(filter))
}

/// The levels that `levels` asks for, as `info` or `warn,retry=info`; what cannot be read among them is left out. (Not `EnvFilter`, whose
/// patterns for the fields of spans bring a whole engine of regular expressions into each function.)
fn filter(levels: &str) -> Targets {
    let read = levels
        .split(',')
        .map(str::trim)
        .filter(|one| !one.is_empty())
        .filter_map(|one| one.parse::<Targets>().ok());
    // Errors are told of whatever it says.
    let mut filter = Targets::new().with_default(Level::ERROR);
    for levels in read {
        if let Some(level) = levels.default_level() {
            filter = filter.with_default(level);
        }
        filter = filter.with_targets(levels);
    }
    filter.with_target(INVOCATION, Level::INFO)
}

/// Logs each panic with its place. Its message can hold a piece of what was being worked on: the place is enough to find it.
pub fn report_panics() {
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string);
        tracing::error!(outcome = "failed", error_type = "panic", place, "panicked");
    }));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use serde_json::Value;

    use super::*;
    use crate::captured::Captured;

    fn logged(format: Format, levels: &str, log: impl FnOnce()) -> String {
        let lines = Captured::default();
        tracing::subscriber::with_default(subscriber(format, levels, lines.clone()), log);
        lines.take()
    }

    #[test]
    fn a_line_is_one_json_object_with_its_fields_and_the_invocation() {
        let line = logged(Format::Json, "error", || {
            let invocation = tracing::info_span!(target: "lambda_runtime::layers::trace", "Lambda runtime invoke", requestId = "r-1");
            let _entered = invocation.enter();
            tracing::info!(outcome = "stored", "not at this level");
            tracing::error!(outcome = "failed", error_type = "panic", status = 503_u16, "two\nlines");
        });
        assert_eq!(line.lines().count(), 1, "{line}");
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            (&line["level"], &line["message"]),
            (&"ERROR".into(), &"two\nlines".into())
        );
        assert_eq!((&line["outcome"], &line["status"]), (&"failed".into(), &503.into()));
        assert_eq!(line["span"]["requestId"], "r-1");
        let time: jiff::Timestamp = line["timestamp"].as_str().unwrap().parse().unwrap();
        assert!(time > jiff::Timestamp::UNIX_EPOCH);
    }

    #[test]
    fn text_is_for_people_and_levels_hold_for_it_too() {
        let text = logged(Format::Text, "warn,quiet=error", || {
            tracing::warn!(outcome = "rejected", "rejected");
            tracing::warn!(target: "quiet", "not this");
            tracing::info!("nor this");
        });
        assert!(
            text.contains("WARN") && text.contains("rejected") && text.lines().count() == 1,
            "{text}"
        );
    }

    #[test]
    fn what_cannot_be_read_of_levels_is_left_out() {
        for (levels, warns, infos) in [
            ("", false, false),
            (" , ", false, false),
            ("nonsense=loud", false, false),
            ("info", true, true),
            ("INFO", true, true),
            ("nonsense=loud, warn", true, false),
            ("info,warn", true, false),
            ("other=info", false, false),
            ("telemetry=info", true, true),
            ("off", false, false),
        ] {
            let log = |level| match level {
                Level::WARN => tracing::warn!("a warning"),
                _ => tracing::info!("news"),
            };
            let filter = super::filter(levels);
            assert_eq!(
                !logged(Format::Text, levels, || log(Level::WARN)).is_empty(),
                warns,
                "{levels:?} {filter:?}"
            );
            assert_eq!(
                !logged(Format::Text, levels, || log(Level::INFO)).is_empty(),
                infos,
                "{levels:?} {filter:?}"
            );
            let error = logged(Format::Text, levels, || tracing::error!("an error"));
            assert_eq!(error.is_empty(), levels == "off", "{levels:?} {filter:?}");
        }
    }
}
