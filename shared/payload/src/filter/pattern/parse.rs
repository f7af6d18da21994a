//! Reading a pattern strictly: what it cannot mean is refused with its place.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::range::End;
use super::{
    Block, Cow, Decimal, EventPattern, Field, Glob, InvalidFilter, MAX_ALTERNATIVES, MAX_CONDITIONS, MAX_PATTERN_BYTES,
    MAX_PATTERN_DEPTH, Node, NumericRange, Scalar, Test, Tests, fold,
};
use crate::filter::invalid::below;
use crate::filter::json::Json;

type Parsed<T> = Result<T, InvalidFilter>;

const OPERATORS: &str = "prefix, suffix, wildcard, anything-but, numeric, exists, equals-ignore-case and cidr";

fn fail<T>(at: &str, problem: impl Into<String>) -> Parsed<T> {
    Err(InvalidFilter::new(at, problem))
}

impl EventPattern {
    /// Reads a pattern; `at` is its own place.
    pub(in crate::filter) fn parse(json: &str, at: &str) -> Parsed<Self> {
        if json.len() > MAX_PATTERN_BYTES {
            return fail(
                at,
                format!("has {} bytes; at most {MAX_PATTERN_BYTES} are allowed", json.len()),
            );
        }
        let raw: &RawValue = match serde_json::from_str(json) {
            Ok(raw) => raw,
            Err(error) => return fail(at, format!("is not JSON: {error}")),
        };
        Ok(Self {
            alternatives: node(raw, at, 1)?,
            json: json.into(),
        })
    }
}

fn read<'a>(raw: &'a RawValue, at: &str) -> Parsed<Json<'a>> {
    Json::of(raw).or_else(|error| fail(at, format!("cannot be read: {error}")))
}

/// Reads conditions on an object, as the patterns without `$or` that they stand for.
fn node(raw: &RawValue, at: &str, depth: usize) -> Parsed<Vec<Node>> {
    let members = match read(raw, at)? {
        Json::Object(members) if members.is_empty() => return fail(at, "is empty: name at least one field"),
        Json::Object(members) => members,
        other => return fail(at, format!("must be an object, not {}", other.kind())),
    };
    if depth > MAX_PATTERN_DEPTH {
        return fail(at, format!("is nested deeper than {MAX_PATTERN_DEPTH} levels"));
    }
    let mut nodes = vec![Node::default()];
    let mut conditions = 0;
    for (name, value) in members {
        let at = below(at, &name);
        let more = if name == "$or" {
            either(value, &at, depth)?
        } else {
            field(value, &name, &at, depth)?
        };
        few(nodes.len() * more.len(), &at)?;
        // Before there are any copies.
        conditions = conditions * more.len() + nodes.len() * more.iter().map(Node::conditions).sum::<usize>();
        small(conditions, &at)?;
        // Each of the one with each of the other.
        let copies = nodes.len();
        for _ in 1..more.len() {
            nodes.extend_from_within(..copies);
        }
        for (position, node) in nodes.iter_mut().enumerate() {
            node.merge(&more[position / copies]);
        }
    }
    Ok(nodes)
}

fn few(alternatives: usize, at: &str) -> Parsed<()> {
    if alternatives > MAX_ALTERNATIVES {
        return fail(
            at,
            format!("makes more than {MAX_ALTERNATIVES} combinations of the alternatives of $or"),
        );
    }
    Ok(())
}

fn small(conditions: usize, at: &str) -> Parsed<()> {
    if conditions > MAX_CONDITIONS {
        let problem = format!(
            "makes more than {MAX_CONDITIONS} fields and operators, counted in each combination of the alternatives of $or"
        );
        return fail(at, problem);
    }
    Ok(())
}

fn either(raw: &RawValue, at: &str, depth: usize) -> Parsed<Vec<Node>> {
    let entries = match read(raw, at)? {
        Json::Array(entries) if entries.len() < 2 => return fail(at, "must have at least two alternatives"),
        Json::Array(entries) => entries,
        other => return fail(at, format!("must be a list of patterns, not {}", other.kind())),
    };
    let mut nodes = Vec::new();
    let mut conditions = 0;
    for (index, entry) in entries.into_iter().enumerate() {
        let more = node(entry, &format!("{at}/{index}"), depth + 1)?;
        conditions += more.iter().map(Node::conditions).sum::<usize>();
        few(nodes.len() + more.len(), at)?;
        small(conditions, at)?;
        nodes.extend(more);
    }
    Ok(nodes)
}

fn field(raw: &RawValue, name: &str, at: &str, depth: usize) -> Parsed<Vec<Node>> {
    let under_name = |field: Field| Node(vec![(name.into(), field)]);
    match read(raw, at)? {
        Json::Object(_) => {
            let nested = node(raw, at, depth + 1)?.into_iter();
            Ok(nested
                .map(|nested| {
                    under_name(Field {
                        nested,
                        tests: Vec::new(),
                    })
                })
                .collect())
        }
        Json::Array(entries) if entries.is_empty() => fail(at, "is empty: list at least one value"),
        Json::Array(entries) => {
            let entries = entries.into_iter().enumerate();
            let tests: Parsed<Vec<Test>> = entries
                .map(|(index, entry)| test(entry, &format!("{at}/{index}")))
                .collect();
            let field = Field {
                nested: Node::default(),
                tests: vec![Arc::new(Tests::new(tests?))],
            };
            Ok(vec![under_name(field)])
        }
        other => fail(
            at,
            format!("must be a list of values or an object of fields, not {}", other.kind()),
        ),
    }
}

fn test(raw: &RawValue, at: &str) -> Parsed<Test> {
    let members = match read(raw, at)? {
        Json::Text(text) => return Ok(Test::Equal(Scalar::Text(text.into_owned().into()))),
        Json::Number(text) => return number(text, at).map(|number| Test::Equal(Scalar::Number(number))),
        Json::Bool(value) => return Ok(Test::Equal(Scalar::Bool(value))),
        Json::Null => return Ok(Test::Equal(Scalar::Null)),
        Json::Object(members) => members,
        Json::Array(_) => {
            return fail(
                at,
                "must be a string, a number, true, false, null or an operator, not a list",
            );
        }
    };
    let (name, argument) = only(&members, at)?;
    let at = below(at, name);
    match name {
        "prefix" => affix(argument, &at, Glob::prefix),
        "suffix" => affix(argument, &at, Glob::suffix),
        "wildcard" => wildcard(argument, &at),
        "equals-ignore-case" => text(argument, &at).map(|text| Test::Folded(Glob::exact(&fold(&text)))),
        "anything-but" => anything_but(argument, &at),
        "numeric" => numeric(argument, &at),
        "cidr" => cidr(argument, &at),
        "exists" => match read(argument, &at)? {
            Json::Bool(true) => Ok(Test::Exists),
            Json::Bool(false) => Ok(Test::Absent),
            other => fail(&at, format!("must be true or false, not {}", other.kind())),
        },
        _ => fail(&at, format!("is no operator; there are {OPERATORS}")),
    }
}

/// The one member of an operator's object.
fn only<'m, 'a>(members: &'m [(String, &'a RawValue)], at: &str) -> Parsed<(&'m str, &'a RawValue)> {
    match members {
        [(name, argument)] => Ok((name, argument)),
        [] => fail(at, format!("is empty: name an operator, one of {OPERATORS}")),
        _ => fail(at, "has more than one operator; make each an entry of its own"),
    }
}

fn text<'a>(raw: &'a RawValue, at: &str) -> Parsed<Cow<'a, str>> {
    match read(raw, at)? {
        Json::Text(text) => Ok(text),
        other => fail(at, format!("must be a string, not {}", other.kind())),
    }
}

fn number(written: &str, at: &str) -> Parsed<Decimal> {
    Decimal::parse(written).map_or_else(|| fail(at, "is not a number"), Ok)
}

/// `prefix` and `suffix`: of a string, or of `{"equals-ignore-case": "…"}`.
fn affix(raw: &RawValue, at: &str, glob: fn(&str) -> Glob) -> Parsed<Test> {
    match read(raw, at)? {
        Json::Text(text) => Ok(Test::Text(glob(&text))),
        Json::Object(members) => match only(&members, at)? {
            ("equals-ignore-case", argument) => {
                let at = below(at, "equals-ignore-case");
                text(argument, &at).map(|text| Test::Folded(glob(&text).folded()))
            }
            (name, _) => fail(&below(at, name), "is not allowed here; only equals-ignore-case is"),
        },
        other => fail(
            at,
            format!(
                "must be a string or {{\"equals-ignore-case\": …}}, not {}",
                other.kind()
            ),
        ),
    }
}

fn wildcard(raw: &RawValue, at: &str) -> Parsed<Test> {
    match Glob::wildcard(&text(raw, at)?) {
        Ok(glob) => Ok(Test::Text(glob)),
        Err(error) => fail(at, error.to_string()),
    }
}

fn cidr(raw: &RawValue, at: &str) -> Parsed<Test> {
    match Block::parse(&text(raw, at)?) {
        Some(block) => Ok(Test::Cidr(block)),
        None => fail(at, "is no block of IP addresses such as 10.0.0.0/8 or 2001:db8::/32"),
    }
}

/// `anything-but`: of a string, a number, a list of one of both, or of another operator with one or several strings.
fn anything_but(raw: &RawValue, at: &str) -> Parsed<Test> {
    let tests = match read(raw, at)? {
        Json::Text(_) | Json::Number(_) => vec![test(raw, at)?],
        Json::Array(entries) => plain_entries(&entries, at)?,
        Json::Object(members) => {
            let (name, argument) = only(&members, at)?;
            but_operator(name, argument, &below(at, name))?
        }
        other => {
            let problem = format!(
                "must be a string, a number, a list of either or an operator, not {}",
                other.kind()
            );
            return fail(at, problem);
        }
    };
    Ok(Test::AnythingBut(Tests::new(tests)))
}

fn plain_entries(entries: &[&RawValue], at: &str) -> Parsed<Vec<Test>> {
    let mut tests = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let at = format!("{at}/{index}");
        match read(entry, &at)? {
            Json::Text(_) | Json::Number(_) => tests.push(test(entry, &at)?),
            other => return fail(&at, format!("must be a string or a number, not {}", other.kind())),
        }
    }
    let texts = tests
        .iter()
        .filter(|test| matches!(test, Test::Equal(Scalar::Text(_))))
        .count();
    match texts {
        _ if tests.is_empty() => fail(at, "is empty: list at least one value"),
        0 => Ok(tests),
        _ if texts == tests.len() => Ok(tests),
        _ => fail(at, "must be all strings or all numbers"),
    }
}

fn but_operator(name: &str, argument: &RawValue, at: &str) -> Parsed<Vec<Test>> {
    let one = |raw: &RawValue, at: &str| match name {
        "prefix" | "suffix" if text(raw, at)?.is_empty() => fail(at, "is empty: nothing would match"),
        "prefix" => text(raw, at).map(|text| Test::Text(Glob::prefix(&text))),
        "suffix" => text(raw, at).map(|text| Test::Text(Glob::suffix(&text))),
        "equals-ignore-case" => text(raw, at).map(|text| Test::Folded(Glob::exact(&fold(&text)))),
        _ => wildcard(raw, at),
    };
    if !matches!(name, "prefix" | "suffix" | "equals-ignore-case" | "wildcard") {
        return fail(
            at,
            "is not allowed in anything-but; prefix, suffix, equals-ignore-case and wildcard are",
        );
    }
    match read(argument, at)? {
        Json::Array(entries) if entries.is_empty() => fail(at, "is empty: list at least one string"),
        Json::Array(entries) => {
            let entries = entries.iter().enumerate();
            entries
                .map(|(index, entry)| one(entry, &format!("{at}/{index}")))
                .collect()
        }
        _ => one(argument, at).map(|test| vec![test]),
    }
}

/// `numeric`: `["=", n]`, one of `<`, `<=`, `>`, `>=` with its number, or a lower end followed by an upper end.
fn numeric(raw: &RawValue, at: &str) -> Parsed<Test> {
    let entries = match read(raw, at)? {
        Json::Array(entries) if matches!(entries.len(), 2 | 4) => entries,
        _ => {
            return fail(
                at,
                "must be a list of one or two comparisons, such as [\">\", 0, \"<=\", 5]",
            );
        }
    };
    let mut range = NumericRange { low: None, high: None };
    for (index, pair) in entries.chunks_exact(2).enumerate() {
        let (operator_at, number_at) = (format!("{at}/{}", index * 2), format!("{at}/{}", index * 2 + 1));
        let operator = text(pair[0], &operator_at)?;
        let value = match read(pair[1], &number_at)? {
            Json::Number(written) => number(written, &number_at)?,
            other => return fail(&number_at, format!("must be a number, not {}", other.kind())),
        };
        let end = End {
            value,
            included: operator.ends_with('='),
        };
        match &*operator {
            "=" if entries.len() == 2 => {
                range = NumericRange {
                    low: Some(end.clone()),
                    high: Some(end),
                }
            }
            ">" | ">=" if index == 0 => range.low = Some(end),
            "<" | "<=" if entries.len() == 2 || index == 1 => range.high = Some(end),
            "=" | ">" | ">=" | "<" | "<=" => {
                return fail(
                    &operator_at,
                    "does not fit here: of two comparisons the first is > or >=, the second < or <=",
                );
            }
            _ => return fail(&operator_at, "is no comparison; there are =, <, <=, > and >="),
        }
    }
    if range.is_empty() {
        return fail(at, "is a range without any number");
    }
    Ok(Test::Numeric(range))
}
