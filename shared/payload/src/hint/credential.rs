//! Secrets that are sent along: what their hashes tell. A hash is equal or it is not, so that little can be tried.

use secrecy::ExposeSecret;

use super::Trials;
use super::elsewhere::{is_name, shown};
use crate::receipt::{Header, HeaderValue, salted_hash};
use crate::scheme::Scheme;

/// What senders write where a secret should have been put in.
const PLACEHOLDERS: &[&str] = &["", "null", "undefined", "None"];

/// What is written before a secret.
const PREFIXES: &[&str] = &["Bearer ", "bearer ", "Token ", "token ", "Basic "];

/// The hashes that the source keeps.
fn stored(trials: &Trials<'_>) -> Vec<String> {
    let texts = trials.secrets.iter().map(|secret| secret.expose_secret());
    texts.flat_map(|text| text.split(' ').map(str::to_owned)).collect()
}

/// Whether this text is one of the source's secrets.
fn is_secret(trials: &mut Trials<'_>, stored: &[String], text: &str) -> bool {
    trials.count(1).is_some() && stored.contains(&salted_hash(trials.context.salt, text.as_bytes()))
}

fn prefix(scheme: &Scheme) -> &str {
    match scheme {
        Scheme::Token(token) => token.prefix.as_deref().unwrap_or_default(),
        _ => "",
    }
}

/// What was sent is not the secret.
pub(super) fn mismatch(trials: &mut Trials<'_>, scheme: &Scheme) -> Option<String> {
    let name = scheme.credentials().into_iter().next()?;
    let sent = trials
        .receipt
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case(&name))?;
    let text = match &sent.value {
        HeaderValue::Hashed(hash) => left_out(trials, scheme, hash),
        HeaderValue::Text(text) => otherwise_written(trials, scheme, text),
    };
    text.map(str::to_owned).or_else(|| elsewhere(trials, scheme))
}

/// Whether the sender sent nothing, or the name of nothing.
fn left_out(trials: &mut Trials<'_>, scheme: &Scheme, hash: &str) -> Option<&'static str> {
    let prefix = prefix(scheme);
    for placeholder in PLACEHOLDERS {
        for text in [
            format!("{prefix}{placeholder}"),
            format!("Bearer {placeholder}"),
            (*placeholder).to_owned(),
        ] {
            trials.count(1)?;
            // Spaces at the end of a value are not part of it (RFC 9110 section 5.5).
            if salted_hash(trials.context.salt, text.trim_end().as_bytes()) == hash {
                return Some("The sender sent no secret: what stands there is empty, or a word for nothing.");
            }
        }
    }
    None
}

/// Whether what was sent fits with something added or left out. Only what came in before the source had this scheme stands here as it was.
fn otherwise_written(trials: &mut Trials<'_>, scheme: &Scheme, text: &str) -> Option<&'static str> {
    let stored = stored(trials);
    let trimmed = text.trim();
    if trimmed != text && is_secret(trials, &stored, trimmed) {
        return Some("The secret fits without the white space around it.");
    }
    let prefix = prefix(scheme);
    if !prefix.is_empty() && is_secret(trials, &stored, &format!("{prefix}{trimmed}")) {
        return Some("The secret fits, but was sent without the prefix that the scheme says.");
    }
    for known in PREFIXES {
        if let Some(rest) = trimmed.strip_prefix(known)
            && is_secret(trials, &stored, rest)
        {
            return Some(
                "The secret fits without the word before it: the scheme must say it as its prefix, and the secret be entered again.",
            );
        }
        if is_secret(trials, &stored, &format!("{known}{trimmed}")) {
            return Some("The secret fits with a word like Bearer before it: it was entered together with that word.");
        }
    }
    None
}

/// Whether the secret stands in another place of the request than the scheme says.
pub(super) fn elsewhere(trials: &mut Trials<'_>, scheme: &Scheme) -> Option<String> {
    let own = scheme.credentials().into_iter().next()?;
    let stored = stored(trials);
    let others = |header: &&Header| !header.name.eq_ignore_ascii_case(&own);
    for header in trials.receipt.headers.iter().filter(others) {
        let found = match &header.value {
            HeaderValue::Hashed(hash) => stored.contains(hash),
            HeaderValue::Text(text) => is_secret(trials, &stored, text),
        };
        if found && is_name(header.name.trim_start_matches('?')) {
            return Some(format!(
                "The right secret was sent, but in {}: the scheme must name that place.",
                shown(&header.name)
            ));
        }
    }
    None
}
