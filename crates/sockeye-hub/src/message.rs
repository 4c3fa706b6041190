//! Messages: what a publisher gives, and what the hub makes of it.
//!
//! Knows payloads. How a message looks on a transport is the matter of whoever delivers it.

use std::fmt;
use std::str::Utf8Error;
use std::time::Duration;

use bytes::Bytes;

use crate::{Id, Label, Slow, TopicName};

/// What a message carries: bytes, which are text or not. A clone shares them.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload {
    bytes: Bytes,
    kind: Kind,
}

/// What the bytes of a payload are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any bytes.
    Binary,
    /// UTF-8.
    Text,
}

impl Payload {
    /// Makes a payload of any bytes.
    pub fn binary(bytes: impl Into<Bytes>) -> Self {
        Self { bytes: bytes.into(), kind: Kind::Binary }
    }

    /// Makes a payload of text.
    pub fn text(text: impl Into<String>) -> Self {
        Self { bytes: text.into().into(), kind: Kind::Text }
    }

    /// Makes a payload of text that came as bytes.
    ///
    /// # Errors
    /// Where the bytes stop being UTF-8.
    pub fn text_from(bytes: impl Into<Bytes>) -> Result<Self, Utf8Error> {
        let bytes = bytes.into();
        std::str::from_utf8(&bytes)?;
        Ok(Self { bytes, kind: Kind::Text })
    }

    /// Returns the bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Tells whether the bytes are text.
    pub fn kind(&self) -> Kind {
        self.kind
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}({} bytes)", self.kind, self.bytes.len())
    }
}

/// A message of a topic, shared by everyone who gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// Its id, and the cursor of whoever has got it.
    pub id: Id,
    /// The number of the topic's message before it; 0 before the first. A subscriber that has not
    /// got that one, and was subscribed when it came, has missed it. For a topic that the hub had
    /// forgotten it may be higher than the true one, but never higher than the cursor with which a
    /// subscription to the topic began.
    pub prev: u64,
    /// The topic it was published to.
    pub topic: TopicName,
    /// The name of the event, if the publisher gave one.
    pub event: Option<Label>,
    /// What it carries.
    pub payload: Payload,
    /// When it was published, on the clock of the caller.
    pub at: Duration,
    /// What its topic does to subscribers that read too slowly.
    pub slow: Slow,
}

impl Message {
    /// Returns the bytes that a message counts for wherever messages are kept: payload, event, and
    /// [`OVERHEAD`], so that many empty messages are not free.
    pub fn cost(&self) -> usize {
        let event = self.event.as_ref().map_or(0, |event| event.as_str().len());
        self.payload.bytes.len().saturating_add(event).saturating_add(OVERHEAD)
    }
}

/// Bytes that every kept message counts for besides its payload and its event's name: about what
/// the message itself and its places in a history and an allocator take.
pub const OVERHEAD: usize = 192;

/// What a publisher asks for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Publication {
    /// The topic; made when it does not exist.
    pub topic: TopicName,
    /// What to carry.
    pub payload: Payload,
    /// The name of the event; default none.
    pub event: Option<Label>,
    /// A name that the publisher gives to this publication alone; default none. Published again
    /// under the same key, it is answered as the first time and not delivered.
    pub key: Option<Label>,
    /// The id that the topic's last message must have; default none, which does not ask.
    pub if_version: Option<Id>,
}

impl Publication {
    /// Makes a publication with nothing but a topic and a payload.
    pub fn new(topic: TopicName, payload: Payload) -> Self {
        Self { topic, payload, event: None, key: None, if_version: None }
    }
}

/// What became of a publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// The id of the message; of the first one when this was a repeat.
    pub id: Id,
    /// Subscribers that the topic has.
    pub subscribers: usize,
    /// Whether its key had been used, so that nothing was published now.
    pub is_repeat: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overhead_covers_the_message_and_its_places() {
        let shared = size_of::<Message>() + 2 * size_of::<usize>();
        assert!(shared + 2 * size_of::<usize>() <= OVERHEAD, "{shared}");
    }

    #[test]
    fn text_that_is_not_utf_8_is_no_text() {
        assert_eq!(Payload::text_from(&b"ab\xff"[..]).unwrap_err().valid_up_to(), 2);
        assert_eq!(Payload::text_from(&b"ab"[..]).unwrap(), Payload::text("ab"));
        assert_ne!(Payload::binary("ab"), Payload::text("ab"));
    }
}
