//! Stream records that could not be handled, where the stream mappings put them.

mod document;
pub mod s3;

use std::future::Future;

use delivery::Deadline;
use payload::Clock;

pub(crate) use document::{About, Document};

use crate::{Operate, OperateError, Store};

/// Why the place of failed records could not be used. It names no object and holds nothing of one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("failed records: {0}")]
pub struct FailedRecordsError(pub String);

type Result<T> = std::result::Result<T, FailedRecordsError>;

/// Where the documents lie that a stream mapping writes of records that it gives up. (S3: `ListBucket`, `GetObject`, `PutObject`,
/// `DeleteObject`)
pub trait FailedRecords: Send + Sync {
    /// The names of at most `limit` documents behind `after`, in their order.
    fn list(&self, after: Option<&str>, limit: u16) -> impl Future<Output = Result<Vec<String>>> + Send;
    /// A document; `None` when it is not there any more.
    fn read(&self, name: &str) -> impl Future<Output = Result<Option<Vec<u8>>>> + Send;
    /// Puts a document in the place of the one of that name.
    fn write(&self, name: &str, document: Vec<u8>) -> impl Future<Output = Result<()>> + Send;
    /// Deletes a document; nothing happens when it is not there.
    fn delete(&self, name: &str) -> impl Future<Output = Result<()>> + Send;
}

/// How many names are asked for at a time.
const PAGE: u16 = 100;

/// What going through the documents came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Swept {
    /// Records that were looked at.
    pub(crate) examined: u64,
    /// Records that are gone from their documents.
    pub(crate) dropped: u64,
    /// Documents that are none of ours, and were left alone.
    pub(crate) unreadable: u64,
    /// Whether the last document was reached.
    pub(crate) done: bool,
}

/// Whether a URL leads to the object of that name: where a segment is a dot or two, it would lead to another.
fn is_addressable(name: &str) -> bool {
    !name.is_empty() && name.split('/').all(|segment| !matches!(segment, "." | ".."))
}

impl<S: Store, F: FailedRecords, C: Clock> Operate<S, F, C> {
    /// Goes through the documents behind `place`, at least one of them, and takes out of each what `is_to_go` says. A document that holds
    /// nothing then is deleted.
    pub(crate) async fn sweep<D>(
        &self,
        place: &mut Option<String>,
        deadline: &Deadline,
        is_to_go: D,
    ) -> std::result::Result<Swept, OperateError>
    where
        D: AsyncFn(About) -> std::result::Result<bool, OperateError>,
    {
        let mut swept = Swept::default();
        loop {
            let names = self.failed.list(place.as_deref(), PAGE).await?;
            if names.is_empty() {
                swept.done = true;
                return Ok(swept);
            }
            for name in names {
                self.sweep_document(&name, &mut swept, &is_to_go).await?;
                *place = Some(name);
                if !self.may_go_on(deadline) {
                    return Ok(swept);
                }
            }
        }
    }

    async fn sweep_document<D>(
        &self,
        name: &str,
        swept: &mut Swept,
        is_to_go: &D,
    ) -> std::result::Result<(), OperateError>
    where
        D: AsyncFn(About) -> std::result::Result<bool, OperateError>,
    {
        if !is_addressable(name) {
            swept.unreadable += 1;
            return Ok(());
        }
        // It expired between the two calls.
        let Some(bytes) = self.failed.read(name).await? else {
            return Ok(());
        };
        let Some(mut document) = Document::parse(&bytes) else {
            swept.unreadable += 1;
            return Ok(());
        };
        let mut kept = Vec::new();
        let mut dropped = 0;
        for record in document.take_records() {
            swept.examined += 1;
            if is_to_go(About::of(&record)).await? {
                dropped += 1;
            } else {
                kept.push(record);
            }
        }
        if dropped > 0 {
            if kept.is_empty() {
                self.failed.delete(name).await?;
            } else {
                document.put_records(kept);
                self.failed.write(name, document.to_bytes()).await?;
            }
        }
        swept.dropped += dropped;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::is_addressable;

    #[test]
    fn a_name_that_leads_to_another_object_is_left_alone() {
        for name in ["aws/lambda/1/shardId-1/a.json", "a", "..a/b..", "a b/+%ü"] {
            assert!(is_addressable(name), "{name}");
        }
        for name in ["", ".", "..", "a/../b", "./a", "a/.."] {
            assert!(!is_addressable(name), "{name}");
        }
    }
}
