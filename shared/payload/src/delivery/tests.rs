#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
use proptest::prelude::*;

use super::*;
use crate::id::Identity;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn attempt(second: i64) -> Attempt {
    Attempt {
        at: at(second),
        duration_ms: 1,
        status: Some(500),
        error: Some(AttemptError::Status),
        throttled: false,
        answer: None,
    }
}

fn delivery(status: DeliveryStatus, attempts: i64) -> Delivery {
    Delivery {
        event: EventId::compute("s", Identity::ProviderId("1"), 0),
        webhook: WebhookId::generate(at(0)),
        organization: OrganizationId::generate(at(0)),
        status,
        created_at: at(0),
        next_attempt: (status == DeliveryStatus::Due).then(|| at(1_000)),
        attempts: (0..attempts).map(attempt).collect(),
        replay: Replay::default(),
        fence: 4,
    }
}

fn ask(job: &JobId, at_second: i64) -> Ask<'_> {
    Ask {
        job,
        since: at(500),
        at: at(at_second),
        new_message_id: false,
    }
}

fn again(asked: Asked) -> Delivery {
    match asked {
        Asked::Again(delivery) => *delivery,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_has_ended_begins_another_round() {
    let job = JobId::generate(at(500));
    for status in [
        DeliveryStatus::Delivered,
        DeliveryStatus::Exhausted,
        DeliveryStatus::Cancelled,
    ] {
        let ended = delivery(status, 3);
        let again = again(ended.ask(&ask(&job, 510), at(505)));
        assert_eq!((again.status, again.next_attempt), (DeliveryStatus::Due, Some(at(510))));
        assert_eq!(again.attempts, ended.attempts, "what was tried stays visible");
        assert!(again.round().is_empty());
        assert_eq!(again.fence, ended.fence, "an owner of the past is kept out still");
        assert_eq!(again.message_id(), ended.event.as_str());
        assert_eq!(again.ask(&ask(&job, 520), at(515)), Asked::Before);
    }
}

#[test]
fn what_waits_is_brought_forward_and_keeps_its_round() {
    let job = JobId::generate(at(500));
    let waiting = delivery(DeliveryStatus::Due, 3);
    let brought = again(waiting.ask(&ask(&job, 510), at(505)));
    assert_eq!(brought.next_attempt, Some(at(510)));
    assert_eq!(brought.round().len(), 3);
    // Its attempt may be under way, or comes before its turn.
    for now in [940, 1_000, 2_000] {
        assert_eq!(waiting.ask(&ask(&job, 510), at(now)), Asked::NoNeed, "{now}");
    }
    assert_eq!(waiting.ask(&ask(&job, 1_000), at(505)), Asked::NoNeed);
}

#[test]
fn what_comes_soon_anyway_comes_under_the_id_that_is_asked_for() {
    let job = JobId::generate(at(500));
    let waiting = delivery(DeliveryStatus::Due, 3);
    let renewed = Ask {
        new_message_id: true,
        ..ask(&job, 980)
    };
    for now in [940, 999] {
        let marked = again(waiting.ask(&renewed, at(now)));
        assert_eq!(marked.next_attempt, waiting.next_attempt, "{now}");
        assert_eq!(marked.round().len(), 3);
        assert!(marked.message_id().starts_with("msg_"));
        assert_eq!(marked.ask(&renewed, at(now)), Asked::Before);
    }
    // Its attempt may be under way.
    for now in [1_000, 2_000] {
        assert_eq!(waiting.ask(&renewed, at(now)), Asked::NoNeed, "{now}");
    }
}

#[test]
fn what_succeeded_since_somebody_asked_is_not_sent_once_more() {
    let job = JobId::generate(at(500));
    let mut done = delivery(DeliveryStatus::Delivered, 0);
    done.record(attempt(501));
    assert_eq!(done.ask(&ask(&job, 510), at(505)), Asked::NoNeed);
    done.status = DeliveryStatus::Exhausted;
    assert!(matches!(done.ask(&ask(&job, 510), at(505)), Asked::Again(_)));
}

#[test]
fn a_new_id_is_of_the_job_and_the_webhook() {
    let (job, other) = (JobId::generate(at(500)), JobId::generate(at(500)));
    let ended = delivery(DeliveryStatus::Exhausted, 1);
    let renewed = |job| Ask {
        new_message_id: true,
        ..ask(job, 510)
    };
    let first = again(ended.ask(&renewed(&job), at(505)));
    assert_eq!(
        first,
        again(ended.ask(&renewed(&job), at(505))),
        "a step that is repeated"
    );
    let id: MessageId = first.message_id().parse().unwrap();
    assert_eq!(Some(&id), first.replay.message_id.as_ref());
    assert_ne!(
        first.message_id(),
        again(ended.ask(&renewed(&other), at(505))).message_id()
    );
    let elsewhere = delivery(DeliveryStatus::Exhausted, 1);
    assert_ne!(
        first.message_id(),
        again(elsewhere.ask(&renewed(&job), at(505))).message_id()
    );
    // Without being asked for, it is the event's again.
    let back = Delivery {
        status: DeliveryStatus::Exhausted,
        ..first
    };
    assert_eq!(
        again(back.ask(&ask(&other, 510), at(505))).message_id(),
        ended.event.as_str()
    );
    assert!("evt_00".parse::<MessageId>().is_err());
}

proptest! {
    #[test]
    fn the_list_of_attempts_is_bounded_and_none_goes_uncounted(rounds in proptest::collection::vec(0_usize..40, 1..12)) {
        let mut delivery = delivery(DeliveryStatus::Exhausted, 0);
        let (mut made, mut most) = (0, 0);
        for (number, round) in rounds.into_iter().enumerate() {
            let job = JobId::generate(at(500));
            delivery = again(delivery.ask(&ask(&job, 510), at(505)));
            prop_assert!(delivery.attempts.len() <= KEPT_ATTEMPTS && delivery.round().is_empty());
            for _ in 0..round {
                delivery.record(attempt(i64::try_from(number).unwrap()));
            }
            delivery.status = DeliveryStatus::Exhausted;
            made += round;
            most = most.max(round);
            prop_assert_eq!(delivery.round().len(), round);
            prop_assert_eq!(delivery.attempts_made(), made);
        }
        prop_assert!(delivery.attempts.len() <= KEPT_ATTEMPTS + most);
    }
}
