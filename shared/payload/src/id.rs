//! The names of things: `src_…`, `rcp_…`, `evt_…`, `wh_…`, `org_…`, `key_…`, `aud_…`, `job_…`, `msg_…`.
//!
//! All but [`EventId`] and [`MessageId`] carry a [ULID](https://github.com/ulid/spec), so that they sort by the time they were made. An event's id is
//! computed from what makes two receipts the same event, so that the conditional put of the event is the deduplication.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use ulid::Ulid;

/// A text that is not an id of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an id of the form {0}…")]
pub struct InvalidId(&'static str);

/// Random bytes from the operating system.
///
/// # Panics
/// When the system has no source of randomness at all: nothing safe can be made without it.
#[must_use]
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    #[allow(
        clippy::expect_used,
        reason = "without randomness no secret, token or id may be made"
    )]
    getrandom::fill(&mut bytes).expect("the operating system provides randomness");
    bytes
}

macro_rules! ulid_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Box<str>);

        impl $name {
            /// What every id of this kind begins with.
            pub const PREFIX: &'static str = $prefix;

            /// A new id that sorts by `at` and cannot be guessed (80 random bits).
            #[must_use]
            pub fn generate(at: Timestamp) -> Self {
                let milliseconds = u64::try_from(at.as_millisecond()).unwrap_or(0);
                let mut random_part = [0; 16];
                random_part[6..].copy_from_slice(&random::<10>());
                let ulid = Ulid::from_parts(milliseconds, u128::from_be_bytes(random_part));
                Self(format!("{}{}", $prefix, ulid.to_string()).into())
            }

            /// The text before which every id sorts that was made earlier than `at`, and behind which every later one.
            #[must_use]
            pub fn first_at_text(at: Timestamp) -> String {
                let milliseconds = u64::try_from(at.as_millisecond()).unwrap_or(0);
                format!("{}{}", $prefix, Ulid::from_parts(milliseconds, 0))
            }

            /// When the id was made, to the millisecond.
            #[must_use]
            pub fn created_at(&self) -> Timestamp {
                Ulid::from_string(&self.0[$prefix.len()..])
                    .ok()
                    .and_then(|ulid| i64::try_from(ulid.timestamp_ms()).ok())
                    .and_then(|ms| Timestamp::from_millisecond(ms).ok())
                    .unwrap_or(Timestamp::UNIX_EPOCH)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let valid = text.strip_prefix($prefix).is_some_and(|rest| {
                    // Only the one spelling that we print: two texts for one id would be two keys.
                    Ulid::from_string(rest).is_ok_and(|ulid| ulid.to_string() == rest)
                });
                if valid { Ok(Self(text.into())) } else { Err(InvalidId($prefix)) }
            }
        }

        id_traits!($name);
        id_schema!($name, $prefix, "[0-7][0-9A-HJKMNP-TV-Z]{25}", "01JQ6ZQ0M0000000000000000A");
    };
}

/// What the OpenAPI document says of an id: what it begins with, and how its rest is written.
macro_rules! id_schema {
    ($name:ident, $prefix:literal, $rest:literal, $example:literal) => {
        #[cfg(feature = "openapi")]
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::Type::String)
                    .pattern(Some(concat!("^", $prefix, $rest, "$")))
                    .examples([concat!($prefix, $example)])
                    .into()
            }
        }

        #[cfg(feature = "openapi")]
        impl utoipa::ToSchema for $name {}
    };
}

macro_rules! id_traits {
    ($name:ident) => {
        impl $name {
            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?
                    .parse()
                    .map_err(D::Error::custom)
            }
        }
    };
}

ulid_id!(
    /// A tenant: everything else belongs to exactly one.
    OrganizationId,
    "org_"
);
ulid_id!(
    /// A provider's connection to us. It names, and is no secret: the secret part of a receiving URL is its ingest token.
    SourceId,
    "src_"
);
ulid_id!(
    /// One entry of an organization's audit trail.
    AuditId,
    "aud_"
);
ulid_id!(
    /// Work in the background that a team asked for: a replay, a recovery.
    JobId,
    "job_"
);
ulid_id!(
    /// One HTTP request as it arrived.
    ReceiptId,
    "rcp_"
);
ulid_id!(
    /// A registration of somewhere to deliver to.
    WebhookId,
    "wh_"
);
ulid_id!(
    /// An API key. The key itself is another text and kept only as a hash.
    KeyId,
    "key_"
);

/// An event, named by what makes it the same event when it comes again.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId(Box<str>);

id_traits!(EventId);
id_schema!(
    EventId,
    "evt_",
    "[0-9a-f]{40}",
    "00112233445566778899aabbccddeeff00112233"
);

/// What decides whether two verified receipts are the same event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity<'a> {
    /// The provider's own id, where the signature covers it.
    ProviderId(&'a str),
    /// The bytes the signature covers, where it does not cover the id: whoever holds one good request could otherwise change the id
    /// and have it delivered again, or spoil a real one.
    SignedBytes(&'a [u8]),
    /// The bytes of the body within one window of time, for providers with no id: the number of the window since 1970.
    Window {
        /// The raw body.
        body: &'a [u8],
        /// How many windows of the source's length have passed since 1970.
        index: i64,
    },
    /// Nothing: every receipt is an event of its own.
    Receipt(&'a ReceiptId),
}

impl EventId {
    /// What every event id begins with.
    pub const PREFIX: &'static str = "evt_";

    /// The id of the event that `scope` (a source, or an organization for what it publishes itself) identifies by `identity`.
    /// `part` numbers the events of one receipt where a provider sends several together.
    ///
    /// 160 bits of SHA-256 over length-prefixed fields: no two different inputs run together into the same bytes.
    #[must_use]
    pub fn compute(scope: &str, identity: Identity<'_>, part: u32) -> Self {
        let mut hash = Sha256::new();
        let mut field = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        };
        field(scope.as_bytes());
        match identity {
            Identity::ProviderId(id) => {
                field(b"id");
                field(id.as_bytes());
            }
            Identity::SignedBytes(bytes) => {
                field(b"signed");
                field(bytes);
            }
            Identity::Window { body, index } => {
                field(b"window");
                field(body);
                field(&index.to_be_bytes());
            }
            Identity::Receipt(id) => {
                field(b"receipt");
                field(id.as_str().as_bytes());
            }
        }
        field(&part.to_be_bytes());
        let digest = hash.finalize();
        Self(format!("{}{}", Self::PREFIX, hex::encode(&digest[..20])).into())
    }
}

impl FromStr for EventId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        if is_digest(text, Self::PREFIX) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidId(Self::PREFIX))
        }
    }
}

/// What the attempts of a replay carry as `webhook-id` when a new one was asked for.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(Box<str>);

id_traits!(MessageId);
id_schema!(
    MessageId,
    "msg_",
    "[0-9a-f]{40}",
    "00112233445566778899aabbccddeeff00112233"
);

impl MessageId {
    /// What every id of this kind begins with.
    pub const PREFIX: &'static str = "msg_";

    /// The id that a delivery has for a job: the same whenever the job's step is repeated, and another one for each job and webhook.
    #[must_use]
    pub fn compute(job: &JobId, event: &EventId, webhook: &WebhookId) -> Self {
        let mut hash = Sha256::new();
        for part in [job.as_str(), event.as_str(), webhook.as_str()] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        Self(format!("{}{}", Self::PREFIX, hex::encode(&hash.finalize()[..20])).into())
    }
}

impl FromStr for MessageId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        if is_digest(text, Self::PREFIX) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidId(Self::PREFIX))
        }
    }
}

/// Whether a text is this prefix and 160 bits in lower-case hex digits.
fn is_digest(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix)
        .is_some_and(|rest| rest.len() == 40 && rest.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
}

/// The SHA-256 of a token or key, as 64 lower-case hex digits: the only form in which we keep those.
///
/// They hold at least 128 random bits, so that a slow hash would add nothing.
#[must_use]
pub fn token_hash(token: &str) -> String {
    hex::encode(Sha256::digest(token.as_bytes()))
}

/// Spreads `key` over `buckets` (of at most 256), the same way everywhere and for ever: the first byte of its SHA-256.
#[must_use]
pub fn bucket_of(key: &str, buckets: u8) -> u8 {
    let digest = Sha256::digest(key.as_bytes());
    digest[0] % buckets.max(1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_id_round_trips_and_knows_its_time() {
        let at: Timestamp = "2025-03-25T13:31:00.123Z".parse().unwrap();
        let id = ReceiptId::generate(at);
        assert_eq!(id.created_at(), at);
        assert_eq!(id.to_string().parse::<ReceiptId>().unwrap(), id);
        assert!(id.as_str().starts_with("rcp_"));
        assert_ne!(ReceiptId::generate(at), id);
    }

    #[test]
    fn other_spellings_and_kinds_are_refused() {
        let id = SourceId::generate(Timestamp::UNIX_EPOCH).to_string();
        assert!(id.parse::<WebhookId>().is_err());
        assert!(id.to_lowercase().parse::<SourceId>().is_err());
        for text in ["", "src_", "src_01", "src_ZZZZZZZZZZZZZZZZZZZZZZZZZZ", "evt_", "evt_é"] {
            assert!(text.parse::<SourceId>().is_err(), "{text}");
            assert!(text.parse::<EventId>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_event_id_is_stable() {
        // A stored contract: changing this makes every redelivered event a new one.
        let id = EventId::compute("src_1", Identity::ProviderId("msg_1"), 0);
        assert_eq!(id.as_str(), "evt_030191e28031305abd8a3ea760cab2ff6949dfa7");
    }

    proptest! {
        #[test]
        fn different_identities_are_different_events(a in ".{0,12}", b in ".{0,12}", c in ".{0,12}", d in ".{0,12}") {
            prop_assume!((&a, &b) != (&c, &d));
            prop_assert_ne!(
                EventId::compute(&a, Identity::ProviderId(&b), 0),
                EventId::compute(&c, Identity::ProviderId(&d), 0)
            );
        }

        #[test]
        fn parsing_an_id_never_panics(text in ".{0,64}") {
            let _ = text.parse::<OrganizationId>();
            let _ = text.parse::<EventId>();
        }
    }
}
