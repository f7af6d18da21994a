//! Keys: reading them, verifying with them, and signing with their other half.

use p256::ecdsa::signature::{Signer as _, Verifier as _};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use serde_json::Value;

use super::text::{STANDARD, decode, encode, from_base64, from_hex, to_base64, to_hex};

/// What a request is verified with.
pub enum Key {
    Hmac(ring::hmac::Algorithm, Vec<u8>),
    Ed25519(Vec<u8>),
    EcdsaP256 { point: Vec<u8>, raw: bool },
}

fn algorithm(name: &str) -> ring::hmac::Algorithm {
    match name {
        "sha1" => ring::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        "sha256" => ring::hmac::HMAC_SHA256,
        _ => ring::hmac::HMAC_SHA512,
    }
}

/// The keys of a secret of the kind standard-webhooks.
pub fn standard_webhooks(secret: &str, encoding: &str) -> Vec<Key> {
    if let Some(public) = secret.strip_prefix("whpk_") {
        return vec![Key::Ed25519(from_base64(public, STANDARD, false).unwrap())];
    }
    let encoding = if secret.starts_with("whsec_") {
        "base64"
    } else {
        encoding
    };
    hmac_keys(secret, encoding, "sha256")
}

/// The keys of a secret of one of the kinds that sign a template.
pub fn of_scheme(scheme: &Value, secret: &str) -> Vec<Key> {
    match scheme["kind"].as_str().unwrap() {
        "hmac" => hmac_keys(
            secret,
            scheme["key"].as_str().unwrap_or("utf8"),
            scheme["algorithm"].as_str().unwrap(),
        ),
        "ed25519" => vec![Key::Ed25519(public_key(secret, 32))],
        _ => vec![Key::EcdsaP256 {
            point: public_key(secret, 65),
            raw: scheme["form"].as_str() == Some("raw"),
        }],
    }
}

/// The bytes of a shared secret.
fn hmac_keys(secret: &str, encoding: &str, hash: &str) -> Vec<Key> {
    let after_prefix = secret.split('_').next_back().unwrap();
    let bytes = match encoding {
        "utf8" => vec![Some(secret.as_bytes().to_vec())],
        "base64" => vec![from_base64(after_prefix, STANDARD, false)],
        "hex" => vec![from_hex(secret)],
        _ => vec![
            Some(secret.as_bytes().to_vec()),
            from_base64(after_prefix, STANDARD, false),
        ],
    };
    let bytes = bytes.into_iter().flatten().filter(|bytes| !bytes.is_empty());
    bytes.map(|bytes| Key::Hmac(algorithm(hash), bytes)).collect()
}

/// The last bytes of what a PEM, hex or base64 text holds: whatever stands before them says only what they are.
fn public_key(text: &str, length: usize) -> Vec<u8> {
    let lines: String = text
        .lines()
        .filter(|line| !line.starts_with("-----"))
        .map(str::trim)
        .collect();
    let bytes = from_hex(&lines)
        .or_else(|| from_base64(&lines, STANDARD, false))
        .unwrap();
    bytes[bytes.len() - length..].to_vec()
}

impl Key {
    pub fn is_hmac(&self) -> bool {
        matches!(self, Self::Hmac(..))
    }

    /// Whether the signature, written in this encoding, is one of the message.
    pub fn fits(&self, message: &[u8], signature: &str, encoding: &str) -> bool {
        let Some(signature) = decode(signature, encoding) else {
            return false;
        };
        match self {
            Self::Hmac(algorithm, key) => {
                let key = ring::hmac::Key::new(*algorithm, key);
                ring::hmac::sign(&key, message).as_ref() == signature
            }
            Self::Ed25519(key) => UnparsedPublicKey::new(&ED25519, key)
                .verify(message, &signature)
                .is_ok(),
            Self::EcdsaP256 { point, raw } => {
                let read = if *raw {
                    p256::ecdsa::Signature::from_slice(&signature)
                } else {
                    p256::ecdsa::Signature::from_der(&signature)
                };
                let Ok(key) = p256::ecdsa::VerifyingKey::from_sec1_bytes(point) else {
                    return false;
                };
                read.is_ok_and(|signature| key.verify(message, &signature).is_ok())
            }
        }
    }
}

/// What a request is signed with, and the text that is entered as the source's secret.
pub struct Signer {
    pub secret: String,
    how: How,
}

enum How {
    Hmac(Key),
    Ed25519(Box<Ed25519KeyPair>),
    EcdsaP256 {
        key: Box<p256::ecdsa::SigningKey>,
        raw: bool,
    },
}

/// How the text of a secret is written, where there is a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writing {
    Pem,
    Hex,
    Base64,
}

impl Signer {
    /// From bytes that decide about the key: 32 for a key pair.
    pub fn new(scheme: &Value, seed: &[u8], writing: Writing) -> Self {
        match scheme["kind"].as_str().unwrap() {
            "ed25519" => {
                let pair = Ed25519KeyPair::from_seed_unchecked(seed).unwrap();
                // RFC 8410 section 4.
                let head = "302a300506032b6570032100";
                Self {
                    secret: public_text(pair.public_key().as_ref(), head, writing),
                    how: How::Ed25519(Box::new(pair)),
                }
            }
            "ecdsa-p256" => {
                let key = p256::ecdsa::SigningKey::from_slice(seed).unwrap();
                let point = key.verifying_key().to_sec1_point(false);
                // RFC 5480 section 2.
                let head = "3059301306072a8648ce3d020106082a8648ce3d030107034200";
                Self {
                    secret: public_text(point.as_bytes(), head, writing),
                    how: How::EcdsaP256 {
                        key: Box::new(key),
                        raw: scheme["form"].as_str() == Some("raw"),
                    },
                }
            }
            kind => {
                let encoding = scheme["key"]
                    .as_str()
                    .unwrap_or(if kind == "hmac" { "utf8" } else { "base64" });
                let prefix = if writing == Writing::Pem { "whsec_" } else { "" };
                let secret = match encoding {
                    "hex" => to_hex(seed),
                    "base64" => format!("{prefix}{}", to_base64(seed, STANDARD)),
                    // Whatever it is: the sender takes the text as it stands, or what it decodes to.
                    "either" if writing != Writing::Hex => to_base64(seed, STANDARD),
                    _ => seed.iter().map(|byte| char::from(33 + byte % 90)).collect(),
                };
                let mut keys = if kind == "hmac" {
                    of_scheme(scheme, &secret)
                } else {
                    standard_webhooks(&secret, encoding)
                };
                Self {
                    how: How::Hmac(keys.pop().unwrap()),
                    secret,
                }
            }
        }
    }

    /// A good signature, written in this encoding.
    pub fn sign(&self, message: &[u8], encoding: &str) -> String {
        let bytes = match &self.how {
            How::Hmac(Key::Hmac(algorithm, key)) => {
                let key = ring::hmac::Key::new(*algorithm, key);
                ring::hmac::sign(&key, message).as_ref().to_vec()
            }
            How::Hmac(_) => Vec::new(),
            How::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            How::EcdsaP256 { key, raw } => {
                let signature: p256::ecdsa::Signature = key.sign(message);
                if *raw {
                    signature.to_bytes().to_vec()
                } else {
                    signature.to_der().as_bytes().to_vec()
                }
            }
        };
        encode(&bytes, encoding)
    }
}

fn public_text(key: &[u8], head: &str, writing: Writing) -> String {
    match writing {
        Writing::Hex => to_hex(key),
        Writing::Base64 => to_base64(key, STANDARD),
        Writing::Pem => {
            let whole = [from_hex(head).unwrap(), key.to_vec()].concat();
            let text = to_base64(&whole, STANDARD);
            let lines: Vec<&str> = text
                .as_bytes()
                .chunks(64)
                .map(|line| std::str::from_utf8(line).unwrap())
                .collect();
            format!(
                "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
                lines.join("\n")
            )
        }
    }
}
