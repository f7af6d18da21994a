//! Mapping: whatever comes in, the result is the common payload or a reason, and each time the same.

use std::sync::LazyLock;

use jiff::Timestamp;
use payload::event::EventMeta;
use payload::preset::{self, MAX_EVENTS, Preset, Unreadable};
use payload::receipt::MAX_BODY_BYTES;
use payload::scheme::Proof;
use payload::source::{Effective, Provider, Source, SourceOptions};
use payload::{OrganizationId, SourceId};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use crate::bodies::{self, gzip, header_name, parameter_name, pointer, word};
use crate::plain::Request;
use crate::plain::json::{self, Json};
use crate::requests::{PUBLIC_URL, receipt};
use crate::verification::run;

fn source(provider: Provider) -> Source {
    let at = Timestamp::UNIX_EPOCH;
    Source {
        id: SourceId::generate(at),
        organization: OrganizationId::generate(at),
        name: "production".into(),
        provider,
        options: SourceOptions {
            public_url: Some(PUBLIC_URL.into()),
            base_url: Some("https://provider.example.com/app/".into()),
            ..SourceOptions::default()
        },
        enabled: true,
        salt: "salt".into(),
        created_at: at,
        tokens: Vec::new(),
        revision: 0,
    }
}

/// Maps a request and holds against what came out what holds of every event. Tells whether there are any.
fn map(source: &Effective<'_>, request: &Request) -> Result<bool, TestCaseError> {
    let receipt = receipt(request, source.scheme);
    let proof = Proof::of_nothing(source.scheme.kind());
    let mapped = preset::map(source, &receipt, proof.clone());
    prop_assert_eq!(&mapped, &preset::map(source, &receipt, proof));
    let Ok(events) = mapped else { return Ok(false) };
    prop_assert!(events.len() <= MAX_EVENTS);
    for event in &events {
        prop_assert!(event.body.len() <= MAX_BODY_BYTES);
        let json = event.to_json().unwrap();
        let Some(Json::Object(members)) = json::parse(&json) else {
            return Err(TestCaseError::fail(format!(
                "no JSON object: {:?}",
                String::from_utf8_lossy(&json)
            )));
        };
        let mut names: Vec<Option<String>> = members.into_iter().map(|(name, _)| name).collect();
        for wanted in ["id", "type", "timestamp", "source", "data"] {
            prop_assert!(names.contains(&Some(wanted.to_owned())), "{} is missing", wanted);
        }
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        prop_assert_eq!(names.len(), count, "a member stands there twice");
        let meta = serde_json::to_vec(&event.meta).unwrap();
        prop_assert_eq!(&serde_json::from_slice::<EventMeta>(&meta).unwrap(), &event.meta);
    }
    let mut ids: Vec<_> = events.iter().map(|event| event.id.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    prop_assert_eq!(ids.len(), events.len(), "two events of one receipt have the same id");
    Ok(!events.is_empty())
}

static PRESETS: LazyLock<Vec<Source>> = LazyLock::new(|| {
    preset::all()
        .iter()
        .map(|preset| source(Provider::Preset(preset.name.clone())))
        .collect()
});

#[test]
fn every_preset_maps_whatever_comes() {
    let mapped = run(1500, &(select(&PRESETS[..]), bodies::request()), |(source, request)| {
        map(&source.effective().unwrap(), &request)
    });
    assert!(
        mapped > 15,
        "only {mapped} % of the requests gave events: the test says little"
    );
}

/// A place of any form, as deep as a description may be.
fn place() -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        6 => pointer().prop_map(|pointer| json!({"pointer": pointer})),
        1 => pointer().prop_map(|pointer| json!({"envelope": pointer})),
        1 => header_name().prop_map(|header| json!({"header": header})),
        1 => parameter_name().prop_map(|query| json!({"query": query})),
        1 => word().prop_map(|text| json!({"const": text})),
    ];
    let nested = leaf.prop_recursive(3, 6, 3, |inner| {
        let several = proptest::collection::vec(inner.clone(), 1..4);
        prop_oneof![
            several.clone().prop_map(|places| json!({"firstOf": places})),
            (several.clone(), ".{0,2}").prop_map(|(places, with)| json!({"join": places, "with": with})),
            (several, word(), any::<bool>()).prop_map(|(mut places, text, optional)| {
                if optional {
                    places[0]["optional"] = true.into();
                }
                places.insert(0, text.into());
                json!({"template": places})
            }),
        ]
    });
    let take = select(vec![
        json!("first"),
        json!("allButFirst"),
        json!("last"),
        json!("allButLast"),
        json!(0),
        json!(255),
    ]);
    let split = proptest::option::weighted(0.2, (select(&[".", "/", "é", "ab"][..]), take));
    let words = proptest::option::weighted(0.1, (word(), word()));
    let when = proptest::option::weighted(0.1, (pointer(), proptest::collection::vec(word(), 0..2)));
    (nested, split, words, when)
        .prop_map(|(mut place, split, words, when)| {
            if let Some((split, take)) = split {
                place["split"] = split.into();
                place["take"] = take;
            }
            if let Some((from, to)) = words {
                place["words"] = json!({from: to});
            }
            if let Some((pointer, is)) = when {
                place["when"] = json!({"pointer": pointer, "is": is});
            }
            place
        })
        .boxed()
}

fn lists() -> BoxedStrategy<Value> {
    let link = prop_oneof![
        (word(), place()).prop_map(|(rel, href)| json!({"rel": rel, "href": href})),
        pointer().prop_map(|pointer| json!({"allOf": pointer})),
    ];
    let change = prop_oneof![
        (pointer(), place(), place())
            .prop_map(|(keys, kind, current)| json!({"keysOf": keys, "type": kind, "current": current})),
        (pointer(), place(), place()).prop_map(|(each, kind, code)| json!({"each": each, "type": kind, "code": code})),
        (place(), place(), place())
            .prop_map(|(kind, code, previous)| json!({"type": kind, "code": code, "previous": previous})),
    ];
    let data = prop_oneof![
        pointer().prop_map(Value::from),
        (pointer(), header_name()).prop_map(|(pointer, header)| json!({"pointer": pointer, "withHeader": header})),
    ];
    let several = |one: BoxedStrategy<Value>| proptest::collection::vec(one, 0..2);
    let locales = json!({"updated": "/resource/locales/updated", "inherited": "/data"});
    (several(link.boxed()), several(change.boxed()), several(data.boxed()), pointer())
        .prop_map(move |(links, changes, data, previous)| {
            json!({"links": links, "changes": changes, "data": data, "previousAttributes": previous, "locales": locales})
        })
        .boxed()
}

/// A description that somebody could write for a provider of their own.
fn custom() -> impl Strategy<Value = Preset> {
    let names = ["id", "time", "action", "actor", "category", "summary", "application"];
    let fields = proptest::collection::vec(proptest::option::weighted(0.3, place()), names.len());
    let entity = (place(), place(), place());
    let duplicates = select(vec![
        json!("id"),
        json!("signedBytes"),
        json!("none"),
        json!({"bodyWithin": 60}),
    ]);
    let kind = select(&["auto", "json", "form", "text", "binary"][..]);
    let scheme = select(vec![
        json!({"kind": "none"}),
        json!({"kind": "standard-webhooks"}),
        json!({"kind": "hmac", "algorithm": "sha256", "header": "s", "encoding": "hex", "signed": "{url}{body}"}),
    ]);
    let each = proptest::option::weighted(0.3, pointer());
    let expect = proptest::collection::vec((pointer(), proptest::option::of(pointer())), 0..3);
    let event = (place(), fields, entity, lists());
    (event, duplicates, kind, scheme, each, expect).prop_filter_map(
        "impossible",
        move |((kind_place, fields, entity, mut event), duplicates, kind, scheme, each, expect)| {
            // Mostly there is one, so that there is an event.
            event["type"] = json!({"firstOf": [kind_place, {"const": "a.b"}]});
            for (name, place) in names.iter().zip(fields) {
                if let Some(place) = place {
                    event[*name] = place;
                }
            }
            event["entity"] = json!({"type": entity.0, "subtype": entity.1, "id": entity.2.clone()});
            event["scope"] = json!({"pool": entity.2});
            let expect: Vec<Value> = expect
                .into_iter()
                .map(|(pointer, when)| match when {
                    Some(when) => json!({"pointer": pointer, "onlyWhen": {"pointer": when}}),
                    None => json!({"pointer": pointer}),
                })
                .collect();
            let mut preset = json!({
                "name": "custom", "scheme": scheme, "duplicates": duplicates, "body": kind, "jsonParameters": ["sender"],
                "event": event, "expect": expect,
            });
            if let Some(each) = each {
                preset["each"] = each.into();
            }
            let preset: Preset = serde_json::from_value(preset).unwrap();
            preset.check().is_ok().then_some(preset)
        },
    )
}

#[test]
fn every_custom_description_maps_whatever_comes() {
    let mapped = run(400, &(custom(), bodies::request()), |(preset, request)| {
        let source = source(Provider::Custom(Box::new(preset)));
        map(&source.effective().unwrap(), &request)
    });
    assert!(
        mapped > 15,
        "only {mapped} % of the requests gave events: the test says little"
    );
}

#[test]
fn a_gzip_bomb_is_not_read_to_its_end() {
    let source = source(Provider::Preset("generic".into()));
    let source = source.effective().unwrap();
    let request = |body: Vec<u8>| Request {
        method: "POST".into(),
        query: String::new(),
        headers: vec![
            ("content-encoding".into(), b"gzip".to_vec()),
            ("content-type".into(), b"text/plain".to_vec()),
        ],
        body,
        received_at: 0,
    };
    let map = |body: Vec<u8>| {
        preset::map(
            &source,
            &receipt(&request(body), source.scheme),
            Proof::of_nothing("none"),
        )
    };
    // A gigabyte in a thousand members.
    let bomb = gzip(&vec![b' '; MAX_BODY_BYTES]).repeat(1000);
    assert_eq!(map(bomb), Err(Unreadable::TooLarge));
    let whole = gzip(&vec![b' '; MAX_BODY_BYTES]);
    assert_eq!(map(whole).unwrap()[0].body.len(), MAX_BODY_BYTES);
    assert_eq!(map(gzip(&vec![b' '; MAX_BODY_BYTES + 1])), Err(Unreadable::TooLarge));
    // Many empty members take no room, and end with the body.
    assert_eq!(map(gzip(b"").repeat(20_000)).unwrap()[0].body.len(), 0);
}
