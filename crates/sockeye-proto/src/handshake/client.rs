//! The client's request.
use super::{ClientHandshake, HandshakeMisuse, Url};
use crate::Limits;
#[cfg(feature = "deflate")]
use crate::deflate::Offer;
use alloc::vec::Vec;
/// A request for a WebSocket.
#[derive(Clone, Debug)]
pub struct ClientRequest {}
impl ClientRequest {
    /// Asks for `url`; `key` are 16 fresh random bytes.
    pub fn new(_url: &Url, _key: [u8; 16]) -> Self {
        todo!()
    }
    /// Adds a header.
    pub fn header(self, _name: &str, _value: impl AsRef<[u8]>) -> Result<Self, HandshakeMisuse> {
        todo!()
    }
    /// Sets Origin.
    pub fn origin(self, _origin: &str) -> Result<Self, HandshakeMisuse> {
        todo!()
    }
    /// Offers subprotocols.
    pub fn subprotocols<I: IntoIterator<Item: AsRef<str>>>(
        self,
        _names: I,
    ) -> Result<Self, HandshakeMisuse> {
        todo!()
    }
    /// Goes on without a subprotocol if the server takes none.
    pub fn optional_subprotocol(self) -> Self {
        todo!()
    }
    /// Offers permessage-deflate; `&DeflateConfig` is an offer too.
    #[cfg(feature = "deflate")]
    pub fn deflate(self, _offer: impl Into<Offer>) -> Self {
        todo!()
    }
    /// Appends the request.
    pub fn write(&self, _out: &mut Vec<u8>) {
        todo!()
    }
    /// Starts to wait for the answer.
    pub fn handshake(&self, _limits: &Limits) -> ClientHandshake {
        todo!()
    }
}
