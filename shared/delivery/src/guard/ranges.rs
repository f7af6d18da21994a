//! Which addresses are globally reachable.
//!
//! Sources: the IANA registries of special-purpose addresses for [IPv4](https://www.iana.org/assignments/iana-ipv4-special-registry/)
//! and [IPv6](https://www.iana.org/assignments/iana-ipv6-special-registry/) (RFC 6890, RFC 8190), of
//! [IPv4 multicast](https://www.iana.org/assignments/multicast-addresses/) (RFC 5771), and of the
//! [IPv6 address space](https://www.iana.org/assignments/ipv6-address-space/) (RFC 4291).
//!
//! A range stands in the tables when its entry there says anything but "globally reachable: true". Two blocks stand here as a whole
//! although single addresses in them are reachable: 192.0.0.0/24 and 2001::/23. Those are anycast addresses of infrastructure, which
//! lead to whatever is nearest to us (a NAT's control port, for one), and no webhook lives there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A block of addresses and what it is for.
#[derive(Debug, Clone, Copy)]
pub struct Range<A> {
    /// Its first address.
    pub base: A,
    /// How many leading bits are common to its addresses.
    pub prefix: u32,
    /// What it is for, as a person should read it.
    pub name: &'static str,
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u32, name: &'static str) -> Range<Ipv4Addr> {
    Range {
        base: Ipv4Addr::new(a, b, c, d),
        prefix,
        name,
    }
}

const fn v6(segments: [u16; 8], prefix: u32, name: &'static str) -> Range<Ipv6Addr> {
    let [a, b, c, d, e, f, g, h] = segments;
    Range {
        base: Ipv6Addr::new(a, b, c, d, e, f, g, h),
        prefix,
        name,
    }
}

/// The IPv4 addresses that are not globally reachable.
pub const NOT_GLOBAL_V4: &[Range<Ipv4Addr>] = &[
    v4(0, 0, 0, 0, 8, "this network, RFC 791"),
    v4(10, 0, 0, 0, 8, "private use, RFC 1918"),
    v4(100, 64, 0, 0, 10, "shared address space of carriers, RFC 6598"),
    v4(127, 0, 0, 0, 8, "loopback, RFC 1122"),
    v4(169, 254, 0, 0, 16, "link-local, RFC 3927"),
    v4(172, 16, 0, 0, 12, "private use, RFC 1918"),
    v4(192, 0, 0, 0, 24, "IETF protocol assignments, RFC 6890"),
    v4(192, 0, 2, 0, 24, "documentation, RFC 5737"),
    v4(192, 88, 99, 0, 24, "6to4 relay anycast, RFC 7526"),
    v4(192, 168, 0, 0, 16, "private use, RFC 1918"),
    v4(198, 18, 0, 0, 15, "benchmarking, RFC 2544"),
    v4(198, 51, 100, 0, 24, "documentation, RFC 5737"),
    v4(203, 0, 113, 0, 24, "documentation, RFC 5737"),
    v4(224, 0, 0, 0, 4, "multicast, RFC 5771"),
    v4(240, 0, 0, 0, 4, "reserved, RFC 1112"),
    v4(255, 255, 255, 255, 32, "limited broadcast, RFC 8190"),
];

/// The IPv6 addresses that are not globally reachable, most specific first. What lies outside [`GLOBAL_UNICAST`] is refused whether it
/// stands here or not; it stands here for its name.
pub const NOT_GLOBAL_V6: &[Range<Ipv6Addr>] = &[
    v6([0, 0, 0, 0, 0, 0, 0, 0], 128, "unspecified, RFC 4291"),
    v6([0, 0, 0, 0, 0, 0, 0, 1], 128, "loopback, RFC 4291"),
    v6([0, 0, 0, 0, 0, 0xffff, 0, 0], 96, "IPv4-mapped, RFC 4291"),
    v6([0, 0, 0, 0, 0, 0, 0, 0], 96, "IPv4-compatible, RFC 4291"),
    v6(
        [0x64, 0xff9b, 1, 0, 0, 0, 0, 0],
        48,
        "local-use IPv4/IPv6 translation, RFC 8215",
    ),
    v6([0x100, 0, 0, 0, 0, 0, 0, 0], 64, "discard-only, RFC 6666"),
    v6([0x100, 0, 0, 1, 0, 0, 0, 0], 64, "dummy prefix, RFC 9780"),
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32, "Teredo, RFC 4380"),
    v6([0x2001, 2, 0, 0, 0, 0, 0, 0], 48, "benchmarking, RFC 5180"),
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23, "IETF protocol assignments, RFC 2928"),
    v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32, "documentation, RFC 3849"),
    v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16, "6to4, RFC 3056"),
    v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20, "documentation, RFC 9637"),
    v6([0x5f00, 0, 0, 0, 0, 0, 0, 0], 16, "segment routing, RFC 9602"),
    v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, "unique local, RFC 4193"),
    v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10, "link-local, RFC 4291"),
    v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10, "site-local, RFC 3879"),
    v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8, "multicast, RFC 4291"),
];

/// All that IANA has given out as IPv6 global unicast space so far.
pub const GLOBAL_UNICAST: Range<Ipv6Addr> = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3, "global unicast, RFC 4291");

/// The well-known prefix under which a NAT64 reaches IPv4 (RFC 6052). A network without IPv4 resolves every IPv4-only host to it, so
/// that an address in it is judged as the IPv4 address that it carries.
pub const NAT64: Range<Ipv6Addr> = v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96, "IPv4/IPv6 translation, RFC 6052");

impl Range<Ipv4Addr> {
    /// Whether the address lies in this block.
    #[must_use]
    pub const fn contains(&self, address: Ipv4Addr) -> bool {
        // A prefix of 0 would shift by the whole width; no table has one.
        (address.to_bits() ^ self.base.to_bits()) >> (Ipv4Addr::BITS - self.prefix) == 0
    }
}

impl Range<Ipv6Addr> {
    /// Whether the address lies in this block.
    #[must_use]
    pub const fn contains(&self, address: Ipv6Addr) -> bool {
        (address.to_bits() ^ self.base.to_bits()) >> (Ipv6Addr::BITS - self.prefix) == 0
    }
}

/// Why an address is not globally reachable: the name of the block that it lies in. `None` when it is.
#[must_use]
pub fn not_global(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(v4) => not_global_v4(v4),
        IpAddr::V6(v6) if NAT64.contains(v6) => {
            let [.., a, b, c, d] = v6.octets();
            not_global_v4(Ipv4Addr::new(a, b, c, d))
        }
        IpAddr::V6(v6) => NOT_GLOBAL_V6
            .iter()
            .find(|range| range.contains(v6))
            .map(|range| range.name)
            .or_else(|| (!GLOBAL_UNICAST.contains(v6)).then_some("not given out by IANA")),
    }
}

fn not_global_v4(address: Ipv4Addr) -> Option<&'static str> {
    NOT_GLOBAL_V4
        .iter()
        .find(|range| range.contains(address))
        .map(|range| range.name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;
    use proptest::prelude::*;

    fn refused(text: &str) -> bool {
        not_global(text.parse().unwrap()).is_some()
    }

    #[test]
    fn addresses_of_every_special_kind_are_refused() {
        for text in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.0.9",
            "192.0.0.170",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.250",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::8.8.8.8",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "::ffff:0:8.8.8.8",
            "64:ff9b::127.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::8.8.8.8",
            "64:ff9b:0:0:0:1::",
            "100::1",
            "100:0:0:1::1",
            "1::1",
            "2001::1",
            "2001:0:4136:e378:8000:63bf:3fff:fdd2",
            "2001:2::1",
            "2001:10::1",
            "2001:20::1",
            "2001:1ff:ffff::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:808:808::1",
            "3fff::1",
            "3fff:fff:ffff::1",
            "4000::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(refused(text), "{text}");
        }
    }

    #[test]
    fn addresses_of_the_open_internet_pass() {
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.0.3.0",
            "192.31.196.1",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2001:200::1",
            "2001:4860:4860::8888",
            "2001:db9::1",
            "2003::1",
            "2606:4700:4700::1111",
            "2620:4f:8000::1",
            "2a00:1450:4001:81b::200e",
            "3ffe::1",
            "64:ff9b::8.8.8.8",
        ] {
            assert!(!refused(text), "{text}");
        }
    }

    #[test]
    fn each_block_is_refused_from_its_first_to_its_last_address() {
        for range in NOT_GLOBAL_V4 {
            let first = range.base.to_bits();
            let last = first | u32::MAX.checked_shr(range.prefix).unwrap_or(0);
            assert_eq!(
                first,
                range.base.to_bits() & !u32::MAX.checked_shr(range.prefix).unwrap_or(0),
                "{}",
                range.name
            );
            for bits in [first, last] {
                assert!(not_global(Ipv4Addr::from_bits(bits).into()).is_some(), "{}", range.name);
            }
        }
        for range in NOT_GLOBAL_V6 {
            let first = range.base.to_bits();
            let last = first | u128::MAX.checked_shr(range.prefix).unwrap_or(0);
            assert_eq!(
                first,
                range.base.to_bits() & !u128::MAX.checked_shr(range.prefix).unwrap_or(0),
                "{}",
                range.name
            );
            for bits in [first, last] {
                assert!(not_global(Ipv6Addr::from_bits(bits).into()).is_some(), "{}", range.name);
            }
        }
    }

    proptest! {
        /// What the standard library knows of special addresses is a second opinion, made by others from the same registries.
        #[test]
        fn no_ipv4_address_passes_that_the_standard_library_calls_special(bits in any::<u32>()) {
            let a = Ipv4Addr::from_bits(bits);
            let special = a.is_private() || a.is_loopback() || a.is_link_local() || a.is_multicast() || a.is_broadcast()
                || a.is_documentation() || a.is_unspecified();
            prop_assert!(!special || not_global(a.into()).is_some());
        }

        #[test]
        fn an_ipv4_address_passes_only_outside_every_block(bits in any::<u32>()) {
            let in_a_block = NOT_GLOBAL_V4.iter().any(|range| {
                let size = (u64::from(u32::MAX) + 1) >> range.prefix;
                let first = u64::from(range.base.to_bits());
                (first..first + size).contains(&u64::from(bits))
            });
            prop_assert_eq!(not_global(Ipv4Addr::from_bits(bits).into()).is_some(), in_a_block);
        }

        #[test]
        fn no_ipv6_address_outside_global_unicast_passes_but_through_nat64(bits in any::<u128>()) {
            let a = Ipv6Addr::from_bits(bits);
            prop_assert!(not_global(a.into()).is_some() || a.segments()[0] & 0xe000 == 0x2000);
        }

        #[test]
        fn no_ipv6_form_carries_a_forbidden_ipv4_address_through(bits in any::<u32>()) {
            let v4 = Ipv4Addr::from_bits(bits);
            let (high, low) = ((bits >> 16) as u16, (bits & 0xffff) as u16);
            let nat64 = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low);
            prop_assert_eq!(not_global(nat64.into()).is_some(), not_global(v4.into()).is_some());
            for carrier in [
                v4.to_ipv6_mapped(),
                v4.to_ipv6_compatible(),
                Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, high, low),
                Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
                Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, !high, !low),
                Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, high, low),
            ] {
                prop_assert!(not_global(carrier.into()).is_some(), "{}", carrier);
            }
        }
    }
}
