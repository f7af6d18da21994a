//! Erasure of events, entities and organizations.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_erased_with_all_that_came_of_it() {
    let world = World::start_with(|options| options.operate.page = 1).await;
    let (hub, sink) = (world.hub(), Sink::start().await);
    let (one, quartr) = lived_in(&world, &sink).await;
    let (two, others) = lived_in(&world, &sink).await;
    let event = quartr.event_id("msg_1");
    let before = traces(hub, &[&two.id]).await;

    let foreign = json!({"action": "eraseEvent", "organization": two.id, "event": event});
    assert_eq!(
        operate(hub, foreign).await["erased"]["events"],
        0,
        "another's is not there"
    );
    one.api.get(&format!("/v1/events/{event}")).await;

    let command = json!({"action": "eraseEvent", "organization": one.id, "event": event});
    let answers = step_by_step(hub, &command).await;
    let erased = |name: &str| sum(&answers, &format!("/erased/{name}"));
    assert_eq!((erased("events"), erased("deliveries"), erased("receipts")), (1, 1, 2));
    // The trail alone names it.
    assert_eq!(
        traces(hub, &[&event]).await.keys().collect::<Vec<_>>(),
        ["RegistryTable"]
    );
    assert_eq!(
        one.api.call(Method::GET, &format!("/v1/events/{event}"), None).await.0,
        StatusCode::NOT_FOUND
    );
    one.api.get(&format!("/v1/events/{}", quartr.event_id("msg_2"))).await;
    two.api.get(&format!("/v1/events/{}", others.event_id("msg_1"))).await;
    assert_eq!(
        traces(hub, &[&two.id]).await,
        before,
        "the other organization's are as they were"
    );
    let again = step_by_step(hub, &command).await;
    assert_eq!(sum(&again, "/erased/events") + sum(&again, "/erased/receipts"), 0);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entity_is_erased_with_all_its_events() {
    let world = World::start_with(|options| options.operate.page = 2).await;
    let (hub, sink) = (world.hub(), Sink::start().await);
    let (one, quartr) = lived_in(&world, &sink).await;
    let other_type =
        json!({"action": "eraseEntity", "organization": one.id, "entityType": "video", "entityId": "4711"});
    assert_eq!(sum(&step_by_step(hub, &other_type).await, "/erased/events"), 0);
    let command = json!({"action": "eraseEntity", "organization": one.id, "entityId": "4711"});
    // Broken off in the middle: what is done is done, and the same again does the rest.
    world.fail(FaultKind::Unreachable, "DeleteItem", "EventsTable", "evt_", 3);
    assert_eq!(error_type(hub.operate(command.clone()).await), "StoreUnavailable");
    let answer = operate(hub, command).await;
    assert_eq!(
        (&answer["done"], &answer["erased"]["events"]),
        (&json!(true), &json!(2))
    );
    let left = traces(hub, &[&quartr.event_id("msg_1"), &quartr.event_id("msg_2")]).await;
    assert!(left.is_empty(), "{left:?}");
    one.api.get(&format!("/v1/events/{}", quartr.event_id("msg_3"))).await;
    assert!(actions(&one.api).await.contains(&"entity.erased".to_owned()));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_goes_with_everything_and_another_stays() {
    let world = World::start_with(|options| options.operate.page = 2).await;
    let (hub, sink) = (world.hub(), Sink::start().await);
    let (one, quartr) = lived_in(&world, &sink).await;
    let (two, _) = lived_in(&world, &sink).await;
    one.api
        .webhook_with(&json!({"name": "second", "url": sink.url(), "headers": {"X-Team": "a"}}))
        .await;
    let stays = traces(hub, &[&two.id]).await;
    let sources = one.api.get("/v1/sources").await["data"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let webhooks: Vec<String> = one.api.get("/v1/webhooks").await["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|w| w["id"].as_str().unwrap().to_owned())
        .collect();
    let command = json!({"action": "deleteOrganization", "organization": one.id, "confirm": one.id});
    let answers = step_by_step(hub, &command).await;
    assert!(answers.len() > 5, "step by step");
    let erased = |name: &str| sum(&answers, &format!("/erased/{name}"));
    assert_eq!((erased("events"), erased("deliveries"), erased("receipts")), (3, 3, 5));
    assert_eq!(
        one.api.call(Method::GET, "/v1/sources", None).await.0,
        StatusCode::UNAUTHORIZED
    );
    // Receiving URLs are remembered for some seconds.
    world.advance(Duration::from_secs(6));
    assert_eq!(
        quartr.request(Method::POST, "", &[], b"{}").await.status(),
        StatusCode::NOT_FOUND
    );
    let mut texts = vec![one.id.as_str(), sources.as_str()];
    texts.extend(webhooks.iter().map(String::as_str));
    let left = traces(hub, &texts).await;
    assert_eq!(
        left.keys().collect::<Vec<_>>(),
        ["RegistryTable"],
        "only the trail: {left:?}"
    );
    assert_eq!(traces(hub, &[&two.id]).await, stays);

    let repeated = operate(hub, command).await;
    assert_eq!(
        (&repeated["done"], &repeated["erased"]["events"]),
        (&json!(true), &json!(0))
    );
    let all = json!({"action": "deleteOrganization", "organization": one.id, "eraseAudit": true});
    assert_eq!(step_by_step(hub, &all).await.last().unwrap()["done"], true);
    assert!(traces(hub, &texts).await.is_empty());
    assert_eq!(error_type(hub.operate(all).await), "OrganizationNotFound");
    world.stop().await;
}
