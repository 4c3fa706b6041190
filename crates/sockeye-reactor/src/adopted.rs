//! A connection on its way to the reactor: its opening handshake is done, by whoever listens.

use std::net::TcpStream;

use sockeye_proto::{Connection, Server};

/// An upgraded connection, to be served by a [`Reactor`](crate::Reactor).
#[derive(Debug)]
pub struct Adopted<H> {
    pub(crate) socket: TcpStream,
    pub(crate) core: Connection<Server>,
    pub(crate) received: Vec<u8>,
    pub(crate) handler: H,
}

impl<H> Adopted<H> {
    /// Brings together a socket, the protocol state after its handshake, and what serves it.
    ///
    /// The state must count time as [`now`](crate::now) does.
    pub fn new(socket: TcpStream, core: Connection<Server>, handler: H) -> Self {
        Self { socket, core, received: Vec::new(), handler }
    }

    /// Adds what was read behind the handshake's request.
    #[must_use]
    pub fn received(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.received = bytes.into();
        self
    }
}
