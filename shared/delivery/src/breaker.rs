//! Keeps the fast lane away from what just failed.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use payload::WebhookId;

use crate::policy::later;

/// How many entries are kept before those that have passed are dropped.
const SWEEP_ABOVE: usize = 1024;

/// Remembers, in this process, which webhooks just failed. It bridges the moments until a webhook's health, which all processes read,
/// says the same; so it forgets soon.
#[derive(Debug)]
pub struct Breaker {
    open_for: Duration,
    open_until: Mutex<HashMap<WebhookId, Timestamp>>,
}

impl Breaker {
    /// A breaker that stays open that long after a failure.
    #[must_use]
    pub fn new(open_for: Duration) -> Self {
        Self {
            open_for,
            open_until: Mutex::default(),
        }
    }

    /// Whether the webhook is not to be sent to at `now`.
    #[must_use]
    pub fn is_open(&self, webhook: &WebhookId, now: Timestamp) -> bool {
        self.entries().get(webhook).is_some_and(|until| now < *until)
    }

    /// Notes a failure at `now`.
    pub fn trip(&self, webhook: &WebhookId, now: Timestamp) {
        self.trip_until(webhook, now, later(now, self.open_for));
    }

    /// Notes at `now` that the webhook is to be left alone until then, as when it has asked for that itself.
    pub fn trip_until(&self, webhook: &WebhookId, now: Timestamp, until: Timestamp) {
        let mut entries = self.entries();
        if entries.len() >= SWEEP_ABOVE {
            entries.retain(|_, until| now < *until);
        }
        entries.insert(webhook.clone(), until);
    }

    /// Notes a success.
    pub fn reset(&self, webhook: &WebhookId) {
        self.entries().remove(webhook);
    }

    fn entries(&self) -> std::sync::MutexGuard<'_, HashMap<WebhookId, Timestamp>> {
        self.open_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;

    #[test]
    fn it_opens_for_a_while_and_closes_on_success() {
        let breaker = Breaker::new(Duration::from_secs(10));
        let at = |second| Timestamp::from_second(second).unwrap();
        let (a, b) = (WebhookId::generate(at(0)), WebhookId::generate(at(0)));
        assert!(!breaker.is_open(&a, at(0)));
        breaker.trip(&a, at(0));
        assert!(breaker.is_open(&a, at(9)) && !breaker.is_open(&b, at(9)));
        assert!(!breaker.is_open(&a, at(10)));
        breaker.trip(&a, at(20));
        breaker.reset(&a);
        assert!(!breaker.is_open(&a, at(21)));
        breaker.trip_until(&a, at(30), at(500));
        assert!(breaker.is_open(&a, at(499)) && !breaker.is_open(&a, at(500)));
    }

    #[test]
    fn it_does_not_grow_without_end() {
        let breaker = Breaker::new(Duration::from_secs(1));
        for second in 0..5_000 {
            breaker.trip(
                &WebhookId::generate(Timestamp::UNIX_EPOCH),
                Timestamp::from_second(second).unwrap(),
            );
        }
        assert!(breaker.entries().len() <= SWEEP_ABOVE);
    }
}
