//! `docs/LOGGING.md` lists every line that the sources log, and nothing else.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::collections::BTreeSet;
use std::fs;

use hookline_tests::log_lines::{Lines, of_page, of_sources, repository};

fn page() -> String {
    fs::read_to_string(repository().join("docs/LOGGING.md")).unwrap()
}

/// The rows that tell them, to be put into the page.
fn rows(lines: &Lines) -> String {
    let row = |(kind, fields): (&hookline_tests::log_lines::Kind, &BTreeSet<String>)| {
        let fields: Vec<_> = fields.iter().map(|field| format!("`{field}`")).collect();
        format!(
            "| `{}` | {} | `{}` | {} | … |",
            kind.package,
            kind.level,
            kind.message,
            fields.join(", ")
        )
    };
    lines.iter().map(row).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_page_lists_what_the_sources_log() {
    let (there, listed) = (of_sources(), of_page(&page()));
    assert!(there.len() > 30, "the sources are read");
    let missing: Lines = there
        .iter()
        .filter(|(kind, fields)| listed.get(kind) != Some(fields))
        .map(own)
        .collect();
    let stale: Lines = listed
        .iter()
        .filter(|(kind, fields)| there.get(kind) != Some(fields))
        .map(own)
        .collect();
    assert!(
        missing.is_empty() && stale.is_empty(),
        "docs/LOGGING.md lacks\n{}\n\nand has what is not logged\n{}",
        rows(&missing),
        rows(&stale)
    );
}

fn own<K: Clone, V: Clone>((key, value): (&K, &V)) -> (K, V) {
    (key.clone(), value.clone())
}

#[test]
fn a_field_has_one_name_and_the_page_says_what_it_is() {
    let page = page();
    let fields: BTreeSet<String> = of_sources().into_values().flatten().collect();
    for field in &fields {
        assert!(page.contains(&format!("\n| `{field}` | ")), "{field} is not explained");
    }
    let explained = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let explained: Vec<_> = explained
        .filter(|(_, rest)| !rest.contains(" | "))
        .map(|(name, _)| name)
        .collect();
    assert!(!explained.is_empty());
    for name in explained {
        assert!(fields.contains(name), "no line has {name}");
    }
    // An error is told by its stable word too.
    for (kind, fields) in of_sources() {
        let tells_error = fields.contains("error_type") || fields.contains("outcome");
        assert!(kind.level != "error" || tells_error, "{kind:?}");
    }
}
