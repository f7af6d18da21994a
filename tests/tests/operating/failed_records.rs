//! Records that a stream mapping set aside.

use super::*;

/// A document as a stream mapping writes it, of these images.
fn put_document(hub: &Hub, name: &str, images: &[serde_dynamo::Item]) -> std::path::PathBuf {
    let records: Vec<Value> = images
        .iter()
        .map(|image| json!({"eventName": "INSERT", "dynamodb": {"NewImage": image, "SequenceNumber": "1"}}))
        .collect();
    let document =
        json!({"DDBStreamBatchInfo": {"batchSize": records.len()}, "payload": json!({"Records": records}).to_string()});
    let path = hub.failed_folder().join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, document.to_string()).unwrap();
    path
}

async fn images(hub: &Hub, table: &str) -> Vec<serde_dynamo::Item> {
    let name = hub.engine().table_name(table).unwrap();
    let page = hub.client().scan().table_name(name).send().await.unwrap();
    let items = page.items.unwrap().into_iter();
    items.map(serde_dynamo::Item::from).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_records_are_erased_too() {
    let world = World::start().await;
    let (hub, sink) = (world.hub(), Sink::start().await);
    let (one, quartr) = lived_in(&world, &sink).await;
    let (events, receipts) = (images(hub, "EventsTable").await, images(hub, "InboxTable").await);
    let both = put_document(hub, "aws/lambda/a/1.json", &[events.clone(), receipts].concat());
    let foreign = hub.failed_folder().join("readme.json");
    std::fs::write(&foreign, "not ours").unwrap();
    let answer = operate(
        hub,
        json!({"action": "eraseEntity", "organization": one.id, "entityId": "4711"}),
    )
    .await;
    // Two events, and the receipts they came of; the duplicate's had made no event.
    assert_eq!(answer["erased"]["failedRecords"], 4, "{answer}");
    assert_eq!(answer["unreadableFailedRecords"], 1);
    let left = std::fs::read_to_string(&both).unwrap();
    assert!(!left.contains(&quartr.event_id("msg_1")) && left.contains(&quartr.event_id("msg_3")));
    operate(
        hub,
        json!({"action": "deleteOrganization", "organization": one.id, "confirm": one.id}),
    )
    .await;
    assert!(!both.exists() && foreign.exists());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_records_are_driven_again() {
    let world = World::start().await;
    let hub = world.hub();
    let Tenant { api, .. } = tenant(hub).await;
    let sink = Sink::start().await;
    api.webhook(sink.url(), &[]).await;
    let quartr = api.source("quartr").await;
    let body = quartr_message("audio.created", 1);
    let [fan_out, _] = world.hub().pumps() else {
        panic!("two pumps")
    };
    fan_out.stop().await;
    quartr.send_at("msg_1", world.now(), &body).await;
    api.event_when(&quartr.event_id("msg_1"), |_| true).await;
    let path = put_document(hub, "1.json", &images(hub, "EventsTable").await);
    let mut gone = images(hub, "EventsTable").await;
    gone[0].insert(
        "id".into(),
        serde_dynamo::AttributeValue::S(format!("{}x", quartr.event_id("none"))),
    );
    let kept = put_document(hub, "2.json", &gone);
    let answer = operate(hub, json!({"action": "redriveFailedRecords"})).await;
    assert_eq!(
        (
            &answer["done"],
            &answer["examined"],
            &answer["recovered"],
            &answer["kept"]
        ),
        (&json!(true), &json!(2), &json!(1), &json!(1))
    );
    assert!(!path.exists() && kept.exists(), "what is nowhere else stays");
    world.tick().await;
    assert_eq!(sink.wait_for(1).await[0].header("webhook-id"), quartr.event_id("msg_1"));
    assert_eq!(
        operate(hub, json!({"action": "redriveFailedRecords"})).await["recovered"],
        0
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_whose_outcome_is_known_is_left_alone() {
    let world = World::start().await;
    let hub = world.hub();
    let since = world.now();
    let Tenant { api, .. } = tenant(hub).await;
    let quartr = api.source("quartr").await;
    quartr
        .send_at("msg_1", world.now(), &quartr_message("audio.created", 1))
        .await;
    world.drained().await;
    let command = json!({"action": "recoverReceipts", "since": since});
    assert_eq!(
        operate(hub, command.clone()).await["recovered"],
        0,
        "it became an event"
    );
    // On request it is asked for again, and is recognised as its own retry.
    let mut all = command.clone();
    all["includeHandled"] = json!(true);
    assert_eq!(operate(hub, all).await["recovered"], 1);
    world.drained().await;
    assert_eq!(world.count("EventsTable").await, 1);
    let receipt = receipt_of(hub).await;
    let outcome = hub.store().outcome(&receipt.id).await.unwrap();
    assert!(matches!(
        outcome,
        Some(ReceiptOutcome {
            status: ReceiptStatus::Accepted { .. },
            ..
        })
    ));
    world.stop().await;
}
