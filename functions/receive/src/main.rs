//! The Lambda function behind `ANY /in/{token}`.

use lambda_http::{Error, service_fn};
use receive::Receive;
use store::clock::SystemClock;
use telemetry::Metrics;

// One thread: an execution environment handles one request at a time, with less than one processor.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::logs::start_function();
    let function = Receive::new(store::connect::dynamo_from_env()?, SystemClock).with_metrics(Metrics::from_env());
    gateway::run(service_fn(|request| function.handle(request))).await
}
