//! Items of jobs in the registry.

use jiff::{SignedDuration, Timestamp};
use payload::job::{Job, JobFailure, JobKind, JobStatus, Position, Progress, Waymark};
use payload::{EventId, JobId, OrganizationId};
use serde::{Deserialize, Serialize};

use super::{SCHEMA_VERSION, timestamp};
use crate::{RunningJob, StoreError};

/// The hash key of the jobs that have not ended.
pub(crate) const RUNNING_JOBS: &str = "jobs";

/// The range key, among an organization's jobs, of the set of those that have not ended. It stands behind them all.
pub(crate) const RUNNING_SET: &str = "running";

/// A range key that all jobs stand before, and [`RUNNING_SET`] does not: their ids begin with `job_`.
pub(crate) const BEHIND_JOBS: &str = "job~";

/// What a job's lease is found under, among all leases.
pub(crate) fn job_lease_key(job: &JobId) -> String {
    format!("job#{job}")
}

/// The hash key of an organization's jobs.
pub(crate) fn jobs_key(organization: &OrganizationId) -> String {
    format!("job#{organization}")
}

/// How long a job is kept after its end.
const KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);

/// When a job that ended then is forgotten, in seconds since 1970.
pub(crate) fn job_ttl(ended_at: Timestamp) -> i64 {
    ended_at.as_second().saturating_add(KEPT.as_secs())
}

/// A job with its progress.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobItem {
    v: u32,
    pk: String,
    sk: JobId,
    organization: OrganizationId,
    kind: JobKind,
    rate: u32,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    new_message_id: bool,
    status: JobStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failure: Option<JobFailure>,
    examined: u64,
    requested: u64,
    skipped: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    position: Option<PositionItem>,
    /// To the nanosecond, unlike the other times: at a high rate, milliseconds do not tell two places apart.
    next_slot: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    awaited: Option<WaymarkItem>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    newest: Option<WaymarkItem>,
    /// When it was asked for, in milliseconds since 1970.
    at: i64,
    updated_at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended_at: Option<i64>,
    #[serde(default)]
    fence: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ttl: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct PositionItem {
    at: i64,
    id: String,
}

/// The time in milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct WaymarkItem {
    event: EventId,
    at: i64,
}

impl From<&Waymark> for WaymarkItem {
    fn from(mark: &Waymark) -> Self {
        Self {
            event: mark.event.clone(),
            at: mark.at.as_millisecond(),
        }
    }
}

impl TryFrom<WaymarkItem> for Waymark {
    type Error = StoreError;

    fn try_from(item: WaymarkItem) -> Result<Self, StoreError> {
        Ok(Self {
            event: item.event,
            at: timestamp(item.at)?,
        })
    }
}

impl From<&Job> for JobItem {
    fn from(job: &Job) -> Self {
        Self {
            v: SCHEMA_VERSION,
            pk: jobs_key(&job.organization),
            sk: job.id.clone(),
            organization: job.organization.clone(),
            kind: job.kind.clone(),
            rate: job.rate,
            new_message_id: job.new_message_id,
            status: job.status,
            failure: job.failure,
            examined: job.progress.examined,
            requested: job.progress.requested,
            skipped: job.progress.skipped,
            position: job.position.as_ref().map(|position| PositionItem {
                at: position.at.as_millisecond(),
                id: position.id.clone(),
            }),
            next_slot: job.next_slot,
            awaited: job.awaited.as_ref().map(Into::into),
            newest: job.newest.as_ref().map(Into::into),
            at: job.created_at.as_millisecond(),
            updated_at: job.updated_at.as_millisecond(),
            ended_at: job.ended_at.map(|at| at.as_millisecond()),
            fence: job.fence,
            ttl: job.ended_at.map(job_ttl),
        }
    }
}

impl TryFrom<JobItem> for Job {
    type Error = StoreError;

    fn try_from(item: JobItem) -> Result<Self, StoreError> {
        let position = item.position.map(|PositionItem { at, id }| {
            let at = timestamp(at)?;
            Ok::<_, StoreError>(Position { at, id })
        });
        Ok(Self {
            id: item.sk,
            organization: item.organization,
            kind: item.kind,
            rate: item.rate,
            new_message_id: item.new_message_id,
            status: item.status,
            failure: item.failure,
            progress: Progress {
                examined: item.examined,
                requested: item.requested,
                skipped: item.skipped,
            },
            position: position.transpose()?,
            next_slot: item.next_slot,
            awaited: item.awaited.map(TryInto::try_into).transpose()?,
            newest: item.newest.map(TryInto::try_into).transpose()?,
            created_at: timestamp(item.at)?,
            updated_at: timestamp(item.updated_at)?,
            ended_at: item.ended_at.map(timestamp).transpose()?,
            fence: item.fence,
        })
    }
}

/// That a job has not ended: what those who work on jobs look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunningJobItem {
    v: u32,
    pk: String,
    sk: JobId,
    organization: OrganizationId,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    of_one_event: bool,
}

impl From<&Job> for RunningJobItem {
    fn from(job: &Job) -> Self {
        Self {
            v: SCHEMA_VERSION,
            pk: RUNNING_JOBS.into(),
            sk: job.id.clone(),
            organization: job.organization.clone(),
            of_one_event: job.is_of_one_event(),
        }
    }
}

impl From<RunningJobItem> for RunningJob {
    fn from(item: RunningJobItem) -> Self {
        Self {
            organization: item.organization,
            job: item.sk,
            of_one_event: item.of_one_event,
        }
    }
}

/// Who works on a job, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct JobLeaseItem {
    pub(crate) owner: String,
    pub(crate) fence: u64,
    pub(crate) until: i64,
}
