//! The tokio host: a transport, and the protocol core that speaks over it.
//!
//! Everything here is a `poll_*` that may be dropped at any point: what was read, taken or queued is
//! kept in the link, never in a future.

mod arrival;
mod driver;
mod transport;
mod way;

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use sockeye_proto::{
    AnyRole, CloseCode, CloseInfo, Connection, Delivery, Kind, MessageRef, Next, Position,
    SendOptions, Time,
};
use tokio::time::Sleep;

use crate::clock;
use crate::control::Control;
use crate::error::{Error, ErrorKind, Result};
use crate::io::Io;
use crate::log;
use crate::message::{Event, Message};
use crate::pings::Pings;
use crate::websocket::closed;

pub(crate) use arrival::Arrival;
use arrival::next_event;
pub(crate) use driver::Driver;

/// A transport and the connection over it.
pub(crate) struct Link<S> {
    io: S,
    peer: Option<SocketAddr>,
    core: Connection<AnyRole>,
    /// Bytes for the transport; the first `written` of them have left.
    out: Vec<u8>,
    written: usize,
    /// The transport took bytes that it may still hold back.
    unflushed: bool,
    /// Bytes of the transport whose events have not been taken; the first `taken` of them have.
    unread: Vec<u8>,
    taken: usize,
    /// When the transport was last read: a clock is not asked for each of many messages.
    read_at: Time,
    /// What arrived while the caller was only sending.
    ready: Option<Box<Ready>>,
    timer: Option<Pin<Box<Sleep>>>,
    /// Why the connection ended, to be told once.
    failure: Option<Failure>,
    sending: Sending,
    receiving: Receiving,
    /// The rest of the message being received is of no interest.
    skipping: bool,
    pings: Pings,
    control: Option<Arc<Control>>,
}

/// Events that were kept, and what that costs in bytes.
#[derive(Default)]
struct Ready {
    arrivals: VecDeque<Arrival>,
    bytes: usize,
}

/// The state of the transport's sending half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sending {
    Open,
    /// It refused bytes, or has been shut down.
    Over,
}

/// The state of the transport's receiving half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Receiving {
    Open,
    /// It is not read, for want of room for answers.
    Paused,
    Over,
}

/// Why a connection ended in disorder.
enum Failure {
    /// The core ended it.
    Core(Box<sockeye_proto::Error>),
    /// The transport ended without a Close frame.
    Lost(Error),
}

impl<S: Io> Link<S> {
    /// Speaks over `io`, from which `received` has been read behind the handshake.
    pub(crate) fn new(
        io: S,
        mut core: Connection<AnyRole>,
        received: &[u8],
        lifetime: Option<Duration>,
        peer: Option<SocketAddr>,
    ) -> Self {
        log::opened(peer);
        if let Some(lifetime) = lifetime {
            core.expire_at(clock::now() + lifetime + clock::jitter(lifetime / 10));
        }
        Self {
            io,
            peer,
            core,
            out: Vec::new(),
            written: 0,
            unflushed: false,
            unread: received.to_vec(),
            taken: 0,
            read_at: clock::now(),
            ready: None,
            timer: None,
            failure: None,
            sending: Sending::Open,
            receiving: Receiving::Open,
            skipping: false,
            pings: Pings::default(),
            control: None,
        }
    }

    #[cfg(feature = "server")]
    pub(crate) fn set_control(&mut self, control: Arc<Control>) {
        self.control = Some(control);
    }

    pub(crate) fn core(&self) -> &Connection<AnyRole> {
        &self.core
    }

    pub(crate) fn io(&self) -> &S {
        &self.io
    }

    pub(crate) fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// Tells the log how the connection ended.
    pub(crate) fn log_end(&self) {
        log::closed(self.core.close_info(), self.peer);
    }

    /// Whether nothing is left to do with the transport.
    pub(crate) fn is_over(&self) -> bool {
        self.core.next() == Next::Close
    }

    /// Receives the next event; `None` after the closing handshake.
    ///
    /// Replies that the events call for are written on the way, and so are messages that were fed.
    pub(crate) fn poll_arrival(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Arrival>>> {
        loop {
            if let Some(arrival) = self.pop_ready().or_else(|| self.take()) {
                return Poll::Ready(Ok(Some(arrival)));
            }
            if self.core.next() != Next::Continue {
                return self
                    .poll_last_words(cx)
                    .map(|()| self.take_failure().map_or(Ok(None), Err));
            }
            if let Some(arrival) = ready!(self.poll_progress(cx)) {
                return Poll::Ready(Ok(Some(arrival)));
            }
        }
    }

    /// Receives the next event, passing over what a reader left of its message.
    pub(crate) fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Event>>> {
        loop {
            match ready!(self.poll_arrival(cx))? {
                Some(Arrival::Event(event)) => return Poll::Ready(Ok(Some(event))),
                Some(Arrival::Piece { .. }) => {}
                None => return Poll::Ready(Ok(None)),
            }
        }
    }

    /// Receives the next message.
    pub(crate) fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Message>>> {
        loop {
            match ready!(self.poll_event(cx))? {
                Some(Event::Message(message)) => return Poll::Ready(Ok(Some(message))),
                Some(_) => {}
                None => return Poll::Ready(Ok(None)),
            }
        }
    }

    /// Queues a message once there is room, then waits until all that is queued has been written.
    ///
    /// The message is taken out of `message` when it is queued, whole; a caller that goes away
    /// before has sent nothing, one that goes away after has sent all of it.
    pub(crate) fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        message: &mut Option<Message>,
        options: SendOptions,
    ) -> Poll<Result<()>> {
        ready!(self.poll_feed(cx, message, options))?;
        self.poll_flush(cx)
    }

    /// Queues a message once there is room.
    pub(crate) fn poll_feed(
        &mut self,
        cx: &mut Context<'_>,
        message: &mut Option<Message>,
        options: SendOptions,
    ) -> Poll<Result<()>> {
        while let Some(unsent) = message {
            if !self.core.is_above_high_water() || !self.core.is_open() {
                match self.enqueue(unsent.as_ref(), options) {
                    Err(error) if error.kind() == ErrorKind::BufferFull => {}
                    result => {
                        result?;
                        *message = None;
                        break;
                    }
                }
            }
            ready!(self.poll_room(cx));
        }
        Poll::Ready(Ok(()))
    }

    /// Queues a piece of a message once there is room.
    pub(crate) fn poll_feed_piece(
        &mut self,
        cx: &mut Context<'_>,
        kind: Kind,
        bytes: &[u8],
        position: Position,
    ) -> Poll<Result<()>> {
        loop {
            if !self.core.is_above_high_water() || !self.core.is_open() {
                self.check_sent()?;
                self.lend_buffer();
                let result = self.core.send_piece(kind, bytes, position, &mut self.out);
                self.give_back_buffer();
                match result.map_err(|error| self.send_error(error)) {
                    Err(error) if error.kind() == ErrorKind::BufferFull => {}
                    result => return Poll::Ready(result),
                }
            }
            ready!(self.poll_room(cx));
        }
    }

    /// Writes to make room in the queue, and answers pings meanwhile.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.stash_arrived(cx);
        if self.poll_write(cx).is_pending() { self.poll_timer(cx) } else { Poll::Ready(()) }
    }

    /// Queues a message now, or says why not.
    pub(crate) fn enqueue(&mut self, message: MessageRef<'_>, options: SendOptions) -> Result<()> {
        self.check_sent()?;
        self.lend_buffer();
        let result = self.core.send_with(message, options, &mut self.out);
        self.give_back_buffer();
        result.map_err(|error| self.send_error(error))
    }

    /// Queues a ping and returns the number to wait for with [`poll_pong`](Self::poll_pong).
    pub(crate) fn start_ping(&mut self) -> Result<u64> {
        let id = self.pings.start(clock::now());
        let queued = self.core.ping(&id.to_be_bytes(), &mut self.out);
        queued.map(|()| id).map_err(|error| self.send_error(error))
    }

    /// Waits for a pong; what arrives meanwhile is kept.
    pub(crate) fn poll_pong(&mut self, cx: &mut Context<'_>, id: u64) -> Poll<Result<Duration>> {
        loop {
            self.stash_arrived(cx);
            if let Poll::Ready(rtt) = self.pings.poll(id, cx) {
                let lost = || Error::new(ErrorKind::TooBig, "too many pings wait for a pong");
                return Poll::Ready(rtt.ok_or_else(lost));
            }
            if self.core.next() != Next::Continue {
                return closed(self.core.close_info());
            }
            if self.poll_write(cx).is_pending() || self.core.queued() == 0 {
                ready!(self.poll_timer(cx));
            }
        }
    }

    /// Waits until everything queued has been written, and answers pings meanwhile.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        loop {
            self.stash_arrived(cx);
            match self.poll_write(cx) {
                Poll::Ready(()) => return Poll::Ready(self.check_sent()),
                Poll::Pending if self.is_over() => return closed(self.core.close_info()),
                Poll::Pending => ready!(self.poll_timer(cx)),
            }
        }
    }

    /// Starts the closing handshake.
    pub(crate) fn close(&mut self, code: Option<CloseCode>, reason: &str) -> Result<()> {
        let now = clock::now();
        Ok(self.core.close(code, reason, now, &mut self.out)?)
    }

    /// Drives a connection that is being closed to its end, dropping what still arrives.
    pub(crate) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<CloseInfo> {
        loop {
            self.ready = None;
            while self.take().is_some() {}
            if self.core.next() == Next::Close {
                let _ = self.poll_write(cx);
                let _ = Pin::new(&mut self.io).poll_shutdown(cx);
                return Poll::Ready(self.close_info());
            }
            if self.core.next() == Next::Shutdown && self.poll_last_words(cx).is_ready() {
                // The end of the stream and the deadline come even if this never does.
                let _ = self.poll_shutdown(cx);
            }
            ready!(self.poll_progress(cx));
        }
    }

    /// Hands messages out in pieces, or whole again.
    pub(crate) fn set_delivery(&mut self, delivery: Delivery) {
        self.core.set_delivery(delivery);
    }

    /// Drops what is left of the message being received in pieces.
    pub(crate) fn skip_message(&mut self) {
        self.skipping = true;
    }

    /// Gives the transport back, with what was read from it and not used.
    pub(crate) fn into_parts(self) -> (S, Bytes) {
        let rest = self.unread.get(self.taken..).map(Bytes::copy_from_slice).unwrap_or_default();
        (self.io, rest)
    }

    pub(crate) fn close_info(&self) -> CloseInfo {
        self.core.close_info().cloned().unwrap_or_else(|| CloseInfo {
            code: CloseCode::ABNORMAL,
            reason: String::new(),
            clean: false,
            by: sockeye_proto::Side::Transport,
        })
    }

    /// Takes the first of the events that were kept. The last takes the queue's memory along.
    fn pop_ready(&mut self) -> Option<Arrival> {
        let ready = self.ready.as_mut()?;
        let arrival = ready.arrivals.pop_front()?;
        ready.bytes -= arrival.cost();
        if ready.arrivals.is_empty() {
            self.ready = None;
        }
        Some(arrival)
    }

    fn keep(&mut self, arrival: Arrival) {
        let ready = self.ready.get_or_insert_default();
        ready.bytes += arrival.cost();
        ready.arrivals.push_back(arrival);
    }

    fn ready_bytes(&self) -> usize {
        self.ready.as_ref().map_or(0, |ready| ready.bytes)
    }

    /// Takes the next event out of the bytes that were read.
    fn take(&mut self) -> Option<Arrival> {
        loop {
            self.lend_buffer();
            let rest = self.unread.get_mut(self.taken..).unwrap_or_default();
            let (found, used) = next_event(&mut self.core, rest, self.read_at, &mut self.out);
            self.taken += used;
            if self.taken == self.unread.len() {
                (self.unread, self.taken) = (Vec::new(), 0);
            }
            self.give_back_buffer();
            match self.sift(found?) {
                Some(arrival) => return Some(arrival),
                None => continue,
            }
        }
    }

    /// Keeps a failure for later and drops pieces that nobody wants.
    fn sift(&mut self, found: Result<Arrival, sockeye_proto::Error>) -> Option<Arrival> {
        match found {
            Ok(Arrival::Piece { position, .. }) if self.skipping => {
                self.skipping = position == Position::More;
                None
            }
            Ok(arrival) => {
                if let Arrival::Event(Event::Pong { payload, .. }) = &arrival {
                    self.pings.answer(payload, clock::now());
                }
                Some(arrival)
            }
            Err(error) => {
                self.fail_by_core(error);
                None
            }
        }
    }

    /// Reads what has arrived while the caller sends, so that pings are answered, up to a bound.
    fn stash_arrived(&mut self, cx: &mut Context<'_>) {
        self.obey_control(cx);
        while !self.is_stash_full() && self.core.next() == Next::Continue {
            match self.take() {
                Some(arrival) => self.keep(arrival),
                None => match self.poll_read(cx, READY_MAX.saturating_sub(self.ready_bytes())) {
                    Poll::Ready(Some(arrival)) => self.keep(arrival),
                    Poll::Ready(None) => {}
                    Poll::Pending => return,
                },
            }
        }
    }

    /// Whether so much waits to be received that reading stopped.
    pub(crate) fn is_stash_full(&self) -> bool {
        self.ready_bytes() >= READY_MAX
    }

    /// Does what the server asked of its connections.
    fn obey_control(&mut self, cx: &mut Context<'_>) {
        let Some(control) = &self.control else { return };
        if let Some((code, reason)) = control.poll_close(cx) {
            let now = clock::now();
            // Codes come from the server's own configuration, which was checked.
            let _ = self.core.close(Some(code), &reason, now, &mut self.out);
        }
    }

    /// Keeps for later why the core ended the connection.
    fn fail_by_core(&mut self, error: sockeye_proto::Error) {
        log::failed(&error, self.peer);
        self.failure.get_or_insert_with(|| Failure::Core(Box::new(error)));
    }

    /// Takes why the connection ended in disorder, to tell the application.
    fn take_failure(&mut self) -> Option<Error> {
        let error = match self.failure.take()? {
            Failure::Core(error) => Error::from(*error),
            Failure::Lost(error) => error,
        };
        Some(error.with_close(Some(&self.close_info())))
    }

    /// Tells whether what was queued did leave.
    fn check_sent(&self) -> Result<()> {
        if self.sending == Sending::Open {
            return Ok(());
        }
        let error = Error::new(ErrorKind::Closed, "the peer does not receive any more");
        Err(error.with_close(self.core.close_info()))
    }

    fn send_error(&self, error: sockeye_proto::Error) -> Error {
        Error::from(error).with_close(self.core.close_info())
    }
}

impl<S: fmt::Debug> fmt::Debug for Link<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("io", &self.io)
            .field("core", &self.core)
            .finish_non_exhaustive()
    }
}

/// Bytes of messages and their places that are kept for a caller that only sends. Then reading stops, and the
/// transport's own flow control holds the peer back.
const READY_MAX: usize = 64 << 10;
