//! The whole hub in one process, on an embedded DynamoDB.

pub mod cli;
pub mod engine;
pub mod front;
mod http_client;
pub mod hub;
mod loopback;
pub mod pump;
pub mod sink;
pub mod template;
