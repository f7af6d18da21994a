//! Sources and webhooks.

use super::*;

#[test]
fn registrations_v1() {
    check("source-v1", &SourceItem::try_from(&source()).unwrap(), |item| {
        Source::try_from(item).unwrap() == source()
    });
    let rotated = Source {
        tokens: vec![
            TokenHash {
                hash: "33".repeat(32),
                expires_at: None,
            },
            TokenHash {
                hash: "00".repeat(32),
                expires_at: Some(at()),
            },
        ],
        revision: 3,
        ..source()
    };
    check("source-rotated-v1", &SourceItem::try_from(&rotated).unwrap(), |item| {
        Source::try_from(item).unwrap() == rotated
    });
    let custom = SourceItem::try_from(&custom_source()).unwrap().at_revision(2);
    check("source-custom-v1", &custom, |item| {
        let expected = Source {
            revision: 2,
            ..custom_source()
        };
        Source::try_from(item).unwrap() == expected
    });
    let token = TokenHash {
        hash: "00".repeat(32),
        expires_at: None,
    };
    check("door-v1", &DoorItem::new(&door(), &token).unwrap(), |item| {
        Door::try_from(item).unwrap() == door()
    });
    let ending = TokenHash {
        expires_at: Some(at()),
        ..token.clone()
    };
    check("door-ending-v1", &DoorItem::new(&door(), &ending).unwrap(), |item| {
        Door::try_from(item).unwrap().expires_at == Some(at())
    });
    let closed = Door {
        suspended: true,
        ..door()
    };
    check("door-suspended-v1", &DoorItem::new(&closed, &token).unwrap(), |item| {
        Door::try_from(item).unwrap() == closed
    });
    let suspended = SuspendedItem::new(&id("org_"), at());
    check("suspended-v1", &suspended, |item| item == suspended);
    let door = DoorItem::new(&handshake_door(), &token).unwrap();
    check("door-handshake-v1", &door, |item| {
        Door::try_from(item).unwrap() == handshake_door()
    });
    check("webhook-v1", &WebhookItem::from(&webhook()), |item| {
        Webhook::try_from(item).unwrap() == webhook()
    });
    let health = Health {
        webhook: id("wh_"),
        failing_since: Some(at()),
        disabled: None,
    };
    check("health-v1", &HealthItem::new(&id("org_"), &health).unwrap(), |item| {
        Health::try_from(item).unwrap() == health
    });
    let secret = TimedSecret {
        value: "whsec_x".into(),
        created_at: at(),
        expires_at: Some(at()),
    };
    check("secrets-v1", &SecretsItem::new("wh_1", &[secret]), |item| {
        let secrets = item.into_secrets().unwrap();
        secrets.len() == 1 && !secrets[0].is_valid_at(at())
    });
    let version: VersionItem = serde_json::from_value(
        serde_json::json!({"v": 1, "organization": id::<payload::OrganizationId>("org_"), "id": "version", "n": 7}),
    )
    .unwrap();
    check("version-v1", &version, |item| item.n == 7);
}

#[test]
fn registrations_since_webhooks_have_more_to_say() {
    check(
        "webhook-full-v1",
        &WebhookItem::from(&full_webhook()).at_revision(3),
        |item| Webhook::try_from(item).unwrap() == full_webhook(),
    );
    let disabled = Health {
        webhook: id("wh_"),
        failing_since: None,
        disabled: Some(Disabled {
            at: at(),
            reason: DisabledReason::Gone,
        }),
    };
    check(
        "health-disabled-v1",
        &HealthItem::new(&id("org_"), &disabled).unwrap(),
        |item| Health::try_from(item).unwrap() == disabled,
    );
    check(
        "secrets-headers-v1",
        &SecretsItem::of_webhook("wh_1", &secrets()),
        |item| {
            let read = item.into_webhook_secrets().unwrap();
            let header = &read.headers[0];
            (header.name(), header.expose_value()) == ("Authorization", "Bearer x") && read.signing.len() == 1
        },
    );
    let hopped = Event { hops: 3, ..event() };
    check_reading("event-hops-v1", |item: EventItem| {
        Event::try_from(item).unwrap() == hopped
    });
}

#[test]
fn what_webhooks_were_v1() {
    let was = WebhookWas {
        webhook: id("wh_"),
        name: full_webhook().name,
        filter: full_webhook().filter,
        format: full_webhook().format,
        enabled: full_webhook().enabled,
        created_at: at(),
        disabled: Some(Disabled {
            at: at(),
            reason: DisabledReason::Failing,
        }),
        until: at(),
        deleted: true,
    };
    let health = Health {
        webhook: id("wh_"),
        failing_since: Some(at()),
        disabled: was.disabled.clone(),
    };
    let item = |health, deleted| WebhookWasItem::new(&full_webhook(), 3, health, at(), deleted, 30).unwrap();
    check("webhook-was-deleted-v1", &item(Some(&health), true), |item| {
        WebhookWas::try_from(item).unwrap() == was
    });
    let changed = WebhookWas {
        disabled: None,
        deleted: false,
        ..was.clone()
    };
    check("webhook-was-v1", &item(None, false), |item| {
        WebhookWas::try_from(item).unwrap() == changed
    });
}

#[test]
fn a_filter_that_cannot_be_read_is_kept_as_it_is() {
    let mut stored = serde_json::to_value(WebhookItem::from(&webhook())).unwrap();
    stored["filter"] = serde_json::json!({"ofALaterDay": ["x"], "types": 3});
    let item: WebhookItem = serde_json::from_value(stored.clone()).unwrap();
    let read = Webhook::try_from(item).unwrap();
    assert!(read.filter.read().is_err());
    let written = serde_json::to_value(WebhookItem::from(&read)).unwrap();
    assert_eq!(written["filter"], stored["filter"]);
}
