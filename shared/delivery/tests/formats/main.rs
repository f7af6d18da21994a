//! What is sent in each format: golden files for each provider, and the limits of each platform for any event at all.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod any_event;
mod events;
mod golden;
mod limits;
mod machines;
