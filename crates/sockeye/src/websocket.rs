//! The connection as an application uses it.

use std::fmt;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use sockeye_proto::{CloseCode, CloseInfo, Kind, SendOptions};

use crate::error::{Error, ErrorKind, Result};
use crate::handler::{Handler, Run, Topics};
use crate::held::Held;
use crate::io::{AnyIo, Io};
use crate::link::Link;
use crate::message::{Event, Message};
use crate::split::{self, Receiver, Sender};
use crate::stream::{MessageReader, MessageWriter};

/// A WebSocket connection.
///
/// Every method but [`run`](Self::run) is cancel-safe: a future that is dropped, as `select!` and
/// `timeout` do, loses no message and breaks no frame. A message given to [`send`](Self::send) is
/// then sent whole or not at all.
///
/// Pings are answered, and deadlines kept, while any of the methods is being awaited. A connection
/// that nobody awaits stands still.
///
/// Dropped, it closes with code 1000 in the background, or with 1011 while panicking.
pub struct WebSocket<S: Io = AnyIo> {
    held: Held<S>,
    subprotocol: Option<Box<str>>,
}

impl<S: Io> WebSocket<S> {
    pub(crate) fn new(link: Link<S>, subprotocol: Option<&str>) -> Self {
        Self { held: Held::new(link), subprotocol: subprotocol.map(Into::into) }
    }

    #[cfg(feature = "server")]
    pub(crate) fn held(&mut self) -> &mut Held<S> {
        &mut self.held
    }

    #[cfg(feature = "server")]
    pub(crate) fn into_held(self) -> Held<S> {
        self.held
    }

    /// Receives the next message; `None` when the connection was closed in good order.
    ///
    /// # Errors
    /// The peer's faults and limits it hit, a peer that went away without a Close frame or answers
    /// no more. After an error comes `None`.
    pub async fn recv(&mut self) -> Result<Option<Message>> {
        poll_fn(|cx| self.held.poll_message(cx)).await
    }

    /// Receives the next event of any kind: messages, pings, pongs and the peer's Close frame.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    pub async fn event(&mut self) -> Result<Option<Event>> {
        poll_fn(|cx| self.held.poll_event(cx)).await
    }

    /// Sends a message and waits until the transport has taken it.
    ///
    /// # Errors
    /// The connection is closed. A message that was not taken comes back with
    /// [`Error::into_message`].
    pub async fn send(&mut self, message: impl Into<Message>) -> Result<()> {
        self.send_with(message, SendOptions::default()).await
    }

    /// Sends a message as `options` say: compressed or not, in fragments or not.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn send_with(
        &mut self,
        message: impl Into<Message>,
        options: SendOptions,
    ) -> Result<()> {
        let mut message = Some(message.into());
        let sent = poll_fn(|cx| self.held.poll_send(cx, &mut message, options)).await;
        sent.map_err(|error| give_back(error, message))
    }

    /// Queues a message and waits only while too much is queued already. It leaves with the next
    /// `recv`, `send` or [`flush`](Self::flush): for many small messages in a row.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn feed(&mut self, message: impl Into<Message>) -> Result<()> {
        let mut message = Some(message.into());
        let options = SendOptions::default();
        let fed = poll_fn(|cx| self.held.poll_feed(cx, &mut message, options)).await;
        fed.map_err(|error| give_back(error, message))
    }

    /// Queues a message without waiting; it leaves as with [`feed`](Self::feed).
    ///
    /// # Errors
    /// [`ErrorKind::BufferFull`] when the queue is full, [`ErrorKind::Closed`]; the message comes
    /// back with [`Error::into_message`].
    pub fn try_send(&mut self, message: impl Into<Message>) -> Result<()> {
        let message = message.into();
        let queued = self.held.enqueue(message.as_ref(), SendOptions::default());
        queued.map_err(|error| error.with_message(message))
    }

    /// Waits until everything queued has been taken by the transport.
    ///
    /// # Errors
    /// The connection is closed.
    pub async fn flush(&mut self) -> Result<()> {
        poll_fn(|cx| self.held.poll_flush(cx)).await
    }

    /// Pings the peer and returns how long the answer took. Messages that arrive meanwhile are kept
    /// for [`recv`](Self::recv), 64 KiB of them.
    ///
    /// # Errors
    /// The connection ends before the pong comes, or more messages come before it than are kept.
    pub async fn ping(&mut self) -> Result<Duration> {
        let id = self.held.start_ping()?;
        poll_fn(|cx| match self.held.poll_pong(cx, id) {
            // Nobody else can receive them, so the pong behind them would never be read.
            Poll::Pending if self.held.is_stash_full() => {
                let text = "messages that were not received stand before the pong";
                Poll::Ready(Err(Error::new(ErrorKind::TooBig, text)))
            }
            other => other,
        })
        .await
    }

    /// Returns the round-trip time of the last keep-alive ping that was answered.
    pub fn rtt(&self) -> Option<Duration> {
        self.held.core().rtt()
    }

    /// Closes the connection: sends the code and reason, waits for the peer's answer and for the
    /// transport to end, at most as long as [`Timeouts::close`](crate::Timeouts::close).
    /// Messages that arrive meanwhile are dropped.
    ///
    /// # Errors
    /// The caller's faults: a code that may not be sent, a reason over 123 bytes.
    pub async fn close(mut self, code: CloseCode, reason: &str) -> Result<CloseInfo> {
        self.held.close(Some(code), reason)?;
        Ok(poll_fn(|cx| self.held.poll_end(cx)).await)
    }

    /// Drops the transport at once, without a word to the peer.
    pub fn abort(self) {
        if let Some(link) = self.held.into_link() {
            link.log_end();
        }
    }

    /// Returns the bytes that are queued and not yet taken by the transport, framing included.
    pub fn buffered_amount(&self) -> usize {
        self.held.core().queued()
    }

    /// Returns how the connection ended; `None` while it has not.
    pub fn close_info(&self) -> Option<&CloseInfo> {
        self.held.core().close_info()
    }

    /// Returns the subprotocol that both ends agreed on.
    pub fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    /// Returns the address of the peer, where the transport has one.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.held.peer()
    }

    /// Borrows the transport.
    pub fn get_ref(&self) -> &S {
        self.held.io()
    }

    /// Splits the connection into a half that sends, which can be cloned, and one that receives.
    pub fn split(self) -> (Sender<S>, Receiver<S>) {
        split::split(self.held)
    }

    /// Receives the next message in pieces as they come, so that one of any length takes bounded
    /// memory; `None` when the connection was closed in good order.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    pub async fn reader(&mut self) -> Result<Option<MessageReader<'_, S>>> {
        let mut reader = MessageReader::new(&mut self.held);
        Ok(if reader.begin().await? { Some(reader) } else { None })
    }

    /// Starts a message that is sent in pieces, each a frame of its own.
    pub fn writer(&mut self, kind: Kind) -> MessageWriter<'_, S> {
        MessageWriter::new(&mut self.held, kind)
    }

    /// Runs a handler until the connection has ended, and returns how it did. Each message is lent to
    /// the handler where it was read, and what it sends in answer to one read leaves with one write;
    /// see [`handler`](crate::handler). What arrived before and was not received comes first.
    ///
    /// The handler's topics are its own; to share some, use [`run_with`](Self::run_with).
    ///
    /// # Cancel safety
    /// The connection goes with the future: dropped, it tells the handler of an abnormal end, once, and
    /// closes as a dropped `WebSocket` does. No frame is cut.
    pub fn run(self, handler: impl Handler) -> impl Future<Output = CloseInfo> + Send {
        self.run_with(handler, &Topics::new())
    }

    /// As [`run`](Self::run), with topics that other connections have too.
    pub fn run_with<H: Handler>(
        self,
        handler: H,
        topics: &Topics,
    ) -> impl Future<Output = CloseInfo> + Send + use<S, H> {
        Run::new(self.held, handler, topics.clone())
    }

    /// Gives the transport back, with the bytes that were read from it and not used. Nothing is sent;
    /// what was queued is lost.
    pub fn into_inner(self) -> Option<(S, Bytes)> {
        self.held.into_link().map(|link| link.into_parts())
    }
}

impl<S: Io> fmt::Debug for WebSocket<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocket")
            .field("peer", &self.peer_addr())
            .field("subprotocol", &self.subprotocol)
            .field("close_info", &self.close_info())
            .finish_non_exhaustive()
    }
}

/// Puts the message that was not sent into the error.
pub(crate) fn give_back(error: Error, message: Option<Message>) -> Error {
    match message {
        Some(message) => error.with_message(message),
        None => error,
    }
}

/// Makes the error of a call that waits for what will not come any more.
pub(crate) fn closed<T>(info: Option<&CloseInfo>) -> Poll<Result<T>> {
    let error = Error::new(ErrorKind::Closed, "the connection is closed");
    Poll::Ready(Err(error.with_close(info)))
}
