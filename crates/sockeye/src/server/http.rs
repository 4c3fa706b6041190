//! Connections whose first request is not for a WebSocket: they go to an HTTP server, and may come
//! back with an upgrade later.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

#[cfg(feature = "hyper")]
use sockeye_proto::handshake::{Rejection, RequestHead};
use tokio::sync::OwnedSemaphorePermit;

use super::Shared;
#[cfg(feature = "hyper")]
use super::handover::Place;
use crate::io::{AnyIo, Record, Rewound};

pub(super) type Handler =
    Arc<dyn Fn(HttpConnection) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// A connection for an HTTP server.
pub struct HttpConnection {
    /// The transport; the first request is read from it as if nobody had.
    pub io: Rewound<AnyIo>,
    /// Whom the connection comes from: the client, or a proxy that may serve many.
    pub peer: SocketAddr,
    /// Where a later request on this connection that asks for a WebSocket goes.
    pub upgrades: Upgrades,
}

impl HttpConnection {
    pub(super) fn new(
        io: AnyIo,
        read: Vec<u8>,
        peer: SocketAddr,
        shared: &Arc<Shared>,
        place: OwnedSemaphorePermit,
    ) -> Self {
        let record = Record::new(shared.routes.acceptor.config.limits.head);
        let io = Rewound::new(read, io).recorded(record.clone());
        let upgrades = Upgrades { shared: shared.clone(), peer, place: Arc::new(place), record };
        Self { io, peer, upgrades }
    }
}

/// Opens WebSockets from requests that an HTTP server has read, by the server's own routes and rules.
#[derive(Clone)]
pub struct Upgrades {
    shared: Arc<Shared>,
    peer: SocketAddr,
    /// Held until the last WebSocket that came of the connection has ended.
    #[cfg_attr(not(feature = "hyper"), expect(dead_code, reason = "for upgrades"))]
    place: Arc<OwnedSemaphorePermit>,
    /// The requests as they came.
    #[cfg_attr(not(feature = "hyper"), expect(dead_code, reason = "for upgrades"))]
    record: Record,
}

impl Upgrades {
    /// Whether the server has begun to stop, so that an HTTP server should end its connections.
    pub fn is_stopping(&self) -> bool {
        self.shared.life.is_ending()
    }

    /// Waits until the server begins to stop.
    pub async fn stopping(&self) {
        self.shared.life.clone().ending().await;
    }

    /// Tells whether all that was written to the connection has left its buffers. An HTTP server that
    /// lets go of the connection before that loses what it has not written.
    #[cfg(feature = "hyper")]
    pub fn is_flushed(&self) -> bool {
        self.record.is_flushed()
    }

    /// Returns the connection's place, for whoever serves it on when the HTTP server has let go of it:
    /// as of a connection that was [handed over](super::Server::hand_over).
    #[cfg(feature = "hyper")]
    pub fn into_place(self) -> Place {
        match Arc::try_unwrap(self.place) {
            Ok(permit) => Place::alone(&self.shared.places, permit, self.peer),
            Err(shared) => Place::shared(shared, self.peer),
        }
    }

    /// Returns the address of the client that sent a request with these headers: the connection's own,
    /// or what proxies that the server [trusts](super::Server::trusted_proxies) tell.
    pub fn client_addr(&self, headers: &::http::HeaderMap) -> SocketAddr {
        if !self.shared.proxies.is_trusted(self.peer) {
            return self.peer;
        }
        let lines = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        let lines: Vec<_> = lines.collect();
        self.shared.proxies.client_of(lines.into_iter(), self.peer)
    }

    /// Tells whether a request is meant as a WebSocket handshake, valid or not: those are for
    /// [`upgrade`](Self::upgrade). Any other upgrade that is offered may be ignored (RFC 9110, section 7.8).
    #[cfg(feature = "hyper")]
    pub fn is_wanted_by<B>(&self, request: &::http::Request<B>) -> bool {
        crate::upgrade::head_of(request).is_ok_and(|head| head.wants_upgrade())
    }

    /// Judges a request, and if it is accepted starts its handler once hyper has let go of the
    /// connection. Returns the response to send either way.
    #[cfg(feature = "hyper")]
    pub async fn upgrade<B>(
        &self,
        request: &mut ::http::Request<B>,
    ) -> ::http::Response<bytes::Bytes> {
        use crate::log;
        use crate::upgrade::{accepted_response, rejected_response, transport, unwritable};

        let record = self.record.take();
        let mut received = record.as_slice();
        let found = self.find_upgrade(&mut received);
        let refuse = |rejection: &Rejection, client| {
            log::rejected(rejection, Some(client), received);
            rejected_response(rejection)
        };
        if self.is_stopping() {
            return refuse(&super::stopping(), self.peer);
        }
        let head = match found {
            Ok(head) => head,
            Err(rejection) => return refuse(&rejection, self.peer),
        };
        let client = self.shared.proxies.client(&head, self.peer);
        let admitted = match self.shared.judge(&head, client).await {
            Ok(admitted) => admitted,
            Err(rejection) => return refuse(&rejection, client),
        };
        let Ok(response) = accepted_response(&admitted.accepted) else {
            return refuse(&unwritable(), client);
        };
        let (upgraded, this) = (hyper::upgrade::on(request), self.clone());
        tokio::spawn(async move {
            let Ok(upgraded) = upgraded.await else { return };
            let (io, received) = transport(upgraded);
            let Self { shared, place, .. } = this;
            let (acceptor, life) = (&shared.routes.acceptor, shared.life.clone());
            let place = Place::shared(place, client);
            admitted.serve(io, received.to_vec(), acceptor, place, life).await;
        });
        response
    }

    /// Finds the upgrade in what was read and takes away what stands in front of it. Goes by the
    /// door's own rules: the parser that read it may take line ends, names and targets which others
    /// read differently.
    ///
    /// # Errors
    /// The refusal of a head that the door would have refused, or that is not in the record because
    /// the client sent it before the answer to the request in front of it.
    #[cfg(feature = "hyper")]
    fn find_upgrade<'a>(&self, bytes: &mut &'a [u8]) -> Result<RequestHead<'a>, Rejection> {
        let limits = &self.shared.routes.acceptor.config.limits;
        let text = "The request must wait for the answer before it.\n";
        let unknown = || Rejection::new(400, text).with_rule("pipelined");
        loop {
            let (head, behind) = RequestHead::read(bytes, limits)?.ok_or_else(unknown)?;
            if head.wants_upgrade() {
                return Ok(head);
            }
            // A request without a body is followed by the next.
            if head.header("content-length").or(head.header("transfer-encoding")).is_some() {
                return Err(unknown());
            }
            *bytes = behind;
        }
    }
}

impl std::fmt::Debug for HttpConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpConnection").field("peer", &self.peer).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Upgrades {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upgrades").field("is_stopping", &self.is_stopping()).finish_non_exhaustive()
    }
}
