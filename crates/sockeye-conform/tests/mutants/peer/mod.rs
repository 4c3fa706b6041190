//! An echo server and an echo client that keep every rule, or break just one.
//!
//! They share no code with the tester nor with Sockeye's other crates.

mod client;
mod deflate;
mod echo;
mod extension;
mod frame;
mod head;
mod host;
mod inflate;
mod memory;
mod server;
mod upgrade;
mod utf8;

pub(crate) use client::Client;
pub(crate) use memory::Memory;
pub(crate) use server::Server;

/// The end of a connection that a peer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    Server,
    Client,
}

/// Why a connection fails: the close code that tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failure(u16);

impl Failure {
    /// Against RFC 6455.
    pub(crate) const PROTOCOL: Self = Self(1002);
    /// Data that are not what they should be: no UTF-8, or no compressed data.
    pub(crate) const CORRUPT: Self = Self(1007);
    /// A flood of frames that say nothing.
    pub(crate) const POLICY: Self = Self(1008);
    /// More than [`LIMIT`].
    pub(crate) const TOO_BIG: Self = Self(1009);
}

/// The longest message, in bytes, as it comes and inflated: four times what Autobahn sends.
const LIMIT: usize = 64 << 20;
