//! What follows from an attempt. Pure: time and chance come in as arguments.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use payload::delivery::{Attempt, Delivery, DeliveryStatus};
use payload::webhook::Webhook;

use crate::attempt::Outcome;

const fn minutes(n: u64) -> Duration {
    Duration::from_secs(n * 60)
}

const fn hours(n: u64) -> Duration {
    Duration::from_secs(n * 3600)
}

/// How long to wait before each attempt, after the one before it. The sum is three days and four hours.
const STANDARD: &[Duration] = &[
    Duration::ZERO,
    minutes(1),
    minutes(5),
    minutes(30),
    hours(2),
    hours(5),
    hours(10),
    hours(14),
    hours(20),
    hours(24),
];

/// The shortest wait that a destination may ask for.
const RETRY_AFTER_FLOOR: Duration = Duration::from_secs(1);

/// The longest wait that a destination may ask for.
const RETRY_AFTER_CEILING: Duration = hours(24);

/// How many answers 429 a delivery may get beside the attempts of its schedule. They mean "later", not "no": counting them would let
/// a destination that asks for a second's patience use up days of retries within seconds.
const FREE_THROTTLES: usize = 20;

const SERVICE_UNAVAILABLE: u16 = 503;

/// How long to wait before each attempt of a delivery: the first entry before the first, and so on, each after the attempt before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule(Cow<'static, [Duration]>);

impl Default for Schedule {
    fn default() -> Self {
        Self(Cow::Borrowed(STANDARD))
    }
}

impl Schedule {
    /// A schedule of one's own, such as a short one for a test. The first attempt is made at once whatever it says.
    #[must_use]
    pub fn new(delays: Vec<Duration>) -> Self {
        Self(Cow::Owned(delays))
    }

    /// The schedule that holds for a webhook: its own, or this one.
    #[must_use]
    pub fn of(&self, webhook: &Webhook) -> Cow<'_, Self> {
        match &webhook.schedule {
            None => Cow::Borrowed(self),
            // The first entry is the wait before the first attempt, which is made at once.
            Some(seconds) => Cow::Owned(Self::new(
                std::iter::once(Duration::ZERO)
                    .chain(seconds.iter().map(|seconds| Duration::from_secs(u64::from(*seconds))))
                    .collect(),
            )),
        }
    }

    /// What follows from an attempt that ended at `now`, after these earlier ones of its round.
    #[must_use]
    pub fn decide(&self, earlier: &[Attempt], outcome: &Outcome, now: Timestamp, jitter: Jitter) -> Next {
        let attempt = &outcome.attempt;
        if attempt.error.is_none() {
            return Next::Delivered;
        }
        if let Some(rejection) = outcome.rejection {
            return Next::Exhausted(if rejection.disables {
                Exhaustion::Gone
            } else {
                Exhaustion::Refused
            });
        }
        let earlier_throttles = earlier.iter().filter(|attempt| attempt.throttled).count();
        let throttles = earlier_throttles + usize::from(attempt.throttled);
        let counted = earlier.len() + 1 - throttles.min(FREE_THROTTLES);
        let Some(delay) = self.0.get(counted.max(1)) else {
            return Next::Exhausted(Exhaustion::Schedule);
        };
        let scheduled = jitter.spread(*delay);
        let asked = outcome
            .retry_after
            .filter(|_| attempt.throttled || attempt.status == Some(SERVICE_UNAVAILABLE))
            .map(|retry_after| retry_after.wait(now).clamp(RETRY_AFTER_FLOOR, RETRY_AFTER_CEILING));
        let wait = match asked {
            None => scheduled,
            // It will be ready then, and coming so soon costs no attempt of the schedule.
            Some(asked) if attempt.throttled && throttles <= FREE_THROTTLES => asked,
            // Never before it asked for, and never more often than the schedule.
            Some(asked) => asked.max(scheduled),
        };
        Next::RetryAt(later(now, wait))
    }

    /// Records an attempt in its delivery, with what follows from it.
    pub fn settle(&self, delivery: &mut Delivery, outcome: Outcome, now: Timestamp, jitter: Jitter) -> Next {
        let next = self.decide(delivery.round(), &outcome, now, jitter);
        (delivery.status, delivery.next_attempt) = match &next {
            Next::Delivered => (DeliveryStatus::Delivered, None),
            Next::RetryAt(at) => (DeliveryStatus::Due, Some(*at)),
            Next::Exhausted(_) => (DeliveryStatus::Exhausted, None),
        };
        delivery.record(outcome.attempt);
        next
    }
}

/// How long a destination that throttles without a word about when is left alone.
const UNTOLD_PATIENCE: Duration = minutes(1);

/// Until when the destination wants to be left alone, whatever is sent to it: where it throttles, or is not available and says for how long.
#[must_use]
pub fn patience(outcome: &Outcome, now: Timestamp) -> Option<Timestamp> {
    let asked = outcome
        .retry_after
        .map(|retry_after| retry_after.wait(now).clamp(RETRY_AFTER_FLOOR, RETRY_AFTER_CEILING));
    let is_throttled = outcome.attempt.throttled;
    let asks = is_throttled || outcome.attempt.status == Some(SERVICE_UNAVAILABLE);
    asked
        .filter(|_| asks)
        .or(is_throttled.then_some(UNTOLD_PATIENCE))
        .map(|wait| later(now, wait))
}

/// What becomes of a delivery after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The destination took it.
    Delivered,
    /// It is tried again then.
    RetryAt(Timestamp),
    /// It is not tried again, unless somebody replays it.
    Exhausted(Exhaustion),
}

/// Why a delivery is not tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exhaustion {
    /// Every attempt of the schedule failed.
    Schedule,
    /// The destination wants nothing more (410, or a platform's own word for that): its webhook is to be disabled.
    Gone,
    /// The destination will never take this message.
    Refused,
}

/// `now` and that much time; the end of time where there is none left.
#[must_use]
pub fn later(now: Timestamp, wait: Duration) -> Timestamp {
    now.checked_add(wait).unwrap_or(Timestamp::MAX)
}

/// Where within its span of ±20 % a wait falls, so that what failed together does not come back together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Jitter(f64);

impl Jitter {
    /// No change.
    pub const NONE: Self = Self(1.0);

    /// The place within the span, from 0 (20 % earlier) to 255 (20 % later): one random byte.
    #[must_use]
    pub fn new(place: u8) -> Self {
        Self(0.8 + 0.4 * f64::from(place) / 255.0)
    }

    /// A place by chance.
    #[must_use]
    pub fn random() -> Self {
        Self::new(payload::id::random::<1>()[0])
    }

    fn spread(self, wait: Duration) -> Duration {
        wait.mul_f64(self.0)
    }
}

/// What the header `Retry-After` says ([RFC 9110, section 10.2.3](https://www.rfc-editor.org/rfc/rfc9110#field.retry-after)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryAfter {
    /// That long after the answer.
    Wait(Duration),
    /// Not before then.
    At(Timestamp),
}

impl RetryAfter {
    /// Reads the header: seconds in digits, or an HTTP date in any of its three forms. `None` when it is neither.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            // Only an absurd number of seconds does not fit; it means "very late" all the same.
            return Some(Self::Wait(Duration::from_secs(text.parse().unwrap_or(u64::MAX))));
        }
        let date: SystemTime = httpdate::parse_http_date(text).ok()?;
        Some(Self::At(Timestamp::try_from(date).ok()?))
    }

    /// How long that is from `now`; zero when it has passed.
    #[must_use]
    pub fn wait(self, now: Timestamp) -> Duration {
        match self {
            Self::Wait(wait) => wait,
            Self::At(at) => Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;
    use crate::format::Rejection;
    use payload::delivery::AttemptError;
    use payload::id::Identity;
    use payload::webhook::HttpPolicy;
    use payload::{EventId, OrganizationId, WebhookId};
    use proptest::prelude::*;

    const GONE: Rejection = Rejection {
        reason: "gone",
        disables: true,
    };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn answered(status: u16) -> Outcome {
        let error = (!(200..300).contains(&status)).then_some(AttemptError::Status);
        Outcome {
            attempt: Attempt {
                at: at(0),
                duration_ms: 5,
                status: Some(status),
                error,
                throttled: status == 429,
                answer: None,
            },
            retry_after: None,
            rejection: (status == 410).then_some(GONE),
        }
    }

    fn asking(status: u16, retry_after: &str) -> Outcome {
        Outcome {
            retry_after: RetryAfter::parse(retry_after),
            ..answered(status)
        }
    }

    fn failed(error: AttemptError) -> Outcome {
        Outcome {
            attempt: Attempt {
                at: at(0),
                duration_ms: 5,
                status: None,
                error: Some(error),
                throttled: false,
                answer: None,
            },
            retry_after: None,
            rejection: None,
        }
    }

    fn earlier(statuses: &[u16]) -> Vec<Attempt> {
        statuses.iter().map(|status| answered(*status).attempt).collect()
    }

    fn wait_of(next: Next, now: Timestamp) -> Duration {
        let Next::RetryAt(at) = next else { panic!("{next:?}") };
        Duration::try_from(at.duration_since(now)).unwrap()
    }

    #[test]
    fn it_follows_the_schedule_to_its_end() {
        let schedule = Schedule::default();
        let waits: Vec<u64> = (0..9)
            .map(|n| {
                wait_of(
                    schedule.decide(&earlier(&vec![500; n]), &answered(500), at(0), Jitter::NONE),
                    at(0),
                )
                .as_secs()
            })
            .collect();
        assert_eq!(waits, [60, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400]);
        let end = schedule.decide(&earlier(&[500; 9]), &failed(AttemptError::Timeout), at(0), Jitter::NONE);
        assert_eq!(end, Next::Exhausted(Exhaustion::Schedule));
        assert_eq!(
            Schedule::new(vec![]).decide(&[], &answered(500), at(0), Jitter::NONE),
            Next::Exhausted(Exhaustion::Schedule)
        );
    }

    #[test]
    fn success_and_gone_are_final() {
        let schedule = Schedule::default();
        for status in [200, 201, 202, 204, 299] {
            assert_eq!(
                schedule.decide(&[], &answered(status), at(0), Jitter::NONE),
                Next::Delivered
            );
        }
        for status in [199, 300, 301, 304, 400, 401, 404, 429, 500, 503] {
            assert!(
                matches!(
                    schedule.decide(&[], &answered(status), at(0), Jitter::NONE),
                    Next::RetryAt(_)
                ),
                "{status}"
            );
        }
        assert_eq!(
            schedule.decide(&[], &answered(410), at(0), Jitter::NONE),
            Next::Exhausted(Exhaustion::Gone)
        );
        let refused = Outcome {
            rejection: Some(Rejection {
                disables: false,
                ..GONE
            }),
            ..answered(400)
        };
        assert_eq!(
            schedule.decide(&[], &refused, at(0), Jitter::NONE),
            Next::Exhausted(Exhaustion::Refused)
        );
        for error in [
            AttemptError::Dns,
            AttemptError::Blocked,
            AttemptError::Tls,
            AttemptError::Body,
        ] {
            assert!(matches!(
                schedule.decide(&[], &failed(error), at(0), Jitter::NONE),
                Next::RetryAt(_)
            ));
        }
    }

    #[test]
    fn retry_after_is_read_in_all_its_forms() {
        let date = RetryAfter::At(at(784_111_777));
        for (text, expected) in [
            ("120", Some(RetryAfter::Wait(Duration::from_secs(120)))),
            (" 0 ", Some(RetryAfter::Wait(Duration::ZERO))),
            (
                "99999999999999999999999999",
                Some(RetryAfter::Wait(Duration::from_secs(u64::MAX))),
            ),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(date)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(date)),
            ("Sun Nov  6 08:49:37 1994", Some(date)),
            ("", None),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("12s", None),
        ] {
            assert_eq!(RetryAfter::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn retry_after_is_honoured_within_bounds() {
        let schedule = Schedule::default();
        let wait = |outcome: &Outcome, now| wait_of(schedule.decide(&[], outcome, now, Jitter::NONE), now).as_secs();
        assert_eq!(wait(&asking(429, "7"), at(0)), 7);
        assert_eq!(wait(&asking(429, "0"), at(0)), 1);
        assert_eq!(wait(&asking(429, "9999999"), at(0)), 86_400);
        assert_eq!(wait(&asking(429, "99999999999999999999999999"), at(0)), 86_400);
        assert_eq!(wait(&asking(503, "600"), at(0)), 600);
        assert_eq!(
            wait(&asking(503, "2"), at(0)),
            60,
            "a server in trouble is not asked more often than the schedule says"
        );
        assert_eq!(wait(&asking(500, "600"), at(0)), 60, "only 429 and 503 may ask");
        assert_eq!(wait(&asking(429, "Sun, 06 Nov 1994 08:49:37 GMT"), at(784_111_767)), 10);
        assert_eq!(
            wait(&asking(429, "Sun, 06 Nov 1994 08:49:37 GMT"), at(784_111_999)),
            1,
            "it has passed"
        );
    }

    #[test]
    fn being_asked_for_patience_does_not_use_up_the_schedule() {
        let schedule = Schedule::default();
        let next = schedule.decide(&earlier(&[429; 15]), &asking(429, "1"), at(0), Jitter::NONE);
        assert_eq!(wait_of(next, at(0)).as_secs(), 1);
        // A failure among them counts as what it is, the second of its kind.
        let mut before = earlier(&[429; 15]);
        before.extend(earlier(&[500]));
        assert_eq!(
            wait_of(schedule.decide(&before, &answered(500), at(0), Jitter::NONE), at(0)).as_secs(),
            300
        );
        // But patience has an end: then each counts, and none comes sooner than the schedule.
        let next = schedule.decide(&earlier(&[429; 22]), &asking(429, "1"), at(0), Jitter::NONE);
        assert_eq!(wait_of(next, at(0)).as_secs(), 1_800);
        let next = schedule.decide(&earlier(&[429; 29]), &asking(429, "1"), at(0), Jitter::NONE);
        assert_eq!(next, Next::Exhausted(Exhaustion::Schedule));
    }

    #[test]
    fn a_platform_may_throttle_with_another_status() {
        // Teams tells of a 429 in a 200, and Google Chat in a 403.
        let schedule = Schedule::default();
        for status in [200, 403] {
            let throttled = |retry_after| Outcome {
                retry_after: RetryAfter::parse(retry_after),
                attempt: Attempt {
                    error: Some(AttemptError::Status),
                    throttled: true,
                    ..answered(status).attempt
                },
                ..answered(status)
            };
            let wait = |outcome| wait_of(schedule.decide(&[], &outcome, at(0), Jitter::NONE), at(0)).as_secs();
            assert_eq!((wait(throttled("")), wait(throttled("7"))), (60, 7), "{status}");
            // It uses up no step of the schedule, however it was said.
            let earlier = vec![throttled("").attempt; FREE_THROTTLES - 1];
            let wait = wait_of(schedule.decide(&earlier, &throttled("7"), at(0), Jitter::NONE), at(0));
            assert_eq!(wait.as_secs(), 7, "{status}");
        }
    }

    #[test]
    fn a_webhook_may_have_a_schedule_of_its_own() {
        let mut webhook = Webhook {
            id: WebhookId::generate(at(0)),
            organization: OrganizationId::generate(at(0)),
            name: "w".into(),
            description: None,
            url: payload::webhook::DestinationUrl::parse("https://a.example/", HttpPolicy::HttpsOnly).unwrap(),
            filter: Default::default(),
            format: Default::default(),
            method: Default::default(),
            rate: None,
            schedule: None,
            enabled: true,
            created_at: at(0),
        };
        let waits = |webhook: &Webhook| {
            let schedule = Schedule::default();
            let schedule = schedule.of(webhook);
            let mut attempts = vec![];
            let mut waits = vec![];
            while let Next::RetryAt(next) = schedule.decide(&attempts, &answered(500), at(0), Jitter::NONE) {
                waits.push(next.as_second());
                attempts.push(answered(500).attempt);
            }
            waits
        };
        assert_eq!(waits(&webhook).len(), 9);
        webhook.schedule = Some(vec![5, 10, 20]);
        assert_eq!(waits(&webhook), [5, 10, 20]);
        webhook.schedule = Some(vec![]);
        assert_eq!(waits(&webhook), [0_i64; 0]);
    }

    #[test]
    fn settling_keeps_the_delivery_whole() {
        let mut delivery = Delivery {
            event: EventId::compute("s", Identity::ProviderId("1"), 0),
            webhook: WebhookId::generate(at(0)),
            organization: OrganizationId::generate(at(0)),
            status: DeliveryStatus::Due,
            created_at: at(0),
            next_attempt: Some(at(0)),
            attempts: vec![],
            replay: payload::delivery::Replay::default(),
            fence: 3,
        };
        let schedule = Schedule::default();
        schedule.settle(&mut delivery, answered(500), at(5), Jitter::NONE);
        assert_eq!(
            (delivery.status, delivery.next_attempt, delivery.attempts.len()),
            (DeliveryStatus::Due, Some(at(65)), 1)
        );
        schedule.settle(&mut delivery, answered(200), at(70), Jitter::NONE);
        assert_eq!(
            (delivery.status, delivery.next_attempt, delivery.attempts.len()),
            (DeliveryStatus::Delivered, None, 2)
        );
        assert_eq!(delivery.fence, 3);
    }

    #[test]
    fn a_replay_has_a_schedule_of_its_own() {
        let event = EventId::compute("s", Identity::ProviderId("1"), 0);
        let mut delivery = Delivery {
            event,
            webhook: WebhookId::generate(at(0)),
            organization: OrganizationId::generate(at(0)),
            status: DeliveryStatus::Exhausted,
            created_at: at(0),
            next_attempt: None,
            attempts: earlier(&[500; 10]),
            replay: payload::delivery::Replay::default(),
            fence: 3,
        };
        let job = payload::JobId::generate(at(0));
        let ask = payload::delivery::Ask {
            job: &job,
            since: at(100),
            at: at(100),
            new_message_id: false,
        };
        let payload::delivery::Asked::Again(again) = delivery.ask(&ask, at(100)) else {
            panic!("it has ended")
        };
        delivery = *again;
        let schedule = Schedule::default();
        let next = schedule.settle(&mut delivery, answered(500), at(100), Jitter::NONE);
        assert_eq!(wait_of(next, at(100)).as_secs(), 60, "as after any first attempt");
        assert_eq!(delivery.attempts.len(), 11);
        for _ in 0..8 {
            assert!(matches!(
                schedule.settle(&mut delivery, answered(500), at(100), Jitter::NONE),
                Next::RetryAt(_)
            ));
        }
        let end = schedule.settle(&mut delivery, answered(500), at(100), Jitter::NONE);
        assert_eq!(end, Next::Exhausted(Exhaustion::Schedule));
    }

    proptest! {
        #[test]
        fn jitter_stays_within_a_fifth(place: u8, seconds in 0_u64..100_000) {
            let wait = Jitter::new(place).spread(Duration::from_secs(seconds)).as_secs_f64();
            let seconds = seconds as f64;
            prop_assert!(wait >= seconds * 0.8 - 1e-6 && wait <= seconds * 1.2 + 1e-6);
        }

        #[test]
        fn it_always_ends_and_never_asks_too_soon_or_too_late(statuses in proptest::collection::vec(400_u16..600, 0..40), text in "[0-9]{1,12}", place: u8) {
            let schedule = Schedule::default();
            let mut attempts = Vec::new();
            for status in statuses {
                let outcome = asking(status, &text);
                match schedule.decide(&attempts, &outcome, at(0), Jitter::new(place)) {
                    Next::RetryAt(next) => {
                        let wait = wait_of(Next::RetryAt(next), at(0));
                        prop_assert!(wait >= RETRY_AFTER_FLOOR && wait <= RETRY_AFTER_CEILING.mul_f64(1.2));
                    }
                    Next::Exhausted(_) => break,
                    Next::Delivered => prop_assert!(false, "a failure is no success"),
                }
                attempts.push(outcome.attempt);
            }
            prop_assert!(attempts.len() < STANDARD.len() + FREE_THROTTLES);
        }
    }
}
