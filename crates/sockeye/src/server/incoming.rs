//! The request that a connection began with.

use std::net::SocketAddr;

use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Uri};
use sockeye_proto::handshake::{Rejection, RequestHead};

/// The request that asked for a WebSocket.
#[derive(Clone, Debug)]
pub struct Incoming {
    uri: Uri,
    headers: HeaderMap,
    params: Vec<(String, String)>,
    peer: Option<SocketAddr>,
    extensions: Extensions,
}

impl Incoming {
    pub(crate) fn new(head: &RequestHead<'_>, peer: Option<SocketAddr>) -> Result<Self, Rejection> {
        let uri =
            head.target().parse().map_err(|_| Rejection::new(400, "The target is no URI.\n"))?;
        let mut headers = HeaderMap::new();
        for (name, value) in head.headers() {
            // The head's own checks are stricter than these, so nothing is lost here.
            if let (Ok(name), Ok(value)) =
                (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value))
            {
                headers.append(name, value);
            }
        }
        Ok(Self { uri, headers, params: Vec::new(), peer, extensions: Extensions::new() })
    }

    #[cfg(feature = "server")]
    pub(crate) fn set_params(&mut self, params: Vec<(String, String)>) {
        self.params = params;
    }

    /// Returns the target: path and query.
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Returns what the application has attached to the request, such as who it is from.
    pub fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// Returns what is attached to the request, to attach more: in
    /// [`Server::check`](crate::Server::check), say, for whoever serves the connection.
    pub fn extensions_mut(&mut self) -> &mut Extensions {
        &mut self.extensions
    }

    /// Returns all headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Returns a header, if it is there once or more and its first value is visible ASCII.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Returns the value of a cookie.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        let values = self.headers.get_all(http::header::COOKIE).into_iter();
        let pairs =
            values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(';'));
        let mut pairs = pairs.filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// Returns what stands in the path for `{name}` of the route, percent-decoded.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Returns the subprotocols that the client offers, the preferred one first.
    pub fn subprotocols(&self) -> impl Iterator<Item = &str> {
        let values = self.headers.get_all("sec-websocket-protocol").into_iter();
        values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(str::trim)
    }

    /// Returns the address of the client, where the transport has one.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.peer
    }
}
