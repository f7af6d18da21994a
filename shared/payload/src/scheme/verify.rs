//! Decides whether a receipt is what its source's scheme says it must be.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use ed25519_dalek::Signature;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha1::Sha1;
use sha2::{Sha256, Sha512};
use subtle::{Choice, ConstantTimeEq};

use super::template::Segment;
use super::{Algorithm, HmacScheme, Placeholder, Scheme, SignatureEncoding, StandardWebhooks};
use crate::Receipt;
use crate::key::Key;

/// What a good signature covered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Proof {
    /// The scheme's kind.
    pub scheme: String,
    /// Whether the raw body is covered.
    pub body: bool,
    /// Whether the message's id is covered, so that nobody can send the same message under another.
    pub id: bool,
    /// Whether a time is covered and was held against the window.
    pub time: bool,
    /// Whether the query string is covered.
    pub query: bool,
}

/// Why a receipt is not verified. It goes to the receipt and the log, never to the sender: each word would help a forger.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// A header that the scheme needs is absent or empty.
    #[error("the header {0} is missing or empty")]
    MissingHeader(String),
    /// The source has no valid secret.
    #[error("the source has no secret that is valid now")]
    NoSecret,
    /// The header holds nothing that the scheme could read as a signature.
    #[error("the header {0} holds no signature of a known version and the right form")]
    NoSignature(String),
    /// None of the signatures fits any of the secrets.
    #[error("no signature matches: the secret is another one, or the body was changed on its way")]
    SignatureMismatch,
    /// The timestamp is not a plain decimal number of seconds, or stands there twice.
    #[error("the timestamp is not plain digits, or stands there more than once")]
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
    #[error("a signed part holds the separator that follows it, so that it could be read in two ways")]
    Ambiguous,
}

impl Rejection {
    /// A stable word for the log, the receipt and the metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::MissingHeader(_) => "missing_header",
            Self::NoSecret => "no_secret",
            Self::NoSignature(_) => "malformed_signature",
            Self::SignatureMismatch => "signature_mismatch",
            Self::MalformedTimestamp => "malformed_timestamp",
            Self::TooOld { .. } => "timestamp_too_old",
            Self::InFuture { .. } => "timestamp_in_future",
            Self::Ambiguous => "ambiguous_signed_part",
        }
    }
}

impl Scheme {
    /// Verifies a receipt over its raw bytes. Everything doubtful is a rejection.
    ///
    /// # Errors
    /// Why the receipt is not verified.
    pub fn verify(&self, receipt: &Receipt, keys: &[Key]) -> Result<Proof, Rejection> {
        if keys.is_empty() {
            return Err(Rejection::NoSecret);
        }
        match self {
            Self::StandardWebhooks(standard) => standard.verify(receipt, keys),
            Self::Hmac(hmac) => hmac.verify(receipt, keys),
        }
    }
}

impl StandardWebhooks {
    fn verify(&self, receipt: &Receipt, keys: &[Key]) -> Result<Proof, Rejection> {
        let id = required(receipt, &format!("{}id", self.header_prefix))?;
        let timestamp = required(receipt, &format!("{}timestamp", self.header_prefix))?;
        let signature_header = format!("{}signature", self.header_prefix);
        let signatures = required(receipt, &signature_header)?;
        check_window(&timestamp, receipt, self.tolerance)?;
        // The specification's separator: an id that holds it could give a part of the body away as the id, or take one.
        if id.contains('.') {
            return Err(Rejection::Ambiguous);
        }
        let mut v1 = Vec::new();
        let mut v1a = Vec::new();
        // Two headers of the same name arrive joined by a comma, which also stands inside an item: only the space separates items.
        for item in signatures.split(' ') {
            match item.split_once(',') {
                Some(("v1", text)) => v1.extend(decode(text, SignatureEncoding::Base64)),
                Some(("v1a", text)) => v1a.extend(decode(text, SignatureEncoding::Base64)),
                _ => {}
            }
        }
        if v1.is_empty() && v1a.is_empty() {
            return Err(Rejection::NoSignature(signature_header));
        }
        let parts = [id.as_bytes(), b".", timestamp.as_bytes(), b".", &receipt.body];
        let mut good = Choice::from(0);
        for key in keys {
            match key {
                Key::Hmac(key) => good |= any_equal(&hmac::<Hmac<Sha256>>(key, &parts), &v1),
                Key::Ed25519(key) => {
                    let message = parts.concat();
                    for signature in v1a.iter().filter_map(|bytes| Signature::from_slice(bytes).ok()) {
                        good |= Choice::from(u8::from(key.verify_strict(&message, &signature).is_ok()));
                    }
                }
            }
        }
        if bool::from(good) {
            Ok(Proof {
                scheme: "standard-webhooks".into(),
                body: true,
                id: true,
                time: true,
                query: false,
            })
        } else {
            Err(Rejection::SignatureMismatch)
        }
    }
}

impl HmacScheme {
    fn verify(&self, receipt: &Receipt, keys: &[Key]) -> Result<Proof, Rejection> {
        let header = required(receipt, &self.header)?;
        let id = self
            .id
            .as_ref()
            .map(|place| required(receipt, &place.header))
            .transpose()?;
        let timestamp = match &self.timestamp {
            None => None,
            Some(place) => {
                let text = required(receipt, &place.header)?;
                let text = match &place.field {
                    None => text,
                    Some(field) => {
                        let mut values = self.items(&text).filter_map(|item| self.named(item, field));
                        let value = values.next().ok_or(Rejection::MalformedTimestamp)?.to_owned();
                        if values.next().is_some() {
                            return Err(Rejection::MalformedTimestamp);
                        }
                        value
                    }
                };
                check_window(&text, receipt, self.tolerance)?;
                Some(text)
            }
        };
        let signatures: Vec<Vec<u8>> = self
            .items(&header)
            .filter_map(|item| {
                self.field
                    .as_deref()
                    .map_or(Some(item), |field| self.named(item, field))
            })
            .filter_map(|value| {
                self.prefix
                    .as_deref()
                    .map_or(Some(value), |prefix| value.strip_prefix(prefix))
            })
            .filter_map(|text| decode(text, self.encoding))
            .collect();
        if signatures.is_empty() {
            return Err(Rejection::NoSignature(self.header.clone()));
        }
        let parts = self.signed_parts(receipt, id.as_deref(), timestamp.as_deref())?;
        let parts: Vec<&[u8]> = parts.iter().map(AsRef::as_ref).collect();
        let mut good = Choice::from(0);
        for key in keys {
            let Key::Hmac(key) = key else { continue };
            let mac = match self.algorithm {
                Algorithm::Sha1 => hmac::<Hmac<Sha1>>(key, &parts),
                Algorithm::Sha256 => hmac::<Hmac<Sha256>>(key, &parts),
                Algorithm::Sha512 => hmac::<Hmac<Sha512>>(key, &parts),
            };
            good |= any_equal(&mac, &signatures);
        }
        if bool::from(good) {
            Ok(Proof {
                scheme: "hmac".into(),
                body: true,
                id: id.is_some(),
                time: timestamp.is_some(),
                query: false,
            })
        } else {
            Err(Rejection::SignatureMismatch)
        }
    }

    fn items<'a>(&'a self, header: &'a str) -> impl Iterator<Item = &'a str> {
        let separator = self.separator.as_deref();
        let mut rest = Some(header);
        std::iter::from_fn(move || {
            let text = rest?;
            let (item, after) = match separator.and_then(|separator| text.split_once(separator)) {
                Some((item, after)) => (item, Some(after)),
                None => (text, None),
            };
            rest = after;
            Some(item.trim_matches(' '))
        })
    }

    fn named<'a>(&self, item: &'a str, field: &str) -> Option<&'a str> {
        item.split_once(self.field_separator.as_str())
            .filter(|(name, _)| *name == field)
            .map(|(_, value)| value)
    }

    fn signed_parts<'a>(
        &'a self,
        receipt: &'a Receipt,
        id: Option<&'a str>,
        timestamp: Option<&'a str>,
    ) -> Result<Vec<Cow<'a, [u8]>>, Rejection> {
        let segments = self.signed.segments();
        let mut parts: Vec<Cow<'a, [u8]>> = Vec::with_capacity(segments.len());
        for (index, segment) in segments.iter().enumerate() {
            let value: Cow<'a, [u8]> = match segment {
                Segment::Literal(text) => Cow::Borrowed(text.as_bytes()),
                Segment::Part(Placeholder::Body) => Cow::Borrowed(&receipt.body),
                Segment::Part(Placeholder::Id) => Cow::Borrowed(id.unwrap_or_default().as_bytes()),
                Segment::Part(Placeholder::Timestamp) => Cow::Borrowed(timestamp.unwrap_or_default().as_bytes()),
                Segment::Part(Placeholder::Method) => Cow::Owned(receipt.method.to_ascii_uppercase().into_bytes()),
                Segment::Part(Placeholder::Header(name)) => Cow::Owned(required(receipt, name)?.into_bytes()),
            };
            let is_free_text = matches!(segment, Segment::Part(Placeholder::Id | Placeholder::Header(_)));
            if let (true, Some(Segment::Literal(separator))) = (is_free_text, segments.get(index + 1))
                && value
                    .windows(separator.len())
                    .any(|window| window == separator.as_bytes())
            {
                return Err(Rejection::Ambiguous);
            }
            parts.push(value);
        }
        Ok(parts)
    }
}

fn required(receipt: &Receipt, name: &str) -> Result<String, Rejection> {
    receipt
        .header(name)
        .filter(|value| !value.is_empty())
        .ok_or_else(|| Rejection::MissingHeader(name.to_ascii_lowercase()))
}

/// Seconds since 1970 in plain ASCII digits, held against the receipt's time: a sign, a space, a fraction or an overflow is a rejection.
fn check_window(text: &str, receipt: &Receipt, tolerance: u32) -> Result<(), Rejection> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Rejection::MalformedTimestamp);
    }
    let seconds: i128 = text.parse().map_err(|_| Rejection::MalformedTimestamp)?;
    if jiff::Timestamp::from_second(i64::try_from(seconds).map_err(|_| Rejection::MalformedTimestamp)?).is_err() {
        return Err(Rejection::MalformedTimestamp);
    }
    let age = i128::from(receipt.received_at.as_second()) - seconds;
    let distance = u64::try_from(age.unsigned_abs()).unwrap_or(u64::MAX);
    if distance <= u64::from(tolerance) {
        return Ok(());
    }
    Err(if age > 0 {
        Rejection::TooOld {
            seconds: distance,
            tolerance,
        }
    } else {
        Rejection::InFuture {
            seconds: distance,
            tolerance,
        }
    })
}

fn decode(text: &str, encoding: SignatureEncoding) -> Option<Vec<u8>> {
    let bytes = match encoding {
        SignatureEncoding::Hex => hex::decode(text).ok(),
        SignatureEncoding::Base64 => STANDARD.decode(text).ok(),
        SignatureEncoding::Base64url => URL_SAFE_NO_PAD.decode(text).or_else(|_| URL_SAFE.decode(text)).ok(),
    }?;
    // `v1,` with nothing after it once passed for a signature elsewhere (RUSTSEC-2024-0010).
    (!bytes.is_empty()).then_some(bytes)
}

fn hmac<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    #[allow(clippy::expect_used, reason = "HMAC takes keys of any length (RFC 2104)")]
    let mut mac = <M as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}

/// Compares every candidate, without stopping at the first that fits. Lengths are public.
fn any_equal(expected: &[u8], candidates: &[Vec<u8>]) -> Choice {
    candidates
        .iter()
        .fold(Choice::from(0), |found, candidate| found | expected.ct_eq(candidate))
}
