//! The worked examples of docs/PROVIDERS.md: what stands there is what is tried here, request by request, with signatures that the
//! vendors publish where they do.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail by panicking")]

mod common;

use std::collections::BTreeSet;

use common::{Sent, Tried as _, files};
use payload::handshake::Handshake;
use payload::preset::{Duplicates, Preset, all, find};
use payload::scheme::Scheme;
use payload::source::Provider;
use serde::Deserialize;
use serde_json::{Value, json};

const PAGE: &str = include_str!("../../../docs/PROVIDERS.md");

/// What is posted to `/v1/sources`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewSource {
    #[allow(dead_code, reason = "the API asks for it")]
    name: String,
    preset: Option<String>,
    custom: Option<Box<Preset>>,
    secret: Option<String>,
    scheme: Option<Scheme>,
    duplicates: Option<Duplicates>,
    public_url: Option<String>,
    base_url: Option<String>,
    verify_token: Option<String>,
    success_status: Option<u16>,
}

#[test]
fn the_examples_of_the_page_work() {
    let requests = files("tests/custom");
    assert!(requests.len() >= 3);
    for (name, text) in requests {
        assert!(
            PAGE.contains(&format!("```json\n{text}```")),
            "docs/PROVIDERS.md does not show tests/custom/{name}.json as it is"
        );
        let request: NewSource = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let custom = request.custom.expect("a description of its own");
        assert!(find(&custom.name).is_none(), "{name} has a preset");
        let samples = files("tests/custom/samples")
            .into_iter()
            .find(|(sample, _)| *sample == name)
            .expect("samples")
            .1;
        let mut golden = String::new();
        for (index, mut sent) in serde_json::from_str::<Vec<Sent>>(&samples)
            .unwrap()
            .into_iter()
            .enumerate()
        {
            sent.secret = sent.secret.or_else(|| request.secret.clone());
            sent.options.public_url = sent.options.public_url.or_else(|| request.public_url.clone());
            for event in sent.events(Provider::Custom(custom.clone()), index) {
                golden.push_str(std::str::from_utf8(&event.to_json().unwrap()).unwrap());
                golden.push('\n');
            }
        }
        insta::with_settings!({snapshot_path => "custom/golden", prepend_module_to_snapshot => false, omit_expression => true}, {
            insta::assert_snapshot!(name, golden);
        });
    }
}

/// The texts between `before` and `after` in the page.
fn between<'a>(before: &str, after: &str) -> Vec<&'a str> {
    PAGE.split(before)
        .skip(1)
        .filter_map(|rest| rest.split_once(after))
        .map(|(text, _)| text)
        .collect()
}

#[test]
fn what_the_page_posts_is_what_the_api_takes() {
    let bodies = between("-d '", "'\n");
    assert!(bodies.len() >= all().len());
    let mut seen = Vec::new();
    for body in bodies {
        let request: NewSource = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"));
        let Some(name) = request.preset else { continue };
        let preset = find(&name).unwrap_or_else(|| panic!("{name} is no preset"));
        let scheme = request.scheme.as_ref().unwrap_or(&preset.scheme);
        scheme.check().unwrap_or_else(|error| panic!("{error}: {body}"));
        assert_eq!(scheme.needs_secret(), request.secret.is_some(), "{body}");
        if let Some(secret) = request.secret {
            scheme
                .stored_secret(&secret.into(), "salt")
                .unwrap_or_else(|error| panic!("{error}: {body}"));
        }
        let sent: Sent = serde_json::from_str("{}").unwrap();
        let mut source = sent.source_of(Provider::Preset(name.clone()));
        source.options.scheme = request.scheme;
        source.options.duplicates = request.duplicates;
        source.options.public_url = request.public_url;
        source.options.base_url = request.base_url;
        source.options.success_status = request.success_status;
        source.options.verify_token_hash = request.verify_token;
        source
            .effective()
            .unwrap()
            .check()
            .unwrap_or_else(|error| panic!("{error}: {body}"));
        seen.push(name);
    }
    for preset in all() {
        assert!(
            seen.contains(&preset.name),
            "the page does not show how to set up {}",
            preset.name
        );
        assert!(
            PAGE.contains(&preset.vendor),
            "the page does not link to {}",
            preset.vendor
        );
    }
}

#[test]
fn every_piece_of_json_in_the_page_can_be_read() {
    let blocks = between("```json\n", "```");
    assert!(blocks.len() >= 3);
    for block in blocks {
        let value: Value = serde_json::from_str(block).unwrap_or_else(|error| panic!("{error}: {block}"));
        if value.get("custom").is_some() {
            let request: NewSource = serde_json::from_value(value).unwrap_or_else(|error| panic!("{error}: {block}"));
            request
                .custom
                .unwrap()
                .check()
                .unwrap_or_else(|error| panic!("{error}: {block}"));
        }
    }
    let schemes = between("| `{\"kind\":", "` |");
    let mut kinds = BTreeSet::new();
    for scheme in schemes {
        let json = format!("{{\"kind\":{scheme}");
        if let Ok(handshake) = serde_json::from_str::<Handshake>(&json) {
            let described = json!({"name": "t", "scheme": {"kind": "none"}, "handshake": handshake, "duplicates": "none", "event": {"type": {"const": "t"}}});
            serde_json::from_value::<Preset>(described).unwrap().check().unwrap();
            kinds.insert(json.split('"').nth(3).unwrap().to_owned());
            continue;
        }
        let scheme: Scheme = serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {json}"));
        scheme.check().unwrap();
        kinds.insert(scheme.kind().to_owned());
    }
    assert_eq!(kinds.len(), 7 + 4, "every scheme and every handshake: {kinds:?}");
}
