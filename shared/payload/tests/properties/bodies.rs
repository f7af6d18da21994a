//! Bodies, headers and queries as they come: right, odd and broken, in the words of the presets.

use std::io::Write;
use std::sync::LazyLock;

use flate2::Compression;
use flate2::write::GzEncoder;
use payload::preset;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

use crate::plain::Request;
use crate::requests::NOW;

/// What the presets name: members of bodies, headers, query parameters, and texts that they compare with.
pub(crate) static WORDS: LazyLock<Words> = LazyLock::new(|| {
    let mut words = Words::default();
    for preset in preset::all() {
        words.collect("", &serde_json::to_value(preset).unwrap());
    }
    for list in [
        &mut words.members,
        &mut words.headers,
        &mut words.parameters,
        &mut words.texts,
        &mut words.pointers,
    ] {
        list.sort();
        list.dedup();
    }
    words
});

#[derive(Default)]
pub(crate) struct Words {
    members: Vec<String>,
    headers: Vec<String>,
    parameters: Vec<String>,
    texts: Vec<String>,
    pointers: Vec<String>,
}

impl Words {
    fn collect(&mut self, name: &str, value: &Value) {
        match value {
            Value::String(text) if text.starts_with('/') => {
                self.members.extend(text.split('/').skip(1).map(str::to_owned));
                self.pointers.push(text.clone());
            }
            Value::String(text) => {
                let list = match name {
                    "header" | "withHeader" | "eachUnlessHeader" => &mut self.headers,
                    "query" | "jsonParameters" => &mut self.parameters,
                    _ => &mut self.texts,
                };
                if text.len() < 40 {
                    list.push(text.clone());
                }
            }
            Value::Array(values) => values.iter().for_each(|value| self.collect(name, value)),
            Value::Object(members) => {
                for (name, value) in members {
                    self.texts.push(name.clone());
                    self.collect(name, value);
                }
            }
            _ => {}
        }
    }
}

fn one_of(words: &'static [String]) -> impl Strategy<Value = String> {
    select(words)
}

pub(crate) fn pointer() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => one_of(&WORDS.pointers),
        2 => one_of(&WORDS.members).prop_map(|member| format!("/{member}")),
        1 => Just(String::new()),
        1 => "(/[a-c0-1~]{0,3}){0,3}",
    ]
}

pub(crate) fn header_name() -> impl Strategy<Value = String> {
    one_of(&WORDS.headers)
}

pub(crate) fn parameter_name() -> impl Strategy<Value = String> {
    one_of(&WORDS.parameters)
}

pub(crate) fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => one_of(&WORDS.texts),
        1 => one_of(&WORDS.members),
        1 => select(&["a.b.c", "2025-03-25T13:31:00Z", "2025-03-25 13:31:00", "1742909460.5", "/x/y", "https://e.com/", "javascript:x", "é\u{202e}\0", ""][..])
            .prop_map(str::to_owned),
        1 => ".{0,20}",
    ]
}

/// JSON of which some is what a preset looks for. In place of this text something is put that no library would write.
const HOLE: &str = "\"HOLE\"";

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        6 => word().prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => Just(Value::Null),
        1 => Just(json!("HOLE")),
        1 => (300..3000_usize).prop_map(|length| "long ".repeat(length).into()),
    ];
    leaf.prop_recursive(4, 60, 6, |inner| {
        let members = proptest::collection::vec((one_of(&WORDS.members), inner.clone()), 0..6);
        prop_oneof![
            4 => members.prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
            1 => proptest::collection::vec(inner, 0..6).prop_map(Value::from),
        ]
    })
}

pub(crate) fn json_text() -> impl Strategy<Value = String> {
    let odd = select(
        &[
            r#""\ud800""#,
            "1e999",
            "-0",
            "12345678901234567890123.4560",
            r#"{"id":1,"id":{"id":2},"id":"3"}"#,
            r#"{"\u0069d":"x","\ud800":1}"#,
            r#""\u0000\u202e""#,
            "[[[[[[[[[[[[]]]]]]]]]]]]",
            " \r\n\t{ } ",
            // No JSON.
            "01",
            "{,}",
        ][..],
    );
    (json_value(), odd).prop_map(|(value, odd)| value.to_string().replacen(HOLE, odd, 1))
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn form() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        2 => one_of(&WORDS.parameters),
        2 => one_of(&WORDS.members),
        1 => Just("payload".to_owned()),
        1 => "[ab\\[\\]%=&+]{0,8}",
    ];
    let path = proptest::option::weighted(0.2, one_of(&WORDS.members));
    let value = prop_oneof![2 => word(), 1 => json_text()];
    let encode =
        |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
    let pair = (name, path, value).prop_map(move |(name, path, value)| {
        let path = path.map(|path| format!("[{path}]")).unwrap_or_default();
        format!("{name}{path}={}", encode(&value))
    });
    proptest::collection::vec(pair, 0..6).prop_map(|pairs| pairs.join("&"))
}

/// A body with its content type and encoding, if it says one.
fn body() -> impl Strategy<Value = (Vec<u8>, Option<&'static str>, Option<&'static str>)> {
    let json = select(vec![
        Some("application/json"),
        Some("Application/JSON; charset=utf-8"),
        Some("application/cloudevents+json"),
        None,
        Some("text/plain"),
    ]);
    let binary = proptest::collection::vec(any::<u8>(), 0..60);
    let any_type = select(vec![
        Some("application/json"),
        Some("application/x-www-form-urlencoded"),
        Some("text/xml"),
        Some("image/png"),
        Some("é"),
        None,
    ]);
    let content = prop_oneof![
        8 => (json_text(), json.clone()).prop_map(|(text, media_type)| (text.into_bytes(), media_type)),
        1 => (json_text(), json).prop_map(|(text, media_type)| ([b"\xef\xbb\xbf", text.as_bytes()].concat(), media_type)),
        2 => form().prop_map(|form| (form.into_bytes(), Some("application/x-www-form-urlencoded"))),
        1 => (binary, any_type),
        1 => Just((Vec::new(), None)),
    ];
    (content, 0..12_u8).prop_map(|((bytes, media_type), encoding)| match encoding {
        0 => (gzip(&bytes), media_type, Some("gzip")),
        1 => ([gzip(&bytes), gzip(b" ")].concat(), media_type, Some("x-GZIP")),
        2 => {
            let mut cut = gzip(&bytes);
            cut.truncate(cut.len() * 2 / 3);
            (cut, media_type, Some("gzip"))
        }
        3 => (bytes, media_type, Some("gzip")),
        4 => (bytes, media_type, Some("br")),
        _ => (bytes, media_type, None),
    })
}

/// A request with whatever a preset may look for.
pub(crate) fn request() -> impl Strategy<Value = Request> {
    let headers = proptest::collection::vec((header_name(), word()), 0..5);
    let method = select(&["POST", "GET", "PUT"][..]);
    let query = prop_oneof![1 => Just(String::new()), 1 => form(), 1 => ".{0,30}"];
    (body(), headers, method, query).prop_map(|((body, media_type, encoding), headers, method, query)| {
        let named = [("content-type", media_type), ("content-encoding", encoding)];
        let named = named
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())));
        Request {
            method: method.into(),
            query,
            headers: headers
                .into_iter()
                .chain(named)
                .map(|(name, value)| (name, value.into_bytes()))
                .collect(),
            body,
            received_at: NOW,
        }
    })
}
