//! Entity tags: who changes something can say which state of it the change is made for.
//!
//! The tag is the number of changes that a registration has seen, its secrets included. It names what was registered, and not how that does:
//! `health` changes without it.

use axum::http::HeaderMap;
use axum::http::header::{ETAG, HeaderName, IF_MATCH};

use crate::problem::ApiError;

/// The header with the tag of something that was changed `revision` times.
pub(crate) fn etag(revision: u64) -> [(HeaderName, String); 1] {
    [(ETAG, tag(revision))]
}

fn tag(revision: u64) -> String {
    format!("\"{revision}\"")
}

/// Whether a change may go on: `If-Match` is absent, is `*`, or names the state that is there
/// ([RFC 9110](https://www.rfc-editor.org/rfc/rfc9110#name-if-match), by strong comparison).
pub(crate) fn check(headers: &HeaderMap, revision: u64) -> Result<(), ApiError> {
    let mut values = headers.get_all(IF_MATCH).iter().peekable();
    if values.peek().is_none() {
        return Ok(());
    }
    let current = tag(revision);
    let is_it = |tag: &str| tag == "*" || tag == current;
    let any = values.any(|value| {
        let tags = value.to_str().unwrap_or_default().split(',');
        tags.map(str::trim).any(is_it)
    });
    if any { Ok(()) } else { Err(ApiError::PreconditionFailed) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;

    fn passes(values: &[&str], revision: u64) -> bool {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(IF_MATCH, value.parse().unwrap());
        }
        check(&headers, revision).is_ok()
    }

    #[test]
    fn only_the_state_that_is_there_passes() {
        assert!(passes(&[], 3));
        assert!(passes(&["*"], 3));
        assert!(passes(&["\"3\""], 3));
        assert!(passes(&["\"1\", \"3\""], 3));
        assert!(passes(&["\"1\"", "\"3\""], 3));
        for stale in ["\"2\"", "3", "W/\"3\"", "", "\"33\"", "\"3", "'3'"] {
            assert!(!passes(&[stale], 3), "{stale}");
        }
    }
}
