//! Requests as providers send them, made after their documentation: what tests are held to, and what a test delivery brings.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::event::Event;
use crate::id::{Identity, random};
use crate::preset::map;
use crate::query::parameters;
use crate::receipt::{Header, HeaderValue, Receipt, salted_hash};
use crate::scheme::Proof;
use crate::source::{Effective, Provider, Source, SourceOptions};
use crate::{EventId, OrganizationId, ReceiptId, SourceId};

/// What credentials in samples are hashed with.
pub const SALT: &str = "salt";

/// The files of samples: their names and their texts.
pub const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/samples.rs"));

/// One file of samples: requests of one provider.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Samples {
    /// The provider's preset.
    pub preset: String,
    /// Its requests.
    pub receipts: Vec<Sent>,
}

/// One request.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sent {
    /// What is special about it.
    #[serde(default)]
    pub about: String,
    /// Its method.
    #[serde(default = "post")]
    pub method: String,
    /// Its query string.
    #[serde(default)]
    pub query: String,
    /// Its headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body where it is JSON: its bytes as they stand in the file.
    pub body: Option<Box<RawValue>>,
    /// The body where it is not.
    pub body_text: Option<String>,
    /// When it came in.
    #[serde(default = "usual_time")]
    pub received_at: Timestamp,
    /// The source's secret, with which the request must verify; nothing is verified where it is absent.
    pub secret: Option<String>,
    /// What the source says otherwise.
    #[serde(default)]
    pub options: SourceOptions,
    /// What `data` must be, where it is not a part of a JSON body.
    pub data: Option<Box<RawValue>>,
}

fn post() -> String {
    "POST".into()
}

fn usual_time() -> Timestamp {
    Timestamp::constant(1_742_909_461, 0)
}

impl Sent {
    /// The body's bytes.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        let json = self.body.as_ref().map(|body| body.get().to_owned());
        json.or_else(|| self.body_text.clone()).unwrap_or_default().into()
    }

    /// The source it is for.
    #[must_use]
    pub fn source(&self, provider: Provider, id: SourceId, organization: OrganizationId) -> Source {
        let name = match &provider {
            Provider::Preset(name) => format!("{name}-prod"),
            Provider::Custom(preset) => format!("{}-prod", preset.name),
        };
        Source {
            id,
            organization,
            name,
            provider,
            options: self.options.clone(),
            enabled: true,
            salt: SALT.into(),
            created_at: Timestamp::UNIX_EPOCH,
            tokens: Vec::new(),
            revision: 0,
        }
    }

    /// The receipt that `receive` makes of it.
    #[must_use]
    pub fn receipt(&self, source: &Effective<'_>, id: ReceiptId) -> Receipt {
        let credentials = source.scheme.credentials();
        let capture = |(name, value): (&String, &String)| Header::capture(name, value.as_bytes(), SALT, &credentials);
        let mut headers: Vec<Header> = self.headers.iter().map(capture).collect();
        let mut query = Vec::new();
        for parameter in parameters(&self.query) {
            let name = format!("?{}", String::from_utf8_lossy(&parameter.name));
            if credentials.contains(&name) {
                let value = HeaderValue::Hashed(salted_hash(SALT, &parameter.value));
                headers.push(Header { name, value });
            } else {
                query.push(parameter.text);
            }
        }
        Receipt {
            id,
            organization: source.source.organization.clone(),
            source: source.source.id.clone(),
            method: self.method.clone(),
            query: query.join("&"),
            headers,
            body: self.bytes(),
            received_at: self.received_at,
            scheme: None,
            trace: None,
        }
    }
}

impl Sent {
    /// The events that come of it, whether or not it could be verified.
    fn unverified_events(&self, preset: &str) -> Vec<Event> {
        let at = self.received_at;
        let provider = Provider::Preset(preset.to_owned());
        let source = self.source(provider, SourceId::generate(at), OrganizationId::generate(at));
        let Some(source) = source.effective() else {
            return Vec::new();
        };
        let receipt = self.receipt(&source, ReceiptId::generate(at));
        map(&source, &receipt, Proof::of_nothing("")).unwrap_or_default()
    }
}

/// A provider that has samples, and the event types of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The preset.
    pub provider: String,
    /// The types, sorted.
    pub types: Vec<String>,
}

/// The events of all samples by provider and type, the first of each.
fn known() -> &'static BTreeMap<(String, String), Event> {
    static KNOWN: OnceLock<BTreeMap<(String, String), Event>> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let mut known = BTreeMap::new();
        // The tests read every file: none is left out here in truth.
        let files = FILES
            .iter()
            .filter_map(|(_, text)| serde_json::from_str::<Samples>(text).ok());
        for Samples { preset, receipts } in files {
            for sent in &receipts {
                for event in sent.unverified_events(&preset) {
                    known
                        .entry((preset.clone(), event.meta.event_type.clone()))
                        .or_insert(event);
                }
            }
        }
        known
    })
}

/// What there are samples of.
#[must_use]
pub fn all() -> Vec<Known> {
    let mut all: Vec<Known> = Vec::new();
    for (provider, event_type) in known().keys() {
        match all.last_mut() {
            Some(last) if last.provider == *provider => last.types.push(event_type.clone()),
            _ => all.push(Known {
                provider: provider.clone(),
                types: vec![event_type.clone()],
            }),
        }
    }
    all
}

/// An event of a provider, as one of this organization that came in now: of this type, or of the first that there is. It says in its
/// warnings that it is a test.
#[must_use]
pub fn event(provider: &str, event_type: Option<&str>, organization: &OrganizationId, now: Timestamp) -> Option<Event> {
    let mut of_provider = known().iter().filter(|((known, _), _)| known == provider);
    let (_, sample) = of_provider.find(|((_, known), _)| event_type.is_none_or(|wanted| wanted == known))?;
    let mut event = sample.clone();
    event.id = EventId::compute("test", Identity::ProviderId(&hex::encode(random::<16>())), 0);
    event.organization = organization.clone();
    event.receipt = None;
    event.received_at = now;
    event.meta.id = event.id.clone();
    event.meta.timestamp = now;
    event.meta.verified = None;
    event.meta.warnings = vec!["This is a test delivery: nothing has happened at the provider.".to_owned()];
    Some(event)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;

    #[test]
    fn each_preset_has_a_sample() {
        let all = all();
        let providers: Vec<&str> = all.iter().map(|known| known.provider.as_str()).collect();
        for preset in crate::preset::all() {
            assert!(providers.contains(&preset.name.as_str()), "{}", preset.name);
        }
        let organization = OrganizationId::generate(Timestamp::UNIX_EPOCH);
        for Known { provider, types } in &all {
            assert!(!types.is_empty(), "{provider}");
            for wanted in types {
                let event = event(provider, Some(wanted), &organization, Timestamp::UNIX_EPOCH).unwrap();
                assert_eq!(event.meta.event_type, *wanted);
                assert_eq!(event.organization, organization);
                assert!(event.to_json().is_ok(), "{provider} {wanted}");
            }
            let (one, other) = [(); 2]
                .map(|()| event(provider, None, &organization, Timestamp::UNIX_EPOCH).unwrap())
                .into();
            assert_ne!(one.id, other.id, "each test is an event of its own");
        }
        assert!(event("nobody", None, &organization, Timestamp::UNIX_EPOCH).is_none());
        assert!(event("github", Some("nothing"), &organization, Timestamp::UNIX_EPOCH).is_none());
    }
}
