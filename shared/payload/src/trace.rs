//! Trace ids, by which what happened to one message is found in the logs of everybody it passed:
//! [W3C Trace Context](https://www.w3.org/TR/trace-context/).
//!
//! An id is whatever a sender says, and proves nothing: it is no part of what is verified, what is signed, or what makes two messages the
//! same one.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::EventId;
use crate::id::random;

/// The header that carries a trace id between systems.
pub const TRACEPARENT_HEADER: &str = "traceparent";

/// The header in which AWS passes on the id of an X-Ray trace, which has the same 128 bits.
pub const XRAY_HEADER: &str = "x-amzn-trace-id";

/// The longest header that is looked at. Later versions of `traceparent` may add parts at its end, and X-Ray's header has a few.
const MAX_HEADER_BYTES: usize = 256;

/// The length of `traceparent` in version 00, with which later versions begin.
const TRACEPARENT_BYTES: usize = 55;

/// The id of a trace: 128 bits, not all zero. As text it is 32 hexadecimal digits in lower case.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId([u8; 16]);

impl TraceId {
    /// A new id, by chance.
    ///
    /// # Panics
    /// When the system has no source of randomness, as [`random`].
    #[must_use]
    pub fn generate() -> Self {
        Self(not_zero())
    }

    /// The id of a message, from the headers that it came with: that of its `traceparent`, or else that of its X-Ray header; a new one
    /// where neither holds a valid id. `header` tells the values under a name; what stands there more than once counts as absent, since nobody
    /// can say which one holds.
    ///
    /// # Panics
    /// As [`TraceId::generate`].
    pub fn of_headers<'a, I: IntoIterator<Item = &'a [u8]>>(header: impl Fn(&'static str) -> I) -> Self {
        let only = |name| {
            let mut values = header(name).into_iter();
            let value = values.next().filter(|_| values.next().is_none());
            value.and_then(|value| std::str::from_utf8(value).ok())
        };
        let from_sender = || only(TRACEPARENT_HEADER).and_then(Self::of_traceparent);
        let from_aws = || only(XRAY_HEADER).and_then(Self::of_xray);
        from_sender().or_else(from_aws).unwrap_or_else(Self::generate)
    }

    /// The id of an event that has none of its own, as one that was stored by an earlier version: always the same one.
    #[must_use]
    pub fn of_event(event: &EventId) -> Self {
        let mut id = [0; 16];
        for (byte, hashed) in id.iter_mut().zip(Sha256::digest(event.as_str())) {
            *byte = hashed;
        }
        // A hash of zeros is as likely as none, and still no id.
        Self::of_bytes(id).unwrap_or(Self([1; 16]))
    }

    /// The id of 32 hexadecimal digits in lower case, if they are one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        digits(text).and_then(Self::of_bytes)
    }

    /// The trace id of a `traceparent`; `None` where the header is not valid, which the specification asks to take for none.
    #[must_use]
    pub fn of_traceparent(value: &str) -> Option<Self> {
        if value.len() > MAX_HEADER_BYTES {
            return None;
        }
        let (known, added) = value.split_at_checked(TRACEPARENT_BYTES)?;
        let mut parts = known.split('-');
        let version: [u8; 1] = digits(parts.next()?)?;
        let id = Self::parse(parts.next()?)?;
        let parent: [u8; 8] = digits(parts.next()?)?;
        let _flags: [u8; 1] = digits(parts.next()?)?;
        // Version 00 ends here; a later one may go on, after a dash.
        let ends_well = match version {
            [0] => added.is_empty(),
            [0xff] => false,
            [_] => added.is_empty() || added.starts_with('-'),
        };
        (parts.next().is_none() && ends_well && parent != [0; 8]).then_some(id)
    }

    /// The id of [X-Ray's header](https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader), whose
    /// `Root=1-xxxxxxxx-xxxxxxxxxxxxxxxxxxxxxxxx` is the time and the rest of the same 32 digits.
    #[must_use]
    pub fn of_xray(value: &str) -> Option<Self> {
        if value.len() > MAX_HEADER_BYTES {
            return None;
        }
        let mut roots = value.split(';').filter_map(|part| part.trim().strip_prefix("Root="));
        let root = roots.next().filter(|_| roots.next().is_none())?;
        let (time, rest) = root.strip_prefix("1-")?.split_once('-')?;
        (time.len() == 8).then(|| Self::parse(&format!("{time}{rest}")))?
    }

    /// The value of `traceparent` for a request that is made within this trace, under a parent id of its own. It is marked as recorded: the
    /// attempts that it names are, so that a receiver which follows that mark records its part too.
    ///
    /// # Panics
    /// As [`TraceId::generate`].
    #[must_use]
    pub fn traceparent(&self) -> String {
        format!("00-{self}-{}-01", hex::encode(not_zero::<8>()))
    }

    fn of_bytes(bytes: [u8; 16]) -> Option<Self> {
        (bytes != [0; 16]).then_some(Self(bytes))
    }
}

/// Random bytes of which at least one is not zero.
fn not_zero<const N: usize>() -> [u8; N] {
    loop {
        let bytes = random();
        if bytes != [0; N] {
            return bytes;
        }
    }
}

/// So many bytes as hexadecimal digits in lower case, and nothing else.
fn digits<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TraceId({self})")
    }
}

impl serde::Serialize for TraceId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests;
