//! What the tests across rooms share: the store's contract, DynamoDB Local, a hub with HTTP clients and sinks around it.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may fail by panicking"
)]

use std::time::Duration;

pub mod api;
pub mod contract;
pub mod cost;
#[cfg(feature = "deep")]
pub mod dynamodb_local;
pub mod log_lines;
pub mod process;
pub mod sink;
pub mod world;

/// The names that an embedded engine has for the tables of the template.
///
/// # Panics
/// When the template lacks one of the tables that the store knows.
#[must_use]
pub fn tables_of(engine: &local::engine::Engine) -> store::Tables {
    let name = |logical_id: &str| {
        engine
            .table_name(logical_id)
            .expect("a table of the template")
            .to_owned()
    };
    store::Tables {
        inbox: name("InboxTable"),
        receipts: name("ReceiptsTable"),
        events: name("EventsTable"),
        deliveries: name("DeliveriesTable"),
        webhooks: name("WebhooksTable"),
        sources: name("SourcesTable"),
        secrets: name("SecretsTable"),
        registry: name("RegistryTable"),
    }
}

/// A plain HTTP client, as any sender has one.
#[must_use]
pub fn http() -> reqwest::Client {
    // reqwest is built without a TLS provider of its own; whoever installs one first is right.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().expect("a client")
}

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
