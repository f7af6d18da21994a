//! Every limit and every escaping of the chats holds for any event.

use delivery::Message;
use payload::Event;
use payload::webhook::{Format, Method};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use serde_json::Value;

use crate::any_event::{Any, event};

fn render(event: &Event, format: Format) -> Message {
    Message::render(event, format, Method::Post).unwrap()
}

/// All texts of a document, with the name that each stands under.
fn texts<'a>(value: &'a Value, name: &'a str, found: &mut Vec<(&'a str, &'a str)>) {
    match value {
        Value::String(text) => found.push((name, text)),
        Value::Array(elements) => elements.iter().for_each(|element| texts(element, name, found)),
        Value::Object(members) => members.iter().for_each(|(name, member)| texts(member, name, found)),
        _ => {}
    }
}

/// What no platform may be sent: controls, and what turns the direction of writing around beyond its own text.
fn no_invisible(value: &Value, line_breaks: bool) -> TestCaseResult {
    let mut found = Vec::new();
    texts(value, "", &mut found);
    for (name, text) in found {
        prop_assert!(!text.is_empty(), "{name} is empty");
        prop_assert!(
            text.chars().all(|c| !c.is_control() || line_breaks && c == '\n'),
            "{name}: {text:?}"
        );
        let overrides = |c: char| {
            matches!(
                c,
                '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}' | '\u{2067}'
            )
        };
        prop_assert!(!text.contains(overrides), "{name}: {text:?}");
        // Ours, and closed in the text that they were opened in (the cards make a run of each).
        let opened = text.matches('\u{2068}').count();
        prop_assert!(name == "text" || opened == 0, "{name}: {text:?}");
    }
    Ok(())
}

/// Every ampersand begins one of these entities.
fn only_entities(text: &str, entities: &[&str]) -> TestCaseResult {
    for (at, _) in text.match_indices('&') {
        prop_assert!(
            entities.iter().any(|entity| text[at..].starts_with(entity)),
            "{}",
            &text[at..]
        );
    }
    Ok(())
}

fn slack_holds(message: &Message) -> TestCaseResult {
    let body = std::str::from_utf8(&message.body).unwrap();
    prop_assert!(body.encode_utf16().count() <= 13_000, "{}", body.len());
    let value: Value = serde_json::from_str(body).unwrap();
    no_invisible(&value, true)?;
    let blocks = value["blocks"].as_array().unwrap();
    prop_assert!((1..=50).contains(&blocks.len()));
    slack_text(value["text"].as_str().unwrap())?;
    for block in blocks {
        match block["type"].as_str().unwrap() {
            "header" => slack_object(&block["text"], 150)?,
            "section" if block["text"]["type"] == "mrkdwn" => slack_link(&block["text"])?,
            "section" => slack_object(&block["text"], 3000)?,
            "context" => {
                let elements = block["elements"].as_array().unwrap();
                prop_assert!((1..=10).contains(&elements.len()));
                for element in elements {
                    slack_object(element, 2000)?;
                }
            }
            "divider" => {}
            other => prop_assert!(false, "{other}"),
        }
    }
    Ok(())
}

fn slack_object(object: &Value, most: usize) -> TestCaseResult {
    prop_assert_eq!(&object["type"], "plain_text");
    prop_assert_eq!(&object["emoji"], false);
    let text = object["text"].as_str().unwrap();
    prop_assert!((1..=most).contains(&text.encode_utf16().count()), "{}", text.len());
    slack_text(text)
}

fn slack_text(text: &str) -> TestCaseResult {
    prop_assert!(!text.contains(['<', '>']), "{text}");
    only_entities(text, &["&amp;", "&lt;", "&gt;"])
}

/// The one text that is ours: one link, to the web.
fn slack_link(object: &Value) -> TestCaseResult {
    prop_assert_eq!(&object["verbatim"], true);
    let text = object["text"].as_str().unwrap();
    prop_assert!(text.encode_utf16().count() <= 3000);
    let inner = text.strip_prefix('<').and_then(|text| text.strip_suffix('>')).unwrap();
    let (url, label) = inner.split_once('|').unwrap();
    prop_assert!(url.starts_with("https://") || url.starts_with("http://"), "{url}");
    prop_assert!(
        !inner.contains(['<', '>', ' ', '"']) || label.starts_with("Open "),
        "{inner}"
    );
    prop_assert!(
        !url.contains(['<', '>', ' ', '"']) && !label.contains(['<', '>', '|', '&']),
        "{inner}"
    );
    only_entities(url, &["&amp;"])
}

fn google_chat_holds(message: &Message) -> TestCaseResult {
    prop_assert!(message.body.len() <= 32_000, "{}", message.body.len());
    let value: Value = serde_json::from_slice(&message.body).unwrap();
    no_invisible(&value, false)?;
    prop_assert!(value.get("text").is_none());
    let card = &value["cardsV2"][0]["card"];
    let plain = [
        &value["fallbackText"],
        &card["header"]["title"],
        &card["header"]["subtitle"],
    ];
    for text in plain.into_iter().filter_map(Value::as_str) {
        prop_assert!(!text.contains(['<', '>']), "{text}");
    }
    prop_assert!(card["header"]["title"].is_string());
    let sections = card["sections"].as_array().unwrap();
    let widgets: Vec<&Value> = sections
        .iter()
        .flat_map(|section| section["widgets"].as_array().unwrap())
        .collect();
    prop_assert!((1..=100).contains(&widgets.len()));
    for widget in widgets {
        if let Some(buttons) = widget["buttonList"]["buttons"].as_array() {
            prop_assert_eq!(buttons.len(), 1);
            let url = buttons[0]["onClick"]["openLink"]["url"].as_str().unwrap();
            prop_assert!(url.starts_with("https://") || url.starts_with("http://"), "{url}");
            continue;
        }
        let text = [&widget["textParagraph"]["text"], &widget["decoratedText"]["text"]]
            .into_iter()
            .find_map(Value::as_str);
        let text = text.unwrap();
        prop_assert_eq!(text.matches("<b>").count(), text.matches("</b>").count());
        let foreign = text.replace("<b>", "").replace("</b>", "").replace("<br>", "");
        prop_assert!(!foreign.contains(['<', '>', '"', '\'']), "{text}");
        only_entities(&foreign, &["&amp;", "&lt;", "&gt;", "&quot;", "&#39;"])?;
    }
    let thread = value["thread"]["threadKey"].as_str();
    prop_assert_eq!(thread.is_some(), message.query.is_some());
    prop_assert!(thread.is_none_or(|key| key.len() == 64 && key.bytes().all(|byte| byte.is_ascii_hexdigit())));
    Ok(())
}

fn teams_holds(message: &Message) -> TestCaseResult {
    prop_assert!(message.body.len() <= 20_000, "{}", message.body.len());
    let value: Value = serde_json::from_slice(&message.body).unwrap();
    no_invisible(&value, false)?;
    let names = |value: &Value| {
        value
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<std::collections::BTreeSet<_>>()
    };
    prop_assert_eq!(names(&value), ["attachments", "type"].map(str::to_owned).into());
    let attachments = value["attachments"].as_array().unwrap();
    prop_assert_eq!(attachments.len(), 1);
    let card = &attachments[0]["content"];
    prop_assert!(card.get("msteams").is_none(), "mentions");
    prop_assert_eq!(
        (&card["type"], &card["version"]),
        (&Value::from("AdaptiveCard"), &Value::from("1.4"))
    );
    for element in card["body"].as_array().unwrap() {
        prop_assert_eq!(&element["type"], "RichTextBlock");
        let runs = element["inlines"].as_array().unwrap();
        prop_assert!(!runs.is_empty());
        for run in runs {
            // A bare string would do as well, and so would a run with an action of its own.
            prop_assert_eq!(&run["type"], "TextRun");
            prop_assert!(run.get("selectAction").is_none());
        }
    }
    for action in card["actions"].as_array().into_iter().flatten() {
        prop_assert_eq!(&action["type"], "Action.OpenUrl");
        let url = action["url"].as_str().unwrap();
        prop_assert!(url.starts_with("https://") || url.starts_with("http://"), "{url}");
        let host = url::Url::parse(url).unwrap().host_str().unwrap().to_owned();
        prop_assert_eq!(action["title"].as_str().unwrap(), format!("Open {host}"));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn slack_takes_any_event(Any(event) in event()) {
        slack_holds(&render(&event, Format::Slack))?;
    }

    #[test]
    fn google_chat_takes_any_event(Any(event) in event()) {
        google_chat_holds(&render(&event, Format::GoogleChat))?;
    }

    #[test]
    fn teams_takes_any_event(Any(event) in event()) {
        teams_holds(&render(&event, Format::Teams))?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_chat_takes_any_digest(events in proptest::collection::vec(event(), 0..16), total in 1_usize..5000) {
        let events: Vec<&Event> = events.iter().map(|Any(event)| event).collect();
        let digest = |format| Message::digest(&events, total, format).unwrap();
        slack_holds(&digest(Format::Slack))?;
        google_chat_holds(&digest(Format::GoogleChat))?;
        teams_holds(&digest(Format::Teams))?;
    }
}

/// As much as anybody can send, of what takes the most room on each platform.
#[test]
fn the_largest_event_still_says_what_it_can() {
    for filler in ["&", "\"", "\\", "😀", "<", "'", "א", "x y "] {
        let mut event = crate::events::published();
        let long = filler.repeat(300_000 / filler.len());
        event.meta.summary = Some(long.clone());
        event.meta.actor = Some(long.clone());
        event.meta.warnings = vec![long.clone(); 9];
        event.meta.entity.as_mut().unwrap().id = Some(long.clone());
        event.meta.changes = vec![
            payload::event::Change {
                kind: "field".into(),
                code: long.clone(),
                previous: Some(long.clone()),
                current: Some(long.clone()),
            };
            200
        ];
        slack_holds(&render(&event, Format::Slack)).unwrap();
        google_chat_holds(&render(&event, Format::GoogleChat)).unwrap();
        teams_holds(&render(&event, Format::Teams)).unwrap();
        for format in [Format::Slack, Format::GoogleChat, Format::Teams] {
            let message = render(&event, format);
            let body = std::str::from_utf8(&message.body).unwrap();
            assert!(body.contains(" more"), "{format:?} {filler}");
            assert!(body.contains('…'), "{format:?} {filler}");
            assert!(
                message.body.len() > 5_000,
                "{format:?} {filler}: {}",
                message.body.len()
            );
        }
    }
}

/// The words that would call people or lead them astray never stand there as such.
#[test]
fn nothing_in_an_event_is_obeyed() {
    for hostile in crate::any_event::HOSTILE.iter().filter(|text| text.contains('<')) {
        let mut event = crate::events::published();
        event.meta.summary = Some((*hostile).to_owned());
        event.meta.event_type = (*hostile).to_owned();
        event.meta.warnings = vec![(*hostile).to_owned()];
        event.meta.changes[0].code = (*hostile).to_owned();
        event.meta.changes[0].current = Some((*hostile).to_owned());
        event.meta.links[1].href = format!("https://example.com/{hostile}");
        for format in [Format::Slack, Format::GoogleChat] {
            for message in [render(&event, format), Message::digest(&[&event], 1, format).unwrap()] {
                let value: Value = serde_json::from_slice(&message.body).unwrap();
                let mut found = Vec::new();
                texts(&value, "", &mut found);
                assert!(
                    found.iter().all(|(_, text)| !text.contains(hostile)),
                    "{format:?}: {hostile}"
                );
            }
        }
    }
}

#[test]
fn only_a_page_of_the_web_is_linked_and_its_host_is_told() {
    let linked = |hrefs: &[(&str, &str)]| {
        let mut event = crate::events::published();
        let link = |(rel, href): &(&str, &str)| payload::event::Link {
            rel: Some((*rel).to_owned()),
            href: (*href).to_owned(),
        };
        event.meta.links = hrefs.iter().map(link).collect();
        let value: Value = serde_json::from_slice(&render(&event, Format::Teams).body).unwrap();
        let action = &value["attachments"][0]["content"]["actions"][0];
        Some((action["url"].as_str()?.to_owned(), action["title"].as_str()?.to_owned()))
    };
    let page = |url: &str, title: &str| Some((url.to_owned(), title.to_owned()));
    for refused in [
        "javascript:alert(1)",
        "ms-teams://example.com/run",
        "ftp://example.com/x",
        "data:text/html,x",
        "/relative",
        "https://slack.com@evil.example/",
        "https://a&b.example/",
        "https://[::1]/",
        "",
    ] {
        assert_eq!(linked(&[("self", refused)]), None, "{refused}");
    }
    assert_eq!(
        linked(&[
            ("self", "javascript:x"),
            ("self", "http://API.example.com/1"),
            ("html", "https://example.com/1")
        ]),
        page("https://example.com/1", "Open example.com")
    );
    assert_eq!(
        linked(&[("self", "https://b\u{fc}cher.example/<b>|\"")]),
        page(
            "https://xn--bcher-kva.example/%3Cb%3E%7C%22",
            "Open xn--bcher-kva.example"
        )
    );
}
