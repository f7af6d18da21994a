//! The values whose items the golden files hold.

use std::fmt::Debug;

use jiff::Timestamp;
use payload::MessageId;
use payload::delivery::{Attempt, AttemptError, Delivery, DeliveryStatus, Replay};
use payload::event::{Change, Content, Entity, Event, EventMeta, SourceRef};
use payload::job::{Job, JobKind, Position, Progress};
use payload::key::TimedSecret;
use payload::organization::{ApiKey, Role};
use payload::preset::Duplicates;
use payload::receipt::{Header, Receipt};
use payload::scheme::Proof;
use payload::source::{Door, Provider, Source, SourceOptions, TokenHash};
use payload::webhook::{DestinationHeader, DestinationUrl, Format, HttpPolicy, Method, Rate, Webhook, WebhookSecrets};

pub(super) fn at() -> Timestamp {
    "2025-03-25T13:31:00Z".parse().unwrap()
}

pub(super) fn id<T: std::str::FromStr<Err: Debug>>(prefix: &str) -> T {
    format!("{prefix}01JQ6ZQ0M0000000000000000A").parse().unwrap()
}

pub(super) fn event_id() -> payload::EventId {
    "evt_0123456789abcdef0123456789abcdef01234567".parse().unwrap()
}

pub(super) fn receipt() -> Receipt {
    Receipt {
        id: id("rcp_"),
        organization: id("org_"),
        source: id("src_"),
        method: "POST".into(),
        query: "a=b".into(),
        headers: vec![
            Header::capture("Content-Type", b"application/json", "salt", &[]),
            Header::capture("Authorization", b"secret", "salt", &[]),
        ],
        body: br#"{"type":"a.b","data":{"id":1}}"#.to_vec().into(),
        received_at: at(),
        scheme: None,
        trace: None,
    }
}

pub(super) fn event() -> Event {
    Event {
        id: event_id(),
        organization: id("org_"),
        receipt: Some(id("rcp_")),
        received_at: at(),
        hops: 0,
        trace: None,
        meta: EventMeta {
            id: event_id(),
            event_type: "live.audio.updated".into(),
            timestamp: at(),
            source: Some(SourceRef {
                id: id("src_"),
                name: "quartr-prod".into(),
                provider: "quartr".into(),
            }),
            provider_event_id: Some("msg_1".into()),
            entity: Some(Entity {
                kind: Some("live.audio".into()),
                subtype: None,
                id: Some("328350".into()),
            }),
            action: Some("updated".into()),
            actor: None,
            category: None,
            summary: None,
            application: None,
            scope: None,
            locales: None,
            links: vec![],
            changes: vec![Change {
                kind: "field".into(),
                code: "state".into(),
                previous: None,
                current: None,
            }],
            warnings: vec![],
            verified: Some(Proof {
                scheme: "standard-webhooks".into(),
                body: true,
                id: true,
                time: true,
                query: false,
            }),
        },
        data: Content::Span(21, 29),
        previous_attributes: Some(Content::Inline("{}".into())),
        content_type: Some("application/json".into()),
        body: br#"{"type":"a.b","data":{"id":1}}"#.to_vec().into(),
    }
}

pub(super) fn delivery() -> Delivery {
    Delivery {
        event: event_id(),
        webhook: id("wh_"),
        organization: id("org_"),
        status: DeliveryStatus::Due,
        created_at: at(),
        next_attempt: Some("2025-03-25T13:32:00Z".parse().unwrap()),
        attempts: vec![Attempt {
            throttled: false,
            at: at(),
            duration_ms: 12,
            status: Some(500),
            error: Some(AttemptError::Status),
            answer: Some("oops".into()),
        }],
        replay: Default::default(),
        fence: 3,
    }
}

/// A delivery in its second round, under an id of its own.
pub(super) fn replayed() -> Delivery {
    Delivery {
        replay: Replay {
            earlier: 1,
            dropped: 2,
            job: Some(id("job_")),
            message_id: Some(MessageId::compute(&id("job_"), &event_id(), &id("wh_"))),
            first: false,
        },
        ..delivery()
    }
}

/// A delivery that a job recorded first.
pub(super) fn asked() -> Delivery {
    Delivery {
        replay: Replay {
            job: Some(id("job_")),
            first: true,
            ..Replay::default()
        },
        attempts: vec![],
        ..delivery()
    }
}

pub(super) fn job() -> Job {
    let kind = JobKind::Recover {
        webhook: id("wh_"),
        since: at(),
        until: "2025-03-26T13:31:00Z".parse().unwrap(),
    };
    Job {
        id: id("job_"),
        rate: 7,
        new_message_id: true,
        progress: Progress {
            examined: 3,
            requested: 2,
            skipped: 1,
        },
        position: Some(Position {
            at: at(),
            id: event_id().to_string(),
        }),
        next_slot: "2025-03-25T13:31:08.571428571Z".parse().unwrap(),
        fence: 4,
        ..Job::new(id("org_"), kind, at())
    }
}

pub(super) fn source() -> Source {
    Source {
        id: id("src_"),
        organization: id("org_"),
        name: "quartr-prod".into(),
        provider: Provider::Preset("quartr".into()),
        options: SourceOptions::default(),
        enabled: true,
        salt: "salt".into(),
        created_at: at(),
        tokens: vec![TokenHash {
            hash: "00".repeat(32),
            expires_at: None,
        }],
        revision: 0,
    }
}

pub(super) fn door() -> Door {
    Door {
        source: id("src_"),
        organization: id("org_"),
        enabled: true,
        suspended: false,
        methods: vec!["POST".into()],
        required: vec!["webhook-signature".into()],
        credentials: vec![],
        scheme: String::new(),
        handshake: None,
        verify_token_hash: None,
        salt: "salt".into(),
        expires_at: None,
        success_status: 202,
    }
}

pub(super) fn webhook() -> Webhook {
    Webhook {
        id: id("wh_"),
        organization: id("org_"),
        name: "orders".into(),
        description: None,
        url: DestinationUrl::parse("https://example.com/hook", HttpPolicy::HttpsOnly).unwrap(),
        filter: serde_json::from_str(r#"{"types":["live.*"]}"#).unwrap(),
        format: Format::Raw,
        method: Method::Post,
        rate: None,
        schedule: None,
        enabled: true,
        created_at: at(),
    }
}

pub(super) fn api_key() -> ApiKey {
    ApiKey {
        id: id("key_"),
        organization: id("org_"),
        role: Role::Admin,
        name: "first".into(),
        created_at: at(),
        prefix: String::new(),
        last_used: None,
        suspended: false,
    }
}

/// A source with a description of its own, and with options.
pub(super) fn custom_source() -> Source {
    let preset = serde_json::json!({
        "name": "acme",
        "scheme": {"kind": "hmac", "algorithm": "sha256", "header": "x-acme-signature", "encoding": "hex", "signed": "{url}{body}"},
        "handshake": {"kind": "hub-challenge"},
        "duplicates": "signedBytes",
        "event": {"type": {"const": "message"}},
    });
    Source {
        name: "acme-test".into(),
        provider: Provider::Custom(Box::new(serde_json::from_value(preset).unwrap())),
        options: SourceOptions {
            scheme: Some(
                serde_json::from_value(serde_json::json!({"kind": "token", "header": "x-acme-token"})).unwrap(),
            ),
            duplicates: Some(Duplicates::BodyWithin(60)),
            public_url: Some("https://hooks.example.com/in/x".into()),
            base_url: Some("https://acme.example.com".into()),
            verify_token_hash: Some("22".repeat(32)),
            success_status: Some(200),
        },
        ..source()
    }
}

/// A door with all that a door can have.
pub(super) fn handshake_door() -> Door {
    let handshake = serde_json::json!({
        "kind": "echo-body", "pointer": "/challenge", "when": {"pointer": "/type", "is": ["url_verification"]}
    });
    Door {
        required: vec!["x-acme-token".into()],
        credentials: vec!["x-acme-token".into()],
        scheme: "token".into(),
        handshake: Some(serde_json::from_value(handshake).unwrap()),
        verify_token_hash: Some("22".repeat(32)),
        expires_at: None,
        success_status: 200,
        ..door()
    }
}

/// A webhook with all that a webhook can have, and a pattern in its filter.
pub(super) fn full_webhook() -> Webhook {
    Webhook {
        filter: serde_json::from_str(r#"{"types":["live.*"],"pattern":{"data":{"n":[{"numeric":[">",1.50]}]}}}"#)
            .unwrap(),
        method: Method::Get,
        rate: Some(Rate::try_from(120).unwrap()),
        schedule: Some(vec![60, 300]),
        ..webhook()
    }
}

/// Secrets with a header that a destination wants.
pub(super) fn secrets() -> WebhookSecrets {
    let secret = TimedSecret {
        value: "whsec_x".into(),
        created_at: at(),
        expires_at: None,
    };
    WebhookSecrets {
        signing: vec![secret],
        headers: vec![DestinationHeader::new("Authorization", "Bearer x".into()).unwrap()],
    }
}
