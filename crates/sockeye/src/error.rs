//! The one error type: one word, sorted by kind.

use std::error::Error as StdError;
use std::{fmt, io};

use bytes::Bytes;
use http::Response;
use sockeye_proto::handshake::{HandshakeMisuse, UrlError};
use sockeye_proto::{CloseInfo, Misuse};

use crate::message::Message;

/// What the functions of this crate return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something failed.
///
/// Match on [`kind`](Self::kind); the text of `Display` is for people and may change.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    text: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
    close: Option<CloseInfo>,
    response: Option<Response<Bytes>>,
    message: Option<Message>,
}

/// The kinds of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The URL cannot be a WebSocket's.
    InvalidUrl,
    /// The host name has no address.
    Dns,
    /// No address could be reached.
    Connect,
    /// The TLS handshake failed: a certificate, a name, a version.
    Tls,
    /// The peer's half of the opening handshake is wrong, or it refused:
    /// [`response`](Error::response) then tells how.
    Handshake,
    /// The peer broke the protocol.
    Protocol,
    /// The peer sent text that is not UTF-8.
    InvalidUtf8,
    /// A limit was reached, by the peer's message or by what waits for it.
    TooBig,
    /// The peer took too long.
    Timeout,
    /// The outgoing queue is full; [`into_message`](Error::into_message) gives the message back.
    BufferFull,
    /// The connection is over: [`close_info`](Error::close_info) tells how it ended.
    Closed,
    /// The call itself was wrong, such as a close code that may not be sent.
    Misuse,
    /// The transport failed.
    Io,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, text: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            text: text.into(),
            source: None,
            close: None,
            response: None,
            message: None,
        }))
    }

    pub(crate) fn with_source(
        mut self,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        self.0.source = Some(source.into());
        self
    }

    pub(crate) fn with_close(mut self, close: Option<&CloseInfo>) -> Self {
        self.0.close = close.cloned();
        self
    }

    #[cfg(feature = "client")]
    pub(crate) fn with_response(mut self, response: Response<Bytes>) -> Self {
        self.0.response = Some(response);
        self
    }

    #[cfg(feature = "client")]
    pub(crate) fn take_response(&mut self) -> Option<Response<Bytes>> {
        self.0.response.take()
    }

    pub(crate) fn with_message(mut self, message: Message) -> Self {
        self.0.message = Some(message);
        self
    }

    /// Makes an error for an application's handler to return; the peer is told code 1011.
    pub fn other(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(ErrorKind::Misuse, "application error").with_source(source)
    }

    /// Returns what kind of failure this is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns how the connection ended, if it did.
    pub fn close_info(&self) -> Option<&CloseInfo> {
        self.0.close.as_ref()
    }

    /// Returns the server's answer when it refused the handshake, its body cut at 64 KiB.
    pub fn response(&self) -> Option<&Response<Bytes>> {
        self.0.response.as_ref()
    }

    /// Whether trying again later may succeed.
    pub fn is_transient(&self) -> bool {
        match self.kind() {
            ErrorKind::Dns | ErrorKind::Connect | ErrorKind::Timeout | ErrorKind::Io => true,
            ErrorKind::Closed => self.close_info().is_some_and(|close| {
                matches!(close.code.get(), 1001 | 1006 | 1011 | 1012 | 1013 | 1014)
            }),
            ErrorKind::Handshake => self
                .response()
                .is_some_and(|r| matches!(r.status().as_u16(), 408 | 429 | 500 | 502 | 503 | 504)),
            _ => false,
        }
    }

    /// Gives back the message that was not sent.
    pub fn into_message(self) -> Option<Message> {
        self.0.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)?;
        match &self.0.source {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.kind())
            .field("text", &self.to_string())
            .field("close", &self.0.close)
            .finish_non_exhaustive()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

impl From<sockeye_proto::Error> for Error {
    fn from(error: sockeye_proto::Error) -> Self {
        use sockeye_proto::{Error as Core, PeerError};
        let kind = match &error {
            Core::Peer(PeerError::InvalidUtf8) => ErrorKind::InvalidUtf8,
            Core::Limit(_) => ErrorKind::TooBig,
            Core::Timeout(_) => ErrorKind::Timeout,
            Core::Misuse(Misuse::Closed) => ErrorKind::Closed,
            Core::Misuse(Misuse::QueueFull { .. }) => ErrorKind::BufferFull,
            Core::Misuse(_) => ErrorKind::Misuse,
            _ => ErrorKind::Protocol,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        // In TLS 1.3 a server judges its client after the client's handshake is over.
        #[cfg(feature = "rustls")]
        if error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) {
            return Self::new(ErrorKind::Tls, "TLS failed").with_source(error);
        }
        Self::new(ErrorKind::Io, "transport failed").with_source(error)
    }
}

impl From<UrlError> for Error {
    fn from(error: UrlError) -> Self {
        Self::new(ErrorKind::InvalidUrl, error.to_string())
    }
}

impl From<HandshakeMisuse> for Error {
    fn from(error: HandshakeMisuse) -> Self {
        Self::new(ErrorKind::Misuse, error.to_string())
    }
}
