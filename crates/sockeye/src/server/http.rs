//! Connections whose first request is not for a WebSocket: they go to an HTTP server, and may come
//! back with an upgrade later.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;

use super::Shared;
use crate::io::{AnyIo, Rewound};

pub(super) type Handler =
    Arc<dyn Fn(HttpConnection) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// A connection for an HTTP server.
pub struct HttpConnection {
    /// The transport; the first request is read from it as if nobody had.
    pub io: Rewound<AnyIo>,
    /// The client's address.
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
        let upgrades = Upgrades { shared: shared.clone(), peer, place: Arc::new(place) };
        Self { io: Rewound::new(read, io), peer, upgrades }
    }
}

/// Opens WebSockets from requests that an HTTP server has read, by the server's own routes and rules.
#[derive(Clone)]
pub struct Upgrades {
    shared: Arc<Shared>,
    #[cfg_attr(not(feature = "hyper"), expect(dead_code, reason = "for upgrades"))]
    peer: SocketAddr,
    /// Held until the last WebSocket that came of the connection has ended.
    #[cfg_attr(not(feature = "hyper"), expect(dead_code, reason = "for upgrades"))]
    place: Arc<OwnedSemaphorePermit>,
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

    /// Judges a request, and if it is accepted starts its handler once hyper has let go of the
    /// connection. Returns the response to send either way.
    #[cfg(feature = "hyper")]
    pub async fn upgrade<B>(
        &self,
        request: &mut ::http::Request<B>,
    ) -> ::http::Response<bytes::Bytes> {
        use crate::upgrade::{accepted_response, head_of, rejected_response, transport};
        use sockeye_proto::handshake::Rejection;

        if self.is_stopping() {
            return rejected_response(&super::busy("The server is stopping.\n"));
        }
        let judged = match head_of(request) {
            Ok(head) => self.shared.judge(&head, self.peer).await,
            Err(rejection) => Err(rejection),
        };
        let admitted = match judged {
            Ok(admitted) => admitted,
            Err(rejection) => return rejected_response(&rejection),
        };
        let Ok(response) = accepted_response(&admitted.accepted) else {
            return rejected_response(&Rejection::new(500, "The answer cannot be written.\n"));
        };
        let (upgraded, this) = (hyper::upgrade::on(request), self.clone());
        tokio::spawn(async move {
            let Ok(upgraded) = upgraded.await else { return };
            let (io, received) = transport(upgraded);
            let Self { shared, peer, place } = this;
            let acceptor = &shared.routes.acceptor;
            let ws = acceptor.start(io, &admitted.accepted, &received, Some(peer));
            let (running, life) = (admitted.start(ws), shared.life.clone());
            tokio::spawn(async move {
                running.run(life).await;
                drop(place);
            });
        });
        response
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
