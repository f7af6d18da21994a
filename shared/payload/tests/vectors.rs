//! The published signature vectors, each with its expected result.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail by panicking")]

use jiff::Timestamp;
use payload::receipt::Header;
use payload::scheme::{Context, Scheme};
use payload::{OrganizationId, Receipt, ReceiptId, SourceId, preset};
use serde_json::Value;

fn scheme_of(value: &Value) -> Scheme {
    match value {
        Value::String(name) => preset::find(name)
            .unwrap_or_else(|| panic!("no preset {name}"))
            .scheme
            .clone(),
        custom => serde_json::from_value(custom.clone()).expect("a custom scheme"),
    }
}

fn receipt_of(vector: &Value) -> Receipt {
    // Some vectors name a time beyond what any clock shows: the furthest one stands for it.
    let received_at = vector["receivedAt"]
        .as_i64()
        .and_then(|s| Timestamp::from_second(s).ok())
        .unwrap_or(Timestamp::MAX);
    Receipt {
        id: ReceiptId::generate(Timestamp::UNIX_EPOCH),
        organization: OrganizationId::generate(Timestamp::UNIX_EPOCH),
        source: SourceId::generate(Timestamp::UNIX_EPOCH),
        method: vector["method"].as_str().unwrap().into(),
        query: String::new(),
        headers: vector["headers"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| Header::capture(name, value.as_str().unwrap().as_bytes(), "", &[]))
            .collect(),
        body: vector["body"].as_str().unwrap().to_owned().into(),
        received_at,
        scheme: None,
        trace: None,
    }
}

#[test]
fn every_published_vector_gives_its_expected_result() {
    let vectors: Vec<Value> = serde_json::from_str(include_str!("vectors/signatures.json")).unwrap();
    assert!(vectors.len() >= 30, "the file was cut: {}", vectors.len());
    for vector in &vectors {
        let name = vector["name"].as_str().unwrap();
        let scheme = scheme_of(&vector["scheme"]);
        scheme.check().unwrap_or_else(|error| panic!("{name}: {error}"));
        let secret = vector["secret"].as_str().unwrap().to_owned().into();
        let outcome = scheme
            .keys(&secret)
            .map_err(|error| error.to_string())
            .and_then(|keys| {
                scheme
                    .verify(&receipt_of(vector), &keys, &Context::default())
                    .map_err(|rejection| rejection.to_string())
            });
        match vector["expect"].as_str().unwrap() {
            "valid" => assert!(outcome.is_ok(), "{name}: {outcome:?}"),
            "invalid" => assert!(outcome.is_err(), "{name}: accepted"),
            other => panic!("{name}: unknown expectation {other}"),
        }
    }
}

#[test]
fn every_single_changed_byte_of_a_good_request_is_rejected() {
    let vectors: Vec<Value> = serde_json::from_str(include_str!("vectors/signatures.json")).unwrap();
    for vector in vectors.iter().filter(|vector| vector["expect"] == "valid") {
        let scheme = scheme_of(&vector["scheme"]);
        let keys = scheme
            .keys(&vector["secret"].as_str().unwrap().to_owned().into())
            .unwrap();
        let good = receipt_of(vector);
        for position in 0..good.body.len() {
            let mut body = good.body.to_vec();
            body[position] ^= 1;
            let forged = Receipt {
                body: body.into(),
                ..good.clone()
            };
            assert!(
                scheme.verify(&forged, &keys, &Context::default()).is_err(),
                "{}: byte {position}",
                vector["name"]
            );
        }
    }
}

#[test]
fn a_dot_in_the_id_cannot_move_bytes_between_id_and_body() {
    let scheme = preset::find("standard-webhooks").unwrap().scheme.clone();
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let at = Timestamp::from_second(1_614_265_330).unwrap();
    let key = payload::outbound::SigningKey::parse(&secret.into()).unwrap();
    let id = "msg.1614265330";
    let signature = payload::outbound::sign(&[key], id, at, b"{}");
    let mut vector = serde_json::json!({"method": "POST", "body": "{}", "receivedAt": 1_614_265_330,
        "headers": {"webhook-id": id, "webhook-timestamp": "1614265330", "webhook-signature": signature}});
    let keys = scheme.keys(&secret.into()).unwrap();
    assert_eq!(
        scheme
            .verify(&receipt_of(&vector), &keys, &Context::default())
            .unwrap_err()
            .reason(),
        "ambiguous_signed_part"
    );
    // The same signature read another way.
    vector["headers"]["webhook-id"] = "msg".into();
    vector["body"] = "1614265330.{}".into();
    assert!(
        scheme.verify(&receipt_of(&vector), &keys, &Context::default()).is_ok(),
        "which is why the first reading is refused"
    );
}
