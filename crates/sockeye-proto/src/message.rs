//! Messages and the events of a connection, as the caller sees them.

use core::time::Duration;

use crate::close::CloseFrame;
use crate::utf8::{Binary, Text};

/// The two kinds of message (RFC 6455 section 5.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// UTF-8 text.
    Text,
    /// Bytes of any value.
    Binary,
}

/// A message to send, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageRef<'a> {
    /// UTF-8 text.
    Text(&'a str),
    /// Bytes of any value.
    Binary(&'a [u8]),
}

impl<'a> MessageRef<'a> {
    /// Returns the kind.
    pub fn kind(self) -> Kind {
        match self {
            Self::Text(_) => Kind::Text,
            Self::Binary(_) => Kind::Binary,
        }
    }

    /// Returns the payload.
    pub fn as_bytes(self) -> &'a [u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }
}

impl<'a> From<&'a str> for MessageRef<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a [u8]> for MessageRef<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Binary(bytes)
    }
}

/// A message that arrived, borrowed where it stands: in the caller's own buffer when it came in one
/// uncompressed frame, else in the connection's.
#[derive(Debug)]
pub enum Message<'a> {
    /// UTF-8 text, already checked.
    Text(Text<'a>),
    /// Bytes of any value.
    Binary(Binary<'a>),
}

impl Message<'_> {
    /// Borrows the message, to look at it or to send it on.
    pub fn as_ref(&self) -> MessageRef<'_> {
        match self {
            Self::Text(text) => MessageRef::Text(text.as_str()),
            Self::Binary(bytes) => MessageRef::Binary(bytes.as_bytes()),
        }
    }
}

/// A piece of a message that is read as it comes, see [`Delivery::Pieces`](crate::Delivery::Pieces).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// The kind of the message.
    pub kind: Kind,
    /// The bytes, inflated. Those of a text were checked, but a piece may end inside a code point.
    pub bytes: &'a [u8],
    /// Whether the message goes on.
    pub position: Position,
}

/// Where in its message a piece stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// More follows.
    More,
    /// This was the last piece.
    Last,
}

/// What the bytes of the peer meant.
#[derive(Debug)]
pub enum Event<'a> {
    /// A whole message.
    Message(Message<'a>),
    /// A piece of a message, while pieces are asked for.
    Piece(Piece<'a>),
    /// A ping; its pong has been written or, behind too many others, is held back.
    Ping(&'a [u8]),
    /// A pong, asked for or not.
    Pong {
        /// Its payload.
        payload: &'a [u8],
        /// The round-trip time, when it answers the last keep-alive ping.
        rtt: Option<Duration>,
    },
    /// The peer's Close frame; its answer, if one was due, has been written. The last event.
    Close(CloseFrame),
}
