//! What a request carries instead of what its source's scheme needs.

use super::{Trials, credential};
use crate::Receipt;
use crate::preset;
use crate::receipt::HeaderValue;
use crate::scheme::{PARAMETER_PREFIX, Scheme};
use crate::source::Effective;

/// How many names a hint lists.
const MAX_NAMES: usize = 3;

/// What in the name of a header tells that it proves something.
const TELLING: &[&str] = &[
    "signature",
    "hmac",
    "token",
    "authorization",
    "api-key",
    "apikey",
    "secret",
];

/// The request lacks what stands under `name` (a header, or behind a `?` a query parameter).
pub(super) fn missing(trials: &mut Trials<'_>, source: &Effective<'_>, name: &str) -> Option<String> {
    let receipt = trials.receipt;
    let same = receipt
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case(name));
    if let Some(header) = same {
        return Some(match &header.value {
            HeaderValue::Hashed(_) => format!(
                "{} is there, but it was kept only as a hash when the request came in, as headers with credentials are.",
                shown(name)
            ),
            HeaderValue::Text(_) => format!("{} is there, but empty.", shown(name)),
        });
    }
    if let Some(found) = credential::elsewhere(trials, source.scheme) {
        return Some(found);
    }
    if let Some(prefix) = standard_prefix(source, receipt) {
        return Some(format!(
            "The request has the headers of Standard Webhooks under names that begin with {prefix}: the scheme's headerPrefix is {prefix}."
        ));
    }
    let presets = look_like(source, receipt);
    if !presets.is_empty() {
        return Some(format!("This looks like a request of {}.", listed(&presets)));
    }
    let names = telling_names(receipt);
    (!names.is_empty()).then(|| format!("What the request has instead: {}.", names.join(", ")))
}

/// The presets other than the source's whose needs the request meets.
fn look_like(source: &Effective<'_>, receipt: &Receipt) -> Vec<&'static str> {
    let has = |name: &String| {
        let mut values = receipt
            .headers
            .iter()
            .filter(|header| header.name.eq_ignore_ascii_case(name));
        values.any(|header| !matches!(&header.value, HeaderValue::Text(text) if text.is_empty()))
    };
    let fits = |preset: &&'static preset::Preset| {
        let required = preset.scheme.required();
        // Half of the world sends Authorization.
        let is_telling = required.iter().any(|name| name != "authorization");
        preset.name != source.preset.name && is_telling && required.iter().all(has)
    };
    let names = preset::all().iter().filter(fits).map(|preset| preset.name.as_str());
    names.take(MAX_NAMES).collect()
}

/// What the names of all three headers of Standard Webhooks begin with, where it is not what the scheme says.
fn standard_prefix(source: &Effective<'_>, receipt: &Receipt) -> Option<String> {
    let Scheme::StandardWebhooks(standard) = source.scheme else {
        return None;
    };
    let has = |name: &str| receipt.headers.iter().any(|header| header.name == name);
    let prefixes = receipt
        .headers
        .iter()
        .filter_map(|header| header.name.strip_suffix("signature"));
    prefixes
        .filter(|prefix| is_name(prefix) && !prefix.eq_ignore_ascii_case(&standard.header_prefix))
        .find(|prefix| has(&format!("{prefix}id")) && has(&format!("{prefix}timestamp")))
        .map(str::to_owned)
}

fn telling_names(receipt: &Receipt) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for header in &receipt.headers {
        let name = header.name.to_ascii_lowercase();
        let tells = name.starts_with(PARAMETER_PREFIX) || TELLING.iter().any(|part| name.contains(part));
        let shown = shown(&header.name);
        if tells && is_name(name.trim_start_matches(PARAMETER_PREFIX)) && !names.contains(&shown) {
            names.push(shown);
        }
    }
    names.truncate(MAX_NAMES);
    names
}

/// Whether a name that a stranger sent can be shown as it is.
pub(super) fn is_name(name: &str) -> bool {
    let known = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    !name.is_empty() && name.len() <= 60 && name.bytes().all(known)
}

/// A name as people know it.
pub(super) fn shown(name: &str) -> String {
    match name.strip_prefix(PARAMETER_PREFIX) {
        Some(parameter) => format!("the query parameter {parameter}"),
        None => format!("the header {name}"),
    }
}

fn listed(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [name] => (*name).to_owned(),
        [others @ .., last] => format!("{} or {last}", others.join(", ")),
    }
}
