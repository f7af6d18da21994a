//! Messages for a [Microsoft Teams workflow](https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/add-incoming-webhook):
//! one [Adaptive Card 1.4](https://adaptivecards.io/explorer/AdaptiveCard.html).
//!
//! A `TextBlock` and a `FactSet` read markdown; a `TextRun` in a `RichTextBlock` reads nothing. All foreign text stands in text runs, and
//! without a list of mentions beside the card `<at>` is a word like any other. Some readers still put a local time in the place of
//! `{{DATE(…)}}` there, so two braces never stand side by side.

use serde_json::{Value, json};

use super::digest::{Digest, Entry};
use super::notice::{Notice, Piece, WebLink};
use super::text::{Dialect, bytes};
use super::{JSON, Message, fitting};

/// The largest message, in bytes. Teams takes 28 KB
/// ([limits](https://learn.microsoft.com/en-us/microsoftteams/limits-specifications-teams)), of which the workflow needs a part.
const MAX_BYTES: usize = 20_000;

/// What of the longest parts goes into one message, in bytes.
const MAX_LEAD: usize = 2000;
const MAX_SUBTITLE: usize = 400;
const MAX_FACT: usize = 300;
const MAX_LABEL: usize = 200;
const MAX_VALUE: usize = 700;

/// The same for one event of a digest.
const MAX_BRIEF: usize = 120;
const MAX_BRIEF_LEAD: usize = 300;

const TEAMS: Dialect = Dialect {
    // A word joiner, which nobody sees.
    escape: |c| (c == '{').then_some("{\u{2060}"),
    cost: bytes,
};

/// An event.
pub(super) fn event(notice: &Notice) -> Message {
    let lead = lead(&TEAMS.write(&notice.lead(), MAX_LEAD));
    let lines: Vec<Value> = notice
        .changes
        .iter()
        .map(|line| paragraph(&write_pieces(&line.pieces(), MAX_VALUE)))
        .collect();
    let render = |shown: usize| {
        let mut elements = vec![lead.clone()];
        elements.extend(
            notice
                .subtitle()
                .map(|subtitle| paragraph(&[subtle(&TEAMS.write(&subtitle, MAX_SUBTITLE))])),
        );
        elements.extend(lines[..shown].iter().cloned());
        elements.extend(notice.more(shown).map(|more| paragraph(&[subtle(&more)])));
        elements.extend(
            notice
                .warnings
                .iter()
                .map(|text| paragraph(&[warning(&TEAMS.write(text, MAX_FACT))])),
        );
        let facts = notice.facts.iter().map(|(label, value)| {
            let runs = [subtle(&format!("{label}: ")), run(&TEAMS.write(value, MAX_FACT))];
            small(&paragraph(&runs))
        });
        elements.extend(facts);
        body(&elements, notice.link.as_ref())
    };
    Message::chat(JSON, fitting(lines.len(), render, fits), None)
}

/// Many events.
pub(super) fn digest(digest: &Digest) -> Message {
    let entries: Vec<Value> = digest.newest.iter().map(entry).collect();
    let types: Vec<Value> = digest
        .types
        .iter()
        .map(|(name, count)| paragraph(&[bold(&format!("{count} × ")), run(&TEAMS.write(name, MAX_FACT))]))
        .collect();
    let render = |shown: usize| {
        let mut elements = vec![lead(&digest.lead())];
        elements.extend(digest.span().map(|span| paragraph(&[subtle(&span)])));
        elements.extend(types.iter().cloned());
        elements.extend(digest.other_types().map(|others| paragraph(&[subtle(&others)])));
        elements.extend(entries[..shown].iter().cloned());
        elements.extend(digest.more(shown).map(|more| paragraph(&[subtle(&more)])));
        body(&elements, None)
    };
    Message::chat(JSON, fitting(entries.len(), render, fits), None)
}

fn fits(body: &str) -> bool {
    body.len() <= MAX_BYTES
}

fn body(elements: &[Value], link: Option<&WebLink>) -> String {
    let mut card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": elements,
    });
    if let Some(link) = link {
        card["actions"] =
            json!([{ "type": "Action.OpenUrl", "title": format!("Open {}", link.host), "url": link.url }]);
    }
    json!({
        "type": "message",
        "attachments": [{ "contentType": "application/vnd.microsoft.card.adaptive", "content": card }],
    })
    .to_string()
}

fn paragraph(runs: &[Value]) -> Value {
    json!({ "type": "RichTextBlock", "inlines": runs })
}

/// A paragraph that stands closer to the one before it.
fn small(paragraph: &Value) -> Value {
    let mut small = paragraph.clone();
    small["spacing"] = json!("Small");
    small
}

fn lead(text: &str) -> Value {
    paragraph(&[json!({ "type": "TextRun", "text": text, "size": "Large", "weight": "Bolder" })])
}

fn run(text: &str) -> Value {
    json!({ "type": "TextRun", "text": text })
}

fn bold(text: &str) -> Value {
    json!({ "type": "TextRun", "text": text, "weight": "Bolder" })
}

fn subtle(text: &str) -> Value {
    json!({ "type": "TextRun", "text": text, "isSubtle": true })
}

fn warning(text: &str) -> Value {
    json!({ "type": "TextRun", "text": format!("⚠️ {text}"), "color": "Warning" })
}

/// One event of a digest.
fn entry(entry: &Entry) -> Value {
    let mut runs = vec![
        subtle(&format!("{} ", entry.time)),
        bold(&TEAMS.write(&entry.notice.lead(), MAX_BRIEF_LEAD)),
    ];
    let changes = entry.changes();
    if !changes.is_empty() {
        runs.push(run(" — "));
        runs.extend(write_pieces(&changes, MAX_BRIEF));
    }
    paragraph(&runs)
}

/// The pieces as text runs, as few as their looks allow.
fn write_pieces(pieces: &[Piece<'_>], most: usize) -> Vec<Value> {
    let mut texts: Vec<(bool, String)> = Vec::new();
    for piece in pieces {
        let (is_bold, text) = match *piece {
            Piece::Ours(text) => (false, text.to_owned()),
            Piece::Label(text) => (true, TEAMS.write(text, MAX_LABEL)),
            Piece::Value(text) => (false, TEAMS.write(text, most)),
            Piece::Current(text) => (true, TEAMS.write(text, most)),
        };
        match texts.last_mut() {
            Some((was_bold, before)) if *was_bold == is_bold => before.push_str(&text),
            _ => texts.push((is_bold, text)),
        }
    }
    texts
        .iter()
        .map(|(is_bold, text)| if *is_bold { bold(text) } else { run(text) })
        .collect()
}
