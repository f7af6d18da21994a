//! What happens to an event, in the units that it is billed by: measured on a hub in this process.

use std::collections::BTreeMap;
use std::time::Duration;

use local::engine::{Fault, FaultKind, Units};
use local::hub::HubOptions;
use payload::Clock;
use reqwest::{Method, StatusCode};
use serde_json::json;
use store::clock::SystemClock;

use super::body::{Content, body};
use super::size::{Held, held};
use crate::api::{Provider, signed_headers};
use crate::sink::{Arrival, Behaviour, Sink};
use crate::world::World;

/// A secret that no source has.
const OTHER_SECRET: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// How long the first of a batch is held up at first, so that the others are one batch behind it.
const HELD_UP: Duration = Duration::from_secs(1);

/// How long at most, on a machine that is slow.
const HELD_UP_AT_MOST: Duration = Duration::from_secs(40);

/// Units by table.
pub type ByTable = BTreeMap<String, f64>;

/// What one thing that happens costs in the database, and what it leaves there.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Measured {
    /// Write request units by table, indexes included.
    pub written: ByTable,
    /// Read request units by table, indexes included.
    pub read: ByTable,
    /// What more each table holds.
    pub left: BTreeMap<String, Held>,
    /// Bytes that go out to destinations: request lines, headers, bodies.
    pub sent: usize,
}

impl Measured {
    /// All write request units.
    #[must_use]
    pub fn writes(&self) -> f64 {
        self.written.values().sum()
    }

    /// All read request units.
    #[must_use]
    pub fn reads(&self) -> f64 {
        self.read.values().sum()
    }

    /// One of so many.
    fn shared_by(mut self, count: f64) -> Self {
        for units in self.written.values_mut().chain(self.read.values_mut()) {
            *units /= count;
        }
        self
    }

    /// Without what another cost.
    fn without(&self, other: &Self) -> Self {
        let mut left = self.clone();
        for (of, less) in [(&mut left.written, &other.written), (&mut left.read, &other.read)] {
            for (table, units) in less {
                *of.entry(table.clone()).or_default() -= units;
            }
            of.retain(|_, units| units.abs() > f64::EPSILON);
        }
        left
    }
}

/// An organization with one source, so many webhooks, and functions that are awake.
struct Bench {
    world: World,
    source: Provider,
    sinks: Vec<Sink>,
    sent: usize,
}

impl Bench {
    async fn start(webhooks: usize) -> Self {
        Self::start_with(webhooks, |_| {}).await
    }

    async fn start_with(webhooks: usize, change: impl FnOnce(&mut HubOptions)) -> Self {
        let world = World::start_with(change).await;
        world.stop_clock();
        let mut sinks = Vec::new();
        for _ in 0..webhooks {
            let sink = Sink::start().await;
            world.api.webhook(sink.url(), &[]).await;
            sinks.push(sink);
        }
        let source = world.api.source("quartr").await;
        let mut bench = Self {
            world,
            source,
            sinks,
            sent: 0,
        };
        // Awake: the door is known, that the source is well is written, each webhook was once sent to.
        bench.send(&body(1024, Content::Usual)).await;
        bench.world.drained().await;
        bench
    }

    /// Sends one more message.
    async fn send(&mut self, body: &[u8]) {
        self.sent += 1;
        // Names of one length: they are part of items.
        let name = format!("msg_{:026}", self.sent);
        self.source.send_at(&name, self.world.now(), body).await;
    }

    /// Runs `what`, lets the hub come to rest, and says what that cost.
    async fn measure(&mut self, what: impl AsyncFnOnce(&mut Self)) -> Measured {
        let (engine, template) = (
            self.world.hub().engine().clone(),
            HubOptions::for_tests().expect("the template"),
        );
        let template = template.template;
        let before = held(&engine, &template).await;
        let arrived = self.arrived();
        engine.meter().start();
        what(self).await;
        self.world.drained().await;
        let Units { written, read } = engine.meter().stop();
        let after = held(&engine, &template).await;
        let left = after
            .into_iter()
            .map(|(table, now)| {
                let then = before.get(&table).copied().unwrap_or_default();
                let more = Held {
                    items: now.items.saturating_sub(then.items),
                    indexes: now.indexes.saturating_sub(then.indexes),
                    largest: now.largest,
                };
                (table, more)
            })
            .filter(|(_, more)| more.items + more.indexes > 0)
            .collect();
        Measured {
            written,
            read,
            left,
            sent: self.arrived() - arrived,
        }
    }

    /// Bytes that have arrived at all destinations.
    fn arrived(&self) -> usize {
        self.sinks
            .iter()
            .flat_map(Sink::arrivals)
            .map(|arrival| bytes_of(&arrival))
            .sum()
    }

    async fn stop(self) {
        self.world.stop().await;
    }
}

/// A request as it stands on the line of HTTP/1.1.
fn bytes_of(arrival: &Arrival) -> usize {
    let line = format!("{} /hook?{} HTTP/1.1\r\n\r\n", arrival.method, arrival.query).len();
    let headers = arrival.headers.iter();
    let headers: usize = headers
        .map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len())
        .sum();
    line + headers + arrival.body.len()
}

/// An event that comes alone: each step is woken for it.
pub async fn event(bytes: usize, content: Content, webhooks: usize) -> Measured {
    let mut bench = Bench::start(webhooks).await;
    let body = body(bytes, content);
    let measured = bench.measure(async |bench| bench.send(&body).await).await;
    bench.stop().await;
    measured
}

/// One of the events that fill a batch: what it costs when verify and fan-out are each woken once for `batch` of them.
pub async fn event_in_batch(bytes: usize, webhooks: usize, batch: usize) -> Measured {
    let count = f64::from(u32::try_from(batch).expect("a small batch"));
    let mut held_up = HELD_UP;
    loop {
        let (alone, all) = alone_and_in_batch(bytes, webhooks, batch, held_up).await;
        let more = all.without(&alone);
        // Each batch reads its source, and its organization's webhooks, once.
        let is_one_batch = ["SourcesTable", "WebhooksTable"]
            .iter()
            .all(|table| more.read.get(*table) == Some(&1.0));
        if is_one_batch {
            return Measured {
                left: BTreeMap::new(),
                sent: alone.sent,
                ..more.shared_by(count)
            };
        }
        held_up *= 2;
        assert!(held_up <= HELD_UP_AT_MOST, "no full batch came about: {:?}", more.read);
    }
}

/// What one event costs alone, and what one costs with a batch behind it.
async fn alone_and_in_batch(bytes: usize, webhooks: usize, batch: usize, held_up: Duration) -> (Measured, Measured) {
    // One lane each, so that what waits becomes one batch.
    let one_lane = |options: &mut HubOptions| {
        for mapping in options
            .template
            .functions
            .iter_mut()
            .flat_map(|function| &mut function.streams)
        {
            mapping.parallelization_factor = 1;
        }
    };
    let mut bench = Bench::start_with(webhooks, one_lane).await;
    let body = body(bytes, Content::Usual);
    let alone = bench.measure(async |bench| bench.send(&body).await).await;
    let all = bench
        .measure(async |bench| {
            // One in front holds up each step until the others are there.
            let hold = Fault::new(FaultKind::Delay(held_up)).times(1);
            let faults = bench.world.hub().engine().faults().clone();
            faults.inject(
                hold.clone()
                    .operation("GetItem")
                    .table("SecretsTable")
                    .containing(&bench.source.id),
            );
            faults.inject(hold.operation("Query").table("WebhooksTable"));
            for _ in 0..=batch {
                bench.send(&body).await;
            }
        })
        .await;
    bench.stop().await;
    (alone, all)
}

/// What is done once a minute and source: it is noted that the source is well.
pub async fn source_is_noted() -> Measured {
    let mut bench = Bench::start(0).await;
    let body = body(1024, Content::Usual);
    let usual = bench.measure(async |bench| bench.send(&body).await).await;
    bench.world.advance(Duration::from_secs(61));
    let noted = bench.measure(async |bench| bench.send(&body).await).await;
    bench.stop().await;
    noted.without(&usual)
}

/// The same message once more.
pub async fn duplicate(bytes: usize) -> Measured {
    let mut bench = Bench::start(1).await;
    let body = body(bytes, Content::Usual);
    bench.send(&body).await;
    bench.world.drained().await;
    bench.sent -= 1;
    let measured = bench.measure(async |bench| bench.send(&body).await).await;
    bench.stop().await;
    measured
}

/// A request to a known address that nobody has signed, with the headers of a signature.
pub async fn forged(bytes: usize, content: Content) -> Measured {
    let mut bench = Bench::start(1).await;
    let body = body(bytes, content);
    let send = async |bench: &mut Bench, name: &str| {
        let headers = signed_headers(OTHER_SECRET, name, SystemClock.now(), &body);
        let (status, answer) = bench.source.send_with(&headers, &body).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    };
    send(&mut bench, "msg_forged_0").await;
    bench.world.drained().await;
    let measured = bench.measure(async |bench| send(bench, "msg_forged_1").await).await;
    bench.stop().await;
    measured
}

/// A request to a known address without the headers of a signature.
pub async fn unsigned(bytes: usize) -> Measured {
    let mut bench = Bench::start(0).await;
    let body = body(bytes, Content::Usual);
    let measured = bench
        .measure(async |bench| {
            let (status, _) = bench.source.send_with(&[], &body).await;
            assert_eq!(status, StatusCode::BAD_REQUEST);
        })
        .await;
    bench.stop().await;
    measured
}

/// A request to an address that there is not.
pub async fn unknown_token(bytes: usize) -> Measured {
    let mut bench = Bench::start(0).await;
    let body = body(bytes, Content::Usual);
    let url = format!("{}/in/in_{}", bench.world.url(), "x".repeat(32));
    let measured = bench
        .measure(async |_| {
            let answer = crate::http().post(url).body(body).send().await.expect("an answer");
            assert_eq!(answer.status(), StatusCode::NOT_FOUND);
        })
        .await;
    bench.stop().await;
    measured
}

/// An event that is published through the API, with an id of its own.
pub async fn published(bytes: usize) -> Measured {
    let mut bench = Bench::start(1).await;
    let data: serde_json::Value = serde_json::from_slice(&body(bytes, Content::Usual)).expect("JSON");
    let measured = bench
        .measure(async |bench| {
            let request = json!({"id": "order-7", "type": "order.paid", "data": data});
            let (status, answer) = bench.world.api.call(Method::POST, "/v1/events", Some(&request)).await;
            assert!(status.is_success(), "{answer}");
        })
        .await;
    bench.stop().await;
    measured
}

/// A tick when nothing waits.
pub async fn idle_tick() -> Measured {
    let mut bench = Bench::start(1).await;
    let measured = bench.measure(async |bench| bench.world.tick().await).await;
    bench.stop().await;
    measured
}

/// What failing costs.
#[derive(Debug, Clone, PartialEq)]
pub struct Failing {
    /// An event whose webhook, well so far, does not take it: its webhook is noted as failing, and that is told.
    pub first: Measured,
    /// The next event, whose delivery is left to the schedule without an attempt.
    pub parked: Measured,
    /// A tick with one delivery that fails again.
    pub again: Measured,
    /// One of `count` deliveries that a tick makes.
    pub caught_up: Measured,
    /// How many those were.
    pub count: usize,
}

/// A webhook that fails, and is mended.
pub async fn failing(bytes: usize) -> Failing {
    let mut bench = Bench::start(1).await;
    let body = body(bytes, Content::Usual);
    bench.sinks[0].always(Behaviour::Answer(500));
    let first = bench.measure(async |bench| bench.send(&body).await).await;
    // The news of the failure has a delivery too: it must not be part of what follows.
    bench.world.advance(Duration::from_secs(80));
    bench.world.tick().await;
    bench.world.drained().await;
    let parked = bench.measure(async |bench| bench.send(&body).await).await;
    let mut settled = Bench::start(1).await;
    settled.sinks[0].always(Behaviour::Answer(500));
    settled.send(&body).await;
    settled.world.drained().await;
    settled.world.advance(Duration::from_secs(80));
    let again = settled.measure(async |bench| bench.world.tick().await).await;
    settled.stop().await;
    let count = 50;
    for _ in 1..count {
        bench.send(&body).await;
    }
    bench.world.drained().await;
    bench.sinks[0].always(Behaviour::Answer(200));
    bench.world.advance(Duration::from_secs(3600));
    let arrived = bench.sinks[0].arrivals().len();
    let all = bench.measure(async |bench| bench.world.tick().await).await;
    let made = bench.sinks[0].arrivals().len() - arrived;
    assert!(made >= count, "{made} of {count} deliveries were made");
    bench.stop().await;
    Failing {
        first,
        parked,
        again,
        caught_up: all.shared_by(f64::from(u32::try_from(made).expect("few"))),
        count: made,
    }
}
