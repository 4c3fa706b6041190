//! The door for hosts that accept connections themselves.
//!
//! A WebSocket request that is whole when its first bytes come, and whose path is another host's, is
//! answered on the spot, on the thread that read it. Everything else goes the way that connections go
//! which the server accepts: nothing is decided twice in two ways.

use std::fmt;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use sockeye_proto::handshake::RequestHead;
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::handover::{Place, Transport};
use super::pending::Handshake;
use super::{Shared, is_plain};
use crate::io::tune;
use crate::log;

/// What answers connections that another host accepts: see
/// [`Listening::let_accept`](super::Listening::let_accept). Its functions return at once.
pub struct Doorstep {
    shared: Arc<Shared>,
    runtime: Handle,
}

/// A connection that was accepted and has not been answered.
pub struct Caller {
    pub(super) peer: SocketAddr,
    pub(super) handshake: Handshake,
    /// When its request must be complete.
    pub(super) deadline: Instant,
}

impl Doorstep {
    /// Must be called on the runtime that serves what is not answered on the spot.
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, runtime: Handle::current() }
    }

    /// Returns how long a client's first bytes are worth waiting for.
    pub fn patience(&self) -> Duration {
        self.shared.routes.acceptor.config.timeouts.handshake
    }

    /// Takes note of a connection. It is given back if its first bytes should be waited for.
    pub fn arrived(&self, tcp: TcpStream, peer: SocketAddr) -> Option<(TcpStream, Caller)> {
        match self.shared.begin(peer) {
            Ok(caller) if is_plain(&self.shared) => return Some((tcp, caller)),
            Ok(caller) => self.serve(tcp, caller, &[]),
            Err(too_many) => {
                let _entered = self.runtime.enter();
                if let Ok(tcp) = tokio::net::TcpStream::from_std(tcp) {
                    self.shared.turn_away(tcp, peer, too_many);
                }
            }
        }
        None
    }

    /// Answers a connection of which `bytes` have come, or none in time.
    pub fn first_bytes(&self, tcp: TcpStream, mut caller: Caller, bytes: &[u8]) {
        if let Some(tcp) = self.answer(tcp, &mut caller, bytes) {
            self.serve(tcp, caller, bytes);
        }
    }

    /// Tells that accepting failed for want of something.
    pub fn accept_failed(&self, error: &std::io::Error) {
        log::accept_error(error);
    }

    /// Answers a request that is for another host. Gives the connection back if it is anything else,
    /// or if it is to be refused.
    fn answer(&self, tcp: TcpStream, caller: &mut Caller, bytes: &[u8]) -> Option<TcpStream> {
        let Shared { routes, places, proxies, life, .. } = &*self.shared;
        let limits = &routes.acceptor.config.limits;
        let Ok(Some((head, rest))) = RequestHead::read(bytes, limits) else { return Some(tcp) };
        let client = proxies.client(&head, caller.peer);
        let is_counted = client == caller.peer || caller.handshake.is_of(client.ip()).is_ok();
        if !is_counted || life.is_ending() {
            return Some(tcp);
        }
        let Some(admitted) = routes.admit_elsewhere(&head, client) else { return Some(tcp) };
        let Ok(permit) = places.clone().try_acquire_owned() else { return Some(tcp) };
        let mut welcome = Vec::with_capacity(256);
        admitted.accepted.write(&mut welcome);
        // A connection that has said nothing yet has room for this; one that has not is lost.
        if is_tuned(&tcp) && (&tcp).write(&welcome).is_ok_and(|count| count == welcome.len()) {
            let place = Place::alone(places, permit, client);
            admitted.leave(Transport::Tcp(tcp), rest.to_vec(), &routes.acceptor, place);
        }
        None
    }

    /// Serves a connection as one that the server accepted.
    fn serve(&self, tcp: TcpStream, caller: Caller, received: &[u8]) {
        let (shared, received) = (self.shared.clone(), received.to_vec());
        let _entered = self.runtime.enter();
        if let Ok(tcp) = tokio::net::TcpStream::from_std(tcp) {
            tokio::spawn(async move { shared.serve(tcp, caller, received).await });
        }
    }
}

/// Makes sure that a connection is set up as connections are. On Linux it has inherited that from its
/// listener, and a call for each would be one too many.
fn is_tuned(tcp: &TcpStream) -> bool {
    cfg!(target_os = "linux") || tune(&SockRef::from(tcp)).is_ok()
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller").field("peer", &self.peer).finish_non_exhaustive()
    }
}

impl fmt::Debug for Doorstep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Doorstep").finish_non_exhaustive()
    }
}
