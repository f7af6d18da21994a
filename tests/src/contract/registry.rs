//! Organizations, API keys, the audit trail, idempotency keys.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use payload::audit::{Actor, AuditEntry};
use payload::organization::{ApiKey, ApiKeyText, Organization, Quota, Role};
use payload::{AuditId, KeyId, OrganizationId};
use store::{
    AuditSpan, AuditTrail, Begun, Dynamo, IdempotentRequest, IdempotentRequests, KeyRegistry, Keys, Organizations,
    RegistrationCounts, StoreError,
};

use super::now;

pub(super) async fn organizations_and_keys(store: &Dynamo) {
    let organization = Organization {
        id: OrganizationId::generate(now()),
        name: "Example".into(),
        created_at: now(),
        suspension: None,
        quota: Quota::default(),
    };
    let (first_text, second_text) = (ApiKeyText::generate(), ApiKeyText::generate());
    let key = |name: &str, text| ApiKey::new(organization.id.clone(), Role::Admin, name.into(), text, now());
    let (first, second) = (key("first", &first_text), key("second", &second_text));
    let (first_hash, second_hash) = (first_text.hash(), second_text.hash());
    assert_eq!(
        store.add_key(&second, &second_hash).await,
        Err(StoreError::Conflict),
        "no such organization yet"
    );
    store
        .create_organization(&organization, &first, &first_hash)
        .await
        .expect("create");
    assert_eq!(
        store.create_organization(&organization, &first, &first_hash).await,
        Err(StoreError::Conflict)
    );
    store.add_key(&second, &second_hash).await.expect("add");
    assert_eq!(store.key(&first_hash).await, Ok(Some(first.clone())));
    assert_eq!(store.key(&second_hash).await, Ok(Some(second.clone())));
    assert_eq!(store.key(&ApiKeyText::generate().hash()).await, Ok(None));
    assert_eq!(
        store.organization(&organization.id).await,
        Ok(Some(organization.clone()))
    );
    let keys_now = async || {
        let keys = store.keys_of(&organization.id).await.expect("keys");
        keys.into_iter()
            .map(|key| (key.id.clone(), key))
            .collect::<BTreeMap<_, _>>()
    };
    let both = BTreeMap::from([(first.id.clone(), first.clone()), (second.id.clone(), second.clone())]);
    assert_eq!(keys_now().await, both);
    assert_eq!(store.count_keys(&organization.id).await, Ok(2));

    let day = "2026-11-22".parse().expect("a day");
    store.note_use(&first_hash, day).await.expect("note");
    let used = ApiKey {
        last_used: Some(day),
        ..first.clone()
    };
    assert_eq!(store.key(&first_hash).await, Ok(Some(used.clone())));
    assert_eq!(keys_now().await.get(&first.id), Some(&used));

    let stranger = OrganizationId::generate(now());
    assert_eq!(store.key_of(&organization.id, &first.id).await, Ok(Some(used.clone())));
    assert_eq!(store.key_of(&stranger, &first.id).await, Ok(None));
    assert_eq!(store.count_keys(&stranger).await, Ok(0));
    let nobody = KeyId::generate(now());
    let by_nobody = store.revoke_key(&organization.id, &second.id, &nobody).await;
    assert_eq!(by_nobody, Ok(false), "who revokes must be there");
    assert_eq!(store.revoke_key(&stranger, &second.id, &first.id).await, Ok(false));
    assert_eq!(store.key(&second_hash).await, Ok(Some(second.clone())));
    assert_eq!(
        store.revoke_key(&organization.id, &second.id, &first.id).await,
        Ok(true)
    );
    assert_eq!(
        store.revoke_key(&organization.id, &second.id, &first.id).await,
        Ok(false)
    );
    assert_eq!(store.key(&second_hash).await, Ok(None));
    store
        .note_use(&second_hash, day)
        .await
        .expect("a revoked key is not made again");
    assert_eq!(store.key(&second_hash).await, Ok(None));
    assert_eq!(keys_now().await.into_keys().collect::<Vec<_>>(), [first.id]);
    assert_eq!(store.count_keys(&organization.id).await, Ok(1));
}

fn entry(organization: &OrganizationId, seconds: i64) -> AuditEntry {
    let at = now() + SignedDuration::from_secs(seconds);
    AuditEntry {
        id: AuditId::generate(at),
        organization: organization.clone(),
        at,
        actor: Actor::Key {
            id: KeyId::generate(now()),
            name: "deploy".into(),
            role: Role::Editor,
        },
        action: "webhook.updated".into(),
        resource: "wh_1".into(),
        before: Some(r#"{"name":"old"}"#.into()),
        after: Some(format!(r#"{{"name":"{}"}}"#, "new".repeat(100))),
    }
}

async fn trail(store: &Dynamo, organization: &OrganizationId) -> Vec<AuditEntry> {
    let all = AuditSpan::default();
    store.audit_of(organization, &all, 100).await.expect("the trail")
}

pub(super) async fn a_change_and_its_entry_in_the_trail_are_one_write(store: &Dynamo) {
    let organization = Organization {
        id: OrganizationId::generate(now()),
        name: "Example".into(),
        created_at: now(),
        suspension: None,
        quota: Quota::default(),
    };
    let text = ApiKeyText::generate();
    let key = ApiKey::new(organization.id.clone(), Role::Viewer, "read".into(), &text, now());
    let made = entry(&organization.id, 0);
    let refused = store.recording(made.clone()).add_key(&key, &text.hash()).await;
    assert_eq!(refused, Err(StoreError::Conflict), "there is no such organization");
    assert_eq!(trail(store, &organization.id).await, [], "nothing was changed");

    let first = ApiKeyText::generate();
    let admin = ApiKey::new(organization.id.clone(), Role::Admin, "admin".into(), &first, now());
    store
        .create_organization(&organization, &admin, &first.hash())
        .await
        .expect("create");
    let added = store.recording(made.clone()).add_key(&key, &text.hash()).await;
    assert_eq!(added, Ok(()));
    assert_eq!(trail(store, &organization.id).await, std::slice::from_ref(&made));

    // What was revoked already is no change.
    let gone = entry(&organization.id, 1);
    let again = entry(&organization.id, 2);
    assert_eq!(
        store
            .recording(gone.clone())
            .revoke_key(&organization.id, &key.id, &admin.id)
            .await,
        Ok(true)
    );
    assert_eq!(
        store
            .recording(again)
            .revoke_key(&organization.id, &key.id, &admin.id)
            .await,
        Ok(false)
    );
    assert_eq!(trail(store, &organization.id).await, [made, gone]);
}

pub(super) async fn the_audit_trail_is_read_both_ways(store: &Dynamo) {
    let (organization, stranger) = (OrganizationId::generate(now()), OrganizationId::generate(now()));
    let entries: Vec<AuditEntry> = (0..5).map(|second| entry(&organization, second)).collect();
    for entry in &entries {
        store.record(entry).await.expect("record");
        store.record(entry).await.expect("repeating it changes nothing");
    }
    let operators = AuditEntry {
        actor: Actor::Operator,
        before: None,
        after: None,
        ..entry(&stranger, 0)
    };
    store.record(&operators).await.expect("record");
    assert_eq!(trail(store, &organization).await, entries);
    assert_eq!(trail(store, &stranger).await, [operators]);

    let newest = AuditSpan {
        newest_first: true,
        ..AuditSpan::default()
    };
    let page = store.audit_of(&organization, &newest, 2).await.expect("a page");
    assert_eq!(page, [entries[4].clone(), entries[3].clone()]);
    let after = AuditSpan {
        after: Some(entries[3].id.clone()),
        ..newest
    };
    let rest = store.audit_of(&organization, &after, 100).await.expect("the rest");
    assert_eq!(rest, [entries[2].clone(), entries[1].clone(), entries[0].clone()]);

    // A client that asks for the last hour may hold a cursor that is older by now.
    for (newest_first, after, since, until, found) in [
        (true, 1, Some(2), None, 0),
        (true, 3, Some(2), None, 1),
        (true, 3, None, Some(2), 2),
        (false, 3, None, Some(2), 0),
        (false, 1, Some(3), None, 2),
        (false, 1, None, Some(4), 2),
    ] {
        let at = |second: i64| now() + SignedDuration::from_secs(second);
        let span = AuditSpan {
            since: since.map(at),
            until: until.map(at),
            newest_first,
            after: Some(entries[after].id.clone()),
        };
        let page = store.audit_of(&organization, &span, 100).await.expect("a page");
        assert_eq!(page.len(), found, "{span:?}");
    }

    let at = |second: i64| Some(now() + SignedDuration::from_secs(second));
    let span = |since: Option<Timestamp>, until: Option<Timestamp>| AuditSpan {
        since,
        until,
        ..AuditSpan::default()
    };
    let middle = store.audit_of(&organization, &span(at(1), at(3)), 100).await;
    assert_eq!(middle, Ok(entries[1..3].to_vec()), "from the first, before the last");
    assert_eq!(
        store.audit_of(&organization, &span(at(3), at(1)), 100).await,
        Ok(vec![])
    );
}

pub(super) async fn a_request_with_an_idempotency_key_is_carried_out_once(store: &Dynamo) {
    let key = KeyId::generate(now());
    let request = |owner: &str, fingerprint: &str| IdempotentRequest {
        key: key.clone(),
        name: "hash-of-the-key".into(),
        fingerprint: fingerprint.into(),
        owner: owner.into(),
    };
    let after = |seconds: i64| now() + SignedDuration::from_secs(seconds);
    let begin = async |request: &IdempotentRequest, seconds: i64| {
        let at = after(seconds);
        let locked_until = at + SignedDuration::from_secs(60);
        let expires = at + SignedDuration::from_hours(24);
        store.begin(request, at, locked_until, expires).await.expect("begin")
    };
    let (first, second) = (request("first", "a"), request("second", "a"));
    assert_eq!(begin(&first, 0).await, Begun::Ours);
    assert_eq!(begin(&first, 0).await, Begun::Ours, "a repeated write of the same try");
    assert_eq!(begin(&second, 1).await, Begun::InProgress);
    assert_eq!(begin(&request("other", "b"), 1).await, Begun::Different);
    let elsewhere = IdempotentRequest {
        key: KeyId::generate(now()),
        ..second.clone()
    };
    assert_eq!(begin(&elsewhere, 1).await, Begun::Ours, "of another API key");

    // The first try broke off: the second takes over, and the first has no more say.
    assert_eq!(begin(&second, 60).await, Begun::Ours);
    store.finish(&first, b"late").await.expect("taken over");
    store.abandon(&first).await.expect("taken over");
    assert_eq!(begin(&request("third", "a"), 61).await, Begun::InProgress);
    store.finish(&second, b"sealed").await.expect("finish");
    assert_eq!(
        begin(&request("third", "a"), 90_000).await,
        Begun::Ours,
        "a day later it is forgotten"
    );

    store.abandon(&request("third", "a")).await.expect("abandon");
    assert_eq!(begin(&first, 5).await, Begun::Ours, "it came to nothing");
    store.finish(&first, b"sealed").await.expect("finish");
    assert_eq!(begin(&second, 6).await, Begun::Answered(b"sealed".to_vec()));
    assert_eq!(
        begin(&second, 3600).await,
        Begun::Answered(b"sealed".to_vec()),
        "without an end of its lock"
    );
    assert_eq!(begin(&request("other", "b"), 6).await, Begun::Different);
}
