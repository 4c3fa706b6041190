//! The `Sec-WebSocket-Extensions` parameters of permessage-deflate (RFC 7692 section 7.1).
use super::{DeflateConfig, Params};
/// The parameters of one offer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// The server is to forget each message before the next.
    pub server_no_context_takeover: bool,
    /// The client will forget each message before the next.
    pub client_no_context_takeover: bool,
    /// The largest window of the server; `None` leaves it to the server.
    pub server_max_window_bits: Option<u8>,
    /// The largest window of the client.
    pub client_max_window_bits: ClientWindow,
}
/// What a client says of its own window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientWindow {
    /// Nothing: the server may not choose it.
    Fixed,
    /// The server may choose it.
    #[default]
    Any,
    /// At most this.
    AtMost(u8),
}
impl From<&DeflateConfig> for Offer {
    fn from(_: &DeflateConfig) -> Self {
        todo!()
    }
}
impl Params {
    /// Answers an offer.
    pub fn answer(_config: &DeflateConfig, _offer: &Offer) -> Self {
        todo!()
    }
}
