//! The lists, together with one another and with a pattern.

use super::*;
use crate::SourceId;

fn members() -> Value {
    json!({
        "type": "live.audio.updated",
        "source": {"id": source(), "name": "prod", "provider": "quartr"},
        "application": "Content", "category": "media", "action": "updated",
        "entity": {"type": "live.audio", "id": "7"},
        "scope": {"pool": "east", "station": "st-1"},
        "locales": {"updated": ["de"], "inherited": ["fr", "en"]},
    })
}

fn source() -> SourceId {
    "src_01JQ6ZQ0M0000000000000000A".parse().unwrap()
}

#[test]
fn each_list_restricts() {
    for (name, taken, left) in [
        (
            "sources",
            "src_01JQ6ZQ0M0000000000000000A",
            "src_01JQ6ZQ0M0000000000000000B",
        ),
        ("types", "live.*", "audio.*"),
        ("types", "*.updated", "live.audio"),
        ("applications", "Content", "content"),
        ("categories", "media", "med*"),
        ("actions", "updated", "update"),
        ("entities", "live.*o", "*.video"),
        ("pools", "east", "west"),
        ("stations", "st-1", "st-*"),
        ("locales", "de", "d"),
        ("locales", "en", "EN"),
    ] {
        assert!(wants(&json!({name: [taken]}), &members()), "{name} {taken}");
        assert!(wants(&json!({name: [left, taken]}), &members()), "{name} {taken}");
        assert!(!wants(&json!({name: [left]}), &members()), "{name} {left}");
        assert!(wants(&json!({name: []}), &members()), "{name}");
        // What an event does not have, a list does not find.
        assert_eq!(wants(&json!({name: [taken]}), &json!({})), name == "types", "{name}");
    }
}

#[test]
fn all_parts_must_hold() {
    let filter = |types: &str, pool: &str, kind: &str| json!({"types": [types], "pools": [pool], "pattern": {"type": [{"suffix": kind}]}});
    assert!(wants(&filter("live.*", "east", "updated"), &members()));
    assert!(!wants(&filter("video.*", "east", "updated"), &members()));
    assert!(!wants(&filter("live.*", "west", "updated"), &members()));
    assert!(!wants(&filter("live.*", "east", "deleted"), &members()));
    assert!(wants(&json!({}), &members()));
}

#[test]
fn operational_events_go_only_to_who_names_them() {
    let members = json!({"type": "hookline.webhook.failing"});
    for (filter, wanted) in [
        (json!({}), false),
        (json!({"types": ["*"]}), false),
        (json!({"types": ["*.failing"]}), false),
        (json!({"types": ["hook*"]}), false),
        (json!({"types": ["hookline*"]}), false),
        (json!({"pattern": {"type": ["hookline.webhook.failing"]}}), false),
        (
            json!({"types": ["*"], "pattern": {"type": ["hookline.webhook.failing"]}}),
            false,
        ),
        (json!({"types": ["hookline.*"]}), true),
        (json!({"types": ["*", "hookline.webhook.failing"]}), true),
        (json!({"types": ["hookline.delivery.*"]}), false),
        (json!({"types": ["hookline.*"], "pools": ["east"]}), false),
    ] {
        assert_eq!(wants(&filter, &members), wanted, "{filter}");
    }
    assert!(!wants(&json!({"types": ["hookline.*"]}), &json!({})));
}

#[test]
fn the_type_and_the_source_may_say_that_an_event_is_not_wanted() {
    let other: SourceId = "src_01JQ6ZQ0M0000000000000000B".parse().unwrap();
    let of = |json: Value| Filter::parse(&json.to_string()).unwrap();
    let types = of(json!({"types": ["live.*"], "pools": ["east"]}));
    assert!(types.may_want("live.audio", None) && !types.may_want("audio.live", None));
    let sources = of(json!({"sources": [source()], "pattern": {"type": ["x"]}}));
    assert!(sources.may_want("x", Some(&source())) && !sources.may_want("x", Some(&other)));
    assert!(sources.may_want("x", None), "where it came in is not known");
    let all = of(json!({}));
    assert!(all.may_want("x", Some(&other)) && !all.may_want("hookline.webhook.failing", None));
    assert!(of(json!({"types": ["hookline.*"]})).may_want("hookline.webhook.failing", None));
    assert!(!of(json!({"types": ["*"]})).may_want("hookline.webhook.failing", None));
}

#[test]
fn positions_come_back_in_order() {
    let filters: Vec<StoredFilter> = (0..300)
        .map(|number| match number % 3 {
            0 => filter(&json!({})),
            1 => filter(&json!({"types": ["live.*"]})),
            _ => filter(&json!({"types": [format!("other.{number}")]})),
        })
        .collect();
    let (matcher, unreadable) = Matcher::compile(filters.iter().enumerate().map(|(at, filter)| (at * 10, filter)));
    assert!(unreadable.is_empty());
    let (meta, json) = event(&members());
    let expected: Vec<usize> = (0..300)
        .filter(|number| number % 3 != 2)
        .map(|number| number * 10)
        .collect();
    assert_eq!(matcher.matches(&meta, &json).unwrap(), expected);
    let (meta, json) = event(&json!({"type": "other.11"}));
    let expected: Vec<usize> = (0..300)
        .filter(|number| number % 3 == 0 || *number == 11)
        .map(|number| number * 10)
        .collect();
    assert_eq!(matcher.matches(&meta, &json).unwrap(), expected);
}

#[test]
fn many_alike_are_no_more_than_one() {
    // More than 255 filters of one condition, and of conditions that a value meets all at once.
    let same = filter(&json!({"pattern": {"data": {"a": [{"prefix": "x"}, {"anything-but": ["z"]}]}}}));
    let filters: Vec<StoredFilter> = (0..600)
        .map(|number| {
            if number % 2 == 0 {
                same.clone()
            } else {
                filter(&json!({"pattern": {"data": {"n": [{"numeric": [">", number]}]}}}))
            }
        })
        .collect();
    let (matcher, _) = Matcher::compile(filters.iter().enumerate());
    let (meta, json) = event(&json!({"data": {"a": "xy", "n": 100_000}}));
    assert_eq!(matcher.matches(&meta, &json).unwrap().len(), 600);
    let (meta, json) = event(&json!({"data": {"a": "z", "n": 300}}));
    assert_eq!(matcher.matches(&meta, &json).unwrap().len(), 150);
}

#[test]
fn the_payload_is_looked_at_only_for_patterns() {
    let (meta, _) = event(&members());
    let lists = [filter(&json!({"types": ["live.*"]})), filter(&json!({}))];
    let (matcher, _) = Matcher::compile(lists.iter().enumerate());
    assert_eq!(matcher.matches(&meta, b"not JSON").unwrap(), [0, 1]);
    let pattern = filter(&json!({"pattern": {"data": {"a": [1]}}}));
    let (matcher, _) = Matcher::compile([(0, &pattern)]);
    assert!(matcher.matches(&meta, b"{\"data\":{\"a\":").is_err());
}
