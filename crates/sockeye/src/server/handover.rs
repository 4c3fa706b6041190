//! Connections that another host serves once their opening handshake is done.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6, TcpStream};
use std::sync::Arc;

use sockeye_proto::handshake::Accepted;
use sockeye_proto::{CloseInfo, Config, Error};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Incoming;
use crate::io::AnyIo;
use crate::log;

/// A connection whose 101 has been written, for whoever takes it: see
/// [`Server::hand_over`](super::Server::hand_over).
#[derive(Debug)]
#[non_exhaustive]
pub struct HandedOver {
    /// The transport.
    pub transport: Transport,
    /// What the handshake agreed.
    pub accepted: Accepted,
    /// What was read behind the handshake's request.
    pub received: Vec<u8>,
    /// The server's limits and time-outs.
    pub config: Arc<Config>,
    /// The request.
    pub incoming: Incoming,
    /// The connection's place among those that the server counts.
    pub place: Place,
}

/// A transport that no runtime watches any more.
#[derive(Debug)]
#[non_exhaustive]
pub enum Transport {
    /// TCP, without blocking.
    Tcp(TcpStream),
    /// TLS over TCP, without blocking.
    #[cfg(feature = "rustls")]
    Tls(TcpStream, Box<rustls::ServerConnection>),
    /// Whatever else the server was given.
    Other(AnyIo),
}

impl Transport {
    /// Takes a transport from the runtime.
    ///
    /// # Errors
    /// The runtime does not let go of it, for a reason that ends it anyway.
    pub(super) fn leaving(io: AnyIo) -> io::Result<Self> {
        let io = match io.into_tcp() {
            Ok(tcp) => return tcp.into_std().map(Self::Tcp),
            Err(io) => io,
        };
        #[cfg(feature = "rustls")]
        let io = match io.into_server_tls() {
            Ok((tcp, session)) => return Ok(Self::Tls(tcp.into_std()?, Box::new(session))),
            Err(io) => io,
        };
        Ok(Self::Other(io))
    }
}

/// A connection's place among those of a server, to be dropped when the connection has ended: a
/// server takes only so many, and waits for those it has when it stops. Its host tells it what
/// becomes of the connection, for the log.
#[derive(Debug)]
pub struct Place {
    held: Held,
    peer: Peer,
}

// A host may hold a million of these.
const _: () = assert!(size_of::<Place>() <= 32);

#[derive(Debug)]
enum Held {
    /// A place of the connection's own.
    Alone(Arc<Semaphore>),
    /// That of the HTTP connection which it was.
    #[cfg(feature = "hyper")]
    #[expect(dead_code, reason = "held, not read")]
    Shared(Arc<OwnedSemaphorePermit>),
}

/// An address in as few bytes as most take.
#[derive(Debug)]
enum Peer {
    V4(Ipv4Addr, u16),
    V6(Box<SocketAddrV6>),
}

impl Place {
    /// Takes a place out of those of the server.
    pub(super) fn alone(
        places: &Arc<Semaphore>,
        permit: OwnedSemaphorePermit,
        peer: SocketAddr,
    ) -> Self {
        permit.forget();
        Self { held: Held::Alone(places.clone()), peer: peer.into() }
    }

    #[cfg(feature = "hyper")]
    pub(super) fn shared(permit: Arc<OwnedSemaphorePermit>, peer: SocketAddr) -> Self {
        Self { held: Held::Shared(permit), peer: peer.into() }
    }

    /// Returns the address of the client.
    pub fn peer_addr(&self) -> SocketAddr {
        match &self.peer {
            Peer::V4(ip, port) => SocketAddr::new(IpAddr::V4(*ip), *port),
            Peer::V6(address) => SocketAddr::V6(**address),
        }
    }

    /// Tells that the connection was opened.
    pub fn opened(&self) {
        log::opened(Some(self.peer_addr()));
    }

    /// Tells that the core failed the connection.
    pub fn failed(&self, error: &Error) {
        log::failed(error, Some(self.peer_addr()));
    }

    /// Tells how the connection ended.
    pub fn closed(&self, info: &CloseInfo) {
        log::closed(Some(info), Some(self.peer_addr()));
    }

    /// Tells that the connection's handler panicked.
    pub fn panicked(&self) {
        log::handler_panic(log::Stage::Handler);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        match &self.held {
            Held::Alone(places) => places.add_permits(1),
            #[cfg(feature = "hyper")]
            Held::Shared(_) => {}
        }
    }
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        match address {
            SocketAddr::V4(address) => Self::V4(*address.ip(), address.port()),
            SocketAddr::V6(address) => Self::V6(Box::new(address)),
        }
    }
}
