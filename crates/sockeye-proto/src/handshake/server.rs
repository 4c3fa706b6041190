//! The server's side.
use super::{HandshakeMisuse, Origins, Rejection, RequestHead, Scheme};
#[cfg(feature = "deflate")]
use crate::deflate::{DeflateConfig, Params};
use alloc::{string::String, vec::Vec};
/// What a server lets in.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Policy {
    /// Which pages may connect; default those of the same host.
    pub origins: Origins,
    /// The scheme under which clients reach this server; default unknown.
    pub scheme: Scheme,
    /// Whether a request without Origin is refused; default `false`.
    pub require_origin: bool,
    /// Subprotocols in the order of preference.
    pub subprotocols: Vec<String>,
    /// Whether no common subprotocol refuses; default `false`.
    pub require_subprotocol: bool,
    /// Names that Host may carry.
    pub allowed_hosts: Option<Vec<String>>,
    /// permessage-deflate.
    #[cfg(feature = "deflate")]
    pub deflate: Option<DeflateConfig>,
}
/// A handshake that may go on.
#[derive(Clone, Debug)]
pub struct Accepted {}
impl Accepted {
    /// The chosen subprotocol.
    pub fn subprotocol(&self) -> Option<&str> {
        todo!()
    }
    /// What the client offered, in its order.
    pub fn offered_subprotocols(&self) -> &[String] {
        todo!()
    }
    /// Chooses another, or none.
    pub fn select_subprotocol(&mut self, _name: Option<&str>) -> Result<(), HandshakeMisuse> {
        todo!()
    }
    /// Adds a header to the 101.
    pub fn add_header(
        &mut self,
        _name: &str,
        _value: impl AsRef<[u8]>,
    ) -> Result<(), HandshakeMisuse> {
        todo!()
    }
    /// What was agreed.
    #[cfg(feature = "deflate")]
    pub fn deflate(&self) -> Option<Params> {
        todo!()
    }
    /// All headers that `write` sends.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        core::iter::empty()
    }
    /// Appends the 101.
    pub fn write(&self, _out: &mut Vec<u8>) {
        todo!()
    }
}
/// Judges a request.
pub fn accept(_head: &RequestHead<'_>, _policy: &Policy) -> Result<Accepted, Rejection> {
    todo!()
}
