//! Whether a provider's description can work at all, said when it is written down.

use super::{
    BodyKind, ChangePlaces, Condition, DataPlace, Duplicates, LinkPlace, LocalePlaces, Mapping, Place, Preset,
    TemplatePart,
};
use crate::handshake::Handshake;
use crate::scheme::{METHODS, Scheme, SchemeError, check_header_name, check_parameter_name, check_pointer};

/// The deepest nesting of places.
const MAX_DEPTH: usize = 5;

/// The most places below one place.
const MAX_PARTS: usize = 16;

/// The longest text that a description holds, in bytes.
const MAX_TEXT_BYTES: usize = 200;

/// The longest window in which equal bodies are the same event, in seconds.
const MAX_WINDOW: u32 = 24 * 60 * 60;

type Checked = Result<(), SchemeError>;

fn fail(field: &str, problem: &str) -> Checked {
    Err(SchemeError::new(field, problem))
}

impl Preset {
    /// Whether the description can work at all. What is not a question of one field is not asked here: whether the source has the secret
    /// and the public URL that the scheme needs.
    ///
    /// # Errors
    /// The first field that cannot be right, and why.
    pub fn check(&self) -> Checked {
        let known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.name.is_empty() || self.name.len() > 50 || !self.name.chars().all(known) {
            return fail("/name", "must have 1 to 50 lower-case letters, digits and hyphens");
        }
        if self.comment.len() > 2000 || self.vendor.len() > 2000 {
            return fail("/comment", "is longer than 2000 bytes, or vendor is");
        }
        if self.methods.is_empty() {
            return fail("/methods", "is empty");
        }
        for (index, method) in self.methods.iter().enumerate() {
            if !METHODS.contains(&method.as_str()) || self.methods[..index].contains(method) {
                return fail(
                    &format!("/methods/{index}"),
                    "must be GET, POST, PUT or PATCH, each once",
                );
            }
        }
        self.scheme.check().map_err(|error| error.under("/scheme"))?;
        if let Some(handshake) = &self.handshake {
            check_handshake(handshake).map_err(|error| error.under("/handshake"))?;
        }
        for (index, name) in self.json_parameters.iter().enumerate() {
            check_parameter_name(&format!("/jsonParameters/{index}"), name)?;
        }
        if let Some(header) = &self.each_unless_header {
            check_header_name("/eachUnlessHeader", header)?;
            if self.each.is_none() {
                return fail("/eachUnlessHeader", "is for each");
            }
        }
        if let Some(pointer) = &self.each {
            check_pointer("/each", pointer)?;
            if matches!(self.body, BodyKind::Text | BodyKind::Binary) {
                return fail("/each", "needs a body that is read as JSON or as a form");
            }
        }
        check_mapping(&self.event).map_err(|error| error.under("/event"))?;
        check_duplicates(self.duplicates, &self.scheme, self.event.id.as_ref())?;
        if self.expect.len() > 100 {
            return fail("/expect", "has more than 100 entries");
        }
        for (index, expectation) in self.expect.iter().enumerate() {
            let field = format!("/expect/{index}");
            check_pointer(&format!("{field}/pointer"), &expectation.pointer)?;
            for (name, condition) in [("when", &expectation.when), ("onlyWhen", &expectation.only_when)] {
                if let Some(condition) = condition {
                    check_condition(condition).map_err(|error| error.under(&format!("{field}/{name}")))?;
                }
            }
        }
        Ok(())
    }
}

/// Whether this may decide what is a duplicate under this scheme: an id that is not signed may not, where anything is. Whoever holds one
/// good request could otherwise change the id and have it delivered again, or spoil a real one.
pub(crate) fn check_duplicates(duplicates: Duplicates, scheme: &Scheme, id: Option<&Place>) -> Checked {
    match duplicates {
        Duplicates::Id => match id {
            None => fail(
                "/duplicates",
                "is decided by the id, and event.id does not say where it stands",
            ),
            Some(id) if is_signed(scheme) && !is_covered(id, scheme) => fail(
                "/duplicates",
                "is decided by an id that the signature does not cover: signedBytes is safe",
            ),
            Some(_) => Ok(()),
        },
        Duplicates::SignedBytes | Duplicates::SignedBytesAndType if !is_signed(scheme) => fail(
            "/duplicates",
            "is decided by the signed bytes, and nothing is signed: bodyWithin says for how long equal bodies are one event",
        ),
        Duplicates::BodyWithin(seconds) if seconds == 0 || seconds > MAX_WINDOW => {
            fail("/duplicates/bodyWithin", "is out of range: 1 to 86400 seconds")
        }
        _ => Ok(()),
    }
}

pub(super) fn is_signed(scheme: &Scheme) -> bool {
    scheme.strength() == crate::scheme::Strength::Signature
}

/// Whether the signature covers what stands there. What stands in the body is covered, since every template holds that.
pub(super) fn is_covered(place: &Place, scheme: &Scheme) -> bool {
    if let Some(header) = &place.header {
        return scheme.covers_header(header);
    }
    if place.query.is_some() {
        return scheme.covers_query();
    }
    let parts = place.template.iter().filter_map(|part| match part {
        TemplatePart::Place(place) => Some(&**place),
        TemplatePart::Text(_) => None,
    });
    // Behind a place that is in every request of this scheme, no other is ever looked at.
    let end = place
        .first_of
        .iter()
        .position(|place| is_always_there(place, scheme))
        .map_or(place.first_of.len(), |at| at + 1);
    place.first_of[..end]
        .iter()
        .chain(&place.join)
        .chain(parts)
        .all(|place| is_covered(place, scheme))
}

/// Whether no request without it is verified.
fn is_always_there(place: &Place, scheme: &Scheme) -> bool {
    let is_plain = place.split.is_none() && place.when.is_none();
    is_plain
        && place
            .header
            .as_ref()
            .is_some_and(|header| scheme.required().contains(&header.to_ascii_lowercase()))
}

fn check_handshake(handshake: &Handshake) -> Checked {
    match handshake {
        Handshake::EchoBody(echo) => {
            check_pointer("/pointer", &echo.pointer)?;
            if echo.when.is.is_empty() {
                return fail(
                    "/when/is",
                    "is empty: every request with the challenge would be taken for the question",
                );
            }
            check_condition(&echo.when).map_err(|error| error.under("/when"))
        }
        Handshake::EchoQuery(echo) => check_parameter_name("/parameter", &echo.parameter),
        Handshake::HubChallenge(_) | Handshake::Cloudevents(_) => Ok(()),
    }
}

fn check_condition(condition: &Condition) -> Checked {
    check_pointer("/pointer", &condition.pointer)?;
    if condition.is.len() > MAX_PARTS || condition.is.iter().any(|text| text.len() > MAX_TEXT_BYTES) {
        return fail("/is", "has more than 16 texts, or one of more than 200 bytes");
    }
    Ok(())
}

fn check_mapping(mapping: &Mapping) -> Checked {
    check_place(&mapping.event_type, 0).map_err(|error| error.under("/type"))?;
    let fields = [
        ("/id", &mapping.id),
        ("/time", &mapping.time),
        ("/entity/type", &mapping.entity.kind),
        ("/entity/subtype", &mapping.entity.subtype),
        ("/entity/id", &mapping.entity.id),
        ("/action", &mapping.action),
        ("/actor", &mapping.actor),
        ("/category", &mapping.category),
        ("/summary", &mapping.summary),
        ("/application", &mapping.application),
        ("/scope/pool", &mapping.scope.pool),
        ("/scope/station", &mapping.scope.station),
        ("/scope/organization", &mapping.scope.organization),
    ];
    for (field, place) in fields {
        if let Some(place) = place {
            check_place(place, 0).map_err(|error| error.under(field))?;
        }
    }
    let LocalePlaces { updated, inherited } = &mapping.locales;
    for (field, pointer) in [
        ("/locales/updated", updated),
        ("/locales/inherited", inherited),
        ("/previousAttributes", &mapping.previous_attributes),
    ] {
        if let Some(pointer) = pointer {
            check_pointer(field, pointer)?;
        }
    }
    if mapping.links.len() > MAX_PARTS || mapping.changes.len() > MAX_PARTS || mapping.data.len() > MAX_PARTS {
        return fail("", "links, changes and data have at most 16 entries each");
    }
    for (index, link) in mapping.links.iter().enumerate() {
        check_link(link).map_err(|error| error.under(&format!("/links/{index}")))?;
    }
    for (index, data) in mapping.data.iter().enumerate() {
        check_pointer(&format!("/data/{index}"), data.pointer())?;
        if let DataPlace::WithHeader { with_header, .. } = data {
            check_header_name(&format!("/data/{index}/withHeader"), with_header)?;
        }
    }
    for (index, changes) in mapping.changes.iter().enumerate() {
        check_changes(changes).map_err(|error| error.under(&format!("/changes/{index}")))?;
    }
    Ok(())
}

fn check_link(link: &LinkPlace) -> Checked {
    match (&link.href, &link.all_of) {
        (Some(href), None) => check_place(href, 0).map_err(|error| error.under("/href")),
        (None, Some(pointer)) => check_pointer("/allOf", pointer),
        _ => fail("/href", "is required, or allOf: one of them"),
    }
}

fn check_changes(changes: &ChangePlaces) -> Checked {
    check_place(&changes.kind, 0).map_err(|error| error.under("/type"))?;
    for (field, place) in [
        ("/code", &changes.code),
        ("/previous", &changes.previous),
        ("/current", &changes.current),
    ] {
        if let Some(place) = place {
            check_place(place, 0).map_err(|error| error.under(field))?;
        }
    }
    match (&changes.keys_of, &changes.each) {
        (Some(_), Some(_)) => fail("/each", "cannot be given beside keysOf"),
        (Some(_), None) if changes.code.is_some() => fail("/code", "is the member's name, with keysOf"),
        (Some(pointer), None) => check_pointer("/keysOf", pointer),
        (None, _) if changes.code.is_none() => fail("/code", "is required, or keysOf"),
        (None, Some(pointer)) => check_pointer("/each", pointer),
        (None, None) => Ok(()),
    }
}

fn check_place(place: &Place, depth: usize) -> Checked {
    if depth == MAX_DEPTH {
        return fail("", "is nested too deeply: at most 5 levels");
    }
    let given = [
        place.header.is_some(),
        place.query.is_some(),
        place.pointer.is_some(),
        place.envelope.is_some(),
        place.constant.is_some(),
        !place.first_of.is_empty(),
        !place.join.is_empty(),
        !place.template.is_empty(),
    ];
    if given.iter().filter(|given| **given).count() != 1 {
        return fail(
            "",
            "must have exactly one of header, query, pointer, envelope, const, firstOf, join and template",
        );
    }
    if let Some(header) = &place.header {
        check_header_name("/header", header)?;
    }
    if let Some(query) = &place.query {
        check_parameter_name("/query", query)?;
    }
    for (field, pointer) in [("/pointer", &place.pointer), ("/envelope", &place.envelope)] {
        if let Some(pointer) = pointer {
            check_pointer(field, pointer)?;
        }
    }
    let texts = place.constant.iter().chain(&place.split).chain([&place.with]);
    let words = place.words.iter().flat_map(|(from, to)| [from, to]);
    if texts.chain(words).any(|text| text.len() > MAX_TEXT_BYTES) || place.words.len() > 100 {
        return fail(
            "",
            "const, with, split and words have at most 200 bytes each, and there are at most 100 words",
        );
    }
    if !place.with.is_empty() && place.join.is_empty() {
        return fail("/with", "is for join");
    }
    if let Some(when) = &place.when {
        check_condition(when).map_err(|error| error.under("/when"))?;
    }
    match (&place.split, place.take) {
        (Some(split), Some(_)) if split.is_empty() => return fail("/split", "is empty"),
        (Some(_), None) => {
            return fail(
                "/take",
                "is required with split: first, last, allButFirst, allButLast or a number",
            );
        }
        (None, Some(_)) => return fail("/split", "is required with take"),
        _ => {}
    }
    check_parts(place, depth)
}

fn check_parts(place: &Place, depth: usize) -> Checked {
    let parts = place
        .template
        .iter()
        .enumerate()
        .filter_map(|(index, part)| match part {
            TemplatePart::Place(inner) => Some(("template", index, &**inner)),
            TemplatePart::Text(_) => None,
        });
    let first_of = place
        .first_of
        .iter()
        .enumerate()
        .map(|(index, inner)| ("firstOf", index, inner));
    let join = place
        .join
        .iter()
        .enumerate()
        .map(|(index, inner)| ("join", index, inner));
    if place.first_of.len() + place.join.len() + place.template.len() > MAX_PARTS {
        return fail("", "has more than 16 parts");
    }
    for (name, index, inner) in first_of.chain(join).chain(parts) {
        check_place(inner, depth + 1).map_err(|error| error.under(&format!("/{name}/{index}")))?;
    }
    Ok(())
}
