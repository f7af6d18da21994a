//! The settings of a webhook, read so that an error names its field.

use std::collections::HashSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use payload::filter::{Filter, InvalidFilter};
use payload::outbound::{SigningKey, generate_key_pair, generate_secret};
use payload::webhook::{DestinationHeader, Format, InvalidHeader, MAX_HEADERS, Method, WebhookSecrets};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::body::{Members, token};
use crate::fields::required;
use crate::merge::Member;
use crate::problem::ApiError;

const AUTHORIZATION: &str = "Authorization";

/// The most entries of a schedule.
pub(crate) const MAX_SCHEDULE_ENTRIES: usize = 20;

/// The longest wait between two attempts, in seconds.
pub(crate) const MAX_WAIT: u32 = 86_400;

/// The longest schedule, in seconds: an event is kept for at least this long after its arrival.
const MAX_SCHEDULE: u32 = 7 * 86_400;

/// What a destination wants to know of us, instead of a header `Authorization` written by hand.
///
/// Either `bearer` or `basic`.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(min_properties = 1, examples(json!({"bearer": "a-token-of-the-destination"})))]
pub(super) struct Authorization {
    /// A token ([RFC 6750](https://www.rfc-editor.org/rfc/rfc6750#section-2.1)).
    #[schema(value_type = Option<String>, format = Password, write_only, min_length = 1)]
    bearer: Option<SecretString>,
    /// User and password ([RFC 7617](https://www.rfc-editor.org/rfc/rfc7617#section-2)).
    basic: Option<Basic>,
}

/// User and password.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = UserAndPassword)]
struct Basic {
    /// The user: no colon in it.
    #[schema(value_type = String)]
    user: Option<String>,
    /// The password.
    #[schema(value_type = String, format = Password, write_only)]
    password: Option<SecretString>,
}

impl Authorization {
    fn into_header(self) -> Result<DestinationHeader, ApiError> {
        let (value, at) = match (self.bearer, self.basic) {
            (Some(bearer), None) => (bearer_value(&bearer)?, "/authorization/bearer"),
            (None, Some(basic)) => (basic.into_value()?, "/authorization/basic"),
            _ => return Err(ApiError::invalid("/authorization", "must have either bearer or basic")),
        };
        DestinationHeader::new(AUTHORIZATION, value).map_err(|error| ApiError::invalid(at, error))
    }
}

fn bearer_value(token: &SecretString) -> Result<SecretString, ApiError> {
    let token = token.expose_secret();
    if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(ApiError::invalid(
            "/authorization/bearer",
            "must be the token alone: visible ASCII characters without a space",
        ));
    }
    Ok(format!("Bearer {token}").into())
}

impl Basic {
    fn into_value(self) -> Result<SecretString, ApiError> {
        let user = required(self.user, "/authorization/basic/user")?;
        let password = required(self.password, "/authorization/basic/password")?;
        let password = password.expose_secret();
        if user.contains(':') || user.chars().any(char::is_control) {
            let problem = "must have neither a colon nor a control character";
            return Err(ApiError::invalid("/authorization/basic/user", problem));
        }
        if password.chars().any(char::is_control) {
            let problem = "must not have a control character";
            return Err(ApiError::invalid("/authorization/basic/password", problem));
        }
        Ok(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))).into())
    }
}

/// The headers of a new webhook.
pub(super) fn headers(
    headers: Option<Members<SecretString>>,
    authorization: Option<Authorization>,
) -> Result<Vec<DestinationHeader>, ApiError> {
    let given = headers.map(|Members(headers)| {
        let given = headers.into_iter().map(|(name, value)| (name, Member::Given(value)));
        Members(given.collect())
    });
    patched_headers(
        &[],
        given.map_or(Member::Absent, Member::Given),
        authorization.map_or(Member::Absent, Member::Given),
    )
}

/// The headers after a patch of them: each name that is given takes the place of the same in any case, `null` removes one or all.
pub(super) fn patched_headers(
    before: &[DestinationHeader],
    headers: Member<Members<Member<SecretString>>>,
    authorization: Member<Authorization>,
) -> Result<Vec<DestinationHeader>, ApiError> {
    let mut after = match headers {
        Member::Null => Vec::new(),
        _ => before.to_vec(),
    };
    let mut seen: Vec<String> = Vec::new();
    if let Member::Given(Members(given)) = headers {
        // As many as may go, and as many as may come.
        if given.len() > 2 * MAX_HEADERS {
            return Err(too_many(given.len()));
        }
        for (name, value) in given {
            let at = || format!("/headers/{}", token(&name));
            if seen.iter().any(|seen| seen.eq_ignore_ascii_case(&name)) {
                return Err(ApiError::invalid(at(), "is given twice; case makes no other header"));
            }
            if name.eq_ignore_ascii_case(AUTHORIZATION) && !matches!(authorization, Member::Absent) {
                return Err(ApiError::invalid(at(), "is given already, as authorization"));
            }
            let header = match value {
                Member::Given(value) => {
                    let invalid = |error: InvalidHeader| ApiError::invalid(at(), error);
                    Some(DestinationHeader::new(&name, value).map_err(invalid)?)
                }
                Member::Null | Member::Absent => None,
            };
            set(&mut after, &name, header);
            seen.push(name);
        }
    }
    match authorization {
        Member::Absent => {}
        Member::Null => set(&mut after, AUTHORIZATION, None),
        Member::Given(authorization) => set(&mut after, AUTHORIZATION, Some(authorization.into_header()?)),
    }
    if after.len() > MAX_HEADERS {
        return Err(too_many(after.len()));
    }
    Ok(after)
}

/// Whether one of the stored headers stays as it was: neither given anew nor removed by a patch of them.
pub(super) fn keeps_any(
    before: &[DestinationHeader],
    headers: &Member<Members<Member<SecretString>>>,
    authorization: &Member<Authorization>,
) -> bool {
    let is_named = |header: &DestinationHeader| match headers {
        Member::Absent => false,
        Member::Null => true,
        Member::Given(Members(given)) => given.iter().any(|(name, _)| name.eq_ignore_ascii_case(header.name())),
    };
    let is_authorization = |header: &DestinationHeader| {
        header.name().eq_ignore_ascii_case(AUTHORIZATION) && !matches!(authorization, Member::Absent)
    };
    before
        .iter()
        .any(|header| !is_named(header) && !is_authorization(header))
}

fn too_many(headers: usize) -> ApiError {
    let problem = format!("has {headers} headers; at most {MAX_HEADERS} are allowed, Authorization among them");
    ApiError::invalid("/headers", problem)
}

/// Puts a header in the place of the one of that name, or behind the others; or removes it.
fn set(headers: &mut Vec<DestinationHeader>, name: &str, header: Option<DestinationHeader>) {
    let is_same = |known: &DestinationHeader| known.name().eq_ignore_ascii_case(name);
    match (headers.iter_mut().find(|known| is_same(known)), header) {
        (Some(known), Some(header)) => *known = header,
        (None, Some(header)) => headers.push(header),
        (_, None) => headers.retain(|known| !is_same(known)),
    }
}

/// Whether two lists of headers send the same.
pub(super) fn are_same(one: &[DestinationHeader], other: &[DestinationHeader]) -> bool {
    let text = |header: &DestinationHeader| (header.name().to_owned(), header.expose_value().to_owned());
    one.iter().map(text).eq(other.iter().map(text))
}

/// A filter from exactly its text, which stands at `/filter`.
pub(super) fn filter(json: &str) -> Result<Filter, ApiError> {
    let invalid = |InvalidFilter { pointer, problem }| ApiError::invalid(format!("/filter{pointer}"), problem);
    Filter::parse(json).map_err(invalid)
}

/// How deliveries are signed: by the words of Standard Webhooks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Signature {
    /// With a secret that both sides have.
    #[default]
    V1,
    /// With a key of ours, of which the receiver has only the public half.
    V1a,
}

impl Signature {
    /// How a webhook with these secrets is signed.
    pub(super) fn of(secrets: &WebhookSecrets) -> Self {
        let newest = secrets.signing.first().map(|secret| SigningKey::parse(&secret.value));
        match newest {
            Some(Ok(key)) if key.public_key().is_some() => Self::V1a,
            _ => Self::V1,
        }
    }
}

/// What deliveries are to be signed with.
pub(super) struct NewSigningSecret {
    pub(super) value: SecretString,
    signature: Signature,
}

/// The least number of different bytes that a secret of one's own has: a random one of 24 bytes has more but once in a billion billions.
const MIN_DIFFERENT_BYTES: usize = 12;

impl NewSigningSecret {
    /// A secret of the team's own, or a new one.
    pub(super) fn make(own: Option<SecretString>, signature: Signature) -> Result<Self, ApiError> {
        let value = match (own, signature) {
            (None, Signature::V1) => generate_secret(),
            (None, Signature::V1a) => generate_key_pair(),
            (Some(own), Signature::V1) => checked_secret(own)?,
            (Some(_), Signature::V1a) => {
                return Err(ApiError::invalid(
                    "/secret",
                    "cannot be given with v1a: the key is ours",
                ));
            }
        };
        Ok(Self { value, signature })
    }

    /// What is shown of it, once. A private key is of no use to the receiver.
    pub(super) fn shown(&self) -> Option<&SecretString> {
        (self.signature == Signature::V1).then_some(&self.value)
    }
}

fn checked_secret(own: SecretString) -> Result<SecretString, ApiError> {
    let invalid = |problem: &str| ApiError::invalid("/secret", problem);
    let form = "must be whsec_ and 24 to 64 bytes in base64, as Standard Webhooks says";
    let encoded = own
        .expose_secret()
        .strip_prefix("whsec_")
        .ok_or_else(|| invalid(form))?;
    SigningKey::parse(&own).map_err(|_| invalid(form))?;
    let bytes = Zeroizing::new(STANDARD.decode(encoded).map_err(|_| invalid(form))?);
    let different: HashSet<u8> = bytes.iter().copied().collect();
    if different.len() < MIN_DIFFERENT_BYTES {
        return Err(invalid("is too easy to guess: use random bytes"));
    }
    Ok(own)
}

/// The longest description, in characters.
pub(crate) const MAX_DESCRIPTION_CHARS: usize = 1_000;

/// What a webhook is for, in words; lines may break.
pub(super) fn description(text: Option<String>) -> Result<Option<String>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    let is_bad = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    if text.chars().count() > MAX_DESCRIPTION_CHARS || text.chars().any(is_bad) {
        let problem = format!(
            "must have at most {MAX_DESCRIPTION_CHARS} characters, no control character among them but line breaks and tabs"
        );
        return Err(ApiError::invalid("/description", problem));
    }
    Ok(Some(text).filter(|text| !text.trim().is_empty()))
}

/// A schedule of a webhook's own: the seconds to wait before each further attempt.
pub(super) fn schedule(waits: Vec<u32>) -> Result<Vec<u32>, ApiError> {
    let entries = waits.len();
    if entries == 0 || entries > MAX_SCHEDULE_ENTRIES {
        let problem = format!("has {entries} entries; 1 to {MAX_SCHEDULE_ENTRIES} are allowed");
        return Err(ApiError::invalid("/schedule", problem));
    }
    if let Some(wrong) = waits.iter().position(|wait| !(1..=MAX_WAIT).contains(wait)) {
        let problem = format!("must be from 1 to {MAX_WAIT} seconds");
        return Err(ApiError::invalid(format!("/schedule/{wrong}"), problem));
    }
    let sum: u32 = waits.iter().sum();
    if sum > MAX_SCHEDULE {
        let problem = format!("lasts {sum} seconds; at most {MAX_SCHEDULE} (7 days) are allowed");
        return Err(ApiError::invalid("/schedule", problem));
    }
    Ok(waits)
}

/// Whether a format is sent by this method.
pub(super) fn check_method(method: Method, format: Format) -> Result<(), ApiError> {
    if method.is_post() || format == Format::Raw {
        Ok(())
    } else {
        Err(ApiError::invalid(
            "/method",
            "must be POST: only the format raw can be sent by GET",
        ))
    }
}
