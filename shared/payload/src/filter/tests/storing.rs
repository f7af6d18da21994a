//! Filters in a table, and as they are shown.

use super::*;

fn stored(json: &Value) -> StoredFilter {
    serde_json::from_value(json.clone()).unwrap()
}

#[test]
fn what_was_stored_before_there_were_patterns_can_be_read() {
    let old = json!({"types": ["live.*"]});
    assert_eq!(stored(&old), filter(&old));
    assert_eq!(serde_json::to_value(stored(&old)).unwrap(), old);
    assert_eq!(stored(&json!({})), StoredFilter::default());
}

#[test]
fn a_pattern_is_stored_as_text_and_shown_as_it_was_given() {
    let given = r#"{"actions":["a\"b"],"pattern":{"data": {"n": [12345678901234567890.10]}},"types":["x"],"pools":[]}"#;
    let filter = Filter::parse(given).unwrap();
    let shown = r#"{"types":["x"],"actions":["a\"b"],"pattern":{"data": {"n": [12345678901234567890.10]}}}"#;
    assert_eq!(filter.to_json().get(), shown);
    let item = serde_json::to_value(StoredFilter::from(filter.clone())).unwrap();
    assert_eq!(item["pattern"], json!(r#"{"data": {"n": [12345678901234567890.10]}}"#));
    assert_eq!(stored(&item).read(), Ok(&filter));
    assert_eq!(stored(&item).to_json().get(), shown);
}

#[test]
fn what_is_stored_may_be_longer_than_what_is_given() {
    let entries = vec!["p".repeat(200); 40];
    // Mostly quotes, each of which takes two bytes in a text.
    let values = vec![""; 2700];
    let given = json!({"pools": entries, "pattern": {"a": values}});
    let filter = Filter::parse(&given.to_string()).unwrap();
    let item = serde_json::to_value(StoredFilter::from(filter.clone())).unwrap();
    assert!(item.to_string().len() > crate::filter::MAX_FILTER_BYTES);
    assert_eq!(stored(&item).read(), Ok(&filter));
    assert_eq!(Filter::parse(stored(&item).to_json().get()), Ok(filter));
    // As long as only the lists' own limits allowed.
    let lists = [
        "applications",
        "categories",
        "actions",
        "entities",
        "pools",
        "stations",
        "locales",
    ];
    let long: Value = lists
        .map(|list| (list.to_owned(), json!(vec!["p".repeat(200); 100])))
        .into_iter()
        .collect();
    assert!(Filter::parse(&long.to_string()).is_err());
    assert!(stored(&long).read().is_ok());
}

#[test]
fn what_cannot_be_read_is_kept_wants_nothing_and_harms_no_other() {
    let newer = json!({"types": ["live.*"], "moods": {"good": [1, null]}});
    let bad = stored(&newer);
    assert_eq!(bad.read().unwrap_err().pointer, "/moods");
    assert_eq!(serde_json::to_value(&bad).unwrap(), newer);
    assert_eq!(serde_json::from_str::<Value>(bad.to_json().get()).unwrap(), newer);
    let none = stored(&json!("gone"));
    let good = filter(&json!({"types": ["live.*"]}));
    let (matcher, unreadable) = Matcher::compile([(0, &bad), (1, &good), (2, &none), (3, &StoredFilter::default())]);
    let positions: Vec<usize> = unreadable.iter().map(|(position, _)| *position).collect();
    assert_eq!(positions, [0, 2]);
    assert_eq!(unreadable[0].1.pointer, "/moods");
    let (meta, json) = event(&json!({}));
    assert_eq!(matcher.matches(&meta, &json).unwrap(), [1, 3]);
}
