//! What machines read: exact bytes, whatever the event.

use std::collections::HashMap;

use delivery::Message;
use delivery::format::MAX_QUERY_BYTES;
use payload::event::{BrokenEvent, Content};
use payload::webhook::{Format, Method};
use proptest::prelude::*;
use serde_json::Value;
use url::{Url, form_urlencoded};

use crate::any_event::{Any, event};
use crate::events::{AUDATA, QUARTR, audata, published, quartr};

fn get(event: &payload::Event) -> String {
    Message::render(event, Format::Raw, Method::Get).unwrap().query.unwrap()
}

#[test]
fn the_original_is_untouched() {
    let mut event = quartr();
    event.content_type = Some("Application/JSON ; charset=\"utf-8\"".into());
    let message = Message::render(&event, Format::Original, Method::Post).unwrap();
    assert_eq!(message.body, QUARTR);
    assert_eq!(message.content_type.unwrap(), "Application/JSON ; charset=\"utf-8\"");
    event.content_type = None;
    assert_eq!(
        Message::render(&event, Format::Original, Method::Post)
            .unwrap()
            .content_type,
        None
    );
    event.content_type = Some("text/plain\r\nx-evil: 1".into());
    assert_eq!(
        Message::render(&event, Format::Original, Method::Post)
            .unwrap()
            .content_type,
        None
    );
}

#[test]
fn what_has_no_body_of_its_own_sends_its_data() {
    let message = Message::render(&audata(), Format::Original, Method::Post).unwrap();
    let value: Value = serde_json::from_slice(&message.body).unwrap();
    assert_eq!(value["sender"]["id"], "9007199254740993");
    let message = Message::render(&published(), Format::Original, Method::Post).unwrap();
    assert_eq!(message.body, r#"{ "order": 17, "total": "12.50", "currency": "EUR" }"#);
}

#[test]
fn a_get_can_be_read_by_whoever_reads_forms() {
    let query = get(&audata());
    let read: HashMap<_, _> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let sent: HashMap<_, _> = form_urlencoded::parse(AUDATA.as_bytes()).into_owned().collect();
    assert_eq!(read["data[sender][id]"], sent["sender[id]"]);
    assert_eq!(read["data[sender][last_name]"], "Smith & Sons");
    assert_eq!(read["source.provider"], "audata");
    assert_eq!(read["scope.station"], "developerfm");
    assert!(!read.contains_key("truncated"));
}

#[test]
fn a_get_leaves_out_whole_fields_and_those_of_data_first() {
    let mut event = quartr();
    event.data = Content::Inline(format!(r#"{{"a":"1","b":"{}","c":"3"}}"#, "é".repeat(1000)));
    event.meta.actor = Some("x".repeat(5000));
    event.meta.summary = Some("y".repeat(2000));
    let read: HashMap<_, _> = form_urlencoded::parse(get(&event).as_bytes()).into_owned().collect();
    assert_eq!(read["actor"].len(), 5000);
    assert!(!read.contains_key("summary") && !read.contains_key("data[b]"));
    assert_eq!(
        (&*read["data[a]"], &*read["data[c]"], &*read["truncated"]),
        ("1", "3", "true")
    );
}

#[test]
fn a_broken_event_is_an_error_for_machines_and_a_message_for_people() {
    let mut event = quartr();
    event.data = Content::Span(10, 1_000_000);
    for (format, method) in [
        (Format::Raw, Method::Post),
        (Format::Raw, Method::Get),
        (Format::Cloudevents, Method::Post),
    ] {
        assert_eq!(Message::render(&event, format, method), Err(BrokenEvent::Span));
    }
    for format in [Format::Slack, Format::GoogleChat, Format::Teams, Format::Original] {
        assert!(Message::render(&event, format, Method::Post).is_ok(), "{format:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_event_is_a_get_within_its_limit(Any(event) in event()) {
        let message = Message::render(&event, Format::Raw, Method::Get).unwrap();
        let query = message.query.clone().unwrap();
        prop_assert!(query.len() <= MAX_QUERY_BYTES);
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%=&".contains(&byte);
        prop_assert!(query.bytes().all(is_plain), "{query}");
        // Exactly these bytes arrive, and exactly these are signed.
        let url = message.url(&Url::parse("https://example.com/hook").unwrap());
        prop_assert_eq!(url.query(), Some(query.as_str()));
        prop_assert_eq!(message.signed_bytes(&url), Some(query.as_bytes()));
        let read: HashMap<_, _> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        prop_assert_eq!(&read["id"], event.id.as_str());
        for (name, value) in [("type", Some(&event.meta.event_type)), ("summary", event.meta.summary.as_ref())] {
            match read.get(name) {
                Some(text) => prop_assert_eq!(Some(text), value),
                None => prop_assert!(value.is_none() || read.contains_key("truncated")),
            }
        }
        let data = event.flat_data().unwrap();
        if !read.contains_key("truncated") {
            prop_assert!(data.complete);
            for (name, value) in &data.fields {
                prop_assert_eq!(&read[name.as_str()], value);
            }
        }
    }

    #[test]
    fn any_event_is_a_valid_cloudevent(Any(event) in event()) {
        let message = Message::render(&event, Format::Cloudevents, Method::Post).unwrap();
        let value: Value = serde_json::from_slice(&message.body).unwrap();
        prop_assert_eq!((&value["specversion"], &value["datacontenttype"]), (&Value::from("1.0"), &Value::from("application/json")));
        prop_assert_eq!(&value["id"], event.id.as_str());
        prop_assert!(value["source"].as_str().unwrap().starts_with("urn:hookline:"));
        for name in ["id", "source", "type", "subject", "time"] {
            if let Some(attribute) = value.get(name) {
                let text = attribute.as_str().unwrap();
                prop_assert!(!text.is_empty() && !text.chars().any(char::is_control), "{name}: {text:?}");
            }
        }
        let names = ["specversion", "id", "source", "type", "subject", "time", "datacontenttype", "data"];
        prop_assert!(value.as_object().unwrap().keys().all(|name| names.contains(&name.as_str())));
        let year: Option<u32> = value.get("time").map(|time| time.as_str().unwrap().split('-').next().unwrap().parse().unwrap());
        prop_assert!(year.is_none_or(|year| year <= 9999));
        let payload: Value = serde_json::from_slice(&event.to_json().unwrap()).unwrap();
        prop_assert_eq!(&value["data"], &payload);
    }

    #[test]
    fn the_original_of_any_event_is_its_body_or_its_data(Any(event) in event()) {
        let message = Message::render(&event, Format::Original, Method::Post).unwrap();
        if event.receipt.is_some() && !event.body.is_empty() {
            prop_assert_eq!(message.body, event.body);
        } else {
            prop_assert_eq!(&message.body[..], &event.data_json().unwrap()[..]);
        }
    }
}
