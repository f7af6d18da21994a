//! The adapter to the system's clock: the one place that may ask it.

use jiff::Timestamp;
use payload::Clock;

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "this is the adapter")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}
