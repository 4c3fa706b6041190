//! The callback form of an application: messages are handed over where they stand, and what it sends
//! in return leaves with one write.
//!
//! Any host can run a [`Handler`]; what a host must offer for it is [`Outlet`].

use alloc::sync::Arc;

use crate::close::CloseCode;
use crate::connection::{CloseInfo, SendOptions};
use crate::error::Error;
use crate::message::MessageRef;
use crate::prepared::PreparedMessage;
use crate::utf8::Utf8Bytes;

/// What an application does with one connection.
///
/// A function of a message and an [`Out`] is one too.
pub trait Handler: Send + 'static {
    /// Called once, before any message.
    fn open(&mut self, out: &mut Out<'_>) {
        let _ = out;
    }

    /// Called for each message.
    fn message(&mut self, message: MessageRef<'_>, out: &mut Out<'_>);

    /// Called when what was queued has left after a [`Sent::Buffered`] or [`Sent::Dropped`].
    fn drain(&mut self, out: &mut Out<'_>) {
        let _ = out;
    }

    /// Called when somebody has called [`Sender::wake`]; once for several calls, if they come together.
    fn wake(&mut self, out: &mut Out<'_>) {
        let _ = out;
    }

    /// Called when what was published to `topic` at `position` is not sent, as too much waits before
    /// it: the connection has left the topic. [`drain`](Self::drain) follows when all that waits has
    /// been written, and is where to catch up and subscribe again. Only hosts that publish at
    /// positions may do this.
    fn missed(&mut self, topic: &str, position: u64, out: &mut Out<'_>) {
        let _ = (topic, position, out);
    }

    /// Called when the connection failed: the peer broke the protocol, hit a limit or took too long.
    /// Its end follows.
    fn fail(&mut self, error: &Error) {
        let _ = error;
    }

    /// Called when one of these functions panicked; the connection closes with 1011, and no message
    /// follows.
    fn panicked(&mut self) {}

    /// Called once, after the last of everything.
    fn close(&mut self, info: &CloseInfo) {
        let _ = info;
    }
}

impl<F> Handler for F
where
    F: FnMut(MessageRef<'_>, &mut Out<'_>) + Send + 'static,
{
    fn message(&mut self, message: MessageRef<'_>, out: &mut Out<'_>) {
        self(message, out);
    }
}

/// What became of a message that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Sent {
    /// It is on its way.
    Ok,
    /// It is on its way, but so much waits before it that the sender should pause until
    /// [`Handler::drain`].
    Buffered,
    /// It was not taken: the queue is full, or the connection is closing.
    Dropped,
}

/// The sending side of a connection, as its handler sees it.
pub struct Out<'a>(&'a mut dyn Outlet);

impl<'a> Out<'a> {
    /// Sends through `outlet`.
    pub fn new(outlet: &'a mut dyn Outlet) -> Self {
        Self(outlet)
    }

    /// Sends a message.
    pub fn send<'m>(&mut self, message: impl Into<MessageRef<'m>>) -> Sent {
        self.0.send(message.into(), SendOptions::default())
    }

    /// Sends a message, compressed or in fragments as `options` say.
    pub fn send_with<'m>(
        &mut self,
        message: impl Into<MessageRef<'m>>,
        options: SendOptions,
    ) -> Sent {
        self.0.send(message.into(), options)
    }

    /// Starts the closing handshake. A code that may not be sent (RFC 6455 section 7.4) is sent as
    /// 1011, a reason over 123 bytes without its end.
    pub fn close(&mut self, code: CloseCode, reason: &str) {
        self.0.close(code, reason);
    }

    /// Makes this connection get what is published to `topic`. A second time changes nothing.
    pub fn subscribe(&mut self, topic: &str) {
        self.0.subscribe_after(topic, 0);
    }

    /// As [`subscribe`](Self::subscribe), for one that has all up to `position` already, of a host that
    /// publishes at positions: what is still on its way from before is not sent again.
    pub fn subscribe_after(&mut self, topic: &str, position: u64) {
        self.0.subscribe_after(topic, position);
    }

    /// Sends, before this returns, what was published to this connection's topics up to `position` and
    /// is still on its way. So what is sent next stands behind all of it.
    pub fn catch_up(&mut self, position: u64) {
        self.0.catch_up(position);
    }

    /// Undoes [`subscribe`](Self::subscribe).
    pub fn unsubscribe(&mut self, topic: &str) {
        self.0.unsubscribe(topic);
    }

    /// Sends a message to all subscribers of `topic`, this connection included if it is one.
    pub fn publish<'m>(&mut self, topic: &str, message: impl Into<MessageRef<'m>>) {
        self.0.publish(topic, message.into());
    }

    /// Returns how many bytes wait to be written.
    pub fn queued(&self) -> usize {
        self.0.queued()
    }

    /// Returns a handle with which any thread can send to this connection, also outside its turn.
    pub fn sender(&self) -> Sender {
        self.0.sender()
    }
}

/// A handle to a connection for any thread. What is sent through it goes out in the order in which
/// one thread sent it; to a connection that has ended it goes nowhere.
#[derive(Clone)]
pub struct Sender {
    remote: Arc<dyn Remote>,
    connection: u64,
}

impl Sender {
    /// Makes a handle of the host's name for the connection.
    pub fn new(remote: Arc<dyn Remote>, connection: u64) -> Self {
        Self { remote, connection }
    }

    /// Sends a message.
    pub fn send<'m>(&self, message: impl Into<MessageRef<'m>>) {
        self.send_prepared(Arc::new(PreparedMessage::new(message)));
    }

    /// Sends a message that other connections get as well.
    pub fn send_prepared(&self, message: Arc<PreparedMessage>) {
        self.remote.send(self.connection, message);
    }

    /// Calls the handler's [`wake`](Handler::wake), on its thread.
    pub fn wake(&self) {
        self.remote.wake(self.connection);
    }

    /// Starts the closing handshake, as [`Out::close`] does.
    pub fn close(&self, code: CloseCode, reason: &str) {
        self.remote.close(self.connection, code, reason.into());
    }
}

impl core::fmt::Debug for Sender {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Sender").field("connection", &self.connection).finish_non_exhaustive()
    }
}

/// What a host offers to [`Sender`]s: to reach a connection from another thread.
pub trait Remote: Send + Sync {
    /// Sends a message to a connection, if it is still there.
    fn send(&self, connection: u64, message: Arc<PreparedMessage>);

    /// Calls a connection's [`Handler::wake`], if it is still there.
    fn wake(&self, connection: u64);

    /// Closes a connection, if it is still there.
    fn close(&self, connection: u64, code: CloseCode, reason: Utf8Bytes);
}

impl core::fmt::Debug for Out<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Out").field("queued", &self.queued()).finish()
    }
}

/// What a host offers to a handler, through [`Out`].
pub trait Outlet {
    /// Sends a message.
    fn send(&mut self, message: MessageRef<'_>, options: SendOptions) -> Sent;

    /// Starts the closing handshake.
    fn close(&mut self, code: CloseCode, reason: &str);

    /// Subscribes the connection, to what has a position behind this one, or none. A host that
    /// publishes without positions need not look at it.
    fn subscribe_after(&mut self, topic: &str, position: u64);

    /// Sends what is on its way to the connection up to a position. A host that publishes without
    /// positions need not do anything.
    fn catch_up(&mut self, position: u64);

    /// Ends a subscription.
    fn unsubscribe(&mut self, topic: &str);

    /// Publishes to all subscribers.
    fn publish(&mut self, topic: &str, message: MessageRef<'_>);

    /// Returns how many bytes wait to be written.
    fn queued(&self) -> usize;

    /// Returns a handle for other threads.
    fn sender(&self) -> Sender;
}
