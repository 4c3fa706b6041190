//! Whom a connection comes from, when something stands between the client and this server.

use std::net::SocketAddr;

use sockeye_proto::handshake::{ForwardedHeader, Network, ProxyHeader, RequestHead, client_addr};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// What is believed about clients' addresses. By default nothing but the connection's own.
#[derive(Default)]
pub(super) struct Proxies {
    /// Whether a PROXY header comes first.
    pub(super) speak_proxy: bool,
    pub(super) trusted: Option<(ForwardedHeader, Vec<Network>)>,
}

impl Proxies {
    /// Whether a connection from this address is its client's own.
    pub(super) fn is_direct(&self, peer: SocketAddr) -> bool {
        !self.speak_proxy && !self.is_trusted(peer)
    }

    /// Whether the address is that of a proxy, which speaks for many clients.
    pub(super) fn is_trusted(&self, peer: SocketAddr) -> bool {
        let networks = self.trusted.as_ref().map(|(_, networks)| networks);
        networks.is_some_and(|networks| networks.iter().any(|own| own.contains(peer.ip())))
    }

    /// Returns the address of the client that sent a request.
    pub(super) fn client(&self, head: &RequestHead<'_>, peer: SocketAddr) -> SocketAddr {
        self.client_of(head.headers(), peer)
    }

    /// As [`client`](Self::client), of a request with these headers.
    pub(super) fn client_of<'a>(
        &self,
        headers: impl DoubleEndedIterator<Item = (&'a str, &'a [u8])>,
        peer: SocketAddr,
    ) -> SocketAddr {
        match &self.trusted {
            Some((header, networks)) => client_addr(headers, peer, *header, networks),
            None => peer,
        }
    }
}

/// Reads the PROXY header in front of a connection, and not one byte more, as TLS may follow.
/// Returns the source that it tells, else `peer`; `None` if there is no well-formed header.
pub(super) async fn read_proxy_header(tcp: &mut TcpStream, peer: SocketAddr) -> Option<SocketAddr> {
    let mut bytes = Vec::new();
    let mut scrap = [0; 512];
    loop {
        // A look first: what is no part of the header stays where it is.
        let count = tcp.peek(&mut scrap).await.ok().filter(|count| *count > 0)?;
        let before = bytes.len();
        bytes.extend_from_slice(scrap.get(..count)?);
        let header = ProxyHeader::read(&bytes).ok()?;
        let taken = header.map_or(count, |header| header.length.saturating_sub(before));
        tcp.read_exact(scrap.get_mut(..taken)?).await.ok()?;
        if let Some(header) = header {
            return Some(header.source.unwrap_or(peer));
        }
    }
}
