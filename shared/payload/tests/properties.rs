//! Properties of verification and mapping, over generated schemes, requests and descriptions. What verification accepts is held against a
//! second, plain implementation (plain/).
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

mod plain;

#[path = "properties/bodies.rs"]
mod bodies;
#[path = "properties/mapping.rs"]
mod mapping;
#[path = "properties/requests.rs"]
mod requests;
#[path = "properties/schemes.rs"]
mod schemes;
#[path = "properties/verification.rs"]
mod verification;
