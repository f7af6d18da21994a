//! What leaves Hookline: the messages, the guarded HTTP client that carries them, and the rules of what happens after each attempt.
//!
//! This room knows the common payload and the network, not the store: `fan-out` and `retry` bring deliveries here and write down what
//! became of them. It is what both share, so that the first attempt and the tenth follow the same rules.
//!
//! - [`guard`]: where a request may go;
//! - [`client`], [`attempt`]: one attempt, with everything a hostile destination can do to it;
//! - [`mod@format`], [`keys`]: what is sent, what it is signed with, and what the answers mean;
//! - [`policy`]: what follows from an attempt (pure);
//! - [`breaker`], [`memo`], [`deadline`], [`report`]: what the two functions need around it.

pub mod attempt;
pub mod breaker;
pub mod client;
pub mod deadline;
pub mod format;
pub mod guard;
pub mod keys;
pub mod memo;
pub mod pace;
pub mod policy;
pub mod report;

pub use attempt::{HttpSender, Outcome, Request, Sender};
pub use breaker::Breaker;
pub use client::Client;
pub use deadline::Deadline;
pub use format::{Message, SignedPart, Verdict};
pub use guard::{Destinations, Guard};
pub use keys::{Credentials, SigningKeys};
pub use memo::Memo;
pub use pace::{Pace, Place};
pub use policy::{Jitter, Next, RetryAfter, Schedule};
