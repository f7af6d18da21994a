//! The common payload as a CloudEvent in the
//! [JSON format](https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md), structured mode.

use http::HeaderValue;
use jiff::Timestamp;
use payload::Event;
use payload::event::{BrokenEvent, Entity};
use serde::Serialize;

/// The media type of a structured event.
pub(super) const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/cloudevents+json");

/// What stands for a type of which nothing is left: the attribute must not be empty.
const UNKNOWN_TYPE: &str = "unknown";

/// The context attributes
/// ([CloudEvents, section 3.1](https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md#context-attributes)). `source` and `id`
/// together name one event.
#[derive(Serialize)]
struct Attributes<'a> {
    specversion: &'static str,
    id: &'a str,
    source: String,
    #[serde(rename = "type")]
    event_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<Timestamp>,
    datacontenttype: &'static str,
}

/// An event as a CloudEvent with this id; its `data` is the common payload.
pub(super) fn render(event: &Event, id: &str) -> Result<Vec<u8>, BrokenEvent> {
    let meta = &event.meta;
    let event_type = allowed(&meta.event_type);
    let attributes = Attributes {
        specversion: "1.0",
        id,
        // What was published through the API has no source but the organization itself.
        source: meta.source.as_ref().map_or_else(
            || format!("urn:hookline:organization:{}", event.organization.as_str()),
            |source| format!("urn:hookline:source:{}", source.id.as_str()),
        ),
        event_type: if event_type.is_empty() {
            UNKNOWN_TYPE.to_owned()
        } else {
            event_type
        },
        subject: meta.entity.as_ref().and_then(subject),
        time: Some(meta.timestamp).filter(|time| is_rfc3339(*time)),
        datacontenttype: "application/json",
    };
    let mut json = serde_json::to_vec(&attributes).map_err(|_| BrokenEvent::Meta)?;
    // The object is open at its end: what follows is spliced in as it stands.
    json.pop();
    json.extend_from_slice(b",\"data\":");
    json.extend_from_slice(&event.to_json()?);
    json.push(b'}');
    Ok(json)
}

/// What it happened to: `live.audio/328350`.
fn subject(entity: &Entity) -> Option<String> {
    let parts = [&entity.kind, &entity.id]
        .into_iter()
        .flatten()
        .map(|part| allowed(part));
    let parts: Vec<String> = parts.filter(|part| !part.is_empty()).collect();
    (!parts.is_empty()).then(|| parts.join("/"))
}

/// Without the characters that no attribute may hold
/// ([section 3.1, String](https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md#type-system)).
fn allowed(text: &str) -> String {
    let is_noncharacter = |c: char| matches!(u32::from(c), 0xfdd0..=0xfdef) || u32::from(c) & 0xfffe == 0xfffe;
    text.chars()
        .filter(|c| !c.is_control() && !is_noncharacter(*c))
        .collect()
}

/// Whether its year is one that RFC 3339 can write: from 0 to 9999, where our clock's years end.
fn is_rfc3339(time: Timestamp) -> bool {
    !time.to_string().starts_with('-')
}
