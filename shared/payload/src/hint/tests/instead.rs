//! What a request has instead of what its source needs.

use super::*;
use crate::receipt::salted_hash;

#[test]
fn what_is_there_instead() {
    let hint = |source: &Source, headers: &[(&str, &str)]| hint_of(source, &receipt(headers, b""), SECRET);
    let source = hmac_source(json!({}));
    assert!(
        hint(
            &source,
            &[("x-hub-signature-256", "sha256=00"), ("x-github-event", "push")]
        )
        .contains("github")
    );
    assert!(hint(&source, &[("x-signature", "")]).contains("empty"));
    assert!(
        hint(&source, &[("x-other-signature", "1"), ("b-token", "2")])
            .contains("the header x-other-signature, the header b-token")
    );
    assert!(!hint(&source, &[("x-signature-\u{1b}[2J", "1"), ("x-token", "2")]).contains('\u{1b}'));
    assert!(try_hint(&source, &receipt(&[("accept", "*/*")], b""), SECRET).is_err());
    let mut hashed = receipt(&[], b"");
    hashed
        .headers
        .push(Header::capture("x-signature", b"00", "salt", &["x-signature".into()]));
    assert!(hint_of(&source, &hashed, SECRET).contains("only as a hash"));
    let standard = super::source(json!({"kind": "standard-webhooks"}));
    let svix = [("svix-id", "1"), ("svix-timestamp", "1"), ("svix-signature", "v1,AAAA")];
    assert!(hint_of(&standard, &receipt(&svix, b""), "whsec_AAAA").contains("headerPrefix is svix-"));
}

#[test]
fn what_hashes_tell_of_a_credential() {
    let source = source(json!({"kind": "token", "header": "x-key", "prefix": "Bearer "}));
    let stored = source
        .effective()
        .unwrap()
        .scheme
        .stored_secret(&SECRET.into(), "salt")
        .unwrap();
    let hint = |receipt: &Receipt| hint_of(&source, receipt, stored.expose_secret());
    let hashed = |name: &str, value: &str| {
        let mut receipt = receipt(&[], b"");
        receipt
            .headers
            .push(Header::capture(name, value.as_bytes(), "salt", &[name.into()]));
        receipt
    };
    for nothing in ["", "Bearer", "Bearer null", "undefined"] {
        assert!(hint(&hashed("x-key", nothing)).contains("sent no secret"), "{nothing}");
    }
    let bearer = format!("Bearer {SECRET}");
    assert!(hint(&hashed("authorization", &bearer)).contains("the header authorization"));
    assert!(hint(&hashed("?key", &bearer)).contains("the query parameter key"));
    // As it came in before the source had this scheme.
    assert!(hint(&receipt(&[("x-key", SECRET)], b"")).contains("without the prefix"));
    assert!(hint(&receipt(&[("x-key", &format!(" {bearer}"))], b"")).contains("white space"));
    assert_eq!(
        try_hint(&source, &hashed("x-key", "another"), stored.expose_secret()),
        Err(Rejection::CredentialMismatch)
    );

    let bare = super::source(json!({"kind": "token", "header": "x-key"}));
    let stored = salted_hash("salt", SECRET.as_bytes());
    assert!(hint_of(&bare, &receipt(&[("x-key", &bearer)], b""), &stored).contains("without the word before it"));
    let stored = salted_hash("salt", bearer.as_bytes());
    assert!(hint_of(&bare, &receipt(&[("x-key", SECRET)], b""), &stored).contains("entered together with that word"));
}
