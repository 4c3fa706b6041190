//! The server's answer, as the client reads it: the checks of RFC 6455 section 4.1, and what is
//! kept of a refusal.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use super::client::WithoutSubprotocol;
use super::fields::{ascii, has_token};
use super::head::{Part, unlimited};
use super::key::accept_key;
use super::{ClientRequest, HeadError, HeadReader, Version, parse_extensions};
use crate::Limits;
#[cfg(feature = "deflate")]
use crate::deflate::{AnswerError, Offer, Params, negotiate};

/// Reads the answer to a [`ClientRequest`].
#[derive(Clone, Debug)]
pub struct ClientHandshake {
    accept: String,
    subprotocols: Vec<String>,
    without_subprotocol: WithoutSubprotocol,
    #[cfg(feature = "deflate")]
    deflate: Option<Offer>,
    limits: Limits,
    reader: HeadReader,
    /// Bytes of informational responses before the one that is being read.
    skipped: usize,
    interim: u8,
}

/// The answer that opened the WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Established {
    /// How many of the bytes read belong to the handshake; frames follow them.
    pub head_len: usize,
    /// The subprotocol that the server took.
    pub subprotocol: Option<String>,
    /// What was agreed on permessage-deflate; `None` if it is not used.
    #[cfg(feature = "deflate")]
    pub deflate: Option<Params>,
    /// All headers of the answer, in order.
    pub headers: Vec<(String, Vec<u8>)>,
}

/// Why no WebSocket was opened. All are the peer's faults or wishes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientError {
    /// The server answered with another status than 101.
    Refused(Box<Refusal>),
    /// The answer is not a well-formed response of HTTP/1.1, or beyond a limit.
    InvalidResponse(HeadError),
    /// More than eight informational responses came before the answer.
    TooManyInterim,
    /// The 101 does not upgrade to `websocket`.
    Upgrade,
    /// The 101 does not list `Upgrade` in `Connection`.
    Connection,
    /// `Sec-WebSocket-Accept` does not answer the key.
    AcceptMismatch,
    /// The 101 announces a body.
    Body,
    /// The server chose a subprotocol that was not offered, or more than one.
    Subprotocol,
    /// The server took none of the subprotocols offered.
    NoSubprotocol,
    /// `Sec-WebSocket-Extensions` is malformed.
    ExtensionSyntax,
    /// The server named an extension that was not offered, or one twice.
    Extension(String),
    /// The server's parameters of permessage-deflate do not answer the offer.
    #[cfg(feature = "deflate")]
    Deflate(AnswerError),
}

/// A response that refuses the WebSocket, or sends elsewhere for it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// The status: 200 to 999.
    pub status: u16,
    /// All headers, in order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// What arrived of the body, at most [`MAX_BODY`](Self::MAX_BODY) bytes of it; the rest is
    /// dropped. A chunked body is kept as it came, sizes included.
    pub body: Vec<u8>,
    /// Where the body ends.
    pub body_length: BodyLength,
}

/// Where the body of a response ends (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLength {
    /// After this many bytes.
    Known(u64),
    /// With its last chunk, which is not looked for: read until the connection ends or the body is
    /// full.
    Chunked,
    /// With the connection.
    UntilEof,
}

impl ClientHandshake {
    pub(super) fn new(request: &ClientRequest, key: &str, limits: &Limits) -> Self {
        Self {
            accept: accept_key(key),
            subprotocols: request.subprotocols.clone(),
            without_subprotocol: request.without_subprotocol,
            #[cfg(feature = "deflate")]
            deflate: request.deflate,
            limits: limits.clone(),
            reader: HeadReader::response(),
            skipped: 0,
            interim: 0,
        }
    }

    /// Looks at what is new in `received`, which holds every byte since the start; `None` asks for
    /// more. Informational responses before the answer are skipped, and count towards the limit on
    /// the head.
    ///
    /// # Errors
    /// The peer's faults: [`ClientError`], after which the connection closes. What follows the head
    /// of a refusal in `received` is in its body already.
    pub fn read(&mut self, received: &[u8]) -> Result<Option<Established>, ClientError> {
        loop {
            let response = received.get(self.skipped..).unwrap_or_default();
            let limits = Limits {
                head: self.limits.head.saturating_sub(self.skipped),
                ..self.limits.clone()
            };
            let length = self.reader.read(response, &limits).map_err(|error| {
                ClientError::InvalidResponse(match error {
                    HeadError::HeadTooLong(_) => HeadError::HeadTooLong(self.limits.head),
                    error => error,
                })
            })?;
            let Some(length) = length else {
                return Ok(None);
            };
            let (head, body) = response.split_at_checked(length).unwrap_or_default();
            let head = ResponseHead::parse(head).map_err(ClientError::InvalidResponse)?;
            match head.status {
                101 => return self.establish(&head, self.skipped + length).map(Some),
                100..200 if self.interim == MAX_INTERIM => return Err(ClientError::TooManyInterim),
                100..200 => {
                    self.interim += 1;
                    self.skipped += length;
                    self.reader = HeadReader::response();
                }
                _ => return Err(ClientError::Refused(Box::new(Refusal::new(&head, body)))),
            }
        }
    }

    fn establish(
        &self,
        head: &ResponseHead<'_>,
        head_len: usize,
    ) -> Result<Established, ClientError> {
        if head.version < Version::Http11 {
            return Err(ClientError::InvalidResponse(HeadError::Version));
        }
        if !head.only("upgrade").is_some_and(|value| value.eq_ignore_ascii_case(b"websocket")) {
            return Err(ClientError::Upgrade);
        }
        if !head.all("connection").any(|value| has_token(value, "upgrade")) {
            return Err(ClientError::Connection);
        }
        if head.only("sec-websocket-accept") != Some(self.accept.as_bytes()) {
            return Err(ClientError::AcceptMismatch);
        }
        let empty = head.all("content-length").all(|length| length == b"0");
        if !empty || head.all("transfer-encoding").next().is_some() {
            return Err(ClientError::Body);
        }
        let subprotocol = self.subprotocol(head)?;
        #[cfg(feature = "deflate")]
        let deflate = self.extensions(head)?;
        #[cfg(not(feature = "deflate"))]
        self.extensions(head)?;
        Ok(Established {
            head_len,
            subprotocol,
            #[cfg(feature = "deflate")]
            deflate,
            headers: head.to_owned(),
        })
    }

    fn subprotocol(&self, head: &ResponseHead<'_>) -> Result<Option<String>, ClientError> {
        if head.all("sec-websocket-protocol").next().is_none() {
            let fails = self.without_subprotocol == WithoutSubprotocol::Fail;
            return if fails && !self.subprotocols.is_empty() {
                Err(ClientError::NoSubprotocol)
            } else {
                Ok(None)
            };
        }
        let chosen = head.only("sec-websocket-protocol").and_then(|value| {
            let mut offered = self.subprotocols.iter();
            offered.find(|name| name.as_bytes() == value)
        });
        chosen.cloned().map(Some).ok_or(ClientError::Subprotocol)
    }

    #[cfg(feature = "deflate")]
    fn extensions(&self, head: &ResponseHead<'_>) -> Result<Option<Params>, ClientError> {
        let mut agreed = None;
        for value in head.all("sec-websocket-extensions") {
            for answer in parse_extensions(value).map_err(|_| ClientError::ExtensionSyntax)? {
                match &self.deflate {
                    Some(offer) if answer.name == negotiate::NAME && agreed.is_none() => {
                        agreed = Some(offer.agree(&answer).map_err(ClientError::Deflate)?);
                    }
                    _ => return Err(ClientError::Extension(answer.name.into())),
                }
            }
        }
        Ok(agreed)
    }

    #[cfg(not(feature = "deflate"))]
    #[expect(clippy::unused_self, reason = "the other build looks at the offer")]
    fn extensions(&self, head: &ResponseHead<'_>) -> Result<(), ClientError> {
        for value in head.all("sec-websocket-extensions") {
            let answers = parse_extensions(value).map_err(|_| ClientError::ExtensionSyntax)?;
            if let Some(answer) = answers.first() {
                return Err(ClientError::Extension(answer.name.into()));
            }
        }
        Ok(())
    }
}

impl Refusal {
    /// The most bytes of a body that are kept: 64 KiB, enough for any error page worth showing.
    pub const MAX_BODY: usize = 64 << 10;

    fn new(head: &ResponseHead<'_>, body: &[u8]) -> Self {
        let mut refusal = Self {
            status: head.status,
            headers: head.to_owned(),
            body: Vec::new(),
            body_length: head.body_length(),
        };
        refusal.receive(body);
        refusal
    }

    /// Adds bytes of the body that arrived since; those beyond its end or the bound are dropped.
    pub fn receive(&mut self, bytes: &[u8]) {
        let end = match self.body_length {
            BodyLength::Known(length) => usize::try_from(length).unwrap_or(usize::MAX),
            BodyLength::Chunked | BodyLength::UntilEof => usize::MAX,
        };
        let room = end.min(Self::MAX_BODY).saturating_sub(self.body.len());
        self.body.extend(bytes.iter().take(room));
    }

    /// Whether [`receive`](Self::receive) would drop whatever comes: the body has ended or is full.
    pub fn is_complete(&self) -> bool {
        let length = u64::try_from(self.body.len()).unwrap_or(u64::MAX);
        self.body.len() == Self::MAX_BODY || self.body_length == BodyLength::Known(length)
    }

    /// Returns the value of the first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(field, _)| field.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_slice())
    }

    /// Returns how long the server asks to wait, if `Retry-After` says it in seconds. A date there
    /// takes a clock, and is left to the caller.
    pub fn retry_after(&self) -> Option<Duration> {
        let text = core::str::from_utf8(self.header("retry-after")?).ok()?;
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| digits).map(Duration::from_secs)
    }
}

/// A response's head, taken apart.
struct ResponseHead<'a> {
    version: Version,
    status: u16,
    headers: Vec<(&'a str, &'a [u8])>,
}

impl<'a> ResponseHead<'a> {
    fn parse(head: &'a [u8]) -> Result<Self, HeadError> {
        let mut reader = HeadReader::response();
        let mut headers = Vec::new();
        reader.read_parts(head, &unlimited(), |part| {
            if let Part::Header { name, value } = part {
                headers.push((ascii(name), value));
            }
        })?;
        Ok(Self { version: reader.version(), status: reader.status(), headers })
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.headers
            .iter()
            .filter(move |(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| *value)
    }

    /// Returns the value of a header that stands there exactly once.
    fn only(&self, name: &str) -> Option<&'a [u8]> {
        let mut values = self.all(name);
        values.next().filter(|_| values.next().is_none())
    }

    fn body_length(&self) -> BodyLength {
        if matches!(self.status, 204 | 304) {
            return BodyLength::Known(0);
        }
        if self.all("transfer-encoding").next().is_some() {
            return BodyLength::Chunked;
        }
        let length = self.only("content-length").and_then(|value| {
            let digits = value.iter().all(u8::is_ascii_digit);
            let text = core::str::from_utf8(value).ok().filter(|_| digits)?;
            text.parse().ok()
        });
        length.map_or(BodyLength::UntilEof, BodyLength::Known)
    }

    fn to_owned(&self) -> Vec<(String, Vec<u8>)> {
        let headers = self.headers.iter();
        headers.map(|(name, value)| ((*name).into(), value.to_vec())).collect()
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => write!(f, "server refused with status {}", refusal.status),
            Self::InvalidResponse(error) => write!(f, "invalid response: {error}"),
            Self::TooManyInterim => f.write_str("more than eight informational responses"),
            Self::Upgrade => f.write_str("101 without Upgrade: websocket"),
            Self::Connection => f.write_str("101 without Connection: Upgrade"),
            Self::AcceptMismatch => f.write_str("Sec-WebSocket-Accept does not answer the key"),
            Self::Body => f.write_str("101 with a body"),
            Self::Subprotocol => f.write_str("server chose a subprotocol that was not offered"),
            Self::NoSubprotocol => f.write_str("server took none of the subprotocols offered"),
            Self::ExtensionSyntax => f.write_str("malformed Sec-WebSocket-Extensions"),
            Self::Extension(name) => write!(f, "extension {name:?} was not offered"),
            #[cfg(feature = "deflate")]
            Self::Deflate(error) => write!(f, "permessage-deflate: {error}"),
        }
    }
}

impl core::error::Error for ClientError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::InvalidResponse(error) => Some(error),
            #[cfg(feature = "deflate")]
            Self::Deflate(error) => Some(error),
            _ => None,
        }
    }
}

/// Informational responses skipped before the answer.
const MAX_INTERIM: u8 = 8;
