//! `cargo run -p local`: the whole hub on one machine.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use local::cli::{Cli, run};

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    telemetry::logs::start_program(cli.log_format());
    match run(cli, &mut std::io::stdout()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            writeln!(std::io::stderr(), "error: {error}").ok();
            ExitCode::FAILURE
        }
    }
}
