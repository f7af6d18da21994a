//! Without a command: the hub, until Ctrl-C or SIGTERM.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use payload::outbound::generate_secret;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use store::clock::SystemClock;

use super::files::{CreatedWebhook, Credentials, SOURCE, WEBHOOK, read};
use super::{CliError, ServeArgs};
use crate::engine::Data;
use crate::hub::{Hub, HubOptions};
use crate::sink::Sink;

/// The name of the organization that is made at the first start.
const ORGANIZATION: &str = "Example";

pub(super) async fn run(arguments: ServeArgs, folder: &Path, out: &mut (impl Write + Send)) -> Result<(), CliError> {
    let mut signals = Signals::listen()?;
    let running = Running::start(&arguments, folder, out).await?;
    signals.next().await;
    writeln!(
        out,
        "\nStopping: what is under way is finished first. (Once more stops at once.)"
    )?;
    tokio::select! {
        () = running.stop() => writeln!(out, "Stopped.")?,
        () = signals.next() => writeln!(out, "Stopped at once: what was under way is taken up again at the next start.")?,
    }
    Ok(())
}

/// The hub and what stands around it.
pub(super) struct Running {
    pub(super) hub: Hub,
    pub(super) sink: Sink,
}

impl Running {
    pub(super) async fn start(
        arguments: &ServeArgs,
        folder: &Path,
        out: &mut (impl Write + Send),
    ) -> Result<Self, CliError> {
        let data = if arguments.memory {
            Data::Memory
        } else {
            Data::Dir(folder.to_owned())
        };
        let options = HubOptions {
            durability: arguments.durability.into(),
            listen: arguments.listen,
            allow_private: !arguments.public_only,
            ..HubOptions::new(data)?
        };
        let sink = Sink::start(arguments.sink, Arc::new(SystemClock)).await?;
        let hub = Hub::start(options).await?;
        let running = Self { hub, sink };
        let introduced = running.introduce(arguments, folder, out).await;
        if introduced.is_err() {
            running.hub.stop().await;
        }
        introduced.map(|()| running)
    }

    pub(super) async fn stop(&self) {
        self.hub.stop().await;
        self.sink.stop().await;
    }

    async fn introduce(
        &self,
        arguments: &ServeArgs,
        folder: &Path,
        out: &mut (impl Write + Send),
    ) -> Result<(), CliError> {
        let place = if arguments.memory {
            "memory only".to_owned()
        } else {
            folder.display().to_string()
        };
        writeln!(out, "Hookline runs on this machine. Ctrl-C ends it.\n")?;
        writeln!(out, "  HTTP      {}", self.hub.url())?;
        writeln!(
            out,
            "  sink      {}   (shows what was delivered to it)",
            self.sink.url()
        )?;
        writeln!(out, "  data      {place}")?;
        if let Some(port) = arguments.dynamodb_port {
            let (address, _) = self
                .hub
                .engine()
                .serve((std::net::Ipv4Addr::LOCALHOST, port).into())
                .await?;
            writeln!(
                out,
                "  DynamoDB  http://{address}   (any credentials; `aws dynamodb list-tables --endpoint-url …`)"
            )?;
        }
        if arguments.public_only {
            writeln!(out, "  Webhooks  may lead only to public https destinations.")?;
        } else {
            writeln!(
                out,
                "  Webhooks  may lead to plain http and to this machine: a setting of this program only."
            )?;
        }
        writeln!(out)?;
        let folder = (!arguments.memory).then_some(folder);
        if self.hub.is_new().await? {
            return self.first_start(folder, out).await;
        }
        if let Some(folder) = folder {
            self.again(folder, out)?;
        }
        Ok(())
    }

    /// Makes an organization, and says how to go on.
    async fn first_start(&self, folder: Option<&Path>, out: &mut (impl Write + Send)) -> Result<(), CliError> {
        let made = self
            .hub
            .operate(json!({"action": "createOrganization", "name": ORGANIZATION}))
            .await?;
        let text = |pointer: &str| {
            made.pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let credentials = Credentials {
            organization: text("/organization/id"),
            admin_key: text("/adminKey").into(),
            quartr_secret: generate_secret(),
        };
        let key = credentials.admin_key.expose_secret();
        writeln!(
            out,
            "This is the first start: the organization \"{ORGANIZATION}\" was made, {}.",
            credentials.organization
        )?;
        writeln!(out, "Its admin key, which is shown only now:\n\n  {key}\n")?;
        if let Some(folder) = folder {
            credentials.write(folder)?;
            writeln!(
                out,
                "(`send` finds it in {}, readable for you alone.)\n",
                folder.join("credentials.json").display()
            )?;
        }
        self.commands(&credentials, folder, out)
    }

    /// Three commands to paste into another terminal.
    fn commands(
        &self,
        credentials: &Credentials,
        folder: Option<&Path>,
        out: &mut (impl Write + Send),
    ) -> Result<(), CliError> {
        let key = credentials.admin_key.expose_secret();
        let keep = |name: &str| {
            folder.map_or_else(String::new, |folder| {
                format!(" | tee '{}'", folder.join(name).display())
            })
        };
        let post = |path: &str, body: &Value, file: &str| {
            format!(
                "  curl -s '{}{path}' -H 'authorization: Bearer {key}' \\\n    -H 'content-type: application/json' -d '{body}'{}\n",
                self.hub.url(),
                keep(file)
            )
        };
        let source = json!({"name": "quartr", "preset": "quartr", "secret": credentials.quartr_secret.expose_secret()});
        let webhook = json!({"name": "sink", "url": self.sink.url()});
        let mut send = "  cargo run -p local -- send quartr".to_owned();
        if folder.is_none() {
            send = format!("{send} --key {key}");
        } else if let Some(folder) = folder.filter(|folder| *folder != Path::new(".hookline")) {
            send = format!("{send} --data '{}'", folder.display());
        }
        if self.hub.url() != "http://127.0.0.1:8080" {
            send = format!("{send} --url {}", self.hub.url());
        }
        if self.sink.url() != "http://127.0.0.1:8081/sink" {
            send = format!("{send} --sink-url {}", self.sink.url());
        }
        writeln!(out, "Three commands for another terminal, in this folder:\n")?;
        writeln!(
            out,
            "1. A source for Quartr's webhooks. The answer holds its receiving URL, once.\n"
        )?;
        writeln!(out, "{}", post("/v1/sources", &source, SOURCE))?;
        writeln!(
            out,
            "2. A webhook that gets every event. The answer holds its signing secret, once.\n"
        )?;
        writeln!(out, "{}", post("/v1/webhooks", &webhook, WEBHOOK))?;
        writeln!(
            out,
            "3. A real sample, signed as Quartr signs, and what becomes of it.\n"
        )?;
        writeln!(out, "{send}\n")?;
        Ok(())
    }

    /// The folder holds data of an earlier run.
    fn again(&self, folder: &Path, out: &mut (impl Write + Send)) -> Result<(), CliError> {
        writeln!(
            out,
            "It goes on with the data of an earlier run. The admin key is not shown again;"
        )?;
        writeln!(out, "`cargo run -p local -- key` makes a new one.\n")?;
        // The sink forgets with the process; the secret of the webhook that leads to it is kept.
        if let Some(webhook) = read::<CreatedWebhook>(folder, WEBHOOK)?
            && !self.sink.add_secret(&webhook.secret)
        {
            let file = folder.join(WEBHOOK);
            writeln!(
                out,
                "({} holds no secret of a webhook: the sink checks no signatures.)\n",
                file.display()
            )?;
        }
        Ok(())
    }
}

/// Ctrl-C and SIGTERM.
struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    #[cfg(unix)]
    fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    #[cfg(unix)]
    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    #[cfg(not(unix))]
    fn listen() -> std::io::Result<Self> {
        Ok(Self {})
    }

    #[cfg(not(unix))]
    async fn next(&mut self) {
        tokio::signal::ctrl_c().await.ok();
    }
}
