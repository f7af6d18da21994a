//! Every route of the document, by its own list: what one organization has is for another as if it were not there, and a parameter that a
//! route does not have is refused. A route that is added has to be added here too.

use std::collections::BTreeSet;

use payload::delivery::{Delivery, DeliveryStatus, Replay};
use payload::{EventId, WebhookId};

use super::receipts::{decide, received, rejected};
use super::*;

/// The operations of the document, as `GET /v1/sources/{id}`, that need a key.
fn operations() -> BTreeSet<String> {
    let document: Value = serde_json::from_str(include_str!("../../../../docs/openapi.json")).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let of = |(path, operations): (&String, &Value)| {
        let methods = operations.as_object().unwrap().keys();
        let methods = methods.filter(|name| ["get", "post", "patch", "delete", "put"].contains(&name.as_str()));
        methods
            .map(|method| format!("{} {path}", method.to_uppercase()))
            .collect::<Vec<_>>()
    };
    let all = paths.iter().flat_map(of);
    all.filter(|operation| operation.contains(" /v1/")).collect()
}

/// One of everything.
struct Things {
    source: String,
    webhook: String,
    event: String,
    receipt: String,
    key: String,
    job: String,
}

impl Things {
    async fn of(client: &Client) -> Self {
        let receipt = received(client).await;
        decide(client, &receipt, rejected());
        let webhook = client.create_webhook().await.text("id");
        let event = client
            .post("/v1/events", json!({"type": "a", "id": "order-1", "data": 1}))
            .await;
        let event = event.text("id");
        let key = client
            .post("/v1/keys", json!({"name": "k", "role": "viewer"}))
            .await
            .text("id");
        client.store.tables().deliveries.push(Delivery {
            event: event.parse::<EventId>().unwrap(),
            webhook: webhook.parse::<WebhookId>().unwrap(),
            organization: client.organization.clone(),
            status: DeliveryStatus::Exhausted,
            created_at: now(),
            next_attempt: None,
            attempts: vec![],
            replay: Replay::default(),
            fence: 0,
        });
        let job = client.post(&format!("/v1/events/{event}/replay"), json!({})).await;
        assert_eq!(job.status, 202, "{}", job.text);
        Self {
            source: receipt.source.to_string(),
            webhook,
            event,
            receipt: receipt.id.to_string(),
            key,
            job: job.text("id"),
        }
    }

    /// The path of an operation with the id of the thing that it is about.
    fn path(&self, operation: &str) -> String {
        let (_, path) = operation.split_once(' ').unwrap();
        let id = match path.split('/').nth(2).unwrap() {
            "sources" => self.source.clone(),
            "webhooks" => self.webhook.clone(),
            "events" => self.event.clone(),
            "receipts" => self.receipt.clone(),
            "keys" => self.key.clone(),
            "jobs" => self.job.clone(),
            "deliveries" => format!("{}.{}", self.event, self.webhook),
            other => panic!("what is {other}?"),
        };
        path.replace("{id}", &id)
    }
}

/// A body that the operation takes; none where it has none.
fn body(operation: &str) -> Option<Value> {
    let since = json!({"since": "2025-03-25T13:00:00Z"});
    Some(match operation {
        "PATCH /v1/sources/{id}" | "PATCH /v1/webhooks/{id}" => json!({"name": "theirs"}),
        "POST /v1/sources/{id}/rotate-secret" => json!({"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}),
        "POST /v1/sources/{id}/rotate-token"
        | "POST /v1/webhooks/{id}/rotate-secret"
        | "POST /v1/events/{id}/replay" => json!({}),
        "POST /v1/webhooks/{id}/test" => json!({"provider": "github"}),
        "POST /v1/sources/{id}/reverify" | "POST /v1/webhooks/{id}/replay" | "POST /v1/webhooks/{id}/recover" => since,
        _ => return None,
    })
}

#[tokio::test]
async fn each_id_of_one_organization_is_not_there_for_another() {
    let ours = Client::new();
    let theirs = ours.another();
    let (our_things, their_things) = (Things::of(&ours).await, Things::of(&theirs).await);
    let before = ours.get("/v1/audit").await.text;
    let with_id = operations().into_iter().filter(|operation| operation.contains("{id}"));
    let mut seen = 0;
    for operation in with_id {
        let method = operation.split(' ').next().unwrap();
        let foreign = theirs
            .call(method, &our_things.path(&operation), body(&operation))
            .await;
        assert_eq!(foreign.status, 404, "{operation}: {}", foreign.text);
        assert_eq!(foreign.text("type"), "urn:hookline:problem:not-found", "{operation}");
        seen += 1;
    }
    assert!(seen > 20, "only {seen} operations have an id");
    assert_eq!(ours.get("/v1/audit").await.text, before, "nothing of ours was touched");
    // Ids in queries and bodies are no way around.
    for path in [
        format!("/v1/deliveries?webhook={}", our_things.webhook),
        format!("/v1/deliveries?event={}", our_things.event),
        format!("/v1/events?source={}", our_things.source),
        "/v1/events?providerEventId=order-1".into(),
        format!("/v1/receipts?source={}", our_things.source),
        format!("/v1/trace?id={}", our_things.event),
        format!("/v1/trace?id={}", our_things.receipt),
        "/v1/trace?id=order-1".into(),
    ] {
        let answer = theirs.get(&path).await;
        for id in [
            &our_things.event,
            &our_things.webhook,
            &our_things.receipt,
            &our_things.source,
        ] {
            let rows = answer.body["data"].to_string() + &answer.body["events"].to_string();
            assert!(!rows.contains(id.as_str()), "{path}: {}", answer.text);
        }
    }
    let path = format!("/v1/events/{}/replay", their_things.event);
    let refused = theirs.post(&path, json!({"webhook": our_things.webhook})).await;
    assert_eq!((refused.status, refused.text("pointer").as_str()), (422, "/webhook"));
    // And every one of them works with its own key: the paths are right.
    for operation in operations() {
        if !operation.contains("{id}") || operation.starts_with("DELETE") {
            continue;
        }
        let method = operation.split(' ').next().unwrap();
        let own = theirs
            .call(method, &their_things.path(&operation), body(&operation))
            .await;
        assert_ne!(own.status, 404, "{operation}: {}", own.text);
    }
}

#[tokio::test]
async fn what_is_no_parameter_is_refused() {
    let client = Client::new();
    let things = Things::of(&client).await;
    for operation in operations() {
        let method = operation.split(' ').next().unwrap();
        let path = if operation.contains("{id}") {
            things.path(&operation)
        } else {
            operation.split_once(' ').unwrap().1.to_owned()
        };
        let body = (method == "POST" || method == "PATCH").then(|| body(&operation).unwrap_or_else(|| json!({})));
        let refused = client.call(method, &format!("{path}?colour=red"), body).await;
        assert_eq!(
            (refused.status, refused.body["parameter"].as_str()),
            (422, Some("colour")),
            "{operation}: {}",
            refused.text
        );
    }
    let other_method = client.call("PUT", "/v1/receipts?status=rejected", None).await;
    assert_eq!(other_method.status, 405, "that is said first");
}
