//! What keys of the configuration take as text: addresses, URLs, origins, secrets, choices.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use sockeye_proto::handshake::OriginPattern;

use crate::auth::webhook::Event;
use crate::fetch::{Endpoint, EndpointError};

/// Where to listen: `HOST:PORT`, an IPv6 address in brackets. A name is looked up when it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    host: String,
    port: u16,
}

impl Address {
    /// Returns the host: a name or an address, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port; 0 picks a free one.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Tells whether only this machine can reach it. Of names, `localhost` alone is believed to.
    pub fn is_loopback(&self) -> bool {
        self.host.eq_ignore_ascii_case("localhost")
            || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

impl Default for Address {
    fn default() -> Self {
        Self { host: "127.0.0.1".to_owned(), port: 8080 }
    }
}

impl FromStr for Address {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let (host, port) = text.rsplit_once(':').ok_or("there is no port")?;
        if port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err("there is no port");
        }
        let port = port.parse().map_err(|_| "a port is at most 65535")?;
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = match bracketed {
            Some(host) if host.parse::<std::net::Ipv6Addr>().is_ok() => host,
            Some(_) => return Err("in brackets stands an IPv6 address"),
            None if host.is_empty() => return Err("there is no host; 0.0.0.0 means all addresses"),
            None if host.contains(':') => return Err("an IPv6 address stands in brackets"),
            None if host.bytes().all(is_host_byte) => host,
            None => return Err("that is no host"),
        };
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._".contains(&byte)
}

/// A URL of a back end. Its query, where some put a key, is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Url(String);

impl Url {
    /// Makes the endpoint: `https`, or `http` to this machine and, where the configuration says
    /// `insecure_http`, to others.
    ///
    /// # Errors
    /// The rule that the URL breaks.
    pub(super) fn endpoint(&self, insecure_http: bool) -> Result<Endpoint, EndpointError> {
        if insecure_http { Endpoint::insecure(&self.0) } else { Endpoint::parse(&self.0) }
    }
}

impl FromStr for Url {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        Endpoint::insecure(text)?;
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.split_once('?') {
            None => f.write_str(&self.0),
            Some((before, _)) => write!(f, "{before}?{MASK}"),
        }
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Url({self})")
    }
}

/// A secret as the configuration gives it. Neither `Debug` nor `Display` shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Hidden(String);

impl Hidden {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the secret.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

/// Which pages may connect: `*` for all, or a pattern of origins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginEntry(String);

impl OriginEntry {
    /// Lets all pages connect.
    pub fn any() -> Self {
        Self("*".into())
    }

    /// Returns the pattern; `None` for all pages.
    pub(super) fn pattern(&self) -> Option<OriginPattern> {
        self.0.parse().ok()
    }
}

impl FromStr for OriginEntry {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        if text != "*" {
            text.parse::<OriginPattern>().map_err(|_| ORIGIN_FORMS)?;
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for OriginEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Defines an enum whose values have names in the configuration.
macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

        impl $name {
            pub(super) const NAMES: &[&str] = &[$($text),+];
        }

        impl FromStr for $name {
            type Err = &'static str;

            fn from_str(text: &str) -> Result<Self, &'static str> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err("that is none of the names"),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $text),+ })
            }
        }
    };
}

choice! {
    /// How grave an event must be to be logged.
    LogLevel {
        /// Nothing is logged.
        Off = "off",
        /// What the operator has to see to.
        Error = "error",
        /// What he may have to.
        Warn = "warn",
        /// What clients do wrong; the default.
        #[default]
        Info = "info",
        /// Each connection.
        Debug = "debug",
        /// Everything.
        Trace = "trace",
    }
}

choice! {
    /// The form of the log.
    LogFormat {
        /// A line of words for each event; the default.
        #[default]
        Text = "text",
        /// A line with a JSON object.
        Json = "json",
    }
}

choice! {
    /// Whether a topic knows its members: [`sockeye_hub::Presence`].
    Presence {
        /// There are no members; the default.
        #[default]
        Off = "off",
        /// Members can be listed.
        Listed = "listed",
        /// And who comes and goes is told.
        Announced = "announced",
    }
}

choice! {
    /// What becomes of a subscriber that reads too slowly: [`sockeye_hub::Slow`].
    Slow {
        /// It is disconnected; the default.
        #[default]
        Disconnect = "disconnect",
        /// Its oldest waiting messages are dropped.
        DropOldest = "drop-oldest",
        /// Of each topic only the newest waits.
        Latest = "latest",
    }
}

choice! {
    /// What a webhook is asked besides who connects.
    Ask {
        /// May it publish?
        #[default]
        Publish = "publish",
        /// May it subscribe?
        Subscribe = "subscribe",
        /// It has gone.
        Disconnect = "disconnect",
    }
}

impl From<Ask> for Event {
    fn from(ask: Ask) -> Self {
        match ask {
            Ask::Publish => Self::Publish,
            Ask::Subscribe => Self::Subscribe,
            Ask::Disconnect => Self::Disconnect,
        }
    }
}

impl From<Presence> for sockeye_hub::Presence {
    fn from(presence: Presence) -> Self {
        match presence {
            Presence::Off => Self::Off,
            Presence::Listed => Self::Listed,
            Presence::Announced => Self::Announced,
        }
    }
}

impl From<Slow> for sockeye_hub::Slow {
    fn from(slow: Slow) -> Self {
        match slow {
            Slow::Disconnect => Self::Disconnect,
            Slow::DropOldest => Self::DropOldest,
            Slow::Latest => Self::Latest,
        }
    }
}

/// What stands for a secret wherever one would be shown.
pub(super) const MASK: &str = "***";

const ORIGIN_FORMS: &str = "an origin is `*`, `same`, `null`, `https://example.com`, \
                            `example.com` or `*.example.com`";
