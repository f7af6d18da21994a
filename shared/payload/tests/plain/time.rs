//! Timestamps.

use serde_json::Value;

/// The seconds since 1970 that a timestamp says, without their fraction.
pub fn seconds(text: &str, unit: &str, fixed: bool) -> Result<i64, String> {
    let number = |digits: usize| {
        let plain = !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
        if !plain || (fixed && text.len() != digits) {
            return Err(format!("{text} is no timestamp"));
        }
        text.parse::<i64>().map_err(|error| error.to_string())
    };
    match unit {
        "s" => number(10),
        "ms" => Ok(number(13)? / 1000),
        _ => rfc3339(text).ok_or(format!("{text} is no RFC 3339")),
    }
}

/// Whether it lies in the window.
pub fn check(at: i64, received_at: i64, scheme: &Value) -> Result<(), String> {
    let tolerance = scheme["tolerance"].as_i64().unwrap_or(300);
    let distance = i128::from(received_at) - i128::from(at);
    if distance.abs() <= i128::from(tolerance) {
        Ok(())
    } else {
        Err(format!("{distance} s old"))
    }
}

fn digits(text: &str, range: std::ops::Range<usize>) -> Option<i64> {
    let part = text.get(range)?;
    let plain = part.chars().all(|c| c.is_ascii_digit());
    if plain { part.parse().ok() } else { None }
}

fn is_leap(year: i64) -> bool {
    (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
}

fn rfc3339(text: &str) -> Option<i64> {
    let (year, month, day) = (digits(text, 0..4)?, digits(text, 5..7)?, digits(text, 8..10)?);
    let (hour, minute, second) = (digits(text, 11..13)?, digits(text, 14..16)?, digits(text, 17..19)?);
    for (at, c) in [(4, "-"), (7, "-"), (10, "T"), (13, ":"), (16, ":")] {
        if text.get(at..at + 1)? != c {
            return None;
        }
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let index = usize::try_from(month - 1).ok()?;
    if day < 1 || day > *months.get(index)? || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let mut rest = text.get(19..)?;
    if let Some(fraction) = rest.strip_prefix('.') {
        rest = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
        // No clock is finer than nanoseconds.
        if !(1..=9).contains(&(fraction.len() - rest.len())) {
            return None;
        }
    }
    let offset = match rest {
        "Z" => 0,
        _ => {
            let sign = match rest.get(0..1)? {
                "+" => 1,
                "-" => -1,
                _ => return None,
            };
            let (hours, minutes) = (digits(rest, 1..3)?, digits(rest, 4..6)?);
            if rest.len() != 6 || rest.get(3..4)? != ":" || hours > 23 || minutes > 59 {
                return None;
            }
            sign * (hours * 3600 + minutes * 60)
        }
    };
    let year_days = |year| if is_leap(year) { 366 } else { 365 };
    let mut days: i64 = (1970..year).map(year_days).sum();
    days -= (year..1970).map(year_days).sum::<i64>();
    days += months[..index].iter().sum::<i64>() + day - 1;
    // A leap second is the second before it again.
    Some(days * 86400 + hour * 3600 + minute * 60 + second.min(59) - offset)
}
