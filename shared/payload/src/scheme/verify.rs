//! Decides whether a receipt is what its source's scheme says it must be.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Scheme, credential};
use crate::Receipt;
use crate::key::Key;

/// What a source adds to its scheme.
#[derive(Clone, Copy, Default)]
pub struct Context<'a> {
    /// What `{url}` stands for in the signed bytes.
    pub public_url: Option<&'a str>,
    /// What credentials are hashed with.
    pub salt: &'a str,
}

impl fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL may hold an ingest token.
        f.debug_struct("Context").finish_non_exhaustive()
    }
}

/// What a good signature covered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Proof {
    /// The scheme's kind.
    pub scheme: Cow<'static, str>,
    /// Whether the raw body is covered.
    pub body: bool,
    /// Whether the message's id is covered, so that nobody can send the same message under another.
    pub id: bool,
    /// Whether a time is covered and was held against the window.
    pub time: bool,
    /// Whether the query string is covered.
    pub query: bool,
}

impl Proof {
    /// Nothing of the request's content is covered.
    #[must_use]
    pub fn of_nothing(scheme: &'static str) -> Self {
        Self {
            scheme: scheme.into(),
            body: false,
            id: false,
            time: false,
            query: false,
        }
    }
}

/// Why a receipt is not verified. It goes to the receipt and the log, never to the sender: each word would help a forger.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// A header (or, behind a `?`, a query parameter) that the scheme needs is absent or empty.
    #[error("{0} is missing or empty")]
    MissingHeader(String),
    /// A credential was sent more than once.
    #[error("{0} was sent more than once")]
    Repeated(String),
    /// The source has no valid secret.
    #[error("the source has no secret that is valid now")]
    NoSecret,
    /// The header holds nothing that the scheme could read as a signature.
    #[error("the header {0} holds no signature of a known version and the right form")]
    NoSignature(String),
    /// None of the signatures fits any of the secrets.
    #[error("no signature matches: the secret is another one, or the body was changed on its way")]
    SignatureMismatch,
    /// The token, or user and password, are others.
    #[error("the token, or the user and password, are not those of the source")]
    CredentialMismatch,
    /// The timestamp is not of the form that the scheme says, or stands there twice.
    #[error("the timestamp is not of the form that the scheme says, or stands there more than once")]
    MalformedTimestamp,
    /// The timestamp is too far from `received_at`.
    #[error("the timestamp is {seconds} s older than the receipt; {tolerance} s are allowed")]
    TooOld {
        /// How much older.
        seconds: u64,
        /// How much is allowed.
        tolerance: u32,
    },
    /// The timestamp is too far ahead of `received_at`.
    #[error("the timestamp is {seconds} s ahead of the receipt; {tolerance} s are allowed")]
    InFuture {
        /// How far ahead.
        seconds: u64,
        /// How much is allowed.
        tolerance: u32,
    },
    /// A signed part holds the text that separates it from the next: the same signature would fit another reading.
    #[error("a signed part holds the text that separates it from another, so that it could be read in two ways")]
    Ambiguous,
    /// The signed bytes hold the public URL, and the source does not say it.
    #[error("the signed bytes hold the source's public URL, and the source has none")]
    NoPublicUrl,
}

impl Rejection {
    /// A stable word for the log, the receipt and the metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::MissingHeader(_) => "missing_header",
            Self::Repeated(_) => "repeated_credential",
            Self::NoSecret => "no_secret",
            Self::NoSignature(_) => "malformed_signature",
            Self::SignatureMismatch => "signature_mismatch",
            Self::CredentialMismatch => "credential_mismatch",
            Self::MalformedTimestamp => "malformed_timestamp",
            Self::TooOld { .. } => "timestamp_too_old",
            Self::InFuture { .. } => "timestamp_in_future",
            Self::Ambiguous => "ambiguous_signed_part",
            Self::NoPublicUrl => "no_public_url",
        }
    }
}

impl Scheme {
    /// Decides about one receipt, with the keys of every secret that is valid: any of them may fit. Every doubt is a rejection.
    ///
    /// # Errors
    /// Why the receipt is not verified.
    pub fn verify(&self, receipt: &Receipt, keys: &[Key], context: &Context<'_>) -> Result<Proof, Rejection> {
        if keys.is_empty() && self.needs_secret() {
            return Err(Rejection::NoSecret);
        }
        match self {
            Self::StandardWebhooks(standard) => standard.verify(receipt, keys),
            Self::Hmac(signed) | Self::Ed25519(signed) | Self::EcdsaP256(signed) => {
                signed.verify(self.kind(), receipt, keys, context)
            }
            Self::Token(token) => credential::verify(self.kind(), &token.name(), receipt, keys, context),
            Self::Basic(_) => credential::verify(self.kind(), "authorization", receipt, keys, context),
            Self::None(_) => Ok(Proof::of_nothing(self.kind())),
        }
    }

    /// What tells a message from others by the bytes that the signature covers; nothing where none does, or where they cannot be put
    /// together. Of Standard Webhooks it is the id and the body: a repetition has another timestamp.
    #[must_use]
    pub fn signed_bytes(&self, receipt: &Receipt, context: &Context<'_>) -> Option<Vec<u8>> {
        match self {
            Self::StandardWebhooks(standard) => standard.message(receipt),
            Self::Hmac(signed) | Self::Ed25519(signed) | Self::EcdsaP256(signed) => signed.bytes(receipt, context),
            Self::Token(_) | Self::Basic(_) | Self::None(_) => None,
        }
    }
}
