//! A connection on its way to the reactor: its opening handshake is done, by whoever listens.

use std::net::TcpStream;

use sockeye_proto::{Connection, Server};

use crate::system::{Network, Tcp};

/// An upgraded connection, to be served by a [`Reactor`](crate::Reactor).
pub struct Adopted<H>(pub(crate) Arrival<H, Tcp>);

/// An upgraded connection of any network.
pub(crate) struct Arrival<H, N: Network> {
    pub(crate) transport: Transport<N::Stream>,
    pub(crate) core: Connection<Server>,
    pub(crate) received: Vec<u8>,
    pub(crate) handler: H,
    pub(crate) class: u8,
}

/// A stream, and the TLS session over it.
pub(crate) enum Transport<T> {
    Plain(T),
    #[cfg(feature = "tls")]
    Tls(T, Box<rustls::ServerConnection>),
}

impl<H> Adopted<H> {
    /// Brings together a socket, the protocol state after its handshake, and what serves it.
    ///
    /// The state must count time as [`now`](crate::now) does.
    pub fn new(socket: TcpStream, core: Connection<Server>, handler: H) -> Self {
        Self::over(Transport::Plain(unblocked(socket)), core, handler)
    }

    /// As [`new`](Self::new), for a socket that is known not to block: setting it up takes a call to
    /// the system less.
    pub fn unblocked(socket: TcpStream, core: Connection<Server>, handler: H) -> Self {
        Self::over(Transport::Plain(socket), core, handler)
    }

    /// As [`new`](Self::new), for a connection over TLS.
    #[cfg(feature = "tls")]
    pub fn tls(
        socket: TcpStream,
        session: Box<rustls::ServerConnection>,
        core: Connection<Server>,
        handler: H,
    ) -> Self {
        Self::over(Transport::Tls(unblocked(socket), session), core, handler)
    }

    fn over(transport: Transport<TcpStream>, core: Connection<Server>, handler: H) -> Self {
        Self(Arrival { transport, core, received: Vec::new(), handler, class: 0 })
    }

    /// Sets the class under which its messages are counted, below 4; 0 unless it is set. See
    /// [`Reactor::traffic`](crate::Reactor::traffic).
    #[must_use]
    pub fn class(mut self, class: u8) -> Self {
        self.0.class = class;
        self
    }

    /// Adds what was read behind the handshake's request.
    #[must_use]
    pub fn received(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.0.received = bytes.into();
        self
    }
}

/// Makes a socket one that the reactor can watch: one that blocks would hold up all the others.
fn unblocked(socket: TcpStream) -> TcpStream {
    // It fails for what is no socket any more, which shows at once when it is read.
    let _ = socket.set_nonblocking(true);
    socket
}

impl<H> std::fmt::Debug for Adopted<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Adopted").field("core", &self.0.core).finish_non_exhaustive()
    }
}
