//! The Lambda function behind `ANY /in/{token}`.

use lambda_http::{Error, service_fn, tracing};
use receive::Receive;
use store::clock::SystemClock;

// One thread: an execution environment handles one request at a time, with less than one processor.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let function = Receive::new(store::connect::dynamo_from_env()?, SystemClock);
    lambda_http::run(service_fn(|request| function.handle(request))).await
}
