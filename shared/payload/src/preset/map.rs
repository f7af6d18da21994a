//! Turns a verified receipt into the common payload.

use jiff::Timestamp;

use super::{Duplicates, Place, Pointers, Preset, Take};
use crate::event::{Change, Content, Entity, Event, EventMeta, Scope, SourceRef};
use crate::id::Identity;
use crate::json::{Document, InvalidJson, members, scalar};
use crate::scheme::Proof;
use crate::source::Source;
use crate::{EventId, Receipt};

/// The longest text of a field of the common payload, in bytes; a longer one is left out, with a warning.
const MAX_FIELD_BYTES: usize = 1024;

/// The most entries of `changes`; further ones are left out, with a warning.
const MAX_CHANGES: usize = 200;

/// The longest event type, in bytes.
const MAX_TYPE_BYTES: usize = 200;

/// Why a verified receipt cannot become an event. The receipt is kept and can be verified again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The body is no JSON.
    #[error(transparent)]
    Json(#[from] InvalidJson),
    /// No event type where the preset looks for it, or one that is not usable.
    #[error("there is no event type of 1 to {MAX_TYPE_BYTES} printable bytes where the preset looks for it")]
    NoType,
    /// The preset decides duplicates by an id that is not there.
    #[error("there is no event id where the preset looks for it")]
    NoId,
}

impl Unreadable {
    /// A stable word for the log, the receipt and the metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Json(_) => "unreadable_body",
            Self::NoType => "no_event_type",
            Self::NoId => "no_event_id",
        }
    }
}

/// The events that a verified receipt holds, in their order.
///
/// # Errors
/// When the body or the fields without which there is no event cannot be read.
pub fn map(preset: &Preset, source: &Source, receipt: &Receipt, proof: Proof) -> Result<Vec<Event>, Unreadable> {
    let document = Document::parse(&receipt.body)?;
    let mut reader = Reader {
        receipt,
        document: &document,
        warnings: Vec::new(),
    };
    let mapping = &preset.event;

    let event_type = reader
        .text(&mapping.event_type)
        .filter(|text| {
            text.len() <= MAX_TYPE_BYTES
                && !text.is_empty()
                && !text.chars().any(|c| c.is_control() || c.is_whitespace())
        })
        .ok_or(Unreadable::NoType)?;
    let provider_event_id = reader.field("providerEventId", mapping.id.as_ref());
    let identity = match preset.duplicates {
        Duplicates::Id => Identity::ProviderId(provider_event_id.as_deref().ok_or(Unreadable::NoId)?),
        Duplicates::SignedBytes => Identity::SignedBytes(&receipt.body),
        Duplicates::None => Identity::Receipt(&receipt.id),
    };
    let id = EventId::compute(source.id.as_str(), identity, 0);
    let timestamp = reader.time(mapping.time.as_ref());
    let entity = Entity {
        kind: reader.field("entity.type", mapping.entity.kind.as_ref()),
        subtype: reader.field("entity.subtype", mapping.entity.subtype.as_ref()),
        id: reader.field("entity.id", mapping.entity.id.as_ref()),
    };
    let scope = Scope {
        pool: reader.field("scope.pool", mapping.scope.pool.as_ref()),
        station: reader.field("scope.station", mapping.scope.station.as_ref()),
        organization: reader.field("scope.organization", mapping.scope.organization.as_ref()),
    };
    let meta = EventMeta {
        id: id.clone(),
        event_type,
        timestamp,
        source: Some(SourceRef {
            id: source.id.clone(),
            name: source.name.clone(),
            provider: preset.name.clone(),
        }),
        entity: (entity != Entity::default()).then_some(entity),
        action: reader.field("action", mapping.action.as_ref()),
        actor: reader.field("actor", mapping.actor.as_ref()),
        category: reader.field("category", mapping.category.as_ref()),
        summary: reader.field("summary", mapping.summary.as_ref()),
        application: reader.field("application", mapping.application.as_ref()),
        scope: (scope != Scope::default()).then_some(scope),
        changes: reader.changes(preset),
        provider_event_id,
        warnings: reader.warnings,
        verified: Some(proof),
    };
    let data = match &mapping.data {
        Pointers::One(pointer) => document.at(pointer),
        Pointers::FirstOf { first_of } => first_of.iter().find_map(|pointer| document.at(pointer)),
    };
    let span = |value| document.span_of(value).map(|span| Content::Span(span.start, span.end));
    Ok(vec![Event {
        id,
        organization: receipt.organization.clone(),
        receipt: Some(receipt.id.clone()),
        received_at: receipt.received_at,
        meta,
        data: data.and_then(span).unwrap_or(Content::Span(0, receipt.body.len())),
        previous_attributes: mapping
            .previous_attributes
            .as_deref()
            .and_then(|pointer| document.at(pointer))
            .and_then(span),
        content_type: receipt.content_type(),
        body: receipt.body.clone(),
    }])
}

struct Reader<'a> {
    receipt: &'a Receipt,
    document: &'a Document<'a>,
    warnings: Vec<String>,
}

impl Reader<'_> {
    fn text(&self, place: &Place) -> Option<String> {
        let found = if let Some(name) = &place.header {
            self.receipt.header(name)
        } else if let Some(pointer) = &place.pointer {
            self.document.at(pointer).and_then(scalar)
        } else if let Some(constant) = &place.constant {
            Some(constant.clone())
        } else if !place.first_of.is_empty() {
            place.first_of.iter().find_map(|place| self.text(place))
        } else {
            let parts: Vec<String> = place.join.iter().filter_map(|place| self.text(place)).collect();
            (!parts.is_empty()).then(|| parts.join(&place.with))
        };
        let text = found.filter(|text| !text.is_empty())?;
        match (&place.split, place.take) {
            (Some(separator), Some(take)) => part(&text, separator, take),
            _ => Some(text),
        }
    }

    fn field(&mut self, name: &str, place: Option<&Place>) -> Option<String> {
        let text = self.text(place?)?;
        if text.len() > MAX_FIELD_BYTES {
            self.warnings.push(format!(
                "{name} was left out: it is longer than {MAX_FIELD_BYTES} bytes"
            ));
            return None;
        }
        Some(text)
    }

    fn time(&mut self, place: Option<&Place>) -> Timestamp {
        let Some(text) = place.and_then(|place| self.text(place)) else {
            return self.receipt.received_at;
        };
        let seconds = || {
            text.parse::<i64>()
                .ok()
                .and_then(|seconds| Timestamp::from_second(seconds).ok())
        };
        if let Some(time) = text.parse::<Timestamp>().ok().or_else(seconds) {
            return time;
        }
        self.warnings
            .push("timestamp could not be read: the time of receipt stands for it".into());
        self.receipt.received_at
    }

    fn changes(&mut self, preset: &Preset) -> Vec<Change> {
        let Some(places) = &preset.event.changes else {
            return Vec::new();
        };
        let Some(object) = self.document.at(&places.keys_of) else {
            return Vec::new();
        };
        let mut codes: Vec<String> = members(object)
            .into_keys()
            .filter(|code| code.len() <= MAX_FIELD_BYTES / 4)
            .collect();
        codes.sort_unstable();
        if codes.len() > MAX_CHANGES {
            self.warnings
                .push(format!("changes holds the first {MAX_CHANGES} of {}", codes.len()));
            codes.truncate(MAX_CHANGES);
        }
        codes
            .into_iter()
            .map(|code| Change {
                kind: places.kind.clone(),
                code,
            })
            .collect()
    }
}

fn part(text: &str, separator: &str, take: Take) -> Option<String> {
    let found = match take {
        Take::First => text.split_once(separator).map_or(text, |(first, _)| first),
        Take::Last => text.rsplit_once(separator)?.1,
        Take::AllButLast => text.rsplit_once(separator).map_or(text, |(rest, _)| rest),
    };
    (!found.is_empty()).then(|| found.to_owned())
}
