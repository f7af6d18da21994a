//! The inputs of all targets, as text that a person can write: `NAME SECONDS METHOD QUERY`, headers, an empty line, the body. NAME says
//! what the request is for. Every input is some request: what is missing has a value that stands for it.

use jiff::Timestamp;
use payload::query::parameters;
use payload::receipt::{Header, HeaderValue, salted_hash};
use payload::{OrganizationId, Receipt, ReceiptId, SourceId};

pub const SALT: &str = "salt";

/// When a request arrived that does not say it.
const USUAL_TIME: i64 = 1_700_000_000;

/// A request on its way.
pub struct Input {
    pub name: String,
    pub received_at: i64,
    pub method: String,
    pub query: String,
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
}

impl Input {
    pub fn parse(mut data: &[u8]) -> Self {
        let mut line = || {
            let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
            let line = &data[..end];
            data = data.get(end + 1..).unwrap_or_default();
            line
        };
        let first = String::from_utf8_lossy(line()).into_owned();
        let mut words = first.splitn(4, ' ');
        let mut word = || words.next().unwrap_or_default().to_owned();
        let (name, seconds, method, query) = (word(), word(), word(), word());
        let range = Timestamp::MIN.as_second()..=Timestamp::MAX.as_second();
        let mut headers = Vec::new();
        loop {
            let header = line();
            if header.is_empty() {
                break;
            }
            let colon = header.iter().position(|byte| *byte == b':').unwrap_or(header.len());
            let value = header.get(colon + 1..).unwrap_or_default();
            let value = value.strip_prefix(b" ").unwrap_or(value);
            headers.push((String::from_utf8_lossy(&header[..colon]).into_owned(), value.to_vec()));
        }
        Self {
            name,
            received_at: seconds
                .parse()
                .ok()
                .filter(|seconds| range.contains(seconds))
                .unwrap_or(USUAL_TIME),
            method,
            query,
            headers,
            body: data.to_vec(),
        }
    }

    /// The one of these that the name says; where it names none, any.
    pub fn choose<'a, T>(&self, all: &'a [T], name: impl Fn(&T) -> &str) -> &'a T {
        let any = self.name.bytes().map(usize::from).sum::<usize>() % all.len();
        all.iter().find(|one| name(one) == self.name).unwrap_or(&all[any])
    }

    /// The receipt that `receive` makes of it.
    pub fn receipt(&self, credentials: &[String]) -> Receipt {
        let capture = |(name, value): &(String, Vec<u8>)| Header::capture(name, value, SALT, credentials);
        let mut headers: Vec<Header> = self.headers.iter().map(capture).collect();
        let mut query = Vec::new();
        for parameter in parameters(&self.query) {
            let name = format!("?{}", String::from_utf8_lossy(&parameter.name));
            if credentials.contains(&name) {
                let value = HeaderValue::Hashed(salted_hash(SALT, &parameter.value));
                headers.push(Header { name, value });
            } else {
                query.push(parameter.text);
            }
        }
        Receipt {
            id: "rcp_01JQ6ZQ0M0000000000000000A".parse::<ReceiptId>().unwrap(),
            organization: "org_01JQ6ZQ0M0000000000000000A".parse::<OrganizationId>().unwrap(),
            source: "src_01JQ6ZQ0M0000000000000000A".parse::<SourceId>().unwrap(),
            method: self.method.clone(),
            query: query.join("&"),
            headers,
            body: self.body.clone().into(),
            received_at: Timestamp::from_second(self.received_at).unwrap(),
            scheme: None,
            trace: None,
        }
    }
}
