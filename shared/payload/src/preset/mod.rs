//! Provider presets: how one provider signs and where the fields of the common payload stand, as data.
//!
//! Each preset is one file in `presets/`, in the schema of [`Preset`]. Adding a provider that signs in a usual way takes no Rust.

mod map;

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

pub use map::{Unreadable, map};

use crate::scheme::Scheme;

/// How one provider signs, and where id, type, time, entity, scope and changes stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Preset {
    /// The provider's name, as it stands in `source.provider`.
    pub name: String,
    /// What one should know about it.
    #[serde(default)]
    pub comment: String,
    /// The vendor's page that it follows.
    #[serde(default)]
    pub vendor: String,
    /// The methods that the provider uses.
    pub methods: Vec<String>,
    /// How it signs.
    pub scheme: Scheme,
    /// What decides whether two receipts are the same event.
    pub duplicates: Duplicates,
    /// Where the fields stand.
    pub event: Mapping,
}

/// What decides whether two receipts are the same event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Duplicates {
    /// The provider's id; only where the signature covers it.
    Id,
    /// The bytes that are signed; where it does not.
    SignedBytes,
    /// Nothing: each receipt is an event.
    None,
}

/// Where the fields of the common payload stand.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Mapping {
    /// `providerEventId`.
    #[serde(default)]
    pub id: Option<Place>,
    /// `type`.
    #[serde(rename = "type")]
    pub event_type: Place,
    /// `timestamp`: RFC 3339, or seconds since 1970.
    #[serde(default)]
    pub time: Option<Place>,
    /// `entity`.
    #[serde(default)]
    pub entity: EntityPlaces,
    /// `action`.
    #[serde(default)]
    pub action: Option<Place>,
    /// `actor`.
    #[serde(default)]
    pub actor: Option<Place>,
    /// `category`.
    #[serde(default)]
    pub category: Option<Place>,
    /// `summary`.
    #[serde(default)]
    pub summary: Option<Place>,
    /// `application`.
    #[serde(default)]
    pub application: Option<Place>,
    /// `scope`.
    #[serde(default)]
    pub scope: ScopePlaces,
    /// `data`: a JSON Pointer, or several of which the first that leads somewhere is taken; the whole body where none does.
    #[serde(default)]
    pub data: Pointers,
    /// `previousAttributes`: a JSON Pointer.
    #[serde(default)]
    pub previous_attributes: Option<String>,
    /// `changes`.
    #[serde(default)]
    pub changes: Option<ChangePlaces>,
}

/// Where the parts of `entity` stand.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EntityPlaces {
    /// `entity.type`.
    #[serde(rename = "type", default)]
    pub kind: Option<Place>,
    /// `entity.subtype`.
    #[serde(default)]
    pub subtype: Option<Place>,
    /// `entity.id`.
    #[serde(default)]
    pub id: Option<Place>,
}

/// Where the parts of `scope` stand.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScopePlaces {
    /// `scope.pool`.
    #[serde(default)]
    pub pool: Option<Place>,
    /// `scope.station`.
    #[serde(default)]
    pub station: Option<Place>,
    /// `scope.organization`.
    #[serde(default)]
    pub organization: Option<Place>,
}

/// Where `changes` come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChangePlaces {
    /// A JSON Pointer to an object whose member names are what changed.
    pub keys_of: String,
    /// The `type` of each change.
    #[serde(rename = "type")]
    pub kind: String,
}

/// One JSON Pointer or several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Pointers {
    /// The only one.
    One(String),
    /// The first that leads somewhere.
    FirstOf {
        /// In order of preference.
        #[serde(rename = "firstOf")]
        first_of: Vec<String>,
    },
}

impl Default for Pointers {
    fn default() -> Self {
        Self::One(String::new())
    }
}

/// Where a text stands: in a header, in the body, here, in the first of several places, or joined from several.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Place {
    /// A header's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// A JSON Pointer (RFC 6901) into the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// The text itself.
    #[serde(rename = "const", default, skip_serializing_if = "Option::is_none")]
    pub constant: Option<String>,
    /// The first of these that is there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub first_of: Vec<Place>,
    /// Those of these that are there, joined by `with`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub join: Vec<Place>,
    /// What joined parts are joined with.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub with: String,
    /// Splits what was found at each of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<String>,
    /// Which part of the split is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub take: Option<Take>,
}

/// Which part of a split text is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Take {
    /// What stands before the first separator.
    First,
    /// What stands behind the last separator; nothing where there is none.
    Last,
    /// What stands before the last separator; all where there is none.
    AllButLast,
}

static PRESETS: LazyLock<Vec<Preset>> = LazyLock::new(|| {
    [
        include_str!("../../presets/github.json"),
        include_str!("../../presets/quartr.json"),
        include_str!("../../presets/shopify.json"),
        include_str!("../../presets/slack.json"),
        include_str!("../../presets/standard-webhooks.json"),
        include_str!("../../presets/stripe.json"),
    ]
    .into_iter()
    .map(|text| {
        #[allow(
            clippy::expect_used,
            reason = "the files are part of the binary and a test reads each of them"
        )]
        serde_json::from_str(text).expect("an embedded preset is valid")
    })
    .collect()
});

/// All presets, by name.
#[must_use]
pub fn all() -> &'static [Preset] {
    &PRESETS
}

/// The preset of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.name == name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;

    #[test]
    fn every_preset_is_sound() {
        for preset in all() {
            preset.scheme.check().unwrap();
            assert!(
                preset.vendor.starts_with("https://"),
                "{}: names its vendor's page",
                preset.name
            );
            assert!(!preset.methods.is_empty());
            if preset.duplicates == Duplicates::Id {
                let id = preset.event.id.as_ref().unwrap();
                let covered = id.pointer.is_some() || preset.scheme.covers_header(id.header.as_deref().unwrap());
                assert!(
                    covered,
                    "{}: an id that is not signed cannot decide what is a duplicate",
                    preset.name
                );
            }
        }
        assert!(find("quartr").is_some());
        assert!(find("nobody").is_none());
    }
}
