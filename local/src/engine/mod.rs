//! The embedded DynamoDB: the database, the tables of the template, and the SDK's client that reaches it without a network.
//!
//! SQLite blocks, and the engine serves one call at a time: `runner` says where. A call has the second connection to itself too, so that
//! the two never wait for each other's locks.

mod connector;
mod dispatch;
mod fault;
mod http;
mod meter;
mod runner;
mod side;
mod tables;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{Credentials, SharedHttpClient};
use bytes::Bytes;
use dynoxide::Database;
use dynoxide::actions::get_records::Record;
use serde_json::{Value, json};
use tokio::sync::Notify;

pub use self::dispatch::Answer;
pub use self::fault::{Fault, FaultKind, Faults};
pub use self::meter::{Meter, Units};

use self::dispatch::Wakes;
use self::runner::Runner;
use self::side::Side;
use self::tables::{call_json, lock_folder, prepare_table, refused};
use crate::template::Template;

/// What the tables' names begin with. (The engine makes shard ids of the names, and clients refuse those of very short names.)
const TABLE_PREFIX: &str = "hookline-";

/// The name of the database within its folder.
const DATABASE_FILE: &str = "hookline.db";

/// Where the hub keeps its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    /// In memory: it ends with the process.
    Memory,
    /// In a folder, which is made when it is missing. It survives the end of the process, however that comes.
    Dir(PathBuf),
}

/// Why the engine cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A file or folder cannot be made or read.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The folder is in use by another hub.
    #[error("{0} is in use by another hub")]
    InUse(PathBuf),
    /// The database is not laid out as this program knows it.
    #[error("the embedded database is not laid out as expected: {0}")]
    Layout(String),
    /// A table exists and is not the one that the template describes.
    #[error(
        "the table {table} was made by another template.yaml ({what} differ); \
         start with another folder (--data), or move the present one away to begin anew"
    )]
    OtherTable {
        /// The table's logical id.
        table: String,
        /// What differs.
        what: &'static str,
    },
    /// The engine refuses a call of ours.
    #[error("{operation}: {message}")]
    Refused {
        /// What was called.
        operation: &'static str,
        /// What it answered.
        message: String,
    },
    /// SQLite failed.
    #[error("the embedded database failed: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The engine has ended.
    #[error("the embedded database has ended")]
    Closed,
}

/// What an answered write survives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Durability {
    /// The end of the process, however that comes. The last moments before a loss of power may be missing.
    #[default]
    Process,
    /// A loss of power too: each write waits for the disk.
    Power,
}

/// A handle on the engine; clones share it.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    runner: Runner<Core>,
    names: BTreeMap<String, String>,
    wakers: Arc<Wakers>,
    faults: Faults,
    meter: Meter,
    in_memory: bool,
}

/// What tells the pumps that a stream may hold something new, by the table's name.
type Wakers = HashMap<String, Arc<Notify>>;

/// What one call at a time has to itself.
struct Core {
    database: Database,
    side: Side,
    wakers: Arc<Wakers>,
    /// Held as long as the database is open, so that no second hub works on the same folder.
    _lock: Option<std::fs::File>,
}

/// Records of a stream, and where to read on.
pub(crate) struct StreamPage {
    pub(crate) records: Vec<Record>,
    pub(crate) next: Option<String>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("tables", &self.inner.names)
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// Opens the database, makes the tables of the template that are missing, and checks those that are there.
    ///
    /// # Errors
    /// When the folder cannot be used or is in use, or holds something else than this template's tables.
    pub async fn open(data: &Data, template: &Template, durability: Durability) -> Result<Self, EngineError> {
        let (data, template) = (data.clone(), template.clone());
        tokio::task::spawn_blocking(move || {
            let lock = match &data {
                Data::Memory => None,
                Data::Dir(folder) => Some(lock_folder(folder)?),
            };
            Self::start(&data, &template, durability, lock)
        })
        .await
        .unwrap_or(Err(EngineError::Closed))
    }

    /// Opens the database of a folder beside the hub that may be running on it: for a call or two of a command line. SQLite keeps the
    /// two apart.
    ///
    /// # Errors
    /// When there is no database, or it holds something else than this template's tables.
    pub async fn open_beside(folder: &Path, template: &Template) -> Result<Self, EngineError> {
        let (folder, template) = (folder.to_owned(), template.clone());
        tokio::task::spawn_blocking(move || {
            let file = folder.join(DATABASE_FILE);
            std::fs::metadata(&file).map_err(|source| EngineError::File { path: file, source })?;
            Self::start(&Data::Dir(folder), &template, Durability::Power, None)
        })
        .await
        .unwrap_or(Err(EngineError::Closed))
    }

    fn start(
        data: &Data,
        template: &Template,
        durability: Durability,
        lock: Option<std::fs::File>,
    ) -> Result<Self, EngineError> {
        let path = match data {
            Data::Memory => memory_name(),
            Data::Dir(folder) => folder.join(DATABASE_FILE).to_string_lossy().into_owned(),
        };
        let database = Database::new(&path).map_err(|error| refused("open", &error))?;
        if durability == Durability::Process {
            // The engine's only public switch for SQLite's `synchronous`: it sets NORMAL.
            database
                .disable_bulk_loading()
                .map_err(|error| refused("synchronous", &error))?;
        }
        let side = Side::open(&path)?;
        let mut names = BTreeMap::new();
        let mut wakers = HashMap::new();
        for table in &template.tables {
            let name = format!("{TABLE_PREFIX}{}", table.logical_id);
            prepare_table(&database, table, &name)?;
            if table.has_stream {
                wakers.insert(name.clone(), Arc::new(Notify::new()));
            }
            names.insert(table.logical_id.clone(), name);
        }
        let wakers = Arc::new(wakers);
        let core = Core {
            database,
            side,
            wakers: Arc::clone(&wakers),
            _lock: lock,
        };
        let runner = Runner::start(core, durability == Durability::Process);
        let runner = runner.map_err(|source| EngineError::File {
            path: path.into(),
            source,
        })?;
        Ok(Self {
            inner: Arc::new(Inner {
                runner,
                names,
                wakers,
                faults: Faults::default(),
                meter: Meter::default(),
                in_memory: *data == Data::Memory,
            }),
        })
    }

    /// The name under which the engine keeps a table of the template.
    #[must_use]
    pub fn table_name(&self, logical_id: &str) -> Option<&str> {
        self.inner.names.get(logical_id).map(String::as_str)
    }

    /// The logical id of the table that the engine keeps under this name; the name itself when it is none of the template's.
    #[must_use]
    pub fn logical_id(&self, name: &str) -> String {
        let logical = name
            .strip_prefix(TABLE_PREFIX)
            .filter(|logical| self.inner.names.contains_key(*logical));
        logical.unwrap_or(name).to_owned()
    }

    /// A client of the AWS SDK whose requests go to this engine without a network, with the timeouts and retries that the functions'
    /// own client has.
    #[must_use]
    pub fn client(&self) -> Client {
        let credentials = Credentials::new("local", "local", None, None, "local");
        let endpoint = Some("http://embedded.invalid");
        store::connect::client_over(
            "us-east-1",
            credentials,
            endpoint,
            SharedHttpClient::new(connector::InProcess(self.clone())),
        )
    }

    /// The faults that tests may ask for.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.inner.faults
    }

    /// Counts what calls cost in DynamoDB's units.
    #[must_use]
    pub fn meter(&self) -> &Meter {
        &self.inner.meter
    }

    /// One call of the DynamoDB API: the operation as in `X-Amz-Target` after its dot, and the JSON body.
    pub async fn call(&self, operation: &str, body: Bytes) -> Answer {
        let operation = operation.to_owned();
        let call = move |core: &Core| {
            let answer = dispatch::run(&core.database, &operation, &body);
            // Here and not after the answer, which its caller may no longer wait for.
            core.wake(&answer.wakes);
            answer
        };
        let ended = |_| Answer::error(500, "InternalServerError", "the embedded database has ended");
        self.run(call).await.unwrap_or_else(ended)
    }

    /// Serves the DynamoDB API over HTTP, for looking into the tables with the AWS CLI, until the engine ends. Only a loopback address
    /// is taken: there is no authentication.
    ///
    /// # Errors
    /// When the address is not loopback or cannot be listened on.
    pub async fn serve(
        &self,
        address: std::net::SocketAddr,
    ) -> std::io::Result<(std::net::SocketAddr, tokio::task::JoinHandle<()>)> {
        http::serve(self.clone(), address).await
    }

    /// Whether a table of the template holds nothing.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn is_empty(&self, logical_id: &str) -> Result<bool, EngineError> {
        let request = json!({"TableName": self.table_name(logical_id), "Limit": 1});
        let found = self
            .run(move |core| call_json(&core.database, "Scan", &request))
            .await??;
        Ok(found["Count"] == 0)
    }

    /// Deletes what has outlived its time to live; how many items. It reads every item of the tables that have one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sweep_ttl(&self) -> Result<usize, EngineError> {
        let sweep = |database: &Database| database.sweep_ttl().map_err(|error| refused("sweep_ttl", &error));
        let swept = if self.inner.in_memory {
            // Connections to a database in memory do not wait for each other's locks: they must not meet.
            self.run(move |core| sweep(&core.database)).await??
        } else {
            // The sweep gives way to other calls page by page, which it can only where it does not run before them in one queue.
            let database = self.run(|core| core.database.clone()).await?;
            let swept = tokio::task::spawn_blocking(move || sweep(&database)).await;
            swept.unwrap_or(Err(EngineError::Closed))?
        };
        if swept > 0 {
            self.inner.wakers.values().for_each(|waker| waker.notify_one());
        }
        Ok(swept)
    }

    /// Deletes stream records that were made before that second since 1970.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn trim_streams(&self, before: i64) -> Result<(), EngineError> {
        for name in self.inner.wakers.keys() {
            while !self
                .run_side(name.clone(), move |side, name| side.trim_older(name, before))
                .await?
            {}
        }
        Ok(())
    }

    /// Deletes a table's stream records up to and with this one.
    pub(crate) async fn trim_passed(&self, table: &str, through: &str) -> Result<(), EngineError> {
        let through = Arc::<str>::from(through);
        loop {
            let through = Arc::clone(&through);
            if self
                .run_side(table.to_owned(), move |side, name| side.trim_passed(name, &through))
                .await?
            {
                return Ok(());
            }
        }
    }

    async fn run_side<T: Send + 'static>(
        &self,
        table: String,
        work: impl FnOnce(&Side, &str) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        self.run(move |core| work(&core.side, &table)).await?
    }

    /// What tells that a table's stream may hold something new. `None` when it has no stream.
    pub(crate) fn waker(&self, table: &str) -> Option<Arc<Notify>> {
        self.inner.wakers.get(table).cloned()
    }

    /// The ARN of a table's stream.
    pub(crate) async fn stream_arn(&self, table: &str) -> Result<String, EngineError> {
        let request = json!({"TableName": table});
        let answer = self
            .run(move |core| call_json(&core.database, "DescribeTable", &request))
            .await??;
        let arn = answer.pointer("/Table/LatestStreamArn").and_then(Value::as_str);
        arn.map(str::to_owned)
            .ok_or_else(|| EngineError::Layout(format!("{table} has no stream")))
    }

    /// The place in a stream behind a record, or its beginning.
    pub(crate) async fn stream_position(&self, stream_arn: &str, after: Option<&str>) -> Result<String, EngineError> {
        let describe = json!({"StreamArn": stream_arn});
        let mut request = json!({"StreamArn": stream_arn, "ShardIteratorType": "TRIM_HORIZON"});
        if let Some(after) = after {
            request["ShardIteratorType"] = "AFTER_SEQUENCE_NUMBER".into();
            request["SequenceNumber"] = after.into();
        }
        let position = self.run(move |core| -> Result<Value, EngineError> {
            let stream = call_json(&core.database, "DescribeStream", &describe)?;
            request["ShardId"] = stream
                .pointer("/StreamDescription/Shards/0/ShardId")
                .cloned()
                .unwrap_or_default();
            call_json(&core.database, "GetShardIterator", &request)
        });
        let position = position.await??;
        let iterator = position.get("ShardIterator").and_then(Value::as_str).map(str::to_owned);
        iterator.ok_or_else(|| EngineError::Layout("GetShardIterator gives none".into()))
    }

    /// Reads a stream on from a place.
    pub(crate) async fn read_stream(&self, position: String, limit: usize) -> Result<StreamPage, EngineError> {
        let request = dynoxide::actions::get_records::GetRecordsRequest {
            shard_iterator: position,
            limit: Some(limit),
        };
        let read = self.run(move |core| {
            core.database
                .get_records(request)
                .map_err(|error| refused("GetRecords", &error))
        });
        let read = read.await??;
        Ok(StreamPage {
            records: read.records,
            next: read.next_shard_iterator,
        })
    }

    /// How far a mapping has read a stream.
    pub(crate) async fn checkpoint(&self, mapping: &str, stream_arn: &str) -> Result<Option<String>, EngineError> {
        let (mapping, stream_arn) = (mapping.to_owned(), stream_arn.to_owned());
        self.run(move |core| core.side.checkpoint(&mapping, &stream_arn))
            .await?
    }

    /// Notes how far a mapping has read a stream.
    pub(crate) async fn set_checkpoint(
        &self,
        mapping: &str,
        stream_arn: &str,
        sequence: &str,
    ) -> Result<(), EngineError> {
        let (mapping, stream_arn, sequence) = (mapping.to_owned(), stream_arn.to_owned(), sequence.to_owned());
        self.run(move |core| core.side.set_checkpoint(&mapping, &stream_arn, &sequence))
            .await?
    }

    /// Ends the engine: what was asked for before is still done, and the database is closed when this returns.
    pub async fn close(&self) {
        self.inner.runner.close().await;
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce(&Core) -> T + Send + 'static) -> Result<T, EngineError> {
        self.inner.runner.run(work).await
    }
}

impl Core {
    fn wake(&self, wakes: &Wakes) {
        match wakes {
            Wakes::Nobody => {}
            Wakes::Table(name) => {
                if let Some(waker) = self.wakers.get(name) {
                    waker.notify_one();
                }
            }
            Wakes::All => self.wakers.values().for_each(|waker| waker.notify_one()),
        }
    }
}

/// A name for a database in memory that two connections of this process can open, and nobody else.
fn memory_name() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!(
        "file:hookline-{}-{}?mode=memory&cache=shared",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}

#[cfg(test)]
mod tests;
