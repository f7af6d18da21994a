//! What holds of every hint.

use proptest::prelude::*;

use super::*;
use crate::preset::all;

#[test]
fn the_work_is_bounded() {
    let source = hmac_source(json!({"key": "either"}));
    let secrets: Vec<SecretString> = (0..40).map(|n| format!("\"pre_{n:064x}\" ").into()).collect();
    let secrets: Vec<&SecretString> = secrets.iter().collect();
    let (effective, receipt) = (source.effective().unwrap(), signed(b"another", BODY.as_bytes()));
    let mut trials = Trials::new(&effective, &receipt, &secrets);
    assert_eq!(trials.mismatch(effective.scheme), None);
    assert!(trials.left < MAX_TRIALS);
    let large = Receipt {
        body: vec![b'{'; MAX_BODY_BYTES + 1].into(),
        ..receipt
    };
    assert_eq!(hint(&effective, &large, &secrets, &Rejection::SignatureMismatch), None);
}

fn any_rejection() -> impl Strategy<Value = Rejection> {
    let name = prop::sample::select(vec!["x-signature", "?token", "authorization", "stripe-signature", ""]);
    (name, 0_u64..u64::MAX, 0_usize..11).prop_map(|(name, seconds, kind)| match kind {
        0 => Rejection::MissingHeader(name.into()),
        1 => Rejection::Repeated(name.into()),
        2 => Rejection::NoSecret,
        3 => Rejection::NoSignature(name.into()),
        4 => Rejection::SignatureMismatch,
        5 => Rejection::CredentialMismatch,
        6 => Rejection::MalformedTimestamp,
        7 => Rejection::TooOld { seconds, tolerance: 1 },
        8 => Rejection::InFuture { seconds, tolerance: 1 },
        9 => Rejection::Ambiguous,
        _ => Rejection::NoPublicUrl,
    })
}

fn any_scheme() -> impl Strategy<Value = Scheme> {
    let presets = prop::sample::select(all().iter().map(|preset| preset.scheme.clone()).collect::<Vec<_>>());
    let others: Vec<Scheme> = [
        json!({"kind": "token", "query": "token", "prefix": "Bearer "}),
        json!({"kind": "basic"}),
        json!({"kind": "none"}),
        json!({"kind": "ed25519", "header": "x-signature", "encoding": "hex", "signed": "{body}"}),
        json!({"kind": "ecdsa-p256", "header": "x-signature", "encoding": "base64", "signed": "{url}{body}"}),
        json!({"kind": "hmac", "algorithm": "sha512", "header": "x-signature", "encoding": "base64url", "key": "either",
               "signed": "{body}", "timestamp": {"pointer": "/time", "unit": "ms"}}),
    ]
    .map(|scheme| serde_json::from_value(scheme).unwrap())
    .into();
    prop_oneof![presets, prop::sample::select(others)]
}

proptest! {
    #[test]
    fn nothing_panics_and_no_secret_is_told(
        scheme in any_scheme(),
        rejection in any_rejection(),
        secret in "(whsec_|whpk_|\"| )?[A-Za-z0-9+/_=-]{16,40}(\"|\n)?",
        values in prop::collection::vec(("(t=[0-9]{1,14},)?(v1,|v1=|sha256=|v0=|Bearer )?[A-Za-z0-9+/=]{20,90}", any::<bool>()), 0..12),
        start in 0_usize..20,
        body in prop_oneof!["[{\\[]?[ -~\r\n]{0,60}".prop_map(String::into_bytes), prop::collection::vec(any::<u8>(), 0..60)],
    ) {
        let mut source = source(json!({"kind": "none"}));
        source.options.scheme = Some(scheme);
        source.options.public_url = Some("https://example.com/in/in_token".into());
        let effective = source.effective().unwrap();
        let mut names: Vec<String> = all().iter().flat_map(|preset| preset.scheme.required()).collect();
        names.extend(["x-signature", "?token", "authorization", "svix-id", "content-encoding", "weird \u{7}signature"].map(str::to_owned));
        let mut receipt = receipt(&[], &body);
        for (index, (value, hashed)) in values.iter().enumerate() {
            let name = &names[(start + index * 7) % names.len()];
            let secret_names: Vec<String> = hashed.then(|| name.clone()).into_iter().collect();
            receipt.headers.push(Header::capture(name, value.as_bytes(), "salt", &secret_names));
        }
        let secret = SecretString::from(secret);
        let before = receipt.clone();
        if let Some(hint) = hint(&effective, &receipt, &[&secret], &rejection) {
            prop_assert!(!hint.contains(secret.expose_secret().trim().trim_matches('"')));
            prop_assert!(!hint.contains("in_token"));
            prop_assert!(values.iter().all(|(value, _)| !hint.contains(value.as_str())));
            prop_assert!(hint.len() < 400 && !hint.chars().any(char::is_control), "{}", hint);
        }
        // It is a text and no more: the receipt is rejected or not, just as before.
        prop_assert_eq!(&receipt, &before);
        let keys = keys(effective.scheme, &[&secret]);
        prop_assert_eq!(
            effective.scheme.verify(&receipt, &keys, &effective.context()),
            effective.scheme.verify(&before, &keys, &effective.context())
        );
    }
}
