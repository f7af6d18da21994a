//! `GET /v1/webhooks/{id}/stats`: how many deliveries a webhook has had.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use jiff::{SignedDuration, Timestamp};
use payload::{Clock, WebhookId};
use serde::{Deserialize, Serialize};
use store::lists::DeliveryCounts;

use crate::auth::Reader;
use crate::body::Id;
use crate::page::{self, Query};
use crate::problem::ApiError;
use crate::{App, Store};

/// The most deliveries that one request counts.
const MAX_COUNTED: usize = 10_000;

/// How far back is counted where nothing is said.
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// The parameters of `GET /v1/webhooks/{id}/stats`.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct StatsQuery {
    /// Deliveries that were first recorded at that time or later; a day ago where it is not given.
    since: Option<Timestamp>,
    /// Deliveries that were first recorded before that time; now where it is not given.
    until: Option<Timestamp>,
}

/// How many deliveries a webhook has, by what became of them so far.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WebhookStats {
    /// The webhook.
    webhook: WebhookId,
    /// The beginning of what was counted: later than was asked for when there are too many.
    since: Timestamp,
    /// The end of what was counted, which does not belong to it.
    until: Timestamp,
    /// Whether all that was asked for was counted: the newest 10,000 are.
    complete: bool,
    /// Waiting for their next attempt.
    due: u64,
    /// Taken by the destination.
    delivered: u64,
    /// Given up.
    exhausted: u64,
    /// Ended because the webhook was deleted or disabled.
    cancelled: u64,
}

/// Counts the deliveries of a webhook in a span of time.
#[utoipa::path(
    get, path = "/v1/webhooks/{id}/stats", operation_id = "getWebhookStats", tag = "Webhooks",
    params(("id" = WebhookId, Path, description = "The webhook."), StatsQuery),
    responses((status = 200, description = "How many there are.", body = WebhookStats)),
    security(("key" = ["read"])),
)]
pub(crate) async fn stats<S: Store, C: Clock>(
    State(app): State<Arc<App<S, C>>>,
    caller: Reader,
    Id(id): Id<WebhookId>,
    Query(query): Query<StatsQuery>,
) -> Result<Json<WebhookStats>, ApiError> {
    let until = query.until.unwrap_or_else(|| app.clock.now());
    let day_before = until.checked_sub(DAY).unwrap_or(Timestamp::MIN);
    let since = query.since.unwrap_or(day_before);
    let span = page::span(Some(since), Some(until))?;
    let webhook = app.store.webhook(caller.organization(), &id).await?;
    let id = webhook.ok_or(ApiError::NotFound)?.id;
    let DeliveryCounts {
        due,
        delivered,
        exhausted,
        cancelled,
        counted_since,
    } = app.store.count_deliveries(&id, span, MAX_COUNTED).await?;
    Ok(Json(WebhookStats {
        webhook: id,
        since: counted_since.unwrap_or(since),
        until,
        complete: counted_since.is_none(),
        due,
        delivered,
        exhausted,
        cancelled,
    }))
}
