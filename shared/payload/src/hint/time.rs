//! Whether only the time is wrong, and whose.

use super::{Trials, with_signed};
use crate::scheme::{Rejection, Scheme, TimestampUnit};

/// No clock is that wrong and no delivery that late: the timestamp was misread.
const A_YEAR: u64 = 365 * 24 * 60 * 60;

/// The same scheme with no window; nothing where it has none.
fn without_window(scheme: &Scheme) -> Option<Scheme> {
    let mut scheme = scheme.clone();
    match &mut scheme {
        Scheme::StandardWebhooks(standard) => standard.tolerance = u32::MAX,
        Scheme::Hmac(signed) | Scheme::Ed25519(signed) | Scheme::EcdsaP256(signed) => signed.tolerance = u32::MAX,
        Scheme::Token(_) | Scheme::Basic(_) | Scheme::None(_) => return None,
    }
    Some(scheme)
}

/// The timestamp lies so far outside the window.
pub(super) fn outside(trials: &mut Trials<'_>, scheme: &Scheme, seconds: u64, ahead: bool) -> Option<String> {
    if seconds > A_YEAR
        && let Some(text) = other_unit(trials, scheme)
    {
        return Some(text);
    }
    let timeless = without_window(scheme)?;
    match trials.under(&timeless)? {
        Ok(()) if ahead => Some(format!(
            "The signature is good, and its time lies {} ahead: the sender's clock is wrong.",
            span(seconds)
        )),
        Ok(()) => Some(format!(
            "The signature is good, and the request came {} after it was signed: it was delivered late or sent once more, or the sender's clock is wrong.",
            span(seconds)
        )),
        Err(Rejection::SignatureMismatch) => Some(match trials.mismatch(&timeless) {
            Some(text) => format!("Not only the time is wrong. {text}"),
            None => "Not only the time is wrong: the signature does not fit either.".into(),
        }),
        Err(_) => None,
    }
}

/// Whether the timestamp is written in another unit than the scheme says.
pub(super) fn other_unit(trials: &mut Trials<'_>, scheme: &Scheme) -> Option<String> {
    if let Scheme::StandardWebhooks(standard) = scheme {
        let time = trials.receipt.header_of(&standard.header_prefix, "timestamp")?;
        return Some(match time.len() {
            13 if time.bytes().all(|b| b.is_ascii_digit()) => {
                "The timestamp is in milliseconds, and Standard Webhooks has seconds since 1970.".into()
            }
            _ => "Standard Webhooks has seconds since 1970, in plain digits.".into(),
        });
    }
    for (unit, text) in [
        (
            TimestampUnit::S,
            "The timestamp can be read as seconds since 1970: the scheme's unit is s.",
        ),
        (
            TimestampUnit::Ms,
            "The timestamp can be read as milliseconds since 1970: the scheme's unit is ms.",
        ),
        (
            TimestampUnit::Rfc3339,
            "The timestamp can be read as a date and time: the scheme's unit is rfc3339.",
        ),
    ] {
        let mut is_other = false;
        let other = with_signed(scheme, |signed| {
            if let Some(place) = &mut signed.timestamp {
                is_other = place.unit != unit;
                place.unit = unit;
            }
        })?;
        let is_near = |verdict: Option<Result<(), Rejection>>| match verdict {
            Some(Ok(()) | Err(Rejection::SignatureMismatch | Rejection::NoSignature(_))) => true,
            Some(Err(Rejection::TooOld { seconds, .. } | Rejection::InFuture { seconds, .. })) => seconds < A_YEAR,
            _ => false,
        };
        if is_other && is_near(trials.under(&other)) {
            return Some(text.into());
        }
    }
    None
}

/// A span of time as people say it: exact enough to recognise a time zone or a retry by it.
fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} days", seconds / 86_400),
    }
}
