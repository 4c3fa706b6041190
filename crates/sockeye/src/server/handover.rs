//! Connections that another host serves once their opening handshake is done.

use std::sync::Arc;

use sockeye_proto::Config;
use sockeye_proto::handshake::Accepted;
use tokio::sync::OwnedSemaphorePermit;

use super::Incoming;
use crate::io::AnyIo;

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
/// server takes only so many, and waits for those it has when it stops.
#[derive(Debug)]
pub struct Place(#[expect(dead_code, reason = "held, not read")] Held);

#[derive(Debug)]
#[expect(dead_code, reason = "held, not read")]
enum Held {
    Alone(OwnedSemaphorePermit),
    #[cfg(feature = "hyper")]
    Shared(Arc<OwnedSemaphorePermit>),
}

impl From<OwnedSemaphorePermit> for Place {
    fn from(permit: OwnedSemaphorePermit) -> Self {
        Self(Held::Alone(permit))
    }
}

#[cfg(feature = "hyper")]
impl From<Arc<OwnedSemaphorePermit>> for Place {
    fn from(permit: Arc<OwnedSemaphorePermit>) -> Self {
        Self(Held::Shared(permit))
    }
}
