//! `/v1/audit`: who changed what, and when. Every change carries its entry here in the same write.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use payload::audit::{Actor, AuditEntry};
use payload::organization::Role;
use payload::{AuditId, Clock, KeyId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use store::AuditSpan;

use crate::auth::{Admin, Caller};
use crate::page::{Cursor, Limit, Order, Page, Query, span};
use crate::problem::ApiError;
use crate::{App, Store};

/// What a change is called in the trail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    SourceCreated,
    SourceUpdated,
    SourceDeleted,
    SourceSecretRotated,
    SourceTokenRotated,
    SourceReverified,
    ReceiptReverified,
    WebhookCreated,
    WebhookUpdated,
    WebhookDeleted,
    WebhookSecretRotated,
    WebhookTested,
    DeliveryAnswerRemoved,
    KeyCreated,
    KeyRevoked,
    JobCreated,
    JobCancelled,
}

impl Action {
    /// The stable word of it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::SourceCreated => "source.created",
            Self::SourceUpdated => "source.updated",
            Self::SourceDeleted => "source.deleted",
            Self::SourceSecretRotated => "source.secret_rotated",
            Self::SourceTokenRotated => "source.token_rotated",
            Self::SourceReverified => "source.reverified",
            Self::ReceiptReverified => "receipt.reverified",
            Self::WebhookCreated => "webhook.created",
            Self::WebhookUpdated => "webhook.updated",
            Self::WebhookDeleted => "webhook.deleted",
            Self::WebhookSecretRotated => "webhook.secret_rotated",
            Self::WebhookTested => "webhook.tested",
            Self::DeliveryAnswerRemoved => "delivery.answer_removed",
            Self::KeyCreated => "key.created",
            Self::KeyRevoked => "key.revoked",
            Self::JobCreated => "job.created",
            Self::JobCancelled => "job.cancelled",
        }
    }
}

/// The members of a JSON object, each as the text that it has in an answer.
type Members = BTreeMap<String, Box<RawValue>>;

impl Caller {
    /// The entry of something that this caller does, to `resource`. What was and what is are given as the API shows them, without secrets;
    /// where there are both, the entry holds the members that differ.
    pub(crate) fn entry(
        &self,
        now: Timestamp,
        action: Action,
        resource: impl ToString,
        before: Option<&impl Serialize>,
        after: Option<&impl Serialize>,
    ) -> AuditEntry {
        let (mut before, mut after) = (before.and_then(members), after.and_then(members));
        if let (Some(before), Some(after)) = (&mut before, &mut after) {
            let is_same = |name: &str, value: &RawValue, other: &Members| {
                other.get(name).is_some_and(|other| other.get() == value.get())
            };
            let was = before.clone();
            before.retain(|name, value| !is_same(name, value, after));
            after.retain(|name, value| !is_same(name, value, &was));
        }
        let key = self.key();
        let text = |members: Option<Members>| members.and_then(|members| serde_json::to_string(&members).ok());
        AuditEntry {
            id: AuditId::generate(now),
            organization: self.organization().clone(),
            at: now,
            actor: Actor::Key {
                id: key.id.clone(),
                name: key.name.clone(),
                role: key.role,
            },
            action: action.as_str().to_owned(),
            resource: resource.to_string(),
            before: text(before),
            after: text(after),
        }
    }
}

/// Nothing to say of how it was, or how it is.
pub(crate) const NOTHING: Option<&()> = None;

fn members(view: &impl Serialize) -> Option<Members> {
    serde_json::from_str(&serde_json::to_string(view).ok()?).ok()
}

/// What an entry says beside a view: which secrets were given anew. Their values are nowhere.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WithSecrets<'a, V> {
    #[serde(flatten)]
    pub(crate) view: &'a V,
    /// Which secrets took the place of others.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(crate) replaced_secrets: &'a [&'static str],
}

/// The most bytes of what was and what is in one page: an answer of a function has at most 6 MB.
const MAX_PAGE_BYTES: usize = 3 * 1024 * 1024;

/// How many of the first entries an answer holds, at least one.
fn fitting(entries: &[AuditEntry]) -> usize {
    let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let mut bytes = 0;
    let fits = |entry: &&AuditEntry| {
        bytes += length(&entry.before) + length(&entry.after);
        bytes <= MAX_PAGE_BYTES
    };
    entries.iter().take_while(fits).count().max(1)
}

/// The parameters of the audit trail.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct Parameters {
    /// From then on.
    since: Option<Timestamp>,
    /// Before then.
    until: Option<Timestamp>,
    /// Newest first, unless it says otherwise.
    #[param(inline)]
    order: Order,
    /// How many entries a page has at most.
    #[param(inline)]
    limit: Limit,
    /// `next` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor<AuditId>>,
}

/// One change that somebody made.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AuditEntry)]
pub(crate) struct View {
    /// Its id, which sorts by time.
    id: AuditId,
    /// When it was made.
    at: Timestamp,
    /// The API key that it was made with; `null` when it was the operator of the installation.
    #[schema(required)]
    key: Option<KeyView>,
    /// What was done.
    action: String,
    /// The id of what it was done to.
    resource: String,
    /// What it was: all of it when it was deleted, otherwise the members that changed; `null` when it was created.
    #[schema(value_type = Option<Object>, required)]
    before: Option<Box<RawValue>>,
    /// What it became: all of it when it was created, otherwise the members that changed; `null` when it was deleted.
    #[schema(value_type = Option<Object>, required)]
    after: Option<Box<RawValue>>,
}

/// The API key that a change was made with, as it was then.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = AuditKey)]
struct KeyView {
    /// Its id.
    id: KeyId,
    /// Its name.
    name: String,
    /// Its role.
    role: Role,
}

impl View {
    fn of(entry: AuditEntry) -> Self {
        let json = |text: Option<String>| text.and_then(|text| RawValue::from_string(text).ok());
        Self {
            id: entry.id,
            at: entry.at,
            key: match entry.actor {
                Actor::Key { id, name, role } => Some(KeyView { id, name, role }),
                Actor::Operator => None,
            },
            action: entry.action,
            resource: entry.resource,
            before: json(entry.before),
            after: json(entry.after),
        }
    }
}

/// Lists who changed what, and when.
#[utoipa::path(
    get, path = "/v1/audit", operation_id = "listAudit", tag = "Audit",
    params(Parameters),
    responses((status = 200, description = "One page of the trail.", body = Page<View>)),
    security(("key" = ["administer"])),
)]
pub(crate) async fn list<S: Store, C: Clock>(
    State(app): State<Arc<App<S, C>>>,
    caller: Admin,
    Query(parameters): Query<Parameters>,
) -> Result<Response, ApiError> {
    let Parameters {
        since,
        until,
        order,
        limit,
        cursor,
    } = parameters;
    span(since, until)?;
    let asked = AuditSpan {
        since,
        until,
        newest_first: order == Order::Desc,
        after: cursor.map(|Cursor(after)| after),
    };
    let entries = app
        .store
        .audit_of(caller.organization(), &asked, limit.and_one())
        .await?;
    let most = limit.rows().min(fitting(&entries));
    let page = Page::first(most, entries, |entry| entry.id.clone(), View::of);
    Ok(axum::Json(page).into_response())
}
