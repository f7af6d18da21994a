//! What only the operator may do: organizations, recovery of a lost stream, erasure, failed records.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail by panicking")]

mod commands;
mod erasure;
mod failed_records;
mod organizations;
mod recovery;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use hookline_tests::api::{Api, Provider, quartr_message, signed_headers};
use hookline_tests::sink::Sink;
use hookline_tests::world::World;
use local::engine::{Data, FaultKind};
use local::hub::Hub;
use operate::OperateError;
use payload::Clock;
use payload::receipt::{ReceiptOutcome, ReceiptStatus};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use store::clock::SystemClock;
use store::{RawReceipts, Receipts};

/// An organization with its API.
struct Tenant {
    id: String,
    api: Api,
}

async fn tenant(hub: &Hub) -> Tenant {
    let made = operate(hub, json!({"action": "createOrganization", "name": "Tenant"})).await;
    Tenant {
        id: made["organization"]["id"].as_str().unwrap().to_owned(),
        api: Api::new(hub.url(), made["adminKey"].as_str().unwrap()),
    }
}

async fn operate(hub: &Hub, command: Value) -> Value {
    hub.operate(command.clone())
        .await
        .unwrap_or_else(|error| panic!("{command}: {error}"))
}

/// The same command until it is done, in invocations without time: each does one step. The answers.
async fn step_by_step(hub: &Hub, command: &Value) -> Vec<Value> {
    let mut answers = Vec::new();
    let mut command = command.clone();
    loop {
        let answer = hub.operate_within(command.clone(), Duration::ZERO).await.unwrap();
        let next = answer["next"].clone();
        assert_eq!(answer["done"], json!(next.is_null()));
        answers.push(answer);
        if next.is_null() {
            return answers;
        }
        assert!(answers.len() < 500, "it does not end");
        command["next"] = next;
    }
}

fn sum(answers: &[Value], pointer: &str) -> u64 {
    answers
        .iter()
        .map(|answer| answer.pointer(pointer).unwrap().as_u64().unwrap())
        .sum()
}

/// What of an organization stands in the tables: how many items of each hold its id or one of these.
async fn traces(hub: &Hub, texts: &[&str]) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for table in [
        "InboxTable",
        "ReceiptsTable",
        "EventsTable",
        "DeliveriesTable",
        "WebhooksTable",
        "SourcesTable",
        "SecretsTable",
        "RegistryTable",
    ] {
        let name = hub.engine().table_name(table).unwrap();
        let page = hub
            .client()
            .scan()
            .table_name(name)
            .consistent_read(true)
            .send()
            .await
            .unwrap();
        let holds = |item: &std::collections::HashMap<String, AttributeValue>| {
            let text = format!("{item:?}");
            texts.iter().any(|wanted| text.contains(wanted))
        };
        let count = page.items().iter().filter(|item| holds(item)).count();
        if count > 0 {
            found.insert(table.to_owned(), count);
        }
    }
    found
}

async fn actions(api: &Api) -> Vec<String> {
    let trail = api.get("/v1/audit?order=asc").await;
    let entries = trail["data"].as_array().unwrap();
    let by_operator = entries.iter().filter(|entry| entry["key"].is_null());
    by_operator
        .map(|entry| entry["action"].as_str().unwrap().to_owned())
        .collect()
}

fn error_type(result: Result<Value, OperateError>) -> &'static str {
    result.unwrap_err().error_type()
}

/// Any receipt of the inbox.
async fn receipt_of(hub: &Hub) -> payload::Receipt {
    let name = hub.engine().table_name("InboxTable").unwrap();
    let page = hub.client().scan().table_name(name).send().await.unwrap();
    let id = page.items()[0]["id"].as_s().unwrap().parse().unwrap();
    hub.store().receipt(&id).await.unwrap().unwrap()
}

/// Two organizations with a source and a webhook each, and some events of two entities; one of them twice, and one forged.
async fn lived_in(world: &World, sink: &Sink) -> (Tenant, Provider) {
    let one = tenant(world.hub()).await;
    one.api.webhook(sink.url(), &[]).await;
    let quartr = one.api.source("quartr").await;
    for (message, entity) in [("msg_1", 4711), ("msg_2", 4711), ("msg_3", 4712), ("msg_1", 4711)] {
        quartr
            .send_at(message, world.now(), &quartr_message("audio.created", entity))
            .await;
        world.drained().await;
    }
    let body = quartr_message("audio.created", 4712);
    let forged = signed_headers("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "msg_x", world.now(), &body);
    quartr.send_with(&forged, &body).await;
    world.drained().await;
    (one, quartr)
}
