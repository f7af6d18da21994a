//! Standard Webhooks: `v1` and `v1a` signatures over `id.timestamp.body`.

use super::header::{Candidate, MAX_SIGNATURES, Tried, items, strip_prefix};
use super::{Proof, Rejection, SignatureEncoding, StandardWebhooks, TimestampUnit, timestamp};
use crate::Receipt;
use crate::key::Key;

impl StandardWebhooks {
    fn header_name(&self, part: &str) -> String {
        format!("{}{part}", self.header_prefix).to_ascii_lowercase()
    }

    /// What stays the same when a message is sent again.
    pub(super) fn message(&self, receipt: &Receipt) -> Option<Vec<u8>> {
        let id = receipt.header(&self.header_name("id"))?;
        Some([id.as_bytes(), b".", &receipt.body].concat())
    }

    pub(super) fn verify(&self, receipt: &Receipt, keys: &[Key]) -> Result<Proof, Rejection> {
        let names = ["id", "timestamp", "signature"];
        let mut headers = receipt.headers_of(&self.header_prefix, names);
        for (header, name) in headers.iter().zip(names) {
            if header.as_ref().is_none_or(|value| value.is_empty()) {
                return Err(Rejection::MissingHeader(self.header_name(name)));
            }
        }
        let [id, time, signatures] = headers.each_mut().map(|header| header.take().unwrap_or_default());
        let at = timestamp::parse(&time, TimestampUnit::S, false).ok_or(Rejection::MalformedTimestamp)?;
        timestamp::check_window(at, receipt.received_at, self.tolerance)?;
        // The specification's separator: an id that holds it could give a part of the body away as the id, or take one.
        if id.contains('.') {
            return Err(Rejection::Ambiguous);
        }
        let parts = [id.as_bytes(), b".", time.as_bytes(), b".", &receipt.body];
        // Two headers of the same name arrive joined by a comma, which also stands inside an item: only the space separates items.
        let candidates = |version: &'static str| {
            let texts = items(&signatures, Some(" ")).filter_map(move |item| strip_prefix(item, version));
            texts
                .filter_map(|text| Candidate::decode(text, SignatureEncoding::Base64))
                .take(MAX_SIGNATURES)
        };
        let mut tried = Tried::none();
        for key in keys {
            match key {
                Key::Hmac(key) => {
                    let mac = key.mac(&parts);
                    candidates("v1,").for_each(|candidate| tried.add(mac.fits(candidate.as_slice())));
                }
                Key::Ed25519(key) => {
                    let message = parts.concat();
                    candidates("v1a,").for_each(|candidate| tried.add(key.fits(&message, candidate.as_slice())));
                }
                Key::EcdsaP256(_) | Key::Credential(_) => {}
            }
        }
        tried.result(|| self.header_name("signature"))?;
        Ok(Proof {
            scheme: "standard-webhooks".into(),
            body: true,
            id: true,
            time: true,
            query: false,
        })
    }
}
