//! The Lambda function behind the inbox's stream.

use std::convert::Infallible;
use std::panic;

use aws_lambda_events::dynamodb::Event;
use lambda_runtime::{Error, LambdaEvent, service_fn, tracing};
use store::clock::SystemClock;
use verify::Verify;

// One thread: an execution environment handles one batch at a time, with less than one processor.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    // A panic's message can hold a piece of what was being read: its place is enough to find it.
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string);
        tracing::error!(error_type = "panic", place, "panicked");
    }));
    let function = Verify::new(store::connect::dynamo_from_env()?, SystemClock);
    lambda_runtime::run(service_fn(|event: LambdaEvent<Event>| async {
        Ok::<_, Infallible>(function.handle(event.payload).await)
    }))
    .await
}
