//! The Lambda function that only the operator invokes. IAM (`lambda:InvokeFunction`) says who that is; nothing public reaches it.

use delivery::Deadline;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use operate::Operate;
use operate::failed::s3::Bucket;
use payload::Clock;
use serde_json::Value;
use store::clock::SystemClock;

// One thread: an execution environment handles one invocation at a time, with less than one processor.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::logs::start_function();
    let function = Operate::new(
        store::connect::dynamo_from_env()?,
        Bucket::from_env(SystemClock)?,
        SystemClock,
    );
    lambda_runtime::run(service_fn(|LambdaEvent { payload, context }: LambdaEvent<Value>| {
        let deadline = Deadline::at_epoch_ms(context.deadline, SystemClock.now());
        function.handle(payload, deadline)
    }))
    .await
}
