//! What all lists have in common: parameters in the query string, cursors, pages.
//!
//! A list has a struct of its own that names its parameters, and takes it as [`Query`]. It answers a [`Page`], whose `next` is the `cursor`
//! of the page behind it.

use axum::extract::{FromRequestParts, MatchedPath};
use axum::http::Method;
use axum::http::request::Parts;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::de::value::{Error as Problem, MapDeserializer};
use serde::de::{DeserializeOwned, Error as _, IntoDeserializer, Visitor};
use serde::{Deserialize, Deserializer, Serialize, forward_to_deserialize_any};
use store::lists::Span;
use url::form_urlencoded;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use crate::problem::ApiError;

/// The most rows of one page.
pub(crate) const MAX_LIMIT: u16 = 100;

/// The rows of a page where nothing else is asked for.
const DEFAULT_LIMIT: u16 = 50;

/// The longest cursor, in bytes: one of ours is shorter.
const MAX_CURSOR_BYTES: usize = 2048;

/// The parameters in the query string, as the struct of a list names them. One that it does not name, one that stands there twice and
/// one whose value is not valid are a 422 that names it.
#[derive(Debug)]
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        read(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

/// The parameters of a list that has no others. The place in it is the id of a row.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields, bound = "P: DeserializeOwned")]
#[into_params(parameter_in = Query)]
pub(crate) struct Parameters<P: ToSchema> {
    /// The most rows of the page.
    #[serde(default)]
    #[param(inline)]
    pub(crate) limit: Limit,
    /// Where to go on: `next` of the page before.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    pub(crate) cursor: Option<Cursor<P>>,
}

/// The routes whose GET has parameters, which its [`Query`] reads.
const ROUTES_WITH_PARAMETERS: [&str; 9] = [
    "/v1/sources",
    "/v1/webhooks",
    "/v1/webhooks/{id}/stats",
    "/v1/events",
    "/v1/deliveries",
    "/v1/trace",
    "/v1/receipts",
    "/v1/jobs",
    "/v1/audit",
];

/// Refuses parameters where a route has none: one that is ignored is a mistake that nobody sees.
pub(crate) fn check_parameters(request: &Parts) -> Result<(), ApiError> {
    let query = request.uri.query().unwrap_or_default();
    let Some((name, _)) = form_urlencoded::parse(query.as_bytes()).next() else {
        return Ok(());
    };
    let route = request.extensions.get::<MatchedPath>().map(MatchedPath::as_str);
    match route {
        Some(route) if request.method == Method::GET && ROUTES_WITH_PARAMETERS.contains(&route) => Ok(()),
        Some(_) => Err(ApiError::parameter(name, "is no parameter here; there are none")),
        None => Ok(()),
    }
}

fn read<T: DeserializeOwned>(query: &str) -> Result<T, ApiError> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if pairs.iter().any(|(known, _)| *known == name) {
            return Err(ApiError::parameter(name, "is given more than once"));
        }
        pairs.push((name.into_owned(), value.into_owned()));
    }
    let pairs = pairs.into_iter().map(|(name, value)| (name, Text(value)));
    let deserializer = MapDeserializer::<_, Problem>::new(pairs);
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let name = error.path().to_string();
        let problem = error.into_inner().to_string();
        let problem = match problem.strip_prefix("unknown field ") {
            // The name is in the problem already; what is left are the names that there are.
            Some(known) => match known.split_once(", ") {
                Some((_, expected)) => format!("is no parameter here; {expected}"),
                None => "is no parameter here".to_owned(),
            },
            None => problem,
        };
        ApiError::parameter(name, problem)
    })
}

/// A value of the query string, for whatever is read from a text, be it optional.
struct Text(String);

impl<'de> IntoDeserializer<'de, Problem> for Text {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Text {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_string(self.0)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_some(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        words: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        self.0.into_deserializer().deserialize_enum(name, words, visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct newtype_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

/// How many rows a page has at most: 1 to [`MAX_LIMIT`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limit(u16);

impl Limit {
    /// The most rows that a page can have.
    pub(crate) const MOST: usize = MAX_LIMIT as usize;

    pub(crate) fn rows(self) -> usize {
        usize::from(self.0)
    }

    /// How many rows are read for a page: one more than it has shows whether there is another page.
    pub(crate) fn and_one(self) -> u16 {
        self.0.saturating_add(1)
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(DEFAULT_LIMIT)
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let limit = text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
        limit
            .map(Self)
            .ok_or_else(|| D::Error::custom(format!("must be a whole number from 1 to {MAX_LIMIT}")))
    }
}

impl PartialSchema for Limit {
    fn schema() -> RefOr<Schema> {
        let limit = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(1))
            .maximum(Some(MAX_LIMIT))
            .default(Some(DEFAULT_LIMIT.into()));
        limit.into()
    }
}

impl ToSchema for Limit {}

/// In which order of time a list comes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Order {
    /// Oldest first.
    Asc,
    /// Newest first.
    #[default]
    Desc,
}

impl From<Order> for store::lists::Order {
    fn from(order: Order) -> Self {
        match order {
            Order::Asc => Self::Ascending,
            Order::Desc => Self::Descending,
        }
    }
}

/// A place in a list, as a client holds it: base64url of a little JSON. It names no organization: it is a place within the caller's own
/// lists, and one that somebody made up leads nowhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cursor<P>(pub(crate) P);

impl<P: Serialize> Cursor<P> {
    /// The text that a client gives back.
    pub(crate) fn to_text(&self) -> String {
        // A place is made of texts and numbers: nothing in it has no JSON.
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(&self.0).unwrap_or_default())
    }
}

impl<'de, P: DeserializeOwned> Deserialize<'de> for Cursor<P> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let json = Some(&text)
            .filter(|text| text.len() <= MAX_CURSOR_BYTES)
            .and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        json.and_then(|json| serde_json::from_slice(&json).ok())
            .map(Self)
            .ok_or_else(|| D::Error::custom("is not a cursor that this list gave out"))
    }
}

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Page<T> {
    /// The rows.
    pub(crate) data: Vec<T>,
    /// The `cursor` of the next page; `null` when there is none. There may be one behind a page with few rows, or none: a request looks at
    /// a bounded number of entries.
    #[schema(required)]
    pub(crate) next: Option<String>,
}

impl<T> Page<T> {
    /// These rows, and where to go on.
    pub(crate) fn new<P: Serialize>(data: Vec<T>, next: Option<P>) -> Self {
        Self {
            data,
            next: next.map(|place| Cursor(place).to_text()),
        }
    }

    /// At most so many of the rows that were read, where to go on behind the last of them, and that only where there were more.
    pub(crate) fn first<R, P: Serialize>(
        most: usize,
        read: impl IntoIterator<Item = R>,
        place: impl FnOnce(&R) -> P,
        view: impl FnMut(R) -> T,
    ) -> Self {
        let mut read = read.into_iter();
        let shown: Vec<R> = read.by_ref().take(most).collect();
        let is_more = read.next().is_some();
        let next = shown.last().filter(|_| is_more).map(place);
        Self::new(shown.into_iter().map(view).collect(), next)
    }
}

/// A span of time must have a length: one that ends before it begins is a mistake, and an empty page would hide it.
pub(crate) fn span(since: Option<Timestamp>, until: Option<Timestamp>) -> Result<Span, ApiError> {
    match (since, until) {
        (Some(since), Some(until)) if until <= since => Err(ApiError::parameter("until", "must be later than since")),
        _ => Ok(Span { since, until }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;
    use payload::SourceId;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields, default)]
    struct SomeParameters {
        source: Option<SourceId>,
        since: Option<Timestamp>,
        limit: Limit,
        order: Order,
        cursor: Option<Cursor<(i64, String)>>,
    }

    fn problem(query: &str) -> (String, String) {
        match read::<SomeParameters>(query).unwrap_err() {
            ApiError::Parameter { parameter, problem } => (parameter, problem),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn parameters_are_read() {
        assert_eq!(read::<SomeParameters>("").unwrap(), SomeParameters::default());
        let cursor = Cursor((-5, "a b+ü".to_owned()));
        let source = SourceId::generate(Timestamp::UNIX_EPOCH);
        let query = format!(
            "limit=100&order=asc&since=2025-03-25T13%3A31%3A00%2B01:00&source={source}&cursor={}",
            cursor.to_text()
        );
        let read = read::<SomeParameters>(&query).unwrap();
        assert_eq!(
            (read.limit.rows(), read.order, read.cursor),
            (100, Order::Asc, Some(cursor))
        );
        assert_eq!(read.since, Some("2025-03-25T12:31:00Z".parse().unwrap()));
        assert_eq!(read.source, Some(source));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for limit in ["", "0", "101", "-1", "1.5", "x", "99999999999999999999"] {
            let told = problem(&format!("limit={limit}"));
            assert_eq!(
                told,
                ("limit".into(), "must be a whole number from 1 to 100".into()),
                "{limit}"
            );
        }
        assert_eq!(
            problem("colour=red").1,
            "is no parameter here; expected one of `source`, `since`, `limit`, `order`, `cursor`"
        );
        assert_eq!(problem("colour=red").0, "colour");
        assert_eq!(
            problem("limit=1&limit=1"),
            ("limit".into(), "is given more than once".into())
        );
        assert_eq!(problem("order=up").0, "order");
        assert_eq!(problem("since=yesterday").0, "since");
        assert_eq!(problem("since=").0, "since");
        assert_eq!(
            problem("source=wh_1"),
            ("source".into(), "not an id of the form src_…".into())
        );
        assert_eq!(problem("source").0, "source");
        let other = Cursor("a").to_text();
        for cursor in ["", "x", "%00", "bnVsbA=", "bnVsbA", &other, &"A".repeat(4000)] {
            assert_eq!(
                problem(&format!("cursor={cursor}")),
                ("cursor".into(), "is not a cursor that this list gave out".into())
            );
        }
    }

    #[test]
    fn the_row_that_is_one_too_many_says_that_there_is_another_page() {
        let page = |most, rows: &[i32]| {
            let Page { data, next } = Page::first(most, rows, |row| **row, |row| row * 10);
            (data, next)
        };
        let behind = |place: i32| Some(Cursor(place).to_text());
        assert_eq!(page(2, &[]), (vec![], None));
        assert_eq!(page(2, &[1]), (vec![10], None));
        assert_eq!(page(2, &[1, 2]), (vec![10, 20], None));
        assert_eq!(page(2, &[1, 2, 3]), (vec![10, 20], behind(2)));
        assert_eq!(page(1, &[1, 2, 3]), (vec![10], behind(1)));
    }

    #[test]
    fn a_span_has_a_length() {
        let at = |second| Some(Timestamp::from_second(second).unwrap());
        assert!(span(None, None).is_ok() && span(at(1), None).is_ok() && span(None, at(1)).is_ok());
        assert!(span(at(1), at(2)).is_ok());
        assert!(span(at(1), at(1)).is_err() && span(at(2), at(1)).is_err());
    }
}
