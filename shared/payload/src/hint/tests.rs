#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod instead;
mod properties;

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sha1::Sha1;
use sha2::{Sha256, Sha512};

use super::*;
use crate::preset::Preset;
use crate::receipt::{Header, HeaderValue};
use crate::source::{Provider, Source, SourceOptions};
use crate::{OrganizationId, ReceiptId, SourceId};

const SECRET: &str = "a-secret-that-nobody-guesses";
const BODY: &str = r#"{"a": 1, "b": ["x, y: z", true]}"#;

fn at() -> Timestamp {
    "2025-03-25T13:31:00Z".parse().unwrap()
}

fn source(scheme: Value) -> Source {
    let preset = json!({
        "name": "custom", "scheme": scheme, "duplicates": "none", "event": {"type": {"const": "message"}}
    });
    let preset: Preset = serde_json::from_value(preset).unwrap();
    Source {
        id: SourceId::generate(at()),
        organization: OrganizationId::generate(at()),
        name: "n".into(),
        provider: Provider::Custom(Box::new(preset)),
        options: SourceOptions::default(),
        enabled: true,
        salt: "salt".into(),
        created_at: at(),
        tokens: Vec::new(),
        revision: 0,
    }
}

fn hmac_source(more: Value) -> Source {
    let mut scheme = json!({
        "kind": "hmac", "algorithm": "sha256", "header": "x-signature", "encoding": "hex", "signed": "{body}"
    });
    let more = more.as_object().unwrap().clone();
    scheme.as_object_mut().unwrap().extend(more);
    source(scheme)
}

fn receipt(headers: &[(&str, &str)], body: &[u8]) -> Receipt {
    let text = |(name, value): &(&str, &str)| Header {
        name: (*name).to_owned(),
        value: HeaderValue::Text((*value).to_owned()),
    };
    Receipt {
        id: ReceiptId::generate(at()),
        organization: OrganizationId::generate(at()),
        source: SourceId::generate(at()),
        method: "POST".into(),
        query: String::new(),
        headers: headers.iter().map(text).collect(),
        body: Bytes::copy_from_slice(body),
        received_at: at(),
        scheme: None,
        trace: None,
    }
}

fn tag<M: Mac + KeyInit>(key: &[u8], message: &[u8]) -> String {
    hex::encode(
        <M as KeyInit>::new_from_slice(key)
            .unwrap()
            .chain_update(message)
            .finalize()
            .into_bytes(),
    )
}

fn sha256(key: &[u8], message: &[u8]) -> String {
    tag::<Hmac<Sha256>>(key, message)
}

/// The hint for a receipt that really is rejected.
fn hint_of(source: &Source, receipt: &Receipt, secret: &str) -> String {
    try_hint(source, receipt, secret).unwrap_or_else(|rejection| panic!("no hint for {rejection:?}"))
}

fn try_hint(source: &Source, receipt: &Receipt, secret: &str) -> Result<String, Rejection> {
    let effective = source.effective().unwrap();
    let secret = SecretString::from(secret);
    let keys = keys(effective.scheme, &[&secret]);
    let rejection = effective
        .scheme
        .verify(receipt, &keys, &effective.context())
        .unwrap_err();
    let hint = hint(&effective, receipt, &[&secret], &rejection).ok_or(rejection)?;
    assert!(!hint.contains(secret.expose_secret()), "{hint}");
    assert!(hint.ends_with('.') && !hint.contains('\n'), "{hint}");
    Ok(hint)
}

/// A receipt that was signed with this key, where the signature covers this body.
fn signed(key: &[u8], body: &[u8]) -> Receipt {
    receipt(&[("x-signature", &sha256(key, body))], BODY.as_bytes())
}

#[test]
fn a_secret_that_was_meant_in_another_way() {
    let body = BODY.as_bytes();
    let bytes = b"\xfb\xff\xfe16 bytes or so\xff";
    let (base64, base64url, hex) = (
        STANDARD.encode(bytes),
        URL_SAFE_NO_PAD.encode(bytes),
        hex::encode(bytes),
    );
    for (encoding, entered, key, expected) in [
        ("utf8", format!(" {SECRET}\n"), SECRET.as_bytes(), "white space"),
        ("utf8", format!("\"{SECRET}\""), SECRET.as_bytes(), "quotation marks"),
        ("utf8", base64.clone(), bytes, "decoded as base64:"),
        ("utf8", format!("pre_{base64}"), bytes, "decoded as base64:"),
        ("utf8", hex.clone(), bytes, "decoded as hexadecimal"),
        ("utf8", format!("pre_{hex}"), bytes, "decoded as hexadecimal"),
        ("utf8", base64url, bytes, "decoded as base64url"),
        ("base64", base64.clone(), base64.as_bytes(), "text itself is the key"),
        (
            "base64",
            format!("pre_{base64}"),
            base64.as_bytes(),
            "behind its prefix",
        ),
        ("hex", hex.clone(), hex.as_bytes(), "text itself is the key"),
        (
            "utf8",
            SECRET.to_owned(),
            format!("{SECRET}\n").as_bytes(),
            "line break follows the secret",
        ),
    ] {
        let source = hmac_source(json!({"key": encoding}));
        let hint = hint_of(&source, &signed(key, body), &entered);
        assert!(hint.contains(expected), "{encoding} {entered:?}: {hint}");
    }
    assert_eq!(
        try_hint(&hmac_source(json!({})), &signed(b"another", body), SECRET),
        Err(Rejection::SignatureMismatch),
        "it is simply another secret"
    );
}

#[test]
fn standard_webhooks_secrets_that_were_not_decoded() {
    let source = source(json!({"kind": "standard-webhooks"}));
    let time = at().as_second().to_string();
    let secret = format!("whsec_{}", STANDARD.encode(SECRET));
    let request = |key: &[u8]| {
        let message = format!("msg_1.{time}.{BODY}");
        let tag = hex::decode(sha256(key, message.as_bytes())).unwrap();
        let signature = format!("v1,{}", STANDARD.encode(tag));
        let headers = [
            ("webhook-id", "msg_1"),
            ("webhook-timestamp", &time),
            ("webhook-signature", &signature),
        ];
        receipt(&headers, BODY.as_bytes())
    };
    assert!(hint_of(&source, &request(secret.as_bytes()), &secret).contains("prefix and all"));
    assert!(hint_of(&source, &request(&secret.as_bytes()[6..]), &secret).contains("behind its prefix"));
    let hex = format!("whsec_{}", hex::encode(SECRET));
    assert!(hint_of(&source, &request(SECRET.as_bytes()), &hex).contains("same bytes as base64"));
}

#[test]
fn a_body_that_was_changed_on_its_way() {
    let gzip = |body: &str| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(body.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let compact = r#"{"a":1,"b":["x, y: z",true]}"#;
    for (sent, arrived, expected) in [
        (
            BODY.as_bytes().to_vec(),
            format!("{BODY}\n").into_bytes(),
            "without the line break",
        ),
        (
            BODY.as_bytes().to_vec(),
            format!("{BODY}\r\n").into_bytes(),
            "without the line break",
        ),
        (
            format!("{BODY}\n").into_bytes(),
            BODY.as_bytes().to_vec(),
            "with a line break",
        ),
        (compact.into(), BODY.as_bytes().to_vec(), "without white space"),
        (BODY.as_bytes().to_vec(), compact.into(), "space behind each comma"),
        ("a\nb".into(), "a\r\nb".into(), "plain line feeds"),
        ("a\r\nb".into(), "a\nb".into(), "CR LF"),
        (b"\xef\xbb\xbfx".to_vec(), b"x".to_vec(), "with a byte order mark"),
        (b"x".to_vec(), b"\xef\xbb\xbfx".to_vec(), "without its byte order mark"),
        (BODY.as_bytes().to_vec(), gzip(BODY), "before it was compressed"),
    ] {
        let receipt = receipt(&[("x-signature", &sha256(SECRET.as_bytes(), &sent))], &arrived);
        let hint = hint_of(&hmac_source(json!({})), &receipt, SECRET);
        assert!(hint.contains(expected), "{hint}");
    }
    let unpacked = receipt(
        &[
            ("x-signature", &sha256(SECRET.as_bytes(), &gzip(BODY))),
            ("content-encoding", "gzip"),
        ],
        BODY.as_bytes(),
    );
    assert!(hint_of(&hmac_source(json!({})), &unpacked, SECRET).contains("content-encoding says gzip"));
}

#[test]
fn a_scheme_that_says_another_form() {
    let body = BODY.as_bytes();
    for (other, algorithm) in [
        (tag::<Hmac<Sha1>>(SECRET.as_bytes(), body), "sha1"),
        (tag::<Hmac<Sha512>>(SECRET.as_bytes(), body), "sha512"),
    ] {
        let hint = hint_of(
            &hmac_source(json!({})),
            &receipt(&[("x-signature", &other)], body),
            SECRET,
        );
        assert!(hint.contains(algorithm), "{hint}");
    }
    let hex = sha256(SECRET.as_bytes(), body);
    let base64 = STANDARD.encode(hex::decode(&hex).unwrap());
    let hint = |scheme: Value, signature: &str| {
        hint_of(
            &hmac_source(scheme),
            &receipt(&[("x-signature", signature)], body),
            SECRET,
        )
    };
    assert!(
        hint(json!({"encoding": "base64"}), &hex).contains("encoding is hex"),
        "64 digits are base64 too"
    );
    assert!(hint(json!({}), &base64).contains("encoding is base64"));
    assert!(hint(json!({"prefix": "sha256="}), &hex).contains("without the prefix"));
    assert!(hint(json!({"prefix": "sha256="}), &base64).contains("has not the prefix"));
    let other = sha256(b"another", body);
    assert!(hint(json!({"prefix": "sha256="}), &other).contains("not behind the prefix"));
    let standard = source(json!({"kind": "standard-webhooks"}));
    let time = at().as_second().to_string();
    let headers = [
        ("webhook-id", "1"),
        ("webhook-timestamp", &time),
        ("webhook-signature", &base64),
    ];
    let secret = format!("whsec_{}", STANDARD.encode(SECRET));
    assert!(hint_of(&standard, &receipt(&headers, body), &secret).contains("v1, or v1a,"));
}

#[test]
fn a_public_url_that_is_written_otherwise() {
    let secret_url = "https://hooks.example.com/in/in_secret";
    for (signed, configured, expected) in [
        (format!("{secret_url}/"), secret_url.to_owned(), "with a slash"),
        (secret_url.to_owned(), format!("{secret_url}/"), "without the slash"),
        (
            secret_url.replace("https", "http"),
            secret_url.to_owned(),
            "begins with http.",
        ),
        (
            secret_url.to_owned(),
            secret_url.replace("https", "http"),
            "begins with https.",
        ),
        (
            "https://other.example.com/".to_owned(),
            secret_url.to_owned(),
            "character by character",
        ),
    ] {
        let mut source = hmac_source(json!({"signed": "{url}{body}"}));
        source.options.public_url = Some(configured);
        let tag = sha256(SECRET.as_bytes(), format!("{signed}{BODY}").as_bytes());
        let hint = hint_of(&source, &receipt(&[("x-signature", &tag)], BODY.as_bytes()), SECRET);
        assert!(hint.contains(expected), "{hint}");
        assert!(!hint.contains("in_secret"), "the URL holds the ingest token: {hint}");
    }
}

fn timed(time: &str, received_at: Timestamp) -> Receipt {
    let tag = sha256(SECRET.as_bytes(), format!("{time}.{BODY}").as_bytes());
    Receipt {
        received_at,
        ..receipt(&[("x-signature", &tag), ("x-time", time)], BODY.as_bytes())
    }
}

#[test]
fn a_time_outside_the_window() {
    let scheme = |unit: &str| {
        hmac_source(json!({"signed": "{timestamp}.{body}", "timestamp": {"header": "x-time", "unit": unit}}))
    };
    let seconds = at().as_second().to_string();
    let hint = |unit: &str, time: &str, off: i64| {
        hint_of(
            &scheme(unit),
            &timed(time, at() + SignedDuration::from_secs(off)),
            SECRET,
        )
    };
    assert!(hint("s", &seconds, 2 * 3600 + 300).contains("came 2 h 5 min after it was signed"));
    assert!(hint("s", &seconds, 400).contains("came 6 min after"));
    assert!(hint("s", &seconds, 4 * 86_400).contains("came 4 days after"));
    assert!(hint("s", &seconds, -3600).contains("lies 60 min ahead"));
    assert!(hint("s", &format!("{seconds}000"), 0).contains("unit is ms"));
    assert!(
        hint("ms", &seconds, 0).contains("unit is s"),
        "it lies half a century back"
    );
    assert!(hint("s", "2025-03-25T13:31:00Z", 0).contains("unit is rfc3339"));

    let mut forged = timed(&seconds, at() + SignedDuration::from_secs(400));
    forged.headers[0].value = HeaderValue::Text("00".repeat(32));
    assert!(hint_of(&scheme("s"), &forged, SECRET).contains("does not fit either"));
    let late = timed(&seconds, at() + SignedDuration::from_secs(400));
    let hint = hint_of(&scheme("s"), &late, &format!("{SECRET}\n"));
    assert!(
        hint.contains("Not only the time") && hint.contains("white space"),
        "{hint}"
    );

    let standard = source(json!({"kind": "standard-webhooks"}));
    let headers = |time| {
        [
            ("webhook-id", "1"),
            ("webhook-timestamp", time),
            ("webhook-signature", "v1,AAAA"),
        ]
    };
    for (time, expected) in [
        ("1742909460000", "milliseconds"),
        ("2025-03-25T13:31:00Z", "plain digits"),
    ] {
        let receipt = receipt(&headers(time), BODY.as_bytes());
        assert!(hint_of(&standard, &receipt, "whsec_AAAA").contains(expected));
    }
}
