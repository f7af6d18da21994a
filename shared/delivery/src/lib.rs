//! What leaves Hookline: the messages, the guarded HTTP client that carries them, and the rules of what happens after each attempt.
//!
//! This room knows the common payload and the network, not the store: `fan-out` and `retry` bring deliveries here and write down what
//! became of them. It is what both share, so that the first attempt and the tenth follow the same rules.
//!
//! - [`guard`]: where a request may go;
//! - [`client`], [`attempt`]: one attempt, with everything a hostile destination can do to it;
//! - [`message`], [`keys`]: what is sent, and what it is signed with;
//! - [`policy`]: what follows from an attempt (pure);
//! - [`breaker`], [`memo`], [`deadline`], [`report`]: what the two functions need around it.

pub mod attempt;
pub mod breaker;
pub mod client;
pub mod deadline;
pub mod guard;
pub mod keys;
pub mod memo;
pub mod message;
pub mod policy;
pub mod report;

pub use attempt::{HttpSender, Outcome, Request, Sender};
pub use breaker::Breaker;
pub use client::Client;
pub use deadline::Deadline;
pub use guard::{Destinations, Guard};
pub use keys::SigningKeys;
pub use memo::Memo;
pub use message::Message;
pub use policy::{Jitter, Next, RetryAfter, Schedule};
