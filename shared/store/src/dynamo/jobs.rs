//! Jobs, those of them that have not ended, and the leases on them.

use aws_sdk_dynamodb::types::builders::UpdateBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem, Update};
use jiff::Timestamp;
use payload::job::{Job, JobStatus};
use payload::{JobId, OrganizationId};

use super::deliveries::{held_until, takes_lease};
use super::{Attributes, Dynamo, built, delete, key, number, put_new, read, sdk_error, text, write};
use crate::item::{
    BEHIND_JOBS, JobItem, JobLeaseItem, RUNNING_JOBS, RUNNING_SET, RunningJobItem, SCHEMA_VERSION, job_lease_key,
    job_ttl, jobs_key, lease_time, timestamp,
};
use crate::{JobDesk, JobLease, JobQueue, Jobs, RunningJob, StoreError};

impl Jobs for Dynamo {
    async fn job(&self, organization: &OrganizationId, id: &JobId) -> Result<Option<Job>, StoreError> {
        let item: Option<JobItem> = self.get(&self.tables.registry, job_key(organization, id), true).await?;
        item.map(TryInto::try_into).transpose()
    }
}

impl JobDesk for Dynamo {
    async fn create_job(&self, job: &Job, most: usize) -> Result<bool, StoreError> {
        let begun = self
            .running_set(&job.organization, &job.id, "SET v = :version ADD #running :job")
            .condition_expression("attribute_not_exists(#running) OR size(#running) < :most")
            .expression_attribute_values(":version", number(SCHEMA_VERSION))
            .expression_attribute_values(":most", number(most));
        let writes = vec![
            put_new(&self.tables.registry, "pk", &JobItem::from(job))?,
            put_new(&self.tables.registry, "pk", &RunningJobItem::from(job))?,
            updates(begun)?,
        ];
        match self.transact(writes).await? {
            None => Ok(true),
            // Ids are random: what stands there is what an earlier try of this very call has written.
            Some(_) if self.job(&job.organization, &job.id).await?.is_some() => Ok(true),
            Some(reasons) if reasons.iter().take(2).all(Option::is_none) => Ok(false),
            Some(_) => Err(StoreError::Conflict),
        }
    }

    async fn jobs_of(
        &self,
        organization: &OrganizationId,
        before: Option<&JobId>,
        limit: u16,
    ) -> Result<Vec<Job>, StoreError> {
        let query = self
            .client
            .query()
            .table_name(&self.tables.registry)
            .key_condition_expression("pk = :jobs AND sk < :before")
            .expression_attribute_values(":jobs", text(jobs_key(organization)))
            .expression_attribute_values(":before", text(before.map_or(BEHIND_JOBS, JobId::as_str)))
            .scan_index_forward(false)
            .limit(i32::from(limit))
            .consistent_read(true);
        let mut pages = query.into_paginator().items().send();
        let mut jobs = Vec::new();
        while jobs.len() < usize::from(limit) {
            let Some(item) = pages.next().await else { break };
            jobs.push(read::<JobItem>(item.map_err(sdk_error)?)?.try_into()?);
        }
        Ok(jobs)
    }

    async fn cancel_job(&self, organization: &OrganizationId, id: &JobId, now: Timestamp) -> Result<bool, StoreError> {
        let update = Update::builder()
            .table_name(&self.tables.registry)
            .set_key(Some(job_key(organization, id)))
            .update_expression("SET #status = :cancelled, updatedAt = :now, endedAt = :now, #ttl = :ttl")
            .condition_expression("#status = :running")
            .expression_attribute_names("#status", "status")
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":running", text("running"))
            .expression_attribute_values(":cancelled", text("cancelled"))
            .expression_attribute_values(":now", number(now.as_millisecond()))
            .expression_attribute_values(":ttl", number(job_ttl(now)));
        let writes = vec![
            updates(update)?,
            delete(&self.tables.registry, running_key(id))?,
            self.runs_no_more(organization, id)?,
        ];
        Ok(self.transact(writes).await?.is_none())
    }

    fn events_kept_since(&self, now: Timestamp) -> Timestamp {
        let kept = jiff::SignedDuration::from_hours(24 * i64::from(self.retention.event_days));
        now.checked_sub(kept).unwrap_or(Timestamp::MIN)
    }
}

impl JobQueue for Dynamo {
    async fn running_jobs(&self) -> Result<Vec<RunningJob>, StoreError> {
        let mut pages = self.registry_partition(RUNNING_JOBS).into_paginator().items().send();
        let mut running = Vec::new();
        while let Some(item) = pages.next().await {
            running.push(read::<RunningJobItem>(item.map_err(sdk_error)?)?.into());
        }
        Ok(running)
    }

    async fn take_job_lease(
        &self,
        job: &JobId,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<JobLease>, StoreError> {
        let update = takes_lease(self.lease_update(&job_lease_key(job)), owner, now, until)
            .update_expression("SET #owner = :owner, #until = :until, v = :version, #ttl = :ttl ADD fence :one")
            // Nobody works on it any more a month after somebody did.
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":ttl", number(job_ttl(now)));
        let item: Option<JobLeaseItem> = self.lease_after(update).await?;
        let lease = item.map(|item| {
            Ok(JobLease {
                job: job.clone(),
                owner: item.owner,
                fence: item.fence,
                until: timestamp(item.until)?,
            })
        });
        lease.transpose()
    }

    async fn release_job_lease(&self, lease: &JobLease) -> Result<(), StoreError> {
        let update = self.lease_update(&job_lease_key(&lease.job));
        let update = held_until(update, &lease.owner, lease.fence, lease_time(Timestamp::UNIX_EPOCH));
        let _: Option<JobLeaseItem> = self.lease_after(update).await?;
        Ok(())
    }

    async fn save_job(&self, job: &Job) -> Result<bool, StoreError> {
        let put = Put::builder()
            .table_name(&self.tables.registry)
            .set_item(Some(write(&JobItem::from(job))?))
            .condition_expression("#status = :running AND #fence <= :fence")
            .expression_attribute_names("#status", "status")
            .expression_attribute_names("#fence", "fence")
            .expression_attribute_values(":running", text("running"))
            .expression_attribute_values(":fence", number(job.fence));
        let mut writes = vec![TransactWriteItem::builder().put(put.build().map_err(built)?).build()];
        if job.status != JobStatus::Running {
            writes.push(delete(&self.tables.registry, running_key(&job.id))?);
            writes.push(self.runs_no_more(&job.organization, &job.id)?);
        }
        if self.transact(writes).await?.is_none() {
            return Ok(true);
        }
        // Where this very state is stored already, the client has repeated a write whose answer it did not get.
        let stored = self.job(&job.organization, &job.id).await?;
        Ok(stored.as_ref() == Some(&JobItem::from(job).try_into()?))
    }

    async fn forget_running_job(&self, job: &JobId) -> Result<(), StoreError> {
        let forgotten = self
            .client
            .delete_item()
            .table_name(&self.tables.registry)
            .set_key(Some(running_key(job)))
            .send();
        forgotten.await.map(drop).map_err(sdk_error)
    }
}

impl Dynamo {
    /// A change, by this expression, of which jobs of an organization have not ended: a set of their names, so that the same change twice is
    /// one change.
    fn running_set(&self, organization: &OrganizationId, job: &JobId, expression: &str) -> UpdateBuilder {
        Update::builder()
            .table_name(&self.tables.registry)
            .set_key(Some(key([("pk", &*jobs_key(organization)), ("sk", RUNNING_SET)])))
            .update_expression(expression)
            .expression_attribute_names("#running", "running")
            .expression_attribute_values(":job", AttributeValue::Ss(vec![job.to_string()]))
    }

    fn runs_no_more(&self, organization: &OrganizationId, job: &JobId) -> Result<TransactWriteItem, StoreError> {
        updates(self.running_set(organization, job, "DELETE #running :job"))
    }
}

fn updates(update: UpdateBuilder) -> Result<TransactWriteItem, StoreError> {
    let update = update.build().map_err(built)?;
    Ok(TransactWriteItem::builder().update(update).build())
}

fn job_key(organization: &OrganizationId, id: &JobId) -> Attributes {
    key([("pk", &*jobs_key(organization)), ("sk", id.as_str())])
}

fn running_key(id: &JobId) -> Attributes {
    key([("pk", RUNNING_JOBS), ("sk", id.as_str())])
}
