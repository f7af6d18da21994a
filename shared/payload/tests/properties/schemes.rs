//! Schemes of every kind, as people could write them.

use payload::scheme::Scheme;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

/// The header that `{header.…}` stands for.
pub(crate) const EXTRA: &str = "x-extra";

/// What stands between the parts of a template: also what could be mistaken for a part of them.
const TEXTS: &[&str] = &["", ".", ":", "\n", "v0:", "|", "0", "aa", "a", "--", "é"];

pub(crate) fn read(scheme: &Value) -> Scheme {
    serde_json::from_value(scheme.clone()).unwrap()
}

fn is_possible(scheme: &Value) -> bool {
    serde_json::from_value::<Scheme>(scheme.clone()).is_ok_and(|scheme| scheme.check().is_ok())
}

/// Every kind.
pub(crate) fn any_kind() -> impl Strategy<Value = Value> {
    prop_oneof![
        10 => hmac(),
        3 => standard_webhooks(),
        1 => signed("ed25519"),
        1 => signed("ecdsa-p256"),
        1 => credentials(),
    ]
}

fn credentials() -> impl Strategy<Value = Value> {
    let prefix = select(&["", "Bearer ", "Token token="][..]);
    let token = (any::<bool>(), prefix).prop_map(|(in_query, prefix)| {
        let mut scheme = json!({"kind": "token"});
        let (place, name) = if in_query {
            ("query", "töken")
        } else {
            ("header", "X-Token")
        };
        scheme[place] = name.into();
        if !prefix.is_empty() {
            scheme["prefix"] = prefix.into();
        }
        scheme
    });
    prop_oneof![3 => token, 1 => Just(json!({"kind": "basic"})), 1 => Just(json!({"kind": "none"}))]
}

fn standard_webhooks() -> impl Strategy<Value = Value> {
    let key = select(&["base64", "utf8", "either"][..]);
    (select(&["webhook-", "svix-", "X-W"][..]), key, 1..1000_u32).prop_map(|(prefix, key, tolerance)| {
        json!({"kind": "standard-webhooks", "headerPrefix": prefix, "key": key, "tolerance": tolerance})
    })
}

pub(crate) fn hmac() -> impl Strategy<Value = Value> {
    let algorithm = select(&["sha1", "sha256", "sha512"][..]);
    let key = proptest::option::of(select(&["utf8", "base64", "hex", "either"][..]));
    (signed("hmac"), algorithm, key).prop_map(|(mut scheme, algorithm, key)| {
        scheme["algorithm"] = algorithm.into();
        put(&mut scheme, "key", key);
        scheme
    })
}

fn put(scheme: &mut Value, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        scheme[name] = value.into();
    }
}

/// The body and some other parts in any order, with any texts between them.
fn template() -> impl Strategy<Value = String> {
    let others = proptest::sample::subsequence(
        vec![
            "{id}",
            "{timestamp}",
            "{timestamp}",
            "{method}",
            "{url}",
            "{query}",
            "{header.x-extra}",
        ],
        0..4,
    );
    let texts = proptest::collection::vec(select(TEXTS), 9);
    let parts = others
        .prop_map(|others| [vec!["{body}"], others].concat())
        .prop_shuffle();
    (parts, texts).prop_map(|(parts, texts)| {
        let all: Vec<&str> = texts
            .iter()
            .copied()
            .zip(parts)
            .flat_map(|(text, part)| [text, part])
            .collect();
        all.concat()
    })
}

/// How the signature's header is put together.
fn header() -> impl Strategy<Value = Value> {
    (
        select(&["x-signature", "X-Sig"][..]),
        proptest::option::weighted(0.7, select(&[",", " ", ";", ", ", "::", ":"][..])),
        proptest::option::of(select(&["v1", "s", "sig"][..])),
        proptest::option::weighted(0.2, select(&[":", "~~", "-"][..])),
        proptest::option::weighted(0.3, select(&["sha256=", "v0=", "V1 "][..])),
        select(&["hex", "base64", "base64url"][..]),
    )
        .prop_map(|(header, separator, field, field_separator, prefix, encoding)| {
            let mut scheme = json!({"header": header, "encoding": encoding});
            put(&mut scheme, "separator", separator);
            put(&mut scheme, "field", field);
            put(&mut scheme, "fieldSeparator", field_separator);
            put(&mut scheme, "prefix", prefix);
            scheme
        })
}

/// Where the timestamp stands.
fn timestamp() -> impl Strategy<Value = Value> {
    let unit = proptest::option::of(select(&["s", "ms", "rfc3339"][..]));
    (0..4_u8, unit).prop_map(|(place, unit)| {
        let mut place = match place {
            0 => json!({"header": "x-time"}),
            1 => json!({"header": "x-time", "field": "t"}),
            // The signature's own header.
            2 => json!({"field": "t"}),
            _ => json!({"pointer": "/a/1/t~0"}),
        };
        put(&mut place, "unit", unit);
        place
    })
}

fn signed(kind: &'static str) -> impl Strategy<Value = Value> {
    let form = proptest::option::of(select(&["der", "raw"][..]));
    let tolerance = proptest::option::of(1..1000_u32);
    let without_time = any::<bool>();
    let parts = (header(), template(), timestamp(), tolerance, form, without_time);
    parts.prop_filter_map(
        "impossible",
        move |(mut scheme, template, mut time, tolerance, form, without_time)| {
            scheme["kind"] = kind.into();
            if template.contains("{id}") {
                scheme["id"] = json!({"header": "X-Id"});
            }
            if time.get("header").is_none() && time.get("pointer").is_none() {
                time["header"] = scheme["header"].clone();
            }
            let is_in_body = time.get("pointer").is_some();
            if template.contains("{timestamp}") || (is_in_body && !without_time) {
                scheme["timestamp"] = time;
            }
            scheme["signed"] = template.into();
            put(&mut scheme, "tolerance", tolerance);
            if kind == "ecdsa-p256" {
                put(&mut scheme, "form", form);
            }
            let mut checked = scheme.clone();
            if kind == "hmac" {
                checked["algorithm"] = "sha256".into();
            }
            is_possible(&checked).then_some(scheme)
        },
    )
}

/// Changes a scheme as somebody who probes the API would: most of what comes out must be refused, and nothing may panic.
pub(crate) fn broken() -> impl Strategy<Value = Value> {
    let odd = select(vec![
        json!(null),
        json!(""),
        json!("{"),
        json!("{body}{id}"),
        json!("x".repeat(600)),
        json!(0),
        json!(u64::MAX),
        json!({}),
        json!([]),
        json!("é\u{0}"),
    ]);
    (any_kind(), any::<prop::sample::Index>(), odd).prop_map(|(mut scheme, at, odd)| {
        let fields: &mut Map<String, Value> = scheme.as_object_mut().unwrap();
        let name = fields.keys().nth(at.index(fields.len())).unwrap().clone();
        fields.insert(name, odd);
        scheme
    })
}
