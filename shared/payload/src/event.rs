//! The common payload: what every webhook receives, whatever the provider sent.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::scheme::Proof;
use crate::{EventId, OrganizationId, ReceiptId, SourceId, TraceId};

/// A verified, deduplicated receipt, or an event published through the API. It holds everything that delivery needs: delivery never
/// reads a scheme or a preset.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Computed from what makes it the same event when it comes again.
    pub id: EventId,
    /// The tenant.
    pub organization: OrganizationId,
    /// The receipt it was made of; `None` when it was published through the API.
    pub receipt: Option<ReceiptId>,
    /// When it reached us.
    pub received_at: Timestamp,
    /// How often it has gone through a hub like this one: what is sent says one more, and ends at [`MAX_HOPS`].
    pub hops: u8,
    /// The trace of the request that brought it; [`Event::trace`] has one in any case. It is no part of the common payload.
    pub trace: Option<TraceId>,
    /// The resolved fields of the common payload.
    pub meta: EventMeta,
    /// Where the provider's own object stands.
    pub data: Content,
    /// Where the previous values of what changed stand, if the provider sends them.
    pub previous_attributes: Option<Content>,
    /// The media type of `body`, as the sender named it.
    pub content_type: Option<String>,
    /// The raw body, byte for byte.
    pub body: Bytes,
}

/// How many hubs an event may go through before it is taken for one that goes in circles.
pub const MAX_HOPS: u8 = 8;

/// The header that says how many hubs a request has gone through.
pub const HOPS_HEADER: &str = "hookline-hops";

/// Where a JSON value of the payload stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Content {
    /// At these bytes of the event's body.
    Span(usize, usize),
    /// Here, as JSON text, because the body holds it in another form.
    Inline(String),
    /// The whole body is text: as a JSON string.
    Text,
    /// The whole body is bytes: as a JSON string in base64.
    Base64,
}

/// The fields of the common payload but `data` and `previousAttributes`. What a provider does not have is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct EventMeta {
    /// The event's id; also the `webhook-id` of every attempt.
    pub id: EventId,
    /// What happened, in words separated by dots: `live.audio.updated`.
    #[serde(rename = "type")]
    pub event_type: String,
    /// When it happened, as the provider says; otherwise when it reached us. RFC 3339 in UTC.
    pub timestamp: Timestamp,
    /// Where it came from; absent when it was published through the API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceRef>,
    /// The provider's own id of the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_event_id: Option<String>,
    /// What it happened to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity: Option<Entity>,
    /// `created`, `updated`, `deleted`, or the provider's own word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// Who did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// The provider's own grouping.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// One line for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// The provider's product or application.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<String>,
    /// The part of the provider's world it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// The languages it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locales: Option<Locales>,
    /// Where people can see more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
    /// What changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
    /// Breaches of the provider's own rules: the event is genuine all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// What the provider's signature covered; absent when it was published through the API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<Proof>,
}

/// The source of an event, as consumers see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SourceRef {
    /// The source's id.
    pub id: SourceId,
    /// The name that the team gave it.
    pub name: String,
    /// The preset, or `custom`.
    pub provider: String,
}

/// What an event happened to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Entity {
    /// Its kind: `live.audio`.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Its kind in more detail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subtype: Option<String>,
    /// Its id with the provider, digits and all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// The part of the provider's world that an event concerns.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Scope {
    /// A pool of inputs, of servers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// A station.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub station: Option<String>,
    /// The provider's own organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
}

/// One thing that changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Change {
    /// The kind of thing: `field`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Which one.
    pub code: String,
    /// What it was before, where the provider says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
    /// What it is now, where the provider says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
}

/// The languages that an event concerns.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Locales {
    /// Those that were changed themselves.
    #[serde(default)]
    pub updated: Vec<String>,
    /// Those that took the change over from another.
    #[serde(default)]
    pub inherited: Vec<String>,
}

/// Where people can see more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Link {
    /// What it leads to: `self`, `html`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rel: Option<String>,
    /// The address: absolute, unless the provider sends it relative and the source does not say to what.
    pub href: String,
}

/// An event whose parts do not fit together, as no event is that was stored by us.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokenEvent {
    /// A span points outside the body, or not at JSON text.
    #[error("the place of the data does not fit the body")]
    Span,
    /// The metadata cannot be written as JSON.
    #[error("the metadata cannot be written as JSON")]
    Meta,
}

impl EventMeta {
    /// An event of which no more is known than this.
    #[must_use]
    pub fn new(id: EventId, event_type: impl Into<String>, timestamp: Timestamp) -> Self {
        Self {
            id,
            event_type: event_type.into(),
            timestamp,
            source: None,
            provider_event_id: None,
            entity: None,
            action: None,
            actor: None,
            category: None,
            summary: None,
            application: None,
            scope: None,
            locales: None,
            links: Vec::new(),
            changes: Vec::new(),
            warnings: Vec::new(),
            verified: None,
        }
    }
}

impl Event {
    /// An event that came in no receipt: published through the API, or told by Hookline itself. `data` is JSON, and all of its body.
    #[must_use]
    pub fn made_here(organization: OrganizationId, meta: EventMeta, data: String, now: Timestamp) -> Self {
        Self {
            id: meta.id.clone(),
            organization,
            receipt: None,
            received_at: now,
            hops: 0,
            trace: None,
            meta,
            data: Content::Span(0, data.len()),
            previous_attributes: None,
            content_type: Some("application/json".to_owned()),
            body: data.into(),
        }
    }

    /// The trace that what happens to it belongs to.
    #[must_use]
    pub fn trace(&self) -> TraceId {
        self.trace.unwrap_or_else(|| TraceId::of_event(&self.id))
    }

    /// The common payload as JSON: `data` is the provider's own object, byte for byte.
    ///
    /// # Errors
    /// When the stored parts do not fit together.
    pub fn to_json(&self) -> Result<Vec<u8>, BrokenEvent> {
        let mut json = serde_json::to_vec(&self.meta).map_err(|_| BrokenEvent::Meta)?;
        // The object is open at its end: what follows is spliced in as it stands.
        json.pop();
        json.extend_from_slice(b",\"data\":");
        json.extend_from_slice(&self.content(&self.data)?);
        if let Some(previous) = self.previous_attributes_json()? {
            json.extend_from_slice(b",\"previousAttributes\":");
            json.extend_from_slice(&previous);
        }
        json.push(b'}');
        Ok(json)
    }

    /// The JSON text of what stands there.
    pub(crate) fn content<'a>(&'a self, content: &'a Content) -> Result<Cow<'a, [u8]>, BrokenEvent> {
        let string = |text: &str| serde_json::to_vec(text).map(Cow::Owned).map_err(|_| BrokenEvent::Span);
        match content {
            Content::Span(start, end) => self.body.get(*start..*end).map(Cow::Borrowed).ok_or(BrokenEvent::Span),
            Content::Inline(text) => Ok(Cow::Borrowed(text.as_bytes())),
            Content::Text => string(std::str::from_utf8(&self.body).map_err(|_| BrokenEvent::Span)?),
            Content::Base64 => string(&STANDARD.encode(&self.body)),
        }
    }
}
