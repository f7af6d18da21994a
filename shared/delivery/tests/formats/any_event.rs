//! Events that nobody would send, and somebody will.

use std::collections::BTreeMap;

use jiff::Timestamp;
use payload::event::{Change, Content, Entity, EventMeta, Link, Locales, Scope, SourceRef};
use payload::id::Identity;
use payload::{Event, EventId, ReceiptId};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use serde_json::Value;

/// What means something to somebody.
pub(crate) const HOSTILE: &[&str] = &[
    "<!channel>",
    "<!here|x>",
    "<@U012AB3CD>",
    "<https://evil.example|click>",
    "<users/all>",
    "<at>Everybody</at>",
    "[x](javascript:alert(1))",
    "*bold* _it_ ~no~ `code`",
    "<b>&amp;</b><br>",
    "<a href=\"https://evil.example\">x</a>",
    "&lt;!channel&gt;",
    "\u{202e}gnirts\u{2066}\u{200f}",
    "line\r\nline\u{2028}\u{85}line\tx\u{0}\u{1b}[31m",
    "שלום עולם",
    "👩‍👩‍👧‍👦🏳️‍🌈",
    "\\\"\\u003c!channel>",
    "\u{feff}\u{fffe}\u{1ffff}",
    "]] && ]]> ${x} {{x}} %3C",
    "active",
    "down",
    "",
    " ",
];

pub(crate) fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        40 => proptest::sample::select(HOSTILE).prop_map(str::to_owned),
        20 => ".{0,60}",
        20 => any::<String>(),
        20 => vec(proptest::sample::select(HOSTILE), 1..40).prop_map(|parts| parts.concat()),
        2 => (proptest::sample::select(HOSTILE), 1_usize..300_000)
            .prop_map(|(part, length)| part.repeat(length / part.len().max(1))),
        1 => proptest::sample::select(&["&", "<", "\"", "\\", "😀", "é", "א", "'"][..]).prop_map(|part| part.repeat(100_000)),
    ]
}

fn maybe() -> impl Strategy<Value = Option<String>> {
    option::of(text())
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        text().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map(text().prop_map(short), inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn short(text: String) -> String {
    text.chars().take(300).collect()
}

fn object() -> impl Strategy<Value = String> {
    let few = btree_map(text().prop_map(short), json(), 0..5);
    let many = (0_usize..200, text()).prop_map(|(count, value)| {
        let value: String = value.chars().take(2000).collect();
        (0..count)
            .map(|n| (format!("f{n}"), Value::from(value.as_str())))
            .collect::<BTreeMap<_, _>>()
    });
    prop_oneof![few, many].prop_map(|members| serde_json::to_string(&members).unwrap())
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let kind = prop_oneof![
        Just("status".to_owned()),
        Just("field".to_owned()),
        text().prop_map(short)
    ];
    let code = prop_oneof![
        Just("failover".to_owned()),
        Just("state".to_owned()),
        text().prop_map(short)
    ];
    let change = (kind, code, maybe(), maybe())
        .prop_map(|(kind, code, previous, current)| Change {
            kind,
            code,
            previous,
            current,
        })
        .boxed();
    prop_oneof![
        4 => vec(change.clone(), 0..6),
        1 => (change, 50_usize..200).prop_map(|(change, count)| std::iter::repeat_n(change, count).collect()),
    ]
}

fn links() -> impl Strategy<Value = Vec<Link>> {
    let href = prop_oneof![
        text(),
        text().prop_map(|text| format!("https://example.com/{text}?a=b|c&d=<e>\"f\\")),
        text().prop_map(|text| format!("https://{}.example", short(text))),
        Just(format!("https://example.com/?{}", "&".repeat(950))),
        Just("javascript:alert(1)".to_owned()),
        Just("ms-teams://example.com/run".to_owned()),
        Just("https://slack.com@evil.example/".to_owned()),
        Just("/relative".to_owned()),
    ];
    let rel = prop_oneof![Just(None), Just(Some("html".to_owned())), maybe()];
    vec((rel, href).prop_map(|(rel, href)| Link { rel, href }), 0..4)
}

fn time() -> impl Strategy<Value = Timestamp> {
    let (first, last) = (Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
    prop_oneof![0_i64..2_000_000_000, first..=last].prop_map(|second| Timestamp::from_second(second).unwrap())
}

fn meta() -> impl Strategy<Value = EventMeta> {
    let source = option::of((text(), text()).prop_map(|(name, provider)| SourceRef {
        id: "src_01JQ6ZQ0M0000000000000000A".parse().unwrap(),
        name,
        provider,
    }));
    let entity = option::of((maybe(), maybe(), maybe()).prop_map(|(kind, subtype, id)| Entity { kind, subtype, id }));
    let scope = option::of(
        (maybe(), maybe(), maybe()).prop_map(|(pool, station, organization)| Scope {
            pool,
            station,
            organization,
        }),
    );
    let locales = option::of(
        (vec(text(), 0..30), vec(text(), 0..3)).prop_map(|(updated, inherited)| Locales { updated, inherited }),
    );
    let singles = (text(), time(), maybe(), maybe(), maybe(), maybe(), maybe(), maybe());
    (
        singles,
        source,
        entity,
        scope,
        locales,
        links(),
        changes(),
        vec(text(), 0..6),
    )
        .prop_map(|(singles, source, entity, scope, locales, links, changes, warnings)| {
            let (event_type, timestamp, provider_event_id, action, actor, category, summary, application) = singles;
            EventMeta {
                id: EventId::compute("src_1", Identity::ProviderId(&event_type), 0),
                event_type,
                timestamp,
                source,
                provider_event_id,
                entity,
                action,
                actor,
                category,
                summary,
                application,
                scope,
                locales,
                links,
                changes,
                warnings,
                verified: None,
            }
        })
}

/// An event whose `Debug` can be read: some hold 300 KB in one text.
#[derive(Clone)]
pub(crate) struct Any(pub(crate) Event);

impl std::fmt::Debug for Any {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let debug = format!("{:?}", self.0);
        f.write_str(&debug[..debug.floor_char_boundary(3000)])
    }
}

/// Any event that fits together.
pub(crate) fn event() -> impl Strategy<Value = Any> {
    let data = prop_oneof![object().boxed(), json().prop_map(|value| value.to_string()).boxed()];
    let body = prop_oneof![Just(vec![]), vec(any::<u8>(), 1..40)];
    (meta(), data, option::of(object()), maybe(), body, any::<bool>()).prop_map(
        |(meta, data, previous, content_type, body, published)| {
            Any(Event {
                id: meta.id.clone(),
                organization: "org_01JQ6ZQ0M0000000000000000A".parse().unwrap(),
                hops: 0,
                trace: None,
                receipt: (!published).then(|| ReceiptId::generate(Timestamp::UNIX_EPOCH)),
                received_at: Timestamp::UNIX_EPOCH,
                meta,
                data: Content::Inline(data),
                previous_attributes: previous.map(Content::Inline),
                content_type,
                body: body.into(),
            })
        },
    )
}
