//! The adapter to the system's clock: the one place that may ask it.

use jiff::Timestamp;
use payload::Clock;

/// The system's clock, to the millisecond: as exact as times are stored, so that a time reads back as it was told.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "this is the adapter")]
    fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
    }
}
