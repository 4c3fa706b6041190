//! The server's side of the opening handshake: the checks in order, and the 101.
//!
//! Every check comes before the first byte of the answer, and there is one answer only. Whether the
//! user may connect is the host's affair, between the checks and the answer.

use alloc::string::String;
use alloc::vec::Vec;

use super::authority::Authority;
use super::extensions::{MAX_EXTENSIONS, parse_extensions, parse_subprotocols};
use super::fields::{check_header, has_token, is_reserved, write_header};
use super::key::{accept_key, check_key};
use super::request::is_valid_target;
use super::{Extension, HandshakeMisuse, Origins, Rejection, RequestHead, Scheme, Version};
#[cfg(feature = "deflate")]
use crate::deflate::{DeflateConfig, Params, negotiate};

/// What a server lets in.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Policy {
    /// Which web pages may connect; default those of the same host and port.
    pub origins: Origins,
    /// The scheme under which clients reach this server; default [`Scheme::Unknown`].
    pub scheme: Scheme,
    /// Whether a request without `Origin` is refused; default `false`, as programs send none. Set
    /// it where cookies say who the user is.
    pub require_origin: bool,
    /// Subprotocols that this server speaks, the preferred one first; default none.
    pub subprotocols: Vec<String>,
    /// Whether a client that offers none of `subprotocols` is refused; default `false`.
    pub require_subprotocol: bool,
    /// Names by which this server may be called, each with a port where only that port will do;
    /// default `None`, any. Guards a server that trusts its network, as one on the loop-back
    /// address does, against names that an attacker points there (DNS rebinding).
    pub allowed_hosts: Option<Vec<String>>,
    /// permessage-deflate; default `None`, declined.
    #[cfg(feature = "deflate")]
    pub deflate: Option<DeflateConfig>,
}

/// A handshake that passed every check, and the answer to it.
///
/// It may still be refused: who wants to, drops it and writes a [`Rejection`].
#[derive(Clone, Debug)]
pub struct Accepted {
    accept: String,
    offered: Vec<String>,
    subprotocol: Option<String>,
    #[cfg(feature = "deflate")]
    deflate: Option<negotiate::Agreement>,
    headers: Vec<(String, Vec<u8>)>,
}

/// Judges a request that is meant as a WebSocket handshake.
///
/// # Errors
/// The response to send instead, after which the connection closes: 400 for what breaks the
/// protocol, 403 for an origin or host that the policy leaves out, 405 for methods other than GET,
/// 426 for requests that are not for a WebSocket of version 13.
pub fn accept(head: &RequestHead<'_>, policy: &Policy) -> Result<Accepted, Rejection> {
    check_method(head)?;
    let host = check_host(head)?;
    check_body(head)?;
    check_upgrade(head)?;
    let key = check_version(head)?;
    check_access(head, &host, policy)?;

    let mut offered = Vec::new();
    for value in head.header_all("sec-websocket-protocol") {
        parse_subprotocols(value, &mut offered).ok_or_else(|| {
            bad("subprotocol", "Sec-WebSocket-Protocol must list distinct tokens.\n")
        })?;
    }
    let known = policy.subprotocols.iter();
    let subprotocol = known.into_iter().find(|name| offered.contains(name)).cloned();
    if subprotocol.is_none() && policy.require_subprotocol {
        let text = "Sec-WebSocket-Protocol offers none of the subprotocols spoken here.\n";
        return Err(bad("no_subprotocol", text));
    }
    let extensions = read_extensions(head)?;
    #[cfg(feature = "deflate")]
    let deflate = policy.deflate.as_ref().and_then(|config| {
        let agent = head.header("user-agent").unwrap_or_default();
        negotiate::accept(config, &extensions, agent)
    });
    #[cfg(not(feature = "deflate"))]
    drop(extensions);
    Ok(Accepted {
        accept: accept_key(key),
        offered,
        subprotocol,
        #[cfg(feature = "deflate")]
        deflate,
        headers: Vec::new(),
    })
}

impl Accepted {
    /// Returns the subprotocol that the answer names: the first of the policy's that the client
    /// offers, unless another was selected.
    pub fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    /// Returns the subprotocols that the client offers, in its order.
    pub fn offered_subprotocols(&self) -> &[String] {
        &self.offered
    }

    /// Selects another subprotocol, or none.
    ///
    /// # Errors
    /// The caller's fault: one that the client does not offer, which RFC 6455 section 4.2.2
    /// forbids. The selection stays as it was.
    pub fn select_subprotocol(&mut self, name: Option<&str>) -> Result<(), HandshakeMisuse> {
        if let Some(name) = name
            && !self.offered.iter().any(|offered| offered == name)
        {
            return Err(HandshakeMisuse::SubprotocolNotOffered(name.into()));
        }
        self.subprotocol = name.map(String::from);
        Ok(())
    }

    /// Adds a header to the answer; one added again stands twice, as `Set-Cookie` needs.
    ///
    /// # Errors
    /// The caller's faults: a name that is no token, a control character in the value, a header of
    /// the handshake's own.
    pub fn add_header(
        &mut self,
        name: &str,
        value: impl AsRef<[u8]>,
    ) -> Result<(), HandshakeMisuse> {
        check_header(name, value.as_ref())?;
        if is_reserved(name) {
            return Err(HandshakeMisuse::ReservedHeader(name.into()));
        }
        self.headers.push((name.into(), value.as_ref().to_vec()));
        Ok(())
    }

    /// Returns what was agreed on permessage-deflate; `None` if it is not used.
    #[cfg(feature = "deflate")]
    pub fn deflate(&self) -> Option<Params> {
        self.deflate.as_ref().map(|agreed| agreed.params)
    }

    /// Declines permessage-deflate after all.
    #[cfg(feature = "deflate")]
    pub fn decline_deflate(&mut self) {
        self.deflate = None;
    }

    /// Returns all headers of the answer, for a host whose HTTP implementation writes it.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let protocol = self.subprotocol.iter();
        let protocol = protocol.map(|name| ("Sec-WebSocket-Protocol", name.as_bytes()));
        #[cfg(feature = "deflate")]
        let extensions = self.deflate.iter();
        #[cfg(feature = "deflate")]
        let extensions =
            extensions.map(|agreed| ("Sec-WebSocket-Extensions", agreed.answer.as_bytes()));
        #[cfg(not(feature = "deflate"))]
        let extensions = core::iter::empty();
        [
            ("Upgrade", &b"websocket"[..]),
            ("Connection", b"Upgrade"),
            ("Sec-WebSocket-Accept", self.accept.as_bytes()),
        ]
        .into_iter()
        .chain(protocol)
        .chain(extensions)
        .chain(self.headers.iter().map(|(name, value)| (&**name, &**value)))
    }

    /// Appends the whole answer; frames follow it.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"HTTP/1.1 101 Switching Protocols\r\n");
        for (name, value) in self.headers() {
            write_header(out, name, value);
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// Checks the request line, first because the answer depends on it: HTTP/1.0 has no upgrades at
/// all (RFC 9110 section 7.8), and an answer to HEAD has no body.
fn check_method(head: &RequestHead<'_>) -> Result<(), Rejection> {
    if head.method() != "GET" {
        let text = "A WebSocket handshake is a GET request.\n";
        let rejection = Rejection::by_rule(405, "method", text);
        return Err(match head.method() {
            "HEAD" => rejection.without_body(),
            _ => rejection,
        });
    }
    if head.version() < Version::Http11 {
        let text = "HTTP/1.0 cannot carry a WebSocket: use HTTP/1.1, also in proxies on the way.\n";
        return Err(Rejection::by_rule(426, "http_version", text));
    }
    Ok(())
}

/// Returns whom the request asks for: the authority in its target before the one in `Host`, which
/// must be there all the same (RFC 9112 section 3.2).
fn check_host<'a>(head: &RequestHead<'a>) -> Result<Authority<'a>, Rejection> {
    let mut hosts = head.header_all("host");
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return Err(bad("host", "There must be exactly one Host header.\n"));
    };
    let host = core::str::from_utf8(host).ok().and_then(Authority::parse);
    let host = host.ok_or_else(|| bad("host", "The Host header must be host[:port].\n"))?;
    if !is_valid_target(head.target()) {
        let text = "The request target must be a path, percent-encoded and without fragment.\n";
        return Err(bad("target", text));
    }
    Ok(head.host_in_target().and_then(Authority::parse).unwrap_or(host))
}

/// Refuses a body: its bytes would be taken for frames, or the frames for a body.
fn check_body(head: &RequestHead<'_>) -> Result<(), Rejection> {
    let mut lengths = head.header_all("content-length");
    let empty = matches!((lengths.next(), lengths.next()), (None | Some(b"0"), None));
    if !empty || head.header("transfer-encoding").is_some() {
        return Err(bad("body", "A WebSocket handshake has no body.\n"));
    }
    Ok(())
}

fn check_upgrade(head: &RequestHead<'_>) -> Result<(), Rejection> {
    let listed = |name, token| head.header_all(name).any(|value| has_token(value, token));
    if !listed("upgrade", "websocket") {
        let empty = head.header_all("upgrade").any(<[u8]>::is_empty);
        if empty {
            return Err(bad("upgrade", "The Upgrade header is empty.\n"));
        }
        let text = "WebSocket only: the Upgrade header must say websocket (proxies may drop it).\n";
        return Err(Rejection::by_rule(426, "upgrade", text));
    }
    if !listed("connection", "upgrade") {
        let text = "The Connection header must say Upgrade (proxies may drop it).\n";
        return Err(Rejection::by_rule(426, "connection", text));
    }
    Ok(())
}

/// Checks version and key, and returns the key. A missing key comes first: that is how the drafts
/// before RFC 6455 look, and 426 would invite them to try again.
fn check_version<'a>(head: &RequestHead<'a>) -> Result<&'a str, Rejection> {
    let mut versions = head.header_all("sec-websocket-version");
    let version = versions.next();
    if versions.next().is_some() {
        let text = "There must be exactly one Sec-WebSocket-Version header.\n";
        return Err(bad("version", text));
    }
    let mut keys = head.header_all("sec-websocket-key");
    let (Some(key), None) = (keys.next(), keys.next()) else {
        let text = "There must be exactly one Sec-WebSocket-Key header.\n";
        return Err(bad("key", text));
    };
    if version != Some(b"13") {
        let text = "The only WebSocket version spoken here is 13.\n";
        return Err(Rejection::by_rule(426, "version", text));
    }
    check_key(key).ok_or_else(|| {
        let text = "Sec-WebSocket-Key must be the base64 of 16 bytes.\n";
        bad("key", text)
    })
}

fn check_access(
    head: &RequestHead<'_>,
    host: &Authority<'_>,
    policy: &Policy,
) -> Result<(), Rejection> {
    let forbid = |rule, text: &str| Err(Rejection::by_rule(403, rule, text));
    if let Some(allowed) = &policy.allowed_hosts
        && !allowed.iter().any(|name| is_host(name, host))
    {
        return forbid("allowed_hosts", "This server is not called by that Host.\n");
    }
    let mut origins = head.header_all("origin");
    match (origins.next(), origins.next()) {
        (None, _) if policy.require_origin => {
            forbid("origin", "An Origin header is required here.\n")
        }
        (None, _) => Ok(()),
        (Some(_), Some(_)) => forbid("origin", "There must be at most one Origin header.\n"),
        (Some(origin), None) if policy.origins.allow(origin, host, policy.scheme) => Ok(()),
        (Some(_), None) => forbid(
            "origin",
            "Pages of this Origin may not connect (a proxy must pass Host on unchanged).\n",
        ),
    }
}

fn is_host(allowed: &str, host: &Authority<'_>) -> bool {
    Authority::parse(allowed).is_some_and(|allowed| {
        allowed.host.eq_ignore_ascii_case(host.host)
            && allowed.port.is_none_or(|port| host.port == Some(port))
    })
}

fn read_extensions<'a>(head: &RequestHead<'a>) -> Result<Vec<Extension<'a>>, Rejection> {
    let mut extensions = Vec::new();
    for value in head.header_all("sec-websocket-extensions") {
        let text = "Sec-WebSocket-Extensions is malformed.\n";
        extensions.extend(parse_extensions(value).map_err(|_| bad("extensions", text))?);
        extensions.truncate(MAX_EXTENSIONS);
    }
    Ok(extensions)
}

fn bad(rule: &'static str, text: &str) -> Rejection {
    Rejection::by_rule(400, rule, text)
}

#[cfg(test)]
mod tests;
