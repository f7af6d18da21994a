//! Whatever a verified request holds, under every preset: mapping does not panic, says the same twice, keeps to its limits, and what
//! webhooks receive is JSON.
//!
//! `gzip:` before the preset's name has the body compressed: no fuzzer finds a good checksum.
#![no_main]

mod request;

use std::io::Write;
use std::sync::LazyLock;

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use payload::preset::{self, MAX_EVENTS, Preset, map};
use payload::receipt::MAX_BODY_BYTES;
use payload::scheme::Proof;
use payload::source::{Provider, Source, SourceOptions};
use serde::de::IgnoredAny;
use serde_json::Value;

use request::{Input, SALT};

/// The presets, and the worked examples of docs/PROVIDERS.md.
static PRESETS: LazyLock<Vec<Source>> = LazyLock::new(|| {
    let examples = [
        include_str!("../../shared/payload/tests/custom/sendgrid.json"),
        include_str!("../../shared/payload/tests/custom/square.json"),
        include_str!("../../shared/payload/tests/custom/telnyx.json"),
    ];
    let custom = examples.map(|text| {
        let source: Value = serde_json::from_str(text).unwrap();
        serde_json::from_value::<Preset>(source["custom"].clone()).unwrap()
    });
    preset::all().iter().cloned().chain(custom).map(source).collect()
});

fn source(preset: Preset) -> Source {
    Source {
        id: "src_01JQ6ZQ0M0000000000000000A".parse().unwrap(),
        organization: "org_01JQ6ZQ0M0000000000000000A".parse().unwrap(),
        name: preset.name.clone(),
        provider: Provider::Custom(Box::new(preset)),
        options: SourceOptions {
            base_url: Some("https://shop.example.com/api".into()),
            public_url: Some("https://hooks.example.com/in".into()),
            ..SourceOptions::default()
        },
        enabled: true,
        salt: SALT.into(),
        created_at: Timestamp::UNIX_EPOCH,
        tokens: Vec::new(),
        revision: 0,
    }
}

fn compressed(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input::parse(data);
    if let Some(name) = input.name.strip_prefix("gzip:") {
        input.name = name.to_owned();
        input.body = compressed(&input.body);
        input.headers.push(("content-encoding".into(), b"gzip".to_vec()));
    }
    let source = input.choose(&PRESETS, |source| &source.name);
    let source = source.effective().unwrap();
    let receipt = input.receipt(&source.scheme.credentials());
    let mapped = || map(&source, &receipt, Proof::of_nothing(source.scheme.kind()));
    let events = mapped();
    assert_eq!(events, mapped());
    let Ok(events) = events else { return };
    assert!(!events.is_empty() || source.preset.each.is_some());
    assert!(events.len() <= MAX_EVENTS);
    for event in &events {
        assert!(event.body.len() <= MAX_BODY_BYTES);
        let json = event.to_json().unwrap();
        let text = std::str::from_utf8(&json).unwrap();
        serde_json::from_str::<IgnoredAny>(text).unwrap();
    }
});
