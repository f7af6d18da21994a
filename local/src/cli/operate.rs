//! `operate`: a command for the function that only the operator may invoke.

use std::io::Write;
use std::path::Path;

use delivery::Deadline;
use operate::Operate;
use serde_json::Value;
use store::clock::SystemClock;

use super::{CliError, OperateArgs};
use crate::engine::{Engine, EngineError};
use crate::hub::{self, FAILED_FOLDER, HubError};
use crate::pump::FailureDestination;
use crate::template::Template;

pub(super) async fn run(arguments: &OperateArgs, folder: &Path, out: &mut (impl Write + Send)) -> Result<(), CliError> {
    let command: Value = serde_json::from_str(&arguments.command)
        .map_err(|error| CliError::Failed(format!("the command is no JSON: {error}")))?;
    let template = Template::bundled()?;
    let engine = open(folder, &template).await?;
    let answer = invoke(&engine, &template, folder, command).await;
    engine.close().await;
    writeln!(out, "{:#}", answer?)?;
    Ok(())
}

/// The database of the hub in this folder, which may be running: SQLite keeps the two apart.
pub(super) async fn open(folder: &Path, template: &Template) -> Result<Engine, CliError> {
    Engine::open_beside(folder, template)
        .await
        .map_err(|error| match error {
            EngineError::File { .. } => CliError::Failed(format!("{} holds no hub: start one first", folder.display())),
            other => other.into(),
        })
}

/// Invokes `operate` as Lambda would, on the tables and the failed records of the hub in this folder.
pub(super) async fn invoke(
    engine: &Engine,
    template: &Template,
    folder: &Path,
    command: Value,
) -> Result<Value, CliError> {
    let function = template.function("operate").ok_or(HubError::NoFunction("operate"))?;
    let store = hub::store_of(engine, template, "operate")?;
    let failed = FailureDestination::new(&folder.join(FAILED_FOLDER));
    let answer = Operate::new(store, failed, SystemClock)
        .handle(command, Deadline::after(function.timeout))
        .await;
    Ok(answer?)
}
