//! The client's request.
//!
//! Owns what goes into it; everything that could break the head or forge another one is refused
//! before the first byte is written. What comes back is [`ClientHandshake`]'s.

use alloc::string::String;
use alloc::vec::Vec;
#[cfg(feature = "deflate")]
use core::fmt::Write as _;

use super::authority::Origin;
use super::fields::{check_header, is_reserved, is_token, write_header};
use super::key::encode_key;
use super::{ClientHandshake, HandshakeMisuse, Url};
use crate::Limits;
#[cfg(feature = "deflate")]
use crate::deflate::Offer;

/// A request for a WebSocket.
///
/// ```
/// use sockeye_proto::Limits;
/// use sockeye_proto::handshake::{ClientRequest, Url};
///
/// let url = Url::parse("wss://example.com/chat")?;
/// let random = [7; 16]; // Fresh for each request, from a secure generator.
/// let request = ClientRequest::new(&url, random)
///     .subprotocols(["chat.v2", "chat.v1"])?
///     .header("Authorization", "Bearer 0x5ec")?;
///
/// let mut out = Vec::new();
/// request.write(&mut out);
/// let handshake = request.handshake(&Limits::default());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ClientRequest {
    target: String,
    authority: String,
    key: String,
    origin: Option<String>,
    headers: Vec<(String, Vec<u8>)>,
    pub(super) subprotocols: Vec<String>,
    pub(super) without_subprotocol: WithoutSubprotocol,
    #[cfg(feature = "deflate")]
    pub(super) deflate: Option<Offer>,
}

/// What to do if subprotocols are offered and the server takes none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WithoutSubprotocol {
    Fail,
    GoOn,
}

impl ClientRequest {
    /// Asks for `url`. The key is drawn for this request alone, from a secure generator: RFC 6455
    /// section 4.1 wants it not to be guessed.
    pub fn new(url: &Url, key: [u8; 16]) -> Self {
        Self {
            target: url.target().into(),
            authority: url.authority().into(),
            key: encode_key(key),
            origin: None,
            headers: Vec::new(),
            subprotocols: Vec::new(),
            without_subprotocol: WithoutSubprotocol::Fail,
            #[cfg(feature = "deflate")]
            deflate: None,
        }
    }

    /// Adds a header, such as `Authorization` or `Cookie`.
    ///
    /// # Errors
    /// The caller's faults: a name that is no token, a control character in the value, a header of
    /// the handshake's own.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Result<Self, HandshakeMisuse> {
        check_header(name, value.as_ref())?;
        if is_reserved(name) || name.eq_ignore_ascii_case("origin") {
            return Err(HandshakeMisuse::ReservedHeader(name.into()));
        }
        self.headers.push((name.into(), value.as_ref().to_vec()));
        Ok(self)
    }

    /// Sets the origin of the page that asks: `scheme://host[:port]` or `null`. Programs that are
    /// no browsers need none.
    ///
    /// # Errors
    /// The caller's fault: anything else.
    pub fn origin(mut self, origin: &str) -> Result<Self, HandshakeMisuse> {
        if origin != "null" && Origin::parse(origin).is_none() {
            return Err(HandshakeMisuse::Origin(origin.into()));
        }
        self.origin = Some(origin.into());
        Ok(self)
    }

    /// Offers subprotocols, the preferred one first, beside those offered before. The server has to
    /// take one, unless [`optional_subprotocol`](Self::optional_subprotocol) says otherwise.
    ///
    /// # Errors
    /// The caller's faults: a name that is no token, or that is offered twice.
    pub fn subprotocols<I>(mut self, names: I) -> Result<Self, HandshakeMisuse>
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        for name in names {
            let name = name.as_ref();
            if !is_token(name.as_bytes()) {
                return Err(HandshakeMisuse::Subprotocol(name.into()));
            }
            if self.subprotocols.iter().any(|offered| offered == name) {
                return Err(HandshakeMisuse::DuplicateSubprotocol(name.into()));
            }
            self.subprotocols.push(name.into());
        }
        Ok(self)
    }

    /// Goes on without a subprotocol if the server takes none. Browsers do not.
    #[must_use]
    pub fn optional_subprotocol(mut self) -> Self {
        self.without_subprotocol = WithoutSubprotocol::GoOn;
        self
    }

    /// Offers permessage-deflate; a `&DeflateConfig` says what.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn deflate(mut self, offer: impl Into<Offer>) -> Self {
        self.deflate = Some(offer.into());
        self
    }

    /// Makes the same request for another URL, to follow a redirect, with a key of its own as in
    /// [`new`](Self::new). All headers are kept: whether they may go there is the caller's to judge.
    #[must_use]
    pub fn redirected(&self, url: &Url, key: [u8; 16]) -> Self {
        Self {
            target: url.target().into(),
            authority: url.authority().into(),
            key: encode_key(key),
            ..self.clone()
        }
    }

    /// Returns the headers that were added with [`header`](Self::header).
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice()))
    }

    /// Appends the request.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"GET ");
        out.extend_from_slice(self.target.as_bytes());
        out.extend_from_slice(b" HTTP/1.1\r\n");
        write_header(out, "Host", self.authority.as_bytes());
        write_header(out, "Upgrade", b"websocket");
        write_header(out, "Connection", b"Upgrade");
        write_header(out, "Sec-WebSocket-Key", self.key.as_bytes());
        write_header(out, "Sec-WebSocket-Version", b"13");
        if let Some(origin) = &self.origin {
            write_header(out, "Origin", origin.as_bytes());
        }
        if !self.subprotocols.is_empty() {
            let names = self.subprotocols.join(", ");
            write_header(out, "Sec-WebSocket-Protocol", names.as_bytes());
        }
        #[cfg(feature = "deflate")]
        if let Some(offer) = &self.deflate {
            let mut text = String::new();
            // Writing to a string cannot fail.
            let _ = write!(text, "{offer}");
            write_header(out, "Sec-WebSocket-Extensions", text.as_bytes());
        }
        for (name, value) in &self.headers {
            write_header(out, name, value);
        }
        out.extend_from_slice(b"\r\n");
    }

    /// Returns what reads the answer to this request.
    pub fn handshake(&self, limits: &Limits) -> ClientHandshake {
        ClientHandshake::new(self, &self.key, limits)
    }
}

#[cfg(test)]
mod tests;
