//! Jobs, deliveries that are asked for again, and what indexes by time find.

use jiff::{SignedDuration, Timestamp};
use payload::delivery::{Asked, Attempt, AttemptError, Delivery, DeliveryStatus};
use payload::id::Identity;
use payload::job::{Job, JobFailure, JobKind, JobStatus, Position};
use payload::{Event, EventId, JobId, OrganizationId, WebhookId};
use store::lists::Answers;
use store::{Deliveries, Dynamo, Events, JobDesk, JobQueue, Jobs, Moment, PutEvent, Redelivery, RunningJob, Timelines};

use super::{event, now};

fn at(seconds: i64) -> Timestamp {
    now() + SignedDuration::from_secs(seconds)
}

fn job(organization: &OrganizationId, created_at: Timestamp) -> Job {
    let webhook = Some(WebhookId::generate(now()));
    let event = EventId::compute("s", Identity::ProviderId("1"), 0);
    Job::new(
        organization.clone(),
        JobKind::ReplayEvent { event, webhook },
        created_at,
    )
}

async fn is_running(store: &Dynamo, job: &Job) -> bool {
    let running = store.running_jobs().await.expect("list");
    running.contains(&RunningJob {
        organization: job.organization.clone(),
        job: job.id.clone(),
        of_one_event: job.is_of_one_event(),
    })
}

pub(super) async fn a_job_runs_until_it_ends(store: &Dynamo) {
    let organization = OrganizationId::generate(now());
    let mut job = job(&organization, now());
    assert_eq!(store.job(&organization, &job.id).await, Ok(None));
    assert_eq!(store.create_job(&job, 1).await, Ok(true));
    assert_eq!(
        store.create_job(&job, 1).await,
        Ok(true),
        "a repetition of the client's own"
    );
    assert_eq!(store.job(&organization, &job.id).await, Ok(Some(job.clone())));
    let stranger = OrganizationId::generate(now());
    assert_eq!(store.job(&stranger, &job.id).await, Ok(None), "it is another's");
    assert!(is_running(store, &job).await);

    job.fence = 2;
    job.progress.count(true);
    job.position = Some(Position {
        at: now(),
        id: "evt_1".into(),
    });
    job.next_slot = now() + SignedDuration::from_nanos(1);
    assert_eq!(store.save_job(&job).await, Ok(true));
    assert_eq!(store.job(&organization, &job.id).await, Ok(Some(job.clone())));
    let late = Job {
        fence: 1,
        ..job.clone()
    };
    assert_eq!(store.save_job(&late).await, Ok(false), "an owner of the past");
    job.end(JobStatus::Failed, Some(JobFailure::WebhookDeleted), at(9));
    assert_eq!(store.save_job(&job).await, Ok(true));
    assert_eq!(store.save_job(&job).await, Ok(true), "it is what is written");
    assert!(!is_running(store, &job).await);
    assert_eq!(store.job(&organization, &job.id).await, Ok(Some(job.clone())));
    assert_eq!(
        store.cancel_job(&organization, &job.id, now()).await,
        Ok(false),
        "it has ended"
    );
    let again = Job {
        status: JobStatus::Running,
        fence: 9,
        ..job.clone()
    };
    assert_eq!(store.save_job(&again).await, Ok(false), "what has ended stays so");
}

pub(super) async fn a_cancelled_job_is_written_by_nobody(store: &Dynamo) {
    let organization = OrganizationId::generate(now());
    let mut job = job(&organization, now());
    assert_eq!(store.create_job(&job, 9).await, Ok(true));
    let stranger = OrganizationId::generate(now());
    assert_eq!(store.cancel_job(&stranger, &job.id, at(5)).await, Ok(false));
    assert!(is_running(store, &job).await, "all or nothing");
    job.progress.count(false);
    assert_eq!(store.save_job(&job).await, Ok(true));
    assert_eq!(store.cancel_job(&organization, &job.id, at(5)).await, Ok(true));
    assert!(!is_running(store, &job).await);
    assert_eq!(
        store
            .save_job(&Job {
                fence: 3,
                ..job.clone()
            })
            .await,
        Ok(false)
    );
    let expected = Job {
        status: JobStatus::Cancelled,
        updated_at: at(5),
        ended_at: Some(at(5)),
        ..job
    };
    assert_eq!(store.job(&organization, &expected.id).await, Ok(Some(expected)));
}

pub(super) async fn an_organization_has_so_many_jobs_at_a_time(store: &Dynamo) {
    let organization = OrganizationId::generate(now());
    let asked: Vec<Job> = (0..12).map(|_| job(&organization, now())).collect();
    let created = futures::future::join_all(asked.iter().map(|job| store.create_job(job, 3))).await;
    let running: Vec<&Job> = asked
        .iter()
        .zip(created)
        .filter_map(|(job, created)| created.expect("create").then_some(job))
        .collect();
    assert_eq!(running.len(), 3, "however many are asked for at the same time");
    let is_stored = async |job: &Job| store.job(&organization, &job.id).await.expect("read").is_some();
    for job in &asked {
        assert_eq!(is_stored(job).await, running.contains(&job));
    }
    let another = job(&OrganizationId::generate(now()), now());
    assert_eq!(
        store.create_job(&another, 3).await,
        Ok(true),
        "of an organization of its own"
    );

    // One that ends makes room for one, however often it ends, or is looked at.
    let mut ended = running[0].clone();
    assert_eq!(store.save_job(&ended).await, Ok(true));
    ended.end(JobStatus::Done, None, at(1));
    assert_eq!(store.save_job(&ended).await, Ok(true));
    assert_eq!(store.save_job(&ended).await, Ok(true));
    assert_eq!(store.cancel_job(&organization, &ended.id, at(2)).await, Ok(false));
    let next = async || store.create_job(&job(&organization, now()), 3).await;
    assert_eq!((next().await, next().await), (Ok(true), Ok(false)));
    assert_eq!(store.cancel_job(&organization, &running[1].id, at(2)).await, Ok(true));
    assert_eq!(store.cancel_job(&organization, &running[1].id, at(2)).await, Ok(false));
    assert_eq!((next().await, next().await), (Ok(true), Ok(false)));
    let listed = store.jobs_of(&organization, None, 100).await.expect("list");
    assert_eq!(listed.len(), 5, "the set of those that run is no job");
}

pub(super) async fn jobs_are_listed_newest_first(store: &Dynamo) {
    let organization = OrganizationId::generate(now());
    let jobs: Vec<Job> = (0..5).map(|second| job(&organization, at(second))).collect();
    for job in &jobs {
        assert_eq!(store.create_job(job, 9).await, Ok(true));
    }
    let anothers = job(&OrganizationId::generate(now()), now());
    assert_eq!(store.create_job(&anothers, 9).await, Ok(true));
    let ids = async |before: Option<&JobId>, limit| -> Vec<JobId> {
        let jobs = store.jobs_of(&organization, before, limit).await.expect("list");
        jobs.into_iter().map(|job| job.id).collect()
    };
    let newest_first: Vec<JobId> = jobs.iter().rev().map(|job| job.id.clone()).collect();
    assert_eq!(ids(None, 100).await, newest_first);
    assert_eq!(ids(None, 2).await, newest_first[..2]);
    assert_eq!(ids(Some(&newest_first[1]), 2).await, newest_first[2..4]);
    assert_eq!(ids(newest_first.last(), 2).await, []);
}

pub(super) async fn a_job_is_worked_on_by_one_owner_at_a_time(store: &Dynamo) {
    let job = JobId::generate(now());
    let mine = store.take_job_lease(&job, "a", at(0), at(60)).await;
    let mine = mine.expect("take").expect("free");
    assert_eq!((&mine.job, mine.until), (&job, at(60)));
    assert_eq!(store.take_job_lease(&job, "b", at(59), at(120)).await, Ok(None), "held");
    let theirs = store.take_job_lease(&job, "b", at(60), at(120)).await;
    let theirs = theirs.expect("take").expect("it had ended");
    assert!(theirs.fence > mine.fence);
    store.release_job_lease(&mine).await.expect("nothing happens");
    assert_eq!(
        store.take_job_lease(&job, "c", at(61), at(120)).await,
        Ok(None),
        "still theirs"
    );
    store.release_job_lease(&theirs).await.expect("release");
    let again = store.take_job_lease(&job, "c", at(61), at(120)).await;
    assert!(again.expect("take").expect("given back").fence > theirs.fence);
    // What is not there any more is not looked at again.
    let running = self::job(&OrganizationId::generate(now()), now());
    assert_eq!(store.create_job(&running, 9).await, Ok(true));
    store.forget_running_job(&running.id).await.expect("forget");
    assert!(!is_running(store, &running).await);
}

pub(super) async fn a_delivery_is_asked_for_as_it_was_read(store: &Dynamo) {
    let organization = OrganizationId::generate(now());
    let made_of = event(&organization, None, "msg_1");
    let job = job(&organization, now());
    let again = |delivery: &Delivery| match delivery.ask(&job.ask(at(1)), now()) {
        Asked::Again(again) => *again,
        other => panic!("{other:?}"),
    };
    let mut delivery = Delivery::new(&made_of, &WebhookId::generate(now()), now());
    delivery.record(Attempt {
        throttled: false,
        at: now(),
        duration_ms: 7,
        status: Some(500),
        error: Some(AttemptError::Status),
        answer: Some("oops".into()),
    });
    (delivery.status, delivery.next_attempt, delivery.fence) = (DeliveryStatus::Exhausted, None, 3);
    assert_eq!(
        store.replace_delivery(&delivery, &again(&delivery)).await,
        Ok(false),
        "a replay creates nothing"
    );
    store.create_delivery(&delivery, None).await.expect("create");
    assert_eq!(
        store
            .remove_answers(&organization, &delivery.event, &delivery.webhook)
            .await,
        Ok(true)
    );
    assert_eq!(
        store.replace_delivery(&delivery, &again(&delivery)).await,
        Ok(false),
        "an answer that is removed does not come back"
    );
    delivery.attempts[0].answer = None;
    let first = again(&delivery);
    assert_eq!(store.replace_delivery(&delivery, &first).await, Ok(true));
    assert_eq!(
        store.replace_delivery(&delivery, &first).await,
        Ok(true),
        "it is what is written"
    );
    let stored = store.delivery(&delivery.event, &delivery.webhook).await;
    assert_eq!(stored, Ok(Some(first.clone())));
    let other = self::job(&organization, now());
    let Asked::Again(second) = delivery.ask(&other.ask(at(1)), now()) else {
        panic!("it has ended")
    };
    assert_eq!(
        store.replace_delivery(&delivery, &second).await,
        Ok(false),
        "somebody else was faster"
    );
    // An owner of the past cannot write into the new round, and one of now can.
    let done = |fence| Delivery {
        status: DeliveryStatus::Delivered,
        next_attempt: None,
        fence,
        ..first.clone()
    };
    assert_eq!(store.update_delivery(&done(2), None).await, Ok(false));
    assert_eq!(store.update_delivery(&done(3), None).await, Ok(true));
    // It was delivered, and replayed by another: what was read of it has changed, though it may have ended in the same way.
    assert_eq!(store.replace_delivery(&delivery, &first).await, Ok(false));
}

pub(super) async fn an_answer_that_is_removed_does_not_come_back(store: &Dynamo) {
    let organization = OrganizationId::generate(now());
    let attempt = |second: i64| Attempt {
        throttled: false,
        at: at(second),
        duration_ms: 7,
        status: Some(500),
        error: Some(AttemptError::Status),
        answer: Some("oops".into()),
    };
    let mut delivery = Delivery::new(&event(&organization, None, "msg_1"), &WebhookId::generate(now()), now());
    store.create_delivery(&delivery, None).await.expect("create");
    let stored = async |delivery: &Delivery| store.delivery(&delivery.event, &delivery.webhook).await.expect("read");
    // New attempts bring their answers.
    for second in 0..2 {
        delivery.record(attempt(second));
        assert_eq!(store.update_delivery(&delivery, None).await, Ok(true));
        assert_eq!(stored(&delivery).await.as_ref(), Some(&delivery));
    }
    // Read before the answer is removed, and put off, or given up, after it.
    let removed = store
        .remove_answers(&organization, &delivery.event, &delivery.webhook)
        .await;
    assert_eq!(removed, Ok(true));
    delivery.next_attempt = Some(at(3_600));
    assert_eq!(
        store.update_delivery(&delivery, None).await,
        Ok(true),
        "the rest is written"
    );
    delivery.attempts[1].answer = None;
    assert_eq!(stored(&delivery).await.as_ref(), Some(&delivery));
    delivery.record(attempt(2));
    assert_eq!(store.update_delivery(&delivery, None).await, Ok(true));
    assert_eq!(stored(&delivery).await, Some(delivery));
}

pub(super) async fn what_is_due_is_brought_forward_as_it_was_read(store: &Dynamo) {
    let organization = OrganizationId::generate(now());
    let job = job(&organization, now());
    let waiting = Delivery {
        next_attempt: Some(at(3_600)),
        ..Delivery::new(&event(&organization, None, "msg_1"), &WebhookId::generate(now()), now())
    };
    store.create_delivery(&waiting, None).await.expect("create");
    let Asked::Again(brought) = waiting.ask(&job.ask(at(1)), now()) else {
        panic!("it is not due soon")
    };
    // Its owner has written meanwhile.
    let tried = Delivery {
        next_attempt: Some(at(7_200)),
        ..waiting.clone()
    };
    assert_eq!(store.update_delivery(&tried, None).await, Ok(true));
    assert_eq!(store.replace_delivery(&waiting, &brought).await, Ok(false));
    assert_eq!(store.replace_delivery(&tried, &brought).await, Ok(true));
}

/// All of a list, page by page.
async fn walk(limit: u16, page: impl AsyncFn(Option<Position>, u16) -> Vec<Moment>) -> Vec<Moment> {
    let mut all: Vec<Moment> = Vec::new();
    loop {
        let next = page(all.last().map(Moment::position), limit).await;
        assert!(next.len() <= usize::from(limit));
        if next.is_empty() {
            return all;
        }
        all.extend(next);
    }
}

pub(super) async fn events_and_deliveries_are_found_by_time(store: &Dynamo) {
    let (organization, webhook) = (OrganizationId::generate(now()), WebhookId::generate(now()));
    let other = WebhookId::generate(now());
    let mut expected = Vec::new();
    // Several of the same millisecond, in several shards.
    for number in 0..40 {
        let arrived = at(i64::from(number / 8));
        let event = Event {
            received_at: arrived,
            ..event(&organization, None, &format!("msg_{number}"))
        };
        assert_eq!(store.put_event(&event).await, Ok(PutEvent::Stored));
        let mut delivery = Delivery::new(&event, &webhook, arrived);
        if number % 2 == 0 {
            (delivery.status, delivery.next_attempt) = (DeliveryStatus::Exhausted, None);
        }
        store.create_delivery(&delivery, None).await.expect("create");
        let elsewhere = Delivery::new(&event, &other, arrived);
        store.create_delivery(&elsewhere, None).await.expect("create");
        expected.push(Moment {
            at: arrived,
            event: event.id,
            status: Some(delivery.status),
            event_type: Some(event.meta.event_type),
            source: None,
        });
    }
    store
        .put_event(&event(&OrganizationId::generate(now()), None, "another's"))
        .await
        .expect("put");
    expected.sort_by_key(Moment::position);
    let events = |moments: &[Moment]| -> Vec<Moment> {
        let without = |moment: &Moment| Moment {
            status: None,
            ..moment.clone()
        };
        moments.iter().map(without).collect()
    };
    let deliveries = |moments: &[Moment]| -> Vec<Moment> {
        let without = |moment: &Moment| Moment {
            event_type: None,
            ..moment.clone()
        };
        moments.iter().map(without).collect()
    };
    for limit in [1, 3, 7, 100] {
        let found = walk(limit, async |after, limit| {
            let found = store.events_between(&organization, at(0), at(9), after.as_ref(), limit);
            found.await.expect("events")
        });
        assert_eq!(found.await, events(&expected), "by {limit}");
        let found = walk(limit, async |after, limit| {
            let found = store.deliveries_between(&webhook, at(0), at(9), after.as_ref(), limit);
            found.await.expect("deliveries")
        });
        assert_eq!(found.await, deliveries(&expected), "by {limit}");
    }
    let found = store.events_between(&organization, at(1), at(2), None, 100).await;
    assert_eq!(found.expect("events"), events(&expected[8..24]));
    let found = store.deliveries_between(&webhook, at(3), at(9), None, 100).await;
    assert_eq!(found.expect("deliveries"), deliveries(&expected[24..]));
    let found = store.events_between(&organization, at(2), at(1), None, 100).await;
    assert_eq!(found, Ok(vec![]), "a span that ends before it begins");
}
