//! What the command line keeps beside the database, for this user only: the first organization with its admin key, and the source and the
//! webhook that `send` uses. A deployed hub keeps none of these: whoever runs a hub on one machine is its only tenant.

use std::io::{ErrorKind, Write};
use std::path::Path;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::CliError;

/// The file of [`Credentials`].
const CREDENTIALS: &str = "credentials.json";

/// The API's answer to the creation of the source that `send` sends to.
pub(super) const SOURCE: &str = "source.json";

/// The API's answer to the creation of the webhook that leads to the sink.
pub(super) const WEBHOOK: &str = "webhook.json";

/// What was made at the first start.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Credentials {
    /// The organization's id.
    pub(super) organization: String,
    /// Its admin key.
    pub(super) admin_key: SecretString,
    /// The secret that a Quartr source signs with here.
    pub(super) quartr_secret: SecretString,
}

/// A source as the API shows it when it is created.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CreatedSource {
    pub(super) id: String,
    pub(super) receiving_url: SecretString,
}

/// A webhook as the API shows it when it is created.
#[derive(Deserialize)]
pub(super) struct CreatedWebhook {
    pub(super) id: String,
    pub(super) secret: SecretString,
}

impl Credentials {
    pub(super) fn read(folder: &Path) -> Result<Option<Self>, CliError> {
        read(folder, CREDENTIALS)
    }

    pub(super) fn write(&self, folder: &Path) -> Result<(), CliError> {
        let json = json!({
            "note": "For this machine only: whoever reads this file can do everything with the hub in this folder.",
            "organization": self.organization,
            "adminKey": self.admin_key.expose_secret(),
            "quartrSecret": self.quartr_secret.expose_secret(),
        });
        write(folder, CREDENTIALS, &json)
    }
}

/// Reads a file of JSON. `None` when it is absent, or holds something else, as the answer to a creation that failed.
pub(super) fn read<T: DeserializeOwned>(folder: &Path, name: &str) -> Result<Option<T>, CliError> {
    let path = folder.join(name);
    match std::fs::read(&path) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(failed(&path, &error)),
    }
}

/// Writes a file of JSON that only this user can read.
pub(super) fn write(folder: &Path, name: &str, json: &Value) -> Result<(), CliError> {
    let path = folder.join(name);
    let mut options = std::fs::OpenOptions::new();
    options.create(true).truncate(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options
        .open(&path)
        .and_then(|mut file| file.write_all(&serde_json::to_vec_pretty(json)?));
    written.map_err(|error| failed(&path, &error))
}

fn failed(path: &Path, error: &std::io::Error) -> CliError {
    CliError::Failed(format!("{}: {error}", path.display()))
}
