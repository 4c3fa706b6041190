//! Which end of the connection this is, at compile time where the host knows it.
//!
//! The rules that differ are few: a client masks what it sends and refuses masked frames, a server
//! the other way round (RFC 6455 section 5.1), and the server lets go of the transport first
//! (section 7.1.1).

use core::fmt;

/// A function that returns a fresh masking key on each call.
///
/// RFC 6455 section 10.3 wants keys that a web page cannot foresee, so this draws from a
/// cryptographically secure generator. The core itself draws no randomness.
pub type MaskSource = fn() -> [u8; 4];

/// The end of the connection that a [`Connection`](crate::Connection) plays.
///
/// Implemented by [`Client`], [`Server`] and, where a host serves both with one code, [`AnyRole`].
pub trait Role: sealed::Sealed + fmt::Debug {
    /// Whether this end is the server.
    fn is_server(&self) -> bool;

    /// Draws the masking key of the next frame; `None` on a server, which never masks.
    fn next_mask(&mut self) -> Option<[u8; 4]>;
}

/// The end that asked for the connection.
#[derive(Clone, Copy)]
pub struct Client {
    masks: MaskSource,
}

impl Client {
    /// Makes the client role, which draws its masking keys from `masks`.
    pub const fn new(masks: MaskSource) -> Self {
        Self { masks }
    }
}

impl Role for Client {
    fn is_server(&self) -> bool {
        false
    }

    fn next_mask(&mut self) -> Option<[u8; 4]> {
        Some((self.masks)())
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

/// The end that was asked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Server;

impl Role for Server {
    fn is_server(&self) -> bool {
        true
    }

    fn next_mask(&mut self) -> Option<[u8; 4]> {
        None
    }
}

/// Either end, chosen at run time.
#[derive(Clone, Copy, Debug)]
pub enum AnyRole {
    /// The end that asked for the connection.
    Client(Client),
    /// The end that was asked.
    Server,
}

impl Role for AnyRole {
    fn is_server(&self) -> bool {
        matches!(self, Self::Server)
    }

    fn next_mask(&mut self) -> Option<[u8; 4]> {
        match self {
            Self::Client(client) => client.next_mask(),
            Self::Server => None,
        }
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Client {}
    impl Sealed for super::Server {}
    impl Sealed for super::AnyRole {}
}
