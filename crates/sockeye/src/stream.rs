//! One message in pieces, in either direction: a message of any length in bounded memory.

use std::future::poll_fn;

use bytes::Bytes;
use sockeye_proto::{CloseCode, Delivery, Kind, Position};

use crate::error::Result;
use crate::held::Held;
use crate::io::Io;
use crate::link::Arrival;
use crate::message::Event;
use crate::websocket::closed;

/// A message that is being received. Made by [`WebSocket::reader`](crate::WebSocket::reader).
///
/// Dropped before the end, what is left of the message is passed over.
#[derive(Debug)]
pub struct MessageReader<'a, S: Io> {
    held: &'a mut Held<S>,
    kind: Kind,
    first: Option<Bytes>,
    position: Position,
}

impl<'a, S: Io> MessageReader<'a, S> {
    /// Asks for pieces. The reader exists before the first of them, so that one that is dropped
    /// while it waits asks for whole messages again.
    pub(crate) fn new(held: &'a mut Held<S>) -> Self {
        held.set_delivery(Delivery::Pieces);
        Self { held, kind: Kind::Binary, first: None, position: Position::Last }
    }

    /// Waits for the first piece; false when the connection was closed instead.
    pub(crate) async fn begin(&mut self) -> Result<bool> {
        loop {
            match poll_fn(|cx| self.held.poll_arrival(cx)).await? {
                Some(Arrival::Event(Event::Message(message))) => {
                    self.kind = message.kind();
                    self.first = Some(message.into_bytes());
                    return Ok(true);
                }
                Some(Arrival::Piece { kind, bytes, position }) => {
                    (self.kind, self.first, self.position) = (kind, Some(bytes), position);
                    return Ok(true);
                }
                Some(Arrival::Event(_)) => {}
                None => return Ok(false),
            }
        }
    }

    /// Returns the kind of the message.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Receives the next bytes; `None` after the last. Those of a text have been checked, but a
    /// chunk may end inside a code point.
    ///
    /// # Errors
    /// As [`WebSocket::recv`](crate::WebSocket::recv), and a connection that ends before the
    /// message does.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        loop {
            if let Some(bytes) = self.first.take().filter(|bytes| !bytes.is_empty()) {
                return Ok(Some(bytes));
            }
            if self.position == Position::Last {
                return Ok(None);
            }
            let next = poll_fn(|cx| match self.held.poll_arrival(cx) {
                std::task::Poll::Ready(Ok(None)) => closed(self.held.core().close_info()),
                other => other,
            });
            if let Some(Arrival::Piece { bytes, position, .. }) = next.await? {
                self.position = position;
                self.first = Some(bytes);
            }
        }
    }
}

impl<S: Io> Drop for MessageReader<'_, S> {
    fn drop(&mut self) {
        self.held.set_delivery(Delivery::Whole);
        if self.position == Position::More {
            self.held.skip_message();
        }
    }
}

/// A message that is being sent. Made by [`WebSocket::writer`](crate::WebSocket::writer).
///
/// Dropped before [`finish`](Self::finish), the connection closes with 1011, since the peer would
/// wait for the end for ever.
#[derive(Debug)]
pub struct MessageWriter<'a, S: Io> {
    held: &'a mut Held<S>,
    kind: Kind,
    state: State,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Unstarted,
    Started,
    Finished,
}

impl<'a, S: Io> MessageWriter<'a, S> {
    pub(crate) fn new(held: &'a mut Held<S>, kind: Kind) -> Self {
        Self { held, kind, state: State::Unstarted }
    }

    /// Sends bytes of the message and waits until the transport has taken them.
    ///
    /// # Errors
    /// The caller's fault of text that is not UTF-8, found in the piece that shows it; a closed
    /// connection.
    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) -> Result<()> {
        self.piece(bytes.as_ref(), Position::More).await?;
        self.state = State::Started;
        poll_fn(|cx| self.held.poll_flush(cx)).await
    }

    /// Ends the message.
    ///
    /// # Errors
    /// As [`write`](Self::write); text that ends inside a code point.
    pub async fn finish(mut self) -> Result<()> {
        self.piece(&[], Position::Last).await?;
        self.state = State::Finished;
        poll_fn(|cx| self.held.poll_flush(cx)).await
    }

    async fn piece(&mut self, bytes: &[u8], position: Position) -> Result<()> {
        poll_fn(|cx| self.held.poll_feed_piece(cx, self.kind, bytes, position)).await
    }
}

impl<S: Io> Drop for MessageWriter<'_, S> {
    fn drop(&mut self) {
        if self.state == State::Started {
            // The connection may be closed already; then there is nobody to tell.
            let _ = self.held.close(Some(CloseCode::INTERNAL), "message not finished");
        }
    }
}
