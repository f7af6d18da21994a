//! `…/reverify`: what was rejected is verified once more, after the mistake behind it was mended.
//!
//! The work is `verify`'s: here a receipt in the inbox is only marked, so that its stream record wakes `verify`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use payload::source_health::Again;
use payload::{Clock, ReceiptId, SourceId};
use serde::{Deserialize, Serialize};

use crate::audit::{Action, NOTHING};
use crate::auth::Editor;
use crate::body::{Id, Json};
use crate::fields::required;
use crate::problem::ApiError;
use crate::receipts::{self, Status};
use crate::{App, Store, sources};

/// The most receipts that one call asks to be verified again: what is marked within the time that a request has.
pub(crate) const MAX_RECEIPTS: u16 = 500;

/// How many receipts are marked at the same time.
const CONCURRENCY: usize = 16;

/// Which of the receipts that a source rejected.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = ReverificationSpan, examples(json!({"since": "2025-03-25T13:00:00Z"})))]
pub(crate) struct Span {
    /// When the first of them arrived.
    #[schema(value_type = Timestamp)]
    since: Option<Timestamp>,
    /// The receipt behind which to go on: `next` of the answer before.
    after: Option<ReceiptId>,
}

/// How many receipts are verified again.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Reverification)]
struct Asked {
    /// How many of them are verified again now.
    requested: usize,
    /// Where to go on; `null` when these were all.
    #[schema(required)]
    next: Option<ReceiptId>,
}

/// The receipt that is verified again.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = ReceiptReference)]
struct AskedOne {
    /// The receipt.
    id: ReceiptId,
}

/// Verifies a rejected receipt again, under whatever scheme its source has now.
///
/// What is not rejected is refused. Of a receipt without any outcome it cannot be told whether it became an event before its source was
/// described in another way, and then it would become another one.
#[utoipa::path(
    post, path = "/v1/receipts/{id}/reverify", operation_id = "reverifyReceipt", tag = "Receipts",
    params(("id" = ReceiptId, Path, description = "The receipt.")),
    responses(
        (status = 202, description = "It is verified again, shortly.", body = AskedOne),
        (status = 409, description = "[not-rejected] It is not rejected: only what was rejected is verified again."),
    ),
    security(("key" = ["edit"])),
)]
pub(crate) async fn receipt<S: Store, C: Clock>(
    State(app): State<Arc<App<S, C>>>,
    caller: Editor,
    Id(id): Id<ReceiptId>,
) -> Result<Response, ApiError> {
    let found = receipts::find(&app.store, caller.organization(), id.clone()).await?;
    match found.status {
        Status::Rejected { .. } => {}
        Status::Accepted { .. } => return Err(ApiError::NotRejected("It became an event already.")),
        Status::Duplicate { .. } => return Err(ApiError::NotRejected("It repeats an event that is there already.")),
        Status::Received => {
            return Err(ApiError::NotRejected(
                "It has not been decided yet, or became an event.",
            ));
        }
    }
    let again = Again::new(false);
    let entry = caller.entry(app.clock.now(), Action::ReceiptReverified, &id, NOTHING, NOTHING);
    app.store.record(&entry).await?;
    if app.store.ask_again(caller.organization(), &id, &again).await? {
        Ok((StatusCode::ACCEPTED, axum::Json(AskedOne { id })).into_response())
    } else {
        // Its outcome outlived it.
        Err(ApiError::NotFound)
    }
}

/// Verifies again what a source rejected since a time.
///
/// Never under a weaker scheme than it came for. One call takes at most 500 receipts; `next` says where to go on. When it breaks off, the
/// same call again does no harm.
#[utoipa::path(
    post, path = "/v1/sources/{id}/reverify", operation_id = "reverifySource", tag = "Sources",
    params(("id" = SourceId, Path, description = "The source.")),
    request_body = Span,
    responses((status = 202, description = "They are verified again, shortly.", body = Asked)),
    security(("key" = ["edit"])),
)]
pub(crate) async fn source<S: Store, C: Clock>(
    State(app): State<Arc<App<S, C>>>,
    caller: Editor,
    Id(id): Id<SourceId>,
    Json(span): Json<Span>,
) -> Result<Response, ApiError> {
    // Ids carry a time since 1970.
    let since = required(span.since, "/since")?.max(Timestamp::UNIX_EPOCH);
    let (store, organization) = (&app.store, caller.organization());
    sources::find(store, organization, &id).await?;
    let asked = Span {
        since: Some(since),
        after: span.after.clone(),
    };
    // Each receipt is marked by a write of its own, so that the entry comes first.
    let entry = caller.entry(app.clock.now(), Action::SourceReverified, &id, NOTHING, Some(&asked));
    store.record(&entry).await?;
    let receipts = store
        .rejected_since(organization, &id, since, span.after.as_ref(), MAX_RECEIPTS)
        .await?;
    let next = receipts
        .last()
        .filter(|_| receipts.len() >= usize::from(MAX_RECEIPTS))
        .cloned();
    let again = &Again::new(true);
    let requested = stream::iter(receipts)
        .map(|receipt| async move { store.ask_again(organization, &receipt, again).await })
        .buffer_unordered(CONCURRENCY)
        .try_fold(0, async |asked, is_there| Ok(asked + usize::from(is_there)))
        .await?;
    Ok((StatusCode::ACCEPTED, axum::Json(Asked { requested, next })).into_response())
}
