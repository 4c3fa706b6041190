//! The library from outside: over sockets, and over transports that do exactly what a test says.
#![cfg(all(feature = "client", feature = "server"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, and tells its figures"
)]

mod cancel;
mod cancel_send;
mod control;
mod deadlines;
#[cfg(feature = "deflate")]
mod deflate;
mod doors;
mod doorstep;
mod drain;
mod echo;
mod handle;
mod handshake;
mod hosts;
#[cfg(feature = "hyper")]
mod hyper;
#[cfg(feature = "tracing")]
mod log;
mod order;

#[cfg(feature = "hyper")]
mod other_heads;
mod others;
mod panics;
mod proxies;
#[cfg(feature = "rustls")]
mod records;
mod redirect;
mod run;
mod split;
mod strangers;
mod streams;
mod support;
#[cfg(feature = "rustls")]
mod tls;
#[cfg(feature = "rustls")]
mod tls_client;
#[cfg(feature = "rustls")]
mod tls_floods;
#[cfg(feature = "rustls")]
mod tls_hello;
#[cfg(all(feature = "rustls", feature = "tracing"))]
mod tls_log;
#[cfg(feature = "deflate")]
mod window;
