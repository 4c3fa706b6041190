//! The request that a connection began with.

use std::fmt;
use std::net::SocketAddr;
use std::sync::OnceLock;

use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Uri};
use sockeye_proto::handshake::{Rejection, RequestHead};

/// The request that asked for a WebSocket.
#[derive(Clone)]
pub struct Incoming {
    uri: Uri,
    headers: Headers,
    params: Vec<(String, String)>,
    peer: Option<SocketAddr>,
    extensions: Extensions,
}

impl Incoming {
    pub(crate) fn new(head: &RequestHead<'_>, peer: Option<SocketAddr>) -> Result<Self, Rejection> {
        let uri =
            head.target().parse().map_err(|_| Rejection::new(400, "The target is no URI.\n"))?;
        let (headers, extensions) = (Headers::of(head), Extensions::new());
        Ok(Self { uri, headers, params: Vec::new(), peer, extensions })
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
        self.headers.map()
    }

    /// Returns the names and values of all headers, in their order. Costs nothing, where
    /// [`headers`](Self::headers) makes a map when it is first called.
    pub fn header_lines(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.headers.lines()
    }

    /// Returns a header, if it is there once or more and its first value is visible ASCII.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers().get(name)?.to_str().ok()
    }

    /// Returns the value of a cookie.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        let values = self.headers().get_all(http::header::COOKIE).into_iter();
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
        let values = self.headers().get_all("sec-websocket-protocol").into_iter();
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

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("uri", &self.uri)
            .field("headers", self.headers())
            .field("params", &self.params)
            .field("peer", &self.peer)
            .finish()
    }
}

/// A request's headers: lines, of which a map is made once somebody asks for one.
#[derive(Clone)]
struct Headers {
    lines: Box<[u8]>,
    map: OnceLock<HeaderMap>,
}

impl Headers {
    /// Copies the headers of a head, in which no line break can stand.
    fn of(head: &RequestHead<'_>) -> Self {
        let length = |(name, value): (&str, &[u8])| name.len() + value.len() + 2;
        let mut lines = Vec::with_capacity(head.headers().map(length).sum());
        for (name, value) in head.headers() {
            lines.extend_from_slice(name.as_bytes());
            lines.push(b':');
            lines.extend_from_slice(value);
            lines.push(b'\n');
        }
        Self { lines: lines.into(), map: OnceLock::new() }
    }

    fn map(&self) -> &HeaderMap {
        self.map.get_or_init(|| {
            // The head's own checks are stricter than these, so nothing is lost here.
            let header = |(name, value): (&str, &[u8])| {
                let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
                Some((name, HeaderValue::from_bytes(value).ok()?))
            };
            self.lines().filter_map(header).collect()
        })
    }

    fn lines(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.lines.split(|byte| *byte == b'\n').filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let (name, value) = (line.get(..colon)?, line.get(colon + 1..)?);
            Some((std::str::from_utf8(name).ok()?, value))
        })
    }
}
