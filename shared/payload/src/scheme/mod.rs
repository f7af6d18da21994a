//! How a provider proves that a request is its own, as data.
//!
//! A [`Scheme`] is what a preset file or a custom source says; [`Scheme::check`] refuses what could never verify anything safely, and
//! [`Scheme::verify`] decides about one receipt. Nothing is parsed before the signature over the raw bytes is known to be good.

mod check;
mod credential;
mod header;
mod signed;
mod standard;
mod template;
#[cfg(test)]
mod tests;
mod timestamp;
mod verify;

use serde::{Deserialize, Serialize};

pub use check::SchemeError;
pub(crate) use check::{check_header_name, check_parameter_name, check_pointer};
pub(crate) use credential::keys as credential_keys;
pub use credential::{Credential, PARAMETER_PREFIX};
#[cfg(feature = "openapi")]
pub(crate) use template::MAX_TEMPLATE_BYTES;
pub(crate) use template::METHODS;
pub use template::{Placeholder, Template, TemplateError};
pub use verify::{Context, Proof, Rejection};

/// The only scheme of a source. Header families are never mixed: what is not named here is not looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Scheme {
    /// The [Standard Webhooks specification](https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).
    StandardWebhooks(StandardWebhooks),
    /// A keyed hash (RFC 2104) over a template of the request's parts, in a header.
    Hmac(Signed),
    /// An Ed25519 signature (RFC 8032) over a template of the request's parts, in a header. The secret is the sender's public key.
    Ed25519(Signed),
    /// An ECDSA signature (FIPS 186-5) with the curve P-256 and SHA-256 over a template of the request's parts, in a header. The secret is
    /// the sender's public key.
    EcdsaP256(Signed),
    /// A secret that is sent along as it is. Only its hash is stored.
    Token(Token),
    /// User and password (RFC 7617), as `user:password`. Only their hash is stored.
    Basic(Basic),
    /// Nothing but the receiving URL, which cannot be guessed.
    None(Unsigned),
}

/// Settings of Standard Webhooks: `v1` is HMAC-SHA256 and `v1a` is ed25519, both over `id.timestamp.body`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StandardWebhooks {
    /// What the names of the three headers begin with: `webhook-`, or `svix-` from older senders.
    #[serde(default = "default_header_prefix")]
    pub header_prefix: String,
    /// How the secret's text becomes the key.
    #[serde(default = "default_standard_key")]
    pub key: KeyEncoding,
    /// How far the timestamp may be from `received_at`, to both sides, in seconds.
    #[serde(default = "default_tolerance")]
    pub tolerance: u32,
}

/// Settings of a signature over parts of the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Signed {
    /// The hash function; required for, and only for, the kind `hmac`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<Algorithm>,
    /// The header that holds the signature.
    pub header: String,
    /// What stands between several items in that header; absent when it holds one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub separator: Option<String>,
    /// The name of the item that is the signature, where items have names (`v1` in `t=…,v1=…`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What stands between an item's name and its value.
    #[serde(
        default = "default_field_separator",
        skip_serializing_if = "is_default_field_separator"
    )]
    pub field_separator: String,
    /// What the signature begins with and is not part of it (`sha256=`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// How the signature's bytes are written.
    pub encoding: SignatureEncoding,
    /// How the secret's text becomes the key; only for the kind `hmac`. A public key is read as PEM, base64 or hex, whichever it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyEncoding>,
    /// How the two numbers of an ECDSA signature are put together; only for the kind `ecdsa-p256`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub form: Option<EcdsaForm>,
    /// The bytes that are signed.
    pub signed: Template,
    /// Where the id stands that `{id}` in the template means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<HeaderPlace>,
    /// Where the timestamp stands, which is then held against the window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<TimestampPlace>,
    /// How far the timestamp may be from `received_at`, to both sides, in seconds.
    #[serde(default = "default_tolerance", skip_serializing_if = "is_default_tolerance")]
    pub tolerance: u32,
}

/// Where a secret stands that is sent along as it is: in a header or in a query parameter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Token {
    /// The header's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// The query parameter's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// What stands before the secret and is not part of it (`Bearer `).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
}

/// Settings of basic authentication: there are none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Basic {}

/// Settings where nothing is proven: there are none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Unsigned {}

/// A hash function for HMAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// SHA-1: only for providers that offer nothing newer. As HMAC it is not known to be broken.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

/// How a signature's bytes are written as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum SignatureEncoding {
    /// Hexadecimal digits of either case.
    Hex,
    /// Base64 with padding (RFC 4648 section 4).
    Base64,
    /// Base64url, with or without padding (RFC 4648 section 5).
    Base64url,
}

/// How a secret's text becomes the bytes of an HMAC key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum KeyEncoding {
    /// The text's own bytes, prefix and all.
    #[default]
    Utf8,
    /// Base64 after the text up to and including the last `_` (`whsec_`), if there is one.
    Base64,
    /// Hexadecimal digits.
    Hex,
    /// The provider does not say: the text's own bytes are tried, and what it decodes to as base64. Both are equally secret.
    Either,
}

/// How the two numbers of an ECDSA signature are put together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum EcdsaForm {
    /// As an ASN.1 sequence in DER (RFC 3279 section 2.2.3).
    #[default]
    Der,
    /// One after the other, 32 bytes each (IEEE P1363).
    Raw,
}

/// A header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HeaderPlace {
    /// The header's name; compared without case.
    pub header: String,
}

/// Where and how a timestamp stands: in a header, in a field of one, or in the JSON body, which the signature covers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TimestampPlace {
    /// The header's name; compared without case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// The field in it, split as the signature's header is (`t` in `t=…,v1=…`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// A JSON Pointer (RFC 6901) into the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// How it is written.
    #[serde(default)]
    pub unit: TimestampUnit,
}

/// How a timestamp is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum TimestampUnit {
    /// Seconds since 1970 in plain digits.
    #[default]
    S,
    /// Milliseconds since 1970 in plain digits.
    Ms,
    /// A date and time with its offset (RFC 3339).
    Rfc3339,
}

/// How much a scheme proves: what is verified again in bulk must not prove less than what it came for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strength {
    /// Nothing beyond the receiving URL.
    Nothing,
    /// A secret that everybody has who sees one request.
    Credential,
    /// The content of the request.
    Signature,
}

impl Strength {
    /// The strength of the kind that a receipt names; unknown kinds are of a later version and count as signatures, to be on the safe side.
    #[must_use]
    pub fn of_kind(kind: &str) -> Self {
        match kind {
            "none" => Self::Nothing,
            "token" | "basic" => Self::Credential,
            _ => Self::Signature,
        }
    }
}

fn default_header_prefix() -> String {
    "webhook-".into()
}

fn default_standard_key() -> KeyEncoding {
    KeyEncoding::Base64
}

fn default_tolerance() -> u32 {
    300
}

fn is_default_tolerance(tolerance: &u32) -> bool {
    *tolerance == default_tolerance()
}

fn default_field_separator() -> String {
    "=".into()
}

fn is_default_field_separator(separator: &str) -> bool {
    separator == "="
}

impl Scheme {
    /// The scheme's kind, as it is written in JSON.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::StandardWebhooks(_) => "standard-webhooks",
            Self::Hmac(_) => "hmac",
            Self::Ed25519(_) => "ed25519",
            Self::EcdsaP256(_) => "ecdsa-p256",
            Self::Token(_) => "token",
            Self::Basic(_) => "basic",
            Self::None(_) => "none",
        }
    }

    /// How much it proves.
    #[must_use]
    pub fn strength(&self) -> Strength {
        Strength::of_kind(self.kind())
    }

    /// Whether a source needs a secret for it.
    #[must_use]
    pub fn needs_secret(&self) -> bool {
        !matches!(self, Self::None(_))
    }

    /// Whether the signed bytes hold the source's public URL, so that the source must say it.
    #[must_use]
    pub fn needs_public_url(&self) -> bool {
        self.signed()
            .is_some_and(|signed| signed.signed.contains(&Placeholder::Url))
    }

    /// What a request cannot be verified without: names of headers in lower case, and of query parameters behind a `?`. `receive` refuses
    /// to store a request that lacks one.
    #[must_use]
    pub fn required(&self) -> Vec<String> {
        let mut names = match self {
            Self::StandardWebhooks(standard) => ["signature", "id", "timestamp"]
                .iter()
                .map(|part| format!("{}{part}", standard.header_prefix))
                .collect(),
            Self::Hmac(signed) | Self::Ed25519(signed) | Self::EcdsaP256(signed) => {
                let mut names = vec![signed.header.clone()];
                names.extend(signed.id.iter().map(|place| place.header.clone()));
                names.extend(signed.timestamp.iter().filter_map(|place| place.header.clone()));
                names
            }
            Self::Token(_) | Self::Basic(_) => self.credentials(),
            Self::None(_) => Vec::new(),
        };
        names.iter_mut().for_each(|name| {
            if !name.starts_with(PARAMETER_PREFIX) {
                name.make_ascii_lowercase();
            }
        });
        names.dedup();
        names
    }

    /// What is a secret in a request, to be kept only as a hash: names of headers in lower case, and of query parameters behind a `?`.
    #[must_use]
    pub fn credentials(&self) -> Vec<String> {
        match self {
            Self::Token(token) => vec![token.name()],
            Self::Basic(_) => vec!["authorization".into()],
            _ => Vec::new(),
        }
    }

    /// Whether the signature covers this header, so that what stands in it may decide what is a duplicate.
    #[must_use]
    pub fn covers_header(&self, name: &str) -> bool {
        match self {
            Self::StandardWebhooks(standard) => {
                name.eq_ignore_ascii_case(&format!("{}id", standard.header_prefix))
                    || name.eq_ignore_ascii_case(&format!("{}timestamp", standard.header_prefix))
            }
            _ => self.signed().is_some_and(|signed| signed.covers_header(name)),
        }
    }

    /// Whether the signature covers the query string.
    #[must_use]
    pub fn covers_query(&self) -> bool {
        self.signed()
            .is_some_and(|signed| signed.signed.contains(&Placeholder::Query))
    }

    fn signed(&self) -> Option<&Signed> {
        match self {
            Self::Hmac(signed) | Self::Ed25519(signed) | Self::EcdsaP256(signed) => Some(signed),
            _ => None,
        }
    }
}
