//! The Lambda function behind the events' stream.

use std::convert::Infallible;
use std::env;

use aws_lambda_events::dynamodb::Event;
use delivery::{Client, Deadline, Destinations, Guard, HttpSender, guard};
use fan_out::{FanOut, Settings};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use payload::Clock;
use store::clock::SystemClock;
use telemetry::Metrics;

// One thread: an execution environment handles one batch at a time, with less than one processor.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::logs::start_function();
    let destinations = Destinations::from_setting(env::var(guard::ALLOW_PRIVATE_VARIABLE).ok().as_deref());
    let guard = Guard::new(destinations)
        .without_host_of(&env::var("PUBLIC_URL").unwrap_or_default())
        .without_api(&env::var("API_ID").unwrap_or_default());
    let sender = HttpSender::new(Client::builder(guard).build()?, SystemClock);
    let function = FanOut::new(
        store::connect::dynamo_from_env()?,
        sender,
        SystemClock,
        Settings::default(),
    )
    .with_metrics(Metrics::from_env());
    lambda_runtime::run(service_fn(|LambdaEvent { payload, context }: LambdaEvent<Event>| {
        let deadline = Deadline::at_epoch_ms(context.deadline, SystemClock.now());
        let function = &function;
        async move { Ok::<_, Infallible>(function.handle(payload, deadline).await) }
    }))
    .await
}
