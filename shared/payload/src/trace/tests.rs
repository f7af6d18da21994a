#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
use proptest::prelude::*;

use super::*;
use crate::id::Identity;

/// The example of the specification.
const ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

fn traceparent(version: &str, id: &str, parent: &str, flags: &str, added: &str) -> String {
    format!("{version}-{id}-{parent}-{flags}{added}")
}

fn of(headers: &[(&'static str, &str)]) -> TraceId {
    TraceId::of_headers(|name| {
        let values = headers.iter().filter(move |(known, _)| *known == name);
        values.map(|(_, value)| value.as_bytes()).collect::<Vec<_>>()
    })
}

#[test]
fn the_specifications_example_is_read() {
    let id = TraceId::of_traceparent(&traceparent("00", ID, PARENT, "01", "")).unwrap();
    assert_eq!(id.to_string(), ID);
    assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{ID}\""));
    for later in ["cc", "01"] {
        for added in ["", "-what-the-future-will-be-like"] {
            assert_eq!(
                TraceId::of_traceparent(&traceparent(later, ID, PARENT, "09", added)),
                Some(id)
            );
        }
    }
}

#[test]
fn what_is_not_valid_counts_as_absent() {
    let zeros = "0".repeat(32);
    for (version, id, parent, flags, added) in [
        ("00", zeros.as_str(), PARENT, "01", ""),
        ("00", ID, "0000000000000000", "01", ""),
        ("ff", ID, PARENT, "01", ""),
        ("00", ID, PARENT, "01", "-more"),
        ("01", ID, PARENT, "01", "more"),
        ("00", &ID.to_uppercase(), PARENT, "01", ""),
        ("00", ID, &PARENT.to_uppercase(), "01", ""),
        ("0A", ID, PARENT, "01", ""),
        ("00", ID, PARENT, "0A", ""),
        ("00", ID, PARENT, "1", ""),
        ("0", ID, PARENT, "01", ""),
        ("00", &ID[1..], PARENT, "01", ""),
        ("00", &format!("{ID}0"), PARENT, "01", ""),
        ("00", &ID.replace('4', "g"), PARENT, "01", ""),
        ("01", ID, PARENT, "01", &format!("-{}", "a".repeat(300))),
        (" 00", ID, PARENT, "01", ""),
        ("00", ID, PARENT, "01", " "),
    ] {
        let text = traceparent(version, id, parent, flags, added);
        assert_eq!(TraceId::of_traceparent(&text), None, "{text}");
    }
    for text in ["", "-", "---", "00-é", "4bf92f3577b34da6a3ce929d0e0e4736"] {
        assert_eq!(TraceId::of_traceparent(text), None, "{text}");
    }
}

#[test]
fn x_rays_header_holds_the_same_digits() {
    let id = TraceId::parse("5759e988bd862e3fe1be46a994272793").unwrap();
    for text in [
        "Root=1-5759e988-bd862e3fe1be46a994272793",
        "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
        "Self=1-67891234-12456789abcdef012345678;Root=1-5759e988-bd862e3fe1be46a994272793",
        "Lineage=a87bd80c:0; Root=1-5759e988-bd862e3fe1be46a994272793",
    ] {
        assert_eq!(TraceId::of_xray(text), Some(id), "{text}");
    }
    for text in [
        "",
        "Root=",
        "Root=1-5759e98-8bd862e3fe1be46a994272793",
        "Root=2-5759e988-bd862e3fe1be46a994272793",
        "Root=1-5759E988-bd862e3fe1be46a994272793",
        "Root=1-00000000-000000000000000000000000",
        "Root=1-5759e988bd862e3fe1be46a994272793",
        "Root=1-5759e988-bd862e3fe1be46a994272793;Root=1-5759e988-bd862e3fe1be46a994272794",
        "Parent=53995c3f42cd8ad8",
    ] {
        assert_eq!(TraceId::of_xray(text), None, "{text}");
    }
}

#[test]
fn the_senders_own_goes_before_that_of_aws_and_a_new_one_is_made_where_there_is_none() {
    let theirs = traceparent("00", ID, PARENT, "00", "");
    let aws = "Root=1-5759e988-bd862e3fe1be46a994272793";
    assert_eq!(of(&[(XRAY_HEADER, aws), (TRACEPARENT_HEADER, &theirs)]).to_string(), ID);
    let from_aws = "5759e988bd862e3fe1be46a994272793";
    assert_eq!(
        of(&[(XRAY_HEADER, aws), (TRACEPARENT_HEADER, "00-0-0-0")]).to_string(),
        from_aws
    );
    assert_eq!(of(&[(XRAY_HEADER, aws)]).to_string(), from_aws);
    assert_ne!(of(&[]), of(&[]));
    let twice = [
        (TRACEPARENT_HEADER, theirs.as_str()),
        (TRACEPARENT_HEADER, theirs.as_str()),
    ];
    assert_ne!(of(&twice).to_string(), ID);
    // As API Gateway joins them.
    let joined = format!("{theirs},{theirs}");
    assert_ne!(of(&[(TRACEPARENT_HEADER, &joined)]).to_string(), ID);
}

#[test]
fn an_event_without_one_has_always_the_same() {
    let event = |id| EventId::compute("src_1", Identity::ProviderId(id), 0);
    assert_eq!(TraceId::of_event(&event("a")), TraceId::of_event(&event("a")));
    assert_ne!(TraceId::of_event(&event("a")), TraceId::of_event(&event("b")));
}

proptest! {
    #[test]
    fn no_text_makes_the_parsers_panic(text in "\\PC{0,80}", bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = (TraceId::of_traceparent(&text), TraceId::of_xray(&text), TraceId::parse(&text));
        TraceId::of_headers(|_| [bytes.as_slice()]);
    }

    #[test]
    fn what_nearly_is_one_is_read_only_when_the_specification_says_so(
        version in "[0-9a-f]{2}", id in "[0-9a-f]{31,33}|[0-9a-f]{32}|[0-9A-F]{32}", parent in "[0-9a-f]{16}|[0-9a-f]{15,17}",
        flags in "[0-9a-f]{2}|[0-9a-f]{1,3}", added in "|-?[ -~]{0,3}",
    ) {
        let is_hex = |text: &str, length| text.len() == length && text.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c));
        let is_zero = |text: &str| text.chars().all(|c| c == '0');
        let ends_well = added.is_empty() || (version != "00" && added.starts_with('-'));
        let is_valid = version != "ff" && is_hex(&id, 32) && !is_zero(&id) && is_hex(&parent, 16) && !is_zero(&parent)
            && is_hex(&flags, 2) && ends_well;
        let text = traceparent(&version, &id, &parent, &flags, &added);
        let read = TraceId::of_traceparent(&text);
        prop_assert_eq!(read.map(|read| read.to_string()), is_valid.then_some(id));
    }

    #[test]
    fn what_is_sent_is_what_is_read(bytes in any::<[u8; 16]>()) {
        let Some(id) = TraceId::of_bytes(bytes) else { return Ok(()) };
        let (sent, again) = (id.traceparent(), id.traceparent());
        prop_assert_eq!(TraceId::of_traceparent(&sent), Some(id));
        prop_assert_eq!(TraceId::parse(&id.to_string()), Some(id));
        // Each request is a parent of its own.
        prop_assert_ne!(sent, again);
    }
}
