//! The whole hub in one process, on an embedded DynamoDB.

pub mod engine;
mod loopback;
pub mod pump;
pub mod template;
