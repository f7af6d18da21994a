//! Making, listing and reading organizations, their first keys, and how much they may register.

use jiff::Timestamp;
use payload::organization::{ApiKey, ApiKeyText, Organization, Quota, Role, Suspension};
use payload::webhook::MAX_NAME_CHARS;
use payload::{Clock, KeyId, OrganizationId};
use serde::Serialize;
use serde_json::{Value, json};
use store::StoreError;

use crate::audit::Action;
use crate::{FailedRecords, Operate, OperateError, Store};

/// How many organizations a page has, where nothing is said.
const PAGE: u16 = 50;

/// The most organizations of a page.
const MAX_PAGE: u16 = 100;

/// The most sources and webhooks that a quota may allow: lists of them are read as a whole.
const MAX_REGISTERED: u32 = 10_000;

/// The most API keys that a quota may allow.
const MAX_KEYS: u32 = 1_000;

/// An organization as the operator sees it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct View<'a> {
    /// Its id.
    id: &'a OrganizationId,
    /// Its name for people.
    name: &'a str,
    /// When it was made.
    created_at: Timestamp,
    /// `active` or `suspended`.
    status: &'static str,
    /// Why and since when it is suspended; `null` while it is active.
    suspension: Option<&'a Suspension>,
}

impl<'a> From<&'a Organization> for View<'a> {
    fn from(organization: &'a Organization) -> Self {
        let suspension = organization.suspension.as_ref();
        Self {
            id: &organization.id,
            name: &organization.name,
            created_at: organization.created_at,
            status: if suspension.is_some() { "suspended" } else { "active" },
            suspension,
        }
    }
}

/// How much an organization may register.
fn limits(quota: &Quota) -> Value {
    json!({"sources": quota.max_sources(), "webhooks": quota.max_webhooks(), "keys": quota.max_keys()})
}

impl<S: Store, F: FailedRecords, C: Clock> Operate<S, F, C> {
    pub(crate) async fn create_organization(&self, name: &str) -> Result<Value, OperateError> {
        let now = self.clock.now();
        let organization = Organization {
            id: OrganizationId::generate(now),
            name: checked_text("name", name)?,
            created_at: now,
            suspension: None,
            quota: Quota::default(),
        };
        let (key, text) = self.admin_key(&organization, None)?;
        let after = json!({"name": organization.name, "key": key.id});
        let entry = self.entry(
            &organization.id,
            Action::OrganizationCreated,
            &organization.id,
            None,
            Some(&after),
        );
        let store = self.store.recording(entry);
        store.create_organization(&organization, &key, &text.hash()).await?;
        tracing::info!(outcome = "created", action = "createOrganization", organization = %organization.id, key = %key.id, "created");
        Ok(answer(&organization, &key, &text))
    }

    pub(crate) async fn create_admin_key(&self, id: OrganizationId, name: Option<&str>) -> Result<Value, OperateError> {
        let organization = self.organization(id).await?;
        let (key, text) = self.admin_key(&organization, name)?;
        let after = json!({"id": key.id, "name": key.name, "role": key.role, "prefix": key.prefix});
        let entry = self.entry(&organization.id, Action::KeyCreated, &key.id, None, Some(&after));
        let added = self.store.recording(entry).add_key(&key, &text.hash()).await;
        added.map_err(|error| match error {
            // It was deleted, suspended or resumed between the two calls.
            StoreError::Conflict => OperateError::OrganizationNotFound(organization.id.clone()),
            other => OperateError::Store(other),
        })?;
        tracing::info!(outcome = "created", action = "createAdminKey", organization = %organization.id, key = %key.id, "created");
        Ok(answer(&organization, &key, &text))
    }

    pub(crate) async fn list_organizations(
        &self,
        limit: Option<u16>,
        next: Option<String>,
    ) -> Result<Value, OperateError> {
        let limit = limit.unwrap_or(PAGE);
        if !(1..=MAX_PAGE).contains(&limit) {
            return Err(OperateError::invalid("limit", format!("must be from 1 to {MAX_PAGE}")));
        }
        let after: Option<OrganizationId> = next
            .map(|next| next.parse())
            .transpose()
            .map_err(|error| OperateError::invalid("next", error))?;
        let ids = self.store.organizations_after(after.as_ref(), limit).await?;
        let next = ids.last().filter(|_| ids.len() >= usize::from(limit)).cloned();
        let mut organizations = Vec::new();
        for id in &ids {
            // Deleted between the two reads.
            organizations.extend(self.store.organization(id).await?);
        }
        let data: Vec<View<'_>> = organizations.iter().map(View::from).collect();
        tracing::info!(outcome = "read", action = "listOrganizations", "read");
        Ok(json!({"data": data, "next": next}))
    }

    pub(crate) async fn get_organization(&self, id: OrganizationId) -> Result<Value, OperateError> {
        let organization = self.organization(id).await?;
        let keys = self.store.keys_of(&organization.id).await?;
        let keys: Vec<KeyId> = keys.into_iter().map(|key| key.id).collect();
        tracing::info!(outcome = "read", action = "getOrganization", organization = %organization.id, "read");
        Ok(json!({
            "organization": View::from(&organization),
            "keys": keys,
            "quota": limits(&organization.quota),
        }))
    }

    pub(crate) async fn set_quota(&self, id: OrganizationId, quota: Quota) -> Result<Value, OperateError> {
        for (field, limit, most) in [
            ("quota.sources", quota.sources, MAX_REGISTERED),
            ("quota.webhooks", quota.webhooks, MAX_REGISTERED),
            ("quota.keys", quota.keys, MAX_KEYS),
        ] {
            if limit.is_some_and(|limit| limit > most) {
                return Err(OperateError::invalid(field, format!("must be at most {most}")));
            }
        }
        let organization = self.organization(id).await?;
        if organization.quota != quota {
            let (before, after) = (limits(&organization.quota), limits(&quota));
            let entry = self.entry(
                &organization.id,
                Action::OrganizationQuotaSet,
                &organization.id,
                Some(&before),
                Some(&after),
            );
            let set = self.store.recording(entry).set_quota(&organization.id, &quota).await;
            set.map_err(|error| or_gone(error, &organization.id))?;
        }
        tracing::info!(outcome = "changed", action = "setQuota", organization = %organization.id, "changed");
        Ok(json!({"organization": View::from(&organization), "quota": limits(&quota)}))
    }

    fn admin_key(&self, organization: &Organization, name: Option<&str>) -> Result<(ApiKey, ApiKeyText), OperateError> {
        let text = ApiKeyText::generate();
        let name = checked_text("name", name.unwrap_or("admin"))?;
        let mut key = ApiKey::new(organization.id.clone(), Role::Admin, name, &text, self.clock.now());
        key.suspended = organization.suspension.is_some();
        Ok((key, text))
    }
}

/// The organization was deleted between two calls.
pub(crate) fn or_gone(error: StoreError, organization: &OrganizationId) -> OperateError {
    match error {
        StoreError::Conflict => OperateError::OrganizationNotFound(organization.clone()),
        other => OperateError::Store(other),
    }
}

/// The one place where an admin key leaves us.
fn answer(organization: &Organization, key: &ApiKey, text: &ApiKeyText) -> Value {
    json!({ "organization": View::from(organization), "adminKey": text.expose(), "adminKeyId": key.id })
}

/// A line of text for people.
pub(crate) fn checked_text(field: &str, text: &str) -> Result<String, OperateError> {
    let text = text.trim();
    let characters = text.chars().count();
    if characters == 0 || characters > MAX_NAME_CHARS || text.chars().any(char::is_control) {
        let problem = format!("must have 1 to {MAX_NAME_CHARS} characters, none of them a control character");
        return Err(OperateError::invalid(field, problem));
    }
    Ok(text.to_owned())
}
