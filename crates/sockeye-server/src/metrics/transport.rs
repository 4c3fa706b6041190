//! The ways by which clients come, as labels name them.

/// A way by which a client comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Publications by the admin API.
    Admin,
    /// A WebSocket whose messages come back.
    Echo,
    /// A stream of server-sent events.
    Events,
    /// Publications over HTTP.
    Http,
    /// A WebSocket that speaks `sockeye.v1.json`.
    Json,
    /// A stream of lines of JSON.
    Lines,
    /// A stream of parts.
    Parts,
    /// A long poll that waits.
    Poll,
    /// A WebSocket whose messages are payloads.
    Raw,
}

impl Transport {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 9] = [
        Self::Admin,
        Self::Echo,
        Self::Events,
        Self::Http,
        Self::Json,
        Self::Lines,
        Self::Parts,
        Self::Poll,
        Self::Raw,
    ];

    /// Those that last, so that there are connections of them.
    pub(super) const LASTING: [Self; 7] =
        [Self::Echo, Self::Events, Self::Json, Self::Lines, Self::Parts, Self::Poll, Self::Raw];

    /// Returns its name, which never changes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Echo => "echo",
            Self::Events => "sse",
            Self::Http => "http",
            Self::Json => "json",
            Self::Lines => "ndjson",
            Self::Parts => "multipart",
            Self::Poll => "poll",
            Self::Raw => "raw",
        }
    }

    /// Returns the class under which the reactor counts its messages, if it lives there.
    pub(crate) fn class(self) -> Option<u8> {
        match self {
            Self::Echo => Some(1),
            Self::Json => Some(2),
            Self::Raw => Some(3),
            _ => None,
        }
    }

    /// Picks what belongs to it.
    pub(super) fn of<T>(self, each: &[T; Self::ALL.len()]) -> &T {
        let [admin, echo, events, http, json, lines, parts, poll, raw] = each;
        match self {
            Self::Admin => admin,
            Self::Echo => echo,
            Self::Events => events,
            Self::Http => http,
            Self::Json => json,
            Self::Lines => lines,
            Self::Parts => parts,
            Self::Poll => poll,
            Self::Raw => raw,
        }
    }
}
