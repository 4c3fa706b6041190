//! What a caller asked the handshake for that it may not carry.

use alloc::string::String;
use core::fmt;

/// What the caller asked for that a handshake cannot carry. Never caused by what a peer sent, and
/// nothing of it has been written.
///
/// On a server it turns into a [`Rejection`](super::Rejection) with status 500.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandshakeMisuse {
    /// A header name that is not a token, such as one with a line break.
    HeaderName(String),
    /// The value of the named header holds a control character, such as a line break or NUL.
    HeaderValue(String),
    /// The named header is the handshake's own.
    ReservedHeader(String),
    /// A subprotocol that is not a token.
    Subprotocol(String),
    /// A subprotocol offered twice.
    DuplicateSubprotocol(String),
    /// The server chose a subprotocol that the client did not offer.
    SubprotocolNotOffered(String),
    /// An `Origin` value that is neither `null` nor `scheme://host[:port]`.
    Origin(String),
    /// An entry in a list of origins that is none of the forms of
    /// [`OriginPattern`](super::OriginPattern).
    OriginPattern(String),
}

impl fmt::Display for HandshakeMisuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HeaderName(name) => write!(f, "header name {name:?} is not a token"),
            Self::HeaderValue(name) => {
                write!(f, "value of header {name:?} holds a control character")
            }
            Self::ReservedHeader(name) => {
                write!(f, "header {name:?} is set by the handshake itself")
            }
            Self::Subprotocol(name) => write!(f, "subprotocol {name:?} is not a token"),
            Self::DuplicateSubprotocol(name) => write!(f, "subprotocol {name:?} offered twice"),
            Self::SubprotocolNotOffered(name) => {
                write!(f, "subprotocol {name:?} was not offered by the client")
            }
            Self::Origin(origin) => write!(f, "{origin:?} is not an origin"),
            Self::OriginPattern(pattern) => write!(
                f,
                "{pattern:?} is not an origin pattern: write https://example.com, example.com, \
                 *.example.com, same or null"
            ),
        }
    }
}

impl core::error::Error for HandshakeMisuse {}
