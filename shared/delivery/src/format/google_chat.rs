//! Cards for a [Google Chat webhook](https://developers.google.com/workspace/chat/quickstart/webhooks), as
//! [Cards v2](https://developers.google.com/workspace/chat/api/reference/rest/v1/cards).
//!
//! Foreign text never stands in the message's `text`, where `<users/all>` mentions everybody: it stands in the widgets of a card, as
//! [HTML](https://developers.google.com/workspace/chat/format-messages#card-formatting) in which all that means something is escaped. Where Google
//! reads no HTML (the header and the fallback of a notification), angle brackets are replaced by ones that mean nothing.

use http::HeaderValue;
use serde_json::{Value, json};

use super::digest::{Digest, Entry};
use super::notice::{Notice, Piece, WebLink};
use super::text::{Dialect, bytes};
use super::{Message, fitting};

const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/json; charset=UTF-8");

/// The [largest message](https://developers.google.com/workspace/chat/create-messages), in bytes.
const MAX_BYTES: usize = 32_000;

/// Keeps one entity's messages in one thread; a space without threads takes them all the same
/// ([reference](https://developers.google.com/workspace/chat/api/reference/rest/v1/spaces.messages/create#MessageReplyOption)).
const THREAD_QUERY: &str = "messageReplyOption=REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD";

/// What of the longest parts goes into one message, in bytes.
const MAX_HEADER: usize = 300;
const MAX_LEAD: usize = 4000;
const MAX_FACT: usize = 400;
const MAX_LABEL: usize = 200;
const MAX_VALUE: usize = 1200;

/// The same for one event of a digest.
const MAX_BRIEF: usize = 200;

/// Text in a widget, which is HTML.
const HTML: Dialect = Dialect {
    escape: |c| match c {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        '"' => Some("&quot;"),
        '\'' => Some("&#39;"),
        _ => None,
    },
    cost: bytes,
};

/// Text where there is no HTML.
const PLAIN: Dialect = Dialect {
    escape: |c| match c {
        '<' => Some("‹"),
        '>' => Some("›"),
        _ => None,
    },
    cost: bytes,
};

/// An event.
pub(super) fn event(notice: &Notice) -> Message {
    let lead = notice.lead();
    let title = PLAIN.write(&lead, MAX_HEADER);
    let lines: Vec<String> = notice
        .changes
        .iter()
        .map(|line| write_pieces(&line.pieces(), MAX_VALUE))
        .collect();
    let render = |shown: usize| {
        let mut sections = Vec::new();
        // A summary that the header cut or shows on one line stands below it.
        let is_long = title.chars().count() > 60;
        sections.extend(is_long.then(|| section(None, &[paragraph(&HTML.write(&lead, MAX_LEAD))])));
        let told: Vec<String> = lines[..shown].iter().cloned().chain(notice.more(shown)).collect();
        sections.extend((!told.is_empty()).then(|| section(Some("Changes"), &[paragraph(&told.join("<br>"))])));
        let warnings: Vec<String> = notice
            .warnings
            .iter()
            .map(|warning| HTML.write(warning, MAX_FACT))
            .collect();
        sections
            .extend((!warnings.is_empty()).then(|| section(Some("⚠️ Warnings"), &[paragraph(&warnings.join("<br>"))])));
        let facts = notice.facts.iter().map(|(label, value)| fact(label, value));
        let details: Vec<Value> = facts.chain(notice.link.as_ref().map(button)).collect();
        sections.extend((!details.is_empty()).then(|| section(None, &details)));
        body(
            &title,
            notice.subtitle().as_deref(),
            &sections,
            notice.thread.as_deref(),
        )
    };
    let query = notice.thread.as_ref().map(|_| THREAD_QUERY.to_owned());
    Message::chat(CONTENT_TYPE, fitting(lines.len(), render, fits), query)
}

/// Many events. They are of many entities, and in no thread.
pub(super) fn digest(digest: &Digest) -> Message {
    let entries: Vec<String> = digest.newest.iter().map(entry).collect();
    let types = digest
        .types
        .iter()
        .map(|(name, count)| format!("<b>{count}</b> × {}", HTML.write(name, MAX_FACT)));
    let types: Vec<String> = types.chain(digest.other_types()).collect();
    let render = |shown: usize| {
        let newest: Vec<String> = entries[..shown].iter().cloned().chain(digest.more(shown)).collect();
        let mut sections = Vec::new();
        sections.extend((!types.is_empty()).then(|| section(None, &[paragraph(&types.join("<br>"))])));
        sections.extend((!newest.is_empty()).then(|| section(Some("Newest"), &[paragraph(&newest.join("<br>"))])));
        body(&digest.lead(), digest.span().as_deref(), &sections, None)
    };
    Message::chat(CONTENT_TYPE, fitting(entries.len(), render, fits), None)
}

fn fits(body: &str) -> bool {
    body.len() <= MAX_BYTES
}

fn body(title: &str, subtitle: Option<&str>, sections: &[Value], thread: Option<&str>) -> String {
    let mut header = json!({ "title": title });
    let mut fallback = title.to_owned();
    if let Some(subtitle) = subtitle {
        let subtitle = PLAIN.write(subtitle, MAX_HEADER);
        fallback = format!("{title} · {subtitle}");
        header["subtitle"] = Value::String(subtitle);
    }
    let mut message = json!({
        "fallbackText": fallback,
        "cardsV2": [{ "cardId": "event", "card": { "header": header, "sections": sections } }],
    });
    if let Some(key) = thread {
        message["thread"] = json!({ "threadKey": key });
    }
    message.to_string()
}

fn section(header: Option<&str>, widgets: &[Value]) -> Value {
    match header {
        Some(header) => json!({ "header": header, "widgets": widgets }),
        None => json!({ "widgets": widgets }),
    }
}

/// A paragraph of text that is HTML already.
fn paragraph(html: &str) -> Value {
    json!({ "textParagraph": { "text": html } })
}

fn fact(label: &str, value: &str) -> Value {
    json!({ "decoratedText": { "topLabel": label, "text": HTML.write(value, MAX_FACT), "wrapText": true } })
}

fn button(link: &WebLink) -> Value {
    let text = format!("Open {}", link.host);
    json!({ "buttonList": { "buttons": [{ "text": text, "onClick": { "openLink": { "url": link.url } } }] } })
}

/// One event of a digest.
fn entry(entry: &Entry) -> String {
    let changes = entry.changes();
    let mut line = format!("{} <b>{}</b>", entry.time, HTML.write(&entry.notice.lead(), MAX_HEADER));
    if !changes.is_empty() {
        line.push_str(" — ");
        line.push_str(&write_pieces(&changes, MAX_BRIEF));
    }
    line
}

fn write_pieces(pieces: &[Piece<'_>], most: usize) -> String {
    let write = |piece: &Piece<'_>| match *piece {
        Piece::Ours(text) => text.to_owned(),
        Piece::Label(text) => format!("<b>{}</b>", HTML.write(text, MAX_LABEL)),
        Piece::Value(text) => HTML.write(text, most),
        Piece::Current(text) => format!("<b>{}</b>", HTML.write(text, most)),
    };
    pieces.iter().map(write).collect()
}
