//! Jobs in the store in memory, and what its indexes by time find.

use jiff::Timestamp;
use payload::delivery::Delivery;
use payload::job::{Job, JobStatus, Position};
use payload::{JobId, OrganizationId, WebhookId};
use store::{JobLease, JobQueue, Jobs, Moment, Redelivery, RunningJob, StoreError, Timelines};

use super::Fake;

impl Fake {
    pub(crate) fn add_job(&self, job: &Job) {
        self.0.jobs.lock().unwrap().insert(job.id.clone(), job.clone());
    }

    /// The job as it is stored.
    pub(crate) fn job_now(&self, job: &Job) -> Job {
        self.0.jobs.lock().unwrap()[&job.id].clone()
    }
}

impl Jobs for Fake {
    async fn job(&self, organization: &OrganizationId, id: &JobId) -> Result<Option<Job>, StoreError> {
        self.enter("job", id.as_str()).await?;
        let jobs = self.0.jobs.lock().unwrap();
        Ok(jobs.get(id).filter(|job| job.organization == *organization).cloned())
    }
}

impl JobQueue for Fake {
    async fn running_jobs(&self) -> Result<Vec<RunningJob>, StoreError> {
        self.enter("running_jobs", "").await?;
        let jobs = self.0.jobs.lock().unwrap();
        let running = jobs.values().filter(|job| job.status == JobStatus::Running);
        let running = running.map(|job| RunningJob {
            organization: job.organization.clone(),
            job: job.id.clone(),
            of_one_event: job.is_of_one_event(),
        });
        Ok(running.collect())
    }

    async fn take_job_lease(
        &self,
        job: &JobId,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<JobLease>, StoreError> {
        self.enter("take_job_lease", job.as_str()).await?;
        let mut leases = self.0.job_leases.lock().unwrap();
        let fence = match leases.get(job) {
            Some(lease) if lease.until > now => return Ok(None),
            Some(lease) => lease.fence + 1,
            None => 1,
        };
        let lease = JobLease {
            job: job.clone(),
            owner: owner.to_owned(),
            fence,
            until,
        };
        leases.insert(job.clone(), lease.clone());
        Ok(Some(lease))
    }

    async fn release_job_lease(&self, lease: &JobLease) -> Result<(), StoreError> {
        self.enter("release_job_lease", lease.job.as_str()).await?;
        let mut leases = self.0.job_leases.lock().unwrap();
        let held = leases.get_mut(&lease.job).unwrap();
        if held.owner == lease.owner && held.fence == lease.fence {
            held.until = Timestamp::UNIX_EPOCH;
        }
        Ok(())
    }

    async fn save_job(&self, job: &Job) -> Result<bool, StoreError> {
        self.enter("save_job", job.id.as_str()).await?;
        let mut jobs = self.0.jobs.lock().unwrap();
        let stored = jobs.get_mut(&job.id).unwrap();
        if stored.status != JobStatus::Running || stored.fence > job.fence {
            return Ok(stored == job);
        }
        *stored = job.clone();
        Ok(true)
    }

    async fn forget_running_job(&self, job: &JobId) -> Result<(), StoreError> {
        self.enter("forget_running_job", job.as_str()).await
    }
}

impl Redelivery for Fake {
    async fn replace_delivery(&self, before: &Delivery, after: &Delivery) -> Result<bool, StoreError> {
        self.enter("replace_delivery", before.event.as_str()).await?;
        let mut deliveries = self.0.deliveries.lock().unwrap();
        let key = (before.event.clone(), before.webhook.clone());
        let stored = deliveries.get_mut(&key).unwrap();
        if stored == before {
            *stored = after.clone();
        }
        Ok(stored == after)
    }
}

/// What stands in a span, behind a place, in order.
fn in_order(
    mut moments: Vec<Moment>,
    (since, until): (Timestamp, Timestamp),
    after: Option<&Position>,
    limit: u16,
) -> Vec<Moment> {
    moments.retain(|moment| (since..=until).contains(&moment.at));
    moments.retain(|moment| after.is_none_or(|after| moment.position() > *after));
    moments.sort_by_key(Moment::position);
    moments.truncate(usize::from(limit));
    moments
}

impl Timelines for Fake {
    async fn events_between(
        &self,
        organization: &OrganizationId,
        since: Timestamp,
        until: Timestamp,
        after: Option<&Position>,
        limit: u16,
    ) -> Result<Vec<Moment>, StoreError> {
        self.enter("events_between", organization.as_str()).await?;
        let events = self.0.events.lock().unwrap();
        let theirs = events.values().filter(|event| event.organization == *organization);
        let moments = theirs.map(|event| Moment {
            at: event.received_at,
            event: event.id.clone(),
            status: None,
            event_type: Some(event.meta.event_type.clone()),
            source: event.meta.source.as_ref().map(|source| source.id.clone()),
        });
        Ok(in_order(moments.collect(), (since, until), after, limit))
    }

    async fn deliveries_between(
        &self,
        webhook: &WebhookId,
        since: Timestamp,
        until: Timestamp,
        after: Option<&Position>,
        limit: u16,
    ) -> Result<Vec<Moment>, StoreError> {
        self.enter("deliveries_between", webhook.as_str()).await?;
        let deliveries = self.0.deliveries.lock().unwrap();
        let its = deliveries.values().filter(|delivery| delivery.webhook == *webhook);
        let moments = its.map(|delivery| Moment {
            at: delivery.created_at,
            event: delivery.event.clone(),
            status: Some(delivery.status),
            event_type: None,
            source: None,
        });
        Ok(in_order(moments.collect(), (since, until), after, limit))
    }
}
