//! Realistic events of the four providers, made as `verify` makes them, and one that was published through the API.

use jiff::Timestamp;
use payload::event::{Change, Content, Entity, EventMeta, Link, Scope};
use payload::id::Identity;
use payload::preset::map;
use payload::receipt::Header;
use payload::scheme::Proof;
use payload::source::{Provider, Source, SourceOptions};
use payload::{Event, EventId, Receipt};

pub(crate) const QUARTR: &str = r#"{"type":"live.audio.updated","timestamp":"2025-03-25T13:31:00.000Z","data":{"id":328350,"eventId":128301,"companyId":4742,"state":"live","date":"2025-03-25T13:30:00","audio":"https://files.example.com/streams/328350.m3u8","checksum":12345678901234567890},"previousAttributes":{"state":"notLive","audio":null,"date":"2025-03-25T13:00:00"}}"#;

pub(crate) const QUORTEX: &str = r#"{"application":"link","category":"input","operation":"status_change","resource_uuid":"5f0f3a8e-6f1c-4c55-9d5e-00000000012c","organization_uuid":"0b8a7c9e-2a54-4b3a-8f0e-2c1d5b6a7f80","organization":"Example Broadcasting","message":"Input \"Stadium <A> & B\": the status of the main stream changed from active to down.","pool_uuid":"3c6e2f10-7b1d-4d0b-9a57-91d2f4b8c6aa","metadata":{"previous_status":"active","current_status":"down","stream":"main"}}"#;

pub(crate) const QUABLE: &str = r#"{"uuid":"ce6c64a3-4f27-4b0e-862c-000000000002","code":"document.update","links":[{"rel":"self","href":"/events/ce6c64a3-4f27-4b0e-862c-000000000002"}],"created_at":"2025-03-25T14:30:58+01:00","created_by":"ada.lovelace","resource":{"code":"product_blue_pant","type":"document","links":[{"rel":"self","href":"/documents/product_blue_pant"}],"locales":{"updated":["fr_FR"],"inherited":["en_GB","de_DE"]},"updated_items":[{"type":"field","code":"color"},{"type":"field","code":"name"},{"type":"variant","code":"blue_pant_xl"},{"type":"media","code":"blue_pant_front"}]}}"#;

pub(crate) const AUDATA: &str = "event=Listener.updated&sentAt=2025-03-26T00%3A30%3A56.555%2B11%3A00&station=developerfm&sender%5Bid%5D=9007199254740993&sender%5Bfirst_name%5D=Zo%C3%AB&sender%5Blast_name%5D=Smith+%26+Sons&webhookCallId=2ae54ecb-930f-4a7a-974d-d84788d9dd12";

fn mapped(
    provider: &str,
    method: &str,
    query: &str,
    headers: &[(&str, &str)],
    body: &str,
    base: Option<&str>,
) -> Event {
    let source = Source {
        id: "src_01JQ6ZQ0M0000000000000000A".parse().unwrap(),
        organization: "org_01JQ6ZQ0M0000000000000000A".parse().unwrap(),
        name: format!("{provider}-prod"),
        provider: Provider::Preset(provider.into()),
        options: SourceOptions {
            base_url: base.map(Into::into),
            ..SourceOptions::default()
        },
        enabled: true,
        salt: "salt".into(),
        created_at: Timestamp::UNIX_EPOCH,
        tokens: Vec::new(),
        revision: 0,
    };
    let receipt = Receipt {
        id: "rcp_01JQ6ZQ0M0000000000000000A".parse().unwrap(),
        organization: source.organization.clone(),
        source: source.id.clone(),
        method: method.into(),
        query: query.into(),
        headers: headers
            .iter()
            .map(|(name, value)| Header::capture(name, value.as_bytes(), "salt", &[]))
            .collect(),
        body: body.to_owned().into(),
        received_at: "2025-03-25T13:31:01Z".parse().unwrap(),
        scheme: None,
        trace: None,
    };
    let effective = source.effective().unwrap();
    let mut events = map(&effective, &receipt, Proof::of_nothing(effective.scheme.kind())).unwrap();
    assert_eq!(events.len(), 1);
    events.remove(0)
}

const JSON: (&str, &str) = ("content-type", "application/json");

pub(crate) fn quartr() -> Event {
    mapped(
        "quartr",
        "POST",
        "",
        &[JSON, ("webhook-id", "msg_2uU6k60RnPzWIUeqUjueBJOb002")],
        QUARTR,
        None,
    )
}

pub(crate) fn quortex() -> Event {
    mapped("quortex", "POST", "", &[JSON], QUORTEX, None)
}

/// `document_type_code` is missing, which the provider promises for documents.
pub(crate) fn quable() -> Event {
    mapped(
        "quable",
        "POST",
        "",
        &[JSON],
        QUABLE,
        Some("https://example.quable.com/api_1.php"),
    )
}

pub(crate) fn audata() -> Event {
    mapped("audata", "GET", AUDATA, &[], "", None)
}

/// All four, by their providers' names.
pub(crate) fn of_providers() -> [(&'static str, Event); 4] {
    [
        ("quartr", quartr()),
        ("quortex", quortex()),
        ("quable", quable()),
        ("audata", audata()),
    ]
}

pub(crate) fn published() -> Event {
    let id = EventId::compute(
        "org_01JQ6ZQ0M0000000000000000A",
        Identity::ProviderId("order-17-paid"),
        0,
    );
    let data = r#"{ "order": 17, "total": "12.50", "currency": "EUR" }"#;
    Event {
        id: id.clone(),
        organization: "org_01JQ6ZQ0M0000000000000000A".parse().unwrap(),
        hops: 0,
        trace: None,
        receipt: None,
        received_at: "2025-03-25T13:31:01Z".parse().unwrap(),
        meta: EventMeta {
            id,
            event_type: "order.paid".into(),
            timestamp: "2025-03-25T13:31:00.250Z".parse().unwrap(),
            source: None,
            provider_event_id: Some("order-17-paid".into()),
            entity: Some(Entity {
                kind: Some("order".into()),
                subtype: Some("web".into()),
                id: Some("17".into()),
            }),
            action: Some("paid".into()),
            actor: Some("Grace Hopper".into()),
            category: Some("sales".into()),
            summary: None,
            application: Some("shop".into()),
            scope: Some(Scope {
                pool: None,
                station: Some("north".into()),
                organization: None,
            }),
            locales: None,
            links: vec![
                Link {
                    rel: Some("self".into()),
                    href: "https://api.example.com/orders/17".into(),
                },
                Link {
                    rel: Some("html".into()),
                    href: "https://shop.example.com/orders/17?tab=a|b&view=full".into(),
                },
            ],
            changes: vec![Change {
                kind: "status".into(),
                code: "payment".into(),
                previous: Some("pending".into()),
                current: Some("failed".into()),
            }],
            warnings: vec![],
            verified: None,
        },
        data: Content::Span(0, data.len()),
        previous_attributes: Some(Content::Inline(r#"{"total": "15.00", "note": "gift"}"#.into())),
        content_type: Some("application/json".into()),
        body: data.into(),
    }
}
