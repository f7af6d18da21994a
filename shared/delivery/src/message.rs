//! What is sent: an event in the format that a webhook asks for.

use bytes::Bytes;
use http::HeaderValue;
use payload::Event;
use payload::event::BrokenEvent;
use payload::webhook::Format;

/// The body of a request. The bytes that are signed are these, and these are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The media type of the body.
    pub content_type: HeaderValue,
    /// The body.
    pub body: Bytes,
}

impl Message {
    /// An event in this format.
    ///
    /// # Errors
    /// When the stored parts of the event do not fit together: no webhook can be sent it, now or later.
    pub fn render(event: &Event, format: Format) -> Result<Self, BrokenEvent> {
        match format {
            Format::Raw => Ok(Self {
                content_type: HeaderValue::from_static("application/json"),
                body: Bytes::from(event.to_json()?),
            }),
        }
    }
}
