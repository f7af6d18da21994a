//! Signing what leaves us, as the [Standard Webhooks specification](https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md) says.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::id::random;
use crate::key::KeyError;

/// A key that deliveries to one webhook are signed with.
#[derive(Clone)]
pub struct SigningKey(Zeroizing<Vec<u8>>);

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey([REDACTED])")
    }
}

/// A new secret for a webhook: `whsec_` and 256 random bits in base64.
#[must_use]
pub fn generate_secret() -> SecretString {
    format!("whsec_{}", STANDARD.encode(random::<32>())).into()
}

impl SigningKey {
    /// Reads a secret of the form `whsec_…` with 24 to 64 bytes, as the specification asks.
    ///
    /// # Errors
    /// When the text is of another form.
    pub fn parse(secret: &SecretString) -> Result<Self, KeyError> {
        let text = secret.expose_secret();
        let encoded = text.strip_prefix("whsec_").ok_or(KeyError::NotBase64)?;
        let bytes = Zeroizing::new(STANDARD.decode(encoded).map_err(|_| KeyError::NotBase64)?);
        match bytes.len() {
            0..24 => Err(KeyError::Empty),
            24..=64 => Ok(Self(bytes)),
            _ => Err(KeyError::TooLong),
        }
    }
}

/// The value of the header `webhook-signature`: one `v1` signature for each key, so that a rotation overlaps.
#[must_use]
pub fn sign(keys: &[SigningKey], id: &str, at: Timestamp, body: &[u8]) -> String {
    let timestamp = at.as_second().to_string();
    let signatures: Vec<String> = keys
        .iter()
        .map(|key| {
            #[allow(clippy::expect_used, reason = "HMAC takes keys of any length (RFC 2104)")]
            let mut mac = Hmac::<Sha256>::new_from_slice(&key.0).expect("HMAC takes keys of any length");
            for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
                mac.update(part);
            }
            format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
        })
        .collect();
    signatures.join(" ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;

    #[test]
    fn it_gives_the_published_signature() {
        let key = SigningKey::parse(&"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into()).unwrap();
        let at = Timestamp::from_second(1_614_265_330).unwrap();
        let header = sign(
            std::slice::from_ref(&key),
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            at,
            b"{\"test\": 2432232314}",
        );
        assert_eq!(header, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_eq!(sign(&[key.clone(), key], "a", at, b"").split(' ').count(), 2);
    }

    #[test]
    fn a_generated_secret_is_a_good_one() {
        assert!(SigningKey::parse(&generate_secret()).is_ok());
        assert!(SigningKey::parse(&"whsec_AAAA".into()).is_err());
        assert!(SigningKey::parse(&"secret".into()).is_err());
    }
}
