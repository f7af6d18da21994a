//! Whether what was sent was changed on its way, or is written in another form.

use std::io::Read;

use flate2::read::GzDecoder;

use super::{Trials, with_signed};
use crate::receipt::MAX_BODY_BYTES;
use crate::scheme::{EcdsaForm, Rejection, Scheme, SignatureEncoding};

/// One change that may have happened to a body, undone.
type Undo = fn(&[u8]) -> Option<Vec<u8>>;

const CHANGES: &[(&str, Undo)] = &[
    (
        "The signature fits without the line break at the end of the body: something between the provider and here added it.",
        without_line_break,
    ),
    (
        "The signature fits with a line break at the end of the body: something between the provider and here took it away.",
        with_line_break,
    ),
    (
        "The signature fits the same JSON without white space: something between the provider and here parses the body and writes it anew.",
        |body| respaced(body, "", ""),
    ),
    (
        "The signature fits the same JSON with a space behind each comma and colon: something between the provider and here parses the body and writes it anew.",
        |body| respaced(body, " ", " "),
    ),
    (
        "The signature fits the body with plain line feeds: something between the provider and here turned them into CR LF.",
        |body| contains(body, b"\r\n").then(|| replaced(body, b"\r\n", b"\n")),
    ),
    (
        "The signature fits the body with CR LF line ends: something between the provider and here turned them into plain line feeds.",
        |body| (body.contains(&b'\n') && !contains(body, b"\r\n")).then(|| replaced(body, b"\n", b"\r\n")),
    ),
    (
        "The signature fits the body without its byte order mark: something between the provider and here added it.",
        |body| body.strip_prefix(BYTE_ORDER_MARK).map(<[u8]>::to_vec),
    ),
    (
        "The signature fits the body with a byte order mark before it: something between the provider and here took it away.",
        |body| (!body.starts_with(BYTE_ORDER_MARK)).then(|| [BYTE_ORDER_MARK, body].concat()),
    ),
    (
        "The signature fits the unpacked body: it was signed before it was compressed. The source must receive it uncompressed.",
        unpacked,
    ),
];

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What every gzip file begins with (RFC 1952 section 2.3.1).
const GZIP: &[u8] = b"\x1f\x8b";

fn without_line_break(body: &[u8]) -> Option<Vec<u8>> {
    let line = body.strip_suffix(b"\n")?;
    Some(line.strip_suffix(b"\r").unwrap_or(line).to_vec())
}

fn with_line_break(body: &[u8]) -> Option<Vec<u8>> {
    (!body.ends_with(b"\n")).then(|| [body, b"\n"].concat())
}

fn contains(body: &[u8], part: &[u8]) -> bool {
    body.windows(part.len()).any(|window| window == part)
}

fn replaced(body: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some(&first) = rest.first() {
        if let Some(after) = rest.strip_prefix(from) {
            out.extend_from_slice(to);
            rest = after;
        } else {
            out.push(first);
            rest = &rest[1..];
        }
    }
    out
}

/// A JSON text with these texts behind commas and colons, and no other white space. Its strings and numbers stay as they are. Only for what
/// looks like an object or an array; what is no JSON becomes something that no signature fits.
fn respaced(body: &[u8], behind_comma: &str, behind_colon: &str) -> Option<Vec<u8>> {
    let begin = body.iter().find(|byte| !byte.is_ascii_whitespace())?;
    if !matches!(begin, b'{' | b'[') {
        return None;
    }
    let mut out = Vec::with_capacity(body.len());
    let (mut in_string, mut escaped) = (false, false);
    for &byte in body {
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
            out.push(byte);
        } else if !byte.is_ascii_whitespace() {
            in_string = byte == b'"';
            out.push(byte);
            match byte {
                b',' => out.extend_from_slice(behind_comma.as_bytes()),
                b':' => out.extend_from_slice(behind_colon.as_bytes()),
                _ => {}
            }
        }
    }
    (out != body).then_some(out)
}

fn unpacked(body: &[u8]) -> Option<Vec<u8>> {
    if !body.starts_with(GZIP) {
        return None;
    }
    let mut out = Vec::new();
    let limit = u64::try_from(MAX_BODY_BYTES).unwrap_or(u64::MAX);
    GzDecoder::new(body).take(limit).read_to_end(&mut out).ok()?;
    Some(out)
}

/// Whether the signature fits when a change that happens on the way is undone.
pub(super) fn other_body(trials: &mut Trials<'_>, scheme: &Scheme) -> Option<&'static str> {
    let body = trials.receipt.body.clone();
    CHANGES
        .iter()
        .find(|(_, undo)| undo(&body).is_some_and(|body| trials.fits_body(scheme, body)))
        .map(|(text, _)| *text)
}

/// Whether the signature fits when its bytes are read in another form.
pub(super) fn other_form(trials: &mut Trials<'_>, scheme: &Scheme) -> Option<&'static str> {
    for (encoding, text) in [
        (
            SignatureEncoding::Hex,
            "The signature fits when it is read as hexadecimal digits: the scheme's encoding is hex.",
        ),
        (
            SignatureEncoding::Base64,
            "The signature fits when it is read as base64: the scheme's encoding is base64.",
        ),
        (
            SignatureEncoding::Base64url,
            "The signature fits when it is read as base64url: the scheme's encoding is base64url.",
        ),
    ] {
        let mut is_other = false;
        let other = with_signed(scheme, |signed| {
            is_other = signed.encoding != encoding;
            signed.encoding = encoding;
        })?;
        if is_other && trials.fits_under(&other) {
            return Some(text);
        }
    }
    if let Scheme::EcdsaP256(_) = scheme {
        for (form, text) in [
            (
                EcdsaForm::Raw,
                "The signature fits when its two numbers follow one another: the scheme's form is raw.",
            ),
            (
                EcdsaForm::Der,
                "The signature fits when it is read as DER: the scheme's form is der.",
            ),
        ] {
            let other = with_signed(scheme, |signed| signed.form = Some(form))?;
            if trials.fits_under(&other) {
                return Some(text);
            }
        }
    }
    None
}

/// Whether the signature fits when the public URL was written a little otherwise. The URL holds the ingest token: no hint shows it.
pub(super) fn other_url(trials: &mut Trials<'_>, scheme: &Scheme) -> Option<&'static str> {
    let url = trials.context.public_url.filter(|_| scheme.needs_public_url())?;
    let slash = match url.strip_suffix('/') {
        Some(without) => (
            without.to_owned(),
            "The signature fits without the slash at the end of the source's public URL.",
        ),
        None => (
            format!("{url}/"),
            "The signature fits with a slash at the end of the source's public URL.",
        ),
    };
    let protocol = match (url.strip_prefix("http://"), url.strip_prefix("https://")) {
        (Some(rest), _) => (
            format!("https://{rest}"),
            "The signature fits when the source's public URL begins with https.",
        ),
        (_, Some(rest)) => (
            format!("http://{rest}"),
            "The signature fits when the source's public URL begins with http.",
        ),
        _ => return None,
    };
    [slash, protocol]
        .into_iter()
        .find(|(url, _)| trials.fits_url(scheme, url))
        .map(|(_, text)| text)
}

/// What is striking though no trial proves it.
pub(super) fn suspicion(trials: &Trials<'_>, scheme: &Scheme) -> Option<&'static str> {
    let encoding = trials.receipt.header("content-encoding");
    if encoding.is_some_and(|encoding| encoding.trim().eq_ignore_ascii_case("gzip"))
        && !trials.receipt.body.starts_with(GZIP)
    {
        return Some(
            "The header content-encoding says gzip and the body is not packed: something between the provider and here unpacked what was signed.",
        );
    }
    scheme.needs_public_url().then_some(
        "The signed bytes hold the source's public URL: it must be, character by character, the one that was entered with the provider.",
    )
}

/// The header could be read, and nothing in it is a signature.
pub(super) fn unread_signature(trials: &mut Trials<'_>, scheme: &Scheme, header: &str) -> Option<String> {
    if let Scheme::StandardWebhooks(_) = scheme {
        return Some(format!(
            "Standard Webhooks writes v1, or v1a, and a comma before each signature in base64; {header} holds no such item."
        ));
    }
    if let Some(text) = other_form(trials, scheme) {
        return Some(text.to_owned());
    }
    let plain = with_signed(scheme, |signed| signed.prefix = None)?;
    match trials.under(&plain)? {
        Ok(()) => {
            Some("The signature fits without the prefix that the scheme says: leave it out of the scheme.".into())
        }
        Err(Rejection::NoSignature(_)) => {
            other_form(trials, &plain).map(|text| format!("{text} And it has not the prefix that the scheme says."))
        }
        Err(_) => Some(format!(
            "{header} holds something that could be a signature, but not behind the prefix that the scheme says."
        )),
    }
}
