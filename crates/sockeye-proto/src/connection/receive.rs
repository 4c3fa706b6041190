//! The peer's bytes: frames put together into messages, control frames answered.
//!
//! Every byte is looked at once, wherever reads cut the stream. A message in one uncompressed frame
//! that lies whole in the caller's buffer is unmasked there and handed out from there; anything else
//! is gathered in one buffer, which is dropped with the message. `inflate` reads the compressed ones.

#[cfg(feature = "deflate")]
mod inflate;
mod rate;

use alloc::vec::Vec;
use core::ops::Range;
use core::time::Duration;

use super::{Connection, Phase, Reply};
use crate::close::CloseFrame;
use crate::config::Limits;
use crate::error::{Error, Limit, LimitError, PeerError};
use crate::frame::{Header, MAX_HEADER, Opcode};
use crate::mask::{self, Key};
use crate::memory;
use crate::message::{Event, Kind, Message, Piece, Position};
use crate::role::Role;
use crate::time::Time;
use crate::utf8::{self, Binary, InvalidUtf8, MessageBuf, Text};

use rate::ControlRate;

/// How messages are handed out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// Whole, bounded by [`Limits::message`]; the default.
    #[default]
    Whole,
    /// In pieces as they come, so that a message of any length takes bounded memory.
    Pieces,
}

/// What this end knows of the bytes that came so far.
#[derive(Debug)]
pub(super) struct Inbound {
    delivery: Delivery,
    /// A header that a read cut: its first `header_len` bytes.
    header: [u8; MAX_HEADER],
    header_len: u8,
    frame: Option<Frame>,
    open: Option<OpenMessage>,
    message: MessageBuf,
    /// What `message` holds was handed out, and goes when the next event is asked for.
    handed_out: bool,
    /// The payload of a control frame that a read cut.
    control: Vec<u8>,
    control_rate: ControlRate,
}

/// The frame whose payload is being read.
#[derive(Clone, Copy, Debug)]
struct Frame {
    opcode: Opcode,
    fin: bool,
    mask: Option<Key>,
    remaining: u64,
}

/// The message whose frames are being read.
#[derive(Clone, Copy, Debug)]
struct OpenMessage {
    kind: Kind,
    compressed: bool,
    fragments: u32,
    /// Payload bytes announced so far, as they are on the wire.
    announced: u64,
    /// Part of it was handed out as pieces, so the rest must be too.
    in_pieces: bool,
}

/// Where the bytes of an event stand.
enum Source {
    Input(Range<usize>),
    Gathered,
    Control,
}

/// An event, before its bytes are borrowed.
enum Found {
    TextInPlace(Range<usize>, Option<Key>),
    BinaryInPlace(Range<usize>),
    Gathered(Kind),
    Piece(Kind, Source, Position),
    Ping(Source),
    Pong(Source, Option<Duration>),
    Close(CloseFrame),
}

impl Found {
    /// Whether the event's bytes stand in the caller's input, or it has none.
    fn is_in_place(&self) -> bool {
        match self {
            Self::TextInPlace(..) | Self::BinaryInPlace(_) | Self::Close(_) => true,
            Self::Gathered(_) => false,
            Self::Piece(_, source, _) | Self::Ping(source) | Self::Pong(source, _) => {
                matches!(source, Source::Input(_))
            }
        }
    }

    /// Borrows the event's bytes from where they stand. `None` for text in place, which
    /// [`text_in_place`] has to check first.
    fn event<'b>(
        self,
        input: &'b [u8],
        message: &'b mut MessageBuf,
        control: &'b [u8],
    ) -> Option<Event<'b>> {
        let here = |range| input.get(range).unwrap_or_default();
        Some(match self {
            Self::TextInPlace(..) => return None,
            Self::BinaryInPlace(range) => {
                Event::Message(Message::Binary(Binary::in_place(here(range))))
            }
            Self::Gathered(Kind::Binary) => Event::Message(Message::Binary(message.binary())),
            // Checked to its last byte before it was found.
            Self::Gathered(Kind::Text) => Event::Message(Message::Text(message.text()?)),
            Self::Piece(kind, source, position) => {
                let bytes = match source {
                    Source::Input(range) => here(range),
                    Source::Gathered | Source::Control => message.as_bytes(),
                };
                Event::Piece(Piece { kind, bytes, position })
            }
            Self::Ping(Source::Input(range)) => Event::Ping(here(range)),
            Self::Ping(_) => Event::Ping(control),
            Self::Pong(Source::Input(range), rtt) => Event::Pong { payload: here(range), rtt },
            Self::Pong(_, rtt) => Event::Pong { payload: control, rtt },
            Self::Close(frame) => Event::Close(frame),
        })
    }
}

/// Unmasks and checks a text where it stands.
fn text_in_place(
    input: &mut [u8],
    range: Range<usize>,
    mask: Option<Key>,
) -> Result<Event<'_>, Error> {
    let bytes = input.get_mut(range).unwrap_or_default();
    let text = utf8::unmask_text(bytes, mask).map_err(not_utf8)?;
    Ok(Event::Message(Message::Text(Text::in_place(text))))
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
        self.inbound.delivery = delivery;
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
        if let Found::TextInPlace(range, mask) = found {
            let text = text_in_place(input, range, mask);
            return Some(text.inspect_err(|error| connection.fail(error, *now, out)));
        }
        let Inbound { message, control, .. } = &mut connection.inbound;
        found.event(input, message, control).map(Ok)
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
        if let Found::TextInPlace(range, mask) = found {
            let text = text_in_place(input, range, mask);
            let text = text.inspect_err(|error| connection.fail(error, *now, out));
            return Some(text.map(|event| f(event, &mut Reply { connection, out, now: *now })));
        }
        if found.is_in_place() {
            let mut none = MessageBuf::default();
            let event = found.event(input, &mut none, &[])?;
            return Some(Ok(f(event, &mut Reply { connection, out, now: *now })));
        }
        // What was gathered moves aside meanwhile: the event must not borrow from the connection
        // that answers it.
        let (mut message, control) = connection.inbound.take_gathered();
        let event = found.event(input, &mut message, &control)?;
        let result = f(event, &mut Reply { connection, out, now: *now });
        // A connection that was closed meanwhile has no use for it any more.
        if connection.is_open() {
            (connection.inbound.message, connection.inbound.control) = (message, control);
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
    fn find(&mut self) -> Result<Option<Found>, Error> {
        self.connection.inbound.drop_handed_out();
        loop {
            if !matches!(self.connection.phase, Phase::Open | Phase::Closing) {
                self.at = self.input.len();
                return Ok(None);
            }
            let step = match self.connection.inbound.frame {
                None => self.read_header()?,
                Some(frame) if frame.opcode.is_control() => self.read_control(frame)?,
                Some(frame) if self.connection.phase == Phase::Closing => self.skip(frame),
                Some(frame) => self.read_data(frame)?,
            };
            match step {
                Step::Found(found) => return Ok(Some(found)),
                Step::GoOn => {}
                Step::NeedMore => return Ok(None),
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
        let rules = self.connection.rules();
        let saved = usize::from(self.connection.inbound.header_len);
        if saved == 0
            && let Some((header, len)) = Header::read(self.rest(), rules)?
        {
            self.at += len;
            return self.begin_frame(header);
        }
        let mut bytes = self.connection.inbound.header;
        let free = bytes.get_mut(saved..).unwrap_or_default();
        let taken = free.len().min(self.rest().len());
        if let (Some(free), Some(new)) = (free.get_mut(..taken), self.rest().get(..taken)) {
            free.copy_from_slice(new);
        }
        let known = saved + taken;
        let inbound = &mut self.connection.inbound;
        match Header::read(bytes.get(..known).unwrap_or_default(), rules)? {
            Some((header, len)) => {
                inbound.header_len = 0;
                self.at += len - saved;
                self.begin_frame(header)
            }
            None => {
                inbound.header = bytes;
                inbound.header_len = u8::try_from(known).unwrap_or_default();
                self.at += taken;
                Ok(Step::NeedMore)
            }
        }
    }

    /// Checks that the frame may come now, before any of its payload.
    fn begin_frame(&mut self, header: Header) -> Result<Step, Error> {
        let connection = &mut *self.connection;
        let Header { fin, compressed, opcode, mask, len } = header;
        if opcode.is_control() {
            if opcode != Opcode::Close {
                let rate = connection.config.limits.control_rate;
                connection.inbound.control_rate.take(rate, self.now)?;
            }
        } else {
            connection.begin_data(opcode, compressed, len, self.now)?;
        }
        connection.inbound.frame = Some(Frame { opcode, fin, mask, remaining: len });
        Ok(Step::GoOn)
    }

    /// Returns where in the input the payload that arrived of `frame` stands.
    fn arrived(&self, frame: &Frame) -> Range<usize> {
        let here = self.input.len() - self.at;
        let len = usize::try_from(frame.remaining).map_or(here, |remaining| remaining.min(here));
        self.at..self.at + len
    }

    /// Takes note that `range` of the frame's payload was used.
    fn use_up(&mut self, mut frame: Frame, range: &Range<usize>) {
        self.at = range.end;
        frame.remaining -= range.len() as u64;
        frame.mask = frame.mask.map(|key| mask::turn(key, range.len()));
        self.connection.inbound.frame = (frame.remaining > 0).then_some(frame);
    }

    fn read_control(&mut self, frame: Frame) -> Result<Step, Error> {
        let range = self.arrived(&frame);
        let arrived = self.input.get_mut(range.clone()).unwrap_or_default();
        if let Some(key) = frame.mask {
            mask::apply(arrived, key);
        }
        let complete = range.len() as u64 == frame.remaining;
        let control = &mut self.connection.inbound.control;
        let source = if complete && control.is_empty() {
            Source::Input(range.clone())
        } else {
            memory::reserve(control, arrived.len())?;
            control.extend_from_slice(arrived);
            Source::Control
        };
        self.use_up(frame, &range);
        if complete { self.end_control(frame.opcode, source) } else { Ok(Step::NeedMore) }
    }

    fn end_control(&mut self, opcode: Opcode, source: Source) -> Result<Step, Error> {
        let connection = &mut *self.connection;
        // A cut payload moves out, so that the connection can be changed; it is short and rare.
        let control = core::mem::take(&mut connection.inbound.control);
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
                let rtt = connection.clock.pong(payload, self.now);
                Found::Pong(source, rtt)
            }
            _ => {
                let frame = CloseFrame::try_parse(payload)?;
                connection.answer_close(&frame, self.now, self.out)?;
                Found::Close(frame)
            }
        };
        connection.inbound.control = control;
        Ok(Step::Found(found))
    }

    /// Passes over the payload of a data frame: after our Close frame, data is of no interest.
    fn skip(&mut self, frame: Frame) -> Step {
        let range = self.arrived(&frame);
        let complete = range.len() as u64 == frame.remaining;
        self.use_up(frame, &range);
        if !complete {
            return Step::NeedMore;
        }
        if frame.fin {
            self.connection.inbound.open = None;
        }
        Step::GoOn
    }

    fn read_data(&mut self, frame: Frame) -> Result<Step, Error> {
        let Some(open) = self.connection.inbound.open else {
            return Err(PeerError::UnexpectedContinuation.into());
        };
        if self.connection.inbound.must_hand_over(open) {
            return Ok(self.hand_over_gathered(open));
        }
        // A message in pieces may be of any length, but while it is empty it is work for nothing.
        if open.announced == 0 || !self.connection.inbound.hands_out_pieces(open) {
            open.check(&self.connection.config.limits)?;
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
        if self.connection.inbound.hands_out_pieces(open) {
            return self.piece_in_place(frame, open, range, is_last);
        }
        if is_last && open.fragments == 1 && range.len() as u64 == open.announced {
            return Ok(Step::Found(self.whole_in_place(frame, open, range)));
        }
        let arrived = self.input.get(range.clone()).unwrap_or_default();
        let longest = self.connection.config.limits.message;
        let message = &mut self.connection.inbound.message;
        message.append(arrived, frame.mask, longest)?;
        if open.kind == Kind::Text {
            message.check().map_err(not_utf8)?;
        }
        self.use_up(frame, &range);
        if is_last { self.finish_gathered(open) } else { Ok(Step::GoOn) }
    }

    /// Hands out a message that stands whole in the input.
    fn whole_in_place(&mut self, frame: Frame, open: OpenMessage, range: Range<usize>) -> Found {
        self.use_up(frame, &range);
        self.end_message();
        match open.kind {
            Kind::Text => Found::TextInPlace(range, frame.mask),
            Kind::Binary => {
                self.unmask(&range, frame.mask);
                Found::BinaryInPlace(range)
            }
        }
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
            self.use_up(frame, &range);
            return Ok(Step::GoOn);
        }
        self.unmask(&range, frame.mask);
        self.connection.begin_pieces(open, self.now);
        let inbound = &mut self.connection.inbound;
        if open.kind == Kind::Text {
            let bytes = self.input.get(range.clone()).unwrap_or_default();
            inbound.message.check_passing(bytes).map_err(not_utf8)?;
            if is_last && !inbound.message.is_complete_text() {
                return Err(PeerError::InvalidUtf8.into());
            }
        }
        self.use_up(frame, &range);
        if is_last {
            self.connection.inbound.message.reset();
            self.end_message();
        }
        let position = if is_last { Position::Last } else { Position::More };
        Ok(Step::Found(Found::Piece(open.kind, Source::Input(range), position)))
    }

    /// Hands out, as a first piece, what was gathered before pieces were asked for.
    fn hand_over_gathered(&mut self, open: OpenMessage) -> Step {
        self.connection.begin_pieces(open, self.now);
        self.connection.inbound.handed_out = true;
        Step::Found(Found::Piece(open.kind, Source::Gathered, Position::More))
    }

    /// Hands out a message whose last byte has been gathered.
    fn finish_gathered(&mut self, open: OpenMessage) -> Result<Step, Error> {
        let message = &self.connection.inbound.message;
        if open.kind == Kind::Text && !message.is_complete_text() {
            return Err(PeerError::InvalidUtf8.into());
        }
        self.end_message();
        self.connection.inbound.handed_out = true;
        Ok(Step::Found(Found::Gathered(open.kind)))
    }

    fn end_message(&mut self) {
        self.connection.inbound.open = None;
        self.connection.clock.end_message(self.now);
    }
}

impl<R: Role> Connection<R> {
    /// Checks that a data frame may come now and counts it. Whether the message is still within the
    /// limits is asked where it is read, since the way of delivery may change in between.
    fn begin_data(
        &mut self,
        opcode: Opcode,
        compressed: bool,
        len: u64,
        now: Time,
    ) -> Result<(), Error> {
        let open = match (opcode, self.inbound.open) {
            (Opcode::Continuation, None) => return Err(PeerError::UnexpectedContinuation.into()),
            (Opcode::Continuation, Some(open)) => OpenMessage {
                fragments: open.fragments.saturating_add(1),
                announced: open.announced.saturating_add(len),
                ..open
            },
            (_, Some(_)) => return Err(PeerError::ExpectedContinuation.into()),
            (_, None) => {
                self.clock.begin_message(now + self.config.timeouts.message);
                OpenMessage::new(opcode, compressed, len)
            }
        };
        self.inbound.open = Some(open);
        Ok(())
    }

    /// Marks the message as one that goes out in pieces; it may take any time.
    fn begin_pieces(&mut self, open: OpenMessage, now: Time) {
        self.inbound.open = Some(OpenMessage { in_pieces: true, ..open });
        self.clock.hear_piece(now);
    }
}

impl OpenMessage {
    fn new(opcode: Opcode, compressed: bool, len: u64) -> Self {
        Self {
            kind: if opcode == Opcode::Text { Kind::Text } else { Kind::Binary },
            compressed,
            fragments: 1,
            announced: len,
            in_pieces: false,
        }
    }

    /// Checks the message against the limits as far as frame headers tell.
    fn check(&self, limits: &Limits) -> Result<(), LimitError> {
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

impl Inbound {
    pub(super) fn new(limits: &Limits, now: Time) -> Self {
        Self {
            delivery: Delivery::Whole,
            header: [0; MAX_HEADER],
            header_len: 0,
            frame: None,
            open: None,
            message: MessageBuf::default(),
            handed_out: false,
            control: Vec::new(),
            control_rate: ControlRate::full(limits.control_rate, now),
        }
    }

    /// Drops the bytes of the message being received: it will not be handed out.
    pub(super) fn discard_message(&mut self) {
        self.message.reset();
        self.handed_out = false;
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

    /// Whether the message goes out in pieces.
    fn hands_out_pieces(&self, open: OpenMessage) -> bool {
        open.in_pieces || self.delivery == Delivery::Pieces
    }

    /// Whether bytes were gathered before pieces were asked for, and are to go out first.
    fn must_hand_over(&self, open: OpenMessage) -> bool {
        self.hands_out_pieces(open) && !self.message.is_empty()
    }

    /// Moves what was gathered out, for as long as an event borrows it.
    fn take_gathered(&mut self) -> (MessageBuf, Vec<u8>) {
        (core::mem::take(&mut self.message), core::mem::take(&mut self.control))
    }
}

fn not_utf8(_: InvalidUtf8) -> Error {
    PeerError::InvalidUtf8.into()
}
