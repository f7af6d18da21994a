//! Whether the secret was meant in another way.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use super::Trials;
use crate::key::{HmacKey, Key, key_bytes};
use crate::scheme::{Algorithm, KeyEncoding, Scheme};

const WHITE_SPACE: &str =
    "The signature fits when the white space around the secret is left out: enter the secret again without it.";
const QUOTES: &str =
    "The signature fits when the quotation marks around the secret are left out: enter the secret again without them.";
const UTF8: &str = "The signature fits when the secret's text itself is the key, and not what it decodes to: the scheme's key is utf8.";
const UTF8_AFTER_PREFIX: &str = "The signature fits when the secret's text behind its prefix is the key, and not what it decodes to: enter it without the prefix, with the scheme's key utf8.";
const BASE64: &str = "The signature fits when the secret is decoded as base64: the scheme's key is base64.";
const BASE64URL: &str = "The signature fits when the secret is decoded as base64url: enter it with + for - and / for _, with the scheme's key base64.";
const HEX: &str = "The signature fits when the secret is decoded as hexadecimal digits: the scheme's key is hex.";
/// Standard Webhooks knows no such secrets, so that no setting of it helps.
const STANDARD_HEX: &str =
    "The signature fits when the secret is decoded as hexadecimal digits: enter the same bytes as base64.";
const STANDARD_UTF8: &str = "The signature fits when the secret's text itself, prefix and all, is the key: the sender does not decode it as Standard Webhooks says.";
const LINE_BREAK: &str =
    "The signature fits when a line break follows the secret: the sender's own copy of the secret ends with one.";

/// One way to read a secret.
struct Reading {
    text: &'static str,
    key: Zeroizing<Vec<u8>>,
}

/// How the scheme makes keys: the encoding and the hash function. Only for HMAC.
fn settings(scheme: &Scheme, secret: &str) -> Option<(KeyEncoding, Algorithm)> {
    match scheme {
        Scheme::StandardWebhooks(_) if secret.starts_with("whpk_") => None,
        Scheme::StandardWebhooks(_) if secret.starts_with("whsec_") => Some((KeyEncoding::Base64, Algorithm::Sha256)),
        Scheme::StandardWebhooks(standard) => Some((standard.key, Algorithm::Sha256)),
        Scheme::Hmac(signed) => Some((
            signed.key.unwrap_or_default(),
            signed.algorithm.unwrap_or(Algorithm::Sha256),
        )),
        _ => None,
    }
}

/// The ways in which the text may be meant, without that in which it was read already, and none twice.
fn readings(secret: &str, encoding: KeyEncoding) -> Vec<Reading> {
    let own = key_bytes(secret, encoding).unwrap_or_default();
    let mut readings: Vec<Reading> = Vec::new();
    let mut add = |text: &'static str, keys: Vec<Zeroizing<Vec<u8>>>| {
        for key in keys {
            let known = own.contains(&key) || readings.iter().any(|reading| reading.key == key);
            if !known && !key.is_empty() {
                readings.push(Reading { text, key });
            }
        }
    };
    let read = |text: &str, encoding| key_bytes(text, encoding).unwrap_or_default();
    let trimmed = secret.trim();
    let bare = trimmed.trim_matches(['"', '\'', '`', '“', '”']).trim();
    add(if bare == trimmed { WHITE_SPACE } else { QUOTES }, read(bare, encoding));
    add(UTF8, read(bare, KeyEncoding::Utf8));
    add(BASE64, read(bare, KeyEncoding::Base64));
    add(HEX, read(bare, KeyEncoding::Hex));
    if let Some((_, rest)) = bare.rsplit_once('_') {
        add(UTF8_AFTER_PREFIX, read(rest, KeyEncoding::Utf8));
        add(HEX, read(rest, KeyEncoding::Hex));
    }
    let url_safe = URL_SAFE_NO_PAD.decode(bare.trim_end_matches('=')).map(Zeroizing::new);
    add(BASE64URL, url_safe.into_iter().collect());
    if matches!(encoding, KeyEncoding::Utf8 | KeyEncoding::Either) {
        add(
            LINE_BREAK,
            read(&Zeroizing::new(format!("{bare}\n")), KeyEncoding::Utf8),
        );
    }
    readings
}

/// Whether the signature fits when a secret is read in another way than the scheme says.
pub(super) fn other_reading(trials: &mut Trials<'_>, scheme: &Scheme) -> Option<&'static str> {
    for secret in trials.secrets {
        let secret = secret.expose_secret();
        let Some((encoding, algorithm)) = settings(scheme, secret) else {
            continue;
        };
        for Reading { text, key } in readings(secret, encoding) {
            if trials.fits_key(scheme, Key::Hmac(HmacKey::new(algorithm, &key))) {
                let is_standard = matches!(scheme, Scheme::StandardWebhooks(_));
                return Some(match text {
                    HEX if is_standard => STANDARD_HEX,
                    UTF8 if is_standard && secret.contains("whsec_") => STANDARD_UTF8,
                    _ => text,
                });
            }
        }
    }
    None
}

/// Whether the signature fits with another hash function.
pub(super) fn other_algorithm(trials: &mut Trials<'_>, scheme: &Scheme) -> Option<&'static str> {
    let Scheme::Hmac(_) = scheme else { return None };
    for secret in trials.secrets {
        let secret = secret.expose_secret();
        let Some((encoding, own)) = settings(scheme, secret) else {
            continue;
        };
        for key in key_bytes(secret, encoding).unwrap_or_default() {
            for (algorithm, text) in [
                (
                    Algorithm::Sha256,
                    "The signature fits with SHA-256: the scheme's algorithm is sha256.",
                ),
                (
                    Algorithm::Sha1,
                    "The signature fits with SHA-1: the scheme's algorithm is sha1.",
                ),
                (
                    Algorithm::Sha512,
                    "The signature fits with SHA-512: the scheme's algorithm is sha512.",
                ),
            ] {
                if algorithm != own && trials.fits_key(scheme, Key::Hmac(HmacKey::new(algorithm, &key))) {
                    return Some(text);
                }
            }
        }
    }
    None
}
