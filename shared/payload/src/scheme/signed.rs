//! Signatures over a template of the request's parts.

use std::borrow::Cow;

use subtle::Choice;

use super::header::Tried;
use super::template::{METHODS, Segment};
use super::{Context, EcdsaForm, Placeholder, Proof, Rejection, Signed, TimestampUnit, timestamp};
use crate::Receipt;
use crate::json::{Document, scalar};
use crate::key::Key;

impl Signed {
    pub(super) fn covers_header(&self, name: &str) -> bool {
        self.signed.placeholders().any(|placeholder| match placeholder {
            Placeholder::Id => self
                .id
                .as_ref()
                .is_some_and(|place| place.header.eq_ignore_ascii_case(name)),
            Placeholder::Header(header) => header.eq_ignore_ascii_case(name),
            _ => false,
        })
    }

    pub(super) fn verify(
        &self,
        kind: &'static str,
        receipt: &Receipt,
        keys: &[Key],
        context: &Context<'_>,
    ) -> Result<Proof, Rejection> {
        let header = required(receipt, &self.header)?;
        let items = self.items(&header);
        let time = self.time_in_header(receipt, Some(&items))?;
        let parts = self.parts(receipt, time.as_deref(), context)?;
        let mut tried = Tried::none();
        for key in keys {
            let candidates = self.candidates(&items);
            match key {
                Key::Hmac(key) => {
                    let mac = key.mac(&parts);
                    candidates.for_each(|candidate| tried.add(mac.fits(candidate.as_slice())));
                }
                Key::Ed25519(key) => {
                    let message = parts.concat();
                    candidates.for_each(|candidate| tried.add(key.fits(&message, candidate.as_slice())));
                }
                Key::EcdsaP256(key) => {
                    let (message, form) = (parts.concat(), self.form.unwrap_or(EcdsaForm::Der));
                    candidates.for_each(|candidate| tried.add(key.fits(&message, candidate.as_slice(), form)));
                }
                Key::Credential(_) => candidates.for_each(|_| tried.add(Choice::from(0))),
            }
        }
        tried.result(|| self.header.to_ascii_lowercase())?;
        self.check_time_in_body(receipt)?;
        Ok(Proof {
            scheme: kind.into(),
            body: true,
            id: self.id.is_some(),
            time: self.timestamp.is_some(),
            query: self.signed.contains(&Placeholder::Query),
        })
    }

    /// The signed bytes, where they can be put together: what tells one message from another when its id is not signed.
    pub(super) fn bytes(&self, receipt: &Receipt, context: &Context<'_>) -> Option<Vec<u8>> {
        let time = self.time_in_header(receipt, None).ok()?;
        Some(self.parts(receipt, time.as_deref(), context).ok()?.concat())
    }

    /// The timestamp's text, when it stands in a header and lies in the window. The items of the signature's header are known already.
    fn time_in_header<'a>(
        &self,
        receipt: &'a Receipt,
        signature: Option<&[&'a str]>,
    ) -> Result<Option<Cow<'a, str>>, Rejection> {
        let Some((place, name)) = self
            .timestamp
            .as_ref()
            .and_then(|place| Some((place, place.header.as_deref()?)))
        else {
            return Ok(None);
        };
        let text = match (&place.field, signature) {
            (Some(field), Some(items)) if *name == self.header => Cow::Borrowed(self.only(items, field)?),
            (Some(field), _) => match required(receipt, name)? {
                Cow::Borrowed(text) => Cow::Borrowed(self.only(&self.items(text), field)?),
                Cow::Owned(text) => Cow::Owned(self.only(&self.items(&text), field)?.to_owned()),
            },
            (None, _) => required(receipt, name)?,
        };
        let fixed = self.signed.timestamp_is_adjacent();
        let at = timestamp::parse(&text, place.unit, fixed).ok_or(Rejection::MalformedTimestamp)?;
        timestamp::check_window(at, receipt.received_at, self.tolerance)?;
        Ok(Some(text))
    }

    /// The value of the only item of this name: which of two would count is a choice that somebody could play on.
    fn only<'a>(&self, items: &[&'a str], field: &str) -> Result<&'a str, Rejection> {
        let mut values = items.iter().filter_map(|item| self.named(item, field));
        match (values.next(), values.next()) {
            (Some(value), None) => Ok(value),
            _ => Err(Rejection::MalformedTimestamp),
        }
    }

    /// Holds a timestamp in the body against the window. The body is read only here, when its signature is known to be good.
    fn check_time_in_body(&self, receipt: &Receipt) -> Result<(), Rejection> {
        let Some((place, pointer)) = self
            .timestamp
            .as_ref()
            .and_then(|place| Some((place, place.pointer.as_deref()?)))
        else {
            return Ok(());
        };
        let document = Document::parse(&receipt.body).map_err(|_| Rejection::MalformedTimestamp)?;
        let at = document
            .at(pointer)
            .and_then(scalar)
            .and_then(|text| timestamp::parse(&text, place.unit, false))
            .ok_or(Rejection::MalformedTimestamp)?;
        timestamp::check_window(at, receipt.received_at, self.tolerance)
    }

    fn parts<'a>(
        &'a self,
        receipt: &'a Receipt,
        time: Option<&'a str>,
        context: &Context<'a>,
    ) -> Result<Vec<Cow<'a, [u8]>>, Rejection> {
        let segments = self.signed.segments();
        let mut parts: Vec<Cow<'a, [u8]>> = Vec::with_capacity(segments.len());
        for segment in segments {
            parts.push(match segment {
                Segment::Literal(text) => Cow::Borrowed(text.as_bytes()),
                Segment::Part(Placeholder::Body) => Cow::Borrowed(&receipt.body),
                Segment::Part(Placeholder::Id) => {
                    let place = self.id.as_ref().ok_or(Rejection::Ambiguous)?;
                    bytes_of(required(receipt, &place.header)?)
                }
                Segment::Part(Placeholder::Timestamp) => {
                    Cow::Borrowed(time.ok_or(Rejection::MalformedTimestamp)?.as_bytes())
                }
                Segment::Part(Placeholder::Method) => {
                    let is_it = |method: &&&str| receipt.method.eq_ignore_ascii_case(method);
                    let method = METHODS.iter().find(is_it).ok_or(Rejection::Ambiguous)?;
                    Cow::Borrowed(method.as_bytes())
                }
                Segment::Part(Placeholder::Url) => {
                    Cow::Borrowed(context.public_url.ok_or(Rejection::NoPublicUrl)?.as_bytes())
                }
                Segment::Part(Placeholder::Query) => Cow::Borrowed(receipt.query.as_bytes()),
                Segment::Part(Placeholder::Header(name)) => bytes_of(required(receipt, name)?),
            });
        }
        if self.is_ambiguous(&parts) {
            return Err(Rejection::Ambiguous);
        }
        Ok(parts)
    }

    /// Whether the same bytes could be taken apart in another way: what stands between two texts must, left of the body, end at the first
    /// occurrence of the text behind it, and right of the body begin behind the last occurrence of the text before it.
    fn is_ambiguous(&self, parts: &[Cow<'_, [u8]>]) -> bool {
        let unit = self.timestamp.as_ref().map(|place| place.unit);
        self.signed.runs().iter().any(|run| {
            if run.is_timestamp && unit == Some(TimestampUnit::Rfc3339) {
                return false;
            }
            let text = match &parts[run.segments.clone()] {
                [part] => Cow::Borrowed(part.as_ref()),
                several => Cow::Owned(several.concat()),
            };
            !is_delimited(&text, &parts[run.separator], run.separator_is_behind)
        })
    }
}

/// Whether a text is told from what is behind it by the first occurrence of `separator`, or from what is before it by the last.
fn is_delimited(text: &[u8], separator: &[u8], separator_is_behind: bool) -> bool {
    if let [byte] = separator {
        return memchr::memchr(*byte, text).is_none();
    }
    // Both are read towards the separator: the second case is the first one, seen in a mirror.
    let at = |bytes: &[u8], position: usize| {
        let index = if separator_is_behind {
            position
        } else {
            bytes.len() - 1 - position
        };
        bytes[index]
    };
    let joined = |position: usize| match position.checked_sub(text.len()) {
        None => at(text, position),
        Some(beyond) => at(separator, beyond),
    };
    let occurs_at = |start: usize| (0..separator.len()).all(|offset| joined(start + offset) == at(separator, offset));
    !(0..text.len()).any(occurs_at)
}

fn required<'a>(receipt: &'a Receipt, name: &str) -> Result<Cow<'a, str>, Rejection> {
    receipt
        .header(name)
        .filter(|value| !value.is_empty())
        .ok_or_else(|| Rejection::MissingHeader(name.to_ascii_lowercase()))
}

fn bytes_of(text: Cow<'_, str>) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}
