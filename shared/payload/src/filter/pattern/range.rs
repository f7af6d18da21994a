//! Ranges of numbers and blocks of addresses.

use std::net::IpAddr;

use super::Decimal;

/// A range of numbers, open where an end is `None`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::filter) struct NumericRange {
    pub(in crate::filter) low: Option<End>,
    pub(in crate::filter) high: Option<End>,
}

/// An end of a range.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::filter) struct End {
    pub(in crate::filter) value: Decimal,
    /// Whether the end itself belongs to the range.
    pub(in crate::filter) included: bool,
}

impl NumericRange {
    pub(super) fn contains(&self, number: &Decimal) -> bool {
        let above = self
            .low
            .as_ref()
            .is_none_or(|end| *number > end.value || (end.included && *number == end.value));
        let below = self
            .high
            .as_ref()
            .is_none_or(|end| *number < end.value || (end.included && *number == end.value));
        above && below
    }

    /// Whether no number is in it.
    pub(super) fn is_empty(&self) -> bool {
        match (&self.low, &self.high) {
            (Some(low), Some(high)) => {
                low.value > high.value || (low.value == high.value && !(low.included && high.included))
            }
            _ => false,
        }
    }
}

/// A block of IP addresses ([RFC 4632](https://www.rfc-editor.org/rfc/rfc4632), [RFC 4291](https://www.rfc-editor.org/rfc/rfc4291#section-2.3)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::filter) struct Block {
    pub(in crate::filter) first: Address,
    pub(in crate::filter) last: Address,
}

/// An address that can be compared: the versions do not mix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::filter) enum Address {
    V4(u32),
    V6(u128),
}

impl From<IpAddr> for Address {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::V4(address.into()),
            IpAddr::V6(address) => Self::V6(address.into()),
        }
    }
}

impl Block {
    /// Reads `10.0.0.0/8` or `2001:db8::/32`. Bits behind the prefix do not matter.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (address, length) = text.split_once('/')?;
        if length.is_empty() || !length.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let length: u32 = length.parse().ok()?;
        let (first, last) = match Address::from(address.parse::<IpAddr>().ok()?) {
            Address::V4(bits) => {
                let rest = u32::MAX.checked_shr(length).unwrap_or(0);
                (length <= 32).then_some((Address::V4(bits & !rest), Address::V4(bits | rest)))?
            }
            Address::V6(bits) => {
                let rest = u128::MAX.checked_shr(length).unwrap_or(0);
                (length <= 128).then_some((Address::V6(bits & !rest), Address::V6(bits | rest)))?
            }
        };
        Some(Self { first, last })
    }

    pub(super) fn contains(&self, address: IpAddr) -> bool {
        (self.first..=self.last).contains(&address.into())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;

    #[test]
    fn blocks() {
        let within = |block: &str, address: &str| Block::parse(block).unwrap().contains(address.parse().unwrap());
        assert!(within("10.0.0.0/8", "10.255.255.255"));
        assert!(!within("10.0.0.0/8", "11.0.0.0"));
        assert!(within("10.1.2.3/24", "10.1.2.255"));
        assert!(within("0.0.0.0/0", "255.255.255.255"));
        assert!(within("10.0.0.1/32", "10.0.0.1"));
        assert!(!within("10.0.0.1/32", "10.0.0.2"));
        assert!(within("2001:db8::/32", "2001:0db8:ffff:0:0:0:0:1"));
        assert!(!within("2001:db8::/32", "2001:db9::"));
        assert!(within("::/0", "ffff::"));
        assert!(within("::1/128", "::1"));
        assert!(!within("::/0", "10.0.0.1"));
        for text in [
            "10.0.0.0",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "::/129",
            "10.0.0/8",
            "a/8",
            "/8",
        ] {
            assert_eq!(Block::parse(text), None, "{text}");
        }
    }
}
