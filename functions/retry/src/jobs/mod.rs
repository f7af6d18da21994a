//! Jobs: deliveries that a team wants again, or for the first time. A tick asks for some of them, at the rate of their job, and leaves the
//! sending to the lanes.
//!
//! Whatever a step does can be done again: a delivery carries the job that asked for it last, and how far a job is lies in the table after
//! each page. So a process may be killed between any two writes, and nothing is asked for twice, or counted twice.

mod ask;
mod list;
mod work;

use std::collections::{BTreeSet, HashMap};
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use delivery::policy::later;
use delivery::{Deadline, Sender};
use futures::{FutureExt, StreamExt, stream};
use payload::job::{Job, JobFailure, JobStatus};
use payload::{Clock, OrganizationId};
use store::{JobLease, RunningJob, StoreError};

use crate::{Store, Tick, shuffled};

/// What can be set of the work on jobs, with the values that a deployed function has.
#[derive(Debug, Clone)]
pub struct JobSettings {
    /// How many jobs are worked on at a time.
    pub at_once: usize,
    /// How long a tick begins something for jobs: sending what is due goes on beside it, and behind it.
    pub share: Duration,
    /// How long one job is worked on before another has its turn.
    pub turn: Duration,
    /// How long a lease on a job lasts. Longer than a turn with what it has begun.
    pub lease: Duration,
    /// How many entries of an index are looked at between two writings of how far a job is.
    pub page: u16,
    /// How many of those are looked at, and asked for, at the same time.
    pub together: usize,
    /// How old an event, or the record of a delivery, must be: the indexes may be behind, and the fast lane is sending what is new.
    pub settled_after: Duration,
}

impl Default for JobSettings {
    fn default() -> Self {
        Self {
            at_once: 4,
            share: Duration::from_secs(45),
            turn: Duration::from_secs(20),
            lease: Duration::from_secs(90),
            page: 256,
            together: 16,
            settled_after: Duration::from_secs(30),
        }
    }
}

/// What follows from a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// There may be more to do at once.
    More,
    /// The job goes on with another tick: its rate, or the time, allows no more now.
    Later,
}

impl<S: Store, D: Sender, C: Clock> Tick<'_, S, D, C> {
    /// Gives jobs their turns, and says which buckets have got something due.
    pub(crate) async fn jobs(&self) -> BTreeSet<u8> {
        let settings = &self.parts.settings.jobs;
        let touched = work::Touched::default();
        match self.parts.store.running_jobs().await {
            Ok(running) => {
                let share = Deadline::after(settings.share);
                stream::iter(in_turn(shuffled(running)))
                    .for_each_concurrent(settings.at_once, |running| self.turn_of(running, share, &touched))
                    .await;
            }
            Err(error) => {
                tracing::error!(error_type = error.error_type(), error = %error, "jobs wait for the next tick");
            }
        }
        touched.into_buckets()
    }

    /// Works on a job, if nobody else does. Nothing that happens in it concerns the others.
    async fn turn_of(&self, running: RunningJob, share: Deadline, touched: &work::Touched) {
        if !self.has_time(share) {
            return;
        }
        let store = &self.parts.store;
        let now = self.parts.clock.now();
        let until = later(now, self.parts.settings.jobs.lease);
        let lease = match store.take_job_lease(&running.job, &self.owner, now, until).await {
            Ok(Some(lease)) => lease,
            Ok(None) => return,
            Err(error) => return log_trouble(&running, &error),
        };
        self.count(|summary| summary.jobs += 1);
        let worked = AssertUnwindSafe(self.work_on(&running, &lease, share, touched)).catch_unwind();
        let trouble = match worked.await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => {
                log_trouble(&running, &error);
                (!error.is_transient()).then_some(error)
            }
            Err(_) => Some(StoreError::Refused("a panic".into())),
        };
        // What cannot be handled now cannot be handled later: it ends in plain sight, and is not tried every minute.
        if trouble.is_some()
            && let Err(error) = self.fail(&running, &lease).await
        {
            log_trouble(&running, &error);
        }
        if let Err(error) = store.release_job_lease(&lease).await {
            log_trouble(&running, &error);
        }
    }

    /// Takes page after page, and writes after each how far the job is.
    async fn work_on(
        &self,
        running: &RunningJob,
        lease: &JobLease,
        share: Deadline,
        touched: &work::Touched,
    ) -> Result<(), StoreError> {
        let Some(mut job) = self.job_of(running, lease).await? else {
            return Ok(());
        };
        let turn = Deadline::after(self.parts.settings.jobs.turn);
        let mut is_first = true;
        while self.has_time(share) && !turn.remaining().is_zero() {
            let before = job.clone();
            let step = self.page(&mut job, is_first, touched).await;
            is_first = false;
            if job != before {
                job.updated_at = self.parts.clock.now();
                if !self.parts.store.save_job(&job).await? {
                    // Somebody ended it, or it is another's.
                    tracing::info!(outcome = "left", organization = %job.organization, job = %job.id, "the job is not ours to go on with");
                    return Ok(());
                }
                let requested = job.progress.requested - before.progress.requested;
                self.count(|summary| summary.requested += u32::try_from(requested).unwrap_or(u32::MAX));
            }
            if job.status != JobStatus::Running {
                log_end(&job);
                return Ok(());
            }
            if step? == Step::Later {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The job, to be written under this lease. One that is not there any more is not looked at again.
    async fn job_of(&self, running: &RunningJob, lease: &JobLease) -> Result<Option<Job>, StoreError> {
        let store = &self.parts.store;
        match store.job(&running.organization, &running.job).await? {
            Some(job) if job.status == JobStatus::Running => Ok(Some(Job {
                fence: lease.fence,
                ..job
            })),
            _ => store.forget_running_job(&running.job).await.map(|()| None),
        }
    }

    async fn fail(&self, running: &RunningJob, lease: &JobLease) -> Result<(), StoreError> {
        if let Some(mut job) = self.job_of(running, lease).await? {
            let now = self.parts.clock.now();
            job.end(JobStatus::Failed, Some(JobFailure::Internal), now);
            job.updated_at = now;
            if self.parts.store.save_job(&job).await? {
                log_end(&job);
            }
        }
        Ok(())
    }

    /// Whether something more may begin: the tick's own time must leave room for it, too.
    fn has_time(&self, share: Deadline) -> bool {
        !share.remaining().is_zero() && self.deadline.allows(self.parts.settings.margin)
    }
}

/// Jobs in the order of their turns: first what is soon done, and of both kinds one of each organization after the other, so that who has many
/// does not keep out who has one. Among these they stay as they come, which is by chance: where there are more than a tick has time for, none
/// is always the last.
fn in_turn(mut running: Vec<RunningJob>) -> Vec<RunningJob> {
    let mut counts: HashMap<(bool, OrganizationId), usize> = HashMap::new();
    running.sort_by_cached_key(|job| {
        let count = counts.entry((job.of_one_event, job.organization.clone())).or_default();
        *count += 1;
        (!job.of_one_event, *count)
    });
    running
}

fn log_trouble(running: &RunningJob, error: &StoreError) {
    tracing::error!(organization = %running.organization, job = %running.job, error_type = error.error_type(), error = %error, "the job waits");
}

fn log_end(job: &Job) {
    let failure = job.failure.map(JobFailure::as_str);
    let outcome = match job.status {
        JobStatus::Running => "running",
        JobStatus::Done => "done",
        JobStatus::Cancelled => "cancelled",
        JobStatus::Failed => "failed",
    };
    tracing::info!(
        organization = %job.organization,
        job = %job.id,
        outcome,
        error_type = failure,
        examined = job.progress.examined,
        requested = job.progress.requested,
        skipped = job.progress.skipped,
        "job ended"
    );
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use payload::JobId;

    use super::*;

    #[test]
    fn who_has_many_jobs_does_not_keep_out_who_has_one() {
        let [many, few] = [(); 2].map(|()| OrganizationId::generate(Timestamp::UNIX_EPOCH));
        let job = |organization: &OrganizationId, of_one_event| RunningJob {
            organization: organization.clone(),
            job: JobId::generate(Timestamp::UNIX_EPOCH),
            of_one_event,
        };
        let mut running: Vec<RunningJob> = (0..10).map(|_| job(&many, false)).collect();
        running.extend([job(&many, true), job(&many, true), job(&few, false), job(&few, true)]);
        let turns = in_turn(shuffled(running.clone()));
        assert!(
            turns[..3].iter().all(|job| job.of_one_event),
            "what is soon done comes first"
        );
        assert!(turns[..2].iter().any(|job| job.organization == few));
        assert!(turns[3..5].iter().any(|job| job.organization == few));
        assert_eq!(turns.len(), running.len());
        assert!(running.iter().all(|job| turns.contains(job)));
    }
}
