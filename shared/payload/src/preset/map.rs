//! Turns a verified receipt into events in the common payload.

use std::borrow::Cow;
use std::collections::HashMap;

use bytes::Bytes;

use super::Duplicates;
use super::body::{self, Body};
use super::check::{is_covered, is_signed};
use super::read::{Fields, Reader};
use crate::event::{Content, Entity, Event, EventMeta, HOPS_HEADER, Locales, MAX_HOPS, Scope, SourceRef};
use crate::id::Identity;
use crate::json::{Document, InvalidJson, elements};
use crate::receipt::MAX_BODY_BYTES;
use crate::scheme::Proof;
use crate::source::Effective;
use crate::{EventId, Receipt};

/// The most events that one receipt may hold.
pub const MAX_EVENTS: usize = 500;

/// The longest event type, in bytes.
const MAX_TYPE_BYTES: usize = 200;

/// Why a verified receipt cannot become an event. The receipt is kept and can be verified again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The body is no JSON.
    #[error(transparent)]
    Json(#[from] InvalidJson),
    /// The body is no gzip though it says so.
    #[error("the body breaks off or is damaged: its gzip encoding cannot be taken off")]
    Gzip,
    /// A content encoding other than gzip.
    #[error("the body has a content encoding other than gzip")]
    ContentEncoding,
    /// A body that grows beyond every limit when it is decompressed.
    #[error("the body is longer than {MAX_BODY_BYTES} bytes when its gzip encoding is taken off")]
    TooLarge,
    /// A form or query with too many fields.
    #[error("the form or query has more than {0} fields")]
    TooManyPairs(usize),
    /// More events in one receipt than are taken.
    #[error("the receipt holds {0} events; {MAX_EVENTS} are taken")]
    TooManyEvents(usize),
    /// No event type where the preset looks for it, or one that is not usable.
    #[error("there is no event type of 1 to {MAX_TYPE_BYTES} printable bytes where the preset looks for it")]
    NoType,
}

impl Unreadable {
    /// A stable word for the log, the receipt and the metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Json(_) | Self::Gzip | Self::ContentEncoding => "unreadable_body",
            Self::TooLarge => "body_too_large",
            Self::TooManyPairs(_) => "too_many_fields",
            Self::TooManyEvents(_) => "too_many_events",
            Self::NoType => "no_event_type",
        }
    }
}

/// The events that a verified receipt holds, in their order.
///
/// # Errors
/// When the body or the fields without which there is no event cannot be read.
pub fn map(source: &Effective<'_>, receipt: &Receipt, proof: Proof) -> Result<Vec<Event>, Unreadable> {
    let preset = source.preset;
    // A signature over an empty body says nothing about the query, unless that is signed too.
    let query_counts = !is_signed(source.scheme) || source.scheme.covers_query();
    let body = Body::read(receipt, preset.body, &preset.json_parameters, query_counts)?;
    let text = match &body.content {
        body::Content::Json(start) => &body.bytes[*start..],
        body::Content::Converted(text) => text.as_bytes(),
        body::Content::Text | body::Content::Binary => b"null",
    };
    let root = Document::parse(text)?;
    let mut ids = Ids::new(source, receipt, &body);
    let is_one = preset
        .each_unless_header
        .as_ref()
        .is_some_and(|header| receipt.header(header).is_some());
    let each = preset.each.as_deref().filter(|_| !is_one);
    let Some(parts) = each.and_then(|each| root.at(each)).and_then(elements) else {
        let whole = Part {
            root: &root,
            document: &root,
            whole: Some(&body),
        };
        return Ok(vec![event(source, receipt, &whole, proof, &mut ids)?]);
    };
    if parts.len() > MAX_EVENTS {
        return Err(Unreadable::TooManyEvents(parts.len()));
    }
    parts
        .into_iter()
        .map(|value| {
            let document = Document::parse(value.get().as_bytes())?;
            let part = Part {
                root: &root,
                document: &document,
                whole: None,
            };
            event(source, receipt, &part, proof.clone(), &mut ids)
        })
        .collect()
}

/// What one event is made of.
struct Part<'a> {
    /// The whole body.
    root: &'a Document<'a>,
    /// The event in it.
    document: &'a Document<'a>,
    /// The body, where the event is all of it.
    whole: Option<&'a Body>,
}

impl Part<'_> {
    /// The bytes that the event keeps: where a receipt holds several events, each keeps its own.
    fn body(&self) -> Bytes {
        self.whole.map_or_else(
            || Bytes::copy_from_slice(self.document.text().as_bytes()),
            |body| body.bytes.clone(),
        )
    }

    /// Where a value stands in the event's bytes.
    fn content(&self, value: &serde_json::value::RawValue) -> Option<Content> {
        let start = match self.whole.map(|body| &body.content) {
            None => 0,
            Some(body::Content::Json(start)) => *start,
            Some(_) => return Some(Content::Inline(value.get().to_owned())),
        };
        let span = self.document.span_of(value)?;
        Some(Content::Span(start + span.start, start + span.end))
    }

    /// The whole of it as JSON.
    fn all(&self) -> Content {
        match self.whole.map(|body| &body.content) {
            Some(body::Content::Text) => Content::Text,
            Some(body::Content::Binary) => Content::Base64,
            _ => self
                .document
                .at("")
                .and_then(|root| self.content(root))
                .unwrap_or_else(|| Content::Inline("null".into())),
        }
    }
}

fn event(
    source: &Effective<'_>,
    receipt: &Receipt,
    part: &Part<'_>,
    mut proof: Proof,
    ids: &mut Ids<'_>,
) -> Result<Event, Unreadable> {
    let mapping = &source.preset.event;
    if let Some(id) = mapping.id.as_ref().filter(|_| is_signed(source.scheme)) {
        proof.id = proof.body && is_covered(id, source.scheme);
    }
    let reader = Reader {
        receipt,
        root: part.root,
        document: part.document,
    };
    let event_type = reader
        .text(&mapping.event_type)
        .filter(|text| is_usable_type(text))
        .ok_or(Unreadable::NoType)?;
    let mut fields = Fields::new(reader);
    let provider_event_id = fields.text("providerEventId", mapping.id.as_ref());
    proof.id &= provider_event_id.is_some() || mapping.id.is_none();
    let id = ids.next(provider_event_id.as_deref(), &event_type);
    if provider_event_id.is_none() && source.duplicates == Duplicates::Id {
        fields.warn(if is_signed(source.scheme) {
            "providerEventId is missing, so that a repetition of this event is recognised by the signed bytes alone"
        } else {
            "providerEventId is missing, so that a repetition of this event cannot be recognised"
        });
    }
    let entity = Entity {
        kind: fields.text("entity.type", mapping.entity.kind.as_ref()),
        subtype: fields.text("entity.subtype", mapping.entity.subtype.as_ref()),
        id: fields.text("entity.id", mapping.entity.id.as_ref()),
    };
    let scope = Scope {
        pool: fields.text("scope.pool", mapping.scope.pool.as_ref()),
        station: fields.text("scope.station", mapping.scope.station.as_ref()),
        organization: fields.text("scope.organization", mapping.scope.organization.as_ref()),
    };
    let locales = Locales {
        updated: fields.texts("locales.updated", mapping.locales.updated.as_deref()),
        inherited: fields.texts("locales.inherited", mapping.locales.inherited.as_deref()),
    };
    let timestamp = fields.time(mapping.time.as_ref());
    let links = fields.links(&mapping.links, source.source.options.base_url.as_deref());
    let changes = fields.changes(&mapping.changes);
    fields.expect(&source.preset.expect);
    let meta = EventMeta {
        id: id.clone(),
        event_type,
        timestamp,
        source: Some(SourceRef {
            id: source.source.id.clone(),
            name: source.source.name.clone(),
            provider: source.preset.name.clone(),
        }),
        entity: (entity != Entity::default()).then_some(entity),
        action: fields.text("action", mapping.action.as_ref()),
        actor: fields.text("actor", mapping.actor.as_ref()),
        category: fields.text("category", mapping.category.as_ref()),
        summary: fields.prose(mapping.summary.as_ref()),
        application: fields.text("application", mapping.application.as_ref()),
        scope: (scope != Scope::default()).then_some(scope),
        locales: (locales != Locales::default()).then_some(locales),
        links,
        changes,
        provider_event_id,
        warnings: fields.into_warnings(),
        verified: Some(proof),
    };
    // The whole is also what is no JSON.
    let data = mapping.data.iter().find_map(|place| {
        let value = reader.data(place)?;
        if place.pointer().is_empty() {
            Some(part.all())
        } else {
            part.content(value)
        }
    });
    let previous_attributes = mapping
        .previous_attributes
        .as_deref()
        .and_then(|pointer| part.document.at(pointer))
        .and_then(|value| part.content(value));
    Ok(Event {
        id,
        organization: receipt.organization.clone(),
        receipt: Some(receipt.id.clone()),
        received_at: receipt.received_at,
        hops: hops(receipt),
        trace: receipt.trace,
        meta,
        data: data.unwrap_or_else(|| part.all()),
        previous_attributes,
        content_type: if part.whole.is_some() {
            receipt.content_type()
        } else {
            Some("application/json".into())
        },
        body: part.body(),
    })
}

/// How many hubs a request has gone through, as it says itself; a text that is no small number counts as one too many.
fn hops(receipt: &Receipt) -> u8 {
    receipt
        .header(HOPS_HEADER)
        .map_or(0, |text| text.parse::<u8>().unwrap_or(MAX_HOPS).min(MAX_HOPS))
}

/// A type that filters can name and people can read.
fn is_usable_type(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_TYPE_BYTES && !text.chars().any(|c| c.is_control() || c.is_whitespace())
}

/// What tells a signed message from others.
fn signed_bytes<'a>(source: &Effective<'_>, receipt: &'a Receipt) -> Cow<'a, [u8]> {
    let bytes = source.scheme.signed_bytes(receipt, &source.context());
    bytes.map_or(Cow::Borrowed(&receipt.body[..]), Cow::Owned)
}

/// Makes the ids of a receipt's events.
struct Ids<'a> {
    source: &'a Effective<'a>,
    receipt: &'a Receipt,
    /// What tells this receipt from others, where no id of the event does.
    whole: Cow<'a, [u8]>,
    /// How many events of this receipt had the same identity before.
    seen: HashMap<String, u32>,
}

impl<'a> Ids<'a> {
    fn new(source: &'a Effective<'a>, receipt: &'a Receipt, body: &'a Body) -> Self {
        let whole = match source.duplicates {
            Duplicates::SignedBytes | Duplicates::SignedBytesAndType => signed_bytes(source, receipt),
            _ if receipt.query.is_empty() => Cow::Borrowed(&body.bytes[..]),
            // No body holds it, as a query has no such byte.
            _ => Cow::Owned([receipt.query.as_bytes(), b"\0", &body.bytes].concat()),
        };
        Self {
            source,
            receipt,
            whole,
            seen: HashMap::new(),
        }
    }

    fn next(&mut self, provider_id: Option<&str>, event_type: &str) -> EventId {
        let typed;
        let identity = match (self.source.duplicates, provider_id) {
            (Duplicates::Id, Some(id)) => Identity::ProviderId(id),
            // Something unsigned, as the content type, may have kept the id from being found: the same message is still the same.
            (Duplicates::Id, None) if is_signed(self.source.scheme) => {
                typed = signed_bytes(self.source, self.receipt).into_owned();
                Identity::SignedBytes(&typed)
            }
            // Delivered twice is better than not at all, and the receipt's own id at least knows our own retry.
            (Duplicates::Id | Duplicates::None, _) => Identity::Receipt(&self.receipt.id),
            (Duplicates::SignedBytes, _) => Identity::SignedBytes(&self.whole),
            (Duplicates::SignedBytesAndType, _) => {
                // A type holds no such byte.
                typed = [event_type.as_bytes(), b"\0", &self.whole].concat();
                Identity::SignedBytes(&typed)
            }
            (Duplicates::BodyWithin(seconds), _) => Identity::Window {
                body: &self.whole,
                index: self
                    .receipt
                    .received_at
                    .as_second()
                    .div_euclid(i64::from(seconds.max(1))),
            },
        };
        // The same element in another batch is the same event: only what stands twice in one receipt is counted.
        let key = match identity {
            Identity::ProviderId(id) => id,
            _ => "",
        };
        let count = self.seen.entry(key.to_owned()).or_default();
        let part = *count;
        *count += 1;
        EventId::compute(self.source.source.id.as_str(), identity, part)
    }
}
