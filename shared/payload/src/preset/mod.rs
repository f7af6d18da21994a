//! Provider presets: how one provider signs and where the fields of the common payload stand, as data.
//!
//! Each preset is one file in `presets/`, in the schema of [`Preset`]; a custom source says the same in its own. Adding a provider that
//! signs in a usual way takes no Rust.

mod body;
mod check;
mod map;
mod pairs;
mod place;
mod read;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

pub use map::{MAX_EVENTS, Unreadable, map};
pub use place::{Condition, DataPlace, Place, Take, TakeWord, TemplatePart};

pub(crate) use check::check_duplicates;

use crate::handshake::Handshake;
use crate::scheme::Scheme;

/// How one provider signs, and where id, type, time, entity, scope and changes stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Preset {
    /// The provider's name, as it stands in `source.provider`: 1 to 50 lower-case letters, digits and hyphens.
    pub name: String,
    /// What one should know about it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub comment: String,
    /// The vendor's page that it follows.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub vendor: String,
    /// The methods that the provider uses.
    #[serde(default = "default_methods")]
    pub methods: Vec<String>,
    /// How it signs.
    pub scheme: Scheme,
    /// How it makes sure that the receiving URL is wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handshake: Option<Handshake>,
    /// What decides whether two receipts are the same event.
    pub duplicates: Duplicates,
    /// How the body is read.
    #[serde(default)]
    pub body: BodyKind,
    /// Query parameters and form fields that hold JSON in a text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub json_parameters: Vec<String>,
    /// A JSON Pointer to an array whose elements are events of their own. What is no array is one event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub each: Option<String>,
    /// A header whose presence says that the body is one event all the same, so that an array in it is data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub each_unless_header: Option<String>,
    /// Where the fields stand.
    pub event: Mapping,
    /// What the provider promises of its own fields: a breach is delivered with a warning that names the field.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expect: Vec<Expectation>,
}

/// What decides whether two receipts are the same event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Duplicates {
    /// The provider's id; only where the signature covers it, or nothing is signed at all.
    Id,
    /// The bytes that are signed; where it does not.
    SignedBytes,
    /// The bytes that are signed, and the event's type: for providers that send the same bytes for several types and sign none of these.
    /// Whoever holds one good request can then have it delivered once more under another type.
    SignedBytesAndType,
    /// The bytes of the body, or of the query where there is no body, within windows of so many seconds (1 to 86400) that follow one
    /// another: for providers that have no id.
    BodyWithin(u32),
    /// Nothing: each receipt is an event.
    None,
}

/// How a body is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum BodyKind {
    /// As its content type says; as what it looks like where that says nothing. A request without a body is read by its query.
    #[default]
    Auto,
    /// As JSON, whatever the content type says.
    Json,
    /// As a form (`application/x-www-form-urlencoded`), whatever the content type says.
    Form,
    /// As text in UTF-8.
    Text,
    /// As bytes.
    Binary,
}

/// Where the fields of the common payload stand.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Mapping {
    /// `providerEventId`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Place>,
    /// `type`.
    #[serde(rename = "type")]
    pub event_type: Place,
    /// `timestamp`: RFC 3339, or seconds or milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Place>,
    /// `entity`.
    #[serde(default)]
    pub entity: EntityPlaces,
    /// `action`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<Place>,
    /// `actor`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<Place>,
    /// `category`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<Place>,
    /// `summary`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<Place>,
    /// `application`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<Place>,
    /// `scope`.
    #[serde(default)]
    pub scope: ScopePlaces,
    /// `locales`.
    #[serde(default)]
    pub locales: LocalePlaces,
    /// `links`, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<LinkPlace>,
    /// `data`: the first of these that leads somewhere; the whole body where none does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub data: Vec<DataPlace>,
    /// `previousAttributes`: a JSON Pointer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_attributes: Option<String>,
    /// `changes`, one list after the other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<ChangePlaces>,
}

/// Where the parts of `entity` stand.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EntityPlaces {
    /// `entity.type`.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Place>,
    /// `entity.subtype`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subtype: Option<Place>,
    /// `entity.id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Place>,
}

/// Where the parts of `scope` stand.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScopePlaces {
    /// `scope.pool`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<Place>,
    /// `scope.station`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub station: Option<Place>,
    /// `scope.organization`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<Place>,
}

/// Where the parts of `locales` stand: JSON Pointers to arrays of texts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LocalePlaces {
    /// `locales.updated`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated: Option<String>,
    /// `locales.inherited`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inherited: Option<String>,
}

/// Where links stand: one here, or all below a pointer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LinkPlace {
    /// What the link leads to: `self`, `html`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rel: Option<String>,
    /// Where one link stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub href: Option<Place>,
    /// A JSON Pointer to an object of links by their names, or to an array of links, as texts or as objects with `href` and `rel`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all_of: Option<String>,
}

/// Where `changes` come from: the names of an object's members, the elements of an array, or one change right here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChangePlaces {
    /// A JSON Pointer to an object whose member names are what changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys_of: Option<String>,
    /// A JSON Pointer to an array with one change in each element; the pointers below begin at the element.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub each: Option<String>,
    /// The `type` of each change.
    #[serde(rename = "type")]
    pub kind: Place,
    /// What changed; with `keysOf` the member's name stands for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Place>,
    /// What it was before. With `keysOf` this and the next begin at the member's value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Place>,
    /// What it is now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<Place>,
}

/// What a provider promises of one of its fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Expectation {
    /// A JSON Pointer to the field.
    pub pointer: String,
    /// When the promise holds; always where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Condition>,
    /// The field is there if and only if this holds; where it is absent, the field is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only_when: Option<Condition>,
}

fn default_methods() -> Vec<String> {
    vec!["POST".into()]
}

/// The files of `presets/`: their names without `.json`, and their texts. (build.rs lists them.)
static FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/presets.rs"));

static PRESETS: LazyLock<Vec<Preset>> = LazyLock::new(|| {
    FILES
        .iter()
        .map(|(_, text)| {
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
