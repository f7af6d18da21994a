#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_lambda_events::event::streams::DynamoDbBatchItemFailure;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use tokio::time::sleep;

use super::*;
use crate::engine::{Data, Durability};
use crate::template::Template;

/// One table with a stream, and what a test does with it.
struct Setup {
    engine: Engine,
    client: Client,
    table: Table,
    mapping: StreamMapping,
    settings: PumpSettings,
    folder: tempfile::TempDir,
}

/// What a handler saw: item id and version, in order of arrival.
type Seen = Arc<Mutex<Vec<(String, String)>>>;

#[derive(Clone)]
struct TestClock(Arc<Mutex<Timestamp>>);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

async fn setup(data: Option<Data>) -> Setup {
    let template = Template::bundled().unwrap();
    let table = template.table("InboxTable").unwrap().clone();
    let mut mapping = template.function("verify").unwrap().streams[0].clone();
    mapping.filters.clear();
    let engine = Engine::open(&data.unwrap_or(Data::Memory), &template, Durability::Process)
        .await
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let settings = PumpSettings {
        timeout: Duration::from_secs(20),
        failed: FailureDestination::new(folder.path()),
        clock: Arc::new(store::clock::SystemClock),
        backoff: Backoff {
            first: Duration::from_millis(1),
            longest: Duration::from_millis(5),
        },
    };
    Setup {
        client: engine.client(),
        engine,
        table,
        mapping,
        settings,
        folder,
    }
}

impl Setup {
    async fn pump(&self, handler: Handler) -> Pump {
        Pump::start(&self.engine, &self.table, &self.mapping, handler, self.settings.clone())
            .await
            .unwrap()
    }

    async fn put(&self, id: &str, version: usize) {
        let item = [("id", id.to_owned()), ("version", version.to_string())];
        let mut put = self.client.put_item().table_name("hookline-InboxTable");
        for (name, value) in item {
            put = put.item(name, AttributeValue::S(value));
        }
        put.send().await.unwrap();
    }
}

fn names(event: &Event) -> Vec<(String, String, String)> {
    let text = |item: &serde_dynamo::Item, name: &str| match item.get(name) {
        Some(serde_dynamo::AttributeValue::S(text)) => text.clone(),
        _ => String::new(),
    };
    let read = |record: &aws_lambda_events::event::dynamodb::EventRecord| {
        let image = &record.change.new_image;
        (
            text(image, "id"),
            text(image, "version"),
            record.change.sequence_number.clone().unwrap(),
        )
    };
    event.records.iter().map(read).collect()
}

/// A handler that notes what it sees and reports every record for which `fails` says so.
fn reporting(seen: &Seen, fails: impl Fn(&str, &str) -> bool + Send + Sync + 'static) -> Handler {
    let seen = Arc::clone(seen);
    let fails = Arc::new(fails);
    Arc::new(move |event| {
        let (seen, fails) = (Arc::clone(&seen), Arc::clone(&fails));
        Box::pin(async move {
            let mut response = DynamoDbEventResponse::default();
            for (id, version, sequence_number) in names(&event) {
                if fails(&id, &version) {
                    let mut failure = DynamoDbBatchItemFailure::default();
                    failure.item_identifier = Some(sequence_number);
                    response.batch_item_failures.push(failure);
                } else {
                    seen.lock().unwrap().push((id, version));
                }
            }
            Ok(response)
        })
    })
}

async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while !condition().await {
        assert!(tokio::time::Instant::now() < deadline, "waited in vain: {what}");
        sleep(Duration::from_millis(2)).await;
    }
}

async fn until_idle(pump: &Pump) {
    eventually("the pump is idle", async || pump.is_idle().await.unwrap()).await;
}

fn set_aside(folder: &Path) -> Vec<serde_json::Value> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap());
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn every_item_arrives_in_its_own_order_and_lanes_work_side_by_side() {
    let setup = setup(None).await;
    let seen = Seen::default();
    let running = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let (inner, run, peak) = (reporting(&seen, |_, _| false), Arc::clone(&running), Arc::clone(&most));
    let handler: Handler = Arc::new(move |event| {
        let (handled, run, peak) = (inner(event), Arc::clone(&run), Arc::clone(&peak));
        Box::pin(async move {
            peak.fetch_max(run.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            sleep(Duration::from_millis(2)).await;
            run.fetch_sub(1, Ordering::SeqCst);
            handled.await
        })
    });
    for version in 0..20 {
        for item in 0..20 {
            setup.put(&format!("item{item}"), version).await;
        }
    }
    let pump = setup.pump(handler).await;
    until_idle(&pump).await;
    let mut by_item: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (id, version) in seen.lock().unwrap().iter() {
        by_item.entry(id.clone()).or_default().push(version.parse().unwrap());
    }
    assert_eq!(by_item.len(), 20);
    assert!(
        by_item.values().all(|versions| versions.iter().copied().eq(0..20)),
        "{by_item:?}"
    );
    assert!(most.load(Ordering::SeqCst) > 1);
    assert_eq!(
        pump.counts(),
        PumpCounts {
            read: 400,
            handled: 400,
            ..PumpCounts::default()
        }
    );
    pump.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_is_handed_over_at_once() {
    let setup = setup(None).await;
    let seen = Seen::default();
    let pump = setup.pump(reporting(&seen, |_, _| false)).await;
    until_idle(&pump).await;
    let start = tokio::time::Instant::now();
    setup.put("a", 1).await;
    eventually("handled", async || !seen.lock().unwrap().is_empty()).await;
    assert!(
        start.elapsed() < POLL / 2,
        "{:?}: by polling, not by being woken",
        start.elapsed()
    );
    pump.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_filter_refuses_is_passed_over_and_noted() {
    let mut setup = setup(None).await;
    setup.mapping.filters = vec![r#"{"dynamodb":{"NewImage":{"version":{"S":["2"]}}}}"#.into()];
    let seen = Seen::default();
    for version in 0..5 {
        setup.put("a", version).await;
    }
    let pump = setup.pump(reporting(&seen, |_, _| false)).await;
    until_idle(&pump).await;
    pump.stop().await;
    assert_eq!(*seen.lock().unwrap(), [("a".to_owned(), "2".to_owned())]);
    assert_eq!(
        pump.counts(),
        PumpCounts {
            read: 5,
            filtered: 4,
            handled: 1,
            set_aside: 0
        }
    );
    // The next one begins behind all five.
    let pump = setup.pump(reporting(&seen, |_, _| false)).await;
    until_idle(&pump).await;
    assert_eq!(pump.counts().read, 0);
    pump.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reported_failure_is_a_checkpoint_and_is_tried_again_from_there() {
    let mut setup = setup(None).await;
    setup.mapping.parallelization_factor = 1;
    let seen = Seen::default();
    let failures = Arc::new(AtomicUsize::new(3));
    let remaining = Arc::clone(&failures);
    for version in 0..6 {
        setup.put("a", version).await;
    }
    let take = move |_: &str, version: &str| {
        version == "2"
            && remaining
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1))
                .is_ok()
    };
    let pump = setup.pump(reporting(&seen, take)).await;
    until_idle(&pump).await;
    pump.stop().await;
    let versions: Vec<String> = seen
        .lock()
        .unwrap()
        .iter()
        .map(|(_, version)| version.clone())
        .collect();
    // 0 and 1 once; what stands behind the failure is handed over again, in order, and 2 in the end.
    assert_eq!(
        versions
            .iter()
            .filter(|version| *version == "0" || *version == "1")
            .count(),
        2
    );
    let position = |wanted: &str| versions.iter().rposition(|version| version == wanted).unwrap();
    assert!(position("2") < position("3") && position("3") < position("4") && position("4") < position("5"));
    assert_eq!(pump.counts().handled, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_poison_record_is_isolated_and_set_aside_and_all_others_are_handled() {
    for panics in [false, true] {
        let mut setup = setup(None).await;
        setup.mapping.parallelization_factor = 1;
        setup.mapping.maximum_retry_attempts = Some(2);
        let seen = Seen::default();
        let handled = reporting(&seen, |_, _| false);
        let invocations = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&invocations);
        let handler: Handler = Arc::new(move |event| {
            let (handled, count, poison) = (handled(event.clone()), Arc::clone(&count), names(&event));
            Box::pin(async move {
                if poison.iter().any(|(id, ..)| id == "item5") {
                    count.fetch_add(1, Ordering::SeqCst);
                    assert!(!panics, "poison");
                    return Err("poison".into());
                }
                handled.await
            })
        });
        for item in 0..9 {
            setup.put(&format!("item{item}"), 0).await;
        }
        let pump = setup.pump(handler).await;
        until_idle(&pump).await;
        pump.stop().await;
        let mut ids: Vec<String> = seen.lock().unwrap().iter().map(|(id, _)| id.clone()).collect();
        ids.sort();
        ids.dedup();
        assert_eq!(
            ids,
            ["item0", "item1", "item2", "item3", "item4", "item6", "item7", "item8"]
        );
        assert_eq!(
            pump.counts(),
            PumpCounts {
                read: 9,
                handled: 8,
                set_aside: 1,
                ..PumpCounts::default()
            }
        );
        let failed = set_aside(setup.folder.path());
        assert_eq!(failed.len(), 1);
        assert_eq!(failed[0]["requestContext"]["condition"], "RetryAttemptsExhausted");
        assert_eq!(failed[0]["requestContext"]["approximateInvokeCount"], 3);
        let event: Event = serde_json::from_str(failed[0]["payload"].as_str().unwrap()).unwrap();
        assert_eq!(names(&event)[0].0, "item5");
        assert_eq!(
            failed[0]["DDBStreamBatchInfo"]["startSequenceNumber"],
            names(&event)[0].2.as_str()
        );
        // Splitting until it stands alone, then the first attempt and two more.
        assert!(
            (3..=3 + 4).contains(&invocations.load(Ordering::SeqCst)),
            "{invocations:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_bisecting_the_whole_batch_is_set_aside() {
    let mut setup = setup(None).await;
    setup.mapping.parallelization_factor = 1;
    setup.mapping.bisect_batch_on_function_error = false;
    setup.mapping.maximum_retry_attempts = Some(0);
    for item in 0..3 {
        setup.put(&format!("item{item}"), 0).await;
    }
    let handler: Handler = Arc::new(|_| Box::pin(async { Err("down".into()) }));
    let pump = setup.pump(handler).await;
    until_idle(&pump).await;
    pump.stop().await;
    let failed = set_aside(setup.folder.path());
    assert_eq!(failed[0]["DDBStreamBatchInfo"]["batchSize"], 3);
    assert_eq!(failed[0]["responseContext"]["functionError"], "down");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_has_become_too_old_is_set_aside_unseen() {
    let mut setup = setup(None).await;
    setup.mapping.maximum_record_age = Some(Duration::from_secs(3600));
    let clock = TestClock(Arc::new(Mutex::new(store::clock::SystemClock.now())));
    setup.settings.clock = Arc::new(clock.clone());
    setup.put("old", 0).await;
    *clock.0.lock().unwrap() += jiff::SignedDuration::from_secs(3700);
    let seen = Seen::default();
    let pump = setup.pump(reporting(&seen, |_, _| false)).await;
    until_idle(&pump).await;
    pump.stop().await;
    assert!(seen.lock().unwrap().is_empty());
    let failed = set_aside(setup.folder.path());
    assert_eq!(failed[0]["requestContext"]["condition"], "RecordAgeExceeded");
    assert_eq!(pump.counts().set_aside, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_finished_while_the_failure_destination_cannot_be_written() {
    let mut setup = setup(None).await;
    setup.mapping.maximum_retry_attempts = Some(0);
    let blocked = setup.folder.path().join("blocked");
    std::fs::write(&blocked, "a file where a folder should be").unwrap();
    setup.settings.failed = FailureDestination::new(&blocked);
    setup.put("a", 0).await;
    let invocations = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&invocations);
    let handler: Handler = Arc::new(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        Box::pin(async { Err("down".into()) })
    });
    let pump = setup.pump(handler).await;
    eventually("tried", async || invocations.load(Ordering::SeqCst) > 0).await;
    assert_eq!(pump.counts().set_aside, 0);
    std::fs::remove_file(&blocked).unwrap();
    until_idle(&pump).await;
    assert_eq!((pump.counts().set_aside, set_aside(&blocked).len()), (1, 1));
    pump.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invocation_that_takes_too_long_has_failed() {
    let mut setup = setup(None).await;
    setup.mapping.maximum_retry_attempts = Some(0);
    setup.settings.timeout = Duration::from_millis(20);
    setup.put("a", 0).await;
    let pump = setup.pump(Arc::new(|_| Box::pin(std::future::pending()))).await;
    until_idle(&pump).await;
    pump.stop().await;
    assert!(
        set_aside(setup.folder.path())[0]["responseContext"]["functionError"]
            .as_str()
            .unwrap()
            .starts_with("timed out")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_where_everything_was_finished() {
    let folder = tempfile::tempdir().unwrap();
    let data = Data::Dir(folder.path().to_owned());
    let seen = Seen::default();
    {
        let setup = setup(Some(data.clone())).await;
        let pump = setup.pump(reporting(&seen, |_, version| version == "3")).await;
        for version in 0..3 {
            setup.put("a", version).await;
        }
        until_idle(&pump).await;
        for version in 3..5 {
            setup.put("a", version).await;
        }
        // Stuck at version 3 until it stops.
        pump.stop().await;
        setup.engine.close().await;
    }
    seen.lock().unwrap().clear();
    let setup = setup(Some(data)).await;
    let pump = setup.pump(reporting(&seen, |_, _| false)).await;
    until_idle(&pump).await;
    assert_eq!(
        seen.lock()
            .unwrap()
            .iter()
            .map(|(_, version)| version.as_str())
            .collect::<Vec<_>>(),
        ["3", "4"]
    );
    pump.stop().await;
    setup.engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_passed_can_be_trimmed_and_what_is_not_stays() {
    let mut setup = setup(None).await;
    setup.mapping.parallelization_factor = 1;
    let seen = Seen::default();
    let stuck = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let condition = Arc::clone(&stuck);
    let pump = setup
        .pump(reporting(&seen, move |_, version| {
            version == "5" && condition.load(Ordering::SeqCst)
        }))
        .await;
    for version in 0..8 {
        setup.put("a", version).await;
    }
    eventually("stuck at 5", async || pump.counts().handled == 5).await;
    let all_noted = async || {
        let progress = pump.shared.progress();
        progress.stored_checkpoint.is_some() && progress.stored_checkpoint.as_deref() == progress.tracker.checkpoint()
    };
    eventually("noted", all_noted).await;
    pump.trim().await.unwrap();
    let position = setup
        .engine
        .stream_position(&pump.shared.stream_arn, None)
        .await
        .unwrap();
    assert_eq!(setup.engine.read_stream(position, 100).await.unwrap().records.len(), 3);
    stuck.store(false, Ordering::SeqCst);
    until_idle(&pump).await;
    assert_eq!(pump.counts().handled, 8);
    pump.stop().await;
}

#[tokio::test]
async fn a_pattern_that_is_none_is_refused() {
    let mut setup = setup(None).await;
    setup.mapping.filters = vec!["{".into()];
    let handler: Handler = Arc::new(|_| Box::pin(async { Ok(DynamoDbEventResponse::default()) }));
    let error = Pump::start(
        &setup.engine,
        &setup.table,
        &setup.mapping,
        handler,
        setup.settings.clone(),
    )
    .await
    .unwrap_err();
    assert!(error.to_string().contains("VerifyFunction-Inbox"), "{error}");
}
