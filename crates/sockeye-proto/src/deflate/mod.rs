//! permessage-deflate (RFC 7692): what may be asked for, what was agreed, and the codec.
//!
//! Negotiation is part of the opening handshake; this module holds its result, [`Params`], and
//! turns messages into their compressed form and back. It knows nothing of frames.

mod decoder;
mod deflater;
mod encoder;
mod huffman;
mod inflater;
pub(crate) mod negotiate;
mod pool;

pub use deflater::Deflater;
pub use inflater::{InflateError, InflateStatus, Inflated, Inflater};
pub use negotiate::{AnswerError, ClientWindow, Offer};
pub use pool::Pool;

/// Whether one direction remembers its messages from one to the next (RFC 7692 section 7.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// Each message starts afresh (`no_context_takeover`): nothing is held between messages.
    Forget,
    /// A message may refer to those before it: smaller on the wire, a state for each connection.
    Keep,
}

/// What an endpoint offers or accepts, and when it compresses.
///
/// The default costs little memory per connection: no context is kept between messages in either
/// direction, so that compressors are shared through a [`Pool`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeflateConfig {
    /// Effort from 1 (fastest, the default) to 9 (smallest).
    ///
    /// Without a context each level looks for matches at so many places: 3, 6, 8, 16, 24, 32, 64,
    /// 256, 1,024. Level 1 makes JSON as small as zlib's level 6 does in less than half of its
    /// time; above 2, short messages gain nothing. With a context, and for messages sent in
    /// pieces, the levels are zlib's.
    pub level: u8,
    /// Messages shorter than this many bytes go out as they are; default 1,024.
    pub threshold: usize,
    /// The largest window, as a power of two, in which the server compresses: 8 to 15, default 12
    /// (4 KiB). A server compresses within it; a client asks for it unless it is 15, and servers
    /// that cannot choose their window decline then.
    pub server_max_window_bits: u8,
    /// The largest window, as a power of two, in which the client compresses: 8 to 15, default 12
    /// (4 KiB). A client compresses within it and says so unless it is 15; a server asks for it
    /// where the client lets it, and else inflates in the full 32 KiB.
    pub client_max_window_bits: u8,
    /// Whether the server forgets each message before the next; default `true`. A server does so
    /// and says it; a client asks for it.
    pub server_no_context_takeover: bool,
    /// Whether the client forgets each message before the next; default `true`. A client does so
    /// and says it; a server asks for it.
    pub client_no_context_takeover: bool,
}

impl Default for DeflateConfig {
    fn default() -> Self {
        Self {
            level: 1,
            threshold: 1024,
            server_max_window_bits: 12,
            client_max_window_bits: 12,
            server_no_context_takeover: true,
            client_no_context_takeover: true,
        }
    }
}

/// The parameters that both ends agreed on (RFC 7692 section 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params {
    /// The server forgets each message before the next.
    pub server_no_context_takeover: bool,
    /// The client forgets each message before the next.
    pub client_no_context_takeover: bool,
    /// The server's window, as a power of two: 8 to 15.
    pub server_max_window_bits: u8,
    /// The client's window, as a power of two: 8 to 15.
    pub client_max_window_bits: u8,
}

impl Default for Params {
    /// Returns what a bare `permessage-deflate` means: contexts kept, windows of 32 KiB.
    fn default() -> Self {
        Self {
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            server_max_window_bits: 15,
            client_max_window_bits: 15,
        }
    }
}
