//! The peer's bytes: frames put together into messages, control frames answered.
//!
//! Every byte is looked at once, wherever reads cut the stream. A message in one uncompressed frame
//! that lies whole in the caller's buffer is unmasked there and handed out from there; anything else
//! is gathered in one buffer, which is dropped with the message. `inflate` reads the compressed ones,
//! `unfinished` keeps what a read leaves unfinished.

#[cfg(feature = "deflate")]
mod inflate;
mod plain;
mod rate;
mod unfinished;

use alloc::vec::Vec;
use core::ops::Range;
use core::time::Duration;

use super::clock::NEVER;
use super::{Connection, Phase, Reply};
use crate::close::CloseFrame;
use crate::error::{Error, LimitError, PeerError};
use crate::frame::{Header, Opcode};
use crate::mask::{self, Key};
use crate::memory::{self, NoMemory};
use crate::message::{Event, Kind, Message, Piece, Position};
use crate::role::Role;
use crate::time::Time;
use crate::utf8::{self, Binary, InvalidUtf8, Text};

pub(super) use unfinished::Inbound;
use unfinished::{Frame, OpenMessage, Unfinished};

/// How messages are handed out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// Whole, bounded by [`Limits::message`](crate::Limits::message); the default.
    #[default]
    Whole,
    /// In pieces as they come, so that a message of any length takes bounded memory.
    Pieces,
}

/// Where the bytes of an event stand.
enum Source {
    Input(Range<usize>),
    Gathered,
    Control,
}

/// An event, before its bytes are borrowed.
enum Found {
    InPlace(Kind, Range<usize>, Option<Key>),
    Gathered(Kind),
    Piece(Kind, Source, Position),
    Ping(Source),
    Pong(Source, Option<Duration>),
    Close(CloseFrame),
}

impl Found {
    /// Borrows the event's bytes from where they stand. `None` for a message in place, which
    /// [`in_place`] has to check first.
    #[inline]
    fn event<'b>(
        self,
        input: &'b mut [u8],
        unfinished: Option<&'b mut Unfinished>,
    ) -> Option<Event<'b>> {
        Some(match self {
            Self::InPlace(..) => return None,
            // A text was checked to its last byte before it was found.
            Self::Gathered(kind) => Event::Message(unfinished?.gathered(kind)?),
            Self::Piece(kind, source, position) => {
                Event::Piece(Piece { kind, bytes: source.bytes(input, unfinished), position })
            }
            Self::Ping(source) => Event::Ping(source.bytes(input, unfinished)),
            Self::Pong(source, rtt) => {
                Event::Pong { payload: source.bytes(input, unfinished), rtt }
            }
            Self::Close(frame) => Event::Close(frame),
        })
    }
}

/// Unmasks a message where it stands, and checks it if it is text.
#[inline]
fn in_place(
    input: &mut [u8],
    kind: Kind,
    range: Range<usize>,
    mask: Option<Key>,
) -> Result<Event<'_>, Error> {
    let bytes = input.get_mut(range).unwrap_or_default();
    Ok(Event::Message(match kind {
        Kind::Text => {
            Message::Text(Text::in_place(utf8::unmask_text(bytes, mask).map_err(not_utf8)?))
        }
        Kind::Binary => {
            if let Some(key) = mask {
                mask::apply(bytes, key);
            }
            Message::Binary(Binary::in_place(bytes))
        }
    }))
}

/// What a step of reading came to.
enum Step {
    Found(Found),
    GoOn,
    NeedMore,
}

/// The events in a run of bytes from the peer. Made by [`Connection::receive`].
///
/// Borrows the caller's bytes, so it hands events out one at a time with [`next`](Self::next). It
/// may be dropped before the last: [`consumed`](Self::consumed) tells which bytes to give again.
#[derive(Debug)]
pub struct Events<'a, R: Role> {
    connection: &'a mut Connection<R>,
    input: &'a mut [u8],
    at: usize,
    now: Time,
    out: &'a mut Vec<u8>,
}

impl<R: Role> Connection<R> {
    /// Reads bytes of the peer, in any portion. They are unmasked in place; replies that are due,
    /// pongs and Close frames, are appended to `out` while the events are taken.
    pub fn receive<'a>(
        &'a mut self,
        input: &'a mut [u8],
        now: Time,
        out: &'a mut Vec<u8>,
    ) -> Events<'a, R> {
        if !input.is_empty() {
            self.clock.hear(now);
        }
        Events { connection: self, input, at: 0, now, out }
    }

    /// Chooses how messages are handed out from the next event on. A message of which a piece was
    /// handed out goes on in pieces to its end.
    pub fn set_delivery(&mut self, delivery: Delivery) {
        self.delivery = delivery;
    }
}

impl<R: Role> Events<'_, R> {
    /// Returns the next event, or `None` when the rest of the bytes holds none.
    ///
    /// # Errors
    /// The peer's faults and limits it hit. The connection has then failed, and no event follows.
    #[expect(clippy::should_implement_trait, reason = "events borrow from self")]
    pub fn next(&mut self) -> Option<Result<Event<'_>, Error>> {
        let found = match self.find() {
            Ok(found) => found?,
            Err(error) => return Some(Err(self.fail(error))),
        };
        let Self { connection, input, now, out, .. } = self;
        if let Found::InPlace(kind, range, mask) = found {
            let event = in_place(input, kind, range, mask);
            return Some(event.inspect_err(|error| connection.fail(error, *now, out)));
        }
        found.event(input, connection.inbound.get_mut()).map(Ok)
    }

    /// Hands the next event to `f` together with the connection, so that it can be answered while it
    /// is still borrowed; `None` when the rest of the bytes holds none.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub fn next_with<T>(
        &mut self,
        f: impl FnOnce(Event<'_>, &mut Reply<'_, R>) -> T,
    ) -> Option<Result<T, Error>> {
        let found = match self.find() {
            Ok(found) => found?,
            Err(error) => return Some(Err(self.fail(error))),
        };
        let Self { connection, input, now, out, .. } = self;
        if let Found::InPlace(kind, range, mask) = found {
            let event = in_place(input, kind, range, mask);
            let event = event.inspect_err(|error| connection.fail(error, *now, out));
            return Some(event.map(|event| f(event, &mut Reply { connection, out, now: *now })));
        }
        // What was gathered moves aside meanwhile: the event must not borrow from the connection
        // that answers it.
        let mut aside = connection.inbound.take();
        let event = found.event(input, aside.as_deref_mut())?;
        let result = f(event, &mut Reply { connection, out, now: *now });
        connection.inbound.put_back(aside);
        if !connection.is_open() {
            // It was closed meanwhile, and hands no message out any more.
            connection.inbound.discard_message();
        }
        Some(Ok(result))
    }

    /// Returns how many of the bytes the events so far have used. The rest must be given to
    /// [`Connection::receive`] again; where [`next`](Self::next) has not returned `None` yet, even
    /// an empty rest.
    pub fn consumed(&self) -> usize {
        self.at
    }

    fn fail(&mut self, error: Error) -> Error {
        self.connection.fail(&error, self.now, self.out);
        error
    }

    /// Reads on until there is an event.
    #[inline]
    fn find(&mut self) -> Result<Option<Found>, Error> {
        match self.find_plain() {
            Some(found) => Ok(Some(found)),
            None if self.at == self.input.len() && self.connection.inbound.get().is_none() => {
                Ok(None)
            }
            None => self.find_any(),
        }
    }

    fn find_any(&mut self) -> Result<Option<Found>, Error> {
        self.connection.inbound.drop_handed_out();
        loop {
            if !matches!(self.connection.phase, Phase::Open | Phase::Closing) {
                self.at = self.input.len();
                return Ok(None);
            }
            let step = match self.connection.inbound.frame() {
                None => self.read_header()?,
                Some(frame) if frame.opcode.is_control() => self.read_control(frame)?,
                Some(frame) if self.connection.phase == Phase::Closing => self.skip(frame)?,
                Some(frame) => self.read_data(frame)?,
            };
            match step {
                Step::Found(found) => return Ok(Some(found)),
                Step::GoOn => {}
                Step::NeedMore => {
                    self.connection.inbound.drop_handed_out();
                    return Ok(None);
                }
            }
        }
    }

    fn rest(&self) -> &[u8] {
        self.input.get(self.at..).unwrap_or_default()
    }

    /// Reads a header, from the input alone if it stands there whole.
    fn read_header(&mut self) -> Result<Step, Error> {
        if self.rest().is_empty() {
            return Ok(Step::NeedMore);
        }
        if !self.connection.inbound.is_in_header()
            && let Some((header, len)) = Header::read(self.rest(), self.connection.rules())?
        {
            self.at += len;
            return self.begin_frame(header);
        }
        self.read_cut_header()
    }

    /// Reads on in a header that a read cut or is about to cut.
    #[cold]
    fn read_cut_header(&mut self) -> Result<Step, Error> {
        let rules = self.connection.rules();
        let unfinished = self.connection.inbound.keep()?;
        let saved = usize::from(unfinished.header_len);
        let free = unfinished.header.get_mut(saved..).unwrap_or_default();
        let rest = self.input.get(self.at..).unwrap_or_default();
        let taken = free.iter_mut().zip(rest).map(|(free, new)| *free = *new).count();
        let known = saved + taken;
        match Header::read(unfinished.header.get(..known).unwrap_or_default(), rules)? {
            Some((header, len)) => {
                unfinished.header_len = 0;
                self.at += len - saved;
                self.begin_frame(header)
            }
            None => {
                unfinished.header_len = u8::try_from(known).unwrap_or_default();
                self.at += taken;
                Ok(Step::NeedMore)
            }
        }
    }

    /// Checks that the frame may come now, before any of its payload. One that stands whole in the
    /// input is read from there and leaves nothing behind.
    fn begin_frame(&mut self, header: Header) -> Result<Step, Error> {
        let connection = &mut *self.connection;
        let Header { fin, compressed, opcode, mask, len } = header;
        let frame = Frame { opcode, fin, mask, remaining: len };
        if opcode.is_control() {
            if opcode != Opcode::Close {
                let rate = connection.config.limits.control_rate;
                connection.inbound.control_rate.take(rate, self.now)?;
            }
            return self.read_control(frame);
        }
        let open = connection.begin_data(opcode, compressed, len, self.now)?;
        if let Some(range) = self.whole(&frame, &open) {
            self.connection.check_limits(&open)?;
            return self.whole_in_place(frame, open, range);
        }
        let unfinished = self.connection.inbound.keep()?;
        (unfinished.frame, unfinished.open) = (Some(frame), Some(open));
        Ok(Step::GoOn)
    }

    /// Returns where the message stands if it does so whole, and is to be handed out from there.
    fn whole(&self, frame: &Frame, open: &OpenMessage) -> Option<Range<usize>> {
        let is_plain = frame.fin && open.fragments == 1 && !open.compressed;
        if !is_plain || self.connection.phase != Phase::Open {
            return None;
        }
        let range = self.arrived(frame);
        (range.len() as u64 == open.announced).then_some(range)
    }

    /// Returns where in the input the payload that arrived of `frame` stands.
    fn arrived(&self, frame: &Frame) -> Range<usize> {
        let here = self.input.len() - self.at;
        let len = usize::try_from(frame.remaining).map_or(here, |remaining| remaining.min(here));
        self.at..self.at + len
    }

    /// Takes note that `range` of the frame's payload was used.
    fn use_up(&mut self, mut frame: Frame, range: &Range<usize>) -> Result<(), NoMemory> {
        self.at = range.end;
        frame.remaining -= range.len() as u64;
        frame.mask = frame.mask.map(|key| mask::turn(key, range.len()));
        if frame.remaining > 0 {
            self.connection.inbound.keep()?.frame = Some(frame);
        } else {
            self.connection.inbound.end_frame();
        }
        Ok(())
    }

    fn read_control(&mut self, frame: Frame) -> Result<Step, Error> {
        let range = self.arrived(&frame);
        let arrived = self.input.get_mut(range.clone()).unwrap_or_default();
        if let Some(key) = frame.mask {
            mask::apply(arrived, key);
        }
        let complete = range.len() as u64 == frame.remaining;
        let inbound = &mut self.connection.inbound;
        let was_cut = inbound.get().is_some_and(|unfinished| !unfinished.control.is_empty());
        let source = if complete && !was_cut {
            Source::Input(range.clone())
        } else {
            let control = &mut inbound.keep()?.control;
            memory::reserve(control, arrived.len())?;
            control.extend_from_slice(arrived);
            Source::Control
        };
        self.use_up(frame, &range)?;
        if complete { self.end_control(frame.opcode, source) } else { Ok(Step::NeedMore) }
    }

    fn end_control(&mut self, opcode: Opcode, source: Source) -> Result<Step, Error> {
        let connection = &mut *self.connection;
        // A cut payload moves out, so that the connection can be changed; it is short and rare.
        let unfinished = connection.inbound.get_mut();
        let control = unfinished.map(|it| core::mem::take(&mut it.control)).unwrap_or_default();
        let payload = match &source {
            Source::Input(range) => self.input.get(range.clone()).unwrap_or_default(),
            Source::Gathered | Source::Control => &control,
        };
        let found = match opcode {
            Opcode::Ping => {
                connection.answer_ping(payload, self.out)?;
                Found::Ping(source)
            }
            Opcode::Pong => {
                let rtt = connection.hear_pong(payload, self.now);
                Found::Pong(source, rtt)
            }
            _ => {
                let frame = CloseFrame::try_parse(payload)?;
                connection.answer_close(&frame, self.now, self.out)?;
                Found::Close(frame)
            }
        };
        if let Some(unfinished) = connection.inbound.get_mut() {
            unfinished.control = control;
        }
        Ok(Step::Found(found))
    }

    /// Passes over the payload of a data frame: after our Close frame, data is of no interest.
    fn skip(&mut self, frame: Frame) -> Result<Step, NoMemory> {
        let range = self.arrived(&frame);
        let complete = range.len() as u64 == frame.remaining;
        self.use_up(frame, &range)?;
        if !complete {
            return Ok(Step::NeedMore);
        }
        if frame.fin {
            self.connection.inbound.end_message();
        }
        Ok(Step::GoOn)
    }

    fn read_data(&mut self, frame: Frame) -> Result<Step, Error> {
        let Some(open) = self.connection.inbound.open() else {
            return Err(PeerError::UnexpectedContinuation.into());
        };
        let hands_out_pieces = self.connection.hands_out_pieces(&open);
        if hands_out_pieces && self.connection.inbound.has_gathered() {
            // Bytes were gathered before pieces were asked for, and go out first.
            return self.hand_over_gathered(open);
        }
        self.connection.check_limits(&open)?;
        if let Some(range) = self.whole(&frame, &open) {
            return self.whole_in_place(frame, open, range);
        }
        let range = self.arrived(&frame);
        let complete = range.len() as u64 == frame.remaining;
        #[cfg(feature = "deflate")]
        if open.compressed {
            return self.read_compressed(frame, open, range);
        }
        if range.is_empty() && !complete {
            return Ok(Step::NeedMore);
        }
        let is_last = complete && frame.fin;
        if hands_out_pieces {
            return self.piece_in_place(frame, open, range, is_last);
        }
        let arrived = self.input.get(range.clone()).unwrap_or_default();
        let longest = self.connection.config.limits.message;
        let message = &mut self.connection.inbound.keep()?.message;
        message.append(arrived, frame.mask, open.announced, longest)?;
        if open.kind == Kind::Text {
            message.check().map_err(not_utf8)?;
        }
        self.use_up(frame, &range)?;
        if is_last { self.finish_gathered(open) } else { Ok(Step::GoOn) }
    }

    /// Hands out a message that stands whole in the input.
    #[inline]
    fn whole_in_place(
        &mut self,
        frame: Frame,
        open: OpenMessage,
        range: Range<usize>,
    ) -> Result<Step, Error> {
        self.at = range.end;
        self.connection.inbound.end_frame();
        self.end_message();
        if !self.connection.hands_out_pieces(&open) {
            return Ok(Step::Found(Found::InPlace(open.kind, range, frame.mask)));
        }
        match open.kind {
            Kind::Binary => self.unmask(&range, frame.mask),
            Kind::Text => {
                let bytes = self.input.get_mut(range.clone()).unwrap_or_default();
                utf8::unmask_text(bytes, frame.mask).map_err(not_utf8)?;
            }
        }
        Ok(Step::Found(Found::Piece(open.kind, Source::Input(range), Position::Last)))
    }

    fn unmask(&mut self, range: &Range<usize>, mask: Option<Key>) {
        if let (Some(key), Some(bytes)) = (mask, self.input.get_mut(range.clone())) {
            mask::apply(bytes, key);
        }
    }

    /// Hands out what arrived of a message that is read in pieces.
    fn piece_in_place(
        &mut self,
        frame: Frame,
        open: OpenMessage,
        range: Range<usize>,
        is_last: bool,
    ) -> Result<Step, Error> {
        if range.is_empty() && !is_last {
            // Nothing has gone out in pieces yet, so the message may still be asked for whole.
            self.use_up(frame, &range)?;
            return Ok(Step::GoOn);
        }
        self.unmask(&range, frame.mask);
        self.connection.begin_pieces(open, self.now)?;
        if open.kind == Kind::Text {
            let bytes = self.input.get(range.clone()).unwrap_or_default();
            let message = &mut self.connection.inbound.keep()?.message;
            message.check_passing(bytes).map_err(not_utf8)?;
            if is_last && !message.is_complete_text() {
                return Err(PeerError::InvalidUtf8.into());
            }
        }
        self.use_up(frame, &range)?;
        if is_last {
            self.connection.inbound.discard_message();
            self.end_message();
        }
        let position = if is_last { Position::Last } else { Position::More };
        Ok(Step::Found(Found::Piece(open.kind, Source::Input(range), position)))
    }

    /// Hands out, as a first piece, what was gathered before pieces were asked for.
    fn hand_over_gathered(&mut self, open: OpenMessage) -> Result<Step, Error> {
        self.connection.begin_pieces(open, self.now)?;
        self.connection.inbound.hand_out();
        Ok(Step::Found(Found::Piece(open.kind, Source::Gathered, Position::More)))
    }

    /// Hands out a message whose last byte has been gathered.
    fn finish_gathered(&mut self, open: OpenMessage) -> Result<Step, Error> {
        if open.kind == Kind::Text && !self.connection.inbound.is_complete_text() {
            return Err(PeerError::InvalidUtf8.into());
        }
        self.end_message();
        self.connection.inbound.hand_out();
        Ok(Step::Found(Found::Gathered(open.kind)))
    }

    fn end_message(&mut self) {
        self.connection.inbound.end_message();
        self.connection.clock.hear_message(self.now);
    }
}

impl<R: Role> Connection<R> {
    /// Checks that a data frame may come now and counts it in its message. Whether the message is still within the
    /// limits is asked where it is read, since the way of delivery may change in between.
    fn begin_data(
        &self,
        opcode: Opcode,
        compressed: bool,
        len: u64,
        now: Time,
    ) -> Result<OpenMessage, PeerError> {
        Ok(match (opcode, self.inbound.open()) {
            (Opcode::Continuation, None) => return Err(PeerError::UnexpectedContinuation),
            (Opcode::Continuation, Some(open)) => OpenMessage {
                fragments: open.fragments.saturating_add(1),
                announced: open.announced.saturating_add(len),
                ..open
            },
            (_, Some(_)) => return Err(PeerError::ExpectedContinuation),
            (_, None) => {
                let by = now + self.config.timeouts.message;
                OpenMessage::new(opcode, compressed, len, by)
            }
        })
    }

    /// Checks the message against the limits. One in pieces may be of any length, but while it is
    /// empty it is work for nothing.
    fn check_limits(&self, open: &OpenMessage) -> Result<(), LimitError> {
        if open.announced == 0 || !self.hands_out_pieces(open) {
            open.check(&self.config.limits)?;
        }
        Ok(())
    }

    /// Marks the message as one that goes out in pieces. It pins nothing, so it may take any time.
    fn begin_pieces(&mut self, open: OpenMessage, now: Time) -> Result<(), NoMemory> {
        let open = OpenMessage { in_pieces: true, by: NEVER, ..open };
        self.inbound.keep()?.open = Some(open);
        self.clock.hear_message(now);
        Ok(())
    }

    /// Whether the message goes out in pieces.
    fn hands_out_pieces(&self, open: &OpenMessage) -> bool {
        open.in_pieces || self.delivery == Delivery::Pieces
    }
}

impl Source {
    fn bytes<'a>(self, input: &'a [u8], unfinished: Option<&'a mut Unfinished>) -> &'a [u8] {
        match self {
            Self::Input(range) => input.get(range).unwrap_or_default(),
            Self::Gathered => unfinished.map_or(&[], |it| it.message.as_bytes()),
            Self::Control => unfinished.map_or(&[], |it| &it.control),
        }
    }
}

fn not_utf8(_: InvalidUtf8) -> Error {
    PeerError::InvalidUtf8.into()
}
