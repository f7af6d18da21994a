//! The Lambda function behind `/v1/{proxy+}`.

use lambda_http::Error;
use manage::Settings;
use store::clock::SystemClock;

// One thread: an execution environment handles one request at a time, with less than one processor.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::logs::start_function();
    let store = store::connect::dynamo_from_env()?;
    let settings = Settings::read(|name| std::env::var(name).ok())?;
    gateway::run(manage::router(store, SystemClock, settings)).await
}
