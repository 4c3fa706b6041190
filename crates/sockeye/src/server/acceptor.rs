//! The server's half of the opening handshake over a transport that is already there.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sockeye_proto::handshake::{
    Accepted, HeadError, HeadReader, Origins, Policy, Rejection, RequestHead, accept as judge,
};
use sockeye_proto::{AnyRole, Config, Connection};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout, timeout_at};

use super::Incoming;
use crate::clock;
use crate::error::{Error, ErrorKind, Result};
use crate::io::Io;
use crate::link::Link;
use crate::log;
use crate::websocket::WebSocket;

/// Accepts a WebSocket over `io`, with the defaults: pages of other origins are refused.
///
/// # Errors
/// As [`Acceptor::accept`].
pub async fn accept<S: Io>(io: S) -> Result<(WebSocket<S>, Incoming)> {
    Acceptor::new().accept(io).await
}

/// Accepts WebSockets over transports that the caller provides.
#[derive(Clone, Debug)]
pub struct Acceptor {
    pub(super) config: Arc<Config>,
    pub(super) policy: Arc<Policy>,
}

impl Default for Acceptor {
    fn default() -> Self {
        Self { config: Arc::new(Config::server()), policy: Arc::default() }
    }
}

impl Acceptor {
    /// Starts from the defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets limits, time-outs, keep-alive and compression.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        #[cfg(feature = "deflate")]
        {
            Arc::make_mut(&mut self.policy).deflate.clone_from(&config.deflate);
        }
        self.config = Arc::new(config);
        self
    }

    /// Sets which web pages may connect; by default those from the same host and port.
    #[must_use]
    pub fn origins(mut self, origins: Origins) -> Self {
        Arc::make_mut(&mut self.policy).origins = origins;
        self
    }

    /// Sets the subprotocols spoken here, the preferred one first.
    #[must_use]
    pub fn subprotocols<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        let names = names.into_iter().map(Into::into).collect();
        Arc::make_mut(&mut self.policy).subprotocols = names;
        self
    }

    #[cfg(feature = "hyper")]
    pub(crate) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Performs the opening handshake over `io`. A request that is refused has been answered.
    ///
    /// # Errors
    /// The peer's faults: a request that is no WebSocket handshake or breaks a rule, one that the
    /// policy leaves out, one that takes too long.
    pub async fn accept<S: Io>(&self, mut io: S) -> Result<(WebSocket<S>, Incoming)> {
        let deadline = self.handshake_deadline();
        let request = self.read_request(&mut io, Vec::new(), deadline).await;
        if let Err(unread) = &request.length {
            let error = unread.to_error(self.config.timeouts.handshake);
            if let Some(rejection) = unread.rejection() {
                refuse(io, &rejection, None, &request.bytes).await;
            }
            return Err(error);
        }
        let judged = request.head().and_then(|head| {
            let accepted = judge(&head, &self.policy)?;
            Ok((accepted, Incoming::new(&head, None)?))
        });
        match judged {
            Ok((accepted, incoming)) => {
                Ok((self.open(io, &accepted, request.rest(), None).await?, incoming))
            }
            Err(rejection) => {
                let error = refused(&rejection);
                refuse(io, &rejection, None, &request.bytes).await;
                Err(error)
            }
        }
    }

    /// Returns when a handshake that begins now must be complete.
    pub(super) fn handshake_deadline(&self) -> Instant {
        Instant::now() + self.config.timeouts.handshake
    }

    /// Reads the head of the first request, strictly, bounded and within the handshake's deadline.
    /// `bytes` of it have been read.
    pub(super) async fn read_request<S>(
        &self,
        io: &mut S,
        mut bytes: Vec<u8>,
        deadline: Instant,
    ) -> Request
    where
        S: AsyncRead + Unpin,
    {
        let read = timeout_at(deadline, async {
            let mut reader = HeadReader::request();
            loop {
                if !bytes.is_empty() {
                    match reader.read(&bytes, &self.config.limits) {
                        Ok(Some(length)) => return Ok(length),
                        Ok(None) => {}
                        Err(error) => return Err(Unread::Malformed(error)),
                    }
                }
                bytes.reserve(1024);
                if io.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                    return Err(Unread::Gone);
                }
            }
        });
        let length = match read.await {
            Ok(read) => read,
            Err(_) if bytes.is_empty() => Err(Unread::Silent),
            Err(_) => Err(Unread::Slow),
        };
        Request { bytes, length }
    }

    /// Writes the 101 and starts the connection; `received` came behind the request's head.
    pub(super) async fn open<S: Io>(
        &self,
        mut io: S,
        accepted: &Accepted,
        received: &[u8],
        peer: Option<SocketAddr>,
    ) -> Result<WebSocket<S>> {
        welcome(&mut io, accepted).await?;
        Ok(self.start(io, accepted, received, peer))
    }

    /// Starts a connection whose 101 has been written.
    pub(crate) fn start<S: Io>(
        &self,
        io: S,
        accepted: &Accepted,
        received: &[u8],
        peer: Option<SocketAddr>,
    ) -> WebSocket<S> {
        let core = Connection::new(AnyRole::Server, self.config.clone(), clock::now());
        #[cfg(feature = "deflate")]
        let core = match accepted.deflate() {
            Some(params) => core.with_deflate(params),
            None => core,
        };
        let link = Link::new(io, core, received, self.config.timeouts.lifetime, peer);
        WebSocket::new(link, accepted.subprotocol())
    }
}

/// The bytes of a first request, or what came instead of one.
pub(super) struct Request {
    pub(super) bytes: Vec<u8>,
    /// How long the head is.
    length: Result<usize, Unread>,
}

impl Request {
    pub(super) fn head(&self) -> Result<RequestHead<'_>, Rejection> {
        if let Some(rejection) = self.length.as_ref().err().and_then(Unread::rejection) {
            return Err(rejection);
        }
        let head = self.bytes.get(..self.head_len()).unwrap_or_default();
        RequestHead::parse(head).map_err(Rejection::from)
    }

    /// Returns what came behind the head.
    pub(super) fn rest(&self) -> &[u8] {
        self.bytes.get(self.head_len()..).unwrap_or_default()
    }

    /// Whether nobody waits for an answer.
    pub(super) fn is_absent(&self) -> bool {
        matches!(self.length, Err(Unread::Gone | Unread::Silent))
    }

    /// Whether the client begins a TLS handshake.
    pub(super) fn is_tls(&self) -> bool {
        matches!(self.length, Err(Unread::Malformed(HeadError::Tls)))
    }

    fn head_len(&self) -> usize {
        *self.length.as_ref().unwrap_or(&0)
    }
}

/// Why there is no request.
#[derive(Debug)]
pub(super) enum Unread {
    /// The peer went away.
    Gone,
    /// The peer sent nothing in time.
    Silent,
    /// The peer sent something, but not all of a request in time.
    Slow,
    Malformed(HeadError),
}

impl Unread {
    /// Returns the answer to it; a peer that went away or never spoke gets none.
    fn rejection(&self) -> Option<Rejection> {
        match self {
            Self::Gone | Self::Silent => None,
            Self::Slow => {
                let text = "The request took too long.\n";
                Some(Rejection::new(408, text).with_rule("handshake_timeout"))
            }
            Self::Malformed(error) => Some((*error).into()),
        }
    }

    fn to_error(&self, limit: Duration) -> Error {
        let text = "opening handshake";
        match self {
            Self::Gone => Error::new(ErrorKind::Handshake, "the client left without a request"),
            Self::Silent | Self::Slow => {
                Error::new(ErrorKind::Timeout, format!("{text} took longer than {limit:?}"))
            }
            Self::Malformed(error) => Error::new(ErrorKind::Handshake, text).with_source(*error),
        }
    }
}

fn refused(rejection: &Rejection) -> Error {
    let (status, text) = (rejection.status(), String::from_utf8_lossy(rejection.content()));
    Error::new(ErrorKind::Handshake, format!("refused with {status}: {}", text.trim_end()))
}

/// Refuses a request, of which `received` came, and tells the log.
pub(super) async fn refuse<S: AsyncRead + AsyncWrite + Unpin>(
    io: S,
    rejection: &Rejection,
    peer: Option<SocketAddr>,
    received: &[u8],
) {
    log::rejected(rejection, peer, received);
    answer(io, rejection).await;
}

/// Writes the 101.
pub(super) async fn welcome<S: Io>(io: &mut S, accepted: &Accepted) -> std::io::Result<()> {
    let mut head = Vec::with_capacity(256);
    accepted.write(&mut head);
    io.write_all(&head).await?;
    io.flush().await
}

/// Answers with a refusal and closes.
pub(super) async fn answer<S: AsyncRead + AsyncWrite + Unpin>(io: S, rejection: &Rejection) {
    let mut answer = Vec::new();
    rejection.write(&mut answer);
    part(io, &answer).await;
}

/// Writes the last bytes and closes. What the peer still sends is read for a moment: a transport
/// that is closed over unread bytes resets, and what was written last could be lost.
pub(super) async fn part<S: AsyncRead + AsyncWrite + Unpin>(mut io: S, last: &[u8]) {
    let _ = timeout(ANSWER, async {
        io.write_all(last).await?;
        io.shutdown().await?;
        let mut scrap = [0; 1024];
        while io.read(&mut scrap).await? > 0 {}
        std::io::Result::Ok(())
    })
    .await;
}

/// How long an answer to a refused request may take to reach the peer.
const ANSWER: Duration = Duration::from_secs(1);
