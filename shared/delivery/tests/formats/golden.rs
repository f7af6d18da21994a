//! Golden files. Those of the chats are what `tests/scripts/schemas.sh` holds against the platforms' published schemas.

use delivery::{Message, SignedPart};
use payload::Event;
use payload::webhook::{Format, Method};

use crate::events::{of_providers, published, quartr, quortex};

fn render(event: &Event, format: Format, method: Method) -> Message {
    Message::render(event, format, method).unwrap()
}

fn content_type(message: &Message) -> Option<&str> {
    message.content_type.as_ref().map(|value| value.to_str().unwrap())
}

/// Bytes that are sent as they stand here.
fn assert_text(name: &str, bytes: &[u8]) {
    insta::with_settings!({snapshot_path => "../golden", prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_snapshot!(name, std::str::from_utf8(bytes).unwrap());
    });
}

/// A message for people: laid out for those who read this.
fn assert_chat(name: &str, message: &Message) {
    let value: serde_json::Value = serde_json::from_slice(&message.body).unwrap();
    insta::with_settings!({
        snapshot_path => "../golden", prepend_module_to_snapshot => false, omit_expression => true, sort_maps => true
    }, {
        insta::assert_json_snapshot!(name, value);
    });
    assert_eq!((message.method, message.signed), (Method::Post, SignedPart::Nothing));
}

fn all() -> impl Iterator<Item = (&'static str, Event)> {
    of_providers().into_iter().chain([("published", published())])
}

#[test]
fn raw() {
    for (name, event) in all() {
        let message = render(&event, Format::Raw, Method::Post);
        assert_eq!(
            (content_type(&message), message.signed),
            (Some("application/json"), SignedPart::Body)
        );
        assert_eq!((message.method, &message.query), (Method::Post, &None));
        assert_text(&format!("{name}-raw"), &message.body);
    }
}

#[test]
fn raw_as_a_get() {
    for (name, event) in all() {
        let message = render(&event, Format::Raw, Method::Get);
        assert_eq!((message.method, message.signed), (Method::Get, SignedPart::Query));
        assert_eq!((content_type(&message), message.body.len()), (None, 0));
        // One parameter on each line.
        assert_text(
            &format!("{name}-get"),
            message.query.unwrap().replace('&', "\n&").as_bytes(),
        );
    }
}

#[test]
fn original() {
    for (name, event) in all() {
        let message = render(&event, Format::Original, Method::Post);
        assert_eq!(
            (content_type(&message), message.signed),
            (Some("application/json"), SignedPart::Body)
        );
        assert_text(&format!("{name}-original"), &message.body);
    }
}

#[test]
fn cloudevents() {
    for (name, event) in all() {
        let message = render(&event, Format::Cloudevents, Method::Post);
        assert_eq!(
            (content_type(&message), message.signed),
            (Some("application/cloudevents+json"), SignedPart::Body)
        );
        assert_text(&format!("{name}-cloudevents"), &message.body);
    }
}

#[test]
fn slack() {
    for (name, event) in all() {
        let message = render(&event, Format::Slack, Method::Post);
        assert_eq!(
            (content_type(&message), &message.query),
            (Some("application/json"), &None)
        );
        assert_chat(&format!("{name}-slack"), &message);
    }
}

#[test]
fn google_chat() {
    for (name, event) in all() {
        let message = render(&event, Format::GoogleChat, Method::Post);
        assert_eq!(content_type(&message), Some("application/json; charset=UTF-8"));
        assert_eq!(
            message.query.as_deref(),
            Some("messageReplyOption=REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD")
        );
        assert_chat(&format!("{name}-google_chat"), &message);
    }
}

#[test]
fn one_entity_has_one_thread() {
    let thread = |event: &Event| {
        let message = render(event, Format::GoogleChat, Method::Post);
        let value: serde_json::Value = serde_json::from_slice(&message.body).unwrap();
        (
            value["thread"]["threadKey"].as_str().map(str::to_owned),
            message.query.is_some(),
        )
    };
    let first = quartr();
    let mut later = quartr();
    later.meta.action = Some("deleted".into());
    later.meta.summary = Some("another".into());
    assert_eq!(thread(&first), thread(&later));
    assert!(thread(&first).0.is_some());
    let mut another = quartr();
    another.meta.entity.as_mut().unwrap().id = Some("328351".into());
    assert_ne!(thread(&first), thread(&another));
    let mut of_none = quartr();
    of_none.meta.entity = None;
    assert_eq!(thread(&of_none), (None, false));
}

#[test]
fn teams() {
    for (name, event) in all() {
        let message = render(&event, Format::Teams, Method::Post);
        assert_eq!(
            (content_type(&message), &message.query),
            (Some("application/json"), &None)
        );
        assert_chat(&format!("{name}-teams"), &message);
    }
}

#[test]
fn digests() {
    let mut events: Vec<Event> = of_providers().into_iter().map(|(_, event)| event).collect();
    for minute in 0..15 {
        let mut event = quortex();
        event.meta.timestamp = format!("2025-03-25T13:{:02}:00Z", 10 + minute).parse().unwrap();
        event.meta.summary = None;
        events.push(event);
    }
    let events: Vec<&Event> = events.iter().collect();
    for (name, format) in [
        ("slack", Format::Slack),
        ("google_chat", Format::GoogleChat),
        ("teams", Format::Teams),
    ] {
        assert_chat(
            &format!("digest-{name}"),
            &Message::digest(&events, 37, format).unwrap(),
        );
    }
    for format in [Format::Raw, Format::Original, Format::Cloudevents] {
        assert_eq!(Message::digest(&events, 37, format), None);
    }
    assert_eq!(Message::digest(&[], 0, Format::Slack), None);
    for format in [Format::Slack, Format::GoogleChat, Format::Teams] {
        let body = Message::digest(&[], 5, format).unwrap().body;
        assert!(std::str::from_utf8(&body).unwrap().contains("5 events"), "{format:?}");
    }
}
