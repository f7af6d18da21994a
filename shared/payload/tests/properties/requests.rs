//! Requests: as their sender means them, as they are sent, and as somebody may change them on their way.

use jiff::Timestamp;
use payload::receipt::{Header, HeaderValue, salted_hash};
use payload::scheme::{Context, Scheme};
use payload::{OrganizationId, Receipt, ReceiptId, SourceId};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

use crate::plain::template::{Piece, pieces};
use crate::plain::{Request, text};
use crate::schemes::EXTRA;

pub(crate) const NOW: i64 = 1_742_909_460;

pub(crate) const PUBLIC_URL: &str = "https://hooks.example.com/in/x?a=b.c";

pub(crate) const CONTEXT: Context<'static> = Context {
    public_url: Some(PUBLIC_URL),
    salt: "salt",
};

/// What a sender says, before it is put into headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) id: String,
    pub(crate) time: String,
    pub(crate) method: String,
    pub(crate) query: String,
    pub(crate) extra: String,
    pub(crate) body: Vec<u8>,
}

/// Timestamps that no sender means.
const ABSURD: &[&str] = &[
    "",
    "0",
    "-1",
    "+1742909460",
    " 1742909460",
    "01742909460",
    "1742909460.0",
    "1.742909460e9",
    "-9223372036854775808",
    "9223372036854775807",
    "99999999999999999999999999",
    "174290946",
    "١٧٤٢٩٠٩٤٦٠",
    "2025-03-25",
    "2025-03-25T13:31:00",
    "2025-03-25 13:31:00Z",
    "2025-03-25T13:31:00z",
    "2025-03-25T13:31:60Z",
    "2025-03-25T13:31:61Z",
    "2025-02-29T13:31:00Z",
    "2025-03-25T24:00:00Z",
    "2025-03-26T14:31:00+25:00",
    "2025-03-26T13:31:00+24:00",
    "2025-03-25T13:31:00.0000000000Z",
    "2025-03-25T13:31:00+0000",
    "2025-03-25T13:31:00+00:00[UTC]",
    "+002025-03-25T13:31:00Z",
    "-009999-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999999Z",
];

fn written(at: i64, unit: &str, style: u8) -> String {
    let time = |at: i64| Timestamp::from_second(at).unwrap().to_string();
    match (unit, style) {
        ("s", 0) => format!("0{at}"),
        ("s", _) => at.to_string(),
        ("ms", _) => format!("{at}{style:03}"),
        (_, 0) => time(at),
        (_, 1) => time(at).replace('Z', ".123456789Z"),
        (_, 2) => time(at + 3600).replace('Z', "+01:00"),
        _ => time(at - 5400).replace('Z', ".5-01:30"),
    }
}

/// Texts of few characters, so that separators are often met.
fn text_of(minimum: usize) -> impl Strategy<Value = String> {
    prop_oneof![
        3 => proptest::string::string_regex(&format!("[a-c0.:|é-]{{{minimum},6}}")).unwrap(),
        2 => Just("msg_2Lh9KRb0".to_owned()),
    ]
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => "[a0.:|{}\n-]{0,8}".prop_map(String::into_bytes),
        1 => proptest::collection::vec(any::<u8>(), 0..200),
        1 => Just(br#"{"type":"a.b"}"#.to_vec()),
    ]
}

/// A message that a sender who uses this scheme means: mostly in the window, and now and then beside it.
pub(crate) fn message(scheme: &Value) -> impl Strategy<Value = Message> + use<> {
    let unit = scheme["timestamp"]["unit"].as_str().unwrap_or("s").to_owned();
    let is_in_body = scheme["timestamp"]["pointer"].is_string();
    let tolerance = scheme["tolerance"].as_i64().unwrap_or(300);
    let distance = prop_oneof![
        6 => 0..=tolerance,
        1 => Just(tolerance),
        1 => Just(tolerance + 1),
    ];
    let time = (distance, any::<bool>(), 0..4_u8).prop_map(move |(distance, early, style)| {
        written(if early { NOW + distance } else { NOW - distance }, &unit, style)
    });
    let time = prop_oneof![12 => time, 2 => select(ABSURD).prop_map(str::to_owned)];
    let query = prop_oneof![2 => Just(String::new()), 1 => "[a=&.|%0]{0,6}"];
    let method = select(&["POST", "GET", "post"][..]).prop_map(str::to_owned);
    let parts = (text_of(1), time, method, query, text_of(1), body(), any::<bool>());
    parts.prop_map(move |(id, time, method, query, extra, body, as_number)| {
        let number = time
            .parse::<u64>()
            .ok()
            .filter(|number| as_number && number.to_string() == time);
        let time_value = number.map_or_else(|| json!(time), Value::from);
        let body = if is_in_body {
            json!({"a": [0, {"t~": time_value}]}).to_string().into_bytes()
        } else {
            body
        };
        Message {
            id,
            time,
            method,
            query,
            extra,
            body,
        }
    })
}

/// The template of a scheme that signs.
pub(crate) fn template(scheme: &Value) -> Vec<Piece> {
    pieces(scheme["signed"].as_str().unwrap_or("{id}.{timestamp}.{body}"))
}

impl Message {
    /// The bytes that the sender signs.
    pub(crate) fn signed_bytes(&self, scheme: &Value) -> Vec<u8> {
        let pieces = template(scheme);
        let values = pieces.iter().map(|piece| match piece {
            Piece::Text(text) => text.as_bytes().to_vec(),
            Piece::Part(name) => match name.as_str() {
                "id" => self.id.as_bytes().to_vec(),
                "timestamp" => self.time.as_bytes().to_vec(),
                "body" => self.body.clone(),
                "method" => self.method.to_ascii_uppercase().into_bytes(),
                "url" => PUBLIC_URL.as_bytes().to_vec(),
                "query" => self.query.as_bytes().to_vec(),
                _ => self.extra.as_bytes().to_vec(),
            },
        });
        values.collect::<Vec<_>>().concat()
    }

    /// The request with these signatures, of which each stands as the scheme says.
    pub(crate) fn request(&self, scheme: &Value, signatures: &[String]) -> Request {
        let mut headers = vec![("Content-Type".to_owned(), "application/json".to_owned())];
        let mut put = |name: &str, value: String| headers.push((name.to_owned(), value));
        if scheme["kind"] == "standard-webhooks" {
            let prefix = scheme["headerPrefix"].as_str().unwrap_or("webhook-");
            put(&format!("{prefix}id"), self.id.clone());
            put(&format!("{prefix}timestamp"), self.time.clone());
            let items: Vec<String> = signatures.iter().map(|signature| format!("v1,{signature}")).collect();
            put(&format!("{prefix}signature"), items.join(" "));
        } else {
            let named = |name: &Value, value: &str| match name.as_str() {
                Some(name) => format!("{name}{}{value}", scheme["fieldSeparator"].as_str().unwrap_or("=")),
                None => value.to_owned(),
            };
            let header = scheme["header"].as_str().unwrap();
            let prefix = scheme["prefix"].as_str().unwrap_or_default();
            let mut items: Vec<String> = signatures
                .iter()
                .map(|signature| named(&scheme["field"], &format!("{prefix}{signature}")))
                .collect();
            let time = &scheme["timestamp"];
            if let Some(name) = time["header"].as_str() {
                let value = named(&time["field"], &self.time);
                if name == header {
                    items.insert(0, value);
                } else {
                    put(name, value);
                }
            }
            let separator = scheme["separator"].as_str();
            put(header, items.join(separator.unwrap_or_default()));
            put("x-id", self.id.clone());
            put(EXTRA, self.extra.clone());
        }
        Request {
            method: self.method.clone(),
            query: self.query.clone(),
            headers: headers
                .into_iter()
                .map(|(name, value)| (name, value.into_bytes()))
                .collect(),
            body: self.body.clone(),
            received_at: NOW,
        }
    }

    /// The request of a kind that does not sign.
    pub(crate) fn request_with(&self, scheme: &Value, secret: &str) -> Request {
        let secret = format!("{}{secret}", scheme["prefix"].as_str().unwrap_or_default());
        let mut request = self.request(&json!({"header": "x-none"}), &[]);
        if scheme["kind"] == "basic" {
            let value = format!("Basic {}", text::to_base64(secret.as_bytes(), text::STANDARD));
            request.headers.push(("Authorization".into(), value.into_bytes()));
        } else if let Some(header) = scheme["header"].as_str() {
            request.headers.push((header.into(), secret.into_bytes()));
        } else if let Some(parameter) = scheme["query"].as_str() {
            let encode = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
            request.query = format!("{}&{}={}", request.query, encode(parameter), encode(&secret));
        }
        request
    }
}

/// The receipt that `receive` makes of a request.
pub(crate) fn receipt(request: &Request, scheme: &Scheme) -> Receipt {
    let at = Timestamp::from_second(request.received_at).unwrap();
    let credentials = scheme.credentials();
    let capture = |(name, value): &(String, Vec<u8>)| Header::capture(name, value, CONTEXT.salt, &credentials);
    let mut headers: Vec<Header> = request.headers.iter().map(capture).collect();
    for name in &credentials {
        for value in name
            .strip_prefix('?')
            .map(|name| request.parameters(name))
            .unwrap_or_default()
        {
            headers.push(Header {
                name: name.clone(),
                value: HeaderValue::Hashed(salted_hash(CONTEXT.salt, &value)),
            });
        }
    }
    Receipt {
        id: ReceiptId::generate(at),
        organization: OrganizationId::generate(at),
        source: SourceId::generate(at),
        method: request.method.clone(),
        query: request.query.clone(),
        headers,
        body: request.body.clone().into(),
        received_at: at,
        scheme: Some(scheme.kind().into()),
        trace: None,
    }
}

/// One change to a request on its way.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    what: u8,
    first: Index,
    second: Index,
    text: &'static str,
}

pub(crate) fn change() -> impl Strategy<Value = Change> {
    let odd = select(vec![
        "", " ", "\t", "\u{a0}", "é", "\0", ",", "=", "v1=", "=", ".", "0", "\u{feff}", "🙂",
    ]);
    let texts = prop_oneof![odd, select(ABSURD)];
    (0..17_u8, any::<Index>(), any::<Index>(), texts).prop_map(|(what, first, second, text)| Change {
        what,
        first,
        second,
        text,
    })
}

impl Change {
    pub(crate) fn apply(&self, request: &mut Request, scheme: &Value) {
        let body_at = self.second.index(request.body.len() + 1);
        if request.headers.is_empty() {
            return;
        }
        let at = self.first.index(request.headers.len());
        let (name, value) = request.headers[at].clone();
        let value_at = self.second.index(value.len() + 1);
        let separator = scheme["separator"].as_str().unwrap_or(",").as_bytes();
        let field_separator = scheme["fieldSeparator"].as_str().unwrap_or("=").as_bytes();
        let header = &mut request.headers[at];
        match self.what {
            0 if !request.body.is_empty() => request.body[body_at.saturating_sub(1)] ^= 1 << (at % 8),
            1 => request.body.truncate(body_at),
            2 => drop(request.body.splice(body_at..body_at, self.text.bytes())),
            3 => request.headers.push((name.to_uppercase(), value)),
            4 => request.headers.push((name, self.text.into())),
            // The same items once more, or one of them with another value.
            5 => header.1 = [&value[..], separator, &value].concat(),
            14 => header.1 = [&value[..], separator, b"t", field_separator, self.text.as_bytes()].concat(),
            6 => drop(request.headers.remove(at)),
            7 => header.1 = value.iter().map(u8::to_ascii_uppercase).collect(),
            8 => header.1.truncate(value_at),
            15 => drop(header.1.pop()),
            9 => drop(header.1.splice(value_at..value_at, self.text.bytes())),
            10 => header.1 = self.text.into(),
            11 if value_at < value.len() => header.1[value_at] = 0xff,
            // Bytes from the end of a header to the beginning of the body, and back.
            12 => drop(request.body.splice(0..0, header.1.split_off(value_at))),
            13 => header.1.extend(request.body.drain(..body_at)),
            _ => request.query.push_str(self.text),
        }
    }
}
