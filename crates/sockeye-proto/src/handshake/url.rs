//! WebSocket URLs.
use alloc::string::String;
/// Where to connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {}
/// What is wrong with a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UrlError {
    /// No host.
    MissingHost,
}
impl Url {
    /// Parses.
    pub fn parse(_text: &str) -> Result<Self, UrlError> {
        todo!()
    }
    /// Whether TLS is used.
    pub fn is_secure(&self) -> bool {
        todo!()
    }
    /// The host to resolve, an IPv6 address without brackets.
    pub fn host(&self) -> &str {
        todo!()
    }
    /// The port.
    pub fn port(&self) -> u16 {
        todo!()
    }
    /// The name for TLS; `None` for an address.
    pub fn server_name(&self) -> Option<&str> {
        todo!()
    }
    /// Host and port as the Host header has them.
    pub fn authority(&self) -> &str {
        todo!()
    }
    /// Path and query.
    pub fn target(&self) -> &str {
        todo!()
    }
    /// The origin of a page at this address.
    pub fn origin(&self) -> String {
        todo!()
    }
}
impl core::fmt::Display for UrlError {
    fn fmt(&self, _f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        todo!()
    }
}
impl core::error::Error for UrlError {}
