//! Reads the stream and gives its records to the lanes.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::sleep;

use super::lane::Item;
use super::record::{Filters, created_at, event_record, lane_of, size};
use super::{MAX_BEHIND_CHECKPOINT, MAX_WAITING_BYTES, MAX_WAITING_RECORDS, POLL, Shared};
use crate::engine::{EngineError, StreamPage};

pub(super) struct Reader {
    pub(super) shared: Arc<Shared>,
    pub(super) filters: Filters,
    pub(super) hash_key: String,
    pub(super) lanes: Vec<mpsc::UnboundedSender<Item>>,
}

impl Reader {
    /// Reads until the pump stops; the lanes end with it.
    pub(super) async fn read(self) {
        let shared = &self.shared;
        let page_size = shared
            .mapping
            .batch_size
            .saturating_mul(shared.mapping.parallelization_factor)
            .clamp(1, 1000);
        let waker = shared.engine.waker(&shared.table);
        let mut failures = 0;
        while !shared.stopping() {
            if !self.has_room() {
                tokio::select! {
                    () = shared.finished.notified() => {}
                    () = shared.stopped() => {}
                }
                continue;
            }
            let position = shared.progress().position.clone();
            match shared.engine.read_stream(position, page_size).await {
                Ok(page) => {
                    failures = 0;
                    // A page that is not full was all there was. What is written after it was read announces itself.
                    let is_last = page.records.len() < page_size;
                    self.take(page);
                    if is_last {
                        let announced = async {
                            match &waker {
                                Some(waker) => waker.notified().await,
                                None => std::future::pending().await,
                            }
                        };
                        tokio::select! {
                            () = announced => {}
                            () = sleep(POLL) => {}
                            () = shared.stopped() => {}
                        }
                    }
                }
                Err(EngineError::Closed) => return,
                Err(error) => {
                    tracing::error!(error_type = "stream_read", mapping = %shared.mapping.id, %error, "the stream cannot be read");
                    failures += 1;
                    if !shared.pause(failures).await {
                        return;
                    }
                }
            }
        }
    }

    fn has_room(&self) -> bool {
        let progress = self.shared.progress();
        let (records, bytes) = progress.tracker.unfinished();
        records < MAX_WAITING_RECORDS
            && bytes < MAX_WAITING_BYTES
            && progress.tracker.behind_checkpoint() < MAX_BEHIND_CHECKPOINT
    }

    /// Gives a page to the lanes.
    fn take(&self, page: StreamPage) {
        let mut items = Vec::with_capacity(page.records.len());
        let mut refused = Vec::new();
        {
            let mut progress = self.shared.progress();
            if let Some(next) = page.next {
                progress.position = next;
            }
            for record in page.records {
                progress.counts.read += 1;
                let ordinal = progress.tracker.begin(&record.dynamodb.sequence_number, size(&record));
                items.push((ordinal, record));
            }
        }
        for (ordinal, record) in items {
            if !self.filters.pass(&record) {
                refused.push(ordinal);
                continue;
            }
            let lane = lane_of(&record, &self.hash_key, self.lanes.len());
            let created_at = created_at(&record);
            let record = event_record(record, &self.shared.stream_arn);
            if let Some(lane) = self.lanes.get(lane) {
                // A lane ends only with the pump: then the record is read again at the next start.
                lane.send(Item {
                    ordinal,
                    created_at,
                    record,
                })
                .ok();
            }
        }
        if !refused.is_empty() {
            self.shared.end(refused.into_iter(), |counts| &mut counts.filtered);
        }
    }
}
