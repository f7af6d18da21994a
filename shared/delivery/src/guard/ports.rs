//! Which ports are never a web server's.
//!
//! Source: the bad ports of the WHATWG's [Fetch standard](https://fetch.spec.whatwg.org/#port-blocking), which every browser refuses.
//! Behind them are protocols that read lines, such as SMTP, FTP and IRC: lines of a request could pass for their commands, and whoever
//! registers a webhook could have us knock at other people's mail servers.

/// The ports that belong to another protocol, ascending.
pub const NOT_FOR_HTTP: &[u16] = &[
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109,
    110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530, 531,
    532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060,
    5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
];

#[cfg(test)]
mod tests {
    use super::NOT_FOR_HTTP;

    #[test]
    fn the_list_is_in_order_and_holds_no_port_of_the_web() {
        assert!(NOT_FOR_HTTP.is_sorted_by(|one, next| one < next));
        for port in [80, 443, 3000, 8000, 8080, 8443] {
            assert!(!NOT_FOR_HTTP.contains(&port), "{port}");
        }
    }
}
