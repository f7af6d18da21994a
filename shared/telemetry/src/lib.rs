//! What the functions tell their operator: log lines, and numbers for CloudWatch.
//!
//! This room knows none of the others. What is logged where, with which fields, stands in `docs/LOGGING.md`, and so does each metric.
//!
//! - [`logs`]: the one set-up of logs, for all functions and for `local`;
//! - [`metrics`]: what an invocation measured, in CloudWatch's embedded metric format.

#[cfg(any(test, feature = "testing"))]
pub mod captured;
pub mod logs;
pub mod metrics;

pub use metrics::{Count, Measured, Metrics};
