//! The WebSocket protocol without I/O: frames, masks, UTF-8, the opening and closing handshakes,
//! permessage-deflate and time-outs ([RFC 6455], [RFC 7692]).
//!
//! This crate opens no socket, reads no clock and draws no randomness. A *host* does: the `sockeye`
//! crate on tokio is one, and a test that plays an hour of keep-alive in a microsecond is another.
//!
//! ```text
//!                       ┌───────────────────────────────┐
//!   bytes from peer ───►│ receive ──────────► Events    │───► messages
//!                       │    │                          │
//!                       │    ▼ pongs, Close             │
//!   bytes to peer  ◄────│   out ◄──────────── send,     │◄─── messages
//!                       │                     ping,     │
//!   clock          ────►│ handle_timeout      close     │
//!                       └───────────────────────────────┘
//! ```
//!
//! # The drive loop
//!
//! 1. Perform the opening handshake with [`handshake`]; it yields what both ends agreed on. Bytes
//!    that came behind the head belong to the connection.
//! 2. When bytes arrive, give them to [`Connection::receive`] and take every event. If you stop
//!    early, give the bytes after [`Events::consumed`] again, before any others and even if none
//!    are left: a compressed message that is read in pieces may have more to give without them.
//! 3. When the application sends, call [`Connection::send`], [`ping`](Connection::ping) or
//!    [`close`](Connection::close).
//! 4. After 2 and 3, write what stands in `out`; tell [`Connection::written`] how much the transport
//!    took, also when it took none.
//! 5. When [`Connection::poll_timeout`] is due, call [`Connection::handle_timeout`], then go to 4. When the transport
//!    ends, call [`Connection::receive_eof`].
//! 6. Do with the transport what [`Connection::next`] says. At [`Next::Close`] the connection is
//!    over, and [`Connection::close_info`] tells how.
//!
//! After an error from 2 or 5 the connection has failed: it has told the peer, yields no further
//! event, and wants only steps 4 to 6. An error from 3 is the caller's own and changes nothing.
//!
//! ```
//! use std::sync::Arc;
//! use sockeye_proto::{Config, Connection, Event, Message, Server, Time};
//!
//! let now = Time::from_micros(0);
//! let mut connection = Connection::new(Server, Arc::new(Config::server()), now);
//! let mut out = Vec::new();
//! // "Hello" from a client: section 5.7 of RFC 6455.
//! let mut input = *b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
//!
//! let mut events = connection.receive(&mut input, now, &mut out);
//! while let Some(event) = events.next() {
//!     if let Event::Message(Message::Text(text)) = event? {
//!         assert_eq!(text.as_str(), "Hello");
//!     }
//! }
//! connection.send("Hello", &mut out)?;
//! assert_eq!(out, b"\x81\x05Hello");
//! # Ok::<(), sockeye_proto::Error>(())
//! ```
//!
//! # Features
//!
//! `std` (default): picks SIMD instructions at run time. `deflate` (default, needs `std`):
//! permessage-deflate; compiled in, it stays off until a [`Config`] asks for it. Without both, the
//! crate needs `core` and `alloc` alone.
//!
//! [RFC 6455]: https://www.rfc-editor.org/rfc/rfc6455
//! [RFC 7692]: https://www.rfc-editor.org/rfc/rfc7692

#![cfg_attr(not(feature = "std"), no_std)]
#![deny(unsafe_code)]
// Nothing that a peer sends ends in a panic, and no length loses its upper bits.
#![cfg_attr(
    not(test),
    deny(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::todo,
        clippy::unimplemented,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

extern crate alloc;

mod close;
mod config;
mod connection;
#[cfg(feature = "deflate")]
pub mod deflate;
mod error;
mod frame;
pub mod handler;
pub mod handshake;
pub mod mask;
mod memory;
mod message;
mod prepared;
mod role;
mod time;
mod utf8;

pub use close::{CloseCode, CloseFrame, MAX_REASON};
pub use config::{Config, Keepalive, Limits, Timeouts};
pub use connection::{
    CloseInfo, Compress, Connection, Delivery, Events, Next, Reply, SendOptions, Side,
};
pub use error::{Error, Limit, LimitError, Misuse, PeerError, Timeout};
pub use frame::{LengthForm, MAX_CONTROL};
pub use message::{Event, Kind, Message, MessageRef, Piece, Position};
pub use prepared::PreparedMessage;
pub use role::{AnyRole, Client, MaskSource, Role, Server};
pub use time::Time;
pub use utf8::{Binary, InvalidUtf8, Text, Utf8Bytes, Validator};
