//! The Lambda function behind the inbox's stream.

use std::convert::Infallible;

use aws_lambda_events::dynamodb::Event;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use store::clock::SystemClock;
use telemetry::Metrics;
use verify::Verify;

// One thread: an execution environment handles one batch at a time, with less than one processor.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::logs::start_function();
    let function = Verify::new(store::connect::dynamo_from_env()?, SystemClock).with_metrics(Metrics::from_env());
    lambda_runtime::run(service_fn(|event: LambdaEvent<Event>| async {
        Ok::<_, Infallible>(function.handle(event.payload).await)
    }))
    .await
}
