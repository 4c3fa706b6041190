//! The door for hosts that accept connections themselves.
//!
//! A WebSocket request that is whole when its first bytes come, and whose path is another host's, is
//! answered on the spot, on the thread that read it, unless it is refused. Everything else goes the way that connections go
//! which the server accepts: nothing is decided twice in two ways.

use std::fmt;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use sockeye_proto::handshake::{Rejection, RequestHead};
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::acceptor::refuse;
use super::handover::{Place, Transport};
use super::pending::Handshake;
use super::routes::Admitted;
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

/// A request that is whole.
struct Request<'a> {
    head: RequestHead<'a>,
    /// What came behind it.
    rest: &'a [u8],
    client: SocketAddr,
    permit: OwnedSemaphorePermit,
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
        let Some(request) = self.read(&mut caller, bytes) else {
            return self.serve(tcp, caller, bytes);
        };
        let Request { head, rest, client, permit } = request;
        match self.shared.routes.admit_elsewhere(&head, client) {
            Some(Ok(admitted)) => {
                let place = Place::alone(&self.shared.places, permit, client);
                self.welcome(tcp, admitted, rest, place);
            }
            Some(Err(rejection)) => self.refuse(tcp, caller, (rejection, client), bytes),
            None => {
                drop(permit);
                self.serve(tcp, caller, bytes);
            }
        }
    }

    /// Tells that accepting failed for want of something.
    pub fn accept_failed(&self, error: &std::io::Error) {
        log::accept_error(error);
    }

    /// Reads a request that may be judged on the spot.
    fn read<'a>(&self, caller: &mut Caller, bytes: &'a [u8]) -> Option<Request<'a>> {
        let Shared { routes, places, proxies, life, .. } = &*self.shared;
        let limits = &routes.acceptor.config.limits;
        let (head, rest) = RequestHead::read(bytes, limits).ok().flatten()?;
        let client = proxies.client(&head, caller.peer);
        let is_counted = client == caller.peer || caller.handshake.is_of(client.ip()).is_ok();
        if !is_counted || life.is_ending() {
            return None;
        }
        let permit = places.clone().try_acquire_owned().ok()?;
        Some(Request { head, rest, client, permit })
    }

    /// Writes the 101, and gives the connection to its host.
    fn welcome(&self, tcp: TcpStream, admitted: Admitted, rest: &[u8], place: Place) {
        let mut answer = Vec::with_capacity(256);
        admitted.accepted.write(&mut answer);
        // A connection that has said nothing yet has room for this; one that has not is lost.
        if is_tuned(&tcp) && (&tcp).write(&answer).is_ok_and(|count| count == answer.len()) {
            let acceptor = &self.shared.routes.acceptor;
            admitted.leave(Transport::Tcp(tcp), rest.to_vec(), acceptor, place);
        }
    }

    /// Refuses a request, of which `received` came.
    fn refuse(
        &self,
        tcp: TcpStream,
        caller: Caller,
        (rejection, client): (Rejection, SocketAddr),
        received: &[u8],
    ) {
        let received = received.to_vec();
        let _entered = self.runtime.enter();
        if let Ok(tcp) = tokio::net::TcpStream::from_std(tcp) {
            tokio::spawn(async move {
                refuse(tcp, &rejection, Some(client), &received).await;
                // Until then it is pending.
                drop(caller);
            });
        }
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
