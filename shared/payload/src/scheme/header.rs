//! Reading signatures out of a header: items, named fields, prefixes, encodings.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};

use subtle::Choice;

use super::{Rejection, SignatureEncoding, Signed};

/// The longest signature of any scheme, decoded: an ECDSA signature in DER has at most 72 bytes.
const MAX_SIGNATURE_BYTES: usize = 80;

/// The most signatures of one header that are looked at: a rotation has two.
pub(super) const MAX_SIGNATURES: usize = 16;

/// A decoded signature. It is not empty.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    bytes: [u8; MAX_SIGNATURE_BYTES],
    length: usize,
}

impl Candidate {
    /// Reads a signature; nothing for what is not of this encoding, too long, or empty: `v1,` with nothing after it once passed for a
    /// signature elsewhere (RUSTSEC-2024-0010).
    pub(super) fn decode(text: &str, encoding: SignatureEncoding) -> Option<Self> {
        let mut bytes = [0; MAX_SIGNATURE_BYTES];
        let length = match encoding {
            SignatureEncoding::Hex => decode_hex(text.as_bytes(), &mut bytes)?,
            SignatureEncoding::Base64 => STANDARD.decode_slice(text, &mut bytes).ok()?,
            SignatureEncoding::Base64url => {
                let engine = if text.ends_with('=') {
                    &URL_SAFE
                } else {
                    &URL_SAFE_NO_PAD
                };
                engine.decode_slice(text, &mut bytes).ok()?
            }
        };
        (length > 0).then_some(Self { bytes, length })
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// What became of a header's signatures.
pub(super) struct Tried {
    any: bool,
    good: Choice,
}

impl Tried {
    pub(super) fn none() -> Self {
        Self {
            any: false,
            good: Choice::from(0),
        }
    }

    pub(super) fn add(&mut self, fits: Choice) {
        self.any = true;
        self.good |= fits;
    }

    /// Whether one of them fits.
    pub(super) fn result(self, header: impl FnOnce() -> String) -> Result<(), Rejection> {
        if bool::from(self.good) {
            Ok(())
        } else if self.any {
            Err(Rejection::SignatureMismatch)
        } else {
            Err(Rejection::NoSignature(header()))
        }
    }
}

/// As `hex::decode_to_slice`, but without a branch for each digit: those took as long as the hash of a hundred bytes.
fn decode_hex(digits: &[u8], bytes: &mut [u8]) -> Option<usize> {
    const INVALID: u8 = 0x80;
    let value = |digit: u8| match (digit.wrapping_sub(b'0'), (digit | 0x20).wrapping_sub(b'a')) {
        (value @ ..10, _) => value,
        (_, value @ ..6) => value + 10,
        _ => INVALID,
    };
    let (pairs, []) = digits.as_chunks::<2>() else {
        return None;
    };
    let mut all = 0;
    for (byte, pair) in bytes.get_mut(..pairs.len())?.iter_mut().zip(pairs) {
        let [high, low] = pair.map(value);
        all |= high | low;
        *byte = high << 4 | low;
    }
    (all & INVALID == 0).then_some(pairs.len())
}

/// As `str::split_once`, which is slow to begin: nearly every separator is one byte.
fn split_once<'a>(text: &'a str, separator: &str) -> Option<(&'a str, &'a str)> {
    let [byte] = separator.as_bytes() else {
        return text.split_once(separator);
    };
    let at = memchr::memchr(*byte, text.as_bytes())?;
    Some((&text[..at], &text[at + 1..]))
}

/// As `str::strip_prefix`, which makes a call to compare a byte or two.
pub(super) fn strip_prefix<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let is_prefix = text.len() >= prefix.len() && text.bytes().zip(prefix.bytes()).all(|(a, b)| a == b);
    is_prefix.then(|| &text[prefix.len()..])
}

/// The items of a header, without the white space around them.
pub(super) fn items<'a>(header: &'a str, separator: Option<&str>) -> impl Iterator<Item = &'a str> {
    let mut rest = Some(header);
    std::iter::from_fn(move || {
        let text = rest?;
        let (item, after) = match separator.and_then(|separator| split_once(text, separator)) {
            Some((item, after)) => (item, Some(after)),
            None => (text, None),
        };
        rest = after;
        Some(item.trim_ascii())
    })
}

impl Signed {
    /// The items of a header.
    pub(super) fn items<'a>(&self, header: &'a str) -> Vec<&'a str> {
        items(header, self.separator.as_deref()).collect()
    }

    /// The value of an item when it has this name.
    pub(super) fn named<'a>(&self, item: &'a str, field: &str) -> Option<&'a str> {
        strip_prefix(strip_prefix(item, field)?, &self.field_separator)
    }

    /// The signatures in the header that can be read.
    pub(super) fn candidates(&self, items: &[&str]) -> impl Iterator<Item = Candidate> {
        let signature = |item: &&str| {
            let value = match &self.field {
                Some(field) => self.named(item, field)?,
                None => item,
            };
            let text = match &self.prefix {
                Some(prefix) => strip_prefix(value, prefix)?,
                None => value,
            };
            Candidate::decode(text, self.encoding)
        };
        items.iter().filter_map(signature).take(MAX_SIGNATURES)
    }
}
