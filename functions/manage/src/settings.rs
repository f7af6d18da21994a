//! What the operator chose.

use std::str::FromStr;

use axum::http::Extensions;
use delivery::guard::ALLOW_PRIVATE_VARIABLE;
use delivery::{Destinations, Guard};
use lambda_http::request::RequestContext;
use payload::source::IngestToken;
use url::{Position, Url};

/// The name of the environment variable with the [`PublicUrl`]: the one that template.yaml sets.
pub const PUBLIC_URL_VARIABLE: &str = "PUBLIC_URL";

/// What the operator chose.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where senders reach us. Without it receiving URLs carry the API's generated domain, as API Gateway names it.
    pub public_url: Option<PublicUrl>,
    /// Decides where webhooks may lead.
    pub guard: Guard,
}

/// The origin under which senders reach this service: `https://hooks.example.com`. Where API Gateway names it, with what stands before its
/// routes: `https://a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com/prod`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl(String);

/// Settings that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSettings {
    /// Not an http or https URL, or more than an origin.
    #[error("{PUBLIC_URL_VARIABLE} must be an https URL (http on one machine) without user, path, query and fragment")]
    PublicUrl,
}

impl Settings {
    /// Reads the settings from variables of the environment: [`PUBLIC_URL_VARIABLE`] (absent or empty for none), and
    /// [`ALLOW_PRIVATE_VARIABLE`].
    ///
    /// # Errors
    /// When one of them cannot be used.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, InvalidSettings> {
        let public_url = variable(PUBLIC_URL_VARIABLE).filter(|text| !text.is_empty());
        let guard = Guard::new(Destinations::from_setting(variable(ALLOW_PRIVATE_VARIABLE).as_deref()));
        Ok(Self {
            public_url: public_url.map(|text| text.parse()).transpose()?,
            guard,
        })
    }

    /// The origin under which senders reach us: the one that was set, or the domain that API Gateway says the request came to (its
    /// word, not the sender's header `Host`), with the stage or the mapping that stood before the path there.
    pub(crate) fn origin(&self, request: &Extensions) -> Option<PublicUrl> {
        self.public_url.clone().or_else(|| {
            let PublicUrl(origin) = called_origin(request)?;
            let base = request.get().map_or("", gateway::Base::as_str);
            Some(PublicUrl(format!("{origin}{base}")))
        })
    }

    /// Every origin that is known to lead to us. The one that was set does not switch off the domain that API Gateway made.
    pub(crate) fn own_origins(&self, request: &Extensions) -> impl Iterator<Item = PublicUrl> {
        self.public_url.clone().into_iter().chain(called_origin(request))
    }
}

/// The origin of the domain that the request came to, as API Gateway says.
fn called_origin(request: &Extensions) -> Option<PublicUrl> {
    let domain = match request.get()? {
        RequestContext::ApiGatewayV1(context) => context.domain_name.as_deref(),
        RequestContext::ApiGatewayV2(context) => context.domain_name.as_deref(),
        _ => None,
    };
    format!("https://{}", domain?).parse().ok()
}

/// The id of the API that the request came to, as API Gateway says; empty where it came by another way. The domain that API Gateway made for it
/// leads to us also when the request itself came by a domain of the operator's own.
pub(crate) fn called_api(request: &Extensions) -> &str {
    let api = match request.get() {
        Some(RequestContext::ApiGatewayV1(context)) => context.apiid.as_deref(),
        Some(RequestContext::ApiGatewayV2(context)) => context.apiid.as_deref(),
        _ => None,
    };
    api.unwrap_or_default()
}

impl PublicUrl {
    /// The URL under which a source receives: a credential, to be shown once.
    pub(crate) fn receiving_url(&self, token: &IngestToken) -> String {
        format!("{}/in/{}", self.0, token.expose())
    }

    /// The origin as text, without a slash at its end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PublicUrl {
    type Err = InvalidSettings;

    fn from_str(text: &str) -> Result<Self, InvalidSettings> {
        let url = Url::parse(text).map_err(|_| InvalidSettings::PublicUrl)?;
        let is_origin = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        let is_plain = url.username().is_empty() && url.password().is_none() && url.has_host();
        if !matches!(url.scheme(), "https" | "http") || !is_origin || !is_plain {
            return Err(InvalidSettings::PublicUrl);
        }
        Ok(Self(url[..Position::BeforePath].to_owned()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;

    #[test]
    fn a_public_url_is_an_origin() {
        for (text, origin) in [
            ("https://hooks.example.com", "https://hooks.example.com"),
            ("https://Hooks.example.com:8443/", "https://hooks.example.com:8443"),
            ("http://127.0.0.1:3000", "http://127.0.0.1:3000"),
        ] {
            assert_eq!(text.parse::<PublicUrl>().unwrap().as_str(), origin);
        }
        for text in [
            "",
            "hooks.example.com",
            "ftp://a",
            "https://a/b",
            "https://a?b",
            "https://a#b",
            "https://u@a",
            "https://u:p@a",
        ] {
            assert_eq!(text.parse::<PublicUrl>(), Err(InvalidSettings::PublicUrl), "{text}");
        }
    }

    #[test]
    fn settings_are_read_from_variables() {
        let read = |public_url: Option<&str>, private: Option<&str>| {
            Settings::read(|name| match name {
                PUBLIC_URL_VARIABLE => public_url.map(Into::into),
                ALLOW_PRIVATE_VARIABLE => private.map(Into::into),
                _ => None,
            })
        };
        let settings = read(None, None).unwrap();
        assert!(settings.public_url.is_none());
        assert_eq!(settings.guard.destinations(), Destinations::PublicOnly);
        assert!(read(Some(""), None).unwrap().public_url.is_none());
        assert_eq!(
            read(None, Some("1")).unwrap().guard.destinations(),
            Destinations::AllowPrivate
        );
        assert_eq!(read(Some("nonsense"), None).unwrap_err(), InvalidSettings::PublicUrl);
    }
}
