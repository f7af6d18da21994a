//! Messages for a [Slack incoming webhook](https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks), in
//! [Block Kit](https://docs.slack.dev/reference/block-kit/blocks).
//!
//! Foreign text stands in objects of the type `plain_text` only, in which Slack reads no mrkdwn, and with `&`, `<` and `>`
//! [escaped](https://docs.slack.dev/messaging/formatting-message-text#escaping) there too: `<!channel>`, `<@U…>`, links and formatting are what
//! they look like, and nothing more. The one mrkdwn text is ours: the link, with a URL that was parsed and a host that is ASCII.

use serde_json::{Value, json};

use super::digest::{Digest, Entry};
use super::notice::{Notice, Piece, WebLink};
use super::text::{Dialect, units};
use super::{JSON, Message, fitting};

/// The most characters of the whole message: what Slack refuses lies a little above 13,000.
const MAX_UNITS: usize = 13_000;

/// The most characters of a [header](https://docs.slack.dev/reference/block-kit/blocks/header-block).
const MAX_HEADER: usize = 150;

/// The most characters of the text of a [section](https://docs.slack.dev/reference/block-kit/blocks/section-block).
const MAX_SECTION: usize = 3000;

/// The most elements of a [context](https://docs.slack.dev/reference/block-kit/blocks/context-block).
const MAX_ELEMENTS: usize = 10;

/// What of the longest parts goes into one message, so that all of them together leave room for changes.
const MAX_LEAD: usize = 1500;
const MAX_FALLBACK: usize = 300;
const MAX_FACT: usize = 150;
const MAX_WARNING: usize = 200;
const MAX_LINK: usize = 2000;
const MAX_LABEL: usize = 100;
const MAX_VALUE: usize = 600;

/// The same for one event of a digest.
const MAX_BRIEF: usize = 80;

const SLACK: Dialect = Dialect {
    escape: |c| match c {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        _ => None,
    },
    cost: units,
};

/// An event.
pub(super) fn event(notice: &Notice) -> Message {
    let lead = notice.lead();
    let header = SLACK.write(&lead, MAX_HEADER);
    let whole = SLACK.write(&lead, MAX_LEAD);
    let lines: Vec<String> = notice
        .changes
        .iter()
        .map(|line| write_pieces(&line.pieces(), MAX_VALUE))
        .collect();
    let render = |shown: usize| {
        let mut blocks = vec![block("header", &header)];
        // A summary that the header cut stands below it.
        blocks.extend((whole != header).then(|| block("section", &whole)));
        blocks.extend(
            notice
                .subtitle()
                .map(|subtitle| block("section", &SLACK.write(&subtitle, MAX_FALLBACK))),
        );
        let told = lines[..shown].iter().cloned().chain(notice.more(shown));
        blocks.extend(sections(told));
        let warnings = notice
            .warnings
            .iter()
            .map(|warning| format!("⚠️ {}", SLACK.write(warning, MAX_WARNING)));
        blocks.extend(sections(warnings));
        blocks.extend(notice.link.as_ref().and_then(link));
        let facts = notice
            .facts
            .iter()
            .map(|(label, value)| format!("{label}: {}", SLACK.write(value, MAX_FACT)));
        blocks.extend(contexts(&facts.collect::<Vec<_>>()));
        let fallback = [Some(lead.clone()), notice.subtitle()]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" · ");
        body(&SLACK.write(&fallback, MAX_FALLBACK), &blocks)
    };
    Message::chat(JSON, fitting(lines.len(), render, fits), None)
}

/// Many events.
pub(super) fn digest(digest: &Digest) -> Message {
    let entries: Vec<String> = digest.newest.iter().map(entry).collect();
    let types = digest
        .types
        .iter()
        .map(|(name, count)| format!("{count} × {}", SLACK.write(name, MAX_FACT)));
    let types: Vec<String> = types.chain(digest.other_types()).collect();
    let render = |shown: usize| {
        let mut blocks = vec![block("header", &digest.lead())];
        blocks.extend(contexts(&digest.span().into_iter().collect::<Vec<_>>()));
        blocks.extend(sections(types.iter().cloned()));
        blocks.extend((shown > 0).then(|| json!({ "type": "divider" })));
        blocks.extend(sections(entries[..shown].iter().cloned().chain(digest.more(shown))));
        let fallback = [Some(digest.lead()), digest.span()]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" · ");
        body(&fallback, &blocks)
    };
    Message::chat(JSON, fitting(entries.len(), render, fits), None)
}

fn fits(body: &str) -> bool {
    body.encode_utf16().count() <= MAX_UNITS
}

fn body(fallback: &str, blocks: &[Value]) -> String {
    json!({
        "text": fallback,
        // The fallback is no mrkdwn either, and what stands in an event is not fetched for a preview.
        "mrkdwn": false,
        "unfurl_links": false,
        "unfurl_media": false,
        "blocks": blocks,
    })
    .to_string()
}

/// A block with one text, which is written already.
fn block(kind: &str, text: &str) -> Value {
    json!({ "type": kind, "text": plain(text) })
}

fn plain(text: &str) -> Value {
    json!({ "type": "plain_text", "text": text, "emoji": false })
}

/// Lines in as few sections as they fit into.
fn sections(lines: impl Iterator<Item = String>) -> Vec<Value> {
    let mut texts: Vec<String> = Vec::new();
    for line in lines {
        match texts.last_mut() {
            Some(text) if cost(text) + 1 + cost(&line) <= MAX_SECTION => {
                text.push('\n');
                text.push_str(&line);
            }
            _ => texts.push(line),
        }
    }
    texts.iter().map(|text| block("section", text)).collect()
}

fn cost(text: &str) -> usize {
    text.chars().map(units).sum()
}

fn contexts(texts: &[String]) -> Vec<Value> {
    let context = |texts: &[String]| {
        let elements: Vec<Value> = texts.iter().map(|text| plain(text)).collect();
        json!({ "type": "context", "elements": elements })
    };
    texts.chunks(MAX_ELEMENTS).map(context).collect()
}

/// The link; nothing where it is one of nearly nothing but what has to be escaped.
fn link(link: &WebLink) -> Option<Value> {
    let text = format!("<{}|Open {}>", link.url.replace('&', "&amp;"), link.host);
    (cost(&text) <= MAX_LINK)
        .then(|| json!({ "type": "section", "text": { "type": "mrkdwn", "text": text, "verbatim": true } }))
}

/// One event of a digest: `03-25 13:31:00 Live audio 328350 updated — state: notLive → live`.
fn entry(entry: &Entry) -> String {
    let changes = entry.changes();
    let mut line = format!("{} {}", entry.time, SLACK.write(&entry.notice.lead(), MAX_HEADER));
    if !changes.is_empty() {
        line.push_str(" — ");
        line.push_str(&write_pieces(&changes, MAX_BRIEF));
    }
    line
}

fn write_pieces(pieces: &[Piece<'_>], most: usize) -> String {
    let write = |piece: &Piece<'_>| match *piece {
        Piece::Ours(text) => text.to_owned(),
        Piece::Label(text) => SLACK.write(text, MAX_LABEL),
        Piece::Value(text) | Piece::Current(text) => SLACK.write(text, most),
    };
    pieces.iter().map(write).collect()
}
