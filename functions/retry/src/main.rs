//! The Lambda function behind the minute's schedule.

use std::convert::Infallible;
use std::env;

use delivery::{Client, Deadline, Destinations, Guard, HttpSender, guard};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use payload::Clock;
use retry::{Retry, Settings};
use store::clock::SystemClock;
use telemetry::Metrics;

// One thread: an execution environment handles one tick at a time, with less than one processor.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::logs::start_function();
    let destinations = Destinations::from_setting(env::var(guard::ALLOW_PRIVATE_VARIABLE).ok().as_deref());
    let guard = Guard::new(destinations)
        .without_host_of(&env::var("PUBLIC_URL").unwrap_or_default())
        .without_api(&env::var("API_ID").unwrap_or_default());
    let sender = HttpSender::new(Client::builder(guard).build()?, SystemClock);
    let function = Retry::new(
        store::connect::dynamo_from_env()?,
        sender,
        SystemClock,
        Settings::default(),
    )
    .with_metrics(Metrics::from_env());
    // What the schedule sends says nothing but that a minute has passed.
    lambda_runtime::run(service_fn(
        |LambdaEvent { context, .. }: LambdaEvent<serde_json::Value>| {
            let deadline = Deadline::at_epoch_ms(context.deadline, SystemClock.now());
            let function = &function;
            async move {
                function.handle(deadline).await;
                Ok::<_, Infallible>(())
            }
        },
    ))
    .await
}
