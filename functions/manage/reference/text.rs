//! Texts of the document as HTML.

use maud::{Markup, PreEscaped, html};
use pulldown_cmark::{Event, Parser};
use serde_json::Value;

/// A text of the document; empty where there is none.
pub(crate) fn str_of<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// CommonMark as HTML. HTML within it is text.
pub(crate) fn markdown(text: &str) -> Markup {
    let events = Parser::new(text).map(|event| match event {
        Event::Html(html) | Event::InlineHtml(html) => Event::Text(html),
        other => other,
    });
    let mut rendered = String::new();
    pulldown_cmark::html::push_html(&mut rendered, events);
    PreEscaped(rendered)
}

/// The same without the paragraph around it.
pub(crate) fn inline(text: &str) -> Markup {
    let PreEscaped(rendered) = markdown(text);
    let rendered = rendered.trim();
    let single = rendered.strip_prefix("<p>").and_then(|rest| rest.strip_suffix("</p>"));
    match single {
        Some(single) if !single.contains("<p>") => PreEscaped(single.to_owned()),
        _ => PreEscaped(rendered.to_owned()),
    }
}

/// Words as code, with a text between them.
pub(crate) fn codes<T: AsRef<str>>(words: impl IntoIterator<Item = T>, between: &str) -> Markup {
    html! {
        @for (index, word) in words.into_iter().enumerate() {
            @if index > 0 { (between) }
            code { (word.as_ref()) }
        }
    }
}
