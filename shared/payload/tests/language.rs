//! Corners of the mapping language that single providers need, seen from outside.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail by panicking")]

mod common;

use common::{Sent, Tried as _};
use payload::Event;
use payload::preset::{Preset, Unreadable, map};
use payload::source::Provider;
use serde_json::{Value, json};

fn preset(fields: &Value) -> Preset {
    let mut all =
        json!({"name": "test", "scheme": {"kind": "none"}, "duplicates": "none", "event": {"type": {"const": "t"}}});
    let fields = fields.as_object().unwrap().clone();
    all.as_object_mut().unwrap().extend(fields);
    serde_json::from_value(all).unwrap()
}

fn sent(request: &Value) -> Sent {
    serde_json::from_str(&request.to_string()).unwrap()
}

fn try_map(fields: &Value, request: &Value) -> Result<Vec<Event>, Unreadable> {
    let sent = sent(request);
    let source = sent.source_of(Provider::Custom(Box::new(preset(fields))));
    let source = source.effective().unwrap();
    source.check().unwrap();
    let receipt = sent.receipt_of(&source, 0);
    let proof = sent.verify(&source, &receipt).unwrap();
    map(&source, &receipt, proof)
}

fn one(fields: &Value, request: &Value) -> Value {
    let events = try_map(fields, request).unwrap();
    assert_eq!(events.len(), 1);
    serde_json::from_slice(&events[0].to_json().unwrap()).unwrap()
}

#[test]
fn a_place_may_count_only_under_a_condition() {
    let fields = json!({"event": {"type": {"firstOf": [
        {"const": "message", "when": {"pointer": "/messaging"}},
        {"pointer": "/kind", "when": {"pointer": "/version", "is": ["1", "2"]}},
        {"const": "other"}
    ]}}});
    let event_type = |body: Value| one(&fields, &json!({"body": body}))["type"].clone();
    assert_eq!(event_type(json!({"messaging": []})), "message");
    assert_eq!(event_type(json!({"messaging": null, "kind": "a", "version": 2})), "a");
    assert_eq!(event_type(json!({"kind": "a", "version": 3})), "other");
    assert_eq!(event_type(json!([])), "other");
    let wrong = json!({"event": {"type": {"const": "t", "when": {"pointer": "x"}}}});
    assert_eq!(preset(&wrong).check().unwrap_err().field, "/event/type/when/pointer");
}

#[test]
fn the_members_that_changed_may_hold_the_values() {
    let fields = json!({"event": {"type": {"const": "t"}, "changes": [
        {"keysOf": "/changes", "type": {"const": "field"}, "previous": {"pointer": "/from"}, "current": {"pointer": "/to"}},
        {"keysOf": "/before", "type": {"const": "old"}, "previous": {"pointer": ""}}
    ]}});
    let body = json!({
        "from": "not this", "changes": {"b": {"from": "x", "to": "y"}, "a": {"from": [1], "to": null}},
        "before": {"n": 12_345_678_901_234_567_890_u64, "gone": null, "deep": {"x": 1}}
    });
    assert_eq!(
        one(&fields, &json!({"body": body}))["changes"],
        json!([
            {"type": "field", "code": "a"}, {"type": "field", "code": "b", "previous": "x", "current": "y"},
            {"type": "old", "code": "deep"}, {"type": "old", "code": "gone"},
            {"type": "old", "code": "n", "previous": "12345678901234567890"}
        ])
    );
}

#[test]
fn a_header_says_that_an_array_is_one_event() {
    let fields = json!({"each": "", "eachUnlessHeader": "ce-id", "event": {
        "type": {"const": "t"}, "data": [{"pointer": "", "withHeader": "ce-id"}, "/data"]
    }});
    let body = json!([{"data": 1}, {"data": 2}]);
    assert_eq!(try_map(&fields, &json!({"body": body})).unwrap().len(), 2);
    assert_eq!(
        one(&fields, &json!({"body": body, "headers": {"Ce-Id": "1"}}))["data"],
        body
    );
    let text = json!({"bodyText": "plain", "headers": {"ce-id": "1", "content-type": "text/plain"}});
    assert_eq!(
        one(&fields, &text)["data"],
        "plain",
        "the whole is also what is no JSON"
    );
    let wrong = preset(&json!({"eachUnlessHeader": "ce-id"})).check().unwrap_err();
    assert_eq!(wrong.field, "/eachUnlessHeader");
}

#[test]
fn relative_links_begin_where_the_source_says() {
    let fields = json!({"event": {"type": {"const": "t"}, "links": [{"allOf": "/links"}]}});
    let links = |base: &str, links: Value| {
        let event = one(
            &fields,
            &json!({"body": {"links": links}, "options": {"baseUrl": base}}),
        );
        event["links"]
            .as_array()
            .unwrap()
            .iter()
            .map(|link| link["href"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let relative = json!([
        "/events/1",
        "events/2",
        "/api/events/3",
        "/apis/4",
        "//other.example/5",
        "https://far.example/6",
        "/events/7?a=b#c"
    ]);
    let below = |root: &str| {
        let expected =
            ["/api/events/1", "/api/events/2", "/api/events/3", "/api/apis/4"].map(|path| format!("{root}{path}"));
        let others = ["https://other.example/5", "https://far.example/6"].map(String::from);
        [&expected[..], &others, &[format!("{root}/api/events/7?a=b#c")]].concat()
    };
    for base in [
        "https://pim.example.com/api",
        "https://pim.example.com/api/",
        "https://pim.example.com/api?x=y",
    ] {
        assert_eq!(
            links(base, relative.clone()),
            below("https://pim.example.com"),
            "{base}"
        );
    }
    assert_eq!(
        links("https://pim.example.com", json!(["/events/1"])),
        ["https://pim.example.com/events/1"]
    );
}

/// HMAC-SHA256 of `{"id":1}` under the key `key`.
const SIGNATURE: &str = "c95c6a7c2c7c761e984c68cf64b4bca93f07242900aafdbb328d3bb75ab0dcb0";

const SIGNED: &str =
    r#"{"kind": "hmac", "algorithm": "sha256", "header": "x-signature", "encoding": "hex", "signed": "{body}"}"#;

fn signed() -> Value {
    serde_json::from_str(SIGNED).unwrap()
}

#[test]
fn the_query_of_a_get_is_no_event_where_the_signature_does_not_cover_it() {
    // HMAC-SHA256 of nothing, and of "event=door.opened|", under the key "key".
    let of_nothing = "5d5d139563c95b5967b9bd9a8c9b233a9dedb45072794cd232dc1b74832607d0";
    let request = |signature: &str| json!({"method": "GET", "query": "event=door.opened", "headers": {"x-signature": signature}, "secret": "key"});
    let fields =
        |scheme: Value| json!({"methods": ["GET"], "scheme": scheme, "event": {"type": {"pointer": "/event"}}});
    assert_eq!(
        try_map(&fields(signed()), &request(of_nothing)),
        Err(Unreadable::NoType)
    );
    let mut covering = signed();
    covering["signed"] = "{query}|{body}".into();
    let of_query = "b1ed6e6ae14eff64d2cec6fe9d391eb6e74a7044bfe84184dc8b18e6f481418f";
    assert_eq!(one(&fields(covering), &request(of_query))["type"], "door.opened");
}

#[test]
fn an_id_behind_one_that_is_always_there_need_not_be_signed() {
    let check = |scheme: Value, id: Value| {
        let fields = json!({"scheme": scheme, "duplicates": "id", "event": {"type": {"const": "t"}, "id": id}});
        preset(&fields).check().map_err(|error| error.field)
    };
    let standard = json!({"kind": "standard-webhooks"});
    let refused = Err("/duplicates".to_owned());
    let own = json!({"header": "Webhook-Id"});
    let other = json!({"header": "idempotency-key"});
    assert_eq!(check(standard.clone(), json!({"firstOf": [own, other]})), Ok(()));
    assert_eq!(
        check(standard.clone(), json!({"firstOf": [{"pointer": "/id"}, own, other]})),
        Ok(())
    );
    assert_eq!(check(standard.clone(), json!({"firstOf": [other, own]})), refused);
    let part = json!({"header": "webhook-id", "split": "_", "take": "last"});
    assert_eq!(
        check(standard.clone(), json!({"firstOf": [part, other]})),
        refused,
        "a part may be missing"
    );
    let sometimes = json!({"header": "webhook-id", "when": {"pointer": "/a"}});
    assert_eq!(check(standard, json!({"firstOf": [sometimes, other]})), refused);
    assert_eq!(check(signed(), json!({"firstOf": [own, other]})), refused);
}

#[test]
fn what_is_kept_only_as_a_hash_can_hold_no_signature() {
    let check = |change: Value| {
        let mut scheme = signed();
        scheme
            .as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        preset(&json!({"scheme": scheme})).check().map_err(|error| error.field)
    };
    assert_eq!(check(json!({})), Ok(()));
    assert_eq!(check(json!({"header": "Authorization"})), Err("/scheme/header".into()));
    assert_eq!(
        check(json!({"signed": "{header.cookie}.{body}"})),
        Err("/scheme/signed".into())
    );
    let timestamp = json!({"signed": "{timestamp}.{body}", "timestamp": {"header": "x-api-key"}});
    assert_eq!(check(timestamp), Err("/scheme/timestamp/header".into()));
    assert_eq!(
        check(json!({"signed": "{id}.{body}", "id": {"header": "authorization"}})),
        Err("/scheme/id/header".into())
    );
}

#[test]
fn what_is_proven_of_the_id_is_said_of_the_id_that_the_event_has() {
    let request = json!({"body": {"id": 1}, "headers": {"x-signature": SIGNATURE, "x-id": "7"}, "secret": "key"});
    let proven = |id: Value| {
        let fields =
            json!({"scheme": signed(), "duplicates": "signedBytes", "event": {"type": {"const": "t"}, "id": id}});
        one(&fields, &request)["verified"]["id"].clone()
    };
    assert_eq!(proven(json!({"pointer": "/id"})), true);
    assert_eq!(proven(json!({"header": "x-id"})), false);
}

#[test]
fn the_type_may_tell_apart_what_has_the_same_signed_bytes() {
    let id = |duplicates: &str, topic: &str, delivery: &str| {
        let fields = json!({"scheme": signed(), "duplicates": duplicates, "event": {"type": {"header": "x-topic"}, "id": {"header": "x-id"}}});
        let headers = json!({"x-signature": SIGNATURE, "x-topic": topic, "x-id": delivery});
        try_map(
            &fields,
            &json!({"body": {"id": 1}, "headers": headers, "secret": "key"}),
        )
        .unwrap()[0]
            .id
            .clone()
    };
    assert_eq!(id("signedBytesAndType", "a", "1"), id("signedBytesAndType", "a", "2"));
    assert_ne!(id("signedBytesAndType", "a", "1"), id("signedBytesAndType", "b", "1"));
    assert_eq!(id("signedBytes", "a", "1"), id("signedBytes", "b", "2"));
    let unsigned = preset(&json!({"duplicates": "signedBytesAndType"}))
        .check()
        .unwrap_err();
    assert_eq!(unsigned.field, "/duplicates");
}

#[test]
fn nothing_unsigned_takes_the_id_away_so_that_a_message_could_come_again() {
    let event = |id: &str| json!({"type": {"const": "t"}, "id": {"pointer": id}});
    let fields = |id: &str| json!({"scheme": signed(), "duplicates": "id", "event": event(id)});
    // Two receipts of the same message; the second one comes with another content type.
    let events = |id: &str| {
        let content_types = ["application/json", "application/x-www-form-urlencoded"];
        let read = |(index, content_type)| {
            let headers = json!({"x-signature": SIGNATURE, "content-type": content_type});
            let sent = sent(&json!({"body": {"id": 1}, "headers": headers, "secret": "key"}));
            let source = sent.source_of(Provider::Custom(Box::new(preset(&fields(id)))));
            let source = source.effective().unwrap();
            let receipt = sent.receipt_of(&source, index);
            let proof = sent.verify(&source, &receipt).unwrap();
            map(&source, &receipt, proof).unwrap().remove(0)
        };
        content_types.into_iter().enumerate().map(read).collect::<Vec<Event>>()
    };
    let found = events("/id");
    assert_ne!(found[0].receipt, found[1].receipt);
    assert_eq!(found[0].id, found[1].id);
    assert_eq!(found[1].meta.provider_event_id.as_deref(), Some("1"));
    assert!(found[1].meta.verified.as_ref().unwrap().id);
    // Where there is none, the signed bytes decide.
    let missing = events("/nowhere");
    assert_eq!(missing[0].id, missing[1].id);
    assert!(!missing[0].meta.verified.as_ref().unwrap().id);
    assert!(
        missing[0].meta.warnings[0].contains("signed bytes"),
        "{:?}",
        missing[0].meta.warnings
    );
}

#[test]
fn without_an_id_and_a_signature_each_receipt_is_an_event() {
    let fields = json!({"duplicates": "id", "event": {"type": {"const": "t"}, "id": {"pointer": "/id"}}});
    let event = |index| {
        let sent = sent(&json!({"body": {"a": 1}}));
        let source = sent.source_of(Provider::Custom(Box::new(preset(&fields))));
        let source = source.effective().unwrap();
        let receipt = sent.receipt_of(&source, index);
        let proof = sent.verify(&source, &receipt).unwrap();
        map(&source, &receipt, proof).unwrap().remove(0)
    };
    assert_ne!(event(0).id, event(1).id);
    assert_eq!(
        event(0).meta.warnings,
        ["providerEventId is missing, so that a repetition of this event cannot be recognised"]
    );
}

#[test]
fn the_id_tells_apart_equal_bodies_where_standard_webhooks_signs_it() {
    let fields = json!({"scheme": {"kind": "standard-webhooks"}, "duplicates": "signedBytes", "event": {"type": {"const": "t"}}});
    let id = |message: &str| {
        let sent = sent(&json!({"body": {"id": 1}, "headers": {"webhook-id": message}}));
        let source = sent.source_of(Provider::Custom(Box::new(preset(&fields))));
        let source = source.effective().unwrap();
        let bytes = source
            .scheme
            .signed_bytes(&sent.receipt_of(&source, 0), &source.context());
        String::from_utf8(bytes.unwrap()).unwrap()
    };
    assert_eq!(id("msg_1"), r#"msg_1.{"id":1}"#);
}
