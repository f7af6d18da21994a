//! The language read plainly, straight from the JSON of pattern and event: for holding the matcher against it.
//!
//! As [Event Ruler](https://github.com/aws/event-ruler) describes it: a pattern stands for several without `$or`; an event is a set of
//! leaves, each with its path and its places in arrays; each condition picks a leaf, and no two of them from different elements of one
//! array; a condition on absence wants no leaf of its path that would go with those that were picked.

use serde_json::Value;

type Path = Vec<String>;

struct Leaf<'a> {
    path: Path,
    value: &'a Value,
    /// The arrays it stands in, but for those that hold it directly, each with the number of its element.
    elements: Vec<(usize, usize)>,
}

struct Condition<'a> {
    path: Path,
    tests: &'a [Value],
}

pub(super) fn matches(pattern: &Value, event: &Value) -> bool {
    let mut leaves = Vec::new();
    flatten(event, &Vec::new(), &[], 0, &mut 0, &mut leaves);
    expand(pattern, &Vec::new())
        .iter()
        .any(|conditions| pick(conditions, &leaves, &mut Vec::new(), &mut Vec::new()))
}

/// The patterns without `$or`.
fn expand<'a>(pattern: &'a Value, path: &Path) -> Vec<Vec<Condition<'a>>> {
    let mut all: Vec<Vec<Condition<'a>>> = vec![Vec::new()];
    for (name, value) in pattern.as_object().unwrap() {
        let below = [path.as_slice(), std::slice::from_ref(name)].concat();
        let more: Vec<Vec<Condition<'a>>> = match value {
            Value::Array(nodes) if name == "$or" => nodes.iter().flat_map(|node| expand(node, path)).collect(),
            Value::Array(tests) => vec![vec![Condition { path: below, tests }]],
            nested => expand(nested, &below),
        };
        let copy = |conditions: &[Condition<'a>]| -> Vec<Condition<'a>> {
            conditions
                .iter()
                .map(|condition| Condition {
                    path: condition.path.clone(),
                    tests: condition.tests,
                })
                .collect()
        };
        all = all
            .iter()
            .flat_map(|one| {
                more.iter()
                    .map(|other| copy(one).into_iter().chain(copy(other)).collect())
                    .collect::<Vec<_>>()
            })
            .collect();
    }
    all
}

/// `direct` of the elements belong to arrays without an object between them and here.
fn flatten<'a>(
    value: &'a Value,
    path: &Path,
    elements: &[(usize, usize)],
    direct: usize,
    arrays: &mut usize,
    leaves: &mut Vec<Leaf<'a>>,
) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                flatten(
                    value,
                    &[path.as_slice(), std::slice::from_ref(name)].concat(),
                    elements,
                    0,
                    arrays,
                    leaves,
                );
            }
        }
        Value::Array(values) => {
            *arrays += 1;
            let array = *arrays;
            for (number, value) in values.iter().enumerate() {
                flatten(
                    value,
                    path,
                    &[elements, &[(array, number)]].concat(),
                    direct + 1,
                    arrays,
                    leaves,
                );
            }
        }
        value => leaves.push(Leaf {
            path: path.clone(),
            value,
            elements: elements[..elements.len() - direct].to_vec(),
        }),
    }
}

fn agree(one: &[(usize, usize)], other: &[(usize, usize)]) -> bool {
    one.iter().all(|(array, element)| {
        other
            .iter()
            .all(|(array2, element2)| array != array2 || element == element2)
    })
}

fn pick<'a>(
    conditions: &'a [Condition<'a>],
    leaves: &[Leaf<'_>],
    picked: &mut Vec<(usize, usize)>,
    absent: &mut Vec<&'a Path>,
) -> bool {
    let Some((condition, rest)) = conditions.split_first() else {
        return absent.iter().all(|path| {
            !leaves
                .iter()
                .any(|leaf| leaf.path == **path && agree(&leaf.elements, picked))
        });
    };
    for leaf in leaves.iter().filter(|leaf| leaf.path == condition.path) {
        if agree(&leaf.elements, picked) && condition.tests.iter().any(|test| passes(test, leaf.value)) {
            let before = picked.len();
            picked.extend_from_slice(&leaf.elements);
            let found = pick(rest, leaves, picked, absent);
            picked.truncate(before);
            if found {
                return true;
            }
        }
    }
    if condition.tests.iter().any(|test| test["exists"] == Value::Bool(false)) {
        absent.push(&condition.path);
        let found = pick(rest, leaves, picked, absent);
        absent.pop();
        return found;
    }
    false
}

fn same(one: &Value, other: &Value) -> bool {
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => (one - other).abs() < f64::EPSILON,
        _ => one == other,
    }
}

fn passes(test: &Value, value: &Value) -> bool {
    let Value::Object(operator) = test else {
        return same(test, value);
    };
    let (name, argument) = operator.iter().next().unwrap();
    let text = value.as_str();
    let lower = |text: &str| text.to_lowercase();
    match (name.as_str(), argument) {
        ("exists", argument) => *argument == Value::Bool(true),
        ("prefix", Value::String(part)) => text.is_some_and(|text| text.starts_with(part)),
        ("suffix", Value::String(part)) => text.is_some_and(|text| text.ends_with(part)),
        ("prefix", argument) => {
            text.is_some_and(|text| lower(text).starts_with(&lower(argument["equals-ignore-case"].as_str().unwrap())))
        }
        ("suffix", argument) => {
            text.is_some_and(|text| lower(text).ends_with(&lower(argument["equals-ignore-case"].as_str().unwrap())))
        }
        ("equals-ignore-case", argument) => text.is_some_and(|text| lower(text) == lower(argument.as_str().unwrap())),
        ("wildcard", argument) => text.is_some_and(|text| wildcard(argument.as_str().unwrap(), text)),
        ("cidr", argument) => text.is_some_and(|text| cidr(argument.as_str().unwrap(), text)),
        ("numeric", argument) => value.as_f64().is_some_and(|number| {
            argument.as_array().unwrap().chunks(2).all(|pair| {
                let end = pair[1].as_f64().unwrap();
                match pair[0].as_str().unwrap() {
                    "=" => same(&pair[1], value),
                    "<" => number < end,
                    "<=" => number <= end,
                    ">" => number > end,
                    _ => number >= end,
                }
            })
        }),
        ("anything-but", Value::Array(values)) => !values.iter().any(|other| same(other, value)),
        ("anything-but", Value::Object(operator)) => {
            let (name, argument) = operator.iter().next().unwrap();
            let one = |argument: &Value| passes(&serde_json::json!({name: argument}), value);
            match argument {
                Value::Array(arguments) => !arguments.iter().any(one),
                argument => !one(argument),
            }
        }
        ("anything-but", argument) => !same(argument, value),
        (name, _) => panic!("{name}"),
    }
}

pub(super) fn wildcard(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, tail)) => {
            text.starts_with(head)
                && (head.len()..=text.len()).any(|at| text.is_char_boundary(at) && wildcard(tail, &text[at..]))
        }
    }
}

/// Of version 4 only, bit by bit.
fn cidr(block: &str, text: &str) -> bool {
    let bits = |text: &str| {
        let address: Option<std::net::Ipv4Addr> = text.parse().ok();
        address.map(|address| format!("{:032b}", u32::from(address)))
    };
    let (network, length) = block.split_once('/').unwrap();
    let length: usize = length.parse().unwrap();
    bits(text).is_some_and(|text| text[..length] == bits(network).unwrap()[..length])
}
