//! WebSocket URLs, as `new WebSocket(url)` takes them (WHATWG WebSockets section 3.1).
//!
//! Owns what a client needs of a URL and refuses what WHATWG refuses. It is narrower in three ways:
//! names beyond ASCII must come in punycode, IPv4 addresses in dotted decimal, and paths stay as
//! they are (`/a/../b` is not shortened).

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::fmt::Write as _;
use core::net::{Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

/// Where to connect.
///
/// ```
/// use sockeye_proto::handshake::Url;
///
/// let url = Url::parse("wss://Example.com:443/chat?room=1")?;
/// assert!(url.is_secure());
/// assert_eq!(url.authority(), "example.com");
/// assert_eq!(url.target(), "/chat?room=1");
/// # Ok::<(), sockeye_proto::handshake::UrlError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Url {
    tls: Tls,
    host: Host,
    port: u16,
    authority: String,
    target: String,
}

/// What is wrong with a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UrlError {
    /// A space or control character.
    Whitespace,
    /// No scheme, or one other than `ws`, `wss`, `http` and `https`.
    Scheme,
    /// User name or password, which belong into an `Authorization` header.
    UserInfo,
    /// No host.
    MissingHost,
    /// A host name beyond ASCII, given here; it must be converted to punycode (`xn--…`) before.
    IdnHost(String),
    /// A host that is neither a name, nor an IPv4 address in dotted decimal, nor an IPv6 address in
    /// brackets.
    Host(String),
    /// A port that is not 1 to 65535.
    Port(String),
    /// A backslash.
    Backslash,
    /// A fragment, even an empty one.
    Fragment,
}

/// Whether the transport is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Tls {
    Plain,
    Encrypted,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Host {
    Name(String),
    /// An address without brackets.
    Address(String),
}

impl Url {
    /// Parses a URL.
    ///
    /// # Errors
    /// The caller's faults: [`UrlError`].
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        if text.contains(|c: char| c.is_ascii_control() || c == ' ') {
            return Err(UrlError::Whitespace);
        }
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::Scheme)?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "ws" | "http" => Tls::Plain,
            "wss" | "https" => Tls::Encrypted,
            _ => return Err(UrlError::Scheme),
        };
        if rest.contains('#') {
            return Err(UrlError::Fragment);
        }
        if rest.contains('\\') {
            return Err(UrlError::Backslash);
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path_and_query) = rest.split_at_checked(end).unwrap_or((rest, ""));
        if authority.contains('@') {
            return Err(UrlError::UserInfo);
        }
        let (host, port) = split_port(authority);
        let host = parse_host(host)?;
        let port = parse_port(port)?.unwrap_or(tls.default_port());
        Ok(Self {
            authority: join_authority(&host, port, tls),
            target: encode_target(path_and_query),
            tls,
            host,
            port,
        })
    }

    /// Whether TLS comes first: `wss` and `https`.
    pub fn is_secure(&self) -> bool {
        self.tls == Tls::Encrypted
    }

    /// Returns the name to resolve, in lower case, or the address to connect to; an IPv6 address
    /// without its brackets.
    pub fn host(&self) -> &str {
        match &self.host {
            Host::Name(text) | Host::Address(text) => text,
        }
    }

    /// Returns the port, which is the scheme's where the URL has none.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the name that TLS asks for (SNI): without a trailing dot, and none for an address.
    pub fn server_name(&self) -> Option<&str> {
        match &self.host {
            Host::Name(name) => Some(name.strip_suffix('.').unwrap_or(name)),
            Host::Address(_) => None,
        }
    }

    /// Returns host and port as the `Host` header has them, without the scheme's own port.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Returns path and query as the request line has them.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Returns the origin of a page at this address, as an `Origin` header has it.
    pub fn origin(&self) -> String {
        let scheme = match self.tls {
            Tls::Plain => "http",
            Tls::Encrypted => "https",
        };
        format!("{scheme}://{}", self.authority)
    }
}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        Self::parse(text)
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.tls {
            Tls::Plain => "ws",
            Tls::Encrypted => "wss",
        };
        write!(f, "{scheme}://{}{}", self.authority, self.target)
    }
}

impl Tls {
    fn default_port(self) -> u16 {
        match self {
            Self::Plain => 80,
            Self::Encrypted => 443,
        }
    }
}

/// Splits at the colon behind the host; a colon inside brackets belongs to the host.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    let brackets = match authority.starts_with('[') {
        true => authority.rfind(']').unwrap_or(authority.len()),
        false => 0,
    };
    match authority.rfind(':') {
        Some(colon) if colon >= brackets => {
            let (host, port) = authority.split_at_checked(colon).unwrap_or((authority, ""));
            (host, port.strip_prefix(':'))
        }
        _ => (authority, None),
    }
}

fn parse_port(port: Option<&str>) -> Result<Option<u16>, UrlError> {
    let Some(port) = port.filter(|port| !port.is_empty()) else {
        return Ok(None);
    };
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    let value = port.parse().ok().filter(|value| digits && *value != 0);
    value.map(Some).ok_or_else(|| UrlError::Port(port.into()))
}

fn parse_host(text: &str) -> Result<Host, UrlError> {
    let invalid = || UrlError::Host(text.into());
    if text.is_empty() {
        return Err(UrlError::MissingHost);
    }
    if !text.is_ascii() {
        return Err(UrlError::IdnHost(text.into()));
    }
    if let Some(rest) = text.strip_prefix('[') {
        let address = rest.strip_suffix(']').and_then(|text| text.parse().ok());
        return address.map(write_ipv6).map(Host::Address).ok_or_else(invalid);
    }
    let name = text.to_ascii_lowercase();
    let mut labels = name.strip_suffix('.').unwrap_or(&name).split('.');
    let valid = |label: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        matches!(label.len(), 1..=63) && label.bytes().all(allowed)
    };
    if name.len() > 254 || !labels.all(valid) {
        return Err(invalid());
    }
    // WHATWG takes a name for an address if its last label is a number.
    let last = name.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    let hex = last.strip_prefix("0x");
    let numeric = last.bytes().all(|byte| byte.is_ascii_digit())
        || hex.is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
    match (numeric, name.parse::<Ipv4Addr>()) {
        (_, Ok(_)) => Ok(Host::Address(name)),
        (true, Err(_)) => Err(invalid()),
        (false, Err(_)) => Ok(Host::Name(name)),
    }
}

/// Writes the address as WHATWG does: the longest run of zeros as `::`, and no dotted decimal.
fn write_ipv6(address: Ipv6Addr) -> String {
    let groups = address.segments();
    let zeros = |start: usize| groups.iter().skip(start).take_while(|group| **group == 0).count();
    let run = (0..groups.len())
        .map(|start| (start, zeros(start)))
        .filter(|(_, length)| *length > 1)
        // Of runs of equal length the first.
        .rev()
        .max_by_key(|(_, length)| *length);
    let Some((start, length)) = run else {
        return join_groups(&groups);
    };
    let (before, rest) = groups.split_at_checked(start).unwrap_or_default();
    let after = rest.get(length..).unwrap_or_default();
    format!("{}::{}", join_groups(before), join_groups(after))
}

fn join_groups(groups: &[u16]) -> String {
    let groups: Vec<String> = groups.iter().map(|group| format!("{group:x}")).collect();
    groups.join(":")
}

fn join_authority(host: &Host, port: u16, tls: Tls) -> String {
    let mut text = match host {
        Host::Address(address) if address.contains(':') => format!("[{address}]"),
        Host::Address(text) | Host::Name(text) => text.clone(),
    };
    if port != tls.default_port() {
        // Writing to a string cannot fail.
        let _ = write!(text, ":{port}");
    }
    text
}

/// Percent-encodes what WHATWG does not let stand in a path or query.
fn encode_target(path_and_query: &str) -> String {
    let mut target = String::with_capacity(path_and_query.len() + 1);
    if !path_and_query.starts_with('/') {
        target.push('/');
    }
    let mut in_query = false;
    for byte in path_and_query.bytes() {
        in_query |= byte == b'?';
        let encoded = match byte {
            b'"' | b'<' | b'>' | 0x80..=0xFF => true,
            b'\'' => in_query,
            b'^' | b'`' | b'{' | b'}' => !in_query,
            _ => false,
        };
        if encoded {
            // Writing to a string cannot fail.
            let _ = write!(target, "%{byte:02X}");
        } else {
            target.push(char::from(byte));
        }
    }
    target
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whitespace => f.write_str("URL holds a space or control character"),
            Self::Scheme => f.write_str("URL must start with ws://, wss://, http:// or https://"),
            Self::UserInfo => f.write_str("URL holds a user name: send an Authorization header"),
            Self::MissingHost => f.write_str("URL has no host"),
            Self::IdnHost(host) => {
                write!(f, "host {host:?} is not ASCII: convert it to punycode (xn--) before")
            }
            Self::Host(host) => write!(f, "host {host:?} is neither a name nor an address"),
            Self::Port(port) => write!(f, "port {port:?} is not 1 to 65535"),
            Self::Backslash => f.write_str("URL holds a backslash"),
            Self::Fragment => f.write_str("URL has a fragment (#)"),
        }
    }
}

impl core::error::Error for UrlError {}

#[cfg(test)]
mod tests;
