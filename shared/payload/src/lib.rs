//! The common payload of Hookline and all rules about it that need nothing but their arguments: ids, events, provider presets,
//! signature schemes, filters, the vocabulary of deliveries.
//!
//! This room is pure: no async, no AWS, no network, and no clock of its own ([`Clock`] is only the shape in which time comes in).
//! Everything here can be tested with values alone.

pub mod audit;
pub mod called_url;
pub mod change;
pub mod clock;
pub mod delivery;
pub mod event;
pub mod filter;
pub mod flat;
pub mod handshake;
pub mod hint;
pub mod id;
pub mod job;
pub mod key;
#[cfg(feature = "openapi")]
mod openapi;
pub mod organization;
pub mod outbound;
pub mod own;
pub mod preset;
pub mod query;
pub mod receipt;
pub mod sample;
pub mod scheme;
pub mod source;
pub mod source_health;
pub mod trace;
pub mod webhook;

mod json;

pub use clock::Clock;
pub use event::Event;
pub use id::{AuditId, EventId, JobId, KeyId, MessageId, OrganizationId, ReceiptId, SourceId, WebhookId};
pub use receipt::Receipt;
pub use trace::TraceId;
