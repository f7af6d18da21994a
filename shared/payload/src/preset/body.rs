//! Reads a verified receipt's body, whatever it comes as, so that places in it can be found.

use std::io::Read;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;

use super::pairs::{self, MAX_PAIRS};
use super::{BodyKind, Unreadable};
use crate::Receipt;
use crate::json::Document;
use crate::receipt::MAX_BODY_BYTES;

/// The mark that some senders put before UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A body that could be read.
pub(super) struct Body {
    /// The bytes without the content encoding: what an event keeps.
    pub(super) bytes: Bytes,
    /// What it holds.
    pub(super) content: Content,
}

/// What a body holds.
pub(super) enum Content {
    /// JSON, from this byte of the body on.
    Json(usize),
    /// Not JSON, but the same content as JSON.
    Converted(String),
    /// Text in UTF-8.
    Text,
    /// Bytes.
    Binary,
}

impl Body {
    /// Reads a body; in its place the query of a GET that has none, where `query_counts`.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub(super) fn read(
        receipt: &Receipt,
        kind: BodyKind,
        json_parameters: &[String],
        query_counts: bool,
    ) -> Result<Self, Unreadable> {
        let bytes = decode(receipt)?;
        let form = |text: &[u8]| {
            pairs::to_json(pairs::parse(text), json_parameters).ok_or(Unreadable::TooManyPairs(MAX_PAIRS))
        };
        let is_read_by_query = matches!(kind, BodyKind::Auto | BodyKind::Json | BodyKind::Form) && query_counts;
        if bytes.is_empty() && is_read_by_query && receipt.method == "GET" {
            let content = Content::Converted(form(receipt.query.as_bytes())?);
            return Ok(Self { bytes, content });
        }
        let media_type = media_type(receipt);
        let kind = match kind {
            BodyKind::Auto => kind_of(&media_type, &bytes),
            kind => kind,
        };
        let content = match kind {
            BodyKind::Json | BodyKind::Auto => json(&bytes)?,
            // What some senders wrap JSON in.
            BodyKind::Form => match pairs::parse(&bytes).find(|(name, _)| name == "payload") {
                Some((_, payload)) if Document::parse(payload.as_bytes()).is_ok() => {
                    Content::Converted(payload.trim().to_owned())
                }
                _ => Content::Converted(form(&bytes)?),
            },
            BodyKind::Text if std::str::from_utf8(&bytes).is_ok() => Content::Text,
            BodyKind::Text | BodyKind::Binary => Content::Binary,
        };
        Ok(Self { bytes, content })
    }
}

/// A body that is empty is `null`.
fn json(bytes: &Bytes) -> Result<Content, Unreadable> {
    if bytes.is_empty() {
        return Ok(Content::Converted("null".into()));
    }
    let start = if bytes.starts_with(BYTE_ORDER_MARK) {
        BYTE_ORDER_MARK.len()
    } else {
        0
    };
    Document::parse(&bytes[start..])?;
    Ok(Content::Json(start))
}

/// What a body is: JSON where the media type or its looks say so, otherwise what the media type says.
fn kind_of(media_type: &str, bytes: &Bytes) -> BodyKind {
    if media_type == "application/json" || media_type == "text/json" || media_type.ends_with("+json") {
        return BodyKind::Json;
    }
    // The media type is seldom signed: whoever has a good request could otherwise have its JSON read as a form, and its id overlooked.
    let text = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let looks_like_json = matches!(text.trim_ascii_start().first(), Some(b'{' | b'['));
    if looks_like_json && Document::parse(text).is_ok() {
        return BodyKind::Json;
    }
    if media_type == "application/x-www-form-urlencoded" {
        BodyKind::Form
    } else if bytes.is_empty() {
        BodyKind::Json
    } else if media_type.is_empty() || media_type.starts_with("text/") || media_type.ends_with("xml") {
        BodyKind::Text
    } else {
        BodyKind::Binary
    }
}

/// The media type in lower case, without parameters.
fn media_type(receipt: &Receipt) -> String {
    let content_type = receipt.header("content-type").unwrap_or_default();
    content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase()
}

/// Takes the content encoding off. A proxy may have done so before and left the header: what does not begin as gzip does is none.
fn decode(receipt: &Receipt) -> Result<Bytes, Unreadable> {
    let encoding = receipt
        .header("content-encoding")
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    match encoding.as_str() {
        "" | "identity" => Ok(receipt.body.clone()),
        "gzip" | "x-gzip" if !receipt.body.starts_with(&[0x1f, 0x8b]) => Ok(receipt.body.clone()),
        "gzip" | "x-gzip" => {
            let mut bytes = Vec::new();
            // One byte more than is allowed tells whether there is more; a bomb is not read to its end.
            let mut decoder = MultiGzDecoder::new(&receipt.body[..]).take(MAX_BODY_BYTES as u64 + 1);
            decoder.read_to_end(&mut bytes).map_err(|_| Unreadable::Gzip)?;
            if bytes.len() > MAX_BODY_BYTES {
                return Err(Unreadable::TooLarge);
            }
            Ok(bytes.into())
        }
        _ => Err(Unreadable::ContentEncoding),
    }
}
