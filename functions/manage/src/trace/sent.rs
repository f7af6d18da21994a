//! What was sent of an event: the first deliveries whole, of all others only to which webhooks they go.

use std::collections::BTreeMap;

use jiff::Timestamp;
use payload::delivery::Delivery;
use payload::{Event, WebhookId};
use store::lists::Order;

use super::webhooks::MAX_MATCHED;
use crate::Store;
use crate::problem::ApiError;

/// How many deliveries are held at once while they are read.
const PAGE: usize = 100;

/// The deliveries of an event.
pub(super) struct Sent {
    /// The time as of which the webhooks are looked at.
    pub(super) as_of: Timestamp,
    /// The webhooks that it has deliveries for, in their order.
    pub(super) webhooks: Vec<WebhookId>,
    /// The first of the deliveries.
    pub(super) shown: BTreeMap<WebhookId, Delivery>,
}

impl Sent {
    /// Reads them page by page, so that the answers of many webhooks are not held at the same time.
    pub(super) async fn read<S: Store>(store: &S, event: &Event) -> Result<Self, ApiError> {
        let mut webhooks: Vec<WebhookId> = Vec::new();
        let (mut shown, mut first) = (BTreeMap::new(), None::<Timestamp>);
        loop {
            let page = store
                .deliveries_of_page(&event.id, webhooks.last(), Order::Ascending, PAGE)
                .await?;
            let is_last = page.len() < PAGE;
            for delivery in page {
                // What a job recorded first may be of much later.
                if !delivery.replay.first {
                    first = Some(first.map_or(delivery.created_at, |first| first.min(delivery.created_at)));
                }
                webhooks.push(delivery.webhook.clone());
                if shown.len() < MAX_MATCHED {
                    shown.insert(delivery.webhook.clone(), delivery);
                }
            }
            if is_last {
                break;
            }
        }
        Ok(Self {
            as_of: first.unwrap_or(event.received_at),
            webhooks,
            shown,
        })
    }
}
