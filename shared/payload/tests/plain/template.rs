//! The signed bytes: the template with the request's parts in it.

use serde_json::Value;

use super::{Request, items, named, time};

/// What a provider may call with.
const METHODS: [&str; 4] = ["GET", "POST", "PUT", "PATCH"];

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    Text(String),
    Part(String),
}

/// The pieces of a template, in their order.
pub fn pieces(template: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = template;
    while let Some(open) = rest.find('{') {
        let close = rest.find('}').unwrap();
        if open > 0 {
            pieces.push(Piece::Text(rest[..open].to_string()));
        }
        pieces.push(Piece::Part(rest[open + 1..close].to_string()));
        rest = &rest[close + 1..];
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_string()));
    }
    pieces
}

/// Whether the timestamp stands right beside another part, so that only its form tells where it ends.
fn is_adjacent(pieces: &[Piece]) -> bool {
    let is_part = |piece: &Piece| matches!(piece, Piece::Part(_));
    let time = Piece::Part("timestamp".to_string());
    pieces
        .windows(2)
        .any(|two| two.iter().all(is_part) && two.contains(&time))
}

/// The bytes that are signed; an error where they cannot be put together, or could be taken apart in another way.
pub fn message(scheme: &Value, request: &Request, public_url: Option<&str>) -> Result<Vec<u8>, String> {
    let pieces = pieces(scheme["signed"].as_str().unwrap());
    let time = time_in_header(scheme, request, is_adjacent(&pieces))?;
    let mut values: Vec<Vec<u8>> = Vec::new();
    for piece in &pieces {
        let header = |name: &str| request.header(name).map(String::into_bytes).ok_or(format!("no {name}"));
        values.push(match piece {
            Piece::Text(text) => text.clone().into_bytes(),
            Piece::Part(name) => match name.as_str() {
                "body" => request.body.clone(),
                "timestamp" => time.clone().ok_or("no time")?.into_bytes(),
                "id" => header(scheme["id"]["header"].as_str().unwrap())?,
                "method" => {
                    let method = request.method.to_ascii_uppercase();
                    if !METHODS.contains(&method.as_str()) {
                        return Err(format!("the method {method}"));
                    }
                    method.into_bytes()
                }
                "url" => public_url.ok_or("no public URL")?.as_bytes().to_vec(),
                "query" => request.query.clone().into_bytes(),
                other => header(other.strip_prefix("header.").unwrap())?,
            },
        });
    }
    if is_ambiguous(scheme, &pieces, &values) {
        return Err("ambiguous".into());
    }
    Ok(values.concat())
}

/// The timestamp's text, where it stands in a header.
fn time_in_header(scheme: &Value, request: &Request, fixed: bool) -> Result<Option<String>, String> {
    let place = &scheme["timestamp"];
    let Some(name) = place["header"].as_str() else {
        return Ok(None);
    };
    let header = request.header(name).ok_or("no time")?;
    let text = match place["field"].as_str() {
        None => header,
        Some(field) => {
            let values: Vec<String> = items(scheme, &header)
                .iter()
                .filter_map(|item| named(scheme, item, field))
                .collect();
            if values.len() != 1 {
                return Err(format!("{} times", values.len()));
            }
            values[0].clone()
        }
    };
    let unit = place["unit"].as_str().unwrap_or("s");
    time::check(time::seconds(&text, unit, fixed)?, request.received_at, scheme)?;
    Ok(Some(text))
}

/// Left of the body, what stands between two texts must end at the first occurrence of the text behind it; right of the body, it must
/// begin behind the last occurrence of the text before it. What is known, or shows by itself where it ends, is not asked.
fn is_ambiguous(scheme: &Value, pieces: &[Piece], values: &[Vec<u8>]) -> bool {
    let plain_digits = scheme["timestamp"]["unit"].as_str() != Some("rfc3339") && !is_adjacent(pieces);
    let body = pieces
        .iter()
        .position(|piece| *piece == Piece::Part("body".to_string()))
        .unwrap();
    let is_text = |piece: &Piece| matches!(piece, Piece::Text(_));
    for (start, piece) in pieces.iter().enumerate() {
        // Where a run of parts begins.
        if is_text(piece) || (start > 0 && !is_text(&pieces[start - 1])) {
            continue;
        }
        let length = pieces[start..].iter().position(is_text).unwrap_or(pieces.len() - start);
        let end = start + length;
        let open = pieces[start..end].iter().any(|piece| match piece {
            Piece::Part(name) if name == "timestamp" => plain_digits,
            Piece::Part(name) => name != "url" && name != "method",
            Piece::Text(_) => false,
        });
        if !open || (start..end).contains(&body) {
            continue;
        }
        let run = values[start..end].concat();
        let (joined, separator, wanted) = if end <= body {
            ([run.clone(), values[end].clone()].concat(), &values[end], run.len())
        } else {
            ([values[start - 1].clone(), run].concat(), &values[start - 1], 0)
        };
        let places: Vec<usize> = (0..joined.len())
            .filter(|at| joined[*at..].starts_with(separator))
            .collect();
        let found = if end <= body { places.first() } else { places.last() };
        if found != Some(&wanted) {
            return true;
        }
    }
    false
}

/// The ways in which signed bytes can be taken apart by a template: the values of its pieces. At most so many.
pub fn readings(pieces: &[Piece], bytes: &[u8], public_url: &str, limit: usize) -> Vec<Vec<Vec<u8>>> {
    let Some((first, rest)) = pieces.split_first() else {
        return if bytes.is_empty() { vec![Vec::new()] } else { Vec::new() };
    };
    let lengths: Vec<usize> = match first {
        Piece::Text(text) if bytes.starts_with(text.as_bytes()) => vec![text.len()],
        Piece::Part(name) if name == "url" && bytes.starts_with(public_url.as_bytes()) => vec![public_url.len()],
        Piece::Part(name) if name == "method" => METHODS
            .iter()
            .filter(|method| bytes.starts_with(method.as_bytes()))
            .map(|method| method.len())
            .collect(),
        Piece::Part(name) if name != "url" => (0..=bytes.len()).collect(),
        _ => Vec::new(),
    };
    let mut all = Vec::new();
    for length in lengths {
        for reading in readings(rest, &bytes[length..], public_url, limit - all.len()) {
            all.push([vec![bytes[..length].to_vec()], reading].concat());
            if all.len() == limit {
                return all;
            }
        }
    }
    all
}
