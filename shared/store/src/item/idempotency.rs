//! Items of requests that carried an idempotency key.

use jiff::Timestamp;
use payload::KeyId;
use serde::{Deserialize, Serialize};

use super::SCHEMA_VERSION;
use crate::IdempotentRequest;

/// A request that carried an idempotency key: being carried out, or with its sealed answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IdempotencyItem {
    v: u32,
    pk: String,
    sk: String,
    /// What was asked.
    pub(crate) fingerprint: String,
    /// Who carries it out.
    pub(crate) owner: String,
    /// Until when nobody else may carry it out, in milliseconds since 1970.
    pub(crate) locked_until: i64,
    /// Until when it is remembered, in milliseconds since 1970.
    pub(crate) expires: i64,
    ttl: i64,
    /// The answer, which only who holds the API key can read.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "serde_bytes")]
    pub(crate) answer: Option<Vec<u8>>,
}

/// The hash key of the requests that were made with one API key.
pub(crate) fn idempotency_key(key: &KeyId) -> String {
    format!("idem#{key}")
}

impl IdempotencyItem {
    /// The item of a request that is about to be carried out.
    #[must_use]
    pub fn new(request: &IdempotentRequest, locked_until: Timestamp, expires: Timestamp) -> Self {
        Self {
            v: SCHEMA_VERSION,
            pk: idempotency_key(&request.key),
            sk: request.name.clone(),
            fingerprint: request.fingerprint.clone(),
            owner: request.owner.clone(),
            locked_until: locked_until.as_millisecond(),
            expires: expires.as_millisecond(),
            ttl: expires.as_second(),
            answer: None,
        }
    }
}
