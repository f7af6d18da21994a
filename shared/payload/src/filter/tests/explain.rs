//! What is said of a filter that does not want an event.

use proptest::prelude::TestCaseError;
use proptest::{prop_assert, prop_assert_eq};

use super::*;

/// The pointers and sentences of what is not met.
fn unmet(filter_json: &Value, members: &Value) -> Vec<(String, String)> {
    let (meta, json) = event(members);
    let unmet = filter(filter_json).unmet(&meta, &json).unwrap();
    unmet.into_iter().map(|unmet| (unmet.pointer, unmet.sentence)).collect()
}

/// Of a pattern over `data`.
fn of_pattern(pattern: &Value, data: &Value) -> Vec<(String, String)> {
    unmet(&json!({"pattern": {"data": pattern}}), &json!({"data": data}))
}

/// That exactly the expected filters have nothing unmet, and that what is unmet stands in the filter.
pub(super) fn assert_explained(
    filters: &[StoredFilter],
    meta: &EventMeta,
    json: &[u8],
    expected: &[usize],
) -> Result<(), TestCaseError> {
    for (number, filter) in filters.iter().enumerate() {
        let unmet = filter.unmet(meta, json).unwrap();
        prop_assert_eq!(unmet.is_empty(), expected.contains(&number), "{:?} {:?}", filter, unmet);
        let shown: Value = serde_json::from_str(filter.to_json().get()).unwrap();
        for unmet in unmet {
            prop_assert!(
                shown.pointer(&unmet.pointer).is_some(),
                "{} in {}",
                unmet.pointer,
                shown
            );
            prop_assert!(!unmet.sentence.is_empty());
        }
    }
    Ok(())
}

fn pair(pointer: &str, sentence: &str) -> (String, String) {
    (pointer.to_owned(), sentence.to_owned())
}

#[test]
fn lists_say_what_there_is_and_what_is_wanted() {
    let members = json!({"type": "live.audio.updated", "locales": {"updated": ["de", "en"], "inherited": []}});
    assert_eq!(unmet(&json!({"types": ["live.*"]}), &members), []);
    assert_eq!(
        unmet(
            &json!({"types": ["live.video.*", "x"], "actions": ["created"], "locales": ["fr"]}),
            &members
        ),
        [
            pair("/types", "type is live.audio.updated; wanted is live.video.*, x"),
            pair("/actions", "action is nothing; wanted is created"),
            pair("/locales", "one of locales is de, en; wanted is fr"),
        ]
    );
    let many: Vec<String> = (0..9).map(|number| format!("t{number}")).collect();
    assert_eq!(
        unmet(&json!({"types": many}), &members)[0].1,
        "type is live.audio.updated; wanted is t0, t1, t2, t3, t4 and 4 more"
    );
}

#[test]
fn patterns_say_which_field_and_what_it_has() {
    let data = json!({"state": "notLive", "size": 12.50, "gone": [], "deep": {"a": [{"b": 1}, {"b": 2}]}});
    assert_eq!(of_pattern(&json!({"state": ["notLive"]}), &data), []);
    assert_eq!(
        of_pattern(&json!({"state": ["live"], "size": [12.5]}), &data),
        [pair(
            "/pattern/data/state",
            "data.state is notLive; wanted is [\"live\"]"
        )]
    );
    assert_eq!(
        of_pattern(&json!({"size": [{"numeric": [">", 20]}]}), &data),
        [pair(
            "/pattern/data/size",
            "data.size is 12.5; wanted is [{\"numeric\":[\">\",20]}]"
        )]
    );
    assert_eq!(
        of_pattern(&json!({"gone": [{"exists": true}]}), &data),
        [pair(
            "/pattern/data/gone",
            "data.gone is not there; wanted is [{\"exists\":true}]"
        )]
    );
    assert_eq!(
        of_pattern(&json!({"deep": {"a": {"b": [3]}}}), &data),
        [pair("/pattern/data/deep/a/b", "data.deep.a.b is 1, 2; wanted is [3]")]
    );
    assert_eq!(
        of_pattern(&json!({"state": [{"exists": false}]}), &data),
        [pair(
            "/pattern/data/state",
            "data.state is notLive; wanted is [{\"exists\":false}]"
        )]
    );
}

#[test]
fn conditions_that_no_one_element_meets_are_told_of_the_array() {
    let data = json!({"lines": [{"sku": "a", "count": 1}, {"sku": "b", "count": 5}]});
    assert_eq!(
        of_pattern(&json!({"lines": {"sku": ["a"], "count": [5]}}), &data),
        [pair(
            "/pattern/data/lines",
            "no one element of data.lines meets all conditions on it"
        )]
    );
}

#[test]
fn each_alternative_says_why() {
    let pattern = json!({"$or": [{"state": ["live"]}, {"a": {"b/c": [true]}}], "x": [1]});
    assert_eq!(
        of_pattern(&pattern, &json!({"state": "over", "x": 1})),
        [
            pair("/pattern/data/$or/0/state", "data.state is over; wanted is [\"live\"]"),
            pair(
                "/pattern/data/$or/1/a/b~1c",
                "data.a.b/c is not there; wanted is [true]"
            ),
        ]
    );
    assert_eq!(
        of_pattern(&pattern, &json!({"state": "live"})),
        [
            pair("/pattern/data/x", "data.x is not there; wanted is [1]"),
            pair(
                "/pattern/data/$or/1/a/b~1c",
                "data.a.b/c is not there; wanted is [true]"
            ),
        ]
    );
    let twice = json!({"$or": [{"state": ["live"]}, {"state": ["soon"]}]});
    assert_eq!(
        of_pattern(&twice, &json!({"state": "over"})),
        [pair(
            "/pattern/data/$or",
            "data.state is over; wanted is [\"live\"] or [\"soon\"]"
        )]
    );
}

#[test]
fn hooklines_own_events_are_wanted_only_by_name() {
    let members = json!({"type": "hookline.webhook.failing"});
    let told = unmet(&json!({}), &members);
    assert_eq!((told.len(), told[0].0.as_str()), (1, ""));
    assert!(
        told[0]
            .1
            .contains("hookline.webhook.failing is one of Hookline's own events"),
        "{told:?}"
    );
    assert_eq!(unmet(&json!({"types": ["*"]}), &members)[0].0, "/types");
    assert_eq!(unmet(&json!({"types": ["hookline.webhook.*"]}), &members), []);
}

#[test]
fn what_is_long_or_strange_is_cut() {
    let long = "x".repeat(5000);
    let told = of_pattern(&json!({"a": ["b"]}), &json!({"a": format!("1\u{7}2{long}")}));
    assert!(
        told[0].1.starts_with("data.a is 12xxx") && told[0].1.chars().count() < 200,
        "{told:?}"
    );
    let many: Vec<usize> = (0..2000).collect();
    let told = of_pattern(&json!({"a": ["b"]}), &json!({"a": many}));
    assert_eq!(told[0].1, "data.a is 0, 1, 2, 3, 4 and 1995 more; wanted is [\"b\"]");
}

#[test]
fn a_filter_that_cannot_be_read_says_so() {
    let stored: StoredFilter = serde_json::from_value(json!({"types": 3})).unwrap();
    let (meta, json) = event(&json!({}));
    let told = stored.unmet(&meta, &json).unwrap();
    assert_eq!(told[0].pointer, "/types");
    assert!(
        told[0].sentence.starts_with("the filter cannot be read here: "),
        "{told:?}"
    );
}
