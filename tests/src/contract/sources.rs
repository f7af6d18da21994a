//! Sources, their doors and their secrets.

use payload::called_url::CalledUrl;
use payload::key::TimedSecret;
use payload::source::{Door, IngestToken, Provider, Source, SourceOptions};
use payload::{OrganizationId, SourceId};
use secrecy::ExposeSecret;
use store::{Doors, Dynamo, RegistrationCounts, Secrets, SourceRegistry, Sources, StoreError};

use super::now;

pub(super) fn source(token: &IngestToken) -> (Source, Door) {
    let source = Source {
        id: SourceId::generate(now()),
        organization: OrganizationId::generate(now()),
        name: "n".into(),
        provider: Provider::Preset("quartr".into()),
        options: SourceOptions::default(),
        enabled: true,
        salt: "s".into(),
        created_at: now(),
        tokens: vec![token.kept()],
        revision: 0,
    };
    let door = source.effective().expect("the preset is there").door();
    (source, door)
}

pub(super) fn secret(text: &str) -> TimedSecret {
    TimedSecret {
        value: text.into(),
        created_at: now(),
        expires_at: None,
    }
}

pub(super) async fn sources_their_doors_and_secrets_come_and_go_together(store: &Dynamo) {
    let token = IngestToken::generate();
    let (source, door) = source(&token);
    let secret = secret("whsec_x");
    store
        .create_source(&source, &door, std::slice::from_ref(&secret), None)
        .await
        .expect("create");
    assert_eq!(
        store.create_source(&source, &door, &[], None).await,
        Err(StoreError::Conflict)
    );
    assert_eq!(store.door(&token.hash()).await, Ok(Some(door)));
    assert_eq!(store.door(&IngestToken::generate().hash()).await, Ok(None));
    assert_eq!(store.source(&source.id).await, Ok(Some(source.clone())));
    assert_eq!(
        store.sources_after(&source.organization, None, 5).await,
        Ok(vec![source.clone()]),
        "doors are not in the list"
    );
    assert_eq!(
        store.count_sources(&source.organization).await,
        Ok(1),
        "nor are they counted"
    );
    let secrets = store.secrets(source.id.as_str()).await.expect("secrets");
    assert_eq!(secrets[0].value.expose_secret(), "whsec_x");

    let stranger = OrganizationId::generate(now());
    assert_eq!(store.sources_after(&stranger, None, 5).await, Ok(vec![]));
    assert_eq!(store.count_sources(&stranger).await, Ok(0));
    let changed = Source {
        revision: 1,
        ..source.clone()
    };
    let stale = store.delete_source(&changed).await;
    assert_eq!(stale, Err(StoreError::Conflict), "it is not what was read");
    assert_eq!(store.delete_source(&source).await, Ok(()));
    assert_eq!(store.delete_source(&source).await, Err(StoreError::Conflict));
    assert_eq!(store.door(&token.hash()).await, Ok(None));
    assert!(store.secrets(source.id.as_str()).await.expect("secrets").is_empty());
}

async fn secrets_of(store: &Dynamo, source: &Source) -> Vec<String> {
    let secrets = store.secrets(source.id.as_str()).await.expect("secrets");
    let text = |secret: &TimedSecret| secret.value.expose_secret().to_owned();
    secrets.iter().map(text).collect()
}

pub(super) async fn a_source_is_replaced_with_its_doors_and_secrets(store: &Dynamo) {
    let (first, second) = (IngestToken::generate(), IngestToken::generate());
    let (source, door) = source(&first);
    store
        .create_source(&source, &door, &[secret("old")], None)
        .await
        .expect("create");

    let mut renamed = source.clone();
    renamed.name = "renamed".into();
    renamed.options.success_status = Some(200);
    renamed.tokens.push(second.kept());
    let new_door = renamed.effective().expect("the preset is there").door();
    store
        .update_source(&source, &renamed, &new_door, None, None)
        .await
        .expect("update");
    renamed.revision = 1;
    assert_eq!(store.source(&source.id).await, Ok(Some(renamed.clone())));
    for token in [&first, &second] {
        assert_eq!(store.door(&token.hash()).await, Ok(Some(new_door.clone())));
    }
    assert_eq!(secrets_of(store, &source).await, ["old"], "they were not given");
    let listed = store.sources_after(&source.organization, None, 5).await;
    assert_eq!(listed, Ok(vec![renamed.clone()]));

    let rotated = Source {
        tokens: vec![second.kept()],
        revision: 2,
        ..renamed.clone()
    };
    let stale = store
        .update_source(&source, &rotated, &door, Some(&[secret("lost")]), None)
        .await;
    assert_eq!(stale, Err(StoreError::Conflict), "it is no longer as it was");
    assert_eq!(store.source(&source.id).await, Ok(Some(renamed.clone())));
    assert_eq!(secrets_of(store, &source).await, ["old"], "all or nothing");

    let secrets = [secret("new"), secret("old")];
    store
        .update_source(&renamed, &rotated, &new_door, Some(&secrets), None)
        .await
        .expect("update");
    assert_eq!(
        store.door(&first.hash()).await,
        Ok(None),
        "its token leads nowhere any more"
    );
    assert_eq!(store.door(&second.hash()).await, Ok(Some(new_door.clone())));
    assert_eq!(secrets_of(store, &source).await, ["new", "old"]);

    let moved = Source {
        organization: OrganizationId::generate(now()),
        ..rotated.clone()
    };
    let refused = store.update_source(&rotated, &moved, &new_door, None, None).await;
    assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
    assert_eq!(store.delete_source(&rotated).await, Ok(()));
    assert_eq!(store.door(&second.hash()).await, Ok(None));
    let gone = store.update_source(&rotated, &rotated, &new_door, None, None).await;
    assert_eq!(gone, Err(StoreError::Conflict), "an update creates nothing");
}

pub(super) async fn the_url_that_a_provider_calls_lies_with_the_secrets(store: &Dynamo) {
    let token = IngestToken::generate();
    let (mut source, door) = source(&token);
    let url = |end: &str| -> CalledUrl {
        let url = format!("https://hooks.example.com/in/{}{end}", token.expose());
        url.parse().expect("a URL")
    };
    let whole = async || {
        let url = store.called_url(&source.id).await.expect("url");
        url.map(|url| url.expose().to_owned())
    };
    source.options.public_url = Some(url("").shown());
    let key = [secret("key")];
    store
        .create_source(&source, &door, &key, Some(&url("")))
        .await
        .expect("create");
    assert_eq!(whole().await.as_deref(), Some(url("").expose()));

    let mut renamed = source.clone();
    renamed.name = "renamed".into();
    renamed.revision = 1;
    let update = store.update_source(&source, &renamed, &door, None, None).await;
    update.expect("update");
    assert_eq!(whole().await.as_deref(), Some(url("").expose()), "it was not given");
    let mut moved = renamed.clone();
    moved.options.public_url = Some(url("/x").shown());
    moved.revision = 2;
    let stale = store
        .update_source(&source, &moved, &door, None, Some(&url("/x")))
        .await;
    assert_eq!(stale, Err(StoreError::Conflict));
    assert_eq!(whole().await.as_deref(), Some(url("").expose()), "all or nothing");
    let update = store
        .update_source(&renamed, &moved, &door, None, Some(&url("/x")))
        .await;
    update.expect("update");
    assert_eq!(whole().await.as_deref(), Some(url("/x").expose()));
    assert_eq!(secrets_of(store, &source).await, ["key"], "the two do not mix");

    let without = Source {
        options: SourceOptions::default(),
        revision: 3,
        ..moved.clone()
    };
    store
        .update_source(&moved, &without, &door, None, None)
        .await
        .expect("update");
    assert_eq!(whole().await, None);
    let update = store.update_source(&without, &moved, &door, None, Some(&url(""))).await;
    update.expect("update");
    let last = Source { revision: 4, ..moved };
    assert_eq!(store.delete_source(&last).await, Ok(()));
    assert_eq!(whole().await, None, "it goes with its source");
}

pub(super) async fn of_concurrent_changes_of_a_source_one_wins(store: &Dynamo) {
    let (source, door) = source(&IngestToken::generate());
    store.create_source(&source, &door, &[], None).await.expect("create");
    let names = ["a", "b", "c", "d"];
    let changes = names.map(|name| Source {
        name: name.into(),
        ..source.clone()
    });
    let outcomes = futures::future::join_all(
        changes
            .iter()
            .map(|change| store.update_source(&source, change, &door, None, None)),
    )
    .await;
    let won: Vec<&Source> = outcomes
        .iter()
        .zip(&changes)
        .filter(|(outcome, _)| outcome.is_ok())
        .map(|(_, source)| source)
        .collect();
    assert_eq!(won.len(), 1, "{outcomes:?}");
    let stored = Source {
        revision: 1,
        ..won[0].clone()
    };
    assert_eq!(store.source(&source.id).await, Ok(Some(stored)));
}

pub(super) async fn sources_come_in_pages(store: &Dynamo) {
    let mut all = Vec::new();
    let organization = OrganizationId::generate(now());
    for _ in 0..5 {
        let token = IngestToken::generate();
        let (mut source, mut door) = source(&token);
        source.organization = organization.clone();
        door.organization = organization.clone();
        store.create_source(&source, &door, &[], None).await.expect("create");
        all.push(source.id);
    }
    all.sort();
    let mut found: Vec<SourceId> = Vec::new();
    loop {
        let page = store
            .sources_after(&organization, found.last(), 2)
            .await
            .expect("a page");
        assert!(page.len() <= 2);
        if page.is_empty() {
            break;
        }
        found.extend(page.into_iter().map(|source| source.id));
    }
    assert_eq!(found, all);
    let stranger = OrganizationId::generate(now());
    assert_eq!(store.sources_after(&stranger, found.first(), 2).await, Ok(vec![]));
}
