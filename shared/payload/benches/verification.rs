//! What verification costs beside the bare HMAC of the same bytes, as a home-made receiver would compute it.
//!
//! `cargo bench -p payload --bench verification` prints the tables of docs/BENCHMARKS.md. Every column of a table is measured in turn,
//! again and again, so that what disturbs the machine disturbs them all; each number is the median of its turns.
#![allow(
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use payload::key::Key;
use payload::preset::{self, Preset};
use payload::receipt::Header;
use payload::scheme::Context;
use payload::source::{Provider, Source, SourceOptions};
use payload::{OrganizationId, Receipt, ReceiptId, SourceId};
use sha2::Sha256;
use standardwebhooks::Webhook;

const SIZES: [(usize, &str); 3] = [(1024, "1 KB"), (16 * 1024, "16 KB"), (256 * 1024, "256 KB")];

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";

/// How often each column has its turn, and how long one turn is to last at least: long beside what reading the clock costs, and short
/// beside what the scheduler gives.
const TURNS: usize = 2001;
const TURN: Duration = Duration::from_micros(50);

/// What a load balancer and a sender's library send along.
const USUAL_HEADERS: [(&str, &str); 9] = [
    ("host", "hooks.example.com"),
    ("accept", "*/*"),
    ("accept-encoding", "gzip, deflate, br"),
    ("content-type", "application/json; charset=utf-8"),
    (
        "user-agent",
        "provider-webhooks/1.0 (+https://provider.example.com/docs/webhooks)",
    ),
    ("x-amzn-trace-id", "Root=1-67e2b1c5-0f3b2a1c4d5e6f708192a3b4"),
    ("x-forwarded-for", "198.51.100.7"),
    ("x-forwarded-port", "443"),
    ("x-forwarded-proto", "https"),
];

/// A request as one provider signs it.
struct Request {
    preset: &'static Preset,
    receipt: Receipt,
    keys: Vec<Key>,
    /// The key's bytes and what they sign, one after the other as a home-made receiver has them.
    key: Vec<u8>,
    signed: Vec<u8>,
}

/// A body of JSON of about this many bytes, with words rather than noise in it.
fn body(size: usize) -> Vec<u8> {
    let words = ["quarter ", "earnings ", "call ", "of the ", "year ", "2025 "];
    let text: String = words.iter().copied().cycle().take(size / 5).collect();
    let start = r#"{"type":"live.audio.updated","timestamp":"2025-03-25T13:31:00.000Z","data":{"id":328350,"state":"live","text":""#;
    let end = r#""},"previousAttributes":{"state":"notLive"}}"#;
    format!("{start}{}{end}", &text[..size - start.len() - end.len()]).into_bytes()
}

fn mac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(message);
    mac.finalize().into_bytes().into()
}

impl Request {
    fn new(name: &str, body: Vec<u8>) -> Self {
        let at = Timestamp::now();
        let time = at.as_second().to_string();
        let preset = preset::find(name).unwrap();
        let (key, before) = match name {
            "standard-webhooks" => (STANDARD.decode(&SECRET[6..]).unwrap(), format!("{ID}.{time}.")),
            "stripe" => (SECRET.as_bytes().to_vec(), format!("{time}.")),
            _ => (SECRET.as_bytes().to_vec(), String::new()),
        };
        let signed = [before.as_bytes(), &body].concat();
        let tag = mac(&key, &signed);
        let own = match name {
            "standard-webhooks" => vec![
                ("webhook-id", ID.to_owned()),
                ("webhook-timestamp", time),
                ("webhook-signature", format!("v1,{}", STANDARD.encode(tag))),
            ],
            "stripe" => vec![(
                "stripe-signature",
                format!("t={time},v1={},v0={}", hex::encode(tag), "0".repeat(64)),
            )],
            _ => vec![
                ("x-github-event", "push".to_owned()),
                ("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958".to_owned()),
                ("x-hub-signature", format!("sha1={}", "0".repeat(40))),
                ("x-hub-signature-256", format!("sha256={}", hex::encode(tag))),
            ],
        };
        let usual = USUAL_HEADERS.iter().map(|(name, value)| (*name, (*value).to_owned()));
        let receipt = Receipt {
            id: ReceiptId::generate(at),
            organization: OrganizationId::generate(at),
            source: SourceId::generate(at),
            method: "POST".into(),
            query: String::new(),
            headers: usual
                .chain(own)
                .map(|(name, value)| Header::capture(name, value.as_bytes(), "salt", &[]))
                .collect(),
            body: body.into(),
            received_at: at,
            scheme: Some(preset.scheme.kind().into()),
            trace: None,
        };
        Self {
            keys: preset.scheme.keys(&SECRET.into()).unwrap(),
            preset,
            receipt,
            key,
            signed,
        }
    }

    fn verify(&self) {
        let proof = self
            .preset
            .scheme
            .verify(black_box(&self.receipt), &self.keys, &Context::default());
        black_box(proof.unwrap());
    }

    /// With the secret's text made a key each time.
    fn verify_with_text(&self) {
        let keys = self.preset.scheme.keys(&black_box(SECRET).into()).unwrap();
        black_box(
            self.preset
                .scheme
                .verify(&self.receipt, &keys, &Context::default())
                .unwrap(),
        );
    }

    fn bare(&self) {
        black_box(mac(black_box(&self.key), black_box(&self.signed)));
    }

    fn ring(&self) {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, black_box(&self.key));
        black_box(ring::hmac::sign(&key, black_box(&self.signed)));
    }

    fn source(&self) -> Source {
        Source {
            id: self.receipt.source.clone(),
            organization: self.receipt.organization.clone(),
            name: "production".into(),
            provider: Provider::Preset(self.preset.name.clone()),
            options: SourceOptions::default(),
            enabled: true,
            salt: "salt".into(),
            created_at: self.receipt.received_at,
            tokens: Vec::new(),
            revision: 0,
        }
    }
}

/// The median time of each column, in microseconds.
fn measure(columns: &mut [&mut dyn FnMut()]) -> Vec<f64> {
    let calls: Vec<u32> = columns
        .iter_mut()
        .map(|column| {
            let started = Instant::now();
            let mut calls = 0;
            while started.elapsed() < TURN {
                column();
                calls += 1;
            }
            calls
        })
        .collect();
    let mut times = vec![Vec::with_capacity(TURNS); columns.len()];
    for turn in 0..TURNS {
        // Beginning with another column each time, so that none always follows the same.
        for position in 0..columns.len() {
            let column = (turn + position) % columns.len();
            let started = Instant::now();
            for _ in 0..calls[column] {
                columns[column]();
            }
            times[column].push(started.elapsed().as_secs_f64() * 1e6 / f64::from(calls[column]));
        }
    }
    times.iter_mut().map(|times| median(times)).collect()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The request as the `standardwebhooks` crate takes it.
fn for_crate(receipt: &Receipt) -> http::HeaderMap {
    let headers = receipt.headers.iter().map(|header| {
        let value = receipt.header(&header.name).unwrap();
        (header.name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap())
    });
    headers.collect()
}

fn verification() {
    println!(
        "\n| signed as | body | verify µs | bare HMAC µs | ratio | secret read anew µs | ring HMAC µs | `standardwebhooks` µs |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|");
    for name in ["standard-webhooks", "github", "stripe"] {
        for (size, label) in SIZES {
            let request = Request::new(name, body(size));
            let headers = for_crate(&request.receipt);
            let mut foreign = || {
                let webhook = Webhook::new(black_box(SECRET)).unwrap();
                webhook
                    .verify(black_box(&request.receipt.body), black_box(&headers))
                    .unwrap();
            };
            let mut columns: Vec<&mut dyn FnMut()> = Vec::new();
            let (mut verify, mut bare) = (|| request.verify(), || request.bare());
            let (mut anew, mut ring) = (|| request.verify_with_text(), || request.ring());
            columns.extend([&mut verify as &mut dyn FnMut(), &mut bare, &mut anew, &mut ring]);
            if name == "standard-webhooks" {
                columns.push(&mut foreign);
            }
            let medians = measure(&mut columns);
            let ratio = medians[0] / medians[1];
            let [verify, bare, anew, ring] = [0, 1, 2, 3].map(|column| format!("{:.2}", medians[column]));
            let foreign = medians.get(4).map(|time| format!("{time:.2}")).unwrap_or_default();
            println!("| {name} | {label} | {verify} | {bare} | {ratio:.2} | {anew} | {ring} | {foreign} |");
        }
    }
}

fn mapping() {
    println!("\n| verified and mapped as | body | verify µs | verify and map µs | as JSON too µs |");
    println!("|---|---:|---:|---:|---:|");
    for (size, label) in SIZES {
        let request = Request::new("standard-webhooks", body(size));
        let source = request.source();
        let effective = source.effective().unwrap();
        let map = || {
            let proof = effective
                .scheme
                .verify(&request.receipt, &request.keys, &effective.context())
                .unwrap();
            preset::map(&effective, black_box(&request.receipt), proof).unwrap()
        };
        let medians = measure(
            &mut [&mut || request.verify(), &mut || drop(black_box(map())), &mut || {
                drop(black_box(map()[0].to_json().unwrap()))
            }],
        );
        println!(
            "| standard-webhooks | {label} | {:.2} | {:.2} | {:.2} |",
            medians[0], medians[1], medians[2]
        );
    }
}

fn main() {
    // `cargo test --all-targets` runs benches too, as a check that they start: only `cargo bench` measures.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    verification();
    mapping();
}
