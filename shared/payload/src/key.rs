//! Secrets as people type them, and the keys they become.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::VerifyingKey;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use jiff::Timestamp;

use crate::scheme::{KeyEncoding, Scheme};

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

/// A key that a signature is checked with. A key for HMAC and a public key are different things and cannot be taken for each other:
/// a public key is public, and whoever used it as an HMAC key could forge.
#[derive(Clone)]
pub enum Key {
    /// A shared key for HMAC.
    Hmac(Zeroizing<Vec<u8>>),
    /// A public key for ed25519.
    Ed25519(Box<VerifyingKey>),
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hmac(_) => f.write_str("Hmac([REDACTED])"),
            Self::Ed25519(_) => f.write_str("Ed25519(…)"),
        }
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
    /// `whpk_` promises an ed25519 public key.
    #[error("the public key is not a valid ed25519 key of 32 bytes")]
    NotPublicKey,
    /// `whsk_` is the sender's private key.
    #[error("this is a private signing key (whsk_): give the public one (whpk_)")]
    PrivateKey,
}

impl Scheme {
    /// The keys that the text of a secret stands for under this scheme: one, or two where the provider does not say how its text is meant.
    ///
    /// # Errors
    /// When the text cannot be a secret of this scheme.
    pub fn keys(&self, secret: &SecretString) -> Result<Vec<Key>, KeyError> {
        let text = secret.expose_secret();
        if text.is_empty() {
            return Err(KeyError::Empty);
        }
        if text.len() > MAX_SECRET_BYTES {
            return Err(KeyError::TooLong);
        }
        let encoding = match self {
            Self::StandardWebhooks(standard) => {
                if let Some(public) = text.strip_prefix("whpk_") {
                    return Ok(vec![public_key(public)?]);
                }
                if text.starts_with("whsk_") {
                    return Err(KeyError::PrivateKey);
                }
                // A prefix says how the rest is meant, whatever the scheme would guess.
                if text.starts_with("whsec_") {
                    KeyEncoding::Base64
                } else {
                    standard.key
                }
            }
            Self::Hmac(hmac) => hmac.key,
        };
        hmac_keys(text, encoding)
    }
}

fn hmac_keys(text: &str, encoding: KeyEncoding) -> Result<Vec<Key>, KeyError> {
    let after_prefix = text.rsplit_once('_').map_or(text, |(_, rest)| rest);
    let base64 = || STANDARD.decode(after_prefix).map_err(|_| KeyError::NotBase64);
    let candidates = match encoding {
        KeyEncoding::Utf8 => vec![text.as_bytes().to_vec()],
        KeyEncoding::Base64 => vec![base64()?],
        KeyEncoding::Hex => vec![hex::decode(text).map_err(|_| KeyError::NotHex)?],
        KeyEncoding::Either => std::iter::once(text.as_bytes().to_vec()).chain(base64()).collect(),
    };
    let keys: Vec<Key> = candidates
        .into_iter()
        .filter(|bytes| !bytes.is_empty())
        .map(|bytes| Key::Hmac(Zeroizing::new(bytes)))
        .collect();
    if keys.is_empty() {
        Err(KeyError::Empty)
    } else {
        Ok(keys)
    }
}

fn public_key(text: &str) -> Result<Key, KeyError> {
    let bytes = STANDARD.decode(text).map_err(|_| KeyError::NotPublicKey)?;
    let bytes: [u8; 32] = bytes.try_into().map_err(|_| KeyError::NotPublicKey)?;
    let key = VerifyingKey::from_bytes(&bytes).map_err(|_| KeyError::NotPublicKey)?;
    // A weak key lets one signature fit many messages.
    if key.is_weak() {
        return Err(KeyError::NotPublicKey);
    }
    Ok(Key::Ed25519(Box::new(key)))
}
