//! Timestamps as signatures cover them, held against the window around a receipt's time.

use jiff::Timestamp;

use super::{Rejection, TimestampUnit};

/// How many digits a timestamp has from 2001 to 2286, which no window reaches beyond.
const SECONDS_DIGITS: usize = 10;
const MILLISECONDS_DIGITS: usize = 13;

/// Reads a timestamp as strictly as a signature must be: a sign, a space, a fraction of plain digits or an overflow is a rejection. With
/// `fixed` it must have the one form that shows by itself where it ends.
pub(super) fn parse(text: &str, unit: TimestampUnit, fixed: bool) -> Option<Timestamp> {
    let digits = |wanted: usize| {
        if text.is_empty() || (fixed && text.len() != wanted) {
            return None;
        }
        text.bytes().try_fold(0_i64, |number, byte| {
            let digit = byte.is_ascii_digit().then(|| i64::from(byte - b'0'))?;
            number.checked_mul(10)?.checked_add(digit)
        })
    };
    match unit {
        TimestampUnit::S => Timestamp::from_second(digits(SECONDS_DIGITS)?).ok(),
        TimestampUnit::Ms => Timestamp::from_millisecond(digits(MILLISECONDS_DIGITS)?).ok(),
        TimestampUnit::Rfc3339 => is_rfc3339(text).then(|| text.parse().ok())?,
    }
}

/// The form of RFC 3339 section 5.6 and no other of those that parsers also take: no such text is the beginning or the end of another, so
/// that it shows by itself where it ends.
fn is_rfc3339(text: &str) -> bool {
    let bytes = text.as_bytes();
    let has_form = |part: &[u8], form: &[u8]| {
        part.len() == form.len()
            && part.iter().zip(form).all(|(byte, form)| match form {
                b'0' => byte.is_ascii_digit(),
                _ => byte == form,
            })
    };
    let Some((date_time, rest)) = bytes.split_at_checked(19) else {
        return false;
    };
    if !has_form(date_time, b"0000-00-00T00:00:00") {
        return false;
    }
    let rest = match rest {
        [b'.', fraction @ ..] => {
            let digits = fraction.iter().take_while(|b| b.is_ascii_digit()).count();
            if digits == 0 || digits > 9 {
                return false;
            }
            &fraction[digits..]
        }
        rest => rest,
    };
    let is_offset = has_form(rest, b"+00:00") || has_form(rest, b"-00:00");
    // The parser takes offsets beyond a day's hours.
    rest == b"Z" || (is_offset && rest[1..3] <= b"23"[..])
}

/// Whether `at` lies within `tolerance` seconds of `received_at`, to both sides.
pub(super) fn check_window(at: Timestamp, received_at: Timestamp, tolerance: u32) -> Result<(), Rejection> {
    // In whole seconds, as the providers' own libraries count.
    let age = received_at.as_second() - at.as_second();
    let seconds = age.unsigned_abs();
    if seconds <= u64::from(tolerance) {
        return Ok(());
    }
    Err(if age > 0 {
        Rejection::TooOld { seconds, tolerance }
    } else {
        Rejection::InFuture { seconds, tolerance }
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_the_plain_form_is_read() {
        let seconds = |text| parse(text, TimestampUnit::S, false);
        assert_eq!(seconds("1614265330").unwrap().as_second(), 1_614_265_330);
        for text in [
            "",
            "+1",
            "-1",
            " 1",
            "1 ",
            "1.5",
            "0x1",
            "٣",
            "9223372036854775807",
            "99999999999999999999999",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
        assert_eq!(parse("161426533", TimestampUnit::S, true), None);
        assert!(parse("1614265330", TimestampUnit::S, true).is_some());
        assert_eq!(
            parse("1614265330000", TimestampUnit::Ms, true),
            parse("1614265330", TimestampUnit::S, true)
        );
        let rfc3339 = |text| parse(text, TimestampUnit::Rfc3339, false);
        for text in [
            "2025-03-25T13:31:00Z",
            "2025-03-25T13:31:00.123456Z",
            "2025-03-25T14:31:00+01:00",
        ] {
            assert!(rfc3339(text).is_some(), "{text}");
        }
        for text in [
            "2025-03-25",
            "2025-03-25T13:31:00",
            "2025-03-25 13:31:00Z",
            "2025-03-25T13:31:00.Z",
            "2025-03-25T13:31:00+0100",
            "2025-03-26T13:31:00+24:00",
            "2025-03-25T13:31:00+01:00[Europe/Paris]",
            "2025-13-25T13:31:00Z",
            "+002025-03-25T13:31:00Z",
        ] {
            assert_eq!(rfc3339(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_timestamp_is_the_beginning_of_another(
            text in "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-9]{2})",
            cut in 0_usize..40,
            more in "[0-9TZ:.+-]{1,10}",
        ) {
            prop_assert!(is_rfc3339(&text));
            prop_assume!(cut < text.len());
            prop_assert!(!is_rfc3339(&text[..cut]));
            prop_assert!(!is_rfc3339(&(text + &more)));
        }

        #[test]
        fn nothing_panics(text in ".{0,40}", fixed: bool) {
            for unit in [TimestampUnit::S, TimestampUnit::Ms, TimestampUnit::Rfc3339] {
                let _ = parse(&text, unit, fixed);
            }
        }
    }
}
