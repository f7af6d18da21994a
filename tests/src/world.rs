//! A hub in this process with an organization in it, a clock that a test can put forward, and the faults of its engine.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};
use local::engine::{Fault, FaultKind};
use local::hub::{Hub, HubOptions};
use payload::Clock;
use serde_json::json;
use store::clock::SystemClock;

use crate::api::{Api, Provider};
use crate::sink::PATIENCE;

/// The system's clock, put forward, and stopped where that is asked for.
#[derive(Debug, Default)]
pub struct ShiftedClock {
    seconds: AtomicI64,
    stopped_at: OnceLock<Timestamp>,
}

impl ShiftedClock {
    /// Puts the clock forward by so many seconds.
    pub fn advance(&self, seconds: i64) {
        self.seconds.fetch_add(seconds, Ordering::Relaxed);
    }

    /// Stops the clock: from now on it only goes forward by being put.
    pub fn stop(&self) {
        self.stopped_at.get_or_init(|| SystemClock.now());
    }
}

impl Clock for ShiftedClock {
    fn now(&self) -> Timestamp {
        let system = self.stopped_at.get().copied().unwrap_or_else(|| SystemClock.now());
        system + SignedDuration::from_secs(self.seconds.load(Ordering::Relaxed))
    }
}

/// A hub and its first organization.
#[derive(Debug)]
pub struct World {
    hub: Hub,
    clock: Arc<ShiftedClock>,
    /// The first organization's API.
    pub api: Api,
}

impl World {
    /// Starts a hub in memory.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// Starts a hub in memory that is set up otherwise.
    pub async fn start_with(change: impl FnOnce(&mut HubOptions)) -> Self {
        let clock = Arc::new(ShiftedClock::default());
        let mut options = HubOptions {
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            ..HubOptions::for_tests().expect("the template")
        };
        change(&mut options);
        let hub = Hub::start(options).await.expect("the hub starts");
        let api = organization(&hub).await;
        Self { hub, clock, api }
    }

    /// The hub's URL.
    #[must_use]
    pub fn url(&self) -> &str {
        self.hub.url()
    }

    /// The hub.
    #[must_use]
    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    /// The API of another organization.
    pub async fn another_organization(&self) -> Api {
        organization(&self.hub).await
    }

    /// The time as the functions see it.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Puts the clock forward.
    pub fn advance(&self, by: Duration) {
        self.clock.advance(i64::try_from(by.as_secs()).expect("a short time"));
    }

    /// Stops the clock of the functions: a slow machine does not let anything grow old.
    pub fn stop_clock(&self) {
        self.clock.stop();
    }

    /// One tick of the schedule, to its end.
    pub async fn tick(&self) {
        self.hub.tick().await;
    }

    /// Lets calls of `operation` on `table` that hold `text` go wrong, `times` times. The SDK tries three times by itself.
    pub fn fail(&self, kind: FaultKind, operation: &str, table: &str, text: &str, times: usize) {
        let fault = Fault::new(kind)
            .operation(operation)
            .table(table)
            .containing(text)
            .times(times);
        self.hub.engine().faults().inject(fault);
    }

    /// Waits until every stream is worked off.
    pub async fn drained(&self) {
        assert!(
            self.hub.settle(PATIENCE).await.expect("the streams are read"),
            "the streams are not worked off"
        );
    }

    /// How many items a table holds.
    pub async fn count(&self, table: &str) -> i32 {
        let name = self.hub.engine().table_name(table).expect("a table");
        let answer = self
            .hub
            .client()
            .scan()
            .table_name(name)
            .consistent_read(true)
            .send()
            .await
            .expect("a scan");
        answer.count()
    }

    /// How many receipts have an outcome of their own. (The same table holds how sources do.)
    pub async fn outcomes(&self) -> i32 {
        let name = self.hub.engine().table_name("ReceiptsTable").expect("a table");
        let answer = self
            .hub
            .client()
            .scan()
            .table_name(name)
            .consistent_read(true)
            .filter_expression("begins_with(id, :receipt)")
            .expression_attribute_values(":receipt", AttributeValue::S(payload::ReceiptId::PREFIX.into()))
            .send()
            .await
            .expect("a scan");
        answer.count()
    }

    /// Puts an item that no function can read.
    pub async fn put_poison(&self, table: &str, id: &str) {
        let name = self.hub.engine().table_name(table).expect("a table");
        let item = HashMap::from([
            ("id".to_owned(), AttributeValue::S(id.to_owned())),
            ("v".to_owned(), AttributeValue::N("1".into())),
            ("body".to_owned(), AttributeValue::S("no bytes".into())),
        ]);
        self.hub
            .client()
            .put_item()
            .table_name(name)
            .set_item(Some(item))
            .send()
            .await
            .expect("a put");
    }

    /// How many attempts are recorded of the messages `msg_0` up to `msg_{count - 1}`.
    pub async fn attempts(&self, provider: &Provider, count: usize) -> usize {
        let mut attempts = 0;
        for round in 0..count {
            let event = self
                .api
                .get(&format!("/v1/events/{}", provider.event_id(&format!("msg_{round}"))))
                .await;
            let deliveries = event["deliveries"].as_array().expect("deliveries");
            attempts += deliveries
                .iter()
                .map(|d| d["attempts"].as_array().expect("attempts").len())
                .sum::<usize>();
        }
        attempts
    }

    /// Ends the hub.
    pub async fn stop(self) {
        self.hub.stop().await;
    }
}

async fn organization(hub: &Hub) -> Api {
    let made = hub
        .operate(json!({"action": "createOrganization", "name": "Example"}))
        .await
        .expect("an organization");
    Api::new(hub.url(), made["adminKey"].as_str().expect("a key"))
}
