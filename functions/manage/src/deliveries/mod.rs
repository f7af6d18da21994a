//! `/v1/deliveries`: what was sent where, and what came back.

mod list;
mod stats;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use payload::delivery::{Attempt, Delivery, DeliveryStatus};
use payload::id::InvalidId;
use payload::{Clock, EventId, JobId, MessageId, OrganizationId, WebhookId};
use serde::{Serialize, Serializer};
use store::StoreError;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::audit::{Action, NOTHING};
use crate::auth::{Editor, Reader};
use crate::body::Id;
use crate::problem::ApiError;
use crate::{App, Store};

pub(crate) use list::{__path_list, list};
pub(crate) use stats::{__path_stats, stats};

/// How often the removal of an answer begins anew because of another attempt meanwhile.
const REMOVAL_TRIES: usize = 4;

/// The id of a delivery: its event and its webhook, with a dot between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeliveryId {
    event: EventId,
    webhook: WebhookId,
}

impl FromStr for DeliveryId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let (event, webhook) = text.split_once('.').unwrap_or((text, ""));
        Ok(Self {
            event: event.parse()?,
            webhook: webhook.parse()?,
        })
    }
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.event, self.webhook)
    }
}

impl Serialize for DeliveryId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl PartialSchema for DeliveryId {
    fn schema() -> RefOr<Schema> {
        let id = ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some(r"^evt_[0-9a-f]{40}\.wh_[0-7][0-9A-HJKMNP-TV-Z]{25}$"))
            .examples(["evt_00112233445566778899aabbccddeeff00112233.wh_01JQ6ZQ0M0000000000000000A"]);
        id.into()
    }
}

impl ToSchema for DeliveryId {}

/// One event for one webhook, with its attempts.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Delivery)]
pub(crate) struct DeliveryView {
    /// The event's id and the webhook's, with a dot between them.
    id: DeliveryId,
    /// The event.
    event: EventId,
    /// The webhook.
    webhook: WebhookId,
    /// Where it stands.
    status: DeliveryStatus,
    /// When it was first recorded.
    created_at: Timestamp,
    /// When it is tried next; `null` when it has ended.
    #[schema(required)]
    next_attempt: Option<Timestamp>,
    /// What was tried, oldest first. The start of an answer is kept of the last one only.
    attempts: Vec<Attempt>,
    /// How many older attempts are not kept; absent where all are.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts_dropped: Option<u32>,
    /// The job that asked for it last; absent where none did.
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<JobId>,
    /// The `webhook-id` of its attempts, where it is not the event's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<MessageId>,
}

impl From<Delivery> for DeliveryView {
    fn from(delivery: Delivery) -> Self {
        let Delivery {
            event,
            webhook,
            status,
            created_at,
            next_attempt,
            attempts,
            replay,
            ..
        } = delivery;
        Self {
            id: DeliveryId {
                event: event.clone(),
                webhook: webhook.clone(),
            },
            event,
            webhook,
            status,
            created_at,
            next_attempt,
            attempts,
            attempts_dropped: Some(replay.dropped).filter(|dropped| *dropped > 0),
            job: replay.job,
            message_id: replay.message_id,
        }
    }
}

/// Reads one delivery with all its attempts.
#[utoipa::path(
    get, path = "/v1/deliveries/{id}", operation_id = "getDelivery", tag = "Deliveries",
    params(("id" = DeliveryId, Path, description = "The event's id and the webhook's, with a dot between them.")),
    responses((status = 200, description = "The delivery.", body = DeliveryView)),
    security(("key" = ["read"])),
)]
pub(crate) async fn read<S: Store, C: Clock>(
    State(app): State<Arc<App<S, C>>>,
    caller: Reader,
    Id(id): Id<DeliveryId>,
) -> Result<Json<DeliveryView>, ApiError> {
    let delivery = find(&app.store, caller.organization(), &id).await?;
    Ok(Json(delivery.ok_or(ApiError::NotFound)?.into()))
}

/// Removes what the destination answered, which may hold anything.
#[utoipa::path(
    delete, path = "/v1/deliveries/{id}/answer", operation_id = "removeAnswer", tag = "Deliveries",
    params(("id" = DeliveryId, Path, description = "The event's id and the webhook's, with a dot between them.")),
    responses(
        (status = 204, description = "Nothing is kept of it, or nothing was."),
        (status = 409, description = "[conflict] An attempt was made at the same time. Try again."),
    ),
    security(("key" = ["edit"])),
)]
pub(crate) async fn remove_answer<S: Store, C: Clock>(
    State(app): State<Arc<App<S, C>>>,
    caller: Editor,
    Id(id): Id<DeliveryId>,
) -> Result<StatusCode, ApiError> {
    if find(&app.store, caller.organization(), &id).await?.is_none() {
        return Err(ApiError::NotFound);
    }
    // The removal is a write of its own, so that the entry comes first.
    let entry = caller.entry(app.clock.now(), Action::DeliveryAnswerRemoved, &id, NOTHING, NOTHING);
    app.store.record(&entry).await?;
    let mut outcome = Err(StoreError::Conflict);
    for _ in 0..REMOVAL_TRIES {
        outcome = app
            .store
            .remove_answers(caller.organization(), &id.event, &id.webhook)
            .await;
        if outcome != Err(StoreError::Conflict) {
            break;
        }
    }
    if outcome? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        // Its time to live ended meanwhile.
        Err(ApiError::NotFound)
    }
}

/// A delivery of this organization.
async fn find<S: Store>(
    store: &S,
    organization: &OrganizationId,
    id: &DeliveryId,
) -> Result<Option<Delivery>, StoreError> {
    let delivery = store.delivery(&id.event, &id.webhook).await?;
    Ok(delivery.filter(|delivery| delivery.organization == *organization))
}
