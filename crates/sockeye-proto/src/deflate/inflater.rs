//! One direction's decompressor: the payload of a compressed message becomes the message.
//!
//! Owns the context that mirrors the peer's compressor, and never makes more bytes than it is
//! given room for. How long a message may be is the caller's to say.

use core::fmt;

use super::Context;
use super::decoder::{Corrupt, Decoder, Pause};
use super::pool::Pool;
use crate::memory::{NoMemory, Own};

/// One direction's decompressor (RFC 7692 section 7.2.2).
///
/// Feed it the payload of a message, in pieces of any size, with [`inflate`](Self::inflate), then
/// call [`finish_message`](Self::finish_message). After an error the connection is lost: the
/// context no longer mirrors the peer's.
pub struct Inflater {
    pool: Pool,
    window_bits: u8,
    context: Context,
    state: Option<Own<Decoder>>,
    /// A message was corrupt.
    failed: bool,
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

/// Why a message did not inflate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InflateError {
    /// The payload is not DEFLATE data, or refers to bytes outside the agreed window. A connection
    /// closes with 1007.
    Corrupt,
    /// The allocator refused this many bytes. A connection closes with 1011.
    Memory(usize),
}

impl fmt::Display for InflateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Corrupt => f.write_str("the compressed payload is corrupt"),
            Self::Memory(asked) => write!(f, "no memory for {asked} bytes"),
        }
    }
}

impl core::error::Error for InflateError {}

impl From<Corrupt> for InflateError {
    fn from(_: Corrupt) -> Self {
        Self::Corrupt
    }
}

impl From<NoMemory> for InflateError {
    fn from(NoMemory(asked): NoMemory) -> Self {
        Self::Memory(asked)
    }
}

impl Inflater {
    /// Makes a decompressor for the agreed window of 8 to 15 bits; values outside are brought
    /// inside. It holds no memory of its own until the first message.
    pub fn new(window_bits: u8, context: Context, pool: &Pool) -> Self {
        Self {
            pool: pool.clone(),
            window_bits: window_bits.clamp(8, 15),
            context,
            state: None,
            failed: false,
        }
    }

    /// Inflates the next bytes of a message, appending at most `room` bytes to `out`.
    ///
    /// # Errors
    ///
    /// The peer's: [`InflateError::Corrupt`], now and on every later call. What came before the
    /// corrupt bytes has then been appended. The allocator's: [`InflateError::Memory`], after which
    /// every later call finds the payload corrupt.
    pub fn inflate(
        &mut self,
        compressed: &[u8],
        out: &mut Vec<u8>,
        room: usize,
    ) -> Result<Inflated, InflateError> {
        let mut input = compressed;
        let pause = self.run(&mut input, out, room)?;
        Ok(Inflated {
            consumed: compressed.len() - input.len(),
            status: match pause {
                Pause::Input => InflateStatus::NeedInput,
                Pause::Output => InflateStatus::OutputFull,
            },
        })
    }

    /// Ends the message, all of which has been inflated.
    ///
    /// # Errors
    ///
    /// The peer's: [`InflateError::Corrupt`], also if the message stops inside a block.
    pub fn finish_message(&mut self) -> Result<(), InflateError> {
        if self.failed {
            return Err(InflateError::Corrupt);
        }
        let Some(mut state) = self.state.take() else {
            // No byte of payload came: an empty message.
            return Ok(());
        };
        // RFC 7692 section 7.2.2 has the receiver append the four bytes that end an empty stored
        // block. That nothing but them is missing tells the same, and tells a message cut short.
        if !state.at_message_end() {
            self.failed = true;
            return Err(InflateError::Corrupt);
        }
        match self.context {
            Context::Forget => self.pool.put_inflate(state),
            Context::Keep => {
                state.restart();
                self.state = Some(state);
            }
        }
        Ok(())
    }

    /// Returns whether a decompressor is held at this moment.
    pub fn holds_state(&self) -> bool {
        self.state.is_some()
    }

    fn run(
        &mut self,
        input: &mut &[u8],
        out: &mut Vec<u8>,
        room: usize,
    ) -> Result<Pause, InflateError> {
        if self.failed {
            return Err(InflateError::Corrupt);
        }
        if self.state.is_none() && input.is_empty() {
            return Ok(Pause::Input);
        }
        // After an error the context is given up. Its state is dropped and never pooled: another
        // connection must not start from it.
        self.failed = true;
        let mut state = match self.state.take() {
            Some(state) => state,
            None => self.blank_state()?,
        };
        let pause = fill(&mut state, input, out, room)?;
        self.state = Some(state);
        self.failed = false;
        Ok(pause)
    }

    fn blank_state(&self) -> Result<Own<Decoder>, NoMemory> {
        match self.pool.take_inflate() {
            Some(mut state) => {
                state.reset(self.window_bits);
                Ok(state)
            }
            None => Own::new(Decoder::new(self.window_bits)),
        }
    }
}

impl fmt::Debug for Inflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inflater")
            .field("window_bits", &self.window_bits)
            .field("context", &self.context)
            .field("failed", &self.failed)
            .field("holds_state", &self.holds_state())
            .finish_non_exhaustive()
    }
}

/// Decodes into fresh space behind `out`, a step at a time, so that a claim of much room costs
/// nothing until bytes come.
fn fill(
    state: &mut Decoder,
    input: &mut &[u8],
    out: &mut Vec<u8>,
    room: usize,
) -> Result<Pause, InflateError> {
    let start = out.len();
    let mut made = 0;
    let pause = loop {
        let step = input.len().saturating_mul(4).saturating_add(LEAST_STEP).min(STEP);
        let space = room.min(made + step);
        if let Err(refused) = make_room(out, start + space, start.saturating_add(room)) {
            break Err(refused.into());
        }
        out.resize(start + space, 0);
        let pause = state.decode(input, out.get_mut(start..).unwrap_or_default(), &mut made);
        if pause != Ok(Pause::Output) || space == room {
            break pause.map_err(InflateError::from);
        }
    };
    out.truncate(start + made);
    let pause = pause?;
    state.remember(out.get(start..).unwrap_or_default())?;
    Ok(pause)
}

/// Makes room for `len` bytes in all: twice the room each time, but no more than `longest`.
fn make_room(out: &mut Vec<u8>, len: usize, longest: usize) -> Result<(), NoMemory> {
    if len <= out.capacity() {
        return Ok(());
    }
    let doubled = out.capacity().saturating_mul(2).min(longest);
    let more = len.max(doubled) - out.len();
    out.try_reserve_exact(more).map_err(|_| NoMemory(more))
}

/// The least and the most output space made ready at once.
const LEAST_STEP: usize = 512;
const STEP: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deflate::Deflater;

    // DFL-021
    #[test]
    fn a_state_keeps_no_more_of_a_big_message_than_the_window() {
        let message: Vec<u8> =
            (0..1u32 << 18).flat_map(|i| i.wrapping_mul(i).to_le_bytes()).collect();
        for bits in 8..=15 {
            let pool = Pool::default();
            let mut payload = Vec::new();
            Deflater::new(bits, Context::Keep, 1, &pool).compress(&message, &mut payload).unwrap();
            let mut inflater = Inflater::new(bits, Context::Keep, &pool);
            let mut out = Vec::new();
            for piece in payload.chunks(100_000) {
                inflater.inflate(piece, &mut out, 2 << 20).unwrap();
            }
            inflater.finish_message().unwrap();
            assert!(out == message);
            assert_eq!(inflater.state.unwrap().window_memory(), 1 << bits);
        }
    }
}
