//! A provider's connection to us.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::called_url::{CalledUrl, is_whole};
use crate::handshake::Handshake;
use crate::id::{random, token_hash};
use crate::preset::{self, Duplicates, Preset, check_duplicates};
use crate::scheme::{Context, Scheme, SchemeError};
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
    /// Whose webhooks it receives.
    pub provider: Provider,
    /// What differs from what the provider's description says.
    pub options: SourceOptions,
    /// Whether requests are taken.
    pub enabled: bool,
    /// What the credentials in stored headers are hashed with.
    pub salt: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// The ingest tokens that lead here, the newest first.
    pub tokens: Vec<TokenHash>,
    /// How often it was changed, its secrets included.
    pub revision: u64,
}

/// What is kept of an ingest token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenHash {
    /// SHA-256 of the token.
    pub hash: String,
    /// From when on it leads nowhere: it was replaced.
    pub expires_at: Option<Timestamp>,
}

impl TokenHash {
    /// Whether the token still leads to its source.
    #[must_use]
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}

/// Whose webhooks a source receives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Provider {
    /// A preset's name, as `quartr`.
    Preset(String),
    /// A description of the source's own, in the schema of a preset.
    Custom(Box<Preset>),
}

/// What a source adds to its provider's description, or says otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceOptions {
    /// Another scheme than the preset's: the only one then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheme: Option<Scheme>,
    /// What decides about duplicates instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duplicates: Option<Duplicates>,
    /// The URL that the provider calls, as it may be shown: the whole [`CalledUrl`] lies with the secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_url: Option<String>,
    /// What the provider's relative links begin at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// The token of a handshake, as a salted hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify_token_hash: Option<String>,
    /// The status of a success: 202 where it is absent, or 200 or 204 where a provider asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success_status: Option<u16>,
}

/// A source with its provider's description: what really holds.
#[derive(Clone, Copy)]
pub struct Effective<'a> {
    /// The source.
    pub source: &'a Source,
    /// The provider's description.
    pub preset: &'a Preset,
    /// How its requests are verified.
    pub scheme: &'a Scheme,
    /// What decides about duplicates.
    pub duplicates: Duplicates,
    /// What `{url}` stands for in the signed bytes: what is shown of the URL, where that is all of it, until
    /// [the whole one](Self::called) takes its place.
    public_url: Option<&'a str>,
}

impl fmt::Debug for Effective<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Effective")
            .field("source", self.source)
            .finish_non_exhaustive()
    }
}

impl<'a> Effective<'a> {
    /// The same with the whole URL that the provider calls, where the source has one.
    #[must_use]
    pub fn called(self, whole: Option<&'a CalledUrl>) -> Self {
        Self {
            public_url: whole.map(CalledUrl::expose).or(self.public_url),
            ..self
        }
    }

    /// What the source adds to the scheme.
    #[must_use]
    pub fn context(&self) -> Context<'a> {
        Context {
            public_url: self.public_url,
            salt: &self.source.salt,
        }
    }

    /// What `receive` needs to know.
    #[must_use]
    pub fn door(&self) -> Door {
        let options = &self.source.options;
        Door {
            source: self.source.id.clone(),
            organization: self.source.organization.clone(),
            enabled: self.source.enabled,
            suspended: false,
            methods: self.preset.methods.clone(),
            required: self.scheme.required(),
            credentials: self.scheme.credentials(),
            scheme: self.scheme.kind().to_owned(),
            handshake: self.preset.handshake.clone(),
            verify_token_hash: options.verify_token_hash.clone(),
            salt: self.source.salt.clone(),
            expires_at: None,
            success_status: options.success_status.unwrap_or(202),
        }
    }

    /// Whether all of it fits together.
    ///
    /// # Errors
    /// The first field that cannot be right, as a JSON Pointer into the source as the API shows it, and why.
    pub fn check(&self) -> Result<(), SchemeError> {
        let options = &self.source.options;
        if let Provider::Custom(preset) = &self.source.provider {
            preset.check().map_err(|error| error.under("/custom"))?;
        }
        if let Some(scheme) = &options.scheme {
            scheme.check().map_err(|error| error.under("/scheme"))?;
        }
        check_duplicates(self.duplicates, self.scheme, self.preset.event.id.as_ref())?;
        if self.scheme.needs_public_url() && options.public_url.is_none() {
            return Err(SchemeError::new("/publicUrl", "is required: the signed bytes hold it"));
        }
        let hub = matches!(self.preset.handshake, Some(Handshake::HubChallenge(_)));
        if options.verify_token_hash.is_some() && !hub {
            return Err(SchemeError::new(
                "/verifyToken",
                "is for providers that ask with hub.verify_token",
            ));
        }
        // A public URL was checked as a whole when it was read.
        let is_web = |url: &String| Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
        if options
            .base_url
            .as_ref()
            .is_some_and(|url| url.len() > 1024 || !is_web(url))
        {
            return Err(SchemeError::new(
                "/baseUrl",
                "must be an http or https URL of at most 1024 bytes",
            ));
        }
        if options
            .success_status
            .is_some_and(|status| !matches!(status, 200 | 202 | 204))
        {
            return Err(SchemeError::new("/successStatus", "must be 200, 202 or 204"));
        }
        Ok(())
    }
}

impl Source {
    /// The source with its provider's description; nothing where it names a preset that this version does not have.
    #[must_use]
    pub fn effective(&self) -> Option<Effective<'_>> {
        let preset = match &self.provider {
            Provider::Preset(name) => preset::find(name)?,
            Provider::Custom(preset) => preset,
        };
        Some(Effective {
            source: self,
            preset,
            scheme: self.options.scheme.as_ref().unwrap_or(&preset.scheme),
            duplicates: self.options.duplicates.unwrap_or(preset.duplicates),
            public_url: self.options.public_url.as_deref().filter(|shown| is_whole(shown)),
        })
    }
}

/// What `receive` needs to know of a source, found by the hash of the ingest token. No secret is part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Door {
    /// The source.
    pub source: SourceId,
    /// Its tenant.
    pub organization: OrganizationId,
    /// Whether requests are taken.
    pub enabled: bool,
    /// Whether its organization is suspended: then senders are asked to come again later.
    pub suspended: bool,
    /// The methods that the provider uses.
    pub methods: Vec<String>,
    /// What a request cannot be verified without, as [`Scheme::required`] names it; it is refused before anything is written.
    pub required: Vec<String>,
    /// What is a secret in a request, as [`Scheme::credentials`] names it: kept only as a hash.
    pub credentials: Vec<String>,
    /// The kind of the source's scheme, which each receipt keeps.
    pub scheme: String,
    /// How the provider makes sure that the receiving URL is wanted.
    pub handshake: Option<Handshake>,
    /// The token of that handshake, as a salted hash.
    pub verify_token_hash: Option<String>,
    /// What credentials are hashed with.
    pub salt: String,
    /// From when on the token that was used leads nowhere: it was replaced.
    pub expires_at: Option<Timestamp>,
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

    /// What a source keeps of it, as long as no other takes its place.
    #[must_use]
    pub fn kept(&self) -> TokenHash {
        TokenHash {
            hash: self.hash(),
            expires_at: None,
        }
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
