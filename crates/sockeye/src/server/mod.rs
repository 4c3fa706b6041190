//! The server: a listener whose door reads the first request of each connection.
//!
//! A WebSocket handshake is answered there and its handler runs; any other request goes, with the
//! bytes already read, to whatever HTTP server the application has.

mod acceptor;
mod callbacks;
mod doorstep;
mod drain;
#[cfg(feature = "rustls")]
mod encrypt;
mod handover;
mod http;
mod incoming;
mod pending;
mod proxies;
mod routes;

use std::fmt;
use std::future::{Future, pending};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use sockeye_proto::Config;
use sockeye_proto::handshake::{ForwardedHeader, Network, Origins, Rejection, RequestHead};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::error::{Error, ErrorKind, Result};
use crate::handler::{Handler, Topics};
use crate::io::{AnyIo, tune};
use crate::log;
use crate::race::race;
#[cfg(feature = "rustls")]
use crate::tls::ServerTls;
use crate::websocket::WebSocket;

pub use acceptor::{Acceptor, accept};
use acceptor::{Request, answer, refuse};
pub use doorstep::{Caller, Doorstep};
pub use drain::Drain;
use drain::{Life, Phase, Phases};
pub use handover::{HandedOver, Place, Transport};
pub use http::{HttpConnection, Upgrades};
pub use incoming::Incoming;
use pending::{Pending, PerIp, TooMany};
use proxies::{Proxies, read_proxy_header};
use routes::{Admitted, Routes};

/// A WebSocket server.
///
/// ```no_run
/// use sockeye::Server;
///
/// # async fn example() -> sockeye::Result<()> {
/// Server::bind("127.0.0.1:9000")
///     .route("/echo", |mut ws, _request| async move {
///         while let Some(message) = ws.recv().await? {
///             ws.send(message).await?;
///         }
///         Ok(())
///     })
///     .serve()
///     .await
/// # }
/// ```
#[must_use = "a server does nothing until it serves"]
pub struct Server {
    binding: Binding,
    routes: Routes,
    http: Option<http::Handler>,
    max_connections: usize,
    max_pending: usize,
    max_pending_per_ip: PerIp,
    proxies: Proxies,
    #[cfg(feature = "rustls")]
    tls: Option<ServerTls>,
    /// The first mistake in setting up, reported when the server is started.
    mistake: Option<Error>,
}

enum Binding {
    Address(String),
    Listener(TcpListener),
}

/// What all connections of a server share.
struct Shared {
    routes: Routes,
    http: Option<http::Handler>,
    places: Arc<Semaphore>,
    max_connections: usize,
    pending: Arc<Pending>,
    proxies: Proxies,
    life: Life,
    #[cfg(feature = "rustls")]
    tls: Option<tokio_rustls::TlsAcceptor>,
}

impl Server {
    /// Listens on `address`, `host:port`; port 0 picks a free one.
    pub fn bind(address: impl Into<String>) -> Self {
        Self::with_binding(Binding::Address(address.into()))
    }

    /// Serves a listener that is already bound.
    pub fn listener(listener: TcpListener) -> Self {
        Self::with_binding(Binding::Listener(listener))
    }

    fn with_binding(binding: Binding) -> Self {
        Self {
            binding,
            routes: Routes::default(),
            http: None,
            max_connections: DEFAULT_MAX_CONNECTIONS,
            max_pending: DEFAULT_MAX_PENDING,
            max_pending_per_ip: PerIp::Foreign(DEFAULT_MAX_PENDING_PER_IP),
            proxies: Proxies::default(),
            #[cfg(feature = "rustls")]
            tls: None,
            mistake: None,
        }
    }

    /// Serves `path` with `handler`, which gets each connection and the request it began with.
    /// `{name}` stands for one segment of the path, `{*name}` at the end for all that is left;
    /// [`Incoming::param`] tells what they were.
    ///
    /// When the handler returns `Ok` or drops the connection, it closes with 1000; with an error or
    /// a panic, 1011.
    pub fn route<F, Fut>(mut self, path: &str, handler: F) -> Self
    where
        F: Fn(WebSocket, Incoming) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        let added = self.routes.add(path, handler);
        self.note_route(path, added);
        self
    }

    /// Serves `path` with handlers of the callback form: `make` is asked for one for each connection.
    /// `path` is as in [`route`](Self::route). An idle connection takes less memory than one of
    /// `route`, and a message costs less; see [`handler`](crate::handler).
    ///
    /// ```no_run
    /// use sockeye::{MessageRef, Out, Server};
    ///
    /// # async fn example() -> sockeye::Result<()> {
    /// let echo = |message: MessageRef<'_>, out: &mut Out<'_>| {
    ///     let _ = out.send(message);
    /// };
    /// Server::bind("127.0.0.1:9000").handle("/echo", move |_request| echo).serve().await
    /// # }
    /// ```
    pub fn handle<F, H>(mut self, path: &str, make: F) -> Self
    where
        F: Fn(&Incoming) -> H + Send + Sync + 'static,
        H: Handler,
    {
        let added = self.routes.add_callbacks(path, make);
        self.note_route(path, added);
        self
    }

    /// Sets the topics of all that [`handle`](Self::handle) serves, to publish from elsewhere or to
    /// share them with another server. By default they are the server's own.
    pub fn topics(mut self, topics: &Topics) -> Self {
        self.routes.topics = topics.clone();
        self
    }

    /// Gives the connections of `path` to `taker` when their 101 has been written, to be served on
    /// whatever host it has. A drain sends them no Close frame: whoever took them closes them, and
    /// drops their [`Place`]. `path` is as in [`route`](Self::route).
    pub fn hand_over<F>(mut self, path: &str, taker: F) -> Self
    where
        F: Fn(HandedOver) + Send + Sync + 'static,
    {
        let added = self.routes.add_taker(path, taker);
        self.note_route(path, added);
        self
    }

    /// Asks `hook` about each request that passed the protocol's own checks, before it is accepted:
    /// who refuses returns the response to send. A hook that panics refuses with 500, one that takes
    /// longer than the handshake may with 503.
    pub fn authorize<F, Fut>(mut self, hook: F) -> Self
    where
        F: Fn(&Incoming) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), Rejection>> + Send + 'static,
    {
        self.routes.set_hook(hook);
        self
    }

    /// As [`authorize`](Self::authorize), for what takes no time to judge; it comes first. Connections
    /// that are [handed over](Self::hand_over) can then be answered where they arrive. What it attaches to
    /// the request ([`Incoming::extensions_mut`]) goes with it.
    pub fn check<F>(mut self, check: F) -> Self
    where
        F: Fn(&mut Incoming) -> Result<(), Rejection> + Send + Sync + 'static,
    {
        self.routes.set_check(check);
        self
    }

    /// Hands connections whose first request is not for a WebSocket to `handler`, with the bytes that
    /// were read. Without it they are refused.
    pub fn http<F, Fut>(mut self, handler: F) -> Self
    where
        F: Fn(HttpConnection) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.http = Some(Arc::new(move |connection| Box::pin(handler(connection))));
        self
    }

    /// Sets limits, time-outs, keep-alive and compression.
    pub fn config(mut self, config: Config) -> Self {
        self.routes.acceptor = self.routes.acceptor.config(config);
        self
    }

    /// Sets which web pages may connect; by default those from the same host and port.
    pub fn origins(mut self, origins: Origins) -> Self {
        self.routes.acceptor = self.routes.acceptor.origins(origins);
        self
    }

    /// Sets the subprotocols spoken here, the preferred one first.
    pub fn subprotocols<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.routes.acceptor = self.routes.acceptor.subprotocols(names);
        self
    }

    /// Bounds the connections at a time; further ones are refused with 503. Default 65,536.
    pub fn max_connections(mut self, most: usize) -> Self {
        self.max_connections = most.clamp(1, Semaphore::MAX_PERMITS);
        self
    }

    /// Bounds the handshakes that are pending at a time, from accepting a connection to its first
    /// answer; further ones are refused with 503. Default 4,096, so that clients which connect and
    /// then say nothing cannot use up descriptors.
    pub fn max_pending_handshakes(mut self, most: usize) -> Self {
        self.max_pending = most.max(1);
        self
    }

    /// Bounds the handshakes of one address that are pending at a time; further ones are refused
    /// with 429. By default 64, so that one client cannot take the places of all others, but any
    /// number from this machine itself. Behind a proxy all clients have its address: see
    /// [`trusted_proxies`](Self::trusted_proxies).
    pub fn max_pending_handshakes_per_ip(mut self, most: usize) -> Self {
        self.max_pending_per_ip = PerIp::Any(most.max(1));
        self
    }

    /// Believes what reverse proxies in these networks tell of clients' addresses in `header`, which
    /// each of them must set or append to. The client is the right-most address there that is no
    /// proxy's own; [`Incoming::peer_addr`] and the bound per address go by it. By default no proxy
    /// is trusted, and the client is whoever connected.
    pub fn trusted_proxies(
        mut self,
        header: ForwardedHeader,
        networks: impl IntoIterator<Item = Network>,
    ) -> Self {
        self.proxies.trusted = Some((header, networks.into_iter().collect()));
        self
    }

    /// Expects a PROXY header, version 1 or 2, in front of every connection, and takes the client's
    /// address from it. A connection without one is closed. Whoever reaches the port can claim any
    /// address, so only load balancers may.
    pub fn proxy_protocol(mut self) -> Self {
        self.proxies.speak_proxy = true;
        self
    }

    /// Serves `wss://` with this certificate.
    #[cfg(feature = "rustls")]
    pub fn tls(mut self, tls: ServerTls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Keeps the first route that could not be added, to be told when the server is started.
    fn note_route(&mut self, path: &str, added: Result<(), matchit::InsertError>) {
        if let Err(error) = added {
            let mistake = Error::new(ErrorKind::Misuse, format!("route {path}")).with_source(error);
            self.mistake.get_or_insert(mistake);
        }
    }

    /// Binds the address.
    ///
    /// # Errors
    /// The address cannot be bound, or a route is wrong.
    pub async fn listen(self) -> Result<Listening> {
        if let Some(mistake) = self.mistake {
            return Err(mistake);
        }
        let listener = match self.binding {
            Binding::Listener(listener) => listener,
            Binding::Address(address) => TcpListener::bind(&address).await.map_err(|error| {
                Error::new(ErrorKind::Io, format!("cannot listen on {address}")).with_source(error)
            })?,
        };
        let (phases, life) = Life::begin();
        let shared = Arc::new(Shared {
            routes: self.routes,
            http: self.http,
            places: Arc::new(Semaphore::new(self.max_connections)),
            max_connections: self.max_connections,
            pending: Pending::new(self.max_pending, self.max_pending_per_ip),
            proxies: self.proxies,
            life,
            #[cfg(feature = "rustls")]
            tls: self.tls.map(|tls| tls.config().into()),
        });
        let local = listener.local_addr()?;
        Ok(Listening { listener: Some(listener), local, shared, phases })
    }

    /// Serves until the future is dropped.
    ///
    /// # Errors
    /// As [`listen`](Self::listen).
    pub async fn serve(self) -> Result<()> {
        self.listen().await?.serve().await
    }

    /// Serves until `shutdown` is ready, then drains.
    ///
    /// # Errors
    /// As [`listen`](Self::listen).
    pub async fn serve_until(self, shutdown: impl Future, drain: Drain) -> Result<()> {
        self.listen().await?.serve_until(shutdown, drain).await
    }
}

/// A server whose address is bound: clients can connect, and are served once it is awaited.
pub struct Listening {
    /// `None` while another host accepts.
    listener: Option<TcpListener>,
    local: SocketAddr,
    shared: Arc<Shared>,
    phases: Phases,
}

impl Listening {
    /// Returns the address that was bound.
    ///
    /// # Errors
    /// None any more: an address that the operating system does not tell is one that
    /// [`Server::listen`] fails for.
    pub fn local_addr(&self) -> Result<SocketAddr> {
        Ok(self.local)
    }

    /// Returns how many connections have been accepted and not been answered yet. Once nobody accepts,
    /// a drain turns nobody away who came before if it waits until there are none.
    pub fn pending_handshakes(&self) -> usize {
        self.shared.pending.len()
    }

    /// Lets another host accept the connections: returns the listener, and what the host gives them to.
    /// This server then accepts none, and drains as ever once `shutdown` is ready: the host must have
    /// stopped accepting by then. To be called once, on the runtime that serves; later calls return `None`.
    ///
    /// # Errors
    /// The runtime does not let go of the listener.
    pub fn let_accept(&mut self) -> Result<Option<(std::net::TcpListener, Doorstep)>> {
        let Some(listener) = self.listener.take() else { return Ok(None) };
        // What is accepted inherits it, so that it need not be asked for each time.
        let _ = tune(&SockRef::from(&listener));
        Ok(Some((listener.into_std()?, Doorstep::new(self.shared.clone()))))
    }

    /// Serves until the future is dropped.
    ///
    /// # Errors
    /// None; accepting goes on whatever happens to single connections.
    pub async fn serve(self) -> Result<()> {
        self.serve_until(pending::<()>(), Drain::default()).await
    }

    /// Serves until `shutdown` is ready; then accepts no more, sends every connection a Close frame,
    /// and returns when all have ended or the drain's deadline has come.
    ///
    /// # Errors
    /// None; accepting goes on whatever happens to single connections.
    pub async fn serve_until(self, shutdown: impl Future, drain: Drain) -> Result<()> {
        self.serve_and_drain(shutdown, drain).await;
        Ok(())
    }

    /// As [`serve_until`](Self::serve_until); returns how many connections were still open at the
    /// drain's deadline, those that other hosts have taken included.
    pub async fn serve_and_drain(self, shutdown: impl Future, drain: Drain) -> usize {
        match self.listener {
            Some(listener) => {
                race(pin!(shutdown), pin!(accept_all(&listener, &self.shared))).await;
            }
            None => drop(shutdown.await),
        }
        let deadline = drain.deadline;
        self.phases.enter(Phase::Draining(drain));
        let all = u32::try_from(self.shared.max_connections).unwrap_or(u32::MAX);
        if timeout(deadline, self.shared.places.acquire_many(all)).await.is_ok() {
            return 0;
        }
        let left =
            self.shared.max_connections.saturating_sub(self.shared.places.available_permits());
        self.phases.enter(Phase::Dropping);
        // Dropped tasks end at their next turn; the last of them gives its place back then.
        let _ = timeout(LAST_TURN, self.shared.places.acquire_many(all)).await;
        left
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("max_connections", &self.max_connections)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listening").field("address", &self.local).finish_non_exhaustive()
    }
}

/// Accepts for ever. When the process is out of descriptors, accepting again at once would spin, so
/// it waits, longer each time.
async fn accept_all(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut backoff = BACKOFF_FIRST;
    loop {
        match listener.accept().await {
            Ok((tcp, peer)) => {
                backoff = BACKOFF_FIRST;
                let shared = shared.clone();
                match shared.begin(peer) {
                    Ok(caller) => {
                        tokio::spawn(async move { shared.serve(tcp, caller, Vec::new()).await });
                    }
                    Err(too_many) => shared.turn_away(tcp, peer, too_many),
                }
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                log::accept_error(&error);
                sleep(backoff).await;
                backoff = (backoff * 2).min(BACKOFF_LONGEST);
            }
        }
    }
}

/// Whether accepting failed because of the connection that was next, which is gone now.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

impl Shared {
    /// Counts a connection that was accepted, by its address if that is its client's.
    fn begin(&self, peer: SocketAddr) -> Result<Caller, TooMany> {
        let mut handshake = self.pending.begin()?;
        if self.proxies.is_direct(peer) {
            handshake.is_of(peer.ip())?;
        }
        // One deadline covers all up to the request's end, so it is set before the first of it.
        let deadline = self.routes.acceptor.handshake_deadline();
        Ok(Caller { peer, handshake, deadline })
    }

    /// Answers a connection there is no room for, without waiting for its request. One that expects
    /// TLS could not read the answer, and a handshake is what it may not have.
    fn turn_away(&self, tcp: TcpStream, peer: SocketAddr, too_many: TooMany) {
        let rejection = too_many.rejection();
        log::rejected(&rejection, Some(peer), &[]);
        #[cfg(feature = "rustls")]
        if self.tls.is_some() {
            return;
        }
        if let Some(leave) = self.pending.refuse() {
            tokio::spawn(async move {
                answer(tcp, &rejection).await;
                drop(leave);
            });
        }
    }

    /// Serves one connection, of which `received` has been read, to its last byte.
    async fn serve(self: Arc<Self>, mut tcp: TcpStream, caller: Caller, received: Vec<u8>) {
        let Caller { mut peer, mut handshake, deadline } = caller;
        let limit = self.routes.acceptor.config.timeouts.handshake;
        if self.proxies.speak_proxy {
            let told = timeout_at(deadline, read_proxy_header(&mut tcp, peer)).await;
            let Ok(Some(source)) = told else { return };
            peer = source;
            if !self.proxies.is_trusted(peer)
                && let Err(too_many) = handshake.is_of(peer.ip())
            {
                return self.turn_away(tcp, peer, too_many);
            }
        }
        let Some((io, request)) = self.greet(tcp, received, peer, deadline).await else { return };
        // First, since a drain takes all places.
        if self.life.is_ending() {
            return refuse(io, &stopping(), Some(peer), &request.bytes).await;
        }
        let Ok(place) = self.places.clone().try_acquire_owned() else {
            let full = busy("full", "The server is full.\n");
            return refuse(io, &full, Some(peer), &request.bytes).await;
        };
        let head = match request.head() {
            Ok(head) => head,
            Err(rejection) => return refuse(io, &rejection, Some(peer), &request.bytes).await,
        };
        let client = self.proxies.client(&head, peer);
        if client != peer
            && let Err(too_many) = handshake.is_of(client.ip())
        {
            return refuse(io, &too_many.rejection(), Some(client), &request.bytes).await;
        }
        if let Some(http) = self.http.as_ref().filter(|_| !head.wants_upgrade()) {
            drop(handshake);
            let connection = HttpConnection::new(io, request.bytes, peer, &self, place);
            return self.life.clone().until_dropped(http(connection)).await;
        }
        let admitted = match self.judge(&head, client).await {
            Ok(admitted) => admitted,
            Err(rejection) => return refuse(io, &rejection, Some(client), &request.bytes).await,
        };
        let mut io = io;
        let answered = acceptor::welcome(&mut io, &admitted.accepted);
        let Ok(Ok(())) = timeout(limit, answered).await else { return };
        drop(handshake);
        let (acceptor, life) = (&self.routes.acceptor, self.life.clone());
        let received = request.rest().to_vec();
        let place = Place::alone(&self.places, place, client);
        admitted.serve(io, received, acceptor, place, life).await;
    }

    /// Judges a request, in the time that a handshake may take.
    async fn judge(
        &self,
        head: &RequestHead<'_>,
        client: SocketAddr,
    ) -> Result<Admitted, Rejection> {
        let limit = self.routes.acceptor.config.timeouts.handshake;
        let judged = timeout(limit, self.routes.admit(head, client)).await;
        judged.unwrap_or_else(|_| Err(busy("hook_timeout", "The server is too slow to judge.\n")))
    }

    /// Sets the transport up and reads the first request; `None` when there is nobody to answer.
    async fn greet(
        &self,
        tcp: TcpStream,
        received: Vec<u8>,
        peer: SocketAddr,
        deadline: Instant,
    ) -> Option<(AnyIo, Request)> {
        tune(&SockRef::from(&tcp)).ok()?;
        let mut io = timeout_at(deadline, self.encrypt(tcp, peer)).await.ok()??;
        let request = self.routes.acceptor.read_request(&mut io, received, deadline).await;
        if request.is_tls() {
            log::tls_on_plain_port(peer);
        }
        (!request.is_absent()).then_some((io, request))
    }

    #[cfg(feature = "rustls")]
    async fn encrypt(&self, tcp: TcpStream, peer: SocketAddr) -> Option<AnyIo> {
        match &self.tls {
            Some(acceptor) => encrypt::encrypt(acceptor, tcp, peer).await,
            None => Some(tcp.into()),
        }
    }

    #[cfg(not(feature = "rustls"))]
    async fn encrypt(&self, tcp: TcpStream, _: SocketAddr) -> Option<AnyIo> {
        Some(tcp.into())
    }
}

/// Whether a request is the first thing that clients send.
fn is_plain(shared: &Shared) -> bool {
    #[cfg(feature = "rustls")]
    if shared.tls.is_some() {
        return false;
    }
    !shared.proxies.speak_proxy
}

fn stopping() -> Rejection {
    busy("stopping", "The server is stopping.\n")
}

fn busy(rule: &'static str, text: &str) -> Rejection {
    retry_later(503, rule, text)
}

fn retry_later(status: u16, rule: &'static str, text: &str) -> Rejection {
    // Spread over ten seconds, so that those who were turned away do not return together.
    let seconds = crate::clock::jitter(Duration::from_secs(9)).as_secs();
    let seconds = 1 + u32::try_from(seconds).unwrap_or_default();
    Rejection::new(status, text).with_rule(rule).retry_after(seconds)
}

/// As many as NATS allows by default; few processes may open more descriptors.
const DEFAULT_MAX_CONNECTIONS: usize = 65_536;

/// As many as connect in a moment after a restart, at few kilobytes each; and of one address.
const DEFAULT_MAX_PENDING: usize = 4096;
const DEFAULT_MAX_PENDING_PER_IP: usize = 64;

/// Waits between attempts to accept, shortest and longest.
const BACKOFF_FIRST: Duration = Duration::from_millis(10);
const BACKOFF_LONGEST: Duration = Duration::from_secs(1);

/// How long tasks that were dropped may take to notice.
const LAST_TURN: Duration = Duration::from_millis(100);
