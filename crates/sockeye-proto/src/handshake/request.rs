//! A request's head, taken apart.
//!
//! Made of bytes that pass [`HeadReader`], or of what another HTTP implementation parsed, so that
//! one code judges both.

use alloc::vec::Vec;

use super::authority::Authority;
use super::fields::{ascii, has_token, trim};
use super::head::{Part, unlimited};
use super::{HeadError, HeadReader};
use crate::Limits;

/// The version of HTTP that a request names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// HTTP/1.0, which cannot upgrade.
    Http10,
    /// HTTP/1.1.
    Http11,
}

/// A request's head. Names are compared in any case; values come without spaces at their ends.
#[derive(Clone, Debug)]
pub struct RequestHead<'a> {
    method: &'a str,
    target: &'a str,
    version: Version,
    headers: Vec<(&'a str, &'a [u8])>,
}

impl<'a> RequestHead<'a> {
    /// Reads the head at the start of `bytes`, as [`HeadReader::read`] does, and takes it apart.
    /// Returns what stands behind it as well; `None` where it has not arrived whole.
    ///
    /// # Errors
    /// The peer's faults, as the reader tells them.
    pub fn read(bytes: &'a [u8], limits: &Limits) -> Result<Option<(Self, &'a [u8])>, HeadError> {
        let mut reader = HeadReader::request();
        let (mut method, mut target) = Default::default();
        let mut headers = Vec::with_capacity(USUAL_HEADERS);
        let length = reader.read_parts(bytes, limits, |part| match part {
            Part::Method(bytes) => method = ascii(bytes),
            Part::Target(bytes) => target = ascii(bytes),
            Part::Header { name, value } => headers.push((ascii(name), value)),
        })?;
        let behind = length.and_then(|length| bytes.get(length..));
        let version = reader.version();
        Ok(behind.map(|behind| (Self { method, target, version, headers }, behind)))
    }

    /// Takes the head at the start of `bytes` apart; its length is what [`HeadReader::read`] said.
    ///
    /// It is held to the same rules here, so that a head from elsewhere cannot slip past them.
    /// Limits are not applied again.
    ///
    /// # Errors
    /// The peer's faults, as the reader tells them, and [`HeadError::Incomplete`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, HeadError> {
        let (head, _) = Self::read(bytes, &unlimited())?.ok_or(HeadError::Incomplete)?;
        Ok(head)
    }

    /// Takes what another HTTP implementation parsed. Bounds on lengths and counts are its own;
    /// [`accept`](super::accept) checks all else.
    pub fn from_parts(
        method: &'a str,
        target: &'a str,
        version: Version,
        headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> Self {
        let headers = headers.into_iter().map(|(name, value)| (name, trim(value)));
        Self { method, target, version, headers: headers.collect() }
    }

    /// Returns the method, such as `GET`.
    pub fn method(&self) -> &'a str {
        self.method
    }

    /// Returns the request target as it was sent.
    pub fn target(&self) -> &'a str {
        self.target
    }

    /// Returns the version of HTTP.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Returns the path, still percent-encoded: `/` where a full URL has none, and the whole target
    /// where it is neither a path nor a URL.
    pub fn path(&self) -> &'a str {
        let path = match split_target(self.target) {
            Some(parts) => parts.path_and_query,
            None => self.target,
        };
        match path.split('?').next() {
            None | Some("") => "/",
            Some(path) => path,
        }
    }

    /// Returns the query, still percent-encoded and without its question mark.
    pub fn query(&self) -> Option<&'a str> {
        self.target.split_once('?').map(|(_, query)| query)
    }

    /// Returns host and port: those of a full URL as target, else those of the `Host` header
    /// (RFC 9112 section 3.2.2). `None` if there is none or it is not ASCII.
    pub fn host(&self) -> Option<&'a str> {
        self.host_in_target().or_else(|| {
            let host = core::str::from_utf8(self.header("host")?).ok()?;
            host.is_ascii().then_some(host)
        })
    }

    /// Returns host and port of a full URL as target.
    pub(super) fn host_in_target(&self) -> Option<&'a str> {
        split_target(self.target)?.authority
    }

    /// Returns the value of the first header of this name.
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.header_all(name).next()
    }

    /// Returns the values of all headers of this name, in order.
    pub fn header_all(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.headers
            .iter()
            .filter(move |(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| *value)
    }

    /// Returns all headers in order.
    pub fn headers(&self) -> impl DoubleEndedIterator<Item = (&'a str, &'a [u8])> {
        self.headers.iter().copied()
    }

    /// Whether this is meant as a WebSocket handshake, valid or not: a door gives it to
    /// [`accept`](super::accept), and everything else to an HTTP server.
    ///
    /// True with an `Upgrade` that lists `websocket`, and with a `Sec-WebSocket-Key`, which tells of
    /// a proxy in between that dropped the former; the refusal then says so.
    pub fn wants_upgrade(&self) -> bool {
        self.header("sec-websocket-key").is_some()
            || self.header_all("upgrade").any(|value| has_token(value, "websocket"))
    }
}

/// A request target that a WebSocket may have: a path, or a full URL (RFC 9112 section 3.2).
#[derive(Clone, Copy, Debug)]
pub(super) struct TargetParts<'a> {
    pub(super) authority: Option<&'a str>,
    pub(super) path_and_query: &'a str,
}

/// Splits the target; `None` for the forms of CONNECT and `OPTIONS *`, and for other schemes.
fn split_target(target: &str) -> Option<TargetParts<'_>> {
    if target.starts_with('/') {
        return Some(TargetParts { authority: None, path_and_query: target });
    }
    let (scheme, rest) = target.split_once("://")?;
    let known = ["ws", "wss", "http", "https"];
    if !known.iter().any(|name| scheme.eq_ignore_ascii_case(name)) {
        return None;
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path_and_query) = rest.split_at_checked(end)?;
    Some(TargetParts { authority: Some(authority), path_and_query })
}

/// Whether the target is one that a WebSocket may have: visible ASCII without a fragment, and a
/// path whose percent-encoding is whole and means UTF-8. The query is the application's affair:
/// browsers send a lone `%` there as it was typed.
pub(super) fn is_valid_target(target: &str) -> bool {
    let visible = |byte: u8| matches!(byte, 0x21..=0x7E) && byte != b'#';
    let Some(parts) = split_target(target).filter(|_| target.bytes().all(visible)) else {
        return false;
    };
    let path = parts.path_and_query.split('?').next().unwrap_or_default();
    parts.authority.is_none_or(|text| Authority::parse(text).is_some()) && decodes_to_utf8(path)
}

fn decodes_to_utf8(path: &str) -> bool {
    if !path.contains('%') {
        return true;
    }
    let mut decoded = Vec::with_capacity(path.len());
    let mut bytes = path.bytes();
    let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let (Some(high), Some(low)) = (digit(bytes.next()), digit(bytes.next())) else {
            return false;
        };
        decoded.extend(u8::try_from(high * 16 + low));
    }
    core::str::from_utf8(&decoded).is_ok()
}

/// Header lines for which there is room at once: browsers send about as many.
const USUAL_HEADERS: usize = 16;
