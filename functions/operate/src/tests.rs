//! Every command and every error, against a small store in memory.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::collections::HashMap;
use std::sync::Mutex;

use super::*;

#[derive(Debug)]
struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        "2025-03-25T13:31:00Z".parse().unwrap()
    }
}

#[derive(Debug, Default)]
struct Fake {
    organizations: Mutex<HashMap<OrganizationId, Organization>>,
    keys: Mutex<Vec<(ApiKey, String)>>,
    fault: Mutex<Option<StoreError>>,
}

impl Fake {
    fn strike(&self) -> Result<(), StoreError> {
        self.fault.lock().unwrap().clone().map_or(Ok(()), Err)
    }
}

impl Organizations for Fake {
    async fn create_organization(
        &self,
        organization: &Organization,
        key: &ApiKey,
        hash: &str,
    ) -> Result<(), StoreError> {
        self.strike()?;
        self.organizations
            .lock()
            .unwrap()
            .insert(organization.id.clone(), organization.clone());
        self.keys.lock().unwrap().push((key.clone(), hash.into()));
        Ok(())
    }

    async fn organization(&self, id: &OrganizationId) -> Result<Option<Organization>, StoreError> {
        if self
            .fault
            .lock()
            .unwrap()
            .as_ref()
            .is_some_and(StoreError::is_transient)
        {
            self.strike()?;
        }
        Ok(self.organizations.lock().unwrap().get(id).cloned())
    }
}

impl KeyRegistry for Fake {
    async fn add_key(&self, key: &ApiKey, hash: &str) -> Result<(), StoreError> {
        self.strike()?;
        self.keys.lock().unwrap().push((key.clone(), hash.into()));
        Ok(())
    }

    async fn keys_of(&self, id: &OrganizationId) -> Result<Vec<ApiKey>, StoreError> {
        Ok(self
            .keys
            .lock()
            .unwrap()
            .iter()
            .filter(|(key, _)| key.organization == *id)
            .map(|(key, _)| key.clone())
            .collect())
    }

    async fn key_of(&self, _: &OrganizationId, _: &KeyId) -> Result<Option<ApiKey>, StoreError> {
        Err(StoreError::Refused("the operator reads no single key".into()))
    }

    async fn revoke_key(&self, _: &OrganizationId, _: &KeyId, _: &KeyId) -> Result<bool, StoreError> {
        Err(StoreError::Refused("the operator revokes no single key".into()))
    }
}

fn function() -> Operate<Fake, FixedClock> {
    Operate::new(Fake::default(), FixedClock)
}

async fn error(function: &Operate<Fake, FixedClock>, command: Value) -> Diagnostic {
    function.handle(command).await.unwrap_err().into()
}

#[tokio::test]
async fn an_organization_is_created_with_a_key_that_opens_it() {
    let function = function();
    let created = function
        .handle(json!({"action": "createOrganization", "name": " Example Ltd "}))
        .await
        .unwrap();
    let id = created["organization"]["id"].as_str().unwrap();
    assert_eq!(
        created["organization"],
        json!({"id": id, "name": "Example Ltd", "createdAt": "2025-03-25T13:31:00Z"})
    );
    let text = created["adminKey"].as_str().unwrap();
    assert!(text.starts_with("hk_"));
    let (key, hash) = function.store.keys.lock().unwrap()[0].clone();
    assert_eq!(hash, ApiKeyText::from_client(text).hash());
    assert_eq!((key.organization.as_str(), key.role), (id, Role::Admin));
    assert_eq!(created["adminKeyId"], json!(key.id));

    let another = function
        .handle(json!({"action": "createAdminKey", "organization": id, "name": "new admin"}))
        .await
        .unwrap();
    assert_ne!(another["adminKey"], created["adminKey"]);
    assert_eq!(another["organization"], created["organization"]);
    assert_eq!(function.store.keys.lock().unwrap()[1].0.name, "new admin");

    let read = function
        .handle(json!({"action": "getOrganization", "organization": id}))
        .await
        .unwrap();
    assert_eq!(
        read,
        json!({"organization": created["organization"], "keys": [created["adminKeyId"], another["adminKeyId"]]})
    );
}

#[tokio::test]
async fn what_is_no_command_says_why() {
    let function = function();
    let id = OrganizationId::generate(Timestamp::UNIX_EPOCH);
    for (command, word) in [
        (json!(null), "invalid type"),
        (json!("createOrganization"), "string"),
        (json!({}), "action"),
        (json!({"action": "drop"}), "drop"),
        (json!({"action": "createOrganization"}), "name"),
        (json!({"action": "createOrganization", "name": 1}), "string"),
        (json!({"action": "createOrganization", "name": "  "}), "name"),
        (json!({"action": "createOrganization", "name": "a\nb"}), "name"),
        (json!({"action": "createOrganization", "name": "a".repeat(101)}), "name"),
        (
            json!({"action": "createOrganization", "name": "a", "nmae": "b"}),
            "nmae",
        ),
        (json!({"action": "createAdminKey", "organization": "org_1"}), "org_"),
        (
            json!({"action": "getOrganization", "organization": id, "name": "a"}),
            "name",
        ),
    ] {
        let diagnostic = error(&function, command.clone()).await;
        assert_eq!(diagnostic.error_type, "InvalidCommand", "{command}");
        assert!(
            diagnostic.error_message.contains(word),
            "{command}: {}",
            diagnostic.error_message
        );
    }
    assert!(function.store.organizations.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_unknown_organization_is_said_so() {
    let function = function();
    let id = OrganizationId::generate(Timestamp::UNIX_EPOCH);
    for action in ["createAdminKey", "getOrganization"] {
        assert_eq!(
            error(&function, json!({"action": action, "organization": id}))
                .await
                .error_type,
            "OrganizationNotFound"
        );
    }
    let created = function
        .handle(json!({"action": "createOrganization", "name": "a"}))
        .await
        .unwrap();
    *function.store.fault.lock().unwrap() = Some(StoreError::Conflict);
    let command = json!({"action": "createAdminKey", "organization": created["organization"]["id"]});
    assert_eq!(error(&function, command).await.error_type, "OrganizationNotFound");
}

#[tokio::test]
async fn a_failing_store_keeps_its_details_to_the_log() {
    let function = function();
    for (fault, error_type) in [
        (StoreError::Unavailable("table X".into()), "StoreUnavailable"),
        (StoreError::Refused("table X".into()), "StoreFailed"),
    ] {
        *function.store.fault.lock().unwrap() = Some(fault);
        let diagnostic = error(&function, json!({"action": "createOrganization", "name": "a"})).await;
        assert_eq!(diagnostic.error_type, error_type);
        assert!(!diagnostic.error_message.contains("table X"));
    }
}
