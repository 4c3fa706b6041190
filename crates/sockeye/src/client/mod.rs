//! The client: from a URL to an open connection.

mod address;
mod dial;
mod redirect;

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use sockeye_proto::handshake::{
    ClientError, ClientHandshake, ClientRequest, Established, Refusal, Url,
};
use sockeye_proto::{AnyRole, Client as ClientRole, Config, Connection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use self::redirect::Credentials;
use crate::clock;
use crate::error::{Error, ErrorKind, Result};
use crate::io::Io;
use crate::link::Link;
#[cfg(feature = "rustls")]
use crate::tls::Tls;
use crate::websocket::WebSocket;

/// Opens a WebSocket connection to a `ws://` or `wss://` URL, with the defaults.
///
/// # Errors
/// As [`Connect`].
pub async fn connect(url: &str) -> Result<WebSocket> {
    Client::default().request(url).await
}

/// Opens connections with settings of its own. Cloning it is cheap.
///
/// ```no_run
/// # async fn example() -> sockeye::Result<()> {
/// let client = sockeye::Client::builder().build();
/// let mut ws = client.request("wss://example.org/chat").subprotocols(&["chat.v1"]).await?;
/// ws.send("hello").await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Client {
    settings: Arc<Settings>,
}

#[derive(Clone, Debug)]
struct Settings {
    config: Arc<Config>,
    connect_timeout: Duration,
    redirects: u8,
    #[cfg(feature = "rustls")]
    tls: Tls,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            config: Arc::new(Config::client()),
            connect_timeout: Duration::from_secs(10),
            redirects: 0,
            #[cfg(feature = "rustls")]
            tls: Tls::default(),
        }
    }
}

/// Sets up a [`Client`].
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct ClientBuilder {
    settings: Settings,
}

impl Client {
    /// Starts from the defaults.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// Prepares a connection to `url`; awaiting it connects.
    pub fn request(&self, url: &str) -> Connect {
        let request = address::parse(url)
            .map(|url| Prepared { request: ClientRequest::new(&url, clock::handshake_key()), url });
        let connect = Connect { settings: self.settings.clone(), prepared: request };
        #[cfg(feature = "deflate")]
        if let Some(offer) = self.settings.config.deflate.clone() {
            return connect.change(|request| Ok(request.deflate(&offer)));
        }
        connect
    }
}

impl ClientBuilder {
    /// Sets limits, time-outs, keep-alive and compression.
    pub fn config(mut self, config: Config) -> Self {
        self.settings.config = Arc::new(config);
        self
    }

    /// Bounds the time to reach the server, DNS and TLS included; default 10 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.settings.connect_timeout = timeout;
        self
    }

    /// Follows up to `most` redirects (301, 302, 307, 308) in a row, never more than five; default
    /// none. Each hop has its own [`connect_timeout`](Self::connect_timeout).
    ///
    /// What was `wss://` stays so, and a request with `Authorization`, `Cookie` or
    /// `Proxy-Authorization` stays with its origin: a redirect that would break this is an error.
    /// All other headers go along.
    pub fn redirects(mut self, most: u8) -> Self {
        self.settings.redirects = most.min(redirect::MOST);
        self
    }

    /// Sets how servers of `wss://` URLs are checked.
    #[cfg(feature = "rustls")]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.settings.tls = tls;
        self
    }

    /// Makes the client.
    pub fn build(self) -> Client {
        Client { settings: Arc::new(self.settings) }
    }
}

/// A connection about to be opened: add what the request should say, then await it.
///
/// # Errors
/// By kind: a URL that cannot be a WebSocket's, a name without address, no address that answers, a
/// failed TLS handshake, a server that refused (its response is in the error) or answered wrong, a
/// step that took too long; the caller's fault of a header that may not be sent.
#[derive(Debug)]
#[must_use = "a connection is opened by awaiting it"]
pub struct Connect {
    settings: Arc<Settings>,
    /// A mistake in building the request is reported when it is awaited.
    prepared: Result<Prepared>,
}

#[derive(Debug)]
struct Prepared {
    url: Url,
    request: ClientRequest,
}

impl Connect {
    /// Adds a header.
    pub fn header(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.change(|request| Ok(request.header(name, value)?))
    }

    /// Adds `Authorization: Bearer …`.
    pub fn bearer(self, token: &str) -> Self {
        self.header("Authorization", format!("Bearer {token}"))
    }

    /// Says which web origin the request comes from, as a browser would.
    pub fn origin(self, origin: &str) -> Self {
        self.change(|request| Ok(request.origin(origin)?))
    }

    /// Offers subprotocols, the preferred one first. The server must choose one of them.
    pub fn subprotocols<N: AsRef<str>>(self, names: &[N]) -> Self {
        self.change(|request| Ok(request.subprotocols(names)?))
    }

    /// Goes on without a subprotocol when the server chooses none of those offered.
    pub fn optional_subprotocol(self) -> Self {
        self.change(|request| Ok(request.optional_subprotocol()))
    }

    /// Connects, and returns the server's answer too: its status and headers.
    ///
    /// # Errors
    /// As awaiting [`Connect`].
    pub async fn with_response(self) -> Result<(WebSocket, Response<()>)> {
        let (ws, headers) = self.dial().await?;
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        *response.headers_mut() = header_map(&headers);
        Ok((ws, response))
    }

    /// Performs the opening handshake over a transport of the caller's, which for a `wss://` URL is
    /// already encrypted. Redirects are not followed.
    ///
    /// # Errors
    /// As awaiting [`Connect`], but for reaching the server.
    pub async fn over<S: Io>(self, io: S) -> Result<WebSocket<S>> {
        let Prepared { request, .. } = self.prepared?;
        let (ws, _) = open(io, &request, &self.settings.config, None).await?;
        Ok(ws)
    }

    async fn dial(self) -> Result<(WebSocket, Headers)> {
        let Prepared { mut url, mut request } = self.prepared?;
        let settings = &self.settings;
        let mut hops = 0;
        loop {
            let error = match attempt(&url, &request, settings).await {
                Err(error) if settings.redirects > 0 && redirect::is_redirect(&error) => error,
                done => return done,
            };
            if hops == settings.redirects {
                return Err(redirect::refused(error, &format!("beyond the {hops} allowed")));
            }
            hops += 1;
            let holds = request.headers().any(|(name, _)| redirect::is_credential(name));
            let credentials = if holds { Credentials::Held } else { Credentials::None };
            url = redirect::next(error, &url, credentials)?;
            request = request.redirected(&url, clock::handshake_key());
        }
    }

    fn change(mut self, change: impl FnOnce(ClientRequest) -> Result<ClientRequest>) -> Self {
        self.prepared = self.prepared.and_then(|prepared| {
            let request = change(prepared.request)?;
            Ok(Prepared { request, ..prepared })
        });
        self
    }
}

impl IntoFuture for Connect {
    type Output = Result<WebSocket>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async { Ok(self.dial().await?.0) })
    }
}

/// Headers as the core gives them.
type Headers = Vec<(String, Vec<u8>)>;

/// Connects to `url` without following redirects.
async fn attempt(
    url: &Url,
    request: &ClientRequest,
    settings: &Settings,
) -> Result<(WebSocket, Headers)> {
    let dialled = timeout(settings.connect_timeout, dial::dial(url, settings)).await;
    let io = dialled.map_err(|_| timed_out("connecting", settings.connect_timeout))??;
    let peer = io.peer_addr();
    open(io, request, &settings.config, peer).await
}

/// Performs the opening handshake, within its deadline.
async fn open<S: Io>(
    mut io: S,
    request: &ClientRequest,
    config: &Arc<Config>,
    peer: Option<std::net::SocketAddr>,
) -> Result<(WebSocket<S>, Headers)> {
    let limit = config.timeouts.handshake;
    let shaken = timeout(limit, shake_hands(&mut io, request, config)).await;
    let (established, received) =
        shaken.map_err(|_| timed_out("the opening handshake", limit))??;
    let role = AnyRole::Client(ClientRole::new(clock::mask_key));
    let core = Connection::new(role, config.clone(), clock::now());
    #[cfg(feature = "deflate")]
    let core = match established.deflate {
        Some(params) => core.with_deflate(params),
        None => core,
    };
    let frames = received.get(established.head_len..).unwrap_or_default();
    let link = Link::new(io, core, frames, config.timeouts.lifetime, peer);
    let ws = WebSocket::new(link, established.subprotocol.as_deref());
    Ok((ws, established.headers))
}

async fn shake_hands<S: Io>(
    io: &mut S,
    request: &ClientRequest,
    config: &Config,
) -> Result<(Established, Vec<u8>)> {
    let mut head = Vec::new();
    request.write(&mut head);
    io.write_all(&head).await?;
    io.flush().await?;
    let mut handshake: ClientHandshake = request.handshake(&config.limits);
    let mut received = Vec::with_capacity(1024);
    loop {
        if io.read_buf(&mut received).await? == 0 {
            let text = "the server closed the connection before it answered";
            return Err(Error::new(ErrorKind::Handshake, text));
        }
        match handshake.read(&received) {
            Ok(Some(established)) => return Ok((established, received)),
            Ok(None) => {}
            Err(ClientError::Refused(refusal)) => return Err(refused(io, *refusal).await),
            Err(error) => {
                return Err(
                    Error::new(ErrorKind::Handshake, "opening handshake").with_source(error)
                );
            }
        }
    }
}

/// Reads the rest of a refusal's body and makes an error of it.
async fn refused<S: Io>(io: &mut S, mut refusal: Refusal) -> Error {
    // A server may keep the connection, so that a body without a length never seems to end.
    let _ = timeout(BODY_TIMEOUT, read_body(io, &mut refusal)).await;
    let text = format!("the server answered {} instead of opening a WebSocket", refusal.status);
    let mut response = Response::new(Bytes::from(std::mem::take(&mut refusal.body)));
    *response.status_mut() = StatusCode::from_u16(refusal.status).unwrap_or_default();
    *response.headers_mut() = header_map(&refusal.headers);
    Error::new(ErrorKind::Handshake, text).with_response(response)
}

async fn read_body<S: Io>(io: &mut S, refusal: &mut Refusal) {
    let mut more = Vec::new();
    while !refusal.is_complete() {
        more.clear();
        match io.read_buf(&mut more).await {
            Ok(count) if count > 0 => refusal.receive(&more),
            _ => break,
        }
    }
}

fn header_map(headers: &[(String, Vec<u8>)]) -> HeaderMap {
    let mut map = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_bytes(value))
        {
            map.append(name, value);
        }
    }
    map
}

fn timed_out(what: &str, limit: Duration) -> Error {
    Error::new(ErrorKind::Timeout, format!("{what} took longer than {limit:?}"))
}

/// How long the body of a refusal is waited for: its head already says what matters.
const BODY_TIMEOUT: Duration = Duration::from_secs(1);
