//! Whatever comes in, verification does not panic, and accepts nothing that the plain implementation of the tests rejects.
//!
//! No fuzzer finds a good signature: `{sign}` in a header stands for the one that a sender would put there, `{secret}` and `{basic}` for the
//! credential.
#![no_main]

#[path = "../../shared/payload/tests/plain/mod.rs"]
mod plain;
mod request;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use payload::key::Key;
use payload::preset;
use payload::scheme::{Context, Scheme};
use serde_json::Value;

use plain::keys::{Signer, Writing};
use plain::{Request, accepts, template, text};
use request::{Input, SALT};

const PUBLIC_URL: &str = "https://hooks.example.com/in?a=b.c";

/// A source.
struct Source {
    name: String,
    scheme: Scheme,
    /// The scheme as the plain implementation reads it.
    written: Value,
    secrets: Vec<String>,
    keys: Vec<Key>,
    /// Where we have the sender's side of its secret.
    signer: Option<Signer>,
}

/// Those of schemes.json.
static SOURCES: LazyLock<Vec<Source>> = LazyLock::new(|| {
    let all: Vec<Value> = serde_json::from_str(include_str!("schemes.json")).unwrap();
    all.iter().map(source).collect()
});

fn source(entry: &Value) -> Source {
    let scheme: Scheme = match entry["scheme"].as_str() {
        Some(preset) => preset::find(preset).unwrap().scheme.clone(),
        None => serde_json::from_value(entry["scheme"].clone()).unwrap(),
    };
    scheme.check().unwrap();
    let written = serde_json::to_value(&scheme).unwrap();
    let is_signed = !matches!(scheme, Scheme::Token(_) | Scheme::Basic(_) | Scheme::None(_));
    let new_signer = |seed: u8| Signer::new(&written, &[seed; 32], Writing::Base64);
    let (mut secrets, mut signer) = (Vec::new(), None);
    if let Some(published) = entry["secrets"].as_array() {
        secrets.extend(published.iter().map(|secret| secret.as_str().unwrap().to_owned()));
    } else if is_signed {
        // As while one secret replaces another.
        secrets.extend([new_signer(1).secret, new_signer(2).secret]);
        signer = Some(new_signer(2));
    } else if scheme.needs_secret() {
        secrets.push("user:secret".into());
    }
    let keys = |secret: &String| {
        scheme
            .keys(&scheme.stored_secret(&secret.as_str().into(), SALT).unwrap())
            .unwrap()
    };
    Source {
        name: entry["name"].as_str().unwrap().into(),
        keys: secrets.iter().flat_map(keys).collect(),
        scheme,
        written,
        secrets,
        signer,
    }
}

impl Source {
    /// What a sender would sign, where that can be said.
    fn message(&self, request: &Request) -> Option<Vec<u8>> {
        let Scheme::StandardWebhooks(standard) = &self.scheme else {
            return template::message(&self.written, request, Some(PUBLIC_URL)).ok();
        };
        let header = |name: &str| request.header(&format!("{}{name}", standard.header_prefix));
        Some(
            [
                format!("{}.{}.", header("id")?, header("timestamp")?).as_bytes(),
                &request.body,
            ]
            .concat(),
        )
    }

    /// The input with what only the sender can say.
    fn complete(&self, input: &mut Input) {
        let signature = self.signer.as_ref().and_then(|signer| {
            let encoding = self.written["encoding"].as_str().unwrap_or("base64");
            Some(signer.sign(&self.message(&plain_request(input))?, encoding))
        });
        let secret = self.secrets.first().cloned().unwrap_or_default();
        let basic = text::to_base64(secret.as_bytes(), text::STANDARD);
        let replace = |text: &str| {
            let text = text.replace("{secret}", &secret).replace("{basic}", &basic);
            signature
                .as_ref()
                .map_or(text.clone(), |signature| text.replace("{sign}", signature))
        };
        input.query = replace(&input.query);
        for (_, value) in &mut input.headers {
            if let Ok(text) = std::str::from_utf8(value) {
                *value = replace(text).into_bytes();
            }
        }
    }
}

fn plain_request(input: &Input) -> Request {
    Request {
        method: input.method.clone(),
        query: input.query.clone(),
        headers: input.headers.clone(),
        body: input.body.clone(),
        received_at: input.received_at,
    }
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input::parse(data);
    let source = input.choose(&SOURCES, |source| &source.name);
    source.complete(&mut input);
    let receipt = input.receipt(&source.scheme.credentials());
    let context = Context {
        public_url: Some(PUBLIC_URL),
        salt: SALT,
    };
    let ours = source.scheme.verify(&receipt, &source.keys, &context);
    let _ = source.scheme.signed_bytes(&receipt, &context);
    let secrets: Vec<&str> = source.secrets.iter().map(String::as_str).collect();
    let plainly = accepts(&source.written, &secrets, &plain_request(&input), Some(PUBLIC_URL));
    if ours.is_ok()
        && let Err(reason) = plainly
    {
        panic!("{} accepted what must be rejected: {reason}\n{receipt:?}", source.name);
    }
});
