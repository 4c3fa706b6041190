//! Messages and events as an application owns them.

use std::time::Duration;

use bytes::Bytes;
use sockeye_proto::{CloseFrame, Kind, MessageRef, Utf8Bytes};

/// A message: text or bytes. Cloning it is cheap.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Message {
    /// UTF-8 text.
    Text(Utf8Bytes),
    /// Bytes of any value.
    Binary(Bytes),
}

impl Message {
    /// Makes a text message.
    pub fn text(text: impl Into<Utf8Bytes>) -> Self {
        Self::Text(text.into())
    }

    /// Makes a binary message.
    pub fn binary(bytes: impl Into<Bytes>) -> Self {
        Self::Binary(bytes.into())
    }

    /// Returns the kind.
    pub fn kind(&self) -> Kind {
        self.as_ref().kind()
    }

    /// Returns the payload.
    pub fn as_bytes(&self) -> &[u8] {
        self.as_ref().as_bytes()
    }

    /// Returns the text, or `None` for a binary message.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) => None,
        }
    }

    /// Returns the payload without copying it.
    pub fn into_bytes(self) -> Bytes {
        match self {
            Self::Text(text) => text.into(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// Borrows the message in the core's form.
    pub fn as_ref(&self) -> MessageRef<'_> {
        match self {
            Self::Text(text) => MessageRef::Text(text),
            Self::Binary(bytes) => MessageRef::Binary(bytes),
        }
    }
}

impl From<sockeye_proto::Message<'_>> for Message {
    fn from(message: sockeye_proto::Message<'_>) -> Self {
        match message {
            sockeye_proto::Message::Text(text) => Self::Text(text.into_string().into()),
            sockeye_proto::Message::Binary(bytes) => Self::Binary(bytes.into_vec().into()),
        }
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<Utf8Bytes> for Message {
    fn from(text: Utf8Bytes) -> Self {
        Self::Text(text)
    }
}

impl From<Bytes> for Message {
    fn from(bytes: Bytes) -> Self {
        Self::Binary(bytes)
    }
}

impl From<Vec<u8>> for Message {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Binary(bytes.into())
    }
}

impl From<&[u8]> for Message {
    fn from(bytes: &[u8]) -> Self {
        Self::Binary(Bytes::copy_from_slice(bytes))
    }
}

/// Anything that happens on a connection, for those who want to see more than messages.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A message.
    Message(Message),
    /// A ping, which has been answered.
    Ping(Bytes),
    /// A pong, asked for or not.
    Pong {
        /// Its payload.
        payload: Bytes,
        /// The round-trip time, when it answers a keep-alive ping.
        rtt: Option<Duration>,
    },
    /// The peer's Close frame, which has been answered. No message follows.
    Closing(CloseFrame),
}
