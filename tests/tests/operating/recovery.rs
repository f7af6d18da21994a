//! Recovery of a lost stream.

use super::*;

/// A hub on a folder, whose streams forget what was not read by the end of the last one.
async fn hub_in(folder: &Path) -> World {
    let folder = folder.to_owned();
    World::start_with(|options| {
        options.data = Data::Dir(folder);
        options.operate.page = 1;
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_both_streams_lost_comes_back_exactly_once() {
    let folder = tempfile::tempdir().unwrap();
    let world = hub_in(folder.path()).await;
    let since = world.now();
    let Tenant { id, api } = tenant(world.hub()).await;
    let sink = Sink::start().await;
    api.webhook(sink.url(), &[]).await;
    api.webhook_with(&json!({"name": "other", "url": sink.url(), "filter": {"types": ["never"]}}))
        .await;
    let quartr = api.source("quartr").await;
    let body = quartr_message("audio.created", 1);
    quartr.send_at("msg_0", world.now(), &body).await;
    let forged = signed_headers("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "msg_x", world.now(), &body);
    assert_eq!(quartr.send_with(&forged, &body).await.0, StatusCode::ACCEPTED);
    world.drained().await;
    assert_eq!(sink.arrivals().len(), 1);
    // Fan-out stands still, then verification too.
    let [fan_out, verify] = world.hub().pumps() else {
        panic!("two pumps")
    };
    fan_out.stop().await;
    for message in ["msg_1", "msg_2"] {
        quartr.send_at(message, world.now(), &body).await;
        api.event_when(&quartr.event_id(message), |_| true).await;
    }
    verify.stop().await;
    for message in ["msg_3", "msg_4", "msg_5"] {
        quartr.send_at(message, world.now(), &body).await;
    }
    // The last record of a stream is kept: one that nobody can read.
    world.put_poison("InboxTable", "rcp_unreadable").await;
    world.put_poison("EventsTable", "evt_unreadable").await;
    world
        .hub()
        .engine()
        .trim_streams(SystemClock.now().as_second() + 10)
        .await
        .unwrap();
    world.stop().await;

    let world = hub_in(folder.path()).await;
    let hub = world.hub();
    world.drained().await;
    world.tick().await;
    assert_eq!(sink.arrivals().len(), 1, "both streams are lost");

    let receipts = json!({"action": "recoverReceipts", "since": since});
    let answers = step_by_step(hub, &receipts).await;
    assert!(answers.len() > 1, "page by page");
    assert_eq!((sum(&answers, "/examined"), sum(&answers, "/recovered")), (8, 3));
    world.drained().await;
    assert_eq!(sink.wait_for(4).await.len(), 4);

    // What is registered now was not there when the events came.
    let api = api_again(hub, &id).await;
    let late = Sink::start().await;
    api.webhook(late.url(), &[]).await;
    let events = json!({"action": "recoverEvents", "since": since});
    let answers = step_by_step(hub, &events).await;
    assert_eq!(sum(&answers, "/recovered"), 2);
    assert_eq!(sink.arrivals().len(), 4, "they are due, and the tick sends them");
    world.tick().await;
    assert_eq!(sink.wait_for(6).await.len(), 6);

    for command in [&receipts, &events] {
        assert_eq!(
            sum(&step_by_step(hub, command).await, "/recovered"),
            0,
            "again: nothing is left"
        );
    }
    world.drained().await;
    world.tick().await;
    let ids: BTreeSet<String> = sink
        .arrivals()
        .iter()
        .map(|arrival| arrival.header("webhook-id").to_owned())
        .collect();
    let expected: BTreeSet<String> = (0..6).map(|n| quartr.event_id(&format!("msg_{n}"))).collect();
    assert_eq!((sink.arrivals().len(), ids), (6, expected), "each exactly once");
    assert!(late.arrivals().is_empty());
    let trail = actions(&api).await;
    assert!(
        trail.contains(&"receipts.recovered".to_owned()) && trail.contains(&"events.recovered".to_owned()),
        "{trail:?}"
    );
    let nothing = json!({"action": "recoverEvents", "since": "2020-01-01T00:00:00Z", "until": "2020-01-02T00:00:00Z"});
    assert_eq!(operate(hub, nothing).await["recovered"], 0);
    world.stop().await;
}

async fn api_again(hub: &Hub, organization: &str) -> Api {
    let made = operate(hub, json!({"action": "createAdminKey", "organization": organization})).await;
    Api::new(hub.url(), made["adminKey"].as_str().unwrap())
}
