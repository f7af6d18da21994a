//! What the deliveries to one webhook are signed with.

use jiff::Timestamp;
use payload::Event;
use payload::key::TimedSecret;
use payload::outbound::SigningKey;
use payload::webhook::{DestinationHeader, Webhook, WebhookSecrets};

use crate::attempt::Request;
use crate::format::{Message, SignedPart};

/// The keys of a webhook that are valid now: at least one, so that nothing can leave unsigned.
#[derive(Debug, Clone)]
pub struct SigningKeys(Vec<SigningKey>);

impl SigningKeys {
    /// The keys of those secrets that are valid at `now` and can be read; `None` when there is none.
    #[must_use]
    pub fn valid_at(secrets: &[TimedSecret], now: Timestamp) -> Option<Self> {
        let keys: Vec<_> = secrets
            .iter()
            .filter(|secret| secret.is_valid_at(now))
            .filter_map(|secret| SigningKey::parse(&secret.value).ok())
            .collect();
        (!keys.is_empty()).then_some(Self(keys))
    }

    /// The keys.
    #[must_use]
    pub fn as_slice(&self) -> &[SigningKey] {
        &self.0
    }
}

/// What requests to a webhook carry of its secrets.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// What they are signed with; `None` where no secret is valid.
    keys: Option<SigningKeys>,
    headers: Vec<DestinationHeader>,
}

impl Credentials {
    /// What holds at `now`.
    #[must_use]
    pub fn valid_at(secrets: WebhookSecrets, now: Timestamp) -> Self {
        Self {
            keys: SigningKeys::valid_at(&secrets.signing, now),
            headers: secrets.headers,
        }
    }

    /// Whether a message can be sent with them: one that must be signed needs a key.
    #[must_use]
    pub fn suffice_for(&self, message: &Message) -> bool {
        self.keys.is_some() || message.signed == SignedPart::Nothing
    }

    /// The request that brings a message about an event to its webhook.
    #[must_use]
    pub fn request<'a>(&'a self, event: &'a Event, webhook: &'a Webhook, message: &'a Message) -> Request<'a> {
        Request {
            event: &event.id,
            id: event.id.as_str(),
            destination: &webhook.url,
            keys: self.keys.as_ref(),
            headers: &self.headers,
            message,
            format: webhook.format,
            hops: event.hops,
            trace: event.trace(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;
    use payload::outbound::generate_secret;

    #[test]
    fn only_valid_secrets_sign() {
        let now = Timestamp::from_second(1_000).unwrap();
        let secret = |expires_at: Option<i64>| TimedSecret {
            value: generate_secret(),
            created_at: Timestamp::UNIX_EPOCH,
            expires_at: expires_at.map(|second| Timestamp::from_second(second).unwrap()),
        };
        let keys = SigningKeys::valid_at(
            &[secret(None), secret(Some(1_001)), secret(Some(1_000)), secret(Some(1))],
            now,
        )
        .unwrap();
        assert_eq!(keys.as_slice().len(), 2);
        assert!(SigningKeys::valid_at(&[], now).is_none());
        assert!(SigningKeys::valid_at(&[secret(Some(999))], now).is_none());
        let unreadable = TimedSecret {
            value: "whsec_AAAA".into(),
            created_at: Timestamp::UNIX_EPOCH,
            expires_at: None,
        };
        assert!(SigningKeys::valid_at(&[unreadable], now).is_none());
    }
}
