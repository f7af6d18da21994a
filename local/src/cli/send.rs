//! `send`: a provider's sample through the running hub, step by step.
//!
//! It does what the provider and the team would do, through the same public API: it makes a source and a webhook that leads to the sink
//! (unless they are there), signs and sends, and then looks until the event is delivered.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use payload::Clock;
use payload::outbound::{SigningKey, generate_secret, sign};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use store::clock::SystemClock;
use tokio::time::{Instant, sleep};

use super::files::{CreatedSource, CreatedWebhook, Credentials, SOURCE, WEBHOOK, read, write};
use super::{CliError, Provider, SendArgs};
use crate::http_client::{self, Answer};

/// A webhook of Quartr as its documentation shows them.
const QUARTR_SAMPLE: &str = include_str!("../../samples/quartr-live.audio.updated.json");

/// How long each step is waited for.
const LIMIT: Duration = Duration::from_secs(20);

/// How often it is looked whether a step is done.
const LOOK_EVERY: Duration = Duration::from_millis(2);

pub(super) async fn run(arguments: &SendArgs, folder: &Path, out: &mut (impl Write + Send)) -> Result<(), CliError> {
    let Provider::Quartr = arguments.provider;
    let kept = Credentials::read(folder)?;
    let key = arguments
        .key
        .clone()
        .map(SecretString::from)
        .or_else(|| kept.as_ref().map(|kept| kept.admin_key.clone()));
    let Some(key) = key else {
        return Err(CliError::Failed(format!(
            "{} holds no admin key: start the hub with this folder first (`cargo run -p local`), or give one with --key",
            folder.display()
        )));
    };
    let api = Api {
        url: arguments.url.trim_end_matches('/'),
        key,
    };
    // With a key of one's own there is no folder to keep anything in.
    let folder = (arguments.key.is_none()).then_some(folder);
    let secret = kept.map_or_else(generate_secret, |kept| kept.quartr_secret);
    let source = api.source(folder, &secret, out).await?;
    // The hub may answer on another port than when the source was made.
    let path = source
        .receiving_url
        .expose_secret()
        .splitn(4, '/')
        .nth(3)
        .unwrap_or_default();
    let receiving_url = format!("{}/{path}", api.url);
    let webhook = api.webhook(folder, &arguments.sink_url, out).await?;
    let sample = Sample::sign(if arguments.forged { generate_secret() } else { secret })?;
    let mut journey = Journey::start(out);
    let receipt = sample.send(&receiving_url, &mut journey).await?;
    if arguments.forged {
        return journey.expect_rejection(&api, &receipt).await;
    }
    let event = journey.expect_event(&api, &receipt).await?;
    journey.expect_delivery(&api, &event, &webhook).await?;
    journey.look_into_sink(&arguments.sink_url, &event).await
}

/// The hub's API.
struct Api<'a> {
    url: &'a str,
    key: SecretString,
}

impl Api<'_> {
    async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<(u16, Value), CliError> {
        let headers = [
            ("authorization", format!("Bearer {}", self.key.expose_secret())),
            ("content-type", "application/json".to_owned()),
        ];
        let body = body.map_or_else(Bytes::new, |body| body.to_string().into());
        let answer = http_client::send(method, &format!("{}{path}", self.url), &headers, body).await;
        let answer = answer.map_err(|error| unreachable(self.url, &error))?;
        if answer.status == 401 {
            let told = "the hub does not know this admin key; `cargo run -p local -- key` makes a new one".to_owned();
            return Err(CliError::Failed(told));
        }
        Ok((answer.status, serde_json::from_slice(&answer.body).unwrap_or_default()))
    }

    async fn create(&self, path: &str, body: &Value) -> Result<Value, CliError> {
        match self.call("POST", path, Some(body)).await? {
            (201, created) => Ok(created),
            (status, problem) => Err(CliError::Failed(format!(
                "POST {path} was answered with {status}: {problem}"
            ))),
        }
    }

    /// What stands at a path; `None` when nothing does.
    async fn find(&self, path: &str) -> Result<Option<Value>, CliError> {
        let (status, found) = self.call("GET", path, None).await?;
        Ok((status == 200).then_some(found))
    }

    /// The source of an earlier command, if it is still there, or a new one.
    async fn source(
        &self,
        folder: Option<&Path>,
        secret: &SecretString,
        out: &mut impl Write,
    ) -> Result<CreatedSource, CliError> {
        if let Some(folder) = folder
            && let Some(source) = read::<CreatedSource>(folder, SOURCE)?
            && self.find(&format!("/v1/sources/{}", source.id)).await?.is_some()
        {
            return Ok(source);
        }
        let new = json!({"name": "quartr", "preset": "quartr", "secret": secret.expose_secret()});
        let created = self.create("/v1/sources", &new).await?;
        keep(folder, SOURCE, &created)?;
        let source: CreatedSource = understood(created)?;
        writeln!(out, "made the source   {}", source.id)?;
        Ok(source)
    }

    /// The webhook of an earlier command, if it is still there and leads to this sink, or a new one. The sink gets to know its secret.
    async fn webhook(
        &self,
        folder: Option<&Path>,
        sink_url: &str,
        out: &mut impl Write,
    ) -> Result<CreatedWebhook, CliError> {
        let webhook = match self.kept_webhook(folder, sink_url).await? {
            Some(webhook) => webhook,
            None => {
                let created = self
                    .create("/v1/webhooks", &json!({"name": "sink", "url": sink_url}))
                    .await?;
                keep(folder, WEBHOOK, &created)?;
                let webhook: CreatedWebhook = understood(created)?;
                writeln!(out, "made the webhook  {}, which leads to the sink", webhook.id)?;
                webhook
            }
        };
        let url = format!("{}/secrets", sink_url.trim_end_matches("/sink"));
        let secret = json!({"secret": webhook.secret.expose_secret()}).to_string();
        let headers = [("content-type", "application/json".to_owned())];
        http_client::send("POST", &url, &headers, secret.into())
            .await
            .map_err(|error| unreachable(sink_url, &error))?;
        Ok(webhook)
    }

    async fn kept_webhook(&self, folder: Option<&Path>, sink_url: &str) -> Result<Option<CreatedWebhook>, CliError> {
        let Some(folder) = folder else { return Ok(None) };
        let Some(webhook) = read::<CreatedWebhook>(folder, WEBHOOK)? else {
            return Ok(None);
        };
        let found = self.find(&format!("/v1/webhooks/{}", webhook.id)).await?;
        let leads_there = found.is_some_and(|found| found["url"] == sink_url);
        Ok(leads_there.then_some(webhook))
    }
}

fn unreachable(url: &str, error: &reqwest::Error) -> CliError {
    let told = if error.is_connect() {
        format!("no hub answers at {url}: start it in another terminal with `cargo run -p local`")
    } else {
        format!("{url}: {error}")
    };
    CliError::Failed(told)
}

fn keep(folder: Option<&Path>, name: &str, created: &Value) -> Result<(), CliError> {
    folder.map_or(Ok(()), |folder| write(folder, name, created))
}

fn understood<T: serde::de::DeserializeOwned>(created: Value) -> Result<T, CliError> {
    serde_json::from_value(created)
        .map_err(|error| CliError::Failed(format!("the hub's answer is not understood: {error}")))
}

/// A signed message.
struct Sample {
    id: String,
    headers: Vec<(&'static str, String)>,
}

impl Sample {
    fn sign(secret: SecretString) -> Result<Self, CliError> {
        let key = SigningKey::parse(&secret).map_err(|error| CliError::Failed(error.to_string()))?;
        let now = SystemClock.now();
        let id = format!("msg_{}", hex::encode(payload::id::random::<12>()));
        let headers = vec![
            ("content-type", "application/json".to_owned()),
            ("webhook-id", id.clone()),
            ("webhook-timestamp", now.as_second().to_string()),
            ("webhook-signature", sign(&[key], &id, now, QUARTR_SAMPLE.as_bytes())),
        ];
        Ok(Self { id, headers })
    }

    /// Sends it as Quartr would; answers with the receipt's id.
    async fn send(&self, url: &str, journey: &mut Journey<'_, impl Write>) -> Result<String, CliError> {
        let bytes = QUARTR_SAMPLE.len();
        journey.tell(&format!(
            "sent       {bytes} bytes, live.audio.updated, webhook-id {}",
            self.id
        ))?;
        let body = Bytes::from_static(QUARTR_SAMPLE.as_bytes());
        let answer = http_client::send("POST", url, &self.headers, body).await;
        let Answer { status, body } = answer.map_err(|error| unreachable("the source's receiving URL", &error))?;
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        match (status, body["id"].as_str()) {
            (202, Some(receipt)) => {
                journey.tell(&format!("stored     202, {receipt}"))?;
                Ok(receipt.to_owned())
            }
            _ => Err(CliError::Failed(format!("the hub did not take it: {status} {body}"))),
        }
    }
}

/// Tells the steps with the time since the message was sent.
struct Journey<'a, W> {
    start: Instant,
    out: &'a mut W,
}

impl<'a, W: Write> Journey<'a, W> {
    fn start(out: &'a mut W) -> Self {
        Self {
            start: Instant::now(),
            out,
        }
    }

    fn tell(&mut self, step: &str) -> Result<(), CliError> {
        let milliseconds = self.start.elapsed().as_secs_f64() * 1000.0;
        writeln!(self.out, "{milliseconds:9.1} ms  {step}")?;
        Ok(())
    }

    /// Looks at a path until what is there is `done`.
    async fn wait<T>(
        &self,
        api: &Api<'_>,
        path: &str,
        what: &str,
        mut done: impl FnMut(&Value) -> Option<T>,
    ) -> Result<T, CliError> {
        let deadline = Instant::now() + LIMIT;
        loop {
            let (_, found) = api.call("GET", path, None).await?;
            if let Some(result) = done(&found) {
                return Ok(result);
            }
            if Instant::now() >= deadline {
                let seconds = LIMIT.as_secs();
                return Err(CliError::Failed(format!(
                    "not {what} within {seconds} s; GET {path} tells: {found}"
                )));
            }
            sleep(LOOK_EVERY).await;
        }
    }

    async fn expect_event(&mut self, api: &Api<'_>, receipt: &str) -> Result<String, CliError> {
        let path = format!("/v1/receipts/{receipt}");
        let found = self
            .wait(api, &path, "verified", |found| {
                (found["status"] != "received").then(|| found.clone())
            })
            .await?;
        match found["events"][0].as_str() {
            Some(event) => {
                self.tell(&format!("verified   {event}"))?;
                Ok(event.to_owned())
            }
            None => Err(CliError::Failed(format!("it made no event: {found}"))),
        }
    }

    async fn expect_rejection(&mut self, api: &Api<'_>, receipt: &str) -> Result<(), CliError> {
        let path = format!("/v1/receipts/{receipt}");
        let found = self
            .wait(api, &path, "decided", |found| {
                (found["status"] != "received").then(|| found.clone())
            })
            .await?;
        if found["status"] != "rejected" {
            return Err(CliError::Failed(format!("a forged message was not rejected: {found}")));
        }
        let (reason, detail) = (
            found["reason"].as_str().unwrap_or_default(),
            found["detail"].as_str().unwrap_or_default(),
        );
        self.tell(&format!("rejected   {reason}: {detail}"))?;
        writeln!(
            self.out,
            "\nNobody gets it, and the forger was told nothing. The receipt is kept: GET {path}"
        )?;
        Ok(())
    }

    async fn expect_delivery(&mut self, api: &Api<'_>, event: &str, webhook: &CreatedWebhook) -> Result<(), CliError> {
        let path = format!("/v1/events/{event}");
        let attempted = |found: &Value| {
            let deliveries = found["deliveries"].as_array()?;
            let ours = deliveries
                .iter()
                .find(|delivery| delivery["webhook"] == webhook.id.as_str())?;
            (ours["status"] != "due" || !ours["attempts"].as_array()?.is_empty()).then(|| deliveries.clone())
        };
        let deliveries = self.wait(api, &path, "delivered", attempted).await?;
        let mut delivered = false;
        for delivery in &deliveries {
            let (id, status) = (
                delivery["webhook"].as_str().unwrap_or_default(),
                delivery["status"].as_str().unwrap_or_default(),
            );
            delivered |= id == webhook.id && status == "delivered";
            let attempts = delivery["attempts"].as_array().map_or(&[][..], Vec::as_slice);
            let last = attempts
                .last()
                .map_or_else(|| "no attempt yet".to_owned(), tell_attempt);
            self.tell(&format!("{status:<10} to {id}: {last} (attempt {})", attempts.len()))?;
        }
        if delivered {
            return Ok(());
        }
        Err(CliError::Failed(format!(
            "it is not delivered to the sink; GET {path} tells more, and the next tick tries again"
        )))
    }

    async fn look_into_sink(&mut self, sink_url: &str, event: &str) -> Result<(), CliError> {
        let shown = http_client::send("GET", sink_url, &[], Bytes::new())
            .await
            .map_err(|error| unreachable(sink_url, &error))?;
        let shown: Shown<'_> =
            serde_json::from_slice(&shown.body).map_err(|error| CliError::Failed(error.to_string()))?;
        let of_event = |request: &&Request<'_>| request.headers.get("webhook-id").is_some_and(|id| id == event);
        let Some(request) = shown.requests.iter().find(of_event) else {
            return Err(CliError::Failed(format!("the sink at {sink_url} has not seen {event}")));
        };
        self.tell(&format!(
            "received   by the sink, signature {}",
            request.signature.as_str().unwrap_or("invalid")
        ))?;
        writeln!(
            self.out,
            "\nWhat the sink got (all of it: {sink_url}):\n\n{}",
            request.body
        )?;
        Ok(())
    }
}

/// What the sink shows, its bodies as they came.
#[derive(Deserialize)]
struct Shown<'a> {
    #[serde(borrow)]
    requests: Vec<Request<'a>>,
}

#[derive(Deserialize)]
struct Request<'a> {
    headers: HashMap<String, String>,
    signature: Value,
    #[serde(borrow)]
    body: &'a RawValue,
}

fn tell_attempt(attempt: &Value) -> String {
    let milliseconds = attempt["durationMs"].as_u64().unwrap_or_default();
    match (attempt["status"].as_u64(), attempt["error"].as_str()) {
        (Some(status), _) => format!("{status} in {milliseconds} ms"),
        (None, Some(error)) => format!("{error} after {milliseconds} ms"),
        (None, None) => "?".into(),
    }
}
