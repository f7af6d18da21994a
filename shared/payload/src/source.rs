//! A provider's connection to us.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use crate::id::{random, token_hash};
use crate::{OrganizationId, SourceId};

/// A registered source. No secret is part of it: those lie in their own table, the ingest token only as a hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its name for machines; no secret.
    pub id: SourceId,
    /// The tenant.
    pub organization: OrganizationId,
    /// Its name for people.
    pub name: String,
    /// The preset's name, as `quartr`.
    pub preset: String,
    /// Whether requests are taken.
    pub enabled: bool,
    /// What the credentials in stored headers are hashed with.
    pub salt: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// SHA-256 of the ingest tokens that lead here.
    pub token_hashes: Vec<String>,
}

/// What `receive` needs to know of a source, found by the hash of the ingest token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Door {
    /// The source.
    pub source: SourceId,
    /// Its tenant.
    pub organization: OrganizationId,
    /// Whether requests are taken.
    pub enabled: bool,
    /// The methods that the provider uses.
    pub methods: Vec<String>,
    /// Headers without which a request cannot be verified; it is refused before anything is written.
    pub required_headers: Vec<String>,
    /// Headers whose values are credentials under this source's scheme.
    pub credential_headers: Vec<String>,
    /// What credentials are hashed with.
    pub salt: String,
    /// The status of a success: 202, or 200 or 204 where a provider asks for it.
    pub success_status: u16,
}

/// The secret part of a receiving URL: 192 random bits. We keep only its hash.
#[derive(Clone)]
pub struct IngestToken(SecretString);

/// A text that cannot be an ingest token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an ingest token")]
pub struct InvalidToken;

impl IngestToken {
    /// A new token.
    #[must_use]
    pub fn generate() -> Self {
        Self(format!("in_{}", URL_SAFE_NO_PAD.encode(random::<24>())).into())
    }

    /// The token itself, for the receiving URL that is shown once.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// The form in which it is kept.
    #[must_use]
    pub fn hash(&self) -> String {
        token_hash(self.expose())
    }
}

impl FromStr for IngestToken {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        let valid = text.strip_prefix("in_").is_some_and(|rest| {
            rest.len() == 32
                && rest
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        });
        if valid {
            Ok(Self(text.into()))
        } else {
            Err(InvalidToken)
        }
    }
}

impl fmt::Debug for IngestToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IngestToken([REDACTED])")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;

    #[test]
    fn a_token_reads_back_and_stays_out_of_debug() {
        let token = IngestToken::generate();
        assert_eq!(token.expose().parse::<IngestToken>().unwrap().hash(), token.hash());
        assert!(!format!("{token:?}").contains(&token.expose()[3..]));
        for bad in [
            "",
            "in_",
            "in_short",
            "xx_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "in_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/",
        ] {
            assert!(bad.parse::<IngestToken>().is_err(), "{bad}");
        }
    }
}
