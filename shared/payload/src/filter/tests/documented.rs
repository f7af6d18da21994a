//! The examples of docs/FILTERS.md.

use super::*;

#[test]
fn every_example_takes_the_event_of_the_page() {
    let page = include_str!("../../../../../docs/FILTERS.md");
    let blocks = page
        .split("```json\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap());
    let mut blocks: Vec<Value> = blocks.map(|text| serde_json::from_str(text).unwrap()).collect();
    let event = blocks.remove(0);
    assert!(blocks.len() >= 8);
    for filter in blocks {
        assert!(wants(&filter, &event), "{filter}");
    }
    let apart = json!({"pattern": {"data": {"speakers": {"name": ["Anna"], "role": ["CFO"]}}}});
    assert!(!wants(&apart, &event));
    let nobody = json!({"pattern": {"data": {"speakers": {"remote": [{"exists": false}]}}}});
    assert!(!wants(&nobody, &event));
}

#[test]
fn every_operator_of_the_table_takes_a_value_of_the_event() {
    let page = include_str!("../../../../../docs/FILTERS.md");
    let rows = page.lines().filter(|line| line.starts_with("| `{\""));
    let examples = rows.flat_map(|line| line.split('`').skip(1).step_by(2).filter(|text| text.starts_with('{')));
    let tests: Vec<Value> = examples.map(|text| serde_json::from_str(text).unwrap()).collect();
    assert!(tests.len() >= 10);
    let data = json!({"a": ["Q1 2025 Earnings Call", 3, "live", "10.0.0.33"]});
    for test in tests {
        assert_eq!(
            takes(&json!({"a": [test]}), &data),
            test["exists"] != json!(false),
            "{test}"
        );
    }
}
