//! One direction's compressor: a message becomes the payload of a compressed message.
//!
//! Owns the context that the peer's decompressor mirrors. Whether a message is worth compressing
//! is the caller's choice.

use core::fmt;

use zlib_rs::{Deflate, DeflateConfig, DeflateFlush, Status};

use super::Context;
use super::encoder::Encoder;
use super::pool::{DeflateKind, Pool};
use crate::error::LimitError;
use crate::memory::{NoMemory, Own, reserve};
use crate::message::Position;

/// One direction's compressor (RFC 7692 section 7.2.1).
pub struct Deflater {
    pool: Pool,
    /// The window that was agreed, as a power of two.
    window_bits: u8,
    kind: DeflateKind,
    context: Context,
    state: Option<Box<Deflate>>,
    /// Bytes of the current message are with the compressor.
    fed: bool,
}

impl Deflater {
    /// Makes a compressor for the agreed window of 8 to 15 bits and a level of 1 to 9; values
    /// outside are brought inside. It holds no memory of its own until the first message.
    pub fn new(window_bits: u8, context: Context, level: u8, pool: &Pool) -> Self {
        Self {
            pool: pool.clone(),
            window_bits: window_bits.clamp(8, 15),
            kind: DeflateKind {
                level: level.clamp(1, 9),
                // zlib refuses raw streams of 8 bits. With 9 it looks back 512 - 262 = 250 bytes at
                // most, which a peer with a window of 256 can follow.
                window_bits: window_bits.clamp(9, 15),
            },
            context,
            state: None,
            fed: false,
        }
    }

    /// Appends the compressed form of a whole message to `out`, or of what is left of one that
    /// came in pieces.
    ///
    /// If the caller then sends the message as it was, it must [`discard`](Self::discard).
    ///
    /// # Errors
    /// The allocator's refusal, as [`Limit::Memory`](crate::Limit::Memory), where no context is
    /// kept: nothing was appended then. With a context the allocator's refusal ends the process.
    pub fn compress(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), LimitError> {
        if self.context == Context::Keep || self.fed {
            self.compress_part(payload, Position::Last, out);
            return Ok(());
        }
        let start = out.len();
        Ok(self.encode(payload, out).inspect_err(|_| out.truncate(start))?)
    }

    /// Appends what the compressor makes of the next piece of a message.
    ///
    /// It may hold back bytes until a later piece, and add nothing now. What all pieces of a
    /// message appended is one payload, to be cut into frames anywhere. Pieces take more time and
    /// memory than the whole at once.
    pub fn compress_part(&mut self, payload: &[u8], position: Position, out: &mut Vec<u8>) {
        self.fed |= !payload.is_empty();
        if self.fed {
            let flush = match position {
                Position::More => DeflateFlush::NoFlush,
                Position::Last => DeflateFlush::SyncFlush,
            };
            let state = self.state.get_or_insert_with(|| {
                self.pool.take_deflate(self.kind).unwrap_or_else(|| new_state(self.kind))
            });
            run(state, payload, flush, out);
        }
        if position == Position::Last {
            if self.fed {
                debug_assert!(out.ends_with(&TAIL), "a sync flush ends with an empty block");
                out.truncate(out.len().saturating_sub(TAIL.len()));
            } else {
                // RFC 7692 section 7.2.3.6. zlib would not flush again after its last flush.
                out.push(0);
            }
            self.end();
        }
    }

    /// Forgets the message compressed last, because the peer will not see its compressed form:
    /// it was sent uncompressed, or not at all.
    ///
    /// A kept context starts afresh, which the peer needs not know: it only ever is asked to look
    /// back at what it was sent. Without a kept context there is nothing to do.
    pub fn discard(&mut self) {
        if let Some(mut state) = self.state.take() {
            state.reset();
            match self.context {
                Context::Forget => self.pool.put_deflate(self.kind, state),
                Context::Keep => self.state = Some(state),
            }
        }
        self.fed = false;
    }

    /// Returns whether messages may refer to earlier ones.
    pub fn context(&self) -> Context {
        self.context
    }

    /// Returns whether a compressor is held at this moment.
    pub fn holds_state(&self) -> bool {
        self.state.is_some()
    }

    fn encode(&self, message: &[u8], out: &mut Vec<u8>) -> Result<(), NoMemory> {
        if message.is_empty() {
            reserve(out, 1)?;
            out.push(0);
            return Ok(());
        }
        let mut encoder = match self.pool.take_encoder() {
            Some(encoder) => encoder,
            None => Own::new(Encoder::new())?,
        };
        // After an error it is dropped.
        encoder.encode(message, self.window_bits, self.kind.level, out)?;
        self.pool.put_encoder(encoder);
        Ok(())
    }

    fn end(&mut self) {
        self.fed = false;
        if self.context == Context::Forget {
            self.discard();
        }
    }
}

impl fmt::Debug for Deflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deflater")
            .field("kind", &self.kind)
            .field("context", &self.context)
            .field("holds_state", &self.holds_state())
            .finish_non_exhaustive()
    }
}

fn new_state(kind: DeflateKind) -> Box<Deflate> {
    Box::new(Deflate::new_with_config(DeflateConfig {
        level: i32::from(kind.level),
        window_bits: -i32::from(kind.window_bits),
        // 8 for the full window, as zlib has it, and in step with smaller ones: 12 bits at 5 take
        // 165 KiB rather than 380 and compress JSON as well.
        mem_level: i32::from(kind.window_bits - 7),
        ..DeflateConfig::default()
    }))
}

/// Feeds all of `payload` and appends all that comes out.
fn run(state: &mut Deflate, mut payload: &[u8], flush: DeflateFlush, out: &mut Vec<u8>) {
    loop {
        let start = out.len();
        let space = payload.len().saturating_add(MARGIN).min(STEP);
        out.resize(start + space, 0);
        let (was_in, was_out) = (state.total_in(), state.total_out());
        let status = state.compress(payload, out.get_mut(start..).unwrap_or_default(), flush);
        let taken = usize::try_from(state.total_in() - was_in).unwrap_or(payload.len());
        let made = usize::try_from(state.total_out() - was_out).unwrap_or(space);
        out.truncate(start + made);
        payload = payload.get(taken..).unwrap_or_default();
        match status {
            // Space left means that nothing waits inside.
            Ok(Status::Ok) if made < space && payload.is_empty() => return,
            Ok(Status::Ok) => {}
            // Nothing more to do: the step before filled its space exactly.
            Ok(Status::BufError | Status::StreamEnd) => return,
            Err(error) => {
                debug_assert!(false, "zlib lost its own state: {error:?}");
                return;
            }
        }
    }
}

/// What a sync flush ends with, and a message is sent without (RFC 7692 section 7.2.1).
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];
/// Room for block headers and the flush marker beside an incompressible payload.
const MARGIN: usize = 64;
/// The most output space made ready at once.
const STEP: usize = 64 << 10;
