//! Event patterns, one operator after the other.

use super::*;

/// A pattern with what it takes and what it does not.
fn check(pattern: &Value, taken: &[Value], left: &[Value]) {
    for data in taken {
        assert!(takes(pattern, data), "{pattern} takes {data}");
    }
    for data in left {
        assert!(!takes(pattern, data), "{pattern} leaves {data}");
    }
}

#[test]
fn exact_values() {
    check(
        &json!({"a": ["x", 5, true, null]}),
        &[
            json!({"a": "x"}),
            json!({"a": 5}),
            json!({"a": 5.0}),
            json!({"a": true}),
            json!({"a": null}),
        ],
        &[
            json!({"a": "5"}),
            json!({"a": "true"}),
            json!({"a": false}),
            json!({"a": "null"}),
            json!({}),
            json!({"a": {}}),
            json!({"a": []}),
        ],
    );
    check(
        &json!({"a": [""]}),
        &[json!({"a": ""})],
        &[json!({"a": null}), json!({"a": " "}), json!({})],
    );
    check(
        &json!({"a": {"b": ["x"]}}),
        &[json!({"a": {"b": "x", "c": 1}})],
        &[json!({"a": "x"}), json!({"a.b": "x"}), json!({"b": "x"})],
    );
}

#[test]
fn many_exact_values_of_all_kinds() {
    let mut list: Vec<Value> = (0..300)
        .rev()
        .flat_map(|number| [json!(number), json!(format!("t{number}"))])
        .collect();
    list.extend([
        json!({"suffix": "!"}),
        json!(null),
        json!(-1.5),
        json!(true),
        json!({"exists": false}),
    ]);
    check(
        &json!({"a": list}),
        &[
            json!({"a": 0}),
            json!({"a": 299.0}),
            json!({"a": "t150"}),
            json!({"a": null}),
            json!({"a": -1.5}),
            json!({"a": true}),
            json!({"a": "x!"}),
            json!({"a": ["x", 7]}),
            json!({}),
        ],
        &[
            json!({"a": 300}),
            json!({"a": 0.5}),
            json!({"a": "0"}),
            json!({"a": "t300"}),
            json!({"a": ""}),
            json!({"a": false}),
        ],
    );
    let numbers: Vec<i32> = (0..300).rev().collect();
    check(
        &json!({"a": [{"anything-but": numbers}]}),
        &[json!({"a": 300}), json!({"a": "7"})],
        &[json!({"a": 0}), json!({"a": 150}), json!({"a": 299}), json!({})],
    );
}

#[test]
fn all_fields_must_hold() {
    check(
        &json!({"a": ["x"], "b": {"c": [1], "d": [2]}}),
        &[json!({"a": "x", "b": {"c": 1, "d": 2}})],
        &[
            json!({"a": "x", "b": {"c": 1}}),
            json!({"a": "y", "b": {"c": 1, "d": 2}}),
            json!({}),
        ],
    );
}

#[test]
fn beginnings_and_ends() {
    check(
        &json!({"a": [{"prefix": "x\""}, {"suffix": "ß"}]}),
        &[json!({"a": "x\"y"}), json!({"a": "Spaß"}), json!({"a": "x\""})],
        &[json!({"a": "x"}), json!({"a": "ßa"}), json!({"a": 1}), json!({})],
    );
    check(
        &json!({"a": [{"prefix": {"equals-ignore-case": "EVENTb"}}, {"suffix": {"equals-ignore-case": ".PNG"}}]}),
        &[json!({"a": "eventBridge"}), json!({"a": "a.pNg"})],
        &[json!({"a": "event"}), json!({"a": ".png.jpg"})],
    );
    check(
        &json!({"a": [{"prefix": ""}]}),
        &[json!({"a": ""}), json!({"a": "x"})],
        &[json!({"a": 1}), json!({})],
    );
}

#[test]
fn wildcards() {
    check(
        &json!({"a": [{"wildcard": "dir/*.png"}, {"wildcard": "*a\\*b*"}]}),
        &[
            json!({"a": "dir/.png"}),
            json!({"a": "dir/x/y.png"}),
            json!({"a": "a*b"}),
            json!({"a": "…a*b…"}),
        ],
        &[json!({"a": "dir/x.jpg"}), json!({"a": "a_b"}), json!({"a": "dir.png"})],
    );
    check(
        &json!({"a": [{"wildcard": "*"}]}),
        &[json!({"a": ""})],
        &[json!({"a": 5}), json!({"a": null})],
    );
    check(
        &json!({"a": [{"wildcard": "x"}]}),
        &[json!({"a": "x"})],
        &[json!({"a": "xx"})],
    );
    let long = "n".repeat(100);
    check(
        &json!({"a": [{"wildcard": format!("{long}ü*{long}é*é{long}")}]}),
        &[json!({"a": format!("{long}ü{long}éé{long}")})],
        &[json!({"a": format!("{long}ü{long}é{long}")})],
    );
}

#[test]
fn case() {
    check(
        &json!({"a": [{"equals-ignore-case": "ÄpFel"}]}),
        &[json!({"a": "äPfEL"}), json!({"a": "ÄPFEL"})],
        &[json!({"a": "apfel"}), json!({"a": "äpfelx"})],
    );
}

#[test]
fn anything_but() {
    check(
        &json!({"a": [{"anything-but": ["x", "y"]}]}),
        &[
            json!({"a": "z"}),
            json!({"a": 5}),
            json!({"a": null}),
            json!({"a": ["x", "z"]}),
        ],
        &[
            json!({"a": "x"}),
            json!({"a": ["x", "y"]}),
            json!({}),
            json!({"a": []}),
            json!({"a": {"b": 1}}),
        ],
    );
    check(
        &json!({"a": [{"anything-but": 5}]}),
        &[json!({"a": 6}), json!({"a": "5"})],
        &[json!({"a": 5.0}), json!({})],
    );
    check(
        &json!({"a": [{"anything-but": [1, 2]}]}),
        &[json!({"a": 3})],
        &[json!({"a": 2})],
    );
    for (operator, argument) in [
        ("prefix", json!("in")),
        ("prefix", json!(["z", "in"])),
        ("suffix", json!("ing")),
        ("equals-ignore-case", json!("INitializing")),
        ("wildcard", json!(["*x*", "i*g"])),
    ] {
        let pattern = json!({"a": [{"anything-but": {operator: argument}}]});
        check(
            &pattern,
            &[json!({"a": "running!"}), json!({"a": 1})],
            &[json!({"a": "initializing"}), json!({})],
        );
    }
}

#[test]
fn numbers() {
    check(
        &json!({"a": [{"numeric": [">", 0, "<=", 5]}]}),
        &[
            json!({"a": 0.001}),
            json!({"a": 5}),
            json!({"a": 5.0}),
            json!({"a": [9, 1]}),
        ],
        &[
            json!({"a": 0}),
            json!({"a": 5.000001}),
            json!({"a": "3"}),
            json!({"a": null}),
            json!({"a": true}),
            json!({}),
        ],
    );
    check(
        &json!({"a": [{"numeric": ["=", 301.8]}]}),
        &[json!({"a": 3.018e2})],
        &[json!({"a": 301}), json!({"a": "301.8"})],
    );
    check(
        &json!({"a": [{"numeric": ["<", -1]}, {"numeric": [">=", 10]}]}),
        &[json!({"a": -2}), json!({"a": 10})],
        &[json!({"a": -1}), json!({"a": 9.9})],
    );
}

/// With texts of JSON, in which numbers keep their digits.
fn takes_text(pattern: &str, data: &str) -> bool {
    let stored = Filter::parse(&format!(r#"{{"pattern": {{"data": {pattern}}}}}"#))
        .unwrap()
        .into();
    let (meta, _) = event(&json!({}));
    let (matcher, _) = Matcher::compile([(0, &stored)]);
    !matcher
        .matches(&meta, format!(r#"{{"data": {data}}}"#).as_bytes())
        .unwrap()
        .is_empty()
}

#[test]
fn numbers_keep_every_digit() {
    assert!(takes_text(r#"{"a": [9007199254740993]}"#, r#"{"a": 9007199254740993}"#));
    assert!(!takes_text(
        r#"{"a": [9007199254740993]}"#,
        r#"{"a": 9007199254740992}"#
    ));
    assert!(takes_text(
        r#"{"a": [{"numeric": [">", 9007199254740992]}]}"#,
        r#"{"a": 9007199254740993}"#
    ));
    assert!(takes_text(
        r#"{"a": [12345678901234567890123]}"#,
        r#"{"a": 1.2345678901234567890123e22}"#
    ));
    assert!(!takes_text(
        r#"{"a": [12345678901234567890123]}"#,
        r#"{"a": 12345678901234567890124}"#
    ));
    assert!(takes_text(
        r#"{"a": [{"anything-but": 0.1}]}"#,
        r#"{"a": 0.10000000000000000001}"#
    ));
    assert!(takes_text(r#"{"a": [{"numeric": ["<", 1e400]}]}"#, r#"{"a": 1e399}"#));
}

#[test]
fn strings_are_compared_by_their_content() {
    assert!(takes_text(
        r#"{"\u0061": ["\u00e9\n\ud83d\ude00\/"]}"#,
        "{\"a\": \"é\\u000A😀/\"}"
    ));
    assert!(takes_text(r#"{"a": [{"suffix": "\\"}]}"#, r#"{"a": "c:\\"}"#));
    assert!(takes_text(r#"{"a": [{"prefix": "x"}]}"#, r#"{"a": "x\ud800"}"#));
    assert!(!takes_text(r#"{"a": ["e\u0301"]}"#, r#"{"a": "é"}"#));
}

#[test]
fn existence() {
    check(
        &json!({"a": [{"exists": true}]}),
        &[json!({"a": 1}), json!({"a": null}), json!({"a": ""}), json!({"a": [1]})],
        &[
            json!({}),
            json!({"a": {}}),
            json!({"a": {"b": 1}}),
            json!({"a": []}),
            json!({"a": [{}]}),
        ],
    );
    check(
        &json!({"a": [{"exists": false}], "b": ["x"]}),
        &[
            json!({"b": "x"}),
            json!({"b": "x", "a": {"c": 1}}),
            json!({"b": "x", "a": []}),
        ],
        &[json!({"b": "x", "a": null}), json!({"a": 1}), json!({})],
    );
    check(
        &json!({"a": {"b": {"c": [{"exists": false}]}}}),
        &[json!({}), json!({"a": 1}), json!({"a": {"b": {}}})],
        &[json!({"a": {"b": {"c": 0}}})],
    );
    check(
        &json!({"a": ["x", {"exists": false}]}),
        &[json!({"a": "x"}), json!({})],
        &[json!({"a": "y"})],
    );
}

#[test]
fn addresses() {
    check(
        &json!({"a": [{"cidr": "10.0.0.0/24"}, {"cidr": "2001:db8::/32"}]}),
        &[
            json!({"a": "10.0.0.255"}),
            json!({"a": "2001:0DB8:1::2"}),
            json!({"a": ["x", "10.0.0.1"]}),
        ],
        &[
            json!({"a": "10.0.1.0"}),
            json!({"a": "010.0.0.1"}),
            json!({"a": "10.0.0"}),
            json!({"a": "2001:db9::"}),
            json!({"a": 10}),
        ],
    );
}

#[test]
fn arrays() {
    check(
        &json!({"a": ["x", "y"]}),
        &[json!({"a": ["z", "y"]}), json!({"a": [["q"], ["x"]]})],
        &[json!({"a": ["z"]}), json!({"a": [{"a": "x"}]})],
    );
    let people =
        json!({"a": [[{"first": "Anna", "last": "Smith"}], {"first": "Peter", "last": "Jones", "tags": ["t", "u"]}]});
    check(
        &json!({"a": {"first": ["Anna"], "last": ["Smith"]}}),
        std::slice::from_ref(&people),
        &[],
    );
    check(
        &json!({"a": {"first": ["Anna"], "last": ["Jones"]}}),
        &[],
        std::slice::from_ref(&people),
    );
    check(
        &json!({"a": {"first": ["Peter"], "tags": ["u"]}}),
        std::slice::from_ref(&people),
        &[],
    );
    check(
        &json!({"a": {"first": ["Anna"], "tags": [{"exists": false}]}}),
        std::slice::from_ref(&people),
        &[],
    );
    check(
        &json!({"a": {"first": ["Peter"], "tags": [{"exists": false}]}}),
        &[],
        std::slice::from_ref(&people),
    );
    check(
        &json!({"a": {"tags": [{"exists": false}]}}),
        &[json!({"a": [{}, {"first": 1}]}), json!({"a": [1]})],
        std::slice::from_ref(&people),
    );
    check(
        &json!({"$or": [{"a": {"first": ["Anna"]}}, {"b": [1]}], "a": {"last": ["Jones"]}}),
        &[json!({"a": {"first": "Anna", "last": "Jones"}})],
        &[people],
    );
}

#[test]
fn alternatives() {
    let nested = json!({
        "source": ["q"],
        "$or": [
            {"name": ["a", "b"]},
            {"kind": ["k"], "$or": [{"id": [1]}, {"id": [{"numeric": [">", 9]}]}]},
            {"scope": {"$or": [{"pool": ["p"]}, {"pool": [{"exists": false}], "station": ["s"]}]}},
        ],
    });
    check(
        &nested,
        &[
            json!({"source": "q", "name": "b"}),
            json!({"source": "q", "kind": "k", "id": 10}),
            json!({"source": "q", "scope": {"pool": "p"}}),
            json!({"source": "q", "scope": {"station": "s"}}),
        ],
        &[
            json!({"name": "b"}),
            json!({"source": "q", "kind": "k", "id": 5}),
            json!({"source": "q", "scope": {"station": "s", "pool": "x"}}),
            json!({"source": "q"}),
        ],
    );
}

#[test]
fn a_pattern_stands_over_the_whole_payload() {
    let pattern = json!({"pattern": {
        "type": [{"prefix": "live."}], "entity": {"type": ["live.audio"]}, "changes": {"code": ["state"]},
        "previousAttributes": {"state": [{"exists": true}]},
    }});
    let members = json!({
        "entity": {"type": "live.audio", "id": "7"}, "changes": [{"type": "field", "code": "state"}],
        "previousAttributes": {"state": "notLive"},
    });
    assert!(wants(&pattern, &members));
    assert!(!wants(&pattern, &json!({"entity": {"type": "live.audio", "id": "7"}})));
}
