//! What Hookline tells an organization of its own webhooks, as events of that organization: `hookline.webhook.failing`, `.recovered`,
//! `.disabled` and `hookline.delivery.exhausted`.
//!
//! They are delivered like any other, to those who asked for them by name; never to the webhook that they are about, and what becomes of
//! their own deliveries is not told again: so no telling makes another.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::delivery::{Attempt, Delivery};
use crate::event::{Entity, EventMeta};
use crate::filter::OPERATIONAL;
use crate::id::Identity;
use crate::webhook::{Disabled, Webhook};
use crate::{Event, EventId, WebhookId};

/// Something that happened to a webhook.
#[derive(Debug, Clone, Copy)]
pub enum News<'a> {
    /// It fails since then.
    Failing {
        /// Since when.
        since: Timestamp,
        /// The attempt that showed it.
        attempt: &'a Attempt,
    },
    /// It took something again.
    Recovered,
    /// It is sent nothing any more.
    Disabled(&'a Disabled),
    /// A delivery ended without success. It can be replayed.
    Exhausted(&'a Delivery),
}

impl News<'_> {
    fn event_type(&self) -> &'static str {
        match self {
            Self::Failing { .. } => "hookline.webhook.failing",
            Self::Recovered => "hookline.webhook.recovered",
            Self::Disabled(_) => "hookline.webhook.disabled",
            Self::Exhausted(_) => "hookline.delivery.exhausted",
        }
    }

    /// What makes it the same news when it is told again: a failure since the same moment, the same delivery.
    fn identity(&self, now: Timestamp) -> String {
        let about = match self {
            Self::Failing { since, .. } => since.to_string(),
            Self::Recovered => now.to_string(),
            Self::Disabled(disabled) => disabled.at.to_string(),
            // With the number of attempts: one that was replayed can be exhausted again.
            Self::Exhausted(delivery) => format!("{}/{}", delivery.event, delivery.attempts_made()),
        };
        format!("{}/{about}", self.event_type())
    }

    fn summary(&self, webhook: &Webhook) -> String {
        let name = &webhook.name;
        match self {
            Self::Failing { attempt, .. } => format!("Webhook {name} is failing: {}", what(attempt)),
            Self::Recovered => format!("Webhook {name} takes events again"),
            Self::Disabled(disabled) => format!("Webhook {name} was disabled: {}", disabled.reason.as_str()),
            Self::Exhausted(delivery) => format!(
                "A delivery to webhook {name} was given up after {} attempts",
                delivery.attempts_made()
            ),
        }
    }

    fn data(&self, webhook: &Webhook) -> Value {
        let about = json!({"id": webhook.id, "name": webhook.name, "format": webhook.format});
        match self {
            Self::Failing { since, attempt } => json!({"webhook": about, "failingSince": since, "attempt": attempt}),
            Self::Recovered => json!({"webhook": about}),
            Self::Disabled(disabled) => json!({"webhook": about, "disabled": disabled}),
            Self::Exhausted(delivery) => json!({
                "webhook": about, "event": delivery.event, "attempts": delivery.attempts_made(), "lastAttempt": delivery.attempts.last()
            }),
        }
    }
}

/// What an attempt came to, in a few words.
fn what(attempt: &Attempt) -> String {
    match (attempt.status, attempt.error) {
        (Some(status), _) => format!("it answered {status}"),
        (None, Some(error)) => error.as_str().to_owned(),
        (None, None) => "no answer".to_owned(),
    }
}

/// The event that tells it.
#[must_use]
pub fn event(webhook: &Webhook, news: News<'_>, now: Timestamp) -> Event {
    // The webhook's id scopes it: no publisher and no provider can take its place.
    let identity = news.identity(now);
    let id = EventId::compute(webhook.id.as_str(), Identity::ProviderId(&identity), 0);
    let meta = EventMeta {
        entity: Some(Entity {
            kind: Some("webhook".to_owned()),
            subtype: None,
            id: Some(webhook.id.to_string()),
        }),
        summary: Some(news.summary(webhook)),
        ..EventMeta::new(id, news.event_type(), now)
    };
    Event::made_here(webhook.organization.clone(), meta, news.data(webhook).to_string(), now)
}

/// Whether Hookline tells of itself here.
#[must_use]
pub fn is_own(event: &Event) -> bool {
    event.receipt.is_none() && event.meta.event_type.starts_with(OPERATIONAL)
}

/// Whether an event tells of this very webhook.
#[must_use]
pub fn is_about(event: &Event, webhook: &WebhookId) -> bool {
    is_own(event)
        && event
            .meta
            .entity
            .as_ref()
            .is_some_and(|entity| entity.id.as_deref() == Some(webhook.as_str()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;
    use crate::OrganizationId;
    use crate::delivery::AttemptError;
    use crate::webhook::{DestinationUrl, DisabledReason, Format, HttpPolicy, Method};

    fn webhook() -> Webhook {
        let at = Timestamp::UNIX_EPOCH;
        Webhook {
            id: WebhookId::generate(at),
            organization: OrganizationId::generate(at),
            name: "orders".into(),
            description: None,
            url: DestinationUrl::parse("https://example.com/secret", HttpPolicy::HttpsOnly).unwrap(),
            filter: Default::default(),
            format: Format::Raw,
            method: Method::Post,
            rate: None,
            schedule: None,
            enabled: true,
            created_at: at,
        }
    }

    #[test]
    fn the_same_news_is_the_same_event_and_holds_no_url() {
        let webhook = webhook();
        let now: Timestamp = "2025-03-25T13:31:00Z".parse().unwrap();
        let attempt = Attempt {
            throttled: false,
            at: now,
            duration_ms: 3,
            status: None,
            error: Some(AttemptError::Timeout),
            answer: None,
        };
        let failing = News::Failing {
            since: now,
            attempt: &attempt,
        };
        let told = event(&webhook, failing, now);
        assert_eq!(told.id, event(&webhook, failing, Timestamp::MAX).id);
        let anothers = event(&super::tests::webhook(), failing, now);
        assert_ne!(
            anothers.id, told.id,
            "the same news of two organizations are two events"
        );
        assert_ne!(anothers.organization, told.organization);
        let json = String::from_utf8(told.to_json().unwrap()).unwrap();
        assert!(
            json.contains("Webhook orders is failing: timeout") && !json.contains("example.com"),
            "{json}"
        );
        assert!(is_about(&told, &webhook.id) && !is_about(&told, &WebhookId::generate(now)));
        let disabled = Disabled {
            at: now,
            reason: DisabledReason::Gone,
        };
        let other = event(&webhook, News::Disabled(&disabled), now);
        assert_ne!(other.id, told.id);
        assert_eq!(other.meta.event_type, "hookline.webhook.disabled");
    }
}
