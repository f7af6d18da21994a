//! What is refused, and which place the refusal names.

use super::*;
use crate::filter::pattern::{EventPattern, MAX_CONDITIONS, Node};

fn refused(json: &Value) -> (String, String) {
    match Filter::parse(&json.to_string()) {
        Ok(_) => panic!("{json} is refused"),
        Err(error) => (error.pointer, error.problem),
    }
}

#[test]
fn lists() {
    let many: Vec<String> = (0..101).map(|number| format!("t{number}")).collect();
    for (filter, pointer, problem) in [
        (json!(5), "", "object, not a number"),
        (json!({"tpyes": []}), "/tpyes", "no part of a filter"),
        (json!({"types": "live.*"}), "/types", "a list, not a string"),
        (json!({"types": null}), "/types", "a list, not null"),
        (json!({"types": ["ok", "not ok"]}), "/types/1", "character"),
        (json!({"types": [""]}), "/types/0", "empty"),
        (json!({"types": ["a".repeat(201)]}), "/types/0", "200 bytes"),
        (json!({"types": many}), "/types", "101 entries"),
        (json!({"types": [5]}), "/types/0", "a string, not a number"),
        (json!({"sources": ["src_1"]}), "/sources/0", "src_"),
        (json!({"entities": ["x", ""]}), "/entities/1", "empty"),
        (json!({"pools": ["ü".repeat(101)]}), "/pools/0", "200 bytes"),
    ] {
        let refused = refused(&filter);
        assert_eq!(refused.0, pointer, "{filter}");
        assert!(refused.1.contains(problem), "{filter}: {}", refused.1);
    }
}

#[test]
fn patterns() {
    let deep = (0..40).fold(json!(["x"]), |inner, _| json!({"a": inner}));
    let or = |count: usize| json!((0..count).map(|number| json!({"a": [number]})).collect::<Vec<_>>());
    for (pattern, pointer, problem) in [
        (json!(null), "", "object, not null"),
        (json!(["x"]), "", "object, not a list"),
        (json!("{"), "", "not JSON"),
        (json!({}), "", "empty"),
        (
            json!({"a": "x"}),
            "/a",
            "list of values or an object of fields, not a string",
        ),
        (json!({"a": 5}), "/a", "not a number"),
        (json!({"a": []}), "/a", "empty"),
        (json!({"a": {}}), "/a", "empty"),
        (json!({"a": {"b/~": [["x"]]}}), "/a/b~1~0/0", "not a list"),
        (json!({"a": [{}]}), "/a/0", "empty"),
        (
            json!({"a": ["x", {"prefix": "a", "suffix": "b"}]}),
            "/a/1",
            "more than one operator",
        ),
        (json!({"a": [{"prefx": "a"}]}), "/a/0/prefx", "no operator"),
        (json!({"a": [{"shellstyle": "a*"}]}), "/a/0/shellstyle", "no operator"),
        (json!({"a": [{"regexp": "a+"}]}), "/a/0/regexp", "no operator"),
        (json!({"a": [{"prefix": 5}]}), "/a/0/prefix", "not a number"),
        (
            json!({"a": [{"prefix": {"suffix": "x"}}]}),
            "/a/0/prefix/suffix",
            "only equals-ignore-case",
        ),
        (
            json!({"a": [{"suffix": {"equals-ignore-case": 5}}]}),
            "/a/0/suffix/equals-ignore-case",
            "not a number",
        ),
        (json!({"a": [{"wildcard": "a**"}]}), "/a/0/wildcard", "two wildcards"),
        (json!({"a": [{"wildcard": "a\\b"}]}), "/a/0/wildcard", "backslash"),
        (
            json!({"a": [{"equals-ignore-case": ["x"]}]}),
            "/a/0/equals-ignore-case",
            "a string, not a list",
        ),
        (
            json!({"a": [{"exists": "true"}]}),
            "/a/0/exists",
            "true or false, not a string",
        ),
        (json!({"a": [{"cidr": "10.0.0.0"}]}), "/a/0/cidr", "block"),
        (json!({"a": [{"cidr": "10.0.0.0/33"}]}), "/a/0/cidr", "block"),
        (json!({"a": [{"numeric": 5}]}), "/a/0/numeric", "comparisons"),
        (json!({"a": [{"numeric": [">"]}]}), "/a/0/numeric", "comparisons"),
        (
            json!({"a": [{"numeric": [5, ">"]}]}),
            "/a/0/numeric/0",
            "a string, not a number",
        ),
        (
            json!({"a": [{"numeric": ["!=", 5]}]}),
            "/a/0/numeric/0",
            "no comparison",
        ),
        (
            json!({"a": [{"numeric": [">", "5"]}]}),
            "/a/0/numeric/1",
            "a number, not a string",
        ),
        (
            json!({"a": [{"numeric": ["<", 5, ">", 1]}]}),
            "/a/0/numeric/0",
            "does not fit",
        ),
        (
            json!({"a": [{"numeric": [">", 5, "=", 6]}]}),
            "/a/0/numeric/2",
            "does not fit",
        ),
        (
            json!({"a": [{"numeric": [">", 5, ">", 6]}]}),
            "/a/0/numeric/2",
            "does not fit",
        ),
        (
            json!({"a": [{"numeric": [">", 5, "<=", 5]}]}),
            "/a/0/numeric",
            "without any number",
        ),
        (json!({"a": [{"anything-but": null}]}), "/a/0/anything-but", "not null"),
        (json!({"a": [{"anything-but": []}]}), "/a/0/anything-but", "empty"),
        (
            json!({"a": [{"anything-but": ["x", 5]}]}),
            "/a/0/anything-but",
            "all strings or all numbers",
        ),
        (
            json!({"a": [{"anything-but": ["x", true]}]}),
            "/a/0/anything-but/1",
            "not a boolean",
        ),
        (
            json!({"a": [{"anything-but": {"numeric": [">", 5]}}]}),
            "/a/0/anything-but/numeric",
            "not allowed in anything-but",
        ),
        (
            json!({"a": [{"anything-but": {"prefix": ["a", ""]}}]}),
            "/a/0/anything-but/prefix/1",
            "empty",
        ),
        (
            json!({"a": [{"anything-but": {"suffix": 5}}]}),
            "/a/0/anything-but/suffix",
            "not a number",
        ),
        (
            json!({"a": [{"anything-but": {"wildcard": []}}]}),
            "/a/0/anything-but/wildcard",
            "empty",
        ),
        (json!({"$or": {"a": ["x"]}}), "/$or", "list of patterns, not an object"),
        (json!({"$or": [{"a": ["x"]}]}), "/$or", "at least two"),
        (
            json!({"a": {"$or": [{"b": ["x"]}, {"c": "x"}]}}),
            "/a/$or/1/c",
            "not a string",
        ),
        (json!({"$or": or(65)}), "/$or", "64 combinations"),
        (json!({"$or": or(8), "b": {"$or": or(9)}}), "/b", "64 combinations"),
        (json!({"a": ["x".repeat(9000)]}), "", "8192 are allowed"),
    ] {
        let refused = refused(&json!({"pattern": pattern}));
        assert_eq!(refused.0, format!("/pattern{pointer}"), "{pattern}");
        assert!(refused.1.contains(problem), "{pattern}: {}", refused.1);
    }
    assert!(refused(&json!({"pattern": deep})).1.contains("nested deeper"));
    assert!(Filter::parse(&json!({"pattern": {"$or": or(8), "b": {"$or": or(8)}}}).to_string()).is_ok());
}

fn refused_text(filter: &str) -> (String, String) {
    let error = Filter::parse(filter).unwrap_err();
    (error.pointer, error.problem)
}

fn joined(count: usize, part: impl Fn(usize) -> String) -> String {
    (0..count).map(part).collect::<Vec<_>>().join(",")
}

/// As many fields as that, each with a name of its own.
fn fields(count: usize) -> String {
    joined(count, |number| format!(r#""{number:03x}":[1]"#))
}

/// An `$or` of as many alternatives.
fn or_text(count: usize) -> String {
    format!(
        r#""$or":[{}]"#,
        joined(count, |number| format!(r#"{{"a":[{number}]}}"#))
    )
}

/// `suffix` without regard to case, as many times, beside as many alternatives.
fn suffixes_beside_or(suffixes: usize, alternatives: usize) -> String {
    let suffixes = joined(suffixes, |number| {
        format!(r#"{{"suffix":{{"equals-ignore-case":"q{number}"}}}}"#)
    });
    let or = or_text(alternatives);
    format!(r#"{{"pattern":{{"data":{{"t":[{suffixes}],"z":{{{or}}}}}}}}}"#)
}

#[test]
fn operators_beside_or_count_in_each_alternative() {
    let small = suffixes_beside_or(170, 64);
    assert!(small.len() < crate::filter::MAX_PATTERN_BYTES, "{}", small.len());
    let (pointer, problem) = refused_text(&small);
    assert_eq!(pointer, "/pattern/data/z");
    assert!(problem.contains("more than 512 fields and operators"), "{problem}");
    // Four fields and three operators, 64 times, are 448; four operators make 512; five make 576.
    for (operators, allowed) in [(3, true), (4, true), (5, false)] {
        let read = Filter::parse(&suffixes_beside_or(operators, 64));
        assert_eq!(read.is_ok(), allowed, "{operators}");
    }
}

#[test]
fn no_more_tests_are_made_on_a_long_text_than_are_allowed() {
    let filter = Filter::parse(&suffixes_beside_or(4, 64)).unwrap();
    let alternatives = filter.0.pattern.iter().flat_map(EventPattern::alternatives);
    assert_eq!(alternatives.map(Node::conditions).sum::<usize>(), MAX_CONDITIONS);
    let filter = StoredFilter::from(filter);
    let (matcher, _) = Matcher::compile([(0, &filter)]);
    for (end, matched) in [("Q3", true), ("Q7", false)] {
        let text = format!("{}{end}", "Ü".repeat(1 << 19));
        let (meta, json) = event(&json!({"data": {"t": text, "z": {"a": 63}}}));
        assert_eq!(!matcher.matches(&meta, &json).unwrap().is_empty(), matched, "{end}");
    }
}

#[test]
fn fields_beside_or_count_in_each_alternative() {
    let (or, many) = (or_text(64), fields(700));
    for (pattern, place) in [
        // The alternatives' own 64 fields and seven others in each make 512, and those behind the first of eight are too many.
        (format!("{{{or},{many}}}"), "/pattern/007"),
        (format!("{{{many},{or}}}"), "/pattern/200"),
        (format!(r#"{{"b":{{{or}}},{many}}}"#), "/pattern/006"),
        (format!(r#"{{"x":{{{}}},{or}}}"#, fields(400)), "/pattern/$or"),
        (
            format!(r#"{{"$or":[{{{}}},{{{}}}]}}"#, fields(300), fields(300)),
            "/pattern/$or",
        ),
    ] {
        assert!(pattern.len() <= crate::filter::MAX_PATTERN_BYTES, "{}", pattern.len());
        let (pointer, problem) = refused_text(&format!(r#"{{"pattern":{pattern}}}"#));
        assert_eq!(pointer, place, "{problem}");
        assert!(problem.contains("more than 512 fields and operators"), "{problem}");
    }
    let enough = format!(r#"{{"pattern":{{{}}}}}"#, fields(512));
    assert!(Filter::parse(&enough).is_ok());
}

#[test]
fn what_operators_count_for() {
    let pattern = |list: &str| format!(r#"{{"pattern":{{"a":[{list}]}}}}"#);
    let texts = |count| joined(count, |number| format!(r#""{number}""#));
    let but = |operator: &str| pattern(&format!(r#"{{"anything-but":{{"{operator}":[{}]}}}}"#, texts(600)));
    for (filter, allowed) in [
        // Exact values are found without a look at each.
        (pattern(&texts(1000)), true),
        (pattern(&format!(r#"{{"anything-but":[{}]}}"#, texts(1000))), true),
        (pattern(&joined(511, |_| r#"{"prefix":"a"}"#.to_owned())), true),
        (pattern(&joined(512, |_| r#"{"prefix":"a"}"#.to_owned())), false),
        (but("prefix"), false),
        (but("wildcard"), false),
    ] {
        match Filter::parse(&filter) {
            Ok(_) => assert!(allowed, "{filter}"),
            Err(error) => assert!(!allowed && error.problem.contains("512"), "{error}"),
        }
    }
}

#[test]
fn a_whole_filter_is_bounded() {
    let pools = |bytes: usize| {
        let entries = joined(80, |_| format!(r#""{}""#, "p".repeat(200)));
        let filter = format!(r#"{{"pools":[{entries}],"pattern":{{"a":[1]}}}}"#);
        let spaces = " ".repeat(bytes - filter.len());
        filter + &spaces
    };
    assert!(pools(16_384).parse::<Value>().is_ok() && Filter::parse(&pools(16_384)).is_ok());
    let (pointer, problem) = refused_text(&pools(16_385));
    assert_eq!(
        (pointer.as_str(), problem.as_str()),
        ("", "has 16385 bytes; at most 16384 are allowed")
    );
}

#[test]
fn a_name_that_stands_twice() {
    for (text, pointer) in [
        (r#"{"types": [], "types": []}"#, ""),
        (r#"{"pattern": {"a": {"b": [1], "b": [2]}}}"#, "/pattern/a"),
        (r#"{"pattern": {"a": [1], "\u0061": [2]}}"#, "/pattern"),
    ] {
        let error = Filter::parse(text).unwrap_err();
        assert_eq!(error.pointer, pointer, "{text}");
        assert!(error.problem.contains("stands twice"), "{}", error.problem);
    }
}

#[test]
fn the_message_names_the_place_and_what_is_wrong() {
    let error = Filter::parse(r#"{"pattern": {"data": {"amount": [{"numeric": [">", "5"]}]}}}"#).unwrap_err();
    assert_eq!(
        error.to_string(),
        "/pattern/data/amount/0/numeric/1: must be a number, not a string"
    );
}
