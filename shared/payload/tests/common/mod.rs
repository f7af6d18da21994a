//! Requests as files say them, for the tests that walk a folder of them.
#![allow(dead_code, reason = "each test uses its part")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use bytes::Bytes;
use jiff::Timestamp;
use payload::preset::map;
use payload::query::parameters;
use payload::receipt::{Header, HeaderValue, salted_hash};
use payload::scheme::{Proof, Rejection};
use payload::source::{Effective, Provider, Source, SourceOptions};
use payload::{Event, Receipt};
use serde::Deserialize;
use serde_json::value::RawValue;

const SALT: &str = "salt";

/// One request.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Sent {
    /// What is special about it.
    #[serde(default)]
    pub(crate) about: String,
    #[serde(default = "post")]
    pub(crate) method: String,
    #[serde(default)]
    pub(crate) query: String,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    /// The body where it is JSON: its bytes as they stand in the file.
    pub(crate) body: Option<Box<RawValue>>,
    /// The body where it is not.
    pub(crate) body_text: Option<String>,
    #[serde(default = "usual_time")]
    pub(crate) received_at: Timestamp,
    /// The source's secret, with which the request must verify; nothing is verified where it is absent.
    pub(crate) secret: Option<String>,
    /// What the source says otherwise.
    #[serde(default)]
    pub(crate) options: SourceOptions,
    /// What `data` must be, where it is not a part of a JSON body.
    pub(crate) data: Option<Box<RawValue>>,
}

fn post() -> String {
    "POST".into()
}

fn usual_time() -> Timestamp {
    "2025-03-25T13:31:01Z".parse().unwrap()
}

impl Sent {
    /// The body's bytes.
    pub(crate) fn bytes(&self) -> Bytes {
        let json = self.body.as_ref().map(|body| body.get().to_owned());
        json.or_else(|| self.body_text.clone()).unwrap_or_default().into()
    }

    /// The source it is for.
    pub(crate) fn source(&self, provider: Provider) -> Source {
        let name = match &provider {
            Provider::Preset(name) => format!("{name}-prod"),
            Provider::Custom(preset) => format!("{}-prod", preset.name),
        };
        Source {
            id: "src_01JQ6ZQ0M0000000000000000A".parse().unwrap(),
            organization: "org_01JQ6ZQ0M0000000000000000A".parse().unwrap(),
            name,
            provider,
            options: self.options.clone(),
            enabled: true,
            salt: SALT.into(),
            created_at: Timestamp::UNIX_EPOCH,
            tokens: Vec::new(),
            revision: 0,
        }
    }

    /// The receipt that `receive` makes of it, the `number`th of its file.
    pub(crate) fn receipt(&self, source: &Effective<'_>, number: usize) -> Receipt {
        let credentials = source.scheme.credentials();
        let capture = |(name, value): (&String, &String)| Header::capture(name, value.as_bytes(), SALT, &credentials);
        let mut headers: Vec<Header> = self.headers.iter().map(capture).collect();
        let mut query = Vec::new();
        for parameter in parameters(&self.query) {
            let name = format!("?{}", String::from_utf8_lossy(&parameter.name));
            if credentials.contains(&name) {
                let value = HeaderValue::Hashed(salted_hash(SALT, &parameter.value));
                headers.push(Header { name, value });
            } else {
                query.push(parameter.text);
            }
        }
        Receipt {
            id: format!("rcp_01JQ6ZQ0M00000000000000{number:03}").parse().unwrap(),
            organization: source.source.organization.clone(),
            source: source.source.id.clone(),
            method: self.method.clone(),
            query: query.join("&"),
            headers,
            body: self.bytes(),
            received_at: self.received_at,
            scheme: None,
            trace: None,
        }
    }

    /// What verification says of a receipt under the request's secret.
    pub(crate) fn verify(&self, source: &Effective<'_>, receipt: &Receipt) -> Result<Proof, Rejection> {
        let Some(secret) = &self.secret else {
            return Ok(Proof::of_nothing(source.scheme.kind()));
        };
        let stored = source
            .scheme
            .stored_secret(&secret.clone().into(), SALT)
            .expect("a secret of this scheme");
        let keys = source.scheme.keys(&stored).expect("a stored secret");
        source.scheme.verify(receipt, &keys, &source.context())
    }

    /// The events that come of it. Where it says its secret, it must verify, and a forged one must not.
    pub(crate) fn events(&self, provider: Provider, number: usize) -> Vec<Event> {
        let place = format!("receipt {number} ({})", self.about);
        let source = self.source(provider);
        let source = source.effective().expect("a known preset");
        source.check().unwrap_or_else(|error| panic!("{place}: {error}"));
        let receipt = self.receipt(&source, number);
        let proof = self
            .verify(&source, &receipt)
            .unwrap_or_else(|error| panic!("{place}: {error}"));
        if self.secret.is_some() {
            let forged = forged(&receipt, proof.body);
            assert!(
                self.verify(&source, &forged).is_err(),
                "{place}: a forged one is accepted"
            );
        }
        map(&source, &receipt, proof).unwrap_or_else(|error| panic!("{place}: {error}"))
    }
}

/// The same with one byte more where it is signed, or with another credential.
fn forged(receipt: &Receipt, is_signed: bool) -> Receipt {
    let mut forged = receipt.clone();
    if is_signed {
        forged.body = [&receipt.body[..], b" "].concat().into();
    } else {
        for header in &mut forged.headers {
            if matches!(header.value, HeaderValue::Hashed(_)) {
                header.value = HeaderValue::Text("another".into());
            }
        }
    }
    forged
}

/// The JSON files of a folder of `tests`, by name, with their texts.
pub(crate) fn files(folder: &str) -> Vec<(String, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let mut files: Vec<(String, String)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read_to_string(&path).unwrap())
        })
        .collect();
    files.sort();
    files
}
