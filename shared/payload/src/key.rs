//! Secrets as people type them, and the keys they become.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::VerifyingKey;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use ring::signature::{ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use secrecy::{ExposeSecret, SecretString};
use sha1::Sha1;
use sha2::{Sha256, Sha512};
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

use crate::scheme::{Algorithm, Credential, EcdsaForm, KeyEncoding, Scheme, credential_keys};

/// The longest secret that is taken, in bytes.
pub const MAX_SECRET_BYTES: usize = 512;

/// A secret of a source or a webhook, valid for a span of time: two are valid while one replaces the other.
#[derive(Debug, Clone)]
pub struct TimedSecret {
    /// The text: what the provider shows (`whsec_…`), or what we made.
    pub value: SecretString,
    /// When it was made or entered.
    pub created_at: Timestamp,
    /// From when on it is no longer used; `None` is until it is replaced.
    pub expires_at: Option<Timestamp>,
}

impl TimedSecret {
    /// Whether the secret may be used at `now`.
    #[must_use]
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}

/// A key that a request is checked with. A key for HMAC and a public key are different things and cannot be taken for each other:
/// a public key is public, and whoever used it as an HMAC key could forge.
#[derive(Clone)]
pub enum Key {
    /// A shared key for HMAC.
    Hmac(HmacKey),
    /// A public key for ed25519.
    Ed25519(Ed25519Key),
    /// A public key for ECDSA with P-256 and SHA-256.
    EcdsaP256(EcdsaKey),
    /// The hash of a secret that is sent along as it is.
    Credential(Credential),
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hmac(_) => "Hmac([REDACTED])",
            Self::Ed25519(_) => "Ed25519(…)",
            Self::EcdsaP256(_) => "EcdsaP256(…)",
            Self::Credential(_) => "Credential([REDACTED])",
        })
    }
}

/// A key for HMAC that has been taken up already: that is a fifth of the work for a body of 1 KB, and done once for a batch.
#[derive(Clone)]
pub struct HmacKey(HmacState);

#[derive(Clone)]
enum HmacState {
    Sha1(Hmac<Sha1>),
    Sha256(Hmac<Sha256>),
    Sha512(Box<Hmac<Sha512>>),
}

/// What HMAC made of a message: up to 64 bytes.
pub(crate) struct Tag {
    bytes: [u8; 64],
    length: usize,
}

impl Tag {
    fn new(bytes: &[u8]) -> Self {
        let mut tag = Self {
            bytes: [0; 64],
            length: bytes.len(),
        };
        tag.bytes[..bytes.len()].copy_from_slice(bytes);
        tag
    }

    /// Compares in constant time; lengths are public.
    pub(crate) fn fits(&self, candidate: &[u8]) -> Choice {
        if candidate.len() != self.length {
            return Choice::from(0);
        }
        let mut other = [0; 64];
        other[..candidate.len()].copy_from_slice(candidate);
        // In words: byte by byte, the barriers against the optimiser take as long as the hash of a hundred bytes.
        let pairs = self.bytes.as_chunks().0.iter().zip(other.as_chunks().0);
        pairs.fold(Choice::from(1), |good, (a, b)| {
            good & u128::from_le_bytes(*a).ct_eq(&u128::from_le_bytes(*b))
        })
    }
}

impl HmacKey {
    pub(crate) fn new(algorithm: Algorithm, key: &[u8]) -> Self {
        fn state<M: KeyInit>(key: &[u8]) -> M {
            #[allow(clippy::expect_used, reason = "HMAC takes keys of any length (RFC 2104)")]
            M::new_from_slice(key).expect("HMAC takes keys of any length")
        }
        Self(match algorithm {
            Algorithm::Sha1 => HmacState::Sha1(state(key)),
            Algorithm::Sha256 => HmacState::Sha256(state(key)),
            Algorithm::Sha512 => HmacState::Sha512(Box::new(state(key))),
        })
    }

    /// The tag of the parts one after the other.
    pub(crate) fn mac<P: AsRef<[u8]>>(&self, parts: &[P]) -> Tag {
        fn finish<M: Mac + Clone, P: AsRef<[u8]>>(state: &M, parts: &[P]) -> Tag {
            let mut mac = state.clone();
            for part in parts {
                mac.update(part.as_ref());
            }
            Tag::new(&mac.finalize().into_bytes())
        }
        match &self.0 {
            HmacState::Sha1(state) => finish(state, parts),
            HmacState::Sha256(state) => finish(state, parts),
            HmacState::Sha512(state) => finish(&**state, parts),
        }
    }
}

/// A public key for ed25519 (RFC 8032).
#[derive(Clone)]
pub struct Ed25519Key(Box<VerifyingKey>);

impl Ed25519Key {
    /// Checked as strictly as there is a way to: no signature fits two messages or two keys.
    pub(crate) fn fits(&self, message: &[u8], signature: &[u8]) -> Choice {
        let good = ed25519_dalek::Signature::from_slice(signature)
            .is_ok_and(|signature| self.0.verify_strict(message, &signature).is_ok());
        Choice::from(u8::from(good))
    }
}

/// A public key for ECDSA with P-256 and SHA-256 (FIPS 186-5): an uncompressed point.
#[derive(Clone)]
pub struct EcdsaKey(Box<[u8; 65]>);

impl EcdsaKey {
    pub(crate) fn fits(&self, message: &[u8], signature: &[u8], form: EcdsaForm) -> Choice {
        let algorithm = match form {
            EcdsaForm::Der => &ECDSA_P256_SHA256_ASN1,
            EcdsaForm::Raw => &ECDSA_P256_SHA256_FIXED,
        };
        let good = UnparsedPublicKey::new(algorithm, &self.0[..])
            .verify(message, signature)
            .is_ok();
        Choice::from(u8::from(good))
    }
}

/// Why a text cannot be the secret of a scheme. It never holds the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No bytes to sign with.
    #[error("the secret is empty")]
    Empty,
    /// More than [`MAX_SECRET_BYTES`].
    #[error("the secret is longer than {MAX_SECRET_BYTES} bytes")]
    TooLong,
    /// Base64 was asked for.
    #[error("the secret is not base64 after its prefix")]
    NotBase64,
    /// Hexadecimal was asked for.
    #[error("the secret is not hexadecimal")]
    NotHex,
    /// A public key was asked for.
    #[error("this is not a public key of the scheme's kind in PEM, base64 or hex")]
    NotPublicKey,
    /// A public key is no secret.
    #[error("this is a key pair's key, and the scheme takes a shared secret")]
    PublicKeyForHmac,
    /// `whsk_` is the sender's private key.
    #[error("this is a private signing key (whsk_, or PRIVATE KEY in PEM): give the public one")]
    PrivateKey,
    /// Basic authentication has two parts.
    #[error("the secret is not user:password")]
    NotUserAndPassword,
    /// The scheme proves nothing.
    #[error("the scheme needs no secret")]
    NotNeeded,
    /// It was stored for a scheme that signs.
    #[error("the stored secret belongs to another kind of scheme: enter it again")]
    NotHashed,
}

/// Refuses what no scheme takes.
pub(crate) fn check_length(text: &str) -> Result<(), KeyError> {
    match text.len() {
        0 => Err(KeyError::Empty),
        1..=MAX_SECRET_BYTES => Ok(()),
        _ => Err(KeyError::TooLong),
    }
}

impl Scheme {
    /// The keys that the text of a stored secret stands for under this scheme: one, or two where the provider does not say how its text is
    /// meant. ([`Scheme::stored_secret`] makes the stored text of what a person typed.)
    ///
    /// # Errors
    /// When the text cannot be a secret of this scheme.
    pub fn keys(&self, secret: &SecretString) -> Result<Vec<Key>, KeyError> {
        let text = secret.expose_secret();
        check_length(text)?;
        match self {
            Self::StandardWebhooks(standard) => {
                if let Some(public) = text.strip_prefix("whpk_") {
                    return Ok(vec![ed25519_key(public)?]);
                }
                if text.starts_with("whsk_") {
                    return Err(KeyError::PrivateKey);
                }
                // A prefix says how the rest is meant, where the scheme would guess.
                let encoding = if text.starts_with("whsec_") && standard.key != KeyEncoding::Utf8 {
                    KeyEncoding::Base64
                } else {
                    standard.key
                };
                hmac_keys(text, encoding, Algorithm::Sha256)
            }
            Self::Hmac(signed) => {
                // Whoever has a public key could forge with it.
                if text.starts_with("-----BEGIN") || text.starts_with("whpk_") {
                    return Err(KeyError::PublicKeyForHmac);
                }
                let algorithm = signed.algorithm.unwrap_or(Algorithm::Sha256);
                hmac_keys(text, signed.key.unwrap_or_default(), algorithm)
            }
            Self::Ed25519(_) => Ok(vec![ed25519_key(text)?]),
            Self::EcdsaP256(_) => Ok(vec![ecdsa_key(text)?]),
            Self::Token(_) | Self::Basic(_) => credential_keys(text),
            Self::None(_) => Err(KeyError::NotNeeded),
        }
    }
}

fn hmac_keys(text: &str, encoding: KeyEncoding, algorithm: Algorithm) -> Result<Vec<Key>, KeyError> {
    let keys: Vec<Key> = key_bytes(text, encoding)?
        .iter()
        .map(|bytes| Key::Hmac(HmacKey::new(algorithm, bytes)))
        .collect();
    if keys.is_empty() {
        Err(KeyError::Empty)
    } else {
        Ok(keys)
    }
}

/// The bytes that a secret's text stands for; none of them is empty.
pub(crate) fn key_bytes(text: &str, encoding: KeyEncoding) -> Result<Vec<Zeroizing<Vec<u8>>>, KeyError> {
    let after_prefix = text.rsplit_once('_').map_or(text, |(_, rest)| rest);
    let base64 = || STANDARD.decode(after_prefix).map_err(|_| KeyError::NotBase64);
    let mut candidates: Vec<Zeroizing<Vec<u8>>> = match encoding {
        KeyEncoding::Utf8 => vec![text.as_bytes().to_vec().into()],
        KeyEncoding::Base64 => vec![base64()?.into()],
        KeyEncoding::Hex => vec![hex::decode(text).map_err(|_| KeyError::NotHex)?.into()],
        KeyEncoding::Either => std::iter::once(text.as_bytes().to_vec())
            .chain(base64())
            .map(Into::into)
            .collect(),
    };
    candidates.retain(|bytes| !bytes.is_empty());
    Ok(candidates)
}

/// What stands before the 32 bytes of an Ed25519 public key in its SubjectPublicKeyInfo (RFC 8410 section 4).
const ED25519_SPKI: &[u8] = &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// What stands before the 65 bytes of an uncompressed P-256 point in its SubjectPublicKeyInfo (RFC 5480 section 2).
const P256_SPKI: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// The bytes of a public key, written as PEM (RFC 7468), hex or base64, behind `spki` or bare. No text of a key's length is two of them.
fn public_key<const N: usize>(text: &str, spki: &[u8]) -> Result<[u8; N], KeyError> {
    let text = text.trim();
    if text.contains("PRIVATE KEY") {
        return Err(KeyError::PrivateKey);
    }
    let bytes = match text.strip_prefix("-----BEGIN PUBLIC KEY-----") {
        Some(rest) => {
            let inner = rest
                .strip_suffix("-----END PUBLIC KEY-----")
                .ok_or(KeyError::NotPublicKey)?;
            let lines: String = inner.split_ascii_whitespace().collect();
            STANDARD.decode(lines).ok()
        }
        None if text.len() == 2 * N || text.len() == 2 * (N + spki.len()) => hex::decode(text).ok(),
        None => STANDARD.decode(text).ok(),
    };
    let bytes = bytes.ok_or(KeyError::NotPublicKey)?;
    let point = bytes.strip_prefix(spki).unwrap_or(&bytes);
    point.try_into().map_err(|_| KeyError::NotPublicKey)
}

fn ed25519_key(text: &str) -> Result<Key, KeyError> {
    let bytes: [u8; 32] = public_key(text, ED25519_SPKI)?;
    let key = VerifyingKey::from_bytes(&bytes).map_err(|_| KeyError::NotPublicKey)?;
    // A weak key lets one signature fit many messages.
    if key.is_weak() {
        return Err(KeyError::NotPublicKey);
    }
    Ok(Key::Ed25519(Ed25519Key(Box::new(key))))
}

fn ecdsa_key(text: &str) -> Result<Key, KeyError> {
    let point: [u8; 65] = public_key(text, P256_SPKI)?;
    // Whether the point lies on the curve is seen when it is used, and a signature under one that does not never fits.
    if point[0] != 4 {
        return Err(KeyError::NotPublicKey);
    }
    Ok(Key::EcdsaP256(EcdsaKey(Box::new(point))))
}
