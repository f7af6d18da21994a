//! The command line: `cargo run -p local`, `… -- send quartr`, `… -- key`.

mod files;
mod key;
mod operate;
mod send;
mod serve;

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::engine::{Durability, EngineError};
use crate::hub::HubError;
use crate::template::TemplateError;

/// The whole of Hookline in one process, on an embedded DynamoDB. It listens on this machine only.
#[derive(Debug, Parser)]
#[command(name = "local", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArgs,
    /// The folder of the data; it is made when it is missing.
    #[arg(long, global = true, value_name = "DIR", default_value = ".hookline")]
    data: PathBuf,
    /// How log lines look, on standard error. `RUST_LOG` says which there are: warnings and errors, unless it says otherwise.
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        env = "HOOKLINE_LOG_FORMAT",
        value_name = "FORMAT"
    )]
    log_format: LogFormat,
}

/// [`telemetry::logs::Format`] as it is chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line, as a deployed function writes it.
    Json,
}

impl Cli {
    /// How log lines are to look.
    #[must_use]
    pub fn log_format(&self) -> telemetry::logs::Format {
        match self.log_format {
            LogFormat::Text => telemetry::logs::Format::Text,
            LogFormat::Json => telemetry::logs::Format::Json,
        }
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Signs a provider's sample, sends it through the running hub, and tells what becomes of it.
    Send(SendArgs),
    /// Makes one more admin key, for when the first one is lost.
    Key(KeyArgs),
    /// Gives a command to `operate`, as docs/OPERATIONS.md lists them, and prints its answer.
    Operate(OperateArgs),
}

#[derive(Debug, Args)]
struct ServeArgs {
    /// Keep the data in memory only: it ends with the process.
    #[arg(long)]
    memory: bool,
    /// Where to listen for HTTP: a loopback address.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where the built-in sink listens, to which webhooks can be pointed.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8081")]
    sink: SocketAddr,
    /// Serve the DynamoDB API on this port of 127.0.0.1, without authentication, to look into the tables with the AWS CLI.
    #[arg(long, value_name = "PORT")]
    dynamodb_port: Option<u16>,
    /// Deliver only to public https destinations, as a deployed hub does. (Then nothing can be delivered to the sink.)
    #[arg(long)]
    public_only: bool,
    /// What an acknowledged write survives.
    #[arg(long, value_enum, default_value_t)]
    durability: DurabilityArg,
}

/// [`Durability`] as it is chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum DurabilityArg {
    /// The end of the process, however that comes.
    #[default]
    Process,
    /// A loss of power too: each write waits for the disk, which takes some milliseconds.
    Power,
}

impl From<DurabilityArg> for Durability {
    fn from(chosen: DurabilityArg) -> Self {
        match chosen {
            DurabilityArg::Process => Self::Process,
            DurabilityArg::Power => Self::Power,
        }
    }
}

#[derive(Debug, Args)]
struct SendArgs {
    /// Whose sample.
    #[arg(value_enum)]
    provider: Provider,
    /// Sign with another secret, as a forger would: the hub must take it and reject it.
    #[arg(long)]
    forged: bool,
    /// Where the hub answers.
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    url: String,
    /// Where its sink answers.
    #[arg(long, default_value = "http://127.0.0.1:8081/sink")]
    sink_url: String,
    /// An admin key; without it the one that the hub keeps in the folder of its data.
    #[arg(long, env = "HOOKLINE_KEY", hide_env_values = true)]
    key: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Provider {
    Quartr,
}

#[derive(Debug, Args)]
struct KeyArgs {
    /// The organization; without it the one that was made at the first start.
    #[arg(long)]
    organization: Option<String>,
    /// The key's name for people.
    #[arg(long, default_value = "local")]
    name: String,
}

#[derive(Debug, Args)]
struct OperateArgs {
    /// The command: `{"action": …}`.
    command: String,
}

/// Why a command failed, in words for the person who gave it.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The template cannot be run here.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The hub does not start.
    #[error("the hub cannot start: {0}")]
    Hub(#[from] HubError),
    /// The embedded database cannot be used.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// `operate` did not carry out a command.
    #[error("operate: {0}")]
    Operate(#[from] ::operate::OperateError),
    /// The output, a file or a port failed.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// Anything else, in whole words.
    #[error("{0}")]
    Failed(String),
}

/// Runs one command, printing to `out`.
///
/// # Errors
/// What to tell the person who gave it.
pub async fn run(cli: Cli, out: &mut (impl Write + Send)) -> Result<(), CliError> {
    match cli.command {
        None => serve::run(cli.serve, &cli.data, out).await,
        Some(Command::Send(arguments)) => send::run(&arguments, &cli.data, out).await,
        Some(Command::Operate(arguments)) => operate::run(&arguments, &cli.data, out).await,
        Some(Command::Key(arguments)) => key::run(&arguments, &cli.data, out).await,
    }
}

#[cfg(test)]
mod tests;
