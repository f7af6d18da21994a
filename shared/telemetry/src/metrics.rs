//! What an invocation measured, written as CloudWatch's
//! [embedded metric format](https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html):
//! a line of the log from which CloudWatch takes metrics of its own.
//!
//! Each metric, and each value of its dimension, costs about $0.30 a month. So there are few, none is written by itself, and nothing is written
//! where nothing happened.

mod emf;

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

/// The variable that turns metrics on, with the value [`ENABLED`].
pub const VARIABLE: &str = "EMBEDDED_METRICS";

/// The value of [`VARIABLE`] that turns metrics on.
pub const ENABLED: &str = "enabled";

/// The namespace of all metrics.
pub const NAMESPACE: &str = "Hookline";

/// Something that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// A request was stored as a receipt.
    Received,
    /// A receipt was verified and made an event.
    Verified,
    /// A receipt was verified, and its event was there already.
    Duplicates,
    /// A receipt was rejected, for this reason.
    Rejected(&'static str),
    /// A delivery came to this outcome.
    Deliveries(Outcome),
}

/// What a delivery came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Its webhook took it.
    Delivered,
    /// An attempt failed, and there is another one later.
    Retried,
    /// It failed for good.
    Exhausted,
    /// Its webhook is gone or disabled.
    Cancelled,
    /// It was left for later without an attempt.
    Parked,
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Retried => "retried",
            Self::Exhausted => "exhausted",
            Self::Cancelled => "cancelled",
            Self::Parked => "parked",
        }
    }
}

impl Count {
    fn name(self) -> &'static str {
        match self {
            Self::Received => "Received",
            Self::Verified => "Verified",
            Self::Duplicates => "Duplicates",
            Self::Rejected(_) => "Rejected",
            Self::Deliveries(_) => "Deliveries",
        }
    }

    fn dimension(self) -> Option<Dimension> {
        match self {
            Self::Received | Self::Verified | Self::Duplicates => None,
            Self::Rejected(reason) => Some(("Reason", reason)),
            Self::Deliveries(outcome) => Some(("Outcome", outcome.as_str())),
        }
    }
}

/// A dimension's name and its value.
type Dimension = (&'static str, &'static str);

/// What one invocation has measured so far. It can be added to from everywhere in it.
#[derive(Debug, Default)]
pub struct Measured(Mutex<Numbers>);

/// The numbers themselves.
#[derive(Debug, Clone, Default, PartialEq)]
struct Numbers {
    counts: BTreeMap<(&'static str, Option<Dimension>), u64>,
    /// From when something reached us to its first attempt, in milliseconds.
    first_attempts: Vec<i64>,
    due: u64,
    /// In seconds.
    oldest_due: i64,
}

impl Measured {
    fn numbers(&self) -> MutexGuard<'_, Numbers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one.
    pub fn count(&self, count: Count) {
        let mut numbers = self.numbers();
        let number = numbers.counts.entry((count.name(), count.dimension())).or_default();
        *number = number.saturating_add(1);
    }

    /// Notes how long it took from when an event reached us to its first attempt at a webhook. A clock that went back counts as no time.
    pub fn first_attempt(&self, received_at: Timestamp, attempted_at: Timestamp) {
        let waited = attempted_at.duration_since(received_at).as_millis();
        let waited = i64::try_from(waited).unwrap_or(i64::MAX).max(0);
        self.numbers().first_attempts.push(waited);
    }

    /// Notes so many more deliveries that are due, the oldest of them for so long. Nothing is noted where there is none.
    pub fn due(&self, count: usize, oldest: SignedDuration) {
        let mut numbers = self.numbers();
        numbers.due = numbers.due.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        numbers.oldest_due = numbers.oldest_due.max(oldest.as_secs());
    }

    /// For how many seconds the oldest of the deliveries that are due has been so; `None` where none is.
    pub fn oldest_due(&self) -> Option<i64> {
        let numbers = self.numbers();
        (numbers.due > 0).then_some(numbers.oldest_due)
    }
}

/// Takes whole lines.
type Writer = dyn Fn(&[u8]) + Send + Sync;

/// Where numbers are told, if anywhere.
#[derive(Clone, Default)]
pub struct Metrics(Option<Arc<Writer>>);

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() {
            "Metrics(on)"
        } else {
            "Metrics(off)"
        })
    }
}

impl Metrics {
    /// Numbers are told nowhere.
    #[must_use]
    pub fn off() -> Self {
        Self(None)
    }

    /// As the environment's [`VARIABLE`] says.
    #[must_use]
    pub fn from_env() -> Self {
        Self::from_setting(std::env::var(VARIABLE).ok().as_deref())
    }

    /// On standard output where the value of [`VARIABLE`] is [`ENABLED`], and otherwise nowhere.
    #[must_use]
    pub fn from_setting(setting: Option<&str>) -> Self {
        if setting != Some(ENABLED) {
            return Self::off();
        }
        Self::to(|lines| {
            // A number that cannot be told is no reason to fail: what it counts has happened.
            std::io::stdout().lock().write_all(lines).ok();
        })
    }

    /// Each call gets whole lines.
    #[must_use]
    pub fn to(write: impl Fn(&[u8]) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(write)))
    }

    /// Tells what an invocation that began at `at` has measured, at its end: one line, and one more for each further reason or outcome.
    /// Nothing where nothing was measured.
    pub fn tell(&self, at: Timestamp, measured: Measured) {
        let Some(write) = &self.0 else { return };
        let numbers = measured.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        let lines = emf::lines(at, &numbers);
        if !lines.is_empty() {
            write(&lines);
        }
    }
}

#[cfg(test)]
mod tests;
