//! Verification against the plain implementation, and against itself.

use std::cell::Cell;

use payload::Receipt;
use payload::key::Key;
use payload::scheme::{Proof, Scheme};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;

use crate::plain::keys::{Signer, Writing};
use crate::plain::template::{Piece, readings};
use crate::plain::{self, Request};
use crate::requests::{CONTEXT, Change, Message, PUBLIC_URL, change, message, receipt, template};
use crate::schemes::{any_kind, broken, hmac, read};

fn keys(scheme: &Scheme, secrets: &[String]) -> Vec<Key> {
    let stored = secrets
        .iter()
        .map(|secret| scheme.stored_secret(&secret.as_str().into(), CONTEXT.salt).unwrap());
    stored.flat_map(|stored| scheme.keys(&stored).unwrap()).collect()
}

fn ours(scheme: &Scheme, secrets: &[String], request: &Request) -> Result<Proof, String> {
    let keys = if scheme.needs_secret() {
        keys(scheme, secrets)
    } else {
        Vec::new()
    };
    let verified = scheme.verify(&receipt(request, scheme), &keys, &CONTEXT);
    verified.map_err(|rejection| rejection.to_string())
}

fn plainly(scheme: &Value, secrets: &[String], request: &Request) -> Result<(), String> {
    let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
    plain::accepts(scheme, &secrets, request, Some(PUBLIC_URL))
}

/// A sender with its request, and a source that knows its secret among others.
#[derive(Debug, Clone)]
struct Sent {
    scheme: Value,
    message: Message,
    seeds: Vec<u64>,
    writing: Writing,
    decoys: Vec<String>,
}

impl Sent {
    fn is_signed(&self) -> bool {
        !matches!(self.scheme["kind"].as_str(), Some("token" | "basic" | "none"))
    }

    fn signers(&self) -> Vec<Signer> {
        // Not the largest of numbers, which are no P-256 keys.
        let seed = |seed: &u64| [&[1], &seed.to_le_bytes().repeat(4)[1..]].concat();
        self.seeds
            .iter()
            .map(|number| Signer::new(&self.scheme, &seed(number), self.writing))
            .collect()
    }

    fn secrets(&self) -> Vec<String> {
        if self.is_signed() {
            return self.signers().into_iter().map(|signer| signer.secret).collect();
        }
        self.seeds.iter().map(|seed| format!("user-{seed}:pass wörd")).collect()
    }

    /// The request, signed with the last of the secrets.
    fn request(&self) -> Request {
        if !self.is_signed() {
            return self.message.request_with(&self.scheme, &self.secrets().pop().unwrap());
        }
        let encoding = self.scheme["encoding"].as_str().unwrap_or("base64");
        let bytes = self.message.signed_bytes(&self.scheme);
        let mut signatures = vec![self.signers().pop().unwrap().sign(&bytes, encoding)];
        if self.scheme["separator"].is_string() || self.scheme["kind"] == "standard-webhooks" {
            signatures.splice(0..0, self.decoys.clone());
        }
        self.message.request(&self.scheme, &signatures)
    }
}

fn sent(scheme: impl Strategy<Value = Value>) -> impl Strategy<Value = Sent> {
    let writing = proptest::sample::select(&[Writing::Pem, Writing::Hex, Writing::Base64][..]);
    let seeds = proptest::collection::vec(any::<u64>(), 1..3);
    let decoys = proptest::collection::vec("[a-f0-9]{0,6}", 0..2);
    let parts = (scheme, seeds, writing, decoys);
    parts.prop_flat_map(|(scheme, seeds, writing, decoys)| {
        message(&scheme).prop_map(move |message| Sent {
            scheme: scheme.clone(),
            message,
            seeds: seeds.clone(),
            writing,
            decoys: decoys.clone(),
        })
    })
}

/// Runs a test over so many inputs (or as many times more as PROPTEST_CASES is than its usual 256), and tells of how many in a hundred it
/// returned true.
pub(crate) fn run<S: Strategy>(
    cases: u32,
    strategy: &S,
    test: impl Fn(S::Value) -> Result<bool, TestCaseError>,
) -> u32 {
    let usual = Config::default();
    let config = Config {
        cases: (cases * usual.cases).div_ceil(256),
        failure_persistence: None,
        max_local_rejects: u32::MAX,
        max_global_rejects: u32::MAX,
        ..usual
    };
    let (cases, count) = (config.cases, Cell::new(0));
    let result = TestRunner::new(config).run(strategy, |input| {
        count.set(count.get() + u32::from(test(input)?));
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
    100 * count.get() / cases
}

#[test]
fn what_is_rightly_signed_is_accepted_and_nothing_else() {
    let accepted = run(1500, &sent(any_kind()), |sent| {
        let (scheme, secrets, request) = (read(&sent.scheme), sent.secrets(), sent.request());
        let ours = ours(&scheme, &secrets, &request);
        let plainly = plainly(&sent.scheme, &secrets, &request);
        // Both ways: what the other refuses (a time beside the window, a part that could be read in two ways) is refused.
        prop_assert_eq!(
            ours.is_ok(),
            plainly.is_ok(),
            "{:?}, plainly {:?}: {:?}",
            ours,
            plainly,
            request
        );
        Ok(ours.is_ok())
    });
    assert!(
        accepted > 40,
        "only {accepted} % of the requests were good: the test says little"
    );
}

#[test]
fn no_change_on_the_way_is_accepted_that_the_plain_implementation_rejects() {
    let changes = proptest::collection::vec(change(), 1..4);
    let inputs = (sent(any_kind()), changes, any::<bool>());
    let rejected = run(1500, &inputs, |(sent, changes, other_secret)| {
        let (scheme, mut secrets, mut request) = (read(&sent.scheme), sent.secrets(), sent.request());
        changes
            .iter()
            .for_each(|change: &Change| change.apply(&mut request, &sent.scheme));
        if other_secret && secrets.len() > 1 {
            secrets.pop();
        }
        let ours = ours(&scheme, &secrets, &request);
        let plainly = plainly(&sent.scheme, &secrets, &request);
        prop_assert!(ours.is_err() || plainly.is_ok(), "plainly {:?}: {:?}", plainly, request);
        Ok(ours.is_err())
    });
    assert!(
        (50..95).contains(&rejected),
        "{rejected} % were rejected: the changes are too fine, or too coarse"
    );
}

/// The message that a reading of the signed bytes stands for.
fn reread(original: &Message, pieces: &[Piece], values: &[Vec<u8>]) -> Option<Message> {
    let mut message = original.clone();
    for (piece, value) in pieces.iter().zip(values) {
        let Piece::Part(name) = piece else { continue };
        if name == "body" {
            message.body.clone_from(value);
            continue;
        }
        let text = String::from_utf8(value.clone()).ok()?;
        match name.as_str() {
            "id" => message.id = text,
            "timestamp" => message.time = text,
            "method" => message.method = text,
            "query" => message.query = text,
            "url" => {}
            _ => message.extra = text,
        }
    }
    Some(message)
}

#[test]
fn no_signature_fits_two_messages() {
    let has_parts = |scheme: &Value| {
        template(scheme)
            .iter()
            .filter(|piece| matches!(piece, Piece::Part(_)))
            .count()
            > 2
    };
    let scheme = hmac().prop_filter("one part can be read in one way only", has_parts);
    let others = Cell::new(0);
    let accepted = run(1500, &sent(scheme), |sent| {
        let (scheme, pieces) = (read(&sent.scheme), template(&sent.scheme));
        let (keys, signer) = (keys(&scheme, &sent.secrets()), sent.signers().pop().unwrap());
        let bytes = sent.message.signed_bytes(&sent.scheme);
        let signature = [signer.sign(&bytes, sent.scheme["encoding"].as_str().unwrap())];
        let mut accepted: Vec<(Message, Receipt)> = Vec::new();
        for values in readings(&pieces, &bytes, PUBLIC_URL, 150) {
            let Some(message) = reread(&sent.message, &pieces, &values) else {
                continue;
            };
            others.set(others.get() + u32::from(message != sent.message));
            let receipt = receipt(&message.request(&sent.scheme, &signature), &scheme);
            if scheme.verify(&receipt, &keys, &CONTEXT).is_ok() {
                accepted.push((message, receipt));
            }
        }
        prop_assert!(accepted.len() <= 1, "{:?} are signed with the same bytes", accepted);
        Ok(accepted.len() == 1)
    });
    assert!(
        accepted > 20,
        "only {accepted} % of the messages were good: the test says little"
    );
    assert!(
        others.get() > 1500,
        "the signed bytes were read in only {} other ways",
        others.get()
    );
}

#[test]
fn nothing_that_comes_in_makes_it_panic() {
    let name = proptest::sample::select(
        &[
            "x-signature",
            "X-Sig",
            "x-time",
            "x-id",
            "webhook-id",
            "webhook-signature",
        ][..],
    );
    let value = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..60),
        "(t|v1|sig|s|v0)?[=:,; ~-]{0,2}[0-9a-zA-Z+/=]{0,50}".prop_map(String::into_bytes),
    ];
    let headers = proptest::collection::vec((name.prop_map(str::to_owned), value), 0..6);
    let rest = (".{0,40}", proptest::collection::vec(any::<u8>(), 0..60), any::<i32>());
    let inputs = (sent(any_kind()), headers, rest);
    run(600, &inputs, |(sent, headers, (query, body, received_at))| {
        let (scheme, secrets) = (read(&sent.scheme), sent.secrets());
        let request = Request {
            method: "POST".into(),
            query,
            headers,
            body,
            received_at: received_at.into(),
        };
        let accepted = ours(&scheme, &secrets, &request).is_ok();
        prop_assert!(!accepted || plainly(&sent.scheme, &secrets, &request).is_ok());
        Ok(accepted)
    });
    // Nor does anything that somebody writes down as a scheme or as a secret.
    run(600, &(broken(), ".{0,80}"), |(value, secret)| {
        let Ok(scheme) = serde_json::from_value::<Scheme>(value) else {
            return Ok(false);
        };
        let possible = scheme.check().is_ok();
        if let Ok(stored) = scheme.stored_secret(&secret.into(), "salt") {
            prop_assert!(scheme.keys(&stored).is_ok());
        }
        Ok(possible)
    });
}
