//! A source as the API shows it: everything but its secrets.

use jiff::Timestamp;
use payload::SourceId;
use payload::called_url::CalledUrl;
use payload::preset::{Duplicates, Preset};
use payload::scheme::Scheme;
use payload::source::{Provider, Source, SourceOptions};
use payload::source_health::SourceHealth;
use serde::Serialize;

/// A provider's connection to us, without its secrets.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Source)]
pub(super) struct View<'a> {
    /// Its name for machines.
    #[schema(value_type = SourceId)]
    id: &'a SourceId,
    /// Its name for people.
    name: &'a str,
    /// The name of its preset, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    preset: Option<&'a str>,
    /// The description of its own, where it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Preset>)]
    custom: Option<&'a Preset>,
    /// What holds: the source's own, or that of its provider's description.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Scheme>)]
    scheme: Option<&'a Scheme>,
    /// What decides about duplicates, as it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    duplicates: Option<Duplicates>,
    /// The URL that the provider calls, with `…` in the place of what may be a credential.
    #[serde(skip_serializing_if = "Option::is_none")]
    public_url: Option<String>,
    /// What the provider's relative links begin at.
    #[serde(skip_serializing_if = "Option::is_none")]
    base_url: Option<&'a str>,
    /// The status of a success.
    success_status: u16,
    /// Whether it has the token of a handshake.
    has_verify_token: bool,
    /// Whether requests are taken.
    enabled: bool,
    /// When it was made.
    created_at: Timestamp,
    /// Only in the answer to its creation: it holds the ingest token.
    #[serde(skip_serializing_if = "Option::is_none")]
    receiving_url: Option<String>,
    /// Only of one source that is read by its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    health: Option<SourceHealth>,
}

impl<'a> View<'a> {
    pub(super) fn of(source: &'a Source) -> Self {
        let SourceOptions {
            scheme,
            duplicates,
            public_url,
            base_url,
            verify_token_hash,
            success_status,
        } = &source.options;
        // A preset that this version does not have leaves only what the source says itself.
        let effective = source.effective();
        let (preset, custom) = match &source.provider {
            Provider::Preset(name) => (Some(name.as_str()), None),
            Provider::Custom(custom) => (None, Some(&**custom)),
        };
        Self {
            id: &source.id,
            name: &source.name,
            preset,
            custom,
            scheme: effective.map(|effective| effective.scheme).or(scheme.as_ref()),
            duplicates: effective.map(|effective| effective.duplicates).or(*duplicates),
            // What an earlier version stored is not masked yet.
            public_url: public_url
                .as_ref()
                .map(|url| url.parse().map_or_else(|_| url.clone(), |url: CalledUrl| url.shown())),
            base_url: base_url.as_deref(),
            success_status: success_status.unwrap_or(202),
            has_verify_token: verify_token_hash.is_some(),
            enabled: source.enabled,
            created_at: source.created_at,
            receiving_url: None,
            health: None,
        }
    }

    pub(super) fn with_receiving_url(self, url: String) -> Self {
        Self {
            receiving_url: Some(url),
            ..self
        }
    }

    pub(super) fn with_health(self, health: SourceHealth) -> Self {
        Self {
            health: Some(health),
            ..self
        }
    }
}
