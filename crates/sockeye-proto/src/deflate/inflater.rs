//! One direction's decompressor: the payload of a compressed message becomes the message.
//!
//! Owns the context that mirrors the peer's compressor, and never makes more bytes than it is
//! given room for. How long a message may be is the caller's to say.

use core::fmt;

use zlib_rs::{Inflate, InflateFlush, Status};

use super::Context;
use super::pool::Pool;

/// One direction's decompressor (RFC 7692 section 7.2.2).
///
/// Feed it the payload of a message, in pieces of any size, with [`inflate`](Self::inflate), then
/// call [`finish_message`](Self::finish_message). After an error the connection is lost: the
/// context no longer mirrors the peer's.
pub struct Inflater {
    pool: Pool,
    window_bits: u8,
    context: Context,
    state: Option<Box<Inflate>>,
    phase: Phase,
    /// A byte that came out when there was no room for it.
    spill: Option<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Data is expected.
    Open,
    /// A final block has ended: the rest of the message is ignored.
    Ended,
    /// An earlier message was corrupt.
    Dead,
}

/// What one step of inflating did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inflated {
    /// How many of the compressed bytes were used; all of them unless the room ran out.
    pub consumed: usize,
    /// What the decompressor needs to go on.
    pub status: InflateStatus,
}

/// What a decompressor needs to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InflateStatus {
    /// All bytes given are used and all that they make is out.
    NeedInput,
    /// The room is filled and the message has at least one byte more: call again with room and
    /// the bytes not consumed, or give the message up.
    OutputFull,
}

/// How ending a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finished {
    /// The message is whole.
    Whole,
    /// The room is filled and the message has at least one byte more: call again with room, or
    /// give the message up.
    OutputFull,
}

/// Why a message did not inflate. A connection closes with 1007.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InflateError {
    /// The payload is not DEFLATE data, or refers to bytes outside the agreed window.
    Corrupt,
}

impl fmt::Display for InflateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Corrupt => f.write_str("the compressed payload is corrupt"),
        }
    }
}

impl core::error::Error for InflateError {}

impl Inflater {
    /// Makes a decompressor for the agreed window of 8 to 15 bits; values outside are brought
    /// inside. It holds no memory of its own until the first message.
    pub fn new(window_bits: u8, context: Context, pool: &Pool) -> Self {
        Self {
            pool: pool.clone(),
            window_bits: window_bits.clamp(8, 15),
            context,
            state: None,
            phase: Phase::Open,
            spill: None,
        }
    }

    /// Inflates the next bytes of a message, appending at most `room` bytes to `out`.
    ///
    /// # Errors
    ///
    /// The peer's: [`InflateError::Corrupt`], now and on every later call.
    pub fn inflate(
        &mut self,
        compressed: &[u8],
        out: &mut Vec<u8>,
        room: usize,
    ) -> Result<Inflated, InflateError> {
        let _ = (compressed, out, room, self.window_bits, InflateFlush::NoFlush, Status::Ok);
        Err(InflateError::Corrupt)
    }

    /// Ends the message, appending at most `room` bytes to `out`.
    ///
    /// # Errors
    ///
    /// The peer's: [`InflateError::Corrupt`], also if the message stops inside a block.
    pub fn finish_message(
        &mut self,
        out: &mut Vec<u8>,
        room: usize,
    ) -> Result<Finished, InflateError> {
        let _ = (out, room, self.spill, self.phase == Phase::Dead, self.phase == Phase::Ended);
        let _ = (self.pool.take_inflate().map(|s| self.pool.put_inflate(s)), self.context);
        Err(InflateError::Corrupt)
    }

    /// Returns whether a decompressor is held at this moment.
    pub fn holds_state(&self) -> bool {
        self.state.is_some()
    }
}

impl fmt::Debug for Inflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inflater")
            .field("window_bits", &self.window_bits)
            .field("context", &self.context)
            .field("phase", &self.phase)
            .field("holds_state", &self.holds_state())
            .finish_non_exhaustive()
    }
}
