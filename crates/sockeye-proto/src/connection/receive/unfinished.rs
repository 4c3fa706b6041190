//! What reads leave unfinished: a header, a frame, a message.
//!
//! All of it stands in one box that is made when a read ends inside a frame or a message, and dropped
//! when nothing is left in it, so that a connection at rest pays for a pointer. Owns what is kept;
//! what it means is [`receive`](super)'s.

use alloc::vec::Vec;

use crate::config::Limits;
use crate::connection::clock::NEVER;
use crate::error::{Limit, LimitError};
use crate::frame::{MAX_HEADER, Opcode};
use crate::mask::Key;
use crate::memory::{NoMemory, Own};
use crate::message::{Kind, Message};
use crate::time::Time;
use crate::utf8::MessageBuf;

use super::rate::ControlRate;

/// What this end knows of the bytes that came so far.
#[derive(Debug)]
pub(in crate::connection) struct Inbound {
    unfinished: Option<Own<Unfinished>>,
    pub(super) control_rate: ControlRate,
}

/// What stands between two reads, or two events.
#[derive(Debug, Default)]
pub(super) struct Unfinished {
    /// A header that a read cut: its first `header_len` bytes.
    pub(super) header: [u8; MAX_HEADER],
    pub(super) header_len: u8,
    pub(super) frame: Option<Frame>,
    pub(super) open: Option<OpenMessage>,
    pub(super) message: MessageBuf,
    /// What `message` holds was handed out, and goes when the next event is asked for.
    pub(super) handed_out: bool,
    /// The payload of a control frame that a read cut.
    pub(super) control: Vec<u8>,
}

/// The frame whose payload is being read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) opcode: Opcode,
    pub(super) fin: bool,
    pub(super) mask: Option<Key>,
    pub(super) remaining: u64,
}

/// The message whose frames are being read.
#[derive(Clone, Copy, Debug)]
pub(super) struct OpenMessage {
    pub(super) kind: Kind,
    pub(super) compressed: bool,
    pub(super) fragments: u32,
    /// Payload bytes announced so far, as they are on the wire.
    pub(super) announced: u64,
    /// Part of it was handed out as pieces, so the rest must be too.
    pub(super) in_pieces: bool,
    /// When it must be complete.
    pub(super) by: Time,
}

impl Inbound {
    pub(in crate::connection) fn new(limits: &Limits, now: Time) -> Self {
        Self { unfinished: None, control_rate: ControlRate::full(limits.control_rate, now) }
    }

    /// Returns when the message being received must be complete.
    pub(in crate::connection) fn message_by(&self) -> Time {
        self.open().map_or(NEVER, |open| open.by)
    }

    /// Gives the message being received until `by`, if it has a bound.
    pub(in crate::connection) fn put_off_message(&mut self, by: Time) {
        let unfinished = self.unfinished.as_deref_mut();
        if let Some(open) = unfinished.and_then(|unfinished| unfinished.open.as_mut())
            && open.by != NEVER
        {
            open.by = by;
        }
    }

    /// Drops the bytes of the message being received: it will not be handed out.
    pub(in crate::connection) fn discard_message(&mut self) {
        if let Some(unfinished) = &mut self.unfinished {
            unfinished.message.reset();
            unfinished.handed_out = false;
        }
    }

    /// Drops all that is unfinished: nothing is read any more.
    pub(in crate::connection) fn release(&mut self) {
        self.unfinished = None;
    }

    /// Drops what was handed out with the last event, and the box if nothing is left in it.
    pub(super) fn drop_handed_out(&mut self) {
        if let Some(unfinished) = &mut self.unfinished {
            unfinished.drop_handed_out();
            if unfinished.is_nothing() {
                self.unfinished = None;
            }
        }
    }

    /// Returns what is unfinished, if anything is.
    pub(super) fn get(&self) -> Option<&Unfinished> {
        self.unfinished.as_deref()
    }

    /// Returns what is unfinished, to change it where there is something.
    pub(super) fn get_mut(&mut self) -> Option<&mut Unfinished> {
        self.unfinished.as_deref_mut()
    }

    /// Returns what is unfinished, to add to it.
    ///
    /// # Errors
    /// The allocator's refusal.
    pub(super) fn keep(&mut self) -> Result<&mut Unfinished, NoMemory> {
        if self.unfinished.is_none() {
            self.unfinished = Some(Own::new(Unfinished::default())?);
        }
        self.get_mut().ok_or(NoMemory(size_of::<Unfinished>()))
    }

    /// Whether a read cut the header that is read next.
    pub(super) fn is_in_header(&self) -> bool {
        self.get().is_some_and(|unfinished| unfinished.header_len > 0)
    }

    pub(super) fn frame(&self) -> Option<Frame> {
        self.get()?.frame
    }

    pub(super) fn open(&self) -> Option<OpenMessage> {
        self.get()?.open
    }

    pub(super) fn end_frame(&mut self) {
        if let Some(unfinished) = self.get_mut() {
            unfinished.frame = None;
        }
    }

    pub(super) fn end_message(&mut self) {
        if let Some(unfinished) = self.get_mut() {
            unfinished.open = None;
        }
    }

    /// Notes that what was gathered goes out with the event that is returned next.
    pub(super) fn hand_out(&mut self) {
        if let Some(unfinished) = self.get_mut() {
            unfinished.handed_out = true;
        }
    }

    /// Whether bytes of the message were gathered.
    pub(super) fn has_gathered(&self) -> bool {
        self.get().is_some_and(|unfinished| !unfinished.message.is_empty())
    }

    /// Whether all of the text so far was checked and it may end here.
    pub(super) fn is_complete_text(&self) -> bool {
        self.get().is_none_or(|unfinished| unfinished.message.is_complete_text())
    }

    /// Takes all that is unfinished out, for as long as an event borrows from it.
    pub(super) fn take(&mut self) -> Option<Own<Unfinished>> {
        self.unfinished.take()
    }

    pub(super) fn put_back(&mut self, unfinished: Option<Own<Unfinished>>) {
        self.unfinished = unfinished;
    }
}

impl Unfinished {
    /// Returns the message that was gathered; a text only if it was checked to its last byte.
    pub(super) fn gathered(&mut self, kind: Kind) -> Option<Message<'_>> {
        Some(match kind {
            Kind::Binary => Message::Binary(self.message.binary()),
            Kind::Text => Message::Text(self.message.text()?),
        })
    }

    fn drop_handed_out(&mut self) {
        if self.frame.is_none() {
            self.control = Vec::new();
        }
        if core::mem::take(&mut self.handed_out) {
            if self.open.is_some() {
                self.message.forget();
            } else {
                self.message.reset();
            }
        }
    }

    fn is_nothing(&self) -> bool {
        self.header_len == 0 && self.frame.is_none() && self.open.is_none()
    }
}

impl OpenMessage {
    pub(super) fn new(opcode: Opcode, compressed: bool, len: u64, by: Time) -> Self {
        Self {
            kind: if opcode == Opcode::Text { Kind::Text } else { Kind::Binary },
            compressed,
            fragments: 1,
            announced: len,
            in_pieces: false,
            by,
        }
    }

    /// Checks the message against the limits as far as frame headers tell.
    pub(super) fn check(&self, limits: &Limits) -> Result<(), LimitError> {
        if self.fragments > limits.fragments {
            let empty = self.announced == 0;
            let limit = if empty { Limit::EmptyFragments } else { Limit::Fragments };
            let (max, seen) = (u64::from(limits.fragments), u64::from(self.fragments));
            return Err(LimitError { limit, max, seen });
        }
        let max = limits.message as u64;
        // Deflate's stored blocks make incompressible data a little longer than it is.
        let slack = if self.compressed { max / 64 + 64 } else { 0 };
        if self.announced > max.saturating_add(slack) {
            return Err(LimitError { limit: Limit::Message, max, seen: self.announced });
        }
        Ok(())
    }
}
