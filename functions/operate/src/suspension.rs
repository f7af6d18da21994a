//! Suspending an organization, and resuming it.

use payload::organization::{Organization, Suspension};
use payload::{Clock, OrganizationId};
use serde_json::{Value, json};

use crate::audit::Action;
use crate::organizations::{View, checked_text, or_gone};
use crate::{FailedRecords, Operate, OperateError, Store};

impl<S: Store, F: FailedRecords, C: Clock> Operate<S, F, C> {
    pub(crate) async fn suspend(&self, id: OrganizationId, reason: &str) -> Result<Value, OperateError> {
        let reason = checked_text("reason", reason)?;
        let mut organization = self.organization(id).await?;
        let marked = self.mark_suspended(&mut organization, &reason).await?;
        tracing::info!(outcome = "changed", action = "suspendOrganization", organization = %organization.id, "changed");
        Ok(json!({"organization": View::from(&organization), "marked": marked}))
    }

    /// Suspends an organization, or completes what was broken off. Its own item first, so that whatever is made from then on carries the
    /// word; then its keys, so that nobody makes anything; then its receiving URLs, and what is sent.
    pub(crate) async fn mark_suspended(
        &self,
        organization: &mut Organization,
        reason: &str,
    ) -> Result<Value, OperateError> {
        let suspension = match &organization.suspension {
            // The first word stands.
            Some(suspension) => suspension.clone(),
            None => {
                let at = self.clock.now();
                let reason = reason.to_owned();
                let suspension = Suspension { at, reason };
                let after = json!(suspension);
                let id = &organization.id;
                let entry = self.entry(id, Action::OrganizationSuspended, id, None, Some(&after));
                let store = self.store.recording(entry);
                let set = store.set_suspension(id, Some(&suspension)).await;
                set.map_err(|error| or_gone(error, id))?;
                suspension
            }
        };
        let at = suspension.at;
        organization.suspension = Some(suspension);
        let keys = self.store.mark_keys(&organization.id, true).await?;
        let doors = self.store.mark_doors(&organization.id, true).await?;
        self.store.mark_webhooks(&organization.id, Some(at)).await?;
        Ok(json!({"keys": keys, "receivingUrls": doors}))
    }

    /// Everything in the opposite order: the organization's own item says that it is suspended until all marks are gone, so that what was
    /// broken off is seen.
    pub(crate) async fn resume(&self, id: OrganizationId, reason: Option<&str>) -> Result<Value, OperateError> {
        let reason = reason.map(|reason| checked_text("reason", reason)).transpose()?;
        let mut organization = self.organization(id).await?;
        let id = organization.id.clone();
        self.store.mark_webhooks(&id, None).await?;
        let doors = self.store.mark_doors(&id, false).await?;
        let keys = self.store.mark_keys(&id, false).await?;
        if let Some(suspension) = organization.suspension.take() {
            let (before, after) = (json!(suspension), json!({"reason": reason}));
            let entry = self.entry(&id, Action::OrganizationResumed, &id, Some(&before), Some(&after));
            let set = self.store.recording(entry).set_suspension(&id, None).await;
            set.map_err(|error| or_gone(error, &id))?;
            // A key that was made meanwhile carries the mark still.
            self.store.mark_keys(&id, false).await?;
        }
        tracing::info!(outcome = "changed", action = "resumeOrganization", organization = %id, "changed");
        Ok(json!({"organization": View::from(&organization), "marked": {"keys": keys, "receivingUrls": doors}}))
    }
}
