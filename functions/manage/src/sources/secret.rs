//! The secrets of a source: how a typed one is stored, and what becomes of those that it takes the place of.

use jiff::{SignedDuration, Timestamp};
use payload::called_url::{CalledUrl, InvalidCalledUrl};
use payload::key::{KeyError, TimedSecret};
use payload::receipt::salted_hash;
use payload::scheme::Scheme;
use secrecy::{ExposeSecret, SecretString};

use crate::problem::ApiError;

/// The most secrets of one source, those that have ended included: a backlog is verified with what was valid when it arrived.
pub(super) const MAX_SECRETS: usize = 3;

/// The longest time for which a replaced secret stays valid, in seconds: a week.
pub(crate) const MAX_OVERLAP: u32 = 7 * 24 * 60 * 60;

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

/// The secrets once `value` takes the place of `previous`, which are valid for `overlap` seconds yet, if not for less already.
pub(super) fn rotated(
    previous: Vec<TimedSecret>,
    value: SecretString,
    now: Timestamp,
    overlap: u32,
) -> Vec<TimedSecret> {
    let end = now
        .checked_add(SignedDuration::from_secs(i64::from(overlap)))
        .unwrap_or(Timestamp::MAX);
    let mut ending: Vec<TimedSecret> = previous
        .into_iter()
        .map(|secret| TimedSecret {
            expires_at: Some(secret.expires_at.map_or(end, |earlier| earlier.min(end))),
            ..secret
        })
        .collect();
    ending.sort_by_key(|secret| std::cmp::Reverse(secret.expires_at));
    ending.truncate(MAX_SECRETS - 1);
    let mut secrets = vec![TimedSecret {
        value,
        created_at: now,
        expires_at: None,
    }];
    secrets.append(&mut ending);
    secrets
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(value: &str, expires_at: Option<i64>) -> TimedSecret {
        TimedSecret {
            value: value.into(),
            created_at: Timestamp::UNIX_EPOCH,
            expires_at: expires_at.map(at),
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds)
    }

    #[test]
    fn what_is_replaced_ends_and_what_ended_longest_ago_goes() {
        let previous = vec![
            secret("oldest", Some(50)),
            secret("old", Some(150)),
            secret("last", None),
        ];
        let shown = |secrets: Vec<TimedSecret>| {
            secrets
                .iter()
                .map(|secret| (secret.value.expose_secret().to_owned(), secret.expires_at))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            shown(rotated(previous.clone(), "new".into(), at(100), 60)),
            [
                ("new".to_owned(), None),
                ("last".to_owned(), Some(at(160))),
                ("old".to_owned(), Some(at(150)))
            ]
        );
        // At once.
        let at_once = rotated(previous, "new".into(), at(100), 0);
        assert!(at_once[1..].iter().all(|secret| !secret.is_valid_at(at(100))));
        assert_eq!(at_once.len(), MAX_SECRETS);
        assert_eq!(
            shown(rotated(Vec::new(), "new".into(), at(100), 0)),
            [("new".to_owned(), None)]
        );
    }
}
