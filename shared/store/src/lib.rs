//! The DynamoDB tables: keys, items, one small trait per capability, and the adapter that has them all.
//!
//! A function names the capabilities that its own step needs, and its IAM policy in `template.yaml` allows exactly those. Stored items
//! are contracts between functions that are deployed at different moments: each carries a schema version, and golden tests read old
//! items with new code and new items with old code.

pub mod clock;
pub mod connect;
mod dynamo;
mod error;
pub mod history;
pub mod item;
pub mod lists;
mod operator;
pub mod stream;
mod traits;

pub use connect::Tables;
pub use dynamo::Dynamo;
pub use error::StoreError;
pub use operator::{Erasure, Found, OutcomeKey, ReceiptKey, Scans, Segment, Span, Suspensions, Usage, UsageCounts};
pub use traits::{
    AuditSpan, AuditTrail, Begun, Deliveries, DestinationSecrets, Doors, Due, DueQueue, Events, HealthLog,
    IdempotentRequest, IdempotentRequests, Inbox, JobDesk, JobLease, JobQueue, Jobs, KeyRegistry, Keys, Lease, Moment,
    Organizations, PutEvent, Quotas, RawReceipts, Receipts, Redelivery, RegistrationCounts, Reverification, RunningJob,
    Secrets, SourceHealthLog, SourceHealths, SourceRegistry, Sources, Timelines, WebhookSet, WebhookSets, Webhooks,
};
