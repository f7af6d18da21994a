//! The store's contract on both engines: the embedded one, and Amazon's DynamoDB Local.

use std::sync::Arc;

use hookline_tests::contract;
use hookline_tests::tables_of;
use local::engine::{Data, Durability, Engine};
use local::template::Template;
use store::Dynamo;
use store::connect::Retention;

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::expect_used, reason = "a test may fail by panicking")]
async fn on_the_embedded_engine() {
    let template = Template::bundled().expect("the template");
    for data in [Data::Memory, Data::Dir(tempfile::tempdir().expect("a folder").keep())] {
        let engine = Engine::open(&data, &template, Durability::Process)
            .await
            .expect("the engine opens");
        let store = Dynamo::new(engine.client(), tables_of(&engine), Retention::default());
        contract::run(&Arc::new(store)).await;
        engine.close().await;
    }
}

#[cfg(feature = "deep")]
#[tokio::test(flavor = "multi_thread")]
async fn on_dynamodb_local() {
    let dynamodb = hookline_tests::dynamodb_local::DynamoDbLocal::start().await;
    contract::run(&Arc::new(dynamodb.store())).await;
}
