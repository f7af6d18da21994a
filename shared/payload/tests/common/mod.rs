//! Requests as files say them, for the tests that walk a folder of them.
#![allow(dead_code, reason = "each test uses its part")]

use std::path::PathBuf;

use payload::preset::map;
use payload::receipt::HeaderValue;
use payload::sample::SALT;
use payload::scheme::{Proof, Rejection};
use payload::source::{Effective, Provider, Source};
use payload::{Event, Receipt};

pub(crate) use payload::sample::Sent;

/// What a test does with a sample beside reading it.
pub(crate) trait Tried {
    /// The source that it is for in every test.
    fn source_of(&self, provider: Provider) -> Source;
    /// The `number`th receipt of its file.
    fn receipt_of(&self, source: &Effective<'_>, number: usize) -> Receipt;
    fn verify(&self, source: &Effective<'_>, receipt: &Receipt) -> Result<Proof, Rejection>;
    fn events(&self, provider: Provider, number: usize) -> Vec<Event>;
}

impl Tried for Sent {
    fn source_of(&self, provider: Provider) -> Source {
        let id = "src_01JQ6ZQ0M0000000000000000A".parse().unwrap();
        self.source(provider, id, "org_01JQ6ZQ0M0000000000000000A".parse().unwrap())
    }

    fn receipt_of(&self, source: &Effective<'_>, number: usize) -> Receipt {
        let id = format!("rcp_01JQ6ZQ0M00000000000000{number:03}");
        self.receipt(source, id.parse().unwrap())
    }

    /// What verification says of a receipt under the request's secret.
    fn verify(&self, source: &Effective<'_>, receipt: &Receipt) -> Result<Proof, Rejection> {
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
    fn events(&self, provider: Provider, number: usize) -> Vec<Event> {
        let place = format!("receipt {number} ({})", self.about);
        let source = self.source_of(provider);
        let source = source.effective().expect("a known preset");
        source.check().unwrap_or_else(|error| panic!("{place}: {error}"));
        let receipt = self.receipt_of(&source, number);
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

/// The JSON files of a folder of this crate, by name, with their texts.
pub(crate) fn files(folder: &str) -> Vec<(String, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(folder);
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
