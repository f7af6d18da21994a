//! One HTTP request as it arrived, and what became of it.

use std::borrow::Cow;

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::{EventId, OrganizationId, ReceiptId, SourceId, TraceId};

/// The largest raw body that is taken: 1 MiB. Longer ones are answered with 413 before anything is written.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;

/// The largest stored body, compressed: an item of DynamoDB holds 400 KB, and later steps add headers and metadata to it.
pub const MAX_STORED_BODY_BYTES: usize = 350 * 1024;

/// One HTTP request to a receiving URL, stored raw before it is acknowledged. Its path, which holds the ingest token, is not part of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Receipt {
    /// Its name, which sorts by time.
    pub id: ReceiptId,
    /// The tenant, from the source that the token led to.
    pub organization: OrganizationId,
    /// Where it came in.
    pub source: SourceId,
    /// The request's method.
    pub method: String,
    /// The raw query string, without the question mark; empty when there was none.
    pub query: String,
    /// The headers in their order of arrival, names in lower case.
    pub headers: Vec<Header>,
    /// The exact bytes of the body.
    pub body: Bytes,
    /// The clock of the replay window: a backlog must not make good events too old.
    pub received_at: Timestamp,
    /// The kind of the source's scheme when it came in, as [`crate::scheme::Scheme::kind`] names it: what is verified again in bulk is
    /// not verified under a weaker one. Absent in receipts of before this was kept.
    pub scheme: Option<String>,
    /// The trace that the request belongs to. Absent in receipts of before this was kept.
    pub trace: Option<TraceId>,
}

/// One header of a receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The name in lower case.
    pub name: String,
    /// The value, or what stands for it.
    pub value: HeaderValue,
}

/// A header's value as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum HeaderValue {
    /// The value itself. Bytes that are no UTF-8 are replaced.
    Text(String),
    /// A credential: HMAC-SHA256 of the value under the source's salt, in hex. Equality with a known secret can still be decided.
    Hashed(String),
}

/// Names of headers that carry credentials wherever they appear. What a source's own scheme needs is added to these.
const CREDENTIAL_HEADERS: &[&str] = &[
    "authorization",
    "proxy-authorization",
    "cookie",
    "x-api-key",
    "api-key",
    "x-auth-token",
    "x-access-token",
    "x-gitlab-token",
    "x-amz-security-token",
];

/// Whether a header of this name is kept only as a hash, whatever its source's scheme says.
pub(crate) fn carries_credentials(name: &str) -> bool {
    CREDENTIAL_HEADERS
        .iter()
        .any(|header| header.eq_ignore_ascii_case(name))
}

impl Header {
    /// A header as it is to be stored: hashed under `salt` when its name is one that carries credentials or stands in `also_secret`.
    #[must_use]
    pub fn capture(name: &str, value: &[u8], salt: &str, also_secret: &[String]) -> Self {
        let name = name.to_ascii_lowercase();
        let secret =
            CREDENTIAL_HEADERS.contains(&name.as_str()) || also_secret.iter().any(|n| n.eq_ignore_ascii_case(&name));
        let value = if secret {
            HeaderValue::Hashed(salted_hash(salt, value))
        } else {
            HeaderValue::Text(String::from_utf8_lossy(value).into_owned())
        };
        Self { name, value }
    }
}

/// HMAC-SHA256 of `value` under `salt`, in hex: how a credential is kept.
#[must_use]
pub fn salted_hash(salt: &str, value: &[u8]) -> String {
    #[allow(clippy::expect_used, reason = "HMAC takes keys of any length (RFC 2104)")]
    let mut mac = Hmac::<Sha256>::new_from_slice(salt.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(value);
    hex::encode(mac.finalize().into_bytes())
}

/// What stands under a name.
enum Found<'a> {
    Absent,
    Text(Cow<'a, str>),
    Hash,
}

impl<'a> Found<'a> {
    fn add(&mut self, value: &'a HeaderValue) {
        match (&mut *self, value) {
            (Self::Absent, HeaderValue::Text(text)) => *self = Self::Text(Cow::Borrowed(text)),
            (Self::Text(all), HeaderValue::Text(text)) => {
                let all = all.to_mut();
                all.push(',');
                all.push_str(text);
            }
            _ => *self = Self::Hash,
        }
    }
}

impl Receipt {
    /// The text of a header, names compared without case; `None` where it is absent or kept only as a hash. Where a header was sent
    /// twice, its values are joined by a comma as RFC 9110 section 5.3 says and API Gateway does, so that no first-or-last choice can be played on.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        self.header_of("", name)
    }

    /// The text of the header whose name is `prefix` and `rest` one after the other.
    pub(crate) fn header_of(&self, prefix: &str, rest: &str) -> Option<Cow<'_, str>> {
        let [text] = self.headers_of(prefix, [rest]);
        text
    }

    /// The texts of the headers whose names are `prefix` and one of `rests` one after the other.
    pub(crate) fn headers_of<const N: usize>(&self, prefix: &str, rests: [&str; N]) -> [Option<Cow<'_, str>>; N] {
        // Nearly every name is in lower case on both sides: that a byte is the same is seen before its case is asked for.
        let is_same = |a: &[u8], b: &str| {
            a.iter()
                .zip(b.as_bytes())
                .all(|(a, b)| a == b || a.eq_ignore_ascii_case(b))
        };
        let mut found = [const { Found::Absent }; N];
        for header in &self.headers {
            let Some((start, end)) = header.name.as_bytes().split_at_checked(prefix.len()) else {
                continue;
            };
            if !is_same(start, prefix) {
                continue;
            }
            for (rest, found) in rests.iter().zip(&mut found) {
                if end.len() == rest.len() && is_same(end, rest) {
                    found.add(&header.value);
                }
            }
        }
        found.map(|found| match found {
            Found::Text(text) => Some(text),
            Found::Absent | Found::Hash => None,
        })
    }

    /// The media type that the sender named, as it named it.
    #[must_use]
    pub fn content_type(&self) -> Option<String> {
        self.header("content-type").map(Cow::into_owned)
    }
}

/// What became of a receipt that made no event of its own, or not at first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptOutcome {
    /// The receipt.
    pub id: ReceiptId,
    /// Its tenant.
    pub organization: OrganizationId,
    /// Where it came in.
    pub source: SourceId,
    /// What was decided.
    pub status: ReceiptStatus,
    /// When it had arrived.
    pub received_at: Timestamp,
}

/// What was decided about a receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReceiptStatus {
    /// Not verified, or not readable. It is kept and can be verified again.
    Rejected {
        /// A stable word, such as `signature_mismatch`.
        reason: String,
        /// What happened, with no secret in it.
        detail: String,
        /// What a person should look at, where something can be told from what was tried.
        hint: Option<String>,
    },
    /// The same event was there already.
    Duplicate {
        /// The event it repeats.
        event: EventId,
    },
    /// It was rejected at first, and verified again with success.
    Accepted {
        /// The event it made (and perhaps more).
        event: EventId,
    },
}

impl ReceiptStatus {
    /// The status in one word, as the API and the log name it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Rejected { .. } => "rejected",
            Self::Duplicate { .. } => "duplicate",
            Self::Accepted { .. } => "accepted",
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;

    #[test]
    fn credentials_are_kept_as_salted_hashes() {
        let header = Header::capture("Authorization", b"Bearer abc", "salt", &[]);
        let HeaderValue::Hashed(hash) = &header.value else {
            panic!("kept in the clear")
        };
        assert_eq!(hash.len(), 64);
        assert_ne!(
            header,
            Header::capture("authorization", b"Bearer abc", "other salt", &[])
        );
        assert_eq!(header, Header::capture("authorization", b"Bearer abc", "salt", &[]));
        assert!(matches!(
            Header::capture("X-Token", b"t", "salt", &["x-token".into()]).value,
            HeaderValue::Hashed(_)
        ));
        assert_eq!(
            Header::capture("X-Plain", b"\xff", "salt", &[]).value,
            HeaderValue::Text("\u{fffd}".into())
        );
    }

    #[test]
    fn repeated_headers_are_joined() {
        let at = Timestamp::UNIX_EPOCH;
        let receipt = Receipt {
            id: ReceiptId::generate(at),
            organization: OrganizationId::generate(at),
            source: SourceId::generate(at),
            method: "POST".into(),
            query: String::new(),
            headers: vec![
                Header::capture("A", b"1", "", &[]),
                Header::capture("b", b"2", "", &[]),
                Header::capture("a", b"3", "", &[]),
            ],
            body: Bytes::new(),
            received_at: at,
            scheme: None,
            trace: None,
        };
        assert_eq!(receipt.header("a").as_deref(), Some("1,3"));
        assert_eq!(receipt.header("B").as_deref(), Some("2"));
        assert_eq!(receipt.header("c"), None);
    }
}
