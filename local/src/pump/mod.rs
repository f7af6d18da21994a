//! Stream pumps: what an event source mapping of Lambda does with a table's stream, in this process.
//!
//! A pump reads a stream from where it stopped, passes over what its filters refuse, and hands the rest to a function in batches: records
//! of one partition in order, several partitions at once. A failed batch is tried again, split, and in the end set aside by the rules of
//! <https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html>. How far it has come is kept in the database, so that after a crash nothing
//! is lost and some is handled again.

mod failed;
mod lane;
mod reader;
mod record;
mod tracker;

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lambda_events::event::dynamodb::Event;
use aws_lambda_events::event::streams::DynamoDbEventResponse;
use futures::future::BoxFuture;
use payload::Clock;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

pub use self::failed::{Condition, FailureDestination};

use self::reader::Reader;
use self::record::Filters;
use self::tracker::Tracker;
use crate::engine::{Engine, EngineError};
use crate::template::{StreamMapping, Table};

/// What a handler answers when an invocation fails as a whole.
pub type HandlerError = Box<dyn std::error::Error + Send + Sync>;

/// A function that is woken by a stream.
pub type Handler = Arc<dyn Fn(Event) -> BoxFuture<'static, Result<DynamoDbEventResponse, HandlerError>> + Send + Sync>;

/// The most records that wait in the lanes of one pump.
const MAX_WAITING_RECORDS: usize = 2_500;

/// The most bytes that wait in the lanes of one pump.
const MAX_WAITING_BYTES: usize = 64 * 1024 * 1024;

/// How many records one stuck lane lets pass it, before the pump waits for it: what may be handled again after a crash.
const MAX_BEHIND_CHECKPOINT: usize = 100_000;

/// How often a stream is looked at that nobody announced anything for: a write of another process is the only one that goes unannounced.
const POLL: Duration = Duration::from_secs(1);

/// How long finished records may go unnoted, so that a busy pump does not write for each.
const CHECKPOINT_DELAY: Duration = Duration::from_millis(200);

/// The pauses between attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// After the first failure; each further one doubles it.
    pub first: Duration,
    /// The longest.
    pub longest: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(200),
            longest: Duration::from_secs(10),
        }
    }
}

/// Why a pump cannot start.
#[derive(Debug, thiserror::Error)]
pub enum PumpError {
    /// The stream cannot be read.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A pattern of the mapping's filter is not understood.
    #[error("the filter of {mapping}: {problem}")]
    Filter {
        /// The mapping.
        mapping: String,
        /// What the matcher says.
        problem: String,
    },
}

/// What a pump needs besides its mapping.
#[derive(Clone)]
pub struct PumpSettings {
    /// How long one invocation may take.
    pub timeout: Duration,
    /// Where records go that could not be handled.
    pub failed: FailureDestination,
    /// The clock by which records age. It must agree with the engine's, which is the system's.
    pub clock: Arc<dyn Clock>,
    /// The pauses between attempts.
    pub backoff: Backoff,
}

/// What a pump has done since it started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PumpCounts {
    /// Records that were read.
    pub read: u64,
    /// Records that the filters refused.
    pub filtered: u64,
    /// Records that the function handled.
    pub handled: u64,
    /// Records that were set aside.
    pub set_aside: u64,
}

/// A running pump.
pub struct Pump {
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

/// What the tasks of a pump share.
struct Shared {
    engine: Engine,
    mapping: StreamMapping,
    table: String,
    stream_arn: String,
    timeout: Duration,
    failed: FailureDestination,
    clock: Arc<dyn Clock>,
    backoff: Backoff,
    handler: Handler,
    stop: watch::Receiver<bool>,
    progress: Mutex<Progress>,
    /// Something was finished: the checkpoint may move, the reader may go on.
    finished: Notify,
    noted: Notify,
}

struct Progress {
    tracker: Tracker,
    counts: PumpCounts,
    /// Where the reader reads next.
    position: String,
    /// What is in the database.
    stored_checkpoint: Option<String>,
}

impl Pump {
    /// Starts to read the stream of `table` for `handler`.
    ///
    /// # Errors
    /// When the stream or the filter cannot be read.
    pub async fn start(
        engine: &Engine,
        table: &Table,
        mapping: &StreamMapping,
        handler: Handler,
        settings: PumpSettings,
    ) -> Result<Self, PumpError> {
        let filters = Filters::new(&mapping.filters).map_err(|error| PumpError::Filter {
            mapping: mapping.id.clone(),
            problem: error.to_string(),
        })?;
        let name = engine.table_name(&table.logical_id).unwrap_or_default().to_owned();
        let stream_arn = engine.stream_arn(&name).await?;
        let checkpoint = engine.checkpoint(&mapping.id, &stream_arn).await?;
        let position = engine.stream_position(&stream_arn, checkpoint.as_deref()).await?;
        let (stop, stopped) = watch::channel(false);
        let progress = Progress {
            tracker: Tracker::new(checkpoint.clone()),
            counts: PumpCounts::default(),
            position,
            stored_checkpoint: checkpoint,
        };
        let shared = Arc::new(Shared {
            engine: engine.clone(),
            mapping: mapping.clone(),
            table: name,
            stream_arn,
            timeout: settings.timeout,
            failed: settings.failed,
            clock: settings.clock,
            backoff: settings.backoff,
            handler,
            stop: stopped,
            progress: Mutex::new(progress),
            finished: Notify::new(),
            noted: Notify::new(),
        });
        let mut lanes = Vec::new();
        let mut tasks = Vec::new();
        for _ in 0..mapping.parallelization_factor {
            let (sender, queue) = mpsc::unbounded_channel();
            lanes.push(sender);
            tasks.push(tokio::spawn(lane::work(Arc::clone(&shared), queue)));
        }
        let reader = Reader {
            shared: Arc::clone(&shared),
            filters,
            hash_key: table.hash_key.clone(),
            lanes,
        };
        tasks.push(tokio::spawn(reader.read()));
        tasks.push(tokio::spawn(note_checkpoints(Arc::clone(&shared))));
        Ok(Self {
            shared,
            stop,
            tasks: Mutex::new(tasks),
        })
    }

    /// The mapping's name.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.shared.mapping.id
    }

    /// What it has done since it started.
    #[must_use]
    pub fn counts(&self) -> PumpCounts {
        self.shared.progress().counts
    }

    /// Whether everything that was written to the table until now is worked off.
    ///
    /// # Errors
    /// When the stream cannot be read.
    pub async fn is_idle(&self) -> Result<bool, EngineError> {
        let position = {
            let progress = self.shared.progress();
            if progress.tracker.unfinished().0 > 0 {
                return Ok(false);
            }
            progress.position.clone()
        };
        let unread = self.shared.engine.read_stream(position.clone(), 1).await?.records;
        let progress = self.shared.progress();
        Ok(unread.is_empty() && progress.position == position && progress.tracker.unfinished().0 == 0)
    }

    /// Deletes from the stream what this pump, its only reader, has passed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn trim(&self) -> Result<(), EngineError> {
        let stored = self.shared.progress().stored_checkpoint.clone();
        match stored {
            Some(checkpoint) => self.shared.engine.trim_passed(&self.shared.table, &checkpoint).await,
            None => Ok(()),
        }
    }

    /// Ends the pump: what the function is working on is finished and noted, what waits is read again at the next start.
    pub async fn stop(&self) {
        self.stop.send_replace(true);
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in tasks {
            if let Err(error) = task.await {
                tracing::error!(error_type = "pump_task", mapping = %self.id(), %error, "a task of the pump ended badly");
            }
        }
        if let Err(error) = self.shared.store_checkpoint().await {
            tracing::error!(error_type = "checkpoint", mapping = %self.id(), %error, "the checkpoint cannot be kept");
        }
    }
}

impl Drop for Pump {
    /// Lets its tasks end, when nobody waited for that.
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

impl std::fmt::Debug for Pump {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pump")
            .field("mapping", &self.shared.mapping.id)
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stopping(&self) -> bool {
        *self.stop.borrow()
    }

    /// Resolves when the pump is to stop.
    fn stopped(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut stop = self.stop.clone();
        async move {
            // An error means that the pump is gone, which ends its tasks as well.
            stop.wait_for(|stopping| *stopping).await.ok();
        }
    }

    /// Waits after a failure. `false` when the pump stops.
    async fn pause(&self, failures: u32) -> bool {
        let factor = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
        let pause = self.backoff.first.saturating_mul(factor).min(self.backoff.longest);
        timeout(pause, self.stopped()).await.is_err()
    }

    /// Notes that the function handled these.
    fn finish(&self, ordinals: impl Iterator<Item = u64>) {
        self.end(ordinals, |counts| &mut counts.handled);
    }

    /// Notes that these lie in the failure destination.
    fn set_aside(&self, ordinals: impl Iterator<Item = u64>) {
        self.end(ordinals, |counts| &mut counts.set_aside);
    }

    fn end(&self, ordinals: impl Iterator<Item = u64>, count: impl Fn(&mut PumpCounts) -> &mut u64) {
        {
            let mut progress = self.progress();
            for ordinal in ordinals {
                progress.tracker.finish(ordinal);
                *count(&mut progress.counts) += 1;
            }
        }
        self.finished.notify_one();
        self.noted.notify_one();
    }

    async fn store_checkpoint(&self) -> Result<(), EngineError> {
        let checkpoint = {
            let progress = self.progress();
            let checkpoint = progress.tracker.checkpoint().map(str::to_owned);
            if checkpoint == progress.stored_checkpoint {
                return Ok(());
            }
            checkpoint
        };
        if let Some(sequence_number) = &checkpoint {
            self.engine
                .set_checkpoint(&self.mapping.id, &self.stream_arn, sequence_number)
                .await?;
        }
        self.progress().stored_checkpoint = checkpoint;
        Ok(())
    }
}

/// Keeps the checkpoint in the database a little behind the work.
async fn note_checkpoints(shared: Arc<Shared>) {
    while !shared.stopping() {
        tokio::select! {
            () = shared.noted.notified() => {}
            () = shared.stopped() => return,
        }
        timeout(CHECKPOINT_DELAY, shared.stopped()).await.ok();
        if let Err(error) = shared.store_checkpoint().await {
            tracing::error!(error_type = "checkpoint", mapping = %shared.mapping.id, %error, "the checkpoint cannot be kept");
        }
    }
}

#[cfg(test)]
mod tests;
