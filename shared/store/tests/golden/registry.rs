//! Organizations, keys, jobs, the audit trail and idempotency keys.

use super::*;

#[test]
fn jobs_v1() {
    check("job-v1", &JobItem::from(&job()), |item| {
        Job::try_from(item).unwrap() == job()
    });
    let ahead = Job {
        awaited: Some(Waymark {
            event: event_id(),
            at: at(),
        }),
        newest: Some(Waymark {
            event: event_id(),
            at: at() + SignedDuration::from_secs(1),
        }),
        ..job()
    };
    check("job-ahead-v1", &JobItem::from(&ahead), |item| {
        Job::try_from(item).unwrap() == ahead
    });
    let mut ended = Job {
        kind: JobKind::ReplayEvent {
            event: event_id(),
            webhook: None,
        },
        position: None,
        ..job()
    };
    ended.end(JobStatus::Failed, Some(JobFailure::EventGone), at());
    check("job-ended-v1", &JobItem::from(&ended), |item| {
        Job::try_from(item).unwrap() == ended
    });
    let running = RunningJob {
        organization: id("org_"),
        job: id("job_"),
        of_one_event: false,
    };
    check("job-running-v1", &RunningJobItem::from(&job()), |item| {
        RunningJob::from(item) == running
    });
    let running = RunningJob {
        of_one_event: true,
        ..running
    };
    check("job-running-one-event-v1", &RunningJobItem::from(&ended), |item| {
        RunningJob::from(item) == running
    });
}

#[test]
fn registry_v1() {
    let organization = Organization {
        id: id("org_"),
        name: "Example".into(),
        created_at: at(),
        suspension: None,
        quota: Quota::default(),
    };
    check(
        "organization-v1",
        &OrganizationItem::try_from(&organization).unwrap(),
        |item| Organization::try_from(item).unwrap() == organization,
    );
    let suspension = Suspension {
        at: at(),
        reason: "unpaid".into(),
    };
    let suspended = Organization {
        suspension: Some(suspension),
        quota: Quota {
            sources: Some(5),
            webhooks: None,
            keys: Some(0),
        },
        ..organization.clone()
    };
    check(
        "organization-suspended-v1",
        &OrganizationItem::try_from(&suspended).unwrap(),
        |item| Organization::try_from(item).unwrap() == suspended,
    );
    let listed = ListedOrganizationItem::new(&organization.id);
    check("organization-listed-v1", &listed, |item| item == listed);
    let closed = ApiKey {
        suspended: true,
        ..api_key()
    };
    check("key-suspended-v1", &KeyItem::new(&closed, &"11".repeat(32)), |item| {
        ApiKey::try_from(item).unwrap() == closed
    });
    check("key-v1", &KeyItem::new(&api_key(), &"11".repeat(32)), |item| {
        ApiKey::try_from(item).unwrap() == api_key()
    });
    let used = ApiKey {
        role: Role::Publisher,
        prefix: "hk_Ab3dE".into(),
        last_used: Some("2026-11-22".parse().unwrap()),
        ..api_key()
    };
    check("key-used-v1", &KeyItem::new(&used, &"11".repeat(32)), |item| {
        ApiKey::try_from(item).unwrap() == used
    });
    check("key-ref-v1", &KeyRefItem::new(&api_key(), &"11".repeat(32)), |item| {
        *item.id() == api_key().id
    });
    let lease: LeaseItem = serde_json::from_value(
        serde_json::json!({"v": 1, "pk": "lease", "sk": "bucket#07", "owner": "me", "fence": 4, "until": 1000}),
    )
    .unwrap();
    check("lease-v1", &lease, |item| item.into_lease().unwrap().bucket == 7);
}

#[test]
fn audit_v1() {
    let entry = AuditEntry {
        id: id("aud_"),
        organization: id("org_"),
        at: at(),
        actor: Actor::Key {
            id: id("key_"),
            name: "deploy".into(),
            role: Role::Editor,
        },
        action: "webhook.updated".into(),
        resource: id::<payload::WebhookId>("wh_").to_string(),
        before: Some(r#"{"name":"old"}"#.into()),
        after: Some(r#"{"name":"new"}"#.into()),
    };
    check("audit-v1", &AuditItem::from(&entry), |item| {
        AuditEntry::try_from(item).unwrap() == entry
    });
    let operators = AuditEntry {
        actor: Actor::Operator,
        before: None,
        ..entry
    };
    check("audit-operator-v1", &AuditItem::from(&operators), |item| {
        AuditEntry::try_from(item).unwrap() == operators
    });
}

#[test]
fn idempotency_v1() {
    let request = IdempotentRequest {
        key: id("key_"),
        name: "ab".repeat(32),
        fingerprint: "cd".repeat(32),
        owner: "me".into(),
    };
    let item = IdempotencyItem::new(&request, at(), at());
    check("idempotency-v1", &item, |read| read == item);
}
