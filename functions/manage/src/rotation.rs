//! What takes the place of a secret or of an ingest token, and for how long the one before stays valid.

use jiff::{SignedDuration, Timestamp};
use payload::key::TimedSecret;
use payload::source::{IngestToken, TokenHash};
use secrecy::SecretString;

use crate::problem::ApiError;

/// The most secrets of one owner and tokens of one source, those that have ended included: a backlog is verified with what was valid when it
/// arrived.
pub(crate) const MAX_VALID: usize = 3;

/// The longest time for which what was replaced stays valid, in seconds: a week.
pub(crate) const MAX_OVERLAP: u32 = 7 * 24 * 60 * 60;

/// The time for which what was replaced stays valid where a rotation says nothing of it, in seconds: a day.
const DEFAULT_OVERLAP: u32 = 24 * 60 * 60;

/// The overlap of a rotation, in seconds, which stands at `pointer`.
pub(crate) fn overlap(seconds: Option<u32>, pointer: &str) -> Result<u32, ApiError> {
    match seconds {
        Some(seconds) if seconds > MAX_OVERLAP => Err(ApiError::invalid(
            pointer,
            format!("is out of range: 0 to {MAX_OVERLAP} seconds"),
        )),
        given => Ok(given.unwrap_or(DEFAULT_OVERLAP)),
    }
}

fn end(now: Timestamp, overlap: u32) -> Timestamp {
    now.checked_add(SignedDuration::from_secs(i64::from(overlap)))
        .unwrap_or(Timestamp::MAX)
}

/// The tokens once `token` takes the place of `previous`, as with secrets. Those that have ended are gone.
///
/// # Errors
/// When too many are still valid: one that was promised to lead here for longer does.
pub(crate) fn rotated_tokens(
    previous: Vec<TokenHash>,
    token: &IngestToken,
    now: Timestamp,
    overlap: u32,
) -> Result<Vec<TokenHash>, ApiError> {
    let end = end(now, overlap);
    let ending = previous.into_iter().map(|token| TokenHash {
        expires_at: Some(token.expires_at.map_or(end, |earlier| earlier.min(end))),
        ..token
    });
    let mut tokens = vec![token.kept()];
    tokens.extend(ending.filter(|token| token.is_valid_at(now)));
    if tokens.len() > MAX_VALID {
        return Err(ApiError::invalid(
            "/previousExpiresIn",
            format!(
                "there would be more than {MAX_VALID} valid receiving URLs: give 0 to end those before, or wait for one to end"
            ),
        ));
    }
    Ok(tokens)
}

/// The secrets once `value` takes the place of `previous`, which are valid for `overlap` seconds yet, if not for less already.
pub(crate) fn rotated(
    previous: Vec<TimedSecret>,
    value: SecretString,
    now: Timestamp,
    overlap: u32,
) -> Vec<TimedSecret> {
    let end = end(now, overlap);
    let mut ending: Vec<TimedSecret> = previous
        .into_iter()
        .map(|secret| TimedSecret {
            expires_at: Some(secret.expires_at.map_or(end, |earlier| earlier.min(end))),
            ..secret
        })
        .collect();
    ending.sort_by_key(|secret| std::cmp::Reverse(secret.expires_at));
    ending.truncate(MAX_VALID - 1);
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
    use secrecy::ExposeSecret;

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
        assert_eq!(at_once.len(), MAX_VALID);
        assert_eq!(
            shown(rotated(Vec::new(), "new".into(), at(100), 0)),
            [("new".to_owned(), None)]
        );
    }
}
