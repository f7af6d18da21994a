//! What each preset makes of what its provider sends: every file in `samples` is a few requests to one preset, and what comes of them
//! stands in `golden` under the same name. A new provider needs its file in `presets` and one in `samples`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail by panicking")]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{Sent, Tried as _, files};
use payload::preset::{self, Preset, Unreadable, map};
use payload::sample::Samples;
use payload::scheme::Proof;
use payload::source::Provider;
use payload::{Event, EventId};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

fn samples() -> Vec<(String, Samples)> {
    let read = |(name, text): (String, String)| {
        let sample = serde_json::from_str(&text).unwrap_or_else(|error| panic!("samples/{name}.json: {error}"));
        (name, sample)
    };
    files("samples").into_iter().map(read).collect()
}

fn events(preset: &str, sent: &Sent, number: usize) -> Vec<Event> {
    sent.events(Provider::Preset(preset.into()), number)
}

fn common_payload(event: &Event) -> String {
    String::from_utf8(event.to_json().unwrap()).unwrap()
}

/// What the provider itself calls the data of the event with this number, read in another way than the mapping does.
fn data_of(preset: &Preset, sent: &Sent, number: usize) -> Value {
    let body: Value = serde_json::from_slice(&sent.bytes()).unwrap();
    let is_one = preset
        .each_unless_header
        .as_ref()
        .is_some_and(|header| sent.headers.contains_key(header));
    let each = preset
        .each
        .as_ref()
        .filter(|_| !is_one)
        .and_then(|each| body.pointer(each))
        .and_then(Value::as_array);
    let element = each.map_or(&body, |each| &each[number]);
    let places = preset.event.data.iter().filter(|place| match place {
        preset::DataPlace::Pointer(_) => true,
        preset::DataPlace::WithHeader { with_header, .. } => sent.headers.contains_key(with_header),
    });
    places
        .filter_map(|place| element.pointer(place.pointer()))
        .next()
        .unwrap_or(element)
        .clone()
}

/// `data` is the provider's own, byte for byte.
fn check_data(name: &str, preset: &Preset, sent: &Sent, number: usize, event: &Event) {
    #[derive(Deserialize)]
    struct WithData {
        data: Box<RawValue>,
    }
    let json = common_payload(event);
    let data = serde_json::from_str::<WithData>(&json).unwrap().data;
    if let Some(expected) = &sent.data {
        assert_eq!(data.get(), expected.get(), "{name}: {}", sent.about);
    } else {
        let body = String::from_utf8(sent.bytes().to_vec()).unwrap();
        assert!(
            body.contains(data.get()),
            "{name}: {}: data is not as it was sent",
            sent.about
        );
        let got: Value = serde_json::from_str(data.get()).unwrap();
        assert_eq!(got, data_of(preset, sent, number), "{name}: {}", sent.about);
    }
}

#[test]
fn every_sample_gives_its_golden_file() {
    for (name, sample) in samples() {
        let preset = preset::find(&sample.preset).unwrap_or_else(|| panic!("{name}: no preset {}", sample.preset));
        assert!(
            name.starts_with(&sample.preset),
            "{name} begins with the name of its preset"
        );
        let mut golden = String::new();
        for (index, sent) in sample.receipts.iter().enumerate() {
            if !sent.about.is_empty() {
                golden.push_str(&format!("# {}\n", sent.about));
            }
            for (number, event) in events(&sample.preset, sent, index).iter().enumerate() {
                check_data(&name, preset, sent, number, event);
                golden.push_str(&common_payload(event));
                golden.push('\n');
            }
        }
        insta::with_settings!({snapshot_path => "golden", prepend_module_to_snapshot => false, omit_expression => true}, {
            insta::assert_snapshot!(name, golden);
        });
    }
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");
    let golden = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    let golden: BTreeSet<String> = golden
        .filter_map(|name| name.strip_suffix(".snap").map(Into::into))
        .collect();
    let names: BTreeSet<String> = samples().into_iter().map(|(name, _)| name).collect();
    assert_eq!(golden, names, "no golden file is left of a sample that is gone");
}

#[test]
fn every_preset_has_a_sample() {
    let samples = samples();
    let sampled: BTreeSet<&str> = samples.iter().map(|(_, sample)| sample.preset.as_str()).collect();
    let presets: BTreeSet<&str> = preset::all().iter().map(|preset| preset.name.as_str()).collect();
    assert_eq!(sampled, presets);
}

/// The texts at a place of the events of a preset's samples.
fn seen(preset: &str, what: impl Fn(&Event) -> Option<String>) -> BTreeSet<String> {
    let samples = samples();
    let sent = samples
        .iter()
        .filter(|(_, sample)| sample.preset == preset)
        .flat_map(|(_, sample)| &sample.receipts);
    sent.flat_map(|sent| events(preset, sent, 0))
        .filter_map(|event| what(&event))
        .collect()
}

fn assert_all_seen(preset: &str, what: impl Fn(&Event) -> Option<String>, expected: &[&str]) {
    let seen = seen(preset, what);
    let missing: Vec<_> = expected.iter().filter(|expected| !seen.contains(**expected)).collect();
    assert!(missing.is_empty(), "{preset}: no sample has {missing:?}");
}

#[test]
fn the_samples_of_the_four_hold_every_family() {
    let of_type = |event: &Event| Some(event.meta.event_type.clone());
    let entities = [
        "live.audio",
        "live.transcript",
        "audio",
        "document.report",
        "document.slides",
        "document.transcript",
    ];
    for entity in entities.into_iter().chain(["summary.document.report"]) {
        let types = ["created", "updated", "deleted"].map(|action| format!("{entity}.{action}"));
        assert_all_seen("quartr", of_type, &types.each_ref().map(String::as_str));
    }
    let applications = [
        "play",
        "link",
        "organization",
        "billing",
        "user",
        "switch",
        "admin",
        "ingest",
    ];
    assert_all_seen("quortex", |event| event.meta.application.clone(), &applications);
    let categories = "input stream target publishing_points processing access program drm_merchant vod_asset push_endpoint \
        source destination sender receiver input_stream output_stream scheduled_event input_status pool_status \
        organization membership user api_key payment plan service \
        pool ott_endpoint output transcoding_preset credit workspace cdn segment";
    let categories: Vec<&str> = categories.split_whitespace().collect();
    assert_eq!(categories.len(), 34);
    assert_all_seen("quortex", |event| event.meta.category.clone(), &categories);
    let operations = ["created", "updated", "status_change", "deleted", "alarm_change"];
    assert_all_seen("quortex", |event| event.meta.action.clone(), &operations);
    for entity in ["media", "classification", "document", "link", "value", "variant"] {
        let codes = ["create", "update", "delete"].map(|action| format!("{entity}.{action}"));
        assert_all_seen("quable", of_type, &codes.each_ref().map(String::as_str));
    }
    let codes = [
        "user.login.succeed",
        "user.login.failed",
        "user.logout",
        "bulk_edit.finish",
        "import.finish",
        "export.finish",
    ];
    assert_all_seen("quable", of_type, &codes);
    let items = ["field", "variant", "document", "media", "link"];
    for item in items {
        let has = |event: &Event| {
            event
                .meta
                .changes
                .iter()
                .find(|change| change.kind == item)
                .map(|change| change.kind.clone())
        };
        assert_all_seen("quable", has, &[item]);
    }
    assert_all_seen(
        "audata",
        |event| event.meta.action.clone(),
        &["created", "updated", "deleted"],
    );
}

#[test]
fn audata_is_the_same_in_every_form() {
    let (mut ids, mut entities) = (BTreeMap::<String, BTreeSet<EventId>>::new(), BTreeSet::new());
    for (name, sample) in samples().into_iter().filter(|(name, _)| name == "audata-forms") {
        assert!(sample.receipts.len() >= 4, "{name}");
        for sent in &sample.receipts {
            for event in events("audata", sent, 0) {
                ids.entry(event.meta.provider_event_id.clone().unwrap())
                    .or_default()
                    .insert(event.id);
                entities.insert(serde_json::to_string(&event.meta.entity).unwrap());
            }
        }
    }
    assert_eq!(
        entities.into_iter().collect::<Vec<_>>(),
        [r#"{"type":"Listener","id":"9007199254740993"}"#]
    );
    assert_eq!(
        ids.into_values().map(|ids| ids.len()).collect::<Vec<_>>(),
        [1],
        "the same call in another form is the same event"
    );
}

fn quartr(headers: &str, body: &str) -> Sent {
    serde_json::from_str(&format!(
        r#"{{"headers":{headers},"bodyText":{}}}"#,
        serde_json::to_string(body).unwrap()
    ))
    .unwrap()
}

const WITH_ID: &str = r#"{"Webhook-Id":"msg_1"}"#;

#[test]
fn the_same_message_is_the_same_event_whatever_its_bytes() {
    let id = |body: &str| events("quartr", &quartr(WITH_ID, body), 0)[0].id.clone();
    assert_eq!(
        id(r#"{"type":"audio.created","timestamp":"2025-03-25T06:00:00Z","data":{}}"#),
        id(r#"{ "type": "audio.created", "timestamp": "2025-03-25T06:00:00Z", "data": {} }"#)
    );
}

#[test]
fn what_cannot_be_read_is_said_and_never_panics() {
    let map = |headers: &str, body: &str| {
        let sent = quartr(headers, body);
        let source = sent.source_of(Provider::Preset("quartr".into()));
        let source = source.effective().unwrap();
        map(&source, &sent.receipt_of(&source, 0), Proof::of_nothing("none"))
    };
    assert_eq!(map(WITH_ID, ""), Err(Unreadable::NoType));
    assert!(matches!(map(WITH_ID, "{\"type\":"), Err(Unreadable::Json(_))));
    for body in ["{}", r#"{"type":{}}"#, r#"{"type":"a b"}"#, "[]", "null", "3"] {
        assert_eq!(map(WITH_ID, body), Err(Unreadable::NoType), "{body}");
    }
    let odd = map(WITH_ID, r#"{"type":"a.b","timestamp":"soon","data":{"id":"x"}}"#).unwrap();
    assert_eq!(odd[0].meta.timestamp, "2025-03-25T13:31:01Z".parse().unwrap());
    assert_eq!(odd[0].meta.warnings.len(), 1);
    let long = format!(r#"{{"type":"a.b","data":{{"id":"{}"}}}}"#, "x".repeat(5000));
    assert_eq!(map(WITH_ID, &long).unwrap()[0].meta.entity.as_ref().unwrap().id, None);
    // An event without the id that decides about duplicates is delivered all the same, and says so.
    let nameless = |number| {
        let sent = quartr("{}", r#"{"type":"a.b","timestamp":"2025-03-25T06:00:00Z","data":{}}"#);
        events("quartr", &sent, number).remove(0)
    };
    assert_eq!(nameless(0).id, nameless(1).id);
    assert_eq!(
        nameless(0).meta.warnings,
        ["providerEventId is missing, so that a repetition of this event is recognised by the signed bytes alone"]
    );
}

#[test]
fn shopify_topics_with_the_same_bytes_are_events_of_their_own() {
    let sample = samples()
        .into_iter()
        .find(|(name, _)| name == "shopify-orders")
        .unwrap()
        .1;
    let ids: BTreeSet<EventId> = sample
        .receipts
        .iter()
        .flat_map(|sent| events("shopify", sent, 0))
        .map(|event| event.id)
        .collect();
    let bodies: BTreeSet<_> = sample.receipts.iter().map(Sent::bytes).collect();
    assert_eq!((bodies.len(), ids.len()), (1, sample.receipts.len()));
}
