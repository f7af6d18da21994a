//! Requests that are answered and make no receipt: a provider that asks whether its webhooks are wanted here, and whoever looks whether
//! anybody is here at all.

use lambda_http::http::request::Parts;
use lambda_http::http::{HeaderValue, Method};
use payload::handshake::{Answer, Question};
use payload::source::Door;

use crate::Refusal;

/// What is asked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// A provider's question: its own word is sent back.
    Echo(String),
    /// A provider's question: its origin is allowed.
    AllowOrigin {
        /// The origin.
        origin: String,
        /// How many deliveries a minute are welcome; `*` for any number.
        rate: String,
    },
    /// A GET that says nothing: a monitor's, or a person's browser.
    Look,
    /// A HEAD.
    LookAtHead,
    /// An OPTIONS that is no provider's question.
    Options,
}

impl Asked {
    /// What a request asks; nothing where it is to be stored, or refused for other reasons.
    pub(crate) fn read(head: &Parts, body: &[u8], door: &Door) -> Result<Option<Self>, Refusal> {
        // What answers a HEAD has no body, so that nothing can be sent back in it.
        if head.method == Method::HEAD {
            return Ok(Some(Self::LookAtHead));
        }
        if let Some(answer) = handshake(head, body, door) {
            return match answer {
                Answer::Echo(word) => Ok(Some(Self::Echo(word))),
                Answer::AllowOrigin { origin, rate } => Ok(Some(Self::AllowOrigin { origin, rate })),
                Answer::Refused => Err(Refusal::Handshake),
            };
        }
        let says_nothing = body.is_empty() && head.uri.query().unwrap_or_default().is_empty();
        Ok(match head.method {
            Method::GET if says_nothing => Some(Self::Look),
            Method::OPTIONS => Some(Self::Options),
            _ => None,
        })
    }

    /// The outcome as the log names it.
    pub(crate) fn outcome(&self) -> &'static str {
        match self {
            Self::Echo(_) | Self::AllowOrigin { .. } => "handshake",
            Self::Look | Self::LookAtHead | Self::Options => "probe",
        }
    }
}

fn handshake(head: &Parts, body: &[u8], door: &Door) -> Option<Answer> {
    let header = |name: &str| head.headers.get(name).map(HeaderValue::as_bytes);
    door.handshake.as_ref()?.answer(&Question {
        method: head.method.as_str(),
        query: head.uri.query().unwrap_or_default(),
        header: &header,
        body,
        salt: &door.salt,
        verify_token_hash: door.verify_token_hash.as_deref(),
    })
}
