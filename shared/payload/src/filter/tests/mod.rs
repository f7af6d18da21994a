#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod documented;
mod errors;
mod explain;
mod language;
mod lists;
mod oracle;
mod random;
mod storing;

use serde_json::{Value, json};

use super::{Filter, Matcher, StoredFilter};
use crate::EventId;
use crate::event::EventMeta;
use crate::id::Identity;

/// A filter that can be read.
fn filter(json: &Value) -> StoredFilter {
    Filter::parse(&json.to_string()).unwrap().into()
}

/// An event of these members, and of those that every event has.
fn event(members: &Value) -> (EventMeta, Vec<u8>) {
    let mut event = json!({
        "id": EventId::compute("src_1", Identity::ProviderId("1"), 0),
        "type": "live.audio.updated",
        "timestamp": "2025-03-25T13:31:00Z",
        "data": {},
    });
    for (name, value) in members.as_object().unwrap() {
        event[name] = value.clone();
    }
    (
        serde_json::from_value(event.clone()).unwrap(),
        event.to_string().into_bytes(),
    )
}

/// Whether a filter wants an event.
fn wants(filter_json: &Value, members: &Value) -> bool {
    let (meta, json) = event(members);
    let stored = filter(filter_json);
    let (matcher, unreadable) = Matcher::compile([(7, &stored)]);
    assert!(unreadable.is_empty());
    let wanted = !matcher.matches(&meta, &json).unwrap().is_empty();
    let source = meta.source.as_ref().map(|source| &source.id);
    let may_want = stored.read().unwrap().may_want(&meta.event_type, source);
    assert!(may_want || !wanted, "{filter_json} wants what it may not");
    wanted
}

/// Whether a pattern over `data` takes this data.
fn takes(pattern: &Value, data: &Value) -> bool {
    wants(&json!({"pattern": {"data": pattern}}), &json!({"data": data}))
}
