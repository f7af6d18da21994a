//! Keeps to the rate that a destination takes, within this process.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use payload::WebhookId;
use payload::webhook::Rate;

use crate::policy::later;

/// How many entries are kept before those that have passed are dropped.
const SWEEP_ABOVE: usize = 1024;

/// How far ahead places are given out. What waits longer than that waits together: `retry` spreads it, or puts it into one message.
const FARTHEST: Duration = Duration::from_secs(60);

/// When each webhook may next be sent to.
#[derive(Debug, Default)]
pub struct Pace(Mutex<HashMap<WebhookId, Timestamp>>);

/// A place in the order of a webhook's requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Now.
    Now,
    /// Then.
    At(Timestamp),
}

impl Pace {
    /// Takes the next place, also when it is not free yet: so that those who are told to come back are spread as the rate wants it, up to
    /// a minute ahead.
    #[must_use]
    pub fn take(&self, webhook: &WebhookId, rate: Rate, now: Timestamp) -> Place {
        let farthest = later(now, FARTHEST);
        self.place(webhook, rate, now, farthest)
    }

    /// Takes a place if one is free now; otherwise says when the next is, and takes none.
    #[must_use]
    pub fn take_free(&self, webhook: &WebhookId, rate: Rate, now: Timestamp) -> Place {
        match self.place(webhook, rate, now, now) {
            Place::Now => Place::Now,
            Place::At(_) => Place::At(self.next(webhook, now)),
        }
    }

    /// The next place, taken unless it is after `farthest`.
    fn place(&self, webhook: &WebhookId, rate: Rate, now: Timestamp, farthest: Timestamp) -> Place {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if places.len() >= SWEEP_ABOVE {
            places.retain(|_, next| now < *next);
        }
        let next = places.get(webhook).copied().unwrap_or(now).max(now);
        if next > farthest {
            return Place::At(farthest);
        }
        places.insert(webhook.clone(), later(next, rate.interval()));
        if next <= now { Place::Now } else { Place::At(next) }
    }

    fn next(&self, webhook: &WebhookId, now: Timestamp) -> Timestamp {
        let places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        places.get(webhook).copied().unwrap_or(now).max(now)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;

    #[test]
    fn places_follow_one_another_at_the_rate() {
        let pace = Pace::default();
        let at = |milliseconds| Timestamp::from_millisecond(milliseconds).unwrap();
        let (a, b) = (WebhookId::generate(at(0)), WebhookId::generate(at(0)));
        let rate = Rate::try_from(120).unwrap();
        assert_eq!(pace.take(&a, rate, at(1000)), Place::Now);
        assert_eq!(pace.take(&a, rate, at(1000)), Place::At(at(1500)));
        assert_eq!(pace.take(&a, rate, at(1100)), Place::At(at(2000)));
        assert_eq!(pace.take(&b, rate, at(1100)), Place::Now);
        assert_eq!(pace.take(&a, rate, at(9000)), Place::Now);
        for n in 0..5000 {
            let _ = pace.take(&WebhookId::generate(at(n)), rate, at(n * 1000));
        }
        assert!(pace.0.lock().unwrap().len() <= SWEEP_ABOVE);
    }

    #[test]
    fn places_end_a_minute_ahead() {
        let pace = Pace::default();
        let at = |second| Timestamp::from_second(second).unwrap();
        let webhook = WebhookId::generate(at(0));
        let rate = Rate::try_from(60).unwrap();
        assert_eq!(pace.take(&webhook, rate, at(0)), Place::Now);
        let places: Vec<_> = (0..500).map(|_| pace.take(&webhook, rate, at(0))).collect();
        let spread: Vec<_> = (1..=60).map(|second| Place::At(at(second))).collect();
        assert_eq!(places[..60], spread);
        assert!(places[60..].iter().all(|place| *place == Place::At(at(60))));
        assert_eq!(
            pace.take(&webhook, rate, at(61)),
            Place::Now,
            "a burst of hundreds is over in a minute"
        );
    }

    #[test]
    fn asking_for_a_free_place_takes_none_that_is_not() {
        let pace = Pace::default();
        let at = |second| Timestamp::from_second(second).unwrap();
        let webhook = WebhookId::generate(at(0));
        let rate = Rate::try_from(1).unwrap();
        assert_eq!(pace.take_free(&webhook, rate, at(0)), Place::Now);
        for second in 0..60 {
            assert_eq!(pace.take_free(&webhook, rate, at(second)), Place::At(at(60)));
        }
        assert_eq!(pace.take_free(&webhook, rate, at(60)), Place::Now);
    }
}
