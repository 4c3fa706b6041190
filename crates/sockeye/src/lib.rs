//! WebSocket client and server for tokio.
//!
//! ```no_run
//! # async fn example() -> sockeye::Result<()> {
//! let mut ws = sockeye::connect("wss://example.org/chat").await?;
//! ws.send("hello").await?;
//! while let Some(message) = ws.recv().await? {
//!     println!("{message:?}");
//! }
//! # Ok(()) }
//! ```
//!
//! - [`connect`] and [`Client`] open connections; [`Server`] serves them by path; [`accept`] and
//!   `upgrade` take them over a transport, or from hyper.
//! - [`WebSocket`] receives and sends, whole messages or pieces of one; it can be split.
//! - [`Handler`] is the other form: functions that are called for each message, run by
//!   [`WebSocket::run`] or [`Server::handle`]; see [`handler`].
//! - [`Config`] holds limits and time-outs, with defaults that are safe.
//!
//! What happens on the wire is decided in [`sockeye_proto`], which does no I/O; this crate gives it
//! sockets, a clock and randomness.
//!
//! # Two forms
//!
//! `recv` and `send` are for everybody: a message is the application's own, and waiting is `await`. A
//! [`Handler`] is for those to whom each message counts: it borrows messages where they were read,
//! copies and allocates nothing for them, and must not block. The reactor of the crate
//! `sockeye-reactor` runs the same handlers.
//!
//! # Cancel safety
//!
//! Every method of [`WebSocket`], [`Sender`] and [`Receiver`] may be dropped while it waits. Bytes
//! that were read stay with the connection; a message goes out whole or not at all. Only
//! [`WebSocket::run`] takes the connection along when it is dropped.
//!
//! # Logs
//!
//! With the feature `tracing`, and not otherwise, the crate emits events for the crate `tracing`:
//! `handshake.rejected`, `ws.failed` and their like, which the page of the command `sockeye` lists.
//! What a peer sent stands in them escaped and bounded; events that any peer can cause at will are
//! bounded in number. Ends that are nobody's fault are told at level debug.
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `client` | yes | [`connect`], [`Client`] |
//! | `server` | yes | [`Server`] |
//! | `deflate` | yes | permessage-deflate, off until [`Config::deflate`] asks for it |
//! | `rustls` | yes | `wss://` for both roles |
//! | `idn` | no | host names beyond ASCII; without it they must be in punycode |
//! | `hyper` | no | `upgrade`, for requests that a hyper server has read |
//! | `tracing` | no | events for the crate `tracing`: connections that open, fail and close, requests that are refused |
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod buffers;
#[cfg(feature = "client")]
mod client;
mod clock;
mod control;
mod error;
pub mod handler;
mod held;
mod io;
mod link;
mod log;
mod message;
mod pings;
#[cfg(any(feature = "client", feature = "server"))]
mod race;
#[cfg(feature = "server")]
mod server;
mod slots;
mod split;
mod stream;
#[cfg(feature = "rustls")]
pub mod tls;
#[cfg(all(feature = "hyper", feature = "server"))]
mod upgrade;
mod websocket;

#[cfg(feature = "client")]
pub use client::{Client, ClientBuilder, Connect, connect};
pub use error::{Error, ErrorKind, Result};
pub use handler::{Handler, MessageRef, Out, Sent, Topics};
pub use io::{AnyIo, Io, Rewound};
pub use message::{Event, Message};
#[cfg(feature = "server")]
pub use server::{
    Acceptor, Caller, Doorstep, Drain, HandedOver, HttpConnection, Incoming, Listening, Place,
    Server, Transport, Upgrades, accept,
};
#[cfg(feature = "deflate")]
pub use sockeye_proto::deflate::DeflateConfig;
pub use sockeye_proto::handshake::{
    ForwardedHeader, Network, NetworkError, OriginPattern, Origins, Rejection,
};
pub use sockeye_proto::{
    CloseCode, CloseFrame, CloseInfo, Compress, Config, Keepalive, Kind, Limits, SendOptions, Side,
    Timeouts, Utf8Bytes,
};
pub use split::{Receiver, Sender};
pub use stream::{MessageReader, MessageWriter};
#[cfg(all(feature = "hyper", feature = "server"))]
pub use upgrade::{Upgrade, upgrade};
pub use websocket::WebSocket;

/// The programs in the README are compiled too.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
