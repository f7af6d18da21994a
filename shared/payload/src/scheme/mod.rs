//! How a provider proves that a request is its own, as data.
//!
//! A [`Scheme`] is what a preset file or a custom source says; [`Scheme::check`] refuses what could never verify anything safely, and
//! [`Scheme::verify`] decides about one receipt. Nothing is parsed before the signature over the raw bytes is known to be good.

mod template;
mod verify;

use serde::{Deserialize, Serialize};

pub use template::{Placeholder, Template};
pub use verify::{Proof, Rejection};

/// The only scheme of a source. Header families are never mixed: what is not named here is not looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Scheme {
    /// The [Standard Webhooks specification](https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).
    StandardWebhooks(StandardWebhooks),
    /// A keyed hash (RFC 2104) over a template of the request's parts, in a header.
    Hmac(HmacScheme),
}

/// Settings of Standard Webhooks: `v1` is HMAC-SHA256 and `v1a` is ed25519, both over `id.timestamp.body`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

/// Settings of a keyed hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HmacScheme {
    /// The hash function.
    pub algorithm: Algorithm,
    /// The header that holds the signature.
    pub header: String,
    /// What stands between several items in that header; absent when it holds one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub separator: Option<String>,
    /// The name of the item that is the signature, where items have names (`v1` in `t=…,v1=…`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What stands between an item's name and its value.
    #[serde(default = "default_field_separator")]
    pub field_separator: String,
    /// What the signature begins with and is not part of it (`sha256=`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// How the signature's bytes are written.
    pub encoding: SignatureEncoding,
    /// How the secret's text becomes the key.
    #[serde(default)]
    pub key: KeyEncoding,
    /// The bytes that are signed.
    pub signed: Template,
    /// Where the id stands that `{id}` in the template means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<HeaderPlace>,
    /// Where the timestamp stands, which is then held against the window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<TimestampPlace>,
    /// How far the timestamp may be from `received_at`, to both sides, in seconds.
    #[serde(default = "default_tolerance")]
    pub tolerance: u32,
}

/// A hash function for HMAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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

/// A header, or a named field in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HeaderPlace {
    /// The header's name; compared without case.
    pub header: String,
}

/// Where and how a timestamp stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TimestampPlace {
    /// The header's name; compared without case.
    pub header: String,
    /// The field in it, split as the signature's header is (`t` in `t=…,v1=…`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

/// What is wrong with a scheme.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct SchemeError {
    /// The field, as it is written in JSON.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: String,
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

fn default_field_separator() -> String {
    "=".into()
}

/// The widest window: deduplication keeps events for weeks, but no provider needs more than a day.
const MAX_TOLERANCE: u32 = 24 * 60 * 60;

impl Scheme {
    /// The scheme's kind, as it is written in JSON.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::StandardWebhooks(_) => "standard-webhooks",
            Self::Hmac(_) => "hmac",
        }
    }

    /// The headers without which a request cannot be verified, in lower case: `receive` refuses to store a request that lacks one.
    #[must_use]
    pub fn required_headers(&self) -> Vec<String> {
        let mut names = match self {
            Self::StandardWebhooks(standard) => ["signature", "id", "timestamp"]
                .iter()
                .map(|part| format!("{}{part}", standard.header_prefix))
                .collect(),
            Self::Hmac(hmac) => {
                let mut names = vec![hmac.header.clone()];
                names.extend(hmac.id.iter().map(|place| place.header.clone()));
                names.extend(hmac.timestamp.iter().map(|place| place.header.clone()));
                names
            }
        };
        names.iter_mut().for_each(|name| name.make_ascii_lowercase());
        names.dedup();
        names
    }

    /// Whether the signature covers the id that the scheme itself reads (`{id}`), so that this id may decide what is a duplicate.
    #[must_use]
    pub fn covers_header(&self, name: &str) -> bool {
        match self {
            Self::StandardWebhooks(standard) => {
                name.eq_ignore_ascii_case(&format!("{}id", standard.header_prefix))
                    || name.eq_ignore_ascii_case(&format!("{}timestamp", standard.header_prefix))
            }
            Self::Hmac(hmac) => hmac.signed.placeholders().any(|placeholder| match placeholder {
                Placeholder::Id => hmac
                    .id
                    .as_ref()
                    .is_some_and(|place| place.header.eq_ignore_ascii_case(name)),
                Placeholder::Header(header) => header.eq_ignore_ascii_case(name),
                Placeholder::Timestamp | Placeholder::Body | Placeholder::Method => false,
            }),
        }
    }

    /// Whether the scheme can work at all.
    ///
    /// # Errors
    /// The first field that cannot be right, and why.
    pub fn check(&self) -> Result<(), SchemeError> {
        let fail = |field, problem: &str| {
            Err(SchemeError {
                field,
                problem: problem.into(),
            })
        };
        let header_name = |field, name: &str| {
            if name.is_empty()
                || name.len() > 100
                || !name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            {
                return fail(field, "is not a header name: letters, digits, - and _, at most 100");
            }
            Ok(())
        };
        let tolerance = match self {
            Self::StandardWebhooks(standard) => {
                header_name("headerPrefix", &standard.header_prefix)?;
                if standard.key == KeyEncoding::Hex {
                    return fail("key", "Standard Webhooks secrets are base64 or text");
                }
                standard.tolerance
            }
            Self::Hmac(hmac) => {
                hmac.check_parts(&header_name)?;
                hmac.tolerance
            }
        };
        if tolerance == 0 || tolerance > MAX_TOLERANCE {
            return fail("tolerance", "is out of range: 1 to 86400 seconds");
        }
        Ok(())
    }
}

impl HmacScheme {
    fn check_parts(
        &self,
        header_name: &dyn Fn(&'static str, &str) -> Result<(), SchemeError>,
    ) -> Result<(), SchemeError> {
        let fail = |field, problem: &str| {
            Err(SchemeError {
                field,
                problem: problem.into(),
            })
        };
        header_name("header", &self.header)?;
        if let Some(id) = &self.id {
            header_name("id.header", &id.header)?;
        }
        if let Some(timestamp) = &self.timestamp {
            header_name("timestamp.header", &timestamp.header)?;
        }
        if self.separator.as_deref() == Some("") {
            return fail(
                "separator",
                "is empty: leave it out where the header holds one signature",
            );
        }
        if self.field_separator.is_empty() {
            return fail("fieldSeparator", "is empty");
        }
        if self.signed.contains(&Placeholder::Id) != self.id.is_some() {
            return fail("id", "must be given when, and only when, the template has {id}");
        }
        if self.signed.contains(&Placeholder::Timestamp) != self.timestamp.is_some() {
            return fail(
                "timestamp",
                "must be given when, and only when, the template has {timestamp}: one that is not signed proves nothing",
            );
        }
        Ok(())
    }
}
