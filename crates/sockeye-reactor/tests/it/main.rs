//! The reactor from outside: real sockets, and peers that write their frames by hand.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod blocked;
mod closing;
#[cfg(feature = "deflate")]
mod deflate;
#[cfg(unix)]
mod descriptors;
mod door;
mod echo;
mod ends;
mod host;
mod many;
mod panics;
mod peer;
mod probe;
mod reactor;
mod room;
mod senders;
#[cfg(feature = "tls")]
mod tls;
mod topics;
