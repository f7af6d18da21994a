//! `/v1/jobs`, and what begins one: deliveries that are to be made again, or that were missed.
//!
//! The work is `retry`'s. Here a job is only written down, looked at and ended.

mod new;
mod view;

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use payload::job::{Job, JobStatus};
use payload::{Clock, JobId, OrganizationId};

use crate::audit::{Action, NOTHING};
use crate::auth::{Editor, Reader};
use crate::body::Id;
use crate::page::{self, Cursor, Page, Query};
use crate::problem::ApiError;
use crate::{App, Store};

pub(crate) use new::{__path_recover, __path_replay_event, __path_replay_failed, recover, replay_event, replay_failed};
use view::JobView;

/// Lists the jobs of the organization, newest first.
///
/// Those that have ended are forgotten after 30 days.
#[utoipa::path(
    get, path = "/v1/jobs", operation_id = "listJobs", tag = "Jobs",
    params(page::Parameters<JobId>),
    responses((status = 200, description = "One page of them.", body = Page<JobView>)),
    security(("key" = ["read"])),
)]
pub(crate) async fn list<S: Store, C: Clock>(
    State(app): State<Arc<App<S, C>>>,
    caller: Reader,
    Query(page::Parameters { limit, cursor }): Query<page::Parameters<JobId>>,
) -> Result<Response, ApiError> {
    let before = cursor.map(|Cursor(before)| before);
    let store = &app.store;
    let jobs = store
        .jobs_of(caller.organization(), before.as_ref(), limit.and_one())
        .await?;
    let page = Page::first(limit.rows(), &jobs, |job| job.id.clone(), JobView::of);
    Ok(axum::Json(page).into_response())
}

/// Reads one job with its progress.
#[utoipa::path(
    get, path = "/v1/jobs/{id}", operation_id = "getJob", tag = "Jobs",
    params(("id" = JobId, Path, description = "The job.")),
    responses((status = 200, description = "The job.", body = JobView)),
    security(("key" = ["read"])),
)]
pub(crate) async fn read<S: Store, C: Clock>(
    State(app): State<Arc<App<S, C>>>,
    caller: Reader,
    Id(id): Id<JobId>,
) -> Result<Response, ApiError> {
    let job = find(&app.store, caller.organization(), &id).await?;
    Ok(axum::Json(JobView::of(&job)).into_response())
}

/// Ends a job that has not ended.
///
/// What it has asked for already is delivered still. Again it changes nothing.
#[utoipa::path(
    post, path = "/v1/jobs/{id}/cancel", operation_id = "cancelJob", tag = "Jobs",
    params(("id" = JobId, Path, description = "The job.")),
    responses(
        (status = 200, description = "The job as it ended.", body = JobView),
        (status = 409, description = "[job-ended] It has ended in another way already."),
    ),
    security(("key" = ["edit"])),
)]
pub(crate) async fn cancel<S: Store, C: Clock>(
    State(app): State<Arc<App<S, C>>>,
    caller: Editor,
    Id(id): Id<JobId>,
) -> Result<Response, ApiError> {
    let organization = caller.organization();
    let now = app.clock.now();
    let entry = caller.entry(now, Action::JobCancelled, &id, NOTHING, NOTHING);
    app.store.recording(entry).cancel_job(organization, &id, now).await?;
    let job = find(&app.store, organization, &id).await?;
    match job.status {
        JobStatus::Cancelled => Ok(axum::Json(JobView::of(&job)).into_response()),
        _ => Err(ApiError::JobEnded),
    }
}

async fn find<S: Store>(store: &S, organization: &OrganizationId, id: &JobId) -> Result<Job, ApiError> {
    store.job(organization, id).await?.ok_or(ApiError::NotFound)
}
