//! Where records go that could not be handled: the failure destination, a folder that stands for the S3 bucket.
//!
//! Names and contents are those of <https://docs.aws.amazon.com/lambda/latest/dg/kinesis-on-failure-destination.html> and
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html>: one JSON document for each batch, with the records.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use operate::FailedRecords;
use operate::failed::FailedRecordsError;
use serde_json::{Value, json};

/// Why a batch was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// It failed as often as the mapping allows.
    RetryAttemptsExhausted,
    /// It became too old.
    RecordAgeExceeded,
}

impl Condition {
    fn name(self) -> &'static str {
        match self {
            Self::RetryAttemptsExhausted => "RetryAttemptsExhausted",
            Self::RecordAgeExceeded => "RecordAgeExceeded",
        }
    }
}

/// A batch that was given up.
pub(super) struct FailedBatch<'a> {
    pub(super) mapping: &'a str,
    pub(super) stream_arn: &'a str,
    pub(super) condition: Condition,
    /// What the last invocation answered; empty when there was none.
    pub(super) error: &'a str,
    pub(super) invocations: u32,
    pub(super) first: (&'a str, Timestamp),
    pub(super) last: (&'a str, Timestamp),
    /// The event, `{"Records": […]}`.
    pub(super) event: Value,
}

/// A failure destination.
#[derive(Debug, Clone)]
pub struct FailureDestination {
    folder: PathBuf,
}

impl FailureDestination {
    /// Writes below this folder, which is made when it is needed.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    /// Writes a batch; the records of a stream are gone after it, so that it must lie on the disk when this returns.
    pub(super) async fn write(&self, batch: &FailedBatch<'_>, now: Timestamp) -> std::io::Result<PathBuf> {
        let random = hex::encode(payload::id::random::<8>());
        let day = now.strftime("%Y/%m/%d");
        let time = now.strftime("%Y-%m-%dT%H.%M.%S");
        let path = self
            .folder
            .join(format!("aws/lambda/{}/{day}/{time}-{random}.json", batch.mapping));
        let records = batch.event["Records"].as_array().map_or(0, Vec::len);
        let document = json!({
            "requestContext": {
                "functionArn": batch.mapping,
                "condition": batch.condition.name(),
                "approximateInvokeCount": batch.invocations,
            },
            "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": batch.error},
            "version": "1.0",
            "timestamp": now,
            "DDBStreamBatchInfo": {
                "startSequenceNumber": batch.first.0,
                "endSequenceNumber": batch.last.0,
                "approximateArrivalOfFirstRecord": batch.first.1,
                "approximateArrivalOfLastRecord": batch.last.1,
                "batchSize": records,
                "streamArn": batch.stream_arn,
            },
            "payload": batch.event.to_string(),
        });
        let text = serde_json::to_vec_pretty(&document).unwrap_or_default();
        let target = path.clone();
        let written = tokio::task::spawn_blocking(move || write_durably(&target, &text)).await;
        written.map_err(std::io::Error::other)??;
        Ok(path)
    }
}

impl FailedRecords for FailureDestination {
    async fn list(&self, after: Option<&str>, limit: u16) -> Result<Vec<String>, FailedRecordsError> {
        let folder = self.folder.clone();
        let listed = tokio::task::spawn_blocking(move || {
            let mut names = Vec::new();
            names_below(&folder, "", &mut names).map(|()| names)
        });
        let mut names = listed.await.map_err(std::io::Error::other).flatten().map_err(failed)?;
        names.retain(|name| after.is_none_or(|after| name.as_str() > after));
        names.sort_unstable();
        names.truncate(usize::from(limit));
        Ok(names)
    }

    async fn read(&self, name: &str) -> Result<Option<Vec<u8>>, FailedRecordsError> {
        match tokio::fs::read(self.folder.join(name)).await {
            Ok(document) => Ok(Some(document)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    async fn write(&self, name: &str, document: Vec<u8>) -> Result<(), FailedRecordsError> {
        // Beside it first: a document is whole whenever somebody reads it.
        let (path, beside) = (self.folder.join(name), self.folder.join(format!("{name}.new")));
        let written = tokio::task::spawn_blocking(move || {
            std::fs::remove_file(&beside).ok();
            write_durably(&beside, &document)?;
            std::fs::rename(&beside, &path)
        });
        written.await.map_err(std::io::Error::other).flatten().map_err(failed)
    }

    async fn delete(&self, name: &str) -> Result<(), FailedRecordsError> {
        match tokio::fs::remove_file(self.folder.join(name)).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed(error)),
            _ => Ok(()),
        }
    }
}

fn failed(error: std::io::Error) -> FailedRecordsError {
    FailedRecordsError(error.kind().to_string())
}

/// The names of the documents below a folder, as those of objects: with slashes. There are none where there is no folder.
fn names_below(folder: &Path, prefix: &str, names: &mut Vec<String>) -> std::io::Result<()> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            names_below(&entry.path(), &format!("{name}/"), names)?;
        } else if name.ends_with(".json") {
            names.push(name);
        }
    }
    Ok(())
}

fn write_durably(path: &Path, text: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let mut file = std::fs::OpenOptions::new().create_new(true).write(true).open(path)?;
    file.write_all(text)?;
    file.sync_all()
}
