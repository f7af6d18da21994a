//! Signing what leaves us, as the [Standard Webhooks specification](https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md) says.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::Signer;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::id::random;
use crate::key::KeyError;

/// A key that deliveries to one webhook are signed with.
#[derive(Clone)]
pub struct SigningKey(Kind);

#[derive(Clone)]
enum Kind {
    /// A shared key: signatures `v1`.
    Hmac(Zeroizing<Vec<u8>>),
    /// A private key, of which receivers have the public one: signatures `v1a`.
    Ed25519(Box<ed25519_dalek::SigningKey>),
}

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

/// A new private key for a webhook whose receiver wants a public one: `whsk_` and the pair of keys in base64.
#[must_use]
pub fn generate_key_pair() -> SecretString {
    let pair = Zeroizing::new(ed25519_dalek::SigningKey::from_bytes(&random::<32>()).to_keypair_bytes());
    format!("whsk_{}", STANDARD.encode(&pair[..])).into()
}

impl SigningKey {
    /// Reads a secret of the form `whsec_…` with 24 to 64 bytes, or of the form `whsk_…` with the 64 bytes of an Ed25519 key and its
    /// public half, as the specification asks.
    ///
    /// # Errors
    /// When the text is of another form.
    pub fn parse(secret: &SecretString) -> Result<Self, KeyError> {
        let text = secret.expose_secret();
        let decoded = |encoded: &str| STANDARD.decode(encoded).map_err(|_| KeyError::NotBase64);
        if let Some(encoded) = text.strip_prefix("whsk_") {
            let bytes = Zeroizing::new(decoded(encoded)?);
            let pair = <&[u8; 64]>::try_from(&bytes[..]).map_err(|_| KeyError::PrivateKey)?;
            // This also sees whether the halves belong together.
            let key = ed25519_dalek::SigningKey::from_keypair_bytes(pair).map_err(|_| KeyError::PrivateKey)?;
            return Ok(Self(Kind::Ed25519(Box::new(key))));
        }
        let encoded = text.strip_prefix("whsec_").ok_or(KeyError::NotBase64)?;
        let bytes = Zeroizing::new(decoded(encoded)?);
        match bytes.len() {
            0..24 => Err(KeyError::Empty),
            24..=64 => Ok(Self(Kind::Hmac(bytes))),
            _ => Err(KeyError::TooLong),
        }
    }

    /// The public key that receivers verify with, `whpk_…`; a shared key has none.
    #[must_use]
    pub fn public_key(&self) -> Option<String> {
        match &self.0 {
            Kind::Hmac(_) => None,
            Kind::Ed25519(key) => Some(format!("whpk_{}", STANDARD.encode(key.verifying_key().as_bytes()))),
        }
    }

    fn sign(&self, parts: &[&[u8]]) -> String {
        match &self.0 {
            Kind::Hmac(key) => {
                #[allow(clippy::expect_used, reason = "HMAC takes keys of any length (RFC 2104)")]
                let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
                parts.iter().for_each(|part| mac.update(part));
                format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
            }
            Kind::Ed25519(key) => format!("v1a,{}", STANDARD.encode(key.sign(&parts.concat()).to_bytes())),
        }
    }
}

/// The value of the header `webhook-signature`: one signature for each key, so that a rotation overlaps; `v1` of a shared key, `v1a` of a
/// private one.
#[must_use]
pub fn sign(keys: &[SigningKey], id: &str, at: Timestamp, body: &[u8]) -> String {
    let timestamp = at.as_second().to_string();
    let signatures: Vec<String> = keys
        .iter()
        .map(|key| key.sign(&[id.as_bytes(), b".", timestamp.as_bytes(), b".", body]))
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
    fn it_gives_the_published_signature_of_a_private_key() {
        let secret = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
        let key = SigningKey::parse(&secret.into()).unwrap();
        let at = Timestamp::from_second(1_614_265_330).unwrap();
        let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
        assert_eq!(
            sign(std::slice::from_ref(&key), id, at, b"{\"test\": 2432232314}"),
            "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
        );
        assert_eq!(
            key.public_key().as_deref(),
            Some("whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=")
        );
        let made = SigningKey::parse(&generate_key_pair()).unwrap();
        assert_ne!(made.public_key(), key.public_key());
        // Halves that do not belong together would give the private one away.
        let swapped = secret.replace("VKIDij2H", "VKIDij2I");
        assert!(SigningKey::parse(&swapped.into()).is_err());
        assert!(SigningKey::parse(&"whsk_AAAA".into()).is_err());
    }

    #[test]
    fn a_generated_secret_is_a_good_one() {
        assert!(SigningKey::parse(&generate_secret()).is_ok());
        assert!(SigningKey::parse(&"whsec_AAAA".into()).is_err());
        assert!(SigningKey::parse(&"secret".into()).is_err());
    }
}
