//! Secrets that are sent along as they are: tokens, and user with password. We keep and compare only salted hashes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use subtle::{Choice, ConstantTimeEq};

use super::{Context, Proof, Rejection, Scheme, Token};
use crate::Receipt;
use crate::key::{Key, KeyError};
use crate::receipt::{HeaderValue, salted_hash};

/// What the name of a query parameter begins with where it stands among headers: no header's name can hold it.
pub const PARAMETER_PREFIX: char = '?';

/// The hash of a credential: HMAC-SHA256 under the source's salt, as [`salted_hash`] makes it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Credential([u8; 32]);

impl Credential {
    fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Self(bytes))
    }
}

impl Token {
    /// The name under which a receipt keeps it.
    pub(super) fn name(&self) -> String {
        match (&self.header, &self.query) {
            (Some(header), _) => header.to_ascii_lowercase(),
            (None, query) => format!("{PARAMETER_PREFIX}{}", query.as_deref().unwrap_or_default()),
        }
    }
}

impl Scheme {
    /// What is stored of a secret that a person typed: the text itself where signatures are made with it, and only its hashes under `salt`
    /// where it is sent along.
    ///
    /// # Errors
    /// When the text cannot be a secret of this scheme.
    pub fn stored_secret(&self, secret: &SecretString, salt: &str) -> Result<SecretString, KeyError> {
        let text = secret.expose_secret();
        crate::key::check_length(text)?;
        let hash = |value: String| salted_hash(salt, value.as_bytes());
        let stored = match self {
            Self::Token(token) => hash(format!("{}{text}", token.prefix.as_deref().unwrap_or_default())),
            Self::Basic(_) => {
                if !text.contains(':') {
                    return Err(KeyError::NotUserAndPassword);
                }
                let encoded = STANDARD.encode(text);
                // The scheme's name is compared without case (RFC 9110 section 11.1), but a hash cannot be: the two that senders write.
                [format!("Basic {encoded}"), format!("basic {encoded}")]
                    .map(hash)
                    .join(" ")
            }
            Self::None(_) => return Err(KeyError::NotNeeded),
            _ => {
                self.keys(secret)?;
                return Ok(secret.clone());
            }
        };
        Ok(stored.into())
    }
}

/// The hashes that [`Scheme::stored_secret`] made.
pub(crate) fn keys(text: &str) -> Result<Vec<Key>, KeyError> {
    text.split(' ')
        .map(|hash| Credential::parse(hash).map(Key::Credential).ok_or(KeyError::NotHashed))
        .collect()
}

/// Compares what stands under `name` with every key. A credential that was sent twice is refused: no first-or-last choice decides.
pub(super) fn verify(
    kind: &'static str,
    name: &str,
    receipt: &Receipt,
    keys: &[Key],
    context: &Context<'_>,
) -> Result<Proof, Rejection> {
    let mut found = receipt
        .headers
        .iter()
        .filter(|header| header.name.eq_ignore_ascii_case(name));
    let sent = match (found.next(), found.next()) {
        (Some(sent), None) => sent,
        (None, _) => return Err(Rejection::MissingHeader(name.to_owned())),
        (Some(_), Some(_)) => return Err(Rejection::Repeated(name.to_owned())),
    };
    let sent = match &sent.value {
        HeaderValue::Hashed(hash) => Credential::parse(hash),
        // It came in before `receive` knew that this is a credential.
        HeaderValue::Text(text) => Credential::parse(&salted_hash(context.salt, text.as_bytes())),
    };
    let sent = sent.ok_or(Rejection::CredentialMismatch)?;
    let mut good = Choice::from(0);
    for key in keys {
        if let Key::Credential(key) = key {
            good |= key.0.ct_eq(&sent.0);
        }
    }
    if bool::from(good) {
        Ok(Proof::of_nothing(kind))
    } else {
        Err(Rejection::CredentialMismatch)
    }
}
