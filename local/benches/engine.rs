//! How fast the embedded DynamoDB and the stream pumps are: `cargo bench -p local --bench engine`.
//!
//! It compares the SDK's way within the process with the engine's own HTTP server, in memory and on the disk, and measures what a pump
//! takes and how long one record is on its way.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement prints, and ends when anything is wrong"
)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lambda_events::event::streams::DynamoDbEventResponse;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::Credentials;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use local::engine::{Data, Durability, Engine};
use local::pump::{Backoff, FailureDestination, Handler, Pump, PumpSettings};
use local::template::Template;
use tokio::time::Instant;

const BODY_BYTES: usize = 1024;
const SEQUENTIAL: usize = 2_000;
const CONCURRENT: usize = 8_000;
const CLIENTS: usize = 16;

#[tokio::main]
async fn main() {
    let template = Template::bundled().unwrap();
    println!("items of {BODY_BYTES} bytes; latency p50 / p99 in µs of one client, calls/s of {CLIENTS} clients\n");
    for (name, durability) in [
        ("memory", None),
        ("file, survives the process", Some(Durability::Process)),
        ("file, survives a power loss", Some(Durability::Power)),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let data = durability.map_or(Data::Memory, |_| Data::Dir(folder.path().to_owned()));
        let engine = Engine::open(&data, &template, durability.unwrap_or_default())
            .await
            .unwrap();
        calls(&format!("{name}: in process"), &engine.client()).await;
        raw_calls(name, &engine).await;
        pump(name, &engine, &template).await;
        engine.close().await;
    }
    let folder = tempfile::tempdir().unwrap();
    let database = dynoxide::Database::new(&folder.path().join("http.db").to_string_lossy()).unwrap();
    database.disable_bulk_loading().unwrap();
    let table = template
        .table("RegistryTable")
        .unwrap()
        .create_request("hookline-RegistryTable");
    database.create_table(serde_json::from_value(table).unwrap()).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(dynoxide::server::serve_on(listener, database));
    let client = store::connect::client(
        "us-east-1",
        Credentials::new("a", "b", None, None, "bench"),
        Some(&endpoint),
    )
    .unwrap();
    calls("file, survives the process: the engine's HTTP server", &client).await;
}

fn item(n: usize) -> [(&'static str, AttributeValue); 3] {
    [
        ("pk", AttributeValue::S(format!("item{n}"))),
        ("sk", AttributeValue::S("x".into())),
        ("body", AttributeValue::B(Blob::new(vec![b'x'; BODY_BYTES]))),
    ]
}

async fn put(client: &Client, n: usize) {
    let mut put = client
        .put_item()
        .table_name("hookline-RegistryTable")
        .condition_expression("attribute_not_exists(pk)");
    for (name, value) in item(n) {
        put = put.item(name, value);
    }
    put.send().await.unwrap();
}

async fn get(client: &Client, n: usize) {
    let get = client.get_item().table_name("hookline-RegistryTable");
    let [(pk, id), (sk, x), _] = item(n);
    assert!(get.key(pk, id).key(sk, x).send().await.unwrap().item.is_some());
}

async fn calls(name: &str, client: &Client) {
    for (what, is_put) in [("conditional put", true), ("get", false)] {
        let mut times = Vec::with_capacity(SEQUENTIAL);
        for n in 0..SEQUENTIAL {
            let start = Instant::now();
            if is_put {
                put(client, n).await
            } else {
                get(client, n).await
            }
            times.push(start.elapsed());
        }
        let next = Arc::new(AtomicUsize::new(SEQUENTIAL));
        let start = Instant::now();
        let cpu = cpu_time();
        let tasks = (0..CLIENTS).map(|_| {
            let (client, next) = (client.clone(), Arc::clone(&next));
            tokio::spawn(async move {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= SEQUENTIAL + CONCURRENT {
                        return;
                    }
                    if is_put {
                        put(&client, n).await
                    } else {
                        get(&client, n).await
                    }
                }
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
        let seconds = start.elapsed().as_secs_f64();
        let (p50, p99) = percentiles(&mut times);
        let calls = CONCURRENT as f64;
        let cpu = (cpu_time() - cpu) * 1e6 / calls;
        println!(
            "{name}: {what}: {p50} / {p99} µs, {:.0}/s, {cpu:.0} µs CPU",
            calls / seconds
        );
    }
}

/// The same calls without the SDK: JSON straight to the engine.
async fn raw_calls(name: &str, engine: &Engine) {
    for operation in ["PutItem", "GetItem"] {
        let (start, cpu) = (Instant::now(), cpu_time());
        for n in 0..SEQUENTIAL {
            let key = format!(r#""pk":{{"S":"raw{n}"}},"sk":{{"S":"x"}}"#);
            let body = match operation {
                "PutItem" => format!(
                    r#"{{"TableName":"hookline-RegistryTable","Item":{{{key},"body":{{"B":"{}"}}}}}}"#,
                    "eHh4".repeat(BODY_BYTES / 3)
                ),
                _ => format!(r#"{{"TableName":"hookline-RegistryTable","Key":{{{key}}}}}"#),
            };
            assert_eq!(engine.call(operation, body.into()).await.status, 200);
        }
        let calls = SEQUENTIAL as f64;
        let (cpu, each) = (
            (cpu_time() - cpu) * 1e6 / calls,
            start.elapsed().as_micros() as f64 / calls,
        );
        println!("{name}: {operation} without the SDK: {each:.0} µs, {cpu:.0} µs CPU");
    }
}

fn percentiles(times: &mut [Duration]) -> (u128, u128) {
    times.sort();
    (
        times[times.len() / 2].as_micros(),
        times[times.len() * 99 / 100].as_micros(),
    )
}

/// Seconds of processor time of this process, on Linux.
fn cpu_time() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: f64 = [11, 12]
        .iter()
        .filter_map(|index| fields.get(*index)?.parse::<f64>().ok())
        .sum();
    ticks / 100.0
}

async fn put_inbox(client: &Client, n: usize) {
    let mut put = client
        .put_item()
        .table_name("hookline-InboxTable")
        .item("id", AttributeValue::S(format!("rcp{n}")));
    put = put.item("body", AttributeValue::B(Blob::new(vec![b'x'; BODY_BYTES])));
    put.send().await.unwrap();
}

async fn pump(name: &str, engine: &Engine, template: &Template) {
    let client = engine.client();
    let start = Instant::now();
    for n in 0..CONCURRENT {
        put_inbox(&client, n).await;
    }
    let written = start.elapsed();
    let arrived: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let batches = Arc::new(AtomicUsize::new(0));
    let (seen, count) = (Arc::clone(&arrived), Arc::clone(&batches));
    let handler: Handler = Arc::new(move |event| {
        seen.lock()
            .unwrap()
            .extend(event.records.iter().map(|_| Instant::now()));
        count.fetch_add(1, Ordering::Relaxed);
        Box::pin(async { Ok(DynamoDbEventResponse::default()) })
    });
    let failed = tempfile::tempdir().unwrap();
    let settings = PumpSettings {
        timeout: Duration::from_secs(60),
        failed: FailureDestination::new(failed.path()),
        clock: Arc::new(store::clock::SystemClock),
        backoff: Backoff::default(),
    };
    let mapping = &template.function("verify").unwrap().streams[0];
    let (start, cpu) = (Instant::now(), cpu_time());
    let pump = Pump::start(
        engine,
        template.table("InboxTable").unwrap(),
        mapping,
        handler,
        settings,
    )
    .await
    .unwrap();
    while pump.counts().handled < CONCURRENT as u64 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let seconds = start.elapsed().as_secs_f64();
    let cpu = (cpu_time() - cpu) * 1e6 / CONCURRENT as f64;
    let batch = CONCURRENT as f64 / batches.load(Ordering::Relaxed) as f64;
    println!(
        "{name}: pump: {:.0} records/s, {cpu:.0} µs CPU, {batch:.1} records a batch (written at {:.0}/s)",
        CONCURRENT as f64 / seconds,
        CONCURRENT as f64 / written.as_secs_f64()
    );
    let mut times = Vec::new();
    for n in 0..500 {
        arrived.lock().unwrap().clear();
        put_inbox(&client, CONCURRENT + n).await;
        let answered = Instant::now();
        while arrived.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        times.push(arrived.lock().unwrap()[0].saturating_duration_since(answered));
    }
    let (p50, p99) = percentiles(&mut times);
    println!("{name}: from the answered put to the handler: {p50} / {p99} µs\n");
    pump.stop().await;
}
