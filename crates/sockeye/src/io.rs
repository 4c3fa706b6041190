//! Transports: what a WebSocket can run over.

use std::io::IoSlice;
use std::net::SocketAddr;
use std::pin::Pin;
#[cfg(feature = "server")]
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::{fmt, io};

use bytes::Bytes;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A byte stream that a WebSocket can run over. Implemented by every type that fits.
pub trait Io: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Io for T {}

/// The transport of an ordinary WebSocket, so that its type has a short name: TCP, TLS over TCP, or
/// any other in a box.
pub struct AnyIo(Kind);

enum Kind {
    Tcp(TcpStream),
    #[cfg(feature = "rustls")]
    Tls(Box<tokio_rustls::TlsStream<TcpStream>>),
    Boxed(Box<dyn Io>),
}

impl AnyIo {
    /// Boxes a transport.
    pub fn new(io: impl Io) -> Self {
        Self(Kind::Boxed(Box::new(io)))
    }

    /// Returns the TCP connection, if it is one and nothing else.
    ///
    /// # Errors
    /// The transport itself, if it is none.
    pub fn into_tcp(self) -> Result<TcpStream, Self> {
        match self.0 {
            Kind::Tcp(tcp) => Ok(tcp),
            other => Err(Self(other)),
        }
    }

    /// Returns the TCP connection and the TLS session over it, if it is that of a server.
    ///
    /// # Errors
    /// The transport itself, if it is none.
    #[cfg(all(feature = "rustls", feature = "server"))]
    pub fn into_server_tls(self) -> Result<(TcpStream, rustls::ServerConnection), Self> {
        match self.0 {
            Kind::Tls(tls) => match *tls {
                tokio_rustls::TlsStream::Server(tls) => Ok(tls.into_inner()),
                other => Err(other.into()),
            },
            other => Err(Self(other)),
        }
    }

    /// Returns the address of the other end of the TCP connection, if it is one.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.tcp()?.peer_addr().ok()
    }

    /// Bounds the bytes that the operating system takes and has not sent, where it can: a writer
    /// notices sooner then whether its peer takes any. Does nothing to what is no TCP connection.
    ///
    /// # Errors
    /// The operating system's.
    pub fn limit_unsent(&self, bytes: u32) -> io::Result<()> {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if let Some(tcp) = self.tcp() {
            return SockRef::from(tcp).set_tcp_notsent_lowat(bytes);
        }
        let _ = bytes;
        Ok(())
    }

    fn tcp(&self) -> Option<&TcpStream> {
        match &self.0 {
            Kind::Tcp(tcp) => Some(tcp),
            #[cfg(feature = "rustls")]
            Kind::Tls(tls) => Some(tls.get_ref().0),
            Kind::Boxed(_) => None,
        }
    }
}

impl From<TcpStream> for AnyIo {
    fn from(tcp: TcpStream) -> Self {
        Self(Kind::Tcp(tcp))
    }
}

#[cfg(feature = "rustls")]
impl From<tokio_rustls::TlsStream<TcpStream>> for AnyIo {
    fn from(tls: tokio_rustls::TlsStream<TcpStream>) -> Self {
        Self(Kind::Tls(Box::new(tls)))
    }
}

impl fmt::Debug for AnyIo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Kind::Tcp(_) => "AnyIo::Tcp",
            #[cfg(feature = "rustls")]
            Kind::Tls(_) => "AnyIo::Tls",
            Kind::Boxed(_) => "AnyIo::Boxed",
        })
    }
}

macro_rules! each {
    ($self:ident, $io:ident => $call:expr) => {
        match &mut $self.get_mut().0 {
            Kind::Tcp($io) => $call,
            #[cfg(feature = "rustls")]
            Kind::Tls($io) => $call,
            Kind::Boxed($io) => $call,
        }
    };
}

impl AsyncRead for AnyIo {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            Kind::Tcp(io) => Pin::new(io).poll_read(cx, buf),
            #[cfg(feature = "rustls")]
            Kind::Tls(io) => read_tls(io, cx, buf),
            Kind::Boxed(io) => Pin::new(io).poll_read(cx, buf),
        }
    }
}

/// Reads; a peer that breaks the rules of TLS gets an alert, whoever reads. Against floods the session
/// has none of its own, and says close_notify.
#[cfg(feature = "rustls")]
fn read_tls(
    tls: &mut tokio_rustls::TlsStream<TcpStream>,
    cx: &mut Context<'_>,
    buf: &mut ReadBuf<'_>,
) -> Poll<io::Result<()>> {
    let read = ready!(Pin::new(&mut *tls).poll_read(cx, buf));
    if read.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::InvalidData) {
        // Where there is no room for it, the peer sees TCP end instead.
        let _ = Pin::new(tls).poll_shutdown(cx);
    }
    Poll::Ready(read)
}

impl AsyncWrite for AnyIo {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        each!(self, io => Pin::new(io).poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(self, io => Pin::new(io).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.0 {
            Kind::Tcp(io) => io.is_write_vectored(),
            #[cfg(feature = "rustls")]
            Kind::Tls(io) => io.is_write_vectored(),
            Kind::Boxed(io) => io.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, io => Pin::new(io).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, io => Pin::new(io).poll_shutdown(cx))
    }
}

/// Sets a TCP connection up: small messages leave at once, and a peer that acknowledges nothing is
/// given up by the operating system, where it can, long before its own patience ends.
#[cfg(any(feature = "client", feature = "server"))]
pub(crate) fn tune(tcp: &SockRef<'_>) -> io::Result<()> {
    tcp.set_tcp_nodelay(true)?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    tcp.set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
    Ok(())
}

/// How long sent bytes may stay unacknowledged.
#[cfg(any(target_os = "linux", target_os = "android"))]
const UNACKNOWLEDGED: std::time::Duration = std::time::Duration::from_secs(20);

/// A transport whose first bytes have been read and are read again.
#[derive(Debug)]
pub struct Rewound<S> {
    first: Bytes,
    io: S,
    #[cfg(feature = "server")]
    record: Option<Record>,
}

/// What was read from a transport since something was last written to it, so that a request can be
/// held to stricter rules than the parser behind the transport has.
#[cfg(feature = "server")]
#[derive(Clone, Debug)]
pub(crate) struct Record(Arc<Mutex<Recorded>>);

#[cfg(feature = "server")]
#[derive(Debug, Default)]
struct Recorded {
    bytes: Vec<u8>,
    /// How many bytes are kept.
    most: usize,
    is_answered: bool,
    /// Whether something was written and has not been flushed.
    is_unflushed: bool,
}

#[cfg(feature = "server")]
impl Record {
    /// Keeps the first `most` bytes.
    pub(crate) fn new(most: usize) -> Self {
        Self(Arc::new(Mutex::new(Recorded { most, ..Recorded::default() })))
    }

    /// Takes what was read, as far as it was kept.
    #[cfg(feature = "hyper")]
    pub(crate) fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.lock().bytes)
    }

    fn read(&self, bytes: &[u8]) {
        let mut recorded = self.lock();
        if recorded.is_answered {
            recorded.is_answered = false;
            recorded.bytes = Vec::new();
        }
        let room = recorded.most.saturating_sub(recorded.bytes.len());
        recorded.bytes.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }

    /// Tells whether all that was written has been flushed.
    #[cfg(feature = "hyper")]
    pub(crate) fn is_flushed(&self) -> bool {
        !self.lock().is_unflushed
    }

    fn wrote(&self) {
        let mut recorded = self.lock();
        recorded.is_answered = true;
        recorded.is_unflushed = true;
    }

    fn flushed(&self) {
        self.lock().is_unflushed = false;
    }

    fn lock(&self) -> MutexGuard<'_, Recorded> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> Rewound<S> {
    /// Reads `first`, then `io`.
    pub fn new(first: impl Into<Bytes>, io: S) -> Self {
        Self {
            first: first.into(),
            io,
            #[cfg(feature = "server")]
            record: None,
        }
    }

    /// Keeps a record of what is read.
    #[cfg(feature = "server")]
    pub(crate) fn recorded(mut self, record: Record) -> Self {
        self.record = Some(record);
        self
    }

    /// Gives back what was not read again yet, and the transport.
    pub fn into_parts(self) -> (Bytes, S) {
        (self.first, self.io)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Rewound<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        #[cfg(feature = "server")]
        let before = buf.filled().len();
        if self.first.is_empty() {
            ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        } else {
            let count = self.first.len().min(buf.remaining());
            buf.put_slice(&self.first.split_to(count));
            if self.first.is_empty() {
                self.first = Bytes::new();
            }
        }
        #[cfg(feature = "server")]
        if let Some(record) = &self.record {
            record.read(buf.filled().get(before..).unwrap_or_default());
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Rewound<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        #[cfg(feature = "server")]
        if let Some(record) = &self.record {
            record.wrote();
        }
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.io).poll_flush(cx))?;
        #[cfg(feature = "server")]
        if let Some(record) = &self.record {
            record.flushed();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
