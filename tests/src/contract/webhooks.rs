//! Webhooks, their secrets, their health, and the set's version.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::SignedDuration;
use payload::key::TimedSecret;
use payload::webhook::{
    DestinationHeader, DestinationUrl, Disabled, DisabledReason, Format, Health, HttpPolicy, Method, Rate, Webhook,
    WebhookSecrets,
};
use payload::{OrganizationId, WebhookId};
use secrecy::ExposeSecret;
use store::{DestinationSecrets, Dynamo, Events, HealthLog, RegistrationCounts, StoreError, WebhookSets, Webhooks};

use super::{event, now};

pub(super) fn webhook(organization: &OrganizationId) -> Webhook {
    Webhook {
        id: WebhookId::generate(now()),
        organization: organization.clone(),
        name: "n".into(),
        description: None,
        url: DestinationUrl::parse("https://example.com/hook", HttpPolicy::HttpsOnly).expect("a good URL"),
        filter: serde_json::from_str(r#"{"types":["a.*"]}"#).expect("a good filter"),
        format: Format::Raw,
        method: Method::Post,
        rate: None,
        schedule: None,
        enabled: true,
        created_at: now(),
    }
}

fn secrets(value: &str) -> WebhookSecrets {
    WebhookSecrets {
        signing: vec![TimedSecret {
            value: value.into(),
            created_at: now(),
            expires_at: None,
        }],
        headers: vec![DestinationHeader::new("X-Api-Key", format!("key of {value}").into()).expect("a good header")],
    }
}

/// A webhook that is stored.
async fn stored(store: &Dynamo) -> Webhook {
    let webhook = webhook(&OrganizationId::generate(now()));
    store
        .create_webhook(&webhook, &secrets("whsec_x"))
        .await
        .expect("create");
    webhook
}

/// How often a webhook was changed that is there.
async fn revision(store: &Dynamo, webhook: &Webhook) -> u64 {
    let found = store.webhook_to_change(&webhook.organization, &webhook.id).await;
    let (found, revision) = found.expect("read").expect("it is there");
    assert_eq!(found, *webhook);
    revision
}

async fn secret_values(store: &Dynamo, webhook: &WebhookId) -> (Vec<String>, Vec<(String, String)>) {
    let secrets = store.webhook_secrets(webhook).await.expect("secrets");
    let signing = secrets
        .signing
        .iter()
        .map(|secret| secret.value.expose_secret().to_owned());
    let headers = secrets.headers.iter();
    (
        signing.collect(),
        headers
            .map(|header| (header.name().to_owned(), header.expose_value().to_owned()))
            .collect(),
    )
}

pub(super) async fn they_count_their_sets_version(store: &Dynamo) {
    let organization = OrganizationId::generate(now());
    assert!(store.webhook_set(&organization).await.expect("set").webhooks.is_empty());
    let (first, second) = (webhook(&organization), webhook(&organization));
    for webhook in [&first, &second] {
        store
            .create_webhook(webhook, &secrets("whsec_x"))
            .await
            .expect("create");
    }
    let again = store.create_webhook(&first, &WebhookSecrets::default()).await;
    assert_eq!(again, Err(StoreError::Conflict));
    let ids = |webhooks: &[Webhook]| {
        webhooks
            .iter()
            .map(|webhook| webhook.id.clone())
            .collect::<HashSet<_>>()
    };
    let both = HashSet::from([first.id.clone(), second.id.clone()]);
    let cached = store.webhook_set(&organization).await.expect("set");
    assert_eq!(ids(&cached.webhooks), both);
    let same = store.webhook_set(&organization).await.expect("set");
    assert!(Arc::ptr_eq(&cached.webhooks, &same.webhooks), "cached");
    assert_eq!(ids(&store.webhooks_of(&organization).await.expect("list")), both);
    let counted = store.count_webhooks(&organization).await;
    assert_eq!(counted, Ok(2), "what else is kept beside them does not count");
    assert_eq!(store.webhook(&organization, &first.id).await, Ok(Some(first.clone())));

    let stranger = OrganizationId::generate(now());
    assert_eq!(store.webhook(&stranger, &first.id).await, Ok(None));
    assert_eq!(store.webhook_to_change(&stranger, &first.id).await, Ok(None));
    let page = store.webhooks_after(&organization, None, 1).await.expect("a page");
    let rest = store
        .webhooks_after(&organization, Some(&page[0].id), 5)
        .await
        .expect("the rest");
    assert_eq!(page.len(), 1);
    assert_eq!(ids(&[page, rest].concat()), both);
    assert_eq!(store.webhooks_after(&stranger, None, 5).await, Ok(vec![]));
    assert_eq!(store.count_webhooks(&stranger).await, Ok(0));
    assert_eq!(
        store.delete_webhook(&first, 1).await,
        Err(StoreError::Conflict),
        "not what was read"
    );
    assert_eq!(store.delete_webhook(&first, 0).await, Ok(()));
    assert_eq!(
        store.delete_webhook(&first, 0).await,
        Err(StoreError::Conflict),
        "it is gone"
    );
    let left = store.webhook_set(&organization).await.expect("set");
    assert_eq!(
        ids(&left.webhooks),
        HashSet::from([second.id]),
        "the next reading knows"
    );
    assert_eq!(secret_values(store, &first.id).await, (vec![], vec![]));
}

pub(super) async fn one_is_replaced_with_its_secrets(store: &Dynamo) {
    let before = stored(store).await;
    let organization = &before.organization;
    let set = store.webhook_set(organization).await.expect("set");
    let after = Webhook {
        name: "renamed".into(),
        method: Method::Get,
        rate: Some(Rate::try_from(30).expect("a good rate")),
        schedule: Some(vec![60, 600]),
        filter: serde_json::from_str(r#"{"pattern":{"data":{"n":[{"numeric":[">",1.50]}]}}}"#).expect("a good filter"),
        ..before.clone()
    };
    let old_secrets = secret_values(store, &before.id).await;
    let at_first = revision(store, &before).await;
    assert_eq!(store.update_webhook(&after, at_first, None, false).await, Ok(()));
    assert_eq!(store.webhook(organization, &before.id).await, Ok(Some(after.clone())));
    assert_eq!(secret_values(store, &before.id).await, old_secrets, "they stay");
    let next = store.webhook_set(organization).await.expect("set");
    assert!(!Arc::ptr_eq(&set.webhooks, &next.webhooks), "the next reading knows");
    assert_eq!(*next.webhooks, std::slice::from_ref(&after));

    let other = Webhook {
        name: "other".into(),
        ..before.clone()
    };
    let late = store
        .update_webhook(&other, at_first, Some(&secrets("whsec_late")), true)
        .await;
    assert_eq!(late, Err(StoreError::Conflict), "it was changed since");
    assert_eq!(secret_values(store, &before.id).await, old_secrets, "all or nothing");
    assert_eq!(store.webhook(organization, &before.id).await, Ok(Some(after.clone())));

    let rotated = secrets("whsec_y");
    let next = revision(store, &after).await;
    assert_eq!(store.update_webhook(&before, next, Some(&rotated), false).await, Ok(()));
    assert_eq!(store.webhook(organization, &before.id).await, Ok(Some(before.clone())));
    let (signing, headers) = secret_values(store, &before.id).await;
    assert_eq!(signing, ["whsec_y"]);
    assert_eq!(headers, [("X-Api-Key".to_owned(), "key of whsec_y".to_owned())]);

    let moved = Webhook {
        organization: OrganizationId::generate(now()),
        ..before.clone()
    };
    let last = revision(store, &before).await;
    for unknown in [moved, webhook(organization)] {
        for revision in [0, last] {
            assert_eq!(
                store.update_webhook(&unknown, revision, None, false).await,
                Err(StoreError::Conflict),
                "a change makes no webhook"
            );
        }
    }
    assert_eq!(store.delete_webhook(&before, last).await, Ok(()));
    assert_eq!(
        store
            .update_webhook(&after, last, Some(&secrets("whsec_z")), false)
            .await,
        Err(StoreError::Conflict),
        "a deleted one stays deleted"
    );
    assert_eq!(secret_values(store, &before.id).await, (vec![], vec![]));
}

pub(super) async fn of_concurrent_changes_one_wins(store: &Arc<Dynamo>) {
    let before = stored(store).await;
    let revision = revision(store, &before).await;
    let mut changes = tokio::task::JoinSet::new();
    for number in 0..8 {
        let (store, before) = (Arc::clone(store), before.clone());
        changes.spawn(async move {
            let after = Webhook {
                name: format!("name {number}"),
                ..before.clone()
            };
            let secrets = secrets(&format!("whsec_{number}"));
            let changed = store.update_webhook(&after, revision, Some(&secrets), false).await;
            (number, changed)
        });
    }
    let outcomes = changes.join_all().await;
    let won: Vec<_> = outcomes.iter().filter(|(_, changed)| changed.is_ok()).collect();
    // An engine may also tell that changes were in each other's way: then it is tried again, and nothing was written.
    assert!(won.len() <= 1, "{outcomes:?}");
    let found = store.webhook(&before.organization, &before.id).await.expect("read");
    let name = found.expect("it is there").name;
    let (signing, _) = secret_values(store, &before.id).await;
    match won.first() {
        Some((number, _)) => assert_eq!(
            (name, signing),
            (format!("name {number}"), vec![format!("whsec_{number}")])
        ),
        None => assert_eq!((name, signing), (before.name, vec!["whsec_x".to_owned()])),
    }
}

pub(super) async fn a_change_of_the_secrets_alone_is_a_change(store: &Dynamo) {
    let webhook = stored(store).await;
    let read_by_both = revision(store, &webhook).await;
    let (one, other) = (secrets("whsec_one"), secrets("whsec_other"));
    assert_eq!(
        store.update_webhook(&webhook, read_by_both, Some(&one), false).await,
        Ok(())
    );
    let late = store.update_webhook(&webhook, read_by_both, Some(&other), false).await;
    assert_eq!(late, Err(StoreError::Conflict), "it would undo what it never saw");
    let led_away = Webhook {
        url: DestinationUrl::parse("https://example.org/", HttpPolicy::HttpsOnly).expect("a good URL"),
        ..webhook.clone()
    };
    assert_eq!(
        store.update_webhook(&led_away, read_by_both, None, false).await,
        Err(StoreError::Conflict),
        "nor may what leaves the secrets alone be decided by older ones"
    );
    let (signing, headers) = secret_values(store, &webhook.id).await;
    assert_eq!(signing, ["whsec_one"]);
    assert_eq!(headers, [("X-Api-Key".to_owned(), "key of whsec_one".to_owned())]);
    let now_read = revision(store, &webhook).await;
    assert_eq!(
        store.update_webhook(&webhook, now_read, Some(&other), false).await,
        Ok(())
    );
    assert_eq!(secret_values(store, &webhook.id).await.0, ["whsec_other"]);
}

pub(super) async fn of_concurrent_changes_of_the_secrets_one_wins(store: &Arc<Dynamo>) {
    let webhook = stored(store).await;
    let revision = revision(store, &webhook).await;
    let mut changes = tokio::task::JoinSet::new();
    for number in 0..8 {
        let (store, webhook) = (Arc::clone(store), webhook.clone());
        changes.spawn(async move {
            let value = format!("whsec_{number}");
            let secrets = secrets(&value);
            let changed = store.update_webhook(&webhook, revision, Some(&secrets), false).await;
            (value, changed)
        });
    }
    let outcomes = changes.join_all().await;
    let won: Vec<_> = outcomes.iter().filter(|(_, changed)| changed.is_ok()).collect();
    assert!(won.len() <= 1, "{outcomes:?}");
    let (signing, _) = secret_values(store, &webhook.id).await;
    let expected = won.first().map_or("whsec_x", |(value, _)| value);
    assert_eq!(signing, [expected]);
}

pub(super) async fn their_secrets_come_back_as_they_were(store: &Dynamo) {
    let organization = OrganizationId::generate(now());
    let chat = Webhook {
        format: Format::Slack,
        ..webhook(&organization)
    };
    let none = WebhookSecrets::default();
    store.create_webhook(&chat, &none).await.expect("create");
    assert_eq!(secret_values(store, &chat.id).await, (vec![], vec![]));
    let machine = webhook(&organization);
    let mut many = secrets("whsec_new");
    many.signing.push(TimedSecret {
        value: "whsec_old".into(),
        created_at: now(),
        expires_at: Some(now() + SignedDuration::from_hours(24)),
    });
    let authorization = DestinationHeader::new("Authorization", "Basic dTpw".into()).expect("a good header");
    many.headers.push(authorization);
    store.create_webhook(&machine, &many).await.expect("create");
    let found = store.webhook_secrets(&machine.id).await.expect("secrets");
    let expiries: Vec<_> = found.signing.iter().map(|secret| secret.expires_at).collect();
    assert_eq!(expiries, [None, Some(now() + SignedDuration::from_hours(24))]);
    let (signing, headers) = secret_values(store, &machine.id).await;
    assert_eq!(signing, ["whsec_new", "whsec_old"]);
    assert_eq!(headers[1], ("Authorization".to_owned(), "Basic dTpw".to_owned()));
    assert_eq!(
        secret_values(store, &WebhookId::generate(now())).await,
        (vec![], vec![])
    );
}

pub(super) async fn health_is_an_item_of_its_own(store: &Dynamo) {
    let webhook = stored(store).await;
    let (organization, id) = (&webhook.organization, &webhook.id);
    assert_eq!(store.health(organization, id).await, Ok(None));
    let before = store.webhook_set(organization).await.expect("set");
    assert!(before.health.is_empty());
    assert_eq!(store.set_failing(organization, id, now(), None).await, Ok(true));
    let health = Health {
        webhook: id.clone(),
        failing_since: Some(now()),
        disabled: None,
    };
    let set = store.webhook_set(organization).await.expect("set");
    assert_eq!(set.health.get(id), Some(&health));
    assert_eq!(store.health(organization, id).await, Ok(Some(health)));
    assert!(
        Arc::ptr_eq(&before.webhooks, &set.webhooks),
        "the registrations are not read again for it"
    );
    assert_eq!(store.clear_failing(organization, id, None).await, Ok(true));
    assert!(store.webhook_set(organization).await.expect("set").health.is_empty());
    assert_eq!(store.health(organization, id).await, Ok(None), "nothing to say");
    assert_eq!(store.set_failing(organization, id, now(), None).await, Ok(true));
    assert_eq!(store.delete_webhook(&webhook, 0).await, Ok(()));
    assert_eq!(
        store.health(organization, id).await,
        Ok(None),
        "it goes with its webhook"
    );
}

pub(super) async fn each_change_of_health_is_news_once(store: &Dynamo) {
    let webhook = stored(store).await;
    let (organization, id) = (&webhook.organization, &webhook.id);
    let later = now() + SignedDuration::from_secs(60);
    assert_eq!(
        store.clear_failing(organization, id, None).await,
        Ok(false),
        "it never failed"
    );
    assert_eq!(store.health(organization, id).await, Ok(None), "and that makes no item");
    assert_eq!(store.set_failing(organization, id, now(), None).await, Ok(true));
    assert_eq!(store.set_failing(organization, id, later, None).await, Ok(false));
    let gone = Disabled {
        at: later,
        reason: DisabledReason::Gone,
    };
    let early = event(organization, None, "told_0");
    let since = store.disable(organization, id, &gone, Some(later), &early).await;
    assert_eq!(since, Ok(false), "it has not failed since then: it was well meanwhile");
    assert_eq!(store.event(&early.id).await, Ok(None), "what is no news is not told");
    let failing = Disabled {
        at: now(),
        reason: DisabledReason::Failing,
    };
    assert_eq!(
        store
            .disable(
                organization,
                id,
                &gone,
                Some(now()),
                &event(organization, None, "told_1")
            )
            .await,
        Ok(true)
    );
    assert_eq!(
        store
            .disable(organization, id, &failing, None, &event(organization, None, "told_2"))
            .await,
        Ok(false)
    );
    let health = store
        .health(organization, id)
        .await
        .expect("health")
        .expect("something");
    assert_eq!(
        (health.failing_since, health.disabled),
        (Some(now()), Some(gone.clone())),
        "what came first stands"
    );
    assert_eq!(store.clear_failing(organization, id, None).await, Ok(true));
    assert_eq!(store.clear_failing(organization, id, None).await, Ok(false));
    let health = store
        .health(organization, id)
        .await
        .expect("health")
        .expect("something");
    assert_eq!((health.failing_since, health.disabled), (None, Some(gone)));
    assert_eq!(
        store.set_failing(organization, id, later, None).await,
        Ok(true),
        "it fails anew"
    );
}

pub(super) async fn enabling_takes_back_what_was_disabled(store: &Dynamo) {
    let webhook = stored(store).await;
    let (organization, id) = (&webhook.organization, &webhook.id);
    let disabled = Disabled {
        at: now(),
        reason: DisabledReason::Failing,
    };
    assert_eq!(store.set_failing(organization, id, now(), None).await, Ok(true));
    assert_eq!(
        store
            .disable(organization, id, &disabled, None, &event(organization, None, "told_3"))
            .await,
        Ok(true)
    );
    let enable = async |enable: bool| {
        let revision = revision(store, &webhook).await;
        store.update_webhook(&webhook, revision, None, enable).await
    };
    assert_eq!(enable(false).await, Ok(()));
    assert!(
        store.health(organization, id).await.expect("health").is_some(),
        "only when asked to"
    );
    assert_eq!(enable(true).await, Ok(()));
    assert_eq!(
        store.health(organization, id).await,
        Ok(None),
        "also since when it failed: or it would be disabled again by its next failure"
    );
    assert_eq!(enable(true).await, Ok(()), "there may be nothing to take back");
    assert_eq!(
        store
            .disable(organization, id, &disabled, None, &event(organization, None, "told_4"))
            .await,
        Ok(true),
        "news again"
    );
}
