//! What the tests across rooms share: the store's contract, DynamoDB Local, a hub with HTTP clients and sinks around it.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]

use std::time::Duration;

pub mod api;
pub mod contract;
#[cfg(feature = "deep")]
pub mod dynamodb_local;
pub mod sink;

/// Waits until `condition` gives a value.
///
/// # Panics
/// When it has given none within `limit`.
pub async fn eventually<T>(what: &str, limit: Duration, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = tokio::time::Instant::now() + limit;
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(tokio::time::Instant::now() < deadline, "not within {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
