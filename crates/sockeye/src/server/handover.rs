//! Connections that another host serves once their opening handshake is done.

use std::net::SocketAddr;
use std::sync::Arc;

use sockeye_proto::handshake::Accepted;
use sockeye_proto::{CloseInfo, Config, Error};
use tokio::sync::OwnedSemaphorePermit;

use super::Incoming;
use crate::io::AnyIo;
use crate::log;

/// A connection whose 101 has been written, for whoever takes it: see
/// [`Server::hand_over`](super::Server::hand_over).
#[derive(Debug)]
#[non_exhaustive]
pub struct HandedOver {
    /// The transport.
    pub io: AnyIo,
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

/// A connection's place among those of a server, to be dropped when the connection has ended: a
/// server takes only so many, and waits for those it has when it stops. Its host tells it what
/// becomes of the connection, for the log.
#[derive(Debug)]
pub struct Place {
    #[expect(dead_code, reason = "held, not read")]
    held: Held,
    peer: SocketAddr,
}

#[derive(Debug)]
#[expect(dead_code, reason = "held, not read")]
pub(super) enum Held {
    Alone(OwnedSemaphorePermit),
    #[cfg(feature = "hyper")]
    Shared(Arc<OwnedSemaphorePermit>),
}

impl Place {
    pub(super) fn new(held: Held, peer: SocketAddr) -> Self {
        Self { held, peer }
    }

    /// Returns the address of the client.
    pub fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    /// Tells that the connection was opened.
    pub fn opened(&self) {
        log::opened(Some(self.peer));
    }

    /// Tells that the core failed the connection.
    pub fn failed(&self, error: &Error) {
        log::failed(error, Some(self.peer));
    }

    /// Tells how the connection ended.
    pub fn closed(&self, info: &CloseInfo) {
        log::closed(Some(info), Some(self.peer));
    }

    /// Tells that the connection's handler panicked.
    pub fn panicked(&self) {
        log::handler_panic(log::Stage::Handler);
    }
}
