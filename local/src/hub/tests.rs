#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
use bytes::Bytes;
use payload::outbound::{SigningKey, generate_secret, sign};
use secrecy::ExposeSecret;
use serde_json::json;

use super::*;
use crate::engine::{Fault, FaultKind};
use crate::http_client::{self, Answer};
use crate::sink::{Signature, Sink};

const LIMIT: Duration = Duration::from_secs(20);

const BODY: &str =
    r#"{"type":"live.audio.updated","timestamp":"2025-03-25T13:31:00Z","data":{"id":7},"previousAttributes":{}}"#;

/// A hub with one organization, a source, a webhook, and a sink behind it.
struct Tenant {
    key: String,
    receiving_url: String,
    source_secret: secrecy::SecretString,
    sink: Sink,
}

async fn call(hub: &Hub, key: &str, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
    let headers = [
        ("authorization", format!("Bearer {key}")),
        ("content-type", "application/json".into()),
    ];
    let body = body.map_or_else(Bytes::new, |body| body.to_string().into());
    let answer = http_client::send(method, &format!("{}{path}", hub.url()), &headers, body)
        .await
        .unwrap();
    (answer.status, serde_json::from_slice(&answer.body).unwrap_or_default())
}

impl Tenant {
    async fn new(hub: &Hub) -> Self {
        let sink = Sink::start("127.0.0.1:0".parse().unwrap(), Arc::new(SystemClock))
            .await
            .unwrap();
        let made = hub
            .operate(json!({"action": "createOrganization", "name": "Example"}))
            .await
            .unwrap();
        let key = made["adminKey"].as_str().unwrap().to_owned();
        let source_secret = generate_secret();
        let source = json!({"name": "q", "preset": "quartr", "secret": source_secret.expose_secret()});
        let (status, source) = call(hub, &key, "POST", "/v1/sources", Some(source)).await;
        assert_eq!(status, 201, "{source}");
        let (status, webhook) = call(
            hub,
            &key,
            "POST",
            "/v1/webhooks",
            Some(json!({"name": "w", "url": sink.url()})),
        )
        .await;
        assert_eq!(status, 201, "{webhook}");
        assert!(sink.add_secret(&webhook["secret"].as_str().unwrap().into()));
        let receiving_url = source["receivingUrl"].as_str().unwrap().to_owned();
        Self {
            key,
            receiving_url,
            source_secret,
            sink,
        }
    }

    async fn send(&self, id: &str) -> Answer {
        let at = SystemClock.now();
        let signature = sign(
            &[SigningKey::parse(&self.source_secret).unwrap()],
            id,
            at,
            BODY.as_bytes(),
        );
        let headers = [
            ("webhook-id", id.to_owned()),
            ("webhook-timestamp", at.as_second().to_string()),
            ("webhook-signature", signature),
            ("content-type", "application/json".into()),
        ];
        http_client::send(
            "POST",
            &self.receiving_url,
            &headers,
            Bytes::from_static(BODY.as_bytes()),
        )
        .await
        .unwrap()
    }

    fn delivered(&self) -> Vec<(String, Signature)> {
        let taken = self.sink.taken();
        taken
            .iter()
            .map(|taken| {
                (
                    taken.header("webhook-id").unwrap_or_default().to_owned(),
                    taken.signature.clone(),
                )
            })
            .collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_request_goes_the_whole_way() {
    let hub = Hub::start(HubOptions::for_tests().unwrap()).await.unwrap();
    let tenant = Tenant::new(&hub).await;
    assert!(tenant.receiving_url.starts_with(&format!("{}/in/", hub.url())));
    let answer = tenant.send("msg_1").await;
    assert_eq!(answer.status, 202);
    let receipt: Value = serde_json::from_slice(&answer.body).unwrap();
    assert!(hub.settle(LIMIT).await.unwrap());
    let (_, receipt) = call(
        &hub,
        &tenant.key,
        "GET",
        &format!("/v1/receipts/{}", receipt["id"].as_str().unwrap()),
        None,
    )
    .await;
    assert_eq!(receipt["status"], "accepted", "{receipt}");
    let event = receipt["events"][0].as_str().unwrap().to_owned();
    let (_, event) = call(&hub, &tenant.key, "GET", &format!("/v1/events/{event}"), None).await;
    assert_eq!(event["deliveries"][0]["status"], "delivered", "{event}");
    assert!(
        matches!(&tenant.delivered()[..], [(_, Signature::Valid)]),
        "{:?}",
        tenant.delivered()
    );
    // The same message once more is the same event.
    tenant.send("msg_1").await;
    assert!(hub.settle(LIMIT).await.unwrap());
    assert_eq!(tenant.delivered().len(), 1);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tick_tries_what_failed() {
    let mut options = HubOptions::for_tests().unwrap();
    options.fan_out.schedule = delivery::Schedule::new(vec![Duration::ZERO; 3]);
    options.retry.schedule = options.fan_out.schedule.clone();
    let hub = Hub::start(options).await.unwrap();
    let tenant = Tenant::new(&hub).await;
    let failing = json!({"name": "f", "url": format!("{}?status=500", tenant.sink.url())});
    let (_, webhook) = call(&hub, &tenant.key, "POST", "/v1/webhooks", Some(failing)).await;
    tenant.send("msg_1").await;
    assert!(hub.settle(LIMIT).await.unwrap());
    let before = tenant.sink.taken().len();
    hub.tick().await;
    assert!(tenant.sink.taken().len() > before, "{webhook}");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_a_restart_between_the_steps() {
    let folder = tempfile::tempdir().unwrap();
    let options = HubOptions {
        data: Data::Dir(folder.path().to_owned()),
        ..HubOptions::for_tests().unwrap()
    };
    let hub = Hub::start(options.clone()).await.unwrap();
    let tenant = Tenant::new(&hub).await;
    // Verification cannot store its event: the receipt waits on the inbox's stream.
    hub.engine().faults().inject(
        Fault::new(FaultKind::InternalServerError)
            .operation("PutItem")
            .table("EventsTable"),
    );
    assert_eq!(tenant.send("msg_1").await.status, 202);
    hub.stop().await;
    assert!(tenant.delivered().is_empty());
    let hub = Hub::start(options).await.unwrap();
    assert!(hub.settle(LIMIT).await.unwrap());
    assert_eq!(tenant.delivered().len(), 1);
    hub.stop().await;
    assert_eq!(std::fs::read_dir(folder.path().join("failed")).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_fails_is_never_acknowledged() {
    let hub = Hub::start(HubOptions::for_tests().unwrap()).await.unwrap();
    let tenant = Tenant::new(&hub).await;
    hub.engine().faults().inject(
        Fault::new(FaultKind::InternalServerError)
            .operation("PutItem")
            .table("InboxTable")
            .times(3),
    );
    assert_eq!(tenant.send("msg_1").await.status, 503);
    assert_eq!(tenant.send("msg_1").await.status, 202);
    assert!(hub.settle(LIMIT).await.unwrap());
    assert_eq!(tenant.delivered().len(), 1);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_has_the_tables_of_its_environment_and_no_other() {
    let options = HubOptions::for_tests().unwrap();
    let engine = Engine::open(&Data::Memory, &options.template, Durability::default())
        .await
        .unwrap();
    let debug = |binary| {
        let environment = &options.template.function(binary).unwrap().environment;
        format!("{:?}", functions::store(&engine, environment))
    };
    assert!(debug("receive").contains("hookline-InboxTable") && debug("receive").contains("hookline-SourcesTable"));
    assert!(!debug("receive").contains("hookline-SecretsTable"));
    let all = format!("{:?}", functions::store_of_all(&engine, &options.template));
    for table in &options.template.tables {
        assert!(
            all.contains(engine.table_name(&table.logical_id).unwrap()),
            "{}",
            table.logical_id
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_cannot_start_says_why() {
    let hub = Hub::start(HubOptions::for_tests().unwrap()).await.unwrap();
    let taken = HubOptions {
        listen: hub.url()["http://".len()..].parse().unwrap(),
        ..HubOptions::for_tests().unwrap()
    };
    assert!(matches!(Hub::start(taken).await.unwrap_err(), HubError::Listen(_)));
    let open = HubOptions {
        listen: "0.0.0.0:0".parse().unwrap(),
        ..HubOptions::for_tests().unwrap()
    };
    assert!(Hub::start(open).await.unwrap_err().to_string().contains("loopback"));
    hub.stop().await;
    assert!(http_client::send("GET", hub.url(), &[], Bytes::new()).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn private_destinations_are_taken_only_where_they_are_allowed() {
    let options = HubOptions {
        allow_private: false,
        ..HubOptions::for_tests().unwrap()
    };
    let hub = Hub::start(options).await.unwrap();
    let made = hub
        .operate(json!({"action": "createOrganization", "name": "Example"}))
        .await
        .unwrap();
    let webhook = json!({"name": "w", "url": "http://127.0.0.1:9/"});
    let (status, problem) = call(
        &hub,
        made["adminKey"].as_str().unwrap(),
        "POST",
        "/v1/webhooks",
        Some(webhook),
    )
    .await;
    assert_eq!(status, 422, "{problem}");
    hub.stop().await;
}
