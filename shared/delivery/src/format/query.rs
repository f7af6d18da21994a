//! The common payload as parameters of a URL, for destinations that take a GET.

use std::borrow::Cow;

use payload::Event;
use payload::event::BrokenEvent;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// The longest query that is added to a destination, in bytes. API Gateway takes 10,240 bytes of request line and headers, many servers 8,192.
pub const MAX_QUERY_BYTES: usize = 6 * 1024;

/// What says that fields were left out.
const TRUNCATED: &str = "truncated=true";

/// All but the unreserved characters of [RFC 3986, section 2.3](https://www.rfc-editor.org/rfc/rfc3986#section-2.3): no reader takes any of it
/// for a delimiter, and no URL library changes a byte of it.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The flat fields of an event as a query. What does not fit is left out, each field as a whole, those of `data` first.
pub(super) fn render(event: &Event) -> Result<String, BrokenEvent> {
    let data = event.flat_data()?;
    let meta = meta_fields(event).map(|(name, value)| (Cow::Borrowed(name), value));
    let data_fields = data
        .fields
        .iter()
        .map(|(name, value)| (Cow::Borrowed(name.as_str()), Cow::Borrowed(value.as_str())));
    let mut query = String::new();
    let mut complete = data.complete;
    for (name, value) in meta.chain(data_fields) {
        // Nothing that long fits, and it need not be encoded to know that.
        let fits = name.len() + value.len() < MAX_QUERY_BYTES && {
            let parameter = format!(
                "{}={}",
                utf8_percent_encode(&name, ENCODED),
                utf8_percent_encode(&value, ENCODED)
            );
            let fits = query.len() + parameter.len() + TRUNCATED.len() + 2 <= MAX_QUERY_BYTES;
            if fits {
                push(&mut query, &parameter);
            }
            fits
        };
        complete &= fits;
    }
    if !complete {
        push(&mut query, TRUNCATED);
    }
    Ok(query)
}

fn push(query: &mut String, parameter: &str) {
    if !query.is_empty() {
        query.push('&');
    }
    query.push_str(parameter);
}

/// The fields but `data`, those first without which there is no event.
fn meta_fields(event: &Event) -> impl Iterator<Item = (&'static str, Cow<'_, str>)> {
    let meta = &event.meta;
    let source = meta.source.as_ref();
    let entity = meta.entity.as_ref();
    let scope = meta.scope.as_ref();
    let text = |text: &Option<String>| text.clone().map(Cow::<str>::Owned);
    [
        ("id", Some(Cow::Borrowed(meta.id.as_str()))),
        ("type", Some(Cow::Borrowed(meta.event_type.as_str()))),
        ("timestamp", Some(Cow::Owned(meta.timestamp.to_string()))),
        ("source.id", source.map(|source| Cow::Borrowed(source.id.as_str()))),
        ("source.name", source.map(|source| Cow::Borrowed(source.name.as_str()))),
        (
            "source.provider",
            source.map(|source| Cow::Borrowed(source.provider.as_str())),
        ),
        ("providerEventId", text(&meta.provider_event_id)),
        ("entity.type", entity.and_then(|entity| text(&entity.kind))),
        ("entity.subtype", entity.and_then(|entity| text(&entity.subtype))),
        ("entity.id", entity.and_then(|entity| text(&entity.id))),
        ("action", text(&meta.action)),
        ("category", text(&meta.category)),
        ("application", text(&meta.application)),
        ("scope.pool", scope.and_then(|scope| text(&scope.pool))),
        ("scope.station", scope.and_then(|scope| text(&scope.station))),
        ("scope.organization", scope.and_then(|scope| text(&scope.organization))),
        ("actor", text(&meta.actor)),
        ("summary", text(&meta.summary)),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
}
