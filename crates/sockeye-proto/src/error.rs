//! Why a connection failed, sorted by whose fault it was, and the one map from a failure to the
//! close code that tells the peer.

use core::fmt;

use crate::close::CloseCode;

/// Why a call or a connection failed.
///
/// A failure caused by the peer, a limit or a time-out is final: the connection reports it once,
/// says so to the peer in a Close frame, and yields no further event. A misuse leaves the
/// connection as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The peer broke the protocol.
    Peer(PeerError),
    /// A limit of this end was reached.
    Limit(LimitError),
    /// The peer took too long.
    Timeout(Timeout),
    /// The caller asked for what the protocol forbids. Never caused by what a peer sent.
    Misuse(Misuse),
}

impl Error {
    /// Returns the close code that tells the peer of this failure (RFC 6455 section 7.4.1); `None`
    /// for a misuse, of which the peer hears nothing, and for a peer that answers no more.
    pub fn close_code(&self) -> Option<CloseCode> {
        match self {
            Self::Peer(PeerError::InvalidUtf8 | PeerError::CorruptDeflate) => {
                Some(CloseCode::INVALID_DATA)
            }
            Self::Peer(_) => Some(CloseCode::PROTOCOL),
            Self::Limit(error) => Some(match error.limit {
                Limit::Message | Limit::Fragments | Limit::InflateRatio => CloseCode::TOO_BIG,
                Limit::EmptyFragments | Limit::ControlRate => CloseCode::POLICY,
                Limit::Memory => CloseCode::INTERNAL,
            }),
            Self::Timeout(Timeout::Message | Timeout::WriteStall) => Some(CloseCode::POLICY),
            Self::Timeout(Timeout::Keepalive | Timeout::Close) | Self::Misuse(_) => None,
        }
    }
}

/// How the peer broke the protocol. Sections are those of RFC 6455 unless another is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerError {
    /// A client's frame without a mask (section 5.1).
    UnmaskedFrame,
    /// A server's frame with a mask (section 5.1).
    MaskedFrame,
    /// A reserved bit that no negotiated extension gives a meaning (section 5.2).
    ReservedBits,
    /// An opcode that is not defined: 3 to 7 or 11 to 15 (section 5.2).
    ReservedOpcode(u8),
    /// A control frame in fragments (section 5.5).
    FragmentedControl,
    /// A control frame longer than 125 bytes (section 5.5).
    ControlTooLong,
    /// A length in more bytes than it needs (section 5.2).
    LengthNotMinimal,
    /// A 64-bit length with its highest bit set (section 5.2).
    LengthTooLarge,
    /// A continuation without a message to continue (section 5.4).
    UnexpectedContinuation,
    /// A new message before the last fragment of the one before (section 5.4).
    ExpectedContinuation,
    /// Text or a close reason that is not UTF-8 (sections 8.1 and 5.5.1).
    InvalidUtf8,
    /// A Close frame with a body of one byte (section 5.5.1).
    CloseBodyTooShort,
    /// A close code that may not be sent (section 7.4).
    InvalidCloseCode(u16),
    /// A compressed message that does not inflate (RFC 7692 section 7.2.2).
    CorruptDeflate,
}

/// A limit that was reached: which, its value, and what was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitError {
    /// Which limit.
    pub limit: Limit,
    /// Its value, in the unit of the limit.
    pub max: u64,
    /// What was seen, in the same unit.
    pub seen: u64,
}

/// The limits of [`Limits`](crate::Limits), by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// The length of a message in bytes: declared, gathered or inflated.
    Message,
    /// Fragments in a message.
    Fragments,
    /// Fragments in a message that is still empty: work for nothing.
    EmptyFragments,
    /// How far a compressed message grew.
    InflateRatio,
    /// Control frames per second.
    ControlRate,
    /// Memory that the allocator refused, in bytes.
    Memory,
}

/// What the peer did not do in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Timeout {
    /// The peer stayed silent after a keep-alive ping.
    Keepalive,
    /// The peer did not answer the Close frame, or did not let go of the transport.
    Close,
    /// The last fragment of a message did not arrive.
    Message,
    /// The peer read nothing while bytes waited for it.
    WriteStall,
}

/// What the caller asked for that the protocol forbids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Misuse {
    /// A send after the connection was closed or failed.
    Closed,
    /// A close code that may not be sent: allowed are 1000 to 1003, 1007 to 1014, 3000 to 4999.
    CloseCode(u16),
    /// A close reason of this many bytes; 123 are allowed.
    ReasonTooLong(usize),
    /// A close reason without a code to go before it.
    ReasonWithoutCode,
    /// A ping or pong payload of this many bytes; 125 are allowed.
    ControlTooLong(usize),
    /// A message while another is being sent in fragments.
    FragmentsPending,
    /// A text message sent in fragments whose bytes are not UTF-8.
    InvalidUtf8,
    /// The outgoing queue is full; the message was not taken.
    QueueFull {
        /// Bytes that the queue holds.
        queued: usize,
        /// The limit.
        max: usize,
    },
}

impl From<PeerError> for Error {
    fn from(error: PeerError) -> Self {
        Self::Peer(error)
    }
}

impl From<LimitError> for Error {
    fn from(error: LimitError) -> Self {
        Self::Limit(error)
    }
}

impl From<Timeout> for Error {
    fn from(timeout: Timeout) -> Self {
        Self::Timeout(timeout)
    }
}

impl From<Misuse> for Error {
    fn from(misuse: Misuse) -> Self {
        Self::Misuse(misuse)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer(error) => error.fmt(f),
            Self::Limit(error) => error.fmt(f),
            Self::Timeout(timeout) => timeout.fmt(f),
            Self::Misuse(misuse) => misuse.fmt(f),
        }
    }
}

impl fmt::Display for PeerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnmaskedFrame => f.write_str("client frame without a mask"),
            Self::MaskedFrame => f.write_str("server frame with a mask"),
            Self::ReservedBits => f.write_str("reserved bit set without an extension"),
            Self::ReservedOpcode(opcode) => write!(f, "reserved opcode {opcode}"),
            Self::FragmentedControl => f.write_str("control frame in fragments"),
            Self::ControlTooLong => f.write_str("control frame longer than 125 bytes"),
            Self::LengthNotMinimal => f.write_str("length in more bytes than it needs"),
            Self::LengthTooLarge => f.write_str("64-bit length with its highest bit set"),
            Self::UnexpectedContinuation => f.write_str("continuation without a message"),
            Self::ExpectedContinuation => f.write_str("new message inside a fragmented one"),
            Self::InvalidUtf8 => f.write_str("text that is not UTF-8"),
            Self::CloseBodyTooShort => f.write_str("close body of one byte"),
            Self::InvalidCloseCode(code) => write!(f, "close code {code} may not be sent"),
            Self::CorruptDeflate => f.write_str("compressed message does not inflate"),
        }
    }
}

impl fmt::Display for LimitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { limit, max, seen } = self;
        match limit {
            Limit::Message => write!(f, "message of {seen} bytes, limit {max}"),
            Limit::Fragments => write!(f, "message of {seen} fragments, limit {max}"),
            Limit::EmptyFragments => write!(f, "{seen} empty fragments, limit {max}"),
            Limit::InflateRatio => write!(f, "message inflates {seen} times, limit {max}"),
            Limit::ControlRate => write!(f, "more than {max} control frames a second"),
            Limit::Memory => write!(f, "no memory for {seen} bytes"),
        }
    }
}

impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Keepalive => "ping timeout",
            Self::Close => "closing handshake timeout",
            Self::Message => "message not finished in time",
            Self::WriteStall => "peer does not read",
        })
    }
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the connection is closed"),
            Self::CloseCode(code) => write!(
                f,
                "close code {code} may not be sent: use 1000 to 1003, 1007 to 1014 or 3000 to 4999"
            ),
            Self::ReasonTooLong(len) => write!(f, "close reason of {len} bytes, at most 123"),
            Self::ReasonWithoutCode => f.write_str("close reason without a close code"),
            Self::ControlTooLong(len) => write!(f, "ping or pong of {len} bytes, at most 125"),
            Self::FragmentsPending => f.write_str("another message is being sent in fragments"),
            Self::InvalidUtf8 => f.write_str("text message is not UTF-8"),
            Self::QueueFull { queued, max } => {
                write!(f, "outgoing queue full: {queued} bytes wait, limit {max}")
            }
        }
    }
}

impl core::error::Error for Error {}
impl core::error::Error for PeerError {}
impl core::error::Error for LimitError {}
impl core::error::Error for Timeout {}
impl core::error::Error for Misuse {}
