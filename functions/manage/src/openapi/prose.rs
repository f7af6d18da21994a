//! Doc comments as descriptions: the same words, without what only rustdoc understands.

/// A doc comment as CommonMark: a paragraph on each line, and no links into the code.
pub(super) fn prose(comment: &str) -> String {
    let paragraphs = comment.split("\n\n").map(|paragraph| {
        let lines: Vec<&str> = paragraph.lines().map(str::trim).collect();
        without_code_links(&lines.join(" "))
    });
    paragraphs.collect::<Vec<_>>().join("\n\n")
}

/// Links to items of the code become their text; links to pages stay.
fn without_code_links(mut text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    while let Some((before, link)) = text.split_once('[') {
        plain.push_str(before);
        let Some((label, rest)) = link.split_once(']') else {
            plain.push('[');
            text = link;
            continue;
        };
        let target = rest.strip_prefix('(').and_then(|rest| rest.split_once(')'));
        text = match target {
            Some((target, behind)) if target.starts_with("http") => {
                plain.push_str(&format!("[{label}]({target})"));
                behind
            }
            Some((_, behind)) => {
                plain.push_str(label);
                behind
            }
            None if label.starts_with('`') => {
                plain.push_str(label);
                rest
            }
            None => {
                plain.push_str(&format!("[{label}]"));
                rest
            }
        };
    }
    plain.push_str(text);
    plain
}

#[test]
fn links_into_the_code_become_text() {
    for (comment, expected) in [
        ("One\ntwo.\n\nThree.", "One two.\n\nThree."),
        (
            "See [`Self::check`] and [the whole](Self::called).",
            "See `Self::check` and the whole.",
        ),
        (
            "A [page](https://example.com/a) [of `it`](https://example.com).",
            "A [page](https://example.com/a) [of `it`](https://example.com).",
        ),
        ("`a[0]`, [b and [c", "`a[0]`, [b and [c"),
    ] {
        assert_eq!(prose(comment), expected);
    }
}
