//! What people are told of an event, the same for every chat: a headline, what changed, the circumstances, a link.

use payload::Event;
use payload::change::{ReadableChange, ReadableChanges};
use payload::event::{Entity, EventMeta, Locales};
use payload::id::token_hash;
use url::Url;

use super::status::{Meaning, Signal, meaning};
use super::text::{cleaned, is_right_to_left};

/// The longest headline or summary that a renderer ever looks at, in characters: every platform takes less.
const MAX_CHARS: usize = 5000;

/// The longest address of a link, in bytes; Slack takes 3,000 characters for a whole text.
const MAX_LINK_BYTES: usize = 1000;

/// The most warnings that are told one by one.
const MAX_WARNINGS: usize = 3;

/// The most languages, and names of what changed without a value, that are told one by one.
const MAX_NAMES: usize = 20;

/// What stands for a title of which nothing is left.
const UNTITLED: &str = "Event";

/// An event as people read it. Its texts are foreign: each renderer writes them through its dialect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Notice {
    /// How good the news is, where a change of status says so.
    pub(super) signal: Option<Signal>,
    /// What leads: the provider's summary, or the title where it has none. Never empty.
    pub(super) headline: String,
    /// Type, id and action of the entity, where a summary leads.
    pub(super) title: Option<String>,
    /// The source's name; `None` for what was published through the API.
    pub(super) source: Option<String>,
    /// What changed, the first of it first.
    pub(super) changes: Vec<Line>,
    /// How many changes there are beyond these.
    pub(super) changes_left_out: usize,
    /// Breaches of the provider's own rules, and what stands for those that are not told.
    pub(super) warnings: Vec<String>,
    /// Where people can see more.
    pub(super) link: Option<WebLink>,
    /// The circumstances: our labels, and values that are never empty.
    pub(super) facts: Vec<(&'static str, String)>,
    /// What is the same for all events of one entity, and says nothing about it.
    pub(super) thread: Option<String>,
}

/// A link to a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WebLink {
    /// The address: http or https, without user and password.
    pub(super) url: String,
    /// Whose page it is, so that nobody has to click to find out.
    pub(super) host: String,
}

/// One line on something that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// What changed.
    label: String,
    before: Option<String>,
    after: Option<String>,
    meaning: Option<&'static str>,
}

/// A part of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// Our own words, which need no escaping.
    Ours(&'a str),
    /// What changed.
    Label(&'a str),
    /// A value.
    Value(&'a str),
    /// The value that holds now.
    Current(&'a str),
}

impl Notice {
    pub(super) fn of(event: &Event) -> Self {
        let meta = &event.meta;
        let ReadableChanges { list, left_out } = event.readable_changes();
        let meanings: Vec<Option<Meaning>> = list.iter().map(meaning).collect();
        let title = title(meta);
        let summary = non_empty(meta.summary.as_deref());
        Self {
            signal: meanings.iter().flatten().filter_map(|meaning| meaning.signal).max(),
            title: summary.is_some().then(|| title.clone()),
            headline: summary.unwrap_or(title),
            source: meta.source.as_ref().and_then(|source| non_empty(Some(&source.name))),
            changes: lines(&list, &meanings),
            changes_left_out: left_out,
            warnings: warnings(&meta.warnings),
            link: link(meta),
            facts: facts(meta),
            thread: thread(event),
        }
    }

    /// The headline with its sign.
    pub(super) fn lead(&self) -> String {
        format!("{}{}", self.signal.map_or("", Signal::sign), self.headline)
    }

    /// What stands below the headline: the title, where a summary leads, and the source.
    pub(super) fn subtitle(&self) -> Option<String> {
        let parts: Vec<&str> = [&self.title, &self.source]
            .into_iter()
            .flatten()
            .map(String::as_str)
            .collect();
        (!parts.is_empty()).then(|| parts.join(" · "))
    }

    /// The line that stands for the changes beyond the first `shown`.
    pub(super) fn more(&self, shown: usize) -> Option<String> {
        let more = self.changes.len() - shown + self.changes_left_out;
        (more > 0).then(|| format!("and {more} more"))
    }
}

impl Line {
    /// The line: `state: notLive → live (is live now)`.
    pub(super) fn pieces(&self) -> Vec<Piece<'_>> {
        let mut pieces = vec![Piece::Label(&self.label)];
        let apart = |pieces: &mut Vec<_>, text, piece| {
            // A text from right to left would turn the arrow's meaning around: it is set apart (Unicode UAX #9, isolates).
            let isolate = is_right_to_left(text);
            pieces.extend(isolate.then_some(Piece::Ours("\u{2068}")));
            pieces.push(piece);
            pieces.extend(isolate.then_some(Piece::Ours("\u{2069}")));
        };
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => {
                pieces.push(Piece::Ours(": "));
                apart(&mut pieces, before, Piece::Value(before));
                pieces.push(Piece::Ours(" → "));
                apart(&mut pieces, after, Piece::Current(after));
            }
            (None, Some(after)) => {
                pieces.push(Piece::Ours(": "));
                apart(&mut pieces, after, Piece::Current(after));
            }
            (Some(before), None) => {
                pieces.push(Piece::Ours(": was "));
                apart(&mut pieces, before, Piece::Value(before));
            }
            (None, None) => {}
        }
        if let Some(meaning) = self.meaning {
            pieces.extend([Piece::Ours(" ("), Piece::Ours(meaning), Piece::Ours(")")]);
        }
        pieces
    }
}

/// Type and id of the entity, and what happened to it: `Live audio 328350 updated`; the event's type where it names no entity.
fn title(meta: &EventMeta) -> String {
    let entity = meta.entity.as_ref();
    let part = |part: fn(&Entity) -> &Option<String>| non_empty(entity.and_then(|entity| part(entity).as_deref()));
    let (kind, subtype, id) = (part(|e| &e.kind), part(|e| &e.subtype), part(|e| &e.id));
    if kind.is_none() && id.is_none() {
        return non_empty(Some(&meta.event_type)).unwrap_or_else(|| UNTITLED.to_owned());
    }
    let kind = kind.map(|kind| in_words(&kind));
    let subtype = subtype.map(|subtype| format!("({subtype})"));
    let action = non_empty(meta.action.as_deref()).map(|action| in_words(&action));
    capitalised(
        &[kind, subtype, id, action]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" "),
    )
}

/// A term of machines as words: `live.audio` is `live audio`.
fn in_words(term: &str) -> String {
    term.replace(['.', '_'], " ")
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// What of a foreign text can be read, if that is anything.
pub(super) fn non_empty(text: Option<&str>) -> Option<String> {
    Some(cleaned(text?, MAX_CHARS)).filter(|text| !text.is_empty())
}

/// A line for each change with a value, those first whose meaning is known, and then one for each kind of those without.
fn lines(changes: &[ReadableChange], meanings: &[Option<Meaning>]) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut named: Vec<(&str, Vec<&str>)> = Vec::new();
    for (change, meaning) in changes.iter().zip(meanings) {
        if change.previous.is_none() && change.current.is_none() {
            match named.iter_mut().find(|(kind, _)| *kind == change.kind) {
                Some((_, codes)) => codes.push(&change.code),
                None => named.push((&change.kind, vec![&change.code])),
            }
            continue;
        }
        let label = match (change.kind.as_str(), change.code.as_str()) {
            ("field", code) => code.to_owned(),
            (kind, code) if kind == code => code.to_owned(),
            ("status", code) => format!("{code} status"),
            (kind, code) => format!("{kind} {code}"),
        };
        let value = |value: &Option<String>| {
            value
                .as_deref()
                .map(|text| non_empty(Some(text)).unwrap_or_else(|| "(empty)".to_owned()))
        };
        lines.push(Line {
            label: non_empty(Some(&label)).unwrap_or_else(|| "(unnamed)".to_owned()),
            before: value(&change.previous),
            after: value(&change.current),
            meaning: meaning.map(|meaning| meaning.words),
        });
    }
    // What people wait for is told first.
    lines.sort_by_key(|line| line.meaning.is_none());
    lines.extend(named.into_iter().map(|(kind, codes)| Line {
        label: non_empty(Some(kind)).unwrap_or_else(|| "changed".to_owned()),
        before: None,
        after: Some(names(codes.into_iter())),
        meaning: None,
    }));
    lines
}

/// Names in a row: the first of them, and how many more.
fn names<'a>(all: impl ExactSizeIterator<Item = &'a str>) -> String {
    let more = all.len().saturating_sub(MAX_NAMES);
    let mut shown: Vec<String> = all.take(MAX_NAMES).filter_map(|name| non_empty(Some(name))).collect();
    if more > 0 {
        shown.push(format!("and {more} more"));
    }
    if shown.is_empty() {
        "(unnamed)".to_owned()
    } else {
        shown.join(", ")
    }
}

fn warnings(all: &[String]) -> Vec<String> {
    let mut told: Vec<String> = all
        .iter()
        .take(MAX_WARNINGS)
        .filter_map(|warning| non_empty(Some(warning)))
        .collect();
    let more = all.len().saturating_sub(MAX_WARNINGS);
    if more > 0 {
        told.push(format!("and {more} more warnings"));
    }
    told
}

/// The page for people, if the provider says which one that is, or the first link to the web.
fn link(meta: &EventMeta) -> Option<WebLink> {
    let is_page = |rel: &Option<String>| {
        rel.as_deref()
            .is_some_and(|rel| matches!(rel, "html" | "alternate" | "web"))
    };
    let (pages, others): (Vec<_>, Vec<_>) = meta.links.iter().partition(|link| is_page(&link.rel));
    pages.into_iter().chain(others).find_map(|link| {
        let url = Url::parse(&link.href).ok()?;
        // A URL's host may hold nearly any ASCII; a page's is a name of letters, digits and hyphens (RFC 1123, section 2.1).
        let is_name =
            |host: &&str| host.len() <= 100 && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b));
        let host = url.host_str().filter(is_name)?.to_owned();
        let is_web = matches!(url.scheme(), "http" | "https");
        // A user name before the host is how one host passes for another.
        let is_plain = url.username().is_empty() && url.password().is_none();
        // No parser leaves these in a URL as they are, and Slack gives `|` a meaning.
        let url = url
            .as_str()
            .replace('|', "%7C")
            .replace('<', "%3C")
            .replace('>', "%3E")
            .replace('"', "%22");
        (is_web && is_plain && url.len() <= MAX_LINK_BYTES).then_some(WebLink { url, host })
    })
}

fn facts(meta: &EventMeta) -> Vec<(&'static str, String)> {
    let source = meta.source.as_ref();
    let scope = meta.scope.as_ref();
    let kind = meta.entity.as_ref().and_then(|entity| entity.kind.as_ref());
    // Where the category is the entity's type, it has been said.
    let category = meta.category.as_ref().filter(|category| Some(*category) != kind);
    let languages = meta.locales.as_ref().and_then(languages);
    [
        ("Type", Some(meta.event_type.as_str())),
        ("Provider", source.map(|source| source.provider.as_str())),
        (
            "Time",
            Some(meta.timestamp.strftime("%Y-%m-%d %H:%M:%S UTC").to_string().as_str()),
        ),
        ("By", meta.actor.as_deref()),
        ("Application", meta.application.as_deref()),
        ("Category", category.map(String::as_str)),
        ("Pool", scope.and_then(|scope| scope.pool.as_deref())),
        ("Station", scope.and_then(|scope| scope.station.as_deref())),
        ("Organization", scope.and_then(|scope| scope.organization.as_deref())),
        ("Languages", languages.as_deref()),
        ("Event", Some(meta.id.as_str())),
    ]
    .into_iter()
    .filter_map(|(label, value)| Some((label, non_empty(value)?)))
    .collect()
}

/// `fr_FR, de_DE (inherited: en_GB)`.
fn languages(locales: &Locales) -> Option<String> {
    let list = |all: &[String]| (!all.is_empty()).then(|| names(all.iter().map(String::as_str)));
    match (list(&locales.updated), list(&locales.inherited)) {
        (Some(updated), Some(inherited)) => Some(format!("{updated} (inherited: {inherited})")),
        (Some(updated), None) => Some(updated),
        (None, Some(inherited)) => Some(format!("inherited: {inherited}")),
        (None, None) => None,
    }
}

/// The thread of an entity: a hash over what names it, each part with its length, so that no two entities run together.
fn thread(event: &Event) -> Option<String> {
    let entity = event.meta.entity.as_ref()?;
    let id = entity.id.as_deref()?;
    let source = event.meta.source.as_ref().map_or("", |source| source.id.as_str());
    let parts = [
        event.organization.as_str(),
        source,
        entity.kind.as_deref().unwrap_or_default(),
        id,
    ];
    Some(token_hash(&parts.map(|part| format!("{}:{part}", part.len())).concat()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;

    fn line(label: &str, before: Option<&str>, after: Option<&str>, meaning: Option<&'static str>) -> String {
        let line = Line {
            label: label.into(),
            before: before.map(Into::into),
            after: after.map(Into::into),
            meaning,
        };
        let text = |piece: &Piece<'_>| match *piece {
            Piece::Ours(text) | Piece::Label(text) | Piece::Value(text) | Piece::Current(text) => text.to_owned(),
        };
        line.pieces().iter().map(text).collect()
    }

    #[test]
    fn a_line_says_what_was_and_what_is() {
        assert_eq!(line("a", Some("1"), Some("2"), None), "a: 1 → 2");
        assert_eq!(line("a", None, Some("2"), None), "a: 2");
        assert_eq!(line("a", Some("1"), None, None), "a: was 1");
        assert_eq!(
            line("main", Some("up"), Some("down"), Some("went down")),
            "main: up → down (went down)"
        );
        assert_eq!(line("a", Some("ישן"), Some("x"), None), "a: \u{2068}ישן\u{2069} → x");
    }

    #[test]
    fn names_are_counted_beyond_the_first() {
        let many: Vec<String> = (0..25).map(|n| n.to_string()).collect();
        assert!(names(many.iter().map(String::as_str)).ends_with("19, and 5 more"));
        assert_eq!(names([""].into_iter()), "(unnamed)");
        assert_eq!(capitalised("ßa"), "SSa");
    }
}
