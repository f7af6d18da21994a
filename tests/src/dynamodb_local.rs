//! Amazon's DynamoDB Local as a child process: the judge of the embedded engine. A fresh process for each suite, since it slows down the
//! longer it runs.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use local::template::Template;
use serde_json::Value;
use store::connect::{Retention, client};
use store::{Dynamo, Tables};

use crate::eventually;

/// A running DynamoDB Local with the tables of `template.yaml`; it ends with this value.
#[derive(Debug)]
pub struct DynamoDbLocal {
    process: Child,
    url: String,
}

impl Drop for DynamoDbLocal {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl DynamoDbLocal {
    /// Starts it from the folder that `HOOKLINE_DYNAMODB_LOCAL` names.
    ///
    /// # Panics
    /// When the folder is not named or holds no `DynamoDBLocal.jar`, or when it does not start: a missing judge is a failed test.
    pub async fn start() -> Self {
        let folder = std::env::var_os("HOOKLINE_DYNAMODB_LOCAL")
            .map(PathBuf::from)
            .expect("HOOKLINE_DYNAMODB_LOCAL names the folder of DynamoDBLocal.jar (see CONTRIBUTING.md)");
        assert!(
            folder.join("DynamoDBLocal.jar").exists(),
            "there is no DynamoDBLocal.jar in {}",
            folder.display()
        );
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a free port")
            .port();
        let process = Command::new("java")
            .current_dir(&folder)
            .args([
                "-Djava.library.path=./DynamoDBLocal_lib",
                "-jar",
                "DynamoDBLocal.jar",
                "-inMemory",
                "-sharedDb",
                "-port",
            ])
            .arg(port.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("java starts");
        let this = Self {
            process,
            url: format!("http://127.0.0.1:{port}"),
        };
        eventually("DynamoDB Local answers", Duration::from_secs(60), async || {
            this.call("ListTables", &serde_json::json!({})).await.ok()
        })
        .await;
        for table in Template::bundled().expect("the template").tables {
            this.call("CreateTable", &table.create_request(&table.logical_id))
                .await
                .expect("the table is created");
        }
        this
    }

    /// The store over it.
    #[must_use]
    pub fn store(&self) -> Dynamo {
        let credentials = aws_sdk_dynamodb::config::Credentials::new("local", "local", None, None, "tests");
        let client = client("eu-central-1", credentials, Some(&self.url)).expect("a client");
        Dynamo::new(client, tables(), Retention::default())
    }

    async fn call(&self, operation: &str, body: &Value) -> Result<Value, String> {
        let response = crate::http()
            .post(&self.url)
            .header("x-amz-target", format!("DynamoDB_20120810.{operation}"))
            .header("content-type", "application/x-amz-json-1.0")
            .header(
                "authorization",
                "AWS4-HMAC-SHA256 Credential=local/20250101/eu-central-1/dynamodb/aws4_request, SignedHeaders=host, Signature=00",
            )
            .body(body.to_string())
            .send()
            .await
            .map_err(|error| error.to_string())?;
        let ok = response.status().is_success();
        let text = response.text().await.map_err(|error| error.to_string())?;
        if ok {
            serde_json::from_str(&text).map_err(|error| error.to_string())
        } else {
            Err(text)
        }
    }
}

/// The tables under their logical ids.
#[must_use]
pub fn tables() -> Tables {
    let name = |logical_id: &str| logical_id.to_owned();
    Tables {
        inbox: name("InboxTable"),
        receipts: name("ReceiptsTable"),
        events: name("EventsTable"),
        deliveries: name("DeliveriesTable"),
        webhooks: name("WebhooksTable"),
        sources: name("SourcesTable"),
        secrets: name("SecretsTable"),
        registry: name("RegistryTable"),
    }
}
