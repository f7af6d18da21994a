//! Replays and recoveries: what begins a job, and what is seen of it.

use std::time::Duration;

use payload::delivery::{Delivery, DeliveryStatus};
use payload::job::{Job, JobKind, JobStatus, MAX_RUNNING};
use payload::own::{self, News};
use payload::webhook::{Disabled, DisabledReason, Health};
use payload::{EventId, JobId, MessageId, WebhookId};

use super::*;

async fn publish(client: &Client) -> String {
    client
        .post("/v1/events", json!({"type": "a", "data": {}}))
        .await
        .text("id")
}

fn jobs(client: &Client) -> Vec<Job> {
    client.store.tables().jobs.values().cloned().collect()
}

/// Sets back when a webhook was created, or puts it off.
fn created(client: &Client, webhook: &str, at: Timestamp) {
    let id: WebhookId = webhook.parse().unwrap();
    client.store.tables().webhooks.get_mut(&id).unwrap().created_at = at;
}

#[tokio::test]
async fn an_event_is_replayed_to_all_or_to_one() {
    let client = Client::new();
    let (event, webhook) = (publish(&client).await, client.create_webhook().await.text("id"));
    let path = format!("/v1/events/{event}/replay");
    let answer = client.post(&path, json!({})).await;
    assert_eq!(answer.status, 202, "{}", answer.text);
    let id = answer.text("id");
    assert_eq!(answer.header("location"), Some(&*format!("/v1/jobs/{id}")));
    let expected = json!({
        "id": id, "type": "replay_event", "event": event, "rate": 600, "newMessageId": false, "status": "running",
        "progress": {"examined": 0, "requested": 0, "skipped": 0},
        "createdAt": "2025-03-25T13:31:00Z", "updatedAt": "2025-03-25T13:31:00Z", "endedAt": null
    });
    assert_eq!(answer.body, expected);
    assert_eq!(client.get(&format!("/v1/jobs/{id}")).await.body, expected);

    let answer = client
        .post(&path, json!({"webhook": webhook, "newMessageId": true, "rate": 7}))
        .await;
    assert_eq!((answer.status, answer.text("webhook")), (202, webhook.clone()));
    assert_eq!(answer.body["rate"], 7);
    assert_eq!(answer.body["newMessageId"], true);
    let (event, webhook): (EventId, WebhookId) = (event.parse().unwrap(), webhook.parse().unwrap());
    let kinds: Vec<JobKind> = jobs(&client).into_iter().map(|job| job.kind).collect();
    for webhook in [None, Some(webhook)] {
        assert!(kinds.contains(&JobKind::ReplayEvent {
            event: event.clone(),
            webhook
        }));
    }
}

#[tokio::test]
async fn a_replay_to_what_is_not_there_is_refused() {
    let client = Client::new();
    let theirs = client.another();
    let (event, webhook) = (publish(&client).await, theirs.create_webhook().await.text("id"));
    let path = format!("/v1/events/{event}/replay");
    for (body, pointer) in [
        (json!({"webhook": webhook}), "/webhook"),
        (json!({"webhook": "wh_1"}), "/webhook"),
        (json!({"webhook": 1}), "/webhook"),
        (json!({"newMessageId": "yes"}), "/newMessageId"),
        (json!({"rate": 0}), "/rate"),
        (json!({"rate": 6_001}), "/rate"),
        (json!({"until": "2025-03-25T13:31:00Z"}), "/until"),
    ] {
        let answer = client.post(&path, body.clone()).await;
        let said = (answer.status, answer.text("pointer"));
        assert_eq!(said, (422, pointer.to_owned()), "{body}");
    }
    assert_eq!(client.call("POST", &path, None).await.status, 415);
    let unknown = format!("/v1/events/evt_{}/replay", "0".repeat(40));
    assert_eq!(client.post(&unknown, json!({})).await.status, 404);
    assert!(jobs(&client).is_empty());
}

#[tokio::test]
async fn what_tells_of_a_webhook_is_not_replayed_to_it() {
    let client = Client::new();
    let webhook = client.create_webhook().await.text("id");
    let stored = client.store.tables().webhooks[&webhook.parse::<WebhookId>().unwrap()].clone();
    let news = own::event(&stored, News::Recovered, now());
    client.store.tables().events.insert(news.id.clone(), news.clone());
    let path = format!("/v1/events/{}/replay", news.id);
    let answer = client.post(&path, json!({"webhook": webhook})).await;
    assert_eq!((answer.status, answer.text("pointer")), (422, "/webhook".into()));
}

#[tokio::test]
async fn a_disabled_webhook_is_a_conflict() {
    let client = Client::new();
    let event = publish(&client).await;
    let by_team = client.create_webhook().await.text("id");
    let path = format!("/v1/webhooks/{by_team}");
    assert_eq!(client.patch(&path, json!({"enabled": false})).await.status, 200);
    let by_us = client.create_webhook().await.text("id");
    let health = Health {
        webhook: by_us.parse().unwrap(),
        failing_since: None,
        disabled: Some(Disabled {
            at: now(),
            reason: DisabledReason::Gone,
        }),
    };
    client
        .store
        .tables()
        .webhook_health
        .insert(health.webhook.clone(), health);
    let since = json!({"since": "2025-03-25T13:00:00Z"});
    for webhook in [by_team, by_us] {
        for (path, body) in [
            (format!("/v1/events/{event}/replay"), json!({"webhook": webhook})),
            (format!("/v1/webhooks/{webhook}/replay"), since.clone()),
            (format!("/v1/webhooks/{webhook}/recover"), since.clone()),
        ] {
            let answer = client.post(&path, body).await;
            let said = (answer.status, answer.text("type"));
            assert_eq!(said, (409, "urn:hookline:problem:webhook-disabled".into()), "{path}");
        }
    }
    assert!(jobs(&client).is_empty());
}

#[tokio::test]
async fn a_span_is_within_what_is_kept() {
    let client = Client::new();
    let webhook = client.create_webhook().await.text("id");
    created(&client, &webhook, "2025-01-01T00:00:00Z".parse().unwrap());
    for action in ["replay", "recover"] {
        let path = format!("/v1/webhooks/{webhook}/{action}");
        for (body, pointer) in [
            (json!({}), "/since"),
            (json!({"since": null}), "/since"),
            (json!({"since": "yesterday"}), "/since"),
            (json!({"since": 5}), "/since"),
            (json!({"since": "2025-03-25T13:31:01Z"}), "/since"),
            (json!({"since": "2025-02-23T13:30:59Z"}), "/since"),
            (json!({"since": "-009999-01-02T01:59:59Z"}), "/since"),
            (
                json!({"since": "2025-03-25T13:00:00Z", "until": "2025-03-25T12:59:59Z"}),
                "/until",
            ),
            (json!({"since": "2025-03-25T13:00:00Z", "rate": 0}), "/rate"),
            (json!({"since": "2025-03-25T13:00:00Z", "rate": 6001}), "/rate"),
            (json!({"since": "2025-03-25T13:00:00Z", "rate": -1}), "/rate"),
            (json!({"since": "2025-03-25T13:00:00Z", "rate": 1.5}), "/rate"),
            (json!({"since": "2025-03-25T13:00:00Z", "webhook": webhook}), "/webhook"),
        ] {
            let answer = client.post(&path, body.clone()).await;
            let said = (answer.status, answer.text("pointer"));
            assert_eq!(said, (422, pointer.to_owned()), "{action} {body}");
        }
        // The whole of what is kept; and what is yet to come is left out.
        let body = json!({"since": "2025-02-23T14:31:00+01:00", "until": "2026-01-01T00:00:00Z", "rate": 6000});
        let answer = client.post(&path, body).await;
        assert_eq!(answer.status, 202, "{}", answer.text);
        assert_eq!(
            (answer.text("since"), answer.text("until"), &answer.body["rate"]),
            (
                "2025-02-23T13:31:00Z".into(),
                "2025-03-25T13:31:00Z".into(),
                &json!(6000)
            )
        );
    }
    let unknown = WebhookId::generate(now());
    let since = json!({"since": "2025-03-25T13:00:00Z"});
    for action in ["replay", "recover"] {
        let answer = client
            .post(&format!("/v1/webhooks/{unknown}/{action}"), since.clone())
            .await;
        assert_eq!(answer.status, 404);
    }
}

#[tokio::test]
async fn a_recovery_begins_with_the_webhook_unless_more_is_asked_for() {
    let client = Client::new();
    let webhook = client.create_webhook().await.text("id");
    created(&client, &webhook, "2025-03-25T13:00:00Z".parse().unwrap());
    let path = format!("/v1/webhooks/{webhook}/recover");
    let since = async |body: Value| client.post(&path, body).await.text("since");
    let early = "2025-03-20T00:00:00Z";
    assert_eq!(since(json!({"since": early})).await, "2025-03-25T13:00:00Z");
    assert_eq!(
        since(json!({"since": "2025-03-25T13:10:00Z"})).await,
        "2025-03-25T13:10:00Z"
    );
    assert_eq!(
        since(json!({"since": early, "includeBeforeCreation": true})).await,
        early
    );
    let until = "2025-03-25T12:00:00Z";
    let answer = client.post(&path, json!({"since": early, "until": until})).await;
    assert_eq!((answer.status, answer.text("pointer")), (422, "/until".into()));
    let all = json!({"since": early, "until": until, "includeBeforeCreation": true});
    assert_eq!(client.post(&path, all).await.status, 202);
    // A replay is of deliveries: there are none from before.
    let path = format!("/v1/webhooks/{webhook}/replay");
    let replay = client.post(&path, json!({"since": early})).await;
    assert_eq!(replay.text("since"), early);
}

#[tokio::test]
async fn an_organization_has_so_many_jobs_at_a_time() {
    let client = Client::new();
    let event = publish(&client).await;
    let path = format!("/v1/events/{event}/replay");
    for _ in 0..MAX_RUNNING {
        assert_eq!(client.post(&path, json!({})).await.status, 202);
    }
    let answer = client.post(&path, json!({})).await;
    let said = (answer.status, answer.text("type"));
    assert_eq!(said, (409, "urn:hookline:problem:limit-reached".into()));
    // Those of another organization are not counted, nor are those that have ended.
    let theirs = client.another();
    let their_path = format!("/v1/events/{}/replay", publish(&theirs).await);
    assert_eq!(theirs.post(&their_path, json!({})).await.status, 202);
    let first = client.get("/v1/jobs").await.body["data"][0]["id"].clone();
    let cancel = format!("/v1/jobs/{}/cancel", first.as_str().unwrap());
    assert_eq!(client.call("POST", &cancel, None).await.status, 200);
    assert_eq!(client.post(&path, json!({})).await.status, 202);
}

#[tokio::test]
async fn a_job_is_cancelled_once_and_only_while_it_runs() {
    let client = Client::new();
    let event = publish(&client).await;
    let id = client
        .post(&format!("/v1/events/{event}/replay"), json!({}))
        .await
        .text("id");
    let path = format!("/v1/jobs/{id}/cancel");
    for _ in 0..2 {
        let answer = client.call("POST", &path, None).await;
        assert_eq!((answer.status, answer.text("status")), (200, "cancelled".into()));
        assert_eq!(answer.text("endedAt"), "2025-03-25T13:31:00Z");
    }
    let id: JobId = id.parse().unwrap();
    client.store.tables().jobs.get_mut(&id).unwrap().status = JobStatus::Done;
    let answer = client.call("POST", &path, None).await;
    let said = (answer.status, answer.text("type"));
    assert_eq!(said, (409, "urn:hookline:problem:job-ended".into()));
}

#[tokio::test]
async fn jobs_are_listed_newest_first_page_by_page() {
    let client = Client::new();
    let kind = JobKind::ReplayEvent {
        event: publish(&client).await.parse().unwrap(),
        webhook: None,
    };
    let mut expected = Vec::new();
    for second in 0..5 {
        let at = now() + Duration::from_secs(second);
        let job = Job::new(client.organization.clone(), kind.clone(), at);
        expected.insert(0, job.id.to_string());
        client.store.tables().jobs.insert(job.id.clone(), job);
    }
    let (mut listed, mut path) = (Vec::new(), "/v1/jobs?limit=2".to_owned());
    for is_last in [false, false, true] {
        let page = client.get(&path).await;
        assert_eq!(page.status, 200);
        let rows = page.body["data"].as_array().unwrap();
        listed.extend(rows.iter().map(|job| job["id"].as_str().unwrap().to_owned()));
        assert_eq!(page.body["next"].is_null(), is_last);
        path = format!(
            "/v1/jobs?limit=2&cursor={}",
            page.body["next"].as_str().unwrap_or_default()
        );
    }
    assert_eq!(listed, expected);
    assert_eq!(client.get("/v1/jobs").await.body["data"].as_array().unwrap().len(), 5);
    for wrong in ["limit=0", "limit=101", "cursor=x", "status=running"] {
        let answer = client.get(&format!("/v1/jobs?{wrong}")).await;
        assert_eq!(answer.status, 422, "{wrong}");
    }
}

#[tokio::test]
async fn jobs_of_one_organization_are_not_there_for_another() {
    let client = Client::new();
    let theirs = client.another();
    let (event, webhook) = (publish(&client).await, client.create_webhook().await.text("id"));
    let id = client
        .post(&format!("/v1/events/{event}/replay"), json!({}))
        .await
        .text("id");
    let unknown = JobId::generate(now());
    let since = json!({"since": "2025-03-25T13:00:00Z"});
    for (method, path, body) in [
        ("GET", format!("/v1/jobs/{id}"), None),
        ("POST", format!("/v1/jobs/{id}/cancel"), None),
        ("POST", format!("/v1/events/{event}/replay"), Some(json!({}))),
        ("POST", format!("/v1/webhooks/{webhook}/replay"), Some(since.clone())),
        ("POST", format!("/v1/webhooks/{webhook}/recover"), Some(since)),
    ] {
        let foreign = theirs.call(method, &path, body).await;
        let absent = theirs.get(&format!("/v1/jobs/{unknown}")).await;
        assert_eq!((foreign.status, foreign.text), (404, absent.text), "{path}");
    }
    assert_eq!(theirs.get("/v1/jobs").await.body, json!({"data": [], "next": null}));
    assert_eq!(jobs(&client)[0].status, JobStatus::Running);
}

#[tokio::test]
async fn who_may_look_may_not_replay() {
    let client = Client::new();
    let event = publish(&client).await;
    let id = client
        .post(&format!("/v1/events/{event}/replay"), json!({}))
        .await
        .text("id");
    for (role, sees) in [(Role::Viewer, 200), (Role::Publisher, 403)] {
        for key in client.store.tables().keys.values_mut() {
            key.role = role;
        }
        let path = format!("/v1/events/{event}/replay");
        assert_eq!(client.post(&path, json!({})).await.status, 403);
        let cancel = format!("/v1/jobs/{id}/cancel");
        assert_eq!(client.call("POST", &cancel, None).await.status, 403);
        assert_eq!(client.get("/v1/jobs").await.status, sees);
        assert_eq!(client.get(&format!("/v1/jobs/{id}")).await.status, sees);
    }
}

#[tokio::test]
async fn who_began_and_who_ended_a_job_is_in_the_trail() {
    let client = Client::new();
    let event = publish(&client).await;
    let id = client
        .post(&format!("/v1/events/{event}/replay"), json!({}))
        .await
        .text("id");
    let path = format!("/v1/jobs/{id}/cancel");
    client.call("POST", &path, None).await;
    // Nothing changes any more.
    client.call("POST", &path, None).await;
    let trail = client.store.tables().audit.clone();
    let of_jobs = trail.iter().filter(|entry| entry.resource == id);
    let actions: Vec<&str> = of_jobs.map(|entry| entry.action.as_str()).collect();
    assert_eq!(actions, ["job.created", "job.cancelled"]);
    let after = trail.iter().find_map(|entry| entry.after.as_ref()).unwrap();
    assert!(after.contains(&event), "{after}");
}

#[tokio::test]
async fn a_store_that_fails_begins_no_job() {
    let client = Client::new();
    let event = publish(&client).await;
    client.store.tables().fault = Some(store::StoreError::Unavailable("told to".into()));
    for path in [format!("/v1/events/{event}/replay"), "/v1/jobs".to_owned()] {
        let answer = match path.as_str() {
            "/v1/jobs" => client.get(&path).await,
            _ => client.post(&path, json!({})).await,
        };
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")));
    }
    assert!(jobs(&client).is_empty());
}

#[tokio::test]
async fn an_event_shows_what_replays_made_of_its_deliveries() {
    let client = Client::new();
    let (event, webhook) = (publish(&client).await, client.create_webhook().await.text("id"));
    let stored = client.store.tables().events[&event.parse::<EventId>().unwrap()].clone();
    let mut delivery = Delivery::new(&stored, &webhook.parse().unwrap(), now());
    (delivery.status, delivery.next_attempt) = (DeliveryStatus::Delivered, None);
    let job = JobId::generate(now());
    let message_id = MessageId::compute(&job, &delivery.event, &delivery.webhook);
    delivery.replay.dropped = 7;
    delivery.replay.job = Some(job.clone());
    delivery.replay.message_id = Some(message_id.clone());
    client.store.tables().deliveries.push(delivery);
    assert_eq!(
        client.get(&format!("/v1/events/{event}")).await.body["deliveries"],
        json!([{
            "id": format!("{event}.{webhook}"), "event": event, "webhook": webhook, "status": "delivered",
            "createdAt": "2025-03-25T13:31:00Z", "nextAttempt": null,
            "attempts": [], "attemptsDropped": 7, "job": job, "messageId": message_id
        }])
    );
}
