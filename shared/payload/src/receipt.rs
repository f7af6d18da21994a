//! One HTTP request as it arrived, and what became of it.

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::{EventId, OrganizationId, ReceiptId, SourceId};

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

impl Receipt {
    /// The text of a header, names compared without case; `None` where it is absent or kept only as a hash. Where a header was sent
    /// twice, its values are joined by a comma as RFC 9110 section 5.3 says and API Gateway does, so that no first-or-last choice can be played on.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        let mut joined: Option<String> = None;
        for header in self.headers.iter().filter(|h| h.name.eq_ignore_ascii_case(name)) {
            let HeaderValue::Text(text) = &header.value else {
                return None;
            };
            match &mut joined {
                None => joined = Some(text.clone()),
                Some(all) => {
                    all.push(',');
                    all.push_str(text);
                }
            }
        }
        joined
    }

    /// The media type that the sender named, as it named it.
    #[must_use]
    pub fn content_type(&self) -> Option<String> {
        self.header("content-type")
    }
}

/// What became of a receipt that made no event of its own.
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
        /// What a person should look at, with no secret in it.
        detail: String,
    },
    /// The same event was there already.
    Duplicate {
        /// The event it repeats.
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
        };
        assert_eq!(receipt.header("a").as_deref(), Some("1,3"));
        assert_eq!(receipt.header("B").as_deref(), Some("2"));
        assert_eq!(receipt.header("c"), None);
    }
}
