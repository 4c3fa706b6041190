//! A request's head.
use super::HeadError;
/// The HTTP version of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
}
/// A request's head.
#[derive(Clone, Debug)]
pub struct RequestHead<'a> {
    method: &'a str,
}
impl<'a> RequestHead<'a> {
    /// Parses what [`HeadReader`](super::HeadReader) found.
    pub fn parse(_head: &'a [u8]) -> Result<Self, HeadError> {
        todo!()
    }
    /// Takes what another HTTP implementation parsed.
    pub fn from_parts(
        _method: &'a str,
        _target: &'a str,
        _version: Version,
        _headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> Self {
        todo!()
    }
    /// The method.
    pub fn method(&self) -> &'a str {
        self.method
    }
    /// The target.
    pub fn target(&self) -> &'a str {
        todo!()
    }
    /// The version.
    pub fn version(&self) -> Version {
        todo!()
    }
    /// The path of the target.
    pub fn path(&self) -> &'a str {
        todo!()
    }
    /// The query of the target, without its `?`.
    pub fn query(&self) -> Option<&'a str> {
        todo!()
    }
    /// The authority: of the target if it has one, else the Host header.
    pub fn host(&self) -> Option<&'a str> {
        todo!()
    }
    /// The first header of that name.
    pub fn header(&self, _name: &str) -> Option<&'a [u8]> {
        todo!()
    }
    /// All headers in order.
    pub fn headers(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> + '_ {
        core::iter::empty()
    }
    /// Whether it is meant as a WebSocket handshake, valid or not.
    pub fn wants_upgrade(&self) -> bool {
        todo!()
    }
}
