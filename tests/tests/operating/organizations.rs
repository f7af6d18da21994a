//! Organizations: their keys and limits, their suspension, and how much they have.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn organizations_are_made_listed_and_limited() {
    let world = World::start().await;
    let hub = world.hub();
    let (one, two) = (tenant(hub).await, tenant(hub).await);

    let mut listed = Vec::new();
    let mut command = json!({"action": "listOrganizations", "limit": 1});
    loop {
        let page = operate(hub, command.clone()).await;
        assert!(page["data"].as_array().unwrap().len() <= 1);
        listed.extend(
            page["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|view| view["id"].as_str().unwrap().to_owned()),
        );
        if page["next"].is_null() {
            break;
        }
        command["next"] = page["next"].clone();
    }
    assert_eq!(listed.len(), 3, "the world's own, and two");
    assert!(listed.contains(&one.id) && listed.contains(&two.id));

    let read = operate(hub, json!({"action": "getOrganization", "organization": one.id})).await;
    assert_eq!(read["organization"]["status"], "active");
    assert_eq!(read["quota"], json!({"sources": 1000, "webhooks": 10_000, "keys": 100}));
    assert_eq!(read["keys"].as_array().unwrap().len(), 1);

    let quota =
        json!({"action": "setQuota", "organization": one.id, "quota": {"sources": 1, "webhooks": 0, "keys": 2}});
    for _ in 0..2 {
        let set = operate(hub, quota.clone()).await;
        assert_eq!(set["quota"], json!({"sources": 1, "webhooks": 0, "keys": 2}));
    }
    one.api.source("quartr").await;
    let refused = [
        (
            "/v1/sources",
            json!({"name": "b", "preset": "quartr", "secret": hookline_tests::api::PROVIDER_SECRET}),
        ),
        ("/v1/webhooks", json!({"name": "b", "url": "http://127.0.0.1:1/"})),
    ];
    for (path, body) in &refused {
        let (status, problem) = one.api.call(Method::POST, path, Some(body)).await;
        assert_eq!(
            (status, &problem["type"]),
            (StatusCode::CONFLICT, &json!("urn:hookline:problem:limit-reached"))
        );
        let (status, _) = two.api.call(Method::POST, path, Some(body)).await;
        assert_eq!(status, StatusCode::CREATED, "another's quota");
    }
    let key = json!({"name": "k", "role": "viewer"});
    assert_eq!(
        one.api.call(Method::POST, "/v1/keys", Some(&key)).await.0,
        StatusCode::CREATED
    );
    assert_eq!(
        one.api.call(Method::POST, "/v1/keys", Some(&key)).await.0,
        StatusCode::CONFLICT
    );
    // What is not named is as for all.
    operate(hub, json!({"action": "setQuota", "organization": one.id, "quota": {}})).await;
    assert_eq!(
        one.api.call(Method::POST, "/v1/keys", Some(&key)).await.0,
        StatusCode::CREATED
    );
    let made = operate(
        hub,
        json!({"action": "createAdminKey", "organization": one.id, "name": "lost"}),
    )
    .await;
    let again = Api::new(hub.url(), made["adminKey"].as_str().unwrap());
    assert_eq!(
        actions(&again).await,
        [
            "organization.created",
            "organization.quota_set",
            "organization.quota_set",
            "key.created"
        ]
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_organization_takes_and_sends_nothing_and_loses_nothing() {
    let world = World::start().await;
    let hub = world.hub();
    let (victim, other) = (tenant(hub).await, tenant(hub).await);
    let sink = Sink::start().await;
    let webhook = victim.api.webhook(sink.url(), &[]).await;
    let quartr = victim.api.source("quartr").await;
    let body = quartr_message("audio.created", 1);

    // One is being delivered in vain when it happens; another was received and not verified.
    sink.next([hookline_tests::sink::Behaviour::Answer(500)]);
    quartr.send_at("msg_0", world.now(), &body).await;
    world.drained().await;
    assert_eq!(sink.arrivals().len(), 1);

    let suspend = json!({"action": "suspendOrganization", "organization": victim.id, "reason": "unpaid"});
    // Broken off before the last mark; the same again completes it, and keeps the first time and reason.
    world.fail(FaultKind::Unreachable, "PutItem", "WebhooksTable", &victim.id, 3);
    assert_eq!(error_type(hub.operate(suspend.clone()).await), "StoreUnavailable");
    let suspended = operate(hub, suspend.clone()).await;
    assert_eq!(suspended["organization"]["status"], "suspended");
    assert_eq!(suspended["organization"]["suspension"]["reason"], "unpaid");
    assert_eq!(suspended["marked"], json!({"keys": 1, "receivingUrls": 1}));
    let later = json!({"action": "suspendOrganization", "organization": victim.id, "reason": "another"});
    assert_eq!(operate(hub, later).await["organization"], suspended["organization"]);

    let (status, problem) = victim.api.call(Method::GET, "/v1/sources", None).await;
    assert_eq!(
        (status, &problem["type"]),
        (StatusCode::FORBIDDEN, &json!("urn:hookline:problem:suspended"))
    );
    let made = operate(hub, json!({"action": "createAdminKey", "organization": victim.id})).await;
    let new_key = Api::new(hub.url(), made["adminKey"].as_str().unwrap());
    assert_eq!(
        new_key.call(Method::GET, "/v1/sources", None).await.0,
        StatusCode::FORBIDDEN
    );
    other.api.get("/v1/sources").await;

    world.advance(Duration::from_secs(6));
    let stored = world.count("InboxTable").await;
    let headers = signed_headers(hookline_tests::api::PROVIDER_SECRET, "msg_1", world.now(), &body);
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let refused = quartr.request(Method::POST, "", &headers, &body).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()["retry-after"], "3600");
    assert_eq!(world.count("InboxTable").await, stored);

    // What was received before it is verified and waits.
    let receipt = hub.store();
    let waiting = payload::ReceiptId::generate(world.now());
    let mut copy = receipt_of(hub).await;
    copy.id = waiting;
    copy.headers = captured("msg_2", &world, &body);
    copy.received_at = world.now();
    store::Inbox::put_receipt(receipt, &copy).await.unwrap();
    world.drained().await;
    world.advance(Duration::from_secs(120));
    world.tick().await;
    world.advance(Duration::from_secs(3 * 3600));
    world.tick().await;
    assert_eq!(sink.arrivals().len(), 1, "nothing is sent");

    let resume = json!({"action": "resumeOrganization", "organization": victim.id, "reason": "paid"});
    world.fail(FaultKind::Unreachable, "UpdateItem", "SourcesTable", "tok#", 3);
    assert_eq!(error_type(hub.operate(resume.clone()).await), "StoreUnavailable");
    for _ in 0..2 {
        assert_eq!(operate(hub, resume.clone()).await["organization"]["status"], "active");
    }
    quartr.send_at("msg_1", world.now(), &body).await;
    world.drained().await;
    world.advance(Duration::from_secs(3700));
    world.tick().await;
    let arrivals = sink.wait_for(4).await;
    assert_eq!(arrivals.len(), 4);
    let ids: BTreeSet<&str> = arrivals.iter().map(|arrival| arrival.header("webhook-id")).collect();
    assert_eq!(ids.len(), 3, "each of the three, and the first of them twice");
    let first = new_key.get(&format!("/v1/events/{}", quartr.event_id("msg_0"))).await;
    assert_eq!(first["deliveries"][0]["webhook"], webhook.id);
    assert_eq!(
        first["deliveries"][0]["attempts"].as_array().unwrap().len(),
        2,
        "putting off is no attempt"
    );
    assert_eq!(
        actions(&victim.api).await,
        [
            "organization.created",
            "organization.suspended",
            "key.created",
            "organization.resumed"
        ]
    );
    world.stop().await;
}

fn captured(message: &str, world: &World, body: &[u8]) -> Vec<payload::receipt::Header> {
    signed_headers(hookline_tests::api::PROVIDER_SECRET, message, world.now(), body)
        .iter()
        .map(|(name, value)| payload::receipt::Header::capture(name, value.as_bytes(), "", &[]))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_counts_what_is_there_and_what_came_in_a_span() {
    let world = World::start().await;
    let hub = world.hub();
    let one = tenant(hub).await;
    let sink = Sink::start().await;
    one.api.webhook(sink.url(), &[]).await;
    let quartr = one.api.source("quartr").await;
    for message in ["msg_0", "msg_1", "msg_1"] {
        quartr
            .send_at(message, world.now(), &quartr_message("audio.created", 1))
            .await;
        world.drained().await;
    }
    let usage = operate(hub, json!({"action": "usage", "organization": one.id, "until": "2999-01-01T00:00:00Z", "since": "2020-01-01T00:00:00Z"})).await;
    for (name, count) in [
        ("sources", 1),
        ("webhooks", 1),
        ("keys", 1),
        ("events", 2),
        ("otherReceipts", 1),
        ("deliveries", 2),
    ] {
        assert_eq!(usage[name], count, "{name}: {usage}");
    }
    let before = operate(
        hub,
        json!({"action": "usage", "organization": one.id, "until": "2020-01-01T00:00:00Z"}),
    )
    .await;
    assert_eq!((&before["events"], &before["deliveries"]), (&json!(0), &json!(0)));
    assert_eq!(before["since"], "2019-12-31T00:00:00Z", "a day, where nothing is said");
    let read = json!({"action": "usage", "organization": one.id});
    let late = hub.operate_within(read, Duration::ZERO).await;
    assert_eq!(error_type(late), "OutOfTime");
    world.stop().await;
}
