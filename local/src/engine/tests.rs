#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
use std::time::Duration;

use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};

use super::*;

async fn memory() -> Engine {
    Engine::open(&Data::Memory, &Template::bundled().unwrap(), Durability::Power)
        .await
        .unwrap()
}

fn put(client: &Client, id: &str) -> aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder {
    client
        .put_item()
        .table_name("hookline-InboxTable")
        .item("id", AttributeValue::S(id.into()))
}

async fn records(engine: &Engine) -> StreamPage {
    let arn = engine.stream_arn("hookline-InboxTable").await.unwrap();
    let position = engine.stream_position(&arn, None).await.unwrap();
    engine.read_stream(position, 1000).await.unwrap()
}

#[tokio::test]
async fn the_sdk_reads_what_it_wrote_and_its_errors_are_typed() {
    let engine = memory().await;
    let client = engine.client();
    put(&client, "a")
        .item(
            "body",
            AttributeValue::B(vec![0, 255].into_boxed_slice().into_vec().into()),
        )
        .send()
        .await
        .unwrap();
    let read = client
        .get_item()
        .table_name("hookline-InboxTable")
        .key("id", AttributeValue::S("a".into()))
        .send()
        .await
        .unwrap();
    assert_eq!(read.item.unwrap()["body"].as_b().unwrap().as_ref(), [0, 255]);

    let again = put(&client, "a")
        .condition_expression("attribute_not_exists(id)")
        .send()
        .await
        .unwrap_err();
    assert!(again.into_service_error().is_conditional_check_failed_exception());

    let transaction = client.transact_write_items().transact_items(
        TransactWriteItem::builder()
            .put(
                Put::builder()
                    .table_name("hookline-InboxTable")
                    .item("id", AttributeValue::S("a".into()))
                    .condition_expression("attribute_not_exists(id)")
                    .build()
                    .unwrap(),
            )
            .build(),
    );
    let error = transaction.send().await.unwrap_err().into_service_error();
    assert_eq!(error.code(), Some("TransactionCanceledException"));

    let error = client
        .put_item()
        .table_name("nowhere")
        .item("id", AttributeValue::S("a".into()))
        .send()
        .await
        .unwrap_err();
    assert!(error.into_service_error().is_resource_not_found_exception());
    let error = put(&client, "").send().await.unwrap_err().into_service_error();
    assert_eq!(error.code(), Some("ValidationException"));
    assert_eq!(records(&engine).await.records.len(), 1);
}

#[tokio::test]
async fn a_write_wakes_its_stream_and_a_read_or_a_refused_write_does_not() {
    let engine = memory().await;
    let client = engine.client();
    let waker = engine.waker("hookline-InboxTable").unwrap();
    let woken = async || {
        tokio::time::timeout(Duration::from_millis(50), waker.notified())
            .await
            .is_ok()
    };
    put(&client, "a").send().await.unwrap();
    assert!(woken().await);
    assert!(
        put(&client, "a")
            .condition_expression("attribute_not_exists(id)")
            .send()
            .await
            .is_err()
    );
    client.scan().table_name("hookline-InboxTable").send().await.unwrap();
    assert!(!woken().await);
    assert!(engine.waker("hookline-SecretsTable").is_none());
}

#[tokio::test]
async fn injected_faults_reach_the_caller_and_say_what_was_done() {
    let engine = memory().await;
    let client = engine.client();
    // The SDK itself tries again.
    let once = Fault::new(FaultKind::InternalServerError)
        .operation("PutItem")
        .table("InboxTable")
        .times(1);
    engine.faults().inject(once);
    put(&client, "a").send().await.unwrap();
    assert_eq!(engine.faults().struck(), 1);

    let try_once = async |id: &str| {
        let retry = aws_sdk_dynamodb::config::retry::RetryConfig::disabled();
        let config = aws_sdk_dynamodb::Config::builder().retry_config(retry);
        put(&client, id)
            .customize()
            .config_override(config)
            .send()
            .await
            .unwrap_err()
    };
    for (kind, code) in [
        (FaultKind::InternalServerError, "InternalServerError"),
        (FaultKind::Throttling, "ThrottlingException"),
        (FaultKind::Validation, "ValidationException"),
    ] {
        engine.faults().inject(Fault::new(kind).times(1));
        assert_eq!(try_once("b").await.into_service_error().code(), Some(code));
    }
    engine.faults().inject(Fault::new(FaultKind::Unreachable).times(1));
    assert!(matches!(
        try_once("b").await,
        aws_sdk_dynamodb::error::SdkError::DispatchFailure(_)
    ));
    assert_eq!(records(&engine).await.records.len(), 1);

    let applied = Fault::new(FaultKind::AppliedThenInternalServerError).containing("\"c\"");
    engine.faults().inject(applied);
    try_once("c").await;
    engine.faults().clear();
    let written = records(&engine).await.records;
    assert_eq!(written[1].dynamodb.keys["id"], dynoxide::AttributeValue::S("c".into()));

    engine
        .faults()
        .inject(Fault::new(FaultKind::Delay(Duration::from_millis(20))).times(1));
    let start = tokio::time::Instant::now();
    put(&client, "d").send().await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(20));
}

#[tokio::test]
async fn trimming_keeps_the_newest_record_so_that_numbers_only_grow() {
    let engine = memory().await;
    let client = engine.client();
    for id in ["a", "b", "c"] {
        put(&client, id).send().await.unwrap();
    }
    let before = records(&engine).await.records;
    let sequence = |record: &Record| record.dynamodb.sequence_number.clone();
    engine
        .trim_passed("hookline-InboxTable", &sequence(&before[0]))
        .await
        .unwrap();
    assert_eq!(
        records(&engine).await.records.iter().map(sequence).collect::<Vec<_>>(),
        [sequence(&before[1]), sequence(&before[2])]
    );
    engine
        .trim_passed("hookline-InboxTable", &sequence(&before[2]))
        .await
        .unwrap();
    assert_eq!(
        records(&engine).await.records.iter().map(sequence).collect::<Vec<_>>(),
        [sequence(&before[2])]
    );
    engine.trim_streams(i64::MAX).await.unwrap();
    assert_eq!(
        engine.run(|core| core.side.count("hookline-InboxTable")).await.unwrap(),
        1
    );
    put(&client, "d").send().await.unwrap();
    let after = records(&engine).await.records;
    assert!(sequence(&after[1]) > sequence(&before[2]));

    // Behind the last record there is nothing yet; behind the one before stands the last.
    let arn = engine.stream_arn("hookline-InboxTable").await.unwrap();
    for (from, expected) in [(&after[1], 0), (&before[0], 2)] {
        let position = engine.stream_position(&arn, Some(&sequence(from))).await.unwrap();
        assert_eq!(engine.read_stream(position, 10).await.unwrap().records.len(), expected);
    }
}

/// The statements of `dynoxide-rs` 3.2.0 that every put to a table with a stream and every reading of one run: without the index both
/// read all records.
#[tokio::test]
async fn the_engines_own_statements_find_their_records_by_the_index() {
    let engine = memory().await;
    let next =
        "SELECT COALESCE(MAX(CAST(sequence_number AS INTEGER)), 0) + 1 FROM _stream_records WHERE table_name = 'T'";
    let read = "SELECT event_name FROM _stream_records WHERE table_name = 'T' AND shard_id = 'S' \
                AND CAST(sequence_number AS INTEGER) > 7 ORDER BY CAST(sequence_number AS INTEGER) ASC LIMIT 9";
    for (sql, terms) in [(next, "(table_name=?)"), (read, "(table_name=? AND <expr>>?)")] {
        let plan = engine.run(move |core| core.side.plan(sql)).await.unwrap();
        assert!(
            plan.starts_with("SEARCH _stream_records USING ") && plan.ends_with(terms),
            "{plan}"
        );
    }
}

#[tokio::test]
async fn old_stream_records_are_trimmed_and_young_ones_stay() {
    let engine = memory().await;
    for id in ["a", "b"] {
        put(&engine.client(), id).send().await.unwrap();
    }
    engine.trim_streams(0).await.unwrap();
    assert_eq!(records(&engine).await.records.len(), 2);
}

#[tokio::test]
async fn items_that_have_outlived_their_time_are_swept() {
    let folder = tempfile::tempdir().unwrap();
    let template = Template::bundled().unwrap();
    let data = Data::Dir(folder.path().to_owned());
    let on_disk = Engine::open(&data, &template, Durability::Process);
    for engine in [memory().await, on_disk.await.unwrap()] {
        sweep(&engine).await;
        engine.close().await;
    }
}

async fn sweep(engine: &Engine) {
    let client = engine.client();
    put(&client, "old")
        .item("ttl", AttributeValue::N("1".into()))
        .send()
        .await
        .unwrap();
    put(&client, "young")
        .item("ttl", AttributeValue::N("99999999999".into()))
        .send()
        .await
        .unwrap();
    assert_eq!(engine.sweep_ttl().await.unwrap(), 1);
    assert_eq!(
        client
            .scan()
            .table_name("hookline-InboxTable")
            .send()
            .await
            .unwrap()
            .count,
        1
    );
}

#[tokio::test]
async fn a_folder_keeps_what_was_written_and_belongs_to_one_hub() {
    let folder = tempfile::tempdir().unwrap();
    let data = Data::Dir(folder.path().join("data"));
    let template = Template::bundled().unwrap();
    let engine = Engine::open(&data, &template, Durability::Process).await.unwrap();
    put(&engine.client(), "a").send().await.unwrap();
    engine.set_checkpoint("m", "arn", "7").await.unwrap();
    engine.set_checkpoint("m", "arn", "8").await.unwrap();
    assert!(matches!(
        Engine::open(&data, &template, Durability::Power).await.unwrap_err(),
        EngineError::InUse(_)
    ));
    // A command line may look and write beside it.
    let beside = Engine::open_beside(&folder.path().join("data"), &template)
        .await
        .unwrap();
    put(&beside.client(), "b").send().await.unwrap();
    beside.close().await;
    engine.close().await;
    assert!(matches!(engine.sweep_ttl().await.unwrap_err(), EngineError::Closed));
    assert_eq!(engine.call("ListTables", Bytes::from_static(b"{}")).await.status, 500);

    let engine = Engine::open(&data, &template, Durability::Power).await.unwrap();
    assert_eq!(
        engine
            .client()
            .scan()
            .table_name("hookline-InboxTable")
            .send()
            .await
            .unwrap()
            .count,
        2
    );
    assert_eq!(engine.checkpoint("m", "arn").await.unwrap().as_deref(), Some("8"));
    assert_eq!(engine.checkpoint("m", "other").await.unwrap(), None);
    engine.close().await;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(folder.path().join("data"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o700);
    }
}

#[tokio::test]
async fn what_is_not_ours_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let data = Data::Dir(folder.path().to_owned());
    let template = Template::bundled().unwrap();
    Engine::open(&data, &template, Durability::Power)
        .await
        .unwrap()
        .close()
        .await;
    let mut other = template.clone();
    let deliveries = other
        .tables
        .iter_mut()
        .find(|table| table.logical_id == "DeliveriesTable")
        .unwrap();
    *deliveries = Template::parse(
        "Resources:
           DeliveriesTable:
             Type: AWS::DynamoDB::Table
             Properties:
               KeySchema: [{AttributeName: event, KeyType: HASH}, {AttributeName: webhook, KeyType: RANGE}]
               AttributeDefinitions: [{AttributeName: event, AttributeType: S}, {AttributeName: webhook, AttributeType: S}]",
    )
    .unwrap()
    .tables
    .remove(0);
    let error = Engine::open(&data, &other, Durability::Power)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("DeliveriesTable") && error.contains("the indexes"),
        "{error}"
    );

    let connection = rusqlite::Connection::open(folder.path().join("hookline.db")).unwrap();
    connection
        .execute_batch("ALTER TABLE _stream_records ADD COLUMN more TEXT")
        .unwrap();
    let error = Engine::open(&data, &template, Durability::Power)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("other columns"), "{error}");
    connection
        .execute_batch("UPDATE _config SET value = '12' WHERE key = 'schema_version'")
        .unwrap();
    assert!(Engine::open(&data, &template, Durability::Power).await.is_err());
    drop(connection);
    std::fs::write(folder.path().join("hookline.db"), "no database").unwrap();
    assert!(Engine::open(&data, &template, Durability::Power).await.is_err());
    assert!(matches!(
        Engine::open_beside(&folder.path().join("none"), &template)
            .await
            .unwrap_err(),
        EngineError::File { .. }
    ));
}

#[tokio::test]
async fn the_http_port_answers_this_machine_only() {
    let engine = memory().await;
    put(&engine.client(), "a").send().await.unwrap();
    assert!(engine.serve("0.0.0.0:0".parse().unwrap()).await.is_err());
    let (address, _task) = engine.serve("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let http = reqwest_like(address, "127.0.0.1", "application/x-amz-json-1.0").await;
    assert!(
        http.starts_with("HTTP/1.1 200") && http.contains("hookline-InboxTable"),
        "{http}"
    );
    assert!(
        reqwest_like(address, "evil.example", "application/x-amz-json-1.0")
            .await
            .starts_with("HTTP/1.1 403")
    );
    assert!(
        reqwest_like(address, "127.0.0.1", "text/plain")
            .await
            .starts_with("HTTP/1.1 415")
    );
}

/// One request by hand, so that the header Host can be anything.
async fn reqwest_like(address: std::net::SocketAddr, host: &str, content_type: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!(
        "POST / HTTP/1.1\r\nHost: {host}\r\nContent-Type: {content_type}\r\nX-Amz-Target: DynamoDB_20120810.ListTables\r\n\
         Content-Length: 2\r\nConnection: close\r\n\r\n{{}}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}
