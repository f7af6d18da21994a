//! How much time an invocation has left.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// A day, in milliseconds.
const DAY_MS: u64 = 86_400_000;

/// The moment at which an invocation is cut off.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(Instant);

impl Deadline {
    /// A deadline that far from now.
    #[must_use]
    pub fn after(time: Duration) -> Self {
        Self(Instant::now() + time)
    }

    /// The deadline that Lambda names, in milliseconds since 1970
    /// ([`Lambda-Runtime-Deadline-Ms`](https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html)), seen from `now`.
    ///
    /// `cargo lambda watch` names no moment but the time left: ten minutes, always. What would be a moment of the first day of 1970 is taken
    /// for that.
    #[must_use]
    pub fn at_epoch_ms(milliseconds: u64, now: Timestamp) -> Self {
        let now = u64::try_from(now.as_millisecond()).unwrap_or(0);
        let is_moment = milliseconds >= DAY_MS || now < DAY_MS;
        let left = if is_moment {
            milliseconds.saturating_sub(now)
        } else {
            milliseconds
        };
        // A day is more than any invocation has: a nonsensical value must not overflow the clock.
        Self::after(Duration::from_millis(left.min(DAY_MS)))
    }

    /// The time left; zero when it has passed.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Whether that much time is left.
    #[must_use]
    pub fn allows(&self, need: Duration) -> bool {
        self.remaining() >= need
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_counts_down() {
        let now = Timestamp::from_millisecond(1_000_000).unwrap();
        let deadline = Deadline::at_epoch_ms(1_005_000, now);
        assert!(deadline.allows(Duration::from_secs(5)));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(deadline.remaining(), Duration::from_secs(3));
        assert!(!deadline.allows(Duration::from_millis(3001)));
        tokio::time::advance(Duration::from_secs(20)).await;
        assert_eq!(deadline.remaining(), Duration::ZERO);
        assert_eq!(Deadline::at_epoch_ms(0, now).remaining(), Duration::ZERO);
        let later = Timestamp::from_second(1_795_327_262).unwrap();
        assert_eq!(
            Deadline::at_epoch_ms(600_000, later).remaining(),
            Duration::from_secs(600)
        );
        assert_eq!(Deadline::at_epoch_ms(0, later).remaining(), Duration::ZERO);
        assert_eq!(
            Deadline::at_epoch_ms(1_795_327_261_000, later).remaining(),
            Duration::ZERO
        );
        assert!(Deadline::at_epoch_ms(u64::MAX, now).allows(Duration::from_secs(3600)));
    }
}
