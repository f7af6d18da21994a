//! For the operator, by direct invocation only: organizations and their first (or a lost) admin key.
//!
//! ```json
//! {"action": "createOrganization", "name": "Example Ltd"}
//! {"action": "createAdminKey", "organization": "org_…", "name": "for the new admin"}
//! {"action": "getOrganization", "organization": "org_…"}
//! ```

#[cfg(test)]
mod tests;

use jiff::Timestamp;
use lambda_runtime::Diagnostic;
use payload::organization::{ApiKey, ApiKeyText, Organization, Role};
use payload::webhook::MAX_NAME_CHARS;
use payload::{Clock, KeyId, OrganizationId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{KeyRegistry, Organizations, StoreError};

/// What the operator asks for. Unknown actions and fields are errors: a misspelt field must not be a different command.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "action", rename_all = "camelCase", deny_unknown_fields)]
pub enum Command {
    /// A new tenant with its first admin key, which is shown only in this answer.
    #[serde(rename_all = "camelCase")]
    CreateOrganization {
        /// Its name for people, at most [`MAX_NAME_CHARS`] characters.
        name: String,
    },
    /// One more admin key, for when the last one is lost. It is shown only in this answer.
    #[serde(rename_all = "camelCase")]
    CreateAdminKey {
        /// The tenant.
        organization: OrganizationId,
        /// The key's name for people; `admin` when it has none.
        #[serde(default)]
        name: Option<String>,
    },
    /// A tenant and the ids of its keys.
    #[serde(rename_all = "camelCase")]
    GetOrganization {
        /// The tenant.
        organization: OrganizationId,
    },
}

/// Why a command was not carried out. Lambda tells it as `{"errorType", "errorMessage"}`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OperateError {
    /// Not a command, or one with a field that cannot be right.
    #[error("not a command: {0}")]
    InvalidCommand(String),
    /// There is no such organization.
    #[error("there is no organization {0}")]
    OrganizationNotFound(OrganizationId),
    /// The store failed. The log has the cause.
    #[error("the store failed ({}); the log has the cause", .0.error_type())]
    Store(#[from] StoreError),
}

impl OperateError {
    /// A stable word for `errorType` and the log.
    #[must_use]
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::InvalidCommand(_) => "InvalidCommand",
            Self::OrganizationNotFound(_) => "OrganizationNotFound",
            Self::Store(error) if error.is_transient() => "StoreUnavailable",
            Self::Store(_) => "StoreFailed",
        }
    }
}

impl From<OperateError> for Diagnostic {
    fn from(error: OperateError) -> Self {
        Self {
            error_type: error.error_type().into(),
            error_message: error.to_string(),
        }
    }
}

/// Carries out commands.
#[derive(Debug)]
pub struct Operate<S, C> {
    store: S,
    clock: C,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OrganizationView<'a> {
    id: &'a OrganizationId,
    name: &'a str,
    created_at: Timestamp,
}

impl<'a> From<&'a Organization> for OrganizationView<'a> {
    fn from(organization: &'a Organization) -> Self {
        Self {
            id: &organization.id,
            name: &organization.name,
            created_at: organization.created_at,
        }
    }
}

/// What this step may do with the tables.
pub trait Store: Organizations + KeyRegistry {}

impl<T: Organizations + KeyRegistry> Store for T {}

impl<S: Store, C: Clock> Operate<S, C> {
    /// A function that works on `store` at the time of `clock`.
    pub fn new(store: S, clock: C) -> Self {
        Self { store, clock }
    }

    /// Carries out one command, given as the JSON of a [`Command`]. Answers:
    ///
    /// | action | answer |
    /// |---|---|
    /// | `createOrganization` | `{"organization": {"id", "name", "createdAt"}, "adminKey": "hk_…", "adminKeyId": "key_…"}` |
    /// | `createAdminKey` | the same |
    /// | `getOrganization` | `{"organization": {"id", "name", "createdAt"}, "keys": ["key_…"]}` |
    ///
    /// # Errors
    /// Why it was not carried out.
    pub async fn handle(&self, command: Value) -> Result<Value, OperateError> {
        let done = match serde_json::from_value(command) {
            Ok(command) => self.carry_out(command).await,
            Err(error) => Err(OperateError::InvalidCommand(error.to_string())),
        };
        if let Err(error) = &done {
            let cause = if let OperateError::Store(cause) = error {
                cause.to_string()
            } else {
                error.to_string()
            };
            tracing::error!(
                outcome = "failed",
                error_type = error.error_type(),
                error = cause,
                "failed"
            );
        }
        done
    }

    async fn carry_out(&self, command: Command) -> Result<Value, OperateError> {
        match command {
            Command::CreateOrganization { name } => self.create_organization(&name).await,
            Command::CreateAdminKey { organization, name } => {
                self.create_admin_key(organization, name.as_deref()).await
            }
            Command::GetOrganization { organization } => {
                let organization = self.organization(organization).await?;
                let keys = self.store.keys_of(&organization.id).await?;
                let keys: Vec<KeyId> = keys.into_iter().map(|key| key.id).collect();
                tracing::info!(outcome = "read", action = "getOrganization", organization = %organization.id, "read");
                Ok(json!({ "organization": OrganizationView::from(&organization), "keys": keys }))
            }
        }
    }

    async fn create_organization(&self, name: &str) -> Result<Value, OperateError> {
        let now = self.clock.now();
        let organization = Organization {
            id: OrganizationId::generate(now),
            name: checked_name(name)?,
            created_at: now,
        };
        let (key, text) = self.admin_key(&organization, None)?;
        self.store
            .create_organization(&organization, &key, &text.hash())
            .await?;
        tracing::info!(outcome = "created", action = "createOrganization", organization = %organization.id, key = %key.id, "created");
        Ok(answer(&organization, &key, &text))
    }

    async fn create_admin_key(&self, id: OrganizationId, name: Option<&str>) -> Result<Value, OperateError> {
        let organization = self.organization(id).await?;
        let (key, text) = self.admin_key(&organization, name)?;
        self.store
            .add_key(&key, &text.hash())
            .await
            .map_err(|error| match error {
                // It was deleted between the two calls.
                StoreError::Conflict => OperateError::OrganizationNotFound(organization.id.clone()),
                other => OperateError::Store(other),
            })?;
        tracing::info!(outcome = "created", action = "createAdminKey", organization = %organization.id, key = %key.id, "created");
        Ok(answer(&organization, &key, &text))
    }

    async fn organization(&self, id: OrganizationId) -> Result<Organization, OperateError> {
        self.store
            .organization(&id)
            .await?
            .ok_or(OperateError::OrganizationNotFound(id))
    }

    fn admin_key(&self, organization: &Organization, name: Option<&str>) -> Result<(ApiKey, ApiKeyText), OperateError> {
        let text = ApiKeyText::generate();
        let name = checked_name(name.unwrap_or("admin"))?;
        let key = ApiKey::new(organization.id.clone(), Role::Admin, name, &text, self.clock.now());
        Ok((key, text))
    }
}

/// The one place where an admin key leaves us.
fn answer(organization: &Organization, key: &ApiKey, text: &ApiKeyText) -> Value {
    json!({ "organization": OrganizationView::from(organization), "adminKey": text.expose(), "adminKeyId": key.id })
}

fn checked_name(name: &str) -> Result<String, OperateError> {
    let name = name.trim();
    let characters = name.chars().count();
    if characters == 0 || characters > MAX_NAME_CHARS || name.chars().any(char::is_control) {
        let problem = format!("name: must have 1 to {MAX_NAME_CHARS} characters, none of them a control character");
        return Err(OperateError::InvalidCommand(problem));
    }
    Ok(name.to_owned())
}
