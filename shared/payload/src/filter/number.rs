//! Numbers as they are written: every digit counts, however many there are.

use std::cmp::Ordering;
use std::fmt;

/// A JSON number, exactly. `35`, `35.0` and `3.5e1` are the same; 2⁵³ and 2⁵³ + 1 are not.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Decimal {
    negative: bool,
    /// Where the decimal point stands, counted from before the first digit: 35 is 0.35 times ten to the power of 2.
    point: i64,
    /// Without zeros at either end; empty for zero.
    digits: Box<[u8]>,
}

impl Decimal {
    /// Reads a number that is written as JSON writes them.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let written = || whole.bytes().chain(fraction.bytes());
        if whole.is_empty() || !written().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let leading = written().take_while(|&b| b == b'0').count();
        let mut digits: Vec<u8> = written().skip(leading).collect();
        while digits.last() == Some(&b'0') {
            digits.pop();
        }
        if digits.is_empty() {
            return Some(Self {
                negative: false,
                point: 0,
                digits: Box::default(),
            });
        }
        let point = i64::try_from(whole.len()).ok()? - i64::try_from(leading).ok()?;
        Some(Self {
            negative,
            point: point.saturating_add(exponent),
            digits: digits.into(),
        })
    }

    fn size(&self, other: &Self) -> Ordering {
        match (self.digits.is_empty(), other.digits.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => self
                .point
                .cmp(&other.point)
                .then_with(|| self.digits.cmp(&other.digits)),
        }
    }
}

/// As people write it, in the shortest way.
impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = String::from_utf8_lossy(&self.digits);
        let count = i64::try_from(digits.len()).unwrap_or(i64::MAX);
        if self.negative {
            f.write_str("-")?;
        }
        match usize::try_from(self.point) {
            Ok(_) if digits.is_empty() => f.write_str("0"),
            Ok(point) if self.point >= count && point <= 20 => write!(f, "{digits:0<point$}"),
            Ok(point) if point > 0 && self.point < count => {
                let (whole, fraction) = digits.split_at_checked(point).unwrap_or((&digits, "0"));
                write!(f, "{whole}.{fraction}")
            }
            _ if (-5..=0).contains(&self.point) => {
                let zeros = usize::try_from(-self.point).unwrap_or_default();
                write!(f, "0.{}{digits}", "0".repeat(zeros))
            }
            _ => {
                let (first, rest) = digits.split_at_checked(1).unwrap_or((&digits, ""));
                let dot = if rest.is_empty() { "" } else { "." };
                write!(f, "{first}{dot}{rest}e{}", self.point.saturating_sub(1))
            }
        }
    }
}

/// An exponent beyond what an `i64` holds counts as the largest there is.
fn parse_exponent(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.is_empty() {
        return None;
    }
    // Half of the range, so that the point can be added without reaching the end.
    let limit = i64::MAX / 2;
    let value = digits.bytes().try_fold(0_i64, |value, b| {
        b.is_ascii_digit()
            .then(|| value.saturating_mul(10).saturating_add(i64::from(b - b'0')).min(limit))
    })?;
    Some(sign * value)
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.negative, other.negative) {
            (false, false) => self.size(other),
            (true, true) => other.size(self),
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;
    use proptest::prelude::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn the_same_number_in_other_words() {
        for (one, other) in [
            ("35", "35.0"),
            ("35", "3.5e1"),
            ("35", "350E-1"),
            ("0", "-0.0e5"),
            ("0.001", "1e-3"),
            ("-1200", "-1.2e+3"),
            ("100000000000000000000000000000000", "1e32"),
        ] {
            assert_eq!(decimal(one), decimal(other), "{one} {other}");
        }
    }

    #[test]
    fn every_digit_counts() {
        assert!(decimal("9007199254740993") > decimal("9007199254740992"));
        assert!(decimal("0.30000000000000000001") > decimal("0.3"));
        assert!(decimal("123456789012345678901234567890") < decimal("123456789012345678901234567891"));
        assert!(decimal("1e400") < decimal("1e401"));
        assert!(decimal("-1e400") < decimal("1e-400"));
        assert!(decimal("1e99999999999999999999999") > decimal("1e9999"));
        assert!(decimal("1e-99999999999999999999999") < decimal("1e-9999"));
    }

    #[test]
    fn numbers_are_shown_shortly() {
        for (text, shown) in [
            ("35.0", "35"),
            ("-0.0", "0"),
            ("1.50", "1.5"),
            ("-1200", "-1200"),
            ("0.0012", "0.0012"),
            ("1e32", "1e32"),
            ("-1.25e-9", "-1.25e-9"),
            ("9007199254740993", "9007199254740993"),
        ] {
            assert_eq!(decimal(text).to_string(), shown);
        }
    }

    #[test]
    fn what_is_no_number() {
        for text in ["", "-", ".5", "1e", "1e+", "1x", "1.x", "e5", "--1", "NaN"] {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_order_is_that_of_integers(a in any::<i128>(), b in any::<i128>()) {
            prop_assert_eq!(decimal(&a.to_string()).cmp(&decimal(&b.to_string())), a.cmp(&b));
        }

        #[test]
        fn the_order_is_that_of_fractions(a in -100_000_i64..100_000, b in -100_000_i64..100_000, places in 0_u32..4) {
            let text = |n: i64| format!("{n}e-{places}");
            prop_assert_eq!(decimal(&text(a)).cmp(&decimal(&text(b))), a.cmp(&b));
            let written = |n: i64| format!("{}{}.{:03}", if n < 0 { "-" } else { "" }, n.abs() / 1000, n.abs() % 1000);
            prop_assert_eq!(decimal(&written(a)), decimal(&format!("{a}e-3")));
        }

        #[test]
        fn what_is_shown_is_the_same_number(text in "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,9})?(e[-+]?[0-9]{1,4})?") {
            prop_assert_eq!(decimal(&decimal(&text).to_string()), decimal(&text));
        }

        #[test]
        fn nothing_panics(text in "[-+0-9.eE]{0,30}") {
            let _ = Decimal::parse(&text);
        }
    }
}
