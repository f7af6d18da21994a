//! What a preset makes of a realistic sample: the common payload as a golden file.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use jiff::Timestamp;
use payload::preset::{self, Unreadable};
use payload::receipt::Header;
use payload::scheme::Proof;
use payload::source::Source;
use payload::{Receipt, ReceiptId};

fn source(preset: &str) -> Source {
    Source {
        id: "src_01JQ6ZQ0M0000000000000000A".parse().unwrap(),
        organization: "org_01JQ6ZQ0M0000000000000000A".parse().unwrap(),
        name: format!("{preset}-prod"),
        preset: preset.into(),
        enabled: true,
        salt: "salt".into(),
        created_at: Timestamp::UNIX_EPOCH,
        token_hashes: vec![],
    }
}

fn receipt(body: &[u8], headers: &[(&str, &str)]) -> Receipt {
    Receipt {
        id: ReceiptId::generate(Timestamp::UNIX_EPOCH),
        organization: source("x").organization,
        source: source("x").id,
        method: "POST".into(),
        query: String::new(),
        headers: headers
            .iter()
            .map(|(name, value)| Header::capture(name, value.as_bytes(), "salt", &[]))
            .collect(),
        body: body.to_vec().into(),
        received_at: "2025-03-25T13:31:01Z".parse().unwrap(),
    }
}

fn proof() -> Proof {
    Proof {
        scheme: "standard-webhooks".into(),
        body: true,
        id: true,
        time: true,
        query: false,
    }
}

fn common_payload(preset: &str, body: &[u8]) -> String {
    let receipt = receipt(body, &[("Webhook-Id", "msg_1"), ("Content-Type", "application/json")]);
    let events = preset::map(preset::find(preset).unwrap(), &source(preset), &receipt, proof()).unwrap();
    assert_eq!(events.len(), 1);
    String::from_utf8(events[0].to_json().unwrap()).unwrap()
}

#[test]
fn quartr() {
    for name in [
        "live.audio.updated",
        "document.report.created",
        "document.slides.deleted",
    ] {
        let body = std::fs::read(format!(
            "{}/tests/samples/quartr-{name}.json",
            env!("CARGO_MANIFEST_DIR")
        ))
        .unwrap();
        let json = common_payload("quartr", &body);
        // The provider's own bytes, with every digit and every space.
        let sent: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let got: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(got["data"], sent["data"]);
        insta::with_settings!({snapshot_path => "golden", prepend_module_to_snapshot => false, omit_expression => true}, {
            insta::assert_snapshot!(format!("quartr-{name}"), json);
        });
    }
}

#[test]
fn the_same_message_is_the_same_event_whatever_its_bytes() {
    let first = common_payload(
        "quartr",
        br#"{"type":"audio.created","timestamp":"2025-03-25T06:00:00Z","data":{}}"#,
    );
    let again = common_payload(
        "quartr",
        br#"{ "type": "audio.created", "timestamp": "2025-03-25T06:00:00Z", "data": {} }"#,
    );
    let id = |json: &str| serde_json::from_str::<serde_json::Value>(json).unwrap()["id"].clone();
    assert_eq!(id(&first), id(&again));
}

#[test]
fn what_cannot_be_read_is_said_and_never_panics() {
    let preset = preset::find("quartr").unwrap();
    let map = |body: &[u8], headers: &[(&str, &str)]| {
        preset::map(preset, &source("quartr"), &receipt(body, headers), proof())
    };
    let with_id = [("webhook-id", "msg_1")];
    assert!(matches!(map(b"", &with_id), Err(Unreadable::Json(_))));
    assert!(matches!(map(b"\xff\xfe", &with_id), Err(Unreadable::Json(_))));
    assert!(matches!(map(b"{}", &with_id), Err(Unreadable::NoType)));
    assert!(matches!(map(br#"{"type":{}}"#, &with_id), Err(Unreadable::NoType)));
    assert!(matches!(map(br#"{"type":"a b"}"#, &with_id), Err(Unreadable::NoType)));
    assert!(matches!(map(br#"{"type":"a.b"}"#, &[]), Err(Unreadable::NoId)));
    let odd = map(br#"{"type":"a.b","timestamp":"soon","data":{"id":"x"}}"#, &with_id).unwrap();
    assert_eq!(odd[0].meta.timestamp, "2025-03-25T13:31:01Z".parse().unwrap());
    assert_eq!(odd[0].meta.warnings.len(), 1);
    let long = format!(r#"{{"type":"a.b","data":{{"id":"{}"}}}}"#, "x".repeat(5000));
    assert_eq!(
        map(long.as_bytes(), &with_id).unwrap()[0]
            .meta
            .entity
            .as_ref()
            .unwrap()
            .id,
        None
    );
}
