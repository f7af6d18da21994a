//! Whatever patterns and events there are, the matcher says what the plain reading says.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use quamina::Quamina;

use super::*;

fn text() -> impl Strategy<Value = String> + Clone {
    select(vec![
        "", "x", "X", "xy", "Yx", "yxy", "ü", "Üx", "10.0.0.1", "10.0.1.7", "1",
    ])
    .prop_map(str::to_owned)
}

fn number() -> impl Strategy<Value = Value> + Clone {
    select(vec![
        json!(0),
        json!(1),
        json!(1.0),
        json!(-1),
        json!(2),
        json!(1.5),
        json!(100),
    ])
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![4 => text().prop_map(Value::from), 2 => number(), 1 => select(vec![json!(true), json!(false), json!(null)])]
}

fn glob() -> impl Strategy<Value = String> {
    "\\*?[xyüX]{0,2}(\\*[xyü]{0,1}){0,2}".prop_filter("two stars", |text| !text.contains("**"))
}

fn numeric() -> impl Strategy<Value = Value> {
    let low = select(vec![">", ">="]);
    let high = select(vec!["<", "<="]);
    prop_oneof![
        (select(vec!["=", ">", ">="]), number()).prop_map(|(operator, number)| json!([operator, number])),
        (low, -2..1, high, 1..4).prop_map(|(low, from, high, to)| json!([low, from, high, to])),
    ]
}

/// The operators that other readings know too.
fn common_operator() -> BoxedStrategy<Value> {
    prop_oneof![
        text().prop_map(|text| json!({"prefix": text})),
        text().prop_map(|text| json!({"suffix": text})),
        glob().prop_map(|text| json!({"wildcard": text})),
        text().prop_map(|text| json!({"equals-ignore-case": text})),
        numeric().prop_map(|argument| json!({"numeric": argument})),
        vec(text(), 1..3).prop_map(|texts| json!({"anything-but": texts})),
        vec(number(), 1..3).prop_map(|numbers| json!({"anything-but": numbers})),
    ]
    .boxed()
}

fn test() -> impl Strategy<Value = Value> {
    let part = || text().prop_filter("empty", |text| !text.is_empty());
    prop_oneof![
        4 => scalar(),
        4 => common_operator(),
        1 => any::<bool>().prop_map(|exists| json!({"exists": exists})),
        1 => (select(vec!["<", "<="]), number()).prop_map(|(operator, number)| json!({"numeric": [operator, number]})),
        1 => select(vec!["10.0.0.0/24", "10.0.0.0/8", "0.0.0.0/0"]).prop_map(|block| json!({"cidr": block})),
        1 => text().prop_map(|text| json!({"prefix": {"equals-ignore-case": text}})),
        1 => text().prop_map(|text| json!({"suffix": {"equals-ignore-case": text}})),
        1 => (select(vec!["prefix", "suffix", "equals-ignore-case"]), vec(part(), 1..3)).prop_map(|(name, texts)| json!({"anything-but": {name: texts}})),
        1 => glob().prop_map(|text| json!({"anything-but": {"wildcard": text}})),
        1 => prop_oneof![text().prop_map(Value::from), number()].prop_map(|value| json!({"anything-but": value})),
    ]
}

fn object(members: Vec<(&'static str, Value)>) -> Value {
    members
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn name() -> impl Strategy<Value = &'static str> {
    select(vec!["a", "b", "c"])
}

fn pattern() -> impl Strategy<Value = Value> {
    let tests = vec(test(), 1..3).prop_map(Value::from).boxed();
    let leaves = vec((name(), tests.clone()), 1..3).prop_map(object);
    leaves
        .prop_recursive(3, 12, 3, move |inner| {
            let member = prop_oneof![(name(), tests.clone()), (name(), inner.clone())];
            let or = vec(inner, 2..4).prop_map(Value::from);
            (vec(member, 1..3), proptest::option::weighted(0.3, or)).prop_map(|(members, or)| {
                let mut node = object(members);
                if let Some(or) = or {
                    node["$or"] = or;
                }
                node
            })
        })
        .prop_filter("more than is allowed", |pattern| !is_too_large(pattern))
}

/// Whether it is refused only because of what its alternatives come to together.
fn is_too_large(pattern: &Value) -> bool {
    let refused = Filter::parse(&json!({"pattern": {"data": pattern}}).to_string()).err();
    refused.is_some_and(|error| error.problem.contains("combination"))
}

fn data() -> impl Strategy<Value = Value> {
    let inner = scalar().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            2 => vec((name(), inner.clone()), 0..4).prop_map(object),
            1 => vec(inner, 0..4).prop_map(Value::from),
        ]
    });
    vec((name(), inner), 0..4).prop_map(object)
}

/// What quamina 0.7 reads as EventBridge does: events without arrays of objects, one test for each field, no `exists: false` (of two, it
/// finds neither where an event has none of the pattern's fields), no range without a lower end (it takes strings).
fn common() -> impl Strategy<Value = (Value, Value)> {
    let value = prop_oneof![scalar(), vec(scalar(), 1..3).prop_map(Value::from)];
    let data = value.prop_recursive(2, 8, 3, |inner| vec((name(), inner), 0..3).prop_map(object));
    let data = vec((name(), data), 0..3).prop_map(object);
    let test = prop_oneof![4 => scalar(), 4 => common_operator(), 1 => Just(json!({"exists": true}))];
    let leaves = vec((name(), test.prop_map(|test| json!([test]))), 1..3).prop_map(object);
    let pattern = leaves.prop_recursive(2, 6, 2, |inner| vec((name(), inner), 1..3).prop_map(object));
    (pattern, data)
}

/// Any JSON, some of it nearly a filter.
fn like_a_filter() -> impl Strategy<Value = Value> {
    let words = vec![
        "types",
        "pattern",
        "sources",
        "$or",
        "prefix",
        "suffix",
        "wildcard",
        "anything-but",
        "numeric",
        "exists",
        "cidr",
        "equals-ignore-case",
        "*",
        "**",
        "\\",
        ">",
        "=",
        "10.0.0.0/8",
        "a",
    ];
    let word = select(words);
    let leaf = prop_oneof![
        word.clone().prop_map(Value::from),
        scalar(),
        any::<String>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from)
    ];
    let any = leaf.prop_recursive(6, 40, 5, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            vec((word.clone(), inner), 0..4).prop_map(object),
        ]
    });
    prop_oneof![
        any.clone(),
        any.prop_map(|pattern| json!({"pattern": {"a": [pattern]}}))
    ]
}

proptest! {
    #[test]
    fn it_agrees_with_the_plain_reading(patterns in vec(pattern(), 1..12), data in vec(data(), 1..4)) {
        let filters: Vec<StoredFilter> = patterns.iter().map(|pattern| filter(&json!({"pattern": {"data": pattern}}))).collect();
        let (matcher, unreadable) = Matcher::compile(filters.iter().enumerate());
        prop_assert!(unreadable.is_empty());
        for data in data {
            let (meta, json) = event(&json!({"data": data}));
            let expected: Vec<usize> =
                (0..patterns.len()).filter(|&number| oracle::matches(&patterns[number], &data)).collect();
            prop_assert_eq!(matcher.matches(&meta, &json).unwrap(), &*expected, "{} of {:?}", data, patterns);
            explain::assert_explained(&filters, &meta, &json, &expected)?;
        }
    }

    #[test]
    fn it_agrees_with_quamina((pattern, data) in common()) {
        let mut quamina = Quamina::new();
        quamina.add_pattern((), &pattern.to_string()).unwrap();
        let expected = quamina.has_matches(data.to_string().as_bytes()).unwrap();
        prop_assert_eq!(takes(&pattern, &data), expected, "{} {}", pattern, data);
        prop_assert_eq!(oracle::matches(&pattern, &data), expected, "{} {}", pattern, data);
    }

    #[test]
    fn lists_and_patterns_must_all_hold(
        filters in vec((vec("[ab*]\\.?[ab*]?", 0..3), vec("[ab*]", 0..3), vec("[ab]", 0..3), proptest::option::of(pattern())), 1..12),
        event_type in "[ab]\\.?[ab]?", entity in "[ab]{1,2}", updated in vec("[ab]", 0..2), inherited in vec("[ab]", 0..2), data in data(),
    ) {
        let members = json!({
            "type": event_type, "entity": {"type": entity}, "locales": {"updated": updated, "inherited": inherited}, "data": data,
        });
        let (meta, json) = event(&members);
        let stored: Vec<StoredFilter> = filters.iter().map(|(types, entities, locales, pattern)| {
            let mut json = json!({"types": types, "entities": entities, "locales": locales});
            if let Some(pattern) = pattern {
                json["pattern"] = json!({"data": pattern});
            }
            filter(&json)
        }).collect();
        let (matcher, _) = Matcher::compile(stored.iter().enumerate());
        let glob = |pattern: &String, text: &str| oracle::wildcard(pattern, text);
        let wanted = |(types, entities, locales, pattern): &(Vec<String>, Vec<String>, Vec<String>, Option<Value>)| {
            (types.is_empty() || types.iter().any(|pattern| glob(pattern, &event_type)))
                && (entities.is_empty() || entities.iter().any(|pattern| glob(pattern, &entity)))
                && (locales.is_empty() || locales.iter().any(|locale| updated.contains(locale) || inherited.contains(locale)))
                && pattern.as_ref().is_none_or(|pattern| oracle::matches(pattern, &data))
        };
        let expected: Vec<usize> = (0..filters.len()).filter(|&number| wanted(&filters[number])).collect();
        prop_assert_eq!(matcher.matches(&meta, &json).unwrap(), &*expected);
        explain::assert_explained(&stored, &meta, &json, &expected)?;
    }

    #[test]
    fn no_filter_and_no_event_makes_it_panic(json in like_a_filter(), text in ".{0,60}", body in vec(any::<u8>(), 0..60)) {
        let _ = Filter::parse(&text);
        let stored: StoredFilter = serde_json::from_value(json.clone()).unwrap();
        let (matcher, unreadable) = Matcher::compile([(0, &stored)]);
        match Filter::parse(&json.to_string()) {
            Ok(filter) => {
                prop_assert!(unreadable.is_empty());
                prop_assert_eq!(Filter::parse(filter.to_json().get()), Ok(filter));
            }
            Err(_) => prop_assert_eq!(unreadable.len(), 1),
        }
        let again: StoredFilter = serde_json::from_value(serde_json::to_value(&stored).unwrap()).unwrap();
        prop_assert_eq!(again.read(), stored.read());
        let (meta, _) = event(&json!({}));
        for body in [&body[..], json.to_string().as_bytes()] {
            let matched = matcher.matches(&meta, body);
            let unmet = stored.unmet(&meta, body);
            if let (Ok(matched), Ok(unmet)) = (&matched, &unmet) {
                prop_assert_eq!(matched.is_empty(), !unmet.is_empty(), "{:?}", unmet);
            }
        }
    }
}
