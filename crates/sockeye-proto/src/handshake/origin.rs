//! Origins.
use super::HandshakeMisuse;
use alloc::{string::String, vec::Vec};
/// Which pages may connect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origins {
    /// Pages of the same host and port.
    #[default]
    Same,
    /// Any page.
    Any,
    /// Pages of these origins.
    List(Vec<OriginPattern>),
}
impl Origins {
    /// Reads patterns.
    pub fn list<I: IntoIterator<Item: AsRef<str>>>(_patterns: I) -> Result<Self, HandshakeMisuse> {
        todo!()
    }
}
/// One entry: `https://example.com[:port]`, `example.com`, `*.example.com`, `https://*.example.com`, `same`, `null`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginPattern(String);
impl core::str::FromStr for OriginPattern {
    type Err = HandshakeMisuse;
    fn from_str(_: &str) -> Result<Self, HandshakeMisuse> {
        todo!()
    }
}
/// The scheme under which clients reach this server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scheme {
    /// Without TLS.
    Http,
    /// With TLS.
    Https,
    /// Behind a proxy that may end TLS.
    #[default]
    Unknown,
}
