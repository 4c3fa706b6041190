//! A connection on its way to the reactor: its opening handshake is done, by whoever listens.

use std::net::TcpStream;

use mio::net::TcpStream as MioStream;
use sockeye_proto::{Connection, Server};

use crate::socket::Socket;

/// An upgraded connection, to be served by a [`Reactor`](crate::Reactor).
pub struct Adopted<H> {
    pub(crate) socket: Socket,
    pub(crate) core: Connection<Server>,
    pub(crate) received: Vec<u8>,
    pub(crate) handler: H,
}

impl<H> Adopted<H> {
    /// Brings together a socket, the protocol state after its handshake, and
    /// what serves it.
    ///
    /// The state must count time as [`now`](crate::now) does.
    pub fn new(socket: TcpStream, core: Connection<Server>, handler: H) -> Self {
        let socket = Socket::Plain(unblocked(socket));
        Self { socket, core, received: Vec::new(), handler }
    }

    /// As [`new`](Self::new), for a connection over TLS.
    #[cfg(feature = "tls")]
    pub fn tls(
        socket: TcpStream,
        session: rustls::ServerConnection,
        core: Connection<Server>,
        handler: H,
    ) -> Self {
        let tls = crate::socket::Tls::new(unblocked(socket), session);
        Self { socket: Socket::Tls(Box::new(tls)), core, received: Vec::new(), handler }
    }

    /// Adds what was read behind the handshake's request.
    #[must_use]
    pub fn received(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.received = bytes.into();
        self
    }
}

/// Makes a socket one that the reactor can watch: one that blocks would hold up all the others.
fn unblocked(socket: TcpStream) -> MioStream {
    // It fails for what is no socket any more, which shows at once when it is read.
    let _ = socket.set_nonblocking(true);
    MioStream::from_std(socket)
}

impl<H> std::fmt::Debug for Adopted<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Adopted").field("core", &self.core).finish_non_exhaustive()
    }
}
