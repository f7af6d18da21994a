//! One line in the log for each outcome: ids as fields, never a body, a URL or a secret.

use payload::Event;
use payload::delivery::{AttemptError, Delivery};

use crate::policy::{Exhaustion, Next};

/// Logs what the last attempt of a delivery of `event` came to.
///
/// Fields: `organization`, `event`, `webhook`, `trace`, `attempt` (its number, from 1), `status`, `duration_ms`, `outcome` (`delivered`,
/// `retry`, `exhausted`, `gone`, `refused`), and for a failure `error_type` and `next_attempt`.
pub fn attempt(event: &Event, delivery: &Delivery, next: &Next) {
    let Some(attempt) = delivery.attempts.last() else {
        return;
    };
    let number = delivery.attempts_made();
    let trace = event.trace();
    match next {
        Next::Delivered => tracing::info!(
            organization = delivery.organization.as_str(),
            event = delivery.event.as_str(),
            webhook = delivery.webhook.as_str(),
            %trace,
            attempt = number,
            status = attempt.status,
            duration_ms = attempt.duration_ms,
            outcome = "delivered",
            "attempt"
        ),
        Next::RetryAt(at) => tracing::warn!(
            organization = delivery.organization.as_str(),
            event = delivery.event.as_str(),
            webhook = delivery.webhook.as_str(),
            %trace,
            attempt = number,
            status = attempt.status,
            duration_ms = attempt.duration_ms,
            outcome = "retry",
            error_type = attempt.error.map(AttemptError::as_str),
            next_attempt = %at,
            "attempt"
        ),
        Next::Exhausted(why) => tracing::warn!(
            organization = delivery.organization.as_str(),
            event = delivery.event.as_str(),
            webhook = delivery.webhook.as_str(),
            %trace,
            attempt = number,
            status = attempt.status,
            duration_ms = attempt.duration_ms,
            outcome = match why {
                Exhaustion::Schedule => "exhausted",
                Exhaustion::Gone => "gone",
                Exhaustion::Refused => "refused",
            },
            error_type = attempt.error.map(AttemptError::as_str),
            "attempt"
        ),
    }
}
