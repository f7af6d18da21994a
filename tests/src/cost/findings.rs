//! All that is measured for the document, at once.

use futures::StreamExt;
use futures::future::join;
use futures::stream::iter;

use super::body::Content;
use super::model::{EventUnits, USUAL_BYTES};
use super::units::{self, Failing, Measured};

/// The lengths of the bodies.
pub const SIZES: [usize; 5] = [512, USUAL_BYTES, 4096, 16_384, 65_536];

/// How many webhooks want an event.
pub const WEBHOOKS: [usize; 3] = [0, 1, 10];

/// How many hubs run at the same time.
const TOGETHER: usize = 4;

/// What was measured on hubs in this process.
#[derive(Debug)]
pub struct Findings {
    /// Received events, by webhooks and size.
    pub events: Vec<EventUnits>,
    /// Received events with one webhook whose bodies cannot be compressed, by size.
    pub noise: Vec<(usize, Measured)>,
    /// What is done once a minute for each source that is well.
    pub noted: Measured,
    /// The same message again.
    pub duplicate: Measured,
    /// A request that nobody signed, with the headers of a signature.
    pub forged: Measured,
    /// The same with a body that cannot be compressed and is 64 KB long.
    pub forged_large: Measured,
    /// A request without the headers of a signature.
    pub unsigned: Measured,
    /// A request to an address that there is not.
    pub unknown: Measured,
    /// An event that is published through the API.
    pub published: Measured,
    /// A tick when nothing waits.
    pub tick: Measured,
    /// A webhook that fails.
    pub failing: Failing,
}

impl Findings {
    /// Measures everything, in batches of that size where there are batches.
    pub async fn measure(batch: usize) -> Self {
        let in_batches = iter(WEBHOOKS)
            .map(|webhooks| async move { units::event_in_batch(USUAL_BYTES, webhooks, batch).await })
            .buffered(TOGETHER)
            .collect::<Vec<_>>();
        let kinds = WEBHOOKS
            .into_iter()
            .flat_map(|webhooks| SIZES.map(|bytes| (bytes, webhooks)));
        let alone =
            iter(kinds)
                .map(|(bytes, webhooks)| async move {
                    (bytes, webhooks, units::event(bytes, Content::Usual, webhooks).await)
                })
                .buffered(TOGETHER)
                .collect::<Vec<_>>();
        let noise = iter(SIZES)
            .map(|bytes| async move { (bytes, units::event(bytes, Content::Noise, 1).await) })
            .buffered(TOGETHER)
            .collect::<Vec<_>>();
        let (in_batches, (alone, noise)) = join(in_batches, join(alone, noise)).await;
        let events = alone.into_iter().map(|(bytes, webhooks, alone)| {
            let kind = WEBHOOKS
                .iter()
                .position(|known| *known == webhooks)
                .expect("one of them");
            let in_batch = Measured {
                // What a batch shares is read; what each event writes is its own, by its size.
                written: alone.written.clone(),
                sent: alone.sent,
                ..in_batches[kind].clone()
            };
            EventUnits {
                bytes,
                webhooks,
                alone,
                in_batch,
            }
        });
        Self {
            events: events.collect(),
            noise,
            noted: units::source_is_noted().await,
            duplicate: units::duplicate(USUAL_BYTES).await,
            forged: units::forged(USUAL_BYTES, Content::Usual).await,
            forged_large: units::forged(65_536, Content::Noise).await,
            unsigned: units::unsigned(USUAL_BYTES).await,
            unknown: units::unknown_token(USUAL_BYTES).await,
            published: units::published(USUAL_BYTES).await,
            tick: units::idle_tick().await,
            failing: units::failing(USUAL_BYTES).await,
        }
    }

    /// What was measured of a received event.
    #[must_use]
    pub fn event(&self, bytes: usize, webhooks: usize) -> &EventUnits {
        let mut events = self.events.iter();
        events
            .find(|event| (event.bytes, event.webhooks) == (bytes, webhooks))
            .expect("one that was measured")
    }

    /// An event of 1 KB with one webhook.
    #[must_use]
    pub fn usual(&self) -> &EventUnits {
        self.event(USUAL_BYTES, 1)
    }
}
