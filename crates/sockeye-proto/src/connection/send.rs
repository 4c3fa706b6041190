//! Our bytes: messages, pieces of messages, pings, and the account of what waits to be written.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::num::NonZeroUsize;

use super::{Connection, Phase};
#[cfg(feature = "deflate")]
use crate::deflate::{Context, Pool};
use crate::error::{Error, Misuse};
use crate::frame::{self, Header, MAX_CONTROL, Opcode};
use crate::memory::{self, NoMemory, Own};
use crate::message::{Kind, MessageRef, Position};
use crate::role::Role;
use crate::time::Time;
use crate::utf8::TextCheck;

/// How one message is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendOptions {
    /// Whether to compress it, where compression was agreed.
    pub compress: Compress,
    /// The longest frame payload, in bytes; a longer message goes out in fragments of this length.
    /// `None`, the default, sends one frame.
    pub fragment: Option<NonZeroUsize>,
}

/// Whether to compress a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compress {
    /// From the configured threshold on; the default.
    #[default]
    Auto,
    /// Never: for a message that mixes a secret with what an attacker chose, whose compressed
    /// length would tell (as BREACH does), or that is compressed already.
    Never,
}

/// What this end has written and not yet got rid of.
#[derive(Debug, Default)]
pub(super) struct Outbound {
    /// Bytes handed to the caller that did not leave yet.
    queued: usize,
    /// The pongs among them, while there are any.
    pongs: Option<Own<WaitingPongs>>,
    /// The message that is being sent in pieces, after its first.
    pieces: Option<Pieces>,
}

/// Pongs that did not leave yet.
#[derive(Debug, Default)]
struct WaitingPongs {
    count: u16,
    /// Bytes that must leave until the newest has.
    up_to_newest: usize,
    /// The newest ping that came while too many pongs waited.
    held_ping: Option<Box<[u8]>>,
}

#[derive(Clone, Copy, Debug)]
struct Pieces {
    kind: Kind,
    check: TextCheck,
    #[cfg(feature = "deflate")]
    compressed: bool,
}

impl Outbound {
    /// Lets go of what waits for the peer to read: it will not be answered any more.
    pub(super) fn forget_pongs(&mut self) {
        self.pongs = None;
    }
}

impl<R: Role> Connection<R> {
    /// Appends a message to `out`.
    ///
    /// # Errors
    /// The caller's faults: the connection is closing or closed, another message is being sent in
    /// pieces, the queue is full. The allocator's refusal, as [`Limit::Memory`](crate::Limit::Memory).
    /// The message was then not taken, not even in part.
    pub fn send<'m>(
        &mut self,
        message: impl Into<MessageRef<'m>>,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        self.send_with(message, SendOptions::default(), out)
    }

    /// Appends a message to `out`, compressed or in fragments as `options` say.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_with<'m>(
        &mut self,
        message: impl Into<MessageRef<'m>>,
        options: SendOptions,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let message = message.into();
        self.send_payload(message.kind(), message.as_bytes(), options, out)
    }

    /// Sends a message over a transport that takes bytes at once: `write` gets what waits in `out` and
    /// the payload behind it, and returns how many bytes have left. Only what has not is copied. Returns
    /// whether it did so: where the payload does not go out as it is, nothing has happened.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    #[cold]
    pub(super) fn send_through(
        &mut self,
        message: MessageRef<'_>,
        options: SendOptions,
        now: Time,
        out: &mut Vec<u8>,
        write: impl FnOnce(&[u8], &[u8]) -> usize,
    ) -> Result<bool, Error> {
        let payload = message.as_bytes();
        if !self.goes_out_as_it_is(payload, options) {
            return Ok(false);
        }
        self.check_whole(payload.len())?;
        // For the case that nothing leaves: behind the header there is no way back.
        memory::reserve(out, frame::MAX_HEADER + payload.len())?;
        let start = out.len();
        let (opcode, len) = (Opcode::from(message.kind()), payload.len() as u64);
        let header = Header { fin: true, compressed: false, opcode, mask: None, len };
        frame::append(out, &header, &[])?;
        self.outbound.queued += out.len() - start + payload.len();
        let count = write(out, payload);
        let left = payload.get(count.saturating_sub(out.len())..).unwrap_or_default();
        out.drain(..count.min(out.len()));
        out.extend_from_slice(left);
        self.written(count, now, out);
        Ok(true)
    }

    /// Whether the payload stands in the one frame of its message as it is here.
    fn goes_out_as_it_is(&self, payload: &[u8], options: SendOptions) -> bool {
        self.is_server() && options.fragment.is_none() && !self.tries_to_compress(payload, options)
    }

    /// Appends a message whose payload is known to be of its kind.
    pub(crate) fn send_payload(
        &mut self,
        kind: Kind,
        payload: &[u8],
        options: SendOptions,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        self.check_whole(payload.len())?;
        let start = out.len();
        let opcode = Opcode::from(kind);
        let appended = match self.try_compressed(opcode, payload, options, out) {
            Ok(false) => {
                let split = self.append_split(opcode, false, payload, options.fragment, out);
                split.map_err(Error::from)
            }
            other => other.map(|_| ()),
        };
        appended.inspect_err(|_| out.truncate(start))?;
        self.outbound.queued += out.len() - start;
        Ok(())
    }

    /// Appends a piece of a message to `out`, as a frame of its own. The first piece starts the
    /// message, the one marked [`Position::Last`] ends it; pings may go between.
    ///
    /// # Errors
    /// The caller's faults: as [`send`](Self::send), a piece of another kind than the message, and
    /// text that is not UTF-8, which is found in the piece that shows it and is not sent.
    pub fn send_piece(
        &mut self,
        kind: Kind,
        bytes: &[u8],
        position: Position,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        self.check_sendable(bytes.len())?;
        let pieces = match self.outbound.pieces {
            Some(pieces) if pieces.kind == kind => pieces,
            Some(_) => return Err(Misuse::FragmentsPending.into()),
            None => self.start_pieces(kind),
        };
        let mut next = pieces;
        if kind == Kind::Text {
            let valid = next.check.push(bytes).is_ok();
            if !valid || (position == Position::Last && !next.check.is_complete()) {
                return Err(Misuse::InvalidUtf8.into());
            }
        }
        let start = out.len();
        self.append_piece(pieces, bytes, position, out)?;
        self.outbound.queued += out.len() - start;
        self.outbound.pieces = Some(next).filter(|_| position == Position::More);
        Ok(())
    }

    /// Appends a ping to `out`. Its pong arrives as [`Event::Pong`](crate::Event::Pong).
    ///
    /// # Errors
    /// The caller's faults: the connection is closing or closed, more than 125 bytes.
    pub fn ping(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        self.send_control(Opcode::Ping, payload, out)
    }

    /// Appends an unsolicited pong to `out`, a heartbeat that asks for no answer (RFC 6455 section
    /// 5.5.3). Pings are answered without it.
    ///
    /// # Errors
    /// As [`ping`](Self::ping).
    pub fn pong(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        self.send_control(Opcode::Pong, payload, out)
    }

    /// Takes note that the transport took `count` of the bytes that were appended, or none although
    /// some wait. To be called after every attempt to write; a pong that was held back for a peer
    /// that did not read is appended to `out` once the pongs before it have left.
    pub fn written(&mut self, count: usize, now: Time, out: &mut Vec<u8>) {
        let outbound = &mut self.outbound;
        outbound.queued = outbound.queued.saturating_sub(count);
        if outbound.queued == 0 {
            self.clock.all_written();
        } else {
            self.clock.wait_for_write(count, now, self.config.timeouts.write_stall);
        }
        if let Some(pongs) = &mut self.outbound.pongs {
            pongs.up_to_newest = pongs.up_to_newest.saturating_sub(count);
            if pongs.up_to_newest == 0 {
                self.pongs_left(out);
            }
        }
    }

    /// Returns the bytes that were appended and have not been [`written`](Self::written).
    pub fn queued(&self) -> usize {
        self.outbound.queued
    }

    /// Whether so much waits to be written that the caller should stop producing.
    pub fn is_above_high_water(&self) -> bool {
        self.outbound.queued > self.config.limits.queue_high
    }

    /// Whether what the peer sends may be answered now. While closing nothing is.
    pub fn has_room(&self) -> bool {
        !self.is_open() || !self.is_above_high_water()
    }

    /// Answers a ping, or holds the newest back while the peer reads none of the answers.
    pub(super) fn answer_ping(
        &mut self,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), NoMemory> {
        if self.phase != Phase::Open {
            return Ok(());
        }
        let most = self.config.limits.pending_pongs.max(1);
        if let Some(pongs) = &mut self.outbound.pongs {
            if pongs.count >= most {
                pongs.held_ping = Some(memory::copy(payload)?);
                return Ok(());
            }
        } else {
            self.outbound.pongs = Some(Own::new(WaitingPongs::default())?);
        }
        self.append_frame(Opcode::Pong, payload, out)?;
        if let Some(pongs) = &mut self.outbound.pongs {
            pongs.count += 1;
            pongs.up_to_newest = self.outbound.queued;
        }
        Ok(())
    }

    /// Takes note that all pongs have left, and answers the ping that was held back behind them.
    fn pongs_left(&mut self, out: &mut Vec<u8>) {
        let Some(mut pongs) = self.outbound.pongs.take() else { return };
        let Some(payload) = pongs.held_ping.take() else { return };
        pongs.count = 0;
        self.outbound.pongs = Some(pongs);
        if self.answer_ping(&payload, out).is_err()
            && let Some(pongs) = &mut self.outbound.pongs
        {
            // No memory now: there may be some after the next write.
            pongs.held_ping = Some(payload);
        }
    }

    /// Appends one whole frame and accounts for it.
    pub(super) fn append_frame(
        &mut self,
        opcode: Opcode,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), NoMemory> {
        let start = out.len();
        self.append_raw(opcode, true, false, payload, out)?;
        self.outbound.queued += out.len() - start;
        Ok(())
    }

    fn send_control(
        &mut self,
        opcode: Opcode,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        if self.phase != Phase::Open {
            return Err(Misuse::Closed.into());
        }
        if payload.len() > MAX_CONTROL {
            return Err(Misuse::ControlTooLong(payload.len()).into());
        }
        Ok(self.append_frame(opcode, payload, out)?)
    }

    /// Checks that a whole message may be sent now.
    pub(crate) fn check_whole(&self, len: usize) -> Result<(), Error> {
        self.check_sendable(len)?;
        if self.outbound.pieces.is_some() {
            return Err(Misuse::FragmentsPending.into());
        }
        Ok(())
    }

    /// Accounts for bytes that go out beside the caller's buffer.
    pub(crate) fn account(&mut self, len: usize) {
        self.outbound.queued += len;
    }

    /// Returns how a message of `len` bytes is compressed so that others may share the result:
    /// window bits, level and pool; `None` when it goes out plain.
    #[cfg(feature = "deflate")]
    pub(crate) fn shared_compression(&self, len: usize) -> Option<(u8, u8, &Pool)> {
        let compression = self.compression.as_deref()?;
        let shared = compression.deflater.context() == Context::Forget;
        (shared && len >= compression.threshold).then_some((
            compression.window_bits,
            compression.level,
            &self.config.pool,
        ))
    }

    /// Checks that a message may be sent and fits. One always fits into an empty queue.
    fn check_sendable(&self, len: usize) -> Result<(), Error> {
        if self.phase != Phase::Open {
            return Err(Misuse::Closed.into());
        }
        let (queued, max) = (self.outbound.queued, self.config.limits.queue);
        if queued > 0 && queued.saturating_add(len) > max {
            return Err(Misuse::QueueFull { queued, max }.into());
        }
        Ok(())
    }

    /// Appends a payload as one frame, or as fragments of at most `longest` bytes.
    fn append_split(
        &mut self,
        opcode: Opcode,
        compressed: bool,
        mut payload: &[u8],
        longest: Option<NonZeroUsize>,
        out: &mut Vec<u8>,
    ) -> Result<(), NoMemory> {
        let longest = longest.map_or(usize::MAX, NonZeroUsize::get);
        let (mut opcode, mut compressed) = (opcode, compressed);
        loop {
            let (now, later) = payload.split_at(payload.len().min(longest));
            let fin = later.is_empty();
            self.append_raw(opcode, fin, compressed, now, out)?;
            if fin {
                return Ok(());
            }
            (payload, opcode, compressed) = (later, Opcode::Continuation, false);
        }
    }

    fn append_raw(
        &mut self,
        opcode: Opcode,
        fin: bool,
        compressed: bool,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), NoMemory> {
        let (mask, len) = (self.role.next_mask(), payload.len() as u64);
        frame::append(out, &Header { fin, compressed, opcode, mask, len }, payload)
    }

    fn start_pieces(&self, kind: Kind) -> Pieces {
        Pieces {
            kind,
            check: TextCheck::default(),
            #[cfg(feature = "deflate")]
            compressed: self.compression.is_some(),
        }
    }

    fn append_piece(
        &mut self,
        pieces: Pieces,
        bytes: &[u8],
        position: Position,
        out: &mut Vec<u8>,
    ) -> Result<(), NoMemory> {
        let is_first = self.outbound.pieces.is_none();
        let opcode = if is_first { Opcode::from(pieces.kind) } else { Opcode::Continuation };
        let fin = position == Position::Last;
        #[cfg(feature = "deflate")]
        if let Some(compression) = self.compression.as_deref_mut().filter(|_| pieces.compressed) {
            let mut deflated = Vec::new();
            compression.deflater.compress_part(bytes, position, &mut deflated);
            // The compressor has moved on, so the piece cannot be refused any more.
            out.reserve(frame::MAX_HEADER + deflated.len());
            return self.append_raw(opcode, fin, is_first, &deflated, out);
        }
        self.append_raw(opcode, fin, false, bytes, out)
    }

    /// Whether compressing was agreed and may pay.
    #[cfg(feature = "deflate")]
    fn tries_to_compress(&self, payload: &[u8], options: SendOptions) -> bool {
        let threshold = self.compression.as_ref().map(|compression| compression.threshold);
        options.compress == Compress::Auto && threshold.is_some_and(|least| payload.len() >= least)
    }

    #[cfg(not(feature = "deflate"))]
    #[expect(clippy::unused_self, reason = "as with the feature")]
    fn tries_to_compress(&self, _: &[u8], _: SendOptions) -> bool {
        false
    }

    /// Appends the message compressed, if that was agreed and pays. Returns whether it did.
    #[cfg(feature = "deflate")]
    fn try_compressed(
        &mut self,
        opcode: Opcode,
        payload: &[u8],
        options: SendOptions,
        out: &mut Vec<u8>,
    ) -> Result<bool, Error> {
        if !self.tries_to_compress(payload, options) {
            return Ok(false);
        }
        let Some(compression) = self.compression.as_deref_mut() else {
            return Ok(false);
        };
        let Some(deflated) = compression.compress(payload)? else {
            return Ok(false);
        };
        let appended = self.append_split(opcode, true, &deflated, options.fragment, out);
        if let (Err(_), Some(compression)) = (appended, self.compression.as_deref_mut()) {
            compression.deflater.discard();
        }
        appended?;
        Ok(true)
    }

    #[cfg(not(feature = "deflate"))]
    fn try_compressed(
        &self,
        _: Opcode,
        _: &[u8],
        _: SendOptions,
        _: &mut Vec<u8>,
    ) -> Result<bool, Error> {
        Ok(false)
    }
}
