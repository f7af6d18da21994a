//! Each kind of scheme, with good and bad requests. (Published vectors: tests/vectors.rs; against a second implementation: tests/properties.rs.)
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer, SigningKey};
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair,
};
use serde_json::{Value, json};
use sha1::Sha1;
use sha2::{Sha256, Sha512};

use super::*;
use crate::key::KeyError;
use crate::receipt::Header;
use crate::{OrganizationId, Receipt, ReceiptId, SourceId};

const NOW: i64 = 1_742_909_460;

fn scheme(value: Value) -> Scheme {
    let scheme: Scheme = serde_json::from_value(value).unwrap();
    scheme.check().unwrap();
    scheme
}

fn receipt(headers: &[(&str, &str)], body: &str) -> Receipt {
    let at = Timestamp::from_second(NOW).unwrap();
    Receipt {
        id: ReceiptId::generate(at),
        organization: OrganizationId::generate(at),
        source: SourceId::generate(at),
        method: "POST".into(),
        query: String::new(),
        headers: headers
            .iter()
            .map(|(name, value)| Header::capture(name, value.as_bytes(), "salt", &[]))
            .collect(),
        body: body.to_owned().into(),
        received_at: at,
        scheme: None,
        trace: None,
    }
}

const CONTEXT: Context<'static> = Context {
    public_url: Some("https://hooks.example.com/in/x"),
    salt: "salt",
};

/// Verifies under the secret as it would be stored.
fn verify(scheme: &Scheme, secret: &str, receipt: &Receipt) -> Result<Proof, Rejection> {
    let stored = scheme.stored_secret(&secret.into(), CONTEXT.salt).unwrap();
    scheme.verify(receipt, &scheme.keys(&stored).unwrap(), &CONTEXT)
}

fn mac<M: Mac + KeyInit>(key: &[u8], message: &str) -> Vec<u8> {
    let mut mac = <M as KeyInit>::new_from_slice(key).unwrap();
    mac.update(message.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

#[test]
fn hmac_with_each_hash_function_and_encoding() {
    let body = r#"{"a":1}"#;
    let sha1 = scheme(
        json!({"kind": "hmac", "algorithm": "sha1", "header": "X-Sig", "prefix": "sha1=", "encoding": "hex", "signed": "{body}"}),
    );
    let signature = format!("sha1={}", hex::encode(mac::<Hmac<Sha1>>(b"key", body)));
    assert!(verify(&sha1, "key", &receipt(&[("x-sig", &signature)], body)).is_ok());
    let sha256 = scheme(
        json!({"kind": "hmac", "algorithm": "sha256", "header": "X-Sig", "encoding": "base64url", "key": "hex", "signed": "{body}"}),
    );
    let signature = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(mac::<Hmac<Sha256>>(b"\xfb\xff", body));
    assert!(verify(&sha256, "fbff", &receipt(&[("x-sig", &signature)], body)).is_ok());
    assert!(verify(&sha256, "fbff", &receipt(&[("x-sig", &format!("{signature}="))], body)).is_ok());
    let sha512 = scheme(
        json!({"kind": "hmac", "algorithm": "sha512", "header": "X-Sig", "encoding": "hex", "key": "base64", "signed": "{body}"}),
    );
    let signature = hex::encode_upper(mac::<Hmac<Sha512>>(b"key", body));
    let secret = format!("prefix_{}", STANDARD.encode("key"));
    assert!(verify(&sha512, &secret, &receipt(&[("x-sig", &signature)], body)).is_ok());
    for bad in ["", "sha1=", &signature[2..], &signature[..64], "zz"] {
        assert!(
            verify(&sha512, &secret, &receipt(&[("x-sig", bad)], body)).is_err(),
            "{bad}"
        );
    }
}

#[test]
fn every_part_of_a_template_is_covered() {
    let scheme = scheme(json!({
        "kind": "hmac", "algorithm": "sha256", "header": "x-sig", "encoding": "hex", "signed": "{method}\n{url}\n{query}\n{header.x-nonce}\n{id}:{timestamp}:{body}",
        "id": {"header": "x-id"}, "timestamp": {"header": "x-time", "unit": "ms"}
    }));
    assert!(
        scheme.needs_public_url()
            && scheme.covers_query()
            && scheme.covers_header("X-Nonce")
            && scheme.covers_header("x-id")
    );
    let time = (NOW * 1000).to_string();
    let message = format!("POST\nhttps://hooks.example.com/in/x\na=1\nn\nid:{time}:body");
    let signature = hex::encode(mac::<Hmac<Sha256>>(b"key", &message));
    let good = |headers: &[(&str, &str)], query: &str| Receipt {
        query: query.into(),
        ..receipt(headers, "body")
    };
    let headers = [
        ("x-sig", &*signature),
        ("x-nonce", "n"),
        ("x-id", "id"),
        ("x-time", &*time),
    ];
    let proof = verify(&scheme, "key", &good(&headers, "a=1")).unwrap();
    assert!(proof.id && proof.time && proof.query && proof.body);
    assert_eq!(
        verify(&scheme, "key", &good(&headers, "a=2")),
        Err(Rejection::SignatureMismatch)
    );
    for changed in 1..4 {
        let mut headers = headers;
        headers[changed].1 = "1742909461000";
        assert_eq!(
            verify(&scheme, "key", &good(&headers, "a=1")),
            Err(Rejection::SignatureMismatch)
        );
    }
    let put = Receipt {
        method: "PUT".into(),
        ..good(&headers, "a=1")
    };
    assert_eq!(verify(&scheme, "key", &put), Err(Rejection::SignatureMismatch));
    let keys = scheme.keys(&"key".into()).unwrap();
    assert_eq!(
        scheme.verify(&good(&headers, "a=1"), &keys, &Context::default()),
        Err(Rejection::NoPublicUrl)
    );
    let repeated = [headers[0], headers[1], headers[1], headers[2], headers[3]];
    assert_eq!(
        verify(&scheme, "key", &good(&repeated, "a=1")),
        Err(Rejection::SignatureMismatch)
    );
}

#[test]
fn bytes_cannot_move_between_parts() {
    let scheme = scheme(json!({
        "kind": "hmac", "algorithm": "sha256", "header": "x-sig", "encoding": "hex", "signed": "{header.x-a}..{body}--{id}", "id": {"header": "x-id"}
    }));
    let signature = hex::encode(mac::<Hmac<Sha256>>(b"key", "a...b--c"));
    let with = |a: &str, body: &str, id: &str| {
        verify(
            &scheme,
            "key",
            &receipt(&[("x-sig", &signature), ("x-a", a), ("x-id", id)], body),
        )
    };
    // The same signed bytes, read in two ways: only one of them counts.
    assert!(with("a", ".b", "c").is_ok());
    assert_eq!(with("a.", "b", "c"), Err(Rejection::Ambiguous));
    let signature = hex::encode(mac::<Hmac<Sha256>>(b"key", "a..b---c"));
    let with = |a: &str, body: &str, id: &str| {
        verify(
            &scheme,
            "key",
            &receipt(&[("x-sig", &signature), ("x-a", a), ("x-id", id)], body),
        )
    };
    assert!(with("a", "b-", "c").is_ok());
    assert_eq!(with("a", "b", "-c"), Err(Rejection::Ambiguous));
}

#[test]
fn a_timestamp_beside_the_body_has_one_length() {
    let scheme = scheme(json!({
        "kind": "hmac", "algorithm": "sha256", "header": "x-sig", "encoding": "hex", "signed": "{timestamp}{body}", "timestamp": {"header": "x-time"}, "tolerance": 86400
    }));
    let signature = hex::encode(mac::<Hmac<Sha256>>(b"key", &format!("{NOW}7")));
    let with = |time: &str, body: &str| {
        verify(
            &scheme,
            "key",
            &receipt(&[("x-sig", &signature), ("x-time", time)], body),
        )
    };
    assert!(with(&NOW.to_string(), "7").is_ok());
    assert_eq!(with(&format!("{NOW}7"), ""), Err(Rejection::MalformedTimestamp));
    assert_eq!(with(&NOW.to_string()[..9], "07"), Err(Rejection::MalformedTimestamp));
}

#[test]
fn timestamps_in_a_field_and_in_the_body() {
    let stripe = scheme(json!({
        "kind": "hmac", "algorithm": "sha256", "header": "s", "separator": ",", "field": "v1", "encoding": "hex", "signed": "{timestamp}.{body}",
        "timestamp": {"header": "s", "field": "t"}
    }));
    let signature = hex::encode(mac::<Hmac<Sha256>>(b"key", &format!("{NOW}.x")));
    let other = "0".repeat(64);
    let good = format!("t={NOW},v1={other}, v1={signature},v0=zz");
    assert!(verify(&stripe, "key", &receipt(&[("s", &good)], "x")).is_ok());
    assert_eq!(
        verify(&stripe, "key", &receipt(&[("s", &format!("t={NOW},{good}"))], "x")),
        Err(Rejection::MalformedTimestamp)
    );
    let body_time = scheme(json!({
        "kind": "hmac", "algorithm": "sha256", "header": "s", "encoding": "hex", "signed": "{body}",
        "timestamp": {"pointer": "/sent/at", "unit": "rfc3339"}
    }));
    let with = |body: &str| {
        let signature = hex::encode(mac::<Hmac<Sha256>>(b"key", body));
        verify(&body_time, "key", &receipt(&[("s", &signature)], body))
    };
    assert!(with(r#"{"sent":{"at":"2025-03-25T13:31:00Z"}}"#).unwrap().time);
    assert!(matches!(
        with(r#"{"sent":{"at":"2025-03-25T13:00:00Z"}}"#),
        Err(Rejection::TooOld { seconds: 1860, .. })
    ));
    assert!(matches!(
        with(r#"{"sent":{"at":"2025-03-25T14:00:00Z"}}"#),
        Err(Rejection::InFuture { .. })
    ));
    for body in ["{}", "not json", r#"{"sent":{"at":1742909460}}"#] {
        assert_eq!(with(body), Err(Rejection::MalformedTimestamp), "{body}");
    }
}

#[test]
fn ed25519_with_keys_in_every_form() {
    let discord = scheme(json!({
        "kind": "ed25519", "header": "X-Signature-Ed25519", "encoding": "hex", "signed": "{timestamp}{body}",
        "timestamp": {"header": "X-Signature-Timestamp"}
    }));
    let pair = SigningKey::from_bytes(&[7; 32]);
    let public = pair.verifying_key().to_bytes();
    let spki = [
        &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00][..],
        &public,
    ]
    .concat();
    let pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        STANDARD.encode(&spki)
    );
    let signature = hex::encode(pair.sign(format!("{NOW}body").as_bytes()).to_bytes());
    let headers = [
        ("x-signature-ed25519", &*signature),
        ("x-signature-timestamp", &*NOW.to_string()),
    ];
    for secret in [
        hex::encode(public),
        STANDARD.encode(public),
        hex::encode(&spki),
        STANDARD.encode(&spki),
        pem.clone(),
    ] {
        assert!(
            verify(&discord, &secret, &receipt(&headers, "body")).is_ok(),
            "{secret}"
        );
        assert_eq!(
            verify(&discord, &secret, &receipt(&headers, "Body")),
            Err(Rejection::SignatureMismatch)
        );
    }
    let error = |text: &str| discord.stored_secret(&text.into(), "").unwrap_err();
    assert_eq!(error(&pem.replace("PUBLIC", "PRIVATE")), KeyError::PrivateKey);
    assert_eq!(error(&hex::encode(&public[1..])), KeyError::NotPublicKey);
    // The neutral element: one signature would fit every message.
    assert_eq!(error(&format!("01{}", "00".repeat(31))), KeyError::NotPublicKey);
    // A key for HMAC is another thing.
    let hmac =
        scheme(json!({"kind": "hmac", "algorithm": "sha256", "header": "s", "encoding": "hex", "signed": "{body}"}));
    assert_eq!(
        hmac.stored_secret(&pem.as_str().into(), "").unwrap_err(),
        KeyError::PublicKeyForHmac
    );
}

#[test]
fn ecdsa_in_both_forms() {
    let random = SystemRandom::new();
    let sign = |algorithm: &'static EcdsaSigningAlgorithm, message: &str| {
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap();
        let signature = STANDARD.encode(pair.sign(&random, message.as_bytes()).unwrap());
        (STANDARD.encode(pair.public_key()), signature)
    };
    for (form, algorithm) in [
        ("der", &ECDSA_P256_SHA256_ASN1_SIGNING),
        ("raw", &ECDSA_P256_SHA256_FIXED_SIGNING),
    ] {
        let scheme = scheme(json!({
            "kind": "ecdsa-p256", "header": "s", "encoding": "base64", "form": form, "signed": "{timestamp}{body}", "timestamp": {"header": "t"}
        }));
        let (public, signature) = sign(algorithm, &format!("{NOW}body"));
        let with = |secret: &str, body: &str| {
            verify(
                &scheme,
                secret,
                &receipt(&[("s", &signature), ("t", &NOW.to_string())], body),
            )
        };
        assert!(with(&public, "body").is_ok());
        assert_eq!(with(&public, "other"), Err(Rejection::SignatureMismatch));
        let (another, _) = sign(algorithm, "");
        assert_eq!(with(&another, "body"), Err(Rejection::SignatureMismatch));
    }
}

#[test]
fn tokens_and_passwords_are_compared_as_hashes() {
    let token = scheme(json!({"kind": "token", "header": "Authorization", "prefix": "Bearer "}));
    let stored = token.stored_secret(&"tok".into(), "salt").unwrap();
    assert!(!secrecy::ExposeSecret::expose_secret(&stored).contains("tok"));
    assert!(verify(&token, "tok", &receipt(&[("authorization", "Bearer tok")], "")).is_ok());
    assert_eq!(
        verify(&token, "tok", &receipt(&[("authorization", "tok")], "")),
        Err(Rejection::CredentialMismatch)
    );
    assert_eq!(
        verify(&token, "tok", &receipt(&[], "")),
        Err(Rejection::MissingHeader("authorization".into()))
    );
    let twice = receipt(&[("authorization", "Bearer tok"), ("authorization", "Bearer x")], "");
    assert_eq!(
        verify(&token, "tok", &twice),
        Err(Rejection::Repeated("authorization".into()))
    );
    // A receipt of before the header was known to be a credential.
    let plain = scheme(json!({"kind": "token", "header": "x-plain"}));
    assert_eq!(plain.credentials(), ["x-plain"]);
    assert!(verify(&plain, "tok", &receipt(&[("x-plain", "tok")], "")).is_ok());
    // The hash itself is no secret that opens anything.
    let hash = crate::receipt::salted_hash("salt", b"tok");
    assert_eq!(
        verify(&plain, "tok", &receipt(&[("x-plain", &hash)], "")),
        Err(Rejection::CredentialMismatch)
    );

    let basic = scheme(json!({"kind": "basic"}));
    for word in ["Basic", "basic"] {
        let value = format!("{word} {}", STANDARD.encode("user:pass"));
        assert!(verify(&basic, "user:pass", &receipt(&[("authorization", &value)], "")).is_ok());
        assert_eq!(
            verify(&basic, "user:other", &receipt(&[("authorization", &value)], "")),
            Err(Rejection::CredentialMismatch)
        );
    }
    assert_eq!(
        basic.stored_secret(&"user".into(), "").unwrap_err(),
        KeyError::NotUserAndPassword
    );

    let none = scheme(json!({"kind": "none"}));
    assert_eq!(
        none.verify(&receipt(&[], ""), &[], &CONTEXT),
        Ok(Proof::of_nothing("none"))
    );
    assert_eq!(none.stored_secret(&"x".into(), "").unwrap_err(), KeyError::NotNeeded);
    // What was stored for a scheme that signs is not taken for a hash.
    assert_eq!(token.keys(&"whsec_abc".into()).unwrap_err(), KeyError::NotHashed);
}

#[test]
fn no_key_is_taken_for_one_of_another_kind() {
    let hmac =
        scheme(json!({"kind": "hmac", "algorithm": "sha256", "header": "s", "encoding": "hex", "signed": "{body}"}));
    let token = scheme(json!({"kind": "token", "header": "s"}));
    let signature = hex::encode(mac::<Hmac<Sha256>>(b"key", "body"));
    let receipt = receipt(&[("s", &signature)], "body");
    let hmac_keys = hmac.keys(&"key".into()).unwrap();
    assert!(hmac.verify(&receipt, &hmac_keys, &CONTEXT).is_ok());
    assert_eq!(
        token.verify(&receipt, &hmac_keys, &CONTEXT),
        Err(Rejection::CredentialMismatch)
    );
    assert_eq!(hmac.verify(&receipt, &[], &CONTEXT), Err(Rejection::NoSecret));
    let credential = token
        .keys(&token.stored_secret(&signature.as_str().into(), "salt").unwrap())
        .unwrap();
    assert!(hmac.verify(&receipt, &credential, &CONTEXT).is_err());
}

#[test]
fn impossible_schemes_name_the_field() {
    let hmac = |change: Value| {
        let mut value =
            json!({"kind": "hmac", "algorithm": "sha256", "header": "s", "encoding": "hex", "signed": "{body}"});
        for (name, field) in change.as_object().unwrap() {
            value[name] = field.clone();
        }
        serde_json::from_value::<Scheme>(value).map(|scheme| scheme.check().unwrap_err().field)
    };
    for (change, field) in [
        (json!({"algorithm": null}), "/algorithm"),
        (json!({"header": "a b"}), "/header"),
        (json!({"separator": ""}), "/separator"),
        (json!({"separator": "=", "field": "v1"}), "/fieldSeparator"),
        (json!({"separator": ",", "prefix": "a,"}), "/prefix"),
        (json!({"prefix": "sha256=", "algorithm": "sha1"}), "/algorithm"),
        (json!({"form": "der"}), "/form"),
        (json!({"id": {"header": "i"}}), "/id"),
        (json!({"signed": "{id}.{body}"}), "/id"),
        (json!({"signed": "{timestamp}.{body}"}), "/timestamp"),
        (json!({"timestamp": {"header": "t"}}), "/timestamp/header"),
        (json!({"timestamp": {}}), "/timestamp/header"),
        (
            json!({"timestamp": {"header": "t", "pointer": ""}}),
            "/timestamp/pointer",
        ),
        (json!({"timestamp": {"pointer": "a"}}), "/timestamp/pointer"),
        (
            json!({"timestamp": {"pointer": "/t", "field": "x"}}),
            "/timestamp/field",
        ),
        (
            json!({"signed": "{timestamp}.{body}", "timestamp": {"pointer": "/t"}}),
            "/timestamp/pointer",
        ),
        (json!({"tolerance": 0}), "/tolerance"),
        (json!({"tolerance": 86401}), "/tolerance"),
    ] {
        assert_eq!(hmac(change.clone()).unwrap(), field, "{change}");
    }
    assert!(hmac(json!({"unknown": 1})).is_err());
    assert!(hmac(json!({"signed": "{id}{body}"})).is_err());
    for (value, field) in [
        (json!({"kind": "token"}), "/header"),
        (json!({"kind": "token", "header": "a", "query": "b"}), "/query"),
        (
            json!({"kind": "ed25519", "algorithm": "sha256", "header": "a", "encoding": "hex", "signed": "{body}"}),
            "/algorithm",
        ),
        (
            json!({"kind": "ecdsa-p256", "key": "hex", "header": "a", "encoding": "hex", "signed": "{body}"}),
            "/key",
        ),
        (json!({"kind": "standard-webhooks", "key": "hex"}), "/key"),
    ] {
        let scheme: Scheme = serde_json::from_value(value.clone()).unwrap();
        assert_eq!(scheme.check().unwrap_err().field, field, "{value}");
    }
    assert!(serde_json::from_value::<Scheme>(json!({"kind": "none", "x": 1})).is_err());
    assert!(serde_json::from_value::<Scheme>(json!({"kind": "magic"})).is_err());
}
