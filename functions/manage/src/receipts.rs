//! `/v1/receipts`: what became of a request that was received.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use payload::receipt::ReceiptStatus;
use payload::scheme::Proof;
use payload::{Clock, EventId, OrganizationId, Receipt, ReceiptId, SourceId, preset};
use serde::Serialize;
use store::StoreError;

use crate::auth::Reader;
use crate::body::Id;
use crate::problem::ApiError;
use crate::{App, Store};

/// One HTTP request as it arrived, and what became of it.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Receipt)]
pub(crate) struct View {
    /// Its name for machines.
    id: ReceiptId,
    /// Where it came in.
    source: SourceId,
    /// When it arrived.
    received_at: Timestamp,
    #[serde(flatten)]
    pub(crate) status: Status,
}

/// What is known of a receipt.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = ReceiptStatus)]
#[serde(tag = "status", rename_all = "snake_case")]
pub(crate) enum Status {
    /// Stored; nothing more is known yet.
    Received,
    /// It became events.
    Accepted {
        /// The events.
        events: Vec<EventId>,
    },
    /// The same event was there already.
    Duplicate {
        /// The event that it repeats.
        event: EventId,
    },
    /// Not verified, or not readable.
    Rejected {
        /// A stable word, such as `signature_mismatch`.
        reason: String,
        /// What happened.
        detail: String,
        /// What a person should look at, where something can be told.
        #[serde(skip_serializing_if = "Option::is_none")]
        hint: Option<String>,
    },
}

/// Tells where a receipt went.
#[utoipa::path(
    get, path = "/v1/receipts/{id}", operation_id = "getReceipt", tag = "Receipts",
    params(("id" = ReceiptId, Path, description = "The receipt.")),
    responses((status = 200, description = "What is known of it.", body = View)),
    security(("key" = ["read"])),
)]
pub(crate) async fn read<S: Store, C: Clock>(
    State(app): State<Arc<App<S, C>>>,
    caller: Reader,
    Id(id): Id<ReceiptId>,
) -> Result<Response, ApiError> {
    let view = find(&app.store, caller.organization(), id).await?;
    Ok(axum::Json(view).into_response())
}

/// A receipt of this organization, and where it went.
///
/// Only what made no event has an item of its own, to save a write for each that did. The events of an accepted receipt are found by
/// their ids, which follow from the receipt, and they name it.
pub(crate) async fn find<S: Store>(store: &S, organization: &OrganizationId, id: ReceiptId) -> Result<View, ApiError> {
    let receipt = store.receipt(&id).await?;
    let receipt = receipt.filter(|receipt| receipt.organization == *organization);
    let outcome = store.outcome(&id).await?;
    let outcome = outcome.filter(|outcome| outcome.organization == *organization);
    // Events first: a receipt that was rejected once may have been verified again since.
    let events = match &receipt {
        Some(receipt) => events_of(store, receipt).await?,
        None => Vec::new(),
    };
    let status = match outcome.as_ref().map(|outcome| outcome.status.clone()) {
        _ if !events.is_empty() => Status::Accepted { events },
        Some(ReceiptStatus::Duplicate { event }) => Status::Duplicate { event },
        Some(ReceiptStatus::Rejected { reason, detail, hint }) => Status::Rejected { reason, detail, hint },
        Some(ReceiptStatus::Accepted { event }) => Status::Accepted { events: vec![event] },
        None => Status::Received,
    };
    let (source, received_at) = match (receipt, outcome) {
        (Some(receipt), _) => (receipt.source, receipt.received_at),
        (None, Some(outcome)) => (outcome.source, outcome.received_at),
        (None, None) => return Err(ApiError::NotFound),
    };
    Ok(View {
        id,
        source,
        received_at,
        status,
    })
}

/// The events that were made of this receipt: those that it would make, as far as they are there and name it. What another receipt made
/// under the same id is not among them, so that a forged request does not pass for an accepted one.
async fn events_of<S: Store>(store: &S, receipt: &Receipt) -> Result<Vec<EventId>, StoreError> {
    let Some(source) = store.source(&receipt.source).await? else {
        return Ok(Vec::new());
    };
    let Some(effective) = source.effective() else {
        return Ok(Vec::new());
    };
    // Only the ids are read of what comes out here: nothing is taken for verified.
    let unproven = Proof::of_nothing("");
    let mut found = Vec::new();
    for candidate in preset::map(&effective, receipt, unproven).unwrap_or_default() {
        if let Some(event) = store.event(&candidate.id).await?
            && event.receipt.as_ref() == Some(&receipt.id)
        {
            found.push(event.id);
        }
    }
    Ok(found)
}
