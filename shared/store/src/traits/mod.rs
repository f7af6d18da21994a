//! One small trait per capability: what a function can do with the tables is what its signature says.

mod deliveries;
mod jobs;
mod receipts;
mod registrations;
mod registry;

use crate::StoreError;

pub use deliveries::{Deliveries, Due, DueQueue, HealthLog, Lease, Redelivery, WebhookSet, WebhookSets};
pub use jobs::{JobDesk, JobLease, JobQueue, Jobs, Moment, RunningJob, Timelines};
pub use receipts::{
    Doors, Events, Inbox, PutEvent, RawReceipts, Receipts, Reverification, SourceHealthLog, SourceHealths,
};
pub use registrations::{DestinationSecrets, Quotas, RegistrationCounts, Secrets, SourceRegistry, Sources, Webhooks};
pub use registry::{
    AuditSpan, AuditTrail, Begun, IdempotentRequest, IdempotentRequests, KeyRegistry, Keys, Organizations,
};

type Result<T> = std::result::Result<T, StoreError>;
