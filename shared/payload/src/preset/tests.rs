//! The mapping language, piece by piece. (What each preset makes of realistic samples: tests/presets.rs.)
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::receipt::Header;
use crate::scheme::Proof;
use crate::source::{Provider, Source, SourceOptions};
use crate::{Event, Receipt, ReceiptId};

fn preset(change: Value) -> Preset {
    let mut value =
        json!({"name": "test", "scheme": {"kind": "none"}, "duplicates": "none", "event": {"type": {"const": "t"}}});
    for (name, field) in change.as_object().unwrap() {
        value[name] = field.clone();
    }
    serde_json::from_value(value).unwrap()
}

fn source(preset: Preset) -> Source {
    Source {
        id: "src_01JQ6ZQ0M0000000000000000A".parse().unwrap(),
        organization: "org_01JQ6ZQ0M0000000000000000A".parse().unwrap(),
        name: "test".into(),
        provider: Provider::Custom(Box::new(preset)),
        options: SourceOptions::default(),
        enabled: true,
        salt: "salt".into(),
        created_at: Timestamp::UNIX_EPOCH,
        tokens: Vec::new(),
        revision: 0,
    }
}

fn receipt(headers: &[(&str, &str)], body: impl Into<bytes::Bytes>) -> Receipt {
    let source = source(preset(json!({})));
    Receipt {
        id: ReceiptId::generate(Timestamp::UNIX_EPOCH),
        organization: source.organization,
        source: source.id,
        method: "POST".into(),
        query: String::new(),
        headers: headers
            .iter()
            .map(|(name, value)| Header::capture(name, value.as_bytes(), "salt", &[]))
            .collect(),
        body: body.into(),
        received_at: "2025-03-25T13:31:01Z".parse().unwrap(),
        scheme: None,
        trace: None,
    }
}

fn try_map(change: Value, receipt: &Receipt) -> Result<Vec<Event>, Unreadable> {
    let preset = preset(change);
    preset.check().unwrap();
    map(&source(preset).effective().unwrap(), receipt, Proof::of_nothing("none"))
}

fn one(change: Value, receipt: &Receipt) -> Value {
    let events = try_map(change, receipt).unwrap();
    assert_eq!(events.len(), 1);
    serde_json::from_slice(&events[0].to_json().unwrap()).unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn places_of_every_kind() {
    let mut receipt = receipt(
        &[("X-Kind", "order"), ("authorization", "secret")],
        r#"{"a":{"b":"x/y/z"},"n":12345678901234567890}"#,
    );
    receipt.query = "q=1%202&q=3".into();
    let event = one(
        json!({"event": {
            "type": {"template": [{"header": "x-kind"}, ".", {"pointer": "/a/b", "split": "/", "take": 1}, {"pointer": "/none", "optional": true}]},
            "action": {"query": "q"},
            "actor": {"template": ["by ", {"pointer": "/none"}]},
            "category": {"firstOf": [{"pointer": "/none"}, {"join": [{"pointer": "/none"}, {"const": "a"}, {"pointer": "/n"}], "with": "-"}]},
            "application": {"header": "authorization"},
            "summary": {"pointer": "/a/b", "split": "/", "take": "last", "words": {"z": "the last"}},
        }}),
        &receipt,
    );
    assert_eq!(event["type"], "order.y");
    assert_eq!(event["action"], "1 2");
    assert_eq!(event.get("actor"), None);
    assert_eq!(event["category"], "a-12345678901234567890");
    assert_eq!(event.get("application"), None, "a credential is no part of an event");
    assert_eq!(event["summary"], "the last");
    assert_eq!(event["data"]["a"]["b"], "x/y/z");
}

#[test]
fn one_receipt_with_several_events() {
    let change = json!({"each": "/value", "duplicates": "id", "event": {
        "id": {"pointer": "/id"}, "type": {"join": [{"envelope": "/kind"}, {"pointer": "/what"}], "with": "."}
    }});
    let body = r#"{"kind":"k","value":[{"id":1,"what":"a"}, {"id":2,"what":"b"}, {"id":1,"what":"a"}]}"#;
    let events = try_map(change.clone(), &receipt(&[], body)).unwrap();
    let types: Vec<&str> = events.iter().map(|event| event.meta.event_type.as_str()).collect();
    assert_eq!(types, ["k.a", "k.b", "k.a"]);
    assert_eq!(&events[1].body[..], br#"{"id":2,"what":"b"}"#);
    assert_ne!(
        events[0].id, events[2].id,
        "the same id twice in one receipt is two events"
    );
    // The same element in another batch is the same event.
    let again = try_map(
        change.clone(),
        &receipt(&[], r#"{"kind":"k","value":[{"id":2,"what":"b"}]}"#),
    )
    .unwrap();
    assert_eq!(again[0].id, events[1].id);
    assert!(
        try_map(change.clone(), &receipt(&[], r#"{"kind":"k","value":[]}"#))
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        try_map(change.clone(), &receipt(&[], r#"{"kind":"k","value":{}}"#))
            .unwrap()
            .len(),
        1
    );
    let many = format!(r#"{{"kind":"k","value":[{}1]}}"#, "1,".repeat(MAX_EVENTS));
    assert_eq!(
        try_map(change.clone(), &receipt(&[], many)),
        Err(Unreadable::TooManyEvents(MAX_EVENTS + 1))
    );
    // One that cannot be read takes the others with it: the receipt is rejected, and can be verified again.
    assert_eq!(
        try_map(change, &receipt(&[], r#"{"value":[{"id":1,"what":"a"},{}]}"#)),
        Err(Unreadable::NoType)
    );
}

#[test]
fn bodies_as_they_come() {
    let event = |headers: &[(&str, &str)], body: &[u8]| one(json!({}), &receipt(headers, body.to_vec()));
    let json = [("content-type", "application/json; charset=utf-8")];
    assert_eq!(event(&json, b"\xef\xbb\xbf{\"a\":1}")["data"], json!({"a": 1}));
    assert_eq!(event(&json, b"")["data"], json!(null));
    assert_eq!(event(&[], b" [1]")["data"], json!([1]));
    assert_eq!(
        event(&[("content-type", "application/vnd.x+json")], b"3")["data"],
        json!(3)
    );
    assert_eq!(
        event(&[("content-type", "text/plain")], "tëxt \"".as_bytes())["data"],
        json!("tëxt \"")
    );
    assert_eq!(
        event(&[("content-type", "text/plain")], b"\xff\x00")["data"],
        json!("/wA=")
    );
    assert_eq!(
        event(&[("content-type", "image/png")], b"\x89PNG")["data"],
        json!("iVBORw==")
    );
    let form = [("content-type", "application/x-www-form-urlencoded")];
    assert_eq!(
        event(&form, b"a=1&b[c]=x+y")["data"],
        json!({"a": "1", "b": {"c": "x y"}})
    );
    assert_eq!(event(&form, b"payload=%7B%22a%22%3A1%7D&x=1")["data"], json!({"a": 1}));
    assert_eq!(event(&form, b"payload=text")["data"], json!({"payload": "text"}));
    let zipped = [("content-encoding", "gzip"), ("content-type", "application/json")];
    assert_eq!(event(&zipped, &gzip(b"{\"a\":1}"))["data"], json!({"a": 1}));
    assert_eq!(
        event(&zipped, b"{\"a\":1}")["data"],
        json!({"a": 1}),
        "taken off by a proxy"
    );
}

#[test]
fn what_cannot_be_read_says_why() {
    let error =
        |headers: &[(&str, &str)], body: &[u8]| try_map(json!({}), &receipt(headers, body.to_vec())).unwrap_err();
    let json = [("content-type", "application/json")];
    let Unreadable::Json(invalid) = error(&json, b"{\n  oops") else {
        panic!("not a JSON error")
    };
    assert_eq!((invalid.line, invalid.column), (2, 3));
    let zipped = [("content-encoding", "gzip")];
    let mut cut = gzip(&[b'x'; 1000]);
    cut.truncate(20);
    assert_eq!(error(&zipped, &cut), Unreadable::Gzip);
    assert_eq!(
        error(&zipped, &gzip(&vec![b' '; 2 * 1024 * 1024])),
        Unreadable::TooLarge
    );
    assert_eq!(error(&[("content-encoding", "br")], b"x"), Unreadable::ContentEncoding);
    let form = [("content-type", "application/x-www-form-urlencoded")];
    assert!(matches!(
        error(&form, "a=1&".repeat(2000).as_bytes()),
        Unreadable::TooManyPairs(_)
    ));
}

#[test]
fn a_get_is_read_by_its_query() {
    let mut receipt = receipt(&[], "");
    receipt.method = "GET".into();
    receipt.query =
        "event=Play.created&sender%5Bid%5D=9007199254740993&sender[name]=A+B&extra=%7B%22n%22%3A1%7D".into();
    let event = one(
        json!({"methods": ["GET", "POST"], "jsonParameters": ["extra"], "duplicates": {"bodyWithin": 60}, "event": {
            "type": {"pointer": "/event"}, "entity": {"id": {"pointer": "/sender/id"}}
        }}),
        &receipt,
    );
    assert_eq!(event["type"], "Play.created");
    assert_eq!(event["entity"]["id"], "9007199254740993");
    assert_eq!(event["data"]["sender"]["name"], "A B");
    assert_eq!(event["data"]["extra"], json!({"n": 1}));
}

#[test]
fn duplicates_within_a_window() {
    let id = |body: &str, at: &str| {
        let receipt = Receipt {
            received_at: at.parse().unwrap(),
            ..receipt(&[], body.to_owned())
        };
        try_map(json!({"duplicates": {"bodyWithin": 60}}), &receipt).unwrap()[0]
            .id
            .clone()
    };
    assert_eq!(id("{}", "2025-03-25T13:31:01Z"), id("{}", "2025-03-25T13:31:59Z"));
    assert_ne!(id("{}", "2025-03-25T13:31:01Z"), id("{}", "2025-03-25T13:32:00Z"));
    assert_ne!(id("{}", "2025-03-25T13:31:01Z"), id("{ }", "2025-03-25T13:31:01Z"));
    let none = |body: &str| {
        try_map(json!({}), &receipt(&[], body.to_owned())).unwrap()[0]
            .id
            .clone()
    };
    assert_ne!(none("{}"), none("{}"), "each receipt is an event");
}

#[test]
fn changes_links_locales_and_warnings() {
    let body = json!({
        "old": {"b": 1, "a": 2}, "items": [{"type": "field", "code": "x"}, {"type": "media"}, 3],
        "status": {"was": "up", "is": "down"}, "locales": {"updated": ["fr", 1], "inherited": []},
        "links": {"self": "/api/1", "bad": "javascript:alert(1)", "far": {"href": "https://elsewhere.example/x"}}, "time": "2025-03-25 10:00:00"
    });
    let preset = preset(json!({"event": {
        "type": {"const": "t"}, "time": {"pointer": "/time"}, "locales": {"updated": "/locales/updated", "inherited": "/locales/inherited"},
        "links": [{"allOf": "/links"}, {"rel": "html", "href": {"const": "https://example.com/page"}}],
        "changes": [
            {"keysOf": "/old", "type": {"const": "field"}},
            {"each": "/items", "type": {"pointer": "/type"}, "code": {"pointer": "/code"}},
            {"type": {"const": "status"}, "code": {"const": "main"}, "previous": {"pointer": "/status/was"}, "current": {"pointer": "/status/is"}},
            {"type": {"const": "status"}, "code": {"const": "other"}, "previous": {"pointer": "/none"}}
        ]
    }, "expect": [
        {"pointer": "/time"}, {"pointer": "/uuid"}, {"pointer": "/old", "onlyWhen": {"pointer": "/status/is", "is": ["up"]}},
        {"pointer": "/never", "when": {"pointer": "/uuid"}}
    ]}));
    let mut source = source(preset);
    source.options.base_url = Some("https://pim.example.com/base/".into());
    let events = map(
        &source.effective().unwrap(),
        &receipt(&[], body.to_string()),
        Proof::of_nothing("none"),
    )
    .unwrap();
    let event: Value = serde_json::from_slice(&events[0].to_json().unwrap()).unwrap();
    assert_eq!(
        event["changes"],
        json!([
            {"type": "field", "code": "a"}, {"type": "field", "code": "b"}, {"type": "field", "code": "x"},
            {"type": "status", "code": "main", "previous": "up", "current": "down"}
        ])
    );
    assert_eq!(event["locales"], json!({"updated": ["fr", "1"], "inherited": []}));
    assert_eq!(
        event["links"],
        json!([
            {"rel": "far", "href": "https://elsewhere.example/x"}, {"rel": "self", "href": "https://pim.example.com/base/api/1"},
            {"rel": "html", "href": "https://example.com/page"}
        ])
    );
    assert_eq!(event["timestamp"], "2025-03-25T10:00:00Z");
    assert_eq!(
        event["warnings"],
        json!([
            "timestamp has no offset: it was read as UTC",
            "a link was left out: it leads to no web page",
            "/uuid is missing",
            "/old is there where the provider promises that it is not"
        ])
    );
}

#[test]
fn impossible_descriptions_name_the_field() {
    for (change, field) in [
        (json!({"name": "A b"}), "/name"),
        (json!({"methods": []}), "/methods"),
        (json!({"methods": ["POST", "DELETE"]}), "/methods/1"),
        (json!({"scheme": {"kind": "token"}}), "/scheme/header"),
        (json!({"each": "value"}), "/each"),
        (json!({"each": "/value", "body": "text"}), "/each"),
        (json!({"jsonParameters": [""]}), "/jsonParameters/0"),
        (json!({"duplicates": "id"}), "/duplicates"),
        (json!({"duplicates": "signedBytes"}), "/duplicates"),
        (json!({"duplicates": {"bodyWithin": 0}}), "/duplicates/bodyWithin"),
        (
            json!({"handshake": {"kind": "echo-body", "pointer": "/c", "when": {"pointer": "/t"}}}),
            "/handshake/when/is",
        ),
        (
            json!({"handshake": {"kind": "echo-query", "parameter": ""}}),
            "/handshake/parameter",
        ),
        (json!({"event": {"type": {}}}), "/event/type"),
        (json!({"event": {"type": {"const": "a", "header": "b"}}}), "/event/type"),
        (json!({"event": {"type": {"pointer": "a"}}}), "/event/type/pointer"),
        (json!({"event": {"type": {"pointer": "/~2"}}}), "/event/type/pointer"),
        (
            json!({"event": {"type": {"const": "a", "split": "."}}}),
            "/event/type/take",
        ),
        (
            json!({"event": {"type": {"const": "a", "take": "last"}}}),
            "/event/type/split",
        ),
        (
            json!({"event": {"type": {"firstOf": [{"const": "a"}, {"header": "?"}]}}}),
            "/event/type/firstOf/1/header",
        ),
        (
            json!({"event": {"type": {"const": "t"}, "links": [{}]}}),
            "/event/links/0/href",
        ),
        (
            json!({"event": {"type": {"const": "t"}, "changes": [{"type": {"const": "x"}}]}}),
            "/event/changes/0/code",
        ),
        (json!({"expect": [{"pointer": "x"}]}), "/expect/0/pointer"),
    ] {
        assert_eq!(preset(change.clone()).check().unwrap_err().field, field, "{change}");
    }
    // An id that is not signed decides nothing where something is signed.
    let github = |duplicates: &str, id: Value| {
        preset(json!({
            "scheme": {"kind": "hmac", "algorithm": "sha256", "header": "s", "encoding": "hex", "signed": "{body}"},
            "duplicates": duplicates, "event": {"type": {"const": "t"}, "id": id}
        }))
        .check()
    };
    assert!(github("id", json!({"pointer": "/id"})).is_ok());
    assert!(github("signedBytes", json!({"header": "x-id"})).is_ok());
    for id in [
        json!({"header": "x-id"}),
        json!({"query": "id"}),
        json!({"firstOf": [{"pointer": "/id"}, {"header": "x-id"}]}),
    ] {
        assert_eq!(github("id", id).unwrap_err().field, "/duplicates");
    }
}

#[test]
fn every_preset_is_sound() {
    assert!(FILES.len() >= 6);
    for (file, text) in FILES {
        let preset: Preset = serde_json::from_str(text).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!(preset.name, *file, "the file has its preset's name");
        preset.check().unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(preset.vendor.starts_with("https://"), "{file}: names its vendor's page");
        assert!(!preset.comment.is_empty(), "{file}: says what one should know");
        let written = serde_json::to_string(&preset).unwrap();
        assert_eq!(
            serde_json::from_str::<Preset>(&written).unwrap(),
            preset,
            "{file}: reads back"
        );
    }
    assert!(find("quartr").is_some());
    assert!(find("nobody").is_none());
}
