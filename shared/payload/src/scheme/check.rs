//! Whether a scheme can work at all, said when it is written down rather than when the first request comes.

use super::{Algorithm, Placeholder, Scheme, Signed, StandardWebhooks, TimestampPlace, Token};
use super::{KeyEncoding, TimestampUnit};
use crate::receipt::carries_credentials;

/// What is wrong with a scheme or with another part of a provider's description.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct SchemeError {
    /// The field as a JSON Pointer (RFC 6901) from where the check began.
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
}

/// The widest window: deduplication keeps events for weeks, but no provider needs more than a day.
const MAX_TOLERANCE: u32 = 24 * 60 * 60;

/// The longest text that separates, precedes or names something, in bytes.
const MAX_TEXT_BYTES: usize = 100;

impl SchemeError {
    pub(crate) fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            problem: problem.into(),
        }
    }

    /// The same error seen from one level further out.
    #[must_use]
    pub fn under(mut self, parent: &str) -> Self {
        self.field.insert_str(0, parent);
        self
    }
}

fn fail<T>(field: &str, problem: &str) -> Result<T, SchemeError> {
    Err(SchemeError::new(field, problem))
}

pub(crate) fn check_header_name(field: &str, name: &str) -> Result<(), SchemeError> {
    // The characters of a token (RFC 9110 section 5.6.2) that names of headers really have.
    let known = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if name.is_empty() || name.len() > MAX_TEXT_BYTES || !name.bytes().all(known) {
        return fail(field, "is not a header name: letters, digits, - and _, at most 100");
    }
    Ok(())
}

pub(crate) fn check_parameter_name(field: &str, name: &str) -> Result<(), SchemeError> {
    if name.is_empty() || name.len() > MAX_TEXT_BYTES || name.chars().any(char::is_control) {
        return fail(
            field,
            "is not the name of a query parameter: 1 to 100 bytes, no control characters",
        );
    }
    Ok(())
}

fn check_text(field: &str, text: Option<&str>) -> Result<(), SchemeError> {
    match text {
        Some("") => fail(field, "is empty: leave it out where there is none"),
        Some(text) if text.len() > MAX_TEXT_BYTES || text.chars().any(char::is_control) => {
            fail(field, "must have at most 100 bytes and no control characters")
        }
        _ => Ok(()),
    }
}

fn check_tolerance(tolerance: u32) -> Result<(), SchemeError> {
    if tolerance == 0 || tolerance > MAX_TOLERANCE {
        return fail("/tolerance", "is out of range: 1 to 86400 seconds");
    }
    Ok(())
}

impl Scheme {
    /// Whether the scheme can work at all.
    ///
    /// # Errors
    /// The first field that cannot be right, and why.
    pub fn check(&self) -> Result<(), SchemeError> {
        match self {
            Self::StandardWebhooks(standard) => standard.check(),
            Self::Hmac(signed) => {
                if signed.algorithm.is_none() {
                    return fail("/algorithm", "is required: sha1, sha256 or sha512");
                }
                refuse_some("/form", signed.form.is_some(), "is for ecdsa-p256 only")?;
                signed.check()
            }
            Self::Ed25519(signed) => {
                signed.check_public_key_kind()?;
                refuse_some("/form", signed.form.is_some(), "is for ecdsa-p256 only")?;
                signed.check()
            }
            Self::EcdsaP256(signed) => {
                signed.check_public_key_kind()?;
                signed.check()
            }
            Self::Token(token) => token.check(),
            Self::Basic(_) | Self::None(_) => Ok(()),
        }
    }
}

fn refuse_some(field: &str, given: bool, problem: &str) -> Result<(), SchemeError> {
    if given { fail(field, problem) } else { Ok(()) }
}

impl StandardWebhooks {
    fn check(&self) -> Result<(), SchemeError> {
        check_header_name("/headerPrefix", &self.header_prefix)?;
        if self.key == KeyEncoding::Hex {
            return fail("/key", "Standard Webhooks secrets are base64 or text");
        }
        check_tolerance(self.tolerance)
    }
}

impl Token {
    fn check(&self) -> Result<(), SchemeError> {
        match (&self.header, &self.query) {
            (Some(header), None) => check_header_name("/header", header)?,
            (None, Some(query)) => check_parameter_name("/query", query)?,
            (None, None) => return fail("/header", "is required, or query: where the token stands"),
            (Some(_), Some(_)) => {
                return fail("/query", "cannot be given beside header: the token stands in one place");
            }
        }
        check_text("/prefix", self.prefix.as_deref())
    }
}

/// A header whose very bytes are needed.
fn check_signed_header(field: &str, name: &str) -> Result<(), SchemeError> {
    check_header_name(field, name)?;
    if carries_credentials(name) {
        return fail(
            field,
            "names a header that is kept only as a hash, since it carries credentials elsewhere",
        );
    }
    Ok(())
}

impl Signed {
    /// A key for HMAC and a public key are different things: whoever used a public key as an HMAC key could forge.
    fn check_public_key_kind(&self) -> Result<(), SchemeError> {
        refuse_some(
            "/algorithm",
            self.algorithm.is_some(),
            "is for hmac only: this kind has its own hash function",
        )?;
        refuse_some(
            "/key",
            self.key.is_some(),
            "is for hmac only: a public key is read as PEM, base64 or hex, whichever it is",
        )
    }

    fn check(&self) -> Result<(), SchemeError> {
        check_signed_header("/header", &self.header)?;
        for placeholder in self.signed.placeholders() {
            if let Placeholder::Header(name) = placeholder {
                check_signed_header("/signed", name)?;
            }
        }
        check_text("/separator", self.separator.as_deref())?;
        check_text("/field", self.field.as_deref())?;
        check_text("/fieldSeparator", Some(&self.field_separator))?;
        check_text("/prefix", self.prefix.as_deref())?;
        self.check_separators()?;
        if let Some(id) = &self.id {
            check_signed_header("/id/header", &id.header)?;
        }
        if self.signed.contains(&Placeholder::Id) != self.id.is_some() {
            return fail("/id", "must be given when, and only when, the template has {id}");
        }
        match &self.timestamp {
            Some(place) => self.check_timestamp(place).map_err(|error| error.under("/timestamp"))?,
            None if self.signed.contains(&Placeholder::Timestamp) => {
                return fail("/timestamp", "must be given where the template has {timestamp}");
            }
            None => {}
        }
        check_tolerance(self.tolerance)
    }

    fn check_separators(&self) -> Result<(), SchemeError> {
        let splits = self.separator.as_deref();
        if splits == Some(self.field_separator.as_str()) && self.field.is_some() {
            return fail("/fieldSeparator", "is the same text as separator");
        }
        for (name, text) in [("/field", &self.field), ("/prefix", &self.prefix)] {
            if let (Some(separator), Some(text)) = (splits, text)
                && text.contains(separator)
            {
                return fail(name, "holds the separator, so that it is never found");
            }
        }
        if self.algorithm == Some(Algorithm::Sha1) && self.prefix.as_deref() == Some("sha256=") {
            return fail("/algorithm", "is sha1 where the prefix says sha256");
        }
        Ok(())
    }

    fn check_timestamp(&self, place: &TimestampPlace) -> Result<(), SchemeError> {
        let in_template = self.signed.contains(&Placeholder::Timestamp);
        match (&place.header, &place.pointer) {
            (Some(header), None) => {
                check_signed_header("/header", header)?;
                let covered = in_template || (place.field.is_none() && self.covers_header(header));
                if !covered {
                    return fail(
                        "/header",
                        "is not signed: a timestamp that the template leaves out proves nothing",
                    );
                }
            }
            (None, Some(pointer)) => {
                check_pointer("/pointer", pointer)?;
                if in_template {
                    return fail(
                        "/pointer",
                        "stands in the body, which is signed: leave {timestamp} out of the template",
                    );
                }
            }
            (None, None) => return fail("/header", "is required, or pointer: where the timestamp stands"),
            (Some(_), Some(_)) => {
                return fail(
                    "/pointer",
                    "cannot be given beside header: the timestamp stands in one place",
                );
            }
        }
        check_text("/field", place.field.as_deref())?;
        if place.field.is_some() && place.header.is_none() {
            return fail("/field", "is for a timestamp in a header");
        }
        if place.field.is_some() && place.unit == TimestampUnit::Rfc3339 && self.separator.as_deref() == Some(":") {
            return fail("/unit", "rfc3339 holds colons, and the header is split at them");
        }
        Ok(())
    }
}

/// Whether a text is a JSON Pointer (RFC 6901) of a length that anybody needs.
pub(crate) fn check_pointer(field: &str, pointer: &str) -> Result<(), SchemeError> {
    if pointer.len() > 300 {
        return fail(field, "is longer than 300 bytes");
    }
    if !pointer.is_empty() && !pointer.starts_with('/') {
        return fail(field, "is not a JSON Pointer: it is empty or begins with /");
    }
    let mut rest = pointer;
    while let Some((_, after)) = rest.split_once('~') {
        if !after.starts_with(['0', '1']) {
            return fail(field, "is not a JSON Pointer: ~ stands only in ~0 and ~1");
        }
        rest = after;
    }
    Ok(())
}
