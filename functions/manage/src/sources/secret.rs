//! The secrets of a source: how a typed one is stored, and what becomes of those that it takes the place of.

use payload::called_url::{CalledUrl, InvalidCalledUrl};
use payload::key::KeyError;
use payload::receipt::salted_hash;
use payload::scheme::Scheme;
use secrecy::{ExposeSecret, SecretString};

use crate::problem::ApiError;

/// The longest token of a handshake, in bytes.
pub(crate) const MAX_VERIFY_TOKEN_BYTES: usize = 200;

/// A secret as it is stored, when the scheme can use it. White space around it comes from copying and would make every signature a bad
/// one; a public key in PEM ends with a line break by its nature.
pub(super) fn stored(scheme: &Scheme, typed: &SecretString, salt: &str) -> Result<SecretString, ApiError> {
    let invalid = |error: KeyError| ApiError::invalid("/secret", error);
    let text = typed.expose_secret();
    let trimmed = text.trim();
    if trimmed.len() == text.len() {
        return scheme.stored_secret(typed, salt).map_err(invalid);
    }
    if trimmed.starts_with("-----BEGIN ") {
        return scheme.stored_secret(&trimmed.into(), salt).map_err(invalid);
    }
    Err(ApiError::invalid("/secret", "the secret has white space around it"))
}

/// The token of a handshake as it is stored.
pub(super) fn verify_token_hash(token: &SecretString, salt: &str) -> Result<String, ApiError> {
    let token = token.expose_secret();
    if token.is_empty() || token.len() > MAX_VERIFY_TOKEN_BYTES {
        return Err(ApiError::invalid(
            "/verifyToken",
            format!("must have 1 to {MAX_VERIFY_TOKEN_BYTES} bytes"),
        ));
    }
    Ok(salted_hash(salt, token.as_bytes()))
}

/// What stands for the receiving URL that is only about to be made.
const RECEIVING_URL: &str = "{receivingUrl}";

/// The URL that the provider calls, as it was typed, or the source's receiving URL where that is known and asked for.
pub(super) fn called_url(typed: &SecretString, receiving_url: Option<&str>) -> Result<CalledUrl, ApiError> {
    let text = match (typed.expose_secret(), receiving_url) {
        (RECEIVING_URL, Some(url)) => url,
        (text, _) => text,
    };
    text.parse()
        .map_err(|error: InvalidCalledUrl| ApiError::invalid("/publicUrl", error))
}

/// Whether what is stored for one scheme means the same under another. Shared secrets and public keys are never taken for each other, and
/// of a credential there is only a hash, which holds what was to stand before it.
pub(super) fn outlives(before: &Scheme, after: &Scheme) -> bool {
    use Scheme::{Basic, EcdsaP256, Ed25519, Hmac, None, StandardWebhooks, Token};
    match (before, after) {
        (StandardWebhooks(_) | Hmac(_), StandardWebhooks(_) | Hmac(_))
        | (Ed25519(_), Ed25519(_))
        | (EcdsaP256(_), EcdsaP256(_))
        | (Basic(_), Basic(_))
        | (None(_), None(_)) => true,
        (Token(before), Token(after)) => before.prefix == after.prefix,
        _ => false,
    }
}
