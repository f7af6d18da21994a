//! The whole hub in one process: engine, front, pumps and tick, as the command line starts it, and tests and measurements too.

mod functions;
mod tick;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use delivery::Deadline;
use delivery::client::ClientError;
use operate::OperateError;
use payload::Clock;
use rustls::pki_types::CertificateDer;
use serde_json::Value;
use store::Dynamo;
use store::clock::SystemClock;
use telemetry::Metrics;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use self::functions::{Functions, ScheduledHandler, SharedClock, wire};
use self::tick::{Scheduled, Ticker};
use crate::engine::{Data, Durability, Engine, EngineError};
use crate::pump::{Backoff, FailureDestination, Handler, Pump, PumpError, PumpSettings};
use crate::template::{Template, TemplateError};
use crate::{front, loopback};

/// The port of the front, when none is asked for.
pub const DEFAULT_PORT: u16 = 8080;

/// The folder of the failed records, in the folder of the data.
pub(crate) const FAILED_FOLDER: &str = "failed";

/// What can be chosen.
#[derive(Clone)]
pub struct HubOptions {
    /// Where the data is kept.
    pub data: Data,
    /// How safely a write lies on the disk when it is answered.
    pub durability: Durability,
    /// The template that says which tables, streams, filters and routes there are.
    pub template: Template,
    /// The time that the functions see. (Time to live, the age of stream records and the rate of ticks follow the system's clock.)
    pub clock: Arc<dyn Clock>,
    /// Where the front listens: a loopback address; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Whether webhooks may lead to plain http and to private addresses, as this machine's own.
    pub allow_private: bool,
    /// Certificate authorities (DER) that destinations may also stand under, beside those of Mozilla's root program.
    pub authorities: Vec<CertificateDer<'static>>,
    /// How `fan-out` works; its retry schedule too.
    pub fan_out: fan_out::Settings,
    /// How `retry` works; its retry schedule too.
    pub retry: retry::Settings,
    /// How `operate` works.
    pub operate: operate::Settings,
    /// The pauses between attempts at a batch of stream records.
    pub backoff: Backoff,
    /// Whether the schedule ticks by itself. A test may rather call [`Hub::tick`].
    pub ticking: bool,
    /// Where stream records go that could not be handled; `None` is `failed` in the folder of the data, or for data in memory a folder of
    /// its own in the system's folder for temporary files.
    pub failed: Option<PathBuf>,
    /// Where the functions tell their numbers, if anywhere.
    pub metrics: Metrics,
}

impl HubOptions {
    /// The hub of the command line, with its data there.
    ///
    /// # Errors
    /// When the template that this program was built with cannot be run here, which a test excludes.
    pub fn new(data: Data) -> Result<Self, TemplateError> {
        Ok(Self {
            data,
            durability: Durability::default(),
            template: Template::bundled()?,
            clock: Arc::new(SystemClock),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, DEFAULT_PORT)),
            allow_private: true,
            authorities: Vec::new(),
            fan_out: fan_out::Settings::default(),
            retry: retry::Settings::default(),
            operate: operate::Settings::default(),
            backoff: Backoff::default(),
            ticking: true,
            failed: None,
            metrics: Metrics::off(),
        })
    }

    /// A hub for a test or a measurement: in memory, on a free port, ticking only when it is asked to.
    ///
    /// # Errors
    /// As [`HubOptions::new`].
    pub fn for_tests() -> Result<Self, TemplateError> {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut options = Self {
            listen,
            ticking: false,
            ..Self::new(Data::Memory)?
        };
        // A busy machine must not make a good destination one that is parked: nothing ticks here by itself.
        options.fan_out.unproven_wait = options.fan_out.attempt_limit;
        Ok(options)
    }
}

/// Why a hub does not start.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// The template cannot be run here.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The engine cannot be used.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A pump cannot start.
    #[error(transparent)]
    Pump(#[from] PumpError),
    /// The front cannot listen.
    #[error("{0}")]
    Listen(std::io::Error),
    /// The folder for failed records cannot be made.
    #[error("the folder for failed records cannot be made: {0}")]
    FailedFolder(std::io::Error),
    /// The template has no such function.
    #[error("template.yaml has no function that runs {0}")]
    NoFunction(&'static str),
    /// The front's URL is none.
    #[error(transparent)]
    Url(#[from] manage::InvalidSettings),
    /// The HTTP client for deliveries cannot be made.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// A running hub.
pub struct Hub {
    engine: Engine,
    url: String,
    failed: PathBuf,
    store: Dynamo,
    operate: operate::Operate<Dynamo, FailureDestination, SharedClock>,
    operate_timeout: Duration,
    pumps: Arc<Vec<Pump>>,
    ticker: Arc<Ticker>,
    stop: watch::Sender<bool>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Hub {
    /// Starts a hub. It works when this returns.
    ///
    /// # Errors
    /// What is in the way.
    pub async fn start(options: HubOptions) -> Result<Self, HubError> {
        let template = &options.template;
        let listener = loopback::bind(options.listen).await.map_err(HubError::Listen)?;
        let address = listener.local_addr().map_err(HubError::Listen)?;
        let url = format!("http://{address}");
        let engine = Engine::open(&options.data, template, options.durability).await?;
        let failed = failed_folder(&options).map_err(HubError::FailedFolder)?;
        let Functions {
            integrations,
            streams,
            scheduled,
            operate,
            operate_timeout,
        } = wire(&engine, template, &options, &url, &failed)?;
        let pumps = Arc::new(start_pumps(&engine, &options, &failed, streams).await?);
        let ticker = Arc::new(Ticker {
            scheduled: schedules(template, scheduled)?,
            engine: engine.clone(),
            pumps: Arc::clone(&pumps),
            housekeeping: tokio::sync::Mutex::default(),
        });
        let (stop, stopped) = watch::channel(false);
        let clock = Arc::clone(&options.clock);
        let mut tasks = vec![tokio::spawn(serve(listener, integrations, clock, stopped.clone()))];
        if options.ticking {
            tasks.push(tokio::spawn(Arc::clone(&ticker).run(stopped)));
        }
        let store = functions::store_of_all(&engine, template);
        let tasks = Mutex::new(tasks);
        Ok(Self {
            engine,
            url,
            failed,
            store,
            operate,
            operate_timeout,
            pumps,
            ticker,
            stop,
            tasks,
        })
    }

    /// Where the front answers, without a slash at its end.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The embedded DynamoDB.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// A client of the AWS SDK on the embedded DynamoDB.
    #[must_use]
    pub fn client(&self) -> aws_sdk_dynamodb::Client {
        self.engine.client()
    }

    /// The store with all tables.
    #[must_use]
    pub fn store(&self) -> &Dynamo {
        &self.store
    }

    /// The pumps.
    #[must_use]
    pub fn pumps(&self) -> &[Pump] {
        &self.pumps
    }

    /// Where stream records are set aside.
    #[must_use]
    pub fn failed_folder(&self) -> &Path {
        &self.failed
    }

    /// Invokes `operate` with the JSON of a command.
    ///
    /// # Errors
    /// Why it was not carried out.
    pub async fn operate(&self, command: Value) -> Result<Value, OperateError> {
        self.operate_within(command, self.operate_timeout).await
    }

    /// The same, with so much time until the invocation would be cut off.
    ///
    /// # Errors
    /// Why it was not carried out.
    pub async fn operate_within(&self, command: Value, time: Duration) -> Result<Value, OperateError> {
        self.operate.handle(command, Deadline::after(time)).await
    }

    /// Whether nothing was ever made here: no organization, so that nobody has a key.
    ///
    /// # Errors
    /// When the table cannot be read.
    pub async fn is_new(&self) -> Result<bool, EngineError> {
        self.engine.is_empty("RegistryTable").await
    }

    /// One tick of the schedule, to its end: `retry` is invoked, expired items and passed stream records are deleted.
    pub async fn tick(&self) {
        self.ticker.tick().await;
    }

    /// Waits until every stream is worked off. `false` when that is not so within `limit`.
    ///
    /// # Errors
    /// When a stream cannot be read.
    pub async fn settle(&self, limit: Duration) -> Result<bool, EngineError> {
        let deadline = Instant::now() + limit;
        loop {
            let mut idle = true;
            // Data flows one way, and a later round sees what an earlier stream wrote to a later one meanwhile.
            for _ in 0..2 {
                for pump in self.pumps.iter() {
                    idle &= pump.is_idle().await?;
                }
            }
            if idle || Instant::now() >= deadline {
                return Ok(idle);
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Ends the hub: requests and batches that are under way are finished and noted, the rest waits on the streams for the next start.
    pub async fn stop(&self) {
        self.stop.send_replace(true);
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in tasks {
            task.await.ok();
        }
        futures::future::join_all(self.pumps.iter().map(Pump::stop)).await;
        self.engine.close().await;
    }
}

/// The store as a function of the template sees it: for a command line beside a running hub.
pub(crate) fn store_of(engine: &Engine, template: &Template, binary: &'static str) -> Result<Dynamo, HubError> {
    template
        .function(binary)
        .map(|function| functions::store(engine, &function.environment))
        .ok_or(HubError::NoFunction(binary))
}

/// One pump for each stream of each function.
async fn start_pumps(
    engine: &Engine,
    options: &HubOptions,
    failed: &Path,
    handlers: BTreeMap<&'static str, Handler>,
) -> Result<Vec<Pump>, HubError> {
    let template = &options.template;
    let mut pumps = Vec::new();
    for (binary, handler) in handlers {
        let function = template.function(binary).ok_or(HubError::NoFunction(binary))?;
        for mapping in &function.streams {
            let Some(table) = template.table(&mapping.table) else {
                continue;
            };
            let settings = PumpSettings {
                timeout: function.timeout,
                failed: FailureDestination::new(failed),
                // Records are as old as the engine says, and its clock is the system's.
                clock: Arc::new(SystemClock),
                backoff: options.backoff,
            };
            pumps.push(Pump::start(engine, table, mapping, Arc::clone(&handler), settings).await?);
        }
    }
    Ok(pumps)
}

/// Each function with each of its schedules.
fn schedules(
    template: &Template,
    handlers: BTreeMap<&'static str, ScheduledHandler>,
) -> Result<Vec<Scheduled>, HubError> {
    let mut schedules = Vec::new();
    for (binary, handler) in handlers {
        let function = template.function(binary).ok_or(HubError::NoFunction(binary))?;
        schedules.extend(function.schedules.iter().map(|schedule| Scheduled {
            binary,
            every: schedule.every,
            timeout: function.timeout,
            handler: Arc::clone(&handler),
        }));
    }
    Ok(schedules)
}

async fn serve(
    listener: tokio::net::TcpListener,
    integrations: Vec<front::Integration>,
    clock: Arc<dyn Clock>,
    mut stopped: watch::Receiver<bool>,
) {
    let stop = async move {
        stopped.wait_for(|stop| *stop).await.ok();
    };
    if let Err(error) = front::serve(listener, integrations, clock, stop).await {
        tracing::error!(error_type = "front", %error, "the front ended badly");
    }
}

fn failed_folder(options: &HubOptions) -> std::io::Result<PathBuf> {
    let folder = match (&options.failed, &options.data) {
        (Some(folder), _) => folder.clone(),
        (None, Data::Dir(folder)) => folder.join(FAILED_FOLDER),
        (None, Data::Memory) => {
            let name = format!("hookline-failed-{}", hex::encode(payload::id::random::<8>()));
            return Ok(std::env::temp_dir().join(name));
        }
    };
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

#[cfg(test)]
mod tests;
