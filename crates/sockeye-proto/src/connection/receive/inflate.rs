//! Compressed messages: inflated as they arrive, into the buffer that gathers them.
//!
//! Owns how far a message may inflate and what a paused decompressor means for the frames. The
//! decompressor itself is [`deflate`](crate::deflate)'s.

use core::ops::Range;

use super::{Events, Found, Frame, Inbound, OpenMessage, Source, Step, not_utf8};
use crate::config::Limits;
use crate::connection::Connection;
use crate::deflate::{InflateError, InflateStatus, Inflated};
use crate::error::{Error, Limit, LimitError, PeerError};
use crate::mask;
use crate::memory::NoMemory;
use crate::message::{Kind, Position};
use crate::role::Role;

impl<R: Role> Events<'_, R> {
    /// Inflates what arrived of a compressed message.
    pub(super) fn read_compressed(
        &mut self,
        frame: Frame,
        open: OpenMessage,
        range: Range<usize>,
    ) -> Result<Step, Error> {
        self.unmask(&range, frame.mask);
        let compressed = self.input.get(range.clone()).unwrap_or_default();
        let inflated = self.connection.inflate(compressed, open)?;
        let used = range.start..range.start + inflated.consumed;
        // What was not used is unmasked once more when its turn comes, so it is masked again.
        let key = frame.mask.map(|key| mask::turn(key, used.len()));
        self.unmask(&(used.end..range.end), key);
        self.use_up(frame, &used)?;
        let all_used = used.end == range.end;
        if inflated.status == InflateStatus::OutputFull {
            self.connection.inbound.keep_frame(frame)?;
            return self.compressed_piece(open);
        }
        debug_assert!(all_used, "room was left, so the input ran out");
        if self.connection.inbound.frame().is_some() || !frame.fin {
            return self.compressed_piece(open);
        }
        self.inflate_end(open)
    }

    /// Ends a compressed message, all of which has been inflated.
    fn inflate_end(&mut self, open: OpenMessage) -> Result<Step, Error> {
        self.connection.inflate_end()?;
        if !self.connection.hands_out_pieces(&open) {
            return self.finish_gathered(open);
        }
        if open.kind == Kind::Text && !self.connection.inbound.is_complete_text() {
            return Err(PeerError::InvalidUtf8.into());
        }
        self.end_message();
        self.connection.inbound.hand_out();
        Ok(Step::Found(Found::Piece(open.kind, Source::Gathered, Position::Last)))
    }

    /// Hands out what was inflated so far, if pieces are asked for.
    fn compressed_piece(&mut self, open: OpenMessage) -> Result<Step, Error> {
        let inbound = &self.connection.inbound;
        if self.connection.hands_out_pieces(&open) && inbound.has_gathered() {
            return self.hand_over_gathered(open);
        }
        let more = inbound.frame().is_none() || self.at < self.input.len();
        Ok(if more { Step::GoOn } else { Step::NeedMore })
    }
}

impl<R: Role> Connection<R> {
    fn inflate(&mut self, compressed: &[u8], open: OpenMessage) -> Result<Inflated, Error> {
        let room = self.inflate_room(open);
        let Some(compression) = self.compression.as_deref_mut() else {
            return Err(PeerError::ReservedBits.into());
        };
        let inflater = &mut compression.inflater;
        let message = &mut self.inbound.keep()?.message;
        let inflated = message.append_with(|out| inflater.inflate(compressed, out, room));
        let is_full = matches!(&inflated, Ok(done) if done.status == InflateStatus::OutputFull);
        self.check_inflated(open, is_full)?;
        inflated.map_err(not_inflated)
    }

    fn inflate_end(&mut self) -> Result<(), Error> {
        match self.compression.as_deref_mut() {
            Some(compression) => compression.inflater.finish_message().map_err(not_inflated),
            None => Err(PeerError::ReservedBits.into()),
        }
    }

    /// Returns how many more bytes the message may inflate to now.
    fn inflate_room(&self, open: OpenMessage) -> usize {
        let bound = if self.hands_out_pieces(&open) {
            INFLATED_PIECE
        } else {
            self.config.limits.message.min(open.longest_by_ratio(&self.config.limits))
        };
        bound.saturating_sub(self.inbound.get().map_or(0, |it| it.message.len()))
    }

    /// Checks what was inflated last: its UTF-8, and whether the message has more to it than a
    /// message that is kept whole may have. In this order, and for what came before corrupt bytes
    /// too, so that the verdict is the same however reads cut the stream.
    fn check_inflated(&mut self, open: OpenMessage, is_full: bool) -> Result<(), Error> {
        if open.kind == Kind::Text {
            self.inbound.keep()?.message.check().map_err(not_utf8)?;
        }
        if is_full && !self.hands_out_pieces(&open) {
            return Err(open.inflated_too_far(&self.config.limits).into());
        }
        Ok(())
    }
}

impl OpenMessage {
    /// Returns the bytes that what was announced may inflate to.
    fn longest_by_ratio(&self, limits: &Limits) -> usize {
        let longest = self.announced.saturating_mul(u64::from(limits.inflate_ratio));
        usize::try_from(longest).unwrap_or(usize::MAX)
    }

    /// Makes the error for a message that inflates to more than one of the limits allows.
    fn inflated_too_far(&self, limits: &Limits) -> LimitError {
        let (limit, max) = if self.longest_by_ratio(limits) < limits.message {
            (Limit::InflateRatio, u64::from(limits.inflate_ratio))
        } else {
            (Limit::Message, limits.message as u64)
        };
        LimitError { limit, max, seen: max.saturating_add(1) }
    }
}

impl Inbound {
    /// Keeps the current frame although its payload is used up: it has more to give.
    fn keep_frame(&mut self, frame: Frame) -> Result<(), NoMemory> {
        let unfinished = self.keep()?;
        unfinished.frame = unfinished.frame.or(Some(Frame { remaining: 0, ..frame }));
        Ok(())
    }
}

fn not_inflated(error: InflateError) -> Error {
    match error {
        InflateError::Corrupt => PeerError::CorruptDeflate.into(),
        InflateError::Memory(asked) => NoMemory(asked).into(),
    }
}

/// The longest piece that is inflated at a time, in bytes.
const INFLATED_PIECE: usize = 16 << 10;
